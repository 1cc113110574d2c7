//! The handle to the engine for other tasks.

use std::fmt;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time;

use super::{Command, EngineTask};

/// Longest wait for the engine. It answers within milliseconds, except at the start, which waits up to
/// five seconds for names.
const PATIENCE: Duration = Duration::from_secs(8);

/// Where callers of the engine queue. Their number is bounded by the commands that may wait.
#[derive(Clone, Debug)]
pub struct EngineHandle {
    commands: mpsc::Sender<Command>,
}

/// Why a call did not take place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EngineUnavailable {
    /// The daemon stops.
    #[error("the daemon is stopping")]
    Stopped,
    /// It did not come to it in time. What was asked was not done and will not be.
    #[error("the daemon was busy for {} s; nothing was changed", PATIENCE.as_secs())]
    Busy,
}

/// Work to be done on the engine's task.
pub struct Call(Box<dyn FnOnce(&mut EngineTask) + Send>);

impl Call {
    pub(super) fn run(self, task: &mut EngineTask) {
        (self.0)(task);
    }
}

impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Call")
    }
}

impl EngineHandle {
    pub fn new(commands: mpsc::Sender<Command>) -> Self {
        Self { commands }
    }

    /// Runs `work` on the engine's task, between two events, and gives what it makes of it. Whatever
    /// takes longer than a millisecond belongs into several calls: failures wait meanwhile.
    pub async fn call<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut EngineTask) -> T + Send + 'static,
    ) -> Result<T, EngineUnavailable> {
        let (answer, answered) = oneshot::channel();
        let call = Call(Box::new(move |task| {
            // A request that timed out must not be executed later.
            if !answer.is_closed() {
                let _ = answer.send(work(task));
            }
        }));
        let done = self.send(Command::Call(call), answered).await;
        // A caller of many calls and the engine's task wake each other, and the runtime looks at its sockets
        // only every 61 turns of such a game. This lets it look now: what FreeSWITCH has sent comes first.
        tokio::task::yield_now().await;
        done
    }

    /// As [`EngineHandle::call`], for a task of the daemon that has nothing else to do: it waits for as long as the
    /// engine is busy.
    pub async fn call_when_ready<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut EngineTask) -> T + Send + 'static,
    ) -> Result<T, EngineUnavailable> {
        let (answer, answered) = oneshot::channel();
        let call = Call(Box::new(move |task| {
            let _ = answer.send(work(task));
        }));
        self.ask(Command::Call(call), answered).await
    }

    /// Waits until everything that was ordered before has been done.
    pub async fn caught_up(&self) -> Result<(), EngineUnavailable> {
        self.call(|_| ()).await
    }

    async fn send<T>(
        &self,
        command: Command,
        answered: oneshot::Receiver<T>,
    ) -> Result<T, EngineUnavailable> {
        let asked = self.ask(command, answered);
        time::timeout(PATIENCE, asked).await.unwrap_or(Err(EngineUnavailable::Busy))
    }

    async fn ask<T>(
        &self,
        command: Command,
        answered: oneshot::Receiver<T>,
    ) -> Result<T, EngineUnavailable> {
        self.commands.send(command).await.map_err(|_| EngineUnavailable::Stopped)?;
        answered.await.map_err(|_| EngineUnavailable::Stopped)
    }
}
