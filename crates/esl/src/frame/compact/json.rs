//! Cuts the strings of a JSON event.

use super::{Kept, MAX_NAME};
use crate::frame::CutValue;

/// State between two pieces of the body.
///
/// FreeSWITCH writes one flat object whose values are strings or arrays of strings. That shape is what
/// comes out, whatever goes in: what nests deeper is flattened into its array.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct JsonCutter {
    string: Option<StringPlace>,
    /// 1 inside the object, 2 inside an array in it.
    depth: usize,
    /// The next string at depth 1 is a name.
    name_next: bool,
    headers: usize,
    name: Vec<u8>,
    /// What is left of the current member's limit, in bytes; the elements of an array share it.
    left: usize,
    original_len: u64,
    shortened: bool,
    /// The array holds an element already.
    has_element: bool,
}

/// Inside a string.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct StringPlace {
    is_name: bool,
    escape: Escape,
    /// Its quotes are written.
    kept: bool,
    /// Its limit is reached.
    full: bool,
}

/// The position inside an escape, so that no escape is cut in two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Escape {
    None,
    /// Behind the backslash.
    Begun,
    /// Inside `\uXXXX`, with so many digits to come.
    Digits(u8),
}

/// Bytes of `\uXXXX`, the longest piece that must not be cut.
const LONGEST_UNIT: usize = 6;

impl JsonCutter {
    pub(super) const fn new() -> Self {
        Self {
            string: None,
            depth: 0,
            name_next: true,
            headers: 0,
            name: Vec::new(),
            left: 0,
            original_len: 0,
            shortened: false,
            has_element: false,
        }
    }

    pub(super) fn push(&mut self, piece: &[u8], kept: &mut Kept) {
        for &byte in piece {
            match self.string {
                None => self.push_structure(byte, kept),
                Some(place) => self.string = self.push_string(byte, place, kept),
            }
        }
    }

    /// The body is complete.
    pub(super) fn finish(&mut self, kept: &mut Kept) {
        self.end_member(kept);
    }

    fn push_structure(&mut self, byte: u8, kept: &mut Kept) {
        match byte {
            b'"' => self.begin_string(kept),
            b'{' | b'[' => {
                self.depth += 1;
                match self.depth {
                    1 => kept.push(b"{"),
                    2 if self.is_kept(kept) => {
                        self.has_element = false;
                        kept.push(b"[");
                    }
                    _ => {}
                }
            }
            b'}' | b']' => {
                match self.depth {
                    1 => {
                        self.end_member(kept);
                        kept.push(b"}");
                    }
                    2 if self.is_kept(kept) => kept.push(b"]"),
                    _ => {}
                }
                self.depth = self.depth.saturating_sub(1);
            }
            b':' if self.depth == 1 => {
                self.name_next = false;
                if self.name == b"_body" {
                    self.left = kept.limits.max_reply;
                }
                if self.is_kept(kept) {
                    kept.push(b":");
                }
            }
            b',' if self.depth == 1 => {
                self.end_member(kept);
                self.name_next = true;
            }
            b' ' | b'\t' | b'\r' | b'\n' | b':' | b',' => {}
            // A number or a literal; FreeSWITCH writes none.
            _ if self.depth == 1 && self.is_kept(kept) && self.left > 0 => {
                self.left -= 1;
                kept.push(&[byte]);
            }
            _ => {}
        }
    }

    fn begin_string(&mut self, kept: &mut Kept) {
        let is_name = self.depth == 1 && self.name_next;
        if is_name {
            self.begin_member(kept);
        }
        let in_array = self.depth > 1;
        let write = self.is_kept(kept) && (!in_array || self.left > LONGEST_UNIT);
        if write {
            if in_array && std::mem::replace(&mut self.has_element, true) {
                kept.push(b",");
            }
            kept.push(b"\"");
        }
        // Quotes and comma count too, so that empty elements cannot go on for ever.
        if in_array {
            self.left = self.left.saturating_sub(3);
        }
        let full = !write;
        self.string = Some(StringPlace { is_name, escape: Escape::None, kept: write, full });
    }

    fn push_string(&mut self, byte: u8, at: StringPlace, kept: &mut Kept) -> Option<StringPlace> {
        let escape = match (at.escape, byte) {
            (Escape::None, b'"') => {
                if at.kept {
                    kept.push(b"\"");
                }
                return None;
            }
            (Escape::None, b'\\') => Escape::Begun,
            (Escape::Begun, b'u') => Escape::Digits(4),
            (Escape::Digits(left), _) if left > 1 => Escape::Digits(left - 1),
            (Escape::None | Escape::Begun | Escape::Digits(_), _) => Escape::None,
        };
        let starts_unit = at.escape == Escape::None;
        let mut full = at.full;
        if at.is_name {
            full |= starts_unit && self.name.len() + LONGEST_UNIT > MAX_NAME;
            if !full {
                self.name.push(byte);
                kept.push(&[byte]);
            }
        } else {
            self.original_len += 1;
            full |= starts_unit && self.left < LONGEST_UNIT;
            self.shortened |= full;
            if !full {
                self.left = self.left.saturating_sub(1);
                kept.push(&[byte]);
            }
        }
        Some(StringPlace { escape, full, ..at })
    }

    fn begin_member(&mut self, kept: &mut Kept) {
        self.headers += 1;
        self.name.clear();
        self.original_len = 0;
        self.shortened = false;
        if self.is_kept(kept) {
            self.left = kept.value_limit();
            if self.headers > 1 {
                kept.push(b",");
            }
        } else {
            kept.cut.headers_dropped += 1;
        }
    }

    fn end_member(&mut self, kept: &mut Kept) {
        if self.shortened && self.is_kept(kept) {
            let name = self.name.as_slice().into();
            kept.cut.values.push(CutValue { name, original_len: self.original_len });
        }
        self.shortened = false;
    }

    /// Is the current member one of those that are kept?
    fn is_kept(&self, kept: &Kept) -> bool {
        self.headers <= kept.limits.max_headers
    }
}
