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
//!
//! The daemon makes the same checks for the console and the API (`within`). What only the daemon knows is a part of
//! [`sipward_daemon::control`], and `sipward doctor` asks for it.

mod bans;
mod disk;
mod event_socket;
mod kernel;
mod page;
mod processes;
mod settings;
mod within;

use std::path::{Path, PathBuf};
use std::time::Duration;

pub(crate) use event_socket::{AccessLists, log_in, protected};
pub(crate) use settings::secrets;
pub(crate) use within::from_within;

use crate::client::Client;
use bans::Lists;
use sipward_config::StoreLocation;
use sipward_config::{Config, ConfigError, Credentials};
use sipward_model::wire::{BanCounts, DoctorQuery, Gate};
pub use sipward_model::wire::{Check, CheckState as State, Examination};

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
    let view = View {
        config: &config,
        credentials: credentials.as_ref(),
        heartbeat: Heartbeat::Within(patient.heartbeat),
        daemon: daemon.process,
        lists: socket.as_deref().map(Lists::Socket),
        inside: None,
        root: &patient.root,
    };
    let asked = socket.as_deref().filter(|_| daemon.is_running());
    let (seen, own) = tokio::join!(view.checks(&processes), daemons_own(asked));
    let mut checks = vec![configuration, found_credentials, daemon.check];
    checks.extend(seen);
    checks.extend(own);
    Ok(Examination::of(checks))
}

/// What only the daemon knows; nothing if it does not run, and nothing of a version that does not say it.
async fn daemons_own(socket: Option<&Path>) -> Vec<Check> {
    let Some(socket) = socket else { return Vec::new() };
    let asked = async {
        let mut client = Client::connect(socket).await?;
        client.get::<Examination>("/doctor", &DoctorQuery { own: true }).await
    };
    asked.await.map_or_else(|_| Vec::new(), |answer| answer.value.checks)
}

/// From where everything is looked at: a shell, or the daemon itself.
struct View<'a> {
    config: &'a Config,
    credentials: Option<&'a Credentials>,
    heartbeat: Heartbeat,
    /// The daemon's process, if one runs.
    daemon: Option<u32>,
    /// Where the daemon's bans are read, if one answers.
    lists: Option<Lists<'a>>,
    /// What the daemon knows of the kernel, if it is the one that looks.
    inside: Option<Inside>,
    root: &'a Path,
}

/// How a HEARTBEAT is noticed.
#[derive(Clone, Copy, Debug)]
enum Heartbeat {
    /// One that comes within this time; zero does not wait.
    Within(Duration),
    /// The daemon's own connection is alive, which it is not without them.
    Heard,
}

/// What the daemon knows of the kernel. Only its thread for netlink may read nftables.
struct Inside {
    gate: Option<Gate>,
    bans: BanCounts,
}

impl View<'_> {
    /// What does not depend on who looks.
    async fn checks(&self, processes: &processes::Processes) -> Vec<Check> {
        let is_running = self.daemon.is_some();
        let (event_socket, kernel, page) = tokio::join!(
            event_socket::checks(self.config, self.credentials, self.heartbeat),
            kernel::checks(self),
            page::check(&self.config.http, is_running),
        );
        let database = match &self.config.store.location {
            StoreLocation::File(file) => disk::checks(file, is_running).await,
            StoreLocation::Memory => disk::in_memory(),
        };
        let sees_all = self.inside.is_none();
        let rivals = processes::rivals(processes, sees_all, &self.root.join("etc"));
        let mut checks = event_socket;
        checks.extend(kernel);
        checks.push(rivals);
        checks.extend(database);
        checks.push(page);
        checks
    }
}

/// The configuration's directory: where credentials lie beside it.
fn directory_of(config: Option<&Path>) -> PathBuf {
    let file = config.unwrap_or(Path::new(sipward_config::DEFAULT_PATH));
    file.parent().unwrap_or(Path::new("/")).to_owned()
}

#[cfg(test)]
mod tests;
