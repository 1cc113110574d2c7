//! HTTP/1 on the socket: connections, their limits, their end.

use std::convert::Infallible;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::Router;
use axum::response::{IntoResponse as _, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::UnixStream;
use tokio::sync::Semaphore;
use tokio::time::{Instant, Sleep, sleep, timeout};

use super::door::{Door, Peer};
use super::fault::Fault;
use super::model::ProblemKind;

/// Connections at once. Each costs a task and at most [`MAX_BUFFER`]; who finds no room waits.
const CONNECTIONS: usize = 64;

/// Time for a request's head to arrive, and for the next request on an open connection.
const HEAD_TIME: Duration = Duration::from_secs(10);

/// Time for an answer to begin: longer than anything inside waits.
const ANSWER_TIME: Duration = Duration::from_secs(30);

/// Time in which a client must take something of what is sent to it.
const WRITE_TIME: Duration = Duration::from_secs(30);

/// Bytes buffered of a request's head, which is its limit (431 beyond it).
const MAX_BUFFER: usize = 16 * 1024;

/// Headers of a request.
const MAX_HEADERS: usize = 64;

/// Longest path and query, in bytes (414 beyond it).
const MAX_URI: usize = 8 * 1024;

/// Pause after a failed accept: out of descriptors, as a rule.
const BREATH: Duration = Duration::from_millis(100);

/// Serves until dropped.
pub(super) async fn serve(door: Door, router: Router) {
    let room = Arc::new(Semaphore::new(CONNECTIONS));
    let door = Arc::new(door);
    loop {
        let Ok(place) = Arc::clone(&room).acquire_owned().await else {
            return;
        };
        let (stream, peer) = match door.next().await {
            Ok(next) => next,
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection on the control socket");
                sleep(BREATH).await;
                continue;
            }
        };
        let (router, door) = (router.clone(), Arc::clone(&door));
        tokio::spawn(async move {
            let admitted = door.admits(peer).await;
            drop(door);
            connection(stream, router, (!admitted).then_some(peer)).await;
            drop(place);
        });
    }
}

async fn connection(stream: UnixStream, router: Router, stranger: Option<Peer>) {
    let service = service_fn(move |request| {
        let router = router.clone();
        async move { Ok::<_, Infallible>(answer(request, router, stranger).await) }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME)
        .max_buf_size(MAX_BUFFER)
        .max_headers(MAX_HEADERS)
        .keep_alive(stranger.is_none())
        .serve_connection(TokioIo::new(Patient::new(stream)), service);
    if let Err(error) = served.await {
        tracing::debug!(%error, "a connection on the control socket ended");
    }
}

async fn answer(
    request: hyper::Request<Incoming>,
    router: Router,
    stranger: Option<Peer>,
) -> Response {
    if let Some(Peer { user, .. }) = stranger {
        tracing::warn!(user, "somebody without the right to it tried the control socket");
        let detail = format!(
            "user {user} is neither root, nor the daemon's user, nor a member of the socket's group; add \
             it with `usermod -aG sipward USER`"
        );
        return Fault::new(ProblemKind::Forbidden, detail).into_response();
    }
    let length = request.uri().path_and_query().map_or(0, |uri| uri.as_str().len());
    if length > MAX_URI {
        let detail = format!("{length} bytes are more than {MAX_URI}");
        return Fault::new(ProblemKind::UriTooLong, detail).into_response();
    }
    match timeout(ANSWER_TIME, TowerToHyperService::new(router).call(request)).await {
        Ok(Ok(response)) => response,
        Err(_) => {
            let detail = format!("there was no answer within {} s", ANSWER_TIME.as_secs());
            Fault::new(ProblemKind::Unavailable, detail).into_response()
        }
    }
}

/// A stream whose other end must read: one that takes nothing for [`WRITE_TIME`] is given up.
struct Patient {
    stream: UnixStream,
    /// Runs while the other end takes nothing.
    deadline: Pin<Box<Sleep>>,
    waiting: bool,
}

impl Patient {
    fn new(stream: UnixStream) -> Self {
        Self { stream, deadline: Box::pin(sleep(WRITE_TIME)), waiting: false }
    }

    fn judge<T>(&mut self, cx: &mut Context<'_>, poll: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if poll.is_ready() {
            self.waiting = false;
            return poll;
        }
        if !std::mem::replace(&mut self.waiting, true) {
            self.deadline.as_mut().reset(Instant::now() + WRITE_TIME);
        }
        ready!(self.deadline.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncRead for Patient {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Patient {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let poll = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.judge(cx, poll)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let poll = Pin::new(&mut self.stream).poll_flush(cx);
        self.judge(cx, poll)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let poll = Pin::new(&mut self.stream).poll_shutdown(cx);
        self.judge(cx, poll)
    }
}
