//! Every stored ban back in force, before the first event is judged.

use std::time::Duration;

use sipward_engine::Input;
use sipward_route::{Found, Report};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use sipward_config::{Config, Credentials, Mode};
use sipward_daemon::names::{Exempt, Names};
use sipward_daemon::systemd;
use sipward_daemon::{EngineTask, FirstList, Restored, host_exemptions};
use sipward_model::clock::Clock;
use sipward_model::record::{Record, Started};
use sipward_model::text::Time;
use sipward_store::Saved;

/// Longest wait for the first look-up of names; attackers do not wait longer.
const FIRST_LOOK_UP: Duration = Duration::from_secs(5);

/// What the restoring goes by.
pub(super) struct Restoring<'a> {
    pub(super) config: &'a Config,
    pub(super) credentials: &'a Credentials,
    /// What the kernel side found at its start.
    pub(super) found: &'a Found,
}

impl Restoring<'_> {
    /// Restores the bans of `saved`, adopts routes that nothing explains, and says READY to systemd once the
    /// kernel has answered for all of them.
    pub(super) async fn run(
        self,
        engine_task: &mut EngineTask,
        saved: Saved,
        reports: &mut mpsc::Receiver<Report>,
        stop: &CancellationToken,
    ) -> Names {
        let Self { config, credentials, found } = self;
        let mut names = prepare(engine_task, config, found);
        engine_task.await_first_list(FirstList::awaited(&config.store.location, &saved));
        if config.fleet.is_some() {
            engine_task.keep_remembered();
        }
        let restored = engine_task.take_over(saved, found);
        for record in started(config, credentials, found, &restored, engine_task.clock()) {
            engine_task.publish(record);
        }
        engine_task.settle(restored.missing, reports, stop).await;
        // Bans are restored: FreeSWITCH may start. It must not wait for a name server.
        systemd::ready();
        look_up(&mut names, engine_task, config).await;
        names
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
    restored: &Restored,
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
