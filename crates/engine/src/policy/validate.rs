//! The range of every setting.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::time::Duration;

use super::{Deafness, Escalation, Healthy, Mode, Policy, Rule, RuleName, Rules, Weights};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(86_400);
/// Longest ban that is not permanent: ten years.
pub const MAX_BAN_TIME: Duration = Duration::from_secs(3_653 * 24 * 3_600);

/// Least weight that counts at all: with `max_failures` at its highest it bounds the failures that
/// can matter, and so the memory of one source, to 20,000.
const LEAST_WEIGHT: f64 = 0.05;

/// A setting out of its range.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{key} = {value} is out of range: {expected}")]
pub struct PolicyError {
    /// The setting, as in the configuration file (`escalation.factor`).
    pub key: &'static str,
    /// The value it has.
    pub value: String,
    /// The allowed values, as text.
    pub expected: String,
}

impl Policy {
    /// Checks every setting against its range.
    ///
    /// # Errors
    ///
    /// The first setting that is out of range, with its key, its value and the range.
    pub fn validate(&self) -> Result<(), PolicyError> {
        number("max_failures", self.max_failures, RuleName::Failures.thresholds())?;
        duration("window", self.window, SECOND..=7 * DAY)?;
        duration("ban_time", self.ban_time, SECOND..=365 * DAY)?;
        self.escalation.validate(self.ban_time)?;
        self.weights.validate()?;
        self.rules.validate()?;
        self.healthy.validate()?;
        self.deafness.validate()?;
        number("alarm_bans_per_minute", self.alarm_bans_per_minute, 1..=1_000_000)?;
        number("alarm_forgeable_per_minute", self.alarm_forgeable_per_minute, 1..=1_000_000)?;
        number("alarm_distributed_per_minute", self.alarm_distributed_per_minute, 1..=1_000_000)?;
        number("nat64_prefixes", self.nat64_prefixes.len(), 0..=16)?;
        number("ipv4_prefix", self.ipv4_prefix, 24..=32)?;
        number("ipv6_prefix", self.ipv6_prefix, 48..=128)?;
        number("max_tracked", self.max_tracked, 1_000..=16_777_216)?;
        number("max_unproven", self.max_unproven, 100..=1_048_576)?;
        number("max_bans", self.max_bans, 1..=10_000_000)
    }
}

impl Escalation {
    fn validate(&self, ban_time: Duration) -> Result<(), PolicyError> {
        number("escalation.factor", self.factor, 1.0..=100.0)?;
        duration("escalation.max", self.max, ban_time..=MAX_BAN_TIME)?;
        duration("escalation.forget_after", self.forget_after, Duration::ZERO..=MAX_BAN_TIME)
    }
}

impl Weights {
    fn validate(&self) -> Result<(), PolicyError> {
        number("weights.answered", self.answered, LEAST_WEIGHT..=1.0)?;
        weight("weights.unchallenged", self.unchallenged)?;
        weight("weights.unproven", self.unproven)?;
        weight("weights.unjoined", self.unjoined)
    }
}

impl Rules {
    fn validate(&self) -> Result<(), PolicyError> {
        let Self { users, report, flood, slow, challenges, calls, raw_address, .. } = self;
        let Self { account, network, insider, log, login, scan, .. } = self;
        rule(RuleName::Users, ["users.threshold", "users.window", "users.ban_time"], users)?;
        rule(RuleName::Report, ["report.threshold", "report.window", "report.ban_time"], report)?;
        rule(RuleName::Flood, ["flood.threshold", "flood.window", "flood.ban_time"], flood)?;
        rule(RuleName::Slow, ["slow.threshold", "slow.window", "slow.ban_time"], slow)?;
        let keys = ["challenges.threshold", "challenges.window", "challenges.ban_time"];
        rule(RuleName::Challenges, keys, challenges)?;
        rule(RuleName::Calls, ["calls.threshold", "calls.window", "calls.ban_time"], calls)?;
        let keys = ["raw_address.threshold", "raw_address.window", "raw_address.ban_time"];
        rule(RuleName::RawAddress, keys, raw_address)?;
        let keys = ["account.threshold", "account.window", "account.ban_time"];
        rule(RuleName::Account, keys, account)?;
        let keys = ["network.threshold", "network.window", "network.ban_time"];
        rule(RuleName::Network, keys, network)?;
        let keys = ["insider.threshold", "insider.window", "insider.ban_time"];
        rule(RuleName::Insider, keys, insider)?;
        rule(RuleName::Log, ["log.threshold", "log.window", "log.ban_time"], log)?;
        rule(RuleName::Login, ["login.threshold", "login.window", "login.ban_time"], login)?;
        rule(RuleName::Scan, ["scan.threshold", "scan.window", "scan.ban_time"], scan)?;
        self.validate_modes()?;
        duration("user_agents.ban_time", self.user_agents.ban_time, SECOND..=365 * DAY)?;
        let patterns = &self.user_agents.patterns;
        number("user_agents.patterns", patterns.len(), 0..=256)?;
        match patterns.iter().find(|pattern| pattern.len() < 3) {
            None => Ok(()),
            Some(short) => Err(PolicyError {
                key: "user_agents.patterns",
                value: format!("{short:?}"),
                expected: "at least 3 bytes, or it would match half the world".to_owned(),
            }),
        }
    }
}

impl Rules {
    /// Only `scan` slows down.
    fn validate_modes(&self) -> Result<(), PolicyError> {
        for (key, guard) in [
            ("failures.mode", self.failures),
            ("users.mode", self.users.guard),
            ("user_agents.mode", self.user_agents.guard),
            ("report.mode", self.report.guard),
            ("flood.mode", self.flood.guard),
            ("slow.mode", self.slow.guard),
            ("challenges.mode", self.challenges.guard),
            ("calls.mode", self.calls.guard),
            ("raw_address.mode", self.raw_address.guard),
            ("account.mode", self.account.guard),
            ("network.mode", self.network.guard),
            ("insider.mode", self.insider.guard),
            ("log.mode", self.log.guard),
            ("login.mode", self.login.guard),
        ] {
            mode(key, guard.mode)?;
        }
        Ok(())
    }
}

impl Healthy {
    fn validate(&self) -> Result<(), PolicyError> {
        number("healthy.known_max_failures", self.known_max_failures, 1..=1_000)?;
        duration("healthy.remember", self.remember, DAY / 24..=365 * DAY)?;
        duration("healthy.trust_after", self.trust_after, DAY / 24..=365 * DAY)?;
        let thresholds = RuleName::Attention.thresholds();
        number("healthy.attention_max_failures", self.attention_max_failures, thresholds)?;
        duration("healthy.attention_ban_time", self.attention_ban_time, SECOND..=10 * MINUTE)?;
        number("healthy.max_new_addresses", self.max_new_addresses, 1..=1_000)
    }
}

impl Deafness {
    fn validate(&self) -> Result<(), PolicyError> {
        mode("deafness.mode", self.mode)?;
        number("deafness.max_failures", self.max_failures, RuleName::Deafness.thresholds())?;
        number("deafness.burst", self.burst, 10..=100_000)?;
        number("deafness.packets", self.packets, 10..=10_000_000)
    }
}

fn rule(name: RuleName, keys: [&'static str; 3], rule: &Rule) -> Result<(), PolicyError> {
    let [threshold, window, ban_time] = keys;
    number(threshold, rule.threshold, name.thresholds())?;
    duration(window, rule.window, name.windows())?;
    duration(ban_time, rule.ban_time, SECOND..=365 * DAY)
}

fn mode(key: &'static str, mode: Mode) -> Result<(), PolicyError> {
    if mode != Mode::Slow {
        return Ok(());
    }
    let (value, expected) = ("slow".to_owned(), "ban, shadow or off".to_owned());
    Err(PolicyError { key, value, expected })
}

fn weight(key: &'static str, value: f64) -> Result<(), PolicyError> {
    if value == 0.0 || (LEAST_WEIGHT..=1.0).contains(&value) {
        return Ok(());
    }
    let expected = format!("0, or {LEAST_WEIGHT} to 1");
    Err(PolicyError { key, value: value.to_string(), expected })
}

#[expect(clippy::needless_pass_by_value, reason = "values are numbers")]
fn number<T: PartialOrd + Display>(
    key: &'static str,
    value: T,
    range: RangeInclusive<T>,
) -> Result<(), PolicyError> {
    if range.contains(&value) {
        return Ok(());
    }
    let expected = format!("{} to {}", range.start(), range.end());
    Err(PolicyError { key, value: value.to_string(), expected })
}

fn duration(
    key: &'static str,
    value: Duration,
    range: RangeInclusive<Duration>,
) -> Result<(), PolicyError> {
    if range.contains(&value) {
        return Ok(());
    }
    let expected = format!("{:?} to {:?}", range.start(), range.end());
    Err(PolicyError { key, value: format!("{value:?}"), expected })
}
