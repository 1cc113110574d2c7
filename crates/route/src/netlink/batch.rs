//! Requests that travel in one send.

use netlink_packet_core::{
    Emitable, NLM_F_ACK, NLM_F_DUMP, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload,
};
use netlink_packet_route::RouteNetlinkMessage;

/// Length of `struct nlmsghdr` in bytes.
const HEADER: usize = 16;

/// Requests to the kernel, laid end to end. The kernel answers each by its place in the batch.
///
/// The kernel works through a batch in order before the send returns, so an answer to a message means
/// that everything before it is done. Only errors are reported for messages without
/// [`asking for an ACK`](Self::ask_last); that halves the datagrams to read.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    bytes: Vec<u8>,
    /// Offset of each message in `bytes`.
    offsets: Vec<usize>,
    /// The message whose answer ends the exchange.
    last: usize,
    transaction: bool,
}

impl Batch {
    /// Appends an rtnetlink request; returns its place.
    pub(crate) fn route(&mut self, flags: u16, message: RouteNetlinkMessage) -> usize {
        let mut header = NetlinkHeader::default();
        header.flags = NLM_F_REQUEST | flags;
        let mut message = NetlinkMessage::new(header, NetlinkPayload::from(message));
        message.finalize();
        let start = self.bytes.len();
        self.bytes.resize(start + message.buffer_len().next_multiple_of(4), 0);
        if let Some(room) = self.bytes.get_mut(start..) {
            message.emit(room);
        }
        self.place(start)
    }

    /// Appends a request whose payload the caller has encoded; returns its place.
    pub(crate) fn raw(&mut self, kind: u16, flags: u16, payload: &[u8]) -> usize {
        self.write(kind, flags, |bytes| bytes.extend_from_slice(payload))
    }

    /// Appends a request whose payload `write` appends to the bytes; returns its place.
    pub(crate) fn write(
        &mut self,
        kind: u16,
        flags: u16,
        write: impl FnOnce(&mut Vec<u8>),
    ) -> usize {
        let start = self.bytes.len();
        self.bytes.resize(start + HEADER, 0);
        write(&mut self.bytes);
        let length = self.bytes.len() - start;
        self.bytes.resize(start + length.next_multiple_of(4), 0);
        let mut header = NetlinkHeader::default();
        // A payload is a few hundred bytes, far below the field's range.
        header.length = u32::try_from(length).unwrap_or(u32::MAX);
        header.message_type = kind;
        header.flags = NLM_F_REQUEST | flags;
        if let Some(room) = self.bytes.get_mut(start..start + HEADER) {
            header.emit(room);
        }
        self.place(start)
    }

    /// Makes the last message the one whose answer ends the exchange.
    pub(crate) fn ask_last(&mut self) {
        self.last = self.offsets.len().saturating_sub(1);
        if let Some(field) =
            self.offsets.last().and_then(|start| flags_field(&mut self.bytes, *start))
        {
            let flags = u16::from_ne_bytes(*field);
            // A dump ends by itself.
            let answered = if flags & NLM_F_DUMP == NLM_F_DUMP { flags } else { flags | NLM_F_ACK };
            *field = answered.to_ne_bytes();
        }
    }

    /// Makes this batch a transaction of netfilter: a refusal of its first message is the refusal of
    /// all, and no other answer comes.
    pub(crate) fn mark_transaction(&mut self) {
        self.transaction = true;
    }

    pub(crate) fn is_transaction(&self) -> bool {
        self.transaction
    }

    /// Whether the answer that ends the exchange is that of a dump, which comes in parts of up to 32 KiB.
    pub(crate) fn is_dump(&self) -> bool {
        let start = self.offsets.get(self.last);
        let field = start.and_then(|start| self.bytes.get(start + 6..)?.first_chunk());
        field.is_some_and(|flags| u16::from_ne_bytes(*flags) & NLM_F_DUMP == NLM_F_DUMP)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.offsets.is_empty()
    }

    /// Number of messages.
    pub(crate) fn len(&self) -> usize {
        self.offsets.len()
    }

    /// The place of the message whose answer ends the exchange.
    pub(crate) fn last(&self) -> usize {
        self.last
    }

    /// The bytes to send, numbered from `first` on.
    pub(crate) fn numbered(&mut self, first: u32) -> &[u8] {
        let mut sequence = first;
        for start in &self.offsets {
            if let Some(field) = sequence_field(&mut self.bytes, *start) {
                *field = sequence.to_ne_bytes();
            }
            sequence = sequence.wrapping_add(1);
        }
        &self.bytes
    }

    fn place(&mut self, start: usize) -> usize {
        self.offsets.push(start);
        self.offsets.len() - 1
    }
}

/// `nlmsg_flags` of the message at `start`.
fn flags_field(bytes: &mut [u8], start: usize) -> Option<&mut [u8; 2]> {
    bytes.get_mut(start + 6..)?.first_chunk_mut()
}

/// `nlmsg_seq` of the message at `start`.
fn sequence_field(bytes: &mut [u8], start: usize) -> Option<&mut [u8; 4]> {
    bytes.get_mut(start + 8..)?.first_chunk_mut()
}
