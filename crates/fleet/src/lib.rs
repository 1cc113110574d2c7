//! A fleet of sipward nodes: what they tell each other over NATS JetStream.
//!
//! Knows no engine: it carries messages and says which of two counts. What is banned because of one is decided at the
//! other end of the channel.
//!
//! Everything comes on two paths. A plain subscription brings it at once and goes on while the stream has no leader,
//! but may lose something. A consumer of the stream brings everything. Both lead into one function, which merges: so it
//! does not matter which path is first, or what comes twice.
//!
//! | module | holds |
//! |---|---|
//! | `name`, `net`, `text` | names of sites and nodes; networks in subjects; text that others chose |
//! | [`message`] | what is said: subjects and JSON values, read with bounds |
//! | `refusal` | why a message is refused |
//! | [`merge`] | which of several messages count: pure |
//! | `own` | what this node says, and what of it the stream has: pure |
//! | `settings`, `connect` | where the servers are; one connection, and why there is none |
//! | `streams` | the three streams |
//! | `link` | the task: connects, begins anew |
//! | `intake` | the one function into which both paths lead |
//! | `feed` | the path by the stream |
//! | `publish`, `presence` | says what stands, and how this node is |
//! | `fleet`, `snapshot`, `shared` | the owner's handle; how the transport is |
//! | `operator` | makes the streams, lifts bans, judges peers |

mod clock;
mod connect;
mod feed;
mod fleet;
mod intake;
mod link;
pub mod merge;
pub mod message;
mod name;
mod net;
mod operator;
mod own;
mod presence;
mod publish;
mod refusal;
mod settings;
mod shared;
mod snapshot;
mod streams;
mod text;

pub use connect::ConnectError;
pub use fleet::{Fleet, NodeSeen, NodesError};
pub use intake::{Path, Received};
pub use link::{Link, Start, link};
pub use name::{MAX_NAME, Name, NameError, OPERATORS, Peer};
pub use operator::{Difference, Initialized, Operator, OperatorError, Size};
pub use own::{MAX_OWN, MAX_OWN_KNOWN, NotSaid, Own};
pub use refusal::Refusal;
pub use settings::{MAX_SERVERS, Settings, SettingsError, Timing};
pub use shared::MAX_SKEW;
pub use snapshot::{DELAY_BOUNDS, Delays, Snapshot, State, Twin};
pub use text::Text;
