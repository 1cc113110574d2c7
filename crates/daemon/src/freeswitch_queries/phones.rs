//! Active registrations: one is one user at one address, whatever Call-IDs its phone has had.
//!
//! They come from events, and from FreeSWITCH's list after each connection or gap. Events during the transfer of the
//! list take precedence over it.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use sipward_engine::Timestamp;

/// Dialogs held at once, some 150 bytes each. Beyond it the table is incomplete.
const MAX_DIALOGS: usize = 262_144;

/// Ends remembered against a list that is on its way.
const MAX_ENDED: usize = 65_536;

/// How long an end is remembered: no list is longer on its way.
const ENDED_FOR: Duration = Duration::from_secs(600);

/// Lifetime of a registration whose event has none: the default of a SIP registrar
/// (RFC 3261 section 10.3).
const DEFAULT_LIFE: Duration = Duration::from_secs(3_600);

/// Longest life: phones choose theirs, and `unregister` or `expire` may go unseen.
const MAX_LIFE: Duration = Duration::from_secs(86_400);

/// FreeSWITCH keeps a registration for a minute beyond its end (`sip-expires-late-margin`) and finds it by a sweep
/// every 30 s; as much again for a refresh on its way.
const GRACE: Duration = Duration::from_secs(180);

/// A phone, from an event or a list.
#[derive(Clone, Copy, Debug)]
pub struct Phone<'p> {
    pub user: &'p str,
    pub domain: &'p str,
    pub source: IpAddr,
    pub call_id: &'p str,
    pub port: Option<u16>,
}

/// All registrations.
#[derive(Debug)]
pub struct Phones {
    hasher: RandomState,
    /// By user, domain and Call-ID.
    dialogs: HashMap<u64, Dialog>,
    /// By user, domain and address: what is counted.
    registrations: HashMap<u64, Registration>,
    addresses: HashMap<Place, Address>,
    /// Dialogs that ended lately, and when.
    ended: HashMap<u64, Timestamp>,
    /// When something last found no room; a whole list that was asked for later makes up for it.
    overflowed: Option<Timestamp>,
}

/// An address, IPv4 in mapped form: an [`IpAddr`] has a byte more, which costs eight in each table.
type Place = Ipv6Addr;

/// One phone of a user at an address: it keeps its Call-ID until it restarts.
#[derive(Clone, Copy, Debug)]
struct Dialog {
    registration: u64,
    until: Timestamp,
    /// When it was made, renewed, or seen in a list.
    seen: Timestamp,
}

#[derive(Clone, Copy, Debug)]
struct Registration {
    address: Place,
    dialogs: u32,
    /// The latest dialog and its port: a phone that restarts comes back from the same one.
    latest: u64,
    port: Option<u16>,
}

#[derive(Clone, Copy, Debug)]
struct Address {
    registrations: u32,
    since: Timestamp,
}

impl Phones {
    pub(super) fn new() -> Self {
        Self {
            hasher: RandomState::new(),
            dialogs: HashMap::new(),
            registrations: HashMap::new(),
            addresses: HashMap::new(),
            ended: HashMap::new(),
            overflowed: None,
        }
    }

    /// A phone registered, or renewed its registration; `life` as far as it is known.
    pub fn registered(&mut self, phone: &Phone<'_>, life: Option<Duration>, now: Timestamp) {
        let id = self.dialog_id(phone.user, phone.domain, phone.call_id);
        self.ended.remove(&id);
        self.put(id, phone, life, now);
    }

    /// A line of FreeSWITCH's list, which was asked for at `asked`. False if the registration has ended since then.
    pub fn listed(
        &mut self,
        phone: &Phone<'_>,
        life: Option<Duration>,
        asked: Timestamp,
        now: Timestamp,
    ) -> bool {
        let id = self.dialog_id(phone.user, phone.domain, phone.call_id);
        if self.ended.get(&id).is_some_and(|ended| *ended >= asked) {
            return false;
        }
        // An event since then knows better where the phone is.
        if self.dialogs.get(&id).is_some_and(|dialog| dialog.seen >= asked) {
            return true;
        }
        self.put(id, phone, life, now);
        true
    }

    /// The whole list has been read: registrations that are neither in it nor in events since the query are removed.
    pub fn list_ends(&mut self, asked: Timestamp) {
        self.overflowed = self.overflowed.filter(|at| *at >= asked);
        self.forget(|dialog| dialog.seen < asked);
    }

    /// A registration ended. Gives the address where it was: `unregister` may come without one.
    pub fn ended(
        &mut self,
        user: &str,
        domain: &str,
        call_id: &str,
        now: Timestamp,
    ) -> Option<IpAddr> {
        let id = self.dialog_id(user, domain, call_id);
        if self.ended.len() < MAX_ENDED {
            self.ended.insert(id, now);
        } else {
            // A list that comes now may bring back what has ended.
            self.overflowed = Some(now);
        }
        self.leave(id)
    }

    /// Removes expired registrations, and old ends.
    pub fn expire(&mut self, now: Timestamp) {
        self.forget(|dialog| dialog.until <= now);
        self.ended.retain(|_, ended| now.since(*ended) < ENDED_FOR);
    }

    /// Registrations: users, each counted once at each address.
    pub fn count(&self) -> usize {
        self.registrations.len()
    }

    /// How many of them are at this address.
    pub fn at(&self, address: IpAddr) -> u32 {
        self.addresses.get(&place(address)).map_or(0, |here| here.registrations)
    }

    /// Addresses with registrations, since when, and how many.
    pub fn addresses(&self) -> impl Iterator<Item = (IpAddr, Timestamp, u32)> {
        let canonical = |place: &Place| place.to_canonical();
        self.addresses.iter().map(move |(at, here)| (canonical(at), here.since, here.registrations))
    }

    /// Something found no room since the last whole list.
    pub(super) fn is_incomplete(&self) -> bool {
        self.overflowed.is_some()
    }

    fn put(&mut self, id: u64, phone: &Phone<'_>, life: Option<Duration>, now: Timestamp) {
        let address = place(phone.source);
        let registration = self.registration_id(phone.user, phone.domain, address);
        let until = now + life.unwrap_or(DEFAULT_LIFE).min(MAX_LIFE) + GRACE;
        let dialog = Dialog { registration, until, seen: now };
        let is_full = self.dialogs.len() >= MAX_DIALOGS;
        match self.dialogs.get_mut(&id) {
            Some(known) if known.registration == registration => *known = dialog,
            Some(_) => {
                // The same phone at another address.
                self.leave(id);
                self.enter(id, dialog, address, now);
            }
            None if is_full => {
                self.overflowed = Some(now);
                return;
            }
            None => self.enter(id, dialog, address, now),
        }
        self.replace_restarted(registration, id, phone.port);
    }

    fn enter(&mut self, id: u64, dialog: Dialog, address: Place, now: Timestamp) {
        self.dialogs.insert(id, dialog);
        let mut is_new = false;
        let registration = self.registrations.entry(dialog.registration).or_insert_with(|| {
            is_new = true;
            Registration { address, dialogs: 0, latest: id, port: None }
        });
        registration.dialogs += 1;
        if is_new {
            let here =
                self.addresses.entry(address).or_insert(Address { registrations: 0, since: now });
            here.registrations += 1;
        }
    }

    /// A user's phone that comes from the same port with another Call-ID has restarted: the dialog before is over,
    /// and no event will say so.
    fn replace_restarted(&mut self, registration: u64, id: u64, port: Option<u16>) {
        let Some(place) = self.registrations.get_mut(&registration) else { return };
        let before = std::mem::replace(&mut place.latest, id);
        let its_port = std::mem::replace(&mut place.port, port);
        if before != id && port.is_some() && its_port == port {
            self.leave(before);
        }
    }

    /// A dialog is over; gives its address.
    fn leave(&mut self, id: u64) -> Option<IpAddr> {
        let dialog = self.dialogs.remove(&id)?;
        let registration = self.registrations.get_mut(&dialog.registration)?;
        let address = registration.address;
        registration.dialogs = registration.dialogs.saturating_sub(1);
        if registration.dialogs > 0 {
            return Some(address.to_canonical());
        }
        self.registrations.remove(&dialog.registration);
        if let Some(here) = self.addresses.get_mut(&address) {
            here.registrations = here.registrations.saturating_sub(1);
            if here.registrations == 0 {
                self.addresses.remove(&address);
            }
        }
        Some(address.to_canonical())
    }

    fn forget(&mut self, which: impl Fn(&Dialog) -> bool) {
        let gone: Vec<u64> =
            self.dialogs.iter().filter(|(_, dialog)| which(dialog)).map(|(id, _)| *id).collect();
        for id in gone {
            self.leave(id);
        }
    }

    fn dialog_id(&self, user: &str, domain: &str, call_id: &str) -> u64 {
        self.hasher.hash_one((user, domain, call_id))
    }

    fn registration_id(&self, user: &str, domain: &str, address: Place) -> u64 {
        self.hasher.hash_one((user, domain, address))
    }
}

fn place(address: IpAddr) -> Place {
    match address {
        IpAddr::V4(v4) => v4.to_ipv6_mapped(),
        IpAddr::V6(v6) => v6,
    }
}

#[cfg(test)]
mod tests;
