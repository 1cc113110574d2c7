//! The keys of `sipward.toml`. Each has a default, so an empty file is a whole configuration; the
//! commented example `deploy/sipward.toml` gives each key's range and reason.

use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize};

use super::error::Problem;
use super::{Config, HostEntry};

/// Most entries of `allow` and `proxies` together with one line each.
const MAX_HOSTS: usize = 16_384;

/// The whole file.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct File {
    mode: Mode,
    on_exit: OnExit,
    #[serde(alias = "ignoreip")]
    allow: Vec<HostEntry>,
    proxies: Vec<HostEntry>,
    dns_refresh: Span,
    policy: Policy,
    route: Route,
    esl: EslFile,
    log: Log,
}

/// Ban, or watch only.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Set routes.
    #[default]
    Ban,
    /// Do everything but touch the kernel.
    Observe,
}

/// What becomes of the routes when the daemon stops.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum OnExit {
    /// They stay: a restart leaves no gap.
    #[default]
    Keep,
    /// Routes, rules and gate are removed.
    Flush,
}

/// `[policy]`.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
struct Policy {
    #[serde(alias = "maxretry")]
    max_failures: u32,
    #[serde(alias = "findtime")]
    window: Span,
    #[serde(alias = "bantime")]
    ban_time: Span,
    ipv4_prefix: u8,
    ipv6_prefix: u8,
    max_tracked: usize,
    max_unproven: usize,
    max_bans: usize,
    escalation: Escalation,
    weights: Weights,
}

/// `[policy.escalation]`.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
struct Escalation {
    factor: f64,
    max: Span,
    forget_after: Span,
}

/// `[policy.weights]`.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
struct Weights {
    answered: f64,
    unchallenged: f64,
    unproven: f64,
    unjoined: f64,
}

/// `[route]`.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
struct Route {
    protocol: u8,
    table: Table,
    rule_preference: u32,
    gate: Gate,
    gate_mark: u32,
    gate_rule_preference: u32,
    gate_fallback_table: u32,
    gate_table_name: String,
}

/// `route.table`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(untagged, expecting = "expected \"main\" or a table number")]
enum Table {
    Main(MainTable),
    Own(u32),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
enum MainTable {
    Main,
}

/// `route.gate`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
enum Gate {
    Auto,
    RpFilter,
    Off,
}

/// `[esl]`.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
struct EslFile {
    connect_timeout: Span,
    heartbeat_timeout: Span,
    queue: usize,
}

/// The Event Socket connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Esl {
    /// Time limit for the TCP connection.
    pub connect_timeout: Duration,
    /// Silence after which the connection counts as dead.
    pub heartbeat_timeout: Duration,
    /// Events that wait for the engine at most.
    pub queue: usize,
}

/// `[log]`.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
struct Log {
    level: LogLevel,
}

/// `log.level`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum LogLevel {
    /// Nothing works without a hand.
    Error,
    /// Something needs a look.
    Warn,
    /// Bans, failures, connections.
    #[default]
    Info,
    /// What the parts do.
    Debug,
    /// Every message in and out.
    Trace,
}

/// A time span written as `90s`, `10m`, `1h`, `7d`, or as whole seconds (as fail2ban writes them).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Span(Duration);

impl Span {
    const fn secs(secs: u64) -> Self {
        Self(Duration::from_secs(secs))
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged, expecting = "expected a time span such as \"10m\", \"1h\", \"7d\"")]
        enum Written {
            Seconds(i64),
            Text(String),
        }
        let span = match Written::deserialize(deserializer)? {
            Written::Seconds(seconds) => {
                u64::try_from(seconds).map(Duration::from_secs).map_err(|_| {
                    serde::de::Error::custom(
                        "a time span cannot be negative; a ban without an end is given by hand \
                     (`sipward ban ADDR --permanent`), not by the policy",
                    )
                })?
            }
            Written::Text(text) => humantime::parse_duration(&text).map_err(|e| {
                serde::de::Error::custom(format!(
                    "`{}` is no time span ({e}); write 90s, 10m, 1h or 7d",
                    text.escape_debug()
                ))
            })?,
        };
        Ok(Self(span))
    }
}

impl Serialize for Span {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&humantime::format_duration(self.0))
    }
}

/// Other names that a key may be written by.
pub(super) fn aliases(key: &str) -> &'static [&'static str] {
    match key {
        "allow" => &["ignoreip"],
        "policy.max_failures" => &["maxretry"],
        "policy.window" => &["findtime"],
        "policy.ban_time" => &["bantime"],
        _ => &[],
    }
}

impl File {
    /// Checks ranges and what depends on each other.
    pub(super) fn into_config(self) -> Result<Config, Problem> {
        let File { mode, on_exit, allow, proxies, dns_refresh, policy, route, esl, log } = self;
        for (key, hosts) in [("allow", &allow), ("proxies", &proxies)] {
            if hosts.len() > MAX_HOSTS {
                return Err(Problem {
                    key: key.to_owned(),
                    message: format!(
                        "{} entries, more than {MAX_HOSTS}; write networks",
                        hosts.len()
                    ),
                });
            }
        }
        span_in("dns_refresh", dns_refresh, Duration::from_secs(10), DAY)?;
        Ok(Config {
            mode,
            on_exit,
            allow,
            proxies,
            dns_refresh: dns_refresh.0,
            policy: policy.checked()?,
            route: route.checked()?,
            esl: esl.checked()?,
            log_level: log.level,
        })
    }
}

const DAY: Duration = Duration::from_secs(86_400);

impl Policy {
    fn checked(self) -> Result<sipward_engine::Policy, Problem> {
        let policy = sipward_engine::Policy {
            max_failures: self.max_failures,
            window: self.window.0,
            ban_time: self.ban_time.0,
            escalation: sipward_engine::Escalation {
                factor: self.escalation.factor,
                max: self.escalation.max.0,
                forget_after: self.escalation.forget_after.0,
            },
            weights: sipward_engine::Weights {
                answered: self.weights.answered,
                unchallenged: self.weights.unchallenged,
                unproven: self.weights.unproven,
                unjoined: self.weights.unjoined,
            },
            ipv4_prefix: self.ipv4_prefix,
            ipv6_prefix: self.ipv6_prefix,
            max_tracked: self.max_tracked,
            max_unproven: self.max_unproven,
            max_bans: self.max_bans,
        };
        policy.validate().map_err(|e| Problem {
            key: format!("policy.{}", e.key),
            message: format!("{} is out of range: {}", e.value, e.expected),
        })?;
        Ok(policy)
    }
}

impl Route {
    fn checked(self) -> Result<sipward_route::Settings, Problem> {
        let table = match self.table {
            Table::Main(MainTable::Main) => None,
            Table::Own(id) => {
                Some(sipward_route::OwnTable { id, preference: self.rule_preference })
            }
        };
        let settings = sipward_route::Settings {
            protocol: self.protocol,
            table,
            gate: sipward_route::GateSettings {
                mode: match self.gate {
                    Gate::Auto => sipward_route::GateMode::Auto,
                    Gate::RpFilter => sipward_route::GateMode::RpFilter,
                    Gate::Off => sipward_route::GateMode::Off,
                },
                table_name: self.gate_table_name,
                mark: self.gate_mark,
                rule_preference: self.gate_rule_preference,
                fallback_table: self.gate_fallback_table,
            },
        };
        settings
            .check()
            .map_err(|e| Problem { key: route_key(&e).to_owned(), message: e.to_string() })?;
        Ok(settings)
    }
}

/// The key that sets what is wrong.
fn route_key(error: &sipward_route::SettingsError) -> &'static str {
    use sipward_route::SettingsError as E;
    match error {
        E::Protocol(_) => "route.protocol",
        E::Table(_) => "route.table",
        E::Preference(_) => "route.rule_preference",
        E::Mark(_) => "route.gate_mark",
        E::RulePreference(_) => "route.gate_rule_preference",
        E::SharedTable(_) => "route.gate_fallback_table",
        E::TableName(_) => "route.gate_table_name",
    }
}

impl EslFile {
    fn checked(self) -> Result<Esl, Problem> {
        let second = Duration::from_secs(1);
        span_in("esl.connect_timeout", self.connect_timeout, second, Duration::from_secs(120))?;
        // FreeSWITCH sends a HEARTBEAT every 20 s (switch.conf.xml, event-heartbeat-interval).
        span_in(
            "esl.heartbeat_timeout",
            self.heartbeat_timeout,
            Duration::from_secs(21),
            Duration::from_secs(3600),
        )?;
        if !(1_024..=1_048_576).contains(&self.queue) {
            return Err(Problem {
                key: "esl.queue".to_owned(),
                message: format!("{} is not between 1024 and 1048576 events", self.queue),
            });
        }
        Ok(Esl {
            connect_timeout: self.connect_timeout.0,
            heartbeat_timeout: self.heartbeat_timeout.0,
            queue: self.queue,
        })
    }
}

fn span_in(key: &str, Span(span): Span, least: Duration, most: Duration) -> Result<(), Problem> {
    if (least..=most).contains(&span) {
        return Ok(());
    }
    Err(Problem {
        key: key.to_owned(),
        message: format!(
            "{} is not between {} and {}",
            humantime::format_duration(span),
            humantime::format_duration(least),
            humantime::format_duration(most),
        ),
    })
}

impl Default for File {
    fn default() -> Self {
        Self {
            mode: Mode::default(),
            on_exit: OnExit::default(),
            allow: Vec::new(),
            proxies: Vec::new(),
            dns_refresh: Span::secs(300),
            policy: Policy::default(),
            route: Route::default(),
            esl: EslFile::default(),
            log: Log::default(),
        }
    }
}

impl Default for Policy {
    fn default() -> Self {
        let policy = sipward_engine::Policy::default();
        Self {
            max_failures: policy.max_failures,
            window: Span(policy.window),
            ban_time: Span(policy.ban_time),
            ipv4_prefix: policy.ipv4_prefix,
            ipv6_prefix: policy.ipv6_prefix,
            max_tracked: policy.max_tracked,
            max_unproven: policy.max_unproven,
            max_bans: policy.max_bans,
            escalation: Escalation::default(),
            weights: Weights::default(),
        }
    }
}

impl Default for Escalation {
    fn default() -> Self {
        let escalation = sipward_engine::Escalation::default();
        Self {
            factor: escalation.factor,
            max: Span(escalation.max),
            forget_after: Span(escalation.forget_after),
        }
    }
}

impl Default for Weights {
    fn default() -> Self {
        let weights = sipward_engine::Weights::default();
        Self {
            answered: weights.answered,
            unchallenged: weights.unchallenged,
            unproven: weights.unproven,
            unjoined: weights.unjoined,
        }
    }
}

impl Default for Route {
    fn default() -> Self {
        let settings = sipward_route::Settings::default();
        Self {
            protocol: settings.protocol,
            table: Table::Main(MainTable::Main),
            rule_preference: 900,
            gate: Gate::Auto,
            gate_mark: settings.gate.mark,
            gate_rule_preference: settings.gate.rule_preference,
            gate_fallback_table: settings.gate.fallback_table,
            gate_table_name: settings.gate.table_name,
        }
    }
}

impl Default for EslFile {
    fn default() -> Self {
        Self { connect_timeout: Span::secs(10), heartbeat_timeout: Span::secs(60), queue: 65_536 }
    }
}
