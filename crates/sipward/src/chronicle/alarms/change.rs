//! Which records raise an alarm, and which end it.

use sipward_engine::Alarm;

use crate::model::AlarmKind;
use crate::record::Record;

/// What a record says of an alarm.
pub(super) enum AlarmChange {
    /// It is raised; about this one, where there can be several.
    Raised(AlarmKind, Option<String>),
    /// It is over.
    Over(AlarmKind, Option<String>),
}

/// What `record` says of alarms.
pub(super) fn change(record: &Record) -> Option<AlarmChange> {
    let raised = |concern| Some(AlarmChange::Raised(concern, None));
    let over = |concern| Some(AlarmChange::Over(concern, None));
    let about = |concern, about: &str| Some(AlarmChange::Raised(concern, Some(about.to_owned())));
    match record {
        Record::EslDisconnected { .. } => raised(AlarmKind::EslDisconnected),
        Record::EslConnected { .. } => over(AlarmKind::EslDisconnected),
        Record::Gate { gaps, .. } if gaps.is_empty() => over(AlarmKind::GateOpen),
        Record::Gate { .. } => raised(AlarmKind::GateOpen),
        Record::StoreDegraded { .. } => raised(AlarmKind::StoreDegraded),
        Record::StoreRecovered { .. } => over(AlarmKind::StoreDegraded),
        Record::ReloadFailed { .. } => raised(AlarmKind::ReloadFailed),
        Record::Reload { .. } => over(AlarmKind::ReloadFailed),
        Record::ApiFailed { .. } => raised(AlarmKind::ApiFailed),
        Record::ApiOpened { .. } => over(AlarmKind::ApiFailed),
        Record::HttpFailed { address, .. } => about(AlarmKind::HttpFailed, &address.to_string()),
        Record::HttpOpened { address, .. } => {
            Some(AlarmChange::Over(AlarmKind::HttpFailed, Some(address.to_string())))
        }
        Record::CertificateFailed { .. } => raised(AlarmKind::CertificateFailed),
        Record::DeliveryFailed { by, .. } => about(AlarmKind::DeliveryFailed, by),
        Record::Delivered { by, .. } => {
            Some(AlarmChange::Over(AlarmKind::DeliveryFailed, Some(by.clone())))
        }
        Record::Alarm(alarm) => Some(raised_by_engine(alarm)),
        Record::StoreSetAside { .. } => raised(AlarmKind::StoreSetAside),
        Record::StoreIncomplete { .. } => raised(AlarmKind::StoreIncomplete),
        Record::ProtocolTaken { .. } => raised(AlarmKind::ProtocolTaken),
        Record::RouteFailed { .. } => raised(AlarmKind::RouteFailed),
        Record::StrayRoutes { .. } => raised(AlarmKind::StrayRoutes),
        Record::Enforcement { not_enforced, .. } if *not_enforced > 0 => {
            raised(AlarmKind::BansIneffective)
        }
        Record::NotSpared { .. } => raised(AlarmKind::NotSpared),
        Record::Shielded { .. } => raised(AlarmKind::Shielded),
        Record::ShieldOver { .. } => over(AlarmKind::Shielded),
        Record::Overload { .. } => raised(AlarmKind::Overload),
        Record::OverloadOver { .. } => over(AlarmKind::Overload),
        Record::Deaf { .. } => raised(AlarmKind::Deaf),
        Record::Hears { .. } => over(AlarmKind::Deaf),
        Record::Limited { source, .. } => about(AlarmKind::Limited, &source.to_string()),
        Record::Healed { .. } => raised(AlarmKind::Healed),
        Record::EslOverflow { .. } => raised(AlarmKind::EventsDropped),
        Record::RefusedLogin { user, .. } => about(AlarmKind::RefusedLogin, user),
        // The question may name an address, of which there are many.
        Record::DirectoryFailed { .. } => raised(AlarmKind::DirectoryFailed),
        Record::GatewayUnprotected { gateway, .. } => about(AlarmKind::GatewayUnprotected, gateway),
        Record::GatewayProtected { gateway } => {
            Some(AlarmChange::Over(AlarmKind::GatewayUnprotected, Some(gateway.clone())))
        }
        Record::AccessListUnused { list, .. } => about(AlarmKind::AccessListUnused, list),
        Record::AccessListUsed { list } => {
            Some(AlarmChange::Over(AlarmKind::AccessListUnused, Some(list.clone())))
        }
        Record::Registrations { problem: Some(_), .. } => {
            raised(AlarmKind::RegistrationsUnreadable)
        }
        Record::Registrations { problem: None, .. } => over(AlarmKind::RegistrationsUnreadable),
        Record::EventsNotAllowed { .. } => raised(AlarmKind::EventsNotAllowed),
        Record::NameFailed { name, .. } => about(AlarmKind::NameFailed, name),
        Record::GeoFailed { file, .. } => about(AlarmKind::GeoFailed, &file.display().to_string()),
        Record::RecordsMissed { by, .. } => about(AlarmKind::RecordsMissed, by),
        Record::LogLost { .. } => raised(AlarmKind::LogLost),
        Record::ClockStepped { by_seconds, .. } if by_seconds.abs() < 1.0 => None,
        Record::ClockStepped { .. } | Record::ClockBehind { .. } => raised(AlarmKind::Clock),
        Record::Stalled { .. } | Record::Suspended { .. } => raised(AlarmKind::Stalled),
        Record::ConnectionsShed { .. } => raised(AlarmKind::ConnectionsShed),
        // What happens every day, and what has a page of its own: phones in need of attention.
        Record::Started(_)
        | Record::Stopped(_)
        | Record::Enforcement { .. }
        | Record::BansMoved { .. }
        | Record::EslRestarted { .. }
        | Record::EslBlind { .. }
        | Record::EventUnusable { .. }
        | Record::EventForged { .. }
        | Record::AuthFailure(_)
        | Record::Ban(_)
        | Record::Unban { .. }
        | Record::Refused { .. }
        | Record::Shadowed { .. }
        | Record::Slowed { .. }
        | Record::FlowDenied(_)
        | Record::FlowAllowed { .. }
        | Record::Distrusted { .. }
        | Record::NeedsAttention { .. }
        | Record::Scanner { .. }
        | Record::SipPorts { .. }
        | Record::Trunks { .. }
        | Record::TokenAdded { .. }
        | Record::TokenRevoked { .. }
        | Record::LoggedIn { .. }
        | Record::Changed { .. }
        | Record::LoginFailed { .. }
        | Record::TokenRefused { .. }
        | Record::StoreBegun { .. }
        | Record::StoreRead { .. } => None,
    }
}

fn raised_by_engine(alarm: &Alarm) -> AlarmChange {
    let (concern, about) = match alarm {
        Alarm::BanTableFull { .. } => (AlarmKind::BanTableFull, None),
        Alarm::NotEnforced { .. } => (AlarmKind::NotEnforced, None),
        Alarm::ManyBans { .. } => (AlarmKind::ManyBans, None),
        Alarm::Spoofing { .. } => (AlarmKind::Spoofing, None),
        Alarm::LikelyProxy { source } => (AlarmKind::LikelyProxy, Some(source.to_string())),
        Alarm::AccountAttacked { user, .. } => (AlarmKind::AccountAttacked, Some(user.to_string())),
        Alarm::Insider { source, .. } => (AlarmKind::Insider, Some(source.to_string())),
        Alarm::AccountSpread { user, .. } => (AlarmKind::AccountSpread, Some(user.to_string())),
        Alarm::Unjoined { .. } => (AlarmKind::Unjoined, None),
        Alarm::Distributed { .. } => (AlarmKind::Distributed, None),
        Alarm::ForgeableBans { .. } => (AlarmKind::ForgeableBans, None),
        Alarm::NetworkBanned { .. } => (AlarmKind::NetworkBanned, None),
        Alarm::Deaf { .. } => (AlarmKind::Deaf, None),
        Alarm::PolicyRejected { .. } => (AlarmKind::PolicyRejected, None),
    };
    AlarmChange::Raised(concern, about)
}
