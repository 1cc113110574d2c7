//! The one function through which everything comes that others say, on either path.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::time::Duration;

use tokio::sync::mpsc;

use crate::merge::{Limits, Merge, Outcome};
use crate::message::{Body, Key, Message};
use crate::name::Peer;
use crate::refusal::Refusal;
use crate::shared::{Shared, lock};
use crate::snapshot::add_one;

/// What the owner gets.
#[derive(Debug, Clone, PartialEq)]
pub enum Received {
    /// A peer says something that counts from now on.
    Said {
        /// What, and who says it.
        message: Message,
        /// How long it still counts. `None`: something has ended.
        remaining: Option<Duration>,
        /// How long ago it was said, by the server's clock.
        age: Duration,
        /// Which way it came first.
        path: Path,
    },
    /// Something that a peer said is forgotten, for want of room: as if it had ended.
    Forgotten {
        /// Who said it.
        peer: Peer,
        /// What it was about.
        key: Key,
    },
    /// All that the stream had has been handed over: after each connection, and whenever its consumer was made anew.
    /// What was known before is not said again.
    CaughtUp,
}

/// The two ways of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Path {
    /// From the peer by the servers at once; may get lost.
    Core,
    /// From the stream; complete.
    Stream,
}

/// How a message came.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Arrival {
    Core,
    /// Stored at this time of the server, in milliseconds since 1970.
    Stream {
        stamp: u64,
        /// Not one of those with which it catches up.
        live: bool,
    },
}

/// The owner has dropped its end of the channel.
#[derive(Debug, thiserror::Error)]
#[error("nobody receives")]
pub(crate) struct OwnerGone;

pub(crate) struct Intake {
    main: Mutex<Merge>,
    known: Mutex<Merge>,
    /// Merged and not handed over: so nothing is lost when a task ends while it waits for the owner.
    waiting: Mutex<VecDeque<Received>>,
    out: mpsc::Sender<Received>,
}

impl Intake {
    pub(crate) fn new(out: mpsc::Sender<Received>) -> Self {
        let merge = || Mutex::new(Merge::new(Limits::default()));
        Self { main: merge(), known: merge(), waiting: Mutex::default(), out }
    }

    /// Takes a message. Waits while the owner is busy: what comes by the stream waits there, what comes by the core path
    /// waits in its subscription and is dropped when that is full.
    pub(crate) async fn accept(
        &self,
        shared: &Shared,
        subject: &str,
        value: &[u8],
        arrival: Arrival,
    ) -> Result<(), OwnerGone> {
        self.hand_over().await?;
        let message = match Message::parse(subject, value) {
            Ok(message) => message,
            Err(reason) => {
                shared.counts.refused(reason);
                return Ok(());
            }
        };
        shared.counts.received(message.body.key().kind());
        if message.from == *shared.me() {
            if let Body::Node(status) = &message.body {
                shared.status_seen(status);
            }
            return Ok(());
        }
        self.merge(shared, message, value, arrival);
        self.hand_over().await
    }

    fn merge(&self, shared: &Shared, message: Message, value: &[u8], arrival: Arrival) {
        let now = shared.server_now();
        let (stamp, path) = match arrival {
            Arrival::Core => {
                shared.clock_of(&message.from, message.at);
                (now, Path::Core)
            }
            Arrival::Stream { stamp, live } => {
                if live {
                    shared.counts.delay(Duration::from_millis(now.saturating_sub(stamp)));
                }
                (stamp, Path::Stream)
            }
        };
        let merge = match message.body {
            Body::Known(..) => &self.known,
            // Read on request.
            Body::Node(_) => return,
            Body::Ban(..) | Body::Lift(..) | Body::Veto(..) | Body::Peer(..) => &self.main,
        };
        match lock(merge).take(&message, value, stamp) {
            Outcome::Newer(forgotten) => {
                let age = Duration::from_millis(now.saturating_sub(stamp));
                let remaining = message.remaining(age);
                let mut waiting = lock(&self.waiting);
                let gone =
                    forgotten.into_iter().map(|(peer, key)| Received::Forgotten { peer, key });
                waiting.extend(gone);
                waiting.push_back(Received::Said { message, remaining, age, path });
            }
            Outcome::Same | Outcome::Older => add_one(&shared.counts.repeated),
            Outcome::Full => shared.counts.refused(Refusal::Full),
        }
    }

    pub(crate) async fn caught_up(&self) -> Result<(), OwnerGone> {
        lock(&self.waiting).push_back(Received::CaughtUp);
        self.hand_over().await
    }

    async fn hand_over(&self) -> Result<(), OwnerGone> {
        while !lock(&self.waiting).is_empty() {
            let room = self.out.reserve().await.map_err(|_| OwnerGone)?;
            if let Some(received) = lock(&self.waiting).pop_front() {
                room.send(received);
            }
        }
        Ok(())
    }

    /// Forgets what is too old to count.
    pub(crate) fn prune(&self, shared: &Shared) {
        let now = shared.server_now();
        let mut remembered = 0;
        for merge in [&self.main, &self.known] {
            let mut merge = lock(merge);
            merge.prune(now);
            remembered += merge.len();
        }
        shared.changing().remembered = remembered;
    }
}
