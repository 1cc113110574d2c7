//! A client of the API and the page on TCP: what a browser or a program sends, and what it should not.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::missing_panics_doc,
    reason = "what a test harness cannot do is a failed test"
)]

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use serde_json::Value;

use crate::wait::PATIENCE;

/// A client of a web server, always with the same headers.
///
/// Its connections belong to the network namespace of the thread that asks.
#[derive(Clone, Debug)]
pub struct Web {
    server: SocketAddr,
    /// Name of the server, where TLS is spoken with it.
    tls: Option<(Arc<ClientConfig>, String)>,
    host: String,
    /// Lines of the head.
    headers: String,
}

/// An answer.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The status; 0 when the connection was closed without an answer.
    pub status: u16,
    /// Status line and headers, as they came.
    pub head: String,
    /// The body.
    pub body: String,
}

/// A stream in both directions.
pub trait Duplex: Read + Write + Send {}

impl<T: Read + Write + Send> Duplex for T {}

impl Web {
    /// A program that asks the server at `server` in clear.
    #[must_use]
    pub fn new(server: SocketAddr) -> Self {
        Self { server, tls: None, host: server.to_string(), headers: String::new() }
    }

    /// By TLS, with a server whose certificate (PEM) is this and names `name`.
    #[must_use]
    pub fn trusting(self, certificate: &str, name: &str) -> Self {
        let mut roots = RootCertStore::empty();
        let certificate = CertificateDer::from_pem_slice(certificate.as_bytes());
        roots.add(certificate.expect("a certificate")).expect("a usable certificate");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("TLS versions")
            .with_root_certificates(roots)
            .with_no_client_auth();
        Self { tls: Some((Arc::new(config), name.to_owned())), ..self }
    }

    /// One more header of each request.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.extend([name, ": ", value, "\r\n"]);
        self
    }

    /// With a bearer token.
    #[must_use]
    pub fn bearer(self, token: &str) -> Self {
        self.with("Authorization", &format!("Bearer {token}"))
    }

    /// Under another name of the server.
    #[must_use]
    pub fn host(self, host: &str) -> Self {
        Self { host: host.to_owned(), ..self }
    }

    /// A browser that shows a page of the server itself.
    #[must_use]
    pub fn browser(self) -> Self {
        self.with("Accept", "text/html").with("Sec-Fetch-Site", "same-origin")
    }

    /// `GET`.
    #[must_use]
    pub fn get(&self, path: &str) -> Reply {
        self.send("GET", path, None, "")
    }

    /// Any method, with a JSON body or without.
    #[must_use]
    pub fn ask(&self, method: &str, path: &str, body: Option<&Value>) -> Reply {
        match body {
            Some(body) => self.send(method, path, Some("application/json"), &body.to_string()),
            None => self.send(method, path, None, ""),
        }
    }

    /// `POST` of a form, percent-encoded by the caller.
    #[must_use]
    pub fn form(&self, path: &str, fields: &str) -> Reply {
        self.send("POST", path, Some("application/x-www-form-urlencoded"), fields)
    }

    fn send(&self, method: &str, path: &str, kind: Option<&str>, body: &str) -> Reply {
        let kind = kind.map(|kind| format!("Content-Type: {kind}\r\n")).unwrap_or_default();
        let more = format!("{kind}Content-Length: {}\r\nConnection: close\r\n", body.len());
        self.raw(&format!("{}{more}\r\n{body}", self.head(method, path)))
    }

    /// A request's head, its end left out.
    fn head(&self, method: &str, path: &str) -> String {
        format!("{method} {path} HTTP/1.1\r\nHost: {}\r\n{}", self.host, self.headers)
    }

    /// Sends `bytes` as they are and reads until the server closes.
    #[must_use]
    pub fn raw(&self, bytes: &str) -> Reply {
        let mut answer = Vec::new();
        if let Some(mut stream) = self.connect() {
            // A server that refuses in the middle may have closed already.
            let _ = stream.write_all(bytes.as_bytes());
            let _ = stream.read_to_end(&mut answer);
        }
        Reply::parse(&String::from_utf8_lossy(&answer))
    }

    /// Opens a stream of events (`/api/v1/events?…`) and reads its head.
    #[must_use]
    pub fn listen(&self, path: &str) -> BufReader<Box<dyn Duplex>> {
        let mut stream = self.connect().expect("a connection");
        let request = format!("{}\r\n", self.head("GET", path));
        stream.write_all(request.as_bytes()).expect("a request");
        let mut lines = BufReader::new(stream);
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert!(lines.read_line(&mut head).expect("a head") > 0, "closed: {head}");
        }
        assert!(head.starts_with("HTTP/1.1 200"), "{head}");
        lines
    }

    /// A connection; `None` when it is closed before anything can be sent.
    #[must_use]
    pub fn connect(&self) -> Option<Box<dyn Duplex>> {
        let stream = TcpStream::connect_timeout(&self.server, PATIENCE).ok()?;
        stream.set_read_timeout(Some(PATIENCE)).expect("a time limit");
        let Some((config, name)) = &self.tls else {
            return Some(Box::new(stream));
        };
        let name = ServerName::try_from(name.clone()).expect("a name of a server");
        let connection = ClientConnection::new(Arc::clone(config), name).expect("a TLS client");
        let mut stream = StreamOwned::new(connection, stream);
        while stream.conn.is_handshaking() {
            stream.conn.complete_io(&mut stream.sock).ok()?;
        }
        Some(Box::new(stream))
    }
}

/// Whether a stream ends within `limit`, whatever comes before.
pub fn ends_within(stream: &mut impl BufRead, limit: Duration) -> bool {
    let deadline = std::time::Instant::now() + limit;
    let mut line = String::new();
    while std::time::Instant::now() < deadline {
        line.clear();
        match stream.read_line(&mut line) {
            Ok(0) => return true,
            Ok(_) => {}
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                return false;
            }
            Err(_) => return true,
        }
    }
    false
}

impl Reply {
    fn parse(text: &str) -> Self {
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((text, ""));
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
        Self { status: status.unwrap_or_default(), head: head.to_owned(), body: body.to_owned() }
    }

    /// A header; of several the first.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// The answer itself, when it has this status.
    #[expect(
        clippy::must_use_candidate,
        clippy::return_self_not_must_use,
        reason = "often the status is all that is asked"
    )]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}\n\n{}", self.head, self.body);
        self
    }

    /// The body, read as JSON.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error} in {}", self.body))
    }
}
