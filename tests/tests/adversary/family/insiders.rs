//! Attackers with an account: they guess from addresses with log-ins.

use std::net::{Ipv6Addr, SocketAddr};
use std::time::Duration;

use sipward_engine::{Alarm, Identity};

use crate::attack::{Forger, Guess, How};
use crate::event::Name;
use crate::play::{Family, Member, Played};
use crate::sofia::{Answer, Credentials, Nonce};
use crate::world::{DAY, HOUR, MILLISECOND, MINUTE, SECOND, World};

type Outcome = Result<Played, String>;

/// Guesses of an insider until an alarm.
const TOLD_WITHIN: u64 = 30;

pub(crate) const FAMILIES: &[Family] = &[
    Family {
        name: "insider",
        members: &[
            Member::new("own nonce, many users, registered", own_nonce),
            Member::new("answers challenges, registered", answered),
            Member::new("answers challenges, logged out", logged_out),
            Member::new("logged out, from a new port for each guess", hopping),
            Member::new("logged out, for hours from one port", for_hours).every(10),
            Member::new("one user only", one_user),
            Member::new("a trusted host of long standing", of_long_standing),
            Member::new("three accounts, to be taken for a proxy", three_accounts),
            Member::new("registers the names of others, then guesses", names_of_others),
            Member::new("a new user every quarter of an hour, own nonce", slowly).every(4),
            Member::new("registered, one user after the other", one_after_the_other).every(4),
            Member::new("one account at five addresses, in turn", several_addresses),
            Member::new("other addresses of its own /64", own_network),
        ],
    },
    Family {
        name: "stolen account",
        members: &[
            Member::new("one account registered from many hosts", many_hosts),
            Member::new("many hosts, each guesses for others", many_hosts_guess),
            Member::new("addresses that a public hash takes for one", chosen_hosts),
            Member::new("new addresses around the end of a day, and restarts", around_a_day),
        ],
    },
    Family {
        name: "vouching",
        members: &[
            Member::new("an account of long standing at hundreds of addresses", vouching),
            Member::new("another's name registered from many hosts", budget_of_another),
        ],
    },
    Family {
        name: "CGNAT",
        members: &[
            Member::new("guesses from the address of other customers' phones", carrier_grade),
            Member::new("an insider behind the address of others' phones", carrier_grade_insider),
        ],
    },
];

struct Insider {
    host: SocketAddr,
    user: Name,
    nonce: Nonce,
    call_id: Name,
}

fn insider(world: &mut World) -> Result<Insider, String> {
    world.phones(1);
    world.settle();
    let (host, users) = (world.address(), world.users(1));
    let user = users[0].clone();
    let (nonce, call_id) = world.log_in(host, &user).ok_or("no way in")?;
    ensure!(world.engine.source(host.ip()).identity == Identity::Known, "a login makes known");
    Ok(Insider { host, user, nonce, call_id })
}

/// Guesses for others; they must be reported within 30.
fn guess_on(
    world: &mut World,
    host: SocketAddr,
    users: &[Name],
    (guesses, gap): (u64, Duration),
    how: How,
) -> Result<(), String> {
    for n in 0..guesses {
        let before = world.guesses_of(host.ip());
        let named = world.ledger.alarm(|alarm| names_insider(alarm, host));
        let told = world.ledger.told_of(host.ip());
        ensure!(
            named.or(told).is_some() || before < TOLD_WITHIN,
            "{before} guesses for {} users, one in {gap:?}: not a word",
            users.len()
        );
        let user = &users[usize::try_from(n).unwrap() % users.len()];
        world.guess(&Guess::new(host, user), how);
        world.pass(gap);
    }
    Ok(())
}

fn names_insider(alarm: &Alarm, host: SocketAddr) -> bool {
    matches!(alarm, Alarm::Insider { address, .. } if *address == host.ip())
}

/// The alarm names the address, the number of users, and the users.
fn alarmed(world: &World, host: SocketAddr, users: &[Name]) -> Result<(), String> {
    let alarm = world.ledger.alarms.iter().find(|(_, alarm)| names_insider(alarm, host));
    let Some((_, Alarm::Insider { users: count, failures, names, .. })) = alarm else {
        return Err(format!("no alarm names the insider: {:?}", world.ledger.alarms));
    };
    let right = names.iter().all(|name| users.iter().any(|user| **user == **name));
    ensure!(right && !names.is_empty(), "the alarm names {names:?}");
    ensure!(*count >= 5 && *failures >= *count, "{count} users, {failures} failures");
    Ok(())
}

fn finish(world: &mut World, host: SocketAddr, began: sipward_engine::Timestamp) -> Outcome {
    world.check()?;
    let lost = world.lost();
    ensure!(lost.is_zero(), "a phone elsewhere lost {lost:?}");
    Ok(Played::new(world.guesses_of(host.ip()), world.now.since(began), lost))
}

fn own_nonce(seed: u64) -> Outcome {
    let mut world = World::new(seed);
    let Insider { host, nonce, .. } = insider(&mut world)?;
    // The nonce lives as long as the registration; the challenge is forgotten.
    world.pass(2 * MINUTE);
    let count = world.random.usize(5..40);
    let users = world.users(count);
    let gap = world.between(50 * MILLISECOND, MINUTE);
    let began = world.now;
    guess_on(&mut world, host, &users, (60, gap), How::Reused(nonce))?;
    alarmed(&world, host, &users)?;
    finish(&mut world, host, began)
}

fn answered(seed: u64) -> Outcome {
    let mut world = World::new(seed);
    let Insider { host, .. } = insider(&mut world)?;
    let count = world.random.usize(5..40);
    let users = world.users(count);
    let gap = world.between(50 * MILLISECOND, 5 * SECOND);
    let began = world.now;
    guess_on(&mut world, host, &users, (200, gap), How::Answered)?;
    alarmed(&world, host, &users)?;
    let ban = world.ledger.worst_hour(host.ip(), world.now);
    ensure!(ban.is_zero(), "registered, and banned for {ban:?}");
    ensure!(world.ledger.slowed.contains_key(&host.ip()), "200 answered guesses, not slowed");
    finish(&mut world, host, began)
}

fn logged_out(seed: u64) -> Outcome {
    let mut world = World::new(seed);
    let Insider { host, user, nonce, call_id } = insider(&mut world)?;
    world.log_out(host, &user, nonce, &call_id);
    let count = world.random.usize(5..40);
    let users = world.users(count);
    let gap = world.between(50 * MILLISECOND, 5 * SECOND);
    let began = world.now;
    guess_on(&mut world, host, &users, (100, gap), How::Answered)?;
    alarmed(&world, host, &users)?;
    let span = world.now.since(began);
    world.pass(15 * MINUTE);
    let ban = world.ledger.worst_hour(host.ip(), world.now);
    ensure!(ban.is_zero(), "known, and banned for {ban:?}");
    let denied = world.ledger.worst_hour_denied(host, world.now);
    ensure!(!denied.is_zero(), "100 answered guesses, and its flow not denied");
    ensure!(denied <= 10 * MINUTE + SECOND, "one flow denied for {denied:?} within an hour");
    let outcome = finish(&mut world, host, began)?;
    Ok(Played { span, ..outcome })
}

/// No port is worth anything to it. Eight are denied, then the address is distrusted: the rest is for the
/// limits that the shield has for strangers, which are not played here.
fn hopping(seed: u64) -> Outcome {
    let mut world = World::new(seed);
    let Insider { host, user, nonce, call_id } = insider(&mut world)?;
    world.log_out(host, &user, nonce, &call_id);
    let users = world.users(12);
    let gap = world.between(50 * MILLISECOND, 5 * SECOND);
    let (began, first) = (world.now, world.random.u16(20_000..60_000));
    for n in 0..60_u16 {
        let from = SocketAddr::new(host.ip(), first + n);
        world.guess(&Guess::new(from, &users[usize::from(n) % 12]), How::Answered);
        world.pass(gap);
    }
    alarmed(&world, host, &users)?;
    let ports = world.ledger.denials.len() / 2;
    ensure!(ports == sipward_engine::MAX_DENIED_PORTS, "{ports} ports denied within an hour");
    let distrusted = world.ledger.distrusted.iter().any(|(_, addr)| *addr == host.ip());
    ensure!(distrusted, "a guess from each of 60 ports, and the address is trusted");
    let ban = world.ledger.worst_hour(host.ip(), world.now);
    ensure!(ban.is_zero(), "known, and banned for {ban:?}");
    finish(&mut world, host, began)
}

/// Ten minutes of each hour are lost to it, whatever it does.
fn for_hours(seed: u64) -> Outcome {
    let mut world = World::new(seed);
    let Insider { host, user, nonce, call_id } = insider(&mut world)?;
    world.log_out(host, &user, nonce, &call_id);
    let (count, gap) = (world.random.usize(5..40), world.between(2 * SECOND, 10 * SECOND));
    let users = world.users(count);
    let began = world.now;
    let mut n = 0;
    while world.now.since(began) < 4 * HOUR {
        n += 1;
        world.guess(&Guess::new(host, &users[n % count]), How::Answered);
        world.pass(gap);
    }
    let denied = world.ledger.worst_hour_denied(host, world.now);
    ensure!(denied <= 10 * MINUTE + SECOND, "one flow denied for {denied:?} within an hour");
    let (from, to) = (began, world.now);
    let total = world.ledger.denied(host, from, to);
    ensure!(total >= 35 * MINUTE, "denied for {total:?} of four hours");
    finish(&mut world, host, began)
}

fn one_user(seed: u64) -> Outcome {
    let mut world = World::new(seed);
    let Insider { host, user, nonce, call_id } = insider(&mut world)?;
    if world.random.bool() {
        world.log_out(host, &user, nonce, &call_id);
    }
    let count = world.random.usize(1..5);
    let users = world.users(count);
    let how = if world.random.bool() { How::Answered } else { How::Reused(nonce) };
    let gap = world.between(700 * MILLISECOND, 10 * SECOND);
    let began = world.now;
    guess_on(&mut world, host, &users, (60, gap), how)?;
    finish(&mut world, host, began)
}

fn of_long_standing(seed: u64) -> Outcome {
    let mut world = World::new(seed);
    world.phones(1);
    let host = world.address();
    let own = world.phone_at(host, 20 * DAY);
    world.settle();
    world.phones[own].asleep = true;
    if world.random.bool() {
        world.pass(HOUR + 5 * MINUTE);
    }
    ensure!(world.engine.source(host.ip()).identity == Identity::Trusted, "trusted for 20 days");
    let users = world.users(20);
    let gap = world.between(100 * MILLISECOND, 20 * SECOND);
    let began = world.now;
    guess_on(&mut world, host, &users, (100, gap), How::Answered)?;
    alarmed(&world, host, &users)?;
    let span = world.now.since(began);
    world.pass(15 * MINUTE);
    let ban = world.ledger.worst_hour(host.ip(), world.now);
    ensure!(ban <= 10 * MINUTE + SECOND, "trusted, and banned for {ban:?} within an hour");
    world.check()?;
    Ok(Played::new(world.guesses_of(host.ip()), span, Duration::ZERO))
}

/// Three accounts of the attacker make no address a proxy, and suppress no report.
fn three_accounts(seed: u64) -> Outcome {
    let mut world = World::new(seed);
    let Insider { host, .. } = insider(&mut world)?;
    let own = world.users(3);
    for user in &own {
        let port = world.random.u16(2_000..);
        world.log_in(SocketAddr::new(host.ip(), port), user).ok_or("no way in")?;
    }
    let identity = world.engine.source(host.ip()).identity;
    ensure!(identity == Identity::Known, "{identity:?} by three fresh accounts");
    let users = world.users(20);
    let gap = world.between(100 * MILLISECOND, 20 * SECOND);
    let began = world.now;
    guess_on(&mut world, host, &users, (80, gap), How::Answered)?;
    alarmed(&world, host, &users)?;
    finish(&mut world, host, began)
}

fn many_hosts(seed: u64) -> Outcome {
    let mut world = World::new(seed);
    world.phones(2);
    world.settle();
    let users = world.users(1);
    let hosts: Vec<_> = (0..world.random.usize(8..80)).map(|_| world.address()).collect();
    let began = world.now;
    for (n, host) in hosts.iter().enumerate() {
        world.log_in(*host, &users[0]).ok_or("no way in")?;
        let alarm = world.ledger.alarm(|alarm| matches!(alarm, Alarm::AccountSpread { .. }));
        ensure!(alarm.is_some() == (n >= 5), "alarm {} at host {}", alarm.is_some(), n + 1);
    }
    let known = known_among(&world, &hosts);
    ensure!(known == 5, "one account made {known} addresses known");
    world.check()?;
    Ok(Played::new(0, world.now.since(began).max(DAY), world.lost()))
}

/// Half of a hash without a secret is the same for all of them; or their last halves are, so that a product
/// with it may be 0.
fn chosen_hosts(seed: u64) -> Outcome {
    const FACTOR: u64 = 0x9E37_79B9_7F4A_7C15;
    let inverse = (0..5).fold(FACTOR as u32, |x, _| {
        x.wrapping_mul(2_u32.wrapping_sub((FACTOR as u32).wrapping_mul(x)))
    });
    let mut world = World::new(seed);
    world.settle();
    let high = (world.network6().to_bits() >> 64) as u64;
    let target = world.random.u32(..);
    let public = [0, 0xC0AC_29B7_C97C_50DD, 0x3F84_D5B5_B547_0917][world.random.usize(..3)];
    let same_half = world.random.bool();
    let addrs = (1..=world.random.u32(20..60)).map(|a| {
        if same_half {
            return (high ^ u64::from(a), public);
        }
        let carry = (u64::from(high as u32 ^ a).wrapping_mul(FACTOR) >> 32) as u32;
        let b = (target ^ a).wrapping_sub(carry).wrapping_mul(inverse) ^ (high >> 32) as u32;
        (high, u64::from(a) << 32 | u64::from(b))
    });
    let addrs = addrs.map(|(high, low)| u128::from(high) << 64 | u128::from(low));
    let hosts: Vec<_> =
        addrs.map(|bits| SocketAddr::new(Ipv6Addr::from_bits(bits).into(), 5_060)).collect();
    let users = world.users(1);
    let began = world.now;
    for host in &hosts {
        world.log_in(*host, &users[0]).ok_or("no way in")?;
    }
    let known = known_among(&world, &hosts);
    ensure!(known <= 5, "one account made {known} chosen addresses known");
    let alarm = world.ledger.alarm(|alarm| matches!(alarm, Alarm::AccountSpread { .. }));
    ensure!(alarm.is_some(), "an account at {} addresses, and no alarm", hosts.len());
    world.check()?;
    Ok(Played::new(0, world.now.since(began).max(DAY), world.lost()))
}

fn known_among(world: &World, hosts: &[SocketAddr]) -> usize {
    let strange =
        |host: &&SocketAddr| world.engine.source(host.ip()).identity == Identity::Stranger;
    hosts.len() - hosts.iter().filter(strange).count()
}

fn many_hosts_guess(seed: u64) -> Outcome {
    let mut world = World::new(seed);
    world.phones(2);
    world.settle();
    let (own, users) = (world.users(1), world.users(20));
    let hosts: Vec<_> = (0..20).map(|_| world.address()).collect();
    for host in &hosts {
        world.log_in(*host, &own[0]).ok_or("no way in")?;
    }
    let began = world.now;
    for round in 0..25 {
        for host in &hosts {
            world.guess(&Guess::new(*host, &users[round % 20]), How::Answered);
            let gap = world.between(20 * MILLISECOND, 200 * MILLISECOND);
            world.pass(gap);
        }
    }
    let many: Vec<u64> =
        hosts.iter().map(|host| world.guesses_of(host.ip())).filter(|n| *n > 5).collect();
    ensure!(many.len() <= 5, "{} hosts guessed more than a stranger may: {many:?}", many.len());
    for host in hosts.iter().take(5) {
        ensure!(world.ledger.told_of(host.ip()).is_some(), "an insider, and not a word");
    }
    world.check()?;
    let lost = world.lost();
    ensure!(lost.is_zero(), "a phone lost {lost:?}");
    Ok(Played::new(world.guessed, world.now.since(began).max(HOUR), lost))
}

/// Who is at home somewhere is trusted at a handful of new addresses a day.
/// Registers a To user with an own digest, as profiles allow that do not compare the two.
fn register_as(world: &mut World, host: SocketAddr, to: &Name, own: &Name, nonce: Nonce) -> bool {
    let mut request = world.request(host, to, own);
    let username = own.clone();
    request.credentials = Some(Credentials { username, nonce, right: true });
    world.send(&request) == Answer::Ok
}

/// A list of registrations says that they are all registered there; their passwords took part in nothing.
fn names_of_others(seed: u64) -> Outcome {
    let mut world = World::new(seed);
    world.sofia.force_matching = false;
    world.settle();
    let count = world.random.usize(6..40);
    let (host, users) = (world.address(), world.users(count));
    let own = users[0].clone();
    let (nonce, _) = world.log_in(host, &own).ok_or("no way in")?;
    for other in &users[1..] {
        ensure!(register_as(&mut world, host, other, &own, nonce), "not accepted");
        world.pass(50 * MILLISECOND);
    }
    let gap = world.between(100 * MILLISECOND, 2 * SECOND);
    world.reconnect(gap, 100 * MILLISECOND);
    world.pass(3 * MINUTE);
    let began = world.now;
    let pace = world.between(50 * MILLISECOND, 5 * SECOND);
    guess_on(&mut world, host, &users[1..], (200, pace), How::Answered)?;
    alarmed(&world, host, &users[1..])?;
    finish(&mut world, host, began)
}

/// The addresses that a phone may come from today are used up by nobody else.
fn budget_of_another(seed: u64) -> Outcome {
    let mut world = World::new(seed);
    world.sofia.force_matching = false;
    let phone = world.phone();
    world.settle();
    world.all_registered()?;
    let (victim, own) = (world.phones[phone].user.clone(), world.users(1)[0].clone());
    for _ in 0..world.random.u32(5..12) {
        let host = world.address();
        let (nonce, _) = world.log_in(host, &own).ok_or("no way in")?;
        ensure!(register_as(&mut world, host, &victim, &own, nonce), "not accepted");
        world.pass(SECOND);
    }
    world.reconnect(SECOND, 100 * MILLISECOND);
    world.pass(3 * MINUTE);
    let began = world.now;
    let addr = world.address();
    world.phones[phone].addr = addr;
    world.reboot(phone);
    world.wake_phone(phone, SECOND);
    world.pass(3 * MINUTE);
    ensure!(world.sofia.is_registered(addr.ip()), "not registered");
    let identity = world.engine.source(addr.ip()).identity;
    ensure!(identity != Identity::Stranger, "a phone at its first new address is a stranger");
    let mut forger = Forger::default();
    for _ in 0..world.random.u32(10..30) {
        let nonce = forger.nonce(&mut world);
        world.guess(&Guess::new(addr, &victim), How::Patient(nonce));
        world.pass(300 * MILLISECOND);
    }
    world.pass(MINUTE);
    world.check()?;
    let lost = world.lost();
    ensure!(lost.is_zero(), "a registered phone lost {lost:?}");
    Ok(Played::new(0, world.now.since(began), lost))
}

fn vouching(seed: u64) -> Outcome {
    let mut world = World::new(seed);
    let home = world.address();
    let own = world.phone_at(home, 30 * DAY);
    world.settle();
    let phone = world.phones[own].clone();
    let began = world.now;
    let mut most = 0;
    let mut hosts = Vec::new();
    for _ in 0..world.random.u32(20..80) {
        let host = world.address();
        let mut request = world.request(host, &phone.user, &phone.agent);
        let nonce = match world.send(&request) {
            crate::sofia::Answer::Challenged(nonce) => nonce,
            other => return Err(format!("{other:?} instead of a challenge")),
        };
        world.pass(20 * MILLISECOND);
        world.answer(&mut request, nonce);
        world.pass(SECOND);
        hosts.push(host);
        let trusted = hosts
            .iter()
            .filter(|host| world.engine.source(host.ip()).identity == Identity::Trusted)
            .count();
        most = most.max(trusted);
    }
    ensure!((1..=5).contains(&most), "vouched for {most} addresses of {}", hosts.len());
    ensure!(known_among(&world, &hosts) <= 5, "known at {}", known_among(&world, &hosts));
    // Those beyond are strangers, and fall like strangers.
    let (last, users) = (hosts[hosts.len() - 1], world.users(1));
    for _ in 0..20 {
        world.guess(&Guess::new(last, &users[0]), How::Answered);
        world.pass(300 * MILLISECOND);
    }
    let guesses = world.guesses_of(last.ip());
    ensure!(guesses <= 5, "{guesses} guesses of an address that nobody vouched for");
    world.check()?;
    let minutes = world.ledger.worst_hour(home.ip(), world.now);
    Ok(Played::new(guesses, world.now.since(began).max(HOUR), minutes))
}

/// A stranger behind the address of others is reported; the others are not banned.
fn carrier_grade(seed: u64) -> Outcome {
    let mut world = World::new(seed);
    let phones = world.random.usize(1..8);
    let (ip, _) =
        world.office(phones, if seed.is_multiple_of(2) { Duration::ZERO } else { 3 * DAY });
    world.settle();
    world.all_registered()?;
    let users = world.users(20);
    let gap = world.between(2 * SECOND, 20 * SECOND);
    let host = SocketAddr::new(ip, 40_000);
    let began = world.now;
    guess_on(&mut world, host, &users, (80, gap), How::Answered)?;
    alarmed(&world, host, &users)?;
    world.pass(5 * MINUTE);
    world.check()?;
    let banned = world.ledger.worst_hour(ip, world.now);
    ensure!(banned.is_zero(), "registered phones were banned for {banned:?}");
    let denied = world.ledger.worst_hour_denied(host, world.now);
    ensure!(!denied.is_zero(), "80 answered guesses, and their flow not denied");
    let others = world.ledger.denials.iter().any(|denial| denial.flow.port != host.port());
    ensure!(!others, "flows of phones were denied: {:?}", world.ledger.denials);
    let lost = world.lost();
    ensure!(lost.is_zero(), "a registered phone lost {lost:?} by the limit");
    Ok(Played::new(world.guesses_of(ip), world.now.since(began), lost))
}

/// An account behind the address of others fails in its own dialog, and floods.
fn carrier_grade_insider(seed: u64) -> Outcome {
    let mut world = World::new(seed);
    let phones = world.random.usize(1..8);
    let (ip, _) =
        world.office(phones, if seed.is_multiple_of(2) { Duration::ZERO } else { 3 * DAY });
    world.settle();
    world.all_registered()?;
    let (own, users) = (world.users(1), world.users(20));
    let host = SocketAddr::new(ip, 40_000);
    let (nonce, call_id) = world.log_in(host, &own[0]).ok_or("no way in")?;
    let began = world.now;
    let mut guess = Guess::new(host, &own[0]);
    guess.call_id = Some(call_id);
    for _ in 0..30 {
        world.guess(&guess, How::Reused(nonce));
        world.pass(100 * MILLISECOND);
    }
    let gap = world.between(20 * MILLISECOND, SECOND);
    guess_on(&mut world, host, &users, (150, gap), How::Reused(nonce))?;
    world.pass(5 * MINUTE);
    world.check()?;
    let lost = world.lost();
    ensure!(lost.is_zero(), "a registered phone lost {lost:?}");
    Ok(Played::new(world.guesses_of(ip), world.now.since(began), lost))
}

/// Below five users in an hour, for as long as it takes.
fn slowly(seed: u64) -> Outcome {
    let mut world = World::new(seed);
    let Insider { host, user, nonce, call_id } = insider(&mut world)?;
    let users = world.users(40);
    let gap = world.between(16 * MINUTE, 100 * MINUTE);
    let agent: Name = "Zoiper rv2.10".into();
    let began = world.now;
    let mut nonce = nonce;
    for user_tried in &users {
        let told = world.ledger.told_of(host.ip()).is_some();
        let before = world.guesses_of(host.ip());
        ensure!(told || before < TOLD_WITHIN, "{before} guesses, one in {gap:?}: not a word");
        // It stays registered by refreshes.
        let mut request = world.request(host, &user, &agent);
        request.call_id = call_id.clone();
        if !world.answer(&mut request, nonce) {
            nonce = world.challenge(host).ok_or("no challenge")?;
            world.answer(&mut request, nonce);
        }
        world.pass(SECOND);
        world.guess(&Guess::new(host, user_tried), How::Reused(nonce));
        world.pass(gap);
    }
    finish(&mut world, host, began)
}

/// Each user looks like a line with a wrong password beside a good one: two may, a third may not.
fn one_after_the_other(seed: u64) -> Outcome {
    let mut world = World::new(seed);
    let Insider { host, user, nonce, call_id } = insider(&mut world)?;
    let users = world.users(8);
    let (guesses, gap) = (world.random.u32(10..60), world.between(3 * SECOND, 10 * SECOND));
    let pause = world.between(11 * MINUTE, 15 * MINUTE);
    let agent: Name = "Zoiper rv2.10".into();
    let began = world.now;
    for tried in &users {
        let mut request = world.request(host, &user, &agent);
        request.call_id = call_id.clone();
        world.answer(&mut request, nonce);
        for _ in 0..guesses {
            world.guess(&Guess::new(host, tried), How::Answered);
            world.pass(gap);
        }
        world.pass(pause);
    }
    let named = world.ledger.alarm(|alarm| names_insider(alarm, host));
    ensure!(named.is_some(), "{guesses} guesses for each of eight users, and no alarm");
    finish(&mut world, host, began)
}

/// Each address stays below every threshold.
fn several_addresses(seed: u64) -> Outcome {
    let mut world = World::new(seed);
    world.settle();
    let own = world.users(1)[0].clone();
    let count = world.random.usize(2..6);
    let mut hosts = Vec::new();
    for _ in 0..count {
        let host = world.address();
        let (nonce, call_id) = world.log_in(host, &own).ok_or("no way in")?;
        world.log_out(host, &own, nonce, &call_id);
        hosts.push(host);
    }
    let each = world.random.usize(1..5);
    let users = world.users(count * each);
    let gap = world.between(30 * SECOND, 3 * MINUTE);
    let began = world.now;
    for n in 0..90 {
        let told = hosts.iter().any(|host| world.ledger.told_of(host.ip()).is_some());
        let guessed = world.guessed;
        ensure!(told || guessed < TOLD_WITHIN, "{guessed} guesses from {count}: not a word");
        let user = &users[n % count * each + n / count % each];
        world.guess(&Guess::new(hosts[n % count], user), How::Answered);
        world.pass(gap);
    }
    world.check()?;
    Ok(Played::new(world.guessed, world.now.since(began), world.lost()))
}

/// Where somebody is registered each address of a /64 is a source, and there are as many as it likes.
fn own_network(seed: u64) -> Outcome {
    let mut world = World::new(seed);
    world.settle();
    let (net, count) = (world.network6(), world.random.usize(1..60));
    let (own, users) = (world.inside(net, 64), world.users(count + 1));
    world.log_in(own, &users[0]).ok_or("no way in")?;
    let gap = world.between(100 * MILLISECOND, 10 * SECOND);
    let began = world.now;
    for n in 0..200 {
        let alarm = world.ledger.alarm(|alarm| matches!(alarm, Alarm::Insider { .. }));
        let guessed = world.guessed;
        ensure!(alarm.is_some() || guessed <= TOLD_WITHIN, "{guessed} guesses: no alarm");
        let host = world.inside(net, 64);
        world.guess(&Guess::new(host, &users[1 + n % count]), How::Answered);
        world.pass(gap);
    }
    world.check()?;
    let lost = world.lost();
    Ok(Played::new(world.guessed, world.now.since(began).max(HOUR), lost))
}

/// Any day counts, not only one that begins with the first address, and a restart does not begin a new one.
fn around_a_day(seed: u64) -> Outcome {
    let mut world = World::new(seed);
    world.settle();
    let (user, began) = (world.users(1)[0].clone(), world.now);
    let first = world.address();
    world.log_in(first, &user).ok_or("no way in")?;
    if world.random.bool() {
        let most = 23 * HOUR + 59 * MINUTE;
        let wait = world.between(most / 2, most);
        world.pass(wait);
    }
    let (from, mut hosts) = (world.now, Vec::new());
    for _ in 0..world.random.u32(2..6) {
        for _ in 0..world.random.u32(2..8) {
            let host = world.address();
            world.log_in(host, &user).ok_or("no way in")?;
            hosts.push(host);
        }
        if world.random.bool() {
            world.restart_sipward(SECOND, 100 * MILLISECOND);
        }
        let pause = world.between(SECOND, 90 * MINUTE);
        world.pass(pause);
    }
    let known = known_among(&world, &hosts);
    let span = world.now.since(from);
    ensure!(known <= 5, "one account made {known} addresses known within {span:?}");
    world.check()?;
    Ok(Played::new(0, world.now.since(began).max(DAY), world.lost()))
}
