//! The engine through its public face, in simulated time.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::unchecked_time_subtraction,
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "a failed unwrap is a failed test; helpers are not marked as tests"
)]
#![allow(clippy::wildcard_imports, reason = "the whole public face is what is tested")]

mod accounts;
mod banning;
mod cells;
mod evidence;
mod exemptions;
mod fleet;
mod flows;
mod forecast;
mod guessed;
mod joining;
mod log_lines;
mod memory;
mod model;
mod population;
mod preview;
mod ranges;
mod registrations;
mod rules;
mod scopes;
mod stories;
mod views;
mod world;
