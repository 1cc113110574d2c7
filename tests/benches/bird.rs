//! From a ban on a FreeSWITCH host to the discard route in the kernel of its edge router, by BIRD on both, with the
//! configurations of `deploy/bird`; and back by an unban.
//!
//! `cargo bench -p sipward-tests --bench bird`, as root: the kernel gives nobody else the socket buffer that BIRD needs
//! for many bans at once.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a benchmark that cannot measure should end"
)]

#[allow(dead_code, unused_imports, reason = "the tests use the rest")]
#[path = "../tests/kernel/outside.rs"]
mod outside;
#[allow(dead_code, reason = "the tests use the rest")]
#[path = "../tests/bird/routers.rs"]
mod routers;
mod support;
#[allow(dead_code, reason = "the tests use the rest")]
#[path = "../tests/kernel/world.rs"]
mod world;

use std::net::IpAddr;
use std::process::ExitCode;
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use ipnet::IpNet;
use netlink_packet_core::{NetlinkMessage, NetlinkPayload};
use netlink_sys::protocols::NETLINK_ROUTE;
use netlink_sys::{Socket, SocketAddr};
use nix::sys::socket::{setsockopt, sockopt};
use rtnetlink::packet_route::RouteNetlinkMessage;
use rtnetlink::packet_route::route::{RouteAddress, RouteAttribute, RouteMessage, RouteType};
use sipward_route::Change;
use sipward_tests::netns::{Host, enter_network_namespace};

use routers::{Routers, many_ipv4, many_ipv6};
use support::Times;

/// Single bans of each kind: enough for a 99th percentile that rests on 5 values.
const SINGLE: u32 = 500;
/// Between two of them.
const PAUSE: Duration = Duration::from_millis(10);
/// Bans at once.
const MANY: u32 = 100_000;
/// Longest wait for a route.
const PATIENCE: Duration = Duration::from_secs(120);
/// `RTMGRP_IPV4_ROUTE` and `RTMGRP_IPV6_ROUTE` (linux/rtnetlink.h).
const ROUTE_GROUPS: u32 = 0x40 | 0x400;
/// Bytes of the listener's socket buffer.
const BUFFER: usize = 256 << 20;

fn main() -> ExitCode {
    if let Err(refused) = enter_network_namespace() {
        eprintln!("{refused}");
        return ExitCode::FAILURE;
    }
    if cfg!(debug_assertions) {
        println!("NOT OPTIMISED: run it by `cargo bench` for figures that count");
    }
    let mut routers = Routers::new();
    let heard = listen(&routers.edge);
    println!("{:<52} {:>12} {:>12} {:>12}", "", "p50", "p99", "max");
    for standing in [0, MANY] {
        for (family, many) in [("IPv4 /32", many_ipv4 as fn(u32) -> _), ("IPv6 /64", many_ipv6)] {
            let nets: Vec<IpNet> = many(MANY + SINGLE);
            let (single, others) = nets.split_at(SINGLE as usize);
            if standing > 0 {
                at_once(&mut routers, &heard, family, others, Change::block);
            }
            one_by_one(
                &mut routers,
                &heard,
                &format!("ban, {family}, {standing} others"),
                single,
                Change::block,
            );
            one_by_one(
                &mut routers,
                &heard,
                &format!("unban, {family}, {standing} others"),
                single,
                Change::Unblock,
            );
            if standing > 0 {
                at_once(&mut routers, &heard, family, others, Change::Unblock);
            }
        }
    }
    let log = routers.node_bird.log();
    let dropped = log.matches("Kernel dropped").count();
    println!("BIRD missed reports of the kernel {dropped} times");
    routers.sipward.stop();
    ExitCode::SUCCESS
}

/// Makes changes one after the other, and prints how long each took from the request to the edge router's kernel.
fn one_by_one(
    routers: &mut Routers,
    heard: &Receiver<(Instant, IpNet)>,
    what: &str,
    nets: &[IpNet],
    change: fn(IpNet) -> Change,
) {
    let times = nets.iter().map(|net| {
        thread::sleep(PAUSE);
        let sent = Instant::now();
        routers.change_all(&[*net], change);
        let (at, found) = heard.recv_timeout(PATIENCE).expect("a change at the edge router");
        assert_eq!(found, *net);
        at.duration_since(sent)
    });
    let times = Times::of(times.collect());
    let (p50, p99, max) = (times.percentile(50), times.percentile(99), times.max());
    println!("{what:<52} {p50:>12} {p99:>12} {max:>12}");
}

/// Makes changes as fast as they go, and prints how long the node and the edge router took.
fn at_once(
    routers: &mut Routers,
    heard: &Receiver<(Instant, IpNet)>,
    family: &str,
    nets: &[IpNet],
    change: fn(IpNet) -> Change,
) {
    let begun = Instant::now();
    routers.change_all(nets, change);
    let node = begun.elapsed();
    let last = nets
        .iter()
        .map(|_| heard.recv_timeout(PATIENCE).expect("a change at the edge router").0)
        .max();
    let edge = last.expect("some changes").duration_since(begun);
    let kind = if matches!(change(nets[0]), Change::Block { .. }) { "bans" } else { "unbans" };
    println!(
        "{} {kind} at once, {family}: the node {} ms, all at the edge router after {} ms",
        nets.len(),
        node.as_millis(),
        edge.as_millis()
    );
}

/// Hears of each discard route that comes or goes in the kernel of a host, with the time.
fn listen(host: &Host) -> Receiver<(Instant, IpNet)> {
    let socket = host.run(|| {
        let mut socket = Socket::new(NETLINK_ROUTE).expect("a netlink socket");
        // Refused to all but root of the machine, where the many at once are then measured in vain.
        let _ = setsockopt(&socket, sockopt::RcvBufForce, &BUFFER);
        socket.bind(&SocketAddr::new(0, ROUTE_GROUPS)).expect("its groups");
        socket
    });
    let (sender, receiver) = channel();
    thread::spawn(move || {
        loop {
            let (bytes, _) = socket.recv_from_full().expect("the reports of the kernel");
            let now = Instant::now();
            if let Some(net) = discarded(&bytes)
                && sender.send((now, net)).is_err()
            {
                return;
            }
        }
    });
    receiver
}

/// The network of a report about a discard route.
fn discarded(bytes: &[u8]) -> Option<IpNet> {
    let message =
        NetlinkMessage::<RouteNetlinkMessage>::deserialize(bytes).expect("a netlink message");
    match message.payload {
        NetlinkPayload::InnerMessage(
            RouteNetlinkMessage::NewRoute(route) | RouteNetlinkMessage::DelRoute(route),
        ) if route.header.kind == RouteType::BlackHole => destination(&route),
        _ => None,
    }
}

fn destination(route: &RouteMessage) -> Option<IpNet> {
    let address = route.attributes.iter().find_map(|attribute| match attribute {
        RouteAttribute::Destination(RouteAddress::Inet(address)) => Some(IpAddr::V4(*address)),
        RouteAttribute::Destination(RouteAddress::Inet6(address)) => Some(IpAddr::V6(*address)),
        _ => None,
    })?;
    IpNet::new(address, route.header.destination_prefix_length).ok()
}
