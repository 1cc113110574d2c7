//! The daemon: which tasks there are, how they start and how they stop.
//!
//! | task | owns | never waits for |
//! |---|---|---|
//! | session (`sipward-esl`) | the socket | anybody: what the engine does not take is dropped, counted |
//! | `judge` | the engine | the kernel: what netlink does not take waits in a bounded queue |
//! | enforcer (`sipward-route`) | netlink | – |
//! | `directory` | questions to FreeSWITCH: phones, gateways, access lists | – |
//! | `probe` | OPTIONS requests to FreeSWITCH's profiles in a flood | – |
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
mod near;
mod only;
mod probe;
mod settings;
mod tasks;

pub(crate) use desk::{Away, Desk};
pub(crate) use directory::table::Reason as ProtectedReason;
pub(crate) use directory::{COMMANDS, lists};
pub(crate) use judge::{Answers, FAILURES, Failure, Judge, KernelSide, Note, Profiles, SlowedHost};
pub(crate) use settings::{Allowed, Denied, PolicyEdit, Reloaded, Settings, State};
pub(crate) use tasks::stop_on_signals;

use std::hash::BuildHasher as _;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use sipward_engine::{Engine, Input};
use sipward_esl::{Backoff, InvalidCommand, SessionConfig, Subscription};
use sipward_route::{Found, Shield};
use tokio::sync::{broadcast, mpsc, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::api::{Api, Oracles, Parts};
use crate::bridge;
use crate::clock::Clock;
use crate::config::{Config, ConfigError, Credentials, Mode, OnExit, Secrets};
use crate::enforce::{self, Wishes};
use crate::http::{Access, Certificates, Links, Room, Server, raise_descriptors};
use crate::logging::LogControl;
use crate::metrics::Metrics;
use crate::names::{Exempt, Names};
use crate::record::{Record, Started, Totals};
use crate::store::{Closed, Saved, Store, StoreSettings};
use crate::systemd;
use crate::tell::Tellers;
use crate::text::Time;
use judge::{Ears, End, FirstList, Prober, Restored, Shielding, Voices};
use kernel::{Kernel, host_exemptions};
use only::Only;
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
    #[allow(clippy::too_many_lines, reason = "the order of the start is read in one piece")]
    pub async fn run_until(
        self,
        stop: CancellationToken,
        records: broadcast::Sender<Arc<Record>>,
    ) -> anyhow::Result<Totals> {
        let Self { config, credentials, secrets, logs, reload, links } = self;
        let (changes, changes_in) = mpsc::channel(enforce::CHANGES);
        let (reports_out, mut reports) = mpsc::channel(enforce::REPORTS);
        let (orders_out, orders) = mpsc::channel(ORDERS);
        let shield = Shield::default();
        let certificates = certificates(&config)?;
        // Before anything is touched. Held until the end, the flush included.
        let _only = Only::take(&config)?;
        let (kernel, (store, saved)) = tokio::try_join!(
            Kernel::start(&config, changes_in, reports_out, shield.clone()),
            open_store(&config),
        )?;
        let shielding = (config.mode == Mode::Ban).then(|| Shielding::new(shield, config.shield));

        let engine = Engine::new(config.policy.clone(), seed())?;
        let (clock, heart) = (Clock::start(saved.written), tasks::heart(logs.clone()));
        let oracles = Oracles::new(&config);
        let tellers = Tellers::start(&config, &secrets, &oracles.whois, &records, &clock)?;
        let (metrics, counting) = Metrics::new(&records, tellers.ledgers(), clock.clone());
        let (ask, questions) = mpsc::channel(directory::QUESTIONS);
        let wishes = Wishes::new(changes);
        let voices =
            Voices { wishes, store: store.clone(), questions: ask, records: records.clone() };
        let mut judge = Judge::new(engine, clock.clone(), voices, heart, shielding);
        let settings = State { overrides: Overrides::stored(&saved), file: config };
        let config = settings.effective();
        let mut names = prepare(&mut judge, &config, &kernel.found);
        let access = Arc::new(access(&config, &saved, links, &clock));
        judge.await_first_list(FirstList::awaited(&config.store.location, &saved));
        let restored = judge.take_over(saved, &kernel.found.routes);
        for record in started(&config, &credentials, &kernel.found, &restored, &clock) {
            judge.publish(record);
        }
        judge.settle(restored.missing, &mut reports, &stop).await;
        // Bans stand: FreeSWITCH may start. It must not wait for a name server.
        systemd::ready();
        look_up(&mut names, &mut judge, &config).await;

        let is_near = near::is_near(&credentials.host, &kernel.found.host).await;
        let (session, handle, notices) =
            sipward_esl::session(session_config(&config, &credentials, is_near)?);
        let session = tokio::spawn(session.run());
        let (asked, asked_in) = watch::channel(asked(&config));
        let (current, current_in) = watch::channel(Current::at_start(&config));
        let in_force = InForce { generation: 0, answers: names.answers() };
        let (in_force_out, in_force) = watch::channel(in_force);
        let desk = Desk::new(orders_out.clone());
        let settings = Arc::new(Settings::new(
            Ways {
                desk: desk.clone(),
                orders: orders_out.clone(),
                current,
                asked,
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
        let directory = directory::Ways::new(
            (handle.clone(), credentials, config.esl.connect_timeout),
            (asked_in, questions),
            (orders_out.clone(), kernel.ports.clone(), records.clone()),
        );
        let mut helpers = vec![
            tokio::spawn(directory::run(directory)),
            tokio::spawn(ask_profiles(&mut judge, &config, &kernel.found, orders_out.clone())),
            tokio::spawn(tasks::look_up_names(names, current_in, in_force_out, orders_out.clone())),
            tokio::spawn(tasks::reload_on_hangup(Arc::clone(&settings))?),
            tokio::spawn(counting),
            tokio::spawn(tasks::move_tokens(&records, &access, &store, &clock)),
            tokio::spawn(read_geo(oracles.geo.clone(), config.geo.clone(), records.clone())),
            tokio::spawn(tasks::recall_decisions(
                store.clone(),
                Arc::clone(&metrics),
                clock.clone(),
            )),
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
        finish(kernel, (store, &config), (totals, &records), tellers).await?;
        anyhow::ensure!(end == End::Asked, "the task that owns the Event Socket ended by itself");
        Ok(totals)
    }
}

/// Has `judge` ask FreeSWITCH's profiles whether they answer; gives the work of it. In observe mode nobody asks.
fn ask_profiles(
    judge: &mut Judge,
    config: &Config,
    found: &Found,
    orders: mpsc::Sender<judge::Order>,
) -> impl Future<Output = ()> + use<> {
    let (want, wanted) = watch::channel(Arc::from([]));
    if config.mode == Mode::Ban {
        let (own, ports) = (found.host.own.clone(), config.route.gate.sip_ports.clone());
        judge.ask_by(Prober::new(want, own, ports, found.coverage.gate));
    }
    probe::run(wanted, orders)
}

/// Tells the engine the policy, and who is never banned as far as that is known without a look-up.
fn prepare(judge: &mut Judge, config: &Config, found: &Found) -> Names {
    judge.tell(Input::Policy(Box::new(config.policy.clone())));
    let names = Names::default();
    exempt(judge, host_exemptions(&found.host));
    exempt(judge, names.classes(config));
    names
}

/// The end, when nothing is judged any more: what was decided is carried out, written and reported.
async fn finish(
    kernel: Kernel,
    (store, config): (Store, &Config),
    (totals, records): (Totals, &broadcast::Sender<Arc<Record>>),
    tellers: Tellers,
) -> anyhow::Result<()> {
    let kernel_end = kernel.end().await;
    close(store, records).await;
    flush_if_wanted(config).await?;
    Record::Stopped(totals).tell(records);
    tellers.finish().await;
    kernel_end
}

/// Who may use the API and the page, and how many at once.
fn access(config: &Config, saved: &Saved, links: Arc<Links>, clock: &Clock) -> Access {
    let room = Room::within(raise_descriptors());
    let tokens = (saved.tokens.clone(), saved.retired.clone());
    Access::new(&config.http, tokens, links, clock.clone(), room)
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

/// What the settings say about questions to FreeSWITCH.
fn asked(config: &Config) -> directory::Asked {
    directory::Asked { lists: config.allow_acl.clone(), reads_sofia_conf: config.read_sofia_conf }
}

fn exempt(judge: &mut Judge, classes: impl IntoIterator<Item = Exempt>) {
    for (class, nets) in classes {
        judge.exempt(class, nets);
    }
}

/// A number that nobody outside can guess: the standard library seeds its hashers with the
/// system's randomness.
pub(crate) fn seed() -> u64 {
    std::hash::RandomState::new().hash_one(0_u8)
}

fn session_config(
    config: &Config,
    credentials: &Credentials,
    is_near: bool,
) -> anyhow::Result<SessionConfig> {
    let (near, far) = (config.esl.retry_near, config.esl.retry_far);
    let far = Backoff { initial: near.min(far), max: far, ..Backoff::default() };
    let backoff = if is_near { Backoff { initial: near, max: near, jitter: 0.0 } } else { far };
    Ok(SessionConfig {
        backoff,
        refused_backoff: far,
        port: credentials.port,
        user: credentials.user.clone(),
        connect_timeout: config.esl.connect_timeout,
        heartbeat_timeout: config.esl.heartbeat_timeout,
        queue: config.esl.queue,
        seed: seed(),
        subscription: Subscription::sofia_required(),
        optional: Some(optional_events()?),
        ..SessionConfig::new(credentials.host.clone(), credentials.password.clone())
    })
}

/// The events that are good to have beside those without which nobody can be banned.
pub(crate) fn optional_events() -> Result<Subscription, InvalidCommand> {
    Subscription::sofia_optional()
        .custom(bridge::REPORT)?
        .custom(bridge::CALL)?
        .custom(bridge::PROFILE_START)?
        .event(bridge::RELOADED)
}

fn started(
    config: &Config,
    credentials: &Credentials,
    found: &Found,
    restored: &Restored,
    clock: &Clock,
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
    if let Some(written) = clock.behind() {
        let by_seconds = written.since(clock.now()).as_secs_f64();
        records.push(Record::ClockBehind { by_seconds, written: Time(written) });
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
