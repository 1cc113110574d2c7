//! The owner's handle. Nothing of it waits for the network but [`Fleet::nodes`].

use std::sync::Arc;
use std::time::Duration;

use crate::connect::context;
use crate::feed::read_once;
use crate::message::{Body, Key, Message, NodeStatus};
use crate::own::{NotSaid, Own};
use crate::shared::{Shared, lock};
use crate::snapshot::Snapshot;
use crate::streams::Stream;

/// Silence after which the list is complete.
const PATIENCE: Duration = Duration::from_secs(2);
/// Most nodes whose status is read.
const MAX_NODES: usize = 10_000;

/// What the owner holds of a [`Link`](crate::Link).
#[derive(Clone)]
pub struct Fleet {
    shared: Arc<Shared>,
}

/// A node that has said how it is.
#[derive(Debug, Clone, PartialEq)]
pub struct NodeSeen {
    /// What it said, with its name.
    pub message: Message,
    /// When that was stored, in milliseconds since 1970 by the server's clock.
    pub stamp: u64,
}

/// Why the nodes are not known.
#[derive(Debug, thiserror::Error)]
pub enum NodesError {
    /// There is no connection; [`Snapshot::state`] says why.
    #[error("not connected to the fleet's servers")]
    NotConnected,
    /// The stream does not answer.
    #[error("the stream of statuses cannot be read: {0}")]
    Stream(String),
}

impl Fleet {
    pub(crate) const fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// A ban, veto or known phone stands from now on, or has changed. It is said as soon as there is a connection, again
    /// while it is not acknowledged, and again every twelve hours while it stands. Saying the same twice does nothing.
    ///
    /// # Errors
    /// When it is nothing that a node says, or too much stands. Nothing is said then.
    pub fn say(&self, own: Own) -> Result<(), NotSaid> {
        let said = self.shared.owned().say(own);
        self.shared.due.notify_one();
        said
    }

    /// It was lifted before its time: its end is said.
    pub fn end(&self, key: &Key) {
        self.shared.owned().end(key);
        self.shared.due.notify_one();
    }

    /// It ran out by itself, here and everywhere else: nothing is said.
    pub fn forget(&self, key: &Key) {
        self.shared.owned().forget(key);
    }

    /// What this node's status says from now on. `instance`, `started`, `applied` and `clock_offset_ms` are filled in.
    /// Another mode or connection is said at once, the rest at the next time.
    pub fn status(&self, status: NodeStatus) {
        let mut changing = self.shared.changing();
        let before = (&changing.status.mode, &changing.status.connection);
        let is_news = before != (&status.mode, &status.connection);
        changing.status = status;
        drop(changing);
        if is_news {
            self.shared.present.notify_one();
        }
    }

    /// How the transport is.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        self.shared.snapshot()
    }

    /// What all nodes said last about themselves, at most an hour ago.
    ///
    /// # Errors
    /// When there is no connection or the stream does not answer.
    pub async fn nodes(&self) -> Result<Vec<NodeSeen>, NodesError> {
        let client = lock(&self.shared.client).clone().ok_or(NodesError::NotConnected)?;
        let js = context(&client, &self.shared.settings);
        nodes(&js, self.shared.me().token()).await
    }
}

pub(crate) async fn nodes(
    js: &async_nats::jetstream::Context,
    name: String,
) -> Result<Vec<NodeSeen>, NodesError> {
    let all = read_once(js, Stream::Nodes, name, String::new(), MAX_NODES, PATIENCE).await;
    let all = all.map_err(|why| NodesError::Stream(why.to_string()))?;
    let read = all.into_iter().filter_map(|(subject, value, stamp)| {
        let message = Message::parse(&subject, &value).ok()?;
        matches!(message.body, Body::Node(_)).then_some(NodeSeen { message, stamp })
    });
    Ok(read.collect())
}
