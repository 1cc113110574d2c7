//! Calls that never authenticated.

use super::{Endpoint, EventMeta, error::Defect, fields::Fields, name::Name};
use crate::text::Text;

/// `sofia::wrong_call_state`: an INVITE was challenged and given up. Comes about 10 s after the challenge;
/// its headers are written with underscores (`network_ip`), and it names no profile.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct WrongCallState<'e> {
    /// Time, sequence, core and origin.
    pub meta: EventMeta,
    /// Where the INVITE came from.
    pub source: Endpoint<'e>,
    /// The user of the From address (`from_user`).
    pub from_user: Option<Text<'e>>,
}

impl<'e> WrongCallState<'e> {
    pub(super) fn read(fields: &Fields<'e>) -> Result<Self, Defect<'e>> {
        Ok(Self {
            meta: fields.meta()?,
            source: fields.source()?,
            from_user: fields.text(Name::FromUser),
        })
    }
}
