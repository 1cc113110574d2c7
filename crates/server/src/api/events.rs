//! `/events` and `/failures`: what happens, and what happened last.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures_util::stream::{Stream, unfold};
use serde_json::{Map, Value};
use sipward_engine::Timestamp;
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::broadcast::{self, error::RecvError};

use super::Api;
use crate::http::error::{self, Answer, ApiError};
use crate::http::extract::Query;
use sipward_model::clock::Clock;
use sipward_model::record::{Record, line, line_with_message};
use sipward_model::text::Time;
use sipward_model::wire::{EventQuery, FailurePage, FailureQuery, Line, Problem, ProblemKind};

/// Listeners at once: each may fall thousands of records behind, and takes a connection for good.
pub(super) const LISTENERS: usize = 16;

/// Longest list of event names, in bytes.
const MAX_NAMES: usize = 500;

/// Pause after which a silent stream shows that it lives.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// What happens from now on, as server-sent events.
///
/// Each has the name of its kind and one line of JSON. A listener that is too slow gets `missed` with the
/// count of what it did not get. A comment comes at least every 15 s.
#[utoipa::path(
    get, path = "/api/v1/events", tag = "events", params(EventQuery),
    responses(
        (status = 200, description = "Server-sent events; the data of each is a `Line`", body = Line,
         content_type = "text/event-stream"),
        (status = 503, description = "Too many listeners, or the daemon is \
            stopping", body = Problem,
         content_type = "application/problem+json"),
        error::QueryErrors, error::CommonErrors
    )
)]
pub(super) async fn listen(
    State(api): State<Api>,
    Query(query): Query<EventQuery>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, ApiError> {
    let wanted = query.event.as_deref().map(names).transpose()?;
    let seat = Arc::clone(&api.listeners).try_acquire_owned().map_err(|_| {
        let detail = format!("all {LISTENERS} places for listeners are taken; try again later");
        ApiError::new(ProblemKind::Unavailable, detail)
    })?;
    let clock = api.control.clock().await?;
    let records = api.control.records().subscribe();
    let line = if query.message == Some(true) { line_with_message } else { line };
    let listener = Listener { records, wanted, line, clock, _seat: seat };
    let events = unfold(listener, |mut listener| async {
        let event = listener.next().await?;
        Some((Ok(event), listener))
    });
    Ok(Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)))
}

fn names(list: &str) -> Result<Vec<String>, ApiError> {
    if list.len() > MAX_NAMES {
        return Err(ApiError::field("event", format!("more than {MAX_NAMES} bytes")));
    }
    let is_name = |name: &str| {
        !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
    };
    let names: Vec<String> = list.split(',').map(str::to_owned).collect();
    if names.iter().all(|name| is_name(name)) {
        Ok(names)
    } else {
        Err(ApiError::field("event", "expected names separated by commas: ban,unban"))
    }
}

struct Listener {
    records: broadcast::Receiver<Arc<Record>>,
    /// All when nothing was said.
    wanted: Option<Vec<String>>,
    /// What is sent of a record.
    line: fn(&Record, Timestamp) -> Line,
    clock: Clock,
    _seat: OwnedSemaphorePermit,
}

impl Listener {
    async fn next(&mut self) -> Option<Event> {
        loop {
            let line = match self.records.recv().await {
                Ok(record) => (self.line)(&record, self.clock.now()),
                // Told to everybody, whatever they wanted.
                Err(RecvError::Lagged(count)) => {
                    return Some(event(&missed(count, self.clock.now())));
                }
                Err(RecvError::Closed) => return None,
            };
            let wanted = self.wanted.as_ref();
            if wanted.is_none_or(|names| names.contains(&line.event)) {
                return Some(event(&line));
            }
        }
    }
}

fn event(line: &Line) -> Event {
    // JSON has no line ends of its own, so it is one line of data.
    let data = serde_json::to_string(line).unwrap_or_default();
    Event::default().event(&line.event).data(data)
}

fn missed(count: u64, now: Timestamp) -> Line {
    let fields = Map::from_iter([("count".to_owned(), Value::from(count))]);
    Line { time: Time(now), event: "missed".to_owned(), level: None, message: None, fields }
}

/// The latest failures, newest first.
#[utoipa::path(
    get, path = "/api/v1/failures", tag = "events", params(FailureQuery),
    responses(
        (status = 200, description = "A page of the latest failures", body = FailurePage),
        error::QueryErrors, error::CommonErrors
    )
)]
pub(super) async fn failures(
    State(api): State<Api>,
    Query(query): Query<FailureQuery>,
) -> Answer<FailurePage> {
    Ok(Json(api.control.failures(query).await?))
}
