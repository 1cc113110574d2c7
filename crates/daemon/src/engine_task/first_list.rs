//! Whether the next list of registrations is the first that this installation sees.
//!
//! Its phones are trusted, and an attacker must not be able to cause that again: by the loss of the store, or at a
//! restart. So the mark is a file beside the store, and not in it.

use std::fs::OpenOptions;
use std::path::PathBuf;

use sipward_config::StoreLocation;
use sipward_store::Saved;

/// Appended to the name of the store.
const SUFFIX: &str = ".first-list-seen";

/// The first list is still to come.
#[derive(Debug)]
pub struct FirstList {
    mark: PathBuf,
}

impl FirstList {
    /// `None` when there was one: the mark is there, or the store remembers something.
    pub fn awaited(store: &StoreLocation, saved: &Saved) -> Option<Self> {
        // Where nothing outlives the process, every list would be the first.
        let StoreLocation::File(store) = store else { return None };
        let mut mark = store.as_os_str().to_owned();
        mark.push(SUFFIX);
        let mark = PathBuf::from(mark);
        let is_new =
            saved.successes.is_empty() && saved.bans.is_empty() && saved.offenders.is_empty();
        (is_new && !mark.exists()).then_some(Self { mark })
    }

    /// It came. False when that cannot be marked: then it might come again.
    pub(super) fn claim(self) -> bool {
        OpenOptions::new().write(true).create_new(true).open(self.mark).is_ok()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn the_first_list_comes_once() {
        let dir = tempfile::tempdir().unwrap();
        let store = StoreLocation::File(dir.path().join("sipward.db"));
        let saved = Saved::default();
        let (one, other) = (
            FirstList::awaited(&store, &saved).unwrap(),
            FirstList::awaited(&store, &saved).unwrap(),
        );
        assert!(one.claim());
        assert!(!other.claim(), "marked by another");
        assert!(FirstList::awaited(&store, &saved).is_none());
    }

    #[test]
    fn a_list_that_cannot_be_marked_is_not_the_first() {
        let store = StoreLocation::File("/nonexistent/sipward.db".into());
        assert!(!FirstList::awaited(&store, &Saved::default()).unwrap().claim());
    }
}
