//! A phone that registers five times a second, and whatever flood.

use std::net::IpAddr;
use std::thread;
use std::time::Duration;

use sipward_tests::sip::{Flood, Heard, Kind, Phone};
use sipward_tests::wait::until;

use super::world::{self, FIRST_USER, World, sip};

super::cases![
    without_the_shield_freeswitch_is_deaf,
    options_from_one_host_and_from_five,
    options_from_500_hosts_that_keep_to_their_own_limits,
    challenges_that_500_hosts_leave_unanswered,
    guesses_of_200_hosts_with_one_nonce,
    guesses_of_500_hosts_with_their_own_nonces,
    options_at_20_000_a_second_from_5_000_hosts,
    options_over_ipv6,
    options_pipelined_over_tcp,
    forged_sources_of_30_other_phones,
    sipward_is_started_in_the_middle;
    long
    every_kind_at_every_rate_from_any_number_of_hosts,
];

/// Long enough to deafen FreeSWITCH several times over.
const FLOOD: Duration = Duration::from_secs(5);

/// The phone has registered a few times before a flood begins.
const BEFORE: Duration = Duration::from_secs(1);

/// How the phone fares in a flood.
fn phone_in(world: &World, flood: Flood) -> Heard {
    fares(world, world::phone(), flood)
}

/// How `phone` fares in a flood.
fn fares(world: &World, phone: Phone, flood: Flood) -> Heard {
    let phone = phone.start(&world.phones);
    thread::sleep(BEFORE);
    let flood = flood.start(&world.attacker);
    thread::sleep(FLOOD);
    let heard = phone.stop();
    flood.stop();
    heard
}

/// That a flood costs the phone nothing, with a daemon that runs as it is installed.
fn assert_nothing_is_lost(kind: Kind, sources: u32, rate: u32) {
    let world = World::new();
    let setup = world.setup("");
    let daemon = world.watch(&setup);
    let heard = phone_in(&world, world::flood(kind, sources, rate));
    let counts = world.sofia.counts("internal");
    let of_attackers = counts.from(world::is_attacker);
    let said = format!(
        "{kind:?} from {sources} at {rate}/s: {heard:?}, {of_attackers} requests came through, {} dropped",
        counts.dropped
    );
    println!("{said}");
    if std::env::var_os("SEE").is_some() {
        println!("{}", daemon.log().text());
        world.pbx.run(|| {
            let _ = std::process::Command::new("nft").args(["list", "ruleset"]).status();
        });
    }
    assert!(heard.begun >= 20, "{said}");
    assert_eq!((heard.lost(), counts.dropped), (0, 0), "{said}");
    // What comes through is what lets bans fall.
    assert!(of_attackers > 0, "{said}");
    assert!(daemon.log().all("deaf").is_empty(), "{said}");
    assert!(daemon.log().all("healed").is_empty(), "the gate finds itself as it was left");
}

/// The model itself: what was seen on a real FreeSWITCH with every other tool.
fn without_the_shield_freeswitch_is_deaf() {
    let world = World::new();
    let setup = world.setup("[shield]\nmode = \"off\"\n");
    let daemon = world.watch(&setup);
    let heard = phone_in(&world, world::flood(Kind::Options, 5, 1_500));
    assert!(heard.registered * 2 < heard.begun, "{heard:?}");
    let counts = world.sofia.counts("internal");
    assert!(counts.dropped > 3_000, "{} of {} dropped", counts.dropped, counts.received);
    // Packets are counted all the same, so it is asked, and that is reported.
    assert_eq!(daemon.expect("deaf").text("profile"), "192.0.2.1:5060");
}

fn options_from_one_host_and_from_five() {
    assert_nothing_is_lost(Kind::Options, 1, 1_500);
    assert_nothing_is_lost(Kind::Options, 5, 1_500);
}

fn options_from_500_hosts_that_keep_to_their_own_limits() {
    assert_nothing_is_lost(Kind::Options, 500, 1_500);
}

fn challenges_that_500_hosts_leave_unanswered() {
    assert_nothing_is_lost(Kind::Register, 500, 1_500);
}

fn guesses_of_200_hosts_with_one_nonce() {
    assert_nothing_is_lost(Kind::SharedNonce, 200, 1_500);
}

fn guesses_of_500_hosts_with_their_own_nonces() {
    assert_nothing_is_lost(Kind::OwnNonces, 500, 1_500);
}

fn options_at_20_000_a_second_from_5_000_hosts() {
    assert_nothing_is_lost(Kind::Options, 5_000, 20_000);
}

fn options_over_ipv6() {
    let world = World::new();
    let setup = world.setup("");
    let _daemon = world.watch(&setup);
    world.attacker.own("2001:db8:bad::/48");
    // A network each, as attackers have them.
    let sources = (0..500_u16).map(|n| IpAddr::from([0x2001, 0xdb8, 0xbad, n, 0, 0, 0, 7]));
    let target = "[2001:db8:0:1::1]:5060".parse().unwrap();
    let flood = Flood { kind: Kind::Options, sources: sources.collect(), rate: 1_500, target };
    let mut phone = world::phone();
    phone.address = "2001:db8:900d::5".parse().unwrap();
    phone.server = target;
    let phone = phone.start(&world.phones);
    thread::sleep(BEFORE);
    let flood = flood.start(&world.attacker);
    thread::sleep(FLOOD);
    let heard = phone.stop();
    flood.stop();
    let counts = world.sofia.counts("internal-ipv6");
    assert_eq!((heard.lost(), counts.dropped), (0, 0), "{heard:?}");
    assert!(counts.from(world::is_attacker) > 0, "{counts:?}");
}

fn options_pipelined_over_tcp() {
    assert_nothing_is_lost(Kind::Pipelined, 1, 1_500);
    assert_nothing_is_lost(Kind::Pipelined, 50, 20_000);
}

/// An attacker that forges the addresses of phones has what those have, and no more than half of what FreeSWITCH
/// takes. While the forged ones have their burst, another phone that sends ten packets a second has what is
/// guaranteed to it, and as much again of what is for hosts which send evenly.
fn forged_sources_of_30_other_phones() {
    let world = World::new();
    let known = || world::phones(30);
    for (user, phone) in (FIRST_USER..).zip(known()) {
        world.sofia.remember(&user.to_string(), phone.into());
    }
    let setup = world.setup("");
    let _daemon = world.watch(&setup);
    let sources = known().map(IpAddr::from).collect();
    let flood = Flood { kind: Kind::Options, sources, rate: 1_500, target: sip() };
    let heard = fares(&world, world::phone(), flood);
    let counts = world.sofia.counts("internal");
    assert!(heard.begun >= 20, "{heard:?}");
    assert_eq!((heard.lost(), counts.dropped), (0, 0), "{heard:?} {}", counts.received);
}

fn sipward_is_started_in_the_middle() {
    let world = World::new();
    world.sofia.remember(world::USER, world::PHONE.parse().unwrap());
    let flood = world::flood(Kind::Options, 500, 1_500).start(&world.attacker);
    until("FreeSWITCH is deaf", || world.sofia.counts("internal").dropped > 500);

    let setup = world.setup("");
    let _daemon = world.watch(&setup);
    // FreeSWITCH drops the whole second after the last that had too many.
    thread::sleep(Duration::from_secs(2));
    let before = world.sofia.counts("internal").dropped;
    let phone = world::phone().start(&world.phones);
    thread::sleep(FLOOD);
    let heard = phone.stop();
    flood.stop();
    assert_eq!(world.sofia.counts("internal").dropped, before);
    assert_eq!(heard.lost(), 0, "{heard:?}");
}

fn every_kind_at_every_rate_from_any_number_of_hosts() {
    let kinds = [Kind::Options, Kind::Register, Kind::Invite, Kind::SharedNonce, Kind::OwnNonces];
    for rate in [1_500, 20_000] {
        for sources in [1, 5, 200, 500, 5_000] {
            for kind in kinds {
                assert_nothing_is_lost(kind, sources, rate);
            }
        }
        for sources in [1, 5, 200] {
            assert_nothing_is_lost(Kind::Pipelined, sources, rate);
        }
    }
}
