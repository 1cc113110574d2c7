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
    register_ip: Option<&'e [u8]>,
    register_port: Option<&'e [u8]>,
    pub(super) state: Option<&'e [u8]>,
    pub(super) ping_status: Option<&'e [u8]>,
    pub(super) gateway_status: Option<&'e [u8]>,
    pub(super) phrase: Option<&'e [u8]>,
}

/// What FreeSWITCH writes for an empty value in plain and XML events (`switch_event_serialize`).
const UNDEFINED: &[u8] = b"_undef_";

/// The value of a header line, if this is its name. The name and its colon are compared at once, as bytes:
/// FreeSWITCH spells each name in one way only.
macro_rules! value_of {
    ($line:ident, $name:literal) => {
        $line
            .strip_prefix(concat!($name, ":").as_bytes())
            .map(|value| value.strip_prefix(b" ").unwrap_or(value))
    };
}

/// Takes the line's value into the slot of the first name that fits, and returns.
macro_rules! take {
    ($line:ident, $($name:literal => $slot:expr),+ $(,)?) => {{
        $(if let Some(value) = value_of!($line, $name) {
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
            Some(b'E') => self.event_line(line),
            Some(b'C') => {
                take!(line, "Core-UUID" => self.core_uuid);
                self.sent_by_client |= value_of!(line, "Command").is_some();
            }
            Some(b'n') => take!(line,
                "network-ip" => self.network_ip,
                "network-port" => self.network_port,
                "network_ip" => self.network_ip,
                "network_port" => self.network_port,
            ),
            Some(b't') => take!(line, "to-user" => self.to_user, "to-host" => self.to_host),
            Some(b'f') => take!(line,
                "from-user" => self.from_user,
                "from-host" => self.from_host,
                "from_user" => self.from_user,
            ),
            Some(b'u') => take!(line,
                "user-agent" => self.user_agent,
                "username" => self.username,
                "user" => self.user,
                "update-reg" => self.update_reg,
            ),
            Some(b'r') => take!(line,
                "registration-type" => self.registration_type,
                "realm" => self.realm,
            ),
            Some(b'c') => take!(line, "call-id" => self.call_id, "contact" => self.contact),
            Some(b'p') => take!(line, "profile-name" => self.profile_name),
            Some(b'a') => take!(line, "auth-result" => self.auth_result),
            Some(b's') => take!(line, "status" => self.status),
            Some(b'e') => take!(line, "expires" => self.expires),
            Some(b'h') => take!(line, "host" => self.host),
            Some(b'R') => take!(line,
                "Register-Network-IP" => self.register_ip,
                "Register-Network-Port" => self.register_port,
            ),
            Some(b'G') => take!(line, "Gateway" => self.gateway),
            Some(b'S') => take!(line, "State" => self.state, "Status" => self.gateway_status),
            Some(b'P') => take!(line, "Ping-Status" => self.ping_status, "Phrase" => self.phrase),
            Some(_) | None => {}
        }
    }

    /// A third of all lines begin with `Event-`; the next letter tells them apart.
    #[inline]
    fn event_line(&mut self, line: &'e [u8]) {
        match line.get(b"Event-".len()) {
            Some(b'S') => take!(line,
                "Event-Subclass" => self.event_subclass,
                "Event-Sequence" => self.sequence,
            ),
            Some(b'D') => take!(line, "Event-Date-Timestamp" => self.timestamp),
            Some(b'C') => {
                if let Some(file) = value_of!(line, "Event-Calling-File") {
                    self.calling_file(file);
                }
            }
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
        endpoint("network-ip", self.network_ip, "network-port", self.network_port)
    }

    /// Where a gateway is registered, once it is.
    pub(super) fn registrar(&self) -> Result<Option<Endpoint<'e>>, Defect<'e>> {
        let Some(ip) = self.register_ip else { return Ok(None) };
        let port = self.register_port;
        endpoint("Register-Network-IP", Some(ip), "Register-Network-Port", port).map(Some)
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

#[inline]
fn endpoint<'e>(
    ip_header: &'static str,
    ip: Option<&'e [u8]>,
    port_header: &'static str,
    port: Option<&'e [u8]>,
) -> Result<Endpoint<'e>, Defect<'e>> {
    let raw = required(ip_header, ip)?;
    let malformed = Defect { header: ip_header, kind: DefectKind::NotAnAddress, raw };
    Endpoint::parse(raw, number(port_header, port)?).ok_or(malformed)
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
    /// Numbers of so many digits fit; FreeSWITCH's have 16 at most.
    const DIGITS: usize = 19;
    if raw.is_empty() || raw.len() > DIGITS {
        return None;
    }
    raw.iter().try_fold(0, |number: u64, &byte| {
        let digit = byte.wrapping_sub(b'0');
        (digit < 10).then(|| number * 10 + u64::from(digit))
    })
}

fn is_defined(value: &[u8]) -> bool {
    !value.is_empty() && value != UNDEFINED
}
