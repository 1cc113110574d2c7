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

/// Compares the lists; `found` is what the kernel held a moment ago.
pub(super) async fn checks(
    config: &Config,
    is_running: bool,
    socket: Option<&Path>,
    found: &Inspection,
) -> [Check; 4] {
    if config.mode == Mode::Observe {
        return NAMES.map(|name| Check::ok(name, "observe mode: the kernel is not changed"));
    }
    let Some(socket) = socket.filter(|_| is_running) else {
        return NAMES.map(|name| Check::ok(name, "not compared: the daemon does not answer"));
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
                format!("cannot read the daemon's list: {error}"),
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
        let advice = "`sipward bans --scope sip --state failed` shows why; they need the gate";
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
