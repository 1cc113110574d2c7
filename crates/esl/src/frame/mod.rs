//! Frames: what the Event Socket sends, one head of `Name: value` lines and a body each.
//!
//! | file | holds |
//! |---|---|
//! | `decoder` | [`FrameDecoder`]: bytes in, frames out, nothing copied |
//! | `envelope` | the head's grammar (nom) |
//! | `compact` | bodies over the limit, cut value by value while they stream in |

mod compact;
mod decoder;
mod envelope;

use std::{borrow::Cow, fmt};

use bytes::Bytes;

#[cfg(feature = "tokio")]
pub(crate) use self::decoder::Streaming;
pub use self::decoder::{FrameDecoder, FrameError};
pub use crate::{
    content_type::ContentType,
    cut::{Cut, CutValue},
};
use crate::{
    event::{Event, EventError, Headers},
    percent,
    text::excerpt,
};

/// One frame: a view into the received bytes. Cloning shares them.
///
/// A frame keeps the read buffer it came with alive (64 KiB, in a flood 512, shared with its neighbours); copy out what
/// is to be kept for long.
#[derive(Clone, PartialEq, Eq)]
pub struct Frame {
    content_type: ContentType,
    /// Head, blank line and body.
    bytes: Bytes,
    /// Where the body starts.
    body: usize,
    cut: Option<Box<Cut>>,
}

impl Frame {
    /// What kind of frame this is.
    #[must_use]
    pub const fn content_type(&self) -> ContentType {
        self.content_type
    }

    /// The envelope headers in order, not those of an event inside.
    #[must_use]
    pub fn headers(&self) -> Headers<'_> {
        Headers::new(self.bytes.get(..self.body).unwrap_or_default())
    }

    /// The first envelope header of this name (any letter case), as it came.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&[u8]> {
        self.headers().find(|header| header.is(name)).map(|header| header.raw_value())
    }

    /// The body as it came; empty when the frame has none.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        self.bytes.get(self.body..).unwrap_or_default()
    }

    /// `Reply-Text`, percent-decoded (outbound replies are encoded); FreeSWITCH cuts it at 511 bytes.
    #[must_use]
    pub fn reply_text(&self) -> Option<Cow<'_, [u8]>> {
        self.header("Reply-Text").map(percent::decode)
    }

    /// What was cut because the body was over [`Limits::max_body`](crate::Limits::max_body).
    #[must_use]
    pub fn cut(&self) -> Option<&Cut> {
        self.cut.as_deref()
    }

    /// Head and body together, as they came.
    #[must_use]
    pub const fn as_bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// The event inside a `text/event-plain` or `text/event-json` frame.
    ///
    /// # Errors
    /// [`EventError::NotAnEvent`] for every other kind of frame (`text/event-xml` is handed on raw),
    /// [`EventError::Json`] for a JSON body that is no object of strings.
    pub fn into_event(self) -> Result<Event, EventError> {
        self.try_into_event().map_err(|(error, _)| error)
    }

    /// [`into_event`](Self::into_event), with the frame back when it holds none.
    pub(crate) fn try_into_event(self) -> Result<Event, (EventError, Self)> {
        match self.content_type {
            ContentType::EventPlain => Ok(Event::new(self.bytes, self.body, self.cut)),
            ContentType::EventJson => {
                Event::from_json(self.body(), self.cut.clone()).map_err(|error| (error, self))
            }
            ContentType::AuthRequest
            | ContentType::CommandReply
            | ContentType::ApiResponse
            | ContentType::EventXml
            | ContentType::LogData
            | ContentType::DisconnectNotice
            | ContentType::RudeRejection
            | ContentType::Other => Err((EventError::NotAnEvent(self.content_type), self)),
        }
    }

    /// `bytes` is head and body, `body` the place where the body starts.
    fn new(content_type: ContentType, bytes: Bytes, body: usize, cut: Option<Box<Cut>>) -> Self {
        Self { content_type, bytes, body, cut }
    }
}

impl fmt::Debug for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        /// Bytes of the frame that a debug line shows.
        const SHOWN: usize = 200;
        f.debug_struct("Frame")
            .field("content_type", &self.content_type)
            .field("bytes", &excerpt(&self.bytes, SHOWN))
            .field("cut", &self.cut)
            .finish_non_exhaustive()
    }
}
