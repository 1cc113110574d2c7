//! The recordings as typed records.

// A failed unwrap is a failed test.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use std::collections::BTreeSet;

use common::{Recording, decode, decode_pieces, recording, recordings};
use sipward_esl::{
    Event, Limits, SofiaEvent,
    sofia::{self, AuthResult, Method, Origin, RegisterAttempt, RegisterFailure, Subclass},
};

fn events(recording: &Recording) -> Vec<Event> {
    decode(&recording.bytes).frames.into_iter().filter_map(|f| f.into_event().ok()).collect()
}

/// The failures and attempts of a recording, one line of text each.
fn story(name: &str) -> Vec<String> {
    let events = events(&recording(name));
    events.iter().filter_map(|event| tell(&sofia::parse(event).unwrap()?)).collect()
}

fn tell(record: &SofiaEvent<'_>) -> Option<String> {
    match record {
        SofiaEvent::RegisterFailure(RegisterFailure { source, user, method, .. }) => {
            let user = user.as_ref().map_or("-".into(), |user| user.lossy());
            Some(format!("{method:?} failure of {user} from {}", source.ip))
        }
        SofiaEvent::RegisterAttempt(RegisterAttempt { source, username, result, .. }) => {
            let username = username.as_ref().map_or("-".into(), |name| name.lossy());
            Some(format!("{result:?} attempt of {username} from {}", source.ip))
        }
        SofiaEvent::PreRegister(challenge) => Some(format!("challenge to {}", challenge.source.ip)),
        SofiaEvent::Register(record) => Some(format!("registered from {}", record.source.ip)),
        SofiaEvent::Unregister(record) => {
            let source = record
                .source
                .as_ref()
                .map_or_else(|| "nowhere".to_owned(), |source| source.ip.to_string());
            Some(format!("unregistered from {source}"))
        }
        SofiaEvent::Expire(record) => Some(format!("expired at {}", record.source.ip)),
        _ => None,
    }
}

#[test]
fn every_recorded_record_is_readable_and_from_mod_sofia() {
    let mut seen = BTreeSet::new();
    for recording in recordings() {
        if recording.name.contains("sendevent") {
            continue;
        }
        for event in events(&recording) {
            match sofia::parse(&event) {
                Ok(Some(record)) => {
                    assert_eq!(record.meta().origin, Origin::Sofia, "{}", recording.name);
                    seen.insert(event.subclass().unwrap().to_string());
                }
                Ok(None) => {
                    let subclass = event.subclass().map(|subclass| subclass.to_string());
                    let known = Subclass::ALL.map(Subclass::as_str);
                    assert!(!subclass.is_some_and(|name| known.contains(&name.as_str())));
                }
                Err(error) => panic!("{}: {error}", recording.name),
            }
        }
    }
    assert_eq!(seen.len(), 9, "{seen:?}");
}

#[test]
fn a_wrong_password_is_told_over_every_transport_and_family() {
    for (name, ip) in
        [("a-register-wrongpw-udp4", "127.0.0.1"), ("b-register-wrongpw-tcp4", "127.0.0.1")]
            .into_iter()
            .chain([("c-register-wrongpw-udp6", "::1"), ("d-register-wrongpw-tcp6", "::1")])
    {
        for format in ["plain", "json"] {
            assert_eq!(
                story(&format!("scenarios/01{name}.{format}.raw")),
                [
                    format!("challenge to {ip}"),
                    format!("Forbidden attempt of 1000 from {ip}"),
                    format!("Register failure of 1000 from {ip}")
                ]
            );
        }
    }
}

#[test]
fn the_life_of_a_registration() {
    assert_eq!(
        story("scenarios/04a-register-ok-rereg-unreg.plain.raw"),
        [
            "challenge to 127.0.0.1",
            "Renewed attempt of 1001 from 127.0.0.1",
            "registered from 127.0.0.1",
            "challenge to 127.0.0.1",
            "Renewed attempt of 1001 from 127.0.0.1",
            "registered from 127.0.0.1",
            "challenge to 127.0.0.1",
            "Renewed attempt of 1001 from 127.0.0.1",
            "unregistered from 127.0.0.1"
        ]
    );
    let expired = story("scenarios/04b-register-expire.json.raw");
    assert_eq!(expired.last().unwrap(), "expired at 127.0.0.1");
}

#[test]
fn an_invite_is_told_from_a_register() {
    for name in ["05a-invite-wrongpw", "05b-invite-unknown-user"] {
        let story = story(&format!("scenarios/{name}.plain.raw"));
        assert!(story.last().unwrap().starts_with("Invite failure of"), "{story:?}");
    }
}

#[test]
fn a_blind_spoof_shows_by_the_username_that_was_not_read() {
    for name in ["spoof-blind-mismatch", "spoof-blind-mismatch-unroutable"] {
        let story = story(&format!("scenarios/{name}.plain.raw"));
        assert_eq!(story.len(), 2);
        assert!(story[0].starts_with("Forbidden attempt of - from"), "{story:?}");
        assert!(story[1].starts_with("Register failure of"), "{story:?}");
    }
    let borrowed = story("scenarios/spoof-borrowed-nonce-nomatch-20ips.plain.raw");
    let sources: BTreeSet<_> = borrowed
        .iter()
        .filter(|line| line.starts_with("Register failure"))
        .map(|line| line.rsplit(' ').next().unwrap())
        .collect();
    assert_eq!(sources.len(), 20);
    assert_eq!(borrowed.iter().filter(|line| line.starts_with("challenge")).count(), 1);
}

#[test]
fn a_forged_event_says_who_sent_it() {
    let forged = events(&recording("session/sendevent-CUSTOM.raw"));
    let error = sofia::parse(forged.last().unwrap()).unwrap_err();
    assert_eq!(error.origin, Origin::Sendevent);
    assert_eq!(forged[0].body(), b"hello\nworld");
    assert_eq!(sofia::parse(&forged[0]), Ok(None));
}

/// The raw recordings are of connections that had not subscribed to this one; the readable result of the
/// scenarios, written from another connection's events, names its headers and values.
#[test]
fn an_abandoned_invite_is_read_as_it_was_observed() {
    let table = std::fs::read_to_string(common::fixtures().join("scenarios/TABLE-lo.txt")).unwrap();
    let mut sources = Vec::new();
    for line in table.lines() {
        let Some((_, observed)) = line.split_once("EVENT CUSTOM sofia::wrong_call_state | ") else {
            continue;
        };
        let headers: String = observed
            .split("; ")
            .map(|header| header.replacen('=', ": ", 1).replace('\'', "") + "\n")
            .collect();
        let event = Event::from_plain(format!(
            "Event-Subclass: sofia%3A%3Awrong_call_state\nEvent-Name: CUSTOM\n\
             Core-UUID: 3833e5b9-30a6-4853-84cc-577f3c1402af\n\
             Event-Date-Timestamp: 1795335885484124\nEvent-Calling-File: sofia.c\n\
             Event-Sequence: 700\n{headers}\n"
        ));
        let Ok(Some(SofiaEvent::WrongCallState(call))) = sofia::parse(&event) else {
            panic!("{line}");
        };
        sources.push(format!("{} of {}", call.source.socket_addr(), call.from_user.unwrap()));
    }
    assert_eq!(sources, ["127.0.0.1:54902 of 1000", "127.0.0.1:45092 of 1001"]);
}

#[test]
fn a_lingering_good_bye_is_no_good_bye_yet() {
    let outbound = decode(&recording("session/outbound-linger.raw").bytes);
    let notice = |frame: &&sipward_esl::Frame| {
        frame.content_type() == sipward_esl::ContentType::DisconnectNotice
    };
    let at = outbound.frames.iter().position(|frame| notice(&frame)).unwrap();
    assert_eq!(outbound.frames[at].header("content-disposition"), Some(&b"linger"[..]));
    assert_eq!(outbound.frames[at].header("Linger-Time"), Some(&b"2"[..]));
    assert!(outbound.frames[at + 1..].iter().any(|frame| frame.clone().into_event().is_ok()));
}

#[test]
fn xml_is_handed_on_as_it_came() {
    let mut seen = 0;
    for Recording { name, bytes } in recordings() {
        if !name.ends_with(".xml.raw") || bytes.len() > 100_000 {
            continue;
        }
        for frame in decode(&bytes).frames {
            if frame.content_type() != sipward_esl::ContentType::EventXml {
                continue;
            }
            assert!(frame.body().starts_with(b"<event>"), "{name}: {frame:?}");
            assert!(memchr::memmem::find(&bytes, frame.body()).is_some(), "{name}");
            assert!(frame.into_event().is_err(), "{name}");
            seen += 1;
        }
    }
    assert!(seen > 100, "{seen}");
}

#[test]
fn a_link_local_address_keeps_its_zone() {
    let events = events(&recording("scenarios/ns-udp6-linklocal.plain.raw"));
    for event in &events {
        let record = sofia::parse(event).unwrap().unwrap();
        let (SofiaEvent::RegisterFailure(RegisterFailure { source, .. })
        | SofiaEvent::RegisterAttempt(RegisterAttempt { source, .. })) = record
        else {
            continue;
        };
        assert_eq!(source.ip.to_string(), "fe80::f860:6aff:fe25:1e24");
        assert_eq!(source.zone.unwrap(), "vfs");
    }
}

#[test]
fn a_megabyte_of_user_agent_hides_nobody() {
    let mut tiny = Limits::new();
    (tiny.max_body, tiny.max_value) = (400, 64);
    for format in ["plain", "json"] {
        for name in ["ns-big-tcp-90k-percent-user-agent", "ns-big-udp-60k-user-agent"] {
            let Recording { name, bytes } = recording(&format!("scenarios/{name}.{format}.raw"));
            let mut verdicts = BTreeSet::new();
            for limits in [Limits::default(), tiny] {
                let decoded = decode_pieces(bytes.chunks(1000), limits);
                assert_eq!(decoded.end, None);
                let mut failures = 0;
                for frame in decoded.frames {
                    let oversized = frame.body().len();
                    let Ok(event) = frame.into_event() else {
                        continue;
                    };
                    assert!(oversized <= limits.max_body + 8 * 1024);
                    if let Ok(Some(SofiaEvent::RegisterFailure(failure))) = sofia::parse(&event) {
                        assert_eq!(failure.method, Method::Register);
                        verdicts.insert(failure.source.socket_addr());
                        failures += 1;
                        let cut = event.truncated().map(|cut| cut.shortened("user-agent"));
                        assert_eq!(cut.unwrap_or(false), limits == tiny || oversized < 60_000);
                    }
                }
                assert_eq!(failures, 1, "{name}");
            }
            assert_eq!(verdicts.len(), 1, "{name}: {verdicts:?}");
        }
    }
}

#[test]
fn small_limits_change_no_verdict() {
    let mut tiny = Limits::new();
    (tiny.max_body, tiny.max_value) = (1, 1);
    for Recording { name, bytes } in recordings() {
        let whole = decode(&bytes).frames;
        let cut = decode_pieces(bytes.chunks(97), tiny).frames;
        assert_eq!(whole.len(), cut.len(), "{name}");
        for (whole, cut) in whole.into_iter().zip(cut) {
            let (Ok(whole), Ok(cut)) = (whole.into_event(), cut.into_event()) else {
                continue;
            };
            let whole = sofia::parse(&whole).ok().flatten().and_then(|record| facts(&record));
            let cut = sofia::parse(&cut).ok().flatten().and_then(|record| facts(&record));
            assert_eq!(whole, cut, "{name}");
        }
    }
}

/// What a verdict rests on, apart from texts that senders choose.
fn facts(record: &SofiaEvent<'_>) -> Option<(u64, String, AuthResult, Method)> {
    let (source, result, method) = match record {
        SofiaEvent::RegisterFailure(record) => (&record.source, AuthResult::Other, record.method),
        SofiaEvent::RegisterAttempt(record) => (&record.source, record.result, Method::Other),
        SofiaEvent::PreRegister(record) => (&record.source, AuthResult::Other, Method::Other),
        _ => return None,
    };
    let meta = record.meta();
    Some((meta.sequence, format!("{} {source:?} {:?}", meta.core, meta.time), result, method))
}
