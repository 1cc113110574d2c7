//! SIP as far as floods and phones need it: requests that are sent, and the senders themselves, over real
//! sockets of a [`Host`](crate::netns::Host).
//!
//! | module | holds |
//! |---|---|
//! | `text` | requests as text, header fields of a message, the digest that stands in for MD5 |
//! | `socket` | one UDP socket that sends from any number of addresses |
//! | `phone` | [`Phone`]: registers several times a second and loses count of none |
//! | `crowd` | [`Crowd`]: phones that register at once, with the retransmissions of RFC 3261 |
//! | `flood` | [`Flood`]: requests at a rate, from any number of sources |
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::missing_panics_doc,
    reason = "what a test harness cannot do is a failed test"
)]

mod crowd;
mod flood;
mod phone;
mod socket;
mod text;

pub use self::crowd::{Crowd, Registered};
pub use self::flood::{Flood, Flooding, Kind};
pub use self::phone::{Calling, Heard, Phone};
pub(crate) use self::text::quoted;
pub use self::text::{digest, header, password_of};
