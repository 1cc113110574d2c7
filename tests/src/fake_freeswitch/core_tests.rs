use super::Core;
use crate::fake_freeswitch::{Attempt, Frame, Outcome, Recording};

/// Header names of an event, in order.
fn names(event: &Frame) -> Vec<String> {
    String::from_utf8_lossy(event.bytes())
        .lines()
        .filter_map(|line| line.split_once(": ").map(|(name, _)| name.to_owned()))
        .collect()
}

fn attempt() -> Attempt {
    Attempt::new("127.0.0.1".parse().unwrap(), 33752, "1000")
}

/// Headers that differ from one moment or call to the next.
const CHANGING: [&str; 6] = [
    "Core-UUID",
    "Event-Date-Local",
    "Event-Date-GMT",
    "Event-Date-Timestamp",
    "Event-Sequence",
    "call-id",
];

#[test]
fn a_made_up_failure_equals_the_recorded_one_but_for_time_and_identity() {
    let recording = Recording::load("scenarios/01a-register-wrongpw-udp4.plain").unwrap();

    let made_up = Core::new().events(&attempt(), Outcome::WrongPassword);

    assert_eq!(made_up.len(), 3);
    for (ours, theirs) in made_up.iter().zip(recording.events()) {
        let mut ours = ours.clone();
        for name in CHANGING {
            if let Some(value) = theirs.decoded(name) {
                ours = ours.with_header(name, &value);
            }
        }
        assert_eq!(String::from_utf8_lossy(ours.bytes()), String::from_utf8_lossy(theirs.bytes()));
    }
}

#[test]
fn the_end_of_a_registration_has_the_headers_of_the_recorded_one() {
    for (recording, outcome) in [
        ("scenarios/04a-register-ok-rereg-unreg.plain", Outcome::Unregistered),
        ("scenarios/04b-register-expire.plain", Outcome::Expired),
    ] {
        let recording = Recording::load(recording).unwrap();
        let theirs = recording.events().last().unwrap();
        let made_up = Core::new().events(&attempt(), outcome);
        let ours = made_up.last().unwrap();
        assert_eq!(names(ours), names(theirs));
        assert_eq!(ours.decoded("Event-Subclass"), theirs.decoded("Event-Subclass"));
    }
}

#[test]
fn sequence_numbers_rise_with_the_gaps_of_the_recording() {
    let sequences: Vec<u64> = Core::new()
        .events(&attempt(), Outcome::WrongPassword)
        .iter()
        .filter_map(|event| event.decoded("Event-Sequence")?.parse().ok())
        .collect();

    assert_eq!(sequences, [441, 443, 444], "579, 581, 582 in the recording");
}

#[test]
fn a_blind_spoof_has_the_headers_of_the_recorded_one() {
    let recording = Recording::load("scenarios/spoof-blind-mismatch.plain").unwrap();

    let made_up = Core::new().events(&attempt(), Outcome::BlindSpoof);

    let ours: Vec<_> = made_up.iter().map(names).collect();
    let theirs: Vec<_> = recording.events().map(names).collect();
    assert_eq!(ours, theirs);
    assert_eq!(made_up[0].decoded("username").as_deref(), Some("unknown"));
    assert_eq!(made_up[0].decoded("auth-result").as_deref(), Some("FORBIDDEN"));
}

#[test]
fn an_event_forged_by_another_client_shows_that_it_is() {
    let recording = Recording::load("session/sendevent-CUSTOM").unwrap();
    let theirs = recording.events().last().unwrap();

    let made_up = Core::new().events(&attempt(), Outcome::ForgedBySendevent);

    assert_eq!(names(&made_up[0]), names(theirs));
    assert_eq!(made_up[0].decoded("Event-Calling-File").as_deref(), Some("mod_event_socket.c"));
}

#[test]
fn an_adopted_event_belongs_to_this_run_and_to_now() {
    let recording = Recording::load("scenarios/ns-udp4-wrongpw.plain").unwrap();
    let recorded = recording.events().next().unwrap();
    let mut core = Core::new();

    let adopted = core.adopt(recorded);

    assert_eq!(adopted.decoded("Core-UUID").as_deref(), Some(core.uuid()));
    assert_eq!(adopted.decoded("Event-Sequence").as_deref(), Some("441"));
    assert_eq!(adopted.header("network-ip"), recorded.header("network-ip"));
    assert!(adopted.decoded("Event-Date-Timestamp") > recorded.decoded("Event-Date-Timestamp"));
    let (frames, rest) = Frame::split_stream(adopted.bytes());
    assert_eq!((frames.len(), rest.len()), (1, 0));
}

#[test]
fn every_run_has_an_identity_of_its_own() {
    let (one, two) = (Core::new(), Core::new());

    assert_ne!(one.uuid(), two.uuid());
    assert_eq!(one.uuid().len(), 36);
    assert_eq!(one.uuid().as_bytes()[14], b'4', "a version 4 UUID");
}

#[test]
fn a_heartbeat_and_a_shutdown_have_the_headers_of_the_recorded_ones() {
    let beats = Recording::load("session/HEARTBEAT").unwrap();
    let ends = Recording::load("session/shutdown-sigterm.plain").unwrap();
    let mut core = Core::new();

    assert_eq!(names(&core.heartbeat()), names(beats.events().next().unwrap()));
    assert_eq!(names(&core.shutdown()), names(ends.events().last().unwrap()));
}
