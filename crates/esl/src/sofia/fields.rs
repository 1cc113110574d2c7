//! One pass over an event's header lines.

use super::{
    Endpoint, EventMeta, EventTime, Origin,
    error::{Defect, DefectKind},
    name::Name,
};
use crate::{CoreUuid, Event, event::split_line, text::Text};

/// The raw values of every header that a record needs. The first of several wins, as it does in
/// FreeSWITCH (`register_failure` names its profile twice).
#[derive(Debug, Default)]
pub(super) struct Fields<'e> {
    values: [Option<&'e [u8]>; Name::ALL.len()],
    /// `Event-Calling-File` is there, and every one of them names a file of `mod_sofia`.
    sofia_file: bool,
    other_file: bool,
}

/// What FreeSWITCH writes for an empty value in plain and XML events (`switch_event_serialize`).
const UNDEFINED: &[u8] = b"_undef_";

/// Reads the lines at the front of an event as long as they are these, in this order, and returns what
/// follows them.
macro_rules! in_order {
    ($fields:ident, $rest:ident: $($text:literal $(=> $name:ident)?),+ $(,)?) => {{
        let rest = $rest;
        $(
            let Some(value) = rest.strip_prefix(concat!($text, ": ").as_bytes()) else {
                return rest;
            };
            let (_value, rest) = split_line(value);
            $($fields.put(Name::$name, _value);)?
        )+
        rest
    }};
}

impl<'e> Fields<'e> {
    #[inline]
    pub(super) fn collect(event: &'e Event) -> Self {
        let mut fields = Self::default();
        let mut rest = fields.beginning(event.as_bytes());
        while !matches!(rest, [] | [b'\n', ..] | [b'\r', b'\n', ..]) {
            let name = Name::at_front(rest);
            // Names are half of all bytes; the line's end is looked for behind them.
            let known = name.map_or(0, |(_, len)| len);
            let (value, after) = split_line(rest.get(known..).unwrap_or_default());
            if let Some((name, _)) = name {
                fields.put(name, value.strip_prefix(b" ").unwrap_or(value));
            }
            rest = after;
        }
        fields
    }

    /// Every event begins with the lines up to its sequence (`switch_event.c`,
    /// `switch_event_prep_for_delivery_detailed`), a `CUSTOM` one with its subclass; a failure goes on with the
    /// others (`sofia_reg.c`). Knowing what comes next spares looking for it.
    fn beginning(&mut self, rest: &'e [u8]) -> &'e [u8] {
        in_order!(self, rest:
            "Event-Subclass" => Subclass,
            "Event-Name",
            "Core-UUID" => CoreUuid,
            "FreeSWITCH-Hostname",
            "FreeSWITCH-Switchname",
            "FreeSWITCH-IPv4",
            "FreeSWITCH-IPv6",
            "Event-Date-Local",
            "Event-Date-GMT",
            "Event-Date-Timestamp" => Timestamp,
            "Event-Calling-File" => CallingFile,
            "Event-Calling-Function",
            "Event-Calling-Line-Number",
            "Event-Sequence" => Sequence,
            "profile-name" => Profile,
            "to-user" => ToUser,
            "to-host" => ToHost,
            "network-ip" => NetworkIp,
            "user-agent" => UserAgent,
            "profile-name" => Profile,
            "network-port" => NetworkPort,
            "registration-type" => RegistrationType,
        )
    }

    #[inline]
    fn put(&mut self, name: Name, value: &'e [u8]) {
        let value = value.strip_suffix(b"\r").unwrap_or(value);
        if name == Name::CallingFile {
            self.calling_file(value);
        }
        if let Some(slot) = self.values.get_mut(name as usize) {
            slot.get_or_insert(value);
        }
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

    /// The raw value.
    #[inline]
    pub(super) fn get(&self, name: Name) -> Option<&'e [u8]> {
        self.values.get(name as usize).copied().flatten()
    }

    /// The raw value, which must be there.
    #[inline]
    pub(super) fn required(&self, name: Name) -> Result<&'e [u8], Defect<'e>> {
        let missing = Defect { name, kind: DefectKind::Missing, raw: b"" };
        self.get(name).filter(|value| is_defined(value)).ok_or(missing)
    }

    /// The decoded value.
    #[inline]
    pub(super) fn text(&self, name: Name) -> Option<Text<'e>> {
        text(self.get(name))
    }

    /// A decimal number, which must be there.
    #[inline]
    fn number<N: TryFrom<u64>>(&self, name: Name) -> Result<N, Defect<'e>> {
        let raw = self.required(name)?;
        let malformed = Defect { name, kind: DefectKind::NotANumber, raw };
        decimal(raw).and_then(|number| N::try_from(number).ok()).ok_or(malformed)
    }

    /// Who sent the event. A `Command` means that it came in by `sendevent`.
    pub(super) fn origin(&self) -> Origin {
        if self.get(Name::Command).is_some() {
            Origin::Sendevent
        } else if self.sofia_file && !self.other_file {
            Origin::Sofia
        } else {
            Origin::Elsewhere
        }
    }

    #[inline]
    pub(super) fn meta(&self) -> Result<EventMeta, Defect<'e>> {
        let raw = self.required(Name::CoreUuid)?;
        let malformed = Defect { name: Name::CoreUuid, kind: DefectKind::NotAUuid, raw };
        Ok(EventMeta {
            time: EventTime::from_micros(self.number(Name::Timestamp)?),
            sequence: self.number(Name::Sequence)?,
            core: CoreUuid::parse(raw).ok_or(malformed)?,
            origin: self.origin(),
        })
    }

    #[inline]
    pub(super) fn source(&self) -> Result<Endpoint<'e>, Defect<'e>> {
        self.endpoint(Name::NetworkIp, Name::NetworkPort)
    }

    /// Where the request came from, if there was one.
    pub(super) fn optional_source(&self) -> Result<Option<Endpoint<'e>>, Defect<'e>> {
        if self.get(Name::NetworkIp).is_none() {
            return Ok(None);
        }
        self.source().map(Some)
    }

    /// Where a gateway is registered, once it is.
    pub(super) fn registrar(&self) -> Result<Option<Endpoint<'e>>, Defect<'e>> {
        if self.get(Name::RegisterIp).is_none() {
            return Ok(None);
        }
        self.endpoint(Name::RegisterIp, Name::RegisterPort).map(Some)
    }

    #[inline]
    fn endpoint(&self, ip: Name, port: Name) -> Result<Endpoint<'e>, Defect<'e>> {
        let raw = self.required(ip)?;
        let malformed = Defect { name: ip, kind: DefectKind::NotAnAddress, raw };
        Endpoint::parse(raw, self.number(port)?).ok_or(malformed)
    }

    #[inline]
    pub(super) fn profile(&self) -> Result<Text<'e>, Defect<'e>> {
        self.required(Name::Profile).map(Text::decode)
    }
}

/// A decoded value that need not be there.
#[inline]
pub(super) fn text(value: Option<&[u8]>) -> Option<Text<'_>> {
    value.filter(|value| is_defined(value)).map(Text::decode)
}

/// A decimal number, digits only.
#[inline]
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

#[inline]
fn is_defined(value: &[u8]) -> bool {
    !value.is_empty() && value != UNDEFINED
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*, sample::select};

    use super::{Fields, Name};
    use crate::Event;

    /// A line: often one that is looked for, often the one that usually comes next, sometimes anything.
    fn line() -> impl Strategy<Value = String> {
        let name = prop_oneof![
            select(&Name::ALL[..]).prop_map(|name| name.as_str().to_owned()),
            "Event-Name|FreeSWITCH-IPv4|network_ip|from_user|USER|Command-|user-agen|[a-z]{0,3}",
        ];
        (
            name,
            select(&[": ", ":", " : ", "", ":  "][..]),
            "[ -~]{0,20}",
            select(&["\n", "\r\n"][..]),
        )
            .prop_map(|(name, colon, value, end)| format!("{name}{colon}{value}{end}"))
    }

    /// The lines that a failure begins with.
    fn beginning() -> impl Strategy<Value = String> {
        let lines = "Event-Subclass: s\nEvent-Name: CUSTOM\nCore-UUID: u\nFreeSWITCH-Hostname: h\n\
            FreeSWITCH-Switchname: s\nFreeSWITCH-IPv4: 4\nFreeSWITCH-IPv6: 6\nEvent-Date-Local: l\n\
            Event-Date-GMT: g\nEvent-Date-Timestamp: 1\r\nEvent-Calling-File: sofia_reg.c\n\
            Event-Calling-Function: f\nEvent-Calling-Line-Number: 1\nEvent-Sequence: 7\n\
            profile-name: p\nto-user: u\nto-host: h\nnetwork-ip: i\nuser-agent: a\nprofile-name: q\n\
            network-port: 1\nregistration-type: R\n";
        (0..=lines.len()).prop_map(|end| lines[..end].to_owned())
    }

    proptest! {
        /// What the pass takes is what the headers say one by one.
        #[test]
        fn takes_the_first_header_of_each_name(
            beginning in beginning(),
            lines in vec(line(), 0..20),
            end in select(&["", "\n", "\r\n", "\r", "\nCommand: x\n"][..]),
        ) {
            let event = Event::from_plain(format!("{beginning}{}{end}", lines.concat()));
            let fields = Fields::collect(&event);
            for name in Name::ALL {
                let spelled = |header: &[u8]| match header {
                    b"network_ip" => name == Name::NetworkIp,
                    b"network_port" => name == Name::NetworkPort,
                    b"from_user" => name == Name::FromUser,
                    _ => header == name.as_str().as_bytes(),
                };
                let expected = event
                    .headers()
                    .find(|header| spelled(header.name()))
                    .map(|header| header.raw_value());
                prop_assert_eq!(fields.get(name), expected, "{:?} in {:?}", name, event);
            }
        }
    }
}
