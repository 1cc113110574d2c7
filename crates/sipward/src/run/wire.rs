//! The connection to FreeSWITCH and the tasks around the engine.

use std::sync::Arc;

use sipward_esl::{Backoff, SessionConfig, SessionHandle};
use sipward_route::Found;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use super::restore::Restored;
use super::tasks::{StoreListener, hear_store, move_tokens};
use super::{Common, fleet};
use sipward_config::{Config, Credentials, Mode};
use sipward_daemon::fleet::FleetHandle;
use sipward_daemon::freeswitch_queries::{self, Asked};
use sipward_daemon::probe::{self, Probed};
use sipward_daemon::{
    Applied, Command, Current, Deps, EngineHandle, EngineTask, Inputs, Prober, Settings,
    expire_allowed, is_near, keep_counts, look_up_names, optional_events, read_geo,
    reload_on_hangup,
};
use sipward_model::clock;

/// Commands that wait for the engine at most; they come from the name look-ups and SIGHUP.
const COMMANDS: usize = 16;

/// Answers of FreeSWITCH that wait for the engine at most; a list of registrations is many.
const ANSWERS: usize = 16;

/// The engine's task, ready to run, and every task around it.
pub(super) struct Wired {
    pub(super) common: Common,
    pub(super) engine_task: EngineTask,
    pub(super) inputs: Inputs,
    pub(super) session: Session,
    /// The way to the engine's task.
    pub(super) engine: EngineHandle,
    pub(super) settings: Arc<Settings>,
    pub(super) fleet: FleetHandle,
    pub(super) notified: bool,
}

/// The connection to the Event Socket.
pub(super) struct Session {
    handle: SessionHandle,
    task: JoinHandle<()>,
}

impl Session {
    /// Closes the connection.
    pub(super) fn end(self) {
        self.handle.close();
        self.task.abort();
    }
}

impl Restored {
    /// Starts the connection to FreeSWITCH and every task that the engine works with.
    ///
    /// # Errors
    /// When the settings of the connection or of the fleet do not fit, or no handler of SIGHUP can be had.
    pub(super) async fn wire(self) -> anyhow::Result<Wired> {
        let Self {
            mut common,
            mut engine_task,
            settings,
            reload,
            logs,
            names,
            questions,
            reports,
            notified,
        } = self;
        let Common { ref config, ref credentials, ref kernel, ref store, ref records, .. } = common;
        let (commands, commands_in) = mpsc::channel(COMMANDS);
        let (answers_out, answers) = mpsc::channel(ANSWERS);
        let (probed_out, probed) = mpsc::channel(ANSWERS);
        let near = is_near(&credentials.host, &kernel.found.host).await;
        let (task, handle, notices) =
            sipward_esl::session(session_config(config, credentials, near)?);
        let session = Session { handle: handle.clone(), task: tokio::spawn(task.run()) };
        let (asked, asked_in) = watch::channel(Asked::by(config));
        let (current, current_in) = watch::channel(Current::at_start(config));
        let in_force = Applied { generation: 0, answers: names.answers() };
        let (in_force_out, in_force) = watch::channel(in_force);
        let engine = EngineHandle::new(commands.clone());
        let geo = Arc::clone(&common.lookups.geo);
        let deps = Deps {
            engine: engine.clone(),
            commands: commands.clone(),
            current,
            asked,
            in_force,
            records: records.clone(),
            store: store.clone(),
            kernel: kernel.switch(),
            logs,
            geo: Arc::clone(&geo),
            certificates: common.certificates.clone(),
        };
        let settings = Arc::new(Settings::new(deps, reload, settings));
        let queries = freeswitch_queries::Deps {
            session: handle,
            credentials: credentials.clone(),
            connect_timeout: config.esl.connect_timeout,
            asked: asked_in,
            questions,
            answers: answers_out,
            ports: kernel.ports.clone(),
            records: records.clone(),
        };
        common.helpers.extend([
            tokio::spawn(freeswitch_queries::run(queries)),
            tokio::spawn(ask_profiles(&mut engine_task, config, &kernel.found, probed_out)),
            tokio::spawn(look_up_names(names, current_in, in_force_out, commands.clone())),
            tokio::spawn(reload_on_hangup(Arc::clone(&settings))?),
            tokio::spawn(read_geo(geo, config.geo.clone(), records.clone())),
        ]);
        common.keep_up(&settings, commands);
        let fleet = fleet::join(&mut common, &mut engine_task, &engine, &settings).await?;
        let inputs = Inputs { notices, reports, commands: commands_in, answers, probed };
        Ok(Wired { common, engine_task, inputs, session, engine, settings, fleet, notified })
    }
}

impl Common {
    /// Starts the tasks between the store, the counts, the tokens and the settings.
    fn keep_up(&mut self, settings: &Arc<Settings>, commands: mpsc::Sender<Command>) {
        let Self { store, metrics, clock, records, access, .. } = self;
        self.helpers.extend([
            tokio::spawn(keep_counts(store.clone(), Arc::clone(metrics), clock.clone())),
            tokio::spawn(expire_allowed(Arc::clone(settings))),
            tokio::spawn(move_tokens(records, access, store, clock)),
        ]);
        if let Some(notices) = store.take_notices() {
            let listener = StoreListener {
                settings: Arc::clone(settings),
                access: Arc::clone(access),
                metrics: Arc::clone(metrics),
                commands,
                records: records.clone(),
            };
            self.helpers.push(tokio::spawn(hear_store(notices, listener)));
        }
    }
}

/// Lets `engine_task` probe FreeSWITCH's profiles; returns the task. In observe mode nothing is probed.
fn ask_profiles(
    engine_task: &mut EngineTask,
    config: &Config,
    found: &Found,
    answers: mpsc::Sender<Probed>,
) -> impl Future<Output = ()> + use<> {
    let (targets, wanted) = watch::channel(Arc::from([]));
    let (own, ports) = (found.host.own.clone(), config.route.gate.sip_ports.clone());
    let mut prober = Prober::new(targets, own, ports, found.coverage.gate);
    prober.turn(config.mode == Mode::Ban);
    engine_task.ask_by(prober);
    probe::run(wanted, answers)
}

fn session_config(
    config: &Config,
    credentials: &Credentials,
    is_near: bool,
) -> anyhow::Result<SessionConfig> {
    let (near, far) = (config.esl.retry_near, config.esl.retry_far);
    let far = Backoff::new(near.min(far), far);
    let mut session = SessionConfig::new(credentials.host.clone(), credentials.password.clone());
    session.backoff = if is_near { Backoff::new(near, near).with_jitter(0.0) } else { far };
    session.refused_backoff = far;
    session.port = credentials.port;
    session.user.clone_from(&credentials.user);
    session.connect_timeout = config.esl.connect_timeout;
    session.heartbeat_timeout = config.esl.heartbeat_timeout;
    session.queue = config.esl.queue;
    session.seed = clock::seed();
    session.optional = Some(optional_events()?);
    Ok(session)
}
