//! What FreeSWITCH answers to questions about itself, read.
//!
//! Answers may be of any size, and may hold what strangers wrote. Every list here is bounded and says how much
//! it left out.
//!
//! | module | reads |
//! |---|---|
//! | [`gateways`] | `sofia xmlstatus gateway` |
//! | [`sofia_conf`] | `xml_locate … sofia.conf`: a few attributes of it, because it holds passwords |
//! | [`profiles`] | `sofia xmlstatus` and `sofia xmlstatus profile NAME` |
//! | [`access_lists`] | `xml_locate … acl.conf` |
//! | [`registrations`] | `show registrations as json`, row by row |
//! | [`uri`] | SIP URIs of gateways and profiles |

pub(crate) mod access_lists;
pub(crate) mod gateways;
pub(crate) mod profiles;
pub(crate) mod registrations;
pub(crate) mod sofia_conf;
pub(crate) mod uri;
mod xml;

/// Bytes of one SIP URI, domain or name that is kept. FreeSWITCH's own buffers are no larger.
const MAX_TEXT: usize = 512;

/// The beginning of an answer that is not what was asked for, for a message. Never for an answer that holds
/// passwords.
fn beginning(text: &str) -> String {
    let line = text.trim_start().lines().next().unwrap_or_default();
    crate::text::Plain(&line.chars().take(100).collect::<String>()).to_string()
}
