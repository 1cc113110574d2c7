//! Every recording of a real FreeSWITCH, decoded whole, in random pieces and split at every byte.

// A failed unwrap is a failed test.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use std::collections::BTreeMap;

use common::{Decoded, Recording, decode, decode_pieces, label, recording, recordings, storm};
use sipward_esl::{Limits, SofiaEvent, percent, sofia};

/// Frames up to this size are always split at every byte.
const EVERY_BYTE: usize = 64 * 1024;

/// Of larger frames, all of it but the values of one letter or escape that make them so large: so many bytes
/// at each end are split at every byte, the rest at every so manieth. The step has no factor in common with
/// the three bytes of an escape.
const ENDS: usize = 1500;
const STEP: usize = 997;

#[test]
fn every_recording_holds_the_frames_that_its_list_names() {
    let list = std::fs::read_to_string(common::fixtures().join("README.md")).unwrap();
    let mut checked = 0;
    for Recording { name, bytes } in recordings() {
        let file = name.rsplit('/').next().unwrap();
        let line = list.lines().find(|line| line.starts_with(&format!("- `{file}`"))).unwrap();
        let (size, frames) = line.split_once(" B: ").unwrap();
        assert!(size.ends_with(&format!(" {}", bytes.len())), "{name}");
        let (frames, trailing) = match frames.split_once("  **(") {
            Some((frames, trailing)) => (frames, Some(trailing)),
            None => (frames, None),
        };
        let Decoded { frames: decoded, end } = decode(&bytes);
        if name.ends_with(".xml.raw") {
            let events = decoded.iter().filter(|frame| label(frame) == "text/event-xml").count();
            assert_eq!(events, counted(frames).values().sum::<usize>() - 2, "{name}");
        } else {
            let mut found = BTreeMap::new();
            for frame in decoded.iter().filter(|frame| label(frame) != "auth/request") {
                *found.entry(label(frame)).or_default() += 1;
            }
            // The list reads the outbound socket's CHANNEL_DATA head, and events as XML, as events.
            if !["outbound", "format-switch"].iter().any(|other| name.contains(other)) {
                assert_eq!(found, counted(frames), "{name}");
            }
        }
        match (trailing, end) {
            (None, None) => {}
            (Some(trailing), Some(end)) => {
                let bytes = trailing.split(' ').next().unwrap();
                assert!(end.ends_with(&format!("after {bytes} bytes of it")), "{name}: {end}");
            }
            other => panic!("{name}: {other:?}"),
        }
        checked += 1;
    }
    assert!(checked > 300);
}

/// Each split is decoded together with the frames around it. The one before ends in a known state, so
/// decoding all of the stream again for each of its bytes would show no more and take minutes.
#[test]
fn every_split_gives_the_same_frames() {
    split_all(|at, len| {
        len <= EVERY_BYTE || at < ENDS || at + ENDS > len || at.is_multiple_of(STEP)
    });
}

/// The same without leaving out any byte of the seven largest recordings. `.ci/full` runs it, optimised.
#[test]
#[ignore = "takes many minutes; .ci/full runs it"]
fn really_every_split_gives_the_same_frames() {
    split_all(|_, _| true);
}

/// `chosen` says whether a frame of so many bytes is split at this one.
fn split_all(chosen: impl Fn(usize, usize) -> bool) {
    for Recording { name, bytes } in recordings() {
        let whole = decode(&bytes);
        let mut starts: Vec<usize> = whole
            .frames
            .iter()
            .scan(0, |end, frame| {
                let found = memchr::memmem::find(&bytes[*end..], frame.as_bytes());
                let start = *end + found.filter(|_| frame.cut().is_none()).unwrap_or(0);
                *end = start + frame.as_bytes().len();
                Some(start)
            })
            .collect();
        if whole.frames.iter().any(|frame| frame.cut().is_some()) {
            starts = vec![0]; // A frame that was cut does not stand in the stream as it is.
        }
        starts.push(bytes.len());
        let [first, .., end] = starts[..] else {
            continue;
        };
        // A frame, split anywhere, and the beginning of the frame behind it.
        let mut windows: Vec<_> =
            starts.windows(3).map(|w| (w[0], w[1], w[2].min(w[1] + 60))).collect();
        let last = starts.len().checked_sub(2).map_or(first, |last| starts[last]);
        windows.push((last, end, end));
        for (from, split_to, to) in windows {
            let window = &bytes[from..to];
            let whole = decode(window);
            for at in (1..=split_to - from).filter(|&at| chosen(at, split_to - from)) {
                let (before, after) = window.split_at(at);
                let split = decode_pieces([before, after], Limits::default());
                assert!(split == whole, "{name} split at {}", from + at);
            }
        }
    }
}

#[test]
fn byte_by_byte_gives_the_same_frames() {
    for Recording { name, bytes } in recordings() {
        let split = decode_pieces(bytes.chunks(1), Limits::default());
        assert!(split == decode(&bytes), "{name}");
    }
}

#[test]
fn random_pieces_give_the_same_frames() {
    let mut random = fastrand::Rng::with_seed(20_261_123);
    let mut streams: Vec<(String, Vec<u8>)> =
        recordings().into_iter().map(|recording| (recording.name, recording.bytes)).collect();
    streams.push(("storm plain".into(), storm("plain")));
    streams.push(("storm json".into(), storm("json")));
    for (name, bytes) in streams {
        let whole = decode(&bytes);
        for longest in [1, 7, 100, 3000, 100_000] {
            if bytes.len() / longest > 200_000 {
                continue;
            }
            let mut pieces = Vec::new();
            let mut rest = &bytes[..];
            while !rest.is_empty() {
                let (piece, after) = rest.split_at(random.usize(1..=longest).min(rest.len()));
                pieces.push(piece);
                rest = after;
            }
            let split = decode_pieces(pieces, Limits::default());
            assert!(split == whole, "{name} in pieces of up to {longest}");
        }
    }
}

#[test]
fn plain_and_json_tell_the_same() {
    let mut compared = 0;
    for Recording { name, bytes } in recordings() {
        let Some(stem) = name.strip_suffix(".plain.raw").filter(|name| !name.contains("ns-big"))
        else {
            continue;
        };
        let json = format!("{stem}.json.raw");
        if !common::fixtures().join(&json).exists() || name.starts_with("session/") {
            continue;
        }
        let plain = events(&bytes);
        let json = events(&recording(&json).bytes);
        assert_eq!(plain.len(), json.len(), "{name}");
        for (plain, json) in plain.iter().zip(&json) {
            assert_eq!(plain.headers().count(), json.headers().count(), "{name}");
            for (plain, json) in plain.headers().zip(json.headers()) {
                assert_eq!(plain.name(), json.name(), "{name}");
                // `%0A` that the sender typed is not encoded again in a plain event, so there decoding
                // undoes what the sender wrote.
                let typed = percent::decode(json.value().as_bytes()).into_owned();
                let (plain, json) = (plain.value(), json.value());
                assert!(plain == json || plain.as_bytes() == typed, "{name}: {plain} {json}");
            }
            compared += 1;
        }
    }
    assert!(compared > 150, "{compared}");
}

#[test]
fn the_storm_names_every_attacker() {
    for format in ["plain", "json"] {
        let bytes = storm(format);
        let mut sources = std::collections::BTreeSet::new();
        let mut failures = 0;
        for event in events(&bytes) {
            let record = sofia::parse(&event).unwrap().unwrap();
            let SofiaEvent::RegisterFailure(failure) = record else { panic!("{record:?}") };
            sources.insert(failure.source.ip);
            failures += 1;
        }
        assert_eq!((failures, sources.len()), (19_999, 2_000), "{format}");
    }
}

fn events(bytes: &[u8]) -> Vec<sipward_esl::Event> {
    decode(bytes).frames.into_iter().filter_map(|frame| frame.into_event().ok()).collect()
}

/// `command/reply×2, pre_register` as counts.
fn counted(list: &str) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for item in list.trim().split(", ") {
        let (name, count) = item.split_once('×').unwrap_or((item, "1"));
        *counts.entry(name.to_owned()).or_default() += count.parse::<usize>().unwrap();
    }
    counts
}
