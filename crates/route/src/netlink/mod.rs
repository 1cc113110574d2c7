//! Raw netlink: many requests in one send, their answers matched by sequence number.
//!
//! `rtnetlink`'s own handle waits for every request in turn; a burst of bans would be as many round
//! trips. Its message types and builders are used for what is sent.

mod batch;
mod burst;
mod channel;
mod refusal;

pub(crate) use self::batch::Batch;
pub(crate) use self::channel::{Channel, Dump, LARGEST_DATAGRAM, Reply, messages};
pub(crate) use self::refusal::Refusal;
