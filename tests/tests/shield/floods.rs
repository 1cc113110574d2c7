//! A phone that registers five times a second, and whatever flood.

use std::thread;
use std::time::Duration;

use sipward_tests::sip::{Heard, Kind};

use super::world::World;

super::cases![
    without_the_shield_freeswitch_is_deaf;
    long
];

/// Long enough to deafen FreeSWITCH several times over.
const FLOOD: Duration = Duration::from_secs(5);

/// How the phone fares in a flood.
fn phone_in(world: &World, kind: Kind, sources: u32, rate: u32) -> Heard {
    let flood = world.flood(kind, sources, rate).start(&world.attacker);
    let phone = world.phone().start(&world.phones);
    thread::sleep(FLOOD);
    let heard = phone.stop();
    flood.stop();
    heard
}

/// The model itself: what was seen on a real FreeSWITCH with every other tool.
fn without_the_shield_freeswitch_is_deaf() {
    let world = World::new();
    let heard = phone_in(&world, Kind::Options, 5, 1_500);
    assert!(heard.registered * 2 < heard.begun, "{heard:?}");
    let counts = world.sofia.counts("internal");
    assert!(counts.dropped > 3_000, "{} of {} dropped", counts.dropped, counts.received);
}
