//! The fleet: nodes that share their bans.
//!
//! | module | holds |
//! |---|---|
//! | `bridge` | the task: from the link to the engine and back |
//! | `own` | what this node says of itself |
//! | `words` | between the words of the engine and those of the messages |
//! | `lifts` | what operators of this node lifted before the start |
//! | `pace` | how fast new bans are said |
//! | `report` | what operators hear of the link |
//! | `view` | the fleet as it is shown, and what this node says of itself |

#[cfg(feature = "fleet")]
mod bridge;
#[cfg(feature = "fleet")]
mod lifts;
#[cfg(feature = "fleet")]
mod own;
#[cfg(feature = "fleet")]
mod pace;
#[cfg(feature = "fleet")]
mod report;
#[cfg(feature = "fleet")]
mod view;
#[cfg(feature = "fleet")]
mod words;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, watch};

#[cfg(feature = "fleet")]
pub use bridge::{Deps, start};
#[cfg(feature = "fleet")]
pub use lifts::{Lifted, lifted};
use sipward_model::wire::Fleet;

/// Longest wait for what the nodes say of themselves.
const PATIENCE: Duration = Duration::from_secs(2);

/// The fleet as its task sees it. Without `[fleet]` there is no such task.
#[derive(Clone, Debug, Default)]
pub struct FleetHandle(Option<Task>);

#[derive(Clone, Debug)]
struct Task {
    seen: watch::Receiver<Seen>,
    /// Somebody wants to see the nodes. They are read only then: each would read all others.
    wanted: Arc<Notify>,
}

/// What the task sees.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// The fleet.
    pub fleet: Arc<Fleet>,
    /// How often its nodes were read.
    pub nodes_read: u64,
}

impl FleetHandle {
    /// Reads what the task sends, and wakes it by `wanted`.
    #[must_use]
    pub fn new(seen: watch::Receiver<Seen>, wanted: Arc<Notify>) -> Self {
        Self(Some(Task { seen, wanted }))
    }

    /// The fleet, with the nodes as they were read last.
    #[must_use]
    pub fn view(&self) -> Arc<Fleet> {
        self.0.as_ref().map_or_else(Arc::default, |task| Arc::clone(&task.seen.borrow().fleet))
    }

    /// The fleet, with the nodes as they are now, if the servers answer in time.
    pub async fn view_now(&self) -> Arc<Fleet> {
        let Some(mut task) = self.0.clone() else { return Arc::default() };
        let before = task.seen.borrow().nodes_read;
        task.wanted.notify_one();
        let read = task.seen.wait_for(|seen| seen.nodes_read != before);
        let _ = tokio::time::timeout(PATIENCE, read).await;
        self.view()
    }
}
