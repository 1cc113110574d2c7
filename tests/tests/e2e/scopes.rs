//! What of a banned host is stopped: everything, or packets to the SIP ports.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use serde_json::json;
use sipward_tests::daemon::Line;
use sipward_tests::fake_freeswitch::{Attempt, Frame, Outcome};
use sipward_tests::netns::Host;
use sipward_tests::wait::until;

use super::flows::said;
use super::kernel::{blackholes, blackholes_become, nets};
use super::nft::{look, sip_bans};
use super::packets::{SIP, WEB, Way};
use super::world::{ALL, Family, NONE, World, ip, of};

super::cases![
    a_ban_of_scope_sip_leaves_the_web_server_open,
    the_scope_of_a_ban_changes_without_a_gap,
    the_scope_of_the_policy_holds_for_all_bans_and_a_rule_may_have_its_own,
    bans_on_forgeable_evidence_and_of_networks_stop_sip_only,
];

const ATTACKER: &str = "198.51.100.7";
const BANNED: &str = "198.51.100.7/32";

/// From the attacker to a port of the PBX.
fn way(world: &World, family: Family, at: u16) -> Way<'_> {
    Way {
        from: (&world.attacker, family.attacker()),
        port: 40_000,
        to: (&world.pbx, family.pbx()),
        at,
    }
}

/// What of a host reaches the PBX.
fn reaches(world: &World, family: Family) -> [bool; 2] {
    [SIP, WEB].map(|port| way(world, family, port).is_open())
}

const EVERYTHING: [bool; 2] = [true, true];
const THE_WEB: [bool; 2] = [false, true];
const NOTHING: [bool; 2] = [false, false];

fn scope_of(line: &Line) -> &str {
    line.text("scope")
}

fn a_ban_of_scope_sip_leaves_the_web_server_open() {
    let world = World::new();
    let setup = world.setup("");
    let daemon = world.watch(&setup);
    for family in [Family::V4, Family::V6] {
        let net = family.attackers_net();
        assert_eq!(reaches(&world, family), EVERYTHING);
        let out = said(&setup, &["ban", net, "--scope", "sip"]);
        assert!(out.starts_with(&format!("{net} is banned from the SIP ports until")), "{out}");

        assert_eq!(reaches(&world, family), THE_WEB);
        let line = daemon.expect_that("ban", of(net));
        assert_eq!(
            (scope_of(&line), line.field("enforced")),
            ("sip", &json!(true)),
            "{}",
            line.raw
        );
        assert_eq!(blackholes(&world.pbx), nets([]));
        assert_eq!(sip_bans(&world.pbx), [net]);
        let shown = setup.client().get(&format!("/bans/{}", net.replace('/', "%2F"))).expect(200);
        assert_eq!((&shown["scope"], &shown["state"]), (&json!("sip"), &json!("enforced")));
        assert!(said(&setup, &["bans", "--scope", "sip"]).contains(net));
        assert_eq!(said(&setup, &["bans", "--scope", "host"]), "no bans\n");
        let why = said(&setup, &["why", family.attacker()]);
        assert!(why.contains("is BANNED") && why.contains("SIP"), "{why}");

        let made = setup.client().post("/bans", &json!({ "net": net, "scope": "host" }));
        assert_eq!(made.expect(201)["ban"]["scope"], "host");
        assert_eq!(reaches(&world, family), NOTHING);
        assert_eq!(blackholes(&world.pbx), nets([net]));
        assert_eq!(sip_bans(&world.pbx), [""; 0]);

        said(&setup, &["unban", net]);
        until("it is let in", || reaches(&world, family) == EVERYTHING);
        assert_eq!(blackholes(&world.pbx), nets([]));
        let found = look(&world.pbx);
        assert_eq!((found.hosts, found.sip_bans.len()), (0, 0));
    }
}

/// Sends without a pause to the SIP port, and counts what arrives.
struct Stream {
    goes_on: Arc<AtomicBool>,
    arrived: Arc<AtomicUsize>,
    ends: [JoinHandle<usize>; 2],
}

impl Stream {
    fn begin(from: &Host, to: &Host) -> Self {
        let goes_on = Arc::new(AtomicBool::new(true));
        let arrived = Arc::new(AtomicUsize::new(0));
        let receiver = to.udp(("192.0.2.1", SIP));
        receiver.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
        let sender = from.udp((ATTACKER, 0));
        let (sending, receiving) = (Arc::clone(&goes_on), Arc::clone(&goes_on));
        let count = Arc::clone(&arrived);
        let ends = [
            thread::spawn(move || {
                let mut sent = 0;
                while sending.load(Ordering::Relaxed) {
                    sent += usize::from(sender.send_to(b"x", ("192.0.2.1", SIP)).is_ok());
                    thread::sleep(Duration::from_micros(200));
                }
                sent
            }),
            thread::spawn(move || {
                while receiving.load(Ordering::Relaxed) {
                    count.fetch_add(
                        usize::from(receiver.recv_from(&mut [0; 16]).is_ok()),
                        Ordering::Relaxed,
                    );
                }
                0
            }),
        ];
        Self { goes_on, arrived, ends }
    }

    /// Packets sent, and packets that arrived.
    fn end(self) -> (usize, usize) {
        // The last are on their way.
        thread::sleep(Duration::from_millis(100));
        self.goes_on.store(false, Ordering::Relaxed);
        let sent: usize = self.ends.into_iter().map(|end| end.join().unwrap()).sum();
        (sent, self.arrived.load(Ordering::Relaxed))
    }
}

fn the_scope_of_a_ban_changes_without_a_gap() {
    let world = World::new();
    let setup = world.setup("");
    let _daemon = world.watch(&setup);
    said(&setup, &["ban", ATTACKER, "--scope", "sip"]);
    let stream = Stream::begin(&world.attacker, &world.pbx);

    for (scope, routes) in [("host", vec![BANNED]), ("sip", vec![]), ("host", vec![BANNED])] {
        said(&setup, &["ban", ATTACKER, "--scope", scope]);
        blackholes_become(&world.pbx, routes);
    }

    let (sent, arrived) = stream.end();
    assert!(sent > 100, "{sent} packets prove nothing");
    assert_eq!(arrived, 0, "of {sent}");
    // The same stream arrives when nothing stops it.
    said(&setup, &["unban", ATTACKER]);
    until("it is let in", || way(&world, Family::V4, SIP).udp());
    let stream = Stream::begin(&world.attacker, &world.pbx);
    until("a packet that arrives", || stream.arrived.load(Ordering::Relaxed) > 0);
    stream.end();
}

fn the_scope_of_the_policy_holds_for_all_bans_and_a_rule_may_have_its_own() {
    let world = World::new();
    let policy = "[policy]\nscope = \"sip\"\n[policy.rules.user_agents]\nscope = \"host\"\n";
    let setup = world.setup(policy);
    let daemon = world.watch(&setup);
    world.fail(ATTACKER, 5);
    let ban = daemon.expect_that("ban", of(BANNED));
    assert_eq!((ban.text("rule"), scope_of(&ban)), ("failures", "sip"));
    assert_eq!(reaches(&world, Family::V4), THE_WEB);
    // By hand, too, unless it is said.
    said(&setup, &["ban", "203.0.113.77"]);
    assert_eq!(scope_of(&daemon.expect_that("ban", of("203.0.113.77/32"))), "sip");

    let attempt = Attempt::new(ip("198.18.0.4"), 5060, "1000").user_agent("friendly-scanner");
    world.fs.emit(&attempt, Outcome::WrongPassword);
    let ban = daemon.expect_that("ban", of("198.18.0.4/32"));
    assert_eq!((ban.text("rule"), scope_of(&ban)), ("user_agents", "host"));
    assert_eq!(blackholes(&world.pbx), nets(["198.18.0.4/32"]));
    assert_eq!(sip_bans(&world.pbx), [BANNED, "203.0.113.77/32"]);

    // What is changed while the daemon runs holds for later bans.
    said(&setup, &["policy", "set", "scope=host", "rules.user_agents.scope=sip"]);
    world.fail("198.18.0.9", 5);
    assert_eq!(scope_of(&daemon.expect_that("ban", of("198.18.0.9/32"))), "host");
    let attempt = Attempt::new(ip("198.18.0.5"), 5060, "1000").user_agent("friendly-scanner");
    world.fs.emit(&attempt, Outcome::WrongPassword);
    assert_eq!(scope_of(&daemon.expect_that("ban", of("198.18.0.5/32"))), "sip");
    assert_eq!(reaches(&world, Family::V4), THE_WEB, "bans that stand keep theirs");
}

fn bans_on_forgeable_evidence_and_of_networks_stop_sip_only() {
    let world = World::new();
    let policy = "[policy]\nscope = \"host\"\n[policy.rules.report]\nscope = \"host\"\n\
                  [policy.rules.network]\nscope = \"host\"\n";
    let setup = world.setup_with_networks(policy);
    let daemon = world.watch(&setup);
    let report = Frame::event_plain(&format!(
        "Event-Subclass: sipward%3A%3Areport\nEvent-Name: CUSTOM\nCore-UUID: {}\nEvent-Calling-File: \
         mod_dptools.c\nsipward-address: {ATTACKER}\nsipward-reason: unauthenticated%20call\n\n",
        world.fs.core_uuid()
    ));
    world.fs.replay_verbatim(&[report.clone(), report.clone(), report]);
    let ban = daemon.expect_that("ban", of(BANNED));
    assert_eq!((ban.text("rule"), scope_of(&ban)), ("report", "sip"), "{}", ban.raw);
    assert_eq!(reaches(&world, Family::V4), THE_WEB);

    for n in 0..24 {
        world.fail(&format!("198.18.3.{n}"), 1);
    }
    let ban = daemon.expect_that("ban", of("198.18.3.0/24"));
    assert_eq!((ban.text("rule"), scope_of(&ban)), ("network", "sip"), "{}", ban.raw);
    assert_eq!(sip_bans(&world.pbx), ["198.18.3.0/24", BANNED]);
    assert_eq!(blackholes(&world.pbx), nets([]));

    // Proven failures of the same policy stop the host.
    world.fail("198.18.4.4", 5);
    assert_eq!(scope_of(&daemon.expect_that("ban", of("198.18.4.4/32"))), "host");
    assert_eq!(world.phone_arrives(Family::V4), ALL);
    assert_ne!(world.attacker_arrives(Family::V4), NONE, "ports of others are open");
}
