//! Guesses that hide: from their attempts, behind an own Call-ID, behind long names.

use std::time::Duration;

use sipward_engine::Method;

use crate::attack::{Guess, How};
use crate::event::Name;
use crate::play::{Family, Member, Played};
use crate::world::{HOUR, MILLISECOND, MINUTE, World};

type Outcome = Result<Played, String>;

pub(crate) const FAMILIES: &[Family] = &[
    Family {
        name: "join evasion",
        members: &[
            Member::new("a To so long that only the attempt is cut", long_to),
            Member::new("many long To headers that begin alike, over one socket", alike),
            Member::new("events out of order, To of every length and character", disorder),
            Member::new("attempts that get lost", lost_attempts),
        ],
    },
    Family {
        name: "Call-ID reuse",
        members: &[
            Member::new("an own registered Call-ID for the passwords of others", own_call_id),
            Member::new("one Call-ID for all guesses of a stranger", one_call_id),
            Member::new("one challenge answered many times", one_challenge),
        ],
    },
];

/// Text of any characters that a To header may hold, of about so many bytes.
fn text(world: &mut World, bytes: usize) -> Name {
    let kinds: [&[char]; 5] = [
        &['a', 'Z', '0'],
        &['ä', 'ß', 'é'],
        &['漢', '字'],
        &['😀', '🎲', 'x'],
        &['%', '\r', '\n', ' ', '"', '\u{202e}', '\u{fffd}'],
    ];
    let kind = kinds[world.random.usize(..kinds.len())];
    let mut text = String::new();
    while text.len() < bytes {
        text.push(kind[world.random.usize(..kind.len())]);
    }
    text.into()
}

/// Padding with which an attempt is over the limit of an event and its failure is not, or nearly so.
fn padding(world: &mut World) -> usize {
    world.random.usize(235_000..262_000)
}

fn stranger(world: &mut World) -> Guess {
    let (host, users) = (world.address(), world.users(1));
    Guess::new(host, &users[0])
}

/// Guesses until nothing arrives any more; at most `most` may have arrived.
fn until_banned(world: &mut World, guesses: &[Guess], gap: Duration, most: u64) -> Outcome {
    let began = world.now;
    let host = guesses[0].source.ip();
    for n in 0..60 {
        let guess = &guesses[n % guesses.len()];
        world.guess(guess, How::Answered);
        world.pass(gap);
    }
    let arrived = world.guesses_of(host);
    let told = world.ledger.told_of(host).is_some();
    ensure!(arrived <= most, "{arrived} guesses arrived, told: {told}");
    world.check()?;
    let span = world.now.since(began).max(HOUR);
    Ok(Played::new(arrived, span, world.lost()))
}

fn long_to(seed: u64) -> Outcome {
    let mut world = World::new(seed);
    world.sofia.force_matching = world.random.bool();
    world.settle();
    let mut guess = stranger(&mut world);
    let bytes = world.random.usize(1_000..9_000);
    guess.user = text(&mut world, bytes);
    guess.padding = padding(&mut world);
    guess.method = if world.random.bool() { Method::Invite } else { Method::Register };
    until_banned(&mut world, &[guess], 400 * MILLISECOND, 5)
}

fn alike(seed: u64) -> Outcome {
    let mut world = World::new(seed);
    world.sofia.force_matching = false;
    world.settle();
    let first = stranger(&mut world);
    let count = world.random.usize(2..6);
    let bytes = world.random.usize(200..3_000);
    let begin = text(&mut world, bytes);
    let guesses: Vec<Guess> = (0..count)
        .map(|n| {
            let mut guess = first.clone();
            guess.user = format!("{begin}{n}").into();
            guess.padding = padding(&mut world);
            guess
        })
        .collect();
    until_banned(&mut world, &guesses, 400 * MILLISECOND, 5)
}

/// Out of order, a fast guesser has more requests in flight when its ban takes effect.
fn disorder(seed: u64) -> Outcome {
    let mut world = World::new(seed);
    world.settle();
    world.disorder = world.between(MILLISECOND, 150 * MILLISECOND);
    let first = stranger(&mut world);
    let guesses: Vec<Guess> = (0..world.random.usize(1..8))
        .map(|_| {
            let mut guess = first.clone();
            let bytes = world.random.usize(1..7_000);
            guess.user = text(&mut world, bytes);
            guess.padding = if world.random.bool() { padding(&mut world) } else { 0 };
            guess
        })
        .collect();
    let gap = world.between(MILLISECOND, 300 * MILLISECOND);
    // 150 ms of disorder, 20 ms of polling, 200 ms of waiting; a guess takes its round trip of 5 ms or more.
    let in_flight = 370 / (gap.as_millis() as u64 + 5) + 1;
    until_banned(&mut world, &guesses, gap, 5 + in_flight)
}

/// Lost events cause no ban, but raise an alarm.
fn lost_attempts(seed: u64) -> Outcome {
    let mut world = World::new(seed);
    world.settle();
    world.loss = world.random.f64() * 0.5;
    let guess = stranger(&mut world);
    // Of a guess two events must arrive: at half of them a quarter, and five are needed.
    let outcome = until_banned(&mut world, std::slice::from_ref(&guess), 400 * MILLISECOND, 60)?;
    let told = world.ledger.told_of(guess.source.ip()).is_some();
    ensure!(told || outcome.guesses < 40, "{} guesses with losses, not a word", outcome.guesses);
    Ok(outcome)
}

fn own_call_id(seed: u64) -> Outcome {
    let mut world = World::new(seed);
    let bystander = world.phone();
    world.settle();
    let users = world.users(12);
    let host = world.address();
    let (nonce, call_id) = world.log_in(host, &users[0]).ok_or("no way in")?;
    let began = world.now;
    let gap = world.between(200 * MILLISECOND, 20_000 * MILLISECOND);
    let patient = world.random.bool();
    // Its own dialog, with its own address or with that of a phone.
    let mut source = host;
    if world.random.bool() {
        source = world.phones[bystander].addr;
    }
    for n in 0..40 {
        let mut guess = Guess::new(source, &users[1 + n % 11]);
        guess.call_id = Some(call_id.clone());
        let how = if patient { How::Patient(nonce) } else { How::Reused(nonce) };
        world.guess(&guess, how);
        world.pass(gap);
        let told = world.ledger.told_of(source.ip()).is_some();
        ensure!(told || n < 30, "{} guesses with the own Call-ID, not a word", n + 1);
    }
    let span = world.now.since(began);
    world.check()?;
    let phone = world.phones[bystander].addr.ip();
    let lost = world.ledger.worst_hour(phone, world.now);
    ensure!(lost.is_zero(), "a registered phone was banned for {lost:?}");
    Ok(Played::new(world.guessed, span, lost))
}

fn one_call_id(seed: u64) -> Outcome {
    let mut world = World::new(seed);
    world.settle();
    let mut guess = stranger(&mut world);
    guess.call_id = Some(world.fresh("mine"));
    until_banned(&mut world, &[guess], 400 * MILLISECOND, 5)
}

/// A stranger's answers to a challenge that is used up are no better hidden.
fn one_challenge(seed: u64) -> Outcome {
    let mut world = World::new(seed);
    world.settle();
    let guess = stranger(&mut world);
    let host = guess.source;
    let nonce = world.challenge(host).ok_or("no challenge")?;
    let began = world.now;
    for _ in 0..40 {
        world.guess(&guess, How::Reused(nonce));
        let gap = world.between(300 * MILLISECOND, 1_200 * MILLISECOND);
        world.pass(gap);
    }
    let guesses = world.guesses_of(host.ip());
    ensure!(guesses <= 5, "{guesses} guesses with one challenge");
    world.check()?;
    Ok(Played::new(guesses, world.now.since(began).max(60 * MINUTE), world.lost()))
}
