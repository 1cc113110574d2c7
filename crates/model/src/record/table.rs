//! What is done with each kind of event beside its line in the log: the one table of levels, alarms and mail.
//!
//! A new event is a variant of [`Record`], its kind, its line, and a row here.

use sipward_engine::Alarm;
use tracing::Level;

use super::{Kind, Record};
use crate::wire::AlarmKind;

/// What is done with one kind of event.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    pub kind: Kind,
    /// How urgent its line is.
    pub level: Level,
    pub alarm: AlarmEffect,
    pub mail: Mail,
}

/// What an event does to an alarm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AlarmEffect {
    /// Nothing. What happens every day, and phones that need attention, which have a page of their own.
    None,
    Raises(AlarmKind),
    Ends(AlarmKind),
}

/// The mail that contains the line of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mail {
    No,
    /// The digest, among phones that need attention.
    Attention,
    /// A mail of its own; within a minute of another, with further ones at the end of it.
    Alarm,
    /// A mail of its own, at once.
    Urgent,
}

impl Row {
    const fn new(kind: Kind, level: Level) -> Self {
        Self { kind, level, alarm: AlarmEffect::None, mail: Mail::No }
    }

    const fn raises(mut self, alarm: AlarmKind) -> Self {
        self.alarm = AlarmEffect::Raises(alarm);
        self
    }

    const fn ends(mut self, alarm: AlarmKind) -> Self {
        self.alarm = AlarmEffect::Ends(alarm);
        self
    }

    const fn mailed(mut self, mail: Mail) -> Self {
        self.mail = mail;
        self
    }
}

const fn info(kind: Kind) -> Row {
    Row::new(kind, Level::INFO)
}

const fn warn(kind: Kind) -> Row {
    Row::new(kind, Level::WARN)
}

const fn error(kind: Kind) -> Row {
    Row::new(kind, Level::ERROR)
}

/// In the order of [`Kind`], which a test holds. What the engine raises ([`Kind::Alarm`]) names its alarm itself.
const TABLE: [Row; Kind::COUNT] = [
    info(Kind::Started),
    info(Kind::Stopped),
    info(Kind::EslConnected).ends(AlarmKind::EslDisconnected),
    warn(Kind::EslDisconnected).raises(AlarmKind::EslDisconnected),
    warn(Kind::EslRestarted),
    warn(Kind::EslBlind),
    warn(Kind::EslOverflow).raises(AlarmKind::EventsDropped),
    warn(Kind::EventUnusable),
    warn(Kind::EventForged),
    info(Kind::AuthFailure),
    info(Kind::Ban),
    info(Kind::Unban),
    info(Kind::Refused),
    info(Kind::Shadowed),
    warn(Kind::NeedsAttention).mailed(Mail::Attention),
    warn(Kind::Slowed).mailed(Mail::Alarm),
    info(Kind::FlowDenied),
    info(Kind::FlowAllowed),
    warn(Kind::Distrusted).mailed(Mail::Alarm),
    warn(Kind::Registrations).raises(AlarmKind::RegistrationsUnreadable),
    info(Kind::Trunks),
    warn(Kind::GatewayUnprotected).raises(AlarmKind::GatewayUnprotected),
    info(Kind::GatewayProtected).ends(AlarmKind::GatewayUnprotected),
    warn(Kind::AccessListUnused).raises(AlarmKind::AccessListUnused),
    info(Kind::AccessListUsed).ends(AlarmKind::AccessListUnused),
    info(Kind::SipPorts),
    warn(Kind::EventsNotAllowed).raises(AlarmKind::EventsNotAllowed),
    warn(Kind::RefusedLogin).raises(AlarmKind::RefusedLogin).mailed(Mail::Attention),
    warn(Kind::DirectoryFailed).raises(AlarmKind::DirectoryFailed),
    error(Kind::RouteFailed).raises(AlarmKind::RouteFailed),
    warn(Kind::Enforcement).raises(AlarmKind::BansIneffective),
    info(Kind::BansMoved),
    warn(Kind::StrayRoutes).raises(AlarmKind::StrayRoutes),
    warn(Kind::NotSpared).raises(AlarmKind::NotSpared),
    warn(Kind::Shielded).raises(AlarmKind::Shielded).mailed(Mail::Alarm),
    info(Kind::ShieldOver).ends(AlarmKind::Shielded).mailed(Mail::Alarm),
    error(Kind::Deaf).raises(AlarmKind::Deaf).mailed(Mail::Alarm),
    info(Kind::Hears).ends(AlarmKind::Deaf).mailed(Mail::Alarm),
    warn(Kind::Limited).raises(AlarmKind::Limited),
    warn(Kind::Overload).raises(AlarmKind::Overload).mailed(Mail::Alarm),
    info(Kind::OverloadOver).ends(AlarmKind::Overload).mailed(Mail::Alarm),
    info(Kind::Scanner),
    warn(Kind::Healed).raises(AlarmKind::Healed),
    warn(Kind::Gate).raises(AlarmKind::GateOpen).mailed(Mail::Alarm),
    warn(Kind::ProtocolTaken).raises(AlarmKind::ProtocolTaken),
    error(Kind::StoreDegraded).raises(AlarmKind::StoreDegraded).mailed(Mail::Alarm),
    info(Kind::StoreRecovered).ends(AlarmKind::StoreDegraded).mailed(Mail::Alarm),
    error(Kind::StoreSetAside).raises(AlarmKind::StoreSetAside).mailed(Mail::Alarm),
    info(Kind::StoreBegun),
    error(Kind::StoreIncomplete).raises(AlarmKind::StoreIncomplete).mailed(Mail::Alarm),
    info(Kind::StoreRead),
    info(Kind::FleetConnected).ends(AlarmKind::FleetDisconnected),
    warn(Kind::FleetDisconnected).raises(AlarmKind::FleetDisconnected),
    warn(Kind::FleetBehind).raises(AlarmKind::FleetBehind),
    info(Kind::FleetCaughtUp).ends(AlarmKind::FleetBehind),
    warn(Kind::FleetNoQuorum).raises(AlarmKind::FleetNoQuorum),
    info(Kind::FleetQuorum).ends(AlarmKind::FleetNoQuorum),
    error(Kind::FleetNameTaken).raises(AlarmKind::FleetNameTaken).mailed(Mail::Alarm),
    warn(Kind::Alarm).mailed(Mail::Alarm),
    info(Kind::Reload).ends(AlarmKind::ReloadFailed),
    error(Kind::ReloadFailed).raises(AlarmKind::ReloadFailed),
    info(Kind::ModeChanged),
    warn(Kind::NameFailed).raises(AlarmKind::NameFailed),
    warn(Kind::GeoFailed).raises(AlarmKind::GeoFailed),
    info(Kind::ApiOpened).ends(AlarmKind::ApiFailed),
    warn(Kind::ApiFailed).raises(AlarmKind::ApiFailed),
    info(Kind::HttpOpened).ends(AlarmKind::HttpFailed),
    warn(Kind::HttpFailed).raises(AlarmKind::HttpFailed),
    warn(Kind::CertificateFailed).raises(AlarmKind::CertificateFailed),
    info(Kind::TokenAdded),
    info(Kind::TokenRevoked),
    info(Kind::LoggedIn),
    info(Kind::Changed),
    warn(Kind::LoginFailed),
    warn(Kind::DeliveryFailed).raises(AlarmKind::DeliveryFailed),
    info(Kind::Delivered).ends(AlarmKind::DeliveryFailed),
    warn(Kind::RecordsMissed).raises(AlarmKind::RecordsMissed),
    warn(Kind::ClockStepped).raises(AlarmKind::Clock),
    warn(Kind::ClockBehind).raises(AlarmKind::Clock),
    warn(Kind::Suspended).raises(AlarmKind::Stalled),
    warn(Kind::Stalled).raises(AlarmKind::Stalled),
    warn(Kind::TokenRefused),
    warn(Kind::ConnectionsShed).raises(AlarmKind::ConnectionsShed),
    warn(Kind::LogLost).raises(AlarmKind::LogLost),
];

/// For kinds whose events differ in urgency, or may also report recovery.
const GATE_STANDS: Row = info(Kind::Gate).ends(AlarmKind::GateOpen);
const GUESSED: Row = error(Kind::Alarm).mailed(Mail::Urgent);
const BANS_STAND: Row = info(Kind::Enforcement);
const LIST_READ: Row = info(Kind::Registrations).ends(AlarmKind::RegistrationsUnreadable);
const CLOCK_MOVED_A_LITTLE: Row = info(Kind::ClockStepped);

impl Record {
    /// What is done with it.
    pub fn row(&self) -> &'static Row {
        match self {
            Self::Gate { gaps, .. } if gaps.is_empty() => &GATE_STANDS,
            Self::Alarm(Alarm::Guessed { .. }) => &GUESSED,
            Self::Enforcement { not_enforced: 0, .. } => &BANS_STAND,
            Self::Registrations { problem: None, .. } => &LIST_READ,
            Self::ClockStepped { by_seconds, .. } if by_seconds.abs() < 1.0 => {
                &CLOCK_MOVED_A_LITTLE
            }
            other => of(other.kind()),
        }
    }

    /// How urgent it is.
    #[must_use]
    pub fn level(&self) -> Level {
        self.row().level
    }
}

fn of(kind: Kind) -> &'static Row {
    // There is a row for each; without one nothing would be lost but what is beside the log.
    const UNKNOWN: Row = warn(Kind::Alarm);
    TABLE.get(kind as usize).filter(|row| row.kind == kind).unwrap_or(&UNKNOWN)
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;
    use crate::text::api_name;

    #[test]
    fn every_kind_has_its_own_row() {
        for (place, row) in TABLE.iter().enumerate() {
            assert_eq!(row.kind as usize, place, "{:?}", row.kind);
        }
        assert_eq!(TABLE.len(), Kind::LogLost as usize + 1);
    }

    #[test]
    fn what_ends_an_alarm_is_no_warning_and_what_raises_one_is() {
        for row in TABLE {
            match row.alarm {
                AlarmEffect::Raises(_) => assert!(row.level <= Level::WARN, "{:?}", row.kind),
                AlarmEffect::Ends(_) => assert_eq!(row.level, Level::INFO, "{:?}", row.kind),
                AlarmEffect::None => {}
            }
        }
    }

    /// The first sentence of what the source says of a variant of [`Record`].
    fn meaning(kind: Kind) -> String {
        let (mut text, mut inside) = (String::new(), false);
        for line in include_str!("mod.rs").lines() {
            inside |= line == "pub enum Record {";
            let Some(line) =
                line.strip_prefix("    ").filter(|line| inside && !line.starts_with(' '))
            else {
                continue;
            };
            if let Some(words) = line.strip_prefix("/// ") {
                text = format!("{text}{words} ");
            } else if let Some(name) = line.split(['(', ' ', ',']).next()
                && name == format!("{kind:?}")
            {
                let end = text.find(". ").unwrap_or(text.len());
                return text
                    .get(..end)
                    .unwrap_or_default()
                    .replace('|', "\\|")
                    .trim_end()
                    .to_owned();
            } else if !line.starts_with('#') {
                text.clear();
            }
        }
        String::new()
    }

    fn page() -> String {
        let mut page = "# Events\n\nWhat sipward reports: to its log (`event`), `sipward tail`, the API (`/api/v1/events`) and \
             webhooks (`webhook.events`).\nThe table is made from the program. Alarm: what the event raises or \
             ends. Mail: `alarm` in a mail of its own, at most one a\nminute; `attention` in the digest. An event that \
             also reports recovery has level `info` then and ends its alarm.\n\n\
             | event | meaning | level | alarm | mail |\n|---|---|---|---|---|\n"
            .to_owned();
        for row in TABLE {
            let alarm = match row.alarm {
                AlarmEffect::None => String::new(),
                AlarmEffect::Raises(alarm) => format!("raises `{}`", api_name(&alarm)),
                AlarmEffect::Ends(alarm) => format!("ends `{}`", api_name(&alarm)),
            };
            let mail = match row.mail {
                Mail::No => "",
                Mail::Attention => "attention",
                Mail::Alarm => "alarm",
                Mail::Urgent => "urgent",
            };
            let (name, meaning) = (api_name(&row.kind), meaning(row.kind));
            assert!(!meaning.is_empty(), "{name}");
            let level = row.level.as_str().to_lowercase();
            writeln!(page, "| `{name}` | {meaning} | {level} | {alarm} | {mail} |").unwrap();
        }
        page
    }

    #[test]
    fn the_page_of_events_is_that_of_the_table() {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/events.md");
        let page = page();
        if std::env::var_os("SIPWARD_RENEW").is_some() {
            std::fs::write(file, &page).unwrap();
        }
        let written = std::fs::read_to_string(file).unwrap_or_default();
        let renew = "SIPWARD_RENEW=1 cargo test -p sipward-model the_page_of_events";
        assert!(written == page, "renew docs/events.md with `{renew}`");
    }
}
