//! What is changed at run time, and what a change would mean.

use serde_json::{Value, json};

use super::console::get_until;
use super::world::{World, of, seen_at};

super::cases![
    rules_are_changed_at_run_time_and_given_back,
    a_scanner_that_is_added_falls_at_its_first_failure,
    a_preview_of_the_policy_says_what_the_change_does,
    a_preview_of_the_allow_list_says_what_the_change_does,
];

const ATTACKER: &str = "198.51.100.7";

fn rules_are_changed_at_run_time_and_given_back() {
    let world = World::new();
    let setup = world.setup("[policy.rules.users]\nthreshold = 9\n");
    let daemon = world.watch(&setup);
    let client = setup.client();
    let change = json!({ "values": {
        "rules.failures.mode": "shadow",
        "rules.users.threshold": 8,
        "rules.user_agents.patterns": ["pytest/2"],
    }});
    let view = client.patch("/policy", &change).expect(200);
    let value = |view: &Value, key: &str| {
        let values = view["values"].as_array().unwrap().iter();
        values.clone().find(|value| value["key"] == key).cloned().unwrap()
    };
    let users = value(&view, "rules.users.threshold");
    assert_eq!((&users["value"], &users["origin"]), (&json!(8), &json!("stored")));
    assert_eq!(users["overridden"], 9);
    world.fail(ATTACKER, 6);
    let line = daemon.expect("shadowed");
    assert_eq!(line.text("net"), "198.51.100.7/32");
    assert_eq!(client.get("/bans").expect(200)["total"], 0);

    daemon.stop();
    let daemon = world.watch(&setup);
    let client = setup.client();
    let view = client.get("/policy").expect(200);
    assert_eq!(value(&view, "rules.failures.mode")["value"], "shadow", "it outlives a restart");
    let view = client.delete("/policy/rules.failures.mode").expect(200);
    assert_eq!(value(&view, "rules.failures.mode")["value"], "ban");
    world.fail(ATTACKER, 5);
    daemon.expect("ban");

    for (values, field) in [
        (json!({ "rules.users.mode": "maybe" }), "rules.users.mode"),
        (json!({ "rules.users.threshold": 1_001 }), "rules.users.threshold"),
        (json!({ "rules.failures.threshold": 3 }), "values.rules.failures.threshold"),
        (json!({ "rules.user_agents.patterns": ["x"] }), "rules.user_agents.patterns"),
    ] {
        let answer = client.patch("/policy", &json!({ "values": values }));
        assert_eq!((answer.status, answer.wrong_fields()), (422, vec![field.to_owned()]));
    }
}

fn a_scanner_that_is_added_falls_at_its_first_failure() {
    let world = World::new();
    let setup = world.setup("");
    let daemon = world.watch(&setup);
    let out = setup.shell(&["policy", "add-agent", "PyTest"]);
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    assert!(String::from_utf8_lossy(&out.stdout).contains("PyTest"));

    world.fail(ATTACKER, 1);

    let ban = daemon.expect("ban");
    assert_eq!(ban.text("rule"), "user_agents");
    assert!(setup.shell(&["policy", "remove-agent", "pytest"]).status.success());
    world.fail("198.18.0.4", 1);
    daemon.expect_that("auth_failure", seen_at("198.18.0.4"));
    assert_eq!(setup.client().get("/bans").expect(200)["total"], 1);
    assert_eq!(setup.shell(&["policy", "remove-agent", "pytest"]).status.code(), Some(2));
}

fn a_preview_of_the_policy_says_what_the_change_does() {
    let world = World::new();
    let setup = world.setup("");
    let daemon = world.watch(&setup);
    world.fail(ATTACKER, 5);
    daemon.expect("ban");
    world.fail("198.18.0.3", 3);
    world.fail("198.18.0.1", 1);
    daemon.expect_that("auth_failure", seen_at("198.18.0.1"));
    let client = setup.client();
    let _ = get_until(&client, "/users", |page| page["memory"]["failures"] == 9);

    let higher = client.post("/policy/preview", &json!({ "max_failures": 6 })).expect(200);
    assert_eq!(
        higher["not_made"],
        json!([{ "net": "198.51.100.7/32", "rule": "failures", "because": "threshold" }])
    );
    assert_eq!((&higher["bans_looked_at"], &higher["due_total"]), (&json!(1), &json!(0)));
    assert_eq!(higher["changes"], json!([{ "key": "max_failures", "from": 5, "to": 6 }]));

    let change = json!({ "max_failures": 3, "values": { "ban_time_seconds": 7200 } });
    let lower = client.post("/policy/preview", &change).expect(200);
    assert_eq!((&lower["not_made_total"], &lower["longer"]), (&json!(0), &json!(1)));
    assert_eq!(lower["due_total"], 1);
    assert_eq!(lower["due"][0]["address"], "198.18.0.3");
    assert_eq!(lower["sources_looked_at"], 3);
    assert_eq!(client.get("/policy").expect(200)["values"][0]["value"], 5, "nothing is changed");

    // The same, looking back.
    let replay = client.post("/policy/replay", &json!({ "max_failures": 6 })).expect(200);
    assert_eq!((&replay["banned"], &replay["not_banned_total"]), (&json!(1), &json!(1)));
    assert_eq!(
        replay["not_banned"],
        json!([{
            "net": "198.51.100.7/32", "rule": "failures", "because": "threshold", "healthy": false,
        }])
    );
    assert_eq!((&replay["failures"], &replay["added_total"]), (&json!(9), &json!(0)));
    let replay = client.post("/policy/replay", &change).expect(200);
    assert_eq!((&replay["banned_again"], &replay["not_banned_total"]), (&json!(1), &json!(0)));
    assert_eq!(
        replay["added"],
        json!([{ "net": "198.18.0.3/32", "rule": "failures", "healthy": false }])
    );
    assert_eq!(client.get("/bans").expect(200)["total"], 1, "nothing is changed");

    let _ = client.patch("/policy", &change).expect(200);
    world.fail("198.18.0.1", 1);
    world.fail("198.18.0.3", 1);
    daemon.expect_that("ban", of("198.18.0.3/32"));
    assert_eq!(client.get("/bans").expect(200)["total"], 2);
    assert_eq!(client.post("/policy/preview", &json!({})).status, 422);
}

fn a_preview_of_the_allow_list_says_what_the_change_does() {
    let world = World::new();
    let setup = world.setup("");
    let daemon = world.watch(&setup);
    world.fail(ATTACKER, 5);
    daemon.expect("ban");
    let client = setup.client();
    let _ = client.post("/bans", &json!({ "net": "198.51.100.0/25" })).expect(201);
    let _ = client.post("/bans", &json!({ "net": "203.0.113.0/24" })).expect(201);
    let host = json!({ "host": "198.51.100.0/26" });

    let preview = client.post("/allow/preview", &host).expect(200);
    assert_eq!(preview["already"], false);
    assert_eq!(client.get("/allow").expect(200)["total"], 0, "nothing is changed");
    let done = client.post("/allow", &host).expect(201);

    assert_eq!((&preview["ended_total"], &preview["ended"]), (&done["count"], &done["ended"]));
    assert_eq!(preview["staying"], json!(["198.51.100.0/25"]));
    for field in ["staying_total", "staying"] {
        assert_eq!(preview[field], done[field], "{field}");
    }
    let again = client.post("/allow/preview", &host).expect(200);
    assert_eq!((&again["already"], &again["staying_total"]), (&json!(true), &json!(0)));
}
