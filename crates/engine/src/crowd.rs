//! How many different ones did the same thing within a window: sources of an account, hosts of a
//! network.

use std::collections::VecDeque;
use std::time::Duration;

use crate::Timestamp;
use crate::lru::LruTable;

/// Crowds watched at once.
const MAX_CROWDS: usize = 4_096;

/// Distinct members by crowd.
#[derive(Debug)]
pub(crate) struct Crowds {
    table: LruTable<u64, Crowd>,
}

#[derive(Debug, Default)]
struct Crowd {
    /// Hash and last time of each, the latest last; at most the rule's threshold, of 64.
    members: VecDeque<(u64, Timestamp)>,
}

impl Crowds {
    pub(crate) fn new(seed: u64) -> Self {
        Self { table: LruTable::new(MAX_CROWDS, seed) }
    }

    /// Adds a member; gives the members within the window, before and after, as far as `most` (a
    /// threshold: more members than that need not be told apart).
    pub(crate) fn add(
        &mut self,
        crowd: u64,
        member: u64,
        (most, window): (u32, Duration),
        now: Timestamp,
    ) -> (u32, u32) {
        let members = &mut self.table.entry(crowd).members;
        while members.front().is_some_and(|(_, at)| *at + window <= now) {
            members.pop_front();
        }
        let before = count(members);
        if let Some(known) = members.iter().position(|(other, _)| *other == member) {
            members.remove(known);
        } else if before >= most {
            members.pop_front();
        }
        members.push_back((member, now));
        (before, count(members))
    }

    /// Members of a crowd within the window but for this one, as far as they are told apart.
    pub(crate) fn others(&self, crowd: u64, member: u64, window: Duration, now: Timestamp) -> u32 {
        let members = self.table.get(&crowd).map(|crowd| &crowd.members);
        let within = members.into_iter().flatten().filter(|(_, at)| *at + window > now);
        let others = within.filter(|(other, _)| *other != member).count();
        u32::try_from(others).unwrap_or(u32::MAX)
    }

    /// Forgets a crowd: it begins anew.
    pub(crate) fn remove(&mut self, crowd: u64) {
        self.table.remove(&crowd);
    }

    /// Forgets the crowds that have gone home.
    pub(crate) fn expire(&mut self, now: Timestamp, window: Duration) {
        self.table.expire(|_, crowd| {
            crowd.members.back().is_none_or(|(_, last)| now.since(*last) >= window)
        });
    }

    pub(crate) fn len(&self) -> usize {
        self.table.len()
    }
}

fn count(members: &VecDeque<(u64, Timestamp)>) -> u32 {
    u32::try_from(members.len()).unwrap_or(u32::MAX)
}
