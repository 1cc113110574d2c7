//! The policy in the units the engine counts with.

mod activity;

use std::net::IpAddr;
use std::time::Duration;

use ipnet::{IpNet, Ipv6Net};

use crate::effect::{Effect, Standing};
use crate::key::Key;
use crate::{Grade, Guard, Mode, Policy, Rule, RuleName, Timestamp};
pub(crate) use activity::{ActivityLimits, Limit};

/// Well-known prefixes of which every address stands for another IPv4 host: NAT64 (RFC 6052, RFC 8215)
/// and Teredo (RFC 4380).
const TRANSLATED: [&str; 3] = ["64:ff9b::/96", "64:ff9b:1::/48", "2001::/32"];

/// Weights are counted in thousandths: sums of them are exact.
pub(crate) const UNIT: u32 = 1_000;

/// Grades, as the bits of their numbers.
pub(crate) type Grades = u8;

/// A rule that looks at histories, made ready to count with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Counting {
    pub(crate) guard: Guard,
    pub(crate) threshold: u32,
    pub(crate) window_ms: u32,
    admitted: Admitted,
}

/// What a rule makes of evidence against each standing: a row of the table of [`Effect`]s.
#[derive(Clone, Copy, Debug, Default)]
struct Admitted([(Grades, Grades); Standing::ALL.len()]);

impl Admitted {
    fn new(rule: RuleName, guard: Guard) -> Self {
        let mut rows = [(0, 0); Standing::ALL.len()];
        for (row, standing) in rows.iter_mut().zip(Standing::ALL) {
            for grade in Grade::ALL {
                let effect = Effect::of(rule, standing, grade);
                row.0 |= bit(grade) * u8::from(effect != Effect::Nothing);
                row.1 |= bit(grade) * u8::from(effect.acts() && guard.admits(grade));
            }
        }
        Self(rows)
    }

    /// The grades that count, and those on which something is done.
    fn of(&self, standing: Standing) -> (Grades, Grades) {
        self.0.get(standing as usize).copied().unwrap_or_default()
    }
}

impl Counting {
    fn new(name: RuleName, rule: &Rule) -> Self {
        let Rule { guard, threshold, window, .. } = *rule;
        let admitted = Admitted::new(name, guard);
        Self { guard, threshold, window_ms: window_ms(window), admitted }
    }

    /// The grades that count against `standing`, and those on which something is done.
    pub(crate) fn grades(&self, standing: Standing) -> (Grades, Grades) {
        self.admitted.of(standing)
    }
}

/// The bit of a grade.
pub(crate) const fn bit(grade: Grade) -> Grades {
    1 << grade as u8
}

/// A validated policy, made ready for one failure after the other.
#[derive(Debug)]
pub(crate) struct Limits {
    pub(crate) policy: Policy,
    /// `max_failures` in thousandths.
    pub(crate) threshold: u32,
    /// The threshold of known sources in thousandths.
    pub(crate) known_threshold: u32,
    /// Window of the base rule.
    pub(crate) window_ms: u32,
    /// What is counted of every event, whether it is a failure or not.
    pub(crate) activity: ActivityLimits,
    /// The rules that look at histories.
    pub(crate) users: Counting,
    pub(crate) slow: Counting,
    pub(crate) calls: Counting,
    pub(crate) raw_address: Counting,
    /// The bits of an address that it is counted by.
    ipv4_mask: Key,
    ipv6_mask: Key,
    /// Those of a /24 and of a /48.
    wide_masks: (Key, Key),
    /// Prefixes of which every address stands for another host.
    translated: Vec<Ipv6Net>,
    /// Weight of each grade in thousandths, in the order of [`Grade::ALL`].
    weights: [u32; Grade::ALL.len()],
    /// What the base rule makes of it.
    failures: Admitted,
    /// The longest window that looks at histories.
    pub(crate) keep_ms: u32,
    /// Failures of one source that can matter to any rule: so many of good evidence, and as many of weak.
    pub(crate) max_history: usize,
}

impl Limits {
    pub(crate) fn new(policy: Policy) -> Self {
        let given = &policy.weights;
        let weights = [
            thousandths(given.unjoined),
            thousandths(given.unproven),
            thousandths(given.unchallenged),
            thousandths(given.answered),
            thousandths(given.answered),
            thousandths(given.answered),
            thousandths(given.answered),
        ];
        let threshold = policy.max_failures.saturating_mul(UNIT);
        let known_threshold = policy.healthy.known_max_failures.saturating_mul(UNIT).max(threshold);
        let lightest = weights.iter().copied().filter(|&weight| weight > 0).min().unwrap_or(UNIT);
        // A stranger reaches its threshold with as many of the lightest; what is forgeable weighs
        // nothing towards a known source.
        let base =
            threshold.div_ceil(lightest).max(known_threshold.div_ceil(thousandths(given.answered)));
        let rules = &policy.rules;
        let translated = TRANSLATED.iter().filter_map(|net| net.parse().ok());
        let translated = translated.chain(policy.nat64_prefixes.iter().copied()).collect();
        let counting = [&rules.users, &rules.slow, &rules.calls, &rules.raw_address];
        let on = counting.into_iter().filter(|rule| rule.guard.is_on());
        let deaf = if policy.deafness.mode == Mode::Off { 0 } else { policy.deafness.max_failures };
        let most = on.clone().map(|rule| rule.threshold).fold(base.max(deaf), u32::max);
        let longest = on.map(|rule| rule.window).fold(policy.window, Duration::max);
        Self {
            threshold,
            known_threshold,
            window_ms: window_ms(policy.window),
            activity: ActivityLimits::new(rules),
            users: Counting::new(RuleName::Users, &rules.users),
            slow: Counting::new(RuleName::Slow, &rules.slow),
            calls: Counting::new(RuleName::Calls, &rules.calls),
            raw_address: Counting::new(RuleName::RawAddress, &rules.raw_address),
            ipv4_mask: Key::mask(true, policy.ipv4_prefix),
            ipv6_mask: Key::mask(false, policy.ipv6_prefix),
            wide_masks: (Key::mask(true, 24), Key::mask(false, 48)),
            translated,
            failures: Admitted::new(RuleName::Failures, rules.failures),
            weights,
            keep_ms: window_ms(longest),
            max_history: most as usize,
            policy,
        }
    }

    /// What a failure of this grade counts, in thousandths.
    pub(crate) fn weight(&self, grade: Grade) -> u32 {
        self.weights.get(grade as usize).copied().unwrap_or_default()
    }

    /// The grades that the base rule counts against `standing`, and those on which something is done.
    pub(crate) fn base_grades(&self, standing: Standing) -> (Grades, Grades) {
        self.failures.of(standing)
    }

    /// What a failure of this grade counts for the base rule against `standing`, in thousandths.
    pub(crate) fn base_weight(&self, standing: Standing, grade: Grade) -> u32 {
        let (counted, _) = self.base_grades(standing);
        if counted & bit(grade) == 0 { 0 } else { self.weight(grade) }
    }

    /// The threshold of the base rule for `standing`, in thousandths.
    pub(crate) fn base_threshold(&self, standing: Standing) -> u32 {
        if standing.is_strange() { self.threshold } else { self.known_threshold }
    }

    /// Every address of its network stands for another host, or the policy counts hosts.
    #[inline]
    pub(crate) fn is_host(&self, addr: IpAddr) -> bool {
        match addr {
            IpAddr::V4(_) => self.policy.ipv4_prefix == 32,
            IpAddr::V6(v6) => {
                self.policy.ipv6_prefix == 128
                    || self.translated.iter().any(|net| net.contains(&v6))
            }
        }
    }

    /// The /24 or /48 of an address, which a busy attacker gets hold of whole; `None` where every address
    /// stands for another host anyway.
    pub(crate) fn wide_key(&self, addr: IpAddr) -> Option<Key> {
        match addr {
            IpAddr::V4(_) => Some(Key::of_addr(addr).masked(self.wide_masks.0)),
            IpAddr::V6(v6) => {
                let translated = self.translated.iter().any(|net| net.contains(&v6));
                (!translated).then(|| Key::of_addr(addr).masked(self.wide_masks.1))
            }
        }
    }

    /// The key of the network of an address, if no host in it is counted separately.
    pub(crate) fn net_key(&self, addr: IpAddr) -> Key {
        if self.is_host(addr) {
            return Key::of_addr(addr);
        }
        let mask = if addr.is_ipv4() { self.ipv4_mask } else { self.ipv6_mask };
        Key::of_addr(addr).masked(mask)
    }

    /// The network of an address, if no host in it is counted separately.
    pub(crate) fn source_net(&self, addr: IpAddr) -> IpNet {
        if self.is_host(addr) {
            return IpNet::from(addr);
        }
        let prefix = if addr.is_ipv4() { self.policy.ipv4_prefix } else { self.policy.ipv6_prefix };
        crate::net::net_of(addr, prefix)
    }

    /// Length of ban number `count` (from 1) of one source, when the first lasts `first`.
    pub(crate) fn ban_time(&self, first: Duration, count: u32) -> Duration {
        let exponent = i32::try_from(count.saturating_sub(1)).unwrap_or(i32::MAX);
        let seconds = first.as_secs_f64() * self.policy.escalation.factor.powi(exponent);
        let longest = self.policy.escalation.max.max(first);
        Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX).min(longest)
    }

    /// After so many seconds without a failure nothing is left to count of a source.
    pub(crate) fn idle_seconds(&self) -> u32 {
        self.keep_ms / 1_000
    }
}

/// The length of a window on the clock of [`millis`].
pub(crate) fn window_ms(window: Duration) -> u32 {
    u32::try_from(window.as_millis()).unwrap_or(u32::MAX)
}

fn thousandths(weight: f64) -> u32 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "weights are 0 to 1: `Policy::validate`"
    )]
    let thousandths = (weight * f64::from(UNIT)).round() as u32;
    thousandths
}

/// Milliseconds as a wrapping 32-bit clock: differences are right up to 49 days, and nothing that is
/// compared is kept longer than the longest window (7 days).
pub(crate) fn millis(at: Timestamp) -> u32 {
    #[expect(clippy::cast_possible_truncation, reason = "the clock is meant to wrap")]
    let millis = (at.as_micros() / 1_000) as u32;
    millis
}

/// Seconds of the epoch; right until 2106.
pub(crate) fn seconds(at: Timestamp) -> u32 {
    u32::try_from(at.as_micros() / 1_000_000).unwrap_or(u32::MAX)
}
