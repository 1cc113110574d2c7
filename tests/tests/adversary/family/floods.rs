//! Many at once: reports against everybody, a full table, phones that boot together.

use std::net::SocketAddr;
use std::time::Duration;

use ipnet::IpNet;
use sipward_engine::{Alarm, Grade, MAX_FORGEABLE_PER_MINUTE, Policy, Refusal, RuleName};

use crate::attack::{Forger, Guess, How};
use crate::play::{Family, Member, Played, at_length};
use crate::world::{DAY, HOUR, MILLISECOND, MINUTE, SECOND, World};

type Outcome = Result<Played, String>;

pub(crate) const FAMILIES: &[Family] = &[
    Family {
        name: "report flood",
        members: &[
            Member::new("forged reports against strangers, three each", reports),
            Member::new(
                "forged reports against phones, carriers and callers",
                reports_against_friends,
            ),
            Member::new("half a million forged one-packet reports", half_a_million).every(50),
            Member::new("an own host's calls among forged ones of others", among_forged).every(5),
            Member::new("forged reports about the own host before it calls", about_itself),
        ],
    },
    Family {
        name: "table filling",
        members: &[
            Member::new("reports and floods in many names", fill_with_forgeries),
            Member::new("borrowed nonces in many names", fill_with_borrowed),
            Member::new("patient forgeries in many names", fill_with_patience),
        ],
    },
    Family {
        name: "boot storm",
        members: &[
            Member::new("phones behind one new address", storm_at_a_new_address),
            Member::new(
                "phones behind a known address, some on an old password",
                storm_at_a_known_address,
            ),
            Member::new("every phone of the installation after a power cut", storm_everywhere),
            Member::new("phones with wrong passwords behind one new address", storm_of_mistakes),
        ],
    },
];

/// An attacker whose handshake or persistence is evidence enough: it is banned after five guesses.
fn falls(world: &mut World) -> Result<(), String> {
    let (host, users) = (world.address(), world.users(1));
    let mut guess = Guess::new(host, &users[0]);
    guess.websocket = world.random.bool();
    for _ in 0..20 {
        world.guess(&guess, How::Answered);
        world.pass(400 * MILLISECOND);
    }
    let guesses = world.guesses_of(host.ip());
    ensure!(guesses <= 5, "an attacker guessed {guesses} times: {:?}", world.ledger.refused.last());
    Ok(())
}

fn forgeable_bans(world: &World) -> usize {
    world
        .ledger
        .standing()
        .filter(|ban| {
            ban.cause
                .evidence()
                .is_some_and(|evidence| matches!(evidence.rule, RuleName::Report | RuleName::Flood))
        })
        .count()
}

fn reports(seed: u64) -> Outcome {
    let max_bans = 200 + seed as usize * 10;
    let mut world = World::with(seed, Policy { max_bans, ..Policy::default() });
    world.phones(2);
    world.settle();
    let strangers: Vec<_> = (0..world.random.u32(300..600)).map(|_| world.address()).collect();
    let began = world.now;
    let gap = world.between(MILLISECOND, 100 * MILLISECOND);
    for stranger in &strangers {
        for _ in 0..3 {
            world.report(*stranger, false);
        }
        world.pass(gap);
        let standing = forgeable_bans(&world);
        ensure!(standing <= max_bans.div_ceil(10), "{standing} forgeable bans of {max_bans}");
    }
    world.pass(2 * SECOND);
    let minutes = world.now.since(began).as_secs() / 60 + 2;
    let most = u64::from(MAX_FORGEABLE_PER_MINUTE) * minutes;
    let placed = world.ledger.bans.len() as u64;
    ensure!(placed <= most, "{placed} bans on forged reports in {minutes} minutes");
    let longest = world.ledger.bans.iter().filter_map(|ban| match ban.planned {
        sipward_engine::Expiry::At(end) => Some(end.since(ban.since)),
        sipward_engine::Expiry::Never => None,
    });
    let longest = longest.max().unwrap_or_default();
    ensure!(longest <= 10 * MINUTE, "a forged report banned for {longest:?}");
    let fast = strangers.len() as u64 > most;
    let alarm = world.ledger.alarm(|alarm| matches!(alarm, Alarm::ForgeableBans { .. }));
    let refused =
        |refused: &(sipward_engine::Timestamp, IpNet, Refusal)| refused.2 == Refusal::ShareUsedUp;
    let told = alarm.is_some() || world.ledger.refused.iter().any(refused);
    ensure!(told || !fast, "{} reported, no alarm", strangers.len());
    falls(&mut world)?;
    world.check()?;
    let lost = world.lost();
    ensure!(lost.is_zero(), "a phone lost {lost:?}");
    Ok(Played::new(5, HOUR, lost))
}

/// A source that is in a list, calls or has an account is not banned.
fn reports_against_friends(seed: u64) -> Outcome {
    let mut world = World::new(seed);
    world.phones(2);
    let (carrier, caller) = (world.address(), world.address());
    world.allowed = vec![IpNet::new(carrier.ip(), 28).unwrap().trunc()];
    world.settle();
    world.all_registered()?;
    world.dialplan(caller, crate::event::Kind::Call);
    let friends = [carrier, caller, world.phones[0].addr, world.phones[1].addr];
    for _ in 0..world.random.u32(20..200) {
        let friend = friends[world.random.usize(..friends.len())];
        let proved = world.random.bool();
        world.report(friend, proved);
        let gap = world.between(Duration::ZERO, 5 * SECOND);
        world.pass(gap);
    }
    world.pass(5 * SECOND);
    for friend in friends {
        let lost = world.ledger.worst_hour(friend.ip(), world.now);
        ensure!(lost.is_zero(), "{friend} was banned for {lost:?} by reports");
    }
    world.check()?;
    Ok(Played::new(0, DAY, world.lost()))
}

/// Nobody is banned for one packet, and an attacker finds room.
fn half_a_million(seed: u64) -> Outcome {
    let (count, max_bans) = if at_length() { (505_000, 500_000) } else { (5_050, 5_000) };
    let mut world = World::with(seed, Policy { max_bans, ..Policy::default() });
    world.phones(2);
    world.settle();
    for n in 0..count {
        let stranger = SocketAddr::new((0x2d00_0000_u32 + n).to_be_bytes().into(), 5_060);
        world.report(stranger, false);
        world.pass(100 * MILLISECOND / 1_000);
    }
    world.pass(2 * SECOND);
    let banned = world.ledger.bans.len();
    ensure!(banned == 0, "{banned} strangers are banned, for one packet each");
    falls(&mut world)?;
    world.check()?;
    Ok(Played::new(5, HOUR, world.lost()))
}

/// Blocked after so many reports that the handshake of its calls proves, and on no less than that.
fn reported_for_good(world: &World, host: SocketAddr, proved: u32, most: u32) -> Outcome {
    let ban = world.ledger.bans.iter().find(|ban| ban.net.contains(&host.ip()));
    let grade = ban.and_then(|ban| ban.cause.evidence()).map(|evidence| evidence.grade);
    ensure!(
        proved <= most && grade.is_some_and(|grade| grade >= Grade::Answered),
        "{proved} proved reports, banned on {grade:?}"
    );
    world.all_registered()?;
    let lost = world.lost();
    ensure!(lost.is_zero(), "a phone lost {lost:?}");
    Ok(Played::new(0, DAY, lost))
}

/// Forged reports against others push out nobody whose address is proved.
fn among_forged(seed: u64) -> Outcome {
    let mut world = World::new(seed);
    world.phones(2);
    world.settle();
    let attacker = world.address();
    let (mut proved, between) = (0, world.random.u32(1_000..5_000));
    while proved < 6 && !world.ledger.is_blocked(attacker.ip()) {
        world.report(attacker, true);
        proved += 1;
        for n in 0..between {
            let stranger = world.address();
            world.report(stranger, false);
            if n % 20 == 0 {
                world.pass(10 * MILLISECOND);
            }
        }
        world.pass(SECOND);
    }
    world.check()?;
    reported_for_good(&world, attacker, proved, 3)
}

/// Forged reports about itself hide no proved ones, and what they use up is not theirs.
fn about_itself(seed: u64) -> Outcome {
    let mut world = World::new(seed);
    world.phones(2);
    world.settle();
    let attacker = world.address();
    for _ in 0..world.random.u32(55..70) {
        let stranger = world.address();
        for _ in 0..3 {
            world.report(stranger, false);
        }
    }
    world.pass(2 * SECOND);
    let gap = world.between(10 * MILLISECOND, 400 * MILLISECOND);
    // As many as are held for a second, and not more than three before.
    let most = 4 + (SECOND.as_millis() / gap.as_millis()) as u32;
    let (mut proved, ahead) = (0, world.random.u32(3..9));
    for _ in 0..ahead {
        world.report(attacker, false);
    }
    while proved < 2 * most && !world.ledger.is_blocked(attacker.ip()) {
        world.report(attacker, true);
        proved += 1;
        for _ in 0..world.random.u32(..3) {
            world.report(attacker, false);
        }
        world.pass(gap);
    }
    world.check()?;
    reported_for_good(&world, attacker, proved, most)
}

/// A table of a thousand is as full as one of half a million.
fn small_table(seed: u64) -> World {
    let mut world = World::with(seed, Policy { max_bans: 60, ..Policy::default() });
    world.settle();
    world
}

fn filled(world: &mut World) -> Outcome {
    for _ in 0..3 {
        falls(world)?;
    }
    world.check()?;
    Ok(Played::new(5, HOUR, world.lost()))
}

fn fill_with_forgeries(seed: u64) -> Outcome {
    let mut world = small_table(seed);
    for _ in 0..world.random.u32(60..120) {
        let stranger = world.address();
        for _ in 0..3 {
            world.report(stranger, false);
        }
        let gap = world.between(500 * MILLISECOND, 1_500 * MILLISECOND);
        world.pass(gap);
    }
    filled(&mut world)
}

/// Twenty packets for each address: the table is full of what a nonce from elsewhere brought about.
fn fill_with_borrowed(seed: u64) -> Outcome {
    let mut world = small_table(seed);
    let (mut forger, users) = (Forger::default(), world.users(1));
    for _ in 0..world.random.u32(60..70) {
        let stranger = world.address();
        for _ in 0..20 {
            let nonce = forger.nonce(&mut world);
            world.guess(&Guess::new(stranger, &users[0]), How::Reused(nonce));
        }
        world.pass(300 * MILLISECOND);
    }
    filled(&mut world)
}

/// Ten packets for each: events that are those of real attackers.
fn fill_with_patience(seed: u64) -> Outcome {
    let mut world = small_table(seed);
    let (mut forger, users) = (Forger::default(), world.users(1));
    for _ in 0..world.random.u32(60..80) {
        let stranger = world.address();
        for _ in 0..5 {
            let nonce = forger.nonce(&mut world);
            world.guess(&Guess::new(stranger, &users[0]), How::Patient(nonce));
        }
        world.pass(300 * MILLISECOND);
    }
    filled(&mut world)
}

/// Nobody is banned: they all log in, or have logged in there before.
fn nobody_banned(world: &mut World, began: sipward_engine::Timestamp) -> Outcome {
    world.check()?;
    let ban = world.ledger.bans.first();
    let why =
        ban.map(|ban| (ban.net, ban.since.since(began), ban.cause.evidence().map(|e| e.rule)));
    ensure!(why.is_none(), "banned: {why:?}");
    Ok(Played::new(0, DAY, world.lost()))
}

fn storm_at_a_new_address(seed: u64) -> Outcome {
    let mut world = World::new(seed);
    world.settle();
    let began = world.now;
    let count = world.random.usize(50..300);
    world.office(count, Duration::ZERO);
    let together = world.between(100 * MILLISECOND, 2 * SECOND);
    world.together(together);
    world.pass(30 * SECOND);
    nobody_banned(&mut world, began)
}

/// They are banned like any stranger, and they are no campaign, however many they are.
fn storm_of_mistakes(seed: u64) -> Outcome {
    let mut world = World::new(seed);
    world.settle();
    let began = world.now;
    let (host, count) = (world.address().ip(), world.random.usize(100..400));
    let users = world.users(count);
    for user in &users {
        let phone = SocketAddr::new(host, world.random.u16(1_025..));
        world.guess(&Guess::new(phone, user), How::Answered);
        let gap = world.between(30 * MILLISECOND, 150 * MILLISECOND);
        world.pass(gap);
    }
    let campaign = world.ledger.alarm(|alarm| matches!(alarm, Alarm::Distributed { .. }));
    ensure!(campaign.is_none(), "one NAT is no campaign");
    world.check()?;
    let arrived = world.guesses_of(host);
    ensure!(arrived <= 5, "{arrived} of a stranger's wrong passwords");
    Ok(Played::new(0, world.now.since(began), world.lost()))
}

fn storm_at_a_known_address(seed: u64) -> Outcome {
    let mut world = World::new(seed);
    let count = world.random.usize(50..200);
    let (_, phones) = world.office(count, 2 * DAY);
    world.settle();
    let began = world.now;
    for phone in phones {
        world.reboot(phone);
        // Every tenth was set up with a password that is no longer right.
        world.phones[phone].wrong_password = world.random.u8(..10) == 0;
    }
    let together = world.between(100 * MILLISECOND, 2 * SECOND);
    world.together(together);
    world.pass(30 * SECOND);
    nobody_banned(&mut world, began)
}

fn storm_everywhere(seed: u64) -> Outcome {
    let mut world = World::new(seed);
    let count = world.random.usize(50..200);
    world.phones(count);
    world.settle();
    let began = world.now;
    world.restart_freeswitch(5 * SECOND, true);
    for phone in 0..count {
        world.reboot(phone);
    }
    let together = world.between(100 * MILLISECOND, 2 * SECOND);
    world.together(together);
    world.pass(30 * SECOND);
    nobody_banned(&mut world, began)
}
