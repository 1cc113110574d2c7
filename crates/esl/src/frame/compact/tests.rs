use bytes::BytesMut;
use proptest::prelude::*;

use super::{MAX_NAME, MIN_VALUE};
use crate::{Event, Frame, FrameDecoder, Limits};

const LIMITS: Limits =
    Limits { max_head: 256, max_body: 300, max_reply: 100, max_value: 80, max_headers: 20 };

fn frame(content_type: &str, body: &[u8], limits: Limits, piece: usize) -> Frame {
    let mut stream =
        format!("Content-Length: {}\nContent-Type: {content_type}\n\n", body.len()).into_bytes();
    stream.extend_from_slice(body);
    stream.extend_from_slice(b"Content-Type: command/reply\n\n");
    let mut decoder = FrameDecoder::new(limits);
    let mut buffer = BytesMut::new();
    let mut frames = Vec::new();
    for piece in stream.chunks(piece) {
        buffer.extend_from_slice(piece);
        while let Some(frame) = decoder.decode(&mut buffer).unwrap() {
            frames.push(frame);
        }
    }
    let next = frames.pop().unwrap();
    assert_eq!(next.header("Content-Type"), Some(&b"command/reply"[..]), "what follows is read on");
    assert_eq!(frames.len(), 1);
    frames.pop().unwrap()
}

fn plain(body: &[u8], piece: usize) -> Event {
    frame("text/event-plain", body, LIMITS, piece).into_event().unwrap()
}

fn json(body: &str, piece: usize) -> Event {
    frame("text/event-json", body.as_bytes(), LIMITS, piece).into_event().unwrap()
}

fn header(event: &Event, name: &str) -> String {
    event.header(name).unwrap().lossy().into_owned()
}

#[test]
fn every_header_survives_whatever_stands_before_it() {
    let long = "x".repeat(5000);
    let body = format!(
        "contact: {long}\ncall-id: {long}\nnetwork-ip: 192.0.2.7\nuser-agent: {long}\n\
         network-port: 5060\n\n"
    );
    for piece in [1, 2, 3, 7, 64, 100_000] {
        let event = plain(body.as_bytes(), piece);
        assert_eq!(header(&event, "network-ip"), "192.0.2.7");
        assert_eq!(header(&event, "network-port"), "5060");
        let kept = header(&event, "contact").len();
        assert_eq!(kept, LIMITS.max_value - 1, "a value begins with its space");
        let cut = event.truncated().unwrap();
        assert_eq!(cut.original_len, body.len() as u64);
        assert_eq!(cut.values.len(), 3);
        assert_eq!(cut.values[0].original_len, long.len() as u64 + 1);
        assert!(cut.shortened("Call-ID") && cut.shortened("user-agent"));
        assert!(!cut.shortened("network-ip"));
        assert_eq!((cut.headers_dropped, cut.body_dropped), (0, 0));
    }
}

#[test]
fn the_same_as_json() {
    let long = "\\\"\\u00fcx".repeat(800);
    let body = format!(
        "{{\"contact\":\"{long}\",\"list\":[\"{long}\",\"b\"],\"empty\":[], \"n\" : 12,\
         \"network-ip\":\"192.0.2.7\",\"user-agent\":\"{long}\",\"network-port\":\"5060\"}}"
    );
    for piece in [1, 2, 3, 7, 64, 100_000] {
        let frame = frame("text/event-json", body.as_bytes(), LIMITS, piece);
        let text = String::from_utf8_lossy(frame.body()).into_owned();
        let text = text.replace("\"n\":12", "\"n\":\"12\"");
        let event = Event::from_json(text.as_bytes(), frame.cut.clone()).unwrap();
        assert_eq!(header(&event, "network-ip"), "192.0.2.7", "{text}");
        assert_eq!(header(&event, "network-port"), "5060");
        assert_eq!(header(&event, "empty"), "ARRAY::");
        assert!(header(&event, "contact").starts_with("\"üx\"üx"));
        assert!(header(&event, "list").starts_with("ARRAY::\"üx"));
        let cut = event.truncated().unwrap();
        assert!(cut.shortened("contact") && cut.shortened("list") && cut.shortened("user-agent"));
        assert_eq!(cut.values.len(), 3);
    }
}

#[test]
fn an_escape_is_never_cut_in_two() {
    for shift in 0..6 {
        let body = format!("a: {}{}\nb: 1\n\n", "x".repeat(shift), "%0A".repeat(300));
        let event = plain(body.as_bytes(), 11);
        let raw = String::from_utf8_lossy(event.raw_header("a").unwrap()).into_owned();
        assert!(raw.ends_with("%0A"), "{raw}");
        let body =
            format!("{{\"a\":\"{}{}\",\"b\":\"1\"}}", "x".repeat(shift), "\\u0041".repeat(300));
        assert!(header(&json(&body, 11), "a").ends_with('A'));
    }
}

#[test]
fn headers_beyond_the_limit_are_counted() {
    let lines = (0..50).map(|number| format!("header-{number}: {number}\n"));
    let lines = lines.collect::<Vec<_>>().concat();
    let event = plain(format!("{lines}\n").as_bytes(), 13);
    assert_eq!(event.headers().count(), LIMITS.max_headers);
    assert_eq!(event.truncated().unwrap().headers_dropped, 30);
    let members: Vec<_> = (0..50).map(|number| format!("\"header-{number}\":\"x\"")).collect();
    let event = json(&format!("{{{}}}", members.join(",")), 13);
    assert_eq!(event.headers().count(), LIMITS.max_headers);
    assert_eq!(event.truncated().unwrap().headers_dropped, 30);
}

#[test]
fn many_long_values_shrink_to_what_an_address_needs() {
    let lines = (0..20).map(|number| format!("h{number}: {}\n", "y".repeat(500)));
    let lines = lines.collect::<Vec<_>>().concat();
    let event = plain(format!("{lines}\n").as_bytes(), 17);
    let lengths: Vec<_> = event.headers().map(|header| header.raw_value().len() + 1).collect();
    assert_eq!(lengths.first(), Some(&LIMITS.max_value));
    assert_eq!(lengths.last(), Some(&MIN_VALUE));
}

#[test]
fn a_body_inside_an_event_is_an_answer_and_has_that_limit() {
    let answer = "z".repeat(400);
    let limits = Limits { max_reply: 1000, ..LIMITS };
    let body = format!("Event-Name: BACKGROUND_JOB\nContent-Length: 400\n\n{answer}");
    let event = frame("text/event-plain", body.as_bytes(), limits, 19).into_event().unwrap();
    assert_eq!(event.body(), answer.as_bytes());
    assert_eq!(event.truncated(), None, "nothing is missing");
    let event = plain(body.as_bytes(), 19);
    assert_eq!(event.body().len(), LIMITS.max_reply);
    assert_eq!(event.truncated().unwrap().body_dropped, 300);

    let body = format!(
        "{{\"Event-Name\":\"BACKGROUND_JOB\",\"Content-Length\":\"400\",\"_body\":\"{answer}\"}}"
    );
    let event = frame("text/event-json", body.as_bytes(), limits, 19).into_event().unwrap();
    assert_eq!(event.body(), answer.as_bytes());
}

#[test]
fn other_bodies_lose_their_end() {
    let body = [b'l'; 1000];
    for (content_type, kept) in
        [("log/data", 300), ("text/event-xml", 300), ("text/novel", 300), ("api/response", 100)]
    {
        let frame = frame(content_type, &body, LIMITS, 23);
        assert_eq!(frame.body().len(), kept, "{content_type}");
        assert_eq!(frame.cut().unwrap().body_dropped, 1000 - kept as u64);
    }
}

#[test]
fn a_last_line_without_line_end_is_kept() {
    let body = format!("a: {}\nnetwork-ip: 192.0.2.7", "x".repeat(400));
    assert_eq!(header(&plain(body.as_bytes(), 29), "network-ip"), "192.0.2.7");
}

/// Most bytes become those that mean something to a cutter.
fn telling(byte: u8) -> u8 {
    const TELLING: &[u8] = b"\n::\"\"\\,{}[]%ux0\r ";
    TELLING.get(usize::from(byte % 32)).copied().unwrap_or(byte)
}

proptest! {
    #[test]
    fn memory_is_bounded_and_pieces_make_no_difference(
        body in proptest::collection::vec(any::<u8>().prop_map(telling), 301..2000),
        piece in 1..200_usize,
    ) {
        let bound = LIMITS.max_body + LIMITS.max_headers * (MAX_NAME + LIMITS.max_value + 10)
            + LIMITS.max_reply;
        for content_type in ["text/event-plain", "text/event-json", "log/data"] {
            let whole = frame(content_type, &body, LIMITS, body.len() + 1000);
            prop_assert!(whole.body().len() <= bound, "{} bytes", whole.body().len());
            prop_assert_eq!(frame(content_type, &body, LIMITS, piece), whole);
        }
    }

    #[test]
    fn cut_json_is_still_json(
        members in proptest::collection::vec(("[a-z\"\\\\é]{1,9}", ".{0,300}"), 5..40),
    ) {
        let member = |(name, value): &(String, String)| {
            let name = serde_json::to_string(name).unwrap();
            format!("{name}:{}", serde_json::to_string(value).unwrap())
        };
        let body: Vec<_> = members.iter().map(member).collect();
        let body = format!("{{{}}}", body.join(","));
        prop_assume!(body.len() > LIMITS.max_body);
        let event = json(&body, 31);
        for (header, (_, value)) in event.headers().zip(&members) {
            let kept = header.value();
            prop_assert!(value.as_bytes().starts_with(kept.as_bytes()), "{kept:?} of {value:?}");
        }
        prop_assert_eq!(event.headers().count(), members.len().min(LIMITS.max_headers));
    }
}
