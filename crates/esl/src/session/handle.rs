//! Commands to a running session.

use std::{fmt, time::Duration};

use tokio::{
    sync::{mpsc, oneshot},
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use crate::{
    client::Reply,
    command::{Command, InvalidCommand},
};

/// Requests that may wait for the one in flight.
pub(super) const MAX_REQUESTS: usize = 64;

/// Sends commands to a [`Session`](super::Session). Clones share it; dropping them does not end it.
#[derive(Clone)]
pub struct SessionHandle {
    pub(super) requests: mpsc::Sender<Request>,
    pub(super) stop: CancellationToken,
    pub(super) within: Duration,
}

/// Why a command has no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CommandError {
    /// The text cannot be part of a command.
    #[error(transparent)]
    Invalid(#[from] InvalidCommand),
    /// There is no connection at the moment.
    #[error("not connected to FreeSWITCH")]
    NotConnected,
    /// The connection was lost before the answer came; the command may have been carried out.
    #[error("the connection was lost before FreeSWITCH answered")]
    Lost,
    /// No answer in time; the command may still be carried out.
    #[error("no answer within {after:?}")]
    Timeout {
        /// The time limit.
        after: Duration,
    },
    /// FreeSWITCH refused the command.
    #[error("FreeSWITCH refused: {reply}")]
    Refused {
        /// Its reply, escaped.
        reply: String,
    },
    /// Too many `bgapi` answers are outstanding.
    #[error("more than {limit} background jobs are outstanding")]
    TooManyJobs {
        /// The limit.
        limit: usize,
    },
    /// Events come as XML, which `bgapi` answers cannot be read from.
    #[error("bgapi needs events in plain or JSON format")]
    XmlFormat,
    /// The session has ended.
    #[error("the session has ended")]
    Ended,
}

/// One command and where its answer goes.
pub(super) struct Request {
    pub(super) work: Work,
    pub(super) answer: Answer,
}

pub(super) enum Work {
    /// Answered by the reply.
    Command(Command),
    /// Answered by the `BACKGROUND_JOB` event.
    Job(String),
}

pub(super) type Answer = oneshot::Sender<Result<Reply, CommandError>>;

impl SessionHandle {
    /// `api COMMAND`. Holds up the events of this connection until FreeSWITCH has the answer; prefer
    /// [`bgapi`](Self::bgapi). API commands report their own errors in the text:
    /// [`Reply::is_error`].
    ///
    /// # Errors
    /// See [`CommandError`].
    pub async fn api(&self, command: &str) -> Result<Reply, CommandError> {
        self.command(Command::api(command)?).await
    }

    /// `bgapi COMMAND`, until its `BACKGROUND_JOB` event brings the answer. The session subscribes to that
    /// event when this is first called; the jobs of other clients are then ignored, unless the
    /// subscription names the event itself.
    ///
    /// # Errors
    /// See [`CommandError`].
    pub async fn bgapi(&self, command: &str) -> Result<Reply, CommandError> {
        // The job's identity is given later; this checks the text.
        Command::bgapi(command, crate::JobUuid(0))?;
        self.request(Work::Job(command.to_owned())).await
    }

    /// Any other command, until its reply.
    ///
    /// # Errors
    /// See [`CommandError`]; a reply of `-ERR` is [`CommandError::Refused`], except to `api`.
    pub async fn command(&self, command: Command) -> Result<Reply, CommandError> {
        self.request(Work::Command(command)).await
    }

    /// Ends the session at once. Its consumer reads what is queued, then `None`.
    pub fn close(&self) {
        self.stop.cancel();
    }

    async fn request(&self, work: Work) -> Result<Reply, CommandError> {
        let answered = async {
            let (answer, answered) = oneshot::channel();
            let request = Request { work, answer };
            self.requests.send(request).await.map_err(|_| CommandError::Ended)?;
            answered.await.unwrap_or(Err(CommandError::Ended))
        };
        match timeout(self.within, answered).await {
            Ok(result) => result,
            Err(_) => Err(CommandError::Timeout { after: self.within }),
        }
    }
}

impl fmt::Debug for SessionHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionHandle").field("within", &self.within).finish_non_exhaustive()
    }
}
