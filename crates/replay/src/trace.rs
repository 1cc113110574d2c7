//! Rows of a log file that belong to no message that is read: what FreeSWITCH writes between them, and what it does not.

use memchr::memmem;

use super::tally::UnreadKind;

/// How rows begin that FreeSWITCH writes without date and level: traces of the dialplan, SIP and SDP as they came,
/// the rest of messages of several rows.
const BEGINNINGS: [&[u8]; 12] = [
    b"Dialplan: ",
    b"Chatplan: ",
    b"EXECUTE ",
    b"recv ",
    b"send ",
    b"SIP/2.0 ",
    b"tport",
    b"nta",
    b"nua",
    b"----",
    b"<",
    b"You must define ",
];

/// Levels of a row, as written in it.
const LEVELS: [&[u8]; 8] = [
    b"[CONSOLE] ",
    b"[ALERT] ",
    b"[CRIT] ",
    b"[ERR] ",
    b"[WARNING] ",
    b"[NOTICE] ",
    b"[INFO] ",
    b"[DEBUG] ",
];

/// Why a row is of no use; `None` for one that FreeSWITCH writes between its messages.
pub(super) fn unread(text: &[u8]) -> Option<UnreadKind> {
    if is_trace(text) {
        return None;
    }
    let has = |level: &&[u8]| memmem::find(text, level).is_some();
    Some(if LEVELS.iter().any(has) { UnreadKind::Layout } else { UnreadKind::Foreign })
}

fn is_trace(text: &[u8]) -> bool {
    let text = behind_uuid(text).unwrap_or(text);
    let text = text.strip_suffix(b"\r").unwrap_or(text);
    let is_sdp = matches!(text, [letter, b'=', ..] if letter.is_ascii_lowercase());
    text.is_empty()
        || text.starts_with(b" ")
        || text.starts_with(b"\t")
        || is_sdp
        || is_header(text)
        || BEGINNINGS.iter().any(|beginning| text.starts_with(beginning))
}

/// `Via: …` and `variable_x: [y]`, as dumps of messages and of variables have them.
fn is_header(text: &[u8]) -> bool {
    let name = text.split(|byte| *byte == b':').next().unwrap_or_default();
    let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_".contains(byte);
    name.first().is_some_and(u8::is_ascii_alphabetic)
        && name.iter().all(is_name)
        && text.get(name.len()..).is_some_and(|rest| rest.starts_with(b": "))
}

/// The row behind the UUID of a call (RFC 9562 section 4), which some logs have before each.
fn behind_uuid(text: &[u8]) -> Option<&[u8]> {
    let (uuid, rest) = text.split_at_checked(36)?;
    let is_uuid = |byte: &u8| byte.is_ascii_hexdigit() || *byte == b'-';
    uuid.iter().all(is_uuid).then(|| rest.strip_prefix(b" ")).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn traces_of_freeswitch_are_no_rows_that_are_missed() {
        for row in [
            "",
            "\r",
            " folded",
            "Dialplan: sofia/internal/1000 parsing",
            "EXECUTE [depth=0] sofia/internal/1000 answer()",
            "1c1e7d0c-0c5b-4b5c-9a5e-0d0c5b4b5c9a Dialplan: x",
            "v=0",
            "Via: SIP/2.0/UDP 192.0.2.1",
            "variable_x: [y]",
        ] {
            assert_eq!(unread(row.as_bytes()), None, "{row}");
        }
        let row = "[xyz] 2026-11-22 08:24:10 [WARNING] sofia_reg.c:1787 SIP auth failure";
        assert_eq!(unread(row.as_bytes()), Some(UnreadKind::Layout));
        for row in ["192.0.2.1 - - [22/Nov/2026] GET /", "nonsense", "\0\0\0"] {
            assert_eq!(unread(row.as_bytes()), Some(UnreadKind::Foreign), "{row}");
        }
    }
}
