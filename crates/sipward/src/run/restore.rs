//! Every stored ban back in force, before the first event is judged.

use std::time::Duration;

use sipward_engine::{Engine, Input};
use sipward_route::{Found, Report};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::Common;
use super::open::Opened;
use sipward_config::{Config, Credentials, Mode};
use sipward_daemon::freeswitch_queries::Query;
use sipward_daemon::logging::LogControl;
use sipward_daemon::names::{Exempt, Names};
use sipward_daemon::systemd;
use sipward_daemon::{
    EngineTask, FirstList, Outputs, QUERIES, Reload, State, TakenOver, host_exemptions, status_hook,
};
use sipward_model::clock::{self, Clock};
use sipward_model::record::{Record, Started};
use sipward_model::text::Time;

/// Longest wait for the first look-up of names; attackers do not wait longer.
const FIRST_LOOK_UP: Duration = Duration::from_secs(5);

/// The engine's task with every stored ban in force.
pub(super) struct Restored {
    pub(super) common: Common,
    pub(super) engine_task: EngineTask,
    pub(super) settings: State,
    pub(super) reload: Reload,
    pub(super) logs: Option<LogControl>,
    /// Names of `allow` and `proxies` and their addresses.
    pub(super) names: Names,
    /// What the engine's task asks of FreeSWITCH.
    pub(super) questions: mpsc::Receiver<Query>,
    pub(super) reports: mpsc::Receiver<Report>,
    /// Mail or a webhook has delivered a test in an earlier run.
    pub(super) notified: bool,
}

impl Opened {
    /// Restores the stored bans, adopts routes that nothing explains, and says READY to systemd once the
    /// kernel has answered for all of them.
    ///
    /// # Errors
    /// When the policy of the file does not fit together.
    pub(super) async fn restore(self, stop: &CancellationToken) -> anyhow::Result<Restored> {
        let Self { common, saved, settings, reload, logs, shielding, routes_out, mut reports } =
            self;
        let Common { config, credentials, clock, kernel, .. } = &common;
        let found = &kernel.found;
        let notified = saved.notified.is_some();

        let engine = Engine::new(settings.file.policy.clone(), clock::seed())?;
        let (ask, questions) = mpsc::channel(QUERIES);
        let (store, records) = (common.store.clone(), common.records.clone());
        let outputs = Outputs { routes_out, store, questions: ask, records };
        let mut engine_task =
            EngineTask::new(engine, clock.clone(), outputs, status_hook(logs.clone()), shielding);
        let mut names = prepare(&mut engine_task, config, found);
        engine_task.await_first_list(FirstList::awaited(&config.store.location, &saved));
        if config.fleet.is_some() {
            engine_task.keep_remembered();
        }
        let taken_over = engine_task.take_over(saved, found);
        for record in started(config, credentials, found, &taken_over, engine_task.clock()) {
            engine_task.publish(record);
        }
        engine_task.settle(taken_over.missing, &mut reports, stop).await;
        // Bans are restored: FreeSWITCH may start. It must not wait for a name server.
        systemd::ready();
        look_up(&mut names, &mut engine_task, config).await;
        Ok(Restored {
            common,
            engine_task,
            settings,
            reload,
            logs,
            names,
            questions,
            reports,
            notified,
        })
    }
}

/// Passes the policy to the engine, and the exemptions that are known without a look-up.
fn prepare(engine_task: &mut EngineTask, config: &Config, found: &Found) -> Names {
    engine_task.handle(Input::Policy(Box::new(config.policy.clone())));
    let names = Names::default();
    exempt(engine_task, host_exemptions(&found.host));
    exempt(engine_task, names.classes(config));
    names
}

/// Looks the names of `allow` and `proxies` up before the first event is judged, if that is quick.
async fn look_up(names: &mut Names, engine_task: &mut EngineTask, config: &Config) {
    let found = tokio::time::timeout(FIRST_LOOK_UP, names.refresh(config)).await;
    let Ok((classes, failed)) = found else {
        // The next look-up is not far, and lifts what it must.
        tracing::warn!("names of `allow` and `proxies` are not resolved yet");
        return;
    };
    exempt(engine_task, classes);
    failed.iter().for_each(Record::log);
}

fn exempt(engine_task: &mut EngineTask, classes: impl IntoIterator<Item = Exempt>) {
    for (class, nets) in classes {
        engine_task.exempt(class, nets);
    }
}

fn started(
    config: &Config,
    credentials: &Credentials,
    found: &Found,
    restored: &TakenOver,
    clock: &Clock,
) -> Vec<Record> {
    let mut records = vec![Record::Started(Started {
        version: env!("CARGO_PKG_VERSION"),
        mode: config.mode.as_str(),
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
