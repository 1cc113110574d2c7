//! Harness of the end-to-end tests.

pub mod daemon;
pub mod fake_freeswitch;
pub mod fake_sofia;
pub mod fleet;
pub mod http;
pub mod netns;
pub mod nft;
pub mod sip;
pub mod wait;
pub mod web;
