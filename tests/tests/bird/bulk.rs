//! Bans by the hundred thousand.

use std::time::{Duration, Instant};

use ipnet::IpNet;
use libtest_mimic::Trial;
use sipward_route::Change;
use sipward_tests::netns::case;
use sipward_tests::wait::until_within;

use crate::routers::{Routers, many_ipv4, many_ipv6};

/// Bans at once.
const BANS: u32 = 100_000;
/// How long all of them may take: what BIRD missed comes with its next scan.
const PATIENCE: Duration = Duration::from_secs(120);

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
    for (family, nets) in [("IPv4 /32", many_ipv4(BANS)), ("IPv6 /64", many_ipv6(BANS))] {
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
    routers.change_all(nets, change);
    let banned = begun.elapsed();
    until_within(PATIENCE, &format!("the edge router discards {left} networks"), || {
        let found = routers.discarded().len();
        if found == left { Ok(()) } else { Err(format!("{found}")) }
    });
    format!("the node {banned:.2?}, the edge router {:.2?}", begun.elapsed())
}
