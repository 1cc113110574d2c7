//! An Event Socket server that behaves like FreeSWITCH's, over real TCP, under a test's command.
//!
//! | module | holds |
//! |---|---|
//! | `builder` | what can be chosen before the start |
//! | [`Frame`], [`Recording`] | recorded bytes, cut and rewritten |
//! | [`Attempt`], [`Outcome`] | requests and the events they cause, made up like the recorded ones |
//! | [`Subscription`] | which events a client gets |
//! | `core` | one run of FreeSWITCH: `Core-UUID`, `Event-Sequence`, event texts |
//! | `server`, `connection`, `state` | the thread that speaks |
//!
//! It keeps to what a real one does (see `tests/fixtures/freeswitch`): nothing but subscribed events
//! goes out, a client that does not read loses events beyond a full queue, nothing survives a
//! reconnect. What a client does wrong is collected as a violation.
//!
//! The handle blocks and never needs a runtime; the server runs on a thread of its own in the
//! network namespace of the thread that started it.

mod attempt;
mod builder;
mod connection;
mod core;
pub mod encoding;
mod frame;
mod recording;
mod server;
mod settings;
mod state;
mod subscription;

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::mpsc;

pub use attempt::{Attempt, Method, Outcome};
pub use builder::{Builder, DEFAULT_PASSWORD};
pub use frame::Frame;
pub use recording::Recording;
pub use settings::{Delivery, Greeting};
pub use subscription::{Format, Subscription};

use server::Order;
use state::{Outgoing, Shared};

use crate::wait::until;

/// A running fake FreeSWITCH; it stops when it is dropped.
#[derive(Debug)]
pub struct FakeFreeSwitch {
    address: SocketAddr,
    shared: Arc<Shared>,
    orders: Option<mpsc::Sender<Order>>,
    thread: Option<JoinHandle<io::Result<()>>>,
}

impl FakeFreeSwitch {
    /// One that listens on loopback with FreeSWITCH's defaults.
    #[must_use]
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// Where it listens; the same after a restart.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `Core-UUID` of the present run.
    #[must_use]
    pub fn core_uuid(&self) -> String {
        self.shared.with(|state| state.core.uuid().to_owned())
    }

    // What the other side of FreeSWITCH does.

    /// A wrong password over UDP: the events of one failed REGISTER.
    pub fn failure(&self, source: IpAddr, port: u16, user: &str) {
        self.emit(&Attempt::new(source, port, user), Outcome::WrongPassword);
    }

    /// The right password: the events of one REGISTER that succeeds.
    pub fn success(&self, source: IpAddr, port: u16, user: &str) {
        self.emit(&Attempt::new(source, port, user), Outcome::Registered);
    }

    /// One blind UDP packet that claims to come from `source`.
    pub fn blind_spoof(&self, source: IpAddr) {
        self.emit(&Attempt::new(source, 5060, "1000"), Outcome::BlindSpoof);
    }

    /// The events of `attempt` with `outcome`, in one go.
    pub fn emit(&self, attempt: &Attempt, outcome: Outcome) {
        self.emitter().emit(attempt, outcome);
    }

    /// A way to cause events and to change answers from another thread, such as that of a SIP side
    /// ([`FakeSofia`](crate::fake_sofia::FakeSofia)).
    #[must_use]
    pub fn emitter(&self) -> Emitter {
        Emitter { shared: Arc::clone(&self.shared) }
    }

    /// A HEARTBEAT out of turn.
    pub fn heartbeat(&self) {
        self.shared.with(|state| {
            let event = state.core.heartbeat();
            state.publish(&event);
        });
    }

    /// Recorded events as if they happened now in this run: its `Core-UUID`, the next
    /// `Event-Sequence`, the present time; the rest as recorded.
    pub fn replay<'a>(&self, events: impl IntoIterator<Item = &'a Frame>) {
        self.shared.with(|state| {
            for event in events {
                let event = state.core.adopt(event);
                state.publish(&event);
            }
        });
    }

    /// Recorded events byte by byte as they were.
    pub fn replay_verbatim<'a>(&self, events: impl IntoIterator<Item = &'a Frame>) {
        self.shared.with(|state| {
            for event in events {
                state.publish(event);
            }
        });
    }

    // What FreeSWITCH itself does.

    /// Meets further connections in another way.
    pub fn greet_with(&self, greeting: Greeting) {
        self.shared.with(|state| state.settings.greeting = greeting);
    }

    /// Expects another password of further connections.
    pub fn expect_password(&self, password: &str) {
        self.shared.with(|state| password.clone_into(&mut state.settings.password));
    }

    /// Answers `command` by `body` from now on, as [`Builder::answer`].
    pub fn answer(&self, command: &str, body: &str) {
        self.emitter().answer(command, body);
    }

    /// Sends half a HEARTBEAT to every client and closes.
    pub fn drop_mid_frame(&self) {
        self.shared.with(|state| {
            let event = state.core.heartbeat();
            state.tell_all(&Outgoing::CutMidFrame(event));
        });
    }

    /// Sends nothing more, HEARTBEAT and answers included, while connections stay open.
    pub fn stall(&self) {
        self.shared.stalled.send_replace(true);
    }

    /// Ends a [`FakeFreeSwitch::stall`]: what was held back comes now.
    pub fn resume(&self) {
        self.shared.stalled.send_replace(false);
    }

    /// Ends as by SIGKILL: connections close without a notice, and the port is closed.
    ///
    /// # Errors
    /// When the server thread is gone.
    pub fn kill(&self) -> io::Result<()> {
        self.order(Order::Down)
    }

    /// Ends as by SIGTERM: a SHUTDOWN event for its subscribers, a `text/disconnect-notice`,
    /// then as [`FakeFreeSwitch::kill`].
    ///
    /// # Errors
    /// When the clients do not take it within `limit`, or the server thread is gone.
    pub fn shut_down(&self, limit: Duration) -> io::Result<()> {
        self.shared.with(|state| {
            let event = state.core.shutdown();
            state.publish(&event);
            let notice = connection::goodbye("The system is being shut down.\n");
            state.tell_all(&Outgoing::Goodbye(notice));
        });
        self.wait_until_sent(limit)?;
        self.order(Order::Down)
    }

    /// Starts again after [`FakeFreeSwitch::kill`] or [`FakeFreeSwitch::shut_down`], on the same
    /// address, as a new run: new `Core-UUID`, `Event-Sequence` from its beginning.
    ///
    /// # Errors
    /// When the address cannot be bound again, or the server thread is gone.
    pub fn boot(&self) -> io::Result<()> {
        self.shared.with(|state| state.core = core::Core::new());
        until("the address is free", || match self.order(Order::Up) {
            // A process that another test is just starting has a copy of the listener.
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => None,
            done => Some(done),
        })
    }

    /// [`FakeFreeSwitch::kill`], then [`FakeFreeSwitch::boot`].
    ///
    /// # Errors
    /// As these two.
    pub fn restart(&self) -> io::Result<()> {
        self.kill()?;
        self.boot()
    }

    // What the client does.

    /// Waits until a client that is connected now has subscribed.
    ///
    /// # Errors
    /// When none does within `limit`; the error lists the commands that came.
    pub fn wait_for_subscription(&self, limit: Duration) -> io::Result<Subscription> {
        self.shared.wait_for(limit, "subscription", |state| state.subscription().cloned())
    }

    /// Waits until `count` connections were accepted since the start, closed ones included.
    ///
    /// # Errors
    /// When fewer come within `limit`.
    pub fn wait_for_connections(&self, count: u64, limit: Duration) -> io::Result<()> {
        let what = format!("connection number {count}");
        self.shared.wait_for(limit, &what, |state| (state.accepted >= count).then_some(()))
    }

    /// Waits until no client is connected.
    ///
    /// # Errors
    /// When one still is after `limit`.
    pub fn wait_for_disconnect(&self, limit: Duration) -> io::Result<()> {
        self.shared.wait_for(limit, "disconnect", |state| (state.connected() == 0).then_some(()))
    }

    /// Waits until everything queued has been handed to the kernel.
    ///
    /// # Errors
    /// When clients do not read it within `limit`.
    pub fn wait_until_sent(&self, limit: Duration) -> io::Result<()> {
        self.shared.wait_for(limit, "end of the queue", |state| (state.unsent() == 0).then_some(()))
    }

    /// Connections accepted since the start.
    #[must_use]
    pub fn connections(&self) -> u64 {
        self.shared.with(|state| state.accepted)
    }

    /// Every command of every client so far, in order, without the blank line.
    #[must_use]
    pub fn commands(&self) -> Vec<String> {
        self.shared.with(|state| state.commands.clone())
    }

    /// What clients did that a real FreeSWITCH refuses or that cannot be what they want.
    #[must_use]
    pub fn violations(&self) -> Vec<String> {
        self.shared.with(|state| state.violations.clone())
    }

    /// Events lost because a client did not read.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.shared.with(|state| state.lost)
    }

    fn order(&self, order: impl FnOnce(SyncSender<io::Result<()>>) -> Order) -> io::Result<()> {
        let gone = || io::Error::other("the fake FreeSWITCH has ended");
        let (done, answer) = sync_channel(1);
        let orders = self.orders.as_ref().ok_or_else(gone)?;
        orders.try_send(order(done)).map_err(|_| gone())?;
        answer.recv().map_err(|_| gone())?
    }
}

/// Causes events of a [`FakeFreeSwitch`], as long as it runs.
#[derive(Clone, Debug)]
pub struct Emitter {
    shared: Arc<Shared>,
}

impl Emitter {
    /// As [`FakeFreeSwitch::emit`].
    pub fn emit(&self, attempt: &Attempt, outcome: Outcome) {
        self.shared.with(|state| {
            for event in state.core.events(attempt, outcome) {
                state.publish(&event);
            }
        });
    }

    /// As [`FakeFreeSwitch::answer`].
    pub fn answer(&self, command: &str, body: &str) {
        self.shared.with(|state| {
            state.settings.answers.insert(command.to_owned(), body.to_owned());
        });
    }
}

impl Drop for FakeFreeSwitch {
    fn drop(&mut self) {
        self.orders = None;
        if let Some(thread) = self.thread.take() {
            // Its error was of no interest to the test, or the test has failed already.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests;
