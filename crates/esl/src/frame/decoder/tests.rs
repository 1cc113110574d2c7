use bytes::BytesMut;

use super::{CUT_USERAUTH_REPLY, FrameDecoder, FrameError};
use crate::{ContentType, Frame, Limits};

fn decode_all(stream: &[u8], limits: Limits) -> (Vec<Frame>, Option<FrameError>) {
    let mut decoder = FrameDecoder::new(limits);
    let mut buffer = BytesMut::from(stream);
    let mut frames = Vec::new();
    loop {
        match decoder.decode_eof(&mut buffer) {
            Ok(Some(frame)) => frames.push(frame),
            Ok(None) => return (frames, None),
            Err(error) => return (frames, Some(error)),
        }
    }
}

const REPLY: &[u8] = b"Content-Type: command/reply\nReply-Text: +OK accepted\n\n";

#[test]
fn an_incomplete_frame_is_none_and_keeps_its_bytes() {
    let mut decoder = FrameDecoder::new(Limits::default());
    let mut buffer = BytesMut::from(&b"Content-Type: api/response\nContent-Length: 3\n\n+O"[..]);
    let held = buffer.len();
    assert!(decoder.decode(&mut buffer).unwrap().is_none());
    assert_eq!(buffer.len(), held);
    buffer.extend_from_slice(b"K");
    assert_eq!(decoder.decode(&mut buffer).unwrap().unwrap().body(), b"+OK");
    assert_eq!(decoder.offset(), held as u64 + 1);
}

#[test]
fn frames_are_views_into_the_buffer() {
    let mut decoder = FrameDecoder::new(Limits::default());
    let mut buffer = BytesMut::from(&[REPLY, REPLY].concat()[..]);
    let start = buffer.as_ptr();
    let first = decoder.decode(&mut buffer).unwrap().unwrap();
    let second = decoder.decode(&mut buffer).unwrap().unwrap();
    assert_eq!(first.as_bytes().as_ptr(), start);
    assert_eq!(second.as_bytes().as_ptr(), start.wrapping_add(REPLY.len()));
}

#[test]
fn blank_lines_between_frames_are_skipped() {
    let stream = [b"\n\r\n", REPLY, b"\n\n", REPLY, b"\n"].concat();
    let (frames, error) = decode_all(&stream, Limits::default());
    assert_eq!(frames.len(), 2);
    assert!(error.is_none());
}

#[test]
fn a_head_of_crlf_lines_is_read_like_any_other() {
    let stream =
        b"Content-Type: api/response\r\nContent-Length: 2\r\n\r\nvmContent-Type: x\r\n\r\n";
    let (frames, error) = decode_all(stream, Limits::default());
    assert!(error.is_none());
    assert_eq!(frames[0].body(), b"vm");
    assert_eq!(frames[0].header("content-length"), Some(&b"2"[..]));
    assert_eq!(frames[1].content_type(), ContentType::Other);
}

#[test]
fn errors_say_where_their_frame_starts() {
    let limits = Limits { max_head: 256, ..Limits::default() };
    let at = REPLY.len() as u64;
    let after = |bad: &[u8]| decode_all(&[REPLY, bad].concat(), limits).1.unwrap();
    let endless = [b"X: ".as_slice(), &[b'x'; 300]].concat();
    assert!(
        matches!(after(&endless), FrameError::HeadTooLong { offset, limit: 256 } if offset == at)
    );
    assert!(matches!(after(b"A: b\n\n"), FrameError::NoContentType { offset } if offset == at));
    let length = b"Content-Type: x\nContent-Length: -1\n\n";
    assert!(matches!(after(length), FrameError::ContentLength { offset } if offset == at));
}

#[test]
fn a_partial_frame_at_the_end_is_reported() {
    for cut in 1..REPLY.len() {
        let (frames, error) = decode_all(&[REPLY, &REPLY[..cut]].concat(), Limits::default());
        assert_eq!(frames.len(), 1);
        let Some(FrameError::PartialFrame { offset, received }) = error else {
            panic!("{error:?}");
        };
        assert_eq!((offset, received), (REPLY.len() as u64, cut as u64));
    }
}

#[test]
fn a_partial_oversized_frame_is_reported_too() {
    let limits = Limits { max_body: 10, ..Limits::default() };
    let stream = b"Content-Length: 100\nContent-Type: text/event-plain\n\nEvent-Name: CUSTOM\n";
    let (frames, error) = decode_all(stream, limits);
    assert!(frames.is_empty());
    let Some(FrameError::PartialFrame { offset: 0, received }) = error else { panic!("{error:?}") };
    assert_eq!(received, stream.len() as u64);
}

#[test]
fn an_announced_length_allocates_nothing() {
    let mut decoder = FrameDecoder::new(Limits::default());
    let head = format!("Content-Length: {}\nContent-Type: text/event-plain\n\n", u64::MAX);
    let mut buffer = BytesMut::from(head.as_bytes());
    let capacity = buffer.capacity();
    assert!(decoder.decode(&mut buffer).unwrap().is_none());
    assert!(buffer.capacity() <= capacity);
}

/// `reply[512]` in `mod_event_socket.c` cuts the list of what a user may do, terminator and all.
#[test]
fn a_cut_userauth_reply_ends_where_freeswitch_cut_it() {
    let mut reply = b"Content-Type: command/reply\nReply-Text: +OK accepted\n".to_vec();
    reply.extend_from_slice(b"Allowed-Events: ");
    while reply.len() < CUT_USERAUTH_REPLY {
        reply.extend_from_slice(b" CHANNEL_CREATE");
    }
    reply.truncate(CUT_USERAUTH_REPLY);
    let event = b"Content-Length: 12\nContent-Type: text/event-plain\n\nA: b\nC: d\n\n\n";
    for next in [&b""[..], REPLY, event] {
        let (frames, error) = decode_all(&[&reply, next].concat(), Limits::default());
        assert!(error.is_none(), "{error:?}");
        assert_eq!(frames.len(), 1 + usize::from(!next.is_empty()));
        assert_eq!(frames[0].reply_text().as_deref(), Some(&b"+OK accepted"[..]));
        assert_eq!(frames[0].as_bytes().len(), CUT_USERAUTH_REPLY);
    }
}

#[test]
fn a_short_userauth_reply_keeps_its_own_end() {
    let reply = b"Content-Type: command/reply\nReply-Text: +OK accepted\nAllowed-LOG: true\n\n";
    let mut stream = reply.to_vec();
    while stream.len() < 2 * CUT_USERAUTH_REPLY {
        stream.extend_from_slice(REPLY);
    }
    let (frames, error) = decode_all(&stream, Limits::default());
    assert!(error.is_none());
    assert_eq!(frames[0].as_bytes(), &reply[..]);
}
