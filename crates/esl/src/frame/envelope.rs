//! The head of a frame: `Name: value` lines up to a blank line.

use nom::{
    IResult, Parser,
    branch::alt,
    bytes::complete::{tag, take_till, take_while},
    character::complete::{line_ending, not_line_ending, u64 as decimal},
    combinator::{eof, value},
    sequence::terminated,
};

use crate::content_type::ContentType;

/// The fields of a head that the decoder needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Envelope {
    /// Bytes of the head, its blank line included.
    pub(super) head_len: usize,
    pub(super) content_type: ContentType,
    /// Bytes of the body; absent means none.
    pub(super) body_len: u64,
}

/// Why a complete head could not be understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BadHead {
    /// No `Content-Type`.
    NoContentType,
    /// A `Content-Length` that is no decimal number, or two that differ.
    ContentLength,
}

/// Digits of the largest length that can be written.
const MAX_DIGITS: usize = 20;

/// The text before the length in the head of a plain event, and after it.
const BEFORE_LENGTH: &[u8] = b"Content-Length: ";
const BEHIND_LENGTH: &[u8] = b"\nContent-Type: text/event-plain\n\n";

/// Bytes that [`usual_event_head`] looks at, at most: an incomplete head is tried again with each piece
/// that comes.
pub(super) const MAX_USUAL_HEAD: usize = BEFORE_LENGTH.len() + MAX_DIGITS + BEHIND_LENGTH.len();

/// The head of a plain event exactly as FreeSWITCH writes it. Spares the common case the search for
/// the head's end and the header by header reading.
pub(super) fn usual_event_head(input: &[u8]) -> Option<Envelope> {
    let input = input.get(..MAX_USUAL_HEAD).unwrap_or(input);
    let rest = input.strip_prefix(BEFORE_LENGTH)?;
    let digits = rest.iter().take(MAX_DIGITS).take_while(|byte| byte.is_ascii_digit()).count();
    let (digits, rest) = rest.split_at_checked(digits)?;
    let body_len = length(digits)?;
    let rest = rest.strip_prefix(BEHIND_LENGTH)?;
    let head_len = input.len().checked_sub(rest.len())?;
    Some(Envelope { head_len, content_type: ContentType::EventPlain, body_len })
}

/// Reads a whole head, its blank line included. Names in any letter case, lines that end in LF or
/// CRLF, in any order; lines without a colon are ignored, as FreeSWITCH's own library does.
pub(super) fn head(input: &[u8]) -> Result<Envelope, BadHead> {
    let mut content_type = None;
    let mut body_len = None;
    let mut rest = input;
    while let Ok((after, line)) = line(rest) {
        rest = after;
        let Line::Header { name, value } = line else {
            continue;
        };
        if name.eq_ignore_ascii_case(b"Content-Type") {
            content_type.get_or_insert(known_type(value));
        } else if name.eq_ignore_ascii_case(b"Content-Length") {
            let length = length(value).ok_or(BadHead::ContentLength)?;
            if *body_len.get_or_insert(length) != length {
                return Err(BadHead::ContentLength);
            }
        }
    }
    Ok(Envelope {
        head_len: input.len(),
        content_type: content_type.ok_or(BadHead::NoContentType)?,
        body_len: body_len.unwrap_or(0),
    })
}

#[derive(Clone, Copy)]
enum Line<'i> {
    Header { name: &'i [u8], value: &'i [u8] },
    Ignored,
}

fn line(input: &[u8]) -> IResult<&[u8], Line<'_>> {
    alt((header, value(Line::Ignored, terminated(not_line_ending, line_ending)))).parse(input)
}

fn header(input: &[u8]) -> IResult<&[u8], Line<'_>> {
    let (input, name) = take_till(|byte| matches!(byte, b':' | b'\r' | b'\n')).parse(input)?;
    let (input, _) = (tag(":"), take_while(|byte| matches!(byte, b' ' | b'\t'))).parse(input)?;
    let (input, value) = terminated(take_till(|byte| byte == b'\n'), tag("\n")).parse(input)?;
    Ok((input, Line::Header { name, value: value.trim_ascii_end() }))
}

fn length(value: &[u8]) -> Option<u64> {
    let parsed: IResult<&[u8], u64> = terminated(decimal, eof).parse(value);
    parsed.ok().map(|(_, length)| length)
}

fn known_type(value: &[u8]) -> ContentType {
    const KNOWN: [(&str, ContentType); 9] = [
        ("auth/request", ContentType::AuthRequest),
        ("command/reply", ContentType::CommandReply),
        ("api/response", ContentType::ApiResponse),
        ("text/event-plain", ContentType::EventPlain),
        ("text/event-json", ContentType::EventJson),
        ("text/event-xml", ContentType::EventXml),
        ("log/data", ContentType::LogData),
        ("text/disconnect-notice", ContentType::DisconnectNotice),
        ("text/rude-rejection", ContentType::RudeRejection),
    ];
    KNOWN
        .into_iter()
        .find(|(name, _)| value.eq_ignore_ascii_case(name.as_bytes()))
        .map_or(ContentType::Other, |(_, content_type)| content_type)
}

#[cfg(test)]
mod tests;
