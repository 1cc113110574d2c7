//! Who is banned, and for how long: a pure state machine.
//!
//! No clock, no tokio, no IO. Time is a [`Timestamp`] handed in, randomness a seed handed in, so a
//! recorded attack replays to the same bans on every machine.

mod action;
mod input;
mod policy;
mod time;

pub use action::*;
pub use input::*;
pub use policy::*;
pub use time::*;
