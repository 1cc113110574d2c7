//! What is opened before anything is decided.

use std::fs;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;

use anyhow::Context as _;
use sipward_route::Report;
use tokio::sync::{mpsc, oneshot};

use sipward_config::{Config, Mode, StoreLocation, StoreSettings};
use sipward_daemon::route_queue::{self, RouteQueue};
use sipward_daemon::{Kernel, Only, Shielding};
use sipward_store::{Saved, Store};

/// The kernel side and the store, which are locked for this process.
pub(super) struct Opened {
    pub(super) only: Only,
    pub(super) kernel: Kernel,
    pub(super) store: Store,
    pub(super) saved: Saved,
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
    /// When another daemon runs, or the kernel side or the store cannot be opened.
    pub(super) async fn open(
        config: &Config,
        also_reports: Option<oneshot::Sender<mpsc::Sender<Report>>>,
    ) -> anyhow::Result<Self> {
        let (changes, changes_in) = mpsc::channel(route_queue::CHANGES);
        let (reports_out, reports) = mpsc::channel(route_queue::REPORTS);
        if let Some(also_reports) = also_reports {
            let _ = also_reports.send(reports_out.clone());
        }
        let only = Only::take(config)?;
        let (kernel, (store, saved)) = tokio::try_join!(
            Kernel::start(config, only.owner(), changes_in, reports_out),
            open_store(config),
        )?;
        let shield = kernel.shield.clone();
        let shielding = shield.map(|shield| Shielding::new(shield, config.shield));
        Ok(Self {
            only,
            kernel,
            store,
            saved,
            routes_out: RouteQueue::new(changes),
            reports,
            shielding,
        })
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
