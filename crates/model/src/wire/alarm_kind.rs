//! What alarms are about, and how bad they are.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What an alarm is about.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum AlarmKind {
    /// There is no connection to FreeSWITCH. Ends with the next one.
    EslDisconnected,
    /// Packets of banned hosts are not dropped on arrival, or not all of them. Ends when they are.
    GateOpen,
    /// Nothing is stored. Ends when it is again.
    StoreDegraded,
    /// The table of bans is full. Ends below 95 %.
    BanTableFull,
    /// The kernel refused bans. Ends when all are enforced or lifted.
    NotEnforced,
    /// A flood silences FreeSWITCH. Ends when it is over.
    Deaf,
    /// Strangers send more than they may all together. Ends when they no longer do.
    Shielded,
    /// Hosts that the shield does not limit send more than FreeSWITCH takes. Ends when they no longer do.
    Overload,
    /// The configuration file is broken and the old one in force. Ends with a good one.
    ReloadFailed,
    /// The control socket is not served. Ends when it is.
    ApiFailed,
    /// The API and the page are not served at an address. Ends when they are.
    HttpFailed,
    /// The certificate was read again and cannot be used.
    CertificateFailed,
    /// A mail or webhook was not delivered. Ends with the next that is.
    DeliveryFailed,
    /// Many bans within a minute.
    ManyBans,
    /// Many forgeable failures.
    Spoofing,
    /// A user logged in from a new address after failures: the password may have been guessed.
    Guessed,
    /// A proxy or a NAT with healthy users behind it reached a threshold.
    LikelyProxy,
    /// One user is attacked from many sources.
    AccountAttacked,
    /// A source where users log in guesses the passwords of others.
    Insider,
    /// One account was used from many new addresses within a day.
    AccountSpread,
    /// Failures of a stranger came without their attempts.
    Unjoined,
    /// Many strangers fail, each too seldom for a ban.
    Distributed,
    /// Many bans within a minute on forgeable evidence.
    ForgeableBans,
    /// A whole network was banned.
    NetworkBanned,
    /// A node of the fleet broke its bounds.
    PeerShadowed,
    /// A new policy was out of range.
    PolicyRejected,
    /// A corrupt store was put aside.
    StoreSetAside,
    /// Something that was stored, or should have been, is not.
    StoreIncomplete,
    /// Another program uses the protocol number of sipward.
    ProtocolTaken,
    /// Blackhole routes with the protocol number of sipward are not bans.
    StrayRoutes,
    /// Bans became ineffective.
    BansIneffective,
    /// The kernel did not take a change of a route.
    RouteFailed,
    /// The shield limits healthy hosts like strangers.
    NotSpared,
    /// A stranger has sent more than its own limit for a minute.
    Limited,
    /// Another program removed something of sipward, which was restored.
    Healed,
    /// Events came faster than they could be judged.
    EventsDropped,
    /// A right password was refused.
    RefusedLogin,
    /// FreeSWITCH did not answer a question.
    DirectoryFailed,
    /// Not all addresses of a gateway are known: its carrier can be banned. Ends when they are.
    GatewayUnprotected,
    /// One of FreeSWITCH's access control lists allows everybody, or too much, and is not used. Ends when it is.
    AccessListUnused,
    /// Registrations of FreeSWITCH's list could not be read. Ends with a list that can.
    RegistrationsUnreadable,
    /// FreeSWITCH does not let the user of the Event Socket have some events.
    EventsNotAllowed,
    /// A name of `allow` or `proxies` could not be looked up.
    NameFailed,
    /// A file of `[geo]` cannot be used.
    GeoFailed,
    /// A listener was too slow and missed records.
    RecordsMissed,
    /// Log lines were lost.
    LogLost,
    /// The system's clock was set, or is wrong.
    Clock,
    /// Nothing was judged for a while.
    Stalled,
    /// There was no room for a further connection.
    ConnectionsShed,
    /// There is no connection to the servers of the fleet. Ends with the next one.
    FleetDisconnected,
    /// Messages of the fleet are not read. Ends when all are.
    FleetBehind,
    /// The servers of the fleet acknowledge nothing. Ends when they do.
    FleetNoQuorum,
    /// Another node of the fleet has the same name.
    FleetNameTaken,
}

/// How bad it is.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum AlarmState {
    /// All is well.
    Ok,
    /// It works, but should be checked.
    Attention,
    /// sipward does not do what it is there for.
    Alarm,
}

impl AlarmKind {
    /// How bad it is.
    #[must_use]
    pub const fn severity(self) -> AlarmState {
        match self {
            Self::EslDisconnected
            | Self::GateOpen
            | Self::StoreDegraded
            | Self::BanTableFull
            | Self::NotEnforced
            | Self::Guessed
            | Self::Insider
            | Self::Deaf => AlarmState::Alarm,
            Self::Shielded
            | Self::Overload
            | Self::Limited
            | Self::ReloadFailed
            | Self::ApiFailed
            | Self::HttpFailed
            | Self::CertificateFailed
            | Self::DeliveryFailed
            | Self::ManyBans
            | Self::Spoofing
            | Self::LikelyProxy
            | Self::AccountAttacked
            | Self::AccountSpread
            | Self::Unjoined
            | Self::Distributed
            | Self::ForgeableBans
            | Self::NetworkBanned
            | Self::PeerShadowed
            | Self::PolicyRejected
            | Self::StoreSetAside
            | Self::StoreIncomplete
            | Self::ProtocolTaken
            | Self::StrayRoutes
            | Self::BansIneffective
            | Self::RouteFailed
            | Self::NotSpared
            | Self::Healed
            | Self::EventsDropped
            | Self::RefusedLogin
            | Self::DirectoryFailed
            | Self::GatewayUnprotected
            | Self::AccessListUnused
            | Self::RegistrationsUnreadable
            | Self::EventsNotAllowed
            | Self::NameFailed
            | Self::GeoFailed
            | Self::RecordsMissed
            | Self::LogLost
            | Self::Clock
            | Self::Stalled
            | Self::ConnectionsShed
            | Self::FleetDisconnected
            | Self::FleetBehind
            | Self::FleetNoQuorum
            | Self::FleetNameTaken => AlarmState::Attention,
        }
    }

    /// How long it needs an operator after its latest report, if it has no end.
    #[must_use]
    pub const fn counts_for(self) -> Duration {
        match self {
            // The guest stays until somebody changes the password.
            Self::Guessed => Duration::from_secs(86_400),
            _ => Duration::from_secs(3_600),
        }
    }

    /// Whether it lasts until it ends.
    #[must_use]
    pub const fn has_end(self) -> bool {
        self.is_watched()
            || matches!(
                self,
                Self::ReloadFailed
                    | Self::ApiFailed
                    | Self::HttpFailed
                    | Self::DeliveryFailed
                    | Self::GatewayUnprotected
                    | Self::AccessListUnused
                    | Self::RegistrationsUnreadable
                    | Self::FleetDisconnected
                    | Self::FleetBehind
                    | Self::FleetNoQuorum
            )
    }

    /// Whether a part of the daemon knows if it is active now, so that no record is needed.
    #[must_use]
    pub const fn is_watched(self) -> bool {
        matches!(
            self,
            Self::EslDisconnected
                | Self::GateOpen
                | Self::StoreDegraded
                | Self::BanTableFull
                | Self::NotEnforced
                | Self::Deaf
                | Self::Shielded
                | Self::Overload
        )
    }
}
