//! `Name: value` lines.

use crate::{scan, text::Text};

/// The headers of an event or of a frame's envelope, in order.
///
/// Ends at the blank line or at the end of the bytes. Lines without a colon are passed over.
#[derive(Clone, Debug)]
pub struct Headers<'e> {
    rest: &'e [u8],
    /// The blank line has been met.
    ended: bool,
}

/// One header, decoded on access.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header<'e> {
    name: &'e [u8],
    value: &'e [u8],
}

impl<'e> Headers<'e> {
    pub(crate) const fn new(bytes: &'e [u8]) -> Self {
        Self { rest: bytes, ended: false }
    }

    /// What follows the blank line; empty while headers are left.
    pub(crate) const fn behind_blank_line(&self) -> &'e [u8] {
        if self.ended { self.rest } else { &[] }
    }

    /// The next line without its line end, or `None` at the blank line or the end.
    #[inline]
    fn next_line(&mut self) -> Option<&'e [u8]> {
        if self.ended || self.rest.is_empty() {
            return None;
        }
        let (line, after) = split_line(self.rest);
        self.rest = after;
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        self.ended = line.is_empty();
        (!self.ended).then_some(line)
    }
}

impl<'e> Iterator for Headers<'e> {
    type Item = Header<'e>;

    #[inline]
    fn next(&mut self) -> Option<Header<'e>> {
        loop {
            let line = self.next_line()?;
            let colon = memchr::memchr(b':', line);
            let parts = colon.and_then(|colon| line.split_at_checked(colon));
            if let Some((name, [_, value @ ..])) = parts {
                return Some(Header { name, value: value.strip_prefix(b" ").unwrap_or(value) });
            }
        }
    }
}

impl<'e> Header<'e> {
    /// The name as it came.
    #[must_use]
    pub const fn name(&self) -> &'e [u8] {
        self.name
    }

    /// Is this its name, in any letter case?
    #[must_use]
    pub fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name.as_bytes())
    }

    /// The value, percent-encoded as it came.
    #[must_use]
    pub const fn raw_value(&self) -> &'e [u8] {
        self.value
    }

    /// The value, decoded.
    #[must_use]
    pub fn value(&self) -> Text<'e> {
        Text::decode(self.value)
    }

    /// The values of a header that was pushed more than once (`ARRAY::a|:b`), each decoded; the value
    /// itself when it is no array. A sender can write `ARRAY::` into a value of its own.
    pub fn values(&self) -> impl Iterator<Item = Vec<u8>> + use<> {
        let value = self.value().into_bytes().into_owned();
        let elements: Vec<Vec<u8>> = match value.strip_prefix(b"ARRAY::") {
            Some(elements) => split(elements, b"|:").map(<[u8]>::to_vec).collect(),
            None => vec![value],
        };
        elements.into_iter()
    }
}

/// The line at the front without its LF, and what follows it.
#[inline]
pub(crate) fn split_line(bytes: &[u8]) -> (&[u8], &[u8]) {
    let end = scan::position::<b'\n'>(bytes).unwrap_or(bytes.len());
    let (line, after) = bytes.split_at_checked(end).unwrap_or((bytes, &[]));
    (line, after.split_first().map_or(&[], |(_, after)| after))
}

/// The parts between occurrences of `separator`.
fn split<'b>(bytes: &'b [u8], separator: &'b [u8]) -> impl Iterator<Item = &'b [u8]> {
    let mut rest = Some(bytes);
    std::iter::from_fn(move || {
        let bytes = rest?;
        let Some(at) = memchr::memmem::find(bytes, separator) else {
            return rest.take();
        };
        let (part, after) = bytes.split_at_checked(at)?;
        rest = after.get(separator.len()..);
        Some(part)
    })
}
