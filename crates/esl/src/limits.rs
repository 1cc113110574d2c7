//! How much of the peer's bytes is kept.

/// Default of [`Limits::max_head`] in bytes: the head of an outbound `connect` reply carries all
/// channel variables, a few kilobytes on a busy dialplan. Every other head is under 1 KiB.
pub const MAX_HEAD: usize = 64 * 1024;

/// Default of [`Limits::max_body`] in bytes: the largest event of an honest phone is about 1 KiB.
/// Senders choose header values of megabytes.
pub const MAX_BODY: usize = 256 * 1024;

/// Default of [`Limits::max_reply`] in bytes: `show registrations as json` of some 60,000 phones.
pub const MAX_REPLY: usize = 16 * 1024 * 1024;

/// Default of [`Limits::max_value`] in bytes: beyond any honest SIP header, percent-encoded.
pub const MAX_VALUE: usize = 4 * 1024;

/// Default of [`Limits::max_headers`]: channel events carry up to a few hundred.
pub const MAX_HEADERS: usize = 1024;

/// Bounds on what one frame may occupy in memory. They never hide an event: what is over
/// [`max_body`](Self::max_body) is cut value by value and marked (see [`Cut`](crate::frame::Cut)).
///
/// ```
/// let mut limits = sipward_esl::Limits::new();
/// limits.max_body = 64 * 1024;
/// ```
///
/// Nothing is ever allocated by a length that the peer announced; memory follows bytes that arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Longest head (envelope headers up to the blank line) in bytes, 256 or more. A longer one is an
    /// error that ends the connection: where the frame ends would be guesswork.
    pub max_head: usize,
    /// Longest body in bytes of an event or a log line that is handed on as it came. A longer one is cut
    /// while it streams in.
    pub max_body: usize,
    /// Longest answer to a command in bytes: the body of `api/response`, and the body inside an event
    /// (a `BACKGROUND_JOB` answers `bgapi`). What is longer loses its end.
    pub max_reply: usize,
    /// Bytes of one header value kept in an event that is over `max_body`.
    pub max_value: usize,
    /// Headers kept in an event that is over `max_body`.
    pub max_headers: usize,
}

impl Limits {
    /// The defaults.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            max_head: MAX_HEAD,
            max_body: MAX_BODY,
            max_reply: MAX_REPLY,
            max_value: MAX_VALUE,
            max_headers: MAX_HEADERS,
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self::new()
    }
}
