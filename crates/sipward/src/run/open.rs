//! What is opened before anything is decided.

use std::fs;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use sipward_route::Report;
use tokio::sync::{broadcast, mpsc};

use super::tasks::restore_alarms;
use super::{Common, Daemon};
use sipward_config::{Config, Mode, StoreLocation, StoreSettings};
use sipward_daemon::certificates::Certificates;
use sipward_daemon::control::Lookups;
use sipward_daemon::logging::LogControl;
use sipward_daemon::metrics::Metrics;
use sipward_daemon::route_queue::{self, RouteQueue};
use sipward_daemon::{Kernel, ModeSet, Only, Overrides, Reload, Shielding, State};
use sipward_model::clock::Clock;
use sipward_model::record::Record;
use sipward_notify::Notifiers;
use sipward_server::http::{Access, Links, Room, raise_descriptors};
use sipward_store::{Saved, Store};

/// The kernel side and the store, which are locked for this process, and what was stored.
pub(super) struct Opened {
    pub(super) common: Common,
    pub(super) saved: Saved,
    pub(super) settings: State,
    pub(super) reload: Reload,
    pub(super) logs: Option<LogControl>,
    /// The healthy hosts; in observe mode no host is limited.
    pub(super) shielding: Option<Shielding>,
    /// The way to the kernel's task, and back.
    pub(super) routes_out: RouteQueue,
    pub(super) reports: mpsc::Receiver<Report>,
}

impl Opened {
    /// Takes the lock before anything is touched, then opens both at once: each takes its time where there
    /// are many bans.
    ///
    /// # Errors
    /// When another daemon runs, the certificate cannot be used, or the kernel side or the store cannot be opened.
    pub(super) async fn open(
        daemon: Daemon,
        records: broadcast::Sender<Arc<Record>>,
    ) -> anyhow::Result<Self> {
        let Daemon { config: file, credentials, secrets, logs, reload, links, kernel_reports } =
            daemon;
        let certificates = certificates(&file)?;
        let mode = ModeSet::stored(&file);
        let config = Config { mode: ModeSet::over(mode, &file), ..file.clone() };

        let (changes, changes_in) = mpsc::channel(route_queue::CHANGES);
        let (reports_out, reports) = mpsc::channel(route_queue::REPORTS);
        if let Some(kernel_reports) = kernel_reports {
            let _ = kernel_reports.send(reports_out.clone());
        }
        let only = Only::take(&config)?;
        let (kernel, (store, saved)) = tokio::try_join!(
            Kernel::start(&config, only.owner(), changes_in, reports_out),
            open_store(&config),
        )?;
        let shield = kernel.shield.clone();
        let shielding = shield.map(|shield| Shielding::new(shield, config.shield));

        let (clock, lookups) = (Clock::start(saved.written), Lookups::new(&config));
        let notifiers = Notifiers::start(&config, &secrets, &lookups.whois, &records, &clock)?;
        let (metrics, counting) =
            Metrics::new(&records, notifiers.stats(), store.clone(), clock.clone());
        restore_alarms(&metrics, &saved);
        let settings = State { overrides: Overrides::stored(&saved).with_mode(mode), file };
        let config = settings.effective();
        let access = Arc::new(access(&config, &saved, links, &clock));
        let common = Common {
            config,
            credentials,
            secrets,
            records,
            clock,
            only,
            kernel,
            store,
            lookups,
            notifiers,
            metrics,
            access,
            certificates,
            helpers: vec![tokio::spawn(counting)],
        };
        let routes_out = RouteQueue::new(changes);
        Ok(Self { common, saved, settings, reload, logs, shielding, routes_out, reports })
    }
}

/// Makes the directories of the store and the socket. Only the last part of each path is made: a mistyped path
/// creates no tree.
///
/// # Errors
/// When one cannot be made.
pub(crate) fn make_directories(config: &Config) -> anyhow::Result<()> {
    let store = match &config.store.location {
        StoreLocation::File(file) => Some(file),
        StoreLocation::Memory => None,
    };
    for file in [store, config.api.socket.as_ref()].into_iter().flatten() {
        let Some(directory) = file.parent().filter(|directory| !directory.exists()) else {
            continue;
        };
        if directory.parent().is_some_and(Path::is_dir) {
            fs::DirBuilder::new()
                .mode(0o750)
                .create(directory)
                .with_context(|| format!("cannot create {}", directory.display()))?;
        }
    }
    Ok(())
}

async fn open_store(config: &Config) -> anyhow::Result<(Store, Saved)> {
    let settings = StoreSettings { observe: config.mode == Mode::Observe, ..config.store.clone() };
    tokio::task::spawn_blocking(move || Store::open(&settings))
        .await
        .context("the task that opens the store failed")?
        .context("cannot use the store")
}

/// Access to the API and the console, and the limit of connections.
fn access(config: &Config, saved: &Saved, links: Arc<Links>, clock: &Clock) -> Access {
    let room = Room::within(raise_descriptors());
    let tokens = (saved.tokens.clone(), saved.retired.clone());
    Access::new(&config.http, tokens, links, clock.clone(), room)
}

/// The certificate of the API on TCP. One that cannot be used ends the start: nothing may be served in clear
/// that was to be encrypted.
fn certificates(config: &Config) -> anyhow::Result<Option<Arc<Certificates>>> {
    let files = config.http.tls.as_ref().filter(|_| !config.http.listen.is_empty());
    let read = files.map(Certificates::read).transpose().context("cannot serve TLS ([http])")?;
    Ok(read.map(Arc::new))
}
