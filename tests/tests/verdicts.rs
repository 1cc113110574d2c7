//! Every recording of a real FreeSWITCH, replayed to its verdict: `fixtures/verdicts.tsv`, one row a
//! recording.
//!
//! Replayed with `max_failures = 1`: at the default of 5 a recording of one failure could not show that
//! it bans nobody. What was recorded over loopback, which is never banned, is moved to 198.51.100.7.
//! sipward is taken to have watched for two minutes before, so that a missing challenge is missing.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use sipward::bridge;
use sipward_engine::{Action, Engine, Input, Policy, Timestamp};
use sipward_esl::Event;
use sipward_tests::fake_freeswitch::{Frame, Recording};

/// Where loopback is moved to.
const ELSEWHERE: &str = "198.51.100.7";

/// Behind every hold and window that could still change a verdict.
const LATER: Duration = Duration::from_secs(5);

#[test]
fn every_recording_ends_in_its_verdict() {
    let mut found = String::from("recording\tjudged\tbanned\n");
    for recording in recordings() {
        let (judged, banned) = verdict(&recording);
        let _ = writeln!(found, "{}\t{judged}\t{banned}", recording.name());
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/verdicts.tsv");
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    let differ: Vec<String> = found
        .lines()
        .filter(|line| !expected.lines().any(|known| known == *line))
        .map(|line| format!("found    {line}"))
        .chain(
            expected
                .lines()
                .filter(|line| !found.lines().any(|now| now == *line))
                .map(|line| format!("expected {line}")),
        )
        .collect();
    assert!(differ.is_empty(), "{}:\n{}", path.display(), differ.join("\n"));
}

/// Those of the scenarios, and of the sessions in which something failed.
fn recordings() -> Vec<Recording> {
    let mut all = Recording::all_plain_scenarios().unwrap();
    for session in
        ["sendevent-CUSTOM", "filter", "shutdown-sigkill.plain", "slow-consumer-killed.tail"]
    {
        all.push(Recording::load(&format!("session/{session}")).unwrap());
    }
    all
}

/// Grades and number of the failures judged, and the networks banned.
fn verdict(recording: &Recording) -> (String, String) {
    let policy = Policy { max_failures: 1, ..Policy::default() };
    let mut engine = Engine::new(policy, 1).unwrap();
    let mut actions = Vec::new();
    let start = Timestamp::from_micros(1_795_000_000_000_000);
    engine.handle(Input::Blind { from: start, to: start }, start, &mut actions);
    let mut now = start + Duration::from_secs(120);
    for frame in recording.events() {
        let event = Event::from_plain(body(&moved(frame)));
        now = now + Duration::from_millis(20);
        bridge::translate(&event, |input| engine.handle(input, now, &mut actions));
    }
    engine.tick(now + LATER, &mut actions);
    let mut judged: BTreeMap<String, u32> = BTreeMap::new();
    let mut banned = Vec::new();
    for action in actions {
        match action {
            Action::Judged(judgement) => {
                let grade = serde_json::to_value(judgement.grade).unwrap();
                let exempt = if judgement.exempt.is_some() { " exempt" } else { "" };
                *judged.entry(format!("{}{exempt}", grade.as_str().unwrap())).or_default() += 1;
            }
            Action::Block { net, .. } => banned.push(net.to_string()),
            _ => {}
        }
    }
    banned.sort_unstable();
    let judged: Vec<String> = judged.iter().map(|(grade, n)| format!("{n} {grade}")).collect();
    let banned = match banned.len() {
        0..=3 => banned.join(" "),
        many => format!("{many} networks"),
    };
    (or_nothing(&judged.join(", ")), or_nothing(&banned))
}

/// The event as if it had not come over loopback.
fn moved(frame: &Frame) -> Frame {
    let source = frame.decoded("network-ip").and_then(|source| source.parse::<IpAddr>().ok());
    if source.is_some_and(|source| source.is_loopback()) {
        frame.from_source(ELSEWHERE.parse().unwrap())
    } else {
        frame.clone()
    }
}

/// The event inside its envelope.
fn body(frame: &Frame) -> Vec<u8> {
    let bytes = frame.bytes();
    let end = bytes.windows(2).position(|two| two == b"\n\n").unwrap();
    bytes.split_at(end + 2).1.to_vec()
}

fn or_nothing(text: &str) -> String {
    if text.is_empty() { "-".to_owned() } else { text.to_owned() }
}
