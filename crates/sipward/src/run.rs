//! How the daemon starts, what it serves, and how it stops. The only place that knows all parts.
//!
//! | step | what it does |
//! |---|---|
//! | `open` | takes the lock, opens the kernel side and the store |
//! | `restore` | makes the engine, and puts every stored ban back in force; systemd hears READY |
//! | `wire` | starts the connection to FreeSWITCH and the tasks around the engine |
//! | `serve` | starts the API and the console on the Unix socket and on TCP |
//! | `shut_down` | carries out, writes and delivers what was decided, then closes everything |
//!
//! | task | owns | never waits for |
//! |---|---|---|
//! | session (`sipward-esl`) | the socket | anybody: what the engine does not take is dropped, counted |
//! | `daemon::engine_task` | the engine | the kernel: what netlink does not take waits in a bounded queue |
//! | enforcer (`sipward-route`) | netlink | – |
//! | `daemon::freeswitch_queries` | questions to FreeSWITCH: phones, gateways, access lists | – |
//! | `daemon::probe` | OPTIONS requests to FreeSWITCH's profiles in a flood | – |
//! | `daemon::tasks` | name look-ups, signals | – |
//! | [`api`](sipward_server::api) | the control socket, a task for each connection | – |
//! | [`http`](sipward_server::http) (a thread of its own) | the API and the console on TCP, a task for each connection | – |
//! | [`metrics`](sipward_daemon::metrics) | counts made from records | – |
//! | [`notify`](sipward_notify) (a thread of its own) | mail, webhooks | – |
//! | `store` (threads of its own) | the database | – |

mod fleet;
mod open;
mod restore;
mod serve;
mod shut_down;
mod tasks;
mod wire;

use std::sync::Arc;

use sipward_route::Report;
use tokio::sync::{broadcast, mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use open::Opened;
pub(crate) use open::make_directories;
use sipward_config::{Config, Credentials, Secrets};
use sipward_daemon::certificates::Certificates;
use sipward_daemon::control::Lookups;
use sipward_daemon::logging::LogControl;
use sipward_daemon::metrics::Metrics;
use sipward_daemon::{Kernel, Only, Reload, stop_on_signals};
use sipward_model::clock::Clock;
use sipward_model::record::{Record, Totals};
use sipward_notify::Notifiers;
use sipward_server::http::{Access, Links};
use sipward_store::Store;

/// Records that a slow listener may fall behind before it misses some.
const RECORDS: usize = 4_096;

/// A daemon, ready to run.
pub struct Daemon {
    /// The settings in force.
    pub config: Config,
    /// Where FreeSWITCH is and how to log in.
    pub credentials: Credentials,
    /// Password of the mail server, key of the webhooks.
    pub secrets: Secrets,
    /// The log, for a change of its level; the demo has none.
    pub logs: Option<LogControl>,
    /// Reads the settings again, for SIGHUP.
    pub reload: Reload,
    /// One-time log-in links of the console; some may be made before the start.
    pub links: Arc<Links>,
    /// Asks for the way to report as the kernel side does; only the demo does, whose flood no kernel counts.
    pub kernel_reports: Option<oneshot::Sender<mpsc::Sender<Report>>>,
}

impl std::fmt::Debug for Daemon {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Daemon")
            .field("config", &self.config)
            .field("credentials", &self.credentials)
            .field("secrets", &self.secrets)
            .finish_non_exhaustive()
    }
}

impl Daemon {
    /// Runs until SIGTERM or SIGINT.
    ///
    /// # Errors
    /// When the kernel side cannot be opened (`CAP_NET_ADMIN`), or a task ended by itself.
    pub async fn run(self) -> anyhow::Result<()> {
        let stop = CancellationToken::new();
        stop_on_signals(stop.clone())?;
        let (records, _) = broadcast::channel(RECORDS);
        Box::pin(self.run_until(stop, records)).await.map(drop)
    }

    /// Runs until `stop`; every record also goes to `records`.
    ///
    /// # Errors
    /// As [`Daemon::run`].
    pub async fn run_until(
        self,
        stop: CancellationToken,
        records: broadcast::Sender<Arc<Record>>,
    ) -> anyhow::Result<Totals> {
        let opened = Opened::open(self, records).await?;
        let restored = opened.restore(&stop).await?;
        let wired = restored.wire().await?;
        let served = wired.serve()?;
        let ended = served.run(stop).await;
        ended.shut_down().await
    }
}

/// What every step works with. `open` makes it, `shut_down` takes it apart.
struct Common {
    /// The settings in force at the start.
    config: Config,
    credentials: Credentials,
    secrets: Secrets,
    records: broadcast::Sender<Arc<Record>>,
    clock: Clock,
    /// The lock, which is held until the end, the flush included.
    only: Only,
    kernel: Kernel,
    store: Store,
    lookups: Lookups,
    notifiers: Notifiers,
    metrics: Arc<Metrics>,
    access: Arc<Access>,
    certificates: Option<Arc<Certificates>>,
    /// Tasks that nothing waits for; they are aborted at the end.
    helpers: Vec<JoinHandle<()>>,
}
