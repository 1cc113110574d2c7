//! Gateways: registrations that FreeSWITCH holds elsewhere.

use super::{
    Endpoint, EventMeta,
    error::Defect,
    fields::{Fields, decimal},
    name::Name,
};
use crate::text::Text;

/// `sofia::gateway_state`: a gateway's registration changed
/// (`sofia_reg.c`, `sofia_reg_fire_custom_gateway_state_event`). A gateway that does not register never sends it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct GatewayState<'e> {
    /// Time, sequence, core and origin.
    pub meta: EventMeta,
    /// `Gateway`: its name.
    pub gateway: Text<'e>,
    /// `State`.
    pub state: GatewayStatus<'e>,
    /// `Register-Network-IP` and `-Port`: the registrar that answered, once it has (newer FreeSWITCH only).
    pub registrar: Option<Endpoint<'e>>,
    /// `Ping-Status`: `UP`, `DOWN`, `INVALID`.
    pub ping_status: Option<Text<'e>>,
    /// `Status`: the SIP status that led here.
    pub sip_status: Option<u16>,
    /// `Phrase` beside that status.
    pub phrase: Option<Text<'e>>,
}

/// `sofia::gateway_add` and `sofia::gateway_delete` (`sofia_reg.c`, `sofia_reg_add_gateway`). They carry no
/// address: `sofia xmlstatus gateway` has it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct GatewayChange<'e> {
    /// Time, sequence, core and origin.
    pub meta: EventMeta,
    /// `Gateway`: its name.
    pub gateway: Text<'e>,
    /// `profile-name`.
    pub profile: Option<Text<'e>>,
}

/// `State` of a gateway (`sofia_state_names` in `sofia.c`).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum GatewayStatus<'e> {
    /// `UNREGED`.
    Unregistered,
    /// `TRYING`.
    Trying,
    /// `REGISTER`.
    Registering,
    /// `REGED`.
    Registered,
    /// `UNREGISTER`.
    Unregistering,
    /// `FAILED`.
    Failed,
    /// `FAIL_WAIT`.
    FailedWaiting,
    /// `EXPIRED`.
    Expired,
    /// `NOREG`: does not register.
    NoRegistration,
    /// `DOWN`.
    Down,
    /// `TIMEOUT`.
    TimedOut,
    /// An unknown state.
    Other(Text<'e>),
}

impl<'e> GatewayState<'e> {
    pub(super) fn read(fields: &Fields<'e>) -> Result<Self, Defect<'e>> {
        Ok(Self {
            meta: fields.meta()?,
            gateway: Text::decode(fields.required(Name::Gateway)?),
            state: GatewayStatus::read(fields.required(Name::State)?),
            registrar: fields.registrar()?,
            ping_status: fields.text(Name::PingStatus),
            sip_status: fields
                .get(Name::GatewayStatus)
                .and_then(decimal)
                .and_then(|status| u16::try_from(status).ok()),
            phrase: fields.text(Name::Phrase),
        })
    }
}

impl<'e> GatewayChange<'e> {
    pub(super) fn read(fields: &Fields<'e>) -> Result<Self, Defect<'e>> {
        Ok(Self {
            meta: fields.meta()?,
            gateway: Text::decode(fields.required(Name::Gateway)?),
            profile: fields.text(Name::Profile),
        })
    }
}

impl<'e> GatewayStatus<'e> {
    fn read(raw: &'e [u8]) -> Self {
        match raw {
            b"UNREGED" => Self::Unregistered,
            b"TRYING" => Self::Trying,
            b"REGISTER" => Self::Registering,
            b"REGED" => Self::Registered,
            b"UNREGISTER" => Self::Unregistering,
            b"FAILED" => Self::Failed,
            b"FAIL_WAIT" => Self::FailedWaiting,
            b"EXPIRED" => Self::Expired,
            b"NOREG" => Self::NoRegistration,
            b"DOWN" => Self::Down,
            b"TIMEOUT" => Self::TimedOut,
            _ => Self::Other(Text::decode(raw)),
        }
    }
}
