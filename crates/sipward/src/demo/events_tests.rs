use super::*;

/// Header names of each event of a stream, in order.
fn headers(stream: &str) -> Vec<Vec<&str>> {
    stream
        .split("\n\n")
        .filter(|part| part.starts_with("Event-"))
        .map(|event| event.lines().filter_map(|line| Some(line.split_once(": ")?.0)).collect())
        .collect()
}

/// What the demo leaves out: they say nothing about the request.
fn told_by_the_core(name: &&str) -> bool {
    ["Event-Date-Local", "Event-Date-GMT"].contains(name)
}

#[test]
fn a_failure_has_the_headers_of_the_recording_in_its_order() {
    let recording =
        include_str!("../../../../tests/fixtures/freeswitch/scenarios/ns-udp4-wrongpw.plain.raw");
    let request = Request {
        source: "203.0.113.7".parse().unwrap(),
        port: 5060,
        user: "1000",
        agent: "friendly-scanner",
    };
    let made = Events::new(7).failure(request);
    let mut recorded = headers(recording);
    for event in &mut recorded {
        event.retain(|name| !told_by_the_core(name));
    }
    assert_eq!(headers(&made), recorded);
}

#[test]
fn a_blind_spoof_has_the_headers_of_the_recording_in_its_order() {
    let recording = include_str!(
        "../../../../tests/fixtures/freeswitch/scenarios/spoof-blind-mismatch.plain.raw"
    );
    let request =
        Request { source: "192.0.2.20".parse().unwrap(), port: 5060, user: "1001", agent: "spoof" };
    let made = Events::new(7).blind_spoof(request);
    let mut recorded = headers(recording);
    for event in &mut recorded {
        event.retain(|name| !told_by_the_core(name));
    }
    assert_eq!(headers(&made), recorded);
    assert!(made.contains("\nusername: unknown\n"));
}
