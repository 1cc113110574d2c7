//! What people see of a flood: *shielded* and *deaf*, in records, status and metrics.

use serde_json::Value;
use sipward_tests::daemon::Setup;
use sipward_tests::sip::Kind;

use super::world::{World, until};

super::cases![
    with_the_gate_off_a_flood_deafens_freeswitch_and_that_is_told;
    long
];

/// The part of the status that is about floods.
fn flood_of(setup: &Setup) -> Value {
    setup.client().get("/status").expect(200)["flood"].clone()
}

fn with_the_gate_off_a_flood_deafens_freeswitch_and_that_is_told() {
    let world = World::new();
    let setup = world.setup("[route]\ngate = \"off\"\n");
    let daemon = world.watch(&setup);
    // Nothing is counted, so each profile is asked all the time.
    until("both profiles of a family answer", || {
        let flood = flood_of(&setup);
        let profiles = flood["profiles"].as_array().unwrap().clone();
        profiles.iter().filter(|profile| profile["answer_seconds"].is_number()).count() >= 3
    });
    assert_eq!(flood_of(&setup)["state"], "quiet");
    let summary = flood_of(&setup)["summary"].as_str().unwrap().to_owned();
    assert!(summary.contains("; FreeSWITCH answers in "), "{summary}");

    let flood = world.flood(Kind::Options, 5, 2_000).start(&world.attacker);
    let deaf = daemon.expect("deaf");
    assert_eq!(deaf.text("profile"), "192.0.2.1:5060", "{}", deaf.raw);
    let now = flood_of(&setup);
    assert_eq!(now["state"], "deaf");
    assert!(now["since"].is_string());
    let summary = now["summary"].as_str().unwrap().to_owned();
    assert!(summary.contains("; FreeSWITCH DOES NOT ANSWER for "), "{summary}");
    let alarms = setup.client().get("/alarms").expect(200);
    let deaf = alarms["items"].as_array().unwrap().iter().find(|alarm| alarm["kind"] == "deaf");
    assert_eq!(deaf.unwrap()["standing"], true, "{alarms}");
    let others = daemon.log().all("deaf");
    assert_eq!(others.len(), 1, "the other profiles hear: {}", others[0].raw);

    flood.stop();
    let hears = daemon.expect("hears");
    assert_eq!(hears.text("profile"), "192.0.2.1:5060");
    until("it is quiet", || flood_of(&setup)["state"] == "quiet");
    daemon.stop();
}
