//! What became of one failure.

use std::net::IpAddr;

use serde::Serialize;

use crate::{Exemption, Grade, Identity, Text};

/// What became of one failure. `T` holds its texts.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Judgement<T = Text> {
    /// Address in the event; IPv4-mapped IPv6 is written as IPv4.
    pub address: IpAddr,
    /// User tried.
    pub user: T,
    /// Profile.
    pub profile: T,
    /// User agent; empty when there was none.
    pub user_agent: T,
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

impl<T> Judgement<T> {
    /// The same, with its texts held in another way.
    pub fn with_texts<U>(&self, mut text: impl FnMut(&T) -> U) -> Judgement<U> {
        Judgement {
            address: self.address,
            user: text(&self.user),
            profile: text(&self.profile),
            user_agent: text(&self.user_agent),
            grade: self.grade,
            identity: self.identity,
            attention: self.attention,
            failures: self.failures,
            exempt: self.exempt,
            banned: self.banned,
        }
    }
}
