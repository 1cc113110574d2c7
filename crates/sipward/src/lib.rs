//! The `sipward` program: the command line, and how its parts are put together.
//!
//! Data takes one path: [`sipward_esl`] turns bytes into events, [`sipward_ingest::bridge`] turns events into what
//! [`sipward_engine`] understands, the engine decides, [`sipward_daemon`] passes its decisions to [`sipward_route`] and
//! [`sipward_store`], and every step that an operator should know of is a [`sipward_model::record::Record`].
//!
//! | module | holds |
//! |---|---|
//! | [`cli`] | the command line, one file per command |
//! | [`run`] | how the daemon starts, what it serves, how it stops: the only place that knows all parts |
//! | [`client`] | the control API from the other end |
//! | [`doctor`] | a look at everything that sipward needs |
//! | `out` | what is printed: nothing that a terminal obeys, tables and lines that fit it |
//! | [`fail2ban`] | what a fail2ban on this host has set up, for `import` |
//! | [`setup`] | what `sipward setup` finds and writes |
//! | [`demo`] | the storm that `sipward demo` plays |
//! | `with_fleet` | how a program without the fleet starts the one with it |

pub mod cli;
pub mod client;
pub mod demo;
pub mod doctor;
pub mod fail2ban;
mod out;
pub mod run;
pub mod setup;
#[cfg(not(feature = "fleet"))]
mod with_fleet;
