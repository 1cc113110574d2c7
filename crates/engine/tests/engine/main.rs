//! The engine through its public face, in simulated time.

mod banning;
mod exemptions;
mod joining;
mod memory;
mod model;
mod world;
