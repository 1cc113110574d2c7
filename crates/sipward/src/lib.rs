//! The daemon and command line of sipward.
//!
//! Data takes one path: [`sipward_esl`] turns bytes into events, [`bridge`] turns events into what
//! [`sipward_engine`] understands, the engine decides, [`route_queue`] passes its route changes to
//! [`sipward_route`], and every step that an operator should know of is a [`record::Record`].
//!
//! | module | holds |
//! |---|---|
//! | [`api`] | the control API |
//! | [`cli`] | the command line |
//! | [`client`] | the control API from the other end |
//! | [`config`] | file, environment, their errors |
//! | [`daemon`] | the tasks, and what can be asked of them |
//! | [`run`] | how the daemon starts, what it serves, how it stops |
//! | [`bridge`] | Event Socket events → engine inputs |
//! | [`log_parser`] | log lines → engine inputs |
//! | [`http`] | the API and the page on TCP: tokens, sessions, TLS |
//! | [`route_queue`] | engine actions → kernel, or nobody |
//! | `freeswitch` | what FreeSWITCH answers to questions about itself, read |
//! | [`fail2ban`] | what a fail2ban on this host has set up, for `import` |
//! | `console` | the console: pages for people |
//! | [`doctor`] | a look at everything that sipward needs |
//! | [`names`] | DNS names of `allow` and `proxies`, name servers |
//! | [`model`] | what goes over the wire, and words that all share |
//! | [`record`] | what is reported: log lines, later the API |
//! | [`store`] | what outlives the process |
//! | [`notify`] | mail and webhooks, with [`whois`] |
//! | [`geo`], `reverse` | where an address is and in whose network, its name in DNS |
//! | `activity` | what is remembered of records: by the minute, alarms, failures |
//! | [`metrics`] | counts and states for Prometheus |
//! | [`recorder`] | `sipward record`: the socket's bytes, saved |
//! | [`replay`] | `sipward replay`: recordings and log files through a policy |
//! | [`rights`] | capabilities, and which threads have them |
//! | [`logging`] | JSON and text form of log lines |
//! | [`demo`] | the storm that `sipward demo` plays |

mod activity;
pub mod api;
pub mod bridge;
mod certificates;
pub mod cli;
pub mod client;
pub mod clock;
pub mod config;
mod console;
mod control;
pub mod daemon;
pub mod demo;
mod dns;
pub mod doctor;
mod explain;
pub mod fail2ban;
mod freeswitch;
pub mod geo;
pub mod http;
pub mod log_parser;
pub mod logging;
pub mod metrics;
pub mod model;
pub mod names;
pub mod notify;
pub mod record;
pub mod recorder;
pub mod replay;
mod reverse;
pub mod rights;
pub mod route_queue;
pub mod run;
pub mod store;
pub mod systemd;
pub mod text;
pub mod whois;
