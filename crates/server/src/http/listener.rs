//! The listening sockets.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::response::Response;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::broadcast;
use tokio::time::{sleep, timeout};
use tokio_rustls::server::TlsStream;

use super::client::Link;
use super::login_throttle::client_net;
use super::room::Caller;
use super::serve::{self, Greeting};
use super::{Access, headers};
use crate::http::error::ApiError;
use sipward_config::HttpSettings;
use sipward_daemon::certificates::Certificates;
use sipward_model::record::Record;
use sipward_model::wire::ProblemKind;

/// Time for a TLS handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// Pause before an address that could not be had is tried again: it may come with its network.
const AGAIN: Duration = Duration::from_secs(10);

/// One address to listen on.
#[derive(Clone, Debug)]
pub(super) struct Listener {
    address: SocketAddr,
    settings: Arc<HttpSettings>,
    certificates: Option<Arc<Certificates>>,
}

/// An open one.
struct Open {
    listener: TcpListener,
    endpoint: Listener,
}

/// Opens the socket, as soon as that can be done, and serves until dropped.
pub(super) async fn run(
    endpoint: Listener,
    router: Router,
    access: &Access,
    records: &broadcast::Sender<Arc<Record>>,
) {
    let mut told = false;
    let listener = loop {
        match TcpListener::bind(endpoint.address).await {
            Ok(listener) => break listener,
            Err(error) => {
                if !std::mem::replace(&mut told, true) {
                    let error = format!(
                        "{error}; `ss -ltnp` shows which program listens there; or set \
                         `http.listen` to another address. sipward keeps trying"
                    );
                    Record::HttpFailed { address: endpoint.address, error }.publish(records);
                }
                sleep(AGAIN).await;
            }
        }
    };
    let address = listener.local_addr().unwrap_or(endpoint.address);
    let tls = endpoint.certificates.is_some();
    access.opened(address, tls);
    Record::HttpOpened { address, tls }.publish(records);
    serve::serve(Open { listener, endpoint }, router, &access.room, records).await;
}

impl Listener {
    pub(super) fn new(
        address: SocketAddr,
        settings: Arc<HttpSettings>,
        certificates: Option<Arc<Certificates>>,
    ) -> Self {
        Self { address, settings, certificates }
    }

    /// Whether what `peer` sends in clear crosses no network, or one that the operator has vouched for.
    fn may_speak_plainly(&self, peer: IpAddr) -> bool {
        self.certificates.is_some() || peer.is_loopback() || self.settings.trusts(peer)
    }
}

impl serve::Listener for Open {
    type Caller = (TcpStream, SocketAddr);
    type Stream = Stream;
    type Known = Link;

    async fn next(&self) -> io::Result<Self::Caller> {
        self.listener.accept().await
    }

    fn caller(&self, (_, peer): &Self::Caller) -> Caller {
        let peer = peer.ip().to_canonical();
        let unbounded = peer.is_loopback() || self.endpoint.settings.trusts(peer);
        Caller::Remote { net: client_net(peer), unbounded }
    }

    async fn greet(&self, (stream, peer): Self::Caller) -> Option<Greeting<Stream, Link>> {
        let peer = SocketAddr::new(peer.ip().to_canonical(), peer.port());
        // Events are small and should not wait for more of them.
        let _ = stream.set_nodelay(true);
        let inner = match &self.endpoint.certificates {
            None => Inner::Plain(stream),
            Some(certificates) => {
                let greeted = timeout(HANDSHAKE, certificates.acceptor().accept(stream)).await;
                let stream = greeted.ok()?.inspect_err(|error| {
                    tracing::debug!(%error, %peer, "no TLS handshake");
                });
                Inner::Tls(Box::new(stream.ok()?))
            }
        };
        let known = Link { peer, tls: self.endpoint.certificates.is_some() };
        let refusal = (!self.endpoint.may_speak_plainly(peer.ip())).then(|| {
            let detail = "plain HTTP is allowed only from `http.trusted_proxies` and this host; \
                          use the proxy, or set `http.certificate` and `http.key`";
            ApiError::new(ProblemKind::Forbidden, detail)
        });
        Some(Greeting { stream: Stream { inner }, known, refusal })
    }

    fn finish(known: &Link, response: &mut Response) {
        headers::adorn(response.headers_mut(), known.tls);
    }
}

/// A connection, with TLS or without.
pub(super) struct Stream {
    inner: Inner,
}

enum Inner {
    Plain(TcpStream),
    /// Boxed: its state is large.
    Tls(Box<TlsStream<TcpStream>>),
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match &mut self.inner {
            Inner::Plain(stream) => Pin::new(stream).poll_read(cx, buffer),
            Inner::Tls(stream) => Pin::new(stream).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &mut self.inner {
            Inner::Plain(stream) => Pin::new(stream).poll_write(cx, bytes),
            Inner::Tls(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.inner {
            Inner::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Inner::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.inner {
            Inner::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Inner::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
