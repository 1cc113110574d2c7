//! One failure as the engine keeps it.

use std::hash::BuildHasher;
use std::net::IpAddr;

use foldhash::quality::FixedState;

use crate::{AuthAttempt, AuthFailure, CoreId, Method, Text, net};

/// A failure, owned and bounded: what is judged now or held until its attempt comes.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    /// Canonical.
    pub(crate) source: IpAddr,
    pub(crate) profile: Text,
    pub(crate) user: Text,
    pub(crate) user_agent: Text,
    pub(crate) method: Method,
    /// The domain is an IP address.
    pub(crate) raw_address: bool,
    pub(crate) core: CoreId,
    pub(crate) sequence: u64,
    /// Hash of the whole user name, of which `user` may be a part.
    pub(crate) user_hash: u64,
    /// Hash of the whole user agent.
    pub(crate) agent_hash: u64,
    /// What it shares with its attempt.
    pub(crate) join_key: u64,
}

/// Hashes of what strangers choose: seeded, so that nobody outside can make two of them collide.
#[derive(Clone, Debug)]
pub(crate) struct Fingerprints(FixedState);

impl Fingerprints {
    pub(crate) fn new(seed: u64) -> Self {
        Self(FixedState::with_seed(seed))
    }

    /// The owned form of a failure.
    pub(crate) fn failure(&self, failure: &AuthFailure<'_>) -> Seen {
        let source = net::canonical(failure.source);
        let AuthFailure { port, profile, user, core, .. } = *failure;
        Seen {
            source,
            profile: Text::new(profile),
            user: Text::new(user),
            user_agent: Text::new(failure.user_agent),
            method: failure.method,
            raw_address: is_raw_address(failure.domain),
            core,
            sequence: failure.sequence,
            user_hash: self.text(user),
            agent_hash: self.text(failure.user_agent),
            join_key: self.join_key(source, port, profile, user, core),
        }
    }

    /// The hash of a user name, a user agent.
    pub(crate) fn text(&self, text: &str) -> u64 {
        self.0.hash_one(text)
    }

    /// What an attempt shares with its failure.
    pub(crate) fn attempt(&self, attempt: &AuthAttempt<'_>) -> u64 {
        let source = net::canonical(attempt.source);
        let AuthAttempt { port, profile, user, core, .. } = *attempt;
        self.join_key(source, port, profile, user, core)
    }

    /// What a log line shares with the event of the same failure.
    pub(crate) fn complaint(&self, source: IpAddr, user_hash: u64) -> u64 {
        self.0.hash_one((source, user_hash))
    }

    /// What the events of one registration share.
    pub(crate) fn registration(&self, user: &str, domain: &str, call_id: &str) -> u64 {
        self.0.hash_one((user, domain, call_id))
    }

    fn join_key(&self, source: IpAddr, port: u16, profile: &str, user: &str, core: CoreId) -> u64 {
        self.0.hash_one((source, port, profile, user, core))
    }
}

/// An IP address where a domain should be, IPv6 with or without brackets.
pub(crate) fn is_raw_address(domain: &str) -> bool {
    // Most domains are told apart by their first character.
    let hex = |c: char| c.is_ascii_hexdigit() || c == '[' || c == ':';
    if !domain.starts_with(hex) {
        return false;
    }
    let bare = domain.strip_prefix('[').and_then(|d| d.strip_suffix(']')).unwrap_or(domain);
    bare.parse::<IpAddr>().is_ok()
}
