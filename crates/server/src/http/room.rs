//! The limit of connections: one for the API and the console, TCP and Unix socket.
//!
//! Connections without a request are closed first, so clients that only hold connections open lock out no other
//! client, and file descriptors remain for the Event Socket, the store and the rest.

use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use axum::body::{Body, Bytes, HttpBody};
use axum::response::Response;
use hyper::body::{Frame, SizeHint};
use ipnet::IpNet;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tokio::sync::{Notify, broadcast};
use tokio_util::sync::CancellationToken;

use sipward_model::record::Record;

/// Connections at once, where there are descriptors enough. Each costs a task and some 16 KiB.
const MOST: usize = 512;

/// Connections that there is room for in any case.
const FEWEST: usize = 32;

/// Descriptors that everything else may need: Event Socket, store and questions to it, netlink, look-ups, mail.
const RESERVE: u64 = 256;

/// One of so many is reserved for the Unix socket, so that the operator on the host can always connect.
const LOCAL_SHARE: usize = 8;

/// Connections of one client at once (an IPv4 address, an IPv6 /64): two browsers and a scraper. Loopback and
/// trusted proxies, which stand for many, may take all.
const OF_ONE: usize = 16;

/// Pause between two reports that the limit is reached.
const QUIET: Duration = Duration::from_secs(60);

/// Whose connection it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Caller {
    /// One on the Unix socket.
    Local,
    /// One on TCP.
    Remote {
        /// What the client is counted by.
        net: IpNet,
        /// It represents many clients.
        unbounded: bool,
    },
}

/// The room.
#[derive(Debug)]
pub struct Room {
    limit: usize,
    seats: Mutex<Vec<Taken>>,
    freed: Notify,
    next: AtomicU64,
    shed: AtomicU64,
    reported: Mutex<Option<Instant>>,
}

#[derive(Debug)]
struct Taken {
    id: u64,
    caller: Caller,
    /// Since when nothing is asked; `None` while something is answered.
    quiet: Option<Instant>,
    leave: CancellationToken,
}

/// A connection's place. Dropping it makes room.
#[derive(Debug)]
pub struct Seat {
    id: u64,
    room: Arc<Room>,
    /// Cancelled when another needs the place more.
    pub leave: CancellationToken,
}

/// Something is asked and not answered in full yet.
#[derive(Debug)]
pub(super) struct Busy(Arc<Seat>);

/// Raises the soft limit of open files to the hard one, and gives what it is.
pub fn raise_descriptors() -> u64 {
    let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else {
        return RESERVE;
    };
    if soft < hard
        && let Err(error) = setrlimit(Resource::RLIMIT_NOFILE, hard, hard)
    {
        tracing::debug!(%error, soft, hard, "cannot raise the limit of open files");
        return soft;
    }
    hard
}

impl Room {
    /// As large as so many descriptors allow.
    pub fn within(descriptors: u64) -> Self {
        let free = usize::try_from(descriptors.saturating_sub(RESERVE)).unwrap_or(MOST);
        if free < FEWEST {
            tracing::warn!(
                descriptors,
                "the limit of open files is low: raise it (`LimitNOFILE=` of the unit, `ulimit -n`)"
            );
        }
        Self {
            limit: free.clamp(FEWEST, MOST),
            seats: Mutex::default(),
            freed: Notify::new(),
            next: AtomicU64::new(0),
            shed: AtomicU64::new(0),
            reported: Mutex::default(),
        }
    }

    /// Waits for a place. `None` when this client has too many.
    pub async fn admit(self: &Arc<Self>, caller: Caller) -> Option<Seat> {
        loop {
            let freed = self.freed.notified();
            match self.try_admit(caller) {
                Ok(seat) => return seat,
                Err(Full) => freed.await,
            }
        }
    }

    fn try_admit(self: &Arc<Self>, caller: Caller) -> Result<Option<Seat>, Full> {
        let mut seats = self.lock();
        if let Caller::Remote { net, unbounded: false } = caller {
            let of_one =
                |taken: &&Taken| matches!(taken.caller, Caller::Remote { net: n, .. } if n == net);
            if seats.iter().filter(of_one).count() >= OF_ONE {
                return Ok(None);
            }
        }
        let kind = |taken: &Taken| (taken.caller == Caller::Local) == (caller == Caller::Local);
        let local = self.limit / LOCAL_SHARE;
        let most = if caller == Caller::Local { local } else { self.limit - local };
        if seats.iter().filter(|taken| kind(taken)).count() >= most {
            let quiet = seats.iter().enumerate().filter(|(_, taken)| kind(taken));
            let quiet = quiet.filter_map(|(place, taken)| Some((taken.quiet?, place))).min();
            let (_, place) = quiet.ok_or(Full)?;
            seats.swap_remove(place).leave.cancel();
            self.shed.fetch_add(1, Ordering::Relaxed);
        }
        let (id, leave) = (self.next.fetch_add(1, Ordering::Relaxed), CancellationToken::new());
        seats.push(Taken { id, caller, quiet: Some(Instant::now()), leave: leave.clone() });
        Ok(Some(Seat { id, room: Arc::clone(self), leave }))
    }

    /// Reports connections that were closed for others, once a minute at most.
    pub fn report(&self, records: &broadcast::Sender<Arc<Record>>) {
        if self.shed.load(Ordering::Relaxed) == 0 {
            return;
        }
        let mut reported = self.reported.lock().unwrap_or_else(PoisonError::into_inner);
        if reported.is_some_and(|at| at.elapsed() < QUIET) {
            return;
        }
        *reported = Some(Instant::now());
        drop(reported);
        let count = self.shed.swap(0, Ordering::Relaxed);
        Record::ConnectionsShed { count, limit: self.limit }.publish(records);
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Taken>> {
        // Every change leaves it whole.
        self.seats.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set_quiet(&self, id: u64, quiet: Option<Instant>) {
        if let Some(taken) = self.lock().iter_mut().find(|taken| taken.id == id) {
            taken.quiet = quiet;
        }
        if quiet.is_some() {
            // A waiting connection may take this place.
            self.freed.notify_waiters();
        }
    }
}

/// There is no place, and no connection to close.
struct Full;

impl Drop for Seat {
    fn drop(&mut self) {
        self.room.lock().retain(|taken| taken.id != self.id);
        self.room.freed.notify_waiters();
    }
}

impl Busy {
    /// From now on something is asked.
    pub(super) fn begin(seat: &Arc<Seat>) -> Self {
        seat.room.set_quiet(seat.id, None);
        Self(Arc::clone(seat))
    }

    /// Until the whole answer is handed over.
    pub(super) fn until_sent(self, response: Response) -> Response {
        response.map(|body| Body::new(Held { body, _busy: self }))
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.room.set_quiet(self.0.id, Some(Instant::now()));
    }
}

/// A body that keeps its connection busy.
struct Held {
    body: Body,
    _busy: Busy,
}

impl HttpBody for Held {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn remote(n: u16) -> Caller {
        let [high, low] = n.to_be_bytes();
        let net = IpNet::from(std::net::IpAddr::from([203, high, low, 9]));
        Caller::Remote { net, unbounded: false }
    }

    /// A room of 40: 5 local places, 35 others.
    fn room() -> Arc<Room> {
        Arc::new(Room::within(RESERVE + 40))
    }

    fn seats(room: &Arc<Room>, count: u16) -> Vec<Arc<Seat>> {
        let seat = |n| room.try_admit(remote(n)).ok().flatten().map(Arc::new);
        (0..count).filter_map(seat).collect()
    }

    #[test]
    fn who_is_silent_longest_makes_room_and_who_is_served_stays() {
        let room = room();
        let taken = seats(&room, 35);
        assert_eq!(taken.len(), 35);
        let busy = Busy::begin(&taken[0]);
        let late = room.try_admit(remote(99)).ok().flatten().unwrap();
        assert!(taken[1].leave.is_cancelled(), "the first that asks nothing");
        assert!(!taken[0].leave.is_cancelled());
        let closed = taken.iter().filter(|seat| seat.leave.is_cancelled()).count();
        assert_eq!((closed, room.shed.load(Ordering::Relaxed)), (1, 1));
        drop((busy, late));
        assert!(room.lock().len() < 35 + 1);
    }

    #[tokio::test]
    async fn when_all_are_served_the_next_waits_for_one_of_them() {
        let room = room();
        let taken = seats(&room, 35);
        let mut busy: Vec<_> = taken.iter().map(Busy::begin).collect();
        let waiting = tokio::spawn({
            let room = Arc::clone(&room);
            async move { room.admit(remote(99)).await.map(drop) }
        });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        busy.pop();
        assert_eq!(waiting.await.unwrap(), Some(()));
        assert!(taken[34].leave.is_cancelled());
    }

    #[test]
    fn strangers_leave_the_places_of_the_unix_socket() {
        let room = room();
        let taken = seats(&room, 60);
        let busy: Vec<_> = taken.iter().map(Busy::begin).collect();
        for _ in 0..5 {
            assert!(room.try_admit(Caller::Local).is_ok_and(|seat| seat.is_some()));
        }
        drop(busy);
    }

    #[test]
    fn one_client_has_a_few_on_all_addresses_together() {
        let room = room();
        let of_one: Vec<_> =
            (0..OF_ONE).map(|_| room.try_admit(remote(1)).ok().flatten().unwrap()).collect();
        assert!(room.try_admit(remote(1)).is_ok_and(|seat| seat.is_none()));
        assert!(room.try_admit(remote(2)).is_ok_and(|seat| seat.is_some()));
        let Caller::Remote { net, .. } = remote(1) else { panic!("it is one") };
        let proxy = Caller::Remote { net, unbounded: true };
        assert!(room.try_admit(proxy).is_ok_and(|seat| seat.is_some()));
        drop(of_one);
    }

    #[test]
    fn the_room_leaves_the_descriptors_that_others_need() {
        let limit = |descriptors| Room::within(descriptors).limit;
        assert_eq!(limit(524_288), MOST);
        assert_eq!(limit(1_024), MOST);
        assert_eq!(limit(512), 256);
        assert_eq!(limit(64), FEWEST);
        assert!(raise_descriptors() >= 64);
        let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
        assert_eq!(soft, hard);
    }
}
