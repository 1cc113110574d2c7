#![doc = include_str!("../README.md")]

pub mod client;
pub mod command;
pub mod event;
pub mod frame;
mod limits;
mod log_line;
pub mod percent;
pub mod session;
pub mod sofia;
mod text;
mod uuid;

pub use self::{
    client::ClientError,
    command::{Command, Format, LogLevel, Message, Password, Subscription},
    event::{Event, EventError},
    frame::{ContentType, Frame, FrameDecoder, FrameError},
    limits::{Limits, MAX_BODY, MAX_HEAD, MAX_HEADERS, MAX_REPLY, MAX_VALUE},
    log_line::{LogLine, LogLineError},
    session::{Backoff, Notice, Notices, Session, SessionConfig, SessionHandle, session},
    sofia::SofiaEvent,
    text::Text,
    uuid::{CoreUuid, JobUuid},
};
