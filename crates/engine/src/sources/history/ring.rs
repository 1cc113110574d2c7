//! Entries in the order of their arrival.

use super::Entry;

/// Places that the first failure takes, and that few more take at once: a stranger is banned at the fifth, or at
/// the twentieth with a borrowed nonce.
const PLACES: usize = 4;

/// From here on the ring grows by a quarter.
const MANY: usize = 32;

/// Entries, oldest first.
#[derive(Clone, Debug, Default)]
pub(super) struct Ring {
    places: Box<[Entry]>,
    oldest: u16,
    len: u16,
}

impl Ring {
    /// Entries kept at most, whatever the policy: its strangest needs 20,000 of good evidence and as many of weak.
    pub(super) const MOST: usize = 40_000;

    pub(super) fn len(&self) -> usize {
        self.len.into()
    }

    /// Adds the newest entry. The caller keeps to [`Ring::MOST`].
    pub(super) fn push(&mut self, entry: Entry) {
        if self.len() >= self.places.len() {
            self.grow();
        }
        let place = self.place(self.len());
        if let Some(place) = self.places.get_mut(place) {
            *place = entry;
            self.len += 1;
        }
    }

    pub(super) fn pop_oldest(&mut self) -> Option<Entry> {
        let oldest = self.oldest()?;
        self.oldest = u16::try_from(self.place(1)).unwrap_or_default();
        self.len -= 1;
        Some(oldest)
    }

    /// Removes the oldest of some.
    pub(super) fn remove_oldest(&mut self, which: impl Fn(Entry) -> bool) -> Option<Entry> {
        let at = (0..self.len()).find(|at| self.get(*at).is_some_and(&which))?;
        let found = self.get(at);
        // Those before it move up by one.
        for at in (0..at).rev() {
            let (from, to) = (self.place(at), self.place(at + 1));
            self.places.swap(from, to);
        }
        self.pop_oldest();
        found
    }

    pub(super) fn oldest(&self) -> Option<Entry> {
        self.get(0)
    }

    /// The entry with this many newer ones.
    pub(super) fn newest(&self, newer: usize) -> Option<Entry> {
        self.get(self.len().checked_sub(newer + 1)?)
    }

    pub(super) fn newest_first(&self) -> impl Iterator<Item = Entry> {
        let oldest = usize::from(self.oldest);
        // The newer of them begin anew at the first place.
        let upper = self.places.get(oldest..self.places.len().min(oldest + self.len()));
        let upper = upper.unwrap_or_default();
        let lower = self.places.get(..self.len() - upper.len()).unwrap_or_default();
        lower.iter().rev().chain(upper.iter().rev()).copied()
    }

    /// Keeps some, in the same order.
    pub(super) fn retain(&mut self, keep: impl Fn(Entry) -> bool) {
        for _ in 0..self.len {
            if let Some(entry) = self.pop_oldest()
                && keep(entry)
            {
                self.push(entry);
            }
        }
    }

    fn get(&self, at: usize) -> Option<Entry> {
        if at >= self.len() {
            return None;
        }
        self.places.get(self.place(at)).copied()
    }

    /// Where entry number `at` stands, counted from the oldest.
    fn place(&self, at: usize) -> usize {
        let place = usize::from(self.oldest) + at;
        place.checked_sub(self.places.len()).unwrap_or(place)
    }

    fn grow(&mut self) {
        let held = self.places.len();
        let more = if held < MANY { PLACES } else { held / 4 };
        let size = (held + more).min(Self::MOST);
        let mut places = Vec::with_capacity(size);
        places.extend((0..self.len()).map_while(|at| self.get(at)));
        places.resize(size, Entry::default());
        self.places = places.into_boxed_slice();
        self.oldest = 0;
    }
}

#[cfg(test)]
mod tests;
