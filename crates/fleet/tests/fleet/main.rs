//! The transport against real NATS servers on loopback.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a failed unwrap is a failed test"
)]

mod cluster;
mod credentials;
mod one_server;
mod trust;

mod node;
mod servers;
mod tls;
mod wait;
