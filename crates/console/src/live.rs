//! What happens, in short, for the script of the pages.
//!
//! `/api/v1/events` has every record whole: some 700 bytes for each ban. A page needs to know that something changed,
//! and what was last: 100 bytes, at most every 1.5 s however much happens.

use std::convert::Infallible;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::mem::take;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use axum::extract::State;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures_util::stream::{Stream, unfold};
use serde::Serialize;
use tokio::sync::broadcast::{self, error::RecvError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};

use super::error_page::ErrorPage;
use super::fields::Asked;
use super::language::{self, Language, t, text};
use sipward_config::Mode;
use sipward_daemon::control::Control;
use sipward_model::record::Record;
use sipward_model::text::Plain;
use sipward_model::wire::{ProblemKind, Status};
use sipward_server::http::error::ApiError;

/// Listeners at once, as many as the API has: each takes a connection for good.
const LISTENERS: usize = 16;

/// Shortest time between two messages.
const PACE: Duration = Duration::from_millis(1_500);

/// Pause after which a silent stream shows that it lives.
const KEEP_ALIVE: Duration = Duration::from_secs(25);

/// Longest text of a message, in characters.
const MOST: usize = 80;

static PLACES: LazyLock<Arc<Semaphore>> = LazyLock::new(|| Arc::new(Semaphore::new(LISTENERS)));

/// What happened since the message before.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
struct Change {
    bans: u64,
    unbans: u64,
    /// The last of what happened.
    last: String,
    /// What the browser notifies of.
    #[serde(skip_serializing_if = "Option::is_none")]
    alert: Option<String>,
}

/// The state that changes are said of, as a word. A page has it with what it shows, so that nothing is lost between
/// the page and its stream.
pub(super) fn state(status: &Status) -> String {
    let Status { totals, event_socket, mode, gate, store, alarms, sources, .. } = status;
    let observes = *mode == Mode::Observe;
    let gate = gate.as_ref().map(|gate| (gate.ipv4_inbound, gate.ipv6_inbound, gate.gaps.len()));
    let mut hasher = DefaultHasher::new();
    (totals.bans, totals.unbans, totals.refused, event_socket.connected).hash(&mut hasher);
    (observes, gate, store.state, alarms.state, alarms.last_day, sources.attention)
        .hash(&mut hasher);
    format!("{:x}", hasher.finish())
}

/// Changes since the state `seen`, or from now on, as server-sent events.
pub(super) async fn listen(
    State(control): State<Control>,
    Asked(query): Asked,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, ErrorPage> {
    let place = Arc::clone(&PLACES).try_acquire_owned().map_err(|_| {
        let detail = format!("all {LISTENERS} places for live pages are taken");
        ApiError::new(ProblemKind::Unavailable, detail)
    })?;
    let records = control.records().subscribe();
    // Only now: what happens from here on is among the records.
    let behind = match query.text("seen") {
        Some(seen) => seen != state(&control.status().await?),
        None => false,
    };
    let language = language::current();
    let listener = Listener { records, behind, sent: Instant::now(), language, _place: place };
    let events = unfold(listener, |mut listener| async {
        let change = listener.next().await?;
        let data = serde_json::to_string(&change).unwrap_or_default();
        Some((Ok(Event::default().data(data)), listener))
    });
    Ok(Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)))
}

struct Listener {
    records: broadcast::Receiver<Arc<Record>>,
    /// Something happened before the records.
    behind: bool,
    sent: Instant,
    /// The stream outlives the request, whose task has the language.
    language: &'static Language,
    _place: OwnedSemaphorePermit,
}

impl Listener {
    /// Waits for a change, and for what else happens until a message is due.
    async fn next(&mut self) -> Option<Change> {
        let mut change = Change::default();
        if take(&mut self.behind) {
            return Some(change);
        }
        while !change.hear(self.records.recv().await, self.language)? {}
        let due = self.sent + PACE;
        while let Ok(heard) = timeout_at(due, self.records.recv()).await {
            if change.hear(heard, self.language).is_none() {
                break;
            }
        }
        self.sent = Instant::now();
        Some(change)
    }
}

impl Change {
    /// Whether it is a change that pages show; `None` at the end of the records.
    fn hear(
        &mut self,
        heard: Result<Arc<Record>, RecvError>,
        language: &'static Language,
    ) -> Option<bool> {
        match heard {
            Ok(record) => Some(language::within(language, || self.add(&record))),
            // A page that missed something has to look.
            Err(RecvError::Lagged(_)) => Some(true),
            Err(RecvError::Closed) => None,
        }
    }

    fn add(&mut self, record: &Record) -> bool {
        let (words, alerts) = match record {
            Record::Ban(ban) => {
                self.bans += 1;
                (text!("{net} banned", net = ban.net), true)
            }
            Record::Unban { net, .. } => {
                self.unbans += 1;
                (text!("{net} unbanned", net = net), false)
            }
            Record::Refused { net, .. } => (text!("ban of {net} refused", net = net), false),
            Record::NeedsAttention { user, .. } => {
                (text!("phone of {user} needs attention", user = Plain(user)), false)
            }
            Record::Alarm(_) => (t("alarm").to_owned(), true),
            Record::EslConnected { .. } => (t("FreeSWITCH connected").to_owned(), false),
            Record::EslDisconnected { .. } => (t("FreeSWITCH NOT connected").to_owned(), true),
            Record::EslBlind { .. } => (t("events missed").to_owned(), false),
            Record::StoreDegraded { .. } => (t("storage failed").to_owned(), true),
            Record::StoreRecovered { .. } => (t("storage recovered").to_owned(), false),
            Record::Gate { .. } => (t("gate changed").to_owned(), false),
            Record::Reload { .. } => (t("configuration reloaded").to_owned(), false),
            _ => return false,
        };
        self.last = words.chars().take(MOST).collect();
        if alerts {
            self.alert = Some(self.last.clone());
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use sipward_engine::UnblockReason;

    use super::*;

    fn unban(last: u8) -> Arc<Record> {
        let net = format!("192.0.2.{last}/32").parse().unwrap();
        let reason = UnblockReason::Manual;
        Arc::new(Record::Unban { net, reason, still_stopped_by: None })
    }

    #[tokio::test(start_paused = true)]
    async fn however_much_happens_there_is_one_message_in_a_while() {
        let (records, receiver) = broadcast::channel(16);
        let place = Arc::clone(&PLACES).try_acquire_owned().unwrap();
        let began = Instant::now();
        let language = language::current();
        let mut listener =
            Listener { records: receiver, behind: true, sent: began, language, _place: place };
        assert_eq!(listener.next().await, Some(Change::default()), "what it missed, at once");
        assert_eq!(began.elapsed(), Duration::ZERO);
        for last in 1..=9 {
            records.send(unban(last)).unwrap();
        }
        let change = listener.next().await.unwrap();
        assert_eq!((change.bans, change.unbans), (0, 9));
        assert_eq!(change.last, "192.0.2.9/32 unbanned");
        assert!(began.elapsed() >= PACE);
        assert_eq!(change.alert, None);
        drop(records);
        assert_eq!(listener.next().await, None);
    }

    #[test]
    fn the_texts_of_attackers_are_short_and_plain() {
        let user = format!("\u{1b}\u{202e}{}", "x".repeat(500));
        let record = Record::NeedsAttention {
            address: "192.0.2.7".parse().unwrap(),
            user: user.as_str().into(),
            user_agent: "".into(),
            last_success: None,
        };
        let mut change = Change::default();
        assert!(change.add(&record));
        assert!(change.last.starts_with("phone of \\u{1b}\\u{202e}xxx"), "{}", change.last);
        assert_eq!(change.last.chars().count(), MOST);
    }
}
