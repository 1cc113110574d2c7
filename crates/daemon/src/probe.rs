//! Whether FreeSWITCH answers: an OPTIONS request to each profile once a second, while needed.
//!
//! A flood makes FreeSWITCH deaf without an event: above `max-recv-requests-per-second` it drops every
//! request and goes on sending HEARTBEAT. A request of sipward without an answer shows it. It goes
//! out from the very address that the profile listens on, so over loopback, which the gate never limits.

mod message;

use std::collections::{HashMap, VecDeque};
use std::convert::Infallible;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::net::UdpSocket;
use tokio::sync::{mpsc, watch};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{self, MissedTickBehavior};

use message::Call;

/// Between two requests to one profile.
const EVERY: Duration = Duration::from_secs(1);

/// Between two attempts to open a socket that could not be opened, or that broke.
const REOPEN: Duration = Duration::from_secs(5);

/// Profiles asked at most: a FreeSWITCH has a handful, each on one or two addresses.
const MOST_TARGETS: usize = 32;

/// Requests whose answer is still useful. A later answer, in seconds, does not count.
const OPEN: usize = 16;

/// Longest answer that is read; of a longer one the head is there, which suffices.
const LONGEST: usize = 2_048;

/// What is known of a profile anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Probed {
    /// Where it listens.
    pub(super) target: SocketAddr,
    pub(super) outcome: Outcome,
}

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It was answered after so long.
    Answered(Duration),
    /// None has been answered since that of so long ago.
    Silent(Duration),
    /// Nothing listens there.
    Closed,
}

/// Where FreeSWITCH's profiles may listen: on each of this host's addresses, on each SIP port. Most of them refuse.
/// Link-local addresses, which mean nothing without an interface, are left out.
pub(super) fn candidates(own: &[IpAddr], ports: &[u16]) -> Arc<[SocketAddr]> {
    let usable = |address: &&IpAddr| match address {
        IpAddr::V4(v4) => !v4.is_link_local(),
        IpAddr::V6(v6) => !v6.is_unicast_link_local(),
    };
    // Addresses that are not of loopback first: that is where profiles listen as a rule.
    let mut addresses: Vec<IpAddr> = own.iter().filter(usable).copied().collect();
    addresses.sort_by_key(IpAddr::is_loopback);
    let all = ports.iter().flat_map(|port| addresses.iter().map(|ip| SocketAddr::new(*ip, *port)));
    all.take(MOST_TARGETS).collect()
}

/// Probes the profiles that are `wanted`, until the daemon ends.
pub async fn run(mut wanted: watch::Receiver<Arc<[SocketAddr]>>, probed: mpsc::Sender<Probed>) {
    // Ends its tasks when it is dropped.
    let mut tasks = JoinSet::new();
    let mut asked: HashMap<SocketAddr, AbortHandle> = HashMap::new();
    loop {
        let targets = Arc::clone(&wanted.borrow_and_update());
        asked.retain(|target, task| {
            let stays = targets.contains(target);
            if !stays {
                task.abort();
            }
            stays
        });
        for target in targets.iter().take(MOST_TARGETS) {
            let probed = probed.clone();
            asked.entry(*target).or_insert_with(|| tasks.spawn(ask(*target, probed)));
        }
        while tasks.try_join_next().is_some() {}
        if wanted.changed().await.is_err() {
            return;
        }
    }
}

async fn ask(target: SocketAddr, probed: mpsc::Sender<Probed>) {
    loop {
        let Err(error) = converse(target, &probed).await;
        if probed.is_closed() {
            return;
        }
        tracing::debug!(%target, %error, "cannot probe this profile");
        tell(&probed, target, Outcome::Closed).await;
        time::sleep(REOPEN).await;
    }
}

/// Asks and listens until the socket fails.
async fn converse(target: SocketAddr, probed: &mpsc::Sender<Probed>) -> io::Result<Infallible> {
    let socket = UdpSocket::bind((target.ip(), 0)).await?;
    // Nothing from elsewhere is heard, and what refuses is reported.
    socket.connect(target).await?;
    let mut open = Open::new(Call::new(socket.local_addr()?, target)?);
    let mut due = time::interval(EVERY);
    due.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut buffer = [0; LONGEST];
    loop {
        let outcome = tokio::select! {
            _ = due.tick() => {
                let silent = open.silent(Instant::now());
                let request = open.next(Instant::now());
                match socket.send(request.as_bytes()).await {
                    Ok(_) => silent.map(Outcome::Silent),
                    Err(error) => Some(closed(error)?),
                }
            }
            received = socket.recv(&mut buffer) => match received {
                Ok(length) => {
                    let answer = buffer.get(..length).unwrap_or_default();
                    open.answered(answer, Instant::now()).map(Outcome::Answered)
                }
                Err(error) => Some(closed(error)?),
            },
        };
        if let Some(outcome) = outcome {
            if outcome == Outcome::Closed {
                open.forget();
            }
            tell(probed, target, outcome).await;
        }
    }
}

/// An ICMP answer says that nothing listens; anything else is a fault of the socket.
fn closed(error: io::Error) -> io::Result<Outcome> {
    match error.kind() {
        ErrorKind::ConnectionRefused => Ok(Outcome::Closed),
        _ => Err(error),
    }
}

async fn tell(probed: &mpsc::Sender<Probed>, target: SocketAddr, outcome: Outcome) {
    // A caller that has ended needs no answer.
    let _ = probed.send(Probed { target, outcome }).await;
}

/// Requests that wait for an answer.
struct Open {
    call: Call,
    number: u32,
    /// The oldest first.
    sent: VecDeque<(u32, Instant)>,
    /// When the first was sent of those since the last answer.
    unanswered: Option<Instant>,
}

impl Open {
    fn new(call: Call) -> Self {
        Self { call, number: 0, sent: VecDeque::new(), unanswered: None }
    }

    /// The next request, as sent at `now`.
    fn next(&mut self, now: Instant) -> String {
        self.number = self.number.wrapping_add(1);
        if self.sent.len() >= OPEN {
            self.sent.pop_front();
        }
        self.sent.push_back((self.number, now));
        self.unanswered.get_or_insert(now);
        self.call.options(self.number)
    }

    /// Since when nothing was answered; `None` while nothing waits.
    fn silent(&self, now: Instant) -> Option<Duration> {
        self.unanswered.map(|since| now.saturating_duration_since(since))
    }

    /// How long the request took that `message` answers; `None` when it answers none.
    fn answered(&mut self, message: &[u8], now: Instant) -> Option<Duration> {
        let number = self.call.answers(message)?;
        let place = self.sent.iter().position(|(sent, _)| *sent == number)?;
        let (_, at) = self.sent.drain(..=place).next_back()?;
        self.unanswered = self.sent.front().map(|(_, at)| *at);
        Some(now.saturating_duration_since(at))
    }

    fn forget(&mut self) {
        self.sent.clear();
        self.unanswered = None;
    }
}

#[cfg(test)]
mod tests;
