//! Hosts made of network namespaces, wired by veth pairs: a small network inside one test process,
//! without root and without the programs `ip`, `nft` or `unshare`.
//!
//! A test binary that uses this sets `harness = false` and hands its cases to [`main`], which enters a
//! user namespace while the process still has one thread (the kernel refuses it later):
//!
//! ```no_run
//! use sipward_tests::netns::{self, Host, case};
//!
//! fn main() -> std::process::ExitCode {
//!     netns::main(|| vec![case("a_packet_arrives", a_packet_arrives)])
//! }
//!
//! fn a_packet_arrives() {
//!     let pbx = Host::new("pbx");
//!     let phone = Host::new("phone");
//!     netns::wire((&pbx, "eth0"), (&phone, "eth0"));
//!     pbx.address("eth0", "192.0.2.1/24");
//!     phone.address("eth0", "192.0.2.2/24");
//!     assert!(netns::udp_arrives((&phone, "192.0.2.2"), (&pbx, "192.0.2.1")));
//! }
//! ```
//!
//! | file | holds |
//! |---|---|
//! | `suite.rs` | [`main`]: user namespace first, then each [`case`] |
//! | `user.rs` | [`enter_user_namespace`], [`enter_network_namespace`], and what to set where they are refused |
//! | `host.rs` | [`Host`]: one network namespace; run code in it, give it addresses, routes, sysctls |
//! | `wire.rs` | [`wire`]: a cable between two hosts |
//! | `probe.rs` | does a packet of this host arrive at that one? UDP, new TCP, established TCP |
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::missing_panics_doc,
    reason = "what a test harness cannot do is a failed test"
)]

mod host;
mod probe;
mod suite;
mod user;
mod wire;

pub use self::host::Host;
pub use self::probe::{Conversation, tcp_connects, udp_arrives, udp_burst};
pub use self::suite::{case, main, main_as_root_if_possible};
pub use self::user::{Refused, enter_network_namespace, enter_user_namespace};
pub use self::wire::wire;
