//! A banned host's packets arrive no more; another host's do.

use ipnet::IpNet;
use libtest_mimic::Trial;
use sipward_route::{BanTable, Change, Enforcement, OwnTable, Report, Scope, Settings};
use sipward_tests::netns::{Conversation, case, udp_burst as burst};

use crate::outside::{is_blackholed, packets_dropped, rule_preferences};
use crate::traffic::{OTHER, SIP};
use crate::world::{ATTACKER, ATTACKER6, FAR, FAR6, PBX, PBX6, Running, World, net};

pub(crate) fn cases() -> Vec<Trial> {
    vec![
        case("a_banned_ipv4_host_reaches_nothing_until_it_is_unbanned", || ban_and_unban(ATTACKER)),
        case("a_banned_ipv6_host_reaches_nothing_until_it_is_unbanned", || {
            ban_and_unban(ATTACKER6);
        }),
        case("a_host_behind_a_router_is_banned_alike", || {
            ban_and_unban(FAR);
        }),
        case("an_ipv6_network_behind_a_router_is_banned_alike", || {
            ban_and_unban("2001:db8:66::/64");
        }),
        case("an_ipv4_network_is_banned_alike", || {
            ban_and_unban("203.0.113.0/24");
        }),
        case("established_connections_of_a_banned_host_die", connections_die),
        case("what_is_dropped_is_counted_for_each_banned_host", counted),
        case("bans_in_a_table_of_their_own_win_too", own_table),
        case("bans_in_a_table_above_255_win_too", high_table),
    ]
}

fn ban_and_unban(target: &str) {
    let world = World::new().with_default_route();
    let from = match target {
        "2001:db8:66::/64" => FAR6,
        "203.0.113.0/24" => FAR,
        single => single,
    };
    let mut running = Running::start(&world.pbx, Settings::default());
    assert!(running.found.coverage.gate, "{:?}", running.found.coverage);
    assert!(world.reached_by_attacker(from));
    assert_eq!(running.block(target), Enforcement::Full);
    assert!(is_blackholed(&world.pbx, target, 254));
    assert_eq!(packets_dropped(&world.pbx), 0);
    assert!(!world.reached_by_attacker(from));
    assert!(packets_dropped(&world.pbx) > 0, "the gate counts what it drops");
    assert!(world.reached_by_phone());
    running.unblock(target);
    assert!(!is_blackholed(&world.pbx, target, 254));
    assert!(world.reached_by_attacker(from));
    running.stop();
}

fn counted() {
    let world = World::new().with_default_route();
    let mut running = Running::start(&world.pbx, Settings::default());
    let sip = Change::Block { net: net(FAR6), scope: Scope::Sip };
    for host in [ATTACKER, FAR] {
        assert_eq!(running.block(host), Enforcement::Full);
    }
    let answer = running.ask(sip);
    assert!(
        matches!(answer, Report::Blocked { enforcement: Enforcement::SipOnly, .. }),
        "{answer:?}"
    );
    burst((&world.attacker, ATTACKER), (&world.pbx, PBX), OTHER, 7);
    burst((&world.attacker, FAR6), (&world.pbx, PBX6), OTHER, 4);
    burst((&world.attacker, FAR6), (&world.pbx, PBX6), SIP, 3);
    expect_dropped(&mut running, [(net(ATTACKER), 7), (net(FAR), 0), (net(FAR6), 3)]);
    // A host that is banned again begins anew.
    running.unblock(ATTACKER);
    assert_eq!(running.block(ATTACKER), Enforcement::Full);
    burst((&world.attacker, FAR), (&world.pbx, PBX), OTHER, 1);
    expect_dropped(&mut running, [(net(ATTACKER), 0), (net(FAR), 1), (net(FAR6), 3)]);
    running.stop();
}

fn expect_dropped(running: &mut Running, mut expected: [(IpNet, u64); 3]) {
    expected.sort_unstable();
    let _report = running.expect("what was dropped", |report| {
        let Report::Dropped(dropped) = report else { return false };
        let mut dropped = dropped.clone();
        dropped.sort_unstable();
        dropped == expected
    });
}

fn connections_die() {
    let world = World::new().with_default_route();
    let mut running = Running::start(&world.pbx, Settings::default());
    for (from, to) in [(ATTACKER, PBX), (ATTACKER6, PBX6)] {
        let mut call = Conversation::open((&world.attacker, from), (&world.pbx, to)).unwrap();
        assert!(call.arrives());
        assert_eq!(running.block(from), Enforcement::Full);
        assert!(!call.arrives(), "{from}");
    }
    running.stop();
}

fn own_table() {
    bans_in_table(OwnTable { id: 100, preference: 500 });
}

fn high_table() {
    bans_in_table(OwnTable { id: 70_000, preference: 1 });
}

fn bans_in_table(table: OwnTable) {
    let world = World::new().with_default_route();
    let mut running =
        Running::start(&world.pbx, Settings { table: BanTable::Own(table), ..Settings::default() });
    assert_eq!(rule_preferences(&world.pbx, table.id), [table.preference; 2]);
    for target in [ATTACKER, ATTACKER6, FAR, FAR6] {
        assert_eq!(running.block(target), Enforcement::Full);
        assert!(is_blackholed(&world.pbx, target, table.id));
        assert!(!world.reached_by_attacker(target));
    }
    assert!(world.reached_by_phone());
    for target in [ATTACKER, ATTACKER6, FAR, FAR6] {
        running.unblock(target);
        assert!(world.reached_by_attacker(target));
    }
    running.stop();
}
