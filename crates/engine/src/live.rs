//! Active registrations, with their ports and dialogs.

mod ports;

use std::hash::BuildHasher as _;
use std::num::NonZeroU16;
use std::time::Duration;

use self::ports::{OwnPort, Ports};
use crate::Timestamp;
use crate::hash::Seed;
use crate::key::Key;
use crate::limits::seconds;
use crate::lru::LruTable;

/// Registrations held at once, some 250 bytes each with what is looked up by. Only users with a password
/// come in here; beyond it the one that was renewed longest ago is forgotten, and health memory still
/// knows its source.
const MAX_LIVE: usize = 131_072;

/// Registrations of one account at one host. A profile that does not compare the digest's user with the To user lets
/// an account register any number of names: it must not push out others.
const MAX_OF_ACCOUNT: u32 = 256;

/// Registrations at once that nothing proves: an account's owner can make them in any address.
const MAX_UNPROVED: usize = MAX_LIVE / 8;

/// Dialogs that were given up so soon: of an account at a host so many an hour still prove their user afterwards.
/// One that begins a new dialog with every registration must not push out those of others.
const SHORT: Duration = Duration::from_secs(10);
const MAX_SHORT: u32 = 16;

/// Lifetime of a registration whose event has none: the default of a SIP registrar
/// (RFC 3261 section 10.3).
const DEFAULT_LIFE: Duration = Duration::from_secs(3_600);

/// Longest life: phones choose theirs, and `unregister` or `expire` may go unseen.
const MAX_LIFE: Duration = Duration::from_secs(86_400);

/// FreeSWITCH keeps a registration for a minute beyond its end (`sip-expires-late-margin`) and finds it
/// by a sweep every 30 s; as much again for a refresh on its way.
const GRACE: Duration = Duration::from_secs(180);

/// How long the dialog of a registration still proves its user after the end of it, in seconds.
const GENUINE_FOR: u32 = 3_600;

/// The registrations that hold, how many each host has, and their dialogs.
#[derive(Debug)]
pub(crate) struct Live {
    hashes: Seed,
    /// By user at its host: [`Put::id`]. `None` while one is being made.
    registrations: LruTable<u64, Option<Registration>>,
    /// How many of them each account has at a host, once a second one is made there: most hosts have one phone.
    pairs: LruTable<u64, Pair>,
    /// Those of them that are [`Proof::Unproved`].
    unproved: usize,
    /// Holds the hosts of `registrations`, so it is never larger.
    hosts: LruTable<Key, Host>,
    /// Of the same registrations as `hosts`: their further ports.
    ports: Ports,
    /// From a dialog's Call-ID (with user and domain) to its registration: an end may come without an
    /// address.
    calls: LruTable<u64, u64>,
    /// By host, account and Call-ID: the dialogs by which accounts are or were registered.
    lines: LruTable<u64, Line>,
}

/// A registration that is made or renewed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Put {
    /// Hash of user, domain and host: one user at one address.
    pub(crate) id: u64,
    pub(crate) host: Key,
    /// `None`: unknown.
    pub(crate) port: Option<u16>,
    /// Hash of the account whose password was proved.
    pub(crate) account: u64,
    /// Hash of user, domain and Call-ID.
    pub(crate) call: u64,
    /// Hash of host, account and Call-ID.
    pub(crate) line: u64,
    /// As far as it is known.
    pub(crate) life: Option<Duration>,
    pub(crate) proof: Proof,
}

/// What shows that a registration is there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Proof {
    /// A success from an address that nothing proves: another host may have sent it. It stays
    /// unproved when a list of registrations holds it, too.
    #[default]
    Unproved,
    /// A list of registrations.
    Listed,
    /// A success in a dialog that was challenged there.
    Proved,
}

#[derive(Clone, Copy, Debug)]
struct Registration {
    host: Key,
    call: u64,
    line: u64,
    /// Hash of host and account.
    pair: u64,
    /// When it was made, renewed, or seen in a snapshot.
    seen: Timestamp,
    /// Seconds of the epoch, rounded up.
    until: u32,
    port: Option<NonZeroU16>,
    proof: Proof,
}

/// An account at a host.
#[derive(Clone, Copy, Debug, Default)]
struct Pair {
    /// Its registrations.
    held: u32,
    /// Dialogs that it gave up at once, and since when they are counted, in seconds of the epoch.
    short: u32,
    since: u32,
}

#[derive(Clone, Copy, Debug, Default)]
struct Host {
    /// Proved and listed ones.
    registrations: u32,
    /// The latest end of any it has had. An upper bound: the sweep makes it exact.
    until: Timestamp,
    /// The account of the first of them.
    account: u64,
    /// Another account was also registered there since the last time without registrations.
    several: bool,
    /// An account had more registrations than are held.
    crowded: bool,
    port: OwnPort,
}

/// A dialog by which an account is or was registered.
#[derive(Clone, Copy, Debug, Default)]
struct Line {
    /// Seconds of the epoch.
    until: u32,
    genuine: bool,
}

/// Accounts registered at a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Registered {
    Nobody,
    Only(u64),
    Several,
}

impl Live {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            hashes: Seed::new(seed),
            registrations: LruTable::new(MAX_LIVE, seed),
            pairs: LruTable::new(MAX_LIVE, seed),
            unproved: 0,
            hosts: LruTable::new(MAX_LIVE, seed),
            ports: Ports::default(),
            calls: LruTable::new(MAX_LIVE, seed),
            lines: LruTable::new(MAX_LIVE, seed),
        }
    }

    /// A registration is made or renewed.
    pub(crate) fn put(&mut self, put: Put, now: Timestamp) {
        let Put { id, host, account, call, line, life, .. } = put;
        let until = now + life.unwrap_or(DEFAULT_LIFE).min(MAX_LIFE) + GRACE;
        let pair = self.hashes.hash_one((host, account));
        if !self.has_room(&put, pair) {
            return;
        }
        let (slot, evicted) = self.registrations.find_or_insert(id);
        if let Some((_, Some(gone))) = evicted {
            self.leave(gone, now);
        }
        let Some(place) = self.registrations.value_mut(slot) else {
            return;
        };
        let before = *place;
        let same_dialog = before.is_some_and(|before| before.call == call);
        let known = before.map_or(Proof::Unproved, |before| before.proof);
        let proof = match (put.proof, known) {
            // A success from elsewhere changes nothing about what was proved.
            (Proof::Unproved, Proof::Proved | Proof::Listed) => return,
            // FreeSWITCH still lists it. One dialog is kept of several that were made from elsewhere, so it does not
            // matter which of them is listed.
            (Proof::Listed, Proof::Unproved) if before.is_some() => Proof::Unproved,
            (Proof::Listed, Proof::Proved) if same_dialog => Proof::Proved,
            (proof, _) => proof,
        };
        let known_port = before.and_then(|before| before.port);
        // A list that does not name the port of this dialog changes nothing about it.
        let port = put.port.and_then(NonZeroU16::new).or(known_port.filter(|_| same_dialog));
        let until_second = seconds(until + Duration::from_micros(999_999));
        *place = Some(Registration {
            host,
            call,
            line,
            pair,
            seen: now,
            until: until_second,
            port,
            proof,
        });
        self.unproved += usize::from(proof == Proof::Unproved);
        match before {
            Some(before) => {
                self.unproved =
                    self.unproved.saturating_sub((before.proof == Proof::Unproved).into());
                if before.pair != pair {
                    self.leave_pair(before.pair);
                    self.enter_pair(host, pair, proof);
                }
            }
            None => self.enter_pair(host, pair, proof),
        }
        if !same_dialog {
            // The phone has begun anew, here or (the same call) at another address.
            if let Some(before) = before {
                self.calls.remove(&before.call);
                self.give_up(&before, now);
            }
            if proof != Proof::Unproved {
                self.end(call, now);
            }
        }
        *self.calls.entry(call) = id;
        if proof == Proof::Unproved {
            return;
        }
        let port_of = |port: Option<NonZeroU16>| port.map(NonZeroU16::get);
        if known == Proof::Unproved {
            self.enter(host, account, port_of(port));
        } else if known_port != port {
            let own = &mut self.hosts.entry(host).port;
            self.ports.leave(host, own, port_of(known_port));
            self.ports.enter(host, own, port_of(port));
        }
        let genuine = proof == Proof::Proved;
        *self.lines.entry(line) =
            Line { until: seconds(until).saturating_add(GENUINE_FOR), genuine };
        let entry = self.hosts.entry(host);
        entry.several |= entry.account != account;
        entry.until = entry.until.max(until);
    }

    /// There is room for one more of the account, or it is there already.
    fn has_room(&mut self, put: &Put, pair: u64) -> bool {
        if self.registrations.find(&put.id).is_some() {
            return true;
        }
        // The first need not be counted.
        if self.pairs.get(&pair).is_some_and(|pair| pair.held >= MAX_OF_ACCOUNT - 1) {
            let slot = self.hosts.find(&put.host);
            if let Some(host) = slot.and_then(|slot| self.hosts.value_mut(slot)) {
                host.crowded = true;
            }
            return false;
        }
        put.proof != Proof::Unproved || self.unproved < MAX_UNPROVED
    }

    /// A list names a registration that was made with another account's password, as far as events told: it goes on,
    /// and makes nobody known. So does one that no event told of where an account has more than are held.
    pub(crate) fn belongs_to_another(&mut self, listed: &Put, now: Timestamp) -> bool {
        let slot = self.registrations.find(&listed.id);
        let held = slot.and_then(|slot| self.registrations.value_mut(slot)?.as_mut());
        match held.filter(|held| held.call == listed.call) {
            Some(held) if held.line != listed.line => {
                let until = now + listed.life.unwrap_or(DEFAULT_LIFE).min(MAX_LIFE) + GRACE;
                (held.seen, held.until) = (now, held.until.max(seconds(until)));
                let (host, line) = (held.host, held.line);
                if held.proof != Proof::Unproved {
                    let slot = self.hosts.find(&host);
                    if let Some(host) = slot.and_then(|slot| self.hosts.value_mut(slot)) {
                        host.until = host.until.max(until);
                    }
                    let slot = self.lines.find(&line);
                    if let Some(line) = slot.and_then(|slot| self.lines.value_mut(slot)) {
                        line.until = line.until.max(seconds(until).saturating_add(GENUINE_FOR));
                    }
                }
                true
            }
            Some(_) => false,
            None => self.hosts.get(&listed.host).is_some_and(|host| host.crowded),
        }
    }

    /// The registration with this Call-ID ended.
    pub(crate) fn end(&mut self, call: u64, now: Timestamp) {
        let Some(id) = self.calls.remove(&call) else {
            return;
        };
        // A newer dialog of the same user at the same address goes on.
        if self.registration(id).is_some_and(|registration| registration.call == call)
            && let Some(gone) = self.registrations.remove(&id).flatten()
        {
            self.leave(gone, now);
        }
    }

    /// Forgets what was not seen since `since`: a snapshot of that time did not hold it.
    pub(crate) fn forget_unseen(&mut self, since: Timestamp, now: Timestamp) {
        // A part of a list, of which there are hundreds: it lifts nothing.
        if since == Timestamp::EPOCH {
            return;
        }
        self.forget(now, |registration| registration.seen < since);
    }

    /// Removes expired registrations.
    pub(crate) fn expire(&mut self, now: Timestamp) {
        let seconds = seconds(now);
        self.forget(now, |registration| registration.until <= seconds);
        self.lines.expire(|_, line| line.until <= seconds);
        self.pairs
            .expire(|_, pair| pair.held == 0 && seconds.saturating_sub(pair.since) >= GENUINE_FOR);
    }

    /// Registrations of a host.
    pub(crate) fn of(&self, host: &Key, now: Timestamp) -> u32 {
        self.host(host, now).map_or(0, |host| host.registrations)
    }

    /// When the last of them ends, at the latest: [`MAX_LIFE`] and [`GRACE`] from now at most.
    pub(crate) fn until(&self, host: &Key, now: Timestamp) -> Option<Timestamp> {
        self.host(host, now).map(|host| host.until)
    }

    /// Whose they are.
    pub(crate) fn accounts(&self, host: &Key, now: Timestamp) -> Registered {
        match self.host(host, now) {
            None => Registered::Nobody,
            Some(host) if host.several => Registered::Several,
            Some(host) => Registered::Only(host.account),
        }
    }

    /// A registration is at this port of a host, or may be.
    pub(crate) fn may_hold(&self, host: Key, port: u16) -> bool {
        self.hosts.get(&host).is_some_and(|live| self.ports.may_hold(host, live.port, port))
    }

    /// The known ports of a host's registrations.
    pub(crate) fn ports(&self, host: Key) -> impl Iterator<Item = u16> {
        let own = self.hosts.get(&host).map(|live| live.port).unwrap_or_default();
        self.ports.of(host, own)
    }

    /// This dialog is one by which the account is registered at its host, or was within the last hour.
    pub(crate) fn is_registered_line(&self, line: u64, now: Timestamp) -> bool {
        self.line(line, now).is_some()
    }

    /// The same, and a success showed it: a list of registrations alone does not make it genuine.
    pub(crate) fn is_genuine(&self, line: u64, now: Timestamp) -> bool {
        self.line(line, now).is_some_and(|line| line.genuine)
    }

    /// The dialog with this Call-ID (of a user and a domain) is registered from somewhere now.
    pub(crate) fn is_registered_call(&self, call: u64, now: Timestamp) -> bool {
        let registration = self.calls.get(&call).and_then(|id| self.registration(*id));
        registration.is_some_and(|held| {
            held.call == call && held.proof != Proof::Unproved && held.until > seconds(now)
        })
    }

    /// Takes over how many registrations `other` has of one host, without what each is.
    pub(crate) fn copy(&mut self, other: &Self, host: Key) {
        if let Some(live) = other.hosts.get(&host) {
            *self.hosts.entry(host) = *live;
            self.ports.copy(&other.ports, host);
        }
    }

    /// Registrations, and hosts of them.
    pub(crate) fn sizes(&self) -> (usize, usize) {
        (self.registrations.len(), self.hosts.len())
    }

    /// Hosts with registrations that hold.
    pub(crate) fn hosts(&self, now: Timestamp) -> impl Iterator<Item = Key> {
        let live = self.hosts.iter().filter(move |(_, host)| host.until > now);
        live.map(|(key, _)| *key)
    }

    fn registration(&self, id: u64) -> Option<&Registration> {
        self.registrations.get(&id)?.as_ref()
    }

    fn host(&self, host: &Key, now: Timestamp) -> Option<&Host> {
        if self.hosts.len() == 0 {
            return None;
        }
        self.hosts.get(host).filter(|live| live.until > now && live.registrations > 0)
    }

    fn line(&self, line: u64, now: Timestamp) -> Option<&Line> {
        self.lines.get(&line).filter(|line| line.until > seconds(now))
    }

    fn forget(&mut self, now: Timestamp, which: impl Fn(&Registration) -> bool) {
        let gone: Vec<u64> = self
            .registrations
            .iter()
            .filter(|(_, registration)| registration.as_ref().is_some_and(&which))
            .map(|(id, _)| *id)
            .collect();
        for id in gone {
            if let Some(gone) = self.registrations.remove(&id).flatten() {
                self.calls.remove(&gone.call);
                self.leave(gone, now);
            }
        }
    }

    fn enter(&mut self, key: Key, account: u64, port: Option<u16>) {
        let host = self.hosts.entry(key);
        if host.registrations == 0 {
            (host.account, host.several) = (account, false);
        }
        host.several |= host.account != account;
        host.registrations += 1;
        self.ports.enter(key, &mut host.port, port);
    }

    /// The first at a host is not counted.
    fn enter_pair(&mut self, host: Key, pair: u64, proof: Proof) {
        if proof == Proof::Unproved
            || self.hosts.get(&host).is_some_and(|host| host.registrations > 0)
        {
            self.pairs.entry(pair).held += 1;
        }
    }

    fn leave_pair(&mut self, pair: u64) {
        let slot = self.pairs.find(&pair);
        let Some(held) = slot.and_then(|slot| self.pairs.value_mut(slot)) else {
            return;
        };
        held.held = held.held.saturating_sub(1);
        if held.held == 0 && held.short == 0 {
            self.pairs.remove(&pair);
        }
    }

    fn leave(&mut self, gone: Registration, now: Timestamp) {
        self.give_up(&gone, now);
        self.leave_pair(gone.pair);
        if gone.proof == Proof::Unproved {
            self.unproved = self.unproved.saturating_sub(1);
            return;
        }
        let key = gone.host;
        let slot = self.hosts.find(&key);
        let Some(host) = slot.and_then(|slot| self.hosts.value_mut(slot)) else {
            return;
        };
        self.ports.leave(key, &mut host.port, gone.port.map(NonZeroU16::get));
        host.registrations = host.registrations.saturating_sub(1);
        if host.registrations == 0 {
            self.hosts.remove(&key);
        }
    }

    /// A registration is over, or its phone has begun another dialog.
    fn give_up(&mut self, gone: &Registration, now: Timestamp) {
        if now.since(gone.seen) < SHORT && self.is_one_too_many(gone.pair, seconds(now)) {
            self.lines.remove(&gone.line);
        } else {
            self.end_line(gone.line, now);
        }
    }

    /// An account gave up one more dialog at once.
    fn is_one_too_many(&mut self, pair: u64, now: u32) -> bool {
        let pair = self.pairs.entry(pair);
        if now.saturating_sub(pair.since) >= GENUINE_FOR {
            (pair.short, pair.since) = (0, now);
        }
        pair.short = pair.short.saturating_add(1);
        pair.short > MAX_SHORT
    }

    /// A dialog is over: it still proves its user for an hour.
    fn end_line(&mut self, line: u64, now: Timestamp) {
        let slot = self.lines.find(&line);
        if let Some(line) = slot.and_then(|slot| self.lines.value_mut(slot)) {
            line.until = line.until.min(seconds(now).saturating_add(GENUINE_FOR));
        }
    }
}

#[cfg(test)]
mod tests;
