//! The control socket: the allow list, the policy, and the file below them.

use serde_json::{Value, json};

use super::api::each;
use super::kernel::{blackholes, nets};
use super::world::{World, of, seen_at};
use sipward_tests::wait::until;

super::cases![
    allowing_a_host_lifts_the_bans_it_covers_and_outlives_a_restart,
    an_entry_of_the_file_is_only_removed_there,
    the_policy_is_changed_at_run_time_and_tells_the_origin_of_each_value,
    a_stored_override_outlives_a_restart_and_another_does_not,
    a_reload_rereads_the_file_below_the_overrides,
    a_reload_names_the_error_of_a_broken_file,
];

fn value(policy: &Value, key: &str) -> (Value, String) {
    let values = policy["values"].as_array().expect("values");
    let found = values.iter().find(|value| value["key"] == key).expect("the key");
    (found["value"].clone(), found["origin"].as_str().expect("an origin").to_owned())
}

fn allowing_a_host_lifts_the_bans_it_covers_and_outlives_a_restart() {
    let world = World::new();
    let setup = world.setup("");
    let daemon = world.watch(&setup);
    let client = setup.client();
    world.fail("198.51.100.7", 5);
    world.fail("198.18.0.1", 5);
    daemon.expect_many("ban", 2, |_| true);

    let new = json!({ "host": "198.51.100.0/28", "comment": "the new office" });
    let added = client.post("/allow", &new).expect(201);

    assert_eq!(added["count"], 1);
    assert_eq!(added["ended"], json!(["198.51.100.7/32"]));
    assert_eq!(added["entry"]["origin"], "runtime");
    until("the route of one is left", || blackholes(&world.pbx) == nets(["198.18.0.1/32"]));
    client.post("/allow", &new).expect(200);
    world.fail("198.51.100.7", 5);
    let judged = daemon.expect_many("auth_failure", 10, seen_at("198.51.100.7")).pop().unwrap();
    assert_eq!(judged.text("exempt"), "allow");
    daemon.kill();

    let daemon = world.watch(&setup);
    let page = client.get("/allow").expect(200);
    assert_eq!(each(&page, "host"), ["198.51.100.0/28"]);
    assert_eq!(page["items"][0]["comment"], "the new office");
    world.fail("198.51.100.7", 5);
    daemon.expect_many("auth_failure", 5, |line| line.text("exempt") == "allow");

    client.delete("/allow/198.51.100.0%2F28").expect(200);
    assert_eq!(client.delete("/allow/198.51.100.0%2F28").status, 404);
    world.fail("198.51.100.7", 5);
    daemon.expect_that("ban", of("198.51.100.7/32"));
}

fn an_entry_of_the_file_is_only_removed_there() {
    let world = World::new();
    let setup = world.setup("allow = [\"203.0.113.0/24\", \"localhost\"]\n");
    let _daemon = world.watch(&setup);
    let client = setup.client();
    client.post("/allow", &json!({ "host": "192.0.2.77" })).expect(201);

    let page = client.get("/allow").expect(200);
    assert_eq!(each(&page, "host"), ["192.0.2.77/32", "203.0.113.0/24", "localhost"]);
    assert_eq!(each(&page, "origin"), ["runtime", "file", "file"]);
    assert_eq!(each(&client.get("/allow?origin=runtime").expect(200), "host"), ["192.0.2.77/32"]);
    let first = client.get("/allow?limit=2").expect(200);
    assert_eq!(each(&first, "host").len(), 2);
    let next = first["next"].as_str().unwrap().replace('/', "%2F");
    let second = client.get(&format!("/allow?limit=2&cursor={next}")).expect(200);
    assert_eq!(
        (each(&second, "host"), &second["next"]),
        (vec!["localhost".to_owned()], &Value::Null)
    );

    let problem = client.delete("/allow/203.0.113.0%2F24").expect(409);
    assert!(problem["detail"].as_str().unwrap().contains("configuration file"), "{problem:#}");
}

fn the_policy_is_changed_at_run_time_and_tells_the_origin_of_each_value() {
    let world = World::new();
    let setup = world.setup("[policy]\nmax_failures = 7\n[policy.rules.users]\nthreshold = 9\n");
    let daemon = world.watch(&setup);
    let client = setup.client();
    let policy = client.get("/policy").expect(200);
    assert_eq!(value(&policy, "max_failures"), (json!(7), "file".to_owned()));
    assert_eq!(value(&policy, "window_seconds"), (json!(600), "default".to_owned()));
    assert_eq!(value(&policy, "rules.users.threshold"), (json!(9), "file".to_owned()));

    let change = json!({ "max_failures": 2, "ban_time_seconds": 120, "stored": false });
    let policy = client.patch("/policy", &change).expect(200);

    assert_eq!(value(&policy, "max_failures"), (json!(2), "runtime".to_owned()));
    assert_eq!(value(&policy, "ban_time_seconds"), (json!(120), "runtime".to_owned()));
    let overridden = policy["values"].as_array().unwrap();
    let overridden = overridden.iter().find(|value| value["key"] == "max_failures").unwrap();
    assert_eq!(overridden["overridden"], 7);
    world.fail("198.51.100.7", 2);
    let ban = daemon.expect_that("ban", of("198.51.100.7/32"));
    assert_eq!(ban.number("max_failures"), Some(2), "in force when it is answered");

    let policy = client.delete("/policy/max_failures").expect(200);
    assert_eq!(value(&policy, "max_failures"), (json!(7), "file".to_owned()));
    assert_eq!(value(&policy, "ban_time_seconds"), (json!(120), "runtime".to_owned()));
    for (change, field) in [
        (json!({ "max_failures": 0 }), "max_failures"),
        (json!({ "window_seconds": 604_801 }), "window_seconds"),
        (json!({ "ban_time_seconds": 604_801 }), "ban_time_seconds"),
        (json!({ "max_failures": "5" }), "max_failures"),
        (json!({ "maxretry": 5 }), "maxretry"),
        (json!({}), "the body"),
    ] {
        let answer = client.patch("/policy", &change);
        assert_eq!(
            (answer.status, answer.wrong_fields()),
            (422, vec![field.to_owned()]),
            "{change}"
        );
    }
    assert_eq!(client.delete("/policy/colour").wrong_fields(), ["key"]);
}

fn a_stored_override_outlives_a_restart_and_another_does_not() {
    let world = World::new();
    let setup = world.setup("");
    let daemon = world.watch(&setup);
    let client = setup.client();
    client.patch("/policy", &json!({ "max_failures": 3 })).expect(200);
    client.patch("/policy", &json!({ "window_seconds": 60, "stored": false })).expect(200);
    daemon.kill();

    let daemon = world.watch(&setup);

    let policy = client.get("/policy").expect(200);
    assert_eq!(value(&policy, "max_failures"), (json!(3), "stored".to_owned()));
    assert_eq!(value(&policy, "window_seconds"), (json!(600), "default".to_owned()));
    world.fail("198.51.100.7", 3);
    daemon.expect_that("ban", of("198.51.100.7/32"));
    client.delete("/policy/max_failures").expect(200);
    daemon.kill();
    let _daemon = world.watch(&setup);
    let policy = client.get("/policy").expect(200);
    assert_eq!(value(&policy, "max_failures"), (json!(5), "default".to_owned()));
}

fn a_reload_rereads_the_file_below_the_overrides() {
    let world = World::new();
    let setup = world.setup("");
    let daemon = world.watch(&setup);
    let client = setup.client();
    client.patch("/policy", &json!({ "max_failures": 3 })).expect(200);
    client.post("/allow", &json!({ "host": "192.0.2.77" })).expect(201);
    setup.configure(
        "allow = [\"198.51.100.7\"]\non_exit = \"flush\"\n[policy]\nmax_failures = 9\nwindow = \"5m\"\n",
    );

    let reloaded = client.post("/reload", &json!({})).expect(200);

    assert_eq!(reloaded["needs_restart"], json!(["on_exit"]));
    let policy = client.get("/policy").expect(200);
    assert_eq!(value(&policy, "max_failures"), (json!(3), "stored".to_owned()));
    assert_eq!(value(&policy, "window_seconds"), (json!(300), "file".to_owned()));
    assert_eq!(
        each(&client.get("/allow").expect(200), "host"),
        ["192.0.2.77/32", "198.51.100.7/32"]
    );
    assert_eq!(client.get("/status").expect(200)["needs_restart"], json!(["on_exit"]));
    // The signal does the same.
    setup.configure("[policy]\nmax_failures = 9\nwindow = \"4m\"\n");
    daemon.hang_up();
    daemon.expect_many("reload", 2, |_| true);
    let policy = client.get("/policy").expect(200);
    assert_eq!(value(&policy, "max_failures"), (json!(3), "stored".to_owned()));
    assert_eq!(value(&policy, "window_seconds"), (json!(240), "file".to_owned()));
    assert_eq!(client.get("/status").expect(200)["needs_restart"], json!([]));
}

fn a_reload_names_the_error_of_a_broken_file() {
    let world = World::new();
    let setup = world.setup("[policy]\nmax_failures = 2\n");
    let daemon = world.watch(&setup);
    setup.configure("[policy]\nmax_failures = 7\nban_tyme = \"1h\"\n");

    let problem = setup.client().post("/reload", &json!({})).expect(409);

    let detail = problem["detail"].as_str().unwrap();
    for word in ["sipward.toml:3:1", "ban_tyme", "ban_time"] {
        assert!(detail.contains(word), "{word} in {detail}");
    }
    daemon.expect("reload_failed");
    let policy = setup.client().get("/policy").expect(200);
    assert_eq!(value(&policy, "max_failures"), (json!(2), "file".to_owned()));
}
