//! Failures per second through the engine.
//!
//! `cargo bench -p sipward-engine`

use std::hint::black_box;
use std::net::IpAddr;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use sipward_engine::{
    Action, AuthAttempt, AuthFailure, AuthResult, CoreId, Engine, Expiry, Input, Method, Policy,
    Timestamp,
};

const SOURCES: u32 = 100_000;
const BATCH: u32 = 10_000;

#[expect(clippy::expect_used, reason = "a benchmark may stop")]
/// An engine with the default policy and `bans` standing bans of other addresses.
fn engine(bans: u32) -> Engine {
    let mut engine = Engine::new(Policy::default(), 42).expect("the default policy");
    let mut actions = Vec::new();
    for n in 0..bans {
        let net = IpAddr::from((0xC000_0000 + n * 3).to_be_bytes()).into();
        let ban = Input::Ban {
            net,
            until: Expiry::Never,
            reason: String::new(),
            force: false,
        };
        engine.handle(ban, Timestamp::EPOCH, &mut actions);
        actions.clear();
    }
    engine
}

/// A storm over [`SOURCES`] sources: an attempt and a failure each, in turn, so that every source
/// fills its window, is banned, fails in flight, and begins anew when its ban ends.
struct Storm {
    engine: Engine,
    actions: Vec<Action>,
    now: Timestamp,
    sequence: u64,
    turn: u32,
}

impl Storm {
    fn new(bans: u32) -> Self {
        let now = Timestamp::from_micros(1_700_000_000_000_000);
        let mut storm = Self {
            engine: engine(bans),
            actions: Vec::new(),
            now,
            sequence: 0,
            turn: 0,
        };
        // Into the steady state: everybody tracked.
        for _ in 0..SOURCES {
            storm.failure();
        }
        storm
    }

    fn failure(&mut self) {
        // A fixed stride visits all sources in an order that no cache can guess.
        self.turn = (self.turn + 61_803) % SOURCES;
        let source = IpAddr::from((0x0A00_0000 + self.turn).to_be_bytes());
        self.now = self.now + Duration::from_micros(50);
        self.sequence += 2;
        let attempt = AuthAttempt {
            source,
            port: 5060,
            profile: "internal",
            user: "1000",
            username: Some("1000"),
            result: AuthResult::Forbidden,
            user_agent: "friendly-scanner",
            sequence: self.sequence,
            core: CoreId(1),
        };
        let failure = AuthFailure {
            source,
            port: 5060,
            profile: "internal",
            user: "1000",
            domain: "pbx.example",
            user_agent: "friendly-scanner",
            method: Method::Register,
            sequence: self.sequence + 1,
            core: CoreId(1),
        };
        self.engine
            .handle(Input::AuthAttempt(attempt), self.now, &mut self.actions);
        self.engine
            .handle(Input::AuthFailure(failure), self.now, &mut self.actions);
        black_box(&self.actions);
        self.actions.clear();
    }
}

fn failures(c: &mut Criterion) {
    let mut group = c.benchmark_group("failures");
    group.throughput(Throughput::Elements(u64::from(BATCH)));
    for bans in [0, 100_000] {
        let mut storm = Storm::new(bans);
        group.bench_function(BenchmarkId::new("standing_bans", bans), |b| {
            b.iter(|| {
                for _ in 0..BATCH {
                    storm.failure();
                }
            });
        });
        println!("{:?}", storm.engine.stats());
    }
    group.finish();
}

criterion_group!(benches, failures);
criterion_main!(benches);
