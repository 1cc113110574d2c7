//! Percent-encoding as FreeSWITCH does it.

use std::fmt::Write as _;

/// Characters that FreeSWITCH encodes besides controls and non-ASCII (`SWITCH_URL_UNSAFE`,
/// `switch_utils.h`).
const UNSAFE: &[u8] = b"\r\n #%&+:;<=>?@[\\]^`{|}\"";

/// Encodes a header value like `switch_url_encode`.
///
/// A `%` before two upper-case hex digits stays as it is: FreeSWITCH takes it for something that is
/// encoded already, which is how an attacker's `%0A` comes out as a line feed after decoding.
#[must_use]
pub fn encode(value: &str) -> String {
    let bytes = value.as_bytes();
    let mut out = String::with_capacity(bytes.len());
    for (at, &byte) in bytes.iter().enumerate() {
        let kept = byte == b'%' && bytes.get(at + 1..at + 3).is_some_and(is_upper_hex);
        if kept || (byte.is_ascii_graphic() && !UNSAFE.contains(&byte)) {
            out.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

/// Decodes a header value; what is not UTF-8 becomes replacement characters.
#[must_use]
pub fn decode(value: &[u8]) -> String {
    let mut out = Vec::with_capacity(value.len());
    let mut rest = value;
    while let Some((&byte, tail)) = rest.split_first() {
        let escaped = (byte == b'%').then(|| tail.get(..2).and_then(hex_pair)).flatten();
        out.push(escaped.unwrap_or(byte));
        rest = if escaped.is_some() { tail.get(2..).unwrap_or_default() } else { tail };
    }
    String::from_utf8_lossy(&out).into_owned()
}

fn is_upper_hex(pair: &[u8]) -> bool {
    pair.iter().all(|b| b.is_ascii_digit() || (b'A'..=b'F').contains(b))
}

fn hex_pair(pair: &[u8]) -> Option<u8> {
    let digits = std::str::from_utf8(pair).ok()?;
    digits.bytes().all(|b| b.is_ascii_hexdigit()).then(|| u8::from_str_radix(digits, 16).ok())?
}

#[cfg(test)]
mod tests {
    use super::{decode, encode};

    #[test]
    fn encodes_what_the_recordings_show_encoded() {
        assert_eq!(encode("sofia::pre_register"), "sofia%3A%3Apre_register");
        assert_eq!(
            encode("\"\" <sip:1000@127.0.0.1:33752>"),
            "%22%22%20%3Csip%3A1000%40127.0.0.1%3A33752%3E"
        );
        assert_eq!(encode("Sun, 22 Nov 2026"), "Sun,%2022%20Nov%202026");
        assert_eq!(encode("üx"), "%C3%BCx");
        assert_eq!(encode("Registered(UDP) pytest/1.0"), "Registered(UDP)%20pytest/1.0");
    }

    #[test]
    fn leaves_an_upper_case_escape_of_the_sender_alone() {
        assert_eq!(encode("x%0Ay 100%z %0a"), "x%0Ay%20100%25z%20%250a");
    }

    #[test]
    fn decodes_and_keeps_what_is_no_escape() {
        assert_eq!(decode(b"a%20b%zz%"), "a b%zz%");
        assert_eq!(decode(encode("[fd66::1]%eth0").as_bytes()), "[fd66::1]%eth0");
    }
}
