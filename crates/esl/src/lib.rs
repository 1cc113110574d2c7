//! FreeSWITCH's Event Socket: frames, events, the records of `mod_sofia`, and a client that stays
//! connected.
//!
//! | module | holds | knows of IO |
//! |---|---|---|
//! | [`frame`] | [`FrameDecoder`]: bytes → [`Frame`]s, nothing copied; [`Limits`] that hide nothing | no |
//! | [`event`] | [`Event`]: headers in order, decoded when read; plain and JSON alike | no |
//! | [`sofia`] | [`sofia::parse`]: typed records that borrow from the event | no |
//! | [`command`] | [`Command`], [`Subscription`], [`Password`]: injection-proof | no |
//! | [`client`] | [`Connection`](client::Connection): connect, authenticate, subscribe, ask | tokio |
//! | [`session`](mod@session) | [`Session`]: reconnects for ever and tells what it missed | tokio |
//!
//! Bytes take one way through: `BytesMut` → [`FrameDecoder`] → [`Frame`] → [`Event`] (or [`LogLine`]) →
//! [`SofiaEvent`]. A [`Session`] does the first steps and hands [`Notice`]s to its consumer.
//!
//! ```no_run
//! use sipward_esl::{Notice, Password, SessionConfig, session, sofia};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let config = SessionConfig::new("127.0.0.1", Password::new("ClueCon")?);
//! let (session, _handle, mut notices) = session(config);
//! tokio::spawn(session.run());
//! while let Some(notice) = notices.recv().await {
//!     if let Notice::Event { event, .. } = notice {
//!         println!("{:?}", sofia::parse(&event)?);
//!     }
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # Hostile input
//!
//! User names, agents, domains, call ids and UDP source addresses are chosen by anyone who sends SIP to
//! FreeSWITCH. Everything here is bounded by a named constant or a field of [`Limits`] or
//! [`SessionConfig`]; nothing is allocated by an announced length; [`Text`] and every error are safe to
//! log.

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
pub mod session;
pub mod sofia;
mod text;
mod uuid;

pub use self::{
    client::ClientError,
    command::{Command, Format, InvalidCommand, LogLevel, Message, Password, Subscription},
    event::{Event, EventError},
    frame::{ContentType, Frame, FrameDecoder, FrameError},
    limits::{Limits, MAX_BODY, MAX_HEAD, MAX_HEADERS, MAX_REPLY, MAX_VALUE},
    log_line::{LogLine, LogLineError},
    session::{
        Backoff, CommandError, Notice, Notices, Session, SessionConfig, SessionHandle, session,
    },
    sofia::SofiaEvent,
    text::Text,
    uuid::{CoreUuid, JobUuid},
};

/// The README's code is compiled and run with the tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
