//! Whole networks: an attacker's own, and those shared with others.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use ipnet::IpNet;
use sipward_engine::{Alarm, Expiry, Policy};

use crate::attack::{Forger, Guess, How};
use crate::event::Kind;
use crate::play::{Family, Member, Played};
use crate::world::{DAY, HOUR, MILLISECOND, MINUTE, SECOND, World};

type Outcome = Result<Played, String>;

/// What may arrive of a /24 or /48 before it is banned whole (and of a /64: that is one source).
const NETWORK: u64 = 24;
const SOURCE: u64 = 5;

pub(crate) const FAMILIES: &[Family] = &[
    Family {
        name: "network rotation",
        members: &[
            Member::new("another host of a /24 for each guess", through_a_24),
            Member::new("another /64 of a /48 for each guess", through_a_48),
            Member::new("a /48 below its threshold", below_the_threshold),
            Member::new("a /48 in which somebody is known", beside_somebody_known),
            Member::new("networks of a /48 that a public hash takes for one", chosen_of_a_48),
            Member::new("hosts of a /24 that a public hash takes for few", chosen_of_a_24),
            Member::new("a /48 at both ends of a window", at_both_ends),
            Member::new("borrowed nonces in the names of a stranger's /24", names_of_a_24),
            Member::new("a /24 of a phone registered for longer than it is remembered", |seed| {
                registered_for_long(seed, false)
            }),
        ],
    },
    Family {
        name: "/64 rotation",
        members: &[Member::new("another address of a /64 for each guess", through_a_64)],
    },
    Family {
        name: "neighbour in a /64",
        members: &[
            Member::new("guesses from the /64 of a registered phone", neighbour),
            Member::new("guesses there before the phone comes", neighbour_before),
            Member::new("the /64 of a phone registered for longer than it is remembered", |seed| {
                registered_for_long(seed, true)
            }),
        ],
    },
    Family {
        name: "NAT64",
        members: &[
            Member::new("hosts behind a NAT64 of all of IPv4", translated),
            Member::new("hosts behind a configured NAT64 prefix, and Teredo", configured),
        ],
    },
    Family {
        name: "caller promotion",
        members: &[
            Member::new("a caller guesses passwords", caller_guesses),
            Member::new("a caller's /64 and /48", caller_rotates),
            Member::new("reports against a caller", caller_reported),
        ],
    },
];

/// One guess from each of these hosts in turn. Gives how many arrived within ten minutes.
fn rotate(world: &mut World, mut next: impl FnMut(&mut World) -> SocketAddr) -> u64 {
    let users = world.users(50);
    let gap = world.between(250 * MILLISECOND, 2 * SECOND);
    let mut arrived = 0;
    for n in 0..120 {
        let host = next(world);
        arrived += u64::from(world.guess(&Guess::new(host, &users[n % 50]), How::Answered));
        world.pass(gap);
    }
    arrived
}

fn host_of_24(world: &mut World, net: SocketAddr) -> SocketAddr {
    let IpAddr::V4(v4) = net.ip() else { unreachable!("an IPv4 network") };
    let [a, b, c, _] = v4.octets();
    let host = Ipv4Addr::new(a, b, c, world.random.u8(1..255));
    SocketAddr::new(host.into(), world.random.u16(1_025..))
}

fn banned_whole(world: &mut World, arrived: u64, width: u8) -> Outcome {
    ensure!(arrived <= NETWORK, "{arrived} guesses of one network");
    let named = world.ledger.alarm(|alarm| match alarm {
        Alarm::NetworkBanned { net, .. } => net.prefix_len() == width,
        _ => false,
    });
    ensure!(named.is_some(), "no alarm names a /{width}: {:?}", world.ledger.alarms);
    world.check()?;
    let lost = world.lost();
    ensure!(lost.is_zero(), "a phone elsewhere lost {lost:?}");
    // After the first ban the next one is twice as long, and so on.
    Ok(Played::new(arrived, HOUR, lost))
}

fn through_a_24(seed: u64) -> Outcome {
    let mut world = World::new(seed);
    world.phones(2);
    world.settle();
    let net = world.address();
    let arrived = rotate(&mut world, |world| host_of_24(world, net));
    banned_whole(&mut world, arrived, 24)
}

fn through_a_48(seed: u64) -> Outcome {
    let mut world = World::new(seed);
    world.phones(2);
    world.settle();
    let net = world.network6();
    let arrived = rotate(&mut world, |world| world.inside(net, 48));
    banned_whole(&mut world, arrived, 48)
}

fn below_the_threshold(seed: u64) -> Outcome {
    let mut world = World::new(seed);
    world.settle();
    let (net, users) = (world.network6(), world.users(40));
    let began = world.now;
    let gap = world.between(33 * SECOND, 40 * SECOND);
    let mut n = 0;
    while world.now.since(began) < 2 * HOUR {
        let host = world.inside(net, 48);
        world.guess(&Guess::new(host, &users[n % 40]), How::Answered);
        world.pass(gap);
        n += 1;
    }
    world.check()?;
    Ok(Played::new(world.guessed, world.now.since(began), world.lost()))
}

/// The network is not banned because of it; each of its /64s still is, and the suppressed ban is reported.
fn beside_somebody_known(seed: u64) -> Outcome {
    let mut world = World::new(seed);
    let net = world.network6();
    let addr = world.inside(net, 48);
    world.phone_at(addr, 2 * DAY);
    world.settle();
    let began = world.now;
    rotate(&mut world, |world| world.inside(net, 48));
    world.check()?;
    let told = world.ledger.refused.iter().any(|(_, refused, _)| refused.prefix_len() == 48);
    ensure!(told, "the network was due, and there was no alarm");
    let lost = world.lost();
    ensure!(lost.is_zero(), "a registered phone lost {lost:?}");
    Ok(Played::new(world.guessed, world.now.since(began), lost))
}

/// A hash without a secret, of the two halves of an address.
fn public_hash(addr: Ipv6Addr) -> u64 {
    let bits = addr.to_bits();
    let (high, low) = ((bits >> 64) as u64, bits as u64);
    (high ^ low.rotate_left(32)).wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ low
}

/// Who counts hosts by such a hash sees one.
fn chosen_of_a_48(seed: u64) -> Outcome {
    let mut world = World::new(seed);
    world.phones(2);
    world.settle();
    let net = world.network6().to_bits() & !(u128::MAX >> 48);
    let (bits, group) = ([0, 32, 58][seed as usize % 3], world.random.u64(..64));
    let all = (0..65_536_u128).map(|subnet| Ipv6Addr::from_bits(net | subnet << 64));
    let chosen = all.filter(|addr| (public_hash(*addr) >> bits) % 64 == group);
    let low = world.random.u64(..);
    let mut chosen = chosen.map(|addr| Ipv6Addr::from_bits(addr.to_bits() | u128::from(low)));
    let arrived = rotate(&mut world, |world| {
        SocketAddr::new(chosen.next().unwrap().into(), world.random.u16(1_025..))
    });
    banned_whole(&mut world, arrived, 48)
}

/// Who counts hosts by such a hash sees three, too few for a network.
fn chosen_of_a_24(seed: u64) -> Outcome {
    let mut world = World::new(seed);
    world.phones(2);
    world.settle();
    let net = world.address();
    let IpAddr::V4(v4) = net.ip() else { unreachable!("an IPv4 network") };
    let [a, b, c, _] = v4.octets();
    let bits = [0, 32, 58][seed as usize % 3];
    let mut groups = vec![Vec::new(); 64];
    for host in (0..=255).map(|d| Ipv4Addr::new(a, b, c, d)) {
        groups[(public_hash(host.to_ipv6_mapped()) >> bits) as usize % 64].push(host);
    }
    groups.sort_by_key(|hosts| std::cmp::Reverse(hosts.len()));
    let hosts: Vec<Ipv4Addr> = groups.into_iter().take(3).flatten().collect();
    let users = world.users(50);
    for n in 0..hosts.len() * 6 {
        let host = SocketAddr::new(hosts[n % hosts.len()].into(), 5_060);
        world.guess(&Guess::new(host, &users[n % 50]), How::Answered);
        let gap = world.between(250 * MILLISECOND, 2 * SECOND);
        world.pass(gap);
    }
    let arrived = world.guessed;
    ensure!(arrived <= NETWORK, "{arrived} guesses of a /24 from {} hosts", hosts.len());
    world.check()?;
    Ok(Played::new(arrived, HOUR, world.lost()))
}

/// As many as go unpunished just before a window drops a part of itself, and as many just after.
fn at_both_ends(seed: u64) -> Outcome {
    let mut world = World::new(seed);
    world.phones(2);
    world.settle();
    let (net, users) = (world.network6(), world.users(50));
    // By the clock of the engine, whose time strangers know as well as their own.
    let parts = [10, 11, 12, 15, 20, 60][world.random.usize(..6)];
    let part = 600_000 / parts;
    let into = |world: &World| u64::from((world.now.as_micros() / 1_000) as u32) % part;
    let lead = world.between(4 * SECOND, 9 * SECOND);
    let rest = into(&world);
    world.pass(Duration::from_millis(2 * part - rest).saturating_sub(lead));
    let began = world.now;
    let mut times = Vec::new();
    let mut burst = |world: &mut World, count: usize| {
        for n in 0..count {
            let host = world.inside(net, 48);
            if world.guess(&Guess::new(host, &users[n % 50]), How::Answered) {
                times.push(world.now);
            }
            world.pass(150 * MILLISECOND);
        }
    };
    let first = world.random.usize(12..20);
    burst(&mut world, first);
    let missing = Duration::from_millis(600_000 - part) + lead;
    let until = began + missing + world.between(100 * MILLISECOND, SECOND);
    world.pass(until.since(world.now));
    burst(&mut world, 40);
    let window = times.iter().enumerate().map(|(at, begin)| {
        times[at..].iter().take_while(|time| time.since(*begin) < 10 * MINUTE).count() as u64
    });
    let worst = window.max().unwrap_or_default();
    ensure!(worst <= NETWORK, "{worst} guesses of a /48 within ten minutes");
    world.check()?;
    Ok(Played::new(times.len() as u64, HOUR, world.lost()))
}

/// One packet each, twice over an hour: each ban of the network lasts ten minutes, the second no longer than the first.
fn names_of_a_24(seed: u64) -> Outcome {
    let mut world = World::new(seed);
    world.settle();
    let net = world.address();
    let IpAddr::V4(v4) = net.ip() else { unreachable!("an IPv4 network") };
    let [a, b, c, _] = v4.octets();
    let users = world.users(5);
    let hosts = world.random.u8(8..100);
    let mut forger = Forger::default();
    for n in 0..400_usize {
        let nonce = forger.nonce(&mut world);
        let host = Ipv4Addr::new(a, b, c, 1 + (n % usize::from(hosts)) as u8);
        let host = SocketAddr::new(host.into(), 5_060);
        world.guess(&Guess::new(host, &users[n % 5]), How::Reused(nonce));
        let gap = world.between(20 * MILLISECOND, 400 * MILLISECOND);
        world.pass(gap);
    }
    let wide = world.ledger.bans.iter().filter(|ban| ban.net.prefix_len() < 32);
    let lengths = wide.map(|ban| match ban.planned {
        Expiry::At(end) => end.since(ban.since),
        Expiry::Never => DAY,
    });
    let lengths: Vec<Duration> = lengths.collect();
    ensure!(!lengths.is_empty(), "a network that sends 400 guesses, and no ban");
    let longest = lengths.iter().max().copied().unwrap_or_default();
    ensure!(longest <= 10 * MINUTE, "borrowed nonces alone: a ban of {longest:?}");
    world.pass(11 * MINUTE);
    // Its own answered guesses still count.
    let before = world.guessed;
    let mut arrived = 0;
    for n in 0..40 {
        let host = SocketAddr::new(Ipv4Addr::new(a, b, c, 101 + n % 99).into(), 5_060);
        arrived += u64::from(world.guess(&Guess::new(host, &users[0]), How::Answered));
        world.pass(300 * MILLISECOND);
    }
    ensure!(arrived <= NETWORK, "{arrived} answered guesses of one network");
    world.check()?;
    Ok(Played::new(before + arrived, DAY, world.lost()))
}

fn through_a_64(seed: u64) -> Outcome {
    let mut world = World::new(seed);
    world.phones(2);
    world.settle();
    let net = world.network6();
    let arrived = rotate(&mut world, |world| world.inside(net, 64));
    ensure!(arrived <= SOURCE, "{arrived} guesses of one /64");
    world.check()?;
    Ok(Played::new(arrived, HOUR, world.lost()))
}

fn neighbour(seed: u64) -> Outcome {
    let mut world = World::new(seed);
    let net = world.network6();
    let (addr, host) = (world.inside(net, 64), world.inside(net, 64));
    world.phone_at(addr, if seed.is_multiple_of(2) { Duration::ZERO } else { 2 * DAY });
    world.settle();
    world.all_registered()?;
    let users = world.users(12);
    for n in 0..40 {
        let mut guess = Guess::new(host, &users[n % 12]);
        if world.random.u8(..5) == 0 {
            guess.agent = "friendly-scanner".into();
        }
        world.guess(&guess, How::Answered);
        let gap = world.between(300 * MILLISECOND, SECOND);
        world.pass(gap);
    }
    world.pass(2 * MINUTE);
    let arrived = world.guesses_of(host.ip());
    ensure!(arrived <= SOURCE, "{arrived} guesses of a neighbour");
    world.check()?;
    let lost = world.lost();
    ensure!(lost.is_zero(), "the phone beside it lost {lost:?}");
    Ok(Played::new(arrived, HOUR, lost))
}

/// A /64 that was banned whole narrows when the list makes a host in it known.
fn neighbour_before(seed: u64) -> Outcome {
    let mut world = World::new(seed);
    let net = world.network6();
    let (addr, host) = (world.inside(net, 64), world.inside(net, 64));
    world.settle();
    let users = world.users(2);
    for _ in 0..world.random.u32(3..8) {
        world.guess(&Guess::new(host, &users[0]), How::Answered);
        world.pass(400 * MILLISECOND);
    }
    // The phone was there all the time; sipward has forgotten it and reads it in a list.
    world.phone_at(addr, Duration::ZERO);
    world.pass(MINUTE);
    let phone = world.phones[0].clone();
    if phone.successes == 0 {
        world.engine_hears_of(&phone);
        world.pass(20 * SECOND);
    }
    let before = world.now;
    for _ in 0..10 {
        world.guess(&Guess::new(host, &users[1]), How::Answered);
        world.pass(400 * MILLISECOND);
    }
    world.pass(5 * MINUTE);
    world.check()?;
    let lost = world.ledger.banned(addr.ip(), before, world.now);
    ensure!(lost.is_zero(), "the phone beside it lost {lost:?} after it was known");
    ensure!(world.guesses_of(host.ip()) <= 2 * SOURCE, "{} guesses", world.guesses_of(host.ip()));
    Ok(Played::new(world.guesses_of(host.ip()), HOUR, lost))
}

/// Another host behind a translator, whose address stands for an IPv4 one.
fn behind(world: &mut World, prefix: Ipv6Addr) -> SocketAddr {
    let v4 = world.random.u32(0x2d00_0000..0x5fff_ffff);
    SocketAddr::new(Ipv6Addr::from_bits(prefix.to_bits() | u128::from(v4)).into(), 5_060)
}

fn one_host_at_a_time(world: &mut World, prefix: Ipv6Addr) -> Outcome {
    let healthy = behind(world, prefix);
    if world.random.bool() {
        world.phone_at(healthy, Duration::ZERO);
    }
    world.settle();
    let hosts: Vec<_> = (0..world.random.usize(4..30)).map(|_| behind(world, prefix)).collect();
    // A stranger that has done nothing yet, and one that calls.
    let (quiet, began) = (behind(world, prefix), world.now);
    let users = world.users(20);
    for n in 0..150 {
        let host = hosts[world.random.usize(..hosts.len())];
        world.guess(&Guess::new(host, &users[n % 20]), How::Answered);
        let gap = world.between(300 * MILLISECOND, SECOND);
        world.pass(gap);
    }
    let wide = world.ledger.bans.iter().find(|ban| ban.net.prefix_len() < 120);
    ensure!(wide.is_none(), "a ban of {:?} holds hosts of all of IPv4", wide.map(|ban| ban.net));
    ensure!(!world.ledger.is_blocked(quiet.ip()), "a host that did nothing is banned");
    for host in &hosts {
        let guesses = world.guesses_of(host.ip());
        ensure!(guesses <= SOURCE, "{guesses} guesses of one host");
    }
    world.check()?;
    let lost = world.lost();
    ensure!(lost.is_zero(), "the phone lost {lost:?}");
    Ok(Played::new(world.guessed / hosts.len() as u64, world.now.since(began).max(HOUR), lost))
}

fn translated(seed: u64) -> Outcome {
    let mut world = World::new(seed);
    one_host_at_a_time(&mut world, "64:ff9b::".parse().unwrap())
}

fn configured(seed: u64) -> Outcome {
    let prefixes: [(&str, &str); 3] = [
        ("2a0e:1234:5678:64::", "2a0e:1234:5678:64::/96"),
        ("64:ff9b:1:aa::", ""),
        ("2001:0:4136::", ""),
    ];
    let (prefix, net) = prefixes[seed as usize % 3];
    let nets: Vec<IpNet> = net.parse().into_iter().collect();
    let nat64_prefixes = nets.into_iter().filter_map(|net| match net {
        IpNet::V6(v6) => Some(v6),
        IpNet::V4(_) => None,
    });
    let policy = Policy { nat64_prefixes: nat64_prefixes.collect(), ..Policy::default() };
    one_host_at_a_time(&mut World::with(seed, policy), prefix.parse().unwrap())
}

fn caller_guesses(seed: u64) -> Outcome {
    let mut world = World::new(seed);
    world.settle();
    let (host, users) = (world.address(), world.users(1));
    world.dialplan(host, Kind::Call);
    world.pass(SECOND);
    for _ in 0..30 {
        world.guess(&Guess::new(host, &users[0]), How::Answered);
        let gap = world.between(300 * MILLISECOND, 2 * SECOND);
        world.pass(gap);
    }
    let guesses = world.guesses_of(host.ip());
    ensure!(guesses <= SOURCE, "{guesses} guesses of a caller");
    world.check()?;
    Ok(Played::new(guesses, HOUR, world.lost()))
}

/// Anybody may call a public number. That must not make room for guesses.
fn caller_rotates(seed: u64) -> Outcome {
    let mut world = World::new(seed);
    world.settle();
    let net = world.network6();
    let caller = world.inside(net, 64);
    world.dialplan(caller, Kind::Call);
    world.pass(SECOND);
    let later = [Duration::ZERO, 25 * HOUR][world.random.usize(..2)];
    world.pass(later);
    let arrived = rotate(&mut world, |world| world.inside(net, 64));
    ensure!(arrived <= SOURCE, "{arrived} guesses of a caller's /64, {later:?} after the call");
    if later > DAY {
        let arrived = rotate(&mut world, |world| world.inside(net, 48));
        ensure!(arrived <= NETWORK, "{arrived} guesses of a caller's /48 a day after the call");
    }
    world.check()?;
    Ok(Played::new(world.guessed, HOUR, world.lost()))
}

/// A carrier misdials, or reports are forged in its name; a day later its call is forgotten.
fn caller_reported(seed: u64) -> Outcome {
    let mut world = World::new(seed);
    world.settle();
    let carrier = world.address();
    world.dialplan(carrier, Kind::Call);
    world.pass(SECOND);
    for _ in 0..world.random.u32(3..30) {
        let proved = world.random.bool();
        world.report(carrier, proved);
        let gap = world.between(MILLISECOND, 10 * SECOND);
        world.pass(gap);
    }
    world.pass(5 * SECOND);
    let lost = world.ledger.worst_hour(carrier.ip(), world.now);
    ensure!(lost.is_zero(), "a caller was banned by `report` for {lost:?}");
    let still = world.engine.source(carrier.ip()).identity;
    world.pass(25 * HOUR);
    for _ in 0..3 {
        world.report(carrier, true);
        world.pass(SECOND);
    }
    world.pass(5 * SECOND);
    let banned = world.ledger.worst_hour(carrier.ip(), world.now);
    ensure!(!banned.is_zero(), "a caller ({still:?}) of yesterday is still spared");
    world.check()?;
    Ok(Played::new(0, DAY, Duration::ZERO))
}

/// Health memory is set shorter than the phone's registration lasts: its network stays one where somebody lives.
fn registered_for_long(seed: u64, six: bool) -> Outcome {
    let mut policy = Policy::default();
    policy.healthy.remember = HOUR;
    let mut world = World::with(seed, policy);
    let net = world.network6();
    let addr = if six { world.inside(net, 64) } else { world.address() };
    let phone = world.phone_at(addr, Duration::ZERO);
    world.phones[phone].expires = world.between(4 * HOUR, 24 * HOUR);
    world.settle();
    world.all_registered()?;
    match world.random.u8(..3) {
        // A list has it, and after a restart only a list.
        0 => world.reconnect(SECOND, 100 * MILLISECOND),
        1 => world.restart_sipward(SECOND, 100 * MILLISECOND),
        _ => {}
    }
    let wait = world.between(HOUR, 110 * MINUTE);
    world.pass(wait);
    ensure!(world.sofia.is_registered(addr.ip()), "not registered any more");
    let began = world.now;
    rotate(&mut world, |world| {
        loop {
            let host = if six { world.inside(net, 64) } else { host_of_24(world, addr) };
            if host.ip() != addr.ip() {
                return host;
            }
        }
    });
    world.pass(MINUTE);
    world.check()?;
    let lost = world.lost();
    ensure!(lost.is_zero(), "a registered phone lost {lost:?} to its neighbours");
    Ok(Played::new(0, world.now.since(began), lost))
}
