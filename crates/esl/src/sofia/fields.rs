//! One pass over an event's header lines.

use super::{
    Endpoint, EventMeta, EventTime, Origin,
    error::{Defect, DefectKind},
};
use crate::{CoreUuid, Event, text::Text};

/// The raw values of every header that a record needs. The first of several wins, as it does in
/// FreeSWITCH (`register_failure` names its profile twice).
#[derive(Debug, Default)]
pub(super) struct Fields<'e> {
    pub(super) event_subclass: Option<&'e [u8]>,
    core_uuid: Option<&'e [u8]>,
    timestamp: Option<&'e [u8]>,
    sequence: Option<&'e [u8]>,
    /// `Command` is there: the event came in by `sendevent`.
    sent_by_client: bool,
    /// `Event-Calling-File` is there, and every one of them names a file of `mod_sofia`.
    sofia_file: bool,
    other_file: bool,
    pub(super) profile_name: Option<&'e [u8]>,
    pub(super) network_ip: Option<&'e [u8]>,
    pub(super) network_port: Option<&'e [u8]>,
    pub(super) to_user: Option<&'e [u8]>,
    pub(super) to_host: Option<&'e [u8]>,
    pub(super) from_user: Option<&'e [u8]>,
    pub(super) from_host: Option<&'e [u8]>,
    pub(super) user: Option<&'e [u8]>,
    pub(super) host: Option<&'e [u8]>,
    pub(super) username: Option<&'e [u8]>,
    pub(super) realm: Option<&'e [u8]>,
    pub(super) user_agent: Option<&'e [u8]>,
    pub(super) call_id: Option<&'e [u8]>,
    pub(super) contact: Option<&'e [u8]>,
    pub(super) status: Option<&'e [u8]>,
    pub(super) expires: Option<&'e [u8]>,
    pub(super) auth_result: Option<&'e [u8]>,
    pub(super) registration_type: Option<&'e [u8]>,
    pub(super) update_reg: Option<&'e [u8]>,
    pub(super) gateway: Option<&'e [u8]>,
    pub(super) state: Option<&'e [u8]>,
    pub(super) ping_status: Option<&'e [u8]>,
    pub(super) gateway_status: Option<&'e [u8]>,
    pub(super) phrase: Option<&'e [u8]>,
}

/// What FreeSWITCH writes for an empty value in plain and XML events (`switch_event_serialize`).
const UNDEFINED: &[u8] = b"_undef_";

/// Takes the line's value into the slot of the first name that fits, and returns. FreeSWITCH spells each
/// name in one way only, so bytes are compared, not letters.
macro_rules! take {
    ($line:ident, $($name:literal => $slot:expr),+ $(,)?) => {{
        $(if let Some(value) = value_of($line, $name) {
            $slot.get_or_insert(value);
            return;
        })+
    }};
}

impl<'e> Fields<'e> {
    pub(super) fn collect(event: &'e Event) -> Self {
        let mut fields = Self::default();
        let mut headers = event.headers();
        while let Some(line) = headers.next_line() {
            fields.line(line);
        }
        fields
    }

    /// Compares a line with the names that begin with its letter. Cheaper than finding its colon first.
    #[inline]
    fn line(&mut self, line: &'e [u8]) {
        match line.first() {
            Some(b'E') => {
                take!(line,
                    b"Event-Subclass" => self.event_subclass,
                    b"Event-Date-Timestamp" => self.timestamp,
                    b"Event-Sequence" => self.sequence,
                );
                if let Some(file) = value_of(line, b"Event-Calling-File") {
                    self.calling_file(file);
                }
            }
            Some(b'C') => {
                take!(line, b"Core-UUID" => self.core_uuid);
                self.sent_by_client |= value_of(line, b"Command").is_some();
            }
            Some(b'n') => take!(line,
                b"network-ip" => self.network_ip,
                b"network-port" => self.network_port,
                b"network_ip" => self.network_ip,
                b"network_port" => self.network_port,
            ),
            Some(b't') => take!(line, b"to-user" => self.to_user, b"to-host" => self.to_host),
            Some(b'f') => take!(line,
                b"from-user" => self.from_user,
                b"from-host" => self.from_host,
                b"from_user" => self.from_user,
            ),
            Some(b'u') => take!(line,
                b"user-agent" => self.user_agent,
                b"username" => self.username,
                b"user" => self.user,
                b"update-reg" => self.update_reg,
            ),
            Some(b'r') => take!(line,
                b"registration-type" => self.registration_type,
                b"realm" => self.realm,
            ),
            Some(b'c') => take!(line, b"call-id" => self.call_id, b"contact" => self.contact),
            Some(b'p') => take!(line, b"profile-name" => self.profile_name),
            Some(b'a') => take!(line, b"auth-result" => self.auth_result),
            Some(b's') => take!(line, b"status" => self.status),
            Some(b'e') => take!(line, b"expires" => self.expires),
            Some(b'h') => take!(line, b"host" => self.host),
            Some(b'G') => take!(line, b"Gateway" => self.gateway),
            Some(b'S') => take!(line, b"State" => self.state, b"Status" => self.gateway_status),
            Some(b'P') => take!(line, b"Ping-Status" => self.ping_status, b"Phrase" => self.phrase),
            Some(_) | None => {}
        }
    }

    /// Who sent the event.
    pub(super) const fn origin(&self) -> Origin {
        if self.sent_by_client {
            Origin::Sendevent
        } else if self.sofia_file && !self.other_file {
            Origin::Sofia
        } else {
            Origin::Elsewhere
        }
    }

    pub(super) fn meta(&self) -> Result<EventMeta, Defect<'e>> {
        const UUID: &str = "Core-UUID";
        let core = required(UUID, self.core_uuid)?;
        let malformed = Defect { header: UUID, kind: DefectKind::NotAUuid, raw: core };
        Ok(EventMeta {
            time: EventTime::from_micros(number("Event-Date-Timestamp", self.timestamp)?),
            sequence: number("Event-Sequence", self.sequence)?,
            core: CoreUuid::parse(core).ok_or(malformed)?,
            origin: self.origin(),
        })
    }

    pub(super) fn endpoint(&self) -> Result<Endpoint<'e>, Defect<'e>> {
        const ADDRESS: &str = "network-ip";
        let raw = required(ADDRESS, self.network_ip)?;
        let malformed = Defect { header: ADDRESS, kind: DefectKind::NotAnAddress, raw };
        let port = number("network-port", self.network_port)?;
        Endpoint::parse(raw, port).ok_or(malformed)
    }

    pub(super) fn profile(&self) -> Result<Text<'e>, Defect<'e>> {
        required("profile-name", self.profile_name).map(Text::decode)
    }

    fn calling_file(&mut self, file: &[u8]) {
        let of_sofia =
            file == b"mod_sofia.c" || file.starts_with(b"sofia") && file.ends_with(b".c");
        if of_sofia {
            self.sofia_file = true;
        } else {
            self.other_file = true;
        }
    }
}

/// The value of a header line, if this is its name.
#[inline]
fn value_of<'e>(line: &'e [u8], name: &[u8]) -> Option<&'e [u8]> {
    let value = line.strip_prefix(name)?.strip_prefix(b":")?;
    Some(value.strip_prefix(b" ").unwrap_or(value))
}

/// A value that must be there.
pub(super) fn required<'e>(
    header: &'static str,
    value: Option<&'e [u8]>,
) -> Result<&'e [u8], Defect<'e>> {
    let missing = Defect { header, kind: DefectKind::Missing, raw: b"" };
    value.filter(|value| is_defined(value)).ok_or(missing)
}

/// A decoded value that need not be there.
pub(super) fn text(value: Option<&[u8]>) -> Option<Text<'_>> {
    value.filter(|value| is_defined(value)).map(Text::decode)
}

/// A decimal number that must be there.
fn number<'e, N: TryFrom<u64>>(
    header: &'static str,
    value: Option<&'e [u8]>,
) -> Result<N, Defect<'e>> {
    let raw = required(header, value)?;
    let malformed = Defect { header, kind: DefectKind::NotANumber, raw };
    decimal(raw).and_then(|number| N::try_from(number).ok()).ok_or(malformed)
}

/// A decimal number, digits only.
pub(super) fn decimal(raw: &[u8]) -> Option<u64> {
    if raw.is_empty() {
        return None;
    }
    raw.iter().try_fold(0_u64, |number, digit| {
        let digit = digit.is_ascii_digit().then(|| u64::from(digit - b'0'))?;
        number.checked_mul(10)?.checked_add(digit)
    })
}

fn is_defined(value: &[u8]) -> bool {
    !value.is_empty() && value != UNDEFINED
}
