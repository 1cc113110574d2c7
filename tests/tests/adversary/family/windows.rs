//! While sipward does not see, has just begun to, or was never there before.

use std::time::Duration;

use sipward_engine::Identity;

use crate::attack::{Forger, Guess, How};
use crate::play::{Family, Member, Played};
use crate::world::{DAY, HOUR, MILLISECOND, MINUTE, SECOND, World};

type Outcome = Result<Played, String>;

/// Longest time until sipward knows the registrations; wrong decisions are lifted then.
const LISTED: Duration = Duration::from_secs(3);

/// Longest time until a phone without an answer sends its request again ([`World::step_phone`]).
const RETRANSMITTED: Duration = Duration::from_secs(6);

pub(crate) const FAMILIES: &[Family] = &[
    Family {
        name: "reconnect and restart",
        members: &[
            Member::new("forgers when sipward has reconnected", |seed| {
                forgers_after(seed, World::reconnect)
            }),
            Member::new("forgers when sipward was restarted", |seed| {
                forgers_after(seed, World::restart_sipward)
            }),
            Member::new("forgers when FreeSWITCH was restarted", forgers_after_freeswitch),
            Member::new("a stranger goes on guessing through restarts", stranger_through_restarts),
            Member::new("a brief ban before a restart, another one after it", brief_twice),
            Member::new("a client that registers while nobody looks", registers_unseen),
        ],
    },
    Family {
        name: "first start",
        members: &[
            Member::new("forgers before and after the first list", forgers_at_first_start),
            Member::new("an insider in the first list", insider_at_first_start),
            Member::new("a stolen account at many hosts in the first list", stolen_at_first_start),
        ],
    },
];

/// Forged guesses of every kind in the name of all phones, for some seconds.
fn forge_at_all(world: &mut World, time: Duration) {
    let began = world.now;
    let mut forger = Forger::default();
    let users = world.users(5);
    while world.now.since(began) < time {
        let phone = world.phones[world.random.usize(..world.phones.len())].clone();
        let own = world.random.bool();
        let user = if own { phone.user.clone() } else { users[world.random.usize(..5)].clone() };
        let mut guess = Guess::new(phone.addr, &user);
        if world.random.bool() {
            guess.agent = phone.agent.clone();
        }
        let nonce = forger.nonce(world);
        let how = if world.random.u8(..4) == 0 { How::Reused(nonce) } else { How::Patient(nonce) };
        world.guess(&guess, how);
        let gap = world.between(MILLISECOND, 20 * MILLISECOND);
        world.pass(gap);
    }
}

fn nobody_lost(world: &mut World, began: sipward_engine::Timestamp) -> Outcome {
    world.pass(15 * MINUTE);
    world.check()?;
    let lost = world.lost();
    let ban = world
        .ledger
        .bans
        .iter()
        .find(|ban| world.phones.iter().any(|phone| ban.net.contains(&phone.addr.ip())));
    let summary = ban.map(|ban| {
        let evidence = ban.cause.evidence().map(|e| (e.rule, e.identity, e.grade, e.failures));
        (ban.net, ban.since.since(began), evidence)
    });
    // Until the list has come, and the phone has sent its request again.
    ensure!(lost <= LISTED + RETRANSMITTED, "a registered phone lost {lost:?}: {summary:?}");
    Ok(Played::new(world.guessed, world.now.since(began), lost))
}

/// Two registered phones.
fn two_registered(seed: u64) -> Result<World, String> {
    let mut world = World::new(seed);
    world.phones(2);
    world.settle();
    world.all_registered()?;
    Ok(world)
}

/// Forgers make use of what `cut` does: events are missed for a time, and the list comes a time after that.
fn forgers_after(seed: u64, cut: fn(&mut World, Duration, Duration)) -> Outcome {
    let mut world = two_registered(seed)?;
    let gap = world.between(100 * MILLISECOND, 40 * SECOND);
    let listed = world.between(20 * MILLISECOND, 2 * SECOND);
    let began = world.now;
    cut(&mut world, gap, listed);
    forge_at_all(&mut world, 4 * SECOND);
    nobody_lost(&mut world, began)
}

fn forgers_after_freeswitch(seed: u64) -> Outcome {
    let mut world = two_registered(seed)?;
    let gap = world.between(SECOND, 20 * SECOND);
    let began = world.now;
    // Its database keeps the registrations; a phone that is not registered may be banned briefly.
    world.restart_freeswitch(gap, false);
    forge_at_all(&mut world, 4 * SECOND);
    nobody_lost(&mut world, began)
}

/// Each restart begins a new window and no more; what was banned stays banned.
fn stranger_through_restarts(seed: u64) -> Outcome {
    let mut world = World::new(seed);
    world.phones(1);
    world.settle();
    let (host, users) = (world.address(), world.users(1));
    let began = world.now;
    let restarts = world.random.u64(1..4);
    for _ in 0..=restarts {
        for _ in 0..world.random.u32(3..12) {
            world.guess(&Guess::new(host, &users[0]), How::Answered);
            let gap = world.between(300 * MILLISECOND, 2 * SECOND);
            world.pass(gap);
        }
        let gap = world.between(50 * MILLISECOND, SECOND);
        match world.random.u8(..3) {
            0 => world.reconnect(gap, 100 * MILLISECOND),
            1 => world.restart_sipward(gap, 100 * MILLISECOND),
            _ => world.restart_freeswitch(gap, false),
        }
    }
    let guesses = world.guesses_of(host.ip());
    let most = 4 * restarts + 5;
    ensure!(guesses <= most, "{guesses} guesses through {restarts} restarts");
    world.check()?;
    let lost = world.lost();
    ensure!(lost.is_zero(), "a phone lost {lost:?}");
    Ok(Played::new(guesses, world.now.since(began).max(HOUR), lost))
}

fn brief_twice(seed: u64) -> Outcome {
    let mut world = World::new(seed);
    let victim = world.phone();
    world.settle();
    world.phones[victim].asleep = true;
    world.pass(HOUR + 10 * MINUTE);
    let phone = world.phones[victim].clone();
    let began = world.now;
    let mut forger = Forger::default();
    for _ in 0..2 {
        for _ in 0..30 {
            let nonce = forger.nonce(&mut world);
            world.guess(&Guess::new(phone.addr, &phone.user), How::Patient(nonce));
            world.pass(100 * MILLISECOND);
        }
        let wait = world.between(11 * MINUTE, 20 * MINUTE);
        world.pass(wait);
        world.restart_sipward(SECOND, 100 * MILLISECOND);
        world.pass(2 * SECOND);
    }
    world.check()?;
    let lost = world.lost();
    ensure!(lost <= 10 * MINUTE + SECOND, "banned for {lost:?} within an hour, before and after");
    Ok(Played::new(world.guessed, world.now.since(began), lost))
}

/// Challenged unseen, registered just behind the list: it goes on with its nonce and is never challenged
/// again. It is registered all the same.
fn registers_unseen(seed: u64) -> Outcome {
    let mut world = World::new(seed);
    world.settle();
    world.reconnect(10 * SECOND, 5 * MILLISECOND);
    let late = world.phone();
    world.phones[late].habit = crate::phone::Habit::KeepsNonce;
    let phone = world.phones[late].clone();
    // Its first answer comes when the list was written already.
    world.pass(SECOND);
    let began = world.now;
    world.settle();
    world.all_registered()?;
    let reconnects = world.random.bool();
    if reconnects {
        world.reconnect(SECOND, 100 * MILLISECOND);
        world.pass(10 * SECOND);
    }
    forge_at_all(&mut world, 4 * SECOND);
    ensure!(
        world.engine.source(phone.addr.ip()).identity != Identity::Stranger,
        "registered, and a stranger"
    );
    nobody_lost(&mut world, began)
}

/// FreeSWITCH has served its phones for days when sipward comes.
fn installed(world: &mut World, phones: usize) -> Result<(), String> {
    world.phones(phones);
    for phone in &mut world.phones {
        phone.expires = 10 * MINUTE;
    }
    world.unseen(true);
    world.settle();
    world.all_registered()?;
    world.engine_anew();
    world.unseen(false);
    Ok(())
}

fn forgers_at_first_start(seed: u64) -> Outcome {
    let mut world = World::new(seed);
    installed(&mut world, 2)?;
    let listed = world.between(20 * MILLISECOND, 2 * SECOND);
    world.ask_registrations(listed, true);
    let began = world.now;
    let wait = world.between(Duration::ZERO, 3 * SECOND);
    world.pass(wait);
    forge_at_all(&mut world, 4 * SECOND);
    nobody_lost(&mut world, began)
}

/// Being in the first list makes trusted; guesses for others end that, and are reported.
fn insider_at_first_start(seed: u64) -> Outcome {
    let mut world = World::new(seed);
    world.phones(2);
    let own = world.users(1);
    let host = world.address();
    let (nonce, call_id) = world.log_in(host, &own[0]).ok_or("no way in")?;
    installed(&mut world, 1)?;
    world.ask_registrations(100 * MILLISECOND, true);
    world.pass(SECOND);
    let before = world.engine.source(host.ip()).identity;
    ensure!(before == Identity::Trusted, "{before:?} by the first list");
    if world.random.bool() {
        world.log_out(host, &own[0], nonce, &call_id);
    }
    let users = world.users(12);
    let began = world.now;
    for n in 0..30 {
        world.guess(&Guess::new(host, &users[n % 12]), How::Answered);
        let gap = world.between(300 * MILLISECOND, 20 * SECOND);
        world.pass(gap);
    }
    let after = world.engine.source(host.ip()).identity;
    ensure!(after == Identity::Known, "{after:?} after guesses for others");
    ensure!(world.ledger.told_of(host.ip()).is_some(), "30 guesses of an insider, not a word");
    world.check()?;
    Ok(Played::new(world.guesses_of(host.ip()), world.now.since(began), world.lost()))
}

fn stolen_at_first_start(seed: u64) -> Outcome {
    let mut world = World::new(seed);
    let users = world.users(2);
    let hosts: Vec<_> = (0..world.random.usize(8..60)).map(|_| world.address()).collect();
    for host in &hosts {
        world.log_in(*host, &users[0]).ok_or("no way in")?;
    }
    installed(&mut world, 2)?;
    world.ask_registrations(100 * MILLISECOND, true);
    world.pass(SECOND);
    let identities = hosts.iter().map(|host| world.engine.source(host.ip()).identity);
    let known = identities.clone().filter(|identity| *identity != Identity::Stranger).count();
    let trusted = identities.filter(|identity| *identity == Identity::Trusted).count();
    ensure!(trusted == 0, "{trusted} hosts of one account are trusted by the first list");
    ensure!(known <= 5, "one account made {known} addresses known by the first list");
    world.check()?;
    Ok(Played::new(0, DAY, world.lost()))
}
