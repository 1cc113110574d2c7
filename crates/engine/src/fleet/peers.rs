//! The peers: what operators say of them, and whether they keep within their bounds.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use super::pace::{Bound, Pace};
use super::views::{PeerView, RefusedByReason};
use super::{MAX_ASSERTIONS, MAX_ASSERTIONS_PER_MINUTE, MAX_KNOWN_PER_HOUR, MAX_PEERS};
use crate::{PeerMode, PeerName, PeerSetting, Refusal, ShadowedBecause, Timestamp};

/// Bans by the time at which they were decided. What was decided more than an hour ago may come all at once, as many
/// as may stand ([`MAX_ASSERTIONS`]).
const DECIDES: Bound = Bound {
    slot: Duration::from_secs(60),
    most: MAX_ASSERTIONS_PER_MINUTE,
    slots: 60,
    older: 10_000,
};

/// Known addresses by the time at which they were said. Each is said again once a day, so what is older is few.
const KNOWS: Bound = Bound {
    slot: Duration::from_secs(3_600),
    most: MAX_KNOWN_PER_HOUR,
    slots: 24,
    older: 24 * MAX_KNOWN_PER_HOUR,
};

/// Over how many minutes hits are counted.
const HITS_WITHIN: u64 = 60;

/// Hits from which on a peer is suspicious, and the part of what it says that they must be.
const HITS: u32 = 5;
const HITS_PERCENT: u32 = 1;

/// A peer, by the order in which it was first heard of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct PeerId(u16);

/// All peers.
#[derive(Clone, Debug, Default)]
pub(crate) struct Peers {
    list: Vec<Peer>,
    by_name: BTreeMap<PeerName, PeerId>,
}

/// One peer.
#[derive(Clone, Debug)]
pub(crate) struct Peer {
    pub(crate) setting: PeerSetting,
    /// Why its bans are no longer made, and since when.
    pub(crate) shadowed: Option<(ShadowedBecause, Timestamp)>,
    /// Bans of it that are kept.
    pub(crate) standing: usize,
    /// Vetoes of it that are kept.
    pub(crate) vetoes: usize,
    pub(crate) taken: u64,
    pub(crate) refused: RefusedByReason,
    known: u64,
    known_refused: u64,
    decides: Pace,
    knows: Pace,
    /// By minute, within the hour: what it banned, and how much of that hit somebody.
    hits: VecDeque<(u64, u32, u32)>,
}

impl Peer {
    fn new(peer: PeerName) -> Self {
        Self {
            setting: PeerSetting { peer, mode: PeerMode::Accept, weight: 1 },
            shadowed: None,
            standing: 0,
            vetoes: 0,
            taken: 0,
            refused: RefusedByReason::default(),
            known: 0,
            known_refused: 0,
            decides: Pace::default(),
            knows: Pace::default(),
            hits: VecDeque::new(),
        }
    }

    /// Its bans are made.
    pub(crate) fn is_believed(&self) -> bool {
        self.setting.mode == PeerMode::Accept && self.shadowed.is_none()
    }

    /// What it vetoes and knows protects.
    pub(crate) fn protects(&self) -> bool {
        self.setting.mode != PeerMode::Ignore
    }

    /// It says a ban, decided at `decided`; `more`: one more than stand; `hit`: of somebody who is exempt, known or
    /// registered here. The bound that this breaks, if it does.
    pub(crate) fn note_ban(
        &mut self,
        decided: Timestamp,
        more: bool,
        hit: bool,
        now: Timestamp,
    ) -> Result<(), ShadowedBecause> {
        if !self.decides.take(decided, now, &DECIDES) {
            return Err(ShadowedBecause::TooManyAMinute);
        }
        if more && self.standing >= MAX_ASSERTIONS {
            return Err(ShadowedBecause::TooManyStanding);
        }
        let (said, hits) = self.count_hit(hit, now);
        if hit && hits >= HITS && hits.saturating_mul(100) > said.saturating_mul(HITS_PERCENT) {
            return Err(ShadowedBecause::HitsKnown);
        }
        Ok(())
    }

    /// What it said within the hour, and how much of that hit somebody.
    fn count_hit(&mut self, hit: bool, now: Timestamp) -> (u32, u32) {
        let minute = now.as_micros() / 60_000_000;
        while self.hits.front().is_some_and(|(of, ..)| of + HITS_WITHIN <= minute) {
            self.hits.pop_front();
        }
        match self.hits.back_mut().filter(|(of, ..)| *of == minute) {
            Some((_, said, hits)) => (*said, *hits) = (*said + 1, *hits + u32::from(hit)),
            None => self.hits.push_back((minute, 1, hit.into())),
        }
        let add = |(said, hits), (_, more, of): &(u64, u32, u32)| (said + more, hits + of);
        self.hits.iter().fold((0, 0), add)
    }

    /// It says that it knows another address. False when that is one too many.
    pub(crate) fn note_known(&mut self, at: Timestamp, now: Timestamp) -> bool {
        self.knows.take(at, now, &KNOWS)
    }

    /// Whether it was believed that it knows an address.
    pub(crate) fn count_known(&mut self, believed: bool) {
        self.known += u64::from(believed);
        self.known_refused += u64::from(!believed);
    }

    pub(crate) fn count_refused(&mut self, refusal: &Refusal) {
        self.refused.add(refusal);
    }

    pub(crate) fn view(&self) -> PeerView {
        let PeerSetting { peer, mode, weight } = self.setting;
        PeerView {
            peer,
            mode,
            weight,
            shadowed: self.shadowed.map(|(because, _)| because),
            standing: self.standing,
            taken: self.taken,
            refused: self.refused,
            vetoes: self.vetoes,
            known: self.known,
            known_refused: self.known_refused,
        }
    }
}

impl Peers {
    /// The peer of that name, new when it was not heard of; `None` when there are too many.
    pub(crate) fn id(&mut self, name: PeerName) -> Option<PeerId> {
        if let Some(id) = self.by_name.get(&name) {
            return Some(*id);
        }
        let id = u16::try_from(self.list.len()).ok().filter(|id| usize::from(*id) < MAX_PEERS)?;
        self.list.push(Peer::new(name));
        self.by_name.insert(name, PeerId(id));
        Some(PeerId(id))
    }

    /// The peer of that name, if it was heard of.
    pub(crate) fn find(&self, name: &PeerName) -> Option<PeerId> {
        self.by_name.get(name).copied()
    }

    pub(crate) fn get(&self, id: PeerId) -> Option<&Peer> {
        self.list.get(usize::from(id.0))
    }

    pub(crate) fn get_mut(&mut self, id: PeerId) -> Option<&mut Peer> {
        self.list.get_mut(usize::from(id.0))
    }

    /// What it vetoes and knows protects.
    pub(crate) fn protects(&self, id: PeerId) -> bool {
        self.get(id).is_some_and(Peer::protects)
    }

    /// What an operator said at `said`. Accepting a peer forgives what it did before.
    pub(crate) fn set(&mut self, setting: PeerSetting, said: Timestamp) {
        let Some(peer) = self.id(setting.peer).and_then(|id| self.get_mut(id)) else { return };
        let forgives = |since| setting.mode == PeerMode::Accept && since <= said;
        if peer.shadowed.take_if(|(_, since)| forgives(*since)).is_some() {
            (peer.hits, peer.decides) = (VecDeque::new(), Pace::default());
        }
        peer.setting = setting;
    }

    /// By name.
    pub(crate) fn views(&self) -> impl Iterator<Item = PeerView> {
        self.by_name.values().filter_map(|id| self.get(*id)).map(Peer::view)
    }
}
