//! What an operator sets.

mod rules;
mod validate;

use std::time::Duration;

use ipnet::Ipv6Net;

pub use rules::{Guard, Mode, Rule, RuleName, RuleSettings, Rules, UserAgents};
pub use validate::{MAX_BAN_TIME, PolicyError};

use crate::Scope;

/// The ban policy. Every value has a range that [`Policy::validate`] checks.
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    /// Failures within `window` that ban a source. Range 1 to 1,000; default 5.
    pub max_failures: u32,
    /// Length of the sliding window. Range 1 s to 7 d; default 10 min.
    pub window: Duration,
    /// Length of a first ban. Range 1 s to 365 d; default 1 h.
    pub ban_time: Duration,
    /// What bans stop, unless a rule ([`Guard::scope`]) or an operator says otherwise. Default: the host.
    pub scope: Scope,
    /// Longer bans for repeat offenders.
    pub escalation: Escalation,
    /// What a failure of each grade counts.
    pub weights: Weights,
    /// What else to look for, and how far each rule may go.
    pub rules: Rules,
    /// The treatment of hosts from where users logged in before.
    pub healthy: Healthy,
    /// What to do when a flood silences FreeSWITCH.
    pub deafness: Deafness,
    /// Ask whether FreeSWITCH's ACLs allow a source when there is evidence against it
    /// ([`crate::Action::AskAcl`]). Default true.
    pub ask_acl: bool,
    /// New bans within a minute that raise [`crate::Alarm::ManyBans`]. Range 1 to 1,000,000; default
    /// 600.
    pub alarm_bans_per_minute: u32,
    /// Forgeable failures within a minute that raise [`crate::Alarm::Spoofing`]. Range 1 to
    /// 1,000,000; default 100.
    pub alarm_forgeable_per_minute: u32,
    /// Failures of strangers that are not banned, within a minute and from a tenth as many networks, that
    /// raise [`crate::Alarm::Distributed`]. Range 1 to 1,000,000; default 100.
    pub alarm_distributed_per_minute: u32,
    /// IPv6 prefixes of which every address stands for another IPv4 host (RFC 6052): a source inside is
    /// one address, whatever `ipv6_prefix` says. `64:ff9b::/96`, `64:ff9b:1::/48` (RFC 8215) and Teredo
    /// (`2001::/32`, RFC 4380) always count as such. At most 16; default none.
    pub nat64_prefixes: Vec<Ipv6Net>,
    /// Prefix length that an IPv4 source is counted and banned by. Range 24 to 32; default 32.
    pub ipv4_prefix: u8,
    /// Prefix length that an IPv6 source is counted and banned by. Range 48 to 128; default 64.
    pub ipv6_prefix: u8,
    /// Sources remembered at most. Range 1,000 to 16,777,216; default 262,144.
    pub max_tracked: usize,
    /// Unproven sources remembered at most, in a table of their own. Range 100 to 1,048,576;
    /// default 16,384.
    pub max_unproven: usize,
    /// Bans at most; beyond it new bans are refused with an alarm. Range 1 to 10,000,000; default
    /// 500,000.
    pub max_bans: usize,
}

/// Longer bans for repeat offenders: ban n lasts `ban_time * factor^(n-1)`, at most `max`.
#[derive(Clone, Debug, PartialEq)]
pub struct Escalation {
    /// Multiplier for each earlier ban. Range 1.0 (off) to 100; default 2.
    pub factor: f64,
    /// Longest automatic ban. Range `ban_time` to 10 years; default 7 d.
    pub max: Duration,
    /// An offender without a new ban for this long after the end of its last one is forgotten.
    /// Range 0 to 10 years; default 30 d.
    pub forget_after: Duration,
}

/// What a failure of each grade counts towards `max_failures`. Each is 0 (counts nothing) or 0.05 to
/// 1, with a resolution of 0.001.
#[derive(Clone, Debug, PartialEq)]
pub struct Weights {
    /// [`crate::Grade::Challenged`] and stronger ones. Not 0. Default 1.
    pub answered: f64,
    /// [`crate::Grade::Unchallenged`]. Default 0.25: a source that fetches challenges with one address and guesses
    /// with another must still be banned.
    pub unchallenged: f64,
    /// [`crate::Grade::Unproven`]. Default 0: such guesses can never succeed, and can name any address.
    pub unproven: f64,
    /// [`crate::Grade::Unjoined`]. Default 0.
    pub unjoined: f64,
}

/// The treatment of hosts from where users logged in before.
#[derive(Clone, Debug, PartialEq)]
pub struct Healthy {
    /// Answered failures within `window` at which a flow of a known source is denied: of one that logged in
    /// within `remember`, or is registered now. Range 1 to 1,000; default 20. The larger of this and
    /// `max_failures` holds.
    pub known_max_failures: u32,
    /// How long a success is remembered. Range 1 h to 365 d; default 30 d.
    pub remember: Duration,
    /// A source whose successes span this long is trusted: no rule bans it, because a patient forger could have it
    /// banned. A source that has just guessed a password is not trusted. Range 1 h to
    /// 365 d; default 24 h.
    pub trust_after: Duration,
    /// Failures within 10 min of a phone that needs attention (one user with one user agent who
    /// succeeded from here before) at which its flow is denied. Range 1 to 1,000; default 60.
    pub attention_max_failures: u32,
    /// How long a flow is denied ([`crate::Action::DenyFlow`]). The same port at most once an hour, and
    /// [`crate::MAX_DENIED_PORTS`] of one address. Range 1 s to 10 min; default 10 min.
    pub attention_ban_time: Duration,
    /// New addresses that one account makes known within a day, and new addresses at which one user with
    /// one user agent is trusted at once. Beyond it a success is a success and no more. Range 1 to 1,000;
    /// default 5.
    pub max_new_addresses: u32,
    /// The phones of the first list of registrations that an installation ever sees are trusted, each
    /// user at the address where the list has it; not a user at more than three addresses. Failures for
    /// other users from there end it. Default true.
    pub trust_first_list: bool,
}

/// A flood above `max-recv-requests-per-second` makes FreeSWITCH drop every request unseen.
#[derive(Clone, Debug, PartialEq)]
pub struct Deafness {
    /// What happens to the sources of the burst. Default: ban.
    pub mode: Mode,
    /// Failures, unchallenged or better, at which strangers fall then: for 60 s after the burst, as long as
    /// FreeSWITCH answers no probe ([`crate::Input::Probed`]); where it is not asked, for 30 s after its silence
    /// was last seen. Range 1 to 1,000; default 2.
    pub max_failures: u32,
    /// Failures within one second that are a burst, when silence follows while packets go on. Range
    /// 10 to 100,000; default 300 (FreeSWITCH shows 1,000 to 2,500 before it falls silent, of which a
    /// third are failures).
    pub burst: u32,
    /// Packets a second to the SIP ports, by the kernel's count, that are a flood. Range 10 to
    /// 10,000,000; default 800 (FreeSWITCH drops above 1,000 requests).
    pub packets: u32,
}

impl Default for Healthy {
    fn default() -> Self {
        Self {
            known_max_failures: 20,
            remember: Duration::from_secs(30 * 24 * 3_600),
            trust_after: Duration::from_secs(86_400),
            attention_max_failures: 60,
            attention_ban_time: Duration::from_secs(600),
            max_new_addresses: 5,
            trust_first_list: true,
        }
    }
}

impl Default for Deafness {
    fn default() -> Self {
        Self { mode: Mode::Ban, max_failures: 2, burst: 300, packets: 800 }
    }
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            max_failures: 5,
            window: Duration::from_secs(600),
            ban_time: Duration::from_secs(3_600),
            scope: Scope::default(),
            escalation: Escalation::default(),
            weights: Weights::default(),
            rules: Rules::default(),
            healthy: Healthy::default(),
            deafness: Deafness::default(),
            ask_acl: true,
            alarm_bans_per_minute: 600,
            alarm_forgeable_per_minute: 100,
            alarm_distributed_per_minute: 100,
            nat64_prefixes: Vec::new(),
            ipv4_prefix: 32,
            ipv6_prefix: 64,
            max_tracked: 262_144,
            max_unproven: 16_384,
            max_bans: 500_000,
        }
    }
}

impl Default for Escalation {
    fn default() -> Self {
        Self {
            factor: 2.0,
            max: Duration::from_secs(7 * 24 * 3_600),
            forget_after: Duration::from_secs(30 * 24 * 3_600),
        }
    }
}

impl Default for Weights {
    fn default() -> Self {
        Self { answered: 1.0, unchallenged: 0.25, unproven: 0.0, unjoined: 0.0 }
    }
}

#[cfg(test)]
mod tests;
