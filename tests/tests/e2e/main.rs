//! The real daemon between a fake FreeSWITCH and the real kernel, in networks made of namespaces.
//!
//! | module | shows |
//! |---|---|
//! | `api` | the control socket: the state of the daemon, its answers, and its permissions |
//! | `api_bans` | the control socket: bans by hand |
//! | `api_policy` | the control socket: the allow list, the policy, and the file below them |
//! | `api_hostile` | the control socket under bad requests |
//! | `changes` | what is changed at run time, and what a change would mean |
//! | `console` | the data of the console beside bans |
//! | `addresses` | whose an address is, and all banned ones as a file |
//! | `bans` | a source that fails too often is banned, for its time, and no other source |
//! | `fleet` | two nodes that share their bans by a NATS server |
//! | `flows` | one port of a known host is denied; lists, replay, observe mode |
//! | `distrusted` | a host that loses many ports, and its registered phones |
//! | `scopes` | bans that leave the web server open |
//! | `standing` | flows and scopes after a crash, a reboot, a firewall reload; `flush` |
//! | `enforcement` | what is said of a ban is so, whatever rules and routes others set |
//! | `spared` | sources that are never banned |
//! | `evidence` | recordings of a real FreeSWITCH: what counts and what does not |
//! | `identity` | phones, gateways and access lists of FreeSWITCH, reports of its dialplan |
//! | `directory` | gateways, access lists, registrations and profiles as FreeSWITCH has them |
//! | `live` | registrations that come and go; what a reload asks of FreeSWITCH |
//! | `shield` | strangers share a budget, registered phones pass |
//! | `deafness` | a FreeSWITCH that a flood has silenced |
//! | `alone` | a second daemon on the same store, or beside the same kernel |
//! | `resources` | descriptors, connections, rights of threads, a log without a reader, forged events by the thousand |
//! | `clock` | a clock that is wrong at boot, that is set; a process that stands still |
//! | `connection` | the Event Socket: refused, cut, stalled, restarted |
//! | `lifecycle` | start, reload, stop, crash, observe, flush, missing rights |
//! | `mode` | the mode, changed while the daemon runs |
//! | `store` | what outlives a stop, a crash, a reboot |
//! | `disk` | the store's file is broken, locked, too large, or its disk full |
//! | `crash` | `kill -9` again and again in a storm |
//! | `metrics` | what Prometheus reads of it; mails and webhooks of a running daemon |
//! | `http` | the API on TCP: tokens |
//! | `http_sessions` | the API on TCP: sessions, links, delays after failures |
//! | `http_open` | the API where other hosts reach it: TLS, proxies, failed log-ins, slow and loud clients |
//! | `shell` | each command of the command line, with and without a daemon |
//! | `terminal` | what an operator sees on a terminal and in a pipe: colour, times, questions, `tail`, `stats`, `watch` |
//! | `lists` | lists of a file, and entries of the allow list that end by themselves |
//! | `doctor` | what `sipward doctor` finds, and `sipward watch` on a real terminal |
//! | `setup` | `sipward setup` on a terminal and in a script |
//! | `secrecy` | the password is in no output, and a file for a support request holds no secret |
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod addresses;
mod alone;
mod api;
mod api_bans;
mod api_hostile;
mod api_policy;
mod bans;
mod changes;
mod clock;
mod connection;
mod console;
mod crash;
mod deafness;
mod directory;
mod disk;
mod distrusted;
mod doctor;
mod enforcement;
mod evidence;
mod fleet;
mod flows;
mod http;
mod http_open;
mod http_sessions;
mod identity;
mod kernel;
mod lifecycle;
mod lists;
mod live;
mod metrics;
mod mode;
mod nft;
mod packets;
mod resources;
mod scopes;
mod secrecy;
mod setup;
mod shell;
mod shield;
mod spared;
mod standing;
mod store;
mod terminal;
mod world;

use std::process::ExitCode;

use sipward_tests::{daemon, netns};

fn main() -> ExitCode {
    if daemon::is_wanted() {
        return sipward::cli::main();
    }
    netns::main(|| {
        [
            api::cases(),
            api_bans::cases(),
            api_policy::cases(),
            api_hostile::cases(),
            bans::cases(),
            fleet::cases(),
            flows::cases(),
            distrusted::cases(),
            scopes::cases(),
            standing::cases(),
            enforcement::cases(),
            spared::cases(),
            evidence::cases(),
            identity::cases(),
            directory::cases(),
            live::cases(),
            shield::cases(),
            deafness::cases(),
            connection::cases(),
            console::cases(),
            changes::cases(),
            addresses::cases(),
            lifecycle::cases(),
            mode::cases(),
            clock::cases(),
            alone::cases(),
            resources::cases(),
            metrics::cases(),
            http::cases(),
            http_sessions::cases(),
            http_open::cases(),
            store::cases(),
            disk::cases(),
            crash::cases(),
            shell::cases(),
            terminal::cases(),
            lists::cases(),
            doctor::cases(),
            secrecy::cases(),
            setup::cases(),
        ]
        .into_iter()
        .flatten()
        .collect()
    })
}

/// The cases of a module: each is named like its function.
macro_rules! cases {
    ($($name:ident),* $(,)?) => {
        pub(crate) fn cases() -> Vec<libtest_mimic::Trial> {
            let module = module_path!().rsplit("::").next().unwrap_or_default();
            vec![$(sipward_tests::netns::case(
                &format!("{module}::{}", stringify!($name)), $name)),*]
        }
    };
}
pub(crate) use cases;
