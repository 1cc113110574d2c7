//! A population in simulated time: healthy phones of every habit, and attackers of every kind.
//!
//! The short form runs with the tests. The long one (a thousand days of five thousand phones) prints
//! the table of `docs/policy.md`:
//! `cargo test --release -p sipward-engine -- --ignored --nocapture population`.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::net::{IpAddr, Ipv6Addr};
use std::time::{Duration, Instant};

use sipward_engine::*;

use crate::world::{CORE, DAY, HOUR, MINUTE, SECOND};

/// What one actor does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    /// Registers every hour or so, now and then mistyped, asleep, restarted.
    Phone,
    /// The same behind an address with others, IPv4.
    Behind,
    /// A phone that changes its address every few days.
    Roaming,
    /// A phone whose password was changed and that was left on the old one for a week.
    OldPassword,
    /// A phone with two lines, one of them with a wrong password for ever.
    TwoLines,
    /// A phone in a /64 where an attacker lives, too.
    Neighbour,
    /// A phone behind NAT64.
    BehindNat64,
    /// A user who is new every day, at a new address.
    FirstDay,
    /// Guesses quickly: five a second.
    Fast,
    /// One guess a minute.
    Steady,
    /// One guess in five minutes: below the base threshold for ever.
    Slow,
    /// Tries users instead of passwords, one every ten seconds.
    Enumerating,
    /// A scanner that sends its own name.
    Scanner,
    /// Another address of its /64 at every guess.
    Rotating,
    /// Borrows nonces: challenges go to another address.
    Borrowing,
    /// One blind packet each, in the name of strangers.
    BlindForger,
    /// One blind packet each, in the name of phones.
    ForgingPhones,
    /// Borrowed nonces in the name of phones.
    BorrowingForPhones,
    /// Has an account, is registered, and guesses the passwords of others.
    Insider,
    /// Guesses from the /64 of a phone.
    BadNeighbour,
    /// Forged challenges and borrowed nonces in the name of phones that log in for days.
    PatientForger,
}

const HEALTHY: [Kind; 8] = [
    Kind::Phone,
    Kind::Behind,
    Kind::Roaming,
    Kind::OldPassword,
    Kind::TwoLines,
    Kind::Neighbour,
    Kind::BehindNat64,
    Kind::FirstDay,
];

struct Actor {
    kind: Kind,
    id: u32,
    addr: IpAddr,
    steps: u32,
}

/// Host `low` of a /64 that a provider gives to many customers.
fn shared_64(n: u32, low: u16) -> IpAddr {
    Ipv6Addr::new(0x2001, 0xdb8, 0xc000, n as u16, 0, 0, 0, low).into()
}

#[derive(Default)]
struct Tally {
    actors: u32,
    banned: BTreeSet<u32>,
    failures: u64,
    bans: u64,
    /// Denials of its port: ten minutes at most, once an hour, while nobody is registered there.
    denials: u64,
}

struct Population {
    engine: Engine,
    began: Timestamp,
    now: Timestamp,
    actors: Vec<Actor>,
    owners: BTreeMap<IpAddr, (Kind, u32)>,
    phones: Vec<usize>,
    queue: BinaryHeap<Reverse<(Timestamp, usize)>>,
    actions: Vec<Action>,
    tallies: BTreeMap<Kind, Tally>,
    wrong: Vec<String>,
    /// Addresses that an alarm named as those of insiders.
    alarmed: BTreeSet<IpAddr>,
    sequence: u64,
    random: u64,
}

impl Population {
    fn new(phones: u32, attackers: u32) -> Self {
        let mut engine = Engine::new(Policy::default(), 42).unwrap();
        let now = Timestamp::from_micros(1_700_000_000_000_000);
        engine.tick(now, &mut Vec::new());
        let mut population = Self {
            engine,
            began: now,
            now,
            actors: Vec::new(),
            owners: BTreeMap::new(),
            phones: Vec::new(),
            queue: BinaryHeap::new(),
            actions: Vec::new(),
            tallies: BTreeMap::new(),
            wrong: Vec::new(),
            alarmed: BTreeSet::new(),
            sequence: 0,
            random: 88_172_645_463_325_252,
        };
        for n in 0..phones {
            let kind = match n % 20 {
                0..=11 => Kind::Phone,
                12..=16 => Kind::Behind,
                17 => Kind::Roaming,
                18 => [Kind::TwoLines, Kind::Neighbour, Kind::BehindNat64, Kind::FirstDay]
                    [n as usize / 20 % 4],
                _ => Kind::OldPassword,
            };
            population.add(kind, n);
        }
        let kinds = [
            Kind::Fast,
            Kind::Steady,
            Kind::Slow,
            Kind::Enumerating,
            Kind::Scanner,
            Kind::Rotating,
            Kind::Borrowing,
            Kind::BlindForger,
            Kind::ForgingPhones,
            Kind::BorrowingForPhones,
            Kind::Insider,
            Kind::BadNeighbour,
            Kind::PatientForger,
        ];
        for kind in kinds {
            for n in 0..attackers {
                population.add(kind, n);
            }
        }
        population
    }

    fn add(&mut self, kind: Kind, n: u32) {
        let id = u32::try_from(self.actors.len()).unwrap();
        let host = |net: u32, n: u32| IpAddr::from((net + n).to_be_bytes());
        let addr = match kind {
            // Twenty phones behind each address.
            Kind::Behind => host(0x0A10_0000, n / 80),
            Kind::Rotating => Ipv6Addr::new(0x2001, 0xdb8 + n as u16, 0xbad, 0, 0, 0, 0, 1).into(),
            Kind::Neighbour => shared_64(n / 80, 0xcafe),
            Kind::BadNeighbour => shared_64(n, 0xbad),
            Kind::BehindNat64 => {
                Ipv6Addr::from_bits(0x64_ff9b << 96 | 0x0A40_0000 | u128::from(n)).into()
            }
            kind if HEALTHY.contains(&kind) => host(0x0B00_0000 + ((kind as u32) << 20), n),
            // Attackers each in a network of their own: neighbours would be banned as a network.
            kind => host(0x0B00_0000 + ((kind as u32) << 20), n << 12),
        };
        self.owners.insert(addr, (kind, id));
        self.tallies.entry(kind).or_default().actors += 1;
        if HEALTHY.contains(&kind) {
            self.phones.push(self.actors.len());
        }
        // Phones first; attackers come on the third day, when the phones are known.
        let delay = if HEALTHY.contains(&kind) { HOUR } else { 3 * DAY };
        let start = self.now + delay + self.up_to(HOUR);
        self.queue.push(Reverse((start, self.actors.len())));
        self.actors.push(Actor { kind, id, addr, steps: 0 });
    }

    fn run(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(Reverse((at, index))) = self.queue.pop().filter(|Reverse((at, _))| *at < end)
        {
            self.now = at;
            let next = self.step(index);
            self.queue.push(Reverse((at + next, index)));
        }
    }

    /// Lets an actor act; gives the time until it acts again.
    fn step(&mut self, index: usize) -> Duration {
        let Actor { kind, id, addr, steps } = self.actors[index];
        self.actors[index].steps += 1;
        if !HEALTHY.contains(&kind) && self.engine.source(addr).ban.is_some() {
            // Nothing it sends arrives. It comes back now and then.
            return 10 * MINUTE;
        }
        let user = format!("{id}");
        match kind {
            Kind::Phone | Kind::Behind => self.phone(addr, &user),
            Kind::Roaming => {
                if steps % 100 == 99 {
                    let n = self.below(1 << 19);
                    let addr = IpAddr::from((0x0A80_0000 + n).to_be_bytes());
                    self.owners.insert(addr, (kind, id));
                    self.actors[index].addr = addr;
                }
                self.phone(self.actors[index].addr, &user)
            }
            Kind::TwoLines => {
                self.guess(addr, &format!("{id}b"), "phone", Grade::Answered);
                if steps % 20 == 0 {
                    self.phone(addr, &user);
                }
                MINUTE + self.up_to(MINUTE)
            }
            Kind::Neighbour | Kind::BehindNat64 => self.phone(addr, &user),
            Kind::FirstDay => {
                let day = self.now.since(self.began).as_secs() / 86_400;
                let addr = IpAddr::from((0x0AC0_0000 + id * 2_000 + day as u32).to_be_bytes());
                self.owners.insert(addr, (kind, id));
                self.actors[index].addr = addr;
                self.phone(addr, &format!("{id}-{day}"))
            }
            Kind::Insider => {
                if steps % 25 == 0 {
                    self.phone(addr, &user);
                }
                self.guess(addr, &format!("e{}", steps % 50), "pjsip", Grade::Answered);
                MINUTE
            }
            Kind::BadNeighbour => {
                self.guess(addr, "100", "pjsip", Grade::Answered);
                MINUTE
            }
            Kind::OldPassword => {
                // Two weeks well, one week wrong: phones ask again every minute or two.
                let days = self.now.since(self.began).as_secs() / 86_400;
                if days % 21 < 14 {
                    return self.phone(addr, &user);
                }
                self.guess(addr, &user, "phone", Grade::Answered);
                MINUTE + self.up_to(MINUTE)
            }
            Kind::Fast => {
                self.guess(addr, "100", "pjsip", Grade::Answered);
                Duration::from_millis(200)
            }
            Kind::Steady => {
                self.guess(addr, "100", "pjsip", Grade::Answered);
                MINUTE
            }
            Kind::Slow => {
                self.guess(addr, "100", "pjsip", Grade::Answered);
                5 * MINUTE
            }
            Kind::Enumerating => {
                self.guess(addr, &format!("e{steps}"), "pjsip", Grade::Answered);
                10 * SECOND
            }
            Kind::Scanner => {
                self.guess(addr, "100", "friendly-scanner", Grade::Answered);
                MINUTE
            }
            Kind::Rotating => {
                let IpAddr::V6(v6) = addr else { panic!() };
                let other = Ipv6Addr::from_bits(v6.to_bits() + u128::from(steps));
                self.guess(other.into(), "100", "pjsip", Grade::Answered);
                20 * SECOND
            }
            Kind::Borrowing => {
                self.guess(addr, "100", "pjsip", Grade::Unchallenged);
                10 * SECOND
            }
            Kind::BlindForger => {
                let n = self.below(1 << 19);
                let victim = IpAddr::from((0x0D00_0000 + n).to_be_bytes());
                self.guess(victim, "100", "pjsip", Grade::Unproven);
                10 * SECOND
            }
            Kind::ForgingPhones => self.forge(Grade::Unproven),
            Kind::BorrowingForPhones => self.forge(Grade::Unchallenged),
            Kind::PatientForger => self.forge(Grade::Answered),
        }
    }

    /// A healthy phone: a success, now and then with a mistype or two before it.
    fn phone(&mut self, addr: IpAddr, user: &str) -> Duration {
        if self.is_denied(addr) {
            return MINUTE;
        }
        let call = format!("{user}@{addr}");
        if self.below(100) == 0 {
            for _ in 0..=self.below(2) {
                self.guess(addr, user, "phone", Grade::Answered);
            }
        }
        self.challenge(addr, &call);
        self.sequence += 1;
        let attempt = AuthAttempt {
            source: addr,
            port: 5060,
            profile: "internal",
            user,
            domain: "pbx.test",
            realm: Some("pbx.test"),
            username: Some(user),
            call_id: &call,
            websocket: false,
            result: AuthResult::Success,
            user_agent: "phone",
            sequence: self.sequence,
            core: CORE,
        };
        self.handle(Input::AuthAttempt(attempt));
        self.handle(Input::Registered(Registered {
            source: addr,
            port: Some(5060),
            user,
            domain: "pbx.test",
            realm: Some("pbx.test"),
            username: Some(user),
            call_id: &call,
            user_agent: "phone",
            life: Some(HOUR),
            core: CORE,
        }));
        // Some sleep through the night.
        if self.below(40) == 0 { 10 * HOUR } else { 25 * MINUTE + self.up_to(10 * MINUTE) }
    }

    /// Failures in the name of one phone: sixty quick ones, then a pause.
    fn forge(&mut self, grade: Grade) -> Duration {
        let pick = self.below(self.phones.len() as u32) as usize;
        let addr = self.actors[self.phones[pick]].addr;
        for n in 0..60 {
            self.guess(addr, &format!("f{n}"), "pjsip", grade);
        }
        2 * HOUR
    }

    fn guess(&mut self, source: IpAddr, user: &str, user_agent: &str, grade: Grade) {
        // Packets of the banned and the denied no longer arrive, forged ones included.
        if self.engine.source(source).ban.is_some() || self.is_denied(source) {
            return;
        }
        let owner = self.owners.get(&source).map(|(kind, _)| *kind);
        if let Some(kind) = owner {
            self.tallies.entry(kind).or_default().failures += 1;
        }
        // A phone keeps its Call-ID; forgers do not know it.
        let call =
            if user_agent == "phone" { format!("{user}@{source}") } else { "forged".to_owned() };
        if grade == Grade::Answered {
            self.challenge(source, &call);
        }
        self.sequence += 2;
        let attempt = AuthAttempt {
            source,
            port: 5060,
            profile: "internal",
            user,
            domain: "pbx.test",
            realm: Some("pbx.test"),
            username: (grade != Grade::Unproven).then_some(user),
            call_id: &call,
            websocket: false,
            result: AuthResult::Forbidden,
            user_agent,
            sequence: self.sequence,
            core: CORE,
        };
        self.handle(Input::AuthAttempt(attempt));
        self.handle(Input::AuthFailure(AuthFailure {
            source,
            port: 5060,
            profile: "internal",
            user,
            domain: "pbx.test",
            user_agent,
            method: Method::Register,
            sequence: self.sequence + 1,
            core: CORE,
        }));
    }

    fn is_denied(&self, source: IpAddr) -> bool {
        self.engine.flow(Flow { source, transport: Transport::Udp, port: 5060 }).is_some()
    }

    fn challenge(&mut self, source: IpAddr, call_id: &str) {
        self.handle(Input::Challenge(Challenge {
            source,
            port: 5060,
            profile: "internal",
            user: "",
            call_id,
            core: CORE,
        }));
    }

    fn handle(&mut self, input: Input<'_>) {
        let mut actions = std::mem::take(&mut self.actions);
        self.engine.handle(input, self.now, &mut actions);
        for action in actions.drain(..) {
            let (cause, denied) = match action {
                Action::Block { cause, .. } => (cause, false),
                // Each port comes twice.
                Action::DenyFlow { flow, cause, .. } if flow.transport == Transport::Udp => {
                    (cause, true)
                }
                Action::Alarm(Alarm::Insider { address, .. }) => {
                    self.alarmed.insert(address);
                    continue;
                }
                _ => continue,
            };
            let evidence = cause.evidence().unwrap();
            let source = match evidence.address {
                IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64 | 1).into(),
                v4 @ IpAddr::V4(_) => v4,
            };
            let source =
                if self.owners.contains_key(&evidence.address) { evidence.address } else { source };
            let Some((kind, id)) = self.owners.get(&source) else {
                self.wrong.push(format!("a stranger: {evidence:?}"));
                continue;
            };
            let tally = self.tallies.entry(*kind).or_default();
            if denied {
                tally.denials += 1;
                // What a patient forger can do to a host where nobody is registered.
                if HEALTHY.contains(kind) && self.engine.source(evidence.address).registrations > 0
                {
                    self.wrong.push(format!("{kind:?}, a flow: {evidence:?}"));
                }
                continue;
            }
            tally.bans += 1;
            tally.banned.insert(*id);
            if HEALTHY.contains(kind) {
                self.wrong.push(format!("{kind:?}: {evidence:?}"));
            }
        }
        self.actions = actions;
    }

    fn below(&mut self, limit: u32) -> u32 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        u32::try_from(((self.random >> 32) * u64::from(limit)) >> 32).unwrap()
    }

    fn up_to(&mut self, time: Duration) -> Duration {
        time * self.below(1_000) / 1_000
    }

    fn print(&self, began: Instant) {
        println!(
            "| who | actors | failures that arrived | banned at least once | bans | flows denied |"
        );
        println!("|---|---|---|---|---|---|");
        for (kind, tally) in &self.tallies {
            let Tally { actors, banned, failures, bans, denials } = tally;
            println!(
                "| {kind:?} | {actors} | {failures} | {} | {bans} | {denials} |",
                banned.len()
            );
        }
        println!("{} wrong bans; {:?}", self.wrong.len(), began.elapsed());
        println!("{:?}", self.engine.stats());
    }

    fn verify(&self) {
        assert!(self.wrong.is_empty(), "{:#?}", &self.wrong[..self.wrong.len().min(5)]);
        for kind in [
            Kind::Fast,
            Kind::Steady,
            Kind::Enumerating,
            Kind::Scanner,
            Kind::Rotating,
            Kind::Borrowing,
            Kind::BadNeighbour,
        ] {
            let tally = &self.tallies[&kind];
            let caught = tally.banned.len() as f64 / f64::from(tally.actors);
            assert!(caught >= 0.99, "{kind:?}: {caught}");
        }
        let insiders = self.actors.iter().filter(|actor| actor.kind == Kind::Insider);
        for insider in insiders {
            assert!(self.alarmed.contains(&insider.addr), "{}", insider.addr);
        }
    }
}

#[test]
fn a_small_population_lives_in_peace_for_three_weeks() {
    let mut population = Population::new(60, 1);
    let began = Instant::now();
    population.run(23 * DAY);
    population.print(began);
    population.verify();
}

#[test]
#[ignore = "takes minutes; prints the table of docs/policy.md"]
fn a_large_population_lives_in_peace_for_a_thousand_days() {
    let mut population = Population::new(5_000, 20);
    let began = Instant::now();
    let days = std::env::var("POPULATION_DAYS").map_or(1_000, |days| days.parse().unwrap());
    population.run(days * DAY);
    population.print(began);
    population.verify();
}
