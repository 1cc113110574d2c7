use bytes::BytesMut;

use super::{LogLine, LogLineError};
use crate::{Frame, FrameDecoder, Limits, command::LogLevel};

fn frame(text: &str) -> Frame {
    let mut bytes = BytesMut::from(text);
    FrameDecoder::new(Limits::default()).decode(&mut bytes).unwrap().unwrap()
}

#[test]
fn says_where_a_message_was_written() {
    let text = "2026-11-22 08:24:26.444097 99.77% [WARNING] sofia_reg.c:1787 SIP auth failure\n";
    let line = LogLine::from_frame(frame(&format!(
        "Content-Type: log/data\nContent-Length: {}\nLog-Level: 4\nText-Channel: 0\n\
         Log-File: sofia_reg.c\nLog-Func: sofia_reg_handle_register_token\nLog-Line: 1787\n\
         User-Data: \n\n{text}",
        text.len()
    )))
    .unwrap();
    assert_eq!(line.level(), LogLevel::Warning);
    assert_eq!(line.file(), Some(&b"sofia_reg.c"[..]));
    assert_eq!(line.function(), Some(&b"sofia_reg_handle_register_token"[..]));
    assert_eq!(line.line(), Some(1787));
    assert_eq!(line.channel(), None);
    assert_eq!(line.text(), text.trim_end().as_bytes());
}

#[test]
fn a_line_without_a_level_is_an_error_not_a_guess() {
    let line = LogLine::from_frame(frame("Content-Type: log/data\nLog-Level: x\n\n"));
    assert_eq!(line, Err(LogLineError::NoLevel));
    let line = LogLine::from_frame(frame("Content-Type: api/response\n\n"));
    assert!(matches!(line, Err(LogLineError::NotALogLine(_))));
}
