//! Denied flows and bans from the SIP ports outlive a crash, a reboot, a firewall reload; and end by `flush`.

use std::time::Duration;

use rusqlite::Connection;
use serde_json::Value;
use sipward_route::GateState;
use sipward_tests::daemon::{Daemon, Setup};
use sipward_tests::wait::until;

use super::flows::{FAILURES, PHONE, denial, flows_of, guess, make_known, said, way};
use super::kernel::{blackholes, blackholes_become, nets};
use super::nft::{
    add_host, add_udp_flow, delete_host, delete_udp_flow, denied, flush_ruleset, flush_set,
    forget_all, look, sip_bans,
};
use super::packets::SIP;
use super::store::{number, stored, taken_over};
use super::world::{World, of};

super::cases![
    after_a_crash_flows_and_sip_bans_stand_with_the_same_ends,
    after_a_reboot_flows_and_sip_bans_are_set_again,
    the_ports_of_the_last_hour_count_after_a_restart,
    what_ran_out_is_no_news_at_the_next_start,
    what_the_store_does_not_know_is_lifted_at_the_start,
    what_others_delete_is_put_back,
    what_others_add_is_taken_away,
    flush_removes_flows_and_sip_bans_too,
];

/// A host whose SIP is banned by hand, one that is banned as a whole, and a denied port of the phone.
fn all_kinds(world: &World, setup: &Setup, daemon: &Daemon) {
    said(setup, &["ban", "198.51.100.7", "--scope", "sip"]);
    said(setup, &["ban", "198.18.0.0/24", "--scope", "sip"]);
    said(setup, &["ban", "198.18.1.9"]);
    make_known(world);
    guess(world, 41_234, FAILURES);
    denial(daemon, 41_234);
}

const SIP_BANS: [&str; 2] = ["198.18.0.0/24", "198.51.100.7/32"];

/// The kernel holds what [`all_kinds`] makes, and nothing else.
fn assert_all_stand(world: &World) {
    assert_eq!(denied(&world.pbx), flows_of(41_234));
    assert_eq!(sip_bans(&world.pbx), SIP_BANS);
    assert_eq!(blackholes(&world.pbx), nets(["198.18.1.9/32"]));
    assert_eq!(look(&world.pbx).hosts_differ, 0);
}

/// Waits until the store has them all.
fn all_stored(setup: &Setup) {
    stored(&setup.store_file(), 3);
    let reader = Connection::open(setup.store_file()).unwrap();
    reader.busy_timeout(Duration::from_secs(5)).unwrap();
    until("flows are stored", || number(&reader, "SELECT count(*) FROM flows") == 2);
}

/// Ends of the denied flows and of the bans, as the API has them.
fn ends(setup: &Setup) -> Vec<(Value, Value)> {
    let (flows, bans) = (setup.client().get("/flows"), setup.client().get("/bans"));
    let (flows, bans) = (flows.expect(200), bans.expect(200));
    let of = |list: &Value, name: &str| {
        let items = list["items"].as_array().unwrap();
        items.iter().map(|item| (item[name].clone(), item["until"].clone())).collect::<Vec<_>>()
    };
    [of(&flows, "flow"), of(&bans, "net")].concat()
}

fn after_a_crash_flows_and_sip_bans_stand_with_the_same_ends() {
    let world = World::new();
    let setup = world.setup("");
    let daemon = world.watch(&setup);
    all_kinds(&world, &setup, &daemon);
    all_stored(&setup);
    let before = ends(&setup);
    assert_eq!(before.len(), 5);
    daemon.kill();
    assert_all_stand(&world);
    assert!(!way(&world, 41_234, SIP).is_open(), "nobody needs to run");

    let again = world.watch(&setup);

    assert_eq!(taken_over(&again), (Some(3), Some(0)));
    assert_eq!(ends(&setup), before);
    assert_all_stand(&world);
    let left = look(&world.pbx).flows.iter().map(|(_, left)| left.as_secs()).max();
    assert!(left.is_some_and(|left| (500..=600).contains(&left)), "{left:?} s");
    for event in ["ban", "unban", "flow_denied", "flow_allowed", "healed"] {
        assert!(again.log().all(event).is_empty(), "{event} is no news");
    }
    // They end as others do.
    let lifted = said(&setup, &["unban", "--all", "--yes"]);
    assert_eq!(lifted, "3 bans lifted; 2 denied flows allowed again\n");
    until("all is lifted", || {
        let found = look(&world.pbx);
        found.flows.is_empty() && found.sip_bans.is_empty() && found.bans.is_empty()
    });
}

fn after_a_reboot_flows_and_sip_bans_are_set_again() {
    let world = World::new();
    let setup = world.setup("");
    let daemon = world.watch(&setup);
    all_kinds(&world, &setup, &daemon);
    all_stored(&setup);
    daemon.kill();
    forget_all(&world.pbx);
    assert!(way(&world, 41_234, SIP).is_open());

    let again = world.watch(&setup);

    assert_eq!(taken_over(&again), (Some(3), Some(0)));
    until("flows are denied again", || denied(&world.pbx) == flows_of(41_234));
    assert_all_stand(&world);
    assert!(!way(&world, 41_234, SIP).is_open());
    let page = setup.client().get("/flows").expect(200);
    assert_eq!(page["items"][0]["state"], "enforced", "{page:#}");
}

fn the_ports_of_the_last_hour_count_after_a_restart() {
    let world = World::new();
    let setup = world.setup("");
    let daemon = world.watch(&setup);
    make_known(&world);
    guess(&world, 6001, FAILURES);
    for port in 6002..=6007 {
        guess(&world, port, 1);
    }
    (6001..=6007).for_each(|port| denial(&daemon, port));
    // One that an operator has allowed counts as well.
    for flow in flows_of(6001) {
        said(&setup, &["flows", "--allow", &flow]);
    }
    daemon.stop();

    let again = world.watch(&setup);
    guess(&world, 6001, FAILURES);
    let refused = again.expect_that("refused", of(&format!("{PHONE}/32")));
    assert_eq!(refused.text("reason"), "denied_lately", "{}", refused.raw);
    assert!(again.log().all("distrusted").is_empty(), "seven ports");
    guess(&world, 6008, 1);

    denial(&again, 6008);
    assert_eq!(again.expect("distrusted").text("address"), PHONE);
}

fn what_ran_out_is_no_news_at_the_next_start() {
    let world = World::new();
    let setup = world.setup("[policy.healthy]\nattention_ban_time = \"1s\"\n");
    let daemon = world.watch(&setup);
    make_known(&world);
    guess(&world, 41_234, FAILURES);
    denial(&daemon, 41_234);
    let allowed = daemon.expect_many("flow_allowed", 2, |_| true);
    assert!(allowed.iter().all(|line| line.text("reason") == "expired"), "{allowed:?}");
    daemon.stop();

    let again = world.watch(&setup);

    assert!(again.log().all("flow_allowed").is_empty(), "that was reported");
    let history = setup.client().get("/history?event=flow_allowed").expect(200);
    assert_eq!(history["items"].as_array().map(Vec::len), Some(2), "{history:#}");
    assert_eq!(denied(&world.pbx), [""; 0]);
}

fn what_the_store_does_not_know_is_lifted_at_the_start() {
    let world = World::new();
    let setup = world.setup("");
    let daemon = world.watch(&setup);
    all_kinds(&world, &setup, &daemon);
    all_stored(&setup);
    daemon.kill();
    let store = Connection::open(setup.store_file()).unwrap();
    store.execute_batch("DELETE FROM flows; DELETE FROM bans").unwrap();
    drop(store);

    let again = world.watch(&setup);

    // A route is a ban, whichever program set it; the end of an element of a set is not known.
    assert_eq!(taken_over(&again), (Some(0), Some(1)));
    until("they are lifted", || denied(&world.pbx).is_empty() && sip_bans(&world.pbx).is_empty());
    blackholes_become(&world.pbx, ["198.18.1.9/32"]);
    assert!(way(&world, 41_234, SIP).is_open());
}

/// Waits for one more report of healing than there were, and gives it.
fn healed(daemon: &Daemon, before: usize) -> (Option<u64>, Value) {
    let line = daemon.expect_many("healed", before + 1, |_| true).pop().unwrap();
    (line.number("elements"), line.field("gate").clone())
}

fn what_others_delete_is_put_back() {
    let world = World::new();
    let setup = world.setup("");
    let daemon = world.watch(&setup);
    all_kinds(&world, &setup, &daemon);
    let steps: [(&str, &dyn Fn()); 7] = [
        ("a flow", &|| delete_udp_flow(&world.pbx, "denied4", PHONE, 41_234)),
        ("a host banned from SIP", &|| delete_host(&world.pbx, "sip_banned4", "198.51.100.7")),
        ("a banned host", &|| delete_host(&world.pbx, "banned4", "198.18.1.9")),
        ("all flows", &|| flush_set(&world.pbx, "denied4")),
        ("all hosts banned from SIP", &|| flush_set(&world.pbx, "sip_banned4")),
        ("all networks banned from SIP", &|| flush_set(&world.pbx, "sip_banned_nets4")),
        ("all banned hosts", &|| flush_set(&world.pbx, "banned4")),
    ];
    for (done, (what, deletes)) in steps.into_iter().enumerate() {
        deletes();
        let (elements, gate) = healed(&daemon, done);
        assert!(elements.is_some_and(|count| count > 0), "{what}: {elements:?}");
        assert_eq!(gate, false, "{what}");
        assert_all_stand(&world);
    }
    let before = daemon.log().all("healed").len();

    flush_ruleset(&world.pbx);

    assert_eq!(healed(&daemon, before).1, true);
    assert!(matches!(look(&world.pbx).gate, GateState::Standing { .. }));
    assert_all_stand(&world);
    assert!(!way(&world, 41_234, SIP).is_open());
}

fn what_others_add_is_taken_away() {
    let world = World::new();
    let setup = world.setup("");
    let daemon = world.watch(&setup);
    all_kinds(&world, &setup, &daemon);
    let steps: [(&str, &dyn Fn()); 3] = [
        ("a flow", &|| add_udp_flow(&world.pbx, "denied4", PHONE, 50_000)),
        ("a host banned from SIP", &|| add_host(&world.pbx, "sip_banned4", "203.0.113.9")),
        ("a banned host", &|| add_host(&world.pbx, "banned4", "203.0.113.9")),
    ];
    for (done, (what, adds)) in steps.into_iter().enumerate() {
        adds();
        let (elements, _) = healed(&daemon, done);
        assert_eq!(elements, Some(1), "{what}");
        assert_all_stand(&world);
    }
}

fn flush_removes_flows_and_sip_bans_too() {
    let world = World::new();
    let setup = world.setup("");
    let daemon = world.watch(&setup);
    all_kinds(&world, &setup, &daemon);
    all_stored(&setup);
    daemon.stop();
    assert_all_stand(&world);

    let out = world.pbx.run(|| said(&setup, &["flush"]));

    assert!(out.contains("1 route") && out.contains("2 bans with scope sip"), "{out}");
    assert!(out.contains("2 denied flows") && out.contains("ended 3 stored bans"), "{out}");
    assert_eq!(look(&world.pbx).gate, GateState::Missing);
    assert!(way(&world, 41_234, SIP).is_open());
    let again = world.watch(&setup);
    assert_eq!(taken_over(&again), (Some(0), Some(0)));
    let found = look(&world.pbx);
    assert!(found.flows.is_empty() && found.sip_bans.is_empty() && found.bans.is_empty());
}
