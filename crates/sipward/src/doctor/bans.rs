//! What the daemon bans and denies against what the kernel holds, both ways: routes, the gate's sets of bans from
//! the SIP ports, of denied flows and of banned hosts.

mod lists;

use std::collections::BTreeSet;
use std::fmt::Display;
use std::path::Path;
use std::time::Duration;

use sipward_route::{GateState, Inspection};

use super::{Check, Inside, View};
use lists::{Difference, Differences, Listed};
use sipward_config::{Config, Mode};
use sipward_daemon::control::Control;
use sipward_model::text;

pub(super) const BANS: &str = "bans";
pub(super) const SIP_BANS: &str = "sip bans";
pub(super) const FLOWS: &str = "flows";
pub(super) const HOSTS: &str = "banned hosts";

/// Names of the checks, in their order.
pub(super) const NAMES: [&str; 4] = [BANS, SIP_BANS, FLOWS, HOSTS];

/// Between two looks: a ban that comes or goes is in one list before it is in the other.
const SETTLE: Duration = Duration::from_millis(500);

/// Networks or flows named in a line at most.
const NAMED: usize = 3;

/// Where the daemon's bans and flows are read.
#[derive(Clone, Copy)]
pub(super) enum Lists<'a> {
    /// At its socket.
    Socket(&'a Path),
    /// In this process.
    Control(&'a Control),
}

/// Compares the lists; `found` is what the kernel held a moment ago.
pub(super) async fn checks(view: &View<'_>, found: &Inspection) -> [Check; 4] {
    if view.config.mode == Mode::Observe {
        return NAMES.map(|name| Check::ok(name, "observe mode: the kernel is not changed"));
    }
    let Some(lists) = view.lists.filter(|_| view.daemon.is_some()) else {
        return NAMES.map(|name| Check::ok(name, "not compared: the daemon does not answer"));
    };
    match compare(view.config, lists, found).await {
        Ok((listed, differences)) => {
            let routes = routes(listed.hosts.len(), found, &differences.routes);
            let [sip, flows, hosts] = match (&found.gate, &view.inside) {
                (GateState::Unknown { .. }, Some(inside)) => answered(&listed, inside),
                (GateState::Unknown { reason }, None) => [SIP_BANS, FLOWS, HOSTS].map(|name| {
                    let found = format!("cannot compare: {reason}");
                    Check::warn(name, found, "run `sipward doctor` as root")
                }),
                _ => [
                    sip_bans(listed.sip.len(), &differences.sip),
                    flows(listed.flows.len(), &differences.flows),
                    hosts(found.hosts, differences.hosts),
                ],
            };
            [routes, sip, flows, hosts]
        }
        Err(error) => NAMES.map(|name| {
            Check::warn(
                name,
                format!("cannot read the daemon's list: {error}"),
                "run `sipward doctor` as root; `journalctl -u sipward` says more",
            )
        }),
    }
}

/// What the kernel answered when each was set, which is all that the daemon knows without reading the sets.
fn answered(listed: &Listed, inside: &Inside) -> [Check; 3] {
    let Inside { bans, .. } = inside;
    let of_bans = |name, count: usize| match bans.not_enforced {
        0 => {
            let bans = text::count(count as u64, "ban");
            Check::ok(name, format!("{bans}, and the kernel has taken each"))
        }
        open => Check::fail(
            name,
            format!("the kernel does not enforce {}", text::count(open, "ban")),
            "`sipward bans --state failed` shows which and why",
        ),
    };
    let of_flows = match bans.flows_not_enforced {
        0 => {
            let flows = text::count(listed.flows.len() as u64, "denied flow");
            Check::ok(FLOWS, format!("{flows}, and the kernel has taken each"))
        }
        open => Check::fail(
            FLOWS,
            format!("the kernel does not enforce {}", text::count(open, "denied flow")),
            "`sipward flows` shows which and why",
        ),
    };
    [of_bans(SIP_BANS, listed.sip.len()), of_flows, of_bans(HOSTS, listed.hosts.len())]
}

/// A difference counts when a second look finds it too.
async fn compare(
    config: &Config,
    lists: Lists<'_>,
    found: &Inspection,
) -> Result<(Listed, Differences), String> {
    let listed = Listed::read(lists).await?;
    let first = Differences::between(&listed, found);
    if first == Differences::default() {
        return Ok((listed, first));
    }
    tokio::time::sleep(SETTLE).await;
    let listed = Listed::read(lists).await?;
    let second = match sipward_route::inspect(&config.route).await {
        Ok(found) => Differences::between(&listed, &found),
        Err(_) => Differences::between(&listed, found),
    };
    Ok((listed, first.and(&second)))
}

fn routes<T: Display>(count: usize, found: &Inspection, difference: &Difference<T>) -> Check {
    let Difference { missing, stray } = difference;
    if !missing.is_empty() {
        let text = format!(
            "{} of {count} bans have no route and are not enforced: {}",
            missing.len(),
            named(missing)
        );
        let advice =
            "`sipward bans --state failed` shows why; the daemon retries every few seconds";
        return Check::fail(BANS, text, advice);
    }
    if !stray.is_empty() {
        let text = format!(
            "{} routes with the protocol number of sipward are not bans of the daemon, but drop \
            packets: {}",
            stray.len(),
            named(stray)
        );
        let advice = "does a second sipward run on this host? Otherwise remove them: `ip route del \
                      blackhole NET proto 216` (with the table and the protocol of [route])";
        return Check::warn(BANS, text, advice);
    }
    let others = found.stopped_by_others.iter().filter(|net| !found.bans.contains(net)).count();
    let beside = match others {
        0 => String::new(),
        some => {
            format!("; {} blocked by routes of other programs", text::count(some as u64, "network"))
        }
    };
    Check::ok(
        BANS,
        format!("{} in the kernel, as in the daemon{beside}", text::count(count as u64, "ban")),
    )
}

/// What to do about elements that are not the daemon's.
const STRAY_ELEMENTS: &str = "the daemon removes them at the next comparison, at the latest after \
     a restart; if they come back, another program changes the gate's table";

fn sip_bans<T: Display>(count: usize, difference: &Difference<T>) -> Check {
    let Difference { missing, stray } = difference;
    if !missing.is_empty() {
        let text = format!(
            "{} of {count} bans with scope sip are not in the gate's sets and are not enforced: {}",
            missing.len(),
            named(missing)
        );
        let advice = "`sipward bans --scope sip` shows why; they need the gate";
        return Check::fail(SIP_BANS, text, advice);
    }
    if !stray.is_empty() {
        let text = format!(
            "the gate blocks {} networks from the SIP ports that the daemon does not ban: {}",
            stray.len(),
            named(stray)
        );
        return Check::warn(SIP_BANS, text, STRAY_ELEMENTS);
    }
    Check::ok(
        SIP_BANS,
        format!("{} in the gate's sets, as in the daemon", text::count(count as u64, "ban")),
    )
}

fn flows<T: Display>(count: usize, difference: &Difference<T>) -> Check {
    let Difference { missing, stray } = difference;
    if !missing.is_empty() {
        let text = format!(
            "{} of {count} denied flows are not in the gate's sets and are not enforced: {}",
            missing.len(),
            named(missing)
        );
        let advice = "`sipward flows` shows why; they need the gate";
        return Check::fail(FLOWS, text, advice);
    }
    if !stray.is_empty() {
        let text = format!(
            "the gate denies {} flows that the daemon does not deny: {}",
            stray.len(),
            named(stray)
        );
        return Check::warn(FLOWS, text, STRAY_ELEMENTS);
    }
    Check::ok(
        FLOWS,
        format!(
            "{} in the gate's sets, as in the daemon",
            text::count(count as u64, "denied flow")
        ),
    )
}

/// The gate's sets of banned hosts against the routes.
fn hosts(in_sets: usize, differ: usize) -> Check {
    if differ > 0 {
        let text = format!(
            "{differ} hosts have a route but are missing in the gate's sets of banned hosts, or \
                vice versa"
        );
        let advice = "the daemon corrects them when the table changes or at its \
            start: `systemctl restart sipward`";
        return Check::warn(HOSTS, text, advice);
    }
    Check::ok(HOSTS, format!("the gate's sets hold the {in_sets} banned hosts that have routes"))
}

fn named<T: Display>(all: &BTreeSet<T>) -> String {
    let named: Vec<String> = all.iter().take(NAMED).map(T::to_string).collect();
    let more = if all.len() > NAMED { ", …" } else { "" };
    format!("{}{more}", named.join(", "))
}

#[cfg(test)]
mod tests;
