//! Failures per second through the engine, with the default policy: every rule counts.
//!
//! `cargo bench -p sipward-engine`
//!
//! One failure is what FreeSWITCH makes of one guess: challenge, attempt and failure, three events.

use std::hint::black_box;
use std::net::IpAddr;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use sipward_engine::{
    Action, AuthAttempt, AuthFailure, AuthResult, Challenge, CoreId, Engine, Expiry, Input, Method,
    Policy, Timestamp,
};

const SOURCES: u32 = 100_000;
const BATCH: u32 = 10_000;

/// Guesses of [`SOURCES`] sources in turn.
struct Storm {
    engine: Engine,
    actions: Vec<Action>,
    now: Timestamp,
    step: Duration,
    sequence: u64,
    turn: u32,
    blocked: u64,
}

impl Storm {
    /// `bans` stand, of others; between two guesses `step` passes.
    #[expect(clippy::expect_used, reason = "a benchmark may stop")]
    fn new(bans: u32, step: Duration) -> Self {
        let mut engine = Engine::new(Policy::default(), 42).expect("the default policy");
        let now = Timestamp::from_micros(1_700_000_000_000_000);
        let mut actions = Vec::new();
        for n in 0..bans {
            let net = IpAddr::from((0xC000_0000 + n * 3).to_be_bytes()).into();
            let ban = Input::Ban { net, until: Expiry::Never, reason: String::new(), force: false };
            engine.handle(ban, now, &mut actions);
            actions.clear();
        }
        let mut storm = Self { engine, actions, now, step, sequence: 0, turn: 0, blocked: 0 };
        for _ in 0..4 * SOURCES {
            storm.guess();
        }
        storm
    }

    fn guess(&mut self) {
        // A stride that visits all sources in an order no cache can guess.
        self.turn = (self.turn + 61_803) % SOURCES;
        let source = IpAddr::from((0x0A00_0000 + self.turn).to_be_bytes());
        self.now = self.now + self.step;
        self.sequence += 10;
        let (port, profile, core) = (5060, "internal", CoreId(1));
        let (user, user_agent) = ("1000", "Grandstream GXP1625 1.0.7.13");
        let challenge = Challenge { source, port, profile, user, core };
        let attempt = AuthAttempt {
            source,
            port,
            profile,
            user,
            username: Some(user),
            result: AuthResult::Forbidden,
            user_agent,
            sequence: self.sequence,
            core,
        };
        let failure = AuthFailure {
            source,
            port,
            profile,
            user,
            domain: "pbx.example",
            user_agent,
            method: Method::Register,
            sequence: self.sequence + 1,
            core,
        };
        self.engine.handle(Input::Challenge(challenge), self.now, &mut self.actions);
        self.engine.handle(Input::AuthAttempt(attempt), self.now, &mut self.actions);
        self.engine.handle(Input::AuthFailure(failure), self.now, &mut self.actions);
        let blocks = self.actions.iter().filter(|action| matches!(action, Action::Block { .. }));
        self.blocked += blocks.count() as u64;
        black_box(&self.actions);
        self.actions.clear();
    }
}

fn failures(c: &mut Criterion) {
    let mut group = c.benchmark_group("failures");
    group.throughput(Throughput::Elements(u64::from(BATCH)));
    // Every source fails every 200 s: three times in its window, always watched, never banned.
    let watched = Duration::from_millis(2);
    // Every source fails every 100 s: banned at the fifth, in flight until the ban ends, and again.
    let banned = Duration::from_millis(1);
    for (name, bans, step) in
        [("watched", 0, watched), ("watched", 100_000, watched), ("banned", 0, banned)]
    {
        let mut storm = Storm::new(bans, step);
        group.bench_function(BenchmarkId::new(name, format!("{bans} other bans")), |b| {
            b.iter(|| {
                for _ in 0..BATCH {
                    storm.guess();
                }
            });
        });
        let stats = storm.engine.stats();
        println!("{} sources tracked, {} bans made", stats.tracked, storm.blocked);
    }
    group.finish();
}

criterion_group!(benches, failures);
criterion_main!(benches);
