//! Bearer tokens. The list is here; the store keeps it beyond the process.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sipward_engine::Timestamp;
use tokio_util::sync::CancellationToken;

use super::secret::{self, Hash, NoRandom};
use sipward_config::Secret;
use sipward_model::clock::moved;
use sipward_model::wire::{Scope, TokenEnd};
use sipward_store::{MOST_RETIRED, RetiredToken, SavedToken};

/// Tokens at most: one for each person and program, and each is compared at every request.
pub(super) const MAX_TOKENS: usize = 64;

/// What a token begins with, so that scanners for leaked secrets can know it.
const PREFIX: &str = "sipward_";

/// How exactly the last use is kept, so that not every request writes.
const USED_EXACTLY: Duration = Duration::from_secs(600);

/// All tokens.
#[derive(Debug, Default)]
pub struct Tokens {
    all: Mutex<Vec<Token>>,
    /// Those that were revoked, the latest last.
    retired: Mutex<VecDeque<RetiredToken>>,
}

/// The kind of a token in a request.
#[derive(Debug)]
pub(super) enum Shown {
    /// It opens this; with the token when the store should note its use.
    Opens(Credential, Option<SavedToken>),
    /// It has opened something once.
    Dead(String, TokenEnd),
    /// It was never a token, as far as that is remembered.
    Nothing,
}

#[derive(Debug)]
struct Token {
    saved: SavedToken,
    /// Cancelled when it is revoked.
    ended: CancellationToken,
}

/// What a token opens.
#[derive(Clone, Debug)]
pub(super) struct Credential {
    pub name: String,
    pub scope: Scope,
    /// Its end.
    pub until: Option<Timestamp>,
    /// Cancelled when it is revoked.
    pub ended: CancellationToken,
}

/// Why a token was not made.
#[derive(Clone, Copy, Debug, thiserror::Error)]
pub enum NotAdded {
    /// There is one of this name.
    #[error("a token with this name exists; revoke it, or use another name")]
    Taken,
    /// There are too many.
    #[error("the limit of {MAX_TOKENS} tokens is reached; revoke one")]
    Full,
    /// The system gave no random numbers.
    #[error(transparent)]
    NoRandom(#[from] NoRandom),
}

impl Tokens {
    pub fn new(saved: Vec<SavedToken>, retired: Vec<RetiredToken>) -> Self {
        let this = Self::default();
        this.take_over(saved, retired);
        this
    }

    /// What the store could read only now. What was made meanwhile stays, and what was revoked meanwhile does
    /// not come back.
    pub fn take_over(&self, saved: Vec<SavedToken>, retired: Vec<RetiredToken>) {
        for token in retired {
            self.retire(token);
        }
        let mut all = self.lock();
        for saved in saved {
            let known = all.iter().any(|token| token.saved.name == saved.name);
            if !known && all.len() < MAX_TOKENS && !self.is_retired(&saved.hash) {
                all.push(Token { saved, ended: CancellationToken::new() });
            }
        }
    }

    /// Creates a token. Only the caller gets its secret.
    pub fn add(
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
    pub fn revoke(&self, name: &str, at: Timestamp) -> Option<RetiredToken> {
        let mut all = self.lock();
        let place = all.iter().position(|token| token.saved.name == name)?;
        let Token { saved, ended } = all.remove(place);
        drop(all);
        ended.cancel();
        let retired = RetiredToken { name: saved.name, hash: saved.hash, at };
        self.retire(retired.clone());
        Some(retired)
    }

    fn retire(&self, token: RetiredToken) {
        let mut retired = self.retired.lock().unwrap_or_else(PoisonError::into_inner);
        if retired.iter().any(|other| other.hash == token.hash) {
            return;
        }
        if retired.len() >= MOST_RETIRED {
            retired.pop_front();
        }
        retired.push_back(token);
    }

    fn is_retired(&self, hash: &Hash) -> bool {
        let retired = self.retired.lock().unwrap_or_else(PoisonError::into_inner);
        retired.iter().any(|token| token.hash == *hash)
    }

    /// All of them, by name.
    pub fn list(&self) -> Vec<SavedToken> {
        let mut all: Vec<_> = self.lock().iter().map(|token| token.saved.clone()).collect();
        all.sort_by(|one, other| one.name.cmp(&other.name));
        all
    }

    /// What `text` is, shown as a token.
    pub(super) fn check(&self, text: &str, now: Timestamp) -> Shown {
        let Some(hash) = secret::hash(text) else {
            return Shown::Nothing;
        };
        let mut all = self.lock();
        let name = secret::find(&*all, &hash, |token| &token.saved.hash);
        let name = name.map(|token| token.saved.name.clone());
        let Some(token) = all.iter_mut().find(|token| Some(&token.saved.name) == name.as_ref())
        else {
            drop(all);
            return self.check_retired(&hash);
        };
        let name = token.saved.name.clone();
        if token.saved.until.is_some_and(|until| until <= now) {
            return Shown::Dead(name, TokenEnd::Expired);
        }
        let used = token.saved.used;
        let stale = used.is_none_or(|used| now.since(used) >= USED_EXACTLY || used > now);
        if stale {
            token.saved.used = Some(now);
        }
        let credential = Credential {
            name,
            scope: token.saved.scope,
            until: token.saved.until,
            ended: token.ended.clone(),
        };
        Shown::Opens(credential, stale.then(|| token.saved.clone()))
    }

    fn check_retired(&self, hash: &Hash) -> Shown {
        let retired = self.retired.lock().unwrap_or_else(PoisonError::into_inner);
        match secret::find(&*retired, hash, |token| &token.hash) {
            Some(token) => Shown::Dead(token.name.clone(), TokenEnd::Revoked),
            None => Shown::Nothing,
        }
    }

    /// What was made by a clock that was wrong moves with it; gives what the store should have.
    pub fn shift(&self, from: Timestamp, to: Timestamp, by: i64) -> Vec<SavedToken> {
        let mut all = self.lock();
        let made = all.iter_mut().filter(|token| (from..=to).contains(&token.saved.since));
        made.map(|token| {
            let saved = &mut token.saved;
            saved.since = moved(saved.since, by);
            saved.until = saved.until.map(|until| moved(until, by));
            saved.used = saved.used.map(|used| moved(used, by));
            saved.clone()
        })
        .collect()
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
    const HOUR: Duration = Duration::from_secs(3_600);

    /// What a text opens, and whether its use is noted.
    fn opens(tokens: &Tokens, text: &str, at: Timestamp) -> Option<(Credential, bool)> {
        match tokens.check(text, at) {
            Shown::Opens(credential, noted) => Some((credential, noted.is_some())),
            Shown::Dead(..) | Shown::Nothing => None,
        }
    }

    fn dead(tokens: &Tokens, text: &str, at: Timestamp) -> Option<(String, TokenEnd)> {
        match tokens.check(text, at) {
            Shown::Dead(name, because) => Some((name, because)),
            Shown::Opens(..) | Shown::Nothing => None,
        }
    }

    #[test]
    fn a_token_opens_until_it_is_revoked_and_what_it_opened_ends_with_it() {
        let tokens = Tokens::default();
        let (secret, saved) = tokens.add("grafana", Scope::Read, None, NOW).unwrap();
        assert_ne!(saved.hash.as_slice(), secret.expose().as_bytes());
        let (credential, noted) = opens(&tokens, secret.expose(), NOW).unwrap();
        assert_eq!((credential.name.as_str(), credential.scope), ("grafana", Scope::Read));
        assert!(noted && tokens.list()[0].used == Some(NOW));
        assert!(opens(&tokens, "sipward_", NOW).is_none());

        assert!(tokens.revoke("other", NOW).is_none());
        assert!(!credential.ended.is_cancelled());
        let retired = tokens.revoke("grafana", NOW).unwrap();
        assert!(credential.ended.is_cancelled());
        let revoked = Some(("grafana".to_owned(), TokenEnd::Revoked));
        assert_eq!(dead(&tokens, secret.expose(), NOW), revoked);
        assert!(matches!(tokens.check("sipward_00", NOW), Shown::Nothing));
        // After a restart it is known as well, and a late store does not bring it back.
        let again = Tokens::new(Vec::new(), vec![retired]);
        again.take_over(vec![saved], Vec::new());
        assert_eq!(dead(&again, secret.expose(), NOW), revoked);
    }

    #[test]
    fn a_token_expires() {
        let tokens = Tokens::default();
        let (secret, _) = tokens.add("ci", Scope::Write, Some(NOW + HOUR), NOW).unwrap();
        assert!(opens(&tokens, secret.expose(), NOW + HOUR / 2).is_some());
        let expired = Some(("ci".to_owned(), TokenEnd::Expired));
        assert_eq!(dead(&tokens, secret.expose(), NOW + HOUR), expired);
    }

    #[test]
    fn revoked_tokens_are_remembered_within_limits() {
        let tokens = Tokens::default();
        let secrets: Vec<_> = (0..=MOST_RETIRED)
            .map(|_| {
                let (secret, _) = tokens.add("ci", Scope::Read, None, NOW).unwrap();
                tokens.revoke("ci", NOW).unwrap();
                secret
            })
            .collect();
        assert!(dead(&tokens, secrets[0].expose(), NOW).is_none());
        assert!(secrets[1..].iter().all(|secret| dead(&tokens, secret.expose(), NOW).is_some()));
    }

    #[test]
    fn a_token_made_by_a_wrong_clock_keeps_its_time_left() {
        let tokens = Tokens::default();
        let old = NOW.earlier(1_000 * HOUR);
        let (_, before) = tokens.add("before", Scope::Read, Some(old + HOUR), old).unwrap();
        let (secret, _) = tokens.add("ci", Scope::Read, Some(NOW + HOUR), NOW).unwrap();
        let by = 5 * 3_600_000_000;
        let moved = tokens.shift(NOW, NOW, by);
        assert_eq!((moved.len(), moved[0].until), (1, Some(NOW + 6 * HOUR)));
        assert!(opens(&tokens, secret.expose(), NOW + 5 * HOUR).is_some());
        assert!(tokens.list().contains(&before));
    }

    #[test]
    fn the_last_use_is_noted_now_and_then() {
        let tokens = Tokens::default();
        let (secret, _) = tokens.add("ci", Scope::Write, None, NOW).unwrap();
        let noted = |at| opens(&tokens, secret.expose(), at).unwrap().1;
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
        tokens.take_over(vec![stored, SavedToken { name: "b".into(), ..saved }], Vec::new());
        assert_eq!(tokens.list().len(), 2);
        assert_eq!(opens(&tokens, secret.expose(), NOW).unwrap().0.scope, Scope::Write);
    }
}
