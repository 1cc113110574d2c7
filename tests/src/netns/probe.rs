//! Does a packet of this host arrive at that one?

use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use tokio::net::TcpSocket;
use tokio::time::timeout;

use super::Host;

/// How long a packet may take before it counts as lost. On a veth pair it takes microseconds; the
/// rest is for address resolution and a busy machine.
const PATIENCE: Duration = Duration::from_millis(700);
/// How long the last datagram of a burst may be on its way.
const LAST_DATAGRAM: Duration = Duration::from_millis(150);
/// Pause between two datagrams of one probe.
const RESEND: Duration = Duration::from_millis(50);

/// Whether a datagram sent by a host from one of its addresses reaches a socket of another host.
///
/// Sends until one arrives or 0.7 s have passed.
#[must_use]
pub fn udp_arrives(from: (&Host, &str), to: (&Host, &str)) -> bool {
    let receiver = to.0.udp((ip(to.1), 0));
    let sender = from.0.udp((ip(from.1), 0));
    let target = receiver.local_addr().expect("its own address");
    receiver.set_read_timeout(Some(RESEND)).expect("a timeout");
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        // A sender without a route is a packet that does not arrive.
        let _ = sender.send_to(b"probe", target);
        if receiver.recv_from(&mut [0; 16]).is_ok_and(|(_, peer)| peer.ip() == ip(from.1)) {
            return true;
        }
    }
    false
}

/// Sends datagrams as fast as they go; returns how many reached a socket of the other host.
#[allow(clippy::must_use_candidate, reason = "sending is what some tests want")]
pub fn udp_burst(from: (&Host, &str), to: (&Host, &str), port: u16, count: usize) -> usize {
    let target = SocketAddr::new(ip(to.1), port);
    let receiver = to.0.udp(target);
    let sender = from.0.udp((ip(from.1), 0));
    receiver.set_read_timeout(Some(LAST_DATAGRAM)).expect("a timeout");
    let mut arrived = 0;
    for sent in 1..=count {
        sender.send_to(b"x", target).expect("a way out");
        // Emptied on the way: the receive buffer holds some hundreds.
        if sent % 50 == 0 || sent == count {
            receiver.set_nonblocking(sent != count).expect("a mode");
            while receiver.recv_from(&mut [0; 16]).is_ok() {
                arrived += 1;
            }
        }
    }
    arrived
}

/// Whether a host can open a TCP connection from one of its addresses to another host.
#[must_use]
pub fn tcp_connects(from: (&Host, &str), to: (&Host, &str)) -> bool {
    Conversation::open(from, to).is_some()
}

/// An established TCP connection between two hosts.
#[derive(Debug)]
pub struct Conversation {
    caller: TcpStream,
    answerer: TcpStream,
}

impl Conversation {
    /// Connects; `None` when it cannot be established within 0.7 s.
    #[must_use]
    pub fn open(from: (&Host, &str), to: (&Host, &str)) -> Option<Self> {
        let listener = to.0.tcp((ip(to.1), 0));
        let target = listener.local_addr().expect("its own address");
        let caller = from.0.block_on(async || connect(ip(from.1), target).await)?;
        let (answerer, _) = listener.accept().expect("an established connection");
        answerer.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        caller.set_nonblocking(false).expect("blocking mode");
        Some(Self { caller, answerer })
    }

    /// Whether what the caller says now reaches the answerer within 0.7 s.
    pub fn arrives(&mut self) -> bool {
        if self.caller.write_all(b"x").is_err() {
            return false;
        }
        match self.answerer.read(&mut [0; 16]) {
            Ok(length) => length > 0,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                false
            }
            Err(error) => panic!("the answerer's socket: {error}"),
        }
    }
}

async fn connect(source: IpAddr, target: SocketAddr) -> Option<TcpStream> {
    let socket = if target.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() };
    let socket = socket.expect("a TCP socket");
    socket.bind(SocketAddr::new(source, 0)).expect("the caller's address");
    let stream = timeout(PATIENCE, socket.connect(target)).await.ok()?.ok()?;
    stream.into_std().ok()
}

fn ip(text: &str) -> IpAddr {
    text.parse().expect("an IP address")
}
