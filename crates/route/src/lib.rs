//! The kernel side of sipward: blackhole routes, the inbound gate and the route monitor.

mod enforcer;
mod settings;

pub use enforcer::*;
pub use settings::*;
