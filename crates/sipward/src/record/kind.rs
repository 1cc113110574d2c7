//! Which kind of thing happened, without what.

use serde::{Deserialize, Serialize};

use super::Record;

/// The kinds of records, by the names that they have in the log and on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "each is the variant of `Record` with the same name")]
pub enum Kind {
    Started,
    Stopped,
    EslConnected,
    EslDisconnected,
    EslRestarted,
    EslBlind,
    EslOverflow,
    EventUnusable,
    EventForged,
    AuthFailure,
    Ban,
    Unban,
    Refused,
    Shadowed,
    NeedsAttention,
    Registrations,
    Trunks,
    RefusedLogin,
    DirectoryFailed,
    RouteFailed,
    NotSpared,
    Healed,
    Gate,
    ProtocolTaken,
    StoreDegraded,
    StoreRecovered,
    StoreSetAside,
    StoreBegun,
    StoreIncomplete,
    StoreRead,
    Alarm,
    Reload,
    ReloadFailed,
    NameFailed,
    ApiOpened,
    ApiFailed,
    DeliveryFailed,
    Delivered,
    RecordsMissed,
    LogLost,
}

impl Record {
    /// Which kind it is.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Started(_) => Kind::Started,
            Self::Stopped(_) => Kind::Stopped,
            Self::EslConnected { .. } => Kind::EslConnected,
            Self::EslDisconnected { .. } => Kind::EslDisconnected,
            Self::EslRestarted { .. } => Kind::EslRestarted,
            Self::EslBlind { .. } => Kind::EslBlind,
            Self::EslOverflow { .. } => Kind::EslOverflow,
            Self::EventUnusable { .. } => Kind::EventUnusable,
            Self::EventForged { .. } => Kind::EventForged,
            Self::AuthFailure(_) => Kind::AuthFailure,
            Self::Ban(_) => Kind::Ban,
            Self::Unban { .. } => Kind::Unban,
            Self::Refused { .. } => Kind::Refused,
            Self::Shadowed { .. } => Kind::Shadowed,
            Self::NeedsAttention { .. } => Kind::NeedsAttention,
            Self::Registrations { .. } => Kind::Registrations,
            Self::Trunks { .. } => Kind::Trunks,
            Self::RefusedLogin { .. } => Kind::RefusedLogin,
            Self::DirectoryFailed { .. } => Kind::DirectoryFailed,
            Self::RouteFailed { .. } => Kind::RouteFailed,
            Self::NotSpared { .. } => Kind::NotSpared,
            Self::Healed { .. } => Kind::Healed,
            Self::Gate { .. } => Kind::Gate,
            Self::ProtocolTaken { .. } => Kind::ProtocolTaken,
            Self::StoreDegraded { .. } => Kind::StoreDegraded,
            Self::StoreRecovered { .. } => Kind::StoreRecovered,
            Self::StoreSetAside { .. } => Kind::StoreSetAside,
            Self::StoreBegun { .. } => Kind::StoreBegun,
            Self::StoreIncomplete { .. } => Kind::StoreIncomplete,
            Self::StoreRead { .. } => Kind::StoreRead,
            Self::Alarm(_) => Kind::Alarm,
            Self::Reload { .. } => Kind::Reload,
            Self::ReloadFailed { .. } => Kind::ReloadFailed,
            Self::NameFailed { .. } => Kind::NameFailed,
            Self::ApiOpened { .. } => Kind::ApiOpened,
            Self::ApiFailed { .. } => Kind::ApiFailed,
            Self::DeliveryFailed { .. } => Kind::DeliveryFailed,
            Self::Delivered { .. } => Kind::Delivered,
            Self::RecordsMissed { .. } => Kind::RecordsMissed,
            Self::LogLost { .. } => Kind::LogLost,
        }
    }
}
