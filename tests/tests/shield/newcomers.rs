//! Phones that are not known yet, and many at once.

use std::net::IpAddr;
use std::time::Duration;

use sipward_tests::daemon::Setup;
use sipward_tests::sip::{Crowd, Kind, Registered};
use sipward_tests::wait::until;

use super::world::{self, FIRST_USER, World, sip};

super::cases![
    a_new_phone_gets_in_while_500_hosts_flood,
    of_5_000_known_phones_that_register_at_once_the_shield_drops_nothing;
    long
    a_new_phone_gets_in_whatever_the_flood,
    a_thousand_new_phones_register_within_a_minute,
    a_thousand_new_phones_register_in_a_flood_within_three,
    a_thousand_new_phones_in_exact_step_register,
];

/// Time from the first new phone of many to the last: they boot, or move to another provider, within seconds.
const SPREAD: Duration = Duration::from_secs(2);

fn crowd(count: u32) -> Crowd {
    let addresses = world::phones(count).map(IpAddr::from).collect();
    let spread = if count > 1 { SPREAD } else { Duration::ZERO };
    Crowd { addresses, first_user: FIRST_USER, server: sip(), spread, patient: true }
}

/// Registers `count` new phones in a flood of 1,500/s of `sources` hosts; without one when there are none.
fn new_phones_in(kind: Kind, sources: u32, count: u32, limit: Duration) -> Registered {
    register_in(kind, sources, &crowd(count), limit)
}

fn register_in(kind: Kind, sources: u32, crowd: &Crowd, limit: Duration) -> Registered {
    let world = World::new();
    let setup = world.setup("");
    let daemon = world.watch(&setup);
    let flood = (sources > 0).then(|| world::flood(kind, sources, 1_500).start(&world.attacker));
    // The flood has used up what a quiet moment leaves.
    std::thread::sleep(Duration::from_secs(2));
    let registered = crowd.register(&world.phones, limit);
    if let Some(flood) = flood {
        flood.stop();
    }
    println!(
        "{} new phones within {:?}, {kind:?} from {sources}: {} out, last in after {:?}, {} packets sent",
        crowd.addresses.len(),
        crowd.spread,
        registered.out,
        registered.took.last(),
        registered.sent
    );
    assert!(daemon.log().all("deaf").is_empty());
    registered
}

fn a_new_phone_gets_in_while_500_hosts_flood() {
    for kind in [Kind::Options, Kind::Register] {
        let registered = new_phones_in(kind, 500, 1, Duration::from_secs(30));
        assert_eq!(registered.out, 0, "{kind:?}: {registered:?}");
    }
}

fn a_new_phone_gets_in_whatever_the_flood() {
    for kind in [
        Kind::Options,
        Kind::Register,
        Kind::Invite,
        Kind::SharedNonce,
        Kind::OwnNonces,
        Kind::Pipelined,
    ] {
        for sources in [1, 5, 200, 500] {
            let registered = new_phones_in(kind, sources, 1, Duration::from_secs(30));
            assert_eq!(registered.out, 0, "{kind:?} from {sources}: {registered:?}");
        }
    }
}

fn of_5_000_known_phones_that_register_at_once_the_shield_drops_nothing() {
    const PHONES: u32 = 5_000;
    let world = World::new();
    for (user, phone) in (FIRST_USER..).zip(world::phones(PHONES)) {
        world.sofia.remember(&user.to_string(), phone.into());
    }
    let setup = world.setup("");
    let daemon = world.watch(&setup);

    let once = Crowd { patient: false, spread: Duration::ZERO, ..crowd(PHONES) };
    let registered = once.register(&world.phones, Duration::from_secs(5));

    // What FreeSWITCH itself drops is its own limit. The kernel counts what came and what it dropped.
    until("all are counted", || {
        let [healthy, dropped] = packets(&setup);
        assert_eq!(dropped, 0, "of {} packets of {healthy} healthy", registered.sent);
        healthy >= registered.sent
    });
    assert!(registered.sent >= u64::from(PHONES), "{}", registered.sent);
    assert!(daemon.log().all("shielded").is_empty());
}

/// Packets of healthy hosts that passed, and packets dropped by any limit, since the start.
fn packets(setup: &Setup) -> [u64; 2] {
    let text = world::metrics(setup);
    let sum = |start: &str| {
        let of = text.lines().filter(|line| line.starts_with(start));
        of.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum()
    };
    [sum("sipward_sip_packets_total{host=\"healthy\"}"), sum("sipward_sip_packets_dropped_total{")]
}

fn a_thousand_new_phones_register_within_a_minute() {
    let registered = new_phones_in(Kind::Options, 0, 1_000, Duration::from_secs(60));
    assert_eq!(registered.out, 0, "{:?}", registered.took.last());
}

fn a_thousand_new_phones_register_in_a_flood_within_three() {
    let registered = new_phones_in(Kind::Options, 500, 1_000, Duration::from_secs(180));
    assert_eq!(registered.out, 0, "{:?}", registered.took.last());
}

/// All send in the same moment and repeat in the same moments, as no phones do: of each wave the budget lets a few
/// dozen pass.
fn a_thousand_new_phones_in_exact_step_register() {
    let in_step = Crowd { spread: Duration::ZERO, ..crowd(1_000) };
    let registered = register_in(Kind::Options, 0, &in_step, Duration::from_secs(90));
    assert_eq!(registered.out, 0, "{:?}", registered.took.last());
}
