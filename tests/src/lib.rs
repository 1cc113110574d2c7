//! Harness of the end-to-end tests.

pub mod fake_freeswitch;
pub mod netns;
