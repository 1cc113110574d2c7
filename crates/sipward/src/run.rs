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

use sipward_engine::Engine;
use sipward_route::Report;
use tokio::sync::{broadcast, mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::doctor;
use open::Opened;
pub(crate) use open::make_directories;
use restore::Restoring;
use shut_down::shut_down;
use sipward_config::{Config, Credentials, Secrets};
use sipward_daemon::control::{Control, Lookups, Parts};
use sipward_daemon::logging::LogControl;
use sipward_daemon::metrics::Metrics;
use sipward_daemon::systemd;
use sipward_daemon::{
    End, EngineTask, Inputs, ModeSet, Outputs, Overrides, QUERIES, Reload, State, keep_counts,
    save_counts, status_hook, stop_on_signals,
};
use sipward_model::clock::{self, Clock};
use sipward_model::record::{Record, Totals};
use sipward_notify::Notifiers;
use sipward_server::http::Links;
use tasks::{Told, restore_alarms};
use wire::{Wired, Wiring};

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
        let Self { config, credentials, secrets, logs, reload, links, kernel_reports } = self;
        let certificates = serve::certificates(&config)?;
        let file = config.clone();
        let mode = ModeSet::stored(&file);
        let config = Config { mode: ModeSet::over(mode, &file), ..config };
        // The lock is held until the end, the flush included.
        let Opened { only: _only, kernel, store, saved, routes_out, mut reports, shielding } =
            Opened::open(&config, kernel_reports).await?;

        let engine = Engine::new(config.policy.clone(), clock::seed())?;
        let (clock, lookups) = (Clock::start(saved.written), Lookups::new(&config));
        let notifiers = Notifiers::start(&config, &secrets, &lookups.whois, &records, &clock)?;
        let (metrics, counting) =
            Metrics::new(&records, notifiers.stats(), store.clone(), clock.clone());
        restore_alarms(&metrics, &saved);
        let notified = saved.notified.is_some();
        let settings = State { overrides: Overrides::stored(&saved).with_mode(mode), file };
        let config = settings.effective();
        let access = Arc::new(serve::access(&config, &saved, links, &clock));

        let (ask, questions) = mpsc::channel(QUERIES);
        let outputs =
            Outputs { routes_out, store: store.clone(), questions: ask, records: records.clone() };
        let mut engine_task =
            EngineTask::new(engine, clock.clone(), outputs, status_hook(logs.clone()), shielding);
        let restoring =
            Restoring { config: &config, credentials: &credentials, found: &kernel.found };
        let names = restoring.run(&mut engine_task, saved, &mut reports, &stop).await;

        let of_doctor = credentials.clone();
        let wiring = Wiring {
            config: &config,
            credentials,
            kernel: &kernel,
            store: &store,
            records: &records,
            geo: &lookups.geo,
            certificates: certificates.as_ref(),
        };
        let wired =
            wiring.start(&mut engine_task, (settings, reload, logs), (names, questions)).await?;
        let Wired {
            session,
            notices,
            engine,
            commands,
            commands_in,
            answers,
            probed,
            settings,
            mut helpers,
        } = wired;
        helpers.extend([
            tokio::spawn(counting),
            tokio::spawn(keep_counts(store.clone(), Arc::clone(&metrics), clock.clone())),
            tokio::spawn(sipward_daemon::expire_allowed(Arc::clone(&settings))),
            tokio::spawn(tasks::move_tokens(&records, &access, &store, &clock)),
        ]);
        if let Some(notices) = store.take_notices() {
            let told = Told {
                settings: Arc::clone(&settings),
                access: Arc::clone(&access),
                metrics: Arc::clone(&metrics),
                commands,
                records: records.clone(),
            };
            helpers.push(tokio::spawn(tasks::hear_store(notices, told)));
        }
        let fleet = fleet::join(
            &mut engine_task,
            (&config, &secrets),
            (&engine, &settings, &store),
            &records,
            &mut helpers,
        )
        .await?;
        let control = Control::new(Parts {
            engine,
            settings,
            store: store.clone(),
            records: records.clone(),
            config: &config,
            metrics: Arc::clone(&metrics),
            lookups,
            secrets: &secrets,
            fleet,
            notified,
            examine: Arc::new(move |control| doctor::from_within(control, &of_doctor)),
        });
        let server = serve::serve(&config, control, access, certificates, &mut helpers)?;

        let (totals, end) = engine_task
            .run(Inputs { notices, reports, commands: commands_in, answers, probed }, stop)
            .await;

        systemd::stopping();
        helpers.iter().for_each(JoinHandle::abort);
        drop(server);
        session.end();
        save_counts(&store, &metrics);
        shut_down(kernel, (store, &config), (totals, &records), notifiers).await?;
        anyhow::ensure!(end == End::Asked, "the Event Socket task ended unexpectedly");
        Ok(totals)
    }
}
