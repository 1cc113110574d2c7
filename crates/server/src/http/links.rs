//! One-time log-in links: a code that opens one session, soon.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::secret::{self, Hash, NoRandom};
use sipward_config::Secret;
use sipward_model::wire::Scope;

/// Links that wait for their use at most; beyond it the oldest is void.
const MAX_LINKS: usize = 16;

/// Used links that are remembered: opening one again does not count as guessing.
const MAX_SPENT: usize = 64;

/// What a code begins with.
pub(super) const PREFIX: &str = "login_";

/// The links that were made and not used. In memory only: they end with the process.
#[derive(Debug, Default)]
pub struct Links {
    all: Mutex<Vec<Link>>,
    /// Hashes of those that were used or ran out, the latest last.
    spent: Mutex<VecDeque<Hash>>,
}

/// The kind of a code in a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Code {
    /// It opens a session.
    Opens(Scope),
    /// It was used already, or came too late.
    Spent,
    /// It was never a code, as far as that is remembered.
    Nothing,
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
        all.retain(|link| {
            let lives = link.until > now;
            if !lives {
                self.spend(link.hash);
            }
            lives
        });
        if all.len() >= MAX_LINKS {
            self.spend(all.remove(0).hash);
        }
        all.push(Link { hash, scope, until: now + life });
        Ok(made)
    }

    /// Uses a code up.
    pub(super) fn take(&self, code: &str, now: Instant) -> Code {
        let Some(hash) = secret::hash(code) else {
            return Code::Nothing;
        };
        let mut all = self.lock();
        let found = secret::find(&*all, &hash, |link| &link.hash);
        let Some((scope, lives)) = found.map(|link| (link.scope, link.until > now)) else {
            drop(all);
            let spent = self.spent.lock().unwrap_or_else(PoisonError::into_inner);
            let known = secret::find(&*spent, &hash, |hash| hash).is_some();
            return if known { Code::Spent } else { Code::Nothing };
        };
        all.retain(|link| link.hash != hash);
        drop(all);
        self.spend(hash);
        if lives { Code::Opens(scope) } else { Code::Spent }
    }

    fn spend(&self, hash: Hash) {
        let mut spent = self.spent.lock().unwrap_or_else(PoisonError::into_inner);
        if spent.len() >= MAX_SPENT {
            spent.pop_front();
        }
        spent.push_back(hash);
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Link>> {
        // Every change leaves it whole.
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn a_link_opens_once() {
        let links = Links::default();
        let code = links.make(Scope::Read, MINUTE).unwrap();
        assert_eq!(links.take("login_", Instant::now()), Code::Nothing);
        assert_eq!(links.take(code.expose(), Instant::now()), Code::Opens(Scope::Read));
        assert_eq!(links.take(code.expose(), Instant::now()), Code::Spent);
    }

    #[test]
    fn a_link_is_void_after_its_time() {
        let links = Links::default();
        let code = links.make(Scope::Read, MINUTE).unwrap();
        assert_eq!(links.take(code.expose(), Instant::now() + MINUTE), Code::Spent);
    }

    #[test]
    fn links_are_bounded_and_the_newest_count() {
        let links = Links::default();
        let codes: Vec<_> =
            (0..=MAX_LINKS).map(|_| links.make(Scope::Write, MINUTE).unwrap()).collect();
        let opens =
            |code: &Secret| matches!(links.take(code.expose(), Instant::now()), Code::Opens(_));
        assert!(!opens(&codes[0]));
        assert!(codes[1..].iter().all(opens));
    }
}
