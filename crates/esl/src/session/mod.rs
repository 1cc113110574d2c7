//! A supervised connection: reconnects, subscribes again, reports what it missed.
//!
//! | file | holds |
//! |---|---|
//! | `config` | [`SessionConfig`], [`Backoff`] |
//! | `notice` | [`Notice`]: what the consumer receives |
//! | `queue` | [`Notices`]: bounded, never waited for |
//! | `handle` | [`SessionHandle`]: commands, one in flight |
//! | `connected` | one connection's life |

mod config;
mod connected;
mod handle;
mod notice;
mod queue;

use std::{
    convert::Infallible,
    fmt,
    future::Future,
    net::SocketAddr,
    time::{Duration, SystemTime},
};

use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    sync::mpsc,
    time::{Instant, sleep},
};
use tokio_util::sync::CancellationToken;

pub use self::{
    config::{Backoff, DEFAULT_PORT, DEFAULT_QUEUE, DEFAULT_QUEUE_BYTES, SessionConfig},
    handle::{CommandError, SessionHandle},
    notice::Notice,
    queue::Notices,
};
use self::{
    connected::Connected,
    handle::{MAX_REQUESTS, Request},
    queue::Sender,
};
use crate::{
    CoreUuid,
    client::{ClientError, Connection},
};

/// A connection that has lasted this long makes the waits start over.
const STABLE: Duration = Duration::from_secs(10);

/// Opens the session's connections. In production over TCP; in tests in memory, where paused time works.
trait Dial {
    type Stream: AsyncRead + AsyncWrite + Unpin + Send;

    /// A connection before its greeting, the address of the Event Socket and of this end.
    fn dial(
        &mut self,
        config: &SessionConfig,
    ) -> impl Future<Output = Result<Dialled<Self::Stream>, ClientError>> + Send;
}

type Dialled<S> = (Connection<S>, SocketAddr, SocketAddr);

struct Tcp;

impl Dial for Tcp {
    type Stream = TcpStream;

    async fn dial(&mut self, config: &SessionConfig) -> Result<Dialled<TcpStream>, ClientError> {
        let (limits, within) = (config.limits, config.connect_timeout);
        let connection = Connection::connect(&config.host, config.port, limits, within).await?;
        let (peer, local) = connection.addresses()?;
        Ok((connection, peer, local))
    }
}

/// A supervised connection. Does nothing before [`run`](Self::run).
pub struct Session {
    config: SessionConfig,
    notices: Sender,
    requests: mpsc::Receiver<Request>,
    stop: CancellationToken,
    random: fastrand::Rng,
    memory: Memory,
}

/// What outlasts a connection.
#[derive(Debug, Default)]
struct Memory {
    core: Option<CoreUuid>,
    /// When the last event came, or the connection when it brought none.
    last_seen: Option<SystemTime>,
    /// The events since then are lost; reported after the next connection.
    blind: bool,
}

/// A session, its handle and its notices. Spawns nothing: run [`Session::run`] where it suits.
///
/// ```no_run
/// use sipward_esl::{Notice, Password, SessionConfig, session, sofia};
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let config = SessionConfig::new("127.0.0.1", Password::new("ClueCon")?);
/// let (session, _handle, mut notices) = session(config);
/// tokio::spawn(session.run());
/// while let Some(notice) = notices.recv().await {
///     if let Notice::Event { event, .. } = notice {
///         println!("{:?}", sofia::parse(&event)?);
///     }
/// }
/// # Ok(())
/// # }
/// ```
#[must_use]
pub fn session(config: SessionConfig) -> (Session, SessionHandle, Notices) {
    let stop = CancellationToken::new();
    let (notices, receiver) = queue::queue(config.queue, config.queue_bytes, stop.clone());
    let (requests, request_receiver) = mpsc::channel(MAX_REQUESTS);
    let handle = SessionHandle { requests, stop: stop.clone(), within: config.command_timeout };
    let session = Session {
        random: fastrand::Rng::with_seed(config.seed),
        config,
        notices,
        requests: request_receiver,
        stop,
        memory: Memory::default(),
    };
    (session, handle, receiver)
}

impl Session {
    /// Connects, and connects again whenever the connection is lost, until [`SessionHandle::close`] is
    /// called or the [`Notices`] are dropped. Wrong passwords are retried too: they may be corrected in FreeSWITCH.
    ///
    /// Dropping the future closes the connection at once and ends the notices.
    pub async fn run(self) {
        self.run_over(Tcp).await;
    }

    async fn run_over(mut self, mut dial: impl Dial) {
        let stop = self.stop.clone();
        tokio::select! {
            () = stop.cancelled() => {}
            never = self.supervise(&mut dial) => match never {},
        }
    }

    async fn supervise(&mut self, dial: &mut impl Dial) -> Infallible {
        let mut failures: u32 = 0;
        loop {
            let begun = SystemTime::now();
            let (error, lasted) = self.attempt(dial).await;
            if self.memory.last_seen.is_none() {
                // Events from the first failure on are missed.
                self.memory.last_seen = Some(begun);
                self.memory.blind = true;
            }
            failures = if lasted >= STABLE { 1 } else { failures.saturating_add(1) };
            let backoff = if error.is_retryable() {
                self.config.backoff
            } else {
                self.config.refused_backoff
            };
            let retry_in = backoff.wait(failures, &mut self.random);
            tracing::debug!(%error, ?retry_in, "disconnected");
            self.notices.push(Notice::Disconnected { error, retry_in });
            tokio::select! {
                () = sleep(retry_in) => {}
                never = refuse(&mut self.requests) => match never {},
            }
        }
    }

    /// One connection from start to end: why it ended, and how long it lasted.
    async fn attempt(&mut self, dial: &mut impl Dial) -> (ClientError, Duration) {
        let connected = tokio::select! {
            connected = connect(&self.config, dial) => connected,
            never = refuse(&mut self.requests) => match never {},
        };
        let ((mut connection, peer, local), refused) = match connected {
            Ok(connected) => connected,
            Err(error) => return (error, Duration::ZERO),
        };
        let since = Instant::now();
        self.announce(peer, local, refused);
        let mut connected =
            Connected::new(&self.config, &self.notices, &mut self.memory, &mut self.random);
        let error = connected.run(&mut connection, &mut self.requests).await;
        connected.end();
        (error, since.elapsed())
    }

    fn announce(&mut self, peer: SocketAddr, local: SocketAddr, refused: Vec<String>) {
        tracing::debug!(%peer, "subscribed");
        let now = SystemTime::now();
        self.notices.push(Notice::Connected { peer, local });
        if !refused.is_empty() {
            self.notices.push(Notice::NotAllowed { names: refused });
        }
        if let Some(from) = self.memory.last_seen
            && std::mem::take(&mut self.memory.blind)
        {
            self.notices.push(Notice::Blind { from, to: now });
        }
        self.memory.last_seen = Some(now);
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("config", &self.config).finish_non_exhaustive()
    }
}

/// A connection, and the events of `optional` that FreeSWITCH refused.
async fn connect<D: Dial>(
    config: &SessionConfig,
    dial: &mut D,
) -> Result<(Dialled<D::Stream>, Vec<String>), ClientError> {
    let (mut connection, peer, local) = dial.dial(config).await?;
    connection.login(config.user.as_deref(), &config.password, config.auth_timeout).await?;
    connection.subscribe(&config.subscription, config.auth_timeout).await?;
    let refused = match &config.optional {
        Some(optional) => connection.subscribe_optional(optional, config.auth_timeout).await?,
        None => Vec::new(),
    };
    Ok(((connection, peer, local), refused))
}

/// Answers requests while there is no connection.
async fn refuse(requests: &mut mpsc::Receiver<Request>) -> Infallible {
    while let Some(request) = requests.recv().await {
        // The caller may have stopped waiting; then the answer is dropped.
        let _ = request.answer.send(Err(CommandError::NotConnected));
    }
    std::future::pending().await
}

#[cfg(test)]
mod tests;
