//! Requests at a rate, from any number of sources.

use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use tokio::net::TcpSocket;

use super::socket::ManySocket;
use super::text::{Answer, Draft};
use crate::netns::Host;

/// Sleeping is good to some 60 µs; what is due sooner is sent at once, a few packets too early.
const SLEEP_FROM: Duration = Duration::from_micros(300);
/// Requests in one segment of a pipelining attacker.
const PIPELINED: usize = 50;
/// How long a connection may take that the other end does not refuse.
const CONNECT: Duration = Duration::from_secs(1);
/// Pause before a connection that was lost is made again.
const RECONNECT: Duration = Duration::from_millis(500);

/// What is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// OPTIONS without credentials, which causes no event.
    Options,
    /// REGISTER without credentials: their challenges stay unanswered.
    Register,
    /// INVITE without credentials.
    Invite,
    /// Guesses, all with the nonce that the first source fetched.
    SharedNonce,
    /// Guesses, each source with a nonce of its own.
    OwnNonces,
    /// OPTIONS over TCP, many in one segment, a connection from each source.
    Pipelined,
}

/// A flood before it begins.
#[derive(Clone, Debug)]
pub struct Flood {
    /// What.
    pub kind: Kind,
    /// Addresses of the host, which take turns. Some may be forged: the host takes every address that
    /// [`Host::own`](crate::netns::Host::own) was called with.
    pub sources: Vec<IpAddr>,
    /// Requests a second, of all sources together.
    pub rate: u32,
    /// To where.
    pub target: SocketAddr,
}

/// A flood under way.
#[derive(Debug)]
pub struct Flooding {
    goes_on: Arc<AtomicBool>,
    thread: JoinHandle<u64>,
}

impl Flood {
    /// Begins it, on a thread of its own.
    #[must_use]
    pub fn start(self, host: &Host) -> Flooding {
        let goes_on = Arc::new(AtomicBool::new(true));
        let (wanted, host) = (Arc::clone(&goes_on), host.clone());
        let thread = thread::spawn(move || match self.kind {
            Kind::Pipelined => self.pipeline(&host, &wanted),
            _ => self.datagrams(&host, &wanted),
        });
        Flooding { goes_on, thread }
    }

    fn datagrams(&self, host: &Host, goes_on: &AtomicBool) -> u64 {
        let socket = ManySocket::open(host, 0, self.target.is_ipv4());
        let mut nonces: Vec<Option<String>> = vec![None; self.sources.len()];
        let mut rhythm = Rhythm::new(self.rate);
        let mut buffer = [0; 4_096];
        let mut cseq = 1;
        while goes_on.load(Ordering::Relaxed) {
            let place = usize::try_from(rhythm.sent).unwrap_or_default() % self.sources.len();
            let source = self.sources[place];
            if place == 0 {
                cseq += 1;
            }
            let nonce = match self.kind {
                Kind::SharedNonce => nonces[0].as_deref(),
                Kind::OwnNonces => nonces[place].as_deref(),
                _ => None,
            };
            let (call_id, user) = (format!("flood-{place}-{cseq}"), (cseq % 1_000).to_string());
            let request = Draft {
                method: self.method(),
                from: SocketAddr::new(source, socket.port()),
                user: &user,
                call_id: &call_id,
                cseq,
                answer: nonce.map(|nonce| (nonce, "a guess")),
                transport: "UDP",
            };
            // A guess without a nonce would prove nothing.
            if self.kind != Kind::SharedNonce || nonce.is_some() || place == 0 {
                socket.send(source, self.target, request.text().as_bytes());
            }
            rhythm.wait();
            while let Some(message) = socket.receive(&mut buffer) {
                fetch(&mut nonces, message);
            }
        }
        rhythm.sent
    }

    fn method(&self) -> &'static str {
        match self.kind {
            Kind::Options | Kind::Pipelined => "OPTIONS",
            Kind::Register | Kind::SharedNonce | Kind::OwnNonces => "REGISTER",
            Kind::Invite => "INVITE",
        }
    }

    fn pipeline(&self, host: &Host, goes_on: &AtomicBool) -> u64 {
        let mut lines: Vec<Line> = self.sources.iter().map(|source| Line::new(*source)).collect();
        let mut rhythm = Rhythm::new(self.rate);
        let mut cseq = 1;
        let mut waste = vec![0; 64 * 1_024];
        'flood: while goes_on.load(Ordering::Relaxed) {
            for (place, line) in lines.iter_mut().enumerate() {
                if !goes_on.load(Ordering::Relaxed) {
                    break 'flood;
                }
                cseq += 1;
                let segment: String = (0..PIPELINED)
                    .map(|n| {
                        let call_id = format!("flood-{place}-{cseq}-{n}");
                        let from = SocketAddr::new(line.source, 5060);
                        let (method, user, transport) = ("OPTIONS", "1000", "TCP");
                        Draft {
                            method,
                            from,
                            user,
                            call_id: &call_id,
                            cseq,
                            answer: None,
                            transport,
                        }
                        .text()
                    })
                    .collect();
                line.write(host, self.target, segment.as_bytes());
                line.discard(&mut waste);
                // Also what could not be sent counts as tried: a flood does not wait.
                (0..PIPELINED).for_each(|_| rhythm.count());
                rhythm.wait_for_due();
            }
        }
        rhythm.sent
    }
}

impl Flooding {
    /// Ends it; gives how many requests it sent.
    #[allow(clippy::must_use_candidate, reason = "most tests want no more than its end")]
    pub fn stop(self) -> u64 {
        self.goes_on.store(false, Ordering::Relaxed);
        self.thread.join().expect("the flood's thread")
    }
}

/// Keeps the nonce of a challenge for the source that it came to.
fn fetch(nonces: &mut [Option<String>], message: &str) {
    let Some(Answer { call_id, nonce: Some(nonce), .. }) = Answer::read(message) else { return };
    let place = call_id.strip_prefix("flood-").and_then(|rest| rest.split('-').next());
    let place: Option<usize> = place.and_then(|place| place.parse().ok());
    if let Some(kept) = place.and_then(|place| nonces.get_mut(place)) {
        *kept = Some(nonce.to_owned());
    }
}

/// When the next request is due.
struct Rhythm {
    rate: u64,
    began: Instant,
    sent: u64,
}

impl Rhythm {
    fn new(rate: u32) -> Self {
        Self { rate: rate.max(1).into(), began: Instant::now(), sent: 0 }
    }

    fn count(&mut self) {
        self.sent += 1;
    }

    fn wait(&mut self) {
        self.count();
        self.wait_for_due();
    }

    fn wait_for_due(&mut self) {
        let due = self.began + Duration::from_nanos(self.sent * 1_000_000_000 / self.rate);
        let now = Instant::now();
        if due > now + SLEEP_FROM {
            thread::sleep(due - now);
        } else if now > due + Duration::from_millis(500) {
            // A machine that cannot keep up sends less, and no burst afterwards.
            self.began += now - due;
        }
    }
}

/// A connection of a pipelining attacker, made again when it is lost.
struct Line {
    source: IpAddr,
    stream: Option<TcpStream>,
    next_try: Instant,
    /// What is left of a segment that the kernel took in part.
    rest: Vec<u8>,
}

impl Line {
    fn new(source: IpAddr) -> Self {
        Self { source, stream: None, next_try: Instant::now(), rest: Vec::new() }
    }

    fn write(&mut self, host: &Host, target: SocketAddr, segment: &[u8]) {
        if self.stream.is_none() && Instant::now() >= self.next_try {
            self.stream = host.block_on(async || connect(self.source, target).await);
            self.next_try = Instant::now() + RECONNECT;
            self.rest.clear();
        }
        let Some(stream) = &mut self.stream else { return };
        // A segment that does not get out holds up the next: nothing may begin in the middle.
        if self.rest.is_empty() {
            self.rest.extend_from_slice(segment);
        }
        match stream.write(&self.rest) {
            Ok(length) => drop(self.rest.drain(..length)),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(_) => self.stream = None,
        }
    }

    /// Reads the answers away, so that the other end can go on.
    fn discard(&mut self, waste: &mut [u8]) {
        let Some(stream) = &mut self.stream else { return };
        match stream.read(waste) {
            Ok(0) => self.stream = None,
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(_) => self.stream = None,
        }
    }
}

async fn connect(source: IpAddr, target: SocketAddr) -> Option<TcpStream> {
    let socket = if target.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() };
    let socket = socket.expect("a TCP socket");
    socket.bind(SocketAddr::new(source, 0)).expect("an address of the host");
    let stream = tokio::time::timeout(CONNECT, socket.connect(target)).await.ok()?.ok()?;
    // Stays without blocking.
    stream.into_std().ok()
}
