//! What other programs put before each row of a log: docker, compose, kubectl, the journal, rsyslog, grep.
//!
//! A prefix is read from the first byte of a row on, and none begins with a space: a row inside a sender's name has a
//! space or a tab before it, so no name can bring a prefix along. The forms of syslog that FreeSWITCH's own rows may
//! have anyway (`Nov 22 08:24:26 pbx freeswitch[815]: `) are read by [`row`].

use nom::branch::alt;
use nom::bytes::complete::{tag, take_while, take_while1};
use nom::character::complete::{alpha1, digit1, space1};
use nom::combinator::{map, opt, recognize, value};
use nom::{IResult, Parser as _};
use sipward_ingest::log_parser::row;

/// Prefixes before each other at most: grep of a compose log with times has three.
const MAX_LAYERS: usize = 4;

/// Longest name of a file that grep puts before a row, in bytes (`PATH_MAX`).
const MAX_PATH: usize = 4_096;

/// Colons and hyphens in it at most, behind each of which a row may begin.
const MAX_ENDS: usize = 32;

/// A row of FreeSWITCH's log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bare<'t> {
    /// Without prefix and colours before it.
    pub(super) text: &'t [u8],
    /// Something was before it.
    pub(super) is_prefixed: bool,
}

/// Takes the prefixes off; `None` when what is left neither begins a message nor goes on with one.
pub(super) fn bare(text: &[u8]) -> Option<Bare<'_>> {
    let text = without_colour(text);
    if is_row(text) {
        return Some(Bare { text, is_prefixed: false });
    }
    let rest = behind_layers(text).or_else(|| behind_path(text))?;
    Some(Bare { text: rest, is_prefixed: true })
}

/// A row without the colours that a console puts before it and, of the row before, behind it:
/// `ESC [ … m` (ECMA-48, SGR).
pub(super) fn without_colour(mut row: &[u8]) -> &[u8] {
    while let Some(rest) = row.strip_prefix(b"\x1b[") {
        let Some(end) = rest.iter().position(|b| !b.is_ascii_digit() && *b != b';') else { break };
        match rest.split_at_checked(end) {
            Some((_, [b'm', rest @ ..])) => row = rest,
            _ => break,
        }
    }
    row
}

fn is_row(text: &[u8]) -> bool {
    row::split(text).is_some() || row::goes_on(text).is_some()
}

fn behind_layers(text: &[u8]) -> Option<&[u8]> {
    let mut rest = text;
    for _ in 0..MAX_LAYERS {
        if is_row(rest) {
            return Some(rest);
        }
        (rest, ()) = layer(rest).ok()?;
        rest = without_colour(rest);
    }
    is_row(rest).then_some(rest)
}

/// `file:row`, `file:12:row`, `12:row`, and with hyphens for the rows that `grep -A` adds.
fn behind_path(text: &[u8]) -> Option<&[u8]> {
    let is_path = |byte: &u8| byte.is_ascii_alphanumeric() || b"._/+~@:-".contains(byte);
    let begins = |byte: &u8| byte.is_ascii_alphanumeric() || b"./_~".contains(byte);
    text.first().filter(|byte| begins(byte))?;
    let length = text.iter().take(MAX_PATH).take_while(|byte| is_path(byte)).count();
    let prefix = text.get(..length)?;
    let ends = prefix.iter().enumerate().filter(|(_, byte)| b":-".contains(byte));
    ends.take(MAX_ENDS).map(|(at, _)| at + 1).find_map(|end| {
        let (path, rest) = text.split_at_checked(end)?;
        // Without a dot, a slash or a number it comes from FreeSWITCH: `Dialplan: …`.
        let is_named = path.iter().any(|byte| b"./".contains(byte) || byte.is_ascii_digit());
        is_named.then(|| behind_layers(rest)).flatten()
    })
}

fn layer(text: &[u8]) -> IResult<&[u8], ()> {
    alt((compose, pod, journal, protocol, container)).parse(text)
}

/// `freeswitch-1  | `, maybe coloured up to the line.
fn compose(text: &[u8]) -> IResult<&[u8], ()> {
    let name = take_while1(|b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b));
    let colour = opt((tag("\x1b["), take_while(|b: u8| b.is_ascii_digit() || b == b';'), tag("m")));
    value((), (name, space1, tag("|"), colour, tag(" "))).parse(text)
}

/// `[pod/NAME/CONTAINER] `.
fn pod(text: &[u8]) -> IResult<&[u8], ()> {
    value((), (tag("[pod/"), take_while1(|b: u8| b.is_ascii_graphic() && b != b']'), tag("] ")))
        .parse(text)
}

/// `docker logs -t`: `2026-11-22T08:24:10.444123456Z `; containerd's files have `stdout F ` behind it.
fn container(text: &[u8]) -> IResult<&[u8], ()> {
    let stream =
        (alt((tag("stdout"), tag("stderr"))), tag(" "), alt((tag("F"), tag("P"))), tag(" "));
    value((), (iso_time, tag(" "), opt(stream))).parse(text)
}

/// `journalctl -o short-full`, `short-unix`, `short-monotonic`, and the first and `with-unit` without a host.
fn journal(text: &[u8]) -> IResult<&[u8], ()> {
    let full = recognize((alpha1, space1, date, space1, clock, space1, word));
    let unix = recognize((digit1, tag("."), digit1));
    let steady = recognize((tag("["), take_while1(|b: u8| is_number(b) || b == b' '), tag("]")));
    value((), (alt((full, unix, steady)), space1, opt((word, space1)), word, tag(": "))).parse(text)
}

/// `<134>1 2026-11-22T08:24:10.444+01:00 pbx freeswitch 815 - - ` (RFC 5424), and `<134>` before the older form.
fn protocol(text: &[u8]) -> IResult<&[u8], ()> {
    let priority = || (tag("<"), digit1, tag(">"));
    let words = (word, tag(" "), word, tag(" "), word, tag(" "), word, tag(" "));
    let modern = (priority(), tag("1 "), iso_time, tag(" "), words, tag("- "));
    alt((value((), modern), map(priority(), |_| ()))).parse(text)
}

fn iso_time(text: &[u8]) -> IResult<&[u8], &[u8]> {
    let time = take_while1(|b: u8| is_number(b) || b":+-Z".contains(&b));
    recognize((date, tag("T"), time)).parse(text)
}

fn date(text: &[u8]) -> IResult<&[u8], &[u8]> {
    recognize((digit1, tag("-"), digit1, tag("-"), digit1)).parse(text)
}

fn clock(text: &[u8]) -> IResult<&[u8], &[u8]> {
    take_while1(|b: u8| is_number(b) || b == b':').parse(text)
}

fn word(text: &[u8]) -> IResult<&[u8], &[u8]> {
    take_while1(|b: u8| b.is_ascii_graphic() && b != b':').parse(text)
}

fn is_number(byte: u8) -> bool {
    byte.is_ascii_digit() || byte == b'.'
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ROW: &str = "2026-11-22 08:24:10.444097 99.77% [WARNING] sofia_reg.c:1787 SIP auth failure (REGISTER) on \
                       sofia profile 'internal' for [1000@pbx.test] from ip 192.0.2.4";

    #[test]
    fn prefixes_of_other_programs_are_taken_off() {
        for prefix in [
            "2026-11-22T08:24:10.444123456Z ",
            "2026-11-22T09:24:10.444123456+01:00 ",
            "2026-11-22T08:24:10.444123456Z stdout F ",
            "freeswitch-1  | ",
            "\x1b[36mfreeswitch_1  |\x1b[0m ",
            "freeswitch-1  | 2026-11-22T08:24:10.444123456Z ",
            "[pod/pbx-0/freeswitch] ",
            "Sun 2026-11-22 08:24:10 CET pbx freeswitch[815]: ",
            "Sun 2026-11-22 08:24:10 CET freeswitch.service[815]: ",
            "1795335850.444097 pbx freeswitch[815]: ",
            "[ 1234.567890] pbx freeswitch[815]: ",
            "<134>1 2026-11-22T08:24:10.444+01:00 pbx freeswitch 815 - - ",
            "<134>Nov 22 08:24:10 pbx freeswitch[815]: ",
            "freeswitch.log:",
            "/var/log/freeswitch/freeswitch.log.1:12:",
            "freeswitch.log-2026-11-22:12:",
            "freeswitch.log-12-",
            "12:",
            "syslog:7:Nov 22 08:24:10 pbx freeswitch[815]: ",
            "docker.log:7:freeswitch-1  | 2026-11-22T08:24:10.444123456Z ",
        ] {
            let text = format!("{prefix}{ROW}");
            let found = bare(text.as_bytes()).unwrap_or_else(|| panic!("{prefix}"));
            let left = String::from_utf8_lossy(found.text).into_owned();
            assert!(found.is_prefixed && left.ends_with(ROW), "{prefix}: {left}");
            assert_eq!(
                row::split(found.text).map(|row| row.date),
                Some(&b"2026-11-22"[..]),
                "{prefix}"
            );
            // A folded header in the middle of a message stays one.
            let folded = format!("{prefix} {ROW}");
            let rest = bare(folded.as_bytes()).map(|bare| row::split(bare.text).is_none());
            assert_eq!(rest, Some(true), "{prefix}");
        }
    }

    #[test]
    fn the_journals_and_rsyslogs_usual_forms_are_rows_as_they_are() {
        for prefix in [
            "",
            "Nov 22 08:24:10 pbx freeswitch[815]: ",
            "2026-11-22T08:24:10+0100 pbx freeswitch[815]: ",
            "2026-11-22T08:24:10.444097+01:00 pbx freeswitch[815]: ",
        ] {
            let text = format!("{prefix}{ROW}");
            let found = bare(text.as_bytes()).unwrap();
            assert!(row::split(found.text).is_some() && !found.is_prefixed, "{prefix}");
        }
    }

    #[test]
    fn words_of_freeswitch_are_no_prefix() {
        for words in ["Dialplan: ", "EXECUTE [depth=0] ", "Via: ", "a=rtpmap:0 ", "x ", ":", "-"] {
            assert_eq!(bare(format!("{words}{ROW}").as_bytes()), None, "{words}");
            assert_eq!(bare(format!("{words} {ROW}").as_bytes()), None, "{words}");
        }
        assert!(!bare(format!(" 12:{ROW}").as_bytes()).unwrap().is_prefixed);
    }

    proptest! {
        #[test]
        fn a_row_behind_a_space_never_begins_a_message(prefix in "[ \t][ -~]{0,40}") {
            let text = format!("{prefix}{ROW}");
            prop_assert!(bare(text.as_bytes()).is_some_and(|bare| row::split(bare.text).is_none()));
        }
    }
}
