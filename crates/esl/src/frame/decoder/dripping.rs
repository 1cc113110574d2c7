//! Bytes that arrive one by one must not be scanned again and again: the tests overwrite what the decoder has scanned,
//! and its result does not change.

use bytes::BytesMut;

use super::{FrameDecoder, FrameError, LINE_END, State};
use crate::Limits;
use crate::frame::envelope::{self, MAX_USUAL_HEAD};

/// Bytes that are dripped: less than any limit on what is held.
const MANY: usize = 15_000;

/// Bytes at the start of a head that are looked at with each that comes: the ways around the search for its
/// end compare it with beginnings that they know.
const BEGINNING: usize = 100;
const _: () = assert!(MAX_USUAL_HEAD <= BEGINNING);

/// Drips `begin`, then `again` over and over. `check` sees the decoder and what is left in the buffer after
/// each byte, with the number of bytes so far.
fn drip(begin: &str, again: &str, mut check: impl FnMut(&FrameDecoder, &mut BytesMut, usize)) {
    let mut decoder = FrameDecoder::new(Limits::default());
    let mut buffer = BytesMut::new();
    let stream = begin.bytes().chain(again.bytes().cycle()).take(MANY);
    for (byte, count) in stream.zip(1..) {
        buffer.extend_from_slice(&[byte]);
        let frame = decoder.decode(&mut buffer);
        assert!(matches!(frame, Ok(None)), "{begin:?}, {again:?}, byte {count}: {frame:?}");
        check(&decoder, &mut buffer, count);
    }
}

#[test]
fn a_head_that_never_ends_is_scanned_once() {
    for (begin, again) in [
        ("", "x"),
        ("", "Name: value\n"),
        ("", "Name: value\r\n"),
        ("", "x\n"),
        ("x\n", "\r"),
        ("Content-Length: ", "0"),
        ("Content-Length: ", "9"),
        ("Content-Length: 12\nContent-Type: text/event-plain\n", "x"),
        ("Content-Type: command/reply\nReply-Text: +OK accepted\n", "x"),
    ] {
        drip(begin, again, |decoder, buffer, count| {
            assert_eq!(
                buffer.len(),
                count,
                "{begin:?}, {again:?}: a head is held until it is whole"
            );
            let State::Head { scanned } = decoder.state else {
                panic!("{begin:?}, {again:?}, byte {count}: {:?}", decoder.state);
            };
            assert_eq!(scanned, count.saturating_sub(LINE_END), "{begin:?}, {again:?}");
            // Blank lines: a second scan would find the end of the head there.
            if scanned > BEGINNING {
                buffer[scanned - 1] = b'\n';
            }
        });
    }
}

#[test]
fn a_head_without_an_end_is_given_up_at_the_limit() {
    let limits = Limits { max_head: 1_000, ..Limits::default() };
    let mut decoder = FrameDecoder::new(limits);
    let mut buffer = BytesMut::new();
    for _ in 0..limits.max_head {
        buffer.extend_from_slice(b"x");
        assert!(decoder.decode(&mut buffer).unwrap().is_none());
    }
    buffer.extend_from_slice(b"x");
    let error = decoder.decode(&mut buffer).unwrap_err();
    assert!(matches!(error, FrameError::HeadTooLong { offset: 0, limit: 1_000 }), "{error:?}");
}

#[test]
fn the_ways_around_the_search_look_at_the_beginning_only() {
    let usual = b"Content-Length: 18446744073709551615\nContent-Type: text/event-plain\n\n";
    assert_eq!(usual.len(), MAX_USUAL_HEAD);
    for (beginning, is_usual) in [(&usual[..], true), (b"Content-Length: ", false)] {
        for behind in [b'0', b'9', b'\n', b'x'] {
            let mut input = beginning.to_vec();
            input.resize(MANY, behind);
            let found = envelope::usual_event_head(&input);
            assert_eq!(found.is_some(), is_usual, "{behind:?}");
            assert_eq!(found, envelope::usual_event_head(&input[..MAX_USUAL_HEAD]), "{behind:?}");
        }
    }
    // A number that ends far behind is not followed to its end.
    let far = format!("Content-Length: {}12\nContent-Type: text/event-plain\n\n", "0".repeat(MANY));
    assert_eq!(envelope::usual_event_head(far.as_bytes()), None);
}

#[test]
fn blank_lines_are_dropped_as_they_come() {
    for again in ["\n", "\r\n", "\r"] {
        drip("", again, |decoder, buffer, count| {
            assert!(buffer.is_empty(), "{again:?}, byte {count}");
            assert_eq!(decoder.state, State::Head { scanned: 0 });
            assert_eq!(decoder.offset(), count as u64);
        });
    }
}

#[test]
fn a_body_is_not_looked_at_before_it_is_complete() {
    for content_type in ["text/event-plain", "text/event-json", "api/response", "text/novel"] {
        let head = format!("Content-Length: {MANY}\nContent-Type: {content_type}\n\n");
        let mut before = None;
        drip(&head, "x: y\n\"", |decoder, buffer, count| {
            assert_eq!(buffer.len(), count, "{content_type}: it is held as it is");
            if count >= head.len() {
                // Nothing of it moves the decoder, whatever it is.
                buffer[head.len()..].fill(b'\n');
                let before = before.get_or_insert_with(|| decoder.clone());
                assert_eq!(decoder, before, "{content_type}, byte {count}");
                assert!(matches!(decoder.state, State::Body(_)), "{content_type}");
            }
        });
    }
}

#[test]
fn a_body_over_the_limit_is_taken_in_as_it_comes() {
    for content_type in ["text/event-plain", "text/event-json", "log/data"] {
        let head = format!("Content-Length: 9000000\nContent-Type: {content_type}\n\n");
        for again in ["x", "x:", "x: y\n", "{\"x\":\"y\",", "\"\\u00", "[", "%"] {
            drip(&head, again, |decoder, buffer, count| {
                if count >= head.len() {
                    assert!(buffer.is_empty(), "{content_type}, {again:?}, byte {count}");
                    assert!(matches!(decoder.state, State::Oversized { .. }), "{content_type}");
                    assert_eq!(decoder.offset(), count as u64);
                }
            });
        }
    }
}
