//! The current settings: the file, and changes that an operator made with the control API, which take precedence. One
//! place decides about the order of changes.
//!
//! A change is answered when it is applied: the engine has the policy, the exemptions, and has lifted
//! what they lift.

mod overrides;

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use sipward_engine::{Policy, Timestamp};
use tokio::sync::{Mutex, broadcast, mpsc, watch};

use super::Reload;
use super::engine_task::{Command, EngineHandle, EngineUnavailable};
use super::freeswitch_queries::Asked;
use crate::certificates::Certificates;
use crate::geo::Geo;
use crate::kernel::KernelSwitch;
use crate::logging::LogControl;
pub(crate) use overrides::InvalidValue;
pub use overrides::{ModeSet, Overrides, PolicyEdit};
use sipward_config::{Config, GeoSettings, HostEntry, Mode};
use sipward_model::clock;
use sipward_model::record::Record;
use sipward_store::{self as store, AllowEntry, Saved, Store};

/// Longest wait for a changed allow list to be in force; what it takes is two messages.
const IN_FORCE: Duration = Duration::from_secs(5);

/// The configuration in force, and which of its sections a running daemon could not take over.
#[derive(Clone, Debug)]
pub struct Current {
    /// The file with what was set at run time on top.
    pub config: Config,
    pub needs_restart: Vec<&'static str>,
    /// Counts the changes.
    pub generation: u64,
}

impl Current {
    /// As the daemon starts.
    pub fn at_start(config: &Config) -> Self {
        Self { config: config.clone(), needs_restart: Vec::new(), generation: 0 }
    }
}

/// Which settings the exemptions in the engine come from, and what their names stood for.
#[derive(Clone, Debug, Default)]
pub struct Applied {
    /// [`Current::generation`].
    pub generation: u64,
    /// Answers for the names of `allow` and `proxies`.
    pub answers: Arc<HashMap<String, Vec<IpAddr>>>,
}

/// Where the other tasks are.
pub struct Deps {
    pub engine: EngineHandle,
    pub commands: mpsc::Sender<Command>,
    pub current: watch::Sender<Current>,
    /// What FreeSWITCH is asked.
    pub asked: watch::Sender<Asked>,
    pub in_force: watch::Receiver<Applied>,
    pub records: broadcast::Sender<Arc<Record>>,
    pub store: Store,
    pub kernel: KernelSwitch,
    pub logs: Option<LogControl>,
    pub geo: Arc<Geo>,
    /// The certificate of the API on TCP, if it has one.
    pub certificates: Option<Arc<Certificates>>,
}

/// The settings and the one way to change them.
pub struct Settings {
    ways: Deps,
    reload: Reload,
    /// As it was at the start, which parts of the daemon were built from.
    started: Config,
    state: Mutex<State>,
}

/// What the settings are made of.
#[derive(Clone, Debug)]
pub struct State {
    /// The file as it was read last.
    pub file: Config,
    pub overrides: Overrides,
}

/// Why a change was not made.
#[derive(Debug, thiserror::Error)]
pub enum ChangeError {
    /// The value cannot be.
    #[error("{}", .0.detail)]
    InvalidValue(InvalidValue),
    /// The file is broken; the settings before stay in force.
    #[error("{0}")]
    File(String),
    /// The engine's task did not answer.
    #[error(transparent)]
    EngineUnavailable(#[from] EngineUnavailable),
    /// An entry of the file is only removed there.
    #[error("`{0}` is set in the configuration file; remove it there and reload")]
    InFile(HostEntry),
    /// No such entry.
    #[error("`{0}` is not on the allow list")]
    NoEntry(HostEntry),
    /// The command line fixes the mode.
    #[error(
        "this daemon was started to observe only; to change the mode, start it without --dry-run"
    )]
    ModeIsFixed,
    /// The kernel side cannot work in that mode; the mode before stays.
    #[error("the mode is not changed: {0}")]
    Mode(String),
    /// Too many entries.
    #[error("the allow list has {0} entries added at run time, which is the limit")]
    Full(usize),
}

/// What came of allowing a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Allowed {
    /// It was added.
    New,
    /// It was there already.
    Already,
}

/// What came of reading the file again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reloaded {
    /// Sections that wait for a restart.
    pub needs_restart: Vec<&'static str>,
    /// What is wrong with the certificate.
    pub certificate_problem: Option<String>,
}

impl Settings {
    /// Takes over `state`, which is in force already.
    pub fn new(ways: Deps, reload: Reload, state: State) -> Self {
        let started = state.file.clone();
        let mut state = state;
        forget_old_mode(&mut state, &ways.store);
        Self { ways, reload, started, state: Mutex::new(state) }
    }

    /// Whether bans are carried out now.
    pub fn mode(&self) -> Mode {
        self.ways.current.borrow().config.mode
    }

    /// What the settings are made of now.
    pub async fn state(&self) -> State {
        self.state.lock().await.clone()
    }

    /// The addresses of the names of the allow list now.
    pub fn answers(&self) -> Arc<HashMap<String, Vec<IpAddr>>> {
        Arc::clone(&self.ways.in_force.borrow().answers)
    }

    /// Sections that wait for a restart.
    pub fn needs_restart(&self) -> Vec<&'static str> {
        self.ways.current.borrow().needs_restart.clone()
    }

    /// What the file says now; nothing is changed.
    ///
    /// # Errors
    /// What is wrong in it.
    pub fn read_file(&self) -> Result<Config, String> {
        (self.reload)().map_err(|error| error.to_string())
    }

    /// Reads the file again, and the certificate. A broken file changes nothing.
    pub async fn reload(&self) -> Result<Reloaded, ChangeError> {
        let mut state = self.state.lock().await;
        let file = match (self.reload)() {
            Ok(file) => file,
            Err(error) => {
                let error = error.to_string();
                Record::ReloadFailed { error: error.clone() }.publish(&self.ways.records);
                return Err(ChangeError::File(error));
            }
        };
        let mut changed = State { file: file.clone(), overrides: state.overrides.clone() };
        forget_old_mode(&mut changed, &self.ways.store);
        if let Err(denied) = self.switch_to(&changed.effective()).await {
            Record::ReloadFailed { error: denied.to_string() }.publish(&self.ways.records);
            return Err(denied);
        }
        state.overrides = changed.overrides;
        if let Some(logs) = &self.ways.logs {
            logs.set_level(file.log_level);
        }
        let needs_restart = needs_restart(&self.started, &file);
        // Also when they are the same: FreeSWITCH may have other contents for them.
        self.ways.asked.send_replace(Asked::by(&file));
        let geo = Arc::clone(&self.ways.geo);
        read_geo(geo, file.geo.clone(), self.ways.records.clone()).await;
        let certificate_problem = self.read_certificate_again(&file);
        state.file = file;
        self.put_in_force(&state, needs_restart.clone()).await?;
        Record::Reload { needs_restart: needs_restart.clone() }.publish(&self.ways.records);
        Ok(Reloaded { needs_restart, certificate_problem })
    }

    /// The problem of the certificate; then the previous one remains in use.
    fn read_certificate_again(&self, file: &Config) -> Option<String> {
        let (certificates, files) = (self.ways.certificates.as_ref()?, file.http.tls.as_ref()?);
        let error = certificates.read_again(files).err()?.to_string();
        Record::CertificateFailed { error: error.clone() }.publish(&self.ways.records);
        Some(error)
    }

    /// Changes values of the policy.
    pub async fn change_policy(&self, edit: PolicyEdit) -> Result<(), ChangeError> {
        let mut state = self.state.lock().await;
        let overrides = edited(&state, &edit)?;
        let entries = overrides.entries_since(&state.overrides, self.now().await?);
        state.overrides = overrides;
        self.put_in_force(&state, self.needs_restart()).await?;
        for entry in entries {
            self.ways.store.put(entry);
        }
        Ok(())
    }

    /// Carries bans out from now on, or only observes, also after the next start. The file's own mode counts again once
    /// another is written there.
    pub async fn set_mode(self: &Arc<Self>, mode: Mode) -> Result<(), ChangeError> {
        let this = Arc::clone(self);
        // A client that goes away must not leave it half done.
        let done = tokio::spawn(async move {
            let mut state = this.state.lock().await;
            if state.file.mode_is_fixed {
                return Err(ChangeError::ModeIsFixed);
            }
            let (over, now) = (state.file.mode, this.now().await?);
            let set = (mode != over).then_some(ModeSet { mode, over });
            let mut changed = state.clone();
            changed.overrides.mode = set;
            this.switch_to(&changed.effective()).await?;
            state.overrides = changed.overrides;
            this.ways.store.put(overrides::mode_entry(set, now));
            this.put_in_force(&state, this.needs_restart()).await
        });
        done.await.unwrap_or(Err(EngineUnavailable::Stopped.into()))
    }

    /// Makes the kernel side work in the mode of `config`.
    async fn switch_to(&self, config: &Config) -> Result<(), ChangeError> {
        let mode = config.mode;
        if mode == self.mode() {
            return Ok(());
        }
        let failed = |error: anyhow::Error| ChangeError::Mode(format!("{error:#}"));
        let (prepared, done) = self.ways.kernel.prepare(mode).await.map_err(failed)?;
        let shield = config.shield;
        let (bans, adopted) = self
            .ways
            .engine
            .call(move |task| {
                let adopted = task.switch_kernel(prepared, shield);
                (task.engine().stats().bans, adopted)
            })
            .await?;
        done.await.unwrap_or(Err(anyhow::anyhow!("the daemon is stopping"))).map_err(failed)?;
        Record::ModeChanged { mode, bans, adopted }.publish(&self.ways.records);
        Ok(())
    }

    /// The policy in force, and what a change would make of it. Nothing is changed.
    pub async fn preview_policy(&self, edit: &PolicyEdit) -> Result<(Policy, Policy), ChangeError> {
        let state = self.state().await;
        let then = edited(&state, edit)?.over(&state.file).policy;
        Ok((state.effective().policy, then))
    }

    /// Allows a host, for good or until then. An entry of before takes a new end.
    pub async fn allow(
        &self,
        host: HostEntry,
        comment: Option<String>,
        until: Option<Timestamp>,
    ) -> Result<Allowed, ChangeError> {
        let mut state = self.state.lock().await;
        let now = self.now().await?;
        let in_file = state.file.allow_at(now).any(|listed| *listed == host);
        let known = state.overrides.allowed().iter().find(|entry| entry.host == host);
        if in_file || known.is_some_and(|entry| entry.until == until) {
            return Ok(Allowed::Already);
        }
        let comment = comment.or_else(|| known.and_then(|entry| entry.comment.clone()));
        state.overrides.disallow(&host);
        let entry = AllowEntry { host, comment, since: now, until };
        state.overrides.allow(entry.clone()).map_err(ChangeError::Full)?;
        self.put_in_force(&state, self.needs_restart()).await?;
        self.ways.store.put(store::Entry::Allow(entry));
        Ok(Allowed::New)
    }

    /// Takes off the list what has come to its end.
    pub async fn expire_allowed(&self) -> Result<(), ChangeError> {
        let mut state = self.state.lock().await;
        let has_end = state.file.allow_notes.iter().any(|note| note.until.is_some())
            || state.overrides.allowed().iter().any(|entry| entry.until.is_some());
        if !has_end {
            return Ok(());
        }
        let now = clock::stamp(SystemTime::now());
        let ended = state.overrides.expire(now);
        let allow = state.overrides.allow_over(&state.file, now);
        if ended.is_empty() && allow == self.ways.current.borrow().config.allow {
            return Ok(());
        }
        tracing::info!("entries of the allow list have come to their end");
        self.put_in_force(&state, self.needs_restart()).await?;
        for entry in ended {
            self.ways.store.put(store::Entry::Disallow { host: entry.host });
        }
        Ok(())
    }

    /// Takes a host off the list again; gives the entry.
    pub async fn disallow(&self, host: &HostEntry) -> Result<AllowEntry, ChangeError> {
        let mut state = self.state.lock().await;
        let Some(entry) = state.overrides.disallow(host) else {
            let in_file = state.file.allow.contains(host);
            let denied = if in_file { ChangeError::InFile } else { ChangeError::NoEntry };
            return Err(denied(host.clone()));
        };
        self.put_in_force(&state, self.needs_restart()).await?;
        self.ways.store.put(store::Entry::Disallow { host: host.clone() });
        Ok(entry)
    }

    /// What the store could read only after the start. What was set meanwhile stays.
    pub async fn take_over(&self, saved: &Saved) -> Result<(), ChangeError> {
        let mut state = self.state.lock().await;
        state.overrides.take_over(saved);
        forget_old_mode(&mut state, &self.ways.store);
        if let Err(denied) = self.switch_to(&state.effective()).await {
            // It stays as it is until somebody changes it again.
            tracing::warn!(%denied, "the stored mode is not in force");
            state.overrides.mode = None;
        }
        self.put_in_force(&state, self.needs_restart()).await
    }

    /// Gives the engine what `state` comes to, and waits until it has it.
    async fn put_in_force(
        &self,
        state: &State,
        needs_restart: Vec<&'static str>,
    ) -> Result<(), ChangeError> {
        let config = state.effective();
        let policy = Command::Policy(Box::new(config.policy.clone()));
        self.ways.commands.send(policy).await.map_err(|_| EngineUnavailable::Stopped)?;
        let shield = Command::Shield(config.shield);
        self.ways.commands.send(shield).await.map_err(|_| EngineUnavailable::Stopped)?;
        let generation = self.ways.current.borrow().generation + 1;
        // Wakes the name look-ups, which pass the new lists to the engine.
        self.ways.current.send_replace(Current { config, needs_restart, generation });
        let mut in_force = self.ways.in_force.clone();
        let told = async {
            in_force.wait_for(|now| now.generation >= generation).await.is_ok()
                && self.ways.engine.caught_up().await.is_ok()
        };
        // It is on its way and will not be taken back.
        if !matches!(tokio::time::timeout(IN_FORCE, told).await, Ok(true)) {
            tracing::warn!("changed settings are not applied yet");
        }
        Ok(())
    }

    async fn now(&self) -> Result<sipward_engine::Timestamp, EngineUnavailable> {
        self.ways.engine.call(|task| task.clock().now()).await
    }
}

impl State {
    /// The file with the overrides on top.
    pub fn effective(&self) -> Config {
        self.overrides.over(&self.file)
    }
}

/// Drops a mode that was set over another one than the file's: the file was changed since.
fn forget_old_mode(state: &mut State, store: &Store) {
    if state.overrides.mode.take_if(|set| set.over != state.file.mode).is_some() {
        store.put(overrides::mode_entry(None, clock::stamp(SystemTime::now())));
    }
}

/// Reloads the files of `[geo]`, on a separate thread, and reports invalid ones.
pub async fn read_geo(
    geo: Arc<Geo>,
    settings: GeoSettings,
    records: broadcast::Sender<Arc<Record>>,
) {
    let failed = tokio::task::spawn_blocking(move || geo.read(&settings)).await;
    failed.unwrap_or_default().into_iter().for_each(|record| record.publish(&records));
}

/// The overrides with a change, if its values can be.
fn edited(state: &State, edit: &PolicyEdit) -> Result<Overrides, ChangeError> {
    let mut overrides = state.overrides.clone();
    overrides.edit(edit);
    overrides.check(edit, &state.file).map_err(ChangeError::InvalidValue)?;
    Ok(overrides)
}

/// Sections that a running daemon cannot change.
fn needs_restart(started: &Config, file: &Config) -> Vec<&'static str> {
    [
        ("on_exit", started.on_exit != file.on_exit),
        ("route", !same_route(started, file)),
        ("esl", started.esl != file.esl),
        ("store", started.store != file.store),
        ("api", started.api != file.api),
        ("http", started.http.needs_restart(&file.http)),
        ("mail", started.mail != file.mail),
        ("webhook", started.webhook != file.webhook),
        ("whois", started.whois != file.whois),
        ("fleet", started.fleet != file.fleet),
    ]
    .into_iter()
    .filter_map(|(section, changed)| changed.then_some(section))
    .collect()
}

/// The shield within it is no reason: a running daemon changes it.
fn same_route(started: &Config, file: &Config) -> bool {
    let mut route = file.route.clone();
    route.gate.shield = started.route.gate.shield;
    (&route, file.sip_ports_auto) == (&started.route, started.sip_ports_auto)
}
