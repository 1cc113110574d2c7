//! A client of the control API that can also misbehave: what it sends is what the test wrote.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    reason = "what a test harness cannot do is a failed test"
)]

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::wait::{PATIENCE, until};

/// The control socket of a daemon.
#[derive(Clone, Debug)]
pub struct Client {
    socket: PathBuf,
}

/// An answer.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// Status line and headers, as they came.
    pub head: String,
    /// The body; `null` when there is none.
    pub body: Value,
}

impl Client {
    /// Of the daemon that serves `socket`.
    #[must_use]
    pub fn new(socket: &Path) -> Self {
        Self { socket: socket.to_owned() }
    }

    /// `GET /api/v1PATH`.
    #[must_use]
    pub fn get(&self, path: &str) -> Answer {
        self.request("GET", path, None)
    }

    /// `POST` of a JSON body.
    #[must_use]
    pub fn post(&self, path: &str, body: &Value) -> Answer {
        self.request("POST", path, Some(body))
    }

    /// `PATCH` with a JSON body.
    #[must_use]
    pub fn patch(&self, path: &str, body: &Value) -> Answer {
        self.request("PATCH", path, Some(body))
    }

    /// `DELETE`.
    #[must_use]
    pub fn delete(&self, path: &str) -> Answer {
        self.request("DELETE", path, None)
    }

    /// Any request, well formed.
    #[must_use]
    pub fn request(&self, method: &str, path: &str, body: Option<&Value>) -> Answer {
        let (kind, body) = match body {
            Some(body) => ("Content-Type: application/json\r\n", body.to_string()),
            None => ("", String::new()),
        };
        let length = body.len();
        self.raw(&format!(
            "{method} /api/v1{path} HTTP/1.1\r\nHost: sipward\r\n{kind}Content-Length: {length}\r\n\
             Connection: close\r\n\r\n{body}"
        ))
    }

    /// Sends `bytes` as they are and reads the answer. It must ask for the connection to be closed, or
    /// be one after which it is.
    #[must_use]
    pub fn raw(&self, bytes: &str) -> Answer {
        let mut stream = self.connect();
        // A client that is refused while it still sends can finish, and gets the answer.
        stream.write_all(bytes.as_bytes()).expect("the request is taken");
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).expect("an answer, and its end");
        Answer::parse(&String::from_utf8_lossy(&answer))
    }

    /// A connection; waits for a daemon that is starting.
    #[must_use]
    pub fn connect(&self) -> UnixStream {
        let stream = until("a connection to the control socket", || {
            UnixStream::connect(&self.socket)
                .map_err(|error| format!("{}: {error}", self.socket.display()))
        });
        stream.set_read_timeout(Some(PATIENCE)).expect("a time limit");
        stream
    }

    /// Listens to `/events` with this query (`?event=ban`, or nothing).
    #[must_use]
    pub fn listen(&self, query: &str) -> Listener {
        let mut stream = self.connect();
        let request = format!("GET /api/v1/events{query} HTTP/1.1\r\nHost: sipward\r\n\r\n");
        stream.write_all(request.as_bytes()).expect("a request");
        let mut lines = BufReader::new(stream);
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert!(lines.read_line(&mut head).expect("a head") > 0, "closed: {head}");
        }
        assert!(head.starts_with("HTTP/1.1 200"), "{head}");
        Listener { lines }
    }
}

impl Answer {
    fn parse(text: &str) -> Self {
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((text, ""));
        let chunked = head.to_ascii_lowercase().contains("transfer-encoding: chunked");
        let whole = if chunked { dechunked(body) } else { body.to_owned() };
        let body = whole.as_str();
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
        let body = if body.is_empty() {
            Value::Null
        } else {
            serde_json::from_str(body).unwrap_or_else(|error| panic!("{error} in:\n{text}"))
        };
        Self { status: status.unwrap_or_default(), head: head.to_ascii_lowercase(), body }
    }

    /// The body of an answer with this status.
    #[expect(clippy::must_use_candidate, reason = "often the status is all that is asked")]
    pub fn expect(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}\n{:#}", self.head, self.body);
        self.body
    }

    /// The fields that a problem names.
    #[must_use]
    pub fn wrong_fields(&self) -> Vec<String> {
        let errors = self.body["errors"].as_array().cloned().unwrap_or_default();
        errors.iter().filter_map(|error| Some(error["field"].as_str()?.to_owned())).collect()
    }
}

/// The chunks of a body (RFC 9112 section 7.1) as one. What is broken off is a failed test.
fn dechunked(mut body: &str) -> String {
    let mut whole = String::new();
    loop {
        let (size, rest) = body.split_once("\r\n").expect("the size of a chunk");
        let size = usize::from_str_radix(size, 16).expect("a size");
        if size == 0 {
            return whole;
        }
        whole.push_str(&rest[..size]);
        body = rest[size..].strip_prefix("\r\n").expect("the end of a chunk");
    }
}

/// A stream of events.
#[derive(Debug)]
pub struct Listener {
    lines: BufReader<UnixStream>,
}

impl Listener {
    /// The next event's name and data.
    ///
    /// # Panics
    /// When none comes within [`PATIENCE`].
    #[must_use]
    pub fn event(&mut self) -> (String, Value) {
        let mut name = String::new();
        loop {
            let mut line = String::new();
            let read = self.lines.read_line(&mut line).expect("an event in time");
            assert!(read > 0, "the stream ended");
            // Between the lines stand the sizes of HTTP's chunks and empty lines.
            if let Some(event) = line.strip_prefix("event: ") {
                event.trim().clone_into(&mut name);
            } else if let Some(data) = line.strip_prefix("data: ") {
                return (name, serde_json::from_str(data).expect("JSON"));
            }
        }
    }
}
