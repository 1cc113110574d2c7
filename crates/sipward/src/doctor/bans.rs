//! The daemon's list of bans against the kernel's routes, both ways.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use ipnet::IpNet;
use sipward_route::Inspection;

use super::Check;
use crate::client::{Client, ClientError};
use crate::config::{Config, Mode};
use crate::model::BanFilter;

pub(super) const BANS: &str = "bans";

/// Between two looks: a ban that comes or goes is in one list before it is in the other.
const SETTLE: Duration = Duration::from_millis(500);

/// Networks named in a line at most.
const NAMED: usize = 3;

/// Bytes of a line of the daemon's list at most; the longest network has 43.
const LONGEST_LINE: usize = 64;

/// What is in one list only.
#[derive(Debug, Default, PartialEq, Eq)]
struct Difference {
    /// Bans without a route that stops them.
    without_route: BTreeSet<IpNet>,
    /// Routes of ours that are no bans.
    without_ban: BTreeSet<IpNet>,
}

/// Compares the lists; `found` is what the kernel held a moment ago.
pub(super) async fn check(
    config: &Config,
    is_running: bool,
    socket: Option<&Path>,
    found: &Inspection,
) -> Check {
    if config.mode == Mode::Observe {
        return Check::ok(BANS, "observe mode: bans have no routes");
    }
    let Some(socket) = socket.filter(|_| is_running) else {
        return Check::ok(BANS, "no daemon answers whose bans could be held against the routes");
    };
    match compare(config, socket, found).await {
        Ok((count, difference)) => judged(count, found, &difference),
        Err(error) => Check::warn(
            BANS,
            format!("the daemon's list cannot be read: {error}"),
            "run `sipward doctor` as root; `journalctl -u sipward` says more",
        ),
    }
}

/// A difference counts when a second look finds it too.
async fn compare(
    config: &Config,
    socket: &Path,
    found: &Inspection,
) -> Result<(usize, Difference), ClientError> {
    let listed = listed(socket).await?;
    let first = Difference::between(&listed, found);
    if first == Difference::default() {
        return Ok((listed.len(), first));
    }
    tokio::time::sleep(SETTLE).await;
    let listed = self::listed(socket).await?;
    let second = match sipward_route::inspect(&config.route).await {
        Ok(found) => Difference::between(&listed, &found),
        Err(_) => Difference::between(&listed, found),
    };
    let both = |a: &BTreeSet<IpNet>, b: &BTreeSet<IpNet>| a.intersection(b).copied().collect();
    let difference = Difference {
        without_route: both(&first.without_route, &second.without_route),
        without_ban: both(&first.without_ban, &second.without_ban),
    };
    Ok((listed.len(), difference))
}

/// The networks that the daemon bans.
async fn listed(socket: &Path) -> Result<BTreeSet<IpNet>, ClientError> {
    let (mut nets, mut rest) = (BTreeSet::new(), Vec::new());
    let mut client = Client::connect(socket).await?;
    let take = |part: &[u8]| {
        for byte in part {
            match byte {
                b'\n' => {
                    let line = String::from_utf8_lossy(&rest);
                    let net: IpNet = line.parse().map_err(std::io::Error::other)?;
                    nets.insert(net);
                    rest.clear();
                }
                _ if rest.len() < LONGEST_LINE => rest.push(*byte),
                _ => return Err(std::io::Error::other("a line is too long")),
            }
        }
        Ok(())
    };
    client.download("/bans.txt", &BanFilter::default(), take).await?;
    Ok(nets)
}

impl Difference {
    fn between(listed: &BTreeSet<IpNet>, found: &Inspection) -> Self {
        let is_stopped =
            |net: &IpNet| found.bans.contains(net) || found.stopped_by_others.contains(net);
        Self {
            without_route: listed.iter().filter(|net| !is_stopped(net)).copied().collect(),
            without_ban: found.bans.difference(listed).copied().collect(),
        }
    }
}

fn judged(count: usize, found: &Inspection, difference: &Difference) -> Check {
    let Difference { without_route, without_ban } = difference;
    if !without_route.is_empty() {
        let text = format!(
            "{} of {count} bans have no route, so nothing stops them: {}",
            without_route.len(),
            named(without_route)
        );
        let advice =
            "`sipward bans --state failed` says why; they are tried again every few seconds";
        return Check::fail(BANS, text, advice);
    }
    if !without_ban.is_empty() {
        let text = format!(
            "{} routes with our protocol number are no bans of the daemon, and stop whom they name: {}",
            without_ban.len(),
            named(without_ban)
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

fn named(nets: &BTreeSet<IpNet>) -> String {
    let named: Vec<String> = nets.iter().take(NAMED).map(IpNet::to_string).collect();
    let more = if nets.len() > NAMED { ", …" } else { "" };
    format!("{}{more}", named.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::State;
    use crate::doctor::kernel::found_for_tests;

    fn nets(all: &[&str]) -> BTreeSet<IpNet> {
        all.iter().map(|net| net.parse().unwrap()).collect()
    }

    #[test]
    fn the_lists_are_held_against_each_other_both_ways() {
        let mut found = found_for_tests();
        found.bans = nets(&["192.0.2.1/32", "192.0.2.2/32"]);
        found.stopped_by_others = nets(&["192.0.2.3/32"]);
        let state = |listed: &[&str]| {
            let listed = nets(listed);
            let check = judged(listed.len(), &found, &Difference::between(&listed, &found));
            (check.state, check.found)
        };
        let (same, said) = state(&["192.0.2.1/32", "192.0.2.2/32", "192.0.2.3/32"]);
        assert_eq!(same, State::Ok, "{said}");
        assert!(said.contains("1 networks are stopped by routes of others"), "{said}");
        let (missing, said) = state(&["192.0.2.1/32", "192.0.2.2/32", "192.0.2.9/32"]);
        assert_eq!(missing, State::Fail);
        assert!(said.contains("1 of 3 bans have no route") && said.contains("192.0.2.9"), "{said}");
        let (stray, said) = state(&["192.0.2.1/32"]);
        assert_eq!(stray, State::Warn);
        assert!(said.contains("192.0.2.2/32"), "{said}");
    }
}
