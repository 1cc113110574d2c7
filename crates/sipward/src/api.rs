//! The control API: HTTP/1 and JSON on a Unix socket, and on TCP by [`crate::http`].
//!
//! | path under `/api/v1` | methods | body → answer |
//! |---|---|---|
//! | `/status` | GET | [`model::Status`] |
//! | `/bans` | GET | [`model::BanQuery`] → [`model::BanPage`] |
//! | `/bans` | POST | [`model::NewBan`] → 201 [`model::BanMade`], 409 refused |
//! | `/bans` | DELETE | all of them → [`model::Unbanned`] |
//! | `/bans.csv`, `/bans.json` | GET | [`model::BanFilter`] → all of them as a file |
//! | `/bans/{net}` | GET | [`model::Ban`] of exactly this network |
//! | `/bans/{net}` | DELETE | everything inside it, wider ones are split → [`model::Unbanned`] |
//! | `/flows` | GET | [`model::FlowQuery`] → [`model::FlowPage`] |
//! | `/flows/{flow}` | DELETE | [`model::FlowAllowed`]; 404 |
//! | `/sources/{address}` | GET | [`model::SourceReport`] |
//! | `/allow` | GET | [`model::AllowQuery`] → [`model::AllowPage`] |
//! | `/allow` | POST | [`model::NewAllow`] → 201, or 200 when it is there already, [`model::AllowChanged`] |
//! | `/allow/preview` | POST | [`model::NewAllow`] → [`model::AllowPreview`]; nothing is changed |
//! | `/allow/{host}` | DELETE | [`model::AllowChanged`]; 409 for an entry of the file |
//! | `/healthy/{net}` | GET | [`model::Healthy`] |
//! | `/hosts/{address}` | GET | [`model::Host`] |
//! | `/whois/{address}` | GET | [`model::WhoisReport`]; 429, 502, 504 |
//! | `/history` | GET | [`model::HistoryQuery`] → [`model::HistoryPage`] |
//! | `/policy` | GET | [`model::PolicyView`] |
//! | `/policy` | PATCH | [`model::PolicyChange`] → [`model::PolicyView`] |
//! | `/policy/preview` | POST | [`model::PolicyChange`] → [`model::PolicyPreview`]; nothing is changed |
//! | `/policy/{key}` | DELETE | an override → [`model::PolicyView`] |
//! | `/events` | GET | [`model::EventQuery`] → server-sent events, each a [`model::Line`] |
//! | `/series` | GET | [`model::SeriesQuery`] → [`model::Series`] |
//! | `/alarms` | GET | [`model::AlarmList`] |
//! | `/users` | GET | [`model::UserQuery`] → [`model::UserPage`] |
//! | `/top` | GET | [`model::TopQuery`] → [`model::Top`] |
//! | `/failures` | GET | [`model::FailureQuery`] → [`model::FailurePage`] |
//! | `/test` | POST | [`model::WhatIfRequest`] → [`model::WhatIf`] |
//! | `/tokens` | GET | [`model::TokenList`] |
//! | `/tokens` | POST | [`model::NewToken`] → 201 [`model::TokenMade`], with the secret |
//! | `/tokens/{name}` | DELETE | [`model::TokenRevoked`] |
//! | `/links` | POST | [`model::NewLink`] → 201 [`model::LinkMade`], a one-time log-in |
//! | `/sessions` | DELETE | all of them → [`model::SessionsEnded`] |
//! | `/reload` | POST | [`model::Reloaded`]; 409 with what is wrong in the file |
//! | `/openapi.json` | GET | the `OpenAPI` document |
//!
//! Beside it, `/metrics` is what Prometheus reads.
//!
//! In a path, the `/` of a network is written `%2F`. Errors are [`model::Problem`]s.

//!
//! | module | holds |
//! |---|---|
//! | `listener` | the socket file, who may use it |
//! | `document` | the routes, and the `OpenAPI` document made from them |
//! | `bans`, `flows`, `select`, `export`, `sources`, `attacks`, `hosts`, `healthy`, `allow`, `history`, `series`, `policy`, `preview`, `status`, `alarms`, `events`, `what_if`, `tokens`, `metrics` | the handlers |
//! | `convert` | the engine's and the store's words → those of the wire |

pub(crate) mod alarms;
pub(crate) mod allow;
pub(crate) mod attacks;
pub(crate) mod bans;
mod convert;
mod document;
pub(crate) mod events;
pub(crate) mod export;
mod flood;
pub(crate) mod flows;
pub(crate) mod healthy;
pub(crate) mod history;
pub(crate) mod hosts;
mod listener;
mod metrics;
mod overlap;
pub(crate) mod policy;
pub(crate) mod preview;
mod select;
pub(crate) mod series;
pub(crate) mod sources;
pub(crate) mod status;
mod tokens;
pub(crate) mod what_if;

use std::path::Path;
use std::sync::Arc;

use axum::Router;
use ipnet::IpNet;
use tokio::sync::{Semaphore, broadcast};

use crate::config::{Config, Mode};
use crate::daemon::{EngineHandle, Settings};
use crate::http::error::ApiError;
use crate::http::{Access, serve};
use crate::metrics::Metrics;
use crate::model;
use crate::record::Record;
use crate::store::Store;
pub use document::document;
pub(crate) use document::router;
pub(crate) use hosts::Lookups;
use listener::Listener;

/// What the handlers work with.
#[derive(Clone)]
pub(crate) struct Api {
    engine: EngineHandle,
    settings: Arc<Settings>,
    store: Store,
    records: broadcast::Sender<Arc<Record>>,
    mode: Mode,
    metrics: Arc<Metrics>,
    access: Arc<Access>,
    lookups: Lookups,
    /// Where routes are looked up.
    routes: Arc<sipward_route::Settings>,
    /// Seats for listeners of events.
    listeners: Arc<Semaphore>,
}

/// What of the daemon the API works with.
pub(crate) struct Parts<'a> {
    pub(crate) engine: EngineHandle,
    pub(crate) settings: Arc<Settings>,
    pub(crate) store: Store,
    pub(crate) records: broadcast::Sender<Arc<Record>>,
    pub(crate) config: &'a Config,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) access: Arc<Access>,
    pub(crate) lookups: Lookups,
}

impl Api {
    pub(crate) fn new(parts: Parts<'_>) -> Self {
        let Parts { engine, settings, store, records, config, metrics, access, lookups } = parts;
        let (mode, routes) = (config.mode, Arc::new(config.route.clone()));
        let listeners = Arc::new(Semaphore::new(events::LISTENERS));
        Self { engine, settings, store, records, mode, metrics, access, lookups, routes, listeners }
    }

    pub(crate) fn engine(&self) -> &EngineHandle {
        &self.engine
    }

    pub(crate) fn records(&self) -> &broadcast::Sender<Arc<Record>> {
        &self.records
    }

    pub(crate) fn store(&self) -> &Store {
        &self.store
    }

    pub(crate) fn access(&self) -> &Arc<Access> {
        &self.access
    }

    /// Opens the socket and serves until it is dropped. When the socket cannot be opened that is reported, and
    /// the daemon goes on without: its bans matter more.
    pub(crate) async fn run(self, socket: &Path) {
        match Listener::open(socket) {
            Ok(endpoint) => {
                Record::ApiOpened { socket: socket.to_owned() }.publish(&self.records);
                let (room, records) = (Arc::clone(&self.access.room), self.records.clone());
                serve::serve(endpoint, router(self, Router::new()), &room, &records).await;
            }
            Err(error) => Record::ApiFailed { error: error.to_string() }.publish(&self.records),
        }
    }
}

/// A network in a path.
fn net_of(field: &str, text: &str) -> Result<IpNet, ApiError> {
    text.parse::<model::Net>().map(|net| net.0).map_err(|detail| ApiError::field(field, detail))
}
