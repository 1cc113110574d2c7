//! How a session connects, and how hard it tries.

use std::{
    collections::hash_map::RandomState,
    hash::{BuildHasher as _, Hasher as _},
    time::Duration,
};

use crate::{
    Limits,
    command::{Password, Subscription},
};

/// Default of [`SessionConfig::port`] (`event_socket.conf.xml`, `listen-port`).
pub const DEFAULT_PORT: u16 = 8021;

/// Default of [`SessionConfig::queue`] in notices: eight seconds of 2,000 events each, the most a
/// SIP profile lets through.
pub const DEFAULT_QUEUE: usize = 16 * 1024;

/// Default of [`SessionConfig::queue_bytes`]: senders choose the size of events, so the number of them
/// alone is no bound.
pub const DEFAULT_QUEUE_BYTES: usize = 64 * 1024 * 1024;

/// Default of [`Backoff::jitter`].
const JITTER: f64 = 0.3;

/// The configuration of a [`session`](super::session()).
///
/// ```
/// use std::time::Duration;
/// use sipward_esl::{Backoff, Password, SessionConfig};
///
/// # fn example() -> Result<(), sipward_esl::InvalidCommand> {
/// let mut config = SessionConfig::new("pbx.test", Password::new("ClueCon")?);
/// config.user = Some("monitor@pbx.test".into());
/// config.backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(60));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SessionConfig {
    /// Host name or address. Every address of a name is tried.
    pub host: String,
    /// TCP port; FreeSWITCH's default is [`DEFAULT_PORT`].
    pub port: u16,
    /// `user@domain` of the directory, for `userauth`; without one, `auth`.
    pub user: Option<String>,
    /// The password.
    pub password: Password,
    /// The required events. The session subscribes again after every reconnect, because FreeSWITCH keeps nothing.
    pub subscription: Subscription,
    /// The optional events; default [`Subscription::sofia_optional`]. What FreeSWITCH refuses is reported by
    /// [`Notice::NotAllowed`](super::Notice::NotAllowed).
    pub optional: Option<Subscription>,
    /// Bounds on what a frame may occupy.
    pub limits: Limits,
    /// Longest wait for the TCP connection. Default 5 s.
    pub connect_timeout: Duration,
    /// Longest wait for greeting and authentication together, and for the subscription. Default 10 s;
    /// FreeSWITCH itself gives up after 25 s.
    pub auth_timeout: Duration,
    /// Longest time without any event before the connection counts as dead. Default 60 s: three
    /// HEARTBEATs missed.
    pub heartbeat_timeout: Duration,
    /// Longest wait for the answer to a command of [`SessionHandle`](super::SessionHandle). Default 10 s.
    pub command_timeout: Duration,
    /// How long to wait between attempts.
    pub backoff: Backoff,
    /// How long to wait after an attempt that cannot succeed before a setting changes
    /// ([`ClientError::is_retryable`](crate::client::ClientError::is_retryable)): FreeSWITCH writes a log line
    /// for each.
    pub refused_backoff: Backoff,
    /// Notices kept for a consumer that is behind. Default [`DEFAULT_QUEUE`].
    pub queue: usize,
    /// Bytes of events kept for a consumer that is behind. Default [`DEFAULT_QUEUE_BYTES`].
    pub queue_bytes: usize,
    /// Seed of the jitter and of job identities. Random by default, because two clients with the same
    /// one would take each other's `bgapi` answers for their own; set it where runs must repeat.
    pub seed: u64,
}

/// Waits between attempts: `initial`, twice that, and so on up to `max`; from the start again once a
/// connection has lasted 10 s.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Backoff {
    /// First wait. Default 250 ms.
    pub initial: Duration,
    /// Longest wait. Default 30 s.
    pub max: Duration,
    /// Share of each wait that is random, 0 to 1, so that many clients do not come back at once.
    /// Default 0.3: a wait of 10 s becomes 7 to 10 s.
    pub jitter: f64,
}

impl SessionConfig {
    /// The defaults, for this host, the usual port and every record of [`sofia`](crate::sofia) that FreeSWITCH
    /// lets the user have.
    #[must_use]
    pub fn new(host: impl Into<String>, password: Password) -> Self {
        Self {
            host: host.into(),
            port: DEFAULT_PORT,
            user: None,
            password,
            subscription: Subscription::sofia_required(),
            optional: Some(Subscription::sofia_optional()),
            limits: Limits::default(),
            connect_timeout: Duration::from_secs(5),
            auth_timeout: Duration::from_secs(10),
            heartbeat_timeout: Duration::from_secs(60),
            command_timeout: Duration::from_secs(10),
            backoff: Backoff::default(),
            refused_backoff: Backoff::default(),
            queue: DEFAULT_QUEUE,
            queue_bytes: DEFAULT_QUEUE_BYTES,
            seed: RandomState::new().build_hasher().finish(),
        }
    }
}

impl Default for Backoff {
    fn default() -> Self {
        Self::new(Duration::from_millis(250), Duration::from_secs(30))
    }
}

impl Backoff {
    /// Waits from `initial` to `max`, with the default jitter.
    #[must_use]
    pub const fn new(initial: Duration, max: Duration) -> Self {
        Self { initial, max, jitter: JITTER }
    }

    /// With this [`jitter`](Self#structfield.jitter).
    #[must_use]
    pub const fn with_jitter(mut self, jitter: f64) -> Self {
        self.jitter = jitter;
        self
    }

    /// The wait after `failures` attempts in a row, the first of them 1.
    pub(super) fn wait(&self, failures: u32, random: &mut fastrand::Rng) -> Duration {
        let doublings = failures.saturating_sub(1).min(31);
        let wait = self.initial.saturating_mul(1 << doublings).min(self.max);
        let jitter = if self.jitter.is_nan() { 0.0 } else { self.jitter.clamp(0.0, 1.0) };
        let seconds = wait.as_secs_f64() * (1.0 - jitter * random.f64());
        Duration::try_from_secs_f64(seconds).unwrap_or(wait)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_cap() {
        let backoff = Backoff { jitter: 0.0, ..Backoff::default() };
        let mut random = fastrand::Rng::with_seed(1);
        let waits: Vec<u128> =
            (1..=9).map(|failures| backoff.wait(failures, &mut random).as_millis()).collect();
        assert_eq!(waits, [250, 500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000]);
        assert_eq!(backoff.wait(u32::MAX, &mut random), backoff.max);
    }

    #[test]
    fn jitter_only_shortens_within_its_share() {
        let backoff = Backoff::default();
        let mut random = fastrand::Rng::with_seed(1);
        for _ in 0..1000 {
            let wait = backoff.wait(20, &mut random);
            assert!(wait <= backoff.max && wait >= backoff.max.mul_f64(0.7), "{wait:?}");
        }
    }

    #[test]
    fn senseless_settings_do_no_harm() {
        let mut random = fastrand::Rng::with_seed(1);
        let endless = Backoff { initial: Duration::MAX, max: Duration::MAX, jitter: 0.0 };
        assert!(endless.wait(u32::MAX, &mut random) > Duration::from_secs(3_600));
        for jitter in [f64::NAN, f64::INFINITY, -3.0, 7.0] {
            let backoff = Backoff { jitter, ..Backoff::default() };
            assert!(backoff.wait(3, &mut random) <= backoff.max);
        }
    }
}
