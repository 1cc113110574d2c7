//! One UDP socket that sends from any number of addresses.

use std::io::{self, ErrorKind, IoSlice};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;

use nix::libc;
use nix::sys::socket::{
    ControlMessage, MsgFlags, SockaddrIn, SockaddrIn6, sendmsg, setsockopt, sockopt,
};

use crate::netns::Host;

/// Bytes of answers that may wait: some thousand. The kernel gives what it allows.
const BUFFER: usize = 4 << 20;

/// Sends from all addresses of a host, and receives what comes for any of them. Never blocks.
#[derive(Debug)]
pub(crate) struct ManySocket(UdpSocket);

impl ManySocket {
    /// On `port` of every address of `host` of one family.
    pub(crate) fn open(host: &Host, port: u16, is_ipv4: bool) -> Self {
        let all: IpAddr =
            if is_ipv4 { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
        let socket = host.udp((all, port));
        socket.set_nonblocking(true).expect("a mode");
        setsockopt(&socket, sockopt::RcvBuf, &BUFFER).expect("a buffer");
        Self(socket)
    }

    /// The port.
    pub(crate) fn port(&self) -> u16 {
        self.0.local_addr().expect("its own address").port()
    }

    /// Sends from one of the host's addresses. What the kernel has no room for is lost, as on a wire.
    pub(crate) fn send(&self, from: IpAddr, to: SocketAddr, message: &[u8]) {
        let sent = match (from, to) {
            (IpAddr::V4(from), SocketAddr::V4(to)) => {
                let info = libc::in_pktinfo {
                    ipi_ifindex: 0,
                    ipi_spec_dst: libc::in_addr { s_addr: u32::from_ne_bytes(from.octets()) },
                    ipi_addr: libc::in_addr { s_addr: 0 },
                };
                let from = [ControlMessage::Ipv4PacketInfo(&info)];
                self.send_with(&from, &SockaddrIn::from(to), message)
            }
            (IpAddr::V6(from), SocketAddr::V6(to)) => {
                let info = libc::in6_pktinfo {
                    ipi6_addr: libc::in6_addr { s6_addr: from.octets() },
                    ipi6_ifindex: 0,
                };
                let from = [ControlMessage::Ipv6PacketInfo(&info)];
                self.send_with(&from, &SockaddrIn6::from(to), message)
            }
            _ => panic!("{from} and {to} are of two families"),
        };
        match sent {
            // A full queue, or a host that says by ICMP that it does not want it: lost on the way.
            Ok(_)
            | Err(
                nix::Error::EAGAIN
                | nix::Error::ENOBUFS
                | nix::Error::ECONNREFUSED
                | nix::Error::EPERM,
            ) => {}
            Err(error) => panic!("cannot send from {from} to {to}: {error}"),
        }
    }

    fn send_with<A: nix::sys::socket::SockaddrLike>(
        &self,
        from: &[ControlMessage<'_>],
        to: &A,
        message: &[u8],
    ) -> nix::Result<usize> {
        let parts = [IoSlice::new(message)];
        sendmsg(self.0.as_raw_fd(), &parts, from, MsgFlags::empty(), Some(to))
    }

    /// Takes the next message that is there.
    pub(crate) fn receive<'a>(&self, buffer: &'a mut [u8]) -> Option<&'a str> {
        let length = match self.0.recv(buffer) {
            Ok(length) => length,
            Err(error) if is_nothing(&error) => return None,
            Err(error) => panic!("cannot receive: {error}"),
        };
        buffer.get(..length).and_then(|message| std::str::from_utf8(message).ok())
    }
}

/// Nothing is there, or an ICMP answer to something that was sent.
fn is_nothing(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::WouldBlock
            | ErrorKind::ConnectionRefused
            | ErrorKind::HostUnreachable
            | ErrorKind::NetworkUnreachable
    )
}
