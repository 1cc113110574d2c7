//! What this node says: what should stand in the stream, and what is known to stand there. No outbox: what stands is said
//! until it is acknowledged, and after each connection it is compared with the stream.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::message::{Ban, Body, Key, Known, MAX_N, MAX_STANDING, Message, Veto};
use crate::name::Peer;

/// Most things that a node says at once: half of what others keep of it, the other half is for ends.
pub const MAX_OWN: usize = 10_000;
/// Most known phones, which have a stream of their own.
pub const MAX_OWN_KNOWN: usize = 20_000;

/// For so long the very same message is said again, so that a node that has it already notices nothing. Later it is another
/// one, because less is left of its time.
const SAME: Duration = Duration::from_secs(8);

/// Something that stands: a ban, a veto or a known phone.
#[derive(Debug, Clone, PartialEq)]
pub struct Own {
    /// What. `for_ms` of a ban is worked out from `until` whenever it is said.
    pub body: Body,
    /// When it ends by itself, in milliseconds since 1970 by this node's clock. `None` if it does not.
    pub until: Option<u64>,
}

/// Why something is not said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotSaid {
    /// Too much stands already.
    #[error("more than {MAX_OWN} bans and vetoes, or {MAX_OWN_KNOWN} known phones, stand already")]
    Full,
    /// Only bans, vetoes and known phones that stand are said so; known phones if the settings say so.
    #[error("a node does not say this")]
    NotOurs,
}

/// All that this node says.
#[derive(Debug)]
pub(crate) struct Owned {
    me: Peer,
    shares_known: bool,
    /// The greatest `n` that this node gave out or saw as its own.
    n: u64,
    entries: BTreeMap<Key, Entry>,
    known: usize,
    /// Keys that are due, by their place; first come, first said.
    due: BTreeMap<u64, Key>,
    next_place: u64,
    /// What was said and not acknowledged in time. It waits for [`Owned::retry`]; what is new does not wait with it,
    /// because it reaches others without the stream.
    failed: BTreeSet<Key>,
}

#[derive(Debug)]
struct Entry {
    /// `None`: it has ended, and that is said.
    own: Option<Own>,
    /// Given out when it is first said, and kept for what is said again.
    said: Option<Said>,
    progress: Progress,
}

#[derive(Debug, Clone, Copy)]
struct Said {
    n: u64,
    at: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Progress {
    /// At this place of those that are due.
    Due(u64),
    Sent,
    Failed,
    /// Acknowledged at this time.
    Stands(u64),
}

/// One of this node's messages that is in the stream.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) key: Key,
    pub(crate) n: u64,
    /// It stands and has not run out.
    pub(crate) stands: bool,
}

impl Owned {
    pub(crate) fn new(me: Peer, shares_known: bool, n: u64) -> Self {
        let (entries, due) = (BTreeMap::new(), BTreeMap::new());
        Self { me, shares_known, n, entries, known: 0, due, next_place: 0, failed: BTreeSet::new() }
    }

    pub(crate) const fn n(&self) -> u64 {
        self.n
    }

    /// What is not acknowledged.
    pub(crate) fn unacknowledged(&self) -> usize {
        let waits = |entry: &&Entry| !matches!(entry.progress, Progress::Stands(_));
        self.entries.values().filter(waits).count()
    }

    /// What stands, or should.
    pub(crate) fn standing(&self) -> usize {
        self.entries.values().filter(|entry| entry.own.is_some()).count()
    }

    pub(crate) fn say(&mut self, own: Own) -> Result<(), NotSaid> {
        let key = own.body.key();
        let ours = match &own.body {
            Body::Ban(_, Ban::Stands(_)) | Body::Veto(_, Veto::Stands { .. }) => true,
            Body::Known(_, Known::Stands { .. }) => self.shares_known,
            _ => false,
        };
        if !ours {
            return Err(NotSaid::NotOurs);
        }
        match self.entries.get(&key) {
            Some(there) if there.own.as_ref() == Some(&own) => return Ok(()),
            Some(_) => {}
            None if !self.has_room(&key) => return Err(NotSaid::Full),
            None => {}
        }
        self.make_due(key, Some(own));
        Ok(())
    }

    /// It was lifted: its end is said.
    pub(crate) fn end(&mut self, key: &Key) {
        let ours = match key {
            Key::Ban(_) | Key::Veto(_) => true,
            Key::Known(_) => self.shares_known,
            Key::Lift(_) | Key::Peer(_) | Key::Node => false,
        };
        let is_ended = self.entries.get(key).is_some_and(|entry| entry.own.is_none());
        if ours && !is_ended {
            self.make_due(key.clone(), None);
        }
    }

    /// It ran out by itself, here and everywhere: nothing is said.
    pub(crate) fn forget(&mut self, key: &Key) {
        self.remove(key);
    }

    fn has_room(&self, key: &Key) -> bool {
        match key {
            Key::Known(_) => self.known < MAX_OWN_KNOWN,
            _ => self.entries.len() - self.known < MAX_OWN,
        }
    }

    /// Ends may go beyond the limits: they go when they are acknowledged, and each takes the place of something that
    /// stood, here or in the stream.
    fn make_due(&mut self, key: Key, own: Option<Own>) {
        let progress = match self.entries.get(&key).map(|entry| entry.progress) {
            Some(due @ Progress::Due(_)) => due,
            _ => queue(&mut self.due, &mut self.next_place, &key),
        };
        self.failed.remove(&key);
        let is_known = matches!(key, Key::Known(_));
        if self.entries.insert(key, Entry { own, said: None, progress }).is_none() && is_known {
            self.known += 1;
        }
    }

    fn remove(&mut self, key: &Key) {
        let Some(entry) = self.entries.remove(key) else { return };
        if let Progress::Due(place) = entry.progress {
            self.due.remove(&place);
        }
        self.failed.remove(key);
        if matches!(key, Key::Known(_)) {
            self.known -= 1;
        }
    }

    /// The next message that is due, at most once until [`Owned::acknowledged`] or [`Owned::failed`].
    pub(crate) fn next_due(&mut self, now: u64) -> Option<Message> {
        while let Some((_, key)) = self.due.pop_first() {
            let Some(entry) = self.entries.get_mut(&key) else { continue };
            let said = entry.said.filter(|said| now.saturating_sub(said.at) <= ms(SAME));
            let said = said.unwrap_or_else(|| Said {
                n: now.max(self.n.saturating_add(1)).min(MAX_N),
                at: now,
            });
            let has_run_out =
                entry.own.as_ref().is_some_and(|own| own.until.is_some_and(|until| until <= now));
            let Some(body) = body(&key, entry.own.as_ref(), said.at).filter(|_| !has_run_out)
            else {
                self.remove(&key);
                continue;
            };
            entry.said = Some(said);
            entry.progress = Progress::Sent;
            self.n = self.n.max(said.n);
            return Some(Message { from: self.me.clone(), n: said.n, at: said.at, body });
        }
        None
    }

    /// The stream has it.
    pub(crate) fn acknowledged(&mut self, key: &Key, n: u64, now: u64) {
        let Some(entry) = self.entries.get_mut(key) else { return };
        if entry.is(n) && entry.progress == Progress::Sent {
            entry.progress = Progress::Stands(now);
            if entry.own.is_none() {
                self.remove(key);
            }
        }
    }

    /// The stream may not have it: it is said again after [`Owned::retry`], for some seconds with the same `n`.
    pub(crate) fn failed(&mut self, key: &Key, n: u64) {
        let Some(entry) = self.entries.get_mut(key) else { return };
        if entry.is(n) && entry.progress == Progress::Sent {
            entry.progress = Progress::Failed;
            self.failed.insert(key.clone());
        }
    }

    /// Another connection: what was on its way over the last one is due again.
    pub(crate) fn reconnected(&mut self) {
        let sent = self.entries.iter().filter(|(_, entry)| entry.progress == Progress::Sent);
        self.failed.extend(sent.map(|(key, _)| key.clone()));
        self.retry();
    }

    /// Makes due again what failed.
    pub(crate) fn retry(&mut self) {
        for key in std::mem::take(&mut self.failed) {
            if let Some(entry) = self.entries.get_mut(&key) {
                entry.progress = queue(&mut self.due, &mut self.next_place, &key);
            }
        }
    }

    /// Compares with the stream, after a connection. What was said since and is not in it is said again.
    /// Gives the number of those that were not acknowledged and are in it.
    pub(crate) fn compare(&mut self, seen: Vec<Seen>, now: u64) -> u64 {
        let mut found = 0;
        let greatest = seen.iter().map(|seen| seen.n).max().unwrap_or(0);
        self.n = self.n.max(greatest);
        let mut stream: BTreeMap<Key, (u64, bool)> =
            seen.into_iter().map(|seen| (seen.key, (seen.n, seen.stands))).collect();
        self.due.clear();
        self.failed.clear();
        for (key, entry) in &mut self.entries {
            let there = stream.remove(key);
            let is_there = there.is_some_and(|(n, stands)| stands && entry.is(n));
            if is_there && entry.own.is_some() {
                if !matches!(entry.progress, Progress::Stands(_)) {
                    entry.progress = Progress::Stands(now);
                    found += 1;
                }
                continue;
            }
            // Another message of this key would count against it.
            if there.is_some_and(|(n, _)| entry.said.is_some_and(|said| said.n <= n)) {
                entry.said = None;
            }
            entry.progress = queue(&mut self.due, &mut self.next_place, key);
        }
        for (key, (_, stands)) in stream {
            if stands {
                self.end(&key);
            }
        }
        found
    }

    /// Forgets what has run out, and makes due again what stands for longer than others keep it.
    pub(crate) fn refresh(&mut self, now: u64, again: Duration) {
        let long = ms(MAX_STANDING);
        let mut gone = Vec::new();
        for (key, entry) in &mut self.entries {
            let Some(own) = &entry.own else { continue };
            if own.until.is_some_and(|until| until <= now) {
                gone.push(key.clone());
                continue;
            }
            let Progress::Stands(since) = entry.progress else { continue };
            let outlasts = own.until.is_none_or(|until| until > since.saturating_add(long));
            let ages = !matches!(key, Key::Known(_));
            if ages && outlasts && now.saturating_sub(since) >= ms(again) {
                entry.said = None;
                entry.progress = queue(&mut self.due, &mut self.next_place, key);
            }
        }
        for key in &gone {
            self.remove(key);
        }
    }
}

impl Entry {
    fn is(&self, n: u64) -> bool {
        self.said.is_some_and(|said| said.n == n)
    }
}

/// Puts a key behind all that are due.
fn queue(due: &mut BTreeMap<u64, Key>, next_place: &mut u64, key: &Key) -> Progress {
    let place = *next_place;
    *next_place += 1;
    due.insert(place, key.clone());
    Progress::Due(place)
}

fn ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// What is said at a time; `None` if it had run out then.
fn body(key: &Key, own: Option<&Own>, at: u64) -> Option<Body> {
    let Some(own) = own else {
        return match key {
            Key::Ban(net) => Some(Body::Ban(*net, Ban::Ended)),
            Key::Veto(net) => Some(Body::Veto(*net, Veto::Ended)),
            Key::Known(net) => Some(Body::Known(*net, Known::Ended)),
            Key::Lift(_) | Key::Peer(_) | Key::Node => None,
        };
    };
    let left = own.until.map(|until| until.saturating_sub(at));
    if left == Some(0) {
        return None;
    }
    let mut body = own.body.clone();
    if let Body::Ban(_, Ban::Stands(ban)) = &mut body {
        ban.for_ms = left;
    }
    Some(body)
}
