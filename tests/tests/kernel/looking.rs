//! A look at the kernel side sees what stands, and changes nothing.

use libtest_mimic::Trial;
use rtnetlink::packet_route::route::RouteType;
use sipward_route::{GateState, Inspection, Settings, inspect};
use sipward_tests::netns::{Host, case, udp_arrives};

use crate::outside::{add_route, flush_ruleset, routes, rule_preferences, tables};
use crate::world::{FAR, PBX, PHONE, Running, World};

pub(crate) fn cases() -> Vec<Trial> {
    vec![
        case("a_look_at_an_untouched_host_finds_nothing_and_leaves_nothing", untouched),
        case("a_look_counts_bans_and_what_the_gate_has_dropped", standing),
        case("a_look_names_the_route_that_wins_against_a_ban", outranked),
        case("a_look_tells_what_others_took_or_put_there", damaged),
    ]
}

fn look(host: &Host) -> Inspection {
    host.block_on(async || inspect(&Settings::default()).await).expect("a look")
}

fn untouched() {
    let world = World::new();
    let before = (routes(&world.pbx), tables(&world.pbx));
    let found = look(&world.pbx);
    assert!(found.permitted);
    assert_eq!((found.routes, found.looked_up), (0, 0));
    assert_eq!(found.gate, GateState::Missing);
    assert!(!found.coverage.ipv4_inbound && !found.coverage.ipv6_inbound);
    // Two families, and the shield.
    assert_eq!(found.coverage.gaps.len(), 3, "{:?}", found.coverage);
    assert_eq!((routes(&world.pbx), tables(&world.pbx)), before);
}

fn standing() {
    let world = World::new().with_default_route();
    let mut running = Running::start(&world.pbx, Settings::default());
    running.block(FAR);
    running.stop();
    assert_eq!(look(&world.pbx).gate, GateState::Standing { dropped: 0 });
    assert!(!udp_arrives((&world.attacker, FAR), (&world.pbx, PBX)));
    let found = look(&world.pbx);
    let GateState::Standing { dropped } = found.gate else { panic!("{:?}", found.gate) };
    assert!(dropped > 0);
    assert_eq!((found.routes, found.looked_up), (1, 1));
    assert!(found.outranked.is_empty(), "{:?}", found.outranked);
    assert!(found.coverage.gaps.is_empty() && found.foreign.is_empty());
}

fn outranked() {
    let world = World::new();
    let mut running = Running::start(&world.pbx, Settings::default());
    running.block("203.0.113.0/24");
    running.stop();
    // In the middle of the ban, where it is looked up.
    world.pbx.route("203.0.113.128/25", PHONE);
    let found = look(&world.pbx);
    let [(net, winner)] = found.outranked.as_slice() else { panic!("{:?}", found.outranked) };
    assert_eq!(net.to_string(), "203.0.113.0/24");
    assert!(winner.contains("203.0.113.128/25"), "{winner}");
}

fn damaged() {
    let world = World::new();
    Running::start(&world.pbx, Settings::default()).stop();
    add_route(&world.pbx, RouteType::Unreachable, "203.0.113.9/32", 216, 254);
    flush_ruleset(&world.pbx);
    let found = look(&world.pbx);
    assert_eq!(found.gate, GateState::Damaged { what: "the nftables table is missing" });
    assert_eq!(found.foreign.len(), 1, "{:?}", found.foreign);
    assert!(found.foreign.concat().contains("unreachable 203.0.113.9/32"), "{:?}", found.foreign);
    // Looking repaired nothing.
    assert!(tables(&world.pbx).is_empty());
    assert_eq!(rule_preferences(&world.pbx, 217), [40_000]);
}
