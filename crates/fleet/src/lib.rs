//! A fleet of sipward nodes: what they tell each other over NATS JetStream.
//!
//! Knows no engine: it carries messages and says which of two counts. What is banned because of one decides who
//! owns the other end of the channel.
//!
//! | module | holds |
//! |---|---|
//! | `name`, `net`, `text` | names of sites and nodes; networks in subjects; text that others chose |
//! | [`message`] | what is said: subjects and JSON values, read with bounds |
//! | `refusal` | why a message is refused |
//! | [`merge`] | which of several messages count: pure |

pub mod merge;
pub mod message;
mod name;
mod net;
mod refusal;
mod text;

pub use name::{MAX_NAME, Name, NameError, OPERATORS, Peer};
pub use refusal::Refusal;
pub use text::Text;
