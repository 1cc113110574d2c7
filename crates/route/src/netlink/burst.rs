//! Many datagrams from one system call.

use std::io::{self, IoSliceMut};
use std::os::fd::RawFd;

use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, MultiHeaders, recvmmsg};

/// Datagrams taken at once.
const DATAGRAMS: usize = 32;
/// Bytes of each at most: the kernel builds single answers and notifications in a page, or in 8 KiB where pages are
/// larger. Parts of a dump are larger and must not be read like this.
const LARGEST: usize = 8 * 1024;

/// The datagrams that were waiting at a socket.
pub(crate) struct Burst {
    bytes: Vec<u8>,
    lengths: Vec<usize>,
}

impl Burst {
    pub(crate) fn new() -> Self {
        Self { bytes: vec![0; DATAGRAMS * LARGEST], lengths: Vec::with_capacity(DATAGRAMS) }
    }

    /// Takes what waits at a socket, without waiting itself. Gives whether anything did.
    ///
    /// # Errors
    /// When the socket fails.
    pub(crate) fn take(&mut self, socket: RawFd) -> io::Result<bool> {
        self.lengths.clear();
        let slots = self.bytes.chunks_exact_mut(LARGEST);
        let mut slots: Vec<_> = slots.map(|slot| [IoSliceMut::new(slot)]).collect();
        let mut headers = MultiHeaders::<()>::preallocate(DATAGRAMS, None);
        match recvmmsg(socket, &mut headers, slots.iter_mut(), MsgFlags::MSG_DONTWAIT, None) {
            Ok(received) => self.lengths.extend(received.map(|datagram| datagram.bytes)),
            Err(Errno::EAGAIN) => {}
            Err(error) => return Err(error.into()),
        }
        Ok(!self.lengths.is_empty())
    }

    /// What was taken last.
    pub(crate) fn datagrams(&self) -> impl Iterator<Item = &[u8]> {
        let slots = self.bytes.chunks_exact(LARGEST).zip(&self.lengths);
        slots.filter_map(|(slot, length)| slot.get(..*length))
    }
}

#[cfg(test)]
mod tests;
