//! A client of the control API: HTTP/1 over the daemon's Unix socket.
//!
//! One connection, one request at a time; a connection that the daemon has closed is made anew. Every
//! wait has a limit and every body a bound. What the daemon refuses comes back as
//! [`ClientError::Problem`].

mod error;
mod events;

use std::path::{Path, PathBuf};
use std::time::Duration;

use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{CONTENT_TYPE, HOST};
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;
use tokio::time::timeout;

pub use error::ClientError;
pub use events::Events;
use sipward_model::wire::{BASE, Problem};

/// Longest wait for the connection. A Unix socket answers at once, unless its queue is full.
const CONNECT: Duration = Duration::from_secs(5);

/// Longest wait for an answer. The daemon gives a request less than this.
const ANSWER: Duration = Duration::from_secs(60);

/// Largest answer that is read, in bytes: a page of 1,000 bans with all their evidence is some 2 MB.
const MAX_ANSWER: usize = 32 * 1024 * 1024;

/// A connection to the daemon.
#[derive(Debug)]
pub struct Client {
    socket: PathBuf,
    sender: SendRequest<Full<Bytes>>,
}

/// An answer: what it means, and as it came.
#[derive(Clone, Debug)]
pub struct Answer<T> {
    /// The body, read.
    pub value: T,
    /// The body, as the daemon sent it.
    pub body: String,
}

impl Client {
    /// Connects to the socket of a running daemon.
    ///
    /// # Errors
    /// [`ClientError::NotRunning`], [`ClientError::NotPermitted`], [`ClientError::TooSlow`].
    pub async fn connect(socket: &Path) -> Result<Self, ClientError> {
        Ok(Self { socket: socket.to_owned(), sender: open(socket).await? })
    }

    /// The process that serves the socket, if the system reports it.
    ///
    /// # Errors
    /// As [`Client::connect`].
    pub async fn server_process(socket: &Path) -> Result<Option<i32>, ClientError> {
        let stream = dial(socket).await?;
        Ok(stream.peer_cred().ok().and_then(|credentials| credentials.pid()))
    }

    /// `GET path?query`. `path` is relative to [`BASE`] and made of [`segment`]s.
    ///
    /// # Errors
    /// Every [`ClientError`].
    pub async fn get<T: DeserializeOwned>(
        &mut self,
        path: &str,
        query: &(impl Serialize + Sync),
    ) -> Result<Answer<T>, ClientError> {
        let path = format!("{path}{}", query_string(query)?);
        self.ask(Method::GET, &path, None).await
    }

    /// `POST path` with a JSON body.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub async fn post<T: DeserializeOwned>(
        &mut self,
        path: &str,
        body: &(impl Serialize + Sync),
    ) -> Result<Answer<T>, ClientError> {
        self.ask(Method::POST, path, Some(json(body)?)).await
    }

    /// `PATCH path` with a JSON body.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub async fn patch<T: DeserializeOwned>(
        &mut self,
        path: &str,
        body: &(impl Serialize + Sync),
    ) -> Result<Answer<T>, ClientError> {
        self.ask(Method::PATCH, path, Some(json(body)?)).await
    }

    /// A request without a body, such as `DELETE path` and `POST /reload`.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub async fn send<T: DeserializeOwned>(
        &mut self,
        method: Method,
        path: &str,
    ) -> Result<Answer<T>, ClientError> {
        self.ask(method, path, None).await
    }

    /// `GET /events`: what happens from now on. Takes the connection for itself.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub async fn events(mut self, query: &(impl Serialize + Sync)) -> Result<Events, ClientError> {
        let path = format!("/events{}", query_string(query)?);
        let response = self.exchange(Method::GET, &path, None).await?;
        if response.status().is_success() {
            return Ok(Events::new(response.into_body()));
        }
        Err(refused(read(response).await?))
    }

    /// `GET path?query` of a file of any size: each part goes to `take` as it comes.
    ///
    /// # Errors
    /// As [`Client::get`]; [`ClientError::Unreadable`] also when `take` fails or the file ends early.
    pub async fn download(
        &mut self,
        path: &str,
        query: &(impl Serialize + Sync),
        mut take: impl FnMut(&[u8]) -> std::io::Result<()>,
    ) -> Result<(), ClientError> {
        let path = format!("{path}{}", query_string(query)?);
        let response = self.exchange(Method::GET, &path, None).await?;
        if !response.status().is_success() {
            return Err(refused(read(response).await?));
        }
        let mut body = response.into_body();
        loop {
            let frame = timeout(ANSWER, body.frame()).await;
            match frame.map_err(|_| ClientError::TooSlow { after: ANSWER })? {
                None => return Ok(()),
                Some(Err(error)) => return Err(ClientError::Broken(error)),
                Some(Ok(frame)) => {
                    let part = frame.into_data().unwrap_or_default();
                    take(&part)
                        .map_err(|error| ClientError::Unreadable { what: error.to_string() })?;
                }
            }
        }
    }

    async fn ask<T: DeserializeOwned>(
        &mut self,
        method: Method,
        path: &str,
        body: Option<Bytes>,
    ) -> Result<Answer<T>, ClientError> {
        let response = self.exchange(method, path, body).await?;
        let succeeded = response.status().is_success();
        let body = read(response).await?;
        if !succeeded {
            return Err(refused(body));
        }
        match serde_json::from_str(&body) {
            Ok(value) => Ok(Answer { value, body }),
            Err(error) => Err(ClientError::Unreadable { what: error.to_string() }),
        }
    }

    async fn exchange(
        &mut self,
        method: Method,
        path: &str,
        body: Option<Bytes>,
    ) -> Result<Response<Incoming>, ClientError> {
        // The daemon closes connections that were idle for long, and ends with all of them.
        if self.sender.ready().await.is_err() {
            self.sender = open(&self.socket).await?;
        }
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{BASE}{path}"))
            .header(HOST, "localhost");
        if body.is_some() {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        let request = request
            .body(Full::new(body.unwrap_or_default()))
            .map_err(|error| ClientError::Unreadable { what: error.to_string() })?;
        timeout(ANSWER, self.sender.send_request(request))
            .await
            .map_err(|_| ClientError::TooSlow { after: ANSWER })?
            .map_err(ClientError::Broken)
    }
}

/// One part of a path, with everything escaped that means something in a URI: `192.0.2.0%2F24`.
#[must_use]
pub fn segment(text: impl std::fmt::Display) -> String {
    utf8_percent_encode(&text.to_string(), NON_ALPHANUMERIC).to_string()
}

/// No query.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct NoQuery {}

/// `?name=value&…` of the fields that are set.
fn query_string(query: &impl Serialize) -> Result<String, ClientError> {
    let unreadable = |error: serde_json::Error| ClientError::Unreadable { what: error.to_string() };
    let serde_json::Value::Object(fields) = serde_json::to_value(query).map_err(unreadable)? else {
        return Ok(String::new());
    };
    let mut out = String::new();
    for (name, value) in fields {
        let value = match value {
            serde_json::Value::Null => continue,
            serde_json::Value::String(text) => text,
            other => other.to_string(),
        };
        out.push(if out.is_empty() { '?' } else { '&' });
        out.push_str(&segment(name));
        out.push('=');
        out.push_str(&segment(value));
    }
    Ok(out)
}

fn json(body: &impl Serialize) -> Result<Bytes, ClientError> {
    let body = serde_json::to_vec(body);
    body.map(Bytes::from).map_err(|error| ClientError::Unreadable { what: error.to_string() })
}

async fn dial(socket: &Path) -> Result<UnixStream, ClientError> {
    timeout(CONNECT, UnixStream::connect(socket))
        .await
        .map_err(|_| ClientError::TooSlow { after: CONNECT })?
        .map_err(|error| ClientError::connecting(socket, error))
}

async fn open(socket: &Path) -> Result<SendRequest<Full<Bytes>>, ClientError> {
    let stream = dial(socket).await?;
    let (sender, connection) =
        http1::handshake(TokioIo::new(stream)).await.map_err(ClientError::Broken)?;
    // Ends with the sender; its error comes back with the request that it broke.
    tokio::spawn(connection);
    Ok(sender)
}

async fn read(response: Response<Incoming>) -> Result<String, ClientError> {
    let body = Limited::new(response.into_body(), MAX_ANSWER);
    let body = timeout(ANSWER, body.collect())
        .await
        .map_err(|_| ClientError::TooSlow { after: ANSWER })?
        .map_err(|error| ClientError::Unreadable { what: error.to_string() })?;
    String::from_utf8(body.to_bytes().into())
        .map_err(|error| ClientError::Unreadable { what: error.to_string() })
}

fn refused(body: String) -> ClientError {
    match serde_json::from_str::<Problem>(&body) {
        Ok(problem) => ClientError::Problem { problem: Box::new(problem), body },
        Err(error) => ClientError::Unreadable { what: format!("an error that is none: {error}") },
    }
}

#[cfg(test)]
mod tests;
