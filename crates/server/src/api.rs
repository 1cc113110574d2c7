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
//! | `/stats` | GET | [`model::StatsQuery`] → [`model::Stats`] |
//! | `/policy` | GET | [`model::PolicyView`] |
//! | `/policy` | PATCH | [`model::PolicyChange`] → [`model::PolicyView`] |
//! | `/policy/preview` | POST | [`model::PolicyChange`] → [`model::PolicyPreview`]; nothing is changed |
//! | `/policy/replay` | POST | [`model::PolicyChange`] → [`model::PolicyReplay`]; nothing is changed; 429 |
//! | `/policy/{key}` | DELETE | an override → [`model::PolicyView`] |
//! | `/mode` | GET | [`model::ModeView`], with the effect of mode `ban` |
//! | `/mode` | PATCH | [`model::NewMode`] → [`model::ModeView`] |
//! | `/doctor` | GET | [`model::DoctorQuery`] → [`model::Examination`] |
//! | `/fleet` | GET | [`model::Fleet`] |
//! | `/fleet/{net}` | GET | [`model::FleetWhy`] |
//! | `/events` | GET | [`model::EventQuery`] → server-sent events, each a [`model::Line`] |
//! | `/series` | GET | [`model::SeriesQuery`] → [`model::Series`] |
//! | `/alarms` | GET | [`model::AlarmList`] |
//! | `/users` | GET | [`model::UserQuery`] → [`model::UserPage`] |
//! | `/alarms/{kind}/ack` | POST | [`model::AcknowledgeQuery`] → [`model::Acknowledged`] |
//! | `/top` | GET | [`model::TopQuery`] → [`model::Top`] |
//! | `/places` | GET | [`model::PlaceQuery`] → [`model::PlaceList`] |
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
//! | `document` | the routes with the scope each needs, and the `OpenAPI` document made from them |
//! | `tokens` | who may use the API on TCP |
//! | `events`, `export`, `metrics` | answers that are no single JSON document |
//! | the others | a handler for each path: [`sipward_daemon::control`] in HTTP's words |

mod alarms;
mod allow;
mod attacks;
mod bans;
mod doctor;
mod document;
mod events;
mod export;
mod fleet;
mod flows;
mod healthy;
mod history;
mod hosts;
mod listener;
mod metrics;
mod mode;
mod places;
mod policy;
mod preview;
mod series;
mod sources;
mod stats;
mod status;
mod tokens;
mod what_if;

use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use axum::Router;
use ipnet::IpNet;
use tokio::sync::Semaphore;

use crate::http::error::ApiError;
use crate::http::{Access, serve};
pub use document::router;
use listener::Listener;
use sipward_daemon::control::Control;
use sipward_model::record::Record;
use sipward_model::wire as model;

/// What the handlers work with.
#[derive(Clone)]
pub struct Api {
    control: Control,
    access: Arc<Access>,
    /// Seats for listeners of events.
    listeners: Arc<Semaphore>,
}

impl Api {
    pub fn new(control: Control, access: Arc<Access>) -> Self {
        Self { control, access, listeners: Arc::new(Semaphore::new(events::LISTENERS)) }
    }

    /// Opens the socket and serves until it is dropped. If the socket cannot be opened, that is reported, and the
    /// daemon continues without the API.
    pub async fn run(self, socket: &Path) {
        let records = self.control.records().clone();
        match Listener::open(socket) {
            Ok(endpoint) => {
                Record::ApiOpened { socket: socket.to_owned() }.publish(&records);
                let room = Arc::clone(&self.access.room);
                serve::serve(endpoint, router(self, Router::new()), &room, &records).await;
            }
            Err(error) => Record::ApiFailed { error: error.to_string() }.publish(&records),
        }
    }
}

/// A network in a path.
fn net_of(field: &str, text: &str) -> Result<IpNet, ApiError> {
    text.parse::<model::Net>().map(|net| net.0).map_err(|detail| ApiError::field(field, detail))
}

/// An address in a path; of a network its first one.
fn address_of(text: &str) -> Result<IpAddr, ApiError> {
    Ok(net_of("address", text)?.network().to_canonical())
}
