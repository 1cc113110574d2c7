//! A FreeSWITCH that a flood has silenced: a burst of failures, then nothing, while packets go on.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use sipward_tests::daemon::Daemon;
use sipward_tests::fake_freeswitch::{Attempt, FakeFreeSwitch, Outcome};
use sipward_tests::netns::Host;

use super::kernel::blackholes;
use super::nft::look;
use super::world::{Family, World, ip};

super::cases![
    a_deafened_freeswitch_is_told_and_the_burst_falls_at_two,
    silence_without_packets_is_a_quiet_night,
];

/// Sources of one burst, each with two failures: well above 300 failures within a second, and no
/// source at the usual threshold.
const SOURCES: u8 = 250;

/// How long a silence is watched: an alarm comes some two seconds after a burst, and a burst explains a
/// silence for five.
const SILENCE: Duration = Duration::from_secs(6);

/// Fails too, but a phone is registered there.
const KNOWN: &str = "203.0.113.5";

/// Named by blind packets.
const VICTIM: &str = "203.0.113.77";

fn world() -> World {
    // The heart beats on while FreeSWITCH is deaf.
    World::with(FakeFreeSwitch::builder().heartbeat_every(Duration::from_millis(100)))
}

/// Each source of burst number `round` fails twice.
fn storm(world: &World, round: u8) {
    for n in 0..2_u16 {
        for source in 0..SOURCES {
            world.fs.failure(source_of(round, source), 5060 + n, "1000");
        }
        for (source, outcome) in [(KNOWN, Outcome::WrongPassword), (VICTIM, Outcome::BlindSpoof)] {
            world.fs.emit(&Attempt::new(ip(source), 6000 + n, &format!("20{n}{round}")), outcome);
        }
    }
}

fn source_of(round: u8, source: u8) -> IpAddr {
    Ipv4Addr::new(198, 18, round, source).into()
}

fn alarms(daemon: &Daemon) -> usize {
    let alarms = daemon.log().all("alarm");
    alarms.iter().filter(|alarm| alarm.text("alarm") == "deaf").count()
}

/// Stops the flood when it goes out of scope.
struct Flood<'a>(&'a AtomicBool);

impl Drop for Flood<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Relaxed);
    }
}

/// Sends thousands of packets a second to the SIP port of the PBX, until `during` is over.
fn in_a_flood<T>(from: &Host, during: impl FnOnce() -> T) -> T {
    let goes_on = AtomicBool::new(true);
    let target: SocketAddr = (ip(Family::V4.pbx()), 5060).into();
    let socket = from.run(|| UdpSocket::bind((ip(Family::V4.attacker()), 0))).unwrap();
    thread::scope(|scope| {
        scope.spawn(|| {
            while goes_on.load(Ordering::Relaxed) {
                for _ in 0..50 {
                    // A closed port may answer, which the next send returns.
                    let _ = socket.send_to(b"REGISTER sip:pbx.test SIP/2.0\r\n\r\n", target);
                }
                thread::sleep(Duration::from_millis(5));
            }
        });
        let _flood = Flood(&goes_on);
        during()
    })
}

fn a_deafened_freeswitch_is_told_and_the_burst_falls_at_two() {
    let world = world();
    let setup = world.setup("");
    let daemon = world.watch(&setup);
    world.fs.success(ip(KNOWN), 5060, "1000");
    let round = in_a_flood(&world.attacker, || {
        // On a machine so busy that a burst takes more than a second, another one is needed.
        (0..10_u8).find(|round| {
            storm(&world, *round);
            let watched = Instant::now();
            // A burst without an alarm is followed by another.
            while watched.elapsed() < SILENCE && alarms(&daemon) == 0 {
                thread::sleep(Duration::from_millis(20));
            }
            alarms(&daemon) > 0
        })
    });
    let round = round.expect("an alarm");

    let of_the_burst = |source: &str| source.starts_with(&format!("198.18.{round}."));
    let bans = daemon.expect_many("ban", usize::from(SOURCES), |ban| of_the_burst(ban.text("net")));
    for ban in &bans {
        let because = (ban.text("rule"), ban.number("failures"), ban.text("grade"));
        assert_eq!(because, ("deafness", Some(2), "challenged"), "{}", ban.raw);
    }
    // Anybody can have sent a burst in these names: their SIP ports are all that they lose.
    let banned = look(&world.pbx).sip_bans;
    assert!(blackholes(&world.pbx).is_empty());
    for source in 0..SOURCES {
        assert!(banned.contains(&source_of(round, source).into()), "{source}");
    }
    for spared in [KNOWN, VICTIM, Family::V4.attacker()] {
        assert!(!banned.contains(&ip(spared).into()), "{spared}");
    }
    assert_eq!(alarms(&daemon), 1, "told once");
}

fn silence_without_packets_is_a_quiet_night() {
    let world = world();
    let setup = world.setup("");
    let daemon = world.watch(&setup);
    storm(&world, 0);
    let watched = Instant::now();
    let socket = world.attacker.run(|| UdpSocket::bind((ip(Family::V4.attacker()), 0))).unwrap();
    while watched.elapsed() < SILENCE {
        // A phone or two, so that the gate has something to count.
        let _ = socket.send_to(b"x", (ip(Family::V4.pbx()), 5060));
        thread::sleep(Duration::from_millis(50));
    }
    // What comes now is judged after all that came before.
    world.fail("198.51.100.99", 5);
    daemon.expect_that("ban", super::world::of("198.51.100.99/32"));
    assert_eq!(alarms(&daemon), 0);
    assert_eq!(blackholes(&world.pbx), super::kernel::nets(["198.51.100.99/32"]));
}
