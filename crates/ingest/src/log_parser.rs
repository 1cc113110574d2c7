//! Lines of FreeSWITCH's log → complaints about an address.
//!
//! Senders choose most of the text of a line: user names such as `x] from ip 10.9.9.9`, and folded
//! headers that put whole rows into the middle of a message. What decides is what they cannot choose:
//! which file and function wrote the message, how it begins, and how the *whole* message ends. A row
//! inside a message is never read as a row of its own.

pub mod row;

use std::borrow::Cow;
use std::net::IpAddr;
use std::time::Duration;

use nom::branch::alt;
use nom::bytes::complete::{tag, take_till1};
use nom::sequence::delimited;
use nom::{IResult, Parser as _};
use sipward_engine::{self as engine, ComplaintKind, Method, Timestamp};
use sipward_esl::LogLine;

use self::row::Row;
use sipward_model::record::RefusedFor;

/// Between the line that says why a right password was refused and the line of its failure, which the
/// same thread writes next.
const REASON_LIFE: Duration = Duration::from_secs(1);

/// One message of the log, whole.
///
/// In a log file it may take several rows (`row::goes_on`). Anyone who hands over single rows lets senders
/// forge the ends of messages.
#[derive(Clone, Copy, Debug)]
pub struct Message<'t> {
    /// Its text, without the last line end.
    pub text: &'t [u8],
    /// `Log-File` and `Log-Func` of a `log/data` frame. A log file has only the former, in the text.
    pub origin: Option<(&'t [u8], &'t [u8])>,
}

/// What a message says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reading<'t> {
    /// It accuses an address.
    Complaint(Complaint<'t>),
    /// The failure of the next line had the right password.
    Refused {
        /// Why it was refused all the same.
        reason: RefusedFor,
        /// How the phone tried.
        method: Method,
    },
}

/// A message that accuses an address. Over UDP any address can be forged in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Complaint<'t> {
    /// Of what.
    pub kind: ComplaintKind,
    /// The address.
    pub source: IpAddr,
    /// The user it names, without the domain.
    pub user: Option<Cow<'t, str>>,
    /// The SIP method, where the message tells.
    pub method: Option<Method>,
}

/// What a line means for others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogFinding<'t> {
    /// Somebody is accused.
    Complaint(Complaint<'t>),
    /// A right password was refused: nothing to hold against the source.
    RefusedLogin(Complaint<'t>, RefusedFor),
}

/// Reads one line after the other.
#[derive(Debug, Default)]
pub struct LogReader {
    /// A reason whose failure has not come yet.
    reason: Option<(RefusedFor, Method, Timestamp)>,
}

impl LogReader {
    /// What a line means, read at `now`. `None`: nothing that accuses anybody.
    pub fn read<'t>(&mut self, line: &'t LogLine, now: Timestamp) -> Option<LogFinding<'t>> {
        // The end of a message is what it is read by.
        if line.truncated().is_some() {
            return None;
        }
        let origin = Some((line.file()?, line.function()?));
        self.read_message(Message { text: line.text(), origin }, now)
    }

    /// What a message means, written at `now`. `None`: nothing that accuses anybody.
    pub fn read_message<'t>(
        &mut self,
        message: Message<'t>,
        now: Timestamp,
    ) -> Option<LogFinding<'t>> {
        match read(message)? {
            Reading::Refused { reason, method } => {
                self.reason = Some((reason, method, now));
                None
            }
            Reading::Complaint(complaint) if complaint.kind == ComplaintKind::AuthFailure => {
                let fits = |(_, method, since): &(_, Method, Timestamp)| {
                    complaint.method == Some(*method) && now.since(*since) <= REASON_LIFE
                };
                Some(match self.reason.take().filter(fits) {
                    Some((reason, ..)) => LogFinding::RefusedLogin(complaint, reason),
                    None => LogFinding::Complaint(complaint),
                })
            }
            Reading::Complaint(complaint) => Some(LogFinding::Complaint(complaint)),
        }
    }
}

impl Complaint<'_> {
    /// In the engine's terms.
    #[must_use]
    pub fn as_input(&self) -> engine::Complaint<'_> {
        engine::Complaint { source: self.source, user: self.user.as_deref(), kind: self.kind }
    }
}

/// Reads a message.
#[must_use]
pub fn read(message: Message<'_>) -> Option<Reading<'_>> {
    // The head of a message holds no line end, so only its first row can match.
    let Row { file, message: text, .. } = row::split(message.text)?;
    let function = match message.origin {
        Some((told, function)) if told == file => Some(function),
        Some(_) => return None,
        None => None,
    };
    let wrote = |prefix: &str| function.is_none_or(|name| name.starts_with(prefix.as_bytes()));
    AUTHORS
        .iter()
        .filter(|(by, function, _)| by.as_bytes() == file && wrote(function))
        .find_map(|(_, _, reader)| reader(text))
}

/// Whether messages that the source file `file` writes can accuse anybody.
pub fn may_accuse(file: &[u8]) -> bool {
    AUTHORS.iter().any(|(by, ..)| by.as_bytes() == file)
}

/// Who writes what: source file, beginning of the function's name, reader of the message.
const AUTHORS: [Author; 9] = [
    ("sofia_reg.c", "sofia_reg_handle_register", auth_failure),
    ("sofia_reg.c", "sofia_reg_handle_register", malformed),
    ("sofia_reg.c", "sofia_reg_parse_auth", unknown_user),
    ("sofia_reg.c", "sofia_reg_parse_auth", refused),
    ("sofia_reg.c", "sofia_reg_handle_sip_i_register", acl_rejected),
    ("sofia.c", "sofia_handle_sip_i_invite", acl_rejected),
    // `log` of a dialplan and of the API; scripts.
    ("mod_dptools.c", "log_function", reported),
    ("mod_commands.c", "log_function", reported),
    ("switch_cpp.cpp", "console", reported),
];

type Author = (&'static str, &'static str, fn(&[u8]) -> Option<Reading<'_>>);

/// `SIP auth failure (REGISTER) on sofia profile 'internal' for [1000@pbx.test] from ip 192.0.2.7`
fn auth_failure(text: &[u8]) -> Option<Reading<'_>> {
    let (rest, method) = failure_of(text).ok()?;
    let rest = rest.strip_prefix(b"on sofia profile '")?;
    // The profile's name is the operator's.
    let (_, rest) = cut(rest, b"' for [")?;
    let (account, address) = cut_last(rest, b"] from ip ")?;
    Some(Reading::Complaint(Complaint {
        kind: ComplaintKind::AuthFailure,
        source: ip(address)?,
        user: Some(user_of(account)),
        method: Some(method),
    }))
}

/// `SIP auth failure (REGISTER) due to …`, just before the failure itself.
fn refused(text: &[u8]) -> Option<Reading<'_>> {
    let (rest, method) = failure_of(text).ok()?;
    let reason = if rest.starts_with(b"due to reaching max allowed registrations.") {
        RefusedFor::MaxRegistrations
    } else if rest.starts_with(b"due to user-agent-filter.") {
        RefusedFor::UserAgentFilter
    } else {
        return None;
    };
    Some(Reading::Refused { reason, method })
}

fn failure_of(text: &[u8]) -> IResult<&[u8], Method> {
    let word = take_till1(|byte: u8| !byte.is_ascii_alphabetic());
    let method = word.map(|word: &[u8]| match word {
        b"REGISTER" => Method::Register,
        b"INVITE" => Method::Invite,
        _ => Method::Other,
    });
    delimited(tag("SIP auth failure ("), method, tag(") ")).parse(text)
}

/// `Can't find user [1000@pbx.test] from 192.0.2.7`, and two more rows.
///
/// The names come again in the second row. So a line end in one of them makes more than three rows,
/// and nobody can tell where the first one really ends: such a message accuses nobody. The failure
/// that follows it does.
fn unknown_user(text: &[u8]) -> Option<Reading<'_>> {
    let mut rows = text.split(|byte| *byte == b'\n');
    let (first, second, third) = (rows.next()?, rows.next()?, rows.next()?);
    let whole = rows.next().is_none()
        && second.starts_with(row::UNKNOWN_USER_ROWS[0])
        && third.starts_with(row::UNKNOWN_USER_ROWS[1]);
    let rest = first.strip_prefix(b"Can't find user [").filter(|_| whole)?;
    let (account, address) = cut_last(rest, b"] from ")?;
    Some(Reading::Complaint(Complaint {
        kind: ComplaintKind::UnknownUser,
        source: ip(address)?,
        user: Some(user_of(account)),
        method: None,
    }))
}

/// `IP 192.0.2.7 Rejected by register acl "providers"`; nothing behind it: `Falling back to Digest
/// auth` is no rejection. The list's name is the operator's.
fn acl_rejected(text: &[u8]) -> Option<Reading<'_>> {
    let (address, rest) = cut(text.strip_prefix(b"IP ")?, b" ")?;
    let mut head = alt((tag("Rejected by register acl \""), tag("Rejected by acl \"")));
    let (list, _) = IResult::<&[u8], &[u8]>::ok(head.parse(rest))?;
    let list = list.strip_suffix(b"\"")?;
    (!list.contains(&b'"')).then_some(())?;
    Some(bare(ComplaintKind::AclRejected, ip(address)?))
}

/// `Can not do authorization without a complete header in REGISTER request from 192.0.2.7:5060`
///
/// `Invalid Authorization header!` names no address.
fn malformed(text: &[u8]) -> Option<Reading<'_>> {
    let rest = text.strip_prefix(b"Can not do authorization without a complete header in ")?;
    let (_, address) = cut_last(rest, b" request from ")?;
    let (address, port) = cut_last(address, b":")?;
    std::str::from_utf8(port).ok()?.parse::<u16>().ok()?;
    Some(bare(ComplaintKind::MalformedAuthorization, ip(address)?))
}

/// `FAIL2BAN_HOST=192.0.2.7`, the whole message, in quotes or not: behind the address a dialplan may
/// have written what the caller chose.
fn reported(text: &[u8]) -> Option<Reading<'_>> {
    let text = text.trim_ascii();
    let quoted = text.strip_prefix(b"\"").and_then(|text| text.strip_suffix(b"\""));
    let address = quoted.unwrap_or(text).strip_prefix(b"FAIL2BAN_HOST=")?;
    Some(bare(ComplaintKind::Reported, ip(address)?))
}

fn bare(kind: ComplaintKind, source: IpAddr) -> Reading<'static> {
    Reading::Complaint(Complaint { kind, source, user: None, method: None })
}

/// An address, without brackets; a link-local one may carry its zone.
fn ip(text: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(text).ok()?;
    let address = match text.split_once('%') {
        Some((address, zone)) if !zone.is_empty() && zone.bytes().all(|b| b.is_ascii_graphic()) => {
            address
        }
        Some(_) => return None,
        None => text,
    };
    address.parse().ok()
}

/// The user of `user@domain`.
fn user_of(account: &[u8]) -> Cow<'_, str> {
    let user = cut_last(account, b"@").map_or(account, |(user, _domain)| user);
    String::from_utf8_lossy(user)
}

/// Around the first `mark`.
fn cut<'t>(text: &'t [u8], mark: &[u8]) -> Option<(&'t [u8], &'t [u8])> {
    let at = text.windows(mark.len()).position(|part| part == mark)?;
    Some((text.get(..at)?, text.get(at + mark.len()..)?))
}

/// Around the last `mark`.
fn cut_last<'t>(text: &'t [u8], mark: &[u8]) -> Option<(&'t [u8], &'t [u8])> {
    let at = text.windows(mark.len()).rposition(|part| part == mark)?;
    Some((text.get(..at)?, text.get(at + mark.len()..)?))
}

#[cfg(test)]
mod tests;
