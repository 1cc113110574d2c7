//! The head of a row of FreeSWITCH's log: what stands before the message.

use nom::branch::alt;
use nom::bytes::complete::{tag, take_while1};
use nom::character::complete::{alpha1, digit1, space1};
use nom::combinator::{opt, recognize};
use nom::sequence::{delimited, separated_pair, terminated};
use nom::{IResult, Parser as _};

/// The row that begins a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row<'t> {
    /// `2026-11-22` or `11-22`, local time.
    pub date: &'t [u8],
    /// `08:24:26.444097`.
    pub time: &'t [u8],
    /// The source file that wrote it: `sofia_reg.c`.
    pub file: &'t [u8],
    /// What it says, and every row behind it.
    pub message: &'t [u8],
}

/// How the second and the third row of `Can't find user` begin.
pub(super) const UNKNOWN_USER_ROWS: [&[u8]; 2] =
    [b"You must define a domain called '", b"and you must configure your device "];

/// Splits a row.
///
/// All layouts end in a level and `file:line`. Before that stands a date with or without its year,
/// maybe before it a UUID or what syslog adds, maybe behind it the share of idle time. None of it is
/// a sender's choice. A row that begins with a space is what a folded SIP header left in the middle
/// of a message, and no row: also behind a UUID or syslog's part, which some logs repeat before every
/// row of a message.
pub fn split(row: &[u8]) -> Option<Row<'_>> {
    let mut head = (
        opt(syslog),
        opt(terminated(uuid, tag(" "))),
        terminated(date, space1),
        terminated(time, space1),
        opt((take_while1(is_decimal), tag("%"), space1)),
        delimited(tag("["), alpha1, (tag("]"), space1)),
        opt((tag("[SOFIA]"), space1)),
        terminated(alt((place, delimited(tag("["), place, tag("]")))), tag(" ")),
    );
    let (message, (_, _, date, time, .., file)) = head.parse(row).ok()?;
    Some(Row { date, time, file, message })
}

/// The text of a row of a log file that goes on with the message before it; `None` when it does not.
///
/// Senders break a row only by folding a header (RFC 3261 section 7.3.1), which leaves a space or a tab
/// behind the break. FreeSWITCH itself breaks the messages that we read only in `Can't find user`. Every
/// other row is of another message: traces of the dialplan have neither date nor level.
pub fn goes_on(row: &[u8]) -> Option<&[u8]> {
    let mut prefix = (opt(syslog), opt(terminated(uuid, tag(" "))));
    let text = IResult::ok(prefix.parse(row)).map_or(row, |(text, _)| text);
    let folded = text.first().is_some_and(|byte| b" \t".contains(byte));
    let known = || UNKNOWN_USER_ROWS.iter().any(|beginning| text.starts_with(beginning));
    (folded || known()).then_some(text)
}

/// `Nov 22 08:24:26 pbx freeswitch[815]: `, or its date as in RFC 5424.
fn syslog(row: &[u8]) -> IResult<&[u8], ()> {
    let classic = recognize((alpha1, space1, digit1, space1, time));
    let modern = recognize((date, tag("T"), take_while1(|b| is_time(b) || b"+-Z".contains(&b))));
    let word = || take_while1(|b: u8| b.is_ascii_graphic() && b != b':');
    let (rest, _) =
        (alt((classic, modern)), space1, word(), space1, word(), tag(": ")).parse(row)?;
    Ok((rest, ()))
}

fn uuid(row: &[u8]) -> IResult<&[u8], &[u8]> {
    /// A UUID in text is this long (RFC 9562 section 4), longer than any date.
    const LENGTH: usize = 36;
    let hex = take_while1(|b: u8| b.is_ascii_hexdigit() || b == b'-');
    nom::combinator::verify(hex, |text: &[u8]| text.len() == LENGTH).parse(row)
}

/// `2026-11-22` or `11-22`.
fn date(row: &[u8]) -> IResult<&[u8], &[u8]> {
    recognize((digit1, tag("-"), digit1, opt((tag("-"), digit1)))).parse(row)
}

fn time(row: &[u8]) -> IResult<&[u8], &[u8]> {
    take_while1(is_time).parse(row)
}

/// `sofia_reg.c:1787`, of which the file.
fn place(row: &[u8]) -> IResult<&[u8], &[u8]> {
    let file = take_while1(|b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b));
    let (rest, (file, _)) = separated_pair(file, tag(":"), digit1).parse(row)?;
    Ok((rest, file))
}

fn is_decimal(byte: u8) -> bool {
    byte.is_ascii_digit() || byte == b'.'
}

fn is_time(byte: u8) -> bool {
    is_decimal(byte) || byte == b':'
}
