//! Who is registered now.

use std::time::Duration;

use crate::Timestamp;
use crate::lru::LruTable;
use crate::sources::Key;

/// Registrations held at once, some 100 bytes each. Only who has a password comes in here; beyond it
/// the one that was renewed longest ago is forgotten, and health memory still knows its source.
const MAX_LIVE: usize = 131_072;

/// Life of a registration whose event does not say: what a SIP registrar grants by itself
/// (RFC 3261 section 10.3).
const DEFAULT_LIFE: Duration = Duration::from_hours(1);

/// Longest life: phones choose theirs, and `unregister` or `expire` may go unseen.
const MAX_LIFE: Duration = Duration::from_hours(24);

/// FreeSWITCH keeps a registration for a minute beyond its end (`sip-expires-late-margin`) and finds it
/// by a sweep every 30 s; as much again for a refresh on its way.
const GRACE: Duration = Duration::from_mins(3);

/// The registrations that stand, and how many each source has.
#[derive(Debug)]
pub(crate) struct Live {
    registrations: LruTable<u64, Registration>,
    /// Holds the sources of `registrations`, so it is never larger.
    sources: LruTable<Key, Source>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Registration {
    /// `None` while it is being made.
    source: Option<Key>,
    until: Timestamp,
    /// When it was made, renewed, or seen in a snapshot.
    seen: Timestamp,
}

#[derive(Clone, Copy, Debug, Default)]
struct Source {
    registrations: u32,
    /// The latest end of any it has had. An upper bound: the sweep makes it exact.
    until: Timestamp,
}

impl Live {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            registrations: LruTable::new(MAX_LIVE, seed),
            sources: LruTable::new(MAX_LIVE, seed),
        }
    }

    /// A registration is made or renewed; `life` as far as it is known.
    pub(crate) fn put(&mut self, id: u64, source: Key, life: Option<Duration>, now: Timestamp) {
        let until = now + life.unwrap_or(DEFAULT_LIFE).min(MAX_LIFE) + GRACE;
        let (slot, evicted) = self.registrations.find_or_insert(id);
        if let Some((_, gone)) = evicted {
            self.leave(gone.source);
        }
        let Some(place) = self.registrations.value_mut(slot) else {
            return;
        };
        let before =
            std::mem::replace(place, Registration { source: Some(source), until, seen: now });
        if before.source != Some(source) {
            // The same call from another address: the phone has moved.
            self.leave(before.source);
            self.sources.entry(source).registrations += 1;
        }
        let entry = self.sources.entry(source);
        entry.until = entry.until.max(until);
    }

    /// A registration ended.
    pub(crate) fn end(&mut self, id: u64) {
        let gone = self.registrations.remove(&id);
        self.leave(gone.and_then(|gone| gone.source));
    }

    /// Forgets what was not seen since `since`: a snapshot of that time did not hold it.
    pub(crate) fn forget_unseen(&mut self, since: Timestamp) {
        self.forget(|registration| registration.seen < since);
    }

    /// Forgets what has run out without a word.
    pub(crate) fn expire(&mut self, now: Timestamp) {
        self.forget(|registration| registration.until <= now);
    }

    /// Registrations of a source.
    pub(crate) fn of(&self, source: &Key, now: Timestamp) -> u32 {
        if self.sources.len() == 0 {
            return 0;
        }
        let live = self.sources.get(source).filter(|live| live.until > now);
        live.map_or(0, |live| live.registrations)
    }

    /// Takes over how many registrations `other` has of one source, without what each is.
    pub(crate) fn copy(&mut self, other: &Self, source: Key) {
        if let Some(live) = other.sources.get(&source) {
            *self.sources.entry(source) = *live;
        }
    }

    /// Sources with registrations.
    pub(crate) fn sources(&self, now: Timestamp) -> impl Iterator<Item = Key> {
        self.sources.iter().filter(move |(_, live)| live.until > now).map(|(key, _)| *key)
    }

    /// Registrations and their sources.
    pub(crate) fn sizes(&self) -> (usize, usize) {
        (self.registrations.len(), self.sources.len())
    }

    fn forget(&mut self, which: impl Fn(&Registration) -> bool) {
        let gone: Vec<u64> = self
            .registrations
            .iter()
            .filter(|(_, registration)| which(registration))
            .map(|(id, _)| *id)
            .collect();
        for id in gone {
            self.end(id);
        }
    }

    fn leave(&mut self, source: Option<Key>) {
        let Some(source) = source else { return };
        let slot = self.sources.find(&source);
        let Some(live) = slot.and_then(|slot| self.sources.value_mut(slot)) else {
            return;
        };
        live.registrations = live.registrations.saturating_sub(1);
        if live.registrations == 0 {
            self.sources.remove(&source);
        }
    }
}

#[cfg(test)]
mod tests;
