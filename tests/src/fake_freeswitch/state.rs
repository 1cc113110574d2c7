//! What the handle, the server and its connections share.

use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, watch};

use super::core::Core;
use super::settings::Settings;
use super::{Frame, Subscription};

/// Events that FreeSWITCH queues for a client that does not read; further ones are lost
/// (`MAX_QUEUE_LEN`, `mod_event_socket.c`).
const MAX_QUEUED_EVENTS: usize = 100_000;

/// Commands remembered for the test; a client that sends more is at fault itself.
const MAX_REMEMBERED_COMMANDS: usize = 10_000;

/// Something for one connection to send.
#[derive(Clone, Debug)]
pub(super) enum Outgoing {
    /// A whole frame.
    Frame(Frame),
    /// The first half of a frame, then close.
    CutMidFrame(Frame),
    /// A last frame, then close.
    Goodbye(Frame),
}

/// One connected client.
#[derive(Debug)]
struct Client {
    id: u64,
    queue: mpsc::Sender<Outgoing>,
    subscription: Option<Subscription>,
    /// It asked for log lines, of whatever level.
    log: bool,
    /// Queued or half written.
    unsent: usize,
}

/// The facts of the whole server.
#[derive(Debug)]
pub(super) struct State {
    pub(super) core: Core,
    pub(super) settings: Settings,
    clients: Vec<Client>,
    pub(super) accepted: u64,
    pub(super) commands: Vec<String>,
    pub(super) violations: Vec<String>,
    pub(super) lost: u64,
}

/// [`State`] behind its lock, with a way to wait for changes.
#[derive(Debug)]
pub(super) struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    /// While true, nothing is sent.
    pub(super) stalled: watch::Sender<bool>,
}

impl Shared {
    pub(super) fn new(settings: Settings) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::new(State {
                core: Core::new(),
                settings,
                clients: Vec::new(),
                accepted: 0,
                commands: Vec::new(),
                violations: Vec::new(),
                lost: 0,
            }),
            changed: Condvar::new(),
            stalled: watch::Sender::new(false),
        })
    }

    /// Reads or changes the state and wakes all waiters.
    pub(super) fn with<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        let result = act(&mut self.lock());
        self.changed.notify_all();
        result
    }

    /// Waits until `look` finds something.
    ///
    /// # Errors
    /// [`io::ErrorKind::TimedOut`] after `limit`; the message names `what` and the commands so far.
    pub(super) fn wait_for<T>(
        &self,
        limit: Duration,
        what: &str,
        mut look: impl FnMut(&State) -> Option<T>,
    ) -> io::Result<T> {
        let deadline = Instant::now() + limit;
        let mut state = self.lock();
        loop {
            if let Some(found) = look(&state) {
                return Ok(found);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                let told = format!(
                    "no {what} within {limit:?}; connections {}, commands {:?}",
                    state.accepted, state.commands
                );
                return Err(io::Error::new(io::ErrorKind::TimedOut, told));
            }
            let woken = self.changed.wait_timeout(state, left);
            (state, _) = woken.unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// A new connection takes its place; it is left when the [`Seat`] drops.
    pub(super) fn seat(self: &Arc<Self>) -> (Seat, mpsc::Receiver<Outgoing>) {
        let (queue, receiver) = mpsc::channel(MAX_QUEUED_EVENTS);
        let id = self.with(|state| {
            state.accepted += 1;
            let id = state.accepted;
            state.clients.push(Client { id, queue, subscription: None, log: false, unsent: 0 });
            id
        });
        (Seat { shared: Arc::clone(self), id }, receiver)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic of another thread fails its own test; the facts stay usable.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Queues an event or a log line for every client that subscribed to it.
    pub(super) fn publish(&mut self, event: &Frame) {
        self.tell(&Outgoing::Frame(event.clone()), |client| {
            if event.content_type() == "log/data" {
                return client.log;
            }
            client.subscription.as_ref().is_some_and(|asked| asked.wants(event))
        });
    }

    /// Queues something for every client, subscribed or not.
    pub(super) fn tell_all(&mut self, outgoing: &Outgoing) {
        self.tell(outgoing, |_| true);
    }

    fn tell(&mut self, outgoing: &Outgoing, whom: impl Fn(&Client) -> bool) {
        for client in self.clients.iter_mut().filter(|client| whom(client)) {
            match client.queue.try_send(outgoing.clone()) {
                Ok(()) => client.unsent += 1,
                // Full: the client does not read. Closed: it is about to lose its seat.
                Err(_) => self.lost += 1,
            }
        }
    }

    /// Things queued for connected clients and not yet handed to the kernel.
    pub(super) fn unsent(&self) -> usize {
        self.clients.iter().map(|client| client.unsent).sum()
    }

    /// Clients connected now.
    pub(super) fn connected(&self) -> usize {
        self.clients.len()
    }

    /// The subscription of a client that has one.
    pub(super) fn subscription(&self) -> Option<&Subscription> {
        self.clients.iter().find_map(|client| client.subscription.as_ref())
    }

    fn remember(&mut self, command: &str) {
        if self.commands.len() < MAX_REMEMBERED_COMMANDS {
            self.commands.push(command.to_owned());
        }
    }
}

/// One client's place in the [`State`].
#[derive(Debug)]
pub(super) struct Seat {
    pub(super) shared: Arc<Shared>,
    id: u64,
}

impl Seat {
    /// A command arrived.
    pub(super) fn heard(&self, command: &str) {
        self.shared.with(|state| state.remember(command));
    }

    /// The client did what a real FreeSWITCH refuses, or what would not do what it wants.
    pub(super) fn violation(&self, what: String) {
        self.shared.with(|state| {
            if state.violations.len() < MAX_REMEMBERED_COMMANDS {
                state.violations.push(what);
            }
        });
    }

    /// Adds to the subscription of this client; the last format counts.
    pub(super) fn subscribe(&self, more: Subscription) {
        self.change(|client| match &mut client.subscription {
            Some(asked) => {
                asked.format = more.format;
                asked.names.extend(more.names);
                asked.subclasses.extend(more.subclasses);
            }
            None => client.subscription = Some(more),
        });
    }

    /// Whether this client gets log lines.
    pub(super) fn log(&self, wanted: bool) {
        self.change(|client| client.log = wanted);
    }

    /// Ends the subscription of this client; `false` when it had none.
    pub(super) fn unsubscribe(&self) -> bool {
        let mut had = false;
        self.change(|client| had = client.subscription.take().is_some());
        had
    }

    /// Something from the queue has been written.
    pub(super) fn sent(&self) {
        self.change(|client| client.unsent = client.unsent.saturating_sub(1));
    }

    fn change(&self, change: impl FnOnce(&mut Client)) {
        self.shared.with(|state| {
            if let Some(client) = state.clients.iter_mut().find(|client| client.id == self.id) {
                change(client);
            }
        });
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.shared.with(|state| state.clients.retain(|client| client.id != self.id));
    }
}
