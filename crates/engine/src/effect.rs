//! The effect of each rule by identity and evidence: the one table that all rules read.
//!
//! A rule counts, compares with its threshold, and looks up here what follows. No rule has a branch of
//! its own for an identity or a grade. `docs/policy.md` prints the table; a test compares the two, and
//! another drives the engine through every cell.

use crate::{Grade, Identity, RuleName};

/// What follows from evidence of one grade when a rule reaches its threshold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Effect {
    /// Such evidence is not counted.
    Nothing,
    /// It is counted, and what would be due is reported.
    Report,
    /// The host is limited to [`crate::SLOWED_PER_SECOND`] packets a second for a while.
    Slow,
    /// The flow that fails is denied for [`crate::Healthy::attention_ban_time`], unless a registration holds
    /// there: the host stays, and others behind the same address.
    Flow,
    /// The source is banned as the rule says.
    Ban,
}

/// The standing of an address, which limits what rules may do to it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Standing {
    /// No user logged in from there lately.
    #[default]
    Stranger,
    /// [`Identity::Caller`].
    Caller,
    /// [`Identity::Known`], and no user is registered there now.
    Known,
    /// [`Identity::Trusted`], and no user is registered there now.
    Trusted,
    /// [`Identity::Shared`], and no user is registered there now.
    Shared,
    /// Only the failing user is registered from there now.
    Registered,
    /// Another user is registered from there now.
    OthersRegistered,
}

impl Standing {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Stranger,
        Self::Caller,
        Self::Known,
        Self::Trusted,
        Self::Shared,
        Self::Registered,
        Self::OthersRegistered,
    ];

    /// The standing of an address where no user is registered now.
    #[must_use]
    pub const fn unregistered(identity: Identity) -> Self {
        match identity {
            Identity::Stranger => Self::Stranger,
            Identity::Caller => Self::Caller,
            Identity::Known => Self::Known,
            Identity::Trusted => Self::Trusted,
            Identity::Shared => Self::Shared,
        }
    }

    /// No user logged in from there lately.
    #[must_use]
    pub const fn is_strange(self) -> bool {
        matches!(self, Self::Stranger | Self::Caller)
    }

    /// A user is registered from there now.
    #[must_use]
    pub const fn is_registered(self) -> bool {
        matches!(self, Self::Registered | Self::OthersRegistered)
    }
}

impl Effect {
    /// What `rule` does on evidence of `grade` against an address of `standing`.
    #[must_use]
    pub fn of(rule: RuleName, standing: Standing, grade: Grade) -> Self {
        // In the order of the rules, which a test holds: every failure looks here.
        let rows = TABLE.get(rule as usize).map(|(_, rows)| rows);
        let row = rows.and_then(|rows| rows.get(standing as usize));
        row.and_then(|row| row.get(grade as usize)).copied().unwrap_or(Self::Nothing)
    }

    /// What `rule` does against an address of `standing` when its evidence is good enough: the same for all
    /// grades on which it does anything.
    #[must_use]
    pub fn acting(rule: RuleName, standing: Standing) -> Self {
        let effects = Grade::ALL.map(|grade| Self::of(rule, standing, grade));
        effects.into_iter().max().unwrap_or(Self::Nothing)
    }

    /// Something is done about it, not only said.
    #[must_use]
    pub const fn acts(self) -> bool {
        matches!(self, Self::Slow | Self::Flow | Self::Ban)
    }
}

/// One effect for each grade.
type Row = [Effect; Grade::ALL.len()];

/// One row for each standing.
type Rows = [Row; Standing::ALL.len()];

const N: Effect = Effect::Nothing;
const R: Effect = Effect::Report;
const S: Effect = Effect::Slow;
const F: Effect = Effect::Flow;
const B: Effect = Effect::Ban;

/// Rules whose evidence carries no grade count it as unjoined, or as answered where a handshake proves
/// the address: a report, a flood, log lines, failed log-ins to sipward's console, a count of packets.
#[rustfmt::skip]
const TABLE: [(RuleName, Rows); RuleName::ALL.len()] = [
    //                      unjoined, unproven, unchallenged, challenged, assumed, answered, genuine
    (RuleName::Failures, [
        /* stranger */          [R, N, B, B, B, B, B],
        /* caller */            [R, N, B, B, B, B, B],
        /* known */             [N, N, N, N, N, F, F],
        /* trusted */           [N, N, N, N, N, R, F],
        /* shared */            [N, N, N, N, N, R, F],
        /* registered */        [N, N, N, N, N, F, F],
        /* others registered */ [N, N, N, N, N, F, F],
    ]),
    (RuleName::Users, [
        /* stranger */          [N, N, R, B, B, B, B],
        /* caller */            [N, N, R, B, B, B, B],
        /* known */             [N, N, N, N, N, R, R],
        /* trusted */           [N, N, N, N, N, R, R],
        /* shared */            [N, N, N, N, N, R, R],
        /* registered */        [N, N, N, N, N, R, R],
        /* others registered */ [N, N, N, N, N, R, R],
    ]),
    (RuleName::UserAgents, [
        /* stranger */          [N, N, R, B, B, B, B],
        /* caller */            [N, N, R, B, B, B, B],
        /* known */             [N, N, N, N, N, R, R],
        /* trusted */           [N, N, N, N, N, R, R],
        /* shared */            [N, N, N, N, N, R, R],
        /* registered */        [N, N, N, N, N, R, R],
        /* others registered */ [N, N, N, N, N, R, R],
    ]),
    (RuleName::Report, [
        /* stranger */          [B, N, N, N, N, B, N],
        /* caller */            [R, N, N, N, N, R, N],
        /* known */             [R, N, N, N, N, R, N],
        /* trusted */           [R, N, N, N, N, R, N],
        /* shared */            [R, N, N, N, N, R, N],
        /* registered */        [R, N, N, N, N, R, N],
        /* others registered */ [R, N, N, N, N, R, N],
    ]),
    (RuleName::Flood, [
        /* stranger */          [B, N, N, N, N, N, N],
        /* caller */            [B, N, N, N, N, N, N],
        /* known */             [R, N, N, N, N, N, N],
        /* trusted */           [R, N, N, N, N, N, N],
        /* shared */            [R, N, N, N, N, N, N],
        /* registered */        [R, N, N, N, N, N, N],
        /* others registered */ [R, N, N, N, N, N, N],
    ]),
    (RuleName::Slow, [
        /* stranger */          [N, N, R, B, B, B, B],
        /* caller */            [N, N, R, B, B, B, B],
        /* known */             [N, N, N, N, N, R, R],
        /* trusted */           [N, N, N, N, N, R, R],
        /* shared */            [N, N, N, N, N, R, R],
        /* registered */        [N, N, N, N, N, R, R],
        /* others registered */ [N, N, N, N, N, R, R],
    ]),
    (RuleName::Challenges, [
        /* stranger */          [B, N, N, N, N, N, N],
        /* caller */            [B, N, N, N, N, N, N],
        /* known */             [R, N, N, N, N, N, N],
        /* trusted */           [R, N, N, N, N, N, N],
        /* shared */            [R, N, N, N, N, N, N],
        /* registered */        [R, N, N, N, N, N, N],
        /* others registered */ [R, N, N, N, N, N, N],
    ]),
    (RuleName::Calls, [
        /* stranger */          [B, N, R, B, B, B, B],
        /* caller */            [B, N, R, B, B, B, B],
        /* known */             [R, N, N, N, N, R, R],
        /* trusted */           [R, N, N, N, N, R, R],
        /* shared */            [R, N, N, N, N, R, R],
        /* registered */        [R, N, N, N, N, R, R],
        /* others registered */ [R, N, N, N, N, R, R],
    ]),
    (RuleName::RawAddress, [
        /* stranger */          [N, N, R, B, B, B, B],
        /* caller */            [N, N, R, B, B, B, B],
        /* known */             [N, N, N, N, N, R, R],
        /* trusted */           [N, N, N, N, N, R, R],
        /* shared */            [N, N, N, N, N, R, R],
        /* registered */        [N, N, N, N, N, R, R],
        /* others registered */ [N, N, N, N, N, R, R],
    ]),
    (RuleName::Account, [
        /* stranger */          [N, N, N, B, B, B, B],
        /* caller */            [N, N, N, B, B, B, B],
        /* known */             [N, N, N, N, N, N, N],
        /* trusted */           [N, N, N, N, N, N, N],
        /* shared */            [N, N, N, N, N, N, N],
        /* registered */        [N, N, N, N, N, N, N],
        /* others registered */ [N, N, N, N, N, N, N],
    ]),
    (RuleName::Network, [
        /* stranger */          [N, N, B, B, B, B, B],
        /* caller */            [N, N, N, N, N, N, N],
        /* known */             [N, N, N, N, N, N, N],
        /* trusted */           [N, N, N, N, N, N, N],
        /* shared */            [N, N, N, N, N, N, N],
        /* registered */        [N, N, N, N, N, N, N],
        /* others registered */ [N, N, N, N, N, N, N],
    ]),
    (RuleName::Log, [
        /* stranger */          [B, N, N, N, N, N, N],
        /* caller */            [B, N, N, N, N, N, N],
        /* known */             [R, N, N, N, N, N, N],
        /* trusted */           [R, N, N, N, N, N, N],
        /* shared */            [R, N, N, N, N, N, N],
        /* registered */        [R, N, N, N, N, N, N],
        /* others registered */ [R, N, N, N, N, N, N],
    ]),
    (RuleName::Login, [
        /* stranger */          [N, N, N, N, N, B, N],
        /* caller */            [N, N, N, N, N, B, N],
        /* known */             [N, N, N, N, N, R, N],
        /* trusted */           [N, N, N, N, N, R, N],
        /* shared */            [N, N, N, N, N, R, N],
        /* registered */        [N, N, N, N, N, R, N],
        /* others registered */ [N, N, N, N, N, R, N],
    ]),
    (RuleName::Attention, [
        /* stranger */          [N, N, N, N, N, N, N],
        /* caller */            [N, N, N, N, N, N, N],
        /* known */             [N, N, N, N, N, F, F],
        /* trusted */           [N, N, N, N, N, F, F],
        /* shared */            [N, N, N, N, N, R, F],
        /* registered */        [N, N, N, N, N, F, F],
        /* others registered */ [N, N, N, N, N, F, F],
    ]),
    (RuleName::Insider, [
        /* stranger */          [N, N, N, N, N, N, N],
        /* caller */            [N, N, N, N, N, N, N],
        /* known */             [N, N, R, R, R, F, N],
        /* trusted */           [N, N, R, R, R, F, N],
        /* shared */            [N, N, R, R, R, F, N],
        /* registered */        [N, N, R, R, R, S, N],
        /* others registered */ [N, N, R, R, R, S, N],
    ]),
    (RuleName::Deafness, [
        /* stranger */          [N, N, B, B, B, B, B],
        /* caller */            [N, N, B, B, B, B, B],
        /* known */             [N, N, N, N, N, N, N],
        /* trusted */           [N, N, N, N, N, N, N],
        /* shared */            [N, N, N, N, N, N, N],
        /* registered */        [N, N, N, N, N, N, N],
        /* others registered */ [N, N, N, N, N, N, N],
    ]),
    (RuleName::Scan, [
        /* stranger */          [B, N, N, N, N, N, N],
        /* caller */            [N, N, N, N, N, N, N],
        /* known */             [N, N, N, N, N, N, N],
        /* trusted */           [N, N, N, N, N, N, N],
        /* shared */            [N, N, N, N, N, N, N],
        /* registered */        [N, N, N, N, N, N, N],
        /* others registered */ [N, N, N, N, N, N, N],
    ]),
];

#[cfg(test)]
mod tests;
