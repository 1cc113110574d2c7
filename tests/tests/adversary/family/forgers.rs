//! Off the path, in the name of others: borrowed nonces, patient forgers, forged successes, ports.

use std::net::SocketAddr;
use std::time::Duration;

use sipward_engine::{Alarm, Identity, Input, Method};

use crate::attack::{Forger, Guess, How};
use crate::play::{Family, Member, Played};
use crate::world::{DAY, HOUR, MILLISECOND, MINUTE, SECOND, World};

type Outcome = Result<Played, String>;

pub(crate) const FAMILIES: &[Family] = &[
    Family {
        name: "borrowed nonce",
        members: &[
            Member::new("one packet that names a scanner", one_packet_of_a_scanner),
            Member::new("many users in the phone's name", many_users),
            Member::new("the phone's own user and agent, below 100 a minute", own_user),
        ],
    },
    Family {
        name: "patient forger",
        members: &[
            Member::new("a registered phone's own user", patient_own_user),
            Member::new("many users in a registered phone's name", patient_many_users),
            Member::new(
                "until the phone is slowed down, then packets that use it up",
                slow_as_a_weapon,
            ),
            Member::new("a known phone that is not registered", patient_asleep).every(2),
            Member::new("again after an operator has lifted the ban", patient_after_unban),
            Member::new("its port denied, then the phone slowed down", denied_then_slowed),
            Member::new("slowed down again after a restart", slowed_again).every(2),
        ],
    },
    Family {
        name: "forged success",
        members: &[
            Member::new("a right password in a stranger's name", success_for_a_stranger),
            Member::new("a right password in a phone's name, then wrong ones", success_for_a_phone),
            Member::new("patiently, in the name of many addresses", patient_successes),
            Member::new("in several dialogs, which a list then has", successes_that_are_listed),
        ],
    },
    Family {
        name: "port forgery",
        members: &[
            Member::new("between the phone's own mistypes, from its port", ports),
            Member::new("the ports of all phones behind a NAT, one after the other", office_ports),
            Member::new("new ports of a sleeping phone, then the limit used up", hop_and_use_up),
        ],
    },
];

/// One phone among a few, all registered.
fn victims(world: &mut World, phones: usize) -> Result<usize, String> {
    let phones = world.phones(phones);
    world.settle();
    world.all_registered()?;
    Ok(phones[world.random.usize(..phones.len())])
}

/// No phone lost a moment.
fn nobody_lost(world: &mut World) -> Result<(), String> {
    world.check()?;
    let lost = world.lost();
    ensure!(lost.is_zero(), "a registered phone lost {lost:?}: {:?}", world.ledger.bans.first());
    Ok(())
}

fn one_packet_of_a_scanner(seed: u64) -> Outcome {
    let mut world = World::new(seed);
    let victim = victims(&mut world, 3)?;
    let phone = world.phones[victim].clone();
    let mut forger = Forger::default();
    let began = world.now;
    let agents = ["friendly-scanner", "sipvicious", "sipcli/v1.8", "iWar"];
    for _ in 0..world.random.u32(1..4) {
        let mut guess = Guess::new(phone.addr, &phone.user);
        guess.agent = agents[world.random.usize(..agents.len())].into();
        guess.method = if world.random.bool() { Method::Register } else { Method::Invite };
        let nonce = forger.nonce(&mut world);
        world.guess(&guess, How::Reused(nonce));
        let gap = world.between(MILLISECOND, MINUTE);
        world.pass(gap);
    }
    world.pass(10 * MINUTE);
    nobody_lost(&mut world)?;
    let span = world.now.since(began);
    Ok(Played::new(world.guessed, span, world.lost()))
}

fn many_users(seed: u64) -> Outcome {
    let mut world = World::new(seed);
    world.disorder = world.between(Duration::ZERO, 150 * MILLISECOND);
    let victim = victims(&mut world, 3)?;
    let phone = world.phones[victim].clone();
    let count = world.random.usize(10..40);
    let users = world.users(count);
    let mut forger = Forger::default();
    let gap = world.between(20 * MILLISECOND, 5 * SECOND);
    let (began, packets) = (world.now, world.random.u64(10..150));
    for n in 0..packets {
        let guess = Guess::new(phone.addr, &users[n as usize % users.len()]);
        let nonce = forger.nonce(&mut world);
        world.guess(&guess, How::Reused(nonce));
        world.pass(gap);
    }
    let span = world.now.since(began);
    world.pass(5 * MINUTE);
    nobody_lost(&mut world)?;
    ensure!(world.ledger.told_of(phone.addr.ip()).is_some(), "{packets} forgeries, not a word");
    Ok(Played::new(world.guessed, span, world.lost()))
}

/// A guess for an existing user is a guess all the same: the registration would be made.
fn own_user(seed: u64) -> Outcome {
    let mut world = World::new(seed);
    let victim = victims(&mut world, 2)?;
    let phone = world.phones[victim].clone();
    let mut forger = Forger::default();
    let gap = world.between(700 * MILLISECOND, 3 * SECOND);
    let (began, packets) = (world.now, world.random.u64(100..200));
    for _ in 0..packets {
        let mut guess = Guess::new(phone.addr, &phone.user);
        guess.agent = phone.agent.clone();
        let nonce = forger.nonce(&mut world);
        world.guess(&guess, How::Reused(nonce));
        world.pass(gap);
    }
    let span = world.now.since(began);
    nobody_lost(&mut world)?;
    ensure!(
        world.ledger.told_of(phone.addr.ip()).is_some(),
        "{packets} guesses of {} with borrowed nonces, one in {gap:?}: not a word",
        phone.user
    );
    Ok(Played::new(world.guessed, span, world.lost()))
}

/// Patient guesses in the name of a phone.
fn forge(world: &mut World, victim: usize, users: usize, guesses: u64, gap: Duration) {
    let phone = world.phones[victim].clone();
    let others = world.users(users);
    let mut forger = Forger::default();
    for n in 0..guesses {
        let user = others.get(n as usize % users.max(1)).unwrap_or(&phone.user).clone();
        let mut guess = Guess::new(phone.addr, &user);
        guess.agent = phone.agent.clone();
        let nonce = forger.nonce(world);
        world.guess(&guess, How::Patient(nonce));
        world.pass(gap);
    }
}

fn patient_own_user(seed: u64) -> Outcome {
    let mut world = World::new(seed);
    world.disorder = world.between(Duration::ZERO, 150 * MILLISECOND);
    let victim = victims(&mut world, 2)?;
    let gap = world.between(20 * MILLISECOND, 10 * SECOND);
    let (began, guesses) = (world.now, world.random.u64(20..150));
    forge(&mut world, victim, 0, guesses, gap);
    let span = world.now.since(began);
    world.pass(10 * MINUTE);
    nobody_lost(&mut world)?;
    let addr = world.phones[victim].addr.ip();
    ensure!(world.ledger.told_of(addr).is_some(), "{guesses} patient forgeries, not a word");
    Ok(Played::new(world.guessed, span, world.lost()))
}

fn patient_many_users(seed: u64) -> Outcome {
    let mut world = World::new(seed);
    let victim = victims(&mut world, 2)?;
    let gap = world.between(20 * MILLISECOND, 10 * SECOND);
    let (users, guesses) = (world.random.usize(2..30), world.random.u64(30..120));
    let began = world.now;
    forge(&mut world, victim, users, guesses, gap);
    let span = world.now.since(began);
    world.pass(10 * MINUTE);
    nobody_lost(&mut world)?;
    Ok(Played::new(world.guessed, span, world.lost()))
}

/// The limit of an insider is a weapon: a patient forger can bring it about and use it up, for the 10
/// minutes in an hour that `docs/policy.md` names, and causes no ban by it.
fn slow_as_a_weapon(seed: u64) -> Outcome {
    let mut world = World::new(seed);
    let victim = victims(&mut world, 1)?;
    world.phones[victim].expires = MINUTE;
    let phone = world.phones[victim].clone();
    let (users, began) = (world.random.usize(3..10), world.now);
    let mut forger = Forger::default();
    let others = world.users(users);
    let gap = world.between(10 * MILLISECOND, 100 * MILLISECOND);
    for n in 0..3_000 {
        let guess = Guess::new(phone.addr, &others[n % users]);
        let nonce = forger.nonce(&mut world);
        world.guess(&guess, How::Patient(nonce));
        world.pass(gap);
        if world.now.since(began) > 20 * MINUTE {
            break;
        }
    }
    let span = world.now.since(began);
    world.pass(10 * MINUTE);
    world.check()?;
    let (addr, lost) = (phone.addr.ip(), world.lost());
    let banned = world.ledger.worst_hour(addr, world.now);
    ensure!(banned.is_zero(), "a registered phone was banned for {banned:?}");
    ensure!(lost <= 10 * MINUTE + SECOND, "the limit cost {lost:?} within an hour");
    Ok(Played::new(world.guessed, span, lost))
}

/// A known phone that sleeps may be banned for 10 minutes in an hour, not longer.
fn patient_asleep(seed: u64) -> Outcome {
    let mut world = World::new(seed);
    let victim = victims(&mut world, 2)?;
    world.phones[victim].asleep = true;
    world.pass(HOUR + 10 * MINUTE);
    let addr = world.phones[victim].addr.ip();
    ensure!(!world.sofia.is_registered(addr), "it is still registered");
    let users = world.random.usize(0..12);
    let began = world.now;
    while world.now.since(began) < 2 * HOUR {
        let (guesses, gap) = (world.random.u64(20..80), world.between(MILLISECOND, 2 * SECOND));
        forge(&mut world, victim, users, guesses, gap);
        let pause = world.between(MINUTE, 15 * MINUTE);
        world.pass(pause);
    }
    let span = world.now.since(began);
    world.check()?;
    let lost = world.lost();
    ensure!(lost <= 10 * MINUTE + SECOND, "a known phone lost {lost:?} within an hour");
    Ok(Played::new(world.guessed, span, lost))
}

fn patient_after_unban(seed: u64) -> Outcome {
    let mut world = World::new(seed);
    let victim = victims(&mut world, 1)?;
    world.phones[victim].asleep = true;
    world.pass(HOUR + 10 * MINUTE);
    let addr = world.phones[victim].addr.ip();
    let began = world.now;
    while world.now.since(began) < HOUR {
        forge(&mut world, victim, 0, 25, 50 * MILLISECOND);
        forge(&mut world, victim, 5, 25, 50 * MILLISECOND);
        // The operator sees the ban some minutes later, and lifts it.
        let until_lifted = world.between(3 * MINUTE, 9 * MINUTE);
        world.pass(until_lifted);
        world.tell(Input::Unban { net: addr.into() });
    }
    world.check()?;
    let lost = world.lost();
    ensure!(lost <= 10 * MINUTE + SECOND, "lifted and banned again: {lost:?} within an hour");
    Ok(Played::new(world.guessed, HOUR, lost))
}

/// A success without a challenge makes no address known.
fn success_for_a_stranger(seed: u64) -> Outcome {
    let mut world = World::new(seed);
    world.settle();
    let users = world.users(2);
    let own = world.address();
    let (nonce, _) = world.log_in(own, &users[0]).ok_or("no way in")?;
    // The machine that will guess, named in a success that another host sends.
    let machine = world.address();
    for _ in 0..world.random.u32(1..8) {
        let mut request = world.request(machine, &users[0], &users[0]);
        ensure!(world.answer(&mut request, nonce), "the nonce is bound to nobody");
        let gap = world.between(MILLISECOND, 5 * SECOND);
        world.pass(gap);
    }
    world.pass(SECOND);
    let identity = world.engine.source(machine.ip()).identity;
    ensure!(identity == Identity::Stranger, "{identity:?} by a success from elsewhere");
    let began = world.now;
    for _ in 0..30 {
        let guess = Guess::new(machine, &users[1]);
        world.guess(&guess, How::Answered);
        world.pass(300 * MILLISECOND);
    }
    let guesses = world.guesses_of(machine.ip());
    ensure!(guesses <= 5, "{guesses} guesses of a stranger");
    world.check()?;
    Ok(Played::new(guesses, world.now.since(began).max(HOUR), world.lost()))
}

/// A forger with an account of his own: it succeeds in a phone's name, then fails in its own dialog.
fn success_for_a_phone(seed: u64) -> Outcome {
    let mut world = World::new(seed);
    let victim = victims(&mut world, 2)?;
    let phone = world.phones[victim].clone();
    let users = world.users(1);
    let own = world.address();
    let patient = world.random.bool();
    let began = world.now;
    let (nonce, _) = world.log_in(own, &users[0]).ok_or("no way in")?;
    let mut request = world.request(phone.addr, &users[0], &users[0]);
    if patient {
        world.send(&request);
        world.pass(20 * MILLISECOND);
    }
    world.answer(&mut request, nonce);
    world.pass(SECOND);
    let ends = world.random.bool();
    if ends {
        request.expires = Duration::ZERO;
        world.answer(&mut request, nonce);
        world.pass(SECOND);
    }
    let mut guess = Guess::new(phone.addr, &users[0]);
    guess.call_id = Some(request.call_id.clone());
    for _ in 0..world.random.u32(20..130) {
        let how = if world.random.bool() { How::Reused(nonce) } else { How::Patient(nonce) };
        world.guess(&guess, how);
        let gap = world.between(MILLISECOND, 500 * MILLISECOND);
        world.pass(gap);
    }
    let span = world.now.since(began);
    world.pass(10 * MINUTE);
    nobody_lost(&mut world)?;
    // It sends the password that it has.
    Ok(Played::new(0, span, world.lost()))
}

/// With challenges forged for each address its account makes five a day known, and there is an alarm.
fn patient_successes(seed: u64) -> Outcome {
    let mut world = World::new(seed);
    world.settle();
    let users = world.users(2);
    let own = world.address();
    let mut nonce = world.log_in(own, &users[0]).ok_or("no way in")?.0;
    let machines: Vec<SocketAddr> =
        (0..world.random.u32(10..40)).map(|_| world.address()).collect();
    let began = world.now;
    for machine in &machines {
        let mut request = world.request(*machine, &users[0], &users[0]);
        world.send(&request);
        world.pass(20 * MILLISECOND);
        if !world.answer(&mut request, nonce) {
            nonce = world.log_in(own, &users[0]).ok_or("no way in")?.0;
            world.answer(&mut request, nonce);
        }
        world.pass(2 * SECOND);
    }
    let known = machines
        .iter()
        .filter(|machine| world.engine.source(machine.ip()).identity != Identity::Stranger)
        .count();
    ensure!(known <= 5, "one account made {known} addresses known");
    let alarmed = world.ledger.alarm(|alarm| matches!(alarm, Alarm::AccountSpread { .. }));
    ensure!(alarmed.is_some(), "no alarm for an account at {} addresses", machines.len());
    for machine in machines.iter().rev().take(5) {
        for _ in 0..10 {
            world.guess(&Guess::new(*machine, &users[1]), How::Answered);
            world.pass(300 * MILLISECOND);
        }
        let guesses = world.guesses_of(machine.ip());
        ensure!(guesses <= 5, "{guesses} guesses of a stranger");
    }
    world.check()?;
    Ok(Played::new(world.guessed, world.now.since(began).max(DAY), world.lost()))
}

/// Forged failures between those of the phone itself, with its port and its user.
fn ports(seed: u64) -> Outcome {
    let mut world = World::new(seed);
    world.disorder = world.between(Duration::ZERO, 150 * MILLISECOND);
    let victim = victims(&mut world, 2)?;
    let began = world.now;
    for round in 0..world.random.u32(2..6) {
        // The user mistypes now and then.
        world.phones[victim].wrong_password = round % 2 == 0;
        world.wake_phone(victim, Duration::ZERO);
        let phone = world.phones[victim].clone();
        let mut forger = Forger::default();
        for _ in 0..world.random.u32(1..25) {
            let port =
                if world.random.bool() { phone.addr.port() } else { world.random.u16(1_025..) };
            let mut guess = Guess::new(SocketAddr::new(phone.addr.ip(), port), &phone.user);
            guess.agent = phone.agent.clone();
            let nonce = forger.nonce(&mut world);
            let how = match world.random.u8(..3) {
                0 => How::Patient(nonce),
                1 => How::Reused(nonce),
                _ => How::Blind,
            };
            world.guess(&guess, how);
            let gap = world.between(Duration::ZERO, 30 * MILLISECOND);
            world.pass(gap);
        }
        world.phones[victim].wrong_password = false;
        world.pass(40 * SECOND);
    }
    let span = world.now.since(began);
    nobody_lost(&mut world)?;
    Ok(Played::new(world.guessed, span, world.lost()))
}

/// Flows are denied by their ports, and every port is known to the forger. Those of registrations stay.
fn office_ports(seed: u64) -> Outcome {
    let mut world = World::new(seed);
    let count = world.random.usize(2..20);
    let (ip, phones) = world.office(count, [Duration::ZERO, 3 * DAY][seed as usize % 2]);
    for phone in &phones {
        world.phones[*phone].expires = 2 * MINUTE;
    }
    world.settle();
    world.all_registered()?;
    let users = world.users(2);
    let began = world.now;
    let mut forger = Forger::default();
    // Two users: no insider, whose host would be slowed down.
    for n in 0..300 {
        let theirs = world.phones[phones[n % phones.len()]].addr.port();
        let port = if world.random.u8(..4) == 0 { world.random.u16(1_025..) } else { theirs };
        let nonce = forger.nonce(&mut world);
        let guess = Guess::new(SocketAddr::new(ip, port), &users[n % 2]);
        world.guess(&guess, How::Patient(nonce));
        let gap = world.between(10 * MILLISECOND, SECOND);
        world.pass(gap);
    }
    let span = world.now.since(began);
    world.pass(10 * MINUTE);
    nobody_lost(&mut world)?;
    let denied = world.ledger.denials.len();
    ensure!((1..=16).contains(&denied), "{denied} flows of forged ports denied within an hour");
    Ok(Played::new(world.guessed, span, world.lost()))
}

/// A known phone of random age that registers every minute, at an IPv4 or IPv6 address, and sleeps.
fn sleeper(world: &mut World) -> Result<usize, String> {
    let net = world.network6();
    let addr = if world.random.bool() { world.address() } else { world.inside(net, 64) };
    let age = [Duration::ZERO, 2 * DAY][world.random.usize(..2)];
    let victim = world.phone_at(addr, age);
    world.phones[victim].expires = MINUTE;
    world.settle();
    world.all_registered()?;
    world.phones[victim].asleep = true;
    world.pass(15 * MINUTE);
    ensure!(!world.sofia.is_registered(addr.ip()), "still registered");
    Ok(victim)
}

fn wake(world: &mut World, victim: usize) {
    world.phones[victim].asleep = false;
    world.phones[victim].forget_nonce();
    world.wake_phone(victim, SECOND);
}

/// Packets in the name of a host, more than pass of one that is slowed down.
fn use_up(world: &mut World, victim: usize, time: Duration) {
    let (addr, nobody) = (world.phones[victim].addr, world.users(1)[0].clone());
    let (port, until) = (world.random.u16(30_000..60_000), world.now + time);
    while world.now < until {
        let request = world.request(SocketAddr::new(addr.ip(), port), &nobody, &nobody);
        world.send(&request);
        let gap = world.between(50 * MILLISECOND, 250 * MILLISECOND);
        world.pass(gap);
    }
}

/// What the phone may lose: ten minutes, and the seconds until it tries again, which is its own doing.
const TEN_MINUTES: Duration = Duration::from_secs(610);

/// Nobody is registered, so guesses from many ports are slowed down: a forger brings that about, and uses it up. A
/// registration ends it.
fn hop_and_use_up(seed: u64) -> Outcome {
    let mut world = World::new(seed);
    let victim = sleeper(&mut world)?;
    let (ip, count) = (world.phones[victim].addr.ip(), world.random.usize(1..8));
    let users = world.users(count);
    let (began, first) = (world.now, world.random.u16(20_000..60_000));
    let gap = world.between(10 * MILLISECOND, 2 * SECOND);
    let mut forger = Forger::default();
    for n in 0..world.random.u16(30..60) {
        let guess = Guess::new(SocketAddr::new(ip, first + n), &users[usize::from(n) % count]);
        let nonce = forger.nonce(&mut world);
        world.guess(&guess, How::Patient(nonce));
        world.pass(gap);
    }
    wake(&mut world, victim);
    let registers = world.random.bool();
    if registers {
        world.pass(MINUTE);
        ensure!(world.sofia.is_registered(ip), "it did not register");
    }
    use_up(&mut world, victim, 70 * MINUTE);
    world.check()?;
    let lost = world.lost();
    let most = if registers { Duration::ZERO } else { TEN_MINUTES };
    ensure!(lost <= most, "registers first: {registers}; lost {lost:?}");
    Ok(Played::new(world.guessed, world.now.since(began), lost.min(10 * MINUTE)))
}

/// A port is denied while the phone sleeps; it registers, and is slowed down like an insider. Both together cost ten
/// minutes of an hour.
fn denied_then_slowed(seed: u64) -> Outcome {
    let mut world = World::new(seed);
    let victim = sleeper(&mut world)?;
    let began = world.now;
    // A phone of long standing keeps its port: then only the limit is left.
    let (users, gap) = (world.random.usize(1..6), world.between(10 * MILLISECOND, SECOND));
    forge(&mut world, victim, users, 25, gap);
    wake(&mut world, victim);
    let wait = world.between(Duration::ZERO, 15 * MINUTE);
    world.pass(wait);
    let users = world.random.usize(3..8);
    forge(&mut world, victim, users, 30, gap);
    use_up(&mut world, victim, 12 * MINUTE);
    forge(&mut world, victim, users, 30, gap);
    world.pass(15 * MINUTE);
    world.check()?;
    let lost = world.lost();
    ensure!(lost <= TEN_MINUTES, "denied, then slowed down: {lost:?} within an hour");
    Ok(Played::new(world.guessed, world.now.since(began), lost.min(10 * MINUTE)))
}

/// What a phone lost before a restart counts after it.
fn slowed_again(seed: u64) -> Outcome {
    let mut world = World::new(seed);
    let victim = victims(&mut world, 1)?;
    world.phones[victim].expires = MINUTE;
    world.wake_phone(victim, SECOND);
    world.pass(2 * MINUTE);
    let (began, users) = (world.now, world.random.usize(3..9));
    for _ in 0..3 {
        let gap = world.between(10 * MILLISECOND, 200 * MILLISECOND);
        forge(&mut world, victim, users, 30, gap);
        let time = world.between(4 * MINUTE, 11 * MINUTE);
        use_up(&mut world, victim, time);
        let gap = world.between(100 * MILLISECOND, 5 * SECOND);
        world.restart_sipward(gap, 100 * MILLISECOND);
        world.pass(20 * SECOND);
    }
    world.pass(10 * MINUTE);
    world.check()?;
    let lost = world.lost();
    ensure!(world.now.since(began) < HOUR, "all of it is within an hour");
    ensure!(lost <= TEN_MINUTES, "slowed down again after a restart: {lost:?} within an hour");
    Ok(Played::new(world.guessed, world.now.since(began), lost.min(10 * MINUTE)))
}

/// A registration that nothing proves stays unproved when a list has it, in however many dialogs it was made.
fn successes_that_are_listed(seed: u64) -> Outcome {
    let mut world = World::new(seed);
    world.settle();
    let (own, machine, users) = (world.address(), world.address(), world.users(1));
    let (nonce, _) = world.log_in(own, &users[0]).ok_or("no way in")?;
    let began = world.now;
    for _ in 0..world.random.u32(1..6) {
        let mut request = world.request(machine, &users[0], &users[0]);
        ensure!(world.answer(&mut request, nonce), "the nonce is bound to nobody");
        let gap = world.between(MILLISECOND, 5 * SECOND);
        world.pass(gap);
    }
    // What waits for its challenge, or was unseen, is over.
    world.pass(5 * MINUTE);
    for _ in 0..world.random.u32(1..4) {
        world.reconnect(SECOND, 100 * MILLISECOND);
        world.pass(SECOND);
        let identity = world.engine.source(machine.ip()).identity;
        ensure!(identity == Identity::Stranger, "{identity:?} by a list of forged successes");
    }
    world.check()?;
    Ok(Played::new(0, world.now.since(began), world.lost()))
}
