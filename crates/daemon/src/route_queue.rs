//! Carries the engine's route changes to the task that owns netlink.

use std::collections::VecDeque;

use sipward_engine as engine;
use sipward_route::{self as route, Change};
use tokio::sync::mpsc;

/// Changes that wait in the channel at most; what does not fit waits in [`RouteQueue`].
pub const CHANGES: usize = 4_096;

/// Reports that wait for the engine at most.
pub const REPORTS: usize = 4_096;

/// The sending end of the changes. The engine's task must never wait for the kernel, so what the
/// channel does not take is kept here; the engine's own limits on bans and flows bound it.
#[derive(Debug)]
pub struct RouteQueue {
    sender: mpsc::Sender<Change>,
    waiting: VecDeque<Change>,
}

impl RouteQueue {
    /// Sends to `sender`.
    #[must_use]
    pub fn new(sender: mpsc::Sender<Change>) -> Self {
        Self { sender, waiting: VecDeque::new() }
    }

    /// Passes `change` on, behind those that wait already.
    pub fn push(&mut self, change: Change) {
        if !self.waiting.is_empty() {
            self.waiting.push_back(change);
        } else if let Err(error) = self.sender.try_send(change) {
            self.waiting.push_back(error.into_inner());
        }
    }

    /// Whether changes wait for room in the channel.
    #[must_use]
    pub fn is_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Waits for room and moves on what waits. Cancel-safe: a change leaves the queue only when
    /// its place in the channel is sure. Returns at once when nothing waits or the enforcer ended.
    pub async fn flow(&mut self) {
        if self.waiting.is_empty() {
            return;
        }
        let Ok(permit) = self.sender.reserve().await else {
            return;
        };
        if let Some(change) = self.waiting.pop_front() {
            permit.send(change);
        }
        while let Some(change) = self.waiting.pop_front() {
            if let Err(error) = self.sender.try_send(change) {
                self.waiting.push_front(error.into_inner());
                return;
            }
        }
        // What a burst has needed is not needed for good.
        self.waiting.shrink_to(0);
    }
}

/// The scope of a ban, as a type of the kernel side.
#[must_use]
pub fn route_scope(scope: engine::Scope) -> route::Scope {
    match scope {
        engine::Scope::Host => route::Scope::Host,
        engine::Scope::Sip => route::Scope::Sip,
    }
}

/// A flow, as a type of the kernel side.
#[must_use]
pub fn route_flow(flow: engine::Flow) -> route::Flow {
    let engine::Flow { source, transport, port } = flow;
    let transport = match transport {
        engine::Transport::Udp => route::Transport::Udp,
        engine::Transport::Tcp => route::Transport::Tcp,
    };
    route::Flow { source, transport, port }
}

/// A flow, as a type of the engine.
#[must_use]
pub fn flow_of(flow: route::Flow) -> engine::Flow {
    let route::Flow { source, transport, port } = flow;
    let transport = match transport {
        route::Transport::Udp => engine::Transport::Udp,
        route::Transport::Tcp => engine::Transport::Tcp,
    };
    engine::Flow { source, transport, port }
}
