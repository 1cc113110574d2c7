//! `sipward record`: saves what FreeSWITCH sends, byte for byte, for `sipward replay`.
//!
//! A recording holds the frames that come after the login, events in plain format and, where this user
//! may have them, the log's warnings. The login itself is not in it, so neither is the password. Where a
//! connection begins, and where frames had to be dropped, is FreeSWITCH's own greeting
//! ([`GREETING`]): what came before it may be missing.
//!
//! The socket is always read: a client that stops reading freezes FreeSWITCH. What the disk does not
//! take in time is dropped and counted.

mod disk;
pub mod pieces;

use std::convert::Infallible;
use std::io;
use std::time::Duration;

use bytes::Bytes;
use sipward_esl::client::{ClientError, Connection, Step};
use sipward_esl::command::{Command, LogLevel};
use sipward_esl::{ContentType, Frame, SessionConfig, Subscription};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use self::disk::Disk;
use self::pieces::Pieces;
use sipward_config::Credentials;
use sipward_ingest::bridge;

/// What FreeSWITCH sends first on each connection (`mod_event_socket.c`, `listener_run`).
pub const GREETING: &[u8] = b"Content-Type: auth/request\n\n";

/// Longest body that is saved as it came, in bytes: a SIP message of 1.9 MB was seen to make an event of
/// 5.7 MB. Longer ones are shortened value by value, as the daemon reads them.
const MAX_BODY: usize = 8 * 1024 * 1024;

/// Pause before a lost connection is tried again: FreeSWITCH takes some seconds to start.
const RETRY: Duration = Duration::from_secs(2);

/// What happens while a recording is made.
#[derive(Debug)]
pub enum News<'n> {
    /// Connected, logged in and subscribed.
    Connected,
    /// The connection was lost, or could not be made again; it is tried again all the time.
    Lost(&'n ClientError),
    /// FreeSWITCH sends no log lines: the recording has events only.
    NoLog(&'n str),
    /// The totals after another frame.
    Saved(Totals),
}

/// What was recorded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Frames handed to the disk.
    pub frames: u64,
    /// Bytes of these.
    pub bytes: u64,
    /// Frames dropped: the disk was behind, or a log line was longer than any honest one.
    pub dropped: u64,
    /// Connections after the first.
    pub reconnects: u64,
    /// Files written, those included that have made room for newer ones.
    pub pieces: u64,
}

/// Why a recording ended early or never began.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// The first connection failed. What needs an operator would not get better by itself.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The files cannot be written any more; what was written stays.
    #[error("the recording ended early, cannot write it: {0}")]
    Disk(io::Error),
}

/// Records into `pieces` until `stop`.
///
/// # Errors
/// When the first connection fails, or the disk does.
pub async fn record(
    credentials: &Credentials,
    pieces: Pieces,
    stop: CancellationToken,
    mut tell: impl FnMut(News<'_>),
) -> Result<Totals, RecordError> {
    let settings = settings(credentials)?;
    let mut connection = tokio::select! {
        connected = connect(&settings, &mut tell) => connected?,
        () = stop.cancelled() => return Ok(Totals::default()),
    };
    let failed = CancellationToken::new();
    let mut disk = Disk::start(pieces, failed.clone()).map_err(RecordError::Disk)?;
    tokio::select! {
        never = follow(&settings, &mut connection, &mut disk, &mut tell) => match never {},
        () = stop.cancelled() => {}
        () = failed.cancelled() => {}
    }
    // A blocking wait for the last bytes; nothing else runs any more.
    tokio::task::spawn_blocking(|| disk.finish())
        .await
        .map_err(|error| RecordError::Disk(io::Error::other(error)))?
        .map_err(RecordError::Disk)
}

/// Saves what comes, over this connection and those after it.
async fn follow(
    settings: &SessionConfig,
    connection: &mut Connection,
    disk: &mut Disk,
    tell: &mut impl FnMut(News<'_>),
) -> Infallible {
    loop {
        disk.mark_gap();
        let error = save_all(settings, connection, disk, tell).await;
        tell(News::Lost(&error));
        *connection = reconnect(settings, tell).await;
        disk.totals.reconnects += 1;
    }
}

/// Saves every frame; returns why the connection ended.
async fn save_all(
    settings: &SessionConfig,
    connection: &mut Connection,
    disk: &mut Disk,
    tell: &mut impl FnMut(News<'_>),
) -> ClientError {
    let limit = settings.heartbeat_timeout;
    loop {
        match timeout(limit, connection.next_frame()).await {
            Ok(Ok(frame)) => {
                match saved_form(&frame) {
                    Some(bytes) => disk.save(bytes),
                    None => disk.drop_one(),
                }
                tell(News::Saved(disk.totals));
            }
            Ok(Err(error)) => return error,
            Err(_) => return ClientError::Silent { after: limit },
        }
    }
}

/// The session's defaults, for a recorder.
fn settings(credentials: &Credentials) -> Result<SessionConfig, ClientError> {
    let mut settings = SessionConfig::new(credentials.host.clone(), credentials.password.clone());
    settings.port = credentials.port;
    settings.user.clone_from(&credentials.user);
    settings.subscription = Subscription::sofia().custom(bridge::REPORT)?.custom(bridge::CALL)?;
    settings.limits.max_body = MAX_BODY;
    Ok(settings)
}

async fn connect(
    settings: &SessionConfig,
    tell: &mut impl FnMut(News<'_>),
) -> Result<Connection, ClientError> {
    let SessionConfig { host, port, user, password, subscription, limits, .. } = settings;
    let within = settings.auth_timeout;
    let mut connection =
        Connection::connect(host, *port, *limits, settings.connect_timeout).await?;
    connection.login(user.as_deref(), password, within).await?;
    connection.subscribe(subscription, within).await?;
    tell(News::Connected);
    // Not part of the subscription: a user that may not read the log must not lose the events with it.
    let log = Command::log(LogLevel::Warning);
    let reply = timeout(within, connection.request(&log));
    let too_late = |_| ClientError::Timeout { step: Step::Reply(log.kind()), after: within };
    let reply = reply.await.map_err(too_late)??;
    if reply.is_error() {
        tell(News::NoLog(&reply.to_string()));
    }
    Ok(connection)
}

/// Tries until it works; why it does not is reported once.
async fn reconnect(settings: &SessionConfig, tell: &mut impl FnMut(News<'_>)) -> Connection {
    let mut told = false;
    loop {
        sleep(RETRY).await;
        match connect(settings, tell).await {
            Ok(connection) => return connection,
            Err(error) => {
                if !std::mem::replace(&mut told, true) {
                    tell(News::Lost(&error));
                }
            }
        }
    }
}

/// The frame as it came, in bytes of its own. A shortened event gets the length that it has now. `None`:
/// a shortened log line, whose end, by which it is read, is missing.
fn saved_form(frame: &Frame) -> Option<Bytes> {
    if frame.cut().is_none() {
        return Some(Bytes::copy_from_slice(frame.as_bytes()));
    }
    if frame.content_type() == ContentType::LogData {
        return None;
    }
    let mut bytes = format!("Content-Length: {}\n", frame.body().len()).into_bytes();
    for header in frame.headers().filter(|header| !header.is("Content-Length")) {
        bytes.extend_from_slice(header.name());
        bytes.extend_from_slice(b": ");
        bytes.extend_from_slice(header.raw_value());
        bytes.push(b'\n');
    }
    bytes.push(b'\n');
    bytes.extend_from_slice(frame.body());
    Some(bytes.into())
}

#[cfg(test)]
mod tests;
