//! A sender who drips bytes must not make us look at the same ones again and again.

// A failed unwrap is a failed test.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::time::Duration;

use bytes::BytesMut;
use nix::time::{ClockId, clock_gettime};
use sipward_esl::{FrameDecoder, Limits};
use tokio_util::codec::Decoder as _;

/// Bytes that are dripped: so many, and four times so many.
const FEW: usize = 15_000;
const MANY: usize = 4 * FEW;

/// Four times the bytes cost four times as much when each is looked at once, sixteen times as much when
/// all of them are looked at with each that comes. A busy machine lies in between.
const MOST: f64 = 9.0;

/// Rounds; the fastest counts, because everything else on the machine only slows.
const ROUNDS: usize = 5;

#[test]
fn a_head_that_never_ends_is_scanned_once() {
    for (what, begin, again) in [
        ("one name", "", "x"),
        ("lines", "", "Name: value\n"),
        ("lines of one byte", "", "x\n"),
        ("carriage returns", "x\n", "\r"),
        ("digits of a length", "Content-Length: ", "0"),
        ("a length that is too large", "Content-Length: ", "9"),
        (
            "a reply like one that is cut",
            "Content-Type: command/reply\nReply-Text: +OK accepted\n",
            "x",
        ),
    ] {
        assert_linear(what, begin, again);
    }
}

#[test]
fn blank_lines_are_dropped_as_they_come() {
    assert_linear("blank lines", "", "\n");
    assert_linear("blank lines", "", "\r\n");
}

#[test]
fn a_body_is_not_scanned_before_it_is_complete() {
    for content_type in ["text/event-plain", "text/event-json", "api/response", "text/novel"] {
        let head = format!("Content-Length: 200000\nContent-Type: {content_type}\n\n");
        assert_linear(content_type, &head, "x: y\n\"");
    }
}

#[test]
fn a_body_over_the_limit_is_cut_as_it_comes() {
    for content_type in ["text/event-plain", "text/event-json", "log/data"] {
        let head = format!("Content-Length: 9000000\nContent-Type: {content_type}\n\n");
        for again in ["x", "x:", "x: y\n", "{\"x\":\"y\",", "\"\\u00", "[", "%"] {
            assert_linear(content_type, &head, again);
        }
    }
}

/// Drips `begin`, then `again` over and over.
fn assert_linear(what: &str, begin: &str, again: &str) {
    let stream: Vec<u8> = begin.bytes().chain(again.bytes().cycle()).take(MANY).collect();
    let mut few = Duration::MAX;
    let mut many = Duration::MAX;
    for _ in 0..ROUNDS {
        few = few.min(drip(&stream[..FEW]));
        many = many.min(drip(&stream));
    }
    let times = many.as_secs_f64() / few.as_secs_f64();
    assert!(times < MOST, "{what}, {again:?}: {few:?}, four times as much {many:?}");
}

/// Time of this thread for a stream that comes byte by byte.
fn drip(stream: &[u8]) -> Duration {
    let mut decoder = FrameDecoder::new(Limits::default());
    let mut buffer = BytesMut::with_capacity(stream.len());
    let began = thread_time();
    for byte in stream {
        buffer.extend_from_slice(std::slice::from_ref(byte));
        // An error ends the connection.
        if decoder.decode(&mut buffer).is_err() {
            break;
        }
    }
    thread_time().saturating_sub(began)
}

fn thread_time() -> Duration {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).unwrap().into()
}
