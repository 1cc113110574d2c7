//! One netlink socket: sends batches, reads their answers.

use std::io;
use std::os::fd::AsRawFd as _;
use std::time::Duration;

use netlink_packet_core::{NLM_F_DUMP_INTR, NLMSG_DONE, NLMSG_ERROR, NetlinkBuffer};
use netlink_sys::{AsyncSocket, AsyncSocketExt, SocketAddr, TokioSocket};
use nix::sys::socket::sockopt::{SndBuf, SndBufForce};
use nix::sys::socket::{getsockopt, setsockopt};
use tokio::time::timeout;
use tracing::debug;

use super::burst::Burst;
use super::{Batch, Refusal};
use crate::RouteError;

/// Bytes of one read. The kernel builds dump datagrams of at most 32 KiB and single answers of a page.
pub(crate) const LARGEST_DATAGRAM: usize = 64 * 1024;
/// Receive buffer asked for, in bytes; the kernel caps it at `net.core.rmem_max`. A batch is sized to
/// fit the default (212,992), so a lower cap loses nothing.
const RECEIVE_BUFFER: u32 = 4 * 1024 * 1024;
/// Send buffer that large transactions ask for, in bytes. The kernel doubles it. It bounds one send and is
/// not allocated ahead.
const SEND_BUFFER: usize = 4 * 1024 * 1024;
/// How long the kernel may take for one datagram of an answer. It answers while the send is still running; this only
/// keeps a lost answer from stopping us for ever. Not for the whole answer: the kernel begins each part of a large
/// set's dump at the set's first element, so a million elements take tens of seconds.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often a dump that changed while it was read is repeated before what was read is taken.
const DUMP_ATTEMPTS: u32 = 8;

/// A netlink socket for requests.
pub(crate) struct Channel {
    socket: TokioSocket,
    port: u32,
    next_sequence: u32,
    buffer: Vec<u8>,
    burst: Burst,
}

/// The kernel's answer to one message of a batch.
#[derive(Debug)]
pub(crate) enum Reply<'a> {
    /// Done as asked.
    Done,
    /// Not done.
    Refused(Refusal),
    /// An object that was asked for: message type and payload.
    Object(u16, &'a [u8]),
}

/// How a dump ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Dump {
    /// Everything was read.
    Complete,
    /// The kernel refused it.
    Refused(Refusal),
}

impl Channel {
    /// Opens a socket of a netlink protocol (`NETLINK_ROUTE`, `NETLINK_NETFILTER`).
    pub(crate) fn open(protocol: isize) -> io::Result<Self> {
        let mut socket = TokioSocket::new(protocol)?;
        let port = {
            let socket = socket.socket_mut();
            let address = socket.bind_auto()?;
            socket.connect(&SocketAddr::new(0, 0))?;
            // Short errors that still carry the kernel's words (both since Linux 4.12).
            socket.set_cap_ack(true)?;
            socket.set_ext_ack(true)?;
            // Dumps filtered in the kernel (since Linux 4.20); older ones send more and we filter.
            if let Err(error) = socket.set_netlink_get_strict_chk(true) {
                debug!(%error, "this kernel does not filter dumps");
            }
            socket.set_rx_buf_sz(RECEIVE_BUFFER)?;
            address.port_number()
        };
        let buffer = Vec::with_capacity(LARGEST_DATAGRAM);
        Ok(Self { socket, port, next_sequence: 1, buffer, burst: Burst::new() })
    }

    /// The port number that marks notifications about what this socket changed.
    pub(crate) fn port(&self) -> u32 {
        self.port
    }

    /// Makes room for transactions with thousands of set elements.
    pub(crate) fn allow_large_sends(&mut self) {
        let socket = self.socket.socket_ref();
        // Past `wmem_max` with CAP_NET_ADMIN; a user namespace's own does not count, and it gets less.
        if setsockopt(socket, SndBufForce, &SEND_BUFFER).is_err()
            && let Err(error) = setsockopt(socket, SndBuf, &SEND_BUFFER)
        {
            debug!(%error, "large transactions cannot be sent");
        }
    }

    /// Bytes that the kernel takes in one send.
    pub(crate) fn largest_send(&self) -> usize {
        // The kernel keeps 32 bytes for itself (net/netlink/af_netlink.c).
        getsockopt(self.socket.socket_ref(), SndBuf).map_or(0, |size| size.saturating_sub(32))
    }

    /// Sends a batch in one piece and hands every answer, with its message's place, to `answer`.
    ///
    /// # Errors
    /// When the socket fails or the kernel does not answer; never for a refusal.
    pub(crate) async fn exchange(
        &mut self,
        mut batch: Batch,
        mut answer: impl FnMut(usize, Reply<'_>),
    ) -> Result<(), RouteError> {
        if batch.is_empty() {
            return Ok(());
        }
        batch.ask_last();
        self.run(&mut batch, &mut answer).await.map(drop)
    }

    /// Sends a batch that already says which message asks for the answer that ends it.
    ///
    /// # Errors
    /// As [`exchange`](Self::exchange).
    pub(crate) async fn transact(
        &mut self,
        mut batch: Batch,
        mut answer: impl FnMut(usize, Reply<'_>),
    ) -> Result<(), RouteError> {
        self.run(&mut batch, &mut answer).await.map(drop)
    }

    /// Reads a dump; `object` gets message type and payload of each entry. Entries can come more than
    /// once when the kernel's tables change meanwhile: collect them into a set.
    ///
    /// # Errors
    /// As [`exchange`](Self::exchange).
    pub(crate) async fn dump(
        &mut self,
        mut request: impl FnMut() -> Batch,
        mut object: impl FnMut(u16, &[u8]),
    ) -> Result<Dump, RouteError> {
        for _ in 0..DUMP_ATTEMPTS {
            let mut batch = request();
            batch.ask_last();
            let mut outcome = Dump::Complete;
            let consistent = self
                .run(&mut batch, &mut |_, reply| match reply {
                    Reply::Done => {}
                    Reply::Refused(refusal) => outcome = Dump::Refused(refusal),
                    Reply::Object(kind, payload) => object(kind, payload),
                })
                .await?;
            if consistent {
                return Ok(outcome);
            }
        }
        // On a host whose tables never rest, what was read in eight tries is as good as it gets; the
        // monitor reports what changed meanwhile.
        Ok(Dump::Complete)
    }

    /// Returns whether what was read is consistent (no `NLM_F_DUMP_INTR`).
    async fn run(
        &mut self,
        batch: &mut Batch,
        answer: &mut impl FnMut(usize, Reply<'_>),
    ) -> Result<bool, RouteError> {
        let first = self.next_sequence;
        let count = u32::try_from(batch.len()).unwrap_or(u32::MAX);
        self.next_sequence = first.wrapping_add(count);
        self.socket.send(batch.numbered(first)).await.map_err(RouteError::Socket)?;
        let mut reading = Reading { batch, first, consistent: true, answer };
        let socket = self.socket.as_raw_fd();
        loop {
            // As a rule the kernel has answered all of it while the send was running. It makes the parts of a dump
            // one by one.
            let is_burst =
                !batch.is_dump() && self.burst.take(socket).map_err(RouteError::Socket)?;
            let is_over = if is_burst {
                self.burst.datagrams().any(|datagram| reading.is_over_with(datagram))
            } else {
                self.buffer.clear();
                let received = timeout(PATIENCE, self.socket.recv(&mut self.buffer)).await;
                received.map_err(|_| RouteError::Silent)?.map_err(RouteError::Socket)?;
                reading.is_over_with(&self.buffer)
            };
            if is_over {
                return Ok(reading.consistent);
            }
        }
    }
}

/// An exchange whose answers are being read.
struct Reading<'a, F> {
    batch: &'a Batch,
    /// The number of its first message.
    first: u32,
    /// No part of a dump said that it changed meanwhile.
    consistent: bool,
    answer: &'a mut F,
}

impl<F: FnMut(usize, Reply<'_>)> Reading<'_, F> {
    /// Hands on the answers in a datagram. Gives whether the last one was among them.
    fn is_over_with(&mut self, datagram: &[u8]) -> bool {
        for message in messages(datagram) {
            let place = message.sequence_number().wrapping_sub(self.first) as usize;
            if place >= self.batch.len() {
                // Left over from an exchange that was given up.
                continue;
            }
            self.consistent &= message.flags() & NLM_F_DUMP_INTR == 0;
            let reply = match message.message_type() {
                NLMSG_ERROR | NLMSG_DONE => match Refusal::read(message.payload()) {
                    Some(refusal) => Reply::Refused(refusal),
                    None => Reply::Done,
                },
                kind => Reply::Object(kind, message.payload()),
            };
            let is_last = place == self.batch.last();
            let is_over = match &reply {
                Reply::Done => is_last,
                Reply::Refused(_) => is_last || (self.batch.is_transaction() && place == 0),
                Reply::Object(..) => false,
            };
            (self.answer)(place, reply);
            if is_over {
                return true;
            }
        }
        false
    }
}

impl std::fmt::Debug for Channel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Channel").field("port", &self.port).finish_non_exhaustive()
    }
}

/// The messages of one datagram; ends at the first that is malformed.
pub(crate) fn messages(datagram: &[u8]) -> impl Iterator<Item = NetlinkBuffer<&[u8]>> {
    let mut rest = datagram;
    std::iter::from_fn(move || {
        let message = NetlinkBuffer::new_checked(rest).ok()?;
        let length = (message.length() as usize).next_multiple_of(4);
        rest = rest.get(length..).unwrap_or_default();
        Some(message)
    })
}
