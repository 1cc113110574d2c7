//! Bans by the hundred thousand.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::time::{Duration, Instant};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use libtest_mimic::Trial;
use sipward_route::{Change, Report};
use sipward_tests::netns::case;
use sipward_tests::wait::until_within;

use crate::routers::Routers;

/// Bans at once.
const BANS: u32 = 100_000;
/// How long all of them may take: what BIRD missed comes with its next scan.
const PATIENCE: Duration = Duration::from_secs(120);
/// Changes sent before their reports are read.
const TURN: usize = 1000;

pub(crate) fn cases() -> Vec<Trial> {
    vec![
        case("a_hundred_thousand_bans_at_once_reach_the_edge_router", bulk).with_ignored_flag(true),
    ]
}

fn bulk() {
    let mut routers = Routers::new();
    let log = routers.node_bird.log();
    assert!(
        !log.contains("Cannot set netlink rx buffer"),
        "this case must run as root, because the kernel gives nobody else a `netlink rx buffer` of 64 MB:\n{log}"
    );
    for (family, nets) in [("IPv4 /32", ipv4()), ("IPv6 /64", ipv6())] {
        for (what, change, left) in [
            ("bans", Change::block as fn(IpNet) -> Change, nets.len()),
            ("unbans", Change::Unblock, 0),
        ] {
            let took = all_at_once(&mut routers, &nets, change, left);
            println!("{BANS} {what} at once, {family}: {took}");
            let log = routers.node_bird.log();
            assert!(!log.contains("Kernel dropped"), "BIRD missed reports of the kernel:\n{log}");
        }
    }
    routers.sipward.stop();
}

/// Makes all changes as fast as the kernel takes them, and waits until the edge router's kernel has so many routes.
fn all_at_once(
    routers: &mut Routers,
    nets: &[IpNet],
    change: fn(IpNet) -> Change,
    left: usize,
) -> String {
    let begun = Instant::now();
    for turn in nets.chunks(TURN) {
        for net in turn {
            routers.sipward.send(change(*net));
        }
        for _ in turn {
            routers.sipward.expect("an answer", |report| {
                assert!(!matches!(report, Report::Failed { .. }), "{report:?}");
                matches!(report, Report::Blocked { .. } | Report::Unblocked { .. })
            });
        }
    }
    let banned = begun.elapsed();
    until_within(PATIENCE, &format!("the edge router discards {left} networks"), || {
        let found = routers.discarded().len();
        if found == left { Ok(()) } else { Err(format!("{found}")) }
    });
    format!("the node {banned:.2?}, the edge router {:.2?} later", begun.elapsed() - banned)
}

fn ipv4() -> Vec<IpNet> {
    let first = u32::from(Ipv4Addr::new(100, 64, 0, 0));
    (0..BANS).map(|n| IpNet::V4(Ipv4Net::from(Ipv4Addr::from(first + n)))).collect()
}

fn ipv6() -> Vec<IpNet> {
    let net = |n: u32| Ipv6Addr::from_bits((0x2001_0db8_u128 << 96) + (u128::from(n) << 64));
    (0..BANS).map(|n| IpNet::V6(Ipv6Net::new(net(n), 64).expect("a length"))).collect()
}
