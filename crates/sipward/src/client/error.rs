//! Why the daemon could not be asked, or did not do what it was asked for.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sipward_model::text::Plain;
use sipward_model::wire::{Problem, ProblemKind};

/// Why a request failed.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// There is no listener.
    #[error(
        "sipward is not running: {} {problem}. Start it with `systemctl start sipward`; --socket names \
         another socket",
        .socket.display()
    )]
    NotRunning {
        /// Where it was looked for.
        socket: PathBuf,
        /// `does not exist`, `has no listener`.
        problem: &'static str,
    },
    /// The system does not let this user at the socket.
    #[error(
        "this user may not use {}: run the command as root, or as a \
        member of the socket's group (`adduser USER sipward`, \
         then log in again)",
        .socket.display()
    )]
    NotPermitted {
        /// The socket.
        socket: PathBuf,
    },
    /// The socket cannot be used.
    #[error("cannot connect to {}: {error}", .socket.display())]
    Connect {
        /// The socket.
        socket: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// The daemon says no.
    #[error("{}", Told(.problem))]
    Problem {
        /// Why.
        problem: Box<Problem>,
        /// The problem document as it came.
        body: String,
    },
    /// No answer came in time.
    #[error("sipward did not answer within {} s; `systemctl status sipward` shows its \
        state", .after.as_secs())]
    TooSlow {
        /// The time limit.
        after: Duration,
    },
    /// The connection broke.
    #[error("the connection to sipward broke: {0}")]
    Broken(#[source] hyper::Error),
    /// What came is not what this version understands.
    #[error(
        "cannot read the answer of sipward ({what}); do the daemon and this command have the \
        same version?"
    )]
    Unreadable {
        /// What is wrong with it.
        what: String,
    },
}

impl ClientError {
    /// An invalid value that a command finds before the request, in the form of the daemon's errors.
    pub(crate) fn invalid(field: &str, detail: &str) -> Self {
        let problem = Problem {
            kind: ProblemKind::Invalid,
            title: "Invalid value".to_owned(),
            status: 422,
            detail: format!("`{field}`: {detail}"),
            errors: Vec::new(),
            refusal: None,
        };
        let body = serde_json::to_string(&problem).unwrap_or_default();
        Self::Problem { problem: Box::new(problem), body }
    }

    pub(super) fn connecting(socket: &Path, error: io::Error) -> Self {
        let socket = socket.to_owned();
        match error.kind() {
            io::ErrorKind::NotFound => Self::NotRunning { socket, problem: "does not exist" },
            io::ErrorKind::ConnectionRefused => {
                Self::NotRunning { socket, problem: "has no listener" }
            }
            io::ErrorKind::PermissionDenied => Self::NotPermitted { socket },
            _ => Self::Connect { socket, error },
        }
    }
}

/// A problem in one line for each field.
struct Told<'a>(&'a Problem);

impl fmt::Display for Told<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", Plain(&self.0.detail))?;
        for error in &self.0.errors {
            write!(f, "\n  {}: {}", Plain(&error.field), Plain(&error.detail))?;
        }
        Ok(())
    }
}
