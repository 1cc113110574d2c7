//! Harness of the end-to-end tests.

pub mod daemon;
pub mod fake_freeswitch;
pub mod netns;
