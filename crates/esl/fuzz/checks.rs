//! What each fuzz target checks. Also compiled into the ordinary tests, which replay the seeds.

use bytes::BytesMut;
use sipward_esl::{Event, Frame, FrameDecoder, Limits, LogLine, Text, percent, sofia};

/// The first byte chooses the limits, the second the size of the pieces; the rest is the stream.
pub(crate) fn frame(input: &[u8]) {
    let [limits, piece, stream @ ..] = input else {
        return;
    };
    let limits = if limits % 2 == 0 { Limits::default() } else { SMALL };
    let whole = decode(stream, limits, usize::MAX);
    let pieces = decode(stream, limits, usize::from(*piece).max(1));
    assert_eq!(whole, pieces, "pieces make no difference");
    for frame in whole.0 {
        let longest = limits.max_head
            + limits.max_body
            + limits.max_reply
            + limits.max_headers.saturating_mul(limits.max_value + 256);
        assert!(frame.as_bytes().len() <= longest);
        let _ = (frame.reply_text(), frame.headers().count(), format!("{frame:?}"));
        if let Ok(event) = frame.into_event() {
            look_at(&event);
        }
    }
}

/// The first byte chooses plain or JSON; the rest is the body.
pub(crate) fn event(input: &[u8]) {
    let [format, body @ ..] = input else { return };
    let content_type = if format % 2 == 0 { "text/event-plain" } else { "text/event-json" };
    let head = format!("Content-Length: {}\nContent-Type: {content_type}\n\n", body.len());
    let stream = [head.as_bytes(), body].concat();
    let (frames, _) = decode(&stream, Limits::default(), usize::MAX);
    let Some(frame) = frames.into_iter().next() else {
        return;
    };
    if let Ok(event) = frame.into_event() {
        look_at(&event);
        let again = Event::from_plain(event.as_bytes().to_vec());
        assert_eq!(again.headers().count(), event.headers().count());
        assert_eq!(again.body(), event.body());
    }
}

/// A raw header value.
pub(crate) fn percent(input: &[u8]) {
    let decoded = percent::decode(input);
    assert!(decoded.len() <= input.len());
    if !input.contains(&b'%') {
        assert_eq!(&*decoded, input);
    }
    let shown = Text::decode(input).to_string();
    assert!(!shown.chars().any(char::is_control), "{shown:?}");
}

/// A `log/data` frame.
pub(crate) fn log_line(input: &[u8]) {
    for frame in decode(input, Limits::default(), usize::MAX).0 {
        if let Ok(line) = LogLine::from_frame(frame) {
            let _ = (line.level(), line.file(), line.function(), line.line(), line.channel());
            assert!(line.text().len() <= input.len());
        }
    }
}

const SMALL: Limits = {
    let mut limits = Limits::new();
    limits.max_head = 512;
    limits.max_body = 200;
    limits.max_reply = 300;
    limits.max_value = 70;
    limits.max_headers = 12;
    limits
};

/// All frames of the stream, and how it ends.
fn decode(stream: &[u8], limits: Limits, piece: usize) -> (Vec<Frame>, Option<String>) {
    let mut decoder = FrameDecoder::new(limits);
    let mut buffer = BytesMut::new();
    let mut frames = Vec::new();
    for piece in stream.chunks(piece) {
        buffer.extend_from_slice(piece);
        loop {
            match decoder.decode(&mut buffer) {
                Ok(Some(frame)) => frames.push(frame),
                Ok(None) => break,
                Err(error) => return (frames, Some(error.to_string())),
            }
        }
    }
    match decoder.decode_eof(&mut buffer) {
        Ok(last) => {
            assert!(last.is_none(), "every whole frame has been taken");
            (frames, None)
        }
        Err(error) => (frames, Some(error.to_string())),
    }
}

fn look_at(event: &Event) {
    for header in event.headers() {
        let _ = (header.name(), header.value().lossy().len(), header.values().count());
    }
    let _ = (event.body(), event.name(), event.subclass(), event.core_uuid());
    assert_eq!(&event.detached(), event);
    match sofia::parse(event) {
        Ok(Some(record)) => assert!(!format!("{record:?}").is_empty()),
        Ok(None) => {}
        Err(error) => assert!(error.to_string().len() < 1000),
    }
}
