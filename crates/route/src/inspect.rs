//! A look at what stands in the kernel, by somebody who changes nothing.

use std::collections::BTreeSet;
use std::net::IpAddr;

use ipnet::IpNet;
use netlink_sys::protocols::NETLINK_ROUTE;

use crate::blackhole::{self, Blackholes, Filter, Winner};
use crate::enforcer::{ask_permission, coverage, sample};
use crate::gate::Gate;
use crate::netlink::{Batch, Channel, Reply};
use crate::rules::{self, Rule};
use crate::{Coverage, GateMode, RouteError, Settings, host, reverse_path};

/// Bans looked up at most: what is wrong with the routing shows on the first, and a large host holds
/// half a million.
const LOOKED_UP: usize = 128;

/// Foreign routes and rules named at most.
const NAMED: usize = 32;

/// What stands in the kernel.
#[derive(Clone, Debug)]
pub struct Inspection {
    /// This process may change routes, rules and nftables (`CAP_NET_ADMIN`).
    pub permitted: bool,
    /// Bans: our routes with these settings.
    pub routes: usize,
    /// Routes and rules with our protocol number that are not ours with these settings, in the words of
    /// `ip`; at most 32 of them.
    pub foreign: Vec<String>,
    /// The gate.
    pub gate: GateState,
    /// What the kernel covers with the gate as it was found.
    pub coverage: Coverage,
    /// Bans that were looked up, at most 128.
    pub looked_up: usize,
    /// Those of them that another route wins against, and which.
    pub outranked: Vec<(IpNet, String)>,
}

/// How the gate was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GateState {
    /// Table, chain, rules, sets and policy rule are as these settings want them.
    Standing {
        /// Packets of banned sources that it has dropped since it was set.
        dropped: u64,
    },
    /// Nothing of it is there.
    Missing,
    /// Some of it is missing or is not as it should be.
    Damaged {
        /// What.
        what: &'static str,
    },
    /// A table of somebody else has its name.
    Foreign,
    /// It could not be looked at.
    Unknown {
        /// Why: as a rule, `CAP_NET_ADMIN` is missing.
        reason: String,
    },
}

/// Looks at routes, rules and the gate, and looks some of the bans up as the gate would. Needs no
/// privilege, except for the gate.
///
/// # Errors
/// When a setting is out of range, netlink fails or the kernel refuses.
pub async fn inspect(settings: &Settings) -> Result<Inspection, RouteError> {
    settings.check()?;
    let mut route = Channel::open(NETLINK_ROUTE).map_err(RouteError::Socket)?;
    let permitted = match ask_permission(&mut route, settings.protocol).await {
        Ok(()) => true,
        Err(RouteError::NotPermitted) => false,
        Err(error) => return Err(error),
    };
    let Survey { ours, foreign } = survey(&mut route, settings).await?;
    let gate = match Gate::open(settings.gate.clone(), settings.protocol) {
        Ok(mut gate) => gate.look(&mut route).await,
        Err(error) => Err(error),
    };
    let gate = match gate {
        Ok(state) => state,
        Err(error @ (RouteError::Socket(_) | RouteError::Silent)) => return Err(error),
        Err(
            error @ (RouteError::NotPermitted
            | RouteError::Refused { .. }
            | RouteError::Settings(_)),
        ) => GateState::Unknown { reason: error.to_string() },
    };
    let host = host::facts(&mut route, settings.protocol).await?;
    let open = reverse_path::open_interfaces(&mut route).await?;
    let stands = matches!(gate, GateState::Standing { .. });
    let coverage = coverage(&settings.gate, stands, &open, &host);
    let nets: Vec<IpNet> = ours.iter().take(LOOKED_UP).copied().collect();
    let mark = (stands && settings.gate.mode == GateMode::Auto).then_some(settings.gate.mark);
    Ok(Inspection {
        permitted,
        routes: ours.len(),
        foreign: foreign.into_iter().take(NAMED).collect(),
        gate,
        coverage,
        looked_up: nets.len(),
        outranked: outranked(&mut route, &nets, mark).await?,
    })
}

/// Our routes, and what else carries our protocol number.
pub(crate) struct Survey {
    pub(crate) ours: BTreeSet<IpNet>,
    /// Sorted, in the words of `ip`.
    pub(crate) foreign: Vec<String>,
}

/// Reads everything that carries our protocol number.
///
/// # Errors
/// When netlink fails or the kernel refuses.
pub(crate) async fn survey(route: &mut Channel, settings: &Settings) -> Result<Survey, RouteError> {
    let (mut ours, mut foreign) = (BTreeSet::new(), Vec::new());
    let filter = Filter { protocol: Some(settings.protocol), ..Filter::default() };
    let (blackholes, gate) = (Blackholes::new(settings), &settings.gate);
    blackhole::dump(route, filter, |route| {
        if blackholes.owns(&route) {
            ours.insert(route.net);
        } else if !rules::is_fallback(&route, gate) {
            foreign.push(route.to_string());
        }
    })
    .await?;
    let expected = [rules::for_bans(settings), vec![rules::for_gate(gate)]].concat();
    let rules = rules::ours(route, settings.protocol).await?;
    let is_foreign = |rule: &&Rule| !expected.contains(rule);
    foreign.extend(rules.iter().filter(is_foreign).map(ToString::to_string));
    foreign.sort_unstable();
    foreign.dedup();
    Ok(Survey { ours, foreign })
}

async fn outranked(
    route: &mut Channel,
    nets: &[IpNet],
    mark: Option<u32>,
) -> Result<Vec<(IpNet, String)>, RouteError> {
    let mut batch = Batch::default();
    for net in nets {
        // Only IPv4 has the gate's rule for the mark.
        let address = sample(*net);
        let mark = match address {
            IpAddr::V4(_) => mark,
            IpAddr::V6(_) => None,
        };
        blackhole::lookup(&mut batch, address, mark);
    }
    let mut winners: Vec<Option<Winner>> = vec![None; nets.len()];
    route
        .exchange(batch, |place, reply| {
            let winner = match reply {
                Reply::Refused(refusal) => Winner::of_refusal(&refusal),
                Reply::Object(_, payload) => Winner::of_route(payload),
                Reply::Done => return,
            };
            if let Some(slot) = winners.get_mut(place) {
                *slot = Some(winner);
            }
        })
        .await?;
    let lost = nets.iter().zip(winners).filter_map(|(net, winner)| match winner {
        Some(Winner::Blackhole) => None,
        Some(Winner::Other(other)) => Some((*net, other)),
        None => Some((*net, "unknown (no answer to the lookup)".to_owned())),
    });
    Ok(lost.collect())
}
