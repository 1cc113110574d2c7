//! What a replay found, as data.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;
use serde::Serialize;
use sipward_engine::{Cause, Scope, Stats, Text};

use sipward_model::record::Record;
use sipward_model::text::Time;

/// Bans of which each is reported; the rest is counted. About 300 bytes each.
pub const MAX_BANS: usize = 100_000;

/// Of anything else.
pub const MAX_OTHERS: usize = 10_000;

/// What one policy made of the input.
#[derive(Debug, Serialize)]
pub struct Report {
    /// The policy's file.
    pub policy: String,
    /// Bans, in the order of their beginnings.
    pub bans: Listed<Banned>,
    /// Bans that only a rule in shadow would have made, or one whose evidence was too weak for it.
    pub shadowed: Listed<Shadow>,
    /// Flows that would have been denied, and addresses distrusted for them.
    pub flows: Listed<Told>,
    /// Bans that were due and would not have been done.
    pub refused: Listed<Told>,
    /// Phones that logged in before and then failed, or were refused with the right password.
    pub attention: Listed<Told>,
    /// Alarms.
    pub alarms: Listed<Told>,
    /// The addresses with log-ins, and which of them the bans would have hit.
    pub healthy: Healthy,
    /// Sources for which the daemon would have asked FreeSWITCH's access lists, which a replay cannot.
    pub acl_questions: u64,
    /// Events that another Event Socket client made up. They count for nothing.
    pub forged_events: u64,
    /// Events of `mod_sofia` that cannot be used.
    pub unusable_events: u64,
    /// The engine's counters.
    pub counters: Stats,
}

/// A list that is cut at some length but counted to its end.
#[derive(Clone, Debug, Serialize)]
pub struct Listed<T> {
    /// How many there were.
    pub total: u64,
    /// The first of them.
    pub entries: Vec<T>,
    #[serde(skip)]
    most: usize,
}

/// A ban.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Banned {
    /// The network.
    pub net: IpNet,
    /// What of it is stopped.
    pub scope: Scope,
    /// Its beginning.
    pub since: Time,
    /// Its end; `null` for a ban without an end.
    pub until: Option<Time>,
    /// Why.
    #[serde(flatten)]
    pub cause: Arc<Cause>,
    /// Logins from inside while it stood: in truth they would have failed.
    pub logins_during: u64,
    /// Somebody inside logged in before it.
    pub logged_in_before: bool,
    /// Somebody inside logged in later.
    pub logged_in_after: bool,
}

/// A ban that was not made.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Shadow {
    /// When it was due.
    pub at: Time,
    /// The network.
    pub net: IpNet,
    /// The rule is in shadow; else its evidence was too weak for its `min_grade`.
    pub rule_in_shadow: bool,
    /// What made it due.
    #[serde(flatten)]
    pub cause: Arc<Cause>,
}

/// Something that the daemon would have logged.
#[derive(Clone, Debug, Serialize)]
pub struct Told {
    /// When.
    pub at: Time,
    /// What, as in the log.
    #[serde(flatten)]
    pub record: Record,
}

/// Who logged in, and what the bans would have done to them.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Healthy {
    /// Successful logins.
    pub logins: u64,
    /// Addresses they came from.
    pub addresses: u64,
    /// Logins of addresses beyond those that are kept.
    pub logins_not_kept: u64,
    /// Addresses that a ban would have covered at any time, with the last user of each; the first of
    /// them.
    pub banned: BTreeMap<IpAddr, Text>,
    /// Logins that would have failed because a ban stood.
    pub logins_lost: u64,
}

impl<T> Listed<T> {
    pub(super) const fn new(most: usize) -> Self {
        Self { total: 0, entries: Vec::new(), most }
    }

    /// Adds one; gives its place if it is kept.
    pub(super) fn push(&mut self, entry: T) -> Option<usize> {
        self.total += 1;
        let place = self.entries.len();
        (place < self.most).then(|| {
            self.entries.push(entry);
            place
        })
    }

    /// How many are not listed one by one.
    #[must_use]
    pub fn left_out(&self) -> u64 {
        self.total - self.entries.len() as u64
    }
}

impl Banned {
    /// The network held an address with a log-in.
    #[must_use]
    pub const fn hits_healthy(&self) -> bool {
        self.logged_in_before || self.logins_during > 0 || self.logged_in_after
    }
}
