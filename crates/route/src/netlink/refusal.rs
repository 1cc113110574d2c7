//! Why the kernel refused a request.

use std::fmt;

use netlink_packet_core::NlasIterator;
use nix::errno::Errno;

/// `NLMSGERR_ATTR_MSG`: the kernel's own words.
const ATTRIBUTE_MESSAGE: u16 = 1;
/// `struct nlmsgerr` with `NETLINK_CAP_ACK`: the error and the header of the request, in bytes.
const CAPPED_LENGTH: usize = 4 + 16;

/// A negative answer: the error number and, where the kernel gives one, its explanation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) errno: Errno,
    /// What exactly was wrong with the request. The kernel gives none where the request was in order
    /// and the answer is no.
    pub(crate) explanation: Option<String>,
}

impl Refusal {
    /// Reads the payload of an `NLMSG_ERROR` or `NLMSG_DONE`; `None` is an ACK.
    pub(crate) fn read(payload: &[u8]) -> Option<Self> {
        let code = payload.first_chunk().map_or(0, |code| i32::from_ne_bytes(*code));
        if code == 0 {
            return None;
        }
        let attributes = payload.get(CAPPED_LENGTH..).unwrap_or_default();
        let explanation = NlasIterator::new(attributes)
            .filter_map(Result::ok)
            .find(|attribute| attribute.kind() == ATTRIBUTE_MESSAGE)
            .map(|attribute| {
                String::from_utf8_lossy(attribute.value()).trim_end_matches('\0').to_owned()
            });
        Some(Self { errno: Errno::from_raw(code.saturating_neg()), explanation })
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.errno.desc())?;
        match &self.explanation {
            Some(explanation) => write!(f, " ({explanation})"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
