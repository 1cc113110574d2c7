//! Percent-encoding as FreeSWITCH writes it into plain events and reply texts.

use std::borrow::Cow;

use crate::scan;

/// Undoes FreeSWITCH's `switch_url_encode`: `%XX` becomes one byte, in either letter case.
///
/// A `%` that two hex digits do not follow stays as it is, and so does `+`. Borrows when there is
/// nothing to undo. The result can hold any byte, CR, LF and NUL included: senders choose them.
#[must_use]
#[inline]
pub fn decode(raw: &[u8]) -> Cow<'_, [u8]> {
    match scan::position::<b'%'>(raw) {
        Some(first) => Cow::Owned(decode_from(raw, first)),
        None => Cow::Borrowed(raw),
    }
}

/// Decodes what has its first `%` at `first`.
fn decode_from(raw: &[u8], first: usize) -> Vec<u8> {
    let (clean, mut rest) = raw.split_at_checked(first).unwrap_or((raw, &[]));
    let mut decoded = Vec::with_capacity(raw.len());
    decoded.extend_from_slice(clean);
    while let Some(at) = memchr::memchr(b'%', rest) {
        let (before, escape) = rest.split_at(at);
        decoded.extend_from_slice(before);
        let (byte, after) =
            escaped(escape).unwrap_or((b'%', escape.split_first().map_or(&[], |(_, tail)| tail)));
        decoded.push(byte);
        rest = after;
    }
    decoded.extend_from_slice(rest);
    decoded
}

/// The byte that `%XX` at the beginning stands for, and what follows.
fn escaped(text: &[u8]) -> Option<(u8, &[u8])> {
    let [b'%', high, low, after @ ..] = text else { return None };
    Some((hex_digit(*high)? << 4 | hex_digit(*low)?, after))
}

/// [`decode`] into a buffer on the stack; `None` when it does not fit.
pub(crate) fn decode_into<'b>(raw: &[u8], buffer: &'b mut [u8]) -> Option<&'b [u8]> {
    let mut rest = raw;
    let mut len = 0;
    while let [first, after @ ..] = rest {
        let (byte, after) = escaped(rest).unwrap_or((*first, after));
        *buffer.get_mut(len)? = byte;
        len += 1;
        rest = after;
    }
    buffer.get(..len)
}

/// Appends `value` so that [`decode`] gives it back and no byte of it can end a line.
pub(crate) fn encode_into(value: &[u8], out: &mut Vec<u8>) {
    for &byte in value {
        if matches!(byte, b'%' | b'\r' | b'\n' | 0) {
            let digits = [hex_char(byte >> 4), hex_char(byte & 0xf)];
            out.push(b'%');
            out.extend_from_slice(&digits);
        } else {
            out.push(byte);
        }
    }
}

/// The value of one hex digit, in either letter case.
#[inline]
pub(crate) fn hex_digit(digit: u8) -> Option<u8> {
    Some(hex_value(digit)).filter(|&value| value < NO_DIGIT)
}

/// The value of one hex digit, in either letter case; [`NO_DIGIT`] for every other byte.
#[inline]
pub(crate) fn hex_value(digit: u8) -> u8 {
    HEX_DIGITS.get(usize::from(digit)).copied().unwrap_or(NO_DIGIT)
}

/// A bit that no digit's value has.
pub(crate) const NO_DIGIT: u8 = 16;

/// A table, because the UUID of every record is read with it.
#[allow(clippy::indexing_slicing)] // Evaluated by the compiler, which refuses what is out of bounds.
static HEX_DIGITS: [u8; 256] = {
    let mut values = [NO_DIGIT; 256];
    let mut value = 0;
    while value < 16 {
        values[hex_char(value) as usize] = value;
        values[hex_char(value).to_ascii_lowercase() as usize] = value;
        value += 1;
    }
    values
};

const fn hex_char(nibble: u8) -> u8 {
    if nibble < 10 { b'0' + nibble } else { b'A' + nibble - 10 }
}

#[cfg(test)]
mod tests;
