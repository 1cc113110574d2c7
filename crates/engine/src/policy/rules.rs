//! The rules: what each looks for, and how far it may go.

use std::ops::RangeInclusive;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Policy;
use crate::{Grade, Scope};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(86_400);

/// Every rule. A failure is held against all of them.
#[derive(Clone, Debug, PartialEq)]
pub struct Rules {
    /// The base rule: `max_failures` within `window`. Default: ban, from unchallenged on.
    pub failures: Guard,
    /// Distinct users tried from one source. Default: ban at 10 within 10 min, for 1 h.
    pub users: Rule,
    /// User agents of known scanners, at the first failure.
    pub user_agents: UserAgents,
    /// `sipward::report` events from the dialplan. Default: ban at 3 within 10 min, for 10 min. Over UDP it can name
    /// any address, so such a ban does not make later ones longer.
    pub report: Rule,
    /// Events of any kind, unless a user logs in within the next second. Default: ban at 200 within
    /// 1 s, for 60 s, whatever the grade: a flood makes FreeSWITCH deaf for all phones. Does not make later
    /// bans longer.
    pub flood: Rule,
    /// Failures over a long time. Default: shadow at 30 within 24 h.
    pub slow: Rule,
    /// Challenges that were never followed by a success or a failure. Default: shadow at 60 within
    /// 10 min. A challenge proves no address, so the grade is the weakest.
    pub challenges: Rule,
    /// Failed INVITEs, and abandoned calls where `min_grade` is unjoined. Default: shadow at 5 within
    /// 10 min.
    pub calls: Rule,
    /// Failures that name an IP address instead of a domain. Default: shadow at 3 within 10 min.
    /// Turns itself off once a user registers to a domain that is an address.
    pub raw_address: Rule,
    /// One user attacked from many sources: alarm at 10 sources within 1 h; from then on strangers that fail for that
    /// user are banned at [`Rules::ACCOUNT_MAX_FAILURES`]. Default: shadow.
    pub account: Rule,
    /// Failures by weight of at least [`Rules::NETWORK_SOURCES`] strangers in one IPv4 /24 or IPv6 /48:
    /// the network is banned. Never one with a known or exempt host, or a caller. Default: ban
    /// at 20 within 10 min, for 10 min. Range of the threshold 4 to 64.
    pub network: Rule,
    /// Users tried from a source from where only other users log in. Default: alarm at 5
    /// within 1 h. In ban mode answered failures for [`Rules::INSIDER_USERS`] of them, as many as
    /// [`super::Healthy::known_max_failures`] within the base window, have the host slowed down or the flow
    /// denied. The ban time is not used: it is [`super::Healthy::attention_ban_time`].
    pub insider: Rule,
    /// Lines of FreeSWITCH's log ([`crate::Complaint`]) that no event reports. Default: shadow at 5
    /// within 10 min, for 1 h, whatever the grade, because a line carries none.
    pub log: Rule,
    /// Failed log-ins to sipward's console and API. Default: ban at 10 within 10 min, for 1 h: the
    /// handshake of TCP proves the address. Its scope is the host: the page is no SIP port.
    pub login: Rule,
    /// Packets of one stranger to the SIP ports, by the kernel's count ([`crate::Input::Scanner`]): the only
    /// sign of scanners that cause no event (OPTIONS, SUBSCRIBE, MESSAGE, INVITE without SDP). Default: slow
    /// at 300 within 10 min; in ban mode a ban of 10 min, although a count proves no address. The window is
    /// the kernel's, always 10 min; range of the threshold 300 to 100,000.
    pub scan: Rule,
}

/// How far a rule may go, and from which evidence on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Guard {
    /// What happens at the threshold.
    pub mode: Mode,
    /// Weaker evidence only shadows. [`Grade::Assumed`] passes wherever `Answered` does.
    pub min_grade: Grade,
    /// What its bans stop; `None`: [`super::Policy::scope`]. Where [`RuleName::is_sip_only`] says so they
    /// stop SIP only, whatever is set here.
    pub scope: Option<Scope>,
}

/// A rule with a count and a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule {
    /// How far it may go.
    pub guard: Guard,
    /// How many it takes. Range [`RuleName::thresholds`].
    pub threshold: u32,
    /// Within how long. Range [`RuleName::windows`].
    pub window: Duration,
    /// Length of a first ban. Range 1 s to 365 d.
    pub ban_time: Duration,
}

/// The rule of the scanners' names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserAgents {
    /// How far it may go. Default: ban, from answered on.
    pub guard: Guard,
    /// Parts of a user agent, letter case ignored. At most 256 of at least 3 bytes each.
    pub patterns: Vec<String>,
    /// Length of a first ban. Range 1 s to 365 d; default 24 h.
    pub ban_time: Duration,
}

/// What happens when a rule finds something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Ban.
    Ban,
    /// Limit the host to [`crate::SLOWED_PER_SECOND`] packets a second for [`crate::SLOWED_FOR`]. Only
    /// [`Rules::scan`] has this mode.
    Slow,
    /// Only report what would have been banned ([`crate::Action::Shadowed`]).
    Shadow,
    /// Nothing.
    Off,
}

/// The name of a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RuleName {
    /// [`Rules::failures`].
    Failures,
    /// [`Rules::users`].
    Users,
    /// [`Rules::user_agents`].
    UserAgents,
    /// [`Rules::report`].
    Report,
    /// [`Rules::flood`].
    Flood,
    /// [`Rules::slow`].
    Slow,
    /// [`Rules::challenges`].
    Challenges,
    /// [`Rules::calls`].
    Calls,
    /// [`Rules::raw_address`].
    RawAddress,
    /// [`Rules::account`].
    Account,
    /// [`Rules::network`].
    Network,
    /// [`Rules::log`].
    Log,
    /// [`Rules::login`].
    Login,
    /// A phone that needs attention failed too often: [`super::Healthy::attention_max_failures`].
    Attention,
    /// [`Rules::insider`].
    Insider,
    /// FreeSWITCH is deaf: [`super::Deafness`].
    Deafness,
    /// [`Rules::scan`].
    Scan,
}

impl RuleName {
    /// All of them.
    pub const ALL: [Self; 17] = [
        Self::Failures,
        Self::Users,
        Self::UserAgents,
        Self::Report,
        Self::Flood,
        Self::Slow,
        Self::Challenges,
        Self::Calls,
        Self::RawAddress,
        Self::Account,
        Self::Network,
        Self::Log,
        Self::Login,
        Self::Attention,
        Self::Insider,
        Self::Deafness,
        Self::Scan,
    ];

    /// Its name in the configuration, the log and the metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Failures => "failures",
            Self::Users => "users",
            Self::UserAgents => "user_agents",
            Self::Report => "report",
            Self::Flood => "flood",
            Self::Slow => "slow",
            Self::Challenges => "challenges",
            Self::Calls => "calls",
            Self::RawAddress => "raw_address",
            Self::Account => "account",
            Self::Network => "network",
            Self::Log => "log",
            Self::Login => "login",
            Self::Attention => "attention",
            Self::Insider => "insider",
            Self::Deafness => "deafness",
            Self::Scan => "scan",
        }
    }

    /// The range of its threshold ([`Policy::max_failures`] and the like where it has none of its own). Whatever
    /// counts for a rule counts as far as this.
    #[must_use]
    pub const fn thresholds(self) -> RangeInclusive<u32> {
        match self {
            Self::UserAgents => 1..=1,
            Self::Flood => 1..=65_535,
            // These keep a list of whom or what they have seen, for each account, source and network.
            Self::Report | Self::Account | Self::Log | Self::Login | Self::Insider => 1..=64,
            Self::Network => Rules::NETWORK_SOURCES..=64,
            // The kernel counts no fewer.
            Self::Scan => 300..=100_000,
            Self::Failures
            | Self::Users
            | Self::Slow
            | Self::Challenges
            | Self::Calls
            | Self::RawAddress
            | Self::Attention
            | Self::Deafness => 1..=1_000,
        }
    }

    /// The range of its window.
    #[must_use]
    pub const fn windows(self) -> RangeInclusive<Duration> {
        match self {
            Self::Network => Duration::from_secs(10)..=DAY,
            Self::Scan => Rules::SCAN_WINDOW..=Rules::SCAN_WINDOW,
            _ => Duration::from_secs(1)..=Duration::from_secs(7 * 86_400),
        }
    }

    /// A ban by this rule on evidence of this grade makes the next one longer. Not where the evidence
    /// proves no address, or where the ban is a pause rather than a punishment.
    #[must_use]
    pub fn escalates(self, grade: Grade) -> bool {
        match self {
            Self::Failures
            | Self::Users
            | Self::UserAgents
            | Self::Slow
            | Self::Calls
            | Self::RawAddress
            | Self::Account
            | Self::Login
            | Self::Network
            | Self::Deafness => true,
            Self::Report => grade > Grade::Unproven,
            Self::Flood
            | Self::Challenges
            | Self::Log
            | Self::Attention
            | Self::Insider
            | Self::Scan => false,
        }
    }

    /// Its bans on evidence of this grade stop packets to the SIP ports only: the evidence is forgeable, or
    /// the ban is of a network, of which most has done nothing.
    #[must_use]
    pub fn is_sip_only(self, grade: Grade) -> bool {
        match self {
            Self::Flood
            | Self::Challenges
            | Self::Log
            | Self::Network
            | Self::Deafness
            | Self::Scan => true,
            Self::Failures
            | Self::Users
            | Self::UserAgents
            | Self::Report
            | Self::Slow
            | Self::Calls
            | Self::RawAddress
            | Self::Account
            | Self::Login
            | Self::Attention
            | Self::Insider => grade <= Grade::Unchallenged,
        }
    }
}

/// The settings of one rule, by what it has.
#[derive(Debug, PartialEq)]
pub enum RuleSettings<G, A, R> {
    /// The base rule: its threshold, window and ban time are those of the policy.
    Base(G),
    /// The rule of the scanners' names.
    UserAgents(A),
    /// A rule with a count, a window and a ban time.
    Counting(R),
}

/// Finds a rule's settings by its name: the one place that says where they are.
macro_rules! settings {
    ($name:expr, $rules:expr, $($reference:tt)+) => {
        Some(match $name {
            RuleName::Failures => RuleSettings::Base($($reference)+ $rules.failures),
            RuleName::UserAgents => RuleSettings::UserAgents($($reference)+ $rules.user_agents),
            RuleName::Users => RuleSettings::Counting($($reference)+ $rules.users),
            RuleName::Report => RuleSettings::Counting($($reference)+ $rules.report),
            RuleName::Flood => RuleSettings::Counting($($reference)+ $rules.flood),
            RuleName::Slow => RuleSettings::Counting($($reference)+ $rules.slow),
            RuleName::Challenges => RuleSettings::Counting($($reference)+ $rules.challenges),
            RuleName::Calls => RuleSettings::Counting($($reference)+ $rules.calls),
            RuleName::RawAddress => RuleSettings::Counting($($reference)+ $rules.raw_address),
            RuleName::Account => RuleSettings::Counting($($reference)+ $rules.account),
            RuleName::Network => RuleSettings::Counting($($reference)+ $rules.network),
            RuleName::Log => RuleSettings::Counting($($reference)+ $rules.log),
            RuleName::Login => RuleSettings::Counting($($reference)+ $rules.login),
            RuleName::Insider => RuleSettings::Counting($($reference)+ $rules.insider),
            RuleName::Scan => RuleSettings::Counting($($reference)+ $rules.scan),
            RuleName::Attention | RuleName::Deafness => return None,
        })
    };
}

impl Policy {
    /// How far a rule may go.
    #[must_use]
    pub const fn mode(&self, name: RuleName) -> Mode {
        match (self.rules.guard(name), name) {
            (Some(guard), _) => guard.mode,
            (None, RuleName::Deafness) => self.deafness.mode,
            // It has no mode: it always bans.
            (None, _) => Mode::Ban,
        }
    }
}

impl Rules {
    /// The settings of a rule. `attention` and `deafness` have theirs elsewhere in the policy.
    #[must_use]
    pub const fn get(&self, name: RuleName) -> Option<RuleSettings<&Guard, &UserAgents, &Rule>> {
        settings!(name, self, &)
    }

    /// The settings of a rule, to change them.
    #[must_use]
    pub const fn get_mut(
        &mut self,
        name: RuleName,
    ) -> Option<RuleSettings<&mut Guard, &mut UserAgents, &mut Rule>> {
        settings!(name, self, &mut)
    }

    /// How far a rule may go, if it has settings here.
    #[must_use]
    pub const fn guard(&self, name: RuleName) -> Option<&Guard> {
        match self.get(name) {
            Some(RuleSettings::Base(guard)) => Some(guard),
            Some(RuleSettings::UserAgents(rule)) => Some(&rule.guard),
            Some(RuleSettings::Counting(rule)) => Some(&rule.guard),
            None => None,
        }
    }

    /// How far the bans of a rule reach, as far as it has a setting of its own.
    pub(crate) fn scope(&self, rule: RuleName) -> Option<Scope> {
        self.guard(rule)?.scope
    }

    /// Failures at which a stranger that tries an account under attack is banned.
    pub const ACCOUNT_MAX_FAILURES: u32 = 2;

    /// Strangers in a network that must have failed before the whole of it is banned.
    pub const NETWORK_SOURCES: u32 = 4;

    /// Users that a known source must have tried, who never logged in from there, before anything is
    /// done to it.
    pub const INSIDER_USERS: u32 = 3;

    /// Within how long [`Rules::scan`] counts: the kernel counts each source for so long, from its first
    /// packet on.
    pub const SCAN_WINDOW: Duration = Duration::from_secs(600);
}

impl Guard {
    const fn new(mode: Mode, min_grade: Grade) -> Self {
        Self { mode, min_grade, scope: None }
    }

    /// Evidence of this grade is enough. Challenged and assumed pass for answered.
    #[must_use]
    pub fn admits(self, grade: Grade) -> bool {
        grade >= self.min_grade.min(Grade::Challenged)
    }

    pub(crate) fn is_on(self) -> bool {
        self.mode != Mode::Off
    }
}

impl Rule {
    const fn new(
        mode: Mode,
        min_grade: Grade,
        threshold: u32,
        window: Duration,
        ban_time: Duration,
    ) -> Self {
        Self { guard: Guard::new(mode, min_grade), threshold, window, ban_time }
    }
}

impl Default for Rules {
    fn default() -> Self {
        use Grade::{Answered, Unchallenged, Unjoined};
        use Mode::{Ban, Shadow, Slow};
        let ten_minutes = 10 * MINUTE;
        Self {
            failures: Guard::new(Ban, Unchallenged),
            users: Rule::new(Ban, Answered, 10, ten_minutes, HOUR),
            user_agents: UserAgents::default(),
            report: Rule::new(Ban, Unjoined, 3, ten_minutes, ten_minutes),
            flood: Rule::new(Ban, Unjoined, 200, Duration::from_secs(1), MINUTE),
            slow: Rule::new(Shadow, Answered, 30, DAY, DAY),
            challenges: Rule::new(Shadow, Unjoined, 60, ten_minutes, HOUR),
            calls: Rule::new(Shadow, Answered, 5, ten_minutes, HOUR),
            raw_address: Rule::new(Shadow, Answered, 3, ten_minutes, HOUR),
            account: Rule::new(Shadow, Answered, 10, HOUR, HOUR),
            network: Rule::new(Ban, Unchallenged, 20, ten_minutes, ten_minutes),
            insider: Rule::new(Ban, Unchallenged, 5, HOUR, ten_minutes),
            log: Rule::new(Shadow, Unjoined, 5, ten_minutes, HOUR),
            login: Rule {
                guard: Guard { scope: Some(Scope::Host), ..Guard::new(Ban, Answered) },
                ..Rule::new(Ban, Answered, 10, ten_minutes, HOUR)
            },
            scan: Rule::new(Slow, Unjoined, 300, Self::SCAN_WINDOW, ten_minutes),
        }
    }
}

impl Default for UserAgents {
    fn default() -> Self {
        // Names that tools for scanning and guessing send by default, and no phone does.
        let patterns = [
            "friendly-scanner",
            "sipvicious",
            "sip-scan",
            "sipsak",
            "sundayddr",
            "iwar",
            "sipcli",
            "sipptk",
            "siparmyknife",
            "vaxsipuseragent",
            "pplsip",
            "eyebeam release 3006o stamp 17816",
            "gulp",
            "smap",
            "sipv.sip",
        ];
        Self {
            guard: Guard::new(Mode::Ban, Grade::Answered),
            patterns: patterns.into_iter().map(str::to_owned).collect(),
            ban_time: DAY,
        }
    }
}
