//! The connection to FreeSWITCH and the tasks around the engine.

use std::sync::Arc;

use sipward_esl::{Backoff, Notices, SessionConfig, SessionHandle};
use sipward_route::Found;
use tokio::sync::{broadcast, mpsc, watch};
use tokio::task::JoinHandle;

use sipward_config::{Config, Credentials, Mode};
use sipward_daemon::certificates::Certificates;
use sipward_daemon::freeswitch_queries::{self, Answer, Asked, Query};
use sipward_daemon::geo::Geo;
use sipward_daemon::logging::LogControl;
use sipward_daemon::names::Names;
use sipward_daemon::probe::{self, Probed};
use sipward_daemon::{
    Applied, Command, Current, Deps, EngineHandle, EngineTask, Kernel, Prober, Reload, Settings,
    State, is_near, look_up_names, optional_events, read_geo, reload_on_hangup,
};
use sipward_model::clock;
use sipward_model::record::Record;
use sipward_store::Store;

/// Orders that wait for the engine at most; they come from the name look-ups and SIGHUP.
const COMMANDS: usize = 16;

/// Answers of FreeSWITCH that wait for the engine at most; a list of registrations is many.
const ANSWERS: usize = 16;

/// What is wired together.
pub(super) struct Wiring<'a> {
    pub(super) config: &'a Config,
    pub(super) credentials: Credentials,
    pub(super) kernel: &'a Kernel,
    pub(super) store: &'a Store,
    pub(super) records: &'a broadcast::Sender<Arc<Record>>,
    pub(super) geo: &'a Arc<Geo>,
    pub(super) certificates: Option<&'a Arc<Certificates>>,
}

/// What runs then, and the ways to it.
pub(super) struct Wired {
    pub(super) session: Session,
    pub(super) notices: Notices,
    pub(super) engine: EngineHandle,
    pub(super) commands: mpsc::Sender<Command>,
    pub(super) commands_in: mpsc::Receiver<Command>,
    pub(super) answers: mpsc::Receiver<Answer>,
    pub(super) probed: mpsc::Receiver<Probed>,
    pub(super) settings: Arc<Settings>,
    /// They are aborted at the end.
    pub(super) helpers: Vec<JoinHandle<()>>,
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

impl Wiring<'_> {
    /// Starts the connection to FreeSWITCH and every task that the engine works with.
    ///
    /// # Errors
    /// When the settings of the connection do not fit, or no handler of SIGHUP can be had.
    pub(super) async fn start(
        self,
        engine_task: &mut EngineTask,
        (state, reload, logs): (State, Reload, Option<LogControl>),
        (names, questions): (Names, mpsc::Receiver<Query>),
    ) -> anyhow::Result<Wired> {
        let Self { config, credentials, kernel, store, records, geo, certificates } = self;
        let (commands, commands_in) = mpsc::channel(COMMANDS);
        let (answers_out, answers) = mpsc::channel(ANSWERS);
        let (probed_out, probed) = mpsc::channel(ANSWERS);
        let near = is_near(&credentials.host, &kernel.found.host).await;
        let (task, handle, notices) =
            sipward_esl::session(session_config(config, &credentials, near)?);
        let session = Session { handle: handle.clone(), task: tokio::spawn(task.run()) };
        let (asked, asked_in) = watch::channel(Asked::by(config));
        let (current, current_in) = watch::channel(Current::at_start(config));
        let in_force = Applied { generation: 0, answers: names.answers() };
        let (in_force_out, in_force) = watch::channel(in_force);
        let engine = EngineHandle::new(commands.clone());
        let ways = Deps {
            engine: engine.clone(),
            commands: commands.clone(),
            current,
            asked,
            in_force,
            records: records.clone(),
            store: store.clone(),
            kernel: kernel.switch(),
            logs,
            geo: Arc::clone(geo),
            certificates: certificates.cloned(),
        };
        let settings = Arc::new(Settings::new(ways, reload, state));
        let directory = freeswitch_queries::Deps::new(
            (handle, credentials, config.esl.connect_timeout),
            (asked_in, questions),
            (answers_out, kernel.ports.clone(), records.clone()),
        );
        let helpers = vec![
            tokio::spawn(freeswitch_queries::run(directory)),
            tokio::spawn(ask_profiles(engine_task, config, &kernel.found, probed_out)),
            tokio::spawn(look_up_names(names, current_in, in_force_out, commands.clone())),
            tokio::spawn(reload_on_hangup(Arc::clone(&settings))?),
            tokio::spawn(read_geo(Arc::clone(geo), config.geo.clone(), records.clone())),
        ];
        Ok(Wired {
            session,
            notices,
            engine,
            commands,
            commands_in,
            answers,
            probed,
            settings,
            helpers,
        })
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
