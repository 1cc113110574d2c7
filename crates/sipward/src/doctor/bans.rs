//! What the daemon bans and denies against what the kernel holds, both ways: routes, the gate's sets of bans from
//! the SIP ports, of denied flows and of banned hosts.

mod lists;

use std::collections::BTreeSet;
use std::fmt::Display;
use std::path::Path;
use std::time::Duration;

use sipward_route::Inspection;

use super::Check;
use crate::client::ClientError;
use lists::{Difference, Differences, Listed};
use sipward_config::{Config, Mode};

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

/// Compares the lists; `found` is what the kernel held a moment ago.
pub(super) async fn checks(
    config: &Config,
    is_running: bool,
    socket: Option<&Path>,
    found: &Inspection,
) -> [Check; 4] {
    if config.mode == Mode::Observe {
        return NAMES.map(|name| Check::ok(name, "observe mode: nothing is set in the kernel"));
    }
    let Some(socket) = socket.filter(|_| is_running) else {
        return NAMES.map(|name| {
            Check::ok(name, "no daemon answers whose list the kernel's could be held against")
        });
    };
    match compare(config, socket, found).await {
        Ok((listed, differences)) => [
            routes(listed.hosts.len(), found, &differences.routes),
            sip_bans(listed.sip.len(), &differences.sip),
            flows(listed.flows.len(), &differences.flows),
            hosts(found.hosts, differences.hosts),
        ],
        Err(error) => NAMES.map(|name| {
            Check::warn(
                name,
                format!("the daemon's list cannot be read: {error}"),
                "run `sipward doctor` as root; `journalctl -u sipward` says more",
            )
        }),
    }
}

/// A difference counts when a second look finds it too.
async fn compare(
    config: &Config,
    socket: &Path,
    found: &Inspection,
) -> Result<(Listed, Differences), ClientError> {
    let listed = Listed::read(socket).await?;
    let first = Differences::between(&listed, found);
    if first == Differences::default() {
        return Ok((listed, first));
    }
    tokio::time::sleep(SETTLE).await;
    let listed = Listed::read(socket).await?;
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
            "{} of {count} bans have no route, so nothing stops them: {}",
            missing.len(),
            named(missing)
        );
        let advice =
            "`sipward bans --state failed` says why; they are tried again every few seconds";
        return Check::fail(BANS, text, advice);
    }
    if !stray.is_empty() {
        let text = format!(
            "{} routes with our protocol number are no bans of the daemon, and stop whom they name: {}",
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
        some => format!("; {some} networks are stopped by routes of others"),
    };
    Check::ok(BANS, format!("the daemon's {count} bans are the kernel's routes{beside}"))
}

/// What to do about elements that are not the daemon's.
const STRAY_ELEMENTS: &str = "the daemon removes them when it compares its list with the gate, at the latest after a restart; if they come \
     back, another program changes the gate's table";

fn sip_bans<T: Display>(count: usize, difference: &Difference<T>) -> Check {
    let Difference { missing, stray } = difference;
    if !missing.is_empty() {
        let text = format!(
            "{} of {count} bans with scope sip are not in the gate's sets, so nothing stops them: {}",
            missing.len(),
            named(missing)
        );
        let advice =
            "`sipward bans --scope sip --state failed` says why; the gate must stand for them";
        return Check::fail(SIP_BANS, text, advice);
    }
    if !stray.is_empty() {
        let text = format!(
            "the gate keeps {} networks from the SIP ports that the daemon does not ban: {}",
            stray.len(),
            named(stray)
        );
        return Check::warn(SIP_BANS, text, STRAY_ELEMENTS);
    }
    Check::ok(SIP_BANS, format!("the daemon's {count} bans with scope sip are in the gate's sets"))
}

fn flows<T: Display>(count: usize, difference: &Difference<T>) -> Check {
    let Difference { missing, stray } = difference;
    if !missing.is_empty() {
        let text = format!(
            "{} of {count} denied flows are not in the gate's sets, so nothing stops them: {}",
            missing.len(),
            named(missing)
        );
        let advice = "`sipward flows` says why; the gate must stand for them";
        return Check::fail(FLOWS, text, advice);
    }
    if !stray.is_empty() {
        let text = format!(
            "the gate denies {} flows that the daemon does not: {}",
            stray.len(),
            named(stray)
        );
        return Check::warn(FLOWS, text, STRAY_ELEMENTS);
    }
    Check::ok(FLOWS, format!("the daemon's {count} denied flows are in the gate's sets"))
}

/// The gate's sets of banned hosts against the routes.
fn hosts(in_sets: usize, differ: usize) -> Check {
    if differ > 0 {
        let text = format!(
            "{differ} hosts have a route and are missing in the gate's sets of banned hosts, or the other way round"
        );
        let advice = "the daemon puts them right when the table changes or it starts: `systemctl restart sipward`";
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
