//! Cuts the `Name: value` lines of a plain event.

use super::{Kept, MAX_NAME};
use crate::frame::CutValue;

/// State between two pieces of the body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct LineCutter {
    place: Place,
    headers: usize,
    name: Vec<u8>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Place {
    /// In a name, or at the start of a line.
    Name,
    /// In a value.
    Value(Value),
    /// In a line that is left out.
    Dropped,
    /// Behind the blank line; `left` more bytes may be kept.
    Body { left: usize },
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Value {
    limit: usize,
    kept: usize,
    original_len: u64,
}

impl LineCutter {
    pub(super) const fn new() -> Self {
        Self { place: Place::Name, headers: 0, name: Vec::new() }
    }

    pub(super) fn push(&mut self, piece: &[u8], kept: &mut Kept) {
        let mut rest = piece;
        while !rest.is_empty() {
            rest = match &mut self.place {
                Place::Name => self.push_name(rest, kept),
                Place::Value(value) => match split_at_newline(rest) {
                    (text, None) => {
                        value.push(text, kept);
                        &[]
                    }
                    (text, Some(after)) => {
                        value.push(text, kept);
                        self.end_line(kept);
                        after
                    }
                },
                Place::Dropped => {
                    let (_, after) = split_at_newline(rest);
                    if after.is_some() {
                        self.place = Place::Name;
                    }
                    after.unwrap_or_default()
                }
                Place::Body { left } => {
                    let text = rest.get(..*left).unwrap_or(rest);
                    *left -= text.len();
                    kept.push(text);
                    kept.cut.body_dropped += (rest.len() - text.len()) as u64;
                    &[]
                }
            };
        }
    }

    /// The body is complete; its last line may lack its line end.
    pub(super) fn finish(&mut self, kept: &mut Kept) {
        match &self.place {
            Place::Value(_) => self.end_line(kept),
            Place::Name => {
                kept.push(&self.name);
                self.name.clear();
            }
            Place::Dropped | Place::Body { .. } => {}
        }
    }

    fn push_name<'p>(&mut self, rest: &'p [u8], kept: &mut Kept) -> &'p [u8] {
        let end = memchr::memchr2(b':', b'\n', rest).unwrap_or(rest.len());
        let (text, after) = rest.split_at(end);
        let room = MAX_NAME.saturating_sub(self.name.len());
        self.name.extend_from_slice(text.get(..room).unwrap_or(text));
        match after.split_first() {
            None => &[],
            Some((b':', after)) => {
                self.begin_value(kept);
                after
            }
            Some((_, after)) => {
                if matches!(self.name[..], [] | [b'\r']) {
                    kept.push(b"\n");
                    self.place = Place::Body { left: kept.limits.max_reply };
                }
                self.name.clear();
                after
            }
        }
    }

    fn begin_value(&mut self, kept: &mut Kept) {
        self.headers += 1;
        if self.headers > kept.limits.max_headers {
            kept.cut.headers_dropped += 1;
            self.name.clear();
            self.place = Place::Dropped;
        } else {
            let limit = kept.value_limit();
            kept.push(&self.name);
            kept.push(b":");
            self.place = Place::Value(Value { limit, kept: 0, original_len: 0 });
        }
    }

    fn end_line(&mut self, kept: &mut Kept) {
        if let Place::Value(value) = &self.place
            && value.original_len > value.kept as u64
        {
            drop_broken_escape(kept);
            let name = self.name.as_slice().into();
            kept.cut.values.push(CutValue { name, original_len: value.original_len });
        }
        kept.push(b"\n");
        self.name.clear();
        self.place = Place::Name;
    }
}

impl Value {
    fn push(&mut self, text: &[u8], kept: &mut Kept) {
        let fits = text.get(..self.limit - self.kept).unwrap_or(text);
        kept.push(fits);
        self.kept += fits.len();
        self.original_len += text.len() as u64;
    }
}

/// A value may have been cut inside `%XX`; what is left of the escape goes too.
fn drop_broken_escape(kept: &mut Kept) {
    let broken = match kept.out[..] {
        [.., b'%'] => 1,
        [.., b'%', _] => 2,
        _ => 0,
    };
    kept.out.truncate(kept.out.len() - broken);
}

fn split_at_newline(bytes: &[u8]) -> (&[u8], Option<&[u8]>) {
    match memchr::memchr(b'\n', bytes) {
        Some(at) => (bytes.get(..at).unwrap_or_default(), bytes.get(at + 1..)),
        None => (bytes, None),
    }
}
