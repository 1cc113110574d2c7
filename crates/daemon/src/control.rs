//! Queries and commands of a running daemon.
//!
//! Every request is a method of [`Control`], with types of [`sipward_model::wire`] and errors of its own
//! ([`ControlError`]); nothing here knows HTTP. The API and the console are adapters over it.
//!
//! | module | answers |
//! |---|---|
//! | `status`, `alarms`, `flood`, `metrics` | how the daemon is |
//! | `bans`, `select`, `export`, `flows`, `undo` | who is banned; bans and unbans, and their undo |
//! | `sources`, `healthy`, `hosts`, `failures`, `attacks`, `places`, `series` | who attacks and from where, who is well |
//! | `allow`, `overlap` | who is never banned by a rule |
//! | `history`, `recent`, `stats` | what was decided, what happened last, and both in numbers |
//! | `mode` | whether bans are carried out |
//! | `fleet` | what other nodes say |
//! | `doctor`, `first_run` | whether everything works that a ban depends on; the first steps |
//! | `notifications` | what mail and webhooks delivered; tests |
//! | `policy`, `preview`, `replay`, `what_if` | the rules' values; what a change would do or would have done, or an event |
//! | `bounds`, `convert`, `error` | limits of a request; the engine's and the store's types → those of the wire; errors |

mod alarms;
mod allow;
mod attacks;
mod bans;
mod bounds;
mod convert;
mod doctor;
mod error;
mod export;
mod failures;
mod first_run;
mod fleet;
mod flood;
mod flows;
mod healthy;
mod history;
mod hosts;
mod metrics;
mod mode;
mod notifications;
mod overlap;
mod places;
mod policy;
mod preview;
mod recent;
mod replay;
mod select;
mod series;
mod sources;
mod stats;
mod status;
mod undo;
mod what_if;

use std::sync::Arc;

use tokio::sync::broadcast;

use crate::fleet::FleetHandle;
use crate::metrics::Metrics;
use crate::{EngineHandle, Settings};
pub use bounds::{between, bounded};
pub use doctor::Examine;
pub use error::ControlError;
pub use first_run::{FirstStep, StepTaken};
pub use hosts::Lookups;
use notifications::Trials;
use sipward_config::{Config, Secrets};
use sipward_model::clock::{self, Clock};
use sipward_model::record::Record;
use sipward_model::wire::StoreHealth;
pub use sipward_notify::Delivery;
pub use sipward_notify::trial::Tested;
use sipward_store::Store;
use undo::UndoLog;
pub use undo::{Undoable, Undone};

/// The interface to a running daemon.
#[derive(Clone)]
pub struct Control {
    engine: EngineHandle,
    settings: Arc<Settings>,
    store: Store,
    records: broadcast::Sender<Arc<Record>>,
    metrics: Arc<Metrics>,
    lookups: Lookups,
    ban_origins: places::BanOrigins,
    /// Where routes are looked up.
    routes: Arc<sipward_route::Settings>,
    /// What operators can undo.
    undo: Arc<UndoLog>,
    trials: Arc<Trials>,
    fleet: FleetHandle,
    doctor: Arc<doctor::Doctor>,
    replays: replay::Replays,
}

/// The parts of the daemon that [`Control`] works with.
pub struct Parts<'a> {
    pub engine: EngineHandle,
    pub settings: Arc<Settings>,
    pub store: Store,
    pub records: broadcast::Sender<Arc<Record>>,
    pub config: &'a Config,
    pub metrics: Arc<Metrics>,
    pub lookups: Lookups,
    /// For tests of mail and webhooks.
    pub secrets: &'a Secrets,
    pub fleet: FleetHandle,
    /// Mail or a webhook has delivered a test in an earlier run.
    pub notified: bool,
    /// The checks of the program.
    pub examine: Examine,
}

/// Does what takes time on a thread for that.
async fn aside<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, ControlError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| ControlError::Unavailable(error.to_string()))
}

impl Control {
    pub fn new(parts: Parts<'_>) -> Self {
        let Parts {
            engine,
            settings,
            store,
            records,
            config,
            metrics,
            lookups,
            secrets,
            notified,
            examine,
            fleet,
        } = parts;
        let routes = Arc::new(config.route.clone());
        let ban_origins = places::BanOrigins::default();
        let trials = Trials::new(config, secrets, notified);
        let doctor = doctor::Doctor::new(examine);
        let undo = Arc::new(UndoLog::new(clock::seed() >> 1));
        Self {
            engine,
            settings,
            store,
            records,
            metrics,
            lookups,
            ban_origins,
            routes,
            undo,
            trials,
            fleet,
            doctor,
            replays: replay::Replays::default(),
        }
    }

    pub fn engine(&self) -> &EngineHandle {
        &self.engine
    }

    /// All events from the time of the subscription.
    pub fn records(&self) -> &broadcast::Sender<Arc<Record>> {
        &self.records
    }

    pub fn store(&self) -> &Store {
        &self.store
    }

    /// The health of the store now.
    pub fn store_health(&self) -> StoreHealth {
        convert::health(self.store.health())
    }

    /// The health of the store once it has written everything decided so far.
    pub async fn store_settled(&self) -> StoreHealth {
        convert::health(self.store.settled().await)
    }

    /// The daemon's clock.
    pub async fn clock(&self) -> Result<Clock, ControlError> {
        Ok(self.engine.call(|task| task.clock().clone()).await?)
    }
}
