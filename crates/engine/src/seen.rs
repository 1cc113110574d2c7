//! One failure as the engine sees and keeps it.

use std::hash::{BuildHasher, Hasher};
use std::net::IpAddr;

use foldhash::quality::FixedState;

use crate::flow::Socket;
use crate::hash::Seed;
use crate::key::{JoinKey, Key};
use crate::text::Excerpt;
use crate::{AuthFailure, CoreId, FailureText, Method, Text, Transport, net};

/// A failure that is judged: its texts are still where they came from.
pub(crate) type Seen<'a> = Failure<Excerpt<'a>>;

/// A failure, owned and bounded: what is held until its attempt comes.
pub(crate) type Held = Failure<Text>;

/// A failure; `T` holds each of its texts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Failure<T> {
    /// Canonical.
    pub(crate) source: IpAddr,
    pub(crate) port: u16,
    /// A handshake proved the address: it came over TCP.
    pub(crate) handshake: bool,
    pub(crate) profile: T,
    /// Hash of the profile.
    pub(crate) profile_hash: u64,
    pub(crate) user: T,
    pub(crate) user_agent: T,
    pub(crate) method: Method,
    /// The domain is an IP address.
    pub(crate) raw_address: bool,
    pub(crate) core: CoreId,
    pub(crate) sequence: u64,
    /// Hash of the user name, of which `user` may be a part.
    pub(crate) user_hash: u64,
    /// Hash of the user agent.
    pub(crate) agent_hash: u64,
    /// Hash of the Call-ID; `None` where no attempt told it.
    pub(crate) call: Option<u64>,
    /// What it shares with its attempt.
    pub(crate) join_key: JoinKey,
}

impl<T> Failure<T> {
    fn map<'a, U>(&'a self, text: impl Fn(&'a T) -> U) -> Failure<U> {
        let Self { source, port, handshake, method, raw_address, core, sequence, .. } = *self;
        let Self { profile_hash, user_hash, agent_hash, call, join_key, .. } = *self;
        Failure {
            source,
            port,
            handshake,
            profile: text(&self.profile),
            profile_hash,
            user: text(&self.user),
            user_agent: text(&self.user_agent),
            method,
            raw_address,
            core,
            sequence,
            user_hash,
            agent_hash,
            call,
            join_key,
        }
    }
}

impl Seen<'_> {
    /// Where it came from, unless FreeSWITCH does not say.
    pub(crate) fn socket(&self) -> Option<Socket> {
        let transport = self.handshake.then_some(Transport::Tcp);
        (self.port != 0).then_some(Socket { port: self.port, transport })
    }

    pub(crate) fn held(&self) -> Held {
        self.map(|text| text.to_text())
    }

    /// Its texts, to keep.
    pub(crate) fn text(&self) -> FailureText {
        let (user, profile) = (self.user.to_text(), self.profile.to_text());
        FailureText { user, profile, user_agent: self.user_agent.to_text() }
    }
}

impl Held {
    pub(crate) fn seen(&self) -> Seen<'_> {
        self.map(Text::excerpt)
    }
}

/// Bytes of a text that tell it from others. An event over the limit keeps 4 KiB of each value, of
/// which percent-encoding leaves a third (`sipward-esl`, `Limits`).
const HASHED_BYTES: usize = 256;

/// Hashes of what strangers choose: seeded, so that nobody outside can make two of them collide.
///
/// Texts have a faster hasher of their own. It multiplies by constants that everybody can read
/// ([`crate::hash`]); no text of UTF-8 holds one of them.
#[derive(Clone, Debug)]
pub(crate) struct Fingerprints {
    texts: FixedState,
    keys: Seed,
}

impl Fingerprints {
    pub(crate) fn new(seed: u64) -> Self {
        Self { texts: FixedState::with_seed(seed), keys: Seed::new(seed) }
    }

    /// A failure with its hashes.
    pub(crate) fn failure<'a>(&self, failure: &AuthFailure<'a>) -> Seen<'a> {
        let source = net::canonical(failure.source);
        let AuthFailure { port, profile, user, user_agent, core, .. } = *failure;
        let (profile_hash, user_hash) = (self.text(profile), self.text(user));
        Seen {
            source,
            port,
            handshake: false,
            profile: Excerpt::new(profile),
            profile_hash,
            user: Excerpt::new(user),
            user_agent: Excerpt::new(user_agent),
            method: failure.method,
            raw_address: is_raw_address(failure.domain),
            core,
            sequence: failure.sequence,
            user_hash,
            agent_hash: self.text(user_agent),
            call: None,
            join_key: self.join_key(source, port, profile_hash, user_hash, core),
        }
    }

    /// The hash of what a sender chose: a user name, a user agent, a Call-ID. Only the beginning counts, so
    /// that it is the same where an event was too long and came cut.
    pub(crate) fn text(&self, text: &str) -> u64 {
        let bytes = text.as_bytes();
        let mut hasher = self.texts.build_hasher();
        hasher.write(bytes.get(..HASHED_BYTES).unwrap_or(bytes));
        hasher.finish()
    }

    /// One user of one domain, whose password was proved; of any domain where it is not sure. In letters of another
    /// case it is the same user of the same domain for FreeSWITCH.
    pub(crate) fn account(&self, user: &str, domain: Option<&str>) -> u64 {
        let lower = |text: &str| self.text(&text.to_ascii_lowercase());
        self.keys.hash_one((lower(user), domain.map(lower)))
    }

    /// A host, a source or a network, where no room is for the whole key.
    pub(crate) fn key(&self, key: Key) -> u64 {
        self.keys.hash_one(key)
    }

    /// A dialog at a profile and an address.
    pub(crate) fn dialog(&self, host: Key, profile: u64, call: u64) -> u64 {
        self.keys.hash_one((host, profile, call))
    }

    /// A dialog by which an account is registered from an address.
    pub(crate) fn line(&self, host: Key, user: u64, call: u64) -> u64 {
        self.keys.hash_one((host, user, call))
    }

    /// Whom a challenge was for.
    pub(crate) fn challenged(&self, profile: u64, port: u16, user: u64) -> u32 {
        (self.keys.hash_one((profile, port, user)) >> 32) as u32
    }

    /// What a log line shares with the event of the same failure.
    pub(crate) fn complaint(&self, host: Key, user_hash: u64) -> u64 {
        self.keys.hash_one((host, user_hash))
    }

    /// A registration: one user of one domain at one address.
    pub(crate) fn registration(&self, user: u64, domain: u64, host: Key) -> u64 {
        self.keys.hash_one((user, domain, host))
    }

    /// What the events of one registration share, wherever they come from.
    pub(crate) fn registration_call(&self, user: u64, domain: u64, call: u64) -> u64 {
        self.keys.hash_one((user, domain, call))
    }

    /// What an attempt shares with its failure.
    pub(crate) fn join_key(
        &self,
        source: IpAddr,
        port: u16,
        profile: u64,
        user: u64,
        core: CoreId,
    ) -> JoinKey {
        let socket = self.keys.hash_one((Key::of_addr(source), core, profile, port));
        JoinKey { socket, user }
    }
}

/// An IP address where a domain should be, IPv6 with or without brackets.
pub(crate) fn is_raw_address(domain: &str) -> bool {
    // Most domains differ in their first character.
    let hex = |c: char| c.is_ascii_hexdigit() || c == '[' || c == ':';
    if !domain.starts_with(hex) {
        return false;
    }
    let bare = domain.strip_prefix('[').and_then(|d| d.strip_suffix(']')).unwrap_or(domain);
    bare.parse::<IpAddr>().is_ok()
}
