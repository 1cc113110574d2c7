//! What a fake FreeSWITCH goes by.

use std::collections::BTreeMap;
use std::time::Duration;

use super::Recording;

/// How a connection is met.
#[derive(Clone, Debug, Default)]
pub enum Greeting {
    /// `auth/request`, then the handshake of a real one.
    #[default]
    Handshake,
    /// Refused by the ACL of the Event Socket: `text/rude-rejection`, then closed.
    RudeRejection,
    /// Accepted, then not a word.
    Silence,
    /// The stream of a recording from its first byte, whatever the client says: every recorded
    /// answer waits for one command of the client. Then as after a handshake.
    Recording(Recording),
}

/// In what pieces bytes go out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Delivery {
    /// A frame in one write.
    #[default]
    Whole,
    /// Every byte in a write, and with Nagle's algorithm off mostly a segment, of its own.
    ByteByByte,
}

/// What the server looks up at each connection.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub(super) password: String,
    pub(super) user: Option<String>,
    pub(super) greeting: Greeting,
    pub(super) delivery: Delivery,
    pub(super) heartbeat: Duration,
    pub(super) answers: BTreeMap<String, String>,
}
