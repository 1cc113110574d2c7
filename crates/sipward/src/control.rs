//! What can be asked of a running daemon, and done to it.
//!
//! Every request is a method of [`Control`], with types of [`crate::model`] and errors of its own
//! ([`ControlError`]); nothing here knows HTTP. The API and the console are adapters over it.
//!
//! | module | answers |
//! |---|---|
//! | `status`, `alarms`, `flood`, `metrics` | how the daemon is |
//! | `bans`, `select`, `export`, `flows` | who is banned; bans and unbans |
//! | `sources`, `healthy`, `hosts`, `failures`, `attacks`, `series` | who attacks, who is well |
//! | `allow`, `overlap` | who is never banned by a rule |
//! | `history` | what was decided |
//! | `policy`, `preview`, `what_if` | the rules' values; what a change or an event would do |
//! | `bounds`, `convert`, `error` | limits of a request; the engine's and the store's types → those of the wire; errors |

mod alarms;
mod allow;
mod attacks;
mod bans;
mod bounds;
mod convert;
mod error;
mod export;
mod failures;
mod flood;
mod flows;
mod healthy;
mod history;
mod hosts;
mod metrics;
mod overlap;
mod policy;
mod preview;
mod select;
mod series;
mod sources;
mod status;
mod what_if;

use std::sync::Arc;

use tokio::sync::broadcast;

use crate::clock::Clock;
use crate::config::{Config, Mode};
use crate::daemon::{EngineHandle, Settings};
use crate::metrics::Metrics;
use crate::model::StoreHealth;
use crate::record::Record;
use crate::store::Store;
pub(crate) use bounds::{between, bounded};
pub(crate) use error::ControlError;
pub(crate) use hosts::Lookups;

/// A running daemon, for those who ask something of it.
#[derive(Clone)]
pub(crate) struct Control {
    engine: EngineHandle,
    settings: Arc<Settings>,
    store: Store,
    records: broadcast::Sender<Arc<Record>>,
    mode: Mode,
    metrics: Arc<Metrics>,
    lookups: Lookups,
    /// Where routes are looked up.
    routes: Arc<sipward_route::Settings>,
}

/// The parts of the daemon that [`Control`] works with.
pub(crate) struct Parts<'a> {
    pub(crate) engine: EngineHandle,
    pub(crate) settings: Arc<Settings>,
    pub(crate) store: Store,
    pub(crate) records: broadcast::Sender<Arc<Record>>,
    pub(crate) config: &'a Config,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) lookups: Lookups,
}

impl Control {
    pub(crate) fn new(parts: Parts<'_>) -> Self {
        let Parts { engine, settings, store, records, config, metrics, lookups } = parts;
        let (mode, routes) = (config.mode, Arc::new(config.route.clone()));
        Self { engine, settings, store, records, mode, metrics, lookups, routes }
    }

    pub(crate) fn engine(&self) -> &EngineHandle {
        &self.engine
    }

    /// Everything that happens, from the moment somebody subscribes.
    pub(crate) fn records(&self) -> &broadcast::Sender<Arc<Record>> {
        &self.records
    }

    pub(crate) fn store(&self) -> &Store {
        &self.store
    }

    /// The health of the store now.
    pub(crate) fn store_health(&self) -> StoreHealth {
        convert::health(self.store.health())
    }

    /// The health of the store once it has written everything decided so far.
    pub(crate) async fn store_settled(&self) -> StoreHealth {
        convert::health(self.store.settled().await)
    }

    /// The daemon's clock.
    pub(crate) async fn clock(&self) -> Result<Clock, ControlError> {
        Ok(self.engine.call(|task| task.clock().clone()).await?)
    }
}
