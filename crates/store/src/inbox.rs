//! The queue of the writer. Senders never wait; the writer does.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use sipward_engine::{Cause, Details, RemoteBan, Success};

use super::{Counts, Entry, SavedBan, SavedFlow};

/// Memory that waiting entries may take, in bytes: the bans of two seconds at 20,000 a second with all
/// details, or the end of half a million bans at once.
const MAX_WAITING: usize = 64 * 1024 * 1024;

/// Bytes beyond it that are reserved for changes by an operator, which would not be repeated.
const KEPT_FOR_OPERATORS: usize = 4 * 1024 * 1024;

/// What one waiting thing may be.
#[derive(Clone, Debug)]
pub(super) enum Item {
    Entry(Entry),
    /// All active bans, in place of the stored ones.
    Bans(Vec<SavedBan>, Vec<SavedFlow>),
    /// What is stored is to be read again.
    Read,
}

/// The queue between the daemon and the writer.
#[derive(Debug, Default)]
pub(super) struct Inbox {
    waiting: Mutex<Waiting>,
    news: Condvar,
}

#[derive(Debug, Default)]
struct Waiting {
    items: Vec<Item>,
    /// When the first of `items` came.
    oldest: Option<Instant>,
    /// Bytes of what waits, what the writer works on included.
    weight: usize,
    /// Items put in so far.
    put: u64,
    dropped: u64,
    /// A ban or an unban was dropped: the stored bans differ from the active ones.
    incomplete: bool,
    /// A caller waits for the writer.
    urgent: bool,
    closed: bool,
}

/// What the writer takes out.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) items: Vec<Item>,
    pub(super) weight: usize,
    pub(super) oldest: Option<Instant>,
    /// Items put in up to the last of these.
    pub(super) upto: u64,
}

/// Why [`Inbox::wait`] returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wake {
    /// There is something to write.
    News,
    /// The time is over.
    Time,
    /// No handle is left; nothing more will come.
    Closed,
}

impl Inbox {
    /// Takes an entry in, or counts it when there is no room. Never waits for the writer.
    pub(super) fn put(&self, entry: Entry) {
        let weight = weight(&entry);
        let mut waiting = self.lock();
        let worth = Worth::of(&entry);
        let most = match worth {
            Worth::Operators => MAX_WAITING + KEPT_FOR_OPERATORS,
            Worth::Ban | Worth::History => MAX_WAITING,
        };
        if waiting.weight.saturating_add(weight) > most {
            waiting.dropped += 1;
            waiting.incomplete |= worth == Worth::Ban;
            return;
        }
        waiting.weight += weight;
        self.push(waiting, Item::Entry(entry));
    }

    /// Takes in all active bans; from here on the stored ones are complete again.
    pub(super) fn put_bans(&self, bans: Vec<SavedBan>, flows: Vec<SavedFlow>) {
        let mut waiting = self.lock();
        waiting.incomplete = false;
        self.push(waiting, Item::Bans(bans, flows));
    }

    fn push(&self, mut waiting: MutexGuard<'_, Waiting>, item: Item) {
        let first = waiting.items.is_empty();
        waiting.items.push(item);
        waiting.put += 1;
        if first {
            waiting.oldest = Some(Instant::now());
            drop(waiting);
            self.news.notify_one();
        }
    }

    /// Whether the stored bans differ from the active ones.
    pub(super) fn is_incomplete(&self) -> bool {
        self.lock().incomplete
    }

    /// What is stored has gone: all bans must be written again.
    pub(super) fn set_incomplete(&self) {
        self.lock().incomplete = true;
    }

    /// Counts what the writer had to give up.
    pub(super) fn give_up(&self, batch: &Batch) {
        let mut waiting = self.lock();
        waiting.dropped += u64::try_from(batch.items.len()).unwrap_or(u64::MAX);
        waiting.incomplete = true;
        waiting.weight = waiting.weight.saturating_sub(batch.weight);
    }

    /// Waits until there is something to write and `gather` has passed since it came, so that more
    /// comes along; no longer than until `deadline`.
    pub(super) fn wait(&self, gather: Duration, deadline: Instant) -> Wake {
        let mut waiting = self.lock();
        loop {
            if waiting.closed {
                return Wake::Closed;
            }
            let now = Instant::now();
            let due = waiting.oldest.map(|oldest| oldest + gather);
            if due.is_some_and(|due| due <= now || waiting.urgent) {
                return Wake::News;
            }
            let until = due.map_or(deadline, |due| due.min(deadline));
            let Some(rest) = until.checked_duration_since(now).filter(|rest| !rest.is_zero())
            else {
                return Wake::Time;
            };
            let woken = self.news.wait_timeout(waiting, rest);
            waiting = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Sleeps until `deadline`, or until no handle is left.
    pub(super) fn rest(&self, deadline: Instant) -> Wake {
        let mut waiting = self.lock();
        loop {
            if waiting.closed {
                return Wake::Closed;
            }
            let rest = deadline.saturating_duration_since(Instant::now());
            if rest.is_zero() {
                return Wake::Time;
            }
            let woken = self.news.wait_timeout(waiting, rest);
            waiting = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Takes everything out. It counts as waiting until [`Inbox::done`].
    pub(super) fn take(&self) -> Batch {
        let mut waiting = self.lock();
        waiting.urgent = false;
        let items = std::mem::take(&mut waiting.items);
        let weight = items.iter().map(item_weight).sum();
        Batch { items, weight, oldest: waiting.oldest.take(), upto: waiting.put }
    }

    /// A batch is written.
    pub(super) fn done(&self, batch: &Batch) {
        let mut waiting = self.lock();
        waiting.weight = waiting.weight.saturating_sub(batch.weight);
    }

    /// Asks the writer not to gather any longer; gives how many items were put in so far.
    pub(super) fn hurry(&self) -> u64 {
        let mut waiting = self.lock();
        waiting.urgent = true;
        let put = waiting.put;
        drop(waiting);
        self.news.notify_one();
        put
    }

    /// Asks the writer to read again what is stored, once what was put in before is written.
    pub(super) fn ask_to_read(&self) {
        self.push(self.lock(), Item::Read);
    }

    /// Nothing more will come.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.news.notify_one();
    }

    /// Items put in since the start. What found no room is not among them.
    pub(super) fn put_so_far(&self) -> u64 {
        self.lock().put
    }

    /// Items that wait here, when the first of them came, and what was dropped.
    pub(super) fn figures(&self) -> (usize, Option<Instant>, u64) {
        let waiting = self.lock();
        (waiting.items.len(), waiting.oldest, waiting.dropped)
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        // Every change leaves it whole.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is lost with an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Worth {
    /// A change by an operator.
    Operators,
    /// The active bans depend on it; they can be written again.
    Ban,
    /// A line of the history, counts, or a phone that is reported again tomorrow.
    History,
}

impl Worth {
    fn of(entry: &Entry) -> Self {
        match entry {
            Entry::Allow(_)
            | Entry::Disallow { .. }
            | Entry::Override(_)
            | Entry::Reset { .. }
            | Entry::Acknowledge(_)
            | Entry::ForgetAcknowledgement { .. }
            | Entry::Notified { .. }
            | Entry::Mode(_)
            | Entry::Token(_)
            | Entry::RevokeToken(_) => Self::Operators,
            Entry::Ban { .. }
            | Entry::Unban { .. }
            | Entry::DenyFlow { .. }
            | Entry::Slowed(_)
            | Entry::AllowFlow { .. }
            | Entry::Stepped(_)
            | Entry::EndPast { .. } => Self::Ban,
            Entry::Refused { .. } | Entry::Remember(_) | Entry::Alarm(_) | Entry::Counts { .. } => {
                Self::History
            }
        }
    }
}

fn item_weight(item: &Item) -> usize {
    match item {
        Item::Entry(entry) => weight(entry),
        // One at a time, and bounded by the engine's `max_bans`.
        Item::Bans(..) | Item::Read => 0,
    }
}

/// About how many bytes an entry takes.
fn weight(entry: &Entry) -> usize {
    let more = match entry {
        Entry::Remember(_) => size_of::<Success>(),
        Entry::Ban { ban: SavedBan { cause, .. }, .. }
        | Entry::DenyFlow { flow: SavedFlow { cause, .. }, .. }
        | Entry::Slowed(SavedFlow { cause, .. })
        | Entry::Refused { cause, .. } => cause_weight(cause),
        Entry::Allow(allowed) => allowed.comment.as_ref().map_or(0, String::len) + 256,
        Entry::Override(set) => set.key.len() + 256,
        Entry::Acknowledge(alarm) => alarm.text.len() + 256,
        Entry::Alarm(alarm) => alarm.text.len() + alarm.data.len() + 256,
        Entry::Counts { counts, .. } => counts.len() * size_of::<(u64, Counts)>(),
        Entry::ForgetAcknowledgement { .. }
        | Entry::Disallow { .. }
        | Entry::Reset { .. }
        | Entry::Token(_)
        | Entry::RevokeToken(_) => 256,
        Entry::Unban { .. }
        | Entry::AllowFlow { .. }
        | Entry::Notified { .. }
        | Entry::Mode(_)
        | Entry::Stepped(_)
        | Entry::EndPast { .. } => 0,
    };
    size_of::<Item>() + more
}

fn cause_weight(cause: &Cause) -> usize {
    let details = cause.evidence().and_then(|evidence| evidence.details.as_deref());
    let details = details.map_or(0, |details| {
        size_of::<Details>() + details.users.capacity() * size_of::<sipward_engine::Text>()
    });
    let words = match cause {
        Cause::Manual { reason, .. } => reason.len(),
        Cause::Remote(ban) => size_of::<RemoteBan>() + ban.facts.why.len(),
        Cause::Rule(_) | Cause::Adopted | Cause::Split { .. } => 0,
    };
    size_of::<Cause>() + details + words
}

#[cfg(test)]
mod tests {
    use sipward_engine::{Timestamp, UnblockReason};

    use super::*;

    #[test]
    fn the_end_of_half_a_million_bans_finds_room() {
        let inbox = Inbox::default();
        let at = Timestamp::EPOCH;
        for n in 0..500_000_u32 {
            let net = std::net::IpAddr::from(n.to_be_bytes()).into();
            inbox.put(Entry::Unban { net, at, reason: UnblockReason::Manual });
        }
        let (waiting, oldest, dropped) = inbox.figures();
        assert_eq!((waiting, dropped), (500_000, 0));
        assert!(oldest.is_some() && !inbox.is_incomplete());
    }

    #[test]
    fn what_the_writer_works_on_still_takes_room_until_it_is_done() {
        let inbox = Inbox::default();
        let words = Entry::Ban {
            at: Timestamp::EPOCH,
            ban: SavedBan {
                scope: sipward_engine::Scope::Host,
                net: "192.0.2.7/32".parse().unwrap(),
                since: Timestamp::EPOCH,
                until: sipward_engine::Expiry::Never,
                cause: Cause::Manual { reason: "x".repeat(MAX_WAITING * 2 / 3), force: false }
                    .into(),
            },
        };
        inbox.put(words.clone());
        let batch = inbox.take();
        inbox.put(words.clone());
        assert_eq!(inbox.figures().2, 1, "two thirds and two thirds are too much");
        assert!(inbox.is_incomplete());
        inbox.done(&batch);
        inbox.put(words);
        assert_eq!((inbox.figures().0, inbox.figures().2), (1, 1));
    }
}
