//! Events: headers in order, values percent-decoded when they are read, a body.

mod headers;
mod json;

use std::fmt;

use bytes::Bytes;

pub(crate) use self::headers::split_line;
pub use self::headers::{Header, Headers};
use crate::{
    CoreUuid,
    content_type::ContentType,
    cut::Cut,
    text::{Text, excerpt},
};

/// One event, plain or JSON behind the same interface.
///
/// A plain event is a view into the received bytes: nothing is copied, a header is found and decoded
/// on access. A JSON event is rewritten once, on arrival, into the plain form. Cloning shares
/// the bytes. An event keeps the read buffer it came with alive; see [`Frame`](crate::Frame).
///
/// ```
/// use sipward_esl::Event;
///
/// let event = Event::from_plain("Event-Name: CUSTOM\nuser-agent: friendly%20scanner\n\n");
/// assert_eq!(event.header("User-Agent").unwrap(), "friendly scanner");
/// assert_eq!(event.header("network-ip"), None);
/// ```
#[derive(Clone)]
pub struct Event {
    bytes: Bytes,
    /// Where the event starts in `bytes`, behind the frame's head.
    start: usize,
    cut: Option<Box<Cut>>,
}

/// Why a frame gave no event.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EventError {
    /// The frame holds something else.
    #[error("a frame of type {0:?} is no event")]
    NotAnEvent(ContentType),
    /// The body of a `text/event-json` frame is no JSON object of strings.
    #[error("the JSON event cannot be read: {0}")]
    Json(String),
}

impl Event {
    /// An event from the body of a `text/event-plain` frame: `Name: value` lines, a blank line, perhaps
    /// a body.
    #[must_use]
    pub fn from_plain(body: impl Into<Bytes>) -> Self {
        Self::new(body.into(), 0, None)
    }

    /// The headers in order, duplicates included.
    #[must_use]
    pub fn headers(&self) -> Headers<'_> {
        Headers::new(self.as_bytes())
    }

    /// The first header of this name (any letter case), decoded. A value that FreeSWITCH had nothing to
    /// say for reads `_undef_`.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<Text<'_>> {
        self.raw_header(name).map(Text::decode)
    }

    /// The first header of this name (any letter case), percent-encoded as it came.
    #[must_use]
    pub fn raw_header(&self, name: &str) -> Option<&[u8]> {
        self.headers().find(|header| header.is(name)).map(|header| header.raw_value())
    }

    /// `Event-Name`, for example `CUSTOM` or `HEARTBEAT`.
    #[must_use]
    pub fn name(&self) -> Option<Text<'_>> {
        self.header("Event-Name")
    }

    /// `Event-Subclass` of a `CUSTOM` event, for example `sofia::register_failure`.
    #[must_use]
    pub fn subclass(&self) -> Option<Text<'_>> {
        self.header("Event-Subclass")
    }

    /// `Core-UUID`: which run of FreeSWITCH sent it. `None` when missing or malformed.
    #[must_use]
    pub fn core_uuid(&self) -> Option<CoreUuid> {
        CoreUuid::parse(self.header("Core-UUID")?.as_bytes())
    }

    /// The event's own body (of a `sendevent`, a `BACKGROUND_JOB`, a message), never encoded. As long as
    /// the event's `Content-Length` says, or shorter when less came; empty without one.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        let mut headers = self.headers();
        let mut length = None;
        for header in &mut headers {
            if length.is_none() && header.is("Content-Length") {
                length = header.value().to_str().and_then(|text| text.parse::<usize>().ok());
            }
        }
        let rest = headers.behind_blank_line();
        length.map_or(&[], |length| rest.get(..length).unwrap_or(rest))
    }

    /// What was cut because the event was over [`Limits::max_body`](crate::Limits::max_body).
    #[must_use]
    pub fn truncated(&self) -> Option<&Cut> {
        self.cut.as_deref()
    }

    /// The event in plain form, headers and body.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(self.start..).unwrap_or_default()
    }

    /// A copy of its own, which keeps no read buffer alive.
    #[must_use]
    pub fn detached(&self) -> Self {
        Self::new(Bytes::copy_from_slice(self.as_bytes()), 0, self.cut.clone())
    }

    pub(crate) const fn new(bytes: Bytes, start: usize, cut: Option<Box<Cut>>) -> Self {
        Self { bytes, start, cut }
    }

    /// Rewrites the body of a `text/event-json` frame.
    pub(crate) fn from_json(body: &[u8], cut: Option<Box<Cut>>) -> Result<Self, EventError> {
        let plain = json::to_plain(body).map_err(|error| EventError::Json(error.to_string()))?;
        Ok(Self::new(plain, 0, cut))
    }
}

/// Two events are equal when their content is equal, wherever their bytes lie.
impl PartialEq for Event {
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes() == other.as_bytes() && self.cut == other.cut
    }
}

impl Eq for Event {}

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        /// Bytes of the event that a debug line shows.
        const SHOWN: usize = 400;
        f.debug_struct("Event")
            .field("plain", &excerpt(self.as_bytes(), SHOWN))
            .field("cut", &self.cut)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
