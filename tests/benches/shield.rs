//! What floods cost with the shield and without: a phone that registers five times a second, and a new phone.
//!
//! For each flood, with `[shield]` on and off: how many registrations the phone lost, for how long it was out at a
//! stretch, after how long a new phone got in, how many requests of attackers came through to FreeSWITCH, and when
//! the last ban fell. FreeSWITCH is a fake that goes deaf as a real one does.
//!
//! `cargo bench -p sipward-tests --bench shield`
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a benchmark that cannot measure should end"
)]
#![allow(dead_code, reason = "what benchmarks share is more than each needs")]

mod support;
#[path = "../tests/shield/world.rs"]
mod world;

use std::net::IpAddr;
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use sipward_tests::sip::{Crowd, Kind};

use world::{FIRST_USER, World, sip};

/// How long each flood lasts, and how long the new phone has.
const FLOOD: Duration = Duration::from_secs(15);

/// The phone has registered a few times before.
const BEFORE: Duration = Duration::from_secs(1);

/// What is sent, from how many hosts, how many requests a second.
const FLOODS: [(Kind, u32, u32); 9] = [
    (Kind::Options, 1, 1_500),
    (Kind::Options, 5, 1_500),
    (Kind::Options, 500, 8_000),
    (Kind::Options, 5_000, 20_000),
    (Kind::Register, 500, 1_500),
    (Kind::SharedNonce, 200, 1_500),
    (Kind::OwnNonces, 200, 1_500),
    (Kind::OwnNonces, 500, 1_500),
    (Kind::Pipelined, 1, 1_500),
];

fn main() -> ExitCode {
    support::main(|| {
        println!(
            "{:>11} {:>7} {:>6} {:>6} | {:>11} {:>10} | {:>12} | {:>9} | {:>5} {:>10}",
            "flood",
            "hosts",
            "req/s",
            "shield",
            "phone lost",
            "out",
            "new phone in",
            "through",
            "bans",
            "last ban"
        );
        for (kind, hosts, rate) in FLOODS {
            for shield in ["off", "on"] {
                flood(kind, hosts, rate, shield);
            }
        }
    })
}

fn flood(kind: Kind, hosts: u32, rate: u32, shield: &str) {
    let world = World::new();
    let setup = world.setup(&format!("[shield]\nmode = \"{shield}\"\n"));
    let daemon = world.watch(&setup);
    let phone = world::phone().start(&world.phones);
    thread::sleep(BEFORE);
    let began = Instant::now();
    let flood = world::flood(kind, hosts, rate).start(&world.attacker);
    let new = Crowd {
        addresses: world::phones(1).map(IpAddr::from).collect(),
        first_user: FIRST_USER,
        server: sip(),
        spread: Duration::ZERO,
        patient: true,
    };
    // It comes when the flood has used up what a quiet moment leaves.
    thread::sleep(2 * BEFORE);
    let new = new.register(&world.phones, FLOOD.saturating_sub(began.elapsed()));
    thread::sleep(FLOOD.saturating_sub(began.elapsed()));
    let (heard, out) = phone.stop_and_measure();
    flood.stop();
    let through = world.sofia.counts("internal").from(world::is_attacker);
    let bans = daemon.log().all("ban");
    let last = bans.last().map(|ban| ban.read.saturating_duration_since(began).as_secs_f64());
    println!(
        "{:>11} {hosts:>7} {rate:>6} {shield:>6} | {:>11} {:>10} | {:>12} | {through:>9} | {:>5} {:>10}",
        format!("{kind:?}"),
        format!("{} of {}", heard.lost(), heard.begun),
        format!("{:.1} s", out.as_secs_f64()),
        new.took.first().map_or("never".to_owned(), |took| format!("{:.1} s", took.as_secs_f64())),
        bans.len(),
        last.map_or("–".to_owned(), |seconds| format!("{seconds:.1} s")),
    );
}
