//! Errors of requests, independent of HTTP.

use std::fmt;

use ipnet::IpNet;
use sipward_engine::{Exemption, Refusal as Objection};

use crate::{ChangeError, EngineUnavailable};
use sipward_model::wire::{FieldError, Refusal};
use sipward_store::StoreError;

/// Why a request was not carried out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ControlError {
    /// A field has an invalid value.
    #[error("`{}`: {}", .0.field, .0.detail)]
    Invalid(FieldError),
    /// There is nothing of this name.
    #[error("{0}")]
    NotFound(String),
    /// A ban is refused.
    #[error("{net} is not banned: {why}{}", if .refusal.force_overrides { "; `force` overrides this" } else { "" })]
    Refused {
        /// What was to be banned.
        net: IpNet,
        /// The reason, for programs.
        refusal: Refusal,
        /// The reason, for people.
        why: String,
    },
    /// The configuration file does not allow it.
    #[error("{0}")]
    Configuration(String),
    /// Too many requests of this kind.
    #[error("{detail}")]
    TooMany {
        /// What there were too many of.
        detail: String,
        /// Seconds until the next one may be sent.
        retry_after: u32,
    },
    /// Another server could not be asked.
    #[error("{0}")]
    Upstream(String),
    /// Another server did not answer in time.
    #[error("{0}")]
    NoAnswer(String),
    /// The daemon stops, starts or is too busy.
    #[error("{0}")]
    Unavailable(String),
}

impl ControlError {
    /// A field has an invalid value.
    pub fn field(field: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::Invalid(FieldError { field: field.into(), detail: detail.into() })
    }

    /// A ban is refused.
    pub fn refused(net: IpNet, refusal: Refusal, why: impl fmt::Display) -> Self {
        Self::Refused { net, refusal, why: why.to_string() }
    }

    /// The engine objects to a ban.
    pub fn objection(net: IpNet, objection: Objection) -> Self {
        let why = match objection {
            Objection::Exempt { class, net } => format!("it would cover {net}, {}", whose(class)),
            Objection::Known { net } => {
                format!("it would cover {net}, from where a user logged in")
            }
            Objection::Shared => "several users log in from there".to_owned(),
            Objection::LinkLocal => {
                "it would block IPv6 link-local neighbours and neighbour discovery".to_owned()
            }
            Objection::Covered { net } => {
                format!("the ban of {net} already covers it for at least as long")
            }
            Objection::TooManyBans => "the ban table is full (`policy.max_bans`)".to_owned(),
            Objection::ShareUsedUp => {
                "bans of this kind have used up their share of the ban table".to_owned()
            }
            Objection::BannedLately => {
                "it is a known source and was banned within the last hour".to_owned()
            }
            Objection::Registered => "a phone is registered there".to_owned(),
            Objection::DeniedLately => "flows of it were denied within the last hour".to_owned(),
            Objection::Lifted { net } => format!("an operator lifted {net} in the fleet"),
            Objection::NoQuorum => "too few nodes of the fleet say so".to_owned(),
            Objection::TooWide => {
                "it is wider than one source, and fewer than three nodes of two sites say so"
                    .to_owned()
            }
            Objection::PeerBudget => "the node says more than it may".to_owned(),
            Objection::PeerShadowed => "bans of that node are not made here".to_owned(),
        };
        Self::refused(net, refusal(objection), why)
    }
}

/// The engine's reason for a refusal, for the wire.
pub(crate) fn refusal(objection: Objection) -> Refusal {
    let (reason, class, prevented_by, force_overrides) = match objection {
        Objection::Exempt { class, net } => {
            ("exempt", Some(class), Some(net), class != Exemption::Own)
        }
        Objection::Known { net } => ("known", None, Some(net), false),
        Objection::Shared => ("shared", None, None, false),
        Objection::LinkLocal => ("link_local", None, None, true),
        Objection::Covered { net } => ("covered", None, Some(net), false),
        Objection::TooManyBans => ("too_many_bans", None, None, false),
        Objection::ShareUsedUp => ("share_used_up", None, None, false),
        Objection::BannedLately => ("banned_lately", None, None, false),
        Objection::Registered => ("registered", None, None, false),
        Objection::DeniedLately => ("denied_lately", None, None, false),
        Objection::Lifted { net } => ("lifted", None, Some(net), false),
        Objection::NoQuorum => ("no_quorum", None, None, false),
        Objection::TooWide => ("too_wide", None, None, false),
        Objection::PeerBudget => ("peer_budget", None, None, false),
        Objection::PeerShadowed => ("peer_shadowed", None, None, false),
    };
    Refusal { reason: reason.to_owned(), class, prevented_by, force_overrides }
}

fn whose(class: Exemption) -> &'static str {
    match class {
        Exemption::Own => "an address of this host or a reserved address",
        Exemption::Gateway => "a gateway of this host",
        Exemption::EslPeer => "the FreeSWITCH end of the Event Socket",
        Exemption::NameServer => "a name server of this host",
        Exemption::Trunk => "a trunk of FreeSWITCH",
        Exemption::Proxy => "one of `proxies`",
        Exemption::Acl => "allowed by an access control list of FreeSWITCH",
        Exemption::Allow => "which is on the allow list",
    }
}

impl From<EngineUnavailable> for ControlError {
    fn from(unavailable: EngineUnavailable) -> Self {
        Self::Unavailable(unavailable.to_string())
    }
}

impl From<ChangeError> for ControlError {
    fn from(denied: ChangeError) -> Self {
        match denied {
            ChangeError::InvalidValue(unfit) => Self::field(unfit.key.to_string(), unfit.detail),
            ChangeError::File(error) => Self::Configuration(error),
            ChangeError::ModeIsFixed => Self::Configuration(denied.to_string()),
            ChangeError::Mode(_) => Self::Unavailable(denied.to_string()),
            ChangeError::InFile(_) => Self::Configuration(denied.to_string()),
            ChangeError::NoEntry(_) => Self::NotFound(denied.to_string()),
            ChangeError::Full(_) => Self::field("host", denied.to_string()),
            ChangeError::EngineUnavailable(unavailable) => unavailable.into(),
        }
    }
}

impl From<StoreError> for ControlError {
    fn from(error: StoreError) -> Self {
        Self::Unavailable(error.to_string())
    }
}
