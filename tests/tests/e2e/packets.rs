//! Packets to the PBX's SIP ports, and to others, from ports of the test's choice.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use sipward_tests::netns::Host;

use super::world::ip;

/// The port of most SIP servers.
pub(crate) const SIP: u16 = 5060;
/// The port of a web server.
pub(crate) const WEB: u16 = 80;

/// How long a connection may take that comes about.
const PATIENCE: Duration = Duration::from_millis(500);
/// How long an answer of each datagram is waited for.
const RESEND: Duration = Duration::from_millis(50);
/// Datagrams sent at most: fewer than the shield takes from any host at once.
const DATAGRAMS: usize = 6;

/// A host's socket address, and a port of another host.
#[derive(Clone, Copy)]
pub(crate) struct Way<'a> {
    /// Sends from this address.
    pub(crate) from: (&'a Host, &'a str),
    /// And this port.
    pub(crate) port: u16,
    /// To this address.
    pub(crate) to: (&'a Host, &'a str),
    /// And this port.
    pub(crate) at: u16,
}

impl Way<'_> {
    fn ends(&self) -> (SocketAddr, SocketAddr) {
        let end = |address: &str, port| SocketAddr::new(ip(address), port);
        (end(self.from.1, self.port), end(self.to.1, self.at))
    }

    /// Whether one of some datagrams arrives.
    pub(crate) fn udp(self) -> bool {
        let (source, target) = self.ends();
        let receiver = self.to.0.udp(target);
        let sender = self.from.0.udp(source);
        receiver.set_read_timeout(Some(RESEND)).unwrap();
        (0..DATAGRAMS).any(|_| {
            // A sender without a route is a packet that does not arrive.
            let _ = sender.send_to(b"x", target);
            receiver.recv_from(&mut [0; 16]).is_ok_and(|(_, peer)| peer == source)
        })
    }

    /// Whether a TCP connection comes about.
    pub(crate) fn tcp(self) -> bool {
        let (source, target) = self.ends();
        let listener = self.to.0.tcp(target);
        let connected = self.from.0.block_on(async || connect(source, target).await);
        drop(listener);
        connected
    }

    /// Whether datagrams and connections arrive. Panics when only one of them does.
    pub(crate) fn is_open(self) -> bool {
        let (udp, tcp) = (self.udp(), self.tcp());
        assert_eq!(udp, tcp, "{} port {} to {}: UDP {udp}", self.from.1, self.port, self.at);
        udp
    }
}

async fn connect(source: SocketAddr, target: SocketAddr) -> bool {
    let socket = match source.ip() {
        IpAddr::V4(_) => tokio::net::TcpSocket::new_v4(),
        IpAddr::V6(_) => tokio::net::TcpSocket::new_v6(),
    };
    let socket = socket.unwrap();
    socket.set_reuseaddr(true).unwrap();
    // Closes by a reset, so that the same port can connect again.
    socket.set_zero_linger().unwrap();
    socket.bind(source).unwrap();
    tokio::time::timeout(PATIENCE, socket.connect(target)).await.is_ok_and(|done| done.is_ok())
}
