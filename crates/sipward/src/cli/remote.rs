//! What every command has in common that talks to the daemon: the socket, the waiting, the exit status.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::out;
use super::progress::Progress;
use crate::client::{Answer, Client, ClientError};
use sipward_config::Config;
use sipward_config::file::DEFAULT_SOCKET;
use sipward_model::wire::ProblemKind;
use sipward_replay::SourceError;

/// Where the daemon's socket is.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Remote {
    /// Print the API's answer as JSON.
    #[arg(long)]
    json: bool,
    /// The daemon's socket; without it, the one that the configuration file names.
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,
    /// Configuration file that names the socket; without it, /etc/sipward/sipward.toml if it exists.
    #[arg(long, short, value_name = "FILE")]
    config: Option<PathBuf>,
}

impl Remote {
    /// The configuration file, if the command line names one.
    pub(super) fn config(&self) -> Option<&Path> {
        self.config.as_deref()
    }
}

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Exit {
    /// Done.
    Done,
    /// Not done.
    Failed,
    /// Wrong usage, by clap or by a value that the daemon does not take.
    Usage,
    /// The daemon is not running.
    NotRunning,
    /// The daemon refuses.
    Refused,
    /// What was asked for as a state: of `doctor`, the worst check.
    Code(u8),
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        match exit {
            Exit::Done => Self::SUCCESS,
            Exit::Failed => Self::from(1),
            Exit::Usage => Self::from(2),
            Exit::NotRunning => Self::from(3),
            Exit::Refused => Self::from(4),
            Exit::Code(code) => Self::from(code),
        }
    }
}

impl Exit {
    /// Of `replay`: more than half of a file was not understood.
    pub(super) const MOSTLY_UNREAD: Self = Self::Code(3);

    /// The status that an error ends with.
    pub(super) fn of(error: &anyhow::Error) -> Self {
        if let Some(SourceError::Unknown { .. }) = error.downcast_ref() {
            return Self::MOSTLY_UNREAD;
        }
        match error.downcast_ref::<ClientError>() {
            Some(ClientError::NotRunning { .. }) => Self::NotRunning,
            Some(ClientError::NotPermitted { .. }) => Self::Refused,
            Some(ClientError::Problem { problem, .. }) => match problem.kind {
                ProblemKind::Refused
                | ProblemKind::Configuration
                | ProblemKind::Forbidden
                | ProblemKind::Unauthorized => Self::Refused,
                ProblemKind::Invalid => Self::Usage,
                ProblemKind::Unreadable
                | ProblemKind::NotFound
                | ProblemKind::MethodNotAllowed
                | ProblemKind::TooSlow
                | ProblemKind::TooLarge
                | ProblemKind::UriTooLong
                | ProblemKind::UnsupportedMediaType
                | ProblemKind::Misdirected
                | ProblemKind::TooMany
                | ProblemKind::BadGateway
                | ProblemKind::NoAnswer
                | ProblemKind::Unavailable => Self::Failed,
            },
            Some(
                ClientError::Connect { .. }
                | ClientError::TooSlow { .. }
                | ClientError::Broken(_)
                | ClientError::Unreadable { .. },
            )
            | None => Self::Failed,
        }
    }
}

impl Remote {
    /// Whether JSON is wanted.
    pub(super) fn wants_json(&self) -> bool {
        self.json
    }

    /// What is shown while it waits: nothing beside JSON.
    pub(super) fn progress(&self, what: &'static str) -> Progress {
        Progress::new(what, !self.json)
    }

    /// The socket.
    pub(super) fn socket(&self) -> anyhow::Result<PathBuf> {
        socket(self.socket.as_deref(), self.config.as_deref())
    }

    /// Connects, asks, and prints: as JSON what came, else what `text` makes of it.
    pub(super) fn run<T: DeserializeOwned + Serialize>(
        &self,
        what: &'static str,
        ask: impl AsyncFnOnce(&mut Client) -> Result<Answer<T>, ClientError>,
        text: impl FnOnce(&T) -> String,
    ) -> anyhow::Result<Exit> {
        self.run_showing(&self.progress(what), ask, text)
    }

    /// As [`run`](Self::run), where `ask` reports progress.
    pub(super) fn run_showing<T: DeserializeOwned + Serialize>(
        &self,
        progress: &Progress,
        ask: impl AsyncFnOnce(&mut Client) -> Result<Answer<T>, ClientError>,
        text: impl FnOnce(&T) -> String,
    ) -> anyhow::Result<Exit> {
        let socket = self.socket()?;
        let asked = block_on(async {
            let mut client = Client::connect(&socket).await?;
            progress.around(ask(&mut client)).await
        })?;
        match asked {
            Ok(answer) if self.json => out::json(&answer.body)?,
            Ok(answer) => out::text(&text(&answer.value))?,
            Err(error) => {
                // With JSON output the problem document is printed as well.
                if let (true, ClientError::Problem { body, .. }) = (self.json, &error) {
                    out::json(body)?;
                }
                return Err(error.into());
            }
        }
        Ok(Exit::Done)
    }
}

impl Remote {
    /// Connects and asks, for an answer that is not printed as it came.
    pub(super) fn ask<T>(
        &self,
        what: &'static str,
        ask: impl AsyncFnOnce(&mut Client) -> Result<T, ClientError>,
    ) -> anyhow::Result<T> {
        let socket = self.socket()?;
        let asked = block_on(async {
            let mut client = Client::connect(&socket).await?;
            self.progress(what).around(ask(&mut client)).await
        })?;
        Ok(asked?)
    }

    /// Connects, asks for a file, and writes it to standard output as it comes.
    pub(super) fn download(
        &self,
        what: &'static str,
        path: &str,
        query: &(impl Serialize + Sync),
    ) -> anyhow::Result<Exit> {
        let socket = self.socket()?;
        block_on(async {
            let mut client = Client::connect(&socket).await?;
            self.progress(what).around(client.download(path, query, out::bytes)).await
        })??;
        Ok(Exit::Done)
    }
}

/// Does it for each of them. A failure of one is reported and the rest goes on; the exit status is the first failure's.
pub(super) fn for_each<T>(
    items: &[T],
    one: impl Fn(&T) -> anyhow::Result<Exit>,
) -> anyhow::Result<Exit> {
    if let [only] = items {
        return one(only);
    }
    let mut first = Exit::Done;
    for item in items {
        let exit = one(item).unwrap_or_else(|error| {
            eprintln!("sipward: {error:#}");
            Exit::of(&error)
        });
        if first == Exit::Done {
            first = exit;
        }
        if exit == Exit::NotRunning {
            break;
        }
    }
    Ok(first)
}

/// The socket that is named, or the one of the configuration file.
pub(super) fn socket(named: Option<&Path>, config: Option<&Path>) -> anyhow::Result<PathBuf> {
    if let Some(socket) = named {
        return Ok(socket.to_owned());
    }
    match Config::load(config) {
        Ok(config) => config.api.socket.context(
            "the control API is switched off ([api] socket = \"\"); set a path and restart sipward",
        ),
        Err(error) => {
            // The daemon may run with the file as it was.
            eprintln!("sipward: {error}\nsipward: trying the usual socket");
            Ok(PathBuf::from(DEFAULT_SOCKET))
        }
    }
}

/// Runs on a runtime of this thread.
pub(super) fn block_on<T>(work: impl Future<Output = T>) -> anyhow::Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    Ok(runtime.block_on(work))
}
