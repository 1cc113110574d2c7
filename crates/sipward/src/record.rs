//! What the daemon tells the world: one value for each kind of event, the same for the log line,
//! the API and the demo's screen.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;
use serde::Serialize;
use sipward_engine::{Alarm, Cause, Evidence, Expiry, Grade, Judgement, Refusal, UnblockReason};
use sipward_route::Coverage;
use tracing::Level;

use crate::text::{Plain, Span, Time};

/// `tracing` target of every record.
pub const TARGET: &str = "sipward::record";

/// One thing that happened. `event` names its kind; the other field names are the API's.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Record {
    /// The daemon runs.
    Started(Started),
    /// The daemon stops, with its totals.
    Stopped(Totals),
    /// Connected to FreeSWITCH, logged in and subscribed.
    EslConnected {
        /// The FreeSWITCH end.
        peer: SocketAddr,
    },
    /// The connection was lost or could not be made.
    EslDisconnected {
        /// Why, and what to do.
        error: String,
        /// Pause before the next attempt.
        retry_in_seconds: f64,
    },
    /// FreeSWITCH was restarted.
    EslRestarted {
        /// `Core-UUID` before.
        old: String,
        /// `Core-UUID` now.
        new: String,
    },
    /// No events were seen for a while.
    EslBlind {
        /// Length of the gap.
        seconds: f64,
    },
    /// Events had to be dropped in our own queue.
    EslOverflow {
        /// How many.
        dropped: u64,
    },
    /// An event could not be used.
    EventUnusable {
        /// Which header, and why.
        error: String,
    },
    /// An event was no evidence: another Event Socket client made it.
    EventForged {
        /// Who made it, as far as it can be told.
        error: String,
        /// The address it names.
        source: Option<IpAddr>,
    },
    /// One failed authentication and what became of it.
    AuthFailure(Judgement),
    /// A network is banned.
    Ban(Ban),
    /// A ban has ended.
    Unban {
        /// The network.
        source: IpNet,
        /// Why.
        reason: UnblockReason,
    },
    /// A ban was due and was not done.
    Refused {
        /// The network that was due.
        source: IpNet,
        /// Why not.
        #[serde(flatten)]
        refusal: Refusal,
        /// What made it due.
        #[serde(flatten)]
        cause: CauseFields,
    },
    /// The kernel did not take a route.
    RouteFailed {
        /// The network.
        source: IpNet,
        /// What was asked: `block` or `unblock`.
        change: &'static str,
        /// The kernel's words, and what to do.
        error: String,
    },
    /// Something of ours was removed from outside and is back.
    Healed {
        /// Routes put back.
        routes: usize,
        /// Rules put back.
        rules: usize,
        /// Whether the gate was put back.
        gate: bool,
    },
    /// What the gate covers.
    Gate {
        /// IPv4 packets from banned hosts are dropped on arrival.
        ipv4_inbound: bool,
        /// IPv6 packets from banned hosts are dropped on arrival.
        ipv6_inbound: bool,
        /// What is not covered, and why.
        gaps: Vec<String>,
    },
    /// Somebody else marks routes with our protocol number.
    ProtocolTaken {
        /// The number.
        protocol: u8,
        /// Their routes.
        routes: Vec<String>,
    },
    /// Something needs an operator.
    Alarm(Alarm),
    /// The configuration was read again and is in force.
    Reload {
        /// Sections that differ and wait for a restart.
        needs_restart: Vec<&'static str>,
    },
    /// The configuration was read again, is broken, and the old one stays in force.
    ReloadFailed {
        /// What is wrong and where.
        error: String,
    },
    /// A name of `allow` or `proxies` could not be looked up; its last answer stays.
    NameFailed {
        /// The name.
        name: String,
        /// Why.
        error: String,
    },
    /// Log lines were lost because whatever reads them did not keep up.
    LogLost {
        /// How many since the start.
        lines: usize,
    },
}

/// [`Record::Started`].
#[derive(Clone, Debug, Serialize)]
pub struct Started {
    /// Version of sipward.
    pub version: &'static str,
    /// `ban`, or `observe`: nothing touches the kernel.
    pub mode: &'static str,
    /// Where FreeSWITCH is expected.
    pub esl: String,
    /// Routes of ours that were there already.
    pub adopted: usize,
    /// Failures that ban, within the window.
    pub max_failures: u32,
    /// The window.
    pub window_seconds: f64,
    /// A first ban's length.
    pub ban_time_seconds: f64,
}

/// Counts since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Totals {
    /// Events received.
    pub events: u64,
    /// Failures judged.
    pub failures: u64,
    /// Bans made.
    pub bans: u64,
    /// Bans ended.
    pub unbans: u64,
    /// Bans refused.
    pub refused: u64,
    /// Networks banned now.
    pub banned_now: usize,
}

/// [`Record::Ban`].
#[derive(Clone, Debug, Serialize)]
pub struct Ban {
    /// The banned network.
    pub source: IpNet,
    /// Its end; `null` for a ban without an end.
    pub until: Option<Time>,
    /// A lookup showed that the kernel drops what the network sends.
    pub enforced: bool,
    /// Why it is not enforced.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_enforced_because: Option<String>,
    /// From the event that crossed the threshold, as it left the socket, to the route, µs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event_to_route_us: Option<u64>,
    /// Why.
    #[serde(flatten)]
    pub cause: CauseFields,
}

/// A [`Cause`] with the API's field names.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "rule", rename_all = "snake_case")]
pub enum CauseFields {
    /// Too many failures in the window.
    Failures {
        /// Address of the failure that crossed the threshold.
        address: IpAddr,
        /// Failures counted.
        failures: u32,
        /// The threshold.
        max_failures: u32,
        /// The window.
        window_seconds: f64,
        /// Weakest grade among them.
        grade: Grade,
        /// Users tried, newest last.
        users: Vec<String>,
        /// `sofia` profile of the last one.
        profile: String,
        /// User agent of the last one.
        user_agent: String,
        /// Bans of this source, this one included.
        ban_count: u32,
    },
    /// An operator's command.
    Manual {
        /// The operator's words.
        comment: String,
    },
    /// A route of ours found at start.
    Adopted,
    /// What is left of a wider ban.
    Split {
        /// The wider ban.
        of: IpNet,
    },
}

impl Record {
    /// How urgent it is.
    #[must_use]
    pub fn level(&self) -> Level {
        match self {
            Self::Started(_)
            | Self::Stopped(_)
            | Self::EslConnected { .. }
            | Self::AuthFailure(_)
            | Self::Ban(_)
            | Self::Unban { .. }
            | Self::Refused { .. }
            | Self::Reload { .. } => Level::INFO,
            Self::Gate { gaps, .. } if gaps.is_empty() => Level::INFO,
            Self::EslDisconnected { .. }
            | Self::EslRestarted { .. }
            | Self::EslBlind { .. }
            | Self::EslOverflow { .. }
            | Self::EventUnusable { .. }
            | Self::EventForged { .. }
            | Self::Healed { .. }
            | Self::Gate { .. }
            | Self::ProtocolTaken { .. }
            | Self::Alarm(_)
            | Self::NameFailed { .. }
            | Self::LogLost { .. } => Level::WARN,
            Self::RouteFailed { .. } | Self::ReloadFailed { .. } => Level::ERROR,
        }
    }

    /// Writes it to the log.
    pub fn log(&self) {
        // `tracing` wants the level as a constant; the fields are only rendered by the format
        // that is in use.
        macro_rules! event {
            ($level:expr) => {
                tracing::event!(target: TARGET, $level, json = %Json(self), text = %self)
            };
        }
        match self.level() {
            Level::ERROR => event!(Level::ERROR),
            Level::WARN => event!(Level::WARN),
            _ => event!(Level::INFO),
        }
    }
}

/// A record as one JSON object.
struct Json<'a>(&'a Record);

impl fmt::Display for Json<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&serde_json::to_string(self.0).map_err(|_| fmt::Error)?)
    }
}

impl From<&Coverage> for Record {
    fn from(coverage: &Coverage) -> Self {
        Self::Gate {
            ipv4_inbound: coverage.ipv4_inbound,
            ipv6_inbound: coverage.ipv6_inbound,
            gaps: coverage.gaps.clone(),
        }
    }
}

impl From<&Cause> for CauseFields {
    fn from(cause: &Cause) -> Self {
        match cause {
            Cause::Failures(Evidence {
                source,
                failures,
                max_failures,
                window,
                grade,
                users,
                profile,
                user_agent,
                ban_count,
            }) => Self::Failures {
                address: *source,
                failures: *failures,
                max_failures: *max_failures,
                window_seconds: window.as_secs_f64(),
                grade: *grade,
                users: users.clone(),
                profile: profile.clone(),
                user_agent: user_agent.clone(),
                ban_count: *ban_count,
            },
            Cause::Manual { reason } => Self::Manual {
                comment: reason.clone(),
            },
            Cause::Adopted => Self::Adopted,
            Cause::Split { of } => Self::Split { of: *of },
        }
    }
}

impl Ban {
    /// A ban as the engine decided it, before the kernel has answered.
    #[must_use]
    pub fn decided(source: IpNet, until: Expiry, cause: &Cause) -> Self {
        Self {
            source,
            until: match until {
                Expiry::At(at) => Some(Time(at)),
                Expiry::Never => None,
            },
            enforced: false,
            not_enforced_because: None,
            event_to_route_us: None,
            cause: cause.into(),
        }
    }
}

/// One line for a terminal. Text that came from the network is escaped: it may hold anything.
impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Started(s) => write!(
                f,
                "sipward {} started, mode {}, Event Socket {}, {} failures within {} ban for {}; \
                 {} bans found in the kernel",
                s.version,
                s.mode,
                s.esl,
                s.max_failures,
                Span(s.window_seconds),
                Span(s.ban_time_seconds),
                s.adopted,
            ),
            Self::Stopped(t) => write!(
                f,
                "stopped: {} events, {} failures, {} bans, {} unbans, {} refused; {} banned now",
                t.events, t.failures, t.bans, t.unbans, t.refused, t.banned_now
            ),
            Self::EslConnected { peer } => write!(f, "connected to FreeSWITCH at {peer}"),
            Self::EslDisconnected {
                error,
                retry_in_seconds,
            } => {
                write!(
                    f,
                    "no FreeSWITCH: {error}; next try in {}",
                    Span(*retry_in_seconds)
                )
            }
            Self::EslRestarted { old, new } => {
                write!(
                    f,
                    "FreeSWITCH was restarted (Core-UUID {} to {})",
                    Plain(old),
                    Plain(new)
                )
            }
            Self::EslBlind { seconds } => write!(f, "saw no events for {}", Span(*seconds)),
            Self::EslOverflow { dropped } => {
                write!(
                    f,
                    "{dropped} events dropped: they came faster than they could be judged"
                )
            }
            Self::EventUnusable { error } => write!(f, "unusable event: {}", Plain(error)),
            Self::EventForged { error, source } => {
                write!(f, "event ignored: {}", Plain(error))?;
                source.map_or(Ok(()), |source| write!(f, ", naming {source}"))
            }
            Self::AuthFailure(j) => failure_line(f, j),
            Self::Ban(ban) => ban_line(f, ban),
            Self::Unban { source, reason } => write!(f, "unban {source} ({})", word(reason)),
            Self::Refused {
                source,
                refusal,
                cause: _,
            } => match refusal {
                Refusal::Exempt { class, net } => {
                    write!(
                        f,
                        "not banned: {source}, covered by {net} ({})",
                        word(class)
                    )
                }
                other => write!(f, "not banned: {source} ({})", word(other)),
            },
            Self::RouteFailed {
                source,
                change,
                error,
            } => {
                write!(f, "cannot {change} {source}: {}", Plain(error))
            }
            Self::Healed {
                routes,
                rules,
                gate,
            } => {
                write!(
                    f,
                    "put back what was removed from outside: {routes} routes, {rules} rules"
                )?;
                f.write_str(if *gate { ", the gate" } else { "" })
            }
            Self::Gate {
                ipv4_inbound,
                ipv6_inbound,
                gaps,
            } => {
                let side = |on: &bool| {
                    if *on {
                        "dropped on arrival"
                    } else {
                        "NOT dropped"
                    }
                };
                write!(
                    f,
                    "packets of banned hosts: IPv4 {}, IPv6 {}",
                    side(ipv4_inbound),
                    side(ipv6_inbound)
                )?;
                gaps.iter().try_for_each(|gap| write!(f, "; {gap}"))
            }
            Self::ProtocolTaken { protocol, routes } => write!(
                f,
                "{} routes that are not ours carry our protocol number {protocol}; set \
                 route.protocol to a free one: {}",
                routes.len(),
                Plain(&routes.join(", "))
            ),
            Self::Alarm(alarm) => write!(f, "ALARM {}", word(alarm)),
            Self::Reload { needs_restart } if needs_restart.is_empty() => {
                f.write_str("configuration read again and in force")
            }
            Self::Reload { needs_restart } => write!(
                f,
                "configuration read again; changes of {} wait for a restart",
                needs_restart.join(", ")
            ),
            Self::ReloadFailed { error } => {
                write!(
                    f,
                    "configuration NOT reloaded, the old one stays in force: {error}"
                )
            }
            Self::NameFailed { name, error } => {
                write!(
                    f,
                    "cannot look up {}: {}; the last answer stays",
                    Plain(name),
                    Plain(error)
                )
            }
            Self::LogLost { lines } => write!(f, "{lines} log lines lost"),
        }
    }
}

fn failure_line(f: &mut fmt::Formatter<'_>, j: &Judgement) -> fmt::Result {
    write!(
        f,
        "failure {} user {} profile {} agent {}: {}, {} in the window",
        j.source,
        Plain(&j.user),
        Plain(&j.profile),
        Plain(&j.user_agent),
        word(&j.grade),
        j.failures,
    )?;
    j.exempt
        .map_or(Ok(()), |class| write!(f, ", exempt ({})", word(&class)))
}

fn ban_line(f: &mut fmt::Formatter<'_>, ban: &Ban) -> fmt::Result {
    write!(f, "ban {}", ban.source)?;
    match &ban.until {
        Some(until) => write!(f, " until {until}")?,
        None => f.write_str(" without end")?,
    }
    match &ban.cause {
        CauseFields::Failures {
            failures,
            window_seconds,
            users,
            user_agent,
            ban_count,
            grade,
            ..
        } => {
            write!(
                f,
                ": {failures} failures within {} ({}), ban {ban_count}, agent {}, users",
                Span(*window_seconds),
                word(grade),
                Plain(user_agent)
            )?;
            users
                .iter()
                .try_for_each(|user| write!(f, " {}", Plain(user)))?;
        }
        CauseFields::Manual { comment } => write!(f, ": by hand, {}", Plain(comment))?,
        CauseFields::Adopted => f.write_str(": route found at start")?,
        CauseFields::Split { of } => write!(f, ": what is left of {of}")?,
    }
    if ban.enforced {
        f.write_str("; enforced")?;
    } else {
        let why = ban.not_enforced_because.as_deref().unwrap_or("no kernel");
        write!(f, "; NOT enforced ({})", Plain(why))?;
    }
    ban.event_to_route_us
        .map_or(Ok(()), |us| write!(f, " after {us} µs"))
}

/// The word by which the API calls a value.
fn word(value: &impl Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word,
        Ok(serde_json::Value::Object(fields)) => fields
            .iter()
            .map(|(name, value)| format!("{name}={}", value.to_string().trim_matches('"')))
            .collect::<Vec<_>>()
            .join(" "),
        Ok(other) => other.to_string(),
        Err(_) => String::new(),
    }
}

#[cfg(test)]
#[path = "record_tests.rs"]
mod tests;
