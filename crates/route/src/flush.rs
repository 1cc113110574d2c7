//! Flush: removes everything of sipward, without the daemon.

use netlink_packet_route::route::RouteType;
use netlink_sys::protocols::NETLINK_ROUTE;
use nix::errno::Errno;

use crate::blackhole::ask_permission;
use crate::blackhole::{self, Blackholes, Filter, Route};
use crate::gate::Gate;
use crate::netlink::{Batch, Channel, Reply};
use crate::{RouteError, Scope, Settings, rules};

/// Routes deleted in one send; see the enforcer's.
const SEND: usize = 128;

/// What [`flush`] removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flushed {
    /// Blackhole routes.
    pub routes: usize,
    /// Policy rules, and the fallback route that the gate's rule leads to.
    pub rules: usize,
    /// Whether the nftables table was there.
    pub gate: bool,
    /// Bans from the SIP ports that went with it. Networks that touch count as one.
    pub sip_bans: usize,
    /// Denied flows that went with it.
    pub flows: usize,
}

/// Removes every route, rule and table that is ours: blackholes with our protocol number in any table, rules
/// with our protocol number, the gate with its bans and flows. Works without a daemon; a daemon that runs would put
/// everything
/// back, so stop it first.
///
/// # Errors
/// When netlink cannot be opened or refuses.
pub async fn flush(settings: &Settings) -> Result<Flushed, RouteError> {
    settings.check()?;
    let mut route = Channel::open(NETLINK_ROUTE).map_err(RouteError::Socket)?;
    ask_permission(&mut route, settings.protocol).await?;
    let mut flushed = Flushed::default();
    // The gate first: from then on nothing is dropped that the kernel would not drop by itself.
    if let Ok(mut gate) = Gate::open(settings.gate.clone(), settings.protocol) {
        let (sip_bans, flows) = held(&mut gate).await;
        let removed = gate.remove(&mut route).await?;
        if removed.ruleset {
            (flushed.sip_bans, flushed.flows) = (sip_bans, flows);
        }
        flushed.gate = removed.ruleset;
        flushed.rules += removed.rules;
    }
    for rule in rules::ours(&mut route, settings.protocol).await? {
        flushed.rules += usize::from(rules::remove(&mut route, settings.protocol, rule).await?);
    }
    flushed.routes = remove_routes(&mut route, settings).await?;
    Ok(flushed)
}

/// How many bans from the SIP ports and denied flows the gate holds. What cannot be read is removed all the same.
async fn held(gate: &mut Gate) -> (usize, usize) {
    let bans = gate.bans(Scope::Sip).await.map_or(0, |bans| bans.len());
    (bans, gate.denied_in_kernel().await.map_or(0, |flows| flows.len()))
}

async fn remove_routes(route: &mut Channel, settings: &Settings) -> Result<usize, RouteError> {
    let mut found: Vec<Route> = Vec::new();
    let filter = Filter { protocol: Some(settings.protocol), ..Filter::default() };
    blackhole::dump(route, filter, |route| {
        if route.kind == RouteType::BlackHole {
            found.push(route);
        }
    })
    .await?;
    let mut removed = 0;
    for routes in found.chunks(SEND) {
        let mut batch = Batch::default();
        for route in routes {
            Blackholes::in_table(route.table, settings.protocol).delete_found(&mut batch, route);
        }
        let mut refused = None;
        removed += routes.len();
        route
            .exchange(batch, |_, reply| {
                if let Reply::Refused(refusal) = reply {
                    removed -= 1;
                    // Gone meanwhile, or listed twice by a dump that ran into a change.
                    if refusal.errno != Errno::ESRCH {
                        refused = Some(refusal);
                    }
                }
            })
            .await?;
        if let Some(refusal) = refused {
            let what = "remove a blackhole route".to_owned();
            return Err(RouteError::Refused { what, reason: refusal.to_string() });
        }
    }
    Ok(removed)
}
