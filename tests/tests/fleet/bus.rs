//! Messages between nodes: a fast path that delays, loses, doubles and reorders, and a stream that keeps the truth.

use std::collections::BTreeMap;

use bytes::Bytes;
use sipward_fleet::Peer;

/// Seconds since the story began; only the bus and the operators' server know them.
pub(crate) type Second = u64;

/// What was stored.
#[derive(Clone, Debug)]
pub(crate) struct Stored {
    pub(crate) revision: u64,
    /// When, by the server's clock.
    pub(crate) stamp: Second,
    pub(crate) subject: String,
    pub(crate) value: Bytes,
}

/// The bus.
#[derive(Debug, Default)]
pub(crate) struct Bus {
    /// The last of each subject.
    stream: BTreeMap<String, Stored>,
    by_revision: BTreeMap<u64, String>,
    revision: u64,
    /// On their way, by the time of their arrival: to whom, and what.
    on_their_way: BTreeMap<(Second, u64), (usize, Stored)>,
    sent: u64,
}

impl Bus {
    /// Publishes as `from`, whom the server knows by its certificate: what is said in the name of another is dropped.
    pub(crate) fn publish(
        &mut self,
        from: &Peer,
        (subject, value): (String, Bytes),
        now: Second,
        nodes: usize,
        random: &mut fastrand::Rng,
    ) {
        let mut tokens = subject.split('.').skip(3);
        if tokens.next() != Some(from.site.as_str()) || tokens.next() != Some(from.node.as_str()) {
            return;
        }
        self.revision += 1;
        let stored = Stored { revision: self.revision, stamp: now, subject, value };
        if let Some(before) = self.stream.insert(stored.subject.clone(), stored.clone()) {
            self.by_revision.remove(&before.revision);
        }
        self.by_revision.insert(stored.revision, stored.subject.clone());
        for to in 0..nodes {
            // One in five is lost, one in five comes twice, one in fifty comes an hour late.
            let copies = match random.u8(..10) {
                0 | 1 => 0,
                2 | 3 => 2,
                _ => 1,
            };
            for _ in 0..copies {
                let late = if random.u8(..50) == 0 { random.u64(..5_400) } else { random.u64(..4) };
                self.sent += 1;
                // Messages of a second come in any order.
                let place = random.u64(..) ^ self.sent;
                self.on_their_way.insert((now + late, place), (to, stored.clone()));
            }
        }
    }

    /// What arrives by now on the fast path.
    pub(crate) fn arrived(&mut self, now: Second) -> Vec<(usize, Stored)> {
        let later = self.on_their_way.split_off(&(now + 1, 0));
        std::mem::replace(&mut self.on_their_way, later).into_values().collect()
    }

    /// The last of each subject behind a revision.
    pub(crate) fn since(&self, revision: u64) -> Vec<Stored> {
        let subjects = self.by_revision.range(revision + 1..).map(|(_, subject)| subject);
        subjects.map(|subject| self.stream[subject].clone()).collect()
    }

    /// The last of each subject of a peer.
    pub(crate) fn said_by<'a>(&'a self, peer: &Peer) -> impl Iterator<Item = &'a Stored> + use<'a> {
        let of = format!(".{}.{}.", peer.site, peer.node);
        self.stream.values().filter(move |stored| stored.subject.contains(&of))
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = &Stored> {
        self.stream.values()
    }
}
