//! Counts and states for Prometheus.
//!
//! | module | holds |
//! |---|---|
//! | `tally` | counts made from records |
//! | `page` | the two text formats: Prometheus 0.0.4 and `OpenMetrics` 1.0 |
//! | `render` | which metrics there are, their names and help |
//!
//! [`render()`] is pure: a [`Snapshot`] in, text out. The names are an interface: they do not change without a
//! line in the changelog, and a test holds the dashboard and the alert rules to them.
//!
//! There is no metrics crate: `prometheus-client` writes `OpenMetrics` only, in which a counter's family has
//! another name than its sample, so Debian's `promtool check metrics` finds every counter without help;
//! `prometheus` knows no units and keeps a registry of its own beside the one owner of each number here.

mod page;
mod render;
mod tally;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sipward_engine::Timestamp;
use sipward_route::ShieldCounts;
use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;

pub use page::Format;
pub use render::render;
pub(crate) use tally::refusal_word;
pub use tally::{Histogram, Tally};

use crate::activity::{Activity, Kept};
use sipward_model::clock::Clock;
use sipward_model::record::Record;
use sipward_model::wire::Fleet;
use sipward_notify::{Delivery, DeliveryStats, EventReceiver, METRICS};
use sipward_store::{Entry, Health, Store};

/// The values of a scrape.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// Version of sipward.
    pub version: &'static str,
    /// When the daemon was started, in seconds since the epoch.
    pub started: f64,
    /// Nothing touches the kernel.
    pub observe: bool,
    /// Events received.
    pub events: u64,
    /// Events dropped in the queue of sipward.
    pub events_dropped: u64,
    /// Connected to FreeSWITCH, logged in and subscribed.
    pub esl_connected: bool,
    /// Time without a connection until now, in seconds; 0 when there is one.
    pub esl_away: f64,
    /// Active registrations of phones.
    pub registrations: u64,
    /// Active bans.
    pub bans: u64,
    /// Bans among them that stop packets to the SIP ports only.
    pub sip_bans: u64,
    /// Their limit.
    pub max_bans: u64,
    /// Bans among them that the kernel refused.
    pub not_enforced: u64,
    /// Bans of hosts among them whose route is set in the kernel.
    pub routes: u64,
    /// Flows that are denied.
    pub flows: u64,
    /// Flows that can be denied at once.
    pub max_flows: u64,
    /// Flows among them that the kernel refused.
    pub flows_not_enforced: u64,
    /// Packets of banned hosts are dropped on arrival: IPv4, IPv6. `None` in observe mode.
    pub gate: Option<[bool; 2]>,
    /// Sources: tracked, weightless, known, in need of attention, banned before.
    pub sources: [u64; 5],
    /// How FreeSWITCH fares in a flood.
    pub flood: FloodNow,
    /// The state of the store.
    pub store: Health,
    /// Counts made from records.
    pub tally: Tally,
    /// Mail, webhooks, and the counting itself.
    pub deliveries: Vec<Delivery>,
    /// Other nodes.
    pub fleet: Arc<Fleet>,
}

/// How FreeSWITCH fares in a flood.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct FloodNow {
    /// The budgets of all strangers drop.
    pub shielded: bool,
    /// A profile of FreeSWITCH does not answer.
    pub deaf: bool,
    /// How long the slowest profile took for its latest answer, in seconds; `None` while none is asked.
    pub answer: Option<f64>,
    /// Hosts that the shield lets pass as healthy; `None` without a shield.
    pub healthy_hosts: Option<u64>,
    /// What the shield has counted since the start.
    pub counts: ShieldCounts,
}

/// Counts what is reported, from the moment it is made, and remembers the latest of it.
#[derive(Debug)]
pub struct Metrics {
    tally: Mutex<Tally>,
    activity: Mutex<Activity>,
    clock: Clock,
    ledgers: Vec<Arc<DeliveryStats>>,
}

impl Metrics {
    /// The counter, and the work that keeps it; `ledgers` are reported beside. `store` keeps the alarms
    /// that nothing reports again, and which were acknowledged.
    pub fn new(
        records: &broadcast::Sender<Arc<Record>>,
        ledgers: &[Arc<DeliveryStats>],
        store: Store,
        clock: Clock,
    ) -> (Arc<Self>, impl Future<Output = ()> + Send + 'static) {
        let own = Arc::new(DeliveryStats::new(METRICS.to_owned()));
        let ledgers = ledgers.iter().chain([&own]).cloned().collect();
        let mut hearing = EventReceiver::new(records, own, CancellationToken::new());
        let metrics = Arc::new(Self {
            tally: Mutex::default(),
            activity: Mutex::new(Activity::new(clock.at_start())),
            clock: clock.clone(),
            ledgers,
        });
        let counting = Arc::clone(&metrics);
        let work = async move {
            while let Some(record) = hearing.next().await {
                counting.lock().note(&record);
                match counting.activity().note(&record, clock.now()) {
                    Some(Kept::Raised(alarm)) => store.put(Entry::Alarm(alarm)),
                    Some(Kept::Ended(kind, about)) => {
                        store.put(Entry::ForgetAcknowledgement { kind, about });
                    }
                    None => {}
                }
            }
        };
        (metrics, work)
    }

    /// The counts now.
    pub fn tally(&self) -> Tally {
        self.lock().clone()
    }

    /// What was delivered and lost.
    pub fn deliveries(&self) -> Vec<Delivery> {
        self.ledgers.iter().map(|ledger| ledger.read()).collect()
    }

    /// Looks at what is remembered. Counting waits meanwhile: whatever takes longer than copying belongs
    /// behind it.
    pub fn recall<T>(&self, look: impl FnOnce(&mut Activity, Timestamp) -> T) -> T {
        look(&mut self.activity(), self.clock.now())
    }

    fn activity(&self) -> MutexGuard<'_, Activity> {
        self.activity.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> MutexGuard<'_, Tally> {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
