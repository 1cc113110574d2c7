//! Recordings of a real FreeSWITCH: what counts, and what does not.

use sipward_tests::fake_freeswitch::{
    Attempt, Delivery, FakeFreeSwitch, Frame, Greeting, Outcome, Recording,
};
use sipward_tests::wait::until;

use super::kernel::{blackholes, nets};
use super::nft::sip_bans;
use super::world::{Family, NONE, World, ip, of, seen_at};

super::cases![
    blind_spoofs_ban_nobody_and_a_real_failure_does,
    an_event_forged_by_another_client_bans_nobody,
    a_failure_without_its_attempt_bans_nobody,
    every_recorded_scenario_is_understood,
    a_whole_recorded_connection_bans_the_recorded_attacker,
    an_oversized_user_agent_hides_nobody,
    bytes_that_come_one_by_one_ban_as_well,
    log_lines_that_no_event_tells_of_ban_their_sender,
];

/// At 5 these tests could not fail.
const AT_THE_FIRST: &str = "[policy]\nmax_failures = 1\n";

/// Recordings whose failures one blind packet caused.
const BLIND: [&str; 7] = [
    "scenarios/07c-madeup-nonce-username-mismatch.plain",
    "scenarios/07j-invite-blind-username-mismatch.plain",
    "scenarios/07l-username-mismatch-empty-realm-fields.plain",
    "scenarios/10d-logforge-algorithm.plain",
    "scenarios/spoof-blind-match.plain",
    "scenarios/spoof-blind-mismatch-unroutable.plain",
    "scenarios/spoof-blind-mismatch.plain",
];

/// What is judged last shows that everything before was judged.
fn nobody_but_the_last_is_banned(play: impl FnOnce(&World)) -> World {
    let world = World::new();
    let setup = world.setup(AT_THE_FIRST);
    let daemon = world.watch(&setup);

    play(&world);
    let real = Recording::load("scenarios/01a-register-wrongpw-udp4.plain").unwrap();
    world.fs.replay(real.from_source(ip("198.51.100.70")).events());

    daemon.expect_that("ban", of("198.51.100.70/32"));
    // Failures without an attempt wait for it, in order: when this one is judged, all before it were.
    let last = "198.18.250.1";
    world.fs.emit(&Attempt::new(ip(last), 5060, "1000"), Outcome::AttemptLost);
    daemon.expect_that("auth_failure", seen_at(last));
    assert_eq!(daemon.log().all("ban").len(), 1, "{}", daemon.log().text());
    assert_eq!(blackholes(&world.pbx), nets(["198.51.100.70/32"]));
    daemon.stop();
    world
}

fn blind_spoofs_ban_nobody_and_a_real_failure_does() {
    nobody_but_the_last_is_banned(|world| {
        for (n, name) in BLIND.into_iter().enumerate() {
            let recording = Recording::load(name).unwrap();
            world.fs.replay(recording.events());
            let victim = ip(&format!("198.18.1.{n}"));
            world.fs.replay(recording.from_source(victim).events());
            world.fs.blind_spoof(victim);
        }
    });
}

fn an_event_forged_by_another_client_bans_nobody() {
    nobody_but_the_last_is_banned(|world| {
        let recording = Recording::load("session/sendevent-CUSTOM").unwrap();
        world.fs.replay(recording.events());
        let victim = Attempt::new(ip("198.18.1.1"), 5060, "1000");
        world.fs.emit(&victim, Outcome::ForgedBySendevent);
    });
}

/// Where attempts are known to come at all, a failure without one proves nothing.
fn a_failure_without_its_attempt_bans_nobody() {
    nobody_but_the_last_is_banned(|world| {
        world.fs.success(ip("203.0.113.5"), 5060, "1005");
        let victim = Attempt::new(ip("198.18.1.1"), 5060, "1000");
        world.fs.emit(&victim, Outcome::AttemptLost);
    });
}

fn every_recorded_scenario_is_understood() {
    let world = World::new();
    let setup = world.setup(AT_THE_FIRST).arg("--log-level").arg("debug");
    let daemon = world.watch(&setup);
    let scenarios = Recording::all_plain_scenarios().unwrap();
    assert!(scenarios.len() > 80, "{} recordings", scenarios.len());

    for recording in &scenarios {
        world.fs.replay(recording.events());
    }
    world.fail("198.51.100.9", 1);
    daemon.expect_that("ban", of("198.51.100.9/32"));

    let ended = daemon.stop();
    for line in ended.log.lines() {
        assert_ne!(line.text("level"), "ERROR", "{}", line.raw);
        assert_ne!(line.event(), "event_unusable", "{}", line.raw);
    }
    assert_eq!(ended.log.stderr(), "");
    // Recorded over the network, so not from loopback: this one tried passwords.
    assert!(ended.log.all("ban").iter().any(|ban| ban.text("net") == "10.66.3.77/32"));
    // The other one asked for the registrations.
    assert_eq!((world.fs.lost(), world.fs.connections()), (0, 2));
}

/// From the first byte of the server's stream as it was recorded.
fn a_whole_recorded_connection_bans_the_recorded_attacker() {
    let recording = Recording::load("scenarios/ns-udp4-wrongpw.plain").unwrap();
    let world = World::with(FakeFreeSwitch::builder().greeting(Greeting::Recording(recording)));
    let setup = world.setup(AT_THE_FIRST);
    let daemon = world.start(&setup);

    daemon.expect_that("ban", of("10.66.3.77/32"));
}

fn an_oversized_user_agent_hides_nobody() {
    let world = World::new();
    let setup = world.setup(AT_THE_FIRST);
    let daemon = world.watch(&setup);
    let large = Recording::load("scenarios/ns-big-tcp-90k-percent-user-agent.plain").unwrap();
    world.fs.replay(large.from_source(ip("198.51.100.7")).events());
    daemon.expect_that("ban", of("198.51.100.7/32"));

    // As large as FreeSWITCH was seen to send it.
    let giant =
        Attempt::new(ip("198.51.100.8"), 5060, "1000").user_agent(&"\u{1}".repeat(1_900_000));
    world.fs.emit(&giant, Outcome::WrongPassword);
    daemon.expect_that("ban", of("198.51.100.8/32"));
    assert_eq!(
        world.fs.connections(),
        2,
        "the connection stays; the other asked who is registered"
    );
}

fn bytes_that_come_one_by_one_ban_as_well() {
    let world = World::with(FakeFreeSwitch::builder().delivery(Delivery::ByteByByte));
    let setup = world.setup("");
    let daemon = world.watch(&setup);
    for family in [Family::V4, Family::V6] {
        world.ban(&daemon, family);
        assert_eq!(world.attacker_arrives(family), NONE);
    }
}

/// A SUBSCRIBE for an unknown user is an event of nothing but a challenge.
fn log_lines_that_no_event_tells_of_ban_their_sender() {
    let world = World::new();
    let setup = world.setup("[policy.rules.log]\nmode = \"ban\"\nthreshold = 1\n");
    let daemon = world.watch(&setup);
    until("the command `log 4`", || {
        let commands = world.fs.commands();
        if commands.iter().any(|command| command == "log 4") {
            Ok(())
        } else {
            Err(format!("{commands:?}"))
        }
    });

    let recorded = Recording::load("scenarios/06b-subscribe-unknown-user.log").unwrap();
    for frame in recorded.frames().iter().filter(|frame| frame.content_type() == "log/data") {
        // As long as the recorded 127.0.0.1, which is never banned.
        let text = String::from_utf8_lossy(frame.bytes()).replace("127.0.0.1", "198.1.1.7");
        let (moved, _) = Frame::split_stream(text.as_bytes());
        world.fs.replay_verbatim(&moved);
    }

    let ban = daemon.expect_that("ban", of("198.1.1.7/32"));
    assert_eq!(ban.text("rule"), "log", "{}", daemon.log().text());
    // Anybody can forge such a line's sender, so the SIP ports are all that it loses.
    assert_eq!(sip_bans(&world.pbx), ["198.1.1.7/32"]);
    assert_eq!(blackholes(&world.pbx), nets([]));
    daemon.stop();
}
