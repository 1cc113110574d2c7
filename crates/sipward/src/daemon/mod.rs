//! The daemon: which tasks there are, how they start and how they stop.
//!
//! | task | owns | never waits for |
//! |---|---|---|
//! | session (`sipward-esl`) | the socket | anybody: what the engine does not take is dropped, counted |
//! | [`judge`] | the engine | the kernel: what netlink does not take waits in a bounded queue |
//! | enforcer (`sipward-route`) | netlink | – |
//! | [`tasks`] | name look-ups, signals | – |

mod judge;
mod tasks;

use std::net::IpAddr;
use std::sync::Arc;

use anyhow::Context as _;
use ipnet::IpNet;
use sipward_engine::{Engine, Exemption, Input};
use sipward_esl::SessionConfig;
use sipward_route::{Enforcer, Found, HostFacts};
use tokio::sync::{broadcast, mpsc, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::config::{Config, ConfigError, Credentials, Mode, OnExit};
use crate::enforce::{self, Wishes};
use crate::logging::LogControl;
use crate::names::Exempt;
use crate::record::{Record, Started, Totals};
use crate::systemd;
use judge::{Ears, End, Judge};

/// Orders that wait for the engine at most; they come from the name look-ups and SIGHUP.
const ORDERS: usize = 16;

/// Records that a slow listener may fall behind before it misses some.
const RECORDS: usize = 4_096;

/// A daemon, ready to run.
pub struct Daemon {
    /// The settings in force.
    pub config: Config,
    /// Where FreeSWITCH is and how to log in.
    pub credentials: Credentials,
    /// The log, for a change of its level; the demo has none.
    pub logs: Option<LogControl>,
    /// Reads the settings again, for SIGHUP.
    pub reload: Reload,
}

/// Reads the settings again.
pub type Reload = Box<dyn Fn() -> Result<Config, ConfigError> + Send + Sync>;

impl std::fmt::Debug for Daemon {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Daemon")
            .field("config", &self.config)
            .field("credentials", &self.credentials)
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
        tasks::stop_on_signals(stop.clone())?;
        let (records, _) = broadcast::channel(RECORDS);
        self.run_until(stop, records).await.map(drop)
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
        let Self {
            config,
            credentials,
            logs,
            reload,
        } = self;
        let clock = Clock::start();
        let (change_sender, changes) = mpsc::channel(enforce::CHANGES);
        let (report_sender, reports) = mpsc::channel(enforce::REPORTS);
        let (order_sender, orders) = mpsc::channel(ORDERS);

        let Kernel {
            task: kernel,
            found,
        } = Kernel::start(&config, changes, report_sender).await?;

        let engine = Engine::new(config.policy.clone(), fastrand::u64(..))?;
        let heart = tasks::heart(logs.clone());
        let wishes = Wishes::new(change_sender);
        let mut judge = Judge::new(engine, clock, wishes, records.clone(), heart);

        // Who is never banned must be known before the first event is.
        let mut names = crate::names::Names::default();
        let (classes, failed) = names.refresh(&config).await;
        host_exemptions(&found.host)
            .into_iter()
            .chain(classes)
            .for_each(|exempt| {
                let (class, nets) = exempt;
                judge.tell(Input::Exempt { class, nets });
            });
        failed.iter().for_each(Record::log);
        started(&config, &credentials, &found)
            .iter()
            .for_each(|record| {
                record.log();
                let _ = records.send(Arc::new(record.clone()));
            });
        for net in &found.routes {
            judge.tell(Input::Adopt { net: *net });
        }

        let (session, handle, notices) =
            sipward_esl::session(session_config(&config, &credentials));
        let session = tokio::spawn(session.run());
        let (config_sender, config_receiver) = watch::channel(config.clone());
        let helpers = [
            tokio::spawn(tasks::look_up_names(
                names,
                config_receiver,
                order_sender.clone(),
            )),
            tokio::spawn(tasks::reload_on_hangup(
                reload,
                logs,
                config_sender,
                order_sender,
            )?),
        ];
        systemd::ready();

        let (totals, end) = judge
            .run(
                Ears {
                    notices,
                    reports,
                    orders,
                },
                stop,
            )
            .await;

        systemd::stopping();
        helpers.iter().for_each(JoinHandle::abort);
        handle.close();
        session.abort();
        // The judge is gone, and with it the sender of the changes: the enforcer ends.
        let kernel = kernel.await.context("the task that owns netlink failed")?;
        if config.on_exit == OnExit::Flush && config.mode == Mode::Ban {
            sipward_route::flush(&config.route)
                .await
                .context("cannot flush at the end")?;
        }
        let stopped = Record::Stopped(totals);
        stopped.log();
        let _ = records.send(Arc::new(stopped));
        kernel?;
        anyhow::ensure!(
            end == End::Asked,
            "the task that owns the Event Socket ended by itself"
        );
        Ok(totals)
    }
}

/// The kernel side, real or not.
struct Kernel {
    task: JoinHandle<anyhow::Result<()>>,
    found: Found,
}

impl Kernel {
    async fn start(
        config: &Config,
        changes: mpsc::Receiver<sipward_route::Change>,
        reports: mpsc::Sender<sipward_route::Report>,
    ) -> anyhow::Result<Self> {
        match config.mode {
            Mode::Ban => {
                let (enforcer, found) = Enforcer::open(config.route.clone()).await?;
                let task = tokio::spawn(async move {
                    enforcer
                        .run(changes, reports)
                        .await
                        .context("netlink was lost")
                });
                Ok(Self { task, found })
            }
            Mode::Observe => {
                let host = sipward_route::host_facts(&config.route).await?;
                let task = tokio::spawn(async move {
                    sipward_route::dry_run(changes, reports).await;
                    Ok(())
                });
                Ok(Self {
                    task,
                    found: Found {
                        host,
                        ..Found::default()
                    },
                })
            }
        }
    }
}

/// What of this host must never be banned.
fn host_exemptions(host: &HostFacts) -> [Exempt; 2] {
    let nets = |addresses: &[IpAddr]| addresses.iter().copied().map(IpNet::from).collect();
    [
        (Exemption::Own, nets(&host.own)),
        (Exemption::Gateway, nets(&host.gateways)),
    ]
}

fn session_config(config: &Config, credentials: &Credentials) -> SessionConfig {
    SessionConfig {
        port: credentials.port,
        user: credentials.user.clone(),
        connect_timeout: config.esl.connect_timeout,
        heartbeat_timeout: config.esl.heartbeat_timeout,
        queue: config.esl.queue,
        seed: fastrand::u64(..),
        // HEARTBEAT and every record of mod_sofia, which is what a session asks for by itself.
        ..SessionConfig::new(credentials.host.clone(), credentials.password.clone())
    }
}

fn started(config: &Config, credentials: &Credentials, found: &Found) -> Vec<Record> {
    let mut records = vec![Record::Started(Started {
        version: env!("CARGO_PKG_VERSION"),
        mode: match config.mode {
            Mode::Ban => "ban",
            Mode::Observe => "observe",
        },
        esl: format!("{}:{}", credentials.host, credentials.port),
        adopted: found.routes.len(),
        max_failures: config.policy.max_failures,
        window_seconds: config.policy.window.as_secs_f64(),
        ban_time_seconds: config.policy.ban_time.as_secs_f64(),
    })];
    if config.mode == Mode::Ban {
        records.push((&found.coverage).into());
    }
    if !found.foreign.is_empty() {
        records.push(Record::ProtocolTaken {
            protocol: config.route.protocol,
            routes: found.foreign.clone(),
        });
    }
    records
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
