//! Bearer tokens. The list is here; the store keeps it beyond the process.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sipward_engine::Timestamp;
use tokio_util::sync::CancellationToken;

use super::secret::{self, NoRandom};
use super::visitor::Scope;
use crate::config::Secret;
use crate::store::SavedToken;

/// Tokens at most: one for each person and program, and each is compared at every request.
pub(crate) const MAX_TOKENS: usize = 64;

/// What a token begins with, so that scanners for leaked secrets can know it.
const PREFIX: &str = "sipward_";

/// How exactly the last use is kept, so that not every request writes.
const USED_EXACTLY: Duration = Duration::from_mins(10);

/// All tokens.
#[derive(Debug, Default)]
pub(crate) struct Tokens {
    all: Mutex<Vec<Token>>,
}

#[derive(Debug)]
struct Token {
    saved: SavedToken,
    /// Cancelled when it is revoked.
    ended: CancellationToken,
}

/// What a token opens.
#[derive(Clone, Debug)]
pub(crate) struct Credential {
    pub(crate) name: String,
    pub(crate) scope: Scope,
    /// Its end.
    pub(crate) until: Option<Timestamp>,
    /// Cancelled when it is revoked.
    pub(crate) ended: CancellationToken,
}

/// Why a token opens nothing any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Dead {
    /// Its end has come.
    Expired,
    /// Somebody revoked it.
    Revoked,
}

/// Why a token was not made.
#[derive(Clone, Copy, Debug, thiserror::Error)]
pub(crate) enum NotAdded {
    /// There is one of this name.
    #[error("there is a token of this name; revoke it, or take another name")]
    Taken,
    /// There are too many.
    #[error("there are {MAX_TOKENS} tokens, which is the limit; revoke one")]
    Full,
    /// The system gave no random numbers.
    #[error(transparent)]
    NoRandom(#[from] NoRandom),
}

impl Tokens {
    pub(crate) fn new(saved: Vec<SavedToken>) -> Self {
        let this = Self::default();
        this.take_over(saved);
        this
    }

    /// What the store could read only now. What was made meanwhile stays.
    pub(crate) fn take_over(&self, saved: Vec<SavedToken>) {
        let mut all = self.lock();
        for saved in saved {
            let known = all.iter().any(|token| token.saved.name == saved.name);
            if !known && all.len() < MAX_TOKENS {
                all.push(Token { saved, ended: CancellationToken::new() });
            }
        }
    }

    /// Makes a token. Its secret is in nobody's hands but the caller's.
    pub(crate) fn add(
        &self,
        name: &str,
        scope: Scope,
        until: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<(Secret, SavedToken), NotAdded> {
        let mut all = self.lock();
        if all.iter().any(|token| token.saved.name == name) {
            return Err(NotAdded::Taken);
        }
        if all.len() >= MAX_TOKENS {
            return Err(NotAdded::Full);
        }
        let made = secret::make(PREFIX)?;
        let hash = secret::hash(made.expose()).ok_or(NoRandom)?;
        let saved =
            SavedToken { name: name.to_owned(), hash, scope, since: now, until, used: None };
        all.push(Token { saved: saved.clone(), ended: CancellationToken::new() });
        Ok((made, saved))
    }

    /// Takes a token away, and what was opened with it; gives it.
    pub(crate) fn revoke(&self, name: &str) -> Option<SavedToken> {
        let mut all = self.lock();
        let place = all.iter().position(|token| token.saved.name == name)?;
        let token = all.remove(place);
        token.ended.cancel();
        Some(token.saved)
    }

    /// All of them, by name.
    pub(crate) fn list(&self) -> Vec<SavedToken> {
        let mut all: Vec<_> = self.lock().iter().map(|token| token.saved.clone()).collect();
        all.sort_by(|one, other| one.name.cmp(&other.name));
        all
    }

    /// What the bearer of `text` may do; with the token when the store should note its use.
    pub(super) fn check(
        &self,
        text: &str,
        now: Timestamp,
    ) -> Option<(Credential, Option<SavedToken>)> {
        let hash = secret::hash(text)?;
        let mut all = self.lock();
        let name = secret::find(&*all, &hash, |token| &token.saved.hash)?.saved.name.clone();
        let token = all.iter_mut().find(|token| token.saved.name == name)?;
        if token.saved.until.is_some_and(|until| until <= now) {
            return None;
        }
        let used = token.saved.used;
        let stale = used.is_none_or(|used| now.since(used) >= USED_EXACTLY);
        if stale {
            token.saved.used = Some(now);
        }
        let credential = Credential {
            name,
            scope: token.saved.scope,
            until: token.saved.until,
            ended: token.ended.clone(),
        };
        Some((credential, stale.then(|| token.saved.clone())))
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Token>> {
        // Every change leaves it whole.
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_micros(1_800_000_000_000_000);
    const HOUR: Duration = Duration::from_hours(1);

    #[test]
    fn a_token_opens_until_it_is_revoked_and_what_it_opened_ends_with_it() {
        let tokens = Tokens::default();
        let (secret, saved) = tokens.add("grafana", Scope::Read, None, NOW).unwrap();
        assert_ne!(saved.hash.as_slice(), secret.expose().as_bytes());
        let (credential, used) = tokens.check(secret.expose(), NOW).unwrap();
        assert_eq!((credential.name.as_str(), credential.scope), ("grafana", Scope::Read));
        assert_eq!(used.unwrap().used, Some(NOW));
        assert!(tokens.check("sipward_", NOW).is_none());

        assert!(tokens.revoke("other").is_none());
        assert!(!credential.ended.is_cancelled());
        assert!(tokens.revoke("grafana").is_some());
        assert!(credential.ended.is_cancelled());
        assert!(tokens.check(secret.expose(), NOW).is_none());
    }

    #[test]
    fn a_token_expires() {
        let tokens = Tokens::default();
        let (secret, _) = tokens.add("ci", Scope::Write, Some(NOW + HOUR), NOW).unwrap();
        assert!(tokens.check(secret.expose(), NOW + HOUR / 2).is_some());
        assert!(tokens.check(secret.expose(), NOW + HOUR).is_none());
    }

    #[test]
    fn the_last_use_is_noted_now_and_then() {
        let tokens = Tokens::default();
        let (secret, _) = tokens.add("ci", Scope::Write, None, NOW).unwrap();
        let noted = |at| tokens.check(secret.expose(), at).unwrap().1.is_some();
        assert!(noted(NOW));
        assert!(!noted(NOW + USED_EXACTLY / 2));
        assert!(noted(NOW + USED_EXACTLY));
    }

    #[test]
    fn tokens_are_bounded_and_their_names_are_their_own() {
        let tokens = Tokens::default();
        for n in 0..MAX_TOKENS {
            tokens.add(&n.to_string(), Scope::Read, None, NOW).unwrap();
        }
        let refused = |name| tokens.add(name, Scope::Read, None, NOW).unwrap_err();
        assert!(matches!(refused("0"), NotAdded::Taken));
        assert!(matches!(refused("new"), NotAdded::Full));
    }

    #[test]
    fn what_the_store_tells_late_replaces_nothing() {
        let tokens = Tokens::default();
        let (secret, saved) = tokens.add("a", Scope::Write, None, NOW).unwrap();
        let stored = SavedToken { hash: [7; 32], scope: Scope::Read, ..saved.clone() };
        tokens.take_over(vec![stored, SavedToken { name: "b".into(), ..saved }]);
        assert_eq!(tokens.list().len(), 2);
        assert_eq!(tokens.check(secret.expose(), NOW).unwrap().0.scope, Scope::Write);
    }
}
