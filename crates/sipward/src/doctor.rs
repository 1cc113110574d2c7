//! Checks of everything that sipward needs, with advice for each problem.
//!
//! Works with and without a running daemon, and changes nothing. What cannot be checked (for lack of permission, or
//! because an earlier check failed) is a [`State::Warn`] with the reason.
//!
//! | module | checks |
//! |---|---|
//! | `settings` | the configuration file and the credentials |
//! | `event_socket` | FreeSWITCH: reachable, events really arriving, clocks, `log-auth-failures`, what its user may have,
//! |  | whom it knows: gateways, access lists, SIP ports |
//! | `kernel`, `bans` | the right to change routes, the gate, the daemon's bans and denied flows against the kernel's, clashes with others |
//! | `processes` | the daemon, and others that ban beside it |
//! | `page` | the page and the API on TCP |
//! | `disk` | the database and the room for it |

mod bans;
mod disk;
mod event_socket;
mod kernel;
mod page;
mod processes;
mod settings;

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;

pub(crate) use event_socket::{AccessLists, log_in, protected};
pub(crate) use settings::secrets;
use sipward_config::StoreLocation;
use sipward_config::{Config, ConfigError, Credentials};

/// The result of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// As it should be.
    Ok,
    /// Needs a look.
    Warn,
    /// Does not work.
    Fail,
}

/// One check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What was looked at.
    pub check: &'static str,
    /// The result.
    pub state: State,
    /// The finding. May contain text of attackers and must be escaped before it is printed.
    pub found: String,
    /// What to do; `None` where there is nothing to do.
    pub advice: Option<String>,
}

/// All checks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Examination {
    /// The worst state among them.
    pub worst: State,
    /// One for each thing, always all of them and in the same order.
    pub checks: Vec<Check>,
}

/// What to look at.
#[derive(Clone, Debug)]
pub struct Patient {
    /// The configuration file; `None` looks where the daemon does.
    pub config: Option<PathBuf>,
    /// The daemon's socket; `None` takes the configuration's.
    pub socket: Option<PathBuf>,
    /// Longest wait for a HEARTBEAT; FreeSWITCH sends one every 20 s. Zero does not wait.
    pub heartbeat: Duration,
    /// Where `/proc` and `/etc` are.
    pub root: PathBuf,
}

/// A daemon that runs with this configuration, or another on this host's network: a change of the kernel
/// beside it would be undone. Returns its process, if the system reports it.
pub async fn running_daemon(config: Option<&Path>, socket: Option<&Path>) -> Option<Running> {
    processes::running(Path::new("/proc"), config, socket).await
}

/// The networks of the access lists of `allow_acl`, within the time `within`. FreeSWITCH is asked about nothing else.
///
/// # Errors
/// When FreeSWITCH cannot be asked, with the reason.
pub(crate) async fn access_lists(
    config: &Config,
    credentials: &Credentials,
    within: Duration,
) -> Result<AccessLists, String> {
    event_socket::access_lists(&config.allow_acl, credentials, within).await
}

/// A daemon that runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Running {
    /// Its process; `None` if the system does not report it.
    pub process: Option<u32>,
}

/// Looks at everything.
///
/// # Errors
/// When even the defaults are no configuration.
pub async fn examine(patient: &Patient) -> Result<Examination, ConfigError> {
    let (config, configuration) = settings::configuration(patient.config.as_deref())?;
    let (credentials, found_credentials) = settings::credentials(patient);
    let socket = patient.socket.clone().or_else(|| config.api.socket.clone());
    let processes = processes::Processes::read(&patient.root.join("proc"));
    let daemon = processes::daemon(&processes, patient.config.as_deref(), socket.as_deref()).await;
    let is_running = daemon.is_running();

    let (event_socket, kernel, page) = tokio::join!(
        event_socket::checks(&config, credentials.as_ref(), patient.heartbeat),
        kernel::checks(&config, daemon.process, socket.as_deref(), patient),
        page::check(&config.http, is_running),
    );
    let database = match &config.store.location {
        StoreLocation::File(file) => disk::checks(file, is_running).await,
        StoreLocation::Memory => disk::in_memory(),
    };
    let rivals = processes::rivals(&processes, &patient.root.join("etc"));

    let mut checks = vec![configuration, found_credentials, daemon.check];
    checks.extend(event_socket);
    checks.extend(kernel);
    checks.push(rivals);
    checks.extend(database);
    checks.push(page);
    let worst = checks.iter().map(|check| check.state).max().unwrap_or(State::Ok);
    Ok(Examination { worst, checks })
}

impl Check {
    fn ok(check: &'static str, found: impl Into<String>) -> Self {
        Self { check, state: State::Ok, found: found.into(), advice: None }
    }

    fn warn(check: &'static str, found: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { check, state: State::Warn, found: found.into(), advice: Some(advice.into()) }
    }

    fn fail(check: &'static str, found: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { check, state: State::Fail, found: found.into(), advice: Some(advice.into()) }
    }
}

/// The configuration's directory: where credentials lie beside it.
fn directory_of(config: Option<&Path>) -> PathBuf {
    let file = config.unwrap_or(Path::new(sipward_config::DEFAULT_PATH));
    file.parent().unwrap_or(Path::new("/")).to_owned()
}

#[cfg(test)]
mod tests;
