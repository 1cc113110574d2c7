//! What a session reports to its consumer.

use std::{
    net::SocketAddr,
    time::{Duration, Instant, SystemTime},
};

use crate::{CoreUuid, Event, EventError, Frame, LogLine, client::ClientError};

/// One notice of a [`Session`](super::Session), in order of what happened.
#[derive(Debug)]
#[non_exhaustive]
pub enum Notice {
    /// Authenticated and subscribed. `+OK` proves no subscription; the first event does.
    Connected {
        /// The Event Socket.
        peer: SocketAddr,
        /// This end.
        local: SocketAddr,
    },
    /// FreeSWITCH does not let this user have these events of [`SessionConfig::optional`](super::SessionConfig::optional).
    /// Comes after `Connected`.
    NotAllowed {
        /// Their names.
        names: Vec<String>,
    },
    /// An attempt failed, or the connection was lost.
    Disconnected {
        /// Why.
        error: ClientError,
        /// When the next attempt starts.
        retry_in: Duration,
    },
    /// The first event of a connection shows another run of FreeSWITCH than the last one before.
    Restarted {
        /// The run before.
        old: CoreUuid,
        /// The run now.
        new: CoreUuid,
    },
    /// Events between these times, by this host's clock, were not seen. Comes once the connection is
    /// back, after `Connected`.
    Blind {
        /// Last event before the gap, or the moment of the connection when it brought none; before the first
        /// connection, the first attempt that failed.
        from: SystemTime,
        /// First moment after it.
        to: SystemTime,
    },
    /// An event.
    Event {
        /// The event.
        event: Event,
        /// When its bytes were read.
        received: Instant,
    },
    /// A log line.
    Log {
        /// The line.
        line: LogLine,
        /// When its bytes were read.
        received: Instant,
    },
    /// This many events and log lines were dropped here, because the consumer is behind.
    Overflow {
        /// How many.
        dropped: u64,
    },
    /// A frame of an event that cannot be read. Nothing else was lost.
    Damaged {
        /// Why.
        error: EventError,
        /// The frame.
        frame: Frame,
    },
    /// A frame that the session has no use for: XML events, unknown types, replies without a command.
    Unusable {
        /// The frame.
        frame: Frame,
    },
}

impl Notice {
    /// Bytes that it keeps alive; those of the rest are few.
    pub(super) fn size(&self) -> usize {
        match self {
            Self::Event { event, .. } => event.as_bytes().len(),
            Self::Log { line, .. } => line.text().len(),
            Self::Damaged { frame, .. } | Self::Unusable { frame } => frame.as_bytes().len(),
            Self::Connected { .. }
            | Self::NotAllowed { .. }
            | Self::Disconnected { .. }
            | Self::Restarted { .. }
            | Self::Blind { .. }
            | Self::Overflow { .. } => 0,
        }
    }

    /// With bytes of its own, if it holds an event.
    pub(super) fn detached(self) -> Self {
        match self {
            Self::Event { event, received } => Self::Event { event: event.detached(), received },
            other => other,
        }
    }

    /// Is it about the connection itself? The queue reserves room for such notices.
    pub(super) const fn is_about_connection(&self) -> bool {
        match self {
            Self::Connected { .. }
            | Self::NotAllowed { .. }
            | Self::Disconnected { .. }
            | Self::Restarted { .. }
            | Self::Blind { .. }
            | Self::Overflow { .. } => true,
            Self::Event { .. }
            | Self::Log { .. }
            | Self::Damaged { .. }
            | Self::Unusable { .. } => false,
        }
    }
}
