//! Harness of the end-to-end tests.

pub mod daemon;
pub mod fake_freeswitch;
pub mod http;
pub mod netns;
pub mod web;
