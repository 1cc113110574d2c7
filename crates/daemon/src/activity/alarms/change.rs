//! Which records raise an alarm, and which end it.

use sipward_engine::Alarm;

use sipward_model::record::{AlarmEffect, Record};
use sipward_model::wire::AlarmKind;

/// What a record says of an alarm.
pub(super) enum AlarmChange {
    /// It is raised; about this one, where there can be several.
    Raised(AlarmKind, Option<String>),
    /// It is over.
    Over(AlarmKind, Option<String>),
}

/// What `record` says of alarms.
pub(super) fn change(record: &Record) -> Option<AlarmChange> {
    if let Record::Alarm(alarm) = record {
        return Some(raised_by_engine(alarm));
    }
    match record.row().alarm {
        AlarmEffect::None => None,
        AlarmEffect::Raises(kind) => Some(AlarmChange::Raised(kind, about(record))),
        AlarmEffect::Ends(kind) => Some(AlarmChange::Over(kind, about(record))),
    }
}

/// Which one of several an alarm is about. The question of [`Record::DirectoryFailed`] may name an address, of which
/// there are many, so it tells none apart.
fn about(record: &Record) -> Option<String> {
    match record {
        Record::HttpFailed { address, .. } | Record::HttpOpened { address, .. } => {
            Some(address.to_string())
        }
        Record::DeliveryFailed { by, .. }
        | Record::Delivered { by, .. }
        | Record::RecordsMissed { by, .. } => Some(by.clone()),
        Record::Limited { net, .. } => Some(net.to_string()),
        Record::RefusedLogin { user, .. } => Some(user.to_string()),
        Record::GatewayUnprotected { gateway, .. } | Record::GatewayProtected { gateway } => {
            Some(gateway.clone())
        }
        Record::AccessListUnused { list, .. } | Record::AccessListUsed { list } => {
            Some(list.clone())
        }
        Record::NameFailed { name, .. } => Some(name.clone()),
        Record::GeoFailed { file, .. } => Some(file.display().to_string()),
        _ => None,
    }
}

fn raised_by_engine(alarm: &Alarm) -> AlarmChange {
    let (concern, about) = match alarm {
        Alarm::BanTableFull { .. } => (AlarmKind::BanTableFull, None),
        Alarm::NotEnforced { .. } => (AlarmKind::NotEnforced, None),
        Alarm::ManyBans { .. } => (AlarmKind::ManyBans, None),
        Alarm::Spoofing { .. } => (AlarmKind::Spoofing, None),
        Alarm::Guessed { user, .. } => (AlarmKind::Guessed, Some(user.to_string())),
        Alarm::LikelyProxy { address } => (AlarmKind::LikelyProxy, Some(address.to_string())),
        Alarm::AccountAttacked { user, .. } => (AlarmKind::AccountAttacked, Some(user.to_string())),
        Alarm::Insider { address, .. } => (AlarmKind::Insider, Some(address.to_string())),
        Alarm::AccountSpread { user, .. } => (AlarmKind::AccountSpread, Some(user.to_string())),
        Alarm::Unjoined { .. } => (AlarmKind::Unjoined, None),
        Alarm::Distributed { .. } => (AlarmKind::Distributed, None),
        Alarm::ForgeableBans { .. } => (AlarmKind::ForgeableBans, None),
        Alarm::NetworkBanned { .. } => (AlarmKind::NetworkBanned, None),
        Alarm::PeerShadowed { peer, .. } => (AlarmKind::PeerShadowed, Some(peer.to_string())),
        Alarm::Deaf { .. } => (AlarmKind::Deaf, None),
        Alarm::PolicyRejected { .. } => (AlarmKind::PolicyRejected, None),
    };
    AlarmChange::Raised(concern, about)
}
