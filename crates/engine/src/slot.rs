//! The storage of the tables: entries on pages that never move, behind handles.

use std::num::NonZeroU32;

/// Entries per page. Pages are never moved, so growing to a quarter million entries copies nothing
/// and wastes at most one page.
pub(crate) const PAGE: usize = 1024;

/// Entries on pages. What is given back is used again before anything new is taken.
#[derive(Debug)]
pub(crate) struct Pages<T> {
    pages: Vec<Vec<T>>,
    free: Vec<Slot>,
}

impl<T> Default for Pages<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Pages<T> {
    /// No pages; memory is taken as entries come.
    pub(crate) const fn new() -> Self {
        Self { pages: Vec::new(), free: Vec::new() }
    }

    /// Pages there are.
    pub(crate) const fn count(&self) -> usize {
        self.pages.len()
    }

    pub(crate) fn get(&self, slot: Slot) -> Option<&T> {
        let (page, place) = slot.place();
        self.pages.get(page)?.get(place)
    }

    pub(crate) fn get_mut(&mut self, slot: Slot) -> Option<&mut T> {
        let (page, place) = slot.place();
        self.pages.get_mut(page)?.get_mut(place)
    }

    /// All that stands on the pages, also what was given back.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.pages.iter().flatten()
    }

    /// Puts an entry where there is room.
    pub(crate) fn store(&mut self, entry: T) -> Slot {
        let Some(slot) = self.free.pop() else {
            return self.append(entry);
        };
        if let Some(place) = self.get_mut(slot) {
            *place = entry;
        }
        slot
    }

    /// Gives the place of an entry back; what stands in it stays until the place is used again.
    pub(crate) fn release(&mut self, slot: Slot) {
        self.free.push(slot);
    }

    fn append(&mut self, entry: T) -> Slot {
        if self.pages.last().is_none_or(|page| page.len() >= PAGE) {
            // The first page grows as needed: most tables of a quiet host stay small.
            let size = if self.pages.is_empty() { 0 } else { PAGE };
            self.pages.push(Vec::with_capacity(size));
        }
        let before = (self.pages.len() - 1) * PAGE;
        let Some(page) = self.pages.last_mut() else {
            return Slot::new(before);
        };
        page.push(entry);
        Slot::new(before + page.len() - 1)
    }
}

/// Handle of an entry, valid until the entry is removed or evicted.
///
/// Four bytes, also as an `Option`: the tables hold several of them per entry.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Slot(NonZeroU32);

impl Slot {
    /// The handle of the entry with this many before it.
    pub(crate) fn new(before: usize) -> Self {
        let number = u32::try_from(before + 1).ok().and_then(NonZeroU32::new);
        Self(number.unwrap_or(NonZeroU32::MAX))
    }

    /// The page, and the place on it.
    pub(crate) fn place(self) -> (usize, usize) {
        let at = self.0.get() as usize - 1;
        (at / PAGE, at % PAGE)
    }
}
