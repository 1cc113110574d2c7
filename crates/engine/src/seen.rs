//! One failure as the engine sees and keeps it.

use std::hash::{BuildHasher, Hasher};
use std::net::IpAddr;

use foldhash::quality::FixedState;

use crate::flow::Socket;
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
#[derive(Clone, Debug)]
pub(crate) struct Fingerprints(FixedState);

impl Fingerprints {
    pub(crate) fn new(seed: u64) -> Self {
        Self(FixedState::with_seed(seed))
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
        let mut hasher = self.0.build_hasher();
        hasher.write(bytes.get(..HASHED_BYTES).unwrap_or(bytes));
        hasher.finish()
    }

    /// One user of one domain, whose password was proved; of whichever where it is not sure. In letters of another
    /// case it is the same user of the same domain for FreeSWITCH.
    pub(crate) fn account(&self, user: &str, domain: Option<&str>) -> u64 {
        let lower = |text: &str| self.text(&text.to_ascii_lowercase());
        self.0.hash_one((lower(user), domain.map(lower)))
    }

    /// A network, for tables whose places strangers could otherwise choose.
    pub(crate) fn network(&self, network: Key) -> u64 {
        self.0.hash_one(network)
    }

    /// What a log line shares with the event of the same failure.
    pub(crate) fn complaint(&self, host: Key, user_hash: u64) -> u64 {
        self.0.hash_one((host, user_hash))
    }

    /// A registration: one user of one domain at one address.
    pub(crate) fn registration(&self, user: u64, domain: u64, host: Key) -> u64 {
        self.0.hash_one((user, domain, host))
    }

    /// What the events of one registration share, wherever they come from.
    pub(crate) fn registration_call(&self, user: u64, domain: u64, call: u64) -> u64 {
        self.0.hash_one((user, domain, call))
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
        let socket = self.0.hash_one((Key::of_addr(source), core, profile, port));
        JoinKey { socket, user }
    }
}

/// A dialog at a profile and an address. The hash of the Call-ID is seeded, so nobody can choose another
/// dialog with the same one.
pub(crate) fn dialog(host: Key, profile: u64, call: u64) -> u64 {
    mixed(host.hash() ^ profile.rotate_left(17), call)
}

/// A dialog by which an account is registered from an address.
pub(crate) fn line(host: Key, user: u64, call: u64) -> u64 {
    mixed(host.hash() ^ user.rotate_left(29), call)
}

/// Whom a challenge was for.
pub(crate) fn challenged(profile: u64, port: u16, user: u64) -> u32 {
    (mixed(profile.rotate_left(16) ^ u64::from(port), user) >> 32) as u32
}

/// Two hashes in one.
fn mixed(one: u64, other: u64) -> u64 {
    let product = u128::from(one ^ other.rotate_left(32)) * 0x9E37_79B9_7F4A_7C15;
    #[expect(clippy::cast_possible_truncation, reason = "the two halves of it")]
    let (high, low) = ((product >> 64) as u64, product as u64);
    high ^ low ^ other
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
