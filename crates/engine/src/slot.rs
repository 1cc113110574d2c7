//! Handles of table entries, and the pages they stand in.

use std::num::NonZeroU32;

/// Entries per page. Pages are never moved, so growing to a quarter million entries copies nothing
/// and wastes at most one page.
pub(crate) const PAGE: usize = 1024;

/// Handle of an entry, valid until the entry is removed or evicted.
///
/// Four bytes, also as an `Option`: the tables hold several of them per entry.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
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
