//! What the owner's handle and the link's task share.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use async_nats::Client;
use tokio::sync::{Notify, watch};

use crate::clock::now_ms;
use crate::message::NodeStatus;
use crate::name::Peer;
use crate::own::Owned;
use crate::settings::Settings;
use crate::snapshot::{Counts, Snapshot, State, Twin};
use crate::text::Text;

/// Difference between a peer's clock and the server's beyond which it is shown, in milliseconds.
pub const MAX_SKEW: i64 = 10_000;
/// Most peers with a wrong clock that are shown.
const MAX_CLOCKS: usize = 256;

pub(crate) struct Shared {
    pub(crate) settings: Settings,
    /// Drawn anew by each process.
    pub(crate) instance: Text<32>,
    pub(crate) started: u64,
    pub(crate) counts: Counts,
    pub(crate) owned: Mutex<Owned>,
    /// Something is due.
    pub(crate) due: Notify,
    /// A stream was made anew.
    pub(crate) anew: Notify,
    /// Another process has this node's name, and shall hear of this one.
    pub(crate) present: Notify,
    /// Whether this connection's first status was said.
    pub(crate) announced: watch::Sender<bool>,
    pub(crate) client: Mutex<Option<Client>>,
    changing: Mutex<Changing>,
    rng: Mutex<fastrand::Rng>,
}

/// What changes now and then.
#[derive(Default)]
pub(crate) struct Changing {
    pub(crate) state: State,
    pub(crate) trouble: Option<String>,
    pub(crate) caught_up: bool,
    pub(crate) applied: u64,
    pub(crate) behind: u64,
    pub(crate) remembered: usize,
    pub(crate) clock_offset_ms: Option<i64>,
    pub(crate) clocks: BTreeMap<Peer, i64>,
    pub(crate) twin: Option<(Twin, Instant)>,
    pub(crate) status: NodeStatus,
}

impl Shared {
    pub(crate) fn new(settings: Settings, owned: Owned) -> Self {
        let seed = getrandom::u64().unwrap_or_else(|_| now_ms());
        let mut rng = fastrand::Rng::with_seed(seed);
        Self {
            instance: Text::cut(&format!("{:016x}", rng.u64(..))),
            started: now_ms(),
            settings,
            counts: Counts::default(),
            owned: Mutex::new(owned),
            due: Notify::new(),
            anew: Notify::new(),
            present: Notify::new(),
            announced: watch::Sender::new(false),
            client: Mutex::default(),
            changing: Mutex::default(),
            rng: Mutex::new(rng),
        }
    }

    pub(crate) fn me(&self) -> &Peer {
        &self.settings.peer
    }

    pub(crate) fn changing(&self) -> MutexGuard<'_, Changing> {
        lock(&self.changing)
    }

    pub(crate) fn owned(&self) -> MutexGuard<'_, Owned> {
        lock(&self.owned)
    }

    pub(crate) fn state(&self, state: State) {
        self.changing().state = state;
    }

    /// Something of the stream went wrong; it is tried again.
    pub(crate) fn trouble(&self, doing: &str, why: &impl Display) {
        let trouble = format!("{doing}: {why}");
        tracing::debug!(%trouble, "fleet");
        self.changing().trouble = Some(trouble);
    }

    pub(crate) fn well(&self) {
        let mut changing = self.changing();
        if changing.trouble.is_some() {
            changing.trouble = None;
        }
    }

    /// A pause drawn from a range.
    pub(crate) fn draw(&self, (least, most): (Duration, Duration)) -> Duration {
        let spread = most.saturating_sub(least);
        least + spread.mul_f64(lock(&self.rng).f64())
    }

    /// The pause after so many failures in a row: none after the first, then from half of an amount that doubles up to
    /// all of it.
    pub(crate) fn back_off(&self, failures: u32) -> Duration {
        let Some(doublings) = failures.checked_sub(2) else { return Duration::ZERO };
        let longest = self.settings.timing.retry;
        let pause = Duration::from_millis(250).saturating_mul(1 << doublings.min(10)).min(longest);
        self.draw((pause / 2, pause))
    }

    /// The server's time, as far as it is known.
    pub(crate) fn server_now(&self) -> u64 {
        now_ms().saturating_add_signed(self.changing().clock_offset_ms.unwrap_or(0))
    }

    /// A message came straight from a peer: what its clock says, against the server's.
    pub(crate) fn clock_of(&self, peer: &Peer, at: u64) {
        let mut changing = self.changing();
        let Some(offset) = changing.clock_offset_ms else { return };
        let server = now_ms().saturating_add_signed(offset);
        let ahead = i64::try_from(i128::from(at) - i128::from(server)).unwrap_or(i64::MAX);
        if ahead.unsigned_abs() <= MAX_SKEW.unsigned_abs() {
            changing.clocks.remove(peer);
        } else if changing.clocks.len() < MAX_CLOCKS || changing.clocks.contains_key(peer) {
            changing.clocks.insert(peer.clone(), ahead);
        }
    }

    /// A status of this node's name.
    pub(crate) fn status_seen(&self, status: &NodeStatus) {
        if status.instance == self.instance {
            return;
        }
        let we_yield = (status.started, &status.instance) < (self.started, &self.instance);
        let twin = Twin { instance: status.instance.clone(), started: status.started, we_yield };
        let is_new = self.changing().twin.replace((twin, Instant::now())).is_none();
        if is_new {
            // So that it hears of us too.
            self.present.notify_one();
        }
    }

    /// Another process that has this node's name and was heard of lately.
    pub(crate) fn twin(&self) -> Option<Twin> {
        let mut changing = self.changing();
        let lately = self.settings.timing.status * 3;
        let is_gone = |(_, seen): &(Twin, Instant)| seen.elapsed() > lately;
        if changing.twin.as_ref().is_some_and(is_gone) {
            changing.twin = None;
        }
        changing.twin.as_ref().map(|(twin, _)| twin.clone())
    }

    pub(crate) fn snapshot(&self) -> Snapshot {
        let mut snapshot = self.counts.snapshot();
        snapshot.twin = self.twin();
        {
            let owned = self.owned();
            snapshot.n = owned.n();
            snapshot.unacknowledged = owned.unacknowledged();
            snapshot.standing = owned.standing();
        }
        let changing = self.changing();
        snapshot.state = changing.state.clone();
        snapshot.trouble.clone_from(&changing.trouble);
        snapshot.caught_up = changing.caught_up;
        snapshot.applied = changing.applied;
        snapshot.behind = changing.behind;
        snapshot.remembered = changing.remembered;
        snapshot.clock_offset_ms = changing.clock_offset_ms;
        snapshot.clocks.clone_from(&changing.clocks);
        snapshot
    }

    /// The status as it is said now.
    pub(crate) fn status(&self) -> NodeStatus {
        let refused = self.counts.snapshot().refused;
        let changing = self.changing();
        let mut status = changing.status.clone();
        status.instance = self.instance.clone();
        status.started = self.started;
        status.applied = changing.applied;
        status.clock_offset_ms = changing.clock_offset_ms;
        // The owner's own refusals, and the transport's beside them.
        let transport = refused.iter().filter(|(_, n)| **n > 0).map(|(why, n)| (why.as_str(), *n));
        status.refusals = status.refusals.iter().chain(transport).collect();
        status
    }
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
