//! The readable side of the latest failures: a ring that old ones fall out of.

use std::num::NonZeroU32;

use crate::key::Key;
use crate::sources::Entry;
use crate::{Details, FailureText};

/// Failures remembered with their texts: 1.8 MB. Enough that a source at its threshold still finds
/// its own during an attack of more than a thousand sources.
const CAPACITY: u32 = 8_192;

/// Failures of one source that are looked at for [`Details`].
const MAX_STEPS: usize = 32;

/// Users named in [`Details`].
const MAX_USERS: usize = 10;

/// The latest failures that had weight.
#[derive(Debug, Default)]
pub(crate) struct Recent {
    ring: Vec<Detail>,
    /// Number of the newest. Numbers start at 1 and wrap around after 4 billion failures: a link that
    /// old finds another source's failure in its place, or one of its own.
    newest: u32,
}

#[derive(Debug)]
struct Detail {
    key: Key,
    /// The failure as it is counted.
    entry: Entry,
    text: FailureText,
    /// The failure of the same source before it.
    previous: Option<NonZeroU32>,
}

impl Recent {
    /// Remembers a failure; `previous` is the number of the one before it of the same source.
    pub(crate) fn push(
        &mut self,
        key: Key,
        entry: Entry,
        text: FailureText,
        previous: Option<NonZeroU32>,
    ) -> Option<NonZeroU32> {
        let detail = Detail { key, entry, text, previous };
        self.newest = self.newest.wrapping_add(1);
        match self.ring.get_mut(place(self.newest)) {
            Some(old) => *old = detail,
            None => self.ring.push(detail),
        }
        NonZeroU32::new(self.newest)
    }

    /// The failures of a source that are still here, newest first, each as it is counted and as it
    /// looked.
    pub(crate) fn of(
        &self,
        key: Key,
        newest: Option<NonZeroU32>,
    ) -> impl Iterator<Item = (Entry, FailureText)> {
        let last = newest.and_then(|newest| self.get(key, newest));
        let older = move |detail: &&Detail| self.get(key, detail.previous?);
        let all = std::iter::successors(last, older).take(CAPACITY as usize);
        all.map(|detail| (detail.entry, detail.text))
    }

    /// What the latest failures of a source looked like, as far as they are still here.
    pub(crate) fn details(&self, key: Key, newest: Option<NonZeroU32>) -> Option<Box<Details>> {
        let last = self.get(key, newest?)?;
        let mut details = Details {
            users: Vec::new(),
            profile: last.text.profile,
            user_agent: last.text.user_agent,
            reason: None,
        };
        let older = |detail: &&Detail| self.get(key, detail.previous?);
        for detail in std::iter::successors(Some(last), older).take(MAX_STEPS) {
            if details.users.len() >= MAX_USERS {
                break;
            }
            if !details.users.contains(&detail.text.user) {
                details.users.push(detail.text.user);
            }
        }
        details.users.reverse();
        details.users.shrink_to_fit();
        Some(Box::new(details))
    }

    fn get(&self, key: Key, number: NonZeroU32) -> Option<&Detail> {
        let number = number.get();
        if self.newest.wrapping_sub(number) >= CAPACITY {
            return None;
        }
        self.ring.get(place(number)).filter(|detail| detail.key == key)
    }
}

/// Where the failure of this number stands.
fn place(number: u32) -> usize {
    (number.wrapping_sub(1) % CAPACITY) as usize
}
