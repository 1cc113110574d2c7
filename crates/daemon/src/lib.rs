//! The running daemon: its tasks, and what can be asked of it.
//!
//! | module | holds |
//! |---|---|
//! | `engine_task` | the task that owns the engine, and the way to it for others: work that runs on that task |
//! | [`freeswitch_queries`], [`probe`] | questions to FreeSWITCH: phones, gateways, access lists; OPTIONS in a flood |
//! | `kernel`, [`route_queue`] | the task that owns netlink, and decisions on their way to it |
//! | [`fleet`] | nodes that share bans: the way between the engine and NATS |
//! | `settings`, `tasks`, `only` | what is in force and how it changes; signals, look-ups; the lock |
//! | [`control`] | what can be asked of and done to the daemon, free of HTTP |
//! | [`activity`], [`kept_judgement`], [`metrics`] | what is remembered of records, failures in little room; counts for Prometheus |
//! | [`names`], [`dns`], [`reverse`], [`geo`] | DNS in both directions, where a SIP URI leads, where an address is |
//! | [`explain`] | the verdict on a source in one sentence |
//! | [`certificates`], [`logging`], [`systemd`] | TLS certificate, log lines, `sd_notify` |
//!
//! It knows neither HTTP nor the command line.

#![allow(
    missing_docs,
    clippy::missing_errors_doc,
    clippy::missing_panics_doc,
    clippy::must_use_candidate,
    clippy::new_without_default,
    clippy::return_self_not_must_use,
    reason = "a part of the program, not a library for others"
)]

pub mod activity;
pub mod certificates;
pub mod control;
pub mod dns;
mod engine_task;
pub mod explain;
pub mod fleet;
pub mod freeswitch_queries;
pub mod geo;
pub mod kept_judgement;
mod kernel;
pub mod logging;
pub mod metrics;
pub mod names;
mod near;
mod only;
pub mod probe;
pub mod reverse;
pub mod route_queue;
mod settings;
pub mod systemd;
mod tasks;

use sipward_esl::{InvalidCommand, Subscription};

pub use engine_task::{
    Answers, Command, End, EngineHandle, EngineTask, EngineUnavailable, FAILURES, Failure,
    FirstList, Inputs, KernelSide, Note, Outputs, Prober, Profiles, Publications, Published,
    PublishedBan, Publisher, Shielding, SlowedHost, TakenOver, publications,
};
pub use freeswitch_queries::table::Reason as ProtectedReason;
pub use freeswitch_queries::{COMMANDS, QUERIES, lists};
pub use kernel::{Kernel, KernelSwitch, Prepared, host_exemptions};
pub use near::is_near;
pub use only::Only;
pub use settings::{
    Allowed, Applied, ChangeError, Current, Deps, ModeSet, Overrides, PolicyEdit, Reloaded,
    Settings, State, read_geo,
};
pub use tasks::{
    expire_allowed, keep_counts, look_up_names, reload_on_hangup, save_counts, status_hook,
    stop_on_signals,
};

use sipward_config::{Config, ConfigError, Mode};
use sipward_ingest::bridge;
use sipward_model::text::Span;

/// Reads the settings again.
pub type Reload = Box<dyn Fn() -> Result<Config, ConfigError> + Send + Sync>;

/// Optional events, besides those without which sipward cannot ban.
pub fn optional_events() -> Result<Subscription, InvalidCommand> {
    Subscription::sofia_optional()
        .custom(bridge::REPORT)?
        .custom(bridge::CALL)?
        .custom(bridge::PROFILE_START)?
        .event(bridge::RELOADED)
}

/// What a configuration means, for `sipward check`.
#[must_use]
pub fn summary(config: &Config) -> String {
    let policy = &config.policy;
    let span = Span::from;
    format!(
        "configuration is valid: {} failures within {} ban for {}, up to {} for repeat offenders; \
         {} on the allow list, {} proxies; {}",
        policy.max_failures,
        span(policy.window),
        span(policy.ban_time),
        span(policy.escalation.max),
        config.allow.len(),
        config.proxies.len(),
        match config.mode {
            Mode::Ban => "bans are applied in the kernel",
            Mode::Observe => "observe mode: the kernel is not changed",
        },
    )
}
