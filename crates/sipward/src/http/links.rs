//! One-time log-in links: a code that opens one session, soon.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::secret::{self, Hash, NoRandom};
use super::visitor::Scope;
use crate::config::Secret;

/// Links that wait for their use at most; beyond it the oldest is void.
const MAX_LINKS: usize = 16;

/// What a code begins with.
pub(super) const PREFIX: &str = "login_";

/// The links that were made and not used. In memory only: they end with the process.
#[derive(Debug, Default)]
pub struct Links {
    all: Mutex<Vec<Link>>,
}

#[derive(Debug)]
struct Link {
    hash: Hash,
    scope: Scope,
    until: Instant,
}

impl Links {
    /// Makes a code that opens one session of this scope within `life`.
    ///
    /// # Errors
    /// The system gives no random numbers.
    pub fn make(&self, scope: Scope, life: Duration) -> Result<Secret, NoRandom> {
        let made = secret::make(PREFIX)?;
        let hash = secret::hash(made.expose()).ok_or(NoRandom)?;
        let now = Instant::now();
        let mut all = self.lock();
        all.retain(|link| link.until > now);
        if all.len() >= MAX_LINKS {
            all.remove(0);
        }
        all.push(Link { hash, scope, until: now + life });
        Ok(made)
    }

    /// Uses a code up.
    pub(super) fn take(&self, code: &str, now: Instant) -> Option<Scope> {
        let hash = secret::hash(code)?;
        let mut all = self.lock();
        let scope = secret::find(&*all, &hash, |link| &link.hash)
            .filter(|link| link.until > now)
            .map(|link| link.scope);
        all.retain(|link| link.hash != hash);
        scope
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Link>> {
        // Every change leaves it whole.
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_mins(1);

    #[test]
    fn a_link_opens_once() {
        let links = Links::default();
        let code = links.make(Scope::Read, MINUTE).unwrap();
        assert_eq!(links.take("login_", Instant::now()), None);
        assert_eq!(links.take(code.expose(), Instant::now()), Some(Scope::Read));
        assert_eq!(links.take(code.expose(), Instant::now()), None);
    }

    #[test]
    fn a_link_is_void_after_its_time() {
        let links = Links::default();
        let code = links.make(Scope::Read, MINUTE).unwrap();
        assert_eq!(links.take(code.expose(), Instant::now() + MINUTE), None);
    }

    #[test]
    fn links_are_bounded_and_the_newest_count() {
        let links = Links::default();
        let codes: Vec<_> =
            (0..=MAX_LINKS).map(|_| links.make(Scope::Write, MINUTE).unwrap()).collect();
        let opens = |code: &Secret| links.take(code.expose(), Instant::now()).is_some();
        assert!(!opens(&codes[0]));
        assert!(codes[1..].iter().all(opens));
    }
}
