//! Why a connection failed.

use std::{fmt, io, time::Duration};

use crate::{
    command::{CommandKind, InvalidCommand},
    frame::{ContentType, FrameError},
};

/// Why a connection failed or ended.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// No TCP connection, or the name has no address.
    #[error("cannot connect to {address}: {error}")]
    Connect {
        /// Host and port as configured.
        address: String,
        /// The error of the system.
        error: io::Error,
    },
    /// A step of the way took too long.
    #[error("no {step} within {after:?}")]
    Timeout {
        /// The step.
        step: Step,
        /// The time limit.
        after: Duration,
    },
    /// `-ERR invalid` to `auth` or `userauth`.
    #[error(
        "the Event Socket refused the password{}; \
         it is set in event_socket.conf.xml, for a user in the directory (esl-password)",
        OfUser(user.as_deref())
    )]
    WrongPassword {
        /// The user of `userauth`.
        user: Option<String>,
    },
    /// `text/rude-rejection`.
    #[error(
        "FreeSWITCH's access list refuses this host; allow it in the list that apply-inbound-acl in \
         event_socket.conf.xml names (without one only loopback may connect)"
    )]
    AclRejected,
    /// `-ERR permission denied`: this user may not do that.
    #[error(
        "this Event Socket user may not use {command}; see esl-allowed-events, esl-allowed-api and \
         esl-allowed-log in the directory"
    )]
    NotAllowed {
        /// The command.
        command: CommandKind,
    },
    /// Any other `-ERR` during the handshake.
    #[error("FreeSWITCH refused {command}: {reply}")]
    Refused {
        /// The command.
        command: CommandKind,
        /// The reply, escaped.
        reply: String,
    },
    /// The configured user cannot be part of a command.
    #[error(transparent)]
    Invalid(#[from] InvalidCommand),
    /// An unexpected frame came; perhaps this is no Event Socket.
    #[error("expected the {step}, but a frame of type {found:?} came; is this an Event Socket?")]
    Unexpected {
        /// The step.
        step: Step,
        /// What came.
        found: ContentType,
    },
    /// The stream cannot be split into frames any more.
    #[error("the stream is damaged: {0}")]
    Damaged(FrameError),
    /// No event for this long, not even the HEARTBEAT that FreeSWITCH sends every 20 s.
    #[error("no event for {after:?}, not even a HEARTBEAT")]
    Silent {
        /// The time limit.
        after: Duration,
    },
    /// `text/disconnect-notice`: FreeSWITCH stops, reloads `mod_event_socket`, or dropped this client
    /// because it read too slowly.
    #[error("FreeSWITCH said good-bye: {notice}")]
    Disconnected {
        /// The text of the notice, escaped.
        notice: String,
    },
    /// The stream ended between two frames, without a notice.
    #[error("FreeSWITCH closed the connection")]
    Closed,
    /// Reading or writing failed.
    #[error("the connection broke: {0}")]
    Io(io::Error),
}

/// A step on the way to events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Step {
    /// The TCP connection.
    Connection,
    /// FreeSWITCH's `auth/request`.
    Greeting,
    /// The reply to a command.
    Reply(CommandKind),
}

impl ClientError {
    /// Can the same attempt succeed later without a changed setting?
    #[must_use]
    pub const fn is_retryable(&self) -> bool {
        match self {
            Self::Connect { .. }
            | Self::Timeout { .. }
            | Self::Damaged(_)
            | Self::Silent { .. }
            | Self::Disconnected { .. }
            | Self::Closed
            | Self::Io(_) => true,
            Self::WrongPassword { .. }
            | Self::AclRejected
            | Self::NotAllowed { .. }
            | Self::Refused { .. }
            | Self::Invalid(_)
            | Self::Unexpected { .. } => false,
        }
    }
}

impl From<FrameError> for ClientError {
    fn from(error: FrameError) -> Self {
        match error {
            FrameError::Io(error) => Self::Io(error),
            FrameError::HeadTooLong { .. }
            | FrameError::NoContentType { .. }
            | FrameError::ContentLength { .. }
            | FrameError::PartialFrame { .. } => Self::Damaged(error),
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connection => f.write_str("connection"),
            Self::Greeting => f.write_str("greeting"),
            Self::Reply(command) => write!(f, "reply to {command}"),
        }
    }
}

struct OfUser<'u>(Option<&'u str>);

impl fmt::Display for OfUser<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |user| write!(f, " of {user}"))
    }
}
