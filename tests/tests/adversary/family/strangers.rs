//! Strangers that are slow, or come from many hosts at once.

use std::time::Duration;

use sipward_engine::{Alarm, RuleName};

use crate::attack::{Forger, Guess, How};
use crate::play::{Family, Member, Played};
use crate::world::{DAY, HOUR, MILLISECOND, MINUTE, SECOND, World};

type Outcome = Result<Played, String>;

pub(crate) const FAMILIES: &[Family] = &[
    Family {
        name: "slow",
        members: &[
            Member::new("four answered guesses in each window", four_a_window),
            Member::new("nineteen guesses with borrowed nonces in each window", nineteen_a_window),
            Member::new("as fast as possible, whenever the ban is over", until_banned),
            Member::new("answered and borrowed in turn", mixed),
        ],
    },
    Family {
        name: "distributed",
        members: &[
            Member::new("ten thousand hosts, five guesses a second in all", ten_thousand).every(4),
            Member::new("ten thousand hosts with one borrowed nonce", ten_thousand_borrowed)
                .every(4),
            Member::new("a few guesses in a row from each of them", some_each).every(4),
            Member::new("up to nineteen in a row, with one borrowed nonce", many_borrowed_each)
                .every(4),
            Member::new("many hosts against one account", one_account),
        ],
    },
];

/// Guesses of one stranger by a plan of a day; gives how many arrived in the worst window.
fn day_of(world: &mut World, gap: Duration, borrowed: bool) -> Outcome {
    let host = world.address();
    let users = world.users(9);
    let mut forger = Forger::default();
    let began = world.now;
    let mut n = 0;
    let mut times = Vec::new();
    while world.now.since(began) < DAY / 8 {
        let guess = Guess::new(host, &users[n % 9]);
        let how = if borrowed { How::Reused(forger.nonce(world)) } else { How::Answered };
        if world.guess(&guess, how) {
            times.push(world.now);
        }
        n += 1;
        world.pass(gap);
    }
    let most = if borrowed { 20 } else { 5 };
    let window = times.iter().enumerate().map(|(at, begin)| {
        times[at..].iter().take_while(|time| time.since(*begin) < 10 * MINUTE).count()
    });
    let worst = window.max().unwrap_or_default();
    ensure!(worst <= most, "{worst} guesses within a window");
    if !borrowed && times.len() > 40 {
        let told = world.ledger.told_of(host.ip());
        ensure!(told.is_some(), "{} guesses, not a word", times.len());
    }
    world.check()?;
    Ok(Played::new(times.len() as u64, world.now.since(began), world.lost()))
}

fn four_a_window(seed: u64) -> Outcome {
    let mut world = World::new(seed);
    world.settle();
    let gap = world.between(150 * SECOND, 200 * SECOND);
    day_of(&mut world, gap, false)
}

fn nineteen_a_window(seed: u64) -> Outcome {
    let mut world = World::new(seed);
    world.settle();
    let gap = world.between(31 * SECOND, 40 * SECOND);
    day_of(&mut world, gap, true)
}

fn until_banned(seed: u64) -> Outcome {
    let mut world = World::new(seed);
    world.settle();
    let gap = world.between(300 * MILLISECOND, 100 * SECOND);
    let borrowed = world.random.bool();
    let gap = if borrowed { gap.min(25 * SECOND) } else { gap };
    day_of(&mut world, gap, borrowed)
}

fn mixed(seed: u64) -> Outcome {
    let mut world = World::new(seed);
    world.settle();
    let host = world.address();
    let users = world.users(3);
    let mut forger = Forger::default();
    let began = world.now;
    let mut times = Vec::new();
    while world.now.since(began) < 2 * HOUR {
        let answered = world.random.u8(..4) == 0;
        let nonce = forger.nonce(&mut world);
        let how = if answered { How::Answered } else { How::Reused(nonce) };
        let user = users[world.random.usize(..3)].clone();
        if world.guess(&Guess::new(host, &user), how) {
            times.push(world.now);
        }
        let gap = world.between(20 * SECOND, 80 * SECOND);
        world.pass(gap);
    }
    let window = times.iter().enumerate().map(|(at, begin)| {
        times[at..].iter().take_while(|time| time.since(*begin) < 10 * MINUTE).count()
    });
    let worst = window.max().unwrap_or_default();
    ensure!(worst <= 20, "{worst} guesses within a window");
    world.check()?;
    Ok(Played::new(times.len() as u64, world.now.since(began), world.lost()))
}

/// Many hosts, each so seldom that none is banned, or with `each` guesses in a row: an alarm that names accounts
/// within a minute.
fn many_hosts(world: &mut World, accounts: usize, each: usize, borrowed: bool) -> Outcome {
    world.settle();
    world.phones(2);
    let users = world.users(accounts);
    let hosts: Vec<_> = (0..10_000).map(|_| world.address()).collect();
    let mut forger = Forger::default();
    let began = world.now;
    let (mut alarmed, mut host) = (None, hosts[0]);
    for n in 0.. {
        if world.now.since(began) >= 2 * MINUTE {
            break;
        }
        if n % each == 0 {
            host = hosts[world.random.usize(..hosts.len())];
        }
        let guess = Guess::new(host, &users[world.random.usize(..accounts)]);
        let how = if borrowed { How::Reused(forger.nonce(world)) } else { How::Answered };
        world.guess(&guess, how);
        let gap = world.between(100 * MILLISECOND, 240 * MILLISECOND);
        world.pass(gap);
        if alarmed.is_none() {
            alarmed = world.ledger.alarms.iter().find_map(|(at, alarm)| match alarm {
                Alarm::Distributed { users, .. } => Some((at.since(began), users.clone())),
                _ => None,
            });
        }
    }
    let (after, named) = alarmed.ok_or("no alarm in two minutes")?;
    ensure!(after <= 60 * SECOND, "the alarm came after {after:?}");
    let right = named.iter().all(|name| users.iter().any(|user| **user == **name));
    ensure!(right && !named.is_empty(), "the alarm names {named:?}");
    world.check()?;
    let lost = world.lost();
    ensure!(lost.is_zero(), "a phone lost {lost:?}");
    Ok(Played::new(world.guessed, world.now.since(began), lost))
}

fn ten_thousand(seed: u64) -> Outcome {
    let mut world = World::new(seed);
    let accounts = world.random.usize(1..60);
    many_hosts(&mut world, accounts, 1, false)
}

/// Each one below its threshold, or up to it.
fn some_each(seed: u64) -> Outcome {
    let mut world = World::new(seed);
    let (accounts, each) = (world.random.usize(1..60), world.random.usize(2..=5));
    many_hosts(&mut world, accounts, each, false)
}

fn many_borrowed_each(seed: u64) -> Outcome {
    let mut world = World::new(seed);
    let (accounts, each) = (world.random.usize(1..60), world.random.usize(2..=19));
    many_hosts(&mut world, accounts, each, true)
}

fn ten_thousand_borrowed(seed: u64) -> Outcome {
    let mut world = World::new(seed);
    let accounts = world.random.usize(1..60);
    many_hosts(&mut world, accounts, 1, true)
}

fn one_account(seed: u64) -> Outcome {
    let mut world = World::new(seed);
    world.settle();
    let users = world.users(1);
    let count = world.random.usize(15..40);
    let hosts: Vec<_> = (0..count).map(|_| world.address()).collect();
    let began = world.now;
    for _ in 0..3 {
        for host in &hosts {
            world.guess(&Guess::new(*host, &users[0]), How::Answered);
            let gap = world.between(2 * SECOND, 20 * SECOND);
            world.pass(gap);
        }
    }
    let alarmed = world.ledger.alarm(|alarm| match alarm {
        Alarm::AccountAttacked { user, .. } => **user == *users[0],
        _ => false,
    });
    ensure!(alarmed.is_some(), "{count} hosts attack one account, no alarm");
    let shadowed = world.ledger.shadowed.iter().any(|(_, _, rule)| *rule == RuleName::Account);
    ensure!(shadowed, "the rule `account` did not say what it would do");
    world.check()?;
    Ok(Played::new(world.guessed, world.now.since(began), world.lost()))
}
