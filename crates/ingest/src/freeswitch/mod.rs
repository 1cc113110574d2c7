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
//! | [`event_socket_conf`] | the file `event_socket.conf.xml`, for `sipward setup` |
//! | [`uri`] | SIP URIs of gateways and profiles |

pub mod access_lists;
pub mod event_socket_conf;
pub mod gateways;
pub mod profiles;
pub mod registrations;
pub mod sofia_conf;
pub mod uri;
mod xml;

/// Bytes of one SIP URI, domain or name that is kept. FreeSWITCH's own buffers are no larger.
const MAX_TEXT: usize = 512;

/// The beginning of an answer that is not what was asked for, for a message. Never for an answer that holds
/// passwords.
fn beginning(text: &str) -> String {
    let line = text.trim_start().lines().next().unwrap_or_default();
    sipward_model::text::Plain(&line.chars().take(100).collect::<String>()).to_string()
}
