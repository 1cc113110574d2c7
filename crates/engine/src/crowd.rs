//! How many different ones did the same thing within a window: sources of an account, hosts of a
//! network.

use std::time::Duration;

use crate::Timestamp;
use crate::lru::LruTable;

/// Crowds watched at once.
const MAX_CROWDS: usize = 4_096;

/// Members remembered of each: the highest threshold of the rules that ask.
const MAX_MEMBERS: usize = 64;

/// Distinct members by crowd.
#[derive(Debug)]
pub(crate) struct Crowds {
    table: LruTable<u64, Crowd>,
}

#[derive(Debug, Default)]
struct Crowd {
    /// Hash and last time of each, the latest last.
    members: Vec<(u64, Timestamp)>,
}

impl Crowds {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            table: LruTable::new(MAX_CROWDS, seed),
        }
    }

    /// Adds a member; gives the members within the window, before and after.
    pub(crate) fn add(
        &mut self,
        crowd: u64,
        member: u64,
        window: Duration,
        now: Timestamp,
    ) -> (u32, u32) {
        let members = &mut self.table.entry(crowd).members;
        members.retain(|(_, at)| now.since(*at) < window);
        let before = count(members);
        members.retain(|(other, _)| *other != member);
        if members.len() >= MAX_MEMBERS {
            members.remove(0);
        }
        members.push((member, now));
        (before, count(members))
    }

    /// Forgets the crowds that have gone home.
    pub(crate) fn expire(&mut self, now: Timestamp, window: Duration) {
        self.table.expire(|_, crowd| {
            crowd
                .members
                .last()
                .is_none_or(|(_, last)| now.since(*last) >= window)
        });
    }

    pub(crate) fn len(&self) -> usize {
        self.table.len()
    }
}

fn count(members: &[(u64, Timestamp)]) -> u32 {
    u32::try_from(members.len()).unwrap_or(u32::MAX)
}
