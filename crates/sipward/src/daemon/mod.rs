//! The tasks around the engine, and what can be asked of them.
//!
//! | module | holds |
//! |---|---|
//! | `engine_task` | the task that owns the engine, and the way to it for others: work that runs on that task |
//! | `freeswitch_queries` | questions to FreeSWITCH: phones, gateways, access lists |
//! | `probe` | OPTIONS requests to FreeSWITCH's profiles in a flood |
//! | `settings` | what is in force, and the one way to change it |
//! | `kernel` | the task that owns netlink |
//! | `only` | the lock that keeps a second daemon out |
//! | `tasks` | signals, reload, name look-ups, the heartbeat |

mod engine_task;
pub(crate) mod freeswitch_queries;
mod kernel;
mod near;
mod only;
pub(crate) mod probe;
mod settings;
mod tasks;

use sipward_esl::{InvalidCommand, Subscription};

pub(crate) use engine_task::{
    Answers, Command, End, EngineHandle, EngineTask, EngineUnavailable, FAILURES, Failure,
    FirstList, Inputs, KernelSide, Note, Outputs, Prober, Profiles, Restored, Shielding,
    SlowedHost,
};
pub(crate) use freeswitch_queries::table::Reason as ProtectedReason;
pub(crate) use freeswitch_queries::{COMMANDS, QUERIES, lists};
pub(crate) use kernel::{Kernel, host_exemptions};
pub(crate) use near::is_near;
pub(crate) use only::Only;
pub(crate) use settings::{
    Allowed, Applied, ChangeError, Current, Deps, Overrides, PolicyEdit, Reloaded, Settings, State,
    read_geo,
};
pub(crate) use tasks::{
    look_up_names, recall_decisions, reload_on_hangup, status_hook, stop_on_signals,
};

use crate::bridge;
use crate::config::{Config, ConfigError, Mode};

/// Reads the settings again.
pub type Reload = Box<dyn Fn() -> Result<Config, ConfigError> + Send + Sync>;

/// The events that are good to have beside those without which nobody can be banned.
pub(crate) fn optional_events() -> Result<Subscription, InvalidCommand> {
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
    let span = humantime::format_duration;
    format!(
        "configuration is good: {} failures within {} ban for {}, up to {} for repeat offenders; \
         {} allow entries, {} proxies; {}",
        policy.max_failures,
        span(policy.window),
        span(policy.ban_time),
        span(policy.escalation.max),
        config.allow.len(),
        config.proxies.len(),
        match config.mode {
            Mode::Ban => "bans are set in the kernel",
            Mode::Observe => "observe mode: nothing touches the kernel",
        },
    )
}
