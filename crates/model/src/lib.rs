//! What all parts of the daemon share: records of events, wire types, text, clock.
//!
//! | module | holds |
//! |---|---|
//! | [`record`] | every event that the daemon reports: one enum, one table of levels, alarms and mail |
//! | [`wire`] | types of the control API, alarm kinds, scopes, allow entries |
//! | [`text`] | text from the network, bounded and escaped; times and spans as people read them |
//! | [`clock`] | steady and wall time, steps of the system's clock |
//! | [`expiring`] | a bounded map whose entries expire |
//! | [`backoff`] | pauses between attempts that fail |
//! | [`rights`] | capabilities, and which threads have them |
//!
//! It knows no task, no file, no socket and no HTTP: every other crate of the program may use it.

#![allow(
    missing_docs,
    clippy::missing_errors_doc,
    clippy::missing_panics_doc,
    clippy::must_use_candidate,
    clippy::new_without_default,
    clippy::return_self_not_must_use,
    reason = "a part of the program, not a library for others"
)]

pub mod backoff;
pub mod clock;
pub mod expiring;
pub mod record;
pub mod rights;
pub mod text;
pub mod wire;
