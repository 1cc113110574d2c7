//! The control socket: the state of the daemon, its answers, and its permissions.

use std::fs;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::os::unix::net::UnixListener;

use serde_json::{Value, json};
use sipward_tests::daemon::Setup;
use sipward_tests::wait::until;

use super::world::{GATEWAYS, World, seen_at};

super::cases![
    status_tells_how_the_daemon_stands,
    an_address_is_explained,
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
pub(super) fn each(page: &Value, field: &str) -> Vec<String> {
    let items = page["items"].as_array().expect("items");
    items.iter().map(|item| item[field].as_str().expect("text").to_owned()).collect()
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
    let status = until("an error of the connection", || {
        let status = setup.client().get("/status").expect(200);
        (status["event_socket"]["error"].is_string()).then_some(status)
    });
    assert_eq!(status["event_socket"]["connected"], false);
    assert_eq!(status["event_socket"]["peer"], Value::Null);
}

fn an_address_is_explained() {
    let world = World::new();
    let setup = world.setup("allow = [\"203.0.113.0/24\"]\n");
    let daemon = world.watch(&setup);
    let client = setup.client();
    for user in ["1000", "1001", "1001"] {
        world.fs.failure("198.51.100.7".parse().unwrap(), 5060, user);
    }
    daemon.expect_many("auth_failure", 3, seen_at("198.51.100.7"));

    let why = client.get("/sources/198.51.100.7").expect(200);

    assert_eq!(why["net"], "198.51.100.7/32");
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
    let history = until("the ban in the history", || {
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
        assert_eq!(line["address"], "198.51.100.7");
        assert!(line["time"].as_str().unwrap().ends_with('Z'), "{line}");
    }
    let (name, line) = next();
    assert_eq!(name, "ban");
    let logged = daemon.expect("ban");
    for field in ["net", "until", "enforced", "by", "failures", "users"] {
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
    assert_eq!(each(&page, "address"), ["198.18.0.5", "198.18.0.4", "198.18.0.3"]);
    assert_eq!(each(&page, "user"), ["1000"; 3]);
    let next = page["next"].as_str().unwrap();
    let page = client.get(&format!("/failures?inside=198.18.0.0/15&limit=3&cursor={next}"));
    let page = page.expect(200);
    assert_eq!(each(&page, "address"), ["198.18.0.2", "198.18.0.1"]);
    assert_eq!(page["next"], Value::Null);
    let page = client.get("/failures?grade=unproven").expect(200);
    assert_eq!(each(&page, "address"), ["203.0.113.5"]);
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
    assert!(read.iter().all(|reading| reading["address"] == "198.51.100.7"), "{trial:#}");
    let effects = trial["effects"].as_array().unwrap();
    let judged = effects.iter().find(|effect| effect["event"] == "auth_failure").unwrap();
    assert_eq!(judged["failures"], 3, "the two before and this one");
    let ban = effects.iter().find(|effect| effect["event"] == "ban").unwrap();
    assert_eq!(ban["net"], "198.51.100.7/32");
    assert_eq!(ban["failures"], 3);

    let log_line = "2026-11-23 22:10:18.437 [WARNING] sofia_reg.c:1842 SIP auth failure (REGISTER) on \
                    sofia profile 'internal' for [1000@192.0.2.1] from ip 203.0.113.99";
    let trial = client.post("/test", &json!({ "log_line": log_line })).expect(200);
    assert_eq!(trial["read"][0]["kind"], "complaint", "{trial:#}");
    assert_eq!(trial["read"][0]["address"], "203.0.113.99");
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
    // What is not a socket is not touched.
    fs::write(other.directory().join("file"), "precious").unwrap();
    let file = other.directory().join("file");
    other.configure(&format!(
        "mode = \"observe\"\n[store]\npath = \":memory:\"\n[api]\nsocket = \"{}\"\n",
        file.display()
    ));
    let third = world.start(&other);
    assert!(third.expect("api_failed").text("error").contains("is not a socket"));
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
