//! How urgent each kind of record is.

use tracing::Level;

use super::Record;

impl Record {
    /// How urgent it is.
    #[must_use]
    pub fn level(&self) -> Level {
        match self {
            Self::Started(_)
            | Self::Stopped(_)
            | Self::EslConnected { .. }
            | Self::AuthFailure(_)
            | Self::Ban(_)
            | Self::Unban { .. }
            | Self::FlowDenied(_)
            | Self::FlowAllowed { .. }
            | Self::Refused { .. }
            | Self::Shadowed { .. }
            | Self::Registrations { problem: None, .. }
            | Self::GatewayProtected { .. }
            | Self::AccessListUsed { .. }
            | Self::SipPorts { .. }
            | Self::Trunks { .. }
            | Self::ShieldOver { .. }
            | Self::Hears { .. }
            | Self::OverloadOver { .. }
            | Self::StoreRecovered { .. }
            | Self::StoreBegun { .. }
            | Self::StoreRead { .. }
            | Self::Reload { .. }
            | Self::Delivered { .. }
            | Self::ApiOpened { .. }
            | Self::HttpOpened { .. }
            | Self::TokenAdded { .. }
            | Self::TokenRevoked { .. }
            | Self::LoggedIn { .. }
            | Self::Scanner { .. }
            | Self::Changed { .. }
            | Self::BansMoved { .. } => Level::INFO,
            Self::ClockStepped { by_seconds, .. } if by_seconds.abs() < 1.0 => Level::INFO,
            Self::Enforcement { not_enforced: 0, .. } => Level::INFO,
            Self::Gate { gaps, .. } if gaps.is_empty() => Level::INFO,
            Self::EslDisconnected { .. }
            | Self::EslRestarted { .. }
            | Self::EslBlind { .. }
            | Self::EslOverflow { .. }
            | Self::EventUnusable { .. }
            | Self::EventForged { .. }
            | Self::NeedsAttention { .. }
            | Self::Slowed { .. }
            | Self::Distrusted { .. }
            | Self::RefusedLogin { .. }
            | Self::Registrations { .. }
            | Self::GatewayUnprotected { .. }
            | Self::AccessListUnused { .. }
            | Self::EventsNotAllowed { .. }
            | Self::DirectoryFailed { .. }
            | Self::Enforcement { .. }
            | Self::StrayRoutes { .. }
            | Self::NotSpared { .. }
            | Self::Shielded { .. }
            | Self::Limited { .. }
            | Self::Overload { .. }
            | Self::Healed { .. }
            | Self::Gate { .. }
            | Self::ProtocolTaken { .. }
            | Self::Alarm(_)
            | Self::NameFailed { .. }
            | Self::GeoFailed { .. }
            | Self::ApiFailed { .. }
            | Self::HttpFailed { .. }
            | Self::CertificateFailed { .. }
            | Self::LoginFailed { .. }
            | Self::DeliveryFailed { .. }
            | Self::RecordsMissed { .. }
            | Self::ClockStepped { .. }
            | Self::ClockBehind { .. }
            | Self::Suspended { .. }
            | Self::Stalled { .. }
            | Self::TokenRefused { .. }
            | Self::ConnectionsShed { .. }
            | Self::LogLost { .. } => Level::WARN,
            Self::Deaf { .. }
            | Self::RouteFailed { .. }
            | Self::ReloadFailed { .. }
            | Self::StoreDegraded { .. }
            | Self::StoreIncomplete { .. }
            | Self::StoreSetAside { .. } => Level::ERROR,
        }
    }
}
