//! Which bans reach the edge router, and how they go.

use std::fs;
use std::process::Command;

use libtest_mimic::Trial;
use rtnetlink::packet_route::route::RouteType;
use sipward_route::{Change, Report, Scope};
use sipward_tests::netns::{self, Host, case};
use sipward_tests::wait::until;

use crate::outside::add_route;
use crate::routers::{BANS, Bird, Routers, changed, program, shipped, shipped_files};
use crate::world::net;

/// Number of the main table.
const MAIN: u32 = 254;
/// Sipward's protocol number, and one of another program.
const OURS: u8 = 216;
const STATIC: u8 = 4;

/// Banned hosts: an IPv4 address, an IPv6 /64, an IPv6 address.
const HOSTS: [&str; 3] = ["203.0.113.7/32", "2001:db8:bad:1::/64", "2001:db8:bad:2::7/128"];

pub(crate) fn cases() -> Vec<Trial> {
    vec![
        case("bird_accepts_each_configuration", valid),
        case("a_ban_reaches_the_edge_router_and_an_unban_withdraws_it", there_and_gone),
        case("the_edge_router_sees_our_community_and_no_advertise", communities),
        case("only_bans_of_single_hosts_are_announced", only_hosts),
        case("the_edge_router_refuses_its_own_networks", never),
        case("the_edge_router_refuses_routes_without_the_community", unmarked),
        case("the_edge_router_announces_bans_to_nobody", no_transit),
        case("stopping_bird_withdraws_all_bans", stopped),
        case("bans_that_ended_while_bird_was_down_are_withdrawn", crashed),
    ]
}

fn valid() {
    let files = fs::read_dir(shipped_files()).expect("deploy/bird");
    let files = files.map(|entry| entry.expect("a file").path());
    let configurations: Vec<_> = files
        .filter(|path| {
            path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"bird-"))
        })
        .collect();
    assert_eq!(configurations.len(), 2, "{configurations:?}");
    for path in configurations {
        let output = Command::new(program("bird")).arg("-p").arg("-c").arg(&path).output();
        let output = output.expect("BIRD");
        let words = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && words.is_empty(), "{}: {words}", path.display());
    }
}

fn there_and_gone() {
    let mut routers = Routers::new();
    for host in HOSTS {
        routers.sipward.block(host);
    }
    routers.discards(&HOSTS);
    let mut left = HOSTS.as_slice();
    while let [host, others @ ..] = left {
        routers.sipward.unblock(host);
        routers.discards(others);
        left = others;
    }
    routers.sipward.stop();
}

fn communities() {
    let mut routers = Routers::new();
    for host in HOSTS {
        routers.sipward.block(host);
    }
    routers.discards(&HOSTS);
    for host in HOSTS {
        let route = routers.edge_bird.answer(&format!("show route all for {host}"));
        let communities = route.lines().find_map(|line| line.trim().strip_prefix("BGP.community:"));
        // NO_ADVERTISE (RFC 1997), and never BLACKHOLE, 65535:666 (RFC 7999).
        assert_eq!(communities.map(str::trim), Some("(64512,666) (65535,65282)"), "{route}");
        assert!(route.contains("blackhole"), "{route}");
    }
    routers.sipward.stop();
}

fn only_hosts() {
    let mut routers = Routers::new();
    // Routes of others in the table of the bans, routes with sipward's number that are no bans of sipward, and bans in
    // the main table, where another sipward may have left them.
    for (kind, target, protocol, table) in [
        (RouteType::BlackHole, "203.0.113.20", STATIC, BANS),
        (RouteType::BlackHole, "2001:db8:bad:20::/64", STATIC, BANS),
        (RouteType::Unreachable, "203.0.113.21", OURS, BANS),
        (RouteType::Prohibit, "2001:db8:bad:21::/64", OURS, BANS),
        (RouteType::BlackHole, "203.0.113.22", OURS, MAIN),
        (RouteType::BlackHole, "2001:db8:bad:22::/64", OURS, MAIN),
    ] {
        add_route(&routers.node, kind, target, protocol, table);
    }
    for wide in ["203.0.113.128/25", "198.18.0.0/16", "2001:db8:bad:100::/56"] {
        routers.sipward.block(wide);
    }
    let sip_only = net("203.0.113.23/32");
    let report = routers.sipward.ask(Change::Block { net: sip_only, scope: Scope::Sip });
    assert!(matches!(report, Report::Blocked { .. }), "{report:?}");
    // The kernel reports in the order of the changes: what came before these is decided when they are there.
    for host in HOSTS {
        routers.sipward.block(host);
    }
    routers.discards(&HOSTS);
    let mut announced = routes_of(&routers.node_bird.answer("show route table sipward4"));
    announced.extend(routes_of(&routers.node_bird.answer("show route table sipward6")));
    assert_eq!(announced, HOSTS);
    routers.sipward.stop();
}

fn never() {
    let mut routers = Routers::new();
    let own = ["10.1.2.3/32", "2001:db8:ffff:1::/64"];
    for host in own.iter().chain(&HOSTS) {
        routers.sipward.block(host);
    }
    routers.discards(&HOSTS);
    for host in own {
        let announced = routers.node_bird.answer(&format!("show route for {host} export edge"));
        assert!(announced.contains(host), "{announced}");
    }
    routers.sipward.stop();
}

fn unmarked() {
    let node = changed(&shipped("bird-node.conf"), "BAN = (64512,666)", "BAN = (64512,667)");
    let mut routers = Routers::configured(&node, &shipped("bird-edge.conf"));
    for host in HOSTS {
        routers.sipward.block(host);
    }
    until("the edge router has refused the three bans", || {
        let refused = refused_imports(&routers.edge_bird.answer("show protocols all node1"));
        if refused == HOSTS.len() { Ok(()) } else { Err(format!("{refused} refused")) }
    });
    routers.discards(&[]);
    routers.sipward.stop();
}

fn no_transit() {
    let neighbour = "
protocol static ordinary { ipv4; route 192.0.2.0/24 blackhole; }
protocol bgp transit {
  local 10.98.0.1 as 64513;
  neighbor 10.98.0.2 as 64514;
  ipv4 { import none; export all; };
}
";
    let edge = shipped("bird-edge.conf") + neighbour;
    let mut routers = Routers::configured(&shipped("bird-node.conf"), &edge);
    let transit = Host::new("transit");
    netns::wire((&routers.edge, "eth1"), (&transit, "eth0"));
    routers.edge.address("eth1", "10.98.0.1/24");
    transit.address("eth0", "10.98.0.2/24");
    for host in HOSTS {
        routers.sipward.block(host);
    }
    routers.discards(&HOSTS);
    // Its own attempt comes 5 s after its start, whatever became of those of the edge router.
    let transit_bird = Bird::start(
        &transit,
        routers.directory.path(),
        "log syslog all;
router id 10.98.0.2;
protocol device { }
protocol bgp edge {
  local 10.98.0.2 as 64514;
  neighbor 10.98.0.1 as 64513;
  ipv4 { import all; export none; };
}
",
    );
    transit_bird.is_established("edge");
    until("the ordinary route is there", || {
        transit_bird.answer("show route").contains("192.0.2.0/24")
    });
    let exported = routers.edge_bird.answer("show route export transit");
    assert_eq!(routes_of(&exported), ["192.0.2.0/24"], "{exported}");
    routers.sipward.stop();
}

fn stopped() {
    let mut routers = Routers::new();
    for host in HOSTS {
        routers.sipward.block(host);
    }
    routers.discards(&HOSTS);
    routers.node_bird.stop();
    routers.discards(&[]);
    routers.sipward.stop();
}

fn crashed() {
    let mut routers = Routers::new();
    for host in HOSTS {
        routers.sipward.block(host);
    }
    routers.discards(&HOSTS);
    routers.node_bird.crash();
    let [ended, left @ ..] = HOSTS;
    routers.sipward.unblock(ended);
    routers.sipward.block("203.0.113.8");
    // Graceful restart (RFC 4724): the edge router keeps what it has.
    until("the edge router has noticed", || {
        !routers.edge_bird.answer("show protocols node1").contains("Established")
    });
    routers.discards(&HOSTS);
    routers.node_bird.restart();
    routers.discards(&[left.as_slice(), &["203.0.113.8/32"]].concat());
    routers.sipward.stop();
}

/// Networks of the table that `show route` prints.
fn routes_of(answer: &str) -> Vec<String> {
    let first_words = answer.lines().filter_map(|line| line.split(' ').next());
    let mut nets: Vec<String> =
        first_words.filter(|word| word.contains('/')).map(str::to_owned).collect();
    nets.sort();
    nets
}

/// Routes that filters refused, of all channels: the column "filtered" of "Import updates" in `show protocols all`.
fn refused_imports(answer: &str) -> usize {
    let updates = answer.lines().filter(|line| line.trim().starts_with("Import updates:"));
    let filtered = updates.map(|line| line.split_whitespace().nth(4).map(str::parse::<usize>));
    filtered.map(|count| count.expect("five columns").expect("a number")).sum()
}
