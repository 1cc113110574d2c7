//! The thread behind a fake FreeSWITCH: it accepts, beats and restarts.

use std::net::{SocketAddr, TcpListener as StdListener};
use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::time::Duration;
use std::{io, thread};

use tokio::net::{TcpListener, TcpStream};
use tokio::runtime;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Interval, MissedTickBehavior};

use super::FakeFreeSwitch;
use super::connection::Connection;
use super::settings::Settings;
use super::state::Shared;

/// An order of the handle; each is answered before the next is given.
pub(super) enum Order {
    /// Close every connection without a word and stop listening.
    Down(SyncSender<io::Result<()>>),
    /// Listen again.
    Up(SyncSender<io::Result<()>>),
}

/// Orders wait for their answer, so there is never more than one.
const ORDERS: usize = 1;

pub(super) fn start(listener: StdListener, settings: Settings) -> io::Result<FakeFreeSwitch> {
    let address = listener.local_addr()?;
    let heartbeat = settings.heartbeat;
    let shared = Shared::new(settings);
    let (orders, inbox) = mpsc::channel(ORDERS);
    let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
    let server = Server { address, shared: Arc::clone(&shared), connections: JoinSet::new() };
    let thread = thread::Builder::new()
        .name("fake-freeswitch".to_owned())
        .spawn(move || runtime.block_on(server.run(listener, inbox, heartbeat)))?;
    Ok(FakeFreeSwitch { address, shared, orders: Some(orders), thread: Some(thread) })
}

struct Server {
    address: SocketAddr,
    shared: Arc<Shared>,
    connections: JoinSet<()>,
}

impl Server {
    /// Runs until the handle is gone.
    async fn run(
        mut self,
        listener: StdListener,
        mut inbox: mpsc::Receiver<Order>,
        heartbeat: Duration,
    ) -> io::Result<()> {
        let mut listener = Some(TcpListener::from_std(listener)?);
        let mut beat = beats(heartbeat);
        loop {
            tokio::select! {
                accepted = accept(listener.as_ref()) => match accepted {
                    Ok(stream) => self.admit(stream),
                    // The peer was gone before we looked; a lasting fault shows as a missing client.
                    Err(_) => tokio::task::yield_now().await,
                },
                order = inbox.recv() => match order {
                    None => break,
                    Some(Order::Down(done)) => {
                        listener = None;
                        self.connections.shutdown().await;
                        // The caller may have stopped waiting.
                        let _ = done.send(Ok(()));
                    }
                    Some(Order::Up(done)) => {
                        let bound = TcpListener::bind(self.address).await;
                        let _ = done.send(bound.map(|bound| listener = Some(bound)));
                    }
                },
                _ = beat.tick(), if listener.is_some() => self.shared.with(|state| {
                    let event = state.core.heartbeat();
                    state.publish(&event);
                }),
                Some(_) = self.connections.join_next() => {}
            }
        }
        self.connections.shutdown().await;
        Ok(())
    }

    fn admit(&mut self, stream: TcpStream) {
        let (seat, queue) = self.shared.seat();
        let settings = self.shared.with(|state| state.settings.clone());
        self.connections.spawn(async move {
            // An error here is a client that went away, which is its right.
            let _ = Connection::new(stream, seat, queue, settings).serve().await;
        });
    }
}

async fn accept(listener: Option<&TcpListener>) -> io::Result<TcpStream> {
    match listener {
        Some(listener) => listener.accept().await.map(|(stream, _)| stream),
        None => std::future::pending().await,
    }
}

/// The first beat comes one interval after the start.
fn beats(every: Duration) -> Interval {
    let mut interval = tokio::time::interval_at(tokio::time::Instant::now() + every, every);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    interval
}
