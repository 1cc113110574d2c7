//! What became of one failure.

use std::net::IpAddr;

use serde::Serialize;

use crate::{Exemption, Grade, Identity, Text};

/// What became of one failure.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Judgement {
    /// Address in the event; IPv4-mapped IPv6 is written as IPv4.
    pub address: IpAddr,
    /// User tried.
    pub user: Text,
    /// Profile.
    pub profile: Text,
    /// User agent; empty when there was none.
    pub user_agent: Text,
    /// How sure the address is.
    pub grade: Grade,
    /// Whether a user logged in from there lately.
    pub identity: Identity,
    /// Taken for a phone with an old password: not counted towards a ban
    /// ([`crate::Action::NeedsAttention`]).
    pub attention: bool,
    /// Failures counted now in the window of this source.
    pub failures: u32,
    /// Exempt, and why: it was not counted towards a ban.
    pub exempt: Option<Exemption>,
    /// Already banned, or its flow denied, when this came (a packet in flight): it was not counted.
    pub banned: bool,
}
