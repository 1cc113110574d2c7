//! Every recording of a real FreeSWITCH, decoded whole, in random pieces and split at every byte.

// A failed unwrap is a failed test.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use std::collections::BTreeMap;

use bytes::BytesMut;
use common::{Decoded, Recording, decode, decode_pieces, label, recording, recordings, storm};
use sipward_esl::{FrameDecoder, Limits, MAX_BODY, MAX_HEAD, SofiaEvent, percent, sofia};

/// Of a frame that is cut because it is over the limit, the ordinary tests split so many bytes at each end
/// at every byte, the rest at every so manieth. The step has no factor in common with the three bytes of an
/// escape.
const ENDS: usize = 1500;
const STEP: usize = 997;

/// Limits that nearly every event is over.
const SMALL: Limits = {
    let mut limits = Limits::new();
    limits.max_head = MAX_HEAD;
    limits.max_body = 300;
    limits.max_reply = 200;
    limits.max_value = 80;
    limits.max_headers = 12;
    limits
};

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

#[test]
fn every_split_gives_the_same_frames() {
    for Recording { name, bytes } in recordings() {
        assert_splits(&name, &bytes, Limits::default(), |at, len| {
            len <= MAX_BODY || at < ENDS || at + ENDS > len || at.is_multiple_of(STEP)
        });
    }
}

#[test]
fn every_split_of_the_plain_storm_gives_the_same_frames() {
    assert_splits("storm plain", &storm("plain"), Limits::default(), |_, _| true);
}

#[test]
fn every_split_of_the_storm_as_json_gives_the_same_frames() {
    assert_splits("storm json", &storm("json"), Limits::default(), |_, _| true);
}

/// What the first test leaves out: each byte of the six events over the limit, which are cut while they come;
/// and each byte of every recording under limits that cut nearly every event. A decoder that cuts has taken
/// in what has come, so each split means to decode the whole frame again: work by the square of its length.
#[test]
#[ignore = "minutes when optimised, hours when not; .ci/full runs it"]
fn every_split_of_frames_that_are_cut_gives_the_same_frames() {
    for Recording { name, bytes } in recordings() {
        assert_splits(&name, &bytes, Limits::default(), |_, len| len > MAX_BODY);
        assert_splits(&name, &bytes, SMALL, |_, _| true);
    }
}

/// Splits each frame of a recording at every byte that `chosen` names (by its place, and the length of the
/// frame), into what has come before that byte in one piece, and the rest with the first byte of the next
/// frame.
///
/// That is every split of the stream: what comes before a frame comes out as it does without a split, and
/// the decoder that is left then is the one that is used here; behind the frame it is the same again. Two
/// decoders that are equal, before the same bytes, need not both go on.
fn assert_splits(name: &str, bytes: &[u8], limits: Limits, chosen: impl Fn(usize, usize) -> bool) {
    let mut stream = BytesMut::from(bytes);
    let mut after = FrameDecoder::new(limits);
    let mut from = 0;
    loop {
        let before = after.clone();
        let Some(whole) = after.decode(&mut stream).unwrap() else {
            return assert_splits_of_the_rest(name, &bytes[from..], &before);
        };
        let frame = &bytes[from..usize::try_from(after.offset()).unwrap()];
        let next = &stream[..stream.len().min(1)];
        let mut done = None;
        let mut held = BytesMut::with_capacity(frame.len());
        let mut came = 0;
        for at in (1..=frame.len()).filter(|&at| chosen(at, frame.len())) {
            let place = from + at;
            // A decoder that waits for a whole frame leaves what has come where it is.
            if held.len() == came {
                held.extend_from_slice(&frame[came..at]);
            } else {
                held = BytesMut::from(&frame[..at]);
            }
            came = at;
            let mut decoder = before.clone();
            let first = decoder.decode(&mut held).unwrap();
            if at == frame.len() {
                assert!(first.as_ref() == Some(&whole), "{name} cut off at {place}");
                assert!(decoder == after && held.is_empty(), "{name} cut off at {place}");
                continue;
            }
            assert!(first.is_none(), "{name} is complete at {place}");
            if done.as_ref() == Some(&decoder) {
                continue;
            }
            done = Some(decoder.clone());
            let mut rest = BytesMut::from(&[&held[..], &frame[at..], next].concat()[..]);
            let second = decoder.decode(&mut rest).unwrap();
            assert!(second.as_ref() == Some(&whole), "{name} split at {place}");
            assert!(decoder == after && rest == next, "{name} split at {place}");
        }
        from += frame.len();
    }
}

/// The same for what a recording ends with: a part of a frame, or nothing.
fn assert_splits_of_the_rest(name: &str, rest: &[u8], before: &FrameDecoder) {
    let end = |pieces: &[&[u8]]| {
        let mut decoder = before.clone();
        let mut buffer = BytesMut::new();
        for piece in pieces {
            buffer.extend_from_slice(piece);
            assert_eq!(decoder.decode(&mut buffer).unwrap(), None, "{name}");
        }
        decoder.decode_eof(&mut buffer).map_err(|error| error.to_string())
    };
    let whole = end(&[rest]);
    for at in 1..rest.len() {
        let (first, second) = rest.split_at(at);
        assert_eq!(end(&[first, second]), whole, "{name} split {at} bytes into its end");
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
