//! One request over a connection that is kept.

use std::time::Duration;

use axum::body::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{CONTENT_TYPE, HOST, USER_AGENT};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::{Delivery, signature};
use crate::{Failure, tls};
use sipward_config::Secret;
use sipward_config::WebhookUrl;

/// Bytes of an answer's body that are read and discarded, so that the connection can be used again.
const MAX_ANSWER: usize = 64 * 1024;

/// Bytes of an answer's head.
const MAX_HEAD: usize = 16 * 1024;

pub(super) struct Post {
    target: WebhookUrl,
    timeout: Duration,
    secret: Option<Secret>,
    /// Made when it is needed first.
    tls: Option<TlsConnector>,
    connection: Option<SendRequest<Full<Bytes>>>,
}

impl Post {
    pub(super) fn new(target: WebhookUrl, timeout: Duration, secret: Option<Secret>) -> Self {
        Self { target, timeout, secret, tls: None, connection: None }
    }

    /// Trusts other certificates than the system does.
    #[cfg(test)]
    pub(super) fn with_tls(self, tls: TlsConnector) -> Self {
        Self { tls: Some(tls), ..self }
    }

    /// Posts it once, and gives the receiver's answer.
    pub(super) async fn once(&mut self, delivery: &Delivery) -> Result<StatusCode, String> {
        let posted = timeout(self.timeout, self.post(delivery)).await;
        let posted = posted
            .unwrap_or_else(|_| Err(format!("no answer within {} s", self.timeout.as_secs())));
        if posted.is_err() {
            self.connection = None;
        }
        posted
    }

    pub(super) async fn deliver(&mut self, delivery: &Delivery) -> Result<(), Failure> {
        let status = self.once(delivery).await.map_err(Failure::Later)?;
        if status.is_success() {
            return Ok(());
        }
        let error = format!("the receiver answered {status}");
        let is_passing = status.is_server_error()
            || [StatusCode::REQUEST_TIMEOUT, StatusCode::TOO_EARLY, StatusCode::TOO_MANY_REQUESTS]
                .contains(&status);
        Err(if is_passing { Failure::Later(error) } else { Failure::Never(error) })
    }

    /// A connection that was kept may have been closed meanwhile; then a new one is made at once.
    async fn post(&mut self, delivery: &Delivery) -> Result<StatusCode, String> {
        if let Some(connection) = self.connection.take()
            && !connection.is_closed()
            && let Ok(status) = self.over(connection, delivery).await
        {
            return Ok(status);
        }
        let connection = self.connect().await?;
        self.over(connection, delivery).await
    }

    async fn over(
        &mut self,
        mut connection: SendRequest<Full<Bytes>>,
        delivery: &Delivery,
    ) -> Result<StatusCode, String> {
        let request = self.request(delivery)?;
        connection.ready().await.map_err(|error| error.to_string())?;
        let answer = connection.send_request(request).await.map_err(|error| error.to_string())?;
        let (head, body) = answer.into_parts();
        if Limited::new(body, MAX_ANSWER).collect().await.is_ok() {
            self.connection = Some(connection);
        }
        Ok(head.status)
    }

    fn request(&self, delivery: &Delivery) -> Result<Request<Full<Bytes>>, String> {
        let Delivery { id, event, body } = delivery;
        let mut request = Request::post(self.target.path())
            .header(HOST, self.target.authority())
            .header(USER_AGENT, concat!("sipward/", env!("CARGO_PKG_VERSION")))
            .header(CONTENT_TYPE, "application/json")
            .header("X-Sipward-Event", event)
            .header("X-Sipward-Delivery", id);
        if let Some(signature) = self.secret.as_ref().and_then(|secret| signature(secret, body)) {
            request = request.header("X-Sipward-Signature", signature);
        }
        request.body(Full::new(Bytes::from(body.clone()))).map_err(|error| error.to_string())
    }

    async fn connect(&mut self) -> Result<SendRequest<Full<Bytes>>, String> {
        let place = (self.target.host(), self.target.port());
        let stream = TcpStream::connect(place)
            .await
            .map_err(|error| format!("cannot connect to {}: {error}", self.target.authority()))?;
        if !self.target.is_secure() {
            return handshake(stream).await;
        }
        let connector = match &self.tls {
            Some(connector) => connector.clone(),
            None => self.tls.insert(tls::connector()?).clone(),
        };
        let name = ServerName::try_from(self.target.host().to_owned());
        let name = name.map_err(|error| format!("{}: {error}", self.target.host()))?;
        let stream = connector.connect(name, stream).await;
        handshake(stream.map_err(|error| format!("TLS: {error}"))?).await
    }
}

async fn handshake<S>(stream: S) -> Result<SendRequest<Full<Bytes>>, String>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let made = http1::Builder::new().max_buf_size(MAX_HEAD).handshake(TokioIo::new(stream)).await;
    let (connection, driver) = made.map_err(|error| error.to_string())?;
    // Ends with the connection.
    tokio::spawn(driver);
    Ok(connection)
}
