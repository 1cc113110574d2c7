//! What an answer says.

use sipward_config::{WHOIS_PORT, WhoisServer, host_and_port};

/// Characters kept of an answer: what a person reads.
const MAX_TEXT: usize = 8 * 1024;

/// Longest line kept, in characters.
const MAX_LINE: usize = 200;

/// The lines that say something: without comments (`%` at RIPE, APNIC, AFRINIC and LACNIC, `#` at ARIN), runs of
/// empty lines, and whatever a terminal or a mail would take for more than text.
pub(super) fn readable(answer: &str) -> String {
    let mut text = String::new();
    let mut is_gap = true;
    for line in answer.lines() {
        let line: String = line.chars().map(harmless).take(MAX_LINE).collect();
        let line = line.trim_end();
        if line.starts_with(['%', '#']) || (line.is_empty() && is_gap) {
            continue;
        }
        if text.len() + line.len() >= MAX_TEXT {
            text.push_str("[...]\n");
            break;
        }
        is_gap = line.is_empty();
        text.push_str(line);
        text.push('\n');
    }
    text.truncate(text.trim_end().len());
    if !text.is_empty() {
        text.push('\n');
    }
    text
}

/// A printable character as it is, a tab as a space, everything else as a question mark.
fn harmless(c: char) -> char {
    match c {
        '"' | '\'' | '\\' => c,
        '\t' => ' ',
        // What it would escape is a control character, or changes how others are shown.
        c if c.escape_debug().len() > 1 => '?',
        c => c,
    }
}

/// Where another server is named: `refer:` (IANA), `ReferralServer: whois://` (ARIN), `whois:`. The last one
/// counts: ARIN lists networks from the widest to the narrowest.
pub(super) fn referral(answer: &str) -> Option<WhoisServer> {
    let named = answer.lines().rev().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        let keys = ["refer", "whois", "ReferralServer"];
        keys.iter().any(|known| key.trim().eq_ignore_ascii_case(known)).then(|| value.trim())
    })?;
    let place = match named.split_once("://") {
        Some((scheme, place)) if scheme.eq_ignore_ascii_case("whois") => place,
        // rwhois and the web are other protocols.
        Some(_) => return None,
        None => named,
    };
    let (host, port) = host_and_port(place.trim_end_matches('/'), WHOIS_PORT)?;
    Some(WhoisServer { host, port })
}
