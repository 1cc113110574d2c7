//! One flow of a host that must not be banned is denied, in the kernel and in every list.

use std::fs;
use std::process::Command;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use sipward_route::GateState;
use sipward_tests::daemon::{Daemon, Setup};
use sipward_tests::fake_freeswitch::{Attempt, Outcome};
use sipward_tests::wait::{PATIENCE, until};

use super::kernel::{blackholes, nets};
use super::nft::{denied, look, sip_bans};
use super::packets::{SIP, WEB, Way};
use super::world::{World, ip, of, seen_at};

super::cases![
    a_known_hosts_flow_is_denied_and_its_other_ports_pass,
    the_list_of_flows_is_paged_and_allows_what_is_asked_for,
    the_port_of_a_registration_is_never_denied,
    a_registration_from_a_denied_port_allows_it,
    in_observe_mode_a_flow_is_denied_in_the_log_only,
    a_replay_shows_the_flows_that_would_be_denied,
];

/// The phone of these tests.
pub(crate) const PHONE: &str = "203.0.113.5";

/// Failures that cost a known host a flow (`known_max_failures`).
pub(crate) const FAILURES: u16 = 20;

/// Makes the phone's host known: a user logs in from a port and leaves again.
pub(crate) fn make_known(world: &World) {
    let phone = Attempt::new(ip(PHONE), 5060, "1000");
    world.fs.emit(&phone, Outcome::Registered);
    world.fs.emit(&phone, Outcome::Unregistered);
}

/// Wrong passwords from one port of the phone's host.
pub(crate) fn guess(world: &World, port: u16, times: u16) {
    for _ in 0..times {
        world.fs.failure(ip(PHONE), port, "2000");
    }
}

/// Waits until both protocols of a port are reported as denied.
pub(crate) fn denial(daemon: &Daemon, port: u16) {
    for flow in flows_of(port) {
        let line = daemon.expect_that("flow_denied", |line| line.text("flow") == flow);
        assert_eq!(line.text("address"), PHONE);
        assert_eq!(line.field("enforced"), true, "{}", line.raw);
    }
}

/// A port's flows, as they are written for people.
pub(crate) fn flows_of(port: u16) -> [String; 2] {
    ["udp", "tcp"].map(|transport| format!("{PHONE} {transport} {port}"))
}

/// From a port of the phone to a port of the PBX.
pub(crate) fn way(world: &World, port: u16, at: u16) -> Way<'_> {
    Way { from: (&world.phone, PHONE), port, to: (&world.pbx, "192.0.2.1"), at }
}

/// What a command prints, when it succeeds.
pub(crate) fn said(setup: &Setup, words: &[&str]) -> String {
    let done = setup.shell(words);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(done.status.success(), "{words:?}: {}{}", text(&done.stdout), text(&done.stderr));
    text(&done.stdout)
}

fn a_known_hosts_flow_is_denied_and_its_other_ports_pass() {
    let world = World::new();
    let setup = world.setup("");
    let daemon = world.watch(&setup);
    make_known(&world);
    guess(&world, 41_234, FAILURES - 1);
    daemon.expect_many("auth_failure", usize::from(FAILURES - 1), seen_at(PHONE));
    assert!(daemon.log().all("flow_denied").is_empty(), "one failure too few");
    assert!(way(&world, 41_234, SIP).is_open());

    guess(&world, 41_234, 1);

    denial(&daemon, 41_234);
    assert_eq!(denied(&world.pbx), flows_of(41_234));
    assert!(!way(&world, 41_234, SIP).is_open());
    assert!(way(&world, 41_234, WEB).is_open(), "a flow is one to the SIP ports");
    assert!(way(&world, 41_236, SIP).is_open(), "the other phones behind the address");
    assert_eq!(blackholes(&world.pbx), nets([]));
    assert_eq!(sip_bans(&world.pbx), [""; 0]);
    assert!(daemon.log().all("ban").is_empty());

    let line = daemon.log().all("flow_denied").remove(0);
    assert_eq!((line.text("rule"), line.number("failures")), ("failures", Some(20)));
    let why = said(&setup, &["why", PHONE]);
    assert!(why.contains("is not banned") && why.contains(&flows_of(41_234)[0]), "{why}");
    let told = setup.client().get(&format!("/sources/{PHONE}")).expect(200);
    assert_eq!(told["flows"].as_array().map(Vec::len), Some(2), "{told:#}");
    let history = said(&setup, &["history", "--event", "flow-denied"]);
    assert!(history.contains(&flows_of(41_234)[1]), "{history}");
    let bans = said(&setup, &["bans"]);
    assert_eq!(bans, "no bans\n");
}

fn the_list_of_flows_is_paged_and_allows_what_is_asked_for() {
    let world = World::new();
    let setup = world.setup("");
    let daemon = world.watch(&setup);
    assert_eq!(said(&setup, &["flows"]), "no denied flows\n");
    make_known(&world);
    guess(&world, 41_234, FAILURES);
    denial(&daemon, 41_234);
    // A source that goes on from another port is denied there too.
    guess(&world, 41_236, 1);
    denial(&daemon, 41_236);
    let [udp, tcp] = flows_of(41_234);

    let page = setup.client().get("/flows?limit=3").expect(200);
    assert_eq!(page["total"], 4);
    let flow = |page: &Value, n: usize| page["items"][n]["flow"].as_str().unwrap().to_owned();
    assert_eq!(
        [flow(&page, 0), flow(&page, 1), flow(&page, 2)],
        [udp.clone(), flows_of(41_236)[0].clone(), tcp.clone()]
    );
    assert_eq!(page["items"][0]["state"], "enforced", "{page:#}");
    let left = page["items"][0]["remaining_seconds"].as_f64().unwrap();
    assert!((500.0..=600.0).contains(&left), "{left} s of ten minutes");
    let cursor = page["next"].as_str().unwrap().replace(' ', "%20");
    let rest = setup.client().get(&format!("/flows?limit=3&cursor={cursor}")).expect(200);
    assert_eq!(flow(&rest, 0), flows_of(41_236)[1]);
    assert_eq!(rest["next"], Value::Null);
    let elsewhere = setup.client().get("/flows?inside=198.51.100.0/24").expect(200);
    assert_eq!(elsewhere["total"], 0);
    let text = said(&setup, &["flows", PHONE]);
    assert!(text.contains(&udp) && text.contains("enforced") && text.contains("2000"), "{text}");

    let path = format!("/flows/{}", udp.replace(' ', "%20"));
    assert_eq!(setup.client().delete(&path).expect(200)["flow"], udp.as_str());
    assert_eq!(setup.client().delete(&path).status, 404, "it is allowed already");
    assert_eq!(setup.client().delete("/flows/203.0.113.5").status, 422);
    let line = daemon.expect_that("flow_allowed", |line| line.text("flow") == udp);
    assert_eq!((line.text("address"), line.text("reason")), (PHONE, "manual"));
    until("UDP passes", || way(&world, 41_234, SIP).udp());
    assert!(!way(&world, 41_234, SIP).tcp(), "only what was asked for");
    assert_eq!(said(&setup, &["flows", "--allow", &tcp]), format!("{tcp} is allowed\n"));
    until("TCP passes", || way(&world, 41_234, SIP).tcp());

    guess(&world, 41_234, 1);
    let refused = daemon.expect_that("refused", of(&format!("{PHONE}/32")));
    assert_eq!(refused.text("reason"), "denied_lately", "{}", refused.raw);
    let lifted = said(&setup, &["unban", PHONE]);
    assert_eq!(lifted, "203.0.113.5/32 was not banned; 2 denied flows allowed again\n");
    until("all pass", || denied(&world.pbx).is_empty());
}

/// Guesses that leave from the port of a registration: any sender can write that port into a packet.
fn the_port_of_a_registration_is_never_denied() {
    let world = World::new();
    let setup = world.setup("");
    let daemon = world.watch(&setup);
    world.fs.success(ip(PHONE), 5060, "1000");
    for n in 0..70_u16 {
        world.fs.failure(ip(PHONE), 5060, ["2000", "2001"][usize::from(n % 2)]);
    }
    daemon.expect_many("auth_failure", 70, seen_at(PHONE));
    // Other rules report what they would do to a stranger.
    let refused = daemon.expect_that("refused", |line| line.text("reason") == "registered");
    assert_eq!(refused.text("net"), "203.0.113.5/32");
    assert!(daemon.log().all("flow_denied").is_empty());
    // What comes from another port loses that one.
    for n in 0..70_u16 {
        world.fs.failure(ip(PHONE), 5070, ["2000", "2001"][usize::from(n % 2)]);
    }
    denial(&daemon, 5070);

    assert_eq!(denied(&world.pbx), flows_of(5070));
    assert!(way(&world, 5060, SIP).is_open());
    assert!(!way(&world, 5070, SIP).is_open());
}

fn a_registration_from_a_denied_port_allows_it() {
    let world = World::new();
    let setup = world.setup("");
    let daemon = world.watch(&setup);
    make_known(&world);
    guess(&world, 5070, FAILURES);
    denial(&daemon, 5070);
    assert!(!way(&world, 5070, SIP).is_open());

    world.fs.success(ip(PHONE), 5070, "1000");

    for flow in flows_of(5070) {
        let line = daemon.expect_that("flow_allowed", |line| line.text("flow") == flow);
        assert_eq!(line.text("reason"), "registered");
    }
    until("its flows are allowed", || denied(&world.pbx).is_empty());
    assert!(way(&world, 5070, SIP).is_open());
    guess(&world, 5070, 5);
    daemon.expect_many("auth_failure", usize::from(FAILURES) + 5, seen_at(PHONE));
    assert_eq!(denied(&world.pbx), [""; 0]);
}

fn in_observe_mode_a_flow_is_denied_in_the_log_only() {
    let world = World::new();
    let setup = world.setup("mode = \"observe\"\n");
    let daemon = world.watch(&setup);
    make_known(&world);
    guess(&world, 41_234, FAILURES);

    for flow in flows_of(41_234) {
        let line = daemon.expect_that("flow_denied", |line| line.text("flow") == flow);
        assert_eq!(line.field("enforced"), false, "{}", line.raw);
    }
    let made = said(&setup, &["ban", "198.51.100.7", "--scope", "sip"]);
    assert!(made.contains("observe"), "{made}");
    let found = look(&world.pbx);
    assert_eq!(found.gate, GateState::Missing);
    assert!(found.flows.is_empty() && found.sip_bans.is_empty() && found.bans.is_empty());
    assert!(way(&world, 41_234, SIP).is_open());
    let page = setup.client().get("/flows").expect(200);
    assert_eq!(page["total"], 2, "{page:#}");
    said(&setup, &["flows", "--allow", &flows_of(41_234)[0]]);
}

fn a_replay_shows_the_flows_that_would_be_denied() {
    let world = World::new();
    let setup = world.setup("");
    let file = setup.directory().join("events.raw");
    // It reads no configuration file.
    let with_file = setup.command(&[]);
    let environment = with_file.get_envs().filter_map(|(name, value)| Some((name, value?)));
    let mut recorder = Command::new(with_file.get_program());
    recorder.args(["record", file.to_str().unwrap()]).env_clear().envs(environment);
    let mut recorder = world.pbx.run(|| recorder.spawn()).unwrap();
    world.fs.wait_for_subscription(PATIENCE).unwrap();
    make_known(&world);
    guess(&world, 41_234, FAILURES);
    let written = || fs::read(&file).unwrap_or_default();
    let failures = |bytes: &[u8]| {
        let text = String::from_utf8_lossy(bytes);
        text.matches("sofia%3A%3Aregister_failure").count()
    };
    until("all is written", || failures(&written()) >= usize::from(FAILURES));
    kill(Pid::from_raw(i32::try_from(recorder.id()).unwrap()), Signal::SIGINT).unwrap();
    assert!(recorder.wait().unwrap().success());

    let shown = said(&setup, &["replay", file.to_str().unwrap()]);

    assert!(shown.contains("Flows denied"), "{shown}");
    assert!(shown.contains(&flows_of(41_234)[0]), "{shown}");
    let json: Value =
        serde_json::from_str(&said(&setup, &["replay", file.to_str().unwrap(), "--json"])).unwrap();
    let flows = &json["policies"][0]["flows"];
    assert_eq!(flows["total"], 2, "{flows:#}");
    assert_eq!(json["policies"][0]["bans"]["total"], 0);
}
