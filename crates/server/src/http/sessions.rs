//! Sessions of the console, by cookie. In memory only.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use super::secret::{self, Hash, NoRandom};
use super::tokens::Credential;
use sipward_config::Secret;
use sipward_model::wire::Scope;

/// Sessions at most; beyond it the one that was idle for longest ends.
const MAX_SESSIONS: usize = 256;

/// Idle time after which a session ends. An open page listens to events and is not idle.
const IDLE: Duration = Duration::from_secs(7_200);

/// Name of sessions that a one-time link opened.
pub(super) const BY_LINK: &str = "link";

/// All sessions.
#[derive(Debug)]
pub struct Sessions {
    /// By the hash of the cookie, so that a memory dump does not reveal usable cookies.
    all: Mutex<HashMap<Hash, Session>>,
    /// Longest life of one.
    life: Duration,
}

#[derive(Debug)]
struct Session {
    /// The token that opened it; `None` for a link.
    token: Option<String>,
    scope: Scope,
    until: Instant,
    seen: Instant,
    /// Streams of events that are open.
    streams: usize,
    /// Cancelled at its end.
    ended: CancellationToken,
}

/// A session as one request sees it.
#[derive(Clone, Debug)]
pub(super) struct Found {
    pub(super) hash: Hash,
    pub(super) name: String,
    pub(super) scope: Scope,
    pub(super) until: Instant,
    pub(super) ended: CancellationToken,
}

impl Sessions {
    pub fn new(life: Duration) -> Self {
        Self { all: Mutex::default(), life }
    }

    /// Longest life of a session.
    pub(super) fn life(&self) -> Duration {
        self.life
    }

    /// Opens a session for a token that is valid for `left`.
    pub(super) fn open_by_token(
        &self,
        credential: &Credential,
        left: Option<Duration>,
        now: Instant,
    ) -> Result<Secret, NoRandom> {
        let life = left.map_or(self.life, |left| left.min(self.life));
        self.open(Session {
            token: Some(credential.name.clone()),
            scope: credential.scope,
            until: now + life,
            seen: now,
            streams: 0,
            ended: credential.ended.child_token(),
        })
    }

    /// Opens a session for a one-time link.
    pub(super) fn open_by_link(&self, scope: Scope, now: Instant) -> Result<Secret, NoRandom> {
        let (until, ended) = (now + self.life, CancellationToken::new());
        self.open(Session { token: None, scope, until, seen: now, streams: 0, ended })
    }

    fn open(&self, session: Session) -> Result<Secret, NoRandom> {
        let id = secret::make("")?;
        let hash = secret::hash(id.expose()).ok_or(NoRandom)?;
        let mut all = self.lock();
        all.retain(|_, old| old.lives(session.seen));
        if all.len() >= MAX_SESSIONS {
            let idlest = all.iter().min_by_key(|(_, old)| old.seen).map(|(hash, _)| *hash);
            end(&mut all, idlest.as_ref());
        }
        all.insert(hash, session);
        Ok(id)
    }

    /// The session of a cookie, and notes that it is in use.
    pub(super) fn find(&self, id: &str, now: Instant) -> Option<Found> {
        let hash = secret::hash(id)?;
        let mut all = self.lock();
        let session = all.get_mut(&hash)?;
        if !session.lives(now) {
            end(&mut all, Some(&hash));
            return None;
        }
        session.seen = now;
        Some(Found {
            hash,
            name: session.token.clone().unwrap_or_else(|| BY_LINK.to_owned()),
            scope: session.scope,
            until: session.until,
            ended: session.ended.clone(),
        })
    }

    /// Ends the session of a cookie.
    pub(super) fn close(&self, hash: &Hash) {
        end(&mut self.lock(), Some(hash));
    }

    /// Ends the sessions that a token opened; says how many.
    pub fn close_of(&self, token: &str) -> usize {
        self.close_where(|session| session.token.as_deref() == Some(token))
    }

    /// Ends all sessions; says how many.
    pub fn close_all(&self) -> usize {
        self.close_where(|_| true)
    }

    /// Sessions that a token opened, or a link (`None`).
    pub fn count_of(&self, token: Option<&str>) -> usize {
        let now = Instant::now();
        let all = self.lock();
        all.values().filter(|one| one.token.as_deref() == token && one.lives(now)).count()
    }

    /// Keeps a session awake for as long as what it gives lives.
    pub(super) fn keep_awake(self: &Arc<Self>, hash: Hash) -> Awake {
        if let Some(session) = self.lock().get_mut(&hash) {
            session.streams += 1;
        }
        Awake { sessions: Arc::clone(self), hash }
    }

    fn close_where(&self, ends: impl Fn(&Session) -> bool) -> usize {
        let mut all = self.lock();
        let before = all.len();
        all.retain(|_, session| {
            if ends(session) {
                session.ended.cancel();
            }
            !ends(session)
        });
        before - all.len()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Hash, Session>> {
        // Every change leaves it whole.
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Session {
    fn lives(&self, now: Instant) -> bool {
        let awake = self.streams > 0 || now.saturating_duration_since(self.seen) < IDLE;
        now < self.until && awake && !self.ended.is_cancelled()
    }
}

fn end(all: &mut HashMap<Hash, Session>, hash: Option<&Hash>) {
    if let Some(session) = hash.and_then(|hash| all.remove(hash)) {
        session.ended.cancel();
    }
}

/// An open stream of events.
#[derive(Debug)]
pub(super) struct Awake {
    sessions: Arc<Sessions>,
    hash: Hash,
}

impl Drop for Awake {
    fn drop(&mut self) {
        if let Some(session) = self.sessions.lock().get_mut(&self.hash) {
            session.streams = session.streams.saturating_sub(1);
            session.seen = Instant::now();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIFE: Duration = Duration::from_secs(43_200);

    fn by_token(sessions: &Sessions, name: &str, now: Instant) -> (Credential, Secret) {
        let ended = CancellationToken::new();
        let credential =
            Credential { name: name.to_owned(), scope: Scope::Read, until: None, ended };
        let id = sessions.open_by_token(&credential, None, now).unwrap();
        (credential, id)
    }

    #[test]
    fn a_session_ends_after_its_life_and_after_silence() {
        let (sessions, start) = (Sessions::new(LIFE), Instant::now());
        let id = sessions.open_by_link(Scope::Write, start).unwrap();
        let mut now = start;
        while now + IDLE / 2 < start + LIFE {
            now += IDLE / 2;
            assert_eq!(sessions.find(id.expose(), now).unwrap().scope, Scope::Write);
        }
        assert!(sessions.find(id.expose(), start + LIFE).is_none(), "its life is over");

        let id = sessions.open_by_link(Scope::Write, start).unwrap();
        assert!(sessions.find(id.expose(), start + IDLE).is_none(), "it was silent");
        assert!(sessions.find(id.expose(), start).is_none(), "an end is an end");
    }

    #[test]
    fn an_open_stream_keeps_a_session_awake() {
        let (sessions, start) = (Arc::new(Sessions::new(LIFE)), Instant::now());
        let id = sessions.open_by_link(Scope::Write, start).unwrap();
        let found = sessions.find(id.expose(), start).unwrap();
        let awake = sessions.keep_awake(found.hash);
        assert!(sessions.find(id.expose(), start + 2 * IDLE).is_some());
        drop(awake);
        assert!(sessions.find(id.expose(), start + 3 * IDLE).is_none());
    }

    #[test]
    fn a_session_lives_no_longer_than_its_token() {
        let (sessions, now) = (Sessions::new(LIFE), Instant::now());
        let (credential, id) = by_token(&sessions, "a", now);
        let short = sessions.open_by_token(&credential, Some(LIFE / 100), now).unwrap();
        assert!(sessions.find(short.expose(), now + LIFE / 100).is_none());
        credential.ended.cancel();
        assert!(sessions.find(id.expose(), now).is_none(), "its token was revoked");
    }

    #[test]
    fn sessions_of_a_token_end_together() {
        let (sessions, now) = (Sessions::new(LIFE), Instant::now());
        let (_, one) = by_token(&sessions, "a", now);
        let (_, other) = by_token(&sessions, "b", now);
        let found = sessions.find(one.expose(), now).unwrap();
        assert_eq!(sessions.close_of("a"), 1);
        assert!(found.ended.is_cancelled());
        assert!(sessions.find(one.expose(), now).is_none());
        assert!(sessions.find(other.expose(), now).is_some());
        assert_eq!((sessions.count_of(Some("b")), sessions.close_all()), (1, 1));
    }

    #[test]
    fn sessions_are_bounded_and_the_idlest_goes() {
        let (sessions, now) = (Sessions::new(LIFE), Instant::now());
        let ids: Vec<_> = (0..=MAX_SESSIONS)
            .map(|n| {
                let at = now + Duration::from_millis(u64::try_from(n).unwrap());
                sessions.open_by_link(Scope::Read, at).unwrap()
            })
            .collect();
        let later = now + Duration::from_secs(1);
        assert!(sessions.find(ids[0].expose(), later).is_none());
        assert!(ids[1..].iter().all(|id| sessions.find(id.expose(), later).is_some()));
    }
}
