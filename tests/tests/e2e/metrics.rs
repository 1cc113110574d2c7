//! What Prometheus reads, and where the daemon reports besides.

use std::fs;
use std::io::{Read as _, Write as _};
use std::path::Path;

use sipward_tests::daemon::Setup;
use sipward_tests::wait::{PATIENCE, until};

use super::world::{Family, World, of};

super::cases![
    prometheus_is_told_of_ipv4,
    prometheus_is_told_of_ipv6,
    a_ban_is_posted_signed_and_a_slow_receiver_delays_no_ban,
];

fn prometheus_is_told_of_ipv4() {
    prometheus_is_told(Family::V4, "v4");
}

fn prometheus_is_told_of_ipv6() {
    prometheus_is_told(Family::V6, "v6");
}

/// Leaves what it read for `promtool check metrics` of `.ci/run`.
fn prometheus_is_told(family: Family, name: &str) {
    let world = World::new();
    let setup = world.setup("");
    let daemon = world.watch(&setup);
    world.ban(&daemon, family);
    let text = scrape_until(&setup, "sipward_bans_total{by=\"failures\"} 1");
    for line in [
        "sipward_failures_total{profile=\"internal\",grade=\"answered\"} 5",
        "sipward_bans_active 1",
        "sipward_routes 1",
        "sipward_bans_not_enforced 0",
        "sipward_event_to_route_seconds_count 1",
        "sipward_esl_connected 1",
        "sipward_esl_disconnected_seconds 0",
        "sipward_gate{family=\"ipv4\"} 1",
        "sipward_gate{family=\"ipv6\"} 1",
        "sipward_observe 0",
        "sipward_store_up 1",
        "sipward_records_missed_total{by=\"metrics\"} 0",
    ] {
        assert!(text.lines().any(|found| found == line), "no {line} in:\n{text}");
    }
    let file = format!("metrics-{name}.prom");
    fs::write(Path::new(env!("CARGO_TARGET_TMPDIR")).join(file), &text).unwrap();
    daemon.stop();
    let daemon = world.watch(&setup);
    // Counts begin anew with each start, and the ban stands.
    let text = scrape_until(&setup, "sipward_bans_active 1");
    assert!(text.contains("\nsipward_event_to_route_seconds_count 0\n"), "{text}");
    daemon.stop();
}

/// The metrics, as soon as `line` is among them.
pub(crate) fn scrape_until(setup: &Setup, line: &str) -> String {
    until(line, || {
        let text = scrape(setup);
        if text.lines().any(|found| found == line) { Ok(text) } else { Err(text) }
    })
}

fn scrape(setup: &Setup) -> String {
    let mut stream = setup.client().connect();
    let request = "GET /metrics HTTP/1.1\r\nHost: sipward\r\nConnection: close\r\n\r\n";
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    let kind = "content-type: text/plain; version=0.0.4; charset=utf-8";
    assert!(head.to_ascii_lowercase().contains(kind), "{head}");
    body.to_owned()
}

fn a_ban_is_posted_signed_and_a_slow_receiver_delays_no_ban() {
    let world = World::new();
    // Accepts nothing until the ban stands: a connection waits in its queue meanwhile.
    let receiver = world.pbx.tcp("127.0.0.1:0");
    let url = format!("http://{}/hook", receiver.local_addr().unwrap());
    let config = format!("[webhook]\nurls = [\"{url}\"]\nevents = [\"ban\"]\n");
    let daemon = world.watch(&world.setup(&config).env("WEBHOOK_SECRET", "k3y"));
    world.fail("198.51.100.7", 5);
    let ban = daemon.expect_that("ban", of("198.51.100.7/32"));
    assert_eq!(ban.field("enforced"), &true);
    let (mut stream, _) = receiver.accept().unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut request = Vec::new();
    while !request.ends_with(b"}") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        request.push(byte[0]);
    }
    stream.write_all(b"HTTP/1.1 204 x\r\n\r\n").unwrap();
    let request = String::from_utf8(request).unwrap();
    assert!(request.starts_with("POST /hook HTTP/1.1\r\n"), "{request}");
    let head = request.to_ascii_lowercase();
    assert!(head.contains("\r\nx-sipward-event: ban\r\n"), "{request}");
    assert!(head.contains("\r\nx-sipward-signature: sha256="), "{request}");
    assert!(request.contains("\"net\":\"198.51.100.7/32\""), "{request}");
    daemon.stop();
}
