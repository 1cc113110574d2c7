//! HTTP/1: connections, their limits, their end; the same for every kind of socket.

use std::convert::Infallible;
use std::future::poll_fn;
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
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::sync::broadcast;
use tokio::time::{Instant, Sleep, sleep, timeout};

use super::room::{Busy, Caller, Room, Seat};
use crate::http::error::ApiError;
use sipward_model::record::Record;
use sipward_model::wire::ProblemKind;

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

/// What is still read of a client that sends on after its answer: a socket that is closed with bytes unread
/// is reset, and the client may never see why it was refused (RFC 9112 section 9.6).
const LINGER_BYTES: usize = 4 * 1024 * 1024;
const LINGER_TIME: Duration = Duration::from_secs(2);

/// Pause after a failed accept: out of descriptors, as a rule.
const BREATH: Duration = Duration::from_millis(100);

/// Where connections come from.
pub trait Listener: Send + Sync + 'static {
    /// A connection that was accepted and not looked at.
    type Caller: Send + 'static;
    /// A connection that can be served.
    type Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static;
    /// What is known of a connection: an extension of each of its requests.
    type Known: Clone + Send + Sync + Unpin + 'static;

    /// The next connection.
    fn next(&self) -> impl Future<Output = io::Result<Self::Caller>> + Send;

    /// Whose connection it is.
    fn caller(&self, caller: &Self::Caller) -> Caller;

    /// Examines a new connection, in its own task. `None` closes it.
    fn greet(
        &self,
        caller: Self::Caller,
    ) -> impl Future<Output = Option<Greeting<Self::Stream, Self::Known>>> + Send;

    /// Finishes an answer, no matter what made it.
    fn finish(known: &Self::Known, response: &mut Response);
}

/// What becomes of a connection.
pub struct Greeting<S, K> {
    pub stream: S,
    pub known: K,
    /// Every request is answered with this, and the connection closed.
    pub refusal: Option<ApiError>,
}

/// Serves until dropped. Connections beyond the limit wait.
pub async fn serve<D: Listener>(
    endpoint: D,
    router: Router,
    room: &Arc<Room>,
    records: &broadcast::Sender<Arc<Record>>,
) {
    let endpoint = Arc::new(endpoint);
    loop {
        let caller = match endpoint.next().await {
            Ok(caller) => caller,
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                sleep(BREATH).await;
                continue;
            }
        };
        let seat = room.admit(endpoint.caller(&caller)).await;
        room.report(records);
        let Some(seat) = seat.map(Arc::new) else {
            continue;
        };
        let (router, endpoint) = (router.clone(), Arc::clone(&endpoint));
        tokio::spawn(async move {
            let work = async {
                let greeting = endpoint.greet(caller).await;
                drop(endpoint);
                if let Some(greeting) = greeting {
                    connection::<D>(greeting, router, &seat).await;
                }
            };
            seat.leave.run_until_cancelled(work).await;
        });
    }
}

async fn connection<D: Listener>(
    greeting: Greeting<D::Stream, D::Known>,
    router: Router,
    seat: &Arc<Seat>,
) {
    let Greeting { stream, known, refusal } = greeting;
    let keep_alive = refusal.is_none();
    let service = service_fn(move |mut request: hyper::Request<Incoming>| {
        let (router, known, refusal) = (router.clone(), known.clone(), refusal.clone());
        let busy = Busy::begin(seat);
        // Pinned, so that the connection can be polled without its end.
        Box::pin(async move {
            request.extensions_mut().insert(known.clone());
            let mut response = match refusal {
                Some(fault) => fault.into_response(),
                None => answer(request, router).await,
            };
            D::finish(&known, &mut response);
            Ok::<_, Infallible>(busy.until_sent(response))
        })
    });
    let mut serving = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME)
        .max_buf_size(MAX_BUFFER)
        .max_headers(MAX_HEADERS)
        .keep_alive(keep_alive)
        .serve_connection(TokioIo::new(Patient::new(stream)), service);
    if let Err(error) = poll_fn(|cx| serving.poll_without_shutdown(cx)).await {
        tracing::debug!(%error, "a connection ended");
    }
    // It is closed already where the client was the first.
    let _ = timeout(LINGER_TIME, linger(serving.into_parts().io.into_inner())).await;
}

/// Ends the answer, and reads the rest of the request, within limits.
async fn linger(mut stream: impl AsyncRead + AsyncWrite + Unpin) -> io::Result<()> {
    stream.shutdown().await?;
    let mut left = LINGER_BYTES;
    let mut buffer = [0; 4096];
    while left > 0 {
        let read = stream.read(&mut buffer).await?;
        if read == 0 {
            break;
        }
        left = left.saturating_sub(read);
    }
    Ok(())
}

async fn answer(request: hyper::Request<Incoming>, router: Router) -> Response {
    let length = request.uri().path_and_query().map_or(0, |uri| uri.as_str().len());
    if length > MAX_URI {
        let detail = format!("{length} bytes exceed the limit of {MAX_URI}");
        return ApiError::new(ProblemKind::UriTooLong, detail).into_response();
    }
    match timeout(ANSWER_TIME, TowerToHyperService::new(router).call(request)).await {
        Ok(Ok(response)) => response,
        Err(_) => {
            let detail = format!("no answer within {} s", ANSWER_TIME.as_secs());
            ApiError::new(ProblemKind::Unavailable, detail).into_response()
        }
    }
}

/// A stream whose other end must read: it is closed if nothing is read for [`WRITE_TIME`].
struct Patient<S> {
    stream: S,
    /// Runs while the other end takes nothing.
    deadline: Pin<Box<Sleep>>,
    waiting: bool,
}

impl<S> Patient<S> {
    fn new(stream: S) -> Self {
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

impl<S: AsyncRead + Unpin> AsyncRead for Patient<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Patient<S> {
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
