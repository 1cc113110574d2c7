//! From FreeSWITCH to the engine.
//!
//! | module | holds |
//! |---|---|
//! | [`bridge`] | Event Socket events → engine inputs: the only place that knows both vocabularies |
//! | [`log_parser`] | log lines that accuse an address, read so that no name in them can forge one |
//! | [`freeswitch`] | FreeSWITCH's answers to questions about itself: gateways, access lists, profiles, registrations |
//!
//! Everything here is pure and bounded: bytes in, values out. It opens no connection and decides nothing.

#![allow(
    missing_docs,
    clippy::missing_errors_doc,
    clippy::missing_panics_doc,
    clippy::must_use_candidate,
    clippy::new_without_default,
    clippy::return_self_not_must_use,
    reason = "a part of the program, not a library for others"
)]

pub mod bridge;
pub mod freeswitch;
pub mod log_parser;
