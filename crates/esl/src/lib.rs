//! FreeSWITCH's Event Socket: frames, events, the records of `mod_sofia`, and a client that stays
//! connected.
//!
//! | module | holds | feature |
//! |---|---|---|
//! | [`frame`] | [`FrameDecoder`]: bytes → [`Frame`]s, nothing copied; [`Limits`] that hide nothing | |
//! | [`event`] | [`Event`]: headers in order, decoded when read; plain and JSON alike | |
//! | [`sofia`] | [`sofia::parse`]: typed records that borrow from the event | |
//! | [`command`] | [`Command`], [`Subscription`], [`Password`]: injection-proof | |
//! | [`client`] | [`Connection`](client::Connection): connect, authenticate, subscribe, ask | `tokio` |
//! | [`session`](mod@session) | [`Session`]: reconnects for ever and reports what it missed | `tokio` |
//!
//! Bytes take one way through: `BytesMut` → [`FrameDecoder`] → [`Frame`] → [`Event`] (or [`LogLine`]) →
//! [`SofiaEvent`]. A [`Session`] does the first steps and hands [`Notice`]s to its consumer;
//! [`session()`](session()) shows how. Without the default feature `tokio` the crate is the parser alone: no sockets,
//! no runtime, no clock.
//!
//! # Hostile input
//!
//! User names, agents, domains, call ids and UDP source addresses are chosen by anyone who sends SIP to
//! FreeSWITCH. Everything here is bounded by a named constant or a field of [`Limits`] or
//! [`SessionConfig`]; nothing is allocated by an announced length; [`Text`] and every error are safe to
//! log.
//!
//! # Stability
//!
//! Semantic versioning covers everything that this documentation shows. Before 1.0 a breaking change raises the minor
//! version, and the changelog names it.
//!
//! * `#[non_exhaustive]` means that any version may add to the item: fields to a struct, variants to an enum. Take a
//!   configuration from its constructor or default and assign its fields; match structs with `..` and enums with a
//!   wildcard arm. Enums without the attribute are complete.
//! * Not covered: the texts of errors and of `Debug`, the default values of limits and time-outs, and which headers
//!   FreeSWITCH sends.
//! * `bytes` and, with the feature `tokio`, `tokio` and `tokio-util` are part of the public API: a new
//!   major version of them is a breaking change.
//! * The minimum supported Rust version is 1.85, the one of Debian 13. A newer one raises the minor version.

#![cfg_attr(not(feature = "tokio"), allow(dead_code, reason = "used by the client"))]

#[cfg(feature = "tokio")]
pub mod client;
pub mod command;
mod content_type;
mod cut;
pub mod event;
pub mod frame;
mod limits;
mod log_line;
pub mod percent;
mod scan;
#[cfg(feature = "tokio")]
pub mod session;
pub mod sofia;
mod text;
mod uuid;

#[cfg(feature = "tokio")]
pub use self::{
    client::ClientError,
    session::{
        Backoff, CommandError, Notice, Notices, Session, SessionConfig, SessionHandle, session,
    },
};
pub use self::{
    command::{Command, Format, InvalidCommand, LogLevel, Message, Password, Subscription},
    event::{Event, EventError},
    frame::{ContentType, Frame, FrameDecoder, FrameError},
    limits::{Limits, MAX_BODY, MAX_HEAD, MAX_HEADERS, MAX_REPLY, MAX_VALUE},
    log_line::{LogLine, LogLineError},
    sofia::SofiaEvent,
    text::Text,
    uuid::{CoreUuid, JobUuid},
};

/// The README's code is compiled and run with the tests.
#[cfg(all(doctest, feature = "tokio"))]
#[doc = include_str!("../README.md")]
struct Readme;
