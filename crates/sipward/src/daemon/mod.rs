//! The daemon: which tasks there are, how they start and how they stop.
//!
//! | task | owns | never waits for |
//! |---|---|---|
//! | session (`sipward-esl`) | the socket | anybody: what the engine does not take is dropped, counted |
//! | `judge` | the engine | the kernel: what netlink does not take waits in a bounded queue |
//! | enforcer (`sipward-route`) | netlink | – |
//! | `directory` | questions to FreeSWITCH: phones, gateways, access lists | – |
//! | `tasks` | name look-ups, signals, what the store tells | – |
//! | [`api`](crate::api) | the control socket, a task for each connection | – |
//! | [`http`](crate::http) (a thread of its own) | the API and the page on TCP, a task for each connection | – |
//! | [`metrics`](crate::metrics) | counts made from records | – |
//! | [`tell`](crate::tell) (a thread of its own) | mail, webhooks | – |
//! | `store` (threads of its own) | the database | – |
//!
//! Whoever wants something of the engine pays it a visit (`desk`). `settings` is what is in force and
//! the one way to change it.

mod desk;
mod directory;
mod judge;
mod kernel;
mod settings;
mod tasks;

pub(crate) use desk::{Away, Desk};
pub(crate) use judge::{FAILURES, Failure, Judge, KernelSide, Note};
pub(crate) use settings::{Allowed, Denied, PolicyEdit, Reloaded, Settings, State};
pub(crate) use tasks::stop_on_signals;

use std::hash::BuildHasher as _;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use sipward_engine::{Engine, Input};
use sipward_esl::{SessionConfig, Subscription};
use sipward_route::Found;
use tokio::sync::{broadcast, mpsc, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::api::{Api, Oracles, Parts};
use crate::bridge;
use crate::clock::Clock;
use crate::config::{Config, ConfigError, Credentials, Mode, OnExit, Secrets};
use crate::enforce::{self, Wishes};
use crate::http::{Access, Certificates, Links, Server};
use crate::logging::LogControl;
use crate::metrics::Metrics;
use crate::names::{Exempt, Names};
use crate::record::{Record, Started, Totals};
use crate::store::{Closed, Saved, Store, StoreSettings};
use crate::systemd;
use crate::tell::Tellers;
use judge::{Ears, End, FirstList, Restored, Spare, Voices};
use kernel::{Kernel, host_exemptions};
use settings::{InForce, Overrides, Ways, read_geo};
use tasks::Current;

/// Orders that wait for the engine at most; they come from the name look-ups and SIGHUP.
const ORDERS: usize = 16;

/// Longest wait for the first look-up of names; attackers do not wait longer.
const FIRST_LOOK_UP: Duration = Duration::from_secs(5);

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
    /// One-time log-in links of the page; whoever starts the daemon may make some before.
    pub links: Arc<Links>,
}

/// Reads the settings again.
pub type Reload = Box<dyn Fn() -> Result<Config, ConfigError> + Send + Sync>;

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
        tasks::stop_on_signals(stop.clone())?;
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
        let Self { config, credentials, secrets, logs, reload, links } = self;
        let (changes, changes_in) = mpsc::channel(enforce::CHANGES);
        let (reports_out, mut reports) = mpsc::channel(enforce::REPORTS);
        let (orders_out, orders) = mpsc::channel(ORDERS);
        let (lists, spared) = watch::channel(Arc::from([]));
        let certificates = certificates(&config)?;
        let (kernel, (store, saved)) = tokio::try_join!(
            Kernel::start(&config, changes_in, reports_out, spared),
            open_store(&config),
        )?;
        let limited = config.mode == Mode::Ban && config.route.gate.limit.is_some();
        let spare = limited.then(|| Spare::new(lists));

        let engine = Engine::new(config.policy.clone(), seed())?;
        let (clock, heart) = (Clock::start(), tasks::heart(logs.clone()));
        let oracles = Oracles::new(&config);
        let tellers = Tellers::start(&config, &secrets, &oracles.whois, &records, clock)?;
        let (metrics, counting) = Metrics::new(&records, tellers.ledgers(), clock);
        let (ask, questions) = mpsc::channel(directory::QUESTIONS);
        let wishes = Wishes::new(changes);
        let voices =
            Voices { wishes, store: store.clone(), questions: ask, records: records.clone() };
        let mut judge = Judge::new(engine, clock, voices, heart, spare);
        let settings = State { overrides: Overrides::stored(&saved), file: config };
        let config = settings.effective();
        judge.tell(Input::Policy(Box::new(config.policy.clone())));
        let mut names = Names::default();
        exempt(&mut judge, host_exemptions(&kernel.found.host));
        exempt(&mut judge, names.classes(&config));
        let access = Arc::new(Access::new(&config.http, saved.tokens.clone(), links, clock));
        judge.await_first_list(FirstList::awaited(&config.store.location, &saved));
        let restored = judge.take_over(saved, &kernel.found.routes);
        for record in started(&config, &credentials, &kernel.found, &restored) {
            judge.publish(record);
        }
        judge.settle(restored.missing, &mut reports, &stop).await;
        // Bans stand: FreeSWITCH may start. It must not wait for a name server.
        systemd::ready();
        look_up(&mut names, &mut judge, &config).await;

        let (session, handle, notices) =
            sipward_esl::session(session_config(&config, &credentials)?);
        let session = tokio::spawn(session.run());
        let (acls, acls_in) = watch::channel(config.allow_acl.clone());
        let current = Current { config: config.clone(), needs_restart: Vec::new(), generation: 0 };
        let (current, current_in) = watch::channel(current);
        let in_force = InForce { generation: 0, answers: names.answers() };
        let (in_force_out, in_force) = watch::channel(in_force);
        let desk = Desk::new(orders_out.clone());
        let settings = Arc::new(Settings::new(
            Ways {
                desk: desk.clone(),
                orders: orders_out.clone(),
                current,
                acls,
                in_force,
                records: records.clone(),
                store: store.clone(),
                logs,
                geo: Arc::clone(&oracles.geo),
                certificates: certificates.clone(),
            },
            reload,
            settings,
        ));
        let mut helpers = vec![
            tokio::spawn(directory::run(handle.clone(), acls_in, questions, orders_out.clone())),
            tokio::spawn(tasks::look_up_names(names, current_in, in_force_out, orders_out.clone())),
            tokio::spawn(tasks::reload_on_hangup(Arc::clone(&settings))?),
            tokio::spawn(counting),
            tokio::spawn(read_geo(oracles.geo.clone(), config.geo.clone(), records.clone())),
            tokio::spawn(tasks::recall_decisions(store.clone(), Arc::clone(&metrics), clock)),
        ];
        let api = Api::new(Parts {
            desk,
            settings: Arc::clone(&settings),
            store: store.clone(),
            records: records.clone(),
            config: &config,
            metrics,
            access: Arc::clone(&access),
            oracles,
        });
        let server = serve_api(&config, &api, certificates, &mut helpers)?;
        if let Some(notices) = store.take_notices() {
            let told = (settings, access, orders_out, records.clone());
            helpers.push(tokio::spawn(tasks::hear_store(notices, told)));
        }

        let (totals, end) = judge.run(Ears { notices, reports, orders }, stop).await;

        systemd::stopping();
        helpers.iter().for_each(JoinHandle::abort);
        drop(server);
        handle.close();
        session.abort();
        let kernel_end = kernel.end().await;
        close(store, &records).await;
        flush_if_wanted(&config).await?;
        Record::Stopped(totals).tell(&records);
        tellers.finish().await;
        kernel_end?;
        anyhow::ensure!(end == End::Asked, "the task that owns the Event Socket ended by itself");
        Ok(totals)
    }
}

/// Serves the API on the Unix socket and on TCP, as far as it is wanted.
fn serve_api(
    config: &Config,
    api: &Api,
    certificates: Option<Arc<Certificates>>,
    helpers: &mut Vec<JoinHandle<()>>,
) -> anyhow::Result<Option<Server>> {
    if let Some(socket) = config.api.socket.clone() {
        let api = api.clone();
        helpers.push(tokio::spawn(async move { api.run(&socket).await }));
    }
    if config.http.listen.is_empty() {
        return Ok(None);
    }
    let settings = config.http.clone();
    Server::start(api.clone(), settings, certificates).map(Some)
}

/// The certificate of the API on TCP. One that cannot be used ends the start: nothing may be served in clear
/// that was to be encrypted.
fn certificates(config: &Config) -> anyhow::Result<Option<Arc<Certificates>>> {
    let files = config.http.tls.as_ref().filter(|_| !config.http.listen.is_empty());
    let read = files.map(Certificates::read).transpose().context("cannot serve TLS ([http])")?;
    Ok(read.map(Arc::new))
}

/// Removes what is ours from the kernel at the end, where `on_exit` says so.
async fn flush_if_wanted(config: &Config) -> anyhow::Result<()> {
    if config.on_exit == OnExit::Flush && config.mode == Mode::Ban {
        sipward_route::flush(&config.route).await.context("cannot flush at the end")?;
    }
    Ok(())
}

/// Opens the store beside the kernel side: both take their time where there are many bans.
async fn open_store(config: &Config) -> anyhow::Result<(Store, Saved)> {
    let settings = StoreSettings { observe: config.mode == Mode::Observe, ..config.store.clone() };
    tokio::task::spawn_blocking(move || Store::open(&settings))
        .await
        .context("the task that opens the store failed")?
        .context("cannot use the store")
}

/// Closes the store, and says what it could not write.
async fn close(store: Store, records: &broadcast::Sender<Arc<Record>>) {
    if let Closed::Lost { entries } = store.close().await {
        let error = format!(
            "the daemon stopped before {entries} entries were written; the kernel's routes stay and become \
             bans at the next start, history and reasons of these are lost (is the disk slow or full?)"
        );
        Record::StoreIncomplete { error }.tell(records);
    }
}

/// Looks the names of `allow` and `proxies` up before the first event is judged, if that is quick.
async fn look_up(names: &mut Names, judge: &mut Judge, config: &Config) {
    let found = tokio::time::timeout(FIRST_LOOK_UP, names.refresh(config)).await;
    let Ok((classes, failed)) = found else {
        // The next look-up is not far, and lifts what it must.
        tracing::warn!("names of `allow` and `proxies` are not known yet");
        return;
    };
    exempt(judge, classes);
    failed.iter().for_each(Record::log);
}

fn exempt(judge: &mut Judge, classes: impl IntoIterator<Item = Exempt>) {
    for (class, nets) in classes {
        judge.tell(Input::Exempt { class, nets });
    }
}

/// A number that nobody outside can guess: the standard library seeds its hashers with the
/// system's randomness.
pub(crate) fn seed() -> u64 {
    std::hash::RandomState::new().hash_one(0_u8)
}

fn session_config(config: &Config, credentials: &Credentials) -> anyhow::Result<SessionConfig> {
    Ok(SessionConfig {
        port: credentials.port,
        user: credentials.user.clone(),
        connect_timeout: config.esl.connect_timeout,
        heartbeat_timeout: config.esl.heartbeat_timeout,
        queue: config.esl.queue,
        seed: seed(),
        // HEARTBEAT and every record of mod_sofia, which is what a session asks for by itself.
        subscription: Subscription::sofia().custom(bridge::REPORT)?.custom(bridge::CALL)?,
        ..SessionConfig::new(credentials.host.clone(), credentials.password.clone())
    })
}

fn started(
    config: &Config,
    credentials: &Credentials,
    found: &Found,
    restored: &Restored,
) -> Vec<Record> {
    let mut records = vec![Record::Started(Started {
        version: env!("CARGO_PKG_VERSION"),
        mode: match config.mode {
            Mode::Ban => "ban",
            Mode::Observe => "observe",
        },
        esl: format!("{}:{}", credentials.host, credentials.port),
        restored: restored.bans,
        adopted: restored.adopted,
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
