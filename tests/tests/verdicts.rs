//! Every recording of a real FreeSWITCH, replayed to its verdict: `fixtures/verdicts.tsv`, one row a
//! recording.
//!
//! The first set is replayed with `max_failures = 1`: at the default of 5 a recording of one failure could
//! not show that it causes no ban. What was recorded over loopback, which is never banned, is moved to 198.51.100.7.
//! sipward is taken to have watched for two minutes before, so that a missing challenge is missing.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use bytes::BytesMut;
use sipward_engine::{Action, Engine, Input, Policy, Timestamp};
use sipward_esl::{FrameDecoder, Limits};
use sipward_ingest::bridge;
use sipward_tests::fake_freeswitch::{Frame, Recording};

/// Where loopback is moved to.
const ELSEWHERE: &str = "198.51.100.7";

/// Behind every hold and window that could still change a verdict.
const LATER: Duration = Duration::from_secs(5);

#[test]
fn every_recording_ends_in_its_verdict() {
    let policy = Policy { max_failures: 1, ..Policy::default() };
    let mut found = String::from("recording\tjudged\tbanned\n");
    for recording in recordings() {
        let Verdict { judged, banned, .. } = verdict(&recording, &policy);
        let _ = writeln!(found, "{}\t{judged}\t{banned}", recording.name());
    }
    compare("verdicts.tsv", &found);
}

/// With the default policy, and in the time in which they were recorded.
#[test]
fn every_recording_of_the_second_set_ends_in_its_verdict() {
    let mut found = String::from("recording\tjudged\tbanned\ttold\n");
    for recording in Recording::second_set().unwrap() {
        let Verdict { judged, banned, told } = verdict(&recording, &Policy::default());
        let _ = writeln!(found, "{}\t{judged}\t{banned}\t{told}", recording.name());
    }
    compare("verdicts-second.tsv", &found);
}

fn compare(fixture: &str, found: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(fixture);
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    let missing = |of: &str, from: &str, word: &str| -> Vec<String> {
        let lines = of.lines().filter(|line| !from.lines().any(|other| other == *line));
        lines.map(|line| format!("{word} {line}")).collect()
    };
    let differ =
        [missing(found, &expected, "found   "), missing(&expected, found, "expected")].concat();
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

struct Verdict {
    /// Grades and number of the failures judged.
    judged: String,
    /// The networks banned.
    banned: String,
    /// What else is reported.
    told: String,
}

fn verdict(recording: &Recording, policy: &Policy) -> Verdict {
    let mut engine = Engine::new(policy.clone(), 1).unwrap();
    let mut actions = Vec::new();
    let start = Timestamp::from_micros(1_795_000_000_000_000);
    engine.handle(Input::Blind { from: start, to: start }, start, &mut actions);
    let (mut now, mut first) = (start + Duration::from_secs(120), None);
    for frame in recording.events() {
        // Through the decoder, which cuts what is too long.
        let moved = moved(frame);
        let mut bytes = BytesMut::from(moved.bytes());
        let decoded = FrameDecoder::new(Limits::default()).decode(&mut bytes).unwrap().unwrap();
        let event = decoded.into_event().unwrap();
        let sent = frame.decoded("Event-Date-Timestamp").and_then(|sent| sent.parse::<u64>().ok());
        if let Some(sent) = sent {
            let first = *first.get_or_insert(sent);
            let since = Duration::from_micros(sent.saturating_sub(first));
            now = now.max(start + Duration::from_secs(120) + since);
        }
        bridge::translate(&event, |input| engine.handle(input, now, &mut actions));
    }
    engine.tick(now + LATER, &mut actions);
    let mut judged: BTreeMap<String, u32> = BTreeMap::new();
    let (mut banned, mut told) = (Vec::new(), BTreeSet::new());
    let word = |value: serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    for action in actions {
        match action {
            Action::Judged(judgement) => {
                let grade = word(serde_json::to_value(judgement.grade).unwrap());
                let exempt = if judgement.exempt.is_some() { " exempt" } else { "" };
                *judged.entry(format!("{grade}{exempt}")).or_default() += 1;
            }
            Action::Block { net, .. } => banned.push(net.to_string()),
            Action::NeedsAttention { source, user, .. } => {
                told.insert(format!("{source} {user} needs attention"));
            }
            Action::Slow { source, .. } => {
                told.insert(format!("{source} slowed"));
            }
            Action::Refused { net, .. } => {
                told.insert(format!("{net} refused"));
            }
            Action::Alarm(alarm) => {
                let alarm = serde_json::to_value(alarm).unwrap();
                told.insert(format!(
                    "alarm {}",
                    word(alarm.get("alarm").cloned().unwrap_or_default())
                ));
            }
            _ => {}
        }
    }
    banned.sort_unstable();
    let judged: Vec<String> = judged.iter().map(|(grade, n)| format!("{n} {grade}")).collect();
    let banned = match banned.len() {
        0..=3 => banned.join(" "),
        many => format!("{many} networks"),
    };
    let told: Vec<String> = told.into_iter().collect();
    Verdict {
        judged: or_nothing(&judged.join(", ")),
        banned: or_nothing(&banned),
        told: or_nothing(&told.join(", ")),
    }
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

fn or_nothing(text: &str) -> String {
    if text.is_empty() { "-".to_owned() } else { text.to_owned() }
}
