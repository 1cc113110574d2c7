//! What a limit took away.

/// What was cut from a frame whose body was over [`Limits::max_body`](crate::Limits::max_body).
///
/// A sender of megabytes chooses this (FreeSWITCH passes a User-Agent of 1.9 MB on), so it marks the
/// event as suspicious rather than damaged: the headers themselves are all there, up to
/// [`Limits::max_headers`](crate::Limits::max_headers).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Cut {
    /// Length of the whole body in bytes, as announced and received.
    pub original_len: u64,
    /// The header values that were shortened, in order.
    pub values: Vec<CutValue>,
    /// Headers left out because there were more than the limit.
    pub headers_dropped: u64,
    /// Bytes left out at the end of the body, or of the body inside an event.
    pub body_dropped: u64,
}

/// One header value that was shortened.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CutValue {
    /// The header's name, at most 128 bytes of it.
    pub name: Box<[u8]>,
    /// Length of the whole raw (percent-encoded) value in bytes.
    pub original_len: u64,
}

impl Cut {
    /// Was the value of this header (any letter case) shortened?
    #[must_use]
    pub fn shortened(&self, name: &str) -> bool {
        self.values.iter().any(|value| value.name.eq_ignore_ascii_case(name.as_bytes()))
    }

    pub(crate) fn is_anything_missing(&self) -> bool {
        !self.values.is_empty() || self.headers_dropped > 0 || self.body_dropped > 0
    }
}
