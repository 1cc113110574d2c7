//! What the store is given and what it gives back.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use serde::Serialize;
use sipward_engine::{
    self as engine, Cause, Expiry, Flow, Grade, Offender, Refusal, Success, Timestamp,
    UnblockReason,
};

use sipward_model::wire::{AlarmKind, HostEntry, Mode, Scope};

/// One thing to keep.
#[derive(Clone, Debug)]
pub enum Entry {
    /// A network is banned, or banned with a new end. An offender's count follows from the cause.
    Ban {
        /// When that was decided: later than the beginning of a ban that was split.
        at: Timestamp,
        /// The ban.
        ban: SavedBan,
    },
    /// A ban has ended.
    Unban {
        /// The network.
        net: IpNet,
        /// When.
        at: Timestamp,
        /// Why.
        reason: UnblockReason,
    },
    /// A flow is denied, or denied until another time.
    DenyFlow {
        /// When that was decided.
        at: Timestamp,
        /// The flow.
        flow: SavedFlow,
    },
    /// A host is limited: kept like a flow, because it counts for the same hour, but it is none, so the history does
    /// not have it.
    Slowed(SavedFlow),
    /// A flow is allowed again.
    AllowFlow {
        /// The flow.
        flow: Flow,
        /// When.
        at: Timestamp,
        /// Why.
        reason: UnblockReason,
    },
    /// A ban was due and was not done.
    Refused {
        /// The network that was due.
        net: IpNet,
        /// When.
        at: Timestamp,
        /// Why not.
        refusal: Refusal,
        /// What made it due.
        cause: Arc<Cause>,
    },
    /// The system's clock was set: what is stored keeps its time left.
    Stepped(Stepped),
    /// Bans whose end has passed have ended.
    EndPast {
        /// By this time.
        at: Timestamp,
    },
    /// A user succeeded.
    Remember(Box<Success>),
    /// An operator allows a host.
    Allow(AllowEntry),
    /// An operator no longer allows a host.
    Disallow {
        /// The host.
        host: HostEntry,
    },
    /// An operator sets a value over that of the file.
    Override(Override),
    /// The file's value holds again.
    Reset {
        /// The setting's dotted name.
        key: String,
    },
    /// An operator has acknowledged an alarm.
    Acknowledge(SavedAcknowledgement),
    /// The state behind an acknowledged alarm is over: should it begin again, that is another alarm.
    ForgetAcknowledgement {
        /// What the alarm is about.
        kind: AlarmKind,
        /// Which of several.
        about: Option<String>,
    },
    /// An alarm without an end was raised, or raised again.
    Alarm(SavedAlarm),
    /// Mail or a webhook has delivered a test.
    Notified {
        /// When.
        at: Timestamp,
    },
    /// Bans are enforced from now on, or only observed. Those that are stored are what the new mode holds.
    Mode(Mode),
    /// A token was made, or used.
    Token(SavedToken),
    /// A token opens nothing any more.
    RevokeToken(RetiredToken),
    /// What happened when, from a quarter of an hour on: in place of what is stored of these quarters.
    Counts {
        /// The first of them, numbered from the epoch.
        from: u64,
        /// Those in which something happened, each with its number.
        counts: Vec<(u64, Counts)>,
    },
}

/// What is counted together for good.
pub const QUARTER: Duration = Duration::from_secs(900);

/// How long counts are kept.
pub const COUNTS_KEPT: Duration = Duration::from_secs(31 * 86_400);

/// What happened within a time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Failures judged, in the order of [`Grade::ALL`].
    pub failures: [u32; Grade::ALL.len()],
    /// Bans made.
    pub bans: u32,
    /// Bans ended.
    pub unbans: u32,
}

impl Counts {
    /// Adds others.
    pub fn add(&mut self, other: &Self) {
        for (sum, more) in self.failures.iter_mut().zip(other.failures) {
            *sum = sum.saturating_add(more);
        }
        self.bans = self.bans.saturating_add(other.bans);
        self.unbans = self.unbans.saturating_add(other.unbans);
    }
}

/// A step of the system's clock, for rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stepped {
    /// What this run has stored has times from then on.
    pub from: Timestamp,
    /// Until then.
    pub to: Timestamp,
    /// How far these are moved, in µs; backwards is negative.
    pub by: i64,
    /// The bans of earlier runs are moved, too.
    pub all_bans: bool,
}

/// A bearer token, without its secret.
#[derive(Clone, PartialEq, Eq)]
pub struct SavedToken {
    /// Its name.
    pub name: String,
    /// SHA-256 of its secret.
    pub hash: [u8; 32],
    /// What it may do.
    pub scope: Scope,
    /// Since when.
    pub since: Timestamp,
    /// Its end; `None` when it has none.
    pub until: Option<Timestamp>,
    /// When it was last used, to some ten minutes.
    pub used: Option<Timestamp>,
}

impl fmt::Debug for SavedToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Without the hash, which a log does not need.
        f.debug_struct("SavedToken")
            .field("name", &self.name)
            .field("scope", &self.scope)
            .field("until", &self.until)
            .finish_non_exhaustive()
    }
}

/// A revoked token: its use does not count as guessing.
#[derive(Clone, PartialEq, Eq)]
pub struct RetiredToken {
    /// Its name.
    pub name: String,
    /// SHA-256 of its secret.
    pub hash: [u8; 32],
    /// When it was revoked.
    pub at: Timestamp,
}

impl fmt::Debug for RetiredToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RetiredToken").field("name", &self.name).finish_non_exhaustive()
    }
}

/// A ban that stood when it was written.
#[derive(Clone, Debug, PartialEq)]
pub struct SavedBan {
    /// The network.
    pub net: IpNet,
    /// What of it is stopped.
    pub scope: engine::Scope,
    /// Its beginning.
    pub since: Timestamp,
    /// Its end.
    pub until: Expiry,
    /// Why.
    pub cause: Arc<Cause>,
}

/// A flow that was denied when it was written.
#[derive(Clone, Debug, PartialEq)]
pub struct SavedFlow {
    /// The flow.
    pub flow: Flow,
    /// Since when.
    pub since: Timestamp,
    /// Until when; not after `since` for one that is allowed again and only counts.
    pub until: Timestamp,
    /// Why.
    pub cause: Arc<Cause>,
}

impl SavedFlow {
    /// It was allowed again, which was reported. It still counts against its address for an hour.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.until <= self.since
    }
}

/// A host that an operator allowed while the daemon ran.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AllowEntry {
    /// Address, network or name.
    pub host: HostEntry,
    /// The operator's comment.
    pub comment: Option<String>,
    /// Since when.
    pub since: Timestamp,
    /// Until when; `None` for good.
    pub until: Option<Timestamp>,
}

/// An alarm without an end, such as a guessed password: nothing reports it again after a restart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SavedAlarm {
    /// What it is about.
    pub kind: AlarmKind,
    /// Which of several.
    pub about: Option<String>,
    /// The log line for people.
    pub text: String,
    /// The fields of the log line, as JSON.
    pub data: String,
    /// When it was first reported.
    pub since: Timestamp,
    /// When it was last reported.
    pub last: Timestamp,
    /// How often it was reported.
    pub times: u32,
}

/// An alarm that an operator has acknowledged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SavedAcknowledgement {
    /// What it is about.
    pub kind: AlarmKind,
    /// Which of several.
    pub about: Option<String>,
    /// Its text, to list it after a restart.
    pub text: String,
    /// When it was first reported.
    pub since: Timestamp,
    /// When it was last reported.
    pub last: Timestamp,
    /// Who acknowledged it.
    pub name: String,
    /// When that was.
    pub at: Timestamp,
}

/// A setting that an operator changed for good while the daemon ran.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Override {
    /// Its dotted name in the file, such as `policy.max_failures`.
    pub key: String,
    /// Its value, as the API takes it.
    pub value: serde_json::Value,
    /// Since when.
    pub since: Timestamp,
}

/// What was stored, as of the start.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Saved {
    /// Bans that stood, some perhaps past their end.
    pub bans: Vec<SavedBan>,
    /// Flows that were denied, some perhaps past their end.
    pub flows: Vec<SavedFlow>,
    /// Earlier offenders, and their number of bans.
    pub offenders: Vec<Offender>,
    /// The healthy hosts.
    pub successes: Vec<Success>,
    /// Hosts allowed at run time.
    pub allow: Vec<AllowEntry>,
    /// Settings changed at run time.
    pub overrides: Vec<Override>,
    /// Alarms without an end, the latest last.
    pub alarms: Vec<SavedAlarm>,
    /// When mail or a webhook first delivered a test.
    pub notified: Option<Timestamp>,
    /// Acknowledged alarms, the latest last.
    pub acknowledged: Vec<SavedAcknowledgement>,
    /// Bearer tokens.
    pub tokens: Vec<SavedToken>,
    /// Bearer tokens that were revoked, the latest last.
    pub retired: Vec<RetiredToken>,
    /// Rows that made no sense and were left out.
    pub unreadable: usize,
    /// When something was stored last; `None` in a new store.
    pub written: Option<Timestamp>,
}
