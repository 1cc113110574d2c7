//! The shield's hosts on their way into the kernel.

use std::collections::HashMap;
use std::time::Instant;

use nix::errno::Errno;

use super::elements::{self, Element, With};
use super::family::{Family, Transport};
use super::limits;
use super::ranges::Ranges;
use super::sets::{self, Set};
use super::{Gate, content, message, refused};
use crate::netlink::{Batch, Refusal};
use crate::shield::{Key, MOST_SLOWED, Slowed, Wanted};
use crate::{RouteError, Stranger};

/// Hosts changed in one transaction: some milliseconds of the kernel's work, in which no ban is set.
pub(crate) const STEP: usize = 512;
/// Strangers named at most.
const NAMED: usize = 1024;
/// Packets from which on a stranger is named.
const MANY: u64 = 300;
/// What cannot be done when the kernel refuses.
const HOSTS: &str = "change the hosts of the shield";
const UNLIMITED: &str = "change the unlimited networks of the shield";
/// Bytes of a transaction that sets the gate without hosts: less than 200 messages.
pub(super) const GATE_ONLY: usize = 64 * 1024;

impl Gate {
    /// Changes healthy hosts in one transaction.
    ///
    /// # Errors
    /// When netlink fails or the kernel refuses; then the sets are not as they were left.
    pub(crate) async fn change_hosts(&mut self, hosts: &[Wanted]) -> Result<(), RouteError> {
        if self.shield().is_none() {
            return Ok(());
        }
        let batch = message::transaction(|batch| self.host_changes(batch, hosts));
        self.transact_all(batch, HOSTS).await?;
        for Wanted { key, registrations } in hosts {
            match registrations {
                Some(registrations) => self.healthy.insert(*key, *registrations),
                None => self.healthy.remove(key),
            };
        }
        Ok(())
    }

    fn host_changes(&self, batch: &mut Batch, hosts: &[Wanted]) {
        let Some(shield) = self.shield() else { return };
        let gate = self.in_force();
        for family in Family::BOTH {
            let of_family = |host: &Wanted| {
                let (its, value) = sets::host(host.key);
                let there = self.healthy.get(&host.key).copied();
                (its == family && there != host.registrations).then_some((
                    value,
                    there,
                    host.registrations,
                ))
            };
            let changed: Vec<_> = hosts.iter().filter_map(of_family).collect();
            for transport in Transport::BOTH {
                let set = Set::Healthy(transport, family);
                let stale = changed.iter().filter(|(_, there, _)| there.is_some());
                let stale = stale.map(|(value, ..)| Element::value(*value));
                elements::delete(batch, &gate, set, stale);
                let fresh = changed.iter().filter_map(|(value, _, wanted)| {
                    let rate = Some(limits::healthy(transport, shield, (*wanted)?));
                    Some((*value, With { rate, ..With::default() }))
                });
                elements::add_with(batch, &gate, set, fresh);
            }
        }
    }

    /// Brings the budgets into force, or takes them out.
    ///
    /// # Errors
    /// When netlink fails or the kernel refuses.
    pub(crate) async fn set_budgets(&mut self, on: bool) -> Result<(), RouteError> {
        if self.shield().is_none() || self.budgets == Some(on) {
            return Ok(());
        }
        let gate = self.in_force();
        let batch = message::transaction(|batch| {
            elements::empty(batch, &gate, Set::Budgets);
            if on {
                elements::add(batch, &gate, Set::Budgets, elements::transports());
            }
        });
        self.transact_all(batch, HOSTS).await?;
        self.budgets = Some(on);
        Ok(())
    }

    /// Slows hosts, or lets them go.
    ///
    /// # Errors
    /// When netlink fails or the kernel refuses.
    pub(crate) async fn slow(&mut self, hosts: &[Slowed]) -> Result<(), RouteError> {
        let now = Instant::now();
        self.slowed.retain(|_, until| *until > now);
        let before = self.slowed.clone();
        for Slowed { key, until } in hosts {
            match until {
                Some(until) if self.slowed.len() < MOST_SLOWED => {
                    let longest = self.slowed.get(key).map_or(*until, |there| *until.max(there));
                    self.slowed.insert(*key, longest);
                }
                Some(_) => {}
                None => drop(self.slowed.remove(key)),
            }
        }
        let changed: Vec<Key> = hosts
            .iter()
            .map(|host| host.key)
            .filter(|key| before.get(key) != self.slowed.get(key))
            .collect();
        self.write_slowed(&changed, &before).await
    }

    /// Slows again all that are slowed: the sets are new.
    ///
    /// # Errors
    /// When netlink fails or the kernel refuses.
    pub(super) async fn slow_again(&mut self) -> Result<(), RouteError> {
        let all: Vec<Key> = self.slowed.keys().copied().collect();
        self.write_slowed(&all, &HashMap::new()).await
    }

    async fn write_slowed(
        &mut self,
        keys: &[Key],
        before: &HashMap<Key, Instant>,
    ) -> Result<(), RouteError> {
        if self.shield().is_none() {
            return Ok(());
        }
        for keys in keys.chunks(STEP) {
            // An element that has run out meanwhile cannot be deleted: then it is only added.
            for with_deletion in [true, false] {
                let there = |key: &Key| with_deletion && before.contains_key(key);
                let batch = message::transaction(|batch| self.slowed_changes(batch, keys, there));
                match self.transact(batch).await? {
                    None => break,
                    Some(refusal) if with_deletion && refusal.errno == Errno::ENOENT => {}
                    Some(refusal) => return Err(self.lost(HOSTS, &refusal)),
                }
            }
        }
        Ok(())
    }

    fn slowed_changes(&self, batch: &mut Batch, keys: &[Key], there: impl Fn(&Key) -> bool) {
        let (gate, now) = (self.in_force(), Instant::now());
        for family in Family::BOTH {
            let keys = || keys.iter().filter(|key| sets::host(**key).0 == family);
            for transport in Transport::BOTH {
                let set = Set::Slowed(transport, family);
                let stale = keys().filter(|key| there(key));
                let stale = stale.map(|key| Element::value(sets::host(*key).1));
                elements::delete(batch, &gate, set, stale);
                let fresh = keys().filter_map(|key| {
                    let left = self.slowed.get(key)?.checked_duration_since(now)?;
                    // No time at all would mean for ever.
                    let timeout = Some(left.max(std::time::Duration::from_millis(1)));
                    Some((sets::host(*key).1, With { timeout, ..With::default() }))
                });
                elements::add_with(batch, &gate, set, fresh);
            }
        }
    }

    /// Goes a step towards the unlimited networks of `target`, at once in the kernel where the gate is
    /// `standing`. Tells whether it is reached. Many new networks take many steps, so that bans are set
    /// in between.
    ///
    /// # Errors
    /// When netlink fails, the kernel refuses, or they are more than this host lets us send at once; then
    /// those before stay.
    pub(crate) async fn unlimit(
        &mut self,
        target: &Ranges,
        standing: bool,
    ) -> Result<bool, RouteError> {
        if !standing || self.shield().is_none() {
            self.unlimited = Some(target.clone());
            return Ok(true);
        }
        if self.unlimited.as_ref() == Some(target) {
            return Ok(true);
        }
        self.check_size(target)?;
        let nobody = Ranges::default();
        let next = self.unlimited.as_ref().unwrap_or(&nobody).towards(target);
        let gate = self.in_force();
        let batch = message::transaction(|batch| {
            elements::replace_ranges(batch, &gate, Set::Unlimited, self.unlimited.as_ref(), &next);
        });
        self.transact_all(batch, UNLIMITED).await?;
        let reached = next == *target;
        self.unlimited = Some(next);
        Ok(reached)
    }

    /// A gate that was flushed is put back with all of them in one piece.
    fn check_size(&self, target: &Ranges) -> Result<(), RouteError> {
        let largest = self.netfilter.largest_send();
        // Start and end of each range.
        let needed = GATE_ONLY + target.len() * 2 * elements::LARGEST_RANGE;
        if needed > largest {
            let reason = format!(
                "{needed} bytes exceed the largest message of this host ({largest}); raise the \
                 sysctl net.core.wmem_max to {needed} or exempt fewer"
            );
            return Err(RouteError::Refused { what: UNLIMITED.to_owned(), reason });
        }
        Ok(())
    }

    /// Learns what a gate from an earlier run holds.
    ///
    /// # Errors
    /// When netlink fails or the kernel refuses.
    pub(crate) async fn learn(&mut self) -> Result<(), RouteError> {
        let gate = self.in_force();
        let mut both = Vec::new();
        for family in Family::BOTH {
            for transport in Transport::BOTH {
                let set = Set::Healthy(transport, family);
                both.push(content::hosts(&mut self.netfilter, &gate, set).await?);
            }
        }
        // How many registrations each has is not asked: 0 is none that a host could have.
        self.healthy = both.into_iter().flatten().map(|(key, _)| (key, 0)).collect();
        let mut on = false;
        content::read(&mut self.netfilter, &gate, Set::Budgets, |_, _| on = true).await?;
        self.budgets = Some(on);
        Ok(())
    }

    /// The strangers that have sent most.
    ///
    /// # Errors
    /// When netlink fails or the kernel refuses.
    pub(crate) async fn strangers(&mut self) -> Result<Vec<Stranger>, RouteError> {
        if self.shield().is_none() {
            return Ok(Vec::new());
        }
        let (gate, now) = (self.in_force(), Instant::now());
        let mut named = Vec::new();
        for family in Family::BOTH {
            let set = Set::Counted(family);
            let found = content::hosts(&mut self.netfilter, &gate, set).await?;
            named.extend(
                found
                    .into_iter()
                    .filter(|(key, packets)| *packets >= MANY && !self.healthy.contains_key(key)),
            );
        }
        named.sort_unstable_by_key(|(key, packets)| (std::cmp::Reverse(*packets), *key));
        named.truncate(NAMED);
        let stranger = |(key, packets): (Key, u64)| Stranger {
            source: key.net(),
            packets,
            is_slowed: self.slowed.get(&key).is_some_and(|until| *until > now),
        };
        Ok(named.into_iter().map(stranger).collect())
    }

    pub(super) async fn transact_all(
        &mut self,
        batch: Batch,
        what: &str,
    ) -> Result<(), RouteError> {
        match self.transact(batch).await? {
            None => Ok(()),
            Some(refusal) => Err(self.lost(what, &refusal)),
        }
    }

    pub(super) fn lost(&mut self, what: &str, refusal: &Refusal) -> RouteError {
        self.is_suspect = true;
        refused(what, refusal)
    }
}
