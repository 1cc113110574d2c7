//! Counts made from records.

use std::collections::BTreeMap;
use std::time::Duration;

use sipward_engine::{Alarm, Cause, Grade, Refusal, RuleName, UnblockReason};

use sipward_model::record::{Ban, Kind, Record};

/// Profiles with counts of their own; failures of others count as `other`. A FreeSWITCH has two or three, and
/// each costs five time series.
const MAX_PROFILES: usize = 16;

/// The name for all further profiles.
const OTHER: &str = "other";

/// Counts since the start. What has a label from a fixed list is here from the start, as 0: of a counter that
/// begins with its first event, Prometheus sees no increase.
#[derive(Clone, Debug, PartialEq)]
pub struct Tally {
    /// Failures judged, by profile and grade.
    pub failures: BTreeMap<String, BTreeMap<Grade, u64>>,
    /// Bans, by what decided: a rule's name, `manual`, `adopted`, `split`.
    pub bans: BTreeMap<&'static str, u64>,
    /// Bans ended, by reason.
    pub unbans: BTreeMap<&'static str, u64>,
    /// Bans due and not done, by reason.
    pub refusals: BTreeMap<&'static str, u64>,
    /// Bans that a rule in shadow would have made, by rule.
    pub shadowed: BTreeMap<&'static str, u64>,
    /// Alarms, by name.
    pub alarms: BTreeMap<&'static str, u64>,
    /// Records of each kind.
    records: [u64; Kind::COUNT],
    /// Time of which no events were seen.
    pub blind: Duration,
    /// Events that no evidence was made of: unusable, or made by another client of the Event Socket.
    pub events_ignored: u64,
    /// Routes and rules put back.
    pub healed: u64,
    /// From event to proved route.
    pub event_to_route: Histogram,
}

/// How long things took.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Histogram {
    /// How many took at most as long as the bound of the same place, and longer than the one before.
    counts: [u64; Self::BOUNDS_US.len()],
    /// How many took longer than all.
    longer: u64,
    sum: Duration,
}

impl Histogram {
    /// Upper bounds in µs: around the fifth of a millisecond that a ban usually takes, up to the seconds of a
    /// kernel side that is being set up again.
    pub const BOUNDS_US: [u64; 13] = [
        100, 200, 300, 500, 1_000, 2_500, 5_000, 10_000, 50_000, 100_000, 500_000, 1_000_000,
        5_000_000,
    ];

    pub(super) fn add(&mut self, us: u64) {
        let bucket = Self::BOUNDS_US.iter().position(|bound| us <= *bound);
        match bucket.and_then(|bucket| self.counts.get_mut(bucket)) {
            Some(count) => *count += 1,
            None => self.longer += 1,
        }
        self.sum = self.sum.saturating_add(Duration::from_micros(us));
    }

    /// Bounds in µs with how many took at most that long; the last, without a bound, is all.
    pub(super) fn cumulated(&self) -> impl Iterator<Item = (Option<u64>, u64)> {
        let bounds = Self::BOUNDS_US.into_iter().map(Some).chain([None]);
        let counts = self.counts.into_iter().chain([self.longer]);
        bounds.zip(counts).scan(0, |sum, (bound, count)| {
            *sum += count;
            Some((bound, *sum))
        })
    }

    pub(super) fn sum(&self) -> Duration {
        self.sum
    }
}

/// What decides on a ban beside the rules.
const NO_RULES: [&str; 4] = ["manual", "adopted", "split", "remote"];

const UNBANS: [&str; 9] = [
    "expired",
    "manual",
    "exempted",
    "split",
    "superseded",
    "made_room",
    "not_adopted",
    "registered",
    "withdrawn",
];

const REFUSALS: [&str; 15] = [
    "exempt",
    "known",
    "shared",
    "link_local",
    "covered",
    "too_many_bans",
    "share_used_up",
    "banned_lately",
    "registered",
    "denied_lately",
    "lifted",
    "no_quorum",
    "too_wide",
    "peer_budget",
    "peer_shadowed",
];

const ALARMS: [&str; 19] = [
    "ban_table_full",
    "not_enforced",
    "many_bans",
    "spoofing",
    "guessed",
    "likely_proxy",
    "account_attacked",
    "insider",
    "account_spread",
    "unjoined",
    "distributed",
    "forgeable_bans",
    "network_banned",
    "peer_shadowed",
    "deaf",
    "policy_rejected",
    "shielded",
    "limited",
    "overload",
];

impl Default for Tally {
    fn default() -> Self {
        let rules = RuleName::ALL.map(RuleName::as_str);
        let none = |names: &[&'static str]| names.iter().map(|name| (*name, 0)).collect();
        Self {
            failures: BTreeMap::new(),
            bans: none(&[&rules[..], &NO_RULES[..]].concat()),
            unbans: none(&UNBANS),
            refusals: none(&REFUSALS),
            shadowed: none(&rules),
            alarms: none(&ALARMS),
            records: [0; Kind::COUNT],
            blind: Duration::ZERO,
            events_ignored: 0,
            healed: 0,
            event_to_route: Histogram::default(),
        }
    }
}

impl Tally {
    /// How many records of a kind there were.
    #[must_use]
    pub fn count(&self, kind: Kind) -> u64 {
        self.records.get(kind as usize).copied().unwrap_or_default()
    }

    /// Counts a record.
    pub fn note(&mut self, record: &Record) {
        let one = |counts: &mut BTreeMap<&'static str, u64>, name| {
            *counts.entry(name).or_default() += 1;
        };
        if let Some(count) = self.records.get_mut(record.kind() as usize) {
            *count += 1;
        }
        match record {
            Record::AuthFailure(judgement) => self.failure(&judgement.profile, judgement.grade),
            Record::Ban(Ban { cause, event_to_route_us, .. }) => {
                one(&mut self.bans, decided_by(cause));
                if let Some(us) = event_to_route_us {
                    self.event_to_route.add(*us);
                }
            }
            Record::Unban { reason, .. } => one(&mut self.unbans, unban(*reason)),
            Record::Refused { refusal, .. } => one(&mut self.refusals, refusal_word(refusal)),
            Record::Shadowed { cause, .. } => one(&mut self.shadowed, decided_by(cause)),
            Record::Alarm(alarm) => one(&mut self.alarms, raised(alarm)),
            Record::Deaf { .. } => one(&mut self.alarms, "deaf"),
            Record::Shielded { .. } => one(&mut self.alarms, "shielded"),
            Record::Limited { .. } => one(&mut self.alarms, "limited"),
            Record::Overload { .. } => one(&mut self.alarms, "overload"),
            Record::EslBlind { seconds } => {
                let blind = Duration::try_from_secs_f64(*seconds).unwrap_or_default();
                self.blind = self.blind.saturating_add(blind);
            }
            Record::EventUnusable { count, .. } | Record::EventForged { count, .. } => {
                self.events_ignored = self.events_ignored.saturating_add(*count);
            }
            Record::Healed { routes, rules, elements, .. } => {
                self.healed += (routes + rules + elements) as u64;
            }
            // Counted by its kind alone.
            _ => {}
        }
    }

    fn failure(&mut self, profile: &str, grade: Grade) {
        let is_new = !self.failures.contains_key(profile);
        let profile = if is_new && self.failures.len() >= MAX_PROFILES { OTHER } else { profile };
        let grades = self
            .failures
            .entry(profile.to_owned())
            .or_insert_with(|| Grade::ALL.into_iter().map(|grade| (grade, 0)).collect());
        *grades.entry(grade).or_default() += 1;
    }
}

fn decided_by(cause: &Cause) -> &'static str {
    match cause {
        Cause::Rule(evidence) => evidence.rule.as_str(),
        Cause::Manual { .. } => "manual",
        Cause::Adopted => "adopted",
        Cause::Split { .. } => "split",
        Cause::Remote(_) => "remote",
    }
}

fn unban(reason: UnblockReason) -> &'static str {
    match reason {
        UnblockReason::Expired => "expired",
        UnblockReason::Manual => "manual",
        UnblockReason::Exempted => "exempted",
        UnblockReason::Split => "split",
        UnblockReason::Superseded => "superseded",
        UnblockReason::MadeRoom => "made_room",
        UnblockReason::NotAdopted => "not_adopted",
        UnblockReason::Registered => "registered",
        UnblockReason::Withdrawn => "withdrawn",
    }
}

/// The word of a refusal.
pub(crate) fn refusal_word(refusal: &Refusal) -> &'static str {
    match refusal {
        Refusal::Exempt { .. } => "exempt",
        Refusal::Known { .. } => "known",
        Refusal::Shared => "shared",
        Refusal::LinkLocal => "link_local",
        Refusal::Covered { .. } => "covered",
        Refusal::TooManyBans => "too_many_bans",
        Refusal::ShareUsedUp => "share_used_up",
        Refusal::BannedLately => "banned_lately",
        Refusal::Registered => "registered",
        Refusal::DeniedLately => "denied_lately",
        Refusal::Lifted { .. } => "lifted",
        Refusal::NoQuorum => "no_quorum",
        Refusal::TooWide => "too_wide",
        Refusal::PeerBudget => "peer_budget",
        Refusal::PeerShadowed => "peer_shadowed",
    }
}

fn raised(alarm: &Alarm) -> &'static str {
    match alarm {
        Alarm::BanTableFull { .. } => "ban_table_full",
        Alarm::NotEnforced { .. } => "not_enforced",
        Alarm::ManyBans { .. } => "many_bans",
        Alarm::Spoofing { .. } => "spoofing",
        Alarm::Guessed { .. } => "guessed",
        Alarm::LikelyProxy { .. } => "likely_proxy",
        Alarm::AccountAttacked { .. } => "account_attacked",
        Alarm::Insider { .. } => "insider",
        Alarm::AccountSpread { .. } => "account_spread",
        Alarm::Unjoined { .. } => "unjoined",
        Alarm::Distributed { .. } => "distributed",
        Alarm::ForgeableBans { .. } => "forgeable_bans",
        Alarm::NetworkBanned { .. } => "network_banned",
        Alarm::PeerShadowed { .. } => "peer_shadowed",
        Alarm::Deaf { .. } => "deaf",
        Alarm::PolicyRejected { .. } => "policy_rejected",
    }
}
