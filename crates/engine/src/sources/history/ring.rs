//! Entries in the order of their arrival; the oldest make room.

use super::Entry;

/// Places that the first failure takes: a stranger is banned at the fifth.
const FIRST_PLACES: usize = 4;

/// Entries, oldest first, in a ring whose size is a power of two.
#[derive(Clone, Debug, Default)]
pub(super) struct Ring {
    places: Box<[Entry]>,
    oldest: u16,
    len: u16,
}

impl Ring {
    /// Entries kept at most, whatever the policy: its strangest needs 20,000.
    pub(super) const MOST: usize = 1 << 15;

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

    pub(super) fn oldest(&self) -> Option<Entry> {
        self.get(0)
    }

    /// The entry with this many newer ones.
    pub(super) fn newest(&self, newer: usize) -> Option<Entry> {
        self.get(self.len().checked_sub(newer + 1)?)
    }

    pub(super) fn newest_first(&self) -> impl Iterator<Item = Entry> {
        let Self { places, oldest, .. } = self;
        let (oldest, mask) = (usize::from(*oldest), places.len().wrapping_sub(1));
        (0..self.len()).rev().map_while(move |at| places.get((oldest + at) & mask).copied())
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
        (usize::from(self.oldest) + at) & self.places.len().wrapping_sub(1)
    }

    fn grow(&mut self) {
        let size = (2 * self.places.len()).clamp(FIRST_PLACES, Self::MOST);
        let mut places = Vec::with_capacity(size);
        places.extend((0..self.len()).map_while(|at| self.get(at)));
        places.resize(size, Entry::default());
        self.places = places.into_boxed_slice();
        self.oldest = 0;
    }
}

#[cfg(test)]
mod tests;
