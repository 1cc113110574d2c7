//! Nobody attacks: what healthy people and their phones do by themselves.

use std::net::SocketAddr;
use std::time::Duration;

use sipward_engine::Identity;

use crate::attack::{Forger, Guess, How};
use crate::phone::Habit;
use crate::play::{Family, Member, Played};
use crate::sofia::Answer;
use crate::world::{DAY, HOUR, MILLISECOND, MINUTE, SECOND, World};

type Outcome = Result<Played, String>;

pub(crate) const FAMILIES: &[Family] = &[
    Family {
        name: "two lines",
        members: &[
            Member::new("one line with a wrong password beside a good one", two_lines),
            Member::new("two phones behind one address, one on an old password", two_phones),
        ],
    },
    Family {
        name: "NAT of twenty",
        members: &[
            Member::new("some of twenty phones on an old password", office_partly).every(2),
            Member::new("all twenty on an old password", office_wholly).every(2),
        ],
    },
    Family {
        name: "moving about",
        members: &[
            Member::new("phones restart with new Call-IDs and mistype", restarts),
            Member::new("a phone that changes its address", roaming),
            Member::new("a client that goes on with its nonce from another address", rebound),
            Member::new("a trunk whose password was changed", trunk),
        ],
    },
    Family {
        name: "monitoring",
        members: &[
            Member::new("a monitor that is challenged and never answers", monitor),
            Member::new("SUBSCRIBE and MESSAGE as password oracles", subscribe),
        ],
    },
];

fn nobody_banned(world: &mut World, began: sipward_engine::Timestamp) -> Outcome {
    world.check()?;
    let lost = world.lost();
    let ban = world.ledger.bans.first();
    let why = ban.map(|ban| {
        (
            ban.net,
            ban.since.since(began),
            ban.cause.evidence().map(|e| (e.rule, e.identity, e.grade)),
        )
    });
    ensure!(why.is_none() && lost.is_zero(), "lost {lost:?}, banned: {why:?}");
    Ok(Played::new(0, DAY, lost))
}

fn two_lines(seed: u64) -> Outcome {
    let mut world = World::new(seed);
    world.disorder = world.between(Duration::ZERO, 15 * MILLISECOND);
    let addr = world.address();
    let ages = [Duration::ZERO, 3 * DAY];
    world.phone_at(addr, ages[seed as usize % 2]);
    world.phones[0].expires = MINUTE;
    world.settle();
    let began = world.now;
    let bad = world.phone_at(addr, Duration::ZERO);
    world.phones[bad].wrong_password = true;
    world.phones[bad].retry = world.between(4 * SECOND, 40 * SECOND);
    world.pass(HOUR);
    let told = world.ledger.told_of(addr.ip());
    ensure!(told.is_some(), "a line with a wrong password for an hour, not a word");
    nobody_banned(&mut world, began)
}

fn two_phones(seed: u64) -> Outcome {
    let mut world = World::new(seed);
    let (ip, phones) = world.office(2, [Duration::ZERO, 3 * DAY][seed as usize % 2]);
    for phone in &phones {
        world.phones[*phone].expires = 2 * MINUTE;
    }
    world.settle();
    world.all_registered()?;
    let began = world.now;
    world.phones[phones[1]].wrong_password = true;
    world.phones[phones[1]].retry = world.between(5 * SECOND, 40 * SECOND);
    world.pass(90 * MINUTE);
    ensure!(world.ledger.told_of(ip).is_some(), "an old password for an hour, not a word");
    nobody_banned(&mut world, began)
}

fn office_partly(seed: u64) -> Outcome {
    let mut world = World::new(seed);
    let (_, phones) = world.office(20, [Duration::ZERO, 3 * DAY][seed as usize % 2]);
    world.settle();
    world.all_registered()?;
    let began = world.now;
    let wrong = world.random.usize(2..15);
    for phone in phones.into_iter().take(wrong) {
        world.phones[phone].wrong_password = true;
        world.reboot(phone);
        world.phones[phone].retry = world.between(30 * SECOND, 2 * MINUTE);
    }
    world.pass(HOUR);
    nobody_banned(&mut world, began)
}

/// Nobody is registered any more: a known office may be banned briefly, one of a day or more not at all.
fn office_wholly(seed: u64) -> Outcome {
    let mut world = World::new(seed);
    let old = seed % 2 == 1;
    let (ip, phones) = world.office(20, if old { 3 * DAY } else { Duration::ZERO });
    world.settle();
    world.all_registered()?;
    for phone in phones {
        world.phones[phone].wrong_password = true;
        world.reboot(phone);
        world.phones[phone].retry = world.between(30 * SECOND, 2 * MINUTE);
    }
    world.pass(100 * MINUTE);
    world.check()?;
    let lost = world.ledger.worst_hour(ip, world.now);
    let most = if old { Duration::ZERO } else { 10 * MINUTE + SECOND };
    ensure!(lost <= most, "an office was banned for {lost:?} within an hour");
    ensure!(world.ledger.told_of(ip).is_some(), "an office on an old password, not a word");
    Ok(Played::new(0, DAY, lost))
}

fn restarts(seed: u64) -> Outcome {
    let mut world = World::new(seed);
    world.phones(4);
    world.settle();
    let began = world.now;
    for _ in 0..6 {
        let phone = world.random.usize(..4);
        world.reboot(phone);
        let mistypes = world.random.bool();
        world.phones[phone].wrong_password = mistypes;
        world.phones[phone].retry = world.between(5 * SECOND, 12 * SECOND);
        world.wake_phone(phone, SECOND);
        // Five failures at most, as in the recordings.
        world.pass(20 * SECOND);
        world.phones[phone].wrong_password = false;
        let rest = world.between(MINUTE, 20 * MINUTE);
        world.pass(rest);
    }
    nobody_banned(&mut world, began)
}

/// A few new addresses a day: registered there, it is known there, and no forger has it banned.
fn roaming(seed: u64) -> Outcome {
    let mut world = World::new(seed);
    let phone = world.phone();
    world.settle();
    let began = world.now;
    for _ in 0..4 {
        let addr = world.address();
        world.phones[phone].addr = addr;
        world.reboot(phone);
        world.wake_phone(phone, SECOND);
        world.pass(3 * MINUTE);
        let identity = world.engine.source(addr.ip()).identity;
        ensure!(identity != Identity::Stranger, "registered at a new address, and a stranger");
        forge_some(&mut world, phone);
    }
    nobody_banned(&mut world, began)
}

fn forge_some(world: &mut World, phone: usize) {
    let phone = world.phones[phone].clone();
    let mut forger = Forger::default();
    for _ in 0..15 {
        let nonce = forger.nonce(world);
        world.guess(&Guess::new(phone.addr, &phone.user), How::Patient(nonce));
        world.pass(300 * MILLISECOND);
    }
}

/// A router gives its address another source: same Call-ID, same nonce, no challenge (recording `2-e2`).
fn rebound(seed: u64) -> Outcome {
    let mut world = World::new(seed);
    let phone = world.phone();
    world.phones[phone].habit = Habit::KeepsNonce;
    world.settle();
    let began = world.now;
    let addr = world.address();
    world.phones[phone].addr = addr;
    world.wake_phone(phone, SECOND);
    world.pass(10 * SECOND);
    ensure!(world.sofia.is_registered(addr.ip()), "it did not register");
    let identity = world.engine.source(addr.ip()).identity;
    ensure!(identity != Identity::Stranger, "registered from another address, and a stranger");
    forge_some(&mut world, phone);
    nobody_banned(&mut world, began)
}

/// Recording `2-e4`: the first failure with the old nonce in the registered Call-ID, later ones challenged.
fn trunk(seed: u64) -> Outcome {
    let mut world = World::new(seed);
    let phone = world.phone();
    world.phones[phone].habit = Habit::KeepsNonce;
    world.phones[phone].expires = 30 * SECOND;
    world.settle();
    let began = world.now;
    world.phones[phone].wrong_password = true;
    world.phones[phone].retry = world.between(12 * SECOND, 30 * SECOND);
    let wrong = world.between(MINUTE, 8 * MINUTE);
    world.pass(wrong);
    world.phones[phone].wrong_password = false;
    world.pass(5 * MINUTE);
    nobody_banned(&mut world, began)
}

/// Once or twice a minute, from a host that has no account. OPTIONS cause no event at all.
fn monitor(seed: u64) -> Outcome {
    let mut world = World::new(seed);
    world.phones(1);
    world.settle();
    let (host, began) = (world.address(), world.now);
    let gap = world.between(11 * SECOND, MINUTE);
    while world.now.since(began) < 2 * HOUR {
        let answer = world.challenge(host);
        ensure!(answer.is_some(), "the monitor is banned");
        world.pass(gap);
    }
    nobody_banned(&mut world, began)
}

/// FreeSWITCH sends no failure for these: only challenges are seen. Told, not banned.
fn subscribe(seed: u64) -> Outcome {
    let mut world = World::new(seed);
    world.phones(1);
    world.settle();
    let (host, users) = (world.address(), world.users(5));
    let began = world.now;
    let gap = world.between(20 * MILLISECOND, 5 * SECOND);
    let mut arrived = 0;
    for n in 0..150 {
        let agent = users[0].clone();
        let request = world.request(SocketAddr::new(host.ip(), 5_060), &users[n % 5], &agent);
        // The answer with a password is checked without an event.
        arrived += u64::from(matches!(world.send(&request), Answer::Challenged(_)));
        world.pass(gap);
    }
    let told = world.ledger.told_of(host.ip());
    ensure!(told.is_some(), "{arrived} guesses by SUBSCRIBE, one in {gap:?}, not a word");
    world.check()?;
    Ok(Played::new(arrived, world.now.since(began), world.lost()))
}
