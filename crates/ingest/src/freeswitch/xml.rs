//! XML as FreeSWITCH writes it: `&` may stand alone, and end tags are not worth a check.

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

/// One step through a document.
pub(super) enum Step<'t> {
    /// `<name …>`, or `<name …/>`, which a [`Step::Close`] follows too.
    Open(&'t BytesStart<'t>),
    /// Text between tags, with entities resolved; may come in pieces.
    Text(&'t str),
    /// `</name>`.
    Close(&'t str),
}

/// Walks through `text`. The error names the place only: the document may hold passwords.
pub(super) fn walk(text: &str, mut visit: impl FnMut(Step<'_>)) -> Result<(), String> {
    let mut reader = Reader::from_str(text);
    reader.config_mut().check_end_names = false;
    reader.config_mut().allow_dangling_amp = true;
    loop {
        let Ok(event) = reader.read_event() else {
            return Err(format!("no XML at byte {}", reader.error_position()));
        };
        match &event {
            Event::Start(tag) => visit(Step::Open(tag)),
            Event::Empty(tag) => {
                visit(Step::Open(tag));
                visit(Step::Close(tag.name().as_ref()));
            }
            Event::Text(piece) => visit(Step::Text(piece.as_ref())),
            Event::GeneralRef(entity) => {
                if let Some(character) = resolved(entity.as_ref()) {
                    visit(Step::Text(character));
                }
            }
            Event::End(tag) => visit(Step::Close(tag.name().as_ref())),
            Event::Eof => return Ok(()),
            _ => {}
        }
    }
}

/// An attribute's value, if it is no longer than `most` bytes.
pub(super) fn attribute(tag: &BytesStart<'_>, name: &str, most: usize) -> Option<String> {
    let value = tag.try_get_attribute(name).ok()??.value;
    let value = unescaped(&value);
    (value.len() <= most).then_some(value)
}

/// Whether an attribute is there and is exactly `wanted`.
pub(super) fn attribute_is(tag: &BytesStart<'_>, name: &str, wanted: &str) -> bool {
    tag.try_get_attribute(name)
        .is_ok_and(|found| found.is_some_and(|found| *found.value == *wanted))
}

/// As FreeSWITCH reads a switch (`switch_utils.h`, `switch_true`).
pub(super) fn is_true(value: &str) -> bool {
    let word = value.trim().to_ascii_lowercase();
    ["yes", "on", "true", "t", "enabled", "active", "allow"].contains(&word.as_str())
        || word.parse::<i64>().is_ok_and(|number| number != 0)
}

fn resolved(entity: &str) -> Option<&'static str> {
    match entity {
        "lt" => Some("<"),
        "gt" => Some(">"),
        "amp" => Some("&"),
        "quot" => Some("\""),
        "apos" => Some("'"),
        _ => None,
    }
}

fn unescaped(value: &str) -> String {
    let mut text = String::with_capacity(value.len());
    let mut rest = value;
    while let Some((before, after)) = rest.split_once('&') {
        text.push_str(before);
        let entity = after.split_once(';').and_then(|(name, after)| Some((resolved(name)?, after)));
        if let Some((character, after)) = entity {
            text.push_str(character);
            rest = after;
        } else {
            // FreeSWITCH does not escape everything it writes.
            text.push('&');
            rest = after;
        }
    }
    text.push_str(rest);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entities_are_resolved_and_a_lonely_ampersand_is_itself() {
        for (written, read) in [
            ("a&amp;b", "a&b"),
            ("&lt;sip:x@y&gt;", "<sip:x@y>"),
            ("a&b", "a&b"),
            ("&nosuch;x", "&nosuch;x"),
            ("&amp;amp;", "&amp;"),
            ("&", "&"),
        ] {
            assert_eq!(unescaped(written), read, "{written}");
        }
    }

    #[test]
    fn an_error_shows_nothing_of_the_document() {
        let error = walk("<a><param value=\"s3cret\"/><!s3cret", |_| ()).unwrap_err();
        assert!(!error.contains("s3cret"), "{error}");
    }
}
