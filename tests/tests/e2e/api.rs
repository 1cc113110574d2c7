//! The control socket: what an operator sees and changes.

use std::fs;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::os::unix::net::UnixListener;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sipward_tests::daemon::{PATIENCE, Setup};

use super::kernel::{blackholes, nets};
use super::world::{ALL, Family, GATEWAYS, NONE, World, of};

super::cases![
    status_tells_how_the_daemon_stands,
    a_ban_by_hand_is_in_the_kernel_when_it_is_answered,
    a_ban_by_hand_ends_when_it_was_told_to,
    a_permanent_ban_outlives_a_restart,
    a_ban_that_would_cover_a_protected_address_is_refused_with_the_reason,
    force_overrides_all_but_own_addresses,
    unbanning_an_address_splits_the_banned_net_around_it,
    unbanning_forgets_the_counted_failures,
    unbanning_all_lets_everybody_in,
    bans_are_filtered_sorted_and_paged,
    an_address_is_explained,
    allowing_a_host_lifts_the_bans_it_covers_and_outlives_a_restart,
    an_entry_of_the_file_is_only_removed_there,
    the_policy_is_changed_at_run_time_and_tells_the_origin_of_each_value,
    a_stored_override_outlives_a_restart_and_another_does_not,
    a_reload_rereads_the_file_below_the_overrides,
    a_broken_file_is_told_to_whoever_reloads,
    events_are_told_as_they_happen,
    only_the_wanted_events_are_told,
    the_history_tells_what_was_decided,
    the_latest_failures_are_told_newest_first,
    a_trial_says_what_would_happen_and_changes_nothing,
    the_socket_is_open_to_its_group_only_and_goes_with_the_daemon,
    a_socket_left_over_is_replaced_and_a_live_one_is_not,
    a_daemon_without_a_place_for_its_socket_says_what_to_do_and_bans_on,
];

/// Items of a page, by one of their fields.
fn each(page: &Value, field: &str) -> Vec<String> {
    let items = page["items"].as_array().expect("items");
    items.iter().map(|item| item[field].as_str().expect("text").to_owned()).collect()
}

/// Waits until `look` gives something.
fn until<T>(look: impl Fn() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "waited in vain");
        thread::sleep(Duration::from_millis(20));
    }
}

fn value(policy: &Value, key: &str) -> (Value, String) {
    let values = policy["values"].as_array().expect("values");
    let found = values.iter().find(|value| value["key"] == key).expect("the key");
    (found["value"].clone(), found["origin"].as_str().expect("an origin").to_owned())
}

fn status_tells_how_the_daemon_stands() {
    let world = World::new();
    let setup = world.setup("[policy]\nmax_failures = 4\n");
    let daemon = world.watch(&setup);
    world.fail("198.51.100.7", 4);
    daemon.expect("ban");

    let status = setup.client().get("/status").expect(200);

    assert_eq!(status["mode"], "ban");
    assert_eq!(status["event_socket"]["connected"], true);
    assert_eq!(status["event_socket"]["peer"], world.fs.address().to_string());
    assert_eq!(status["totals"]["failures"], 4);
    assert_eq!(status["bans"]["active"], 1);
    assert_eq!(status["failures"]["answered"], 4);
    assert_eq!(
        status["policy"],
        json!({
            "max_failures": 4, "window_seconds": 600.0, "ban_time_seconds": 3600.0
        })
    );
    assert_eq!(status["gate"]["ipv4_inbound"], true);
    assert_eq!(status["store"]["state"], "ok");
    assert_eq!(status["store"]["file"], setup.store_file().to_str().unwrap());
    world.fs.kill().unwrap();
    let status = until(|| {
        let status = setup.client().get("/status").expect(200);
        (status["event_socket"]["error"].is_string()).then_some(status)
    });
    assert_eq!(status["event_socket"]["connected"], false);
    assert_eq!(status["event_socket"]["peer"], Value::Null);
}

fn a_ban_by_hand_is_in_the_kernel_when_it_is_answered() {
    let world = World::new();
    let setup = world.setup("");
    let _daemon = world.watch(&setup);
    for family in [Family::V4, Family::V6] {
        let new = json!({ "net": family.attacker(), "reason": "rang at night" });
        let answer = setup.client().post("/bans", &new);
        let place = answer.head.clone();
        let made = answer.expect(201);

        assert_eq!(world.attacker_arrives(family), NONE);
        assert_eq!(made["ban"]["state"], "enforced", "{made:#}");
        assert_eq!(made["ban"]["origin"], "manual");
        assert_eq!(made["ban"]["cause"]["by"], "manual");
        assert_eq!(made["ban"]["cause"]["comment"], "rang at night");
        assert_eq!(made["store"]["state"], "ok");
        let net = made["ban"]["net"].as_str().unwrap().replace('/', "%2F");
        assert!(
            place.contains(&format!("location: /api/v1/bans/{}", net.to_lowercase())),
            "{place}"
        );
        let shown = setup.client().get(&format!("/bans/{net}")).expect(200);
        assert_eq!(shown["net"], made["ban"]["net"]);
        let lifted = setup.client().delete(&format!("/bans/{net}")).expect(200);
        assert_eq!(lifted["count"], 1);
        until(|| (world.attacker_arrives(family) == ALL).then_some(()));
        assert_eq!(setup.client().get(&format!("/bans/{net}")).status, 404);
    }
}

fn a_ban_by_hand_ends_when_it_was_told_to() {
    let world = World::new();
    let setup = world.setup("");
    let daemon = world.watch(&setup);
    let new = json!({ "net": "198.51.100.7", "ban_time_seconds": 1 });
    setup.client().post("/bans", &new).expect(201);
    assert_eq!(daemon.expect("unban").text("reason"), "expired");
    until(|| blackholes(&world.pbx).is_empty().then_some(()));
}

fn a_permanent_ban_outlives_a_restart() {
    let world = World::new();
    let setup = world.setup("");
    let daemon = world.watch(&setup);
    let new = json!({ "net": "198.51.100.7", "permanent": true, "reason": "for good" });
    let made = setup.client().post("/bans", &new).expect(201);
    assert_eq!(made["ban"]["until"], Value::Null);
    assert_eq!(made["ban"]["remaining_seconds"], Value::Null);
    // Without a word, right after the answer: it was durable by then.
    daemon.kill();

    let _again = world.watch(&setup);

    let ban = setup.client().get("/bans/198.51.100.7").expect(200);
    assert_eq!(ban["until"], Value::Null);
    assert_eq!(ban["cause"]["comment"], "for good");
    assert_eq!(ban["since"], made["ban"]["since"]);
}

fn a_ban_that_would_cover_a_protected_address_is_refused_with_the_reason() {
    let world = World::new();
    let setup = world.setup("");
    let _daemon = world.watch(&setup);
    let client = setup.client();
    for (new, reason, class) in [
        (json!({ "net": "127.0.0.1" }), "exempt", Some("own")),
        (json!({ "net": Family::V4.pbx() }), "exempt", Some("own")),
        (json!({ "net": Family::V6.pbx() }), "exempt", Some("own")),
        (json!({ "net": GATEWAYS[0] }), "exempt", Some("gateway")),
        (json!({ "net": GATEWAYS[1] }), "exempt", Some("gateway")),
        (json!({ "net": "203.0.0.0/15" }), "too_wide", None),
        (json!({ "net": "2001:db8::/31" }), "too_wide", None),
        (json!({ "net": "fe80:0:0:1::/64" }), "link_local", None),
        (json!({ "net": "203.0.113.0/24", "spare": ["203.0.113.5"] }), "spared", None),
        (json!({ "net": "203.0.113.5", "spare": ["::ffff:203.0.113.5"] }), "spared", None),
    ] {
        let problem = client.post("/bans", &new);
        assert!(problem.head.contains("application/problem+json"), "{}", problem.head);
        let problem = problem.expect(409);
        assert_eq!(problem["refusal"]["reason"], reason, "{new}: {problem:#}");
        assert_eq!(problem["refusal"]["class"], json!(class), "{new}: {problem:#}");
        let own = class == Some("own");
        assert_eq!(problem["refusal"]["force_overrides"], !own, "{new}: {problem:#}");
    }
    assert_eq!(client.get("/bans").expect(200)["total"], 0);
    assert_eq!(blackholes(&world.pbx), nets([]));
    // The same again is no second ban.
    client.post("/bans", &json!({ "net": "203.0.113.0/24", "permanent": true })).expect(201);
    let problem = client.post("/bans", &json!({ "net": "203.0.113.5" })).expect(409);
    assert_eq!(problem["refusal"]["reason"], "covered");
    assert_eq!(problem["refusal"]["net"], "203.0.113.0/24");
}

fn force_overrides_all_but_own_addresses() {
    let world = World::new();
    let setup = world.setup("");
    let _daemon = world.watch(&setup);
    let client = setup.client();
    let forced = |net: &str| json!({ "net": net, "force": true, "spare": ["203.0.113.5"] });
    for net in ["203.0.113.0/24", "10.0.0.0/8"] {
        let made = client.post("/bans", &forced(net)).expect(201);
        assert_eq!(made["ban"]["origin"], "forced");
    }
    for net in ["127.0.0.1", "192.0.2.0/24", "0.0.0.0/0", "::1"] {
        let problem = client.post("/bans", &forced(net)).expect(409);
        assert_eq!(problem["refusal"]["class"], "own", "{net}");
    }
}

fn unbanning_an_address_splits_the_banned_net_around_it() {
    let world = World::new();
    let setup = world.setup("");
    let _daemon = world.watch(&setup);
    let client = setup.client();
    client.post("/bans", &json!({ "net": "198.51.100.0/29" })).expect(201);
    assert_eq!(world.attacker_arrives(Family::V4), NONE);

    let done = client.delete("/bans/198.51.100.7").expect(200);

    assert_eq!(done["count"], 1);
    assert_eq!(done["ended"], json!(["198.51.100.0/29"]));
    assert_eq!(done["left"], json!(["198.51.100.0/30", "198.51.100.4/31", "198.51.100.6/32"]));
    let left = nets(["198.51.100.0/30", "198.51.100.4/31", "198.51.100.6/32"]);
    until(|| (blackholes(&world.pbx) == left).then_some(()));
    assert_eq!(world.attacker_arrives(Family::V4), ALL);
    let piece = client.get("/bans/198.51.100.4%2F31").expect(200);
    assert_eq!(piece["cause"]["split_of"], "198.51.100.0/29");
    assert_eq!(piece["cause"]["by"], "manual");
}

fn unbanning_forgets_the_counted_failures() {
    let world = World::new();
    let setup = world.setup("");
    let daemon = world.watch(&setup);
    world.fail("198.51.100.7", 4);
    daemon.expect_many("auth_failure", 4, of("198.51.100.7"));

    let done = setup.client().delete("/bans/198.51.100.7").expect(200);

    assert_eq!(done["count"], 0, "nobody was banned, which is no error");
    world.fail("198.51.100.7", 1);
    let judged = daemon.expect_many("auth_failure", 5, of("198.51.100.7")).pop().unwrap();
    assert_eq!(judged.number("failures"), Some(1));
}

fn unbanning_all_lets_everybody_in() {
    let world = World::new();
    let setup = world.setup("");
    let daemon = world.watch(&setup);
    for n in 0..30 {
        world.fail(&format!("198.18.0.{n}"), 5);
    }
    world.fail(Family::V6.attacker(), 5);
    daemon.expect_many("ban", 31, |_| true);
    world.fail("198.51.100.7", 4);
    daemon.expect_many("auth_failure", 4, of("198.51.100.7"));

    let done = setup.client().delete("/bans").expect(200);

    assert_eq!(done["count"], 31);
    assert_eq!(done["ended"].as_array().unwrap().len(), 31);
    until(|| blackholes(&world.pbx).is_empty().then_some(()));
    assert_eq!(setup.client().get("/bans").expect(200)["total"], 0);
    world.fail("198.51.100.7", 1);
    let judged = daemon.expect_many("auth_failure", 5, of("198.51.100.7")).pop().unwrap();
    assert_eq!(judged.number("failures"), Some(1), "counted failures are forgotten too");
}

fn bans_are_filtered_sorted_and_paged() {
    let world = World::new();
    let setup = world.setup("");
    let daemon = world.watch(&setup);
    let client = setup.client();
    for n in 0..7 {
        let new = json!({ "net": format!("203.0.113.{n}"), "ban_time_seconds": 9_000 - n * 100 });
        client.post("/bans", &new).expect(201);
    }
    client.post("/bans", &json!({ "net": "2001:db8:7::/48", "permanent": true })).expect(201);
    world.fail("198.51.100.7", 5);
    daemon.expect_that("ban", of("198.51.100.7/32"));

    for limit in [1, 2, 3, 8, 9, 1000] {
        for (sort, first, last) in [
            ("sort=net", "198.51.100.7/32", "2001:db8:7::/48"),
            ("sort=net&order=desc", "2001:db8:7::/48", "198.51.100.7/32"),
            ("sort=since", "203.0.113.0/32", "198.51.100.7/32"),
            ("sort=until", "198.51.100.7/32", "2001:db8:7::/48"),
            ("sort=until&order=desc", "2001:db8:7::/48", "198.51.100.7/32"),
        ] {
            let (mut all, mut cursor) = (Vec::new(), String::new());
            loop {
                let page = client.get(&format!("/bans?{sort}&limit={limit}{cursor}")).expect(200);
                assert_eq!(page["total"], 9);
                let nets = each(&page, "net");
                assert!(nets.len() <= limit);
                all.extend(nets);
                match page["next"].as_str() {
                    Some(next) => cursor = format!("&cursor={}", next.replace('/', "%2F")),
                    None => break,
                }
            }
            assert_eq!(all.len(), 9, "{sort} by {limit}: {all:?}");
            assert_eq!((all[0].as_str(), all[8].as_str()), (first, last), "{sort} by {limit}");
        }
    }
    let filtered = |query: &str| each(&client.get(&format!("/bans?{query}")).expect(200), "net");
    assert_eq!(filtered("origin=automatic"), ["198.51.100.7/32"]);
    assert_eq!(filtered("rule=failures"), ["198.51.100.7/32"]);
    assert_eq!(filtered("rule=users"), [""; 0]);
    assert_eq!(filtered("covering=2001:db8:7::9"), ["2001:db8:7::/48"]);
    assert_eq!(filtered("inside=203.0.113.4/31"), ["203.0.113.4/32", "203.0.113.5/32"]);
    assert_eq!(filtered("state=failed"), [""; 0]);
    assert_eq!(filtered("state=enforced").len(), 9);
}

fn an_address_is_explained() {
    let world = World::new();
    let setup = world.setup("allow = [\"203.0.113.0/24\"]\n");
    let daemon = world.watch(&setup);
    let client = setup.client();
    for user in ["1000", "1001", "1001"] {
        world.fs.failure("198.51.100.7".parse().unwrap(), 5060, user);
    }
    daemon.expect_many("auth_failure", 3, of("198.51.100.7"));

    let why = client.get("/sources/198.51.100.7").expect(200);

    assert_eq!(why["source"], "198.51.100.7/32");
    assert_eq!((&why["failures"], &why["max_failures"]), (&json!(3), &json!(5)));
    assert_eq!(why["grade"], "answered");
    assert_eq!(why["identity"], "stranger");
    assert_eq!(why["users"], json!(["1000", "1001"]));
    assert_eq!(why["bans"], json!([]));
    assert_eq!(why["kernel"]["state"], "other");
    let seen = why["seen"].as_array().unwrap();
    let users: Vec<_> = seen.iter().map(|failure| failure["user"].as_str().unwrap()).collect();
    assert_eq!(users, ["1001", "1001", "1000"], "newest first");
    assert!(seen.iter().all(|failure| failure["time"].as_str().unwrap().ends_with('Z')));

    for _ in 0..2 {
        world.fail("198.51.100.7", 1);
    }
    daemon.expect("ban");
    let why = client.get("/sources/198.51.100.7").expect(200);
    assert_eq!(why["bans"][0]["net"], "198.51.100.7/32");
    assert_eq!(why["bans"][0]["cause"]["evidence"]["failures"], 5);
    assert_eq!(why["bans"][0]["cause"]["evidence"]["users"], json!(["1001", "1000"]));
    assert_eq!(why["ban_count"], 1);
    assert_eq!(why["kernel"]["state"], "blackhole");
    let history = until(|| {
        let why = client.get("/sources/198.51.100.7").expect(200);
        let history = why["history"].as_array().unwrap().clone();
        (!history.is_empty()).then_some(history)
    });
    assert_eq!(
        (&history[0]["event"], &history[0]["net"]),
        (&json!("ban"), &json!("198.51.100.7/32"))
    );

    let why = client.get("/sources/203.0.113.5").expect(200);
    assert_eq!(why["exempt"], json!([{ "class": "allow", "net": "203.0.113.0/24" }]));
    let why = client.get(&format!("/sources/{}", GATEWAYS[0])).expect(200);
    assert_eq!(why["exempt"][0]["class"], "gateway");
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
    until(|| (blackholes(&world.pbx) == nets(["198.18.0.1/32"])).then_some(()));
    client.post("/allow", &new).expect(200);
    world.fail("198.51.100.7", 5);
    let judged = daemon.expect_many("auth_failure", 10, of("198.51.100.7")).pop().unwrap();
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

fn a_broken_file_is_told_to_whoever_reloads() {
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

fn events_are_told_as_they_happen() {
    let world = World::new();
    let setup = world.setup("");
    let daemon = world.watch(&setup);
    let mut events = setup.client().listen("");
    // What FreeSWITCH answers about its phones and gateways comes when it comes.
    let mut next = || loop {
        let told = events.event();
        if !["registrations", "trunks"].contains(&told.0.as_str()) {
            return told;
        }
    };
    world.fail("198.51.100.7", 5);

    for _ in 0..5 {
        let (name, line) = next();
        assert_eq!((name.as_str(), &line["event"]), ("auth_failure", &json!("auth_failure")));
        assert_eq!(line["source"], "198.51.100.7");
        assert!(line["time"].as_str().unwrap().ends_with('Z'), "{line}");
    }
    let (name, line) = next();
    assert_eq!(name, "ban");
    let logged = daemon.expect("ban");
    for field in ["source", "until", "enforced", "by", "failures", "users"] {
        assert_eq!(line[field], *logged.field(field), "{field} as in the log");
    }
    setup.client().delete("/bans/198.51.100.7").expect(200);
    assert_eq!(next().0, "unban");
}

fn only_the_wanted_events_are_told() {
    let world = World::new();
    let setup = world.setup("");
    let _daemon = world.watch(&setup);
    let mut events = setup.client().listen("?event=unban,ban");
    world.fail("198.51.100.7", 5);
    assert_eq!(events.event().0, "ban");
    setup.client().delete("/bans").expect(200);
    assert_eq!(events.event().0, "unban");
    assert_eq!(setup.client().get("/events?event=Ban").wrong_fields(), ["event"]);
}

fn the_history_tells_what_was_decided() {
    let world = World::new();
    let setup = world.setup("");
    let daemon = world.watch(&setup);
    let client = setup.client();
    world.fail("198.51.100.7", 5);
    daemon.expect("ban");
    client.delete("/bans/198.51.100.7").expect(200);
    client.post("/bans", &json!({ "net": "192.0.2.254" })).expect(409);
    client.post("/bans", &json!({ "net": "203.0.113.0/24", "reason": "noise" })).expect(201);

    let page = client.get("/history").expect(200);

    assert_eq!(each(&page, "event"), ["ban", "refused", "unban", "ban"]);
    let items = &page["items"];
    assert_eq!(items[0]["cause"]["comment"], "noise");
    assert_eq!(items[1]["refusal"]["class"], "gateway");
    assert_eq!(items[2]["reason"], "manual");
    assert_eq!(items[3]["cause"]["evidence"]["rule"], "failures");
    let asked = |query: &str| each(&client.get(&format!("/history?{query}")).expect(200), "event");
    assert_eq!(asked("net=198.51.100.7"), ["unban", "ban"]);
    assert_eq!(asked("net=203.0.113.9"), ["ban"], "covered by what was banned");
    assert_eq!(asked("event=refused"), ["refused"]);
    assert_eq!(asked("to=2020-01-01T00:00:00Z"), [""; 0]);
    let first = client.get("/history?limit=3").expect(200);
    let next = first["next"].as_str().unwrap();
    assert_eq!(asked(&format!("limit=3&cursor={next}")), ["ban"]);
}

fn the_latest_failures_are_told_newest_first() {
    let world = World::new();
    let setup = world.setup("");
    let daemon = world.watch(&setup);
    let client = setup.client();
    for n in 1..=5 {
        world.fail(&format!("198.18.0.{n}"), 1);
    }
    world.fs.blind_spoof("203.0.113.5".parse().unwrap());
    daemon.expect_many("auth_failure", 6, |_| true);

    let page = client.get("/failures?inside=198.18.0.0/15&limit=3").expect(200);
    assert_eq!(each(&page, "source"), ["198.18.0.5", "198.18.0.4", "198.18.0.3"]);
    assert_eq!(each(&page, "user"), ["1000"; 3]);
    let next = page["next"].as_str().unwrap();
    let page = client.get(&format!("/failures?inside=198.18.0.0/15&limit=3&cursor={next}"));
    let page = page.expect(200);
    assert_eq!(each(&page, "source"), ["198.18.0.2", "198.18.0.1"]);
    assert_eq!(page["next"], Value::Null);
    let page = client.get("/failures?grade=unproven").expect(200);
    assert_eq!(each(&page, "source"), ["203.0.113.5"]);
}

fn a_trial_says_what_would_happen_and_changes_nothing() {
    let world = World::new();
    let setup = world
        .setup("[policy]\nmax_failures = 3\n[policy.rules.log]\nmode = \"ban\"\nthreshold = 1\n");
    let daemon = world.watch(&setup);
    let client = setup.client();
    world.fail("198.51.100.7", 2);
    daemon.expect_many("auth_failure", 2, |_| true);
    let scenario = |name: &str| {
        let file = format!("{}/fixtures/freeswitch/scenarios/{name}", env!("CARGO_MANIFEST_DIR"));
        fs::read_to_string(file).unwrap()
    };
    // As FreeSWITCH sends it, with another address and without the frame around it.
    let recording = scenario("01a-register-wrongpw-udp4.plain.raw");
    let events: Vec<String> = recording
        .split("Content-Type: text/event-plain\n\n")
        .skip(1)
        .filter_map(|frame| frame.split("\n\n").next())
        .filter(|event| event.contains("register_"))
        .map(|event| {
            let line = |line: &str| match line.split_once(": ") {
                Some((name @ "network-ip", _)) => format!("{name}: 198.51.100.7"),
                _ => line.to_owned(),
            };
            event.lines().map(line).collect::<Vec<_>>().join("\n")
        })
        .collect();
    assert!(events.len() >= 2, "an attempt and a failure: {}", recording.len());

    let trial = client.post("/test", &json!({ "event": events.join("\n\n") })).expect(200);

    let read: Vec<_> = trial["read"].as_array().unwrap().clone();
    assert!(read.iter().any(|reading| reading["kind"] == "auth_failure"), "{trial:#}");
    assert!(read.iter().all(|reading| reading["source"] == "198.51.100.7"), "{trial:#}");
    let effects = trial["effects"].as_array().unwrap();
    let judged = effects.iter().find(|effect| effect["event"] == "auth_failure").unwrap();
    assert_eq!(judged["failures"], 3, "the two before and this one");
    let ban = effects.iter().find(|effect| effect["event"] == "ban").unwrap();
    assert_eq!(ban["source"], "198.51.100.7/32");
    assert_eq!(ban["failures"], 3);

    let log_line = "2026-11-23 22:10:18.437 [WARNING] sofia_reg.c:1842 SIP auth failure (REGISTER) on \
                    sofia profile 'internal' for [1000@192.0.2.1] from ip 203.0.113.99";
    let trial = client.post("/test", &json!({ "log_line": log_line })).expect(200);
    assert_eq!(trial["read"][0]["kind"], "complaint", "{trial:#}");
    assert_eq!(trial["read"][0]["source"], "203.0.113.99");
    let bans =
        trial["effects"].as_array().unwrap().iter().filter(|effect| effect["event"] == "ban");
    assert_eq!(bans.count(), 1, "{trial:#}");

    assert_eq!(client.get("/bans").expect(200)["total"], 0);
    assert_eq!(client.get("/sources/198.51.100.7").expect(200)["failures"], 2);
    assert_eq!(client.get("/status").expect(200)["totals"]["failures"], 2);
    assert_eq!(daemon.log().all("ban").len(), 0);
    for (wrong, field) in [
        (json!({}), "event"),
        (json!({ "event": "a", "log_line": "b" }), "log_line"),
        (json!({ "event": "\n\n" }), "event"),
        (json!({ "event": "x".repeat(40_000) }), "event"),
        (json!({ "event": "A: b\n\n".repeat(17) }), "event"),
    ] {
        let answer = client.post("/test", &wrong);
        assert_eq!((answer.status, answer.wrong_fields()), (422, vec![field.to_owned()]));
    }
}

fn the_socket_is_open_to_its_group_only_and_goes_with_the_daemon() {
    let world = World::new();
    let setup = world.setup("");
    let daemon = world.watch(&setup);
    let _ = setup.client().get("/status").expect(200);
    let file = fs::symlink_metadata(setup.socket()).unwrap();
    assert!(file.file_type().is_socket());
    assert_eq!(file.permissions().mode() & 0o777, 0o660);
    daemon.stop();
    assert!(!setup.socket().exists());
}

fn a_socket_left_over_is_replaced_and_a_live_one_is_not() {
    let world = World::new();
    let setup = world.setup("");
    drop(UnixListener::bind(setup.socket()).unwrap());
    let daemon = world.watch(&setup);
    let _ = setup.client().get("/status").expect(200);
    daemon.kill();
    assert!(setup.socket().exists(), "nobody was there to remove it");
    let mut daemon = world.watch(&setup);
    let _ = setup.client().get("/status").expect(200);

    // Another daemon with the same file, in observe mode so that it leaves the kernel alone.
    let config = format!(
        "mode = \"observe\"\n[store]\npath = \":memory:\"\n[api]\nsocket = \"{}\"\n",
        setup.socket().display()
    );
    let other: Setup = world.setup(&config);
    let second = world.start(&other);
    let failed = second.expect("api_failed");
    assert!(failed.text("error").contains("another sipward answers"), "{}", failed.raw);
    second.stop();

    assert!(daemon.is_running());
    assert_eq!(setup.client().get("/status").expect(200)["mode"], "ban");
    // What is no socket is not touched.
    fs::write(other.directory().join("file"), "precious").unwrap();
    let file = other.directory().join("file");
    other.configure(&format!(
        "mode = \"observe\"\n[store]\npath = \":memory:\"\n[api]\nsocket = \"{}\"\n",
        file.display()
    ));
    let third = world.start(&other);
    assert!(third.expect("api_failed").text("error").contains("is no socket"));
    assert_eq!(fs::read_to_string(file).unwrap(), "precious");
}

fn a_daemon_without_a_place_for_its_socket_says_what_to_do_and_bans_on() {
    let world = World::new();
    let setup = world.setup("[api]\nsocket = \"/nowhere/at/all/sipward.sock\"\n");
    let daemon = world.watch(&setup);
    let failed = daemon.expect("api_failed");
    for word in ["/nowhere/at/all", "RuntimeDirectory=sipward", "install -d"] {
        assert!(failed.text("error").contains(word), "{word} in {}", failed.raw);
    }
    world.fail("198.51.100.7", 5);
    daemon.expect("ban");
}
