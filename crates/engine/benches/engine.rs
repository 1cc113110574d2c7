//! Failures per second through the engine, with the default policy: every rule counts.
//!
//! `cargo bench -p sipward-engine --bench engine`
//!
//! One failure is what FreeSWITCH makes of one guess: challenge, attempt and failure, three events.

mod storm;

use std::time::Duration;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};

use crate::storm::Storm;

const BATCH: u32 = 10_000;

fn failures(c: &mut Criterion) {
    let mut group = c.benchmark_group("failures");
    group.throughput(Throughput::Elements(u64::from(BATCH)));
    // Every source fails every 200 s: three times in its window, always watched, never banned.
    let watched = Duration::from_millis(2);
    // Every source fails every 100 s: banned at the fifth, in flight until the ban ends, and again.
    let banned = Duration::from_millis(1);
    for (name, bans, step) in [
        ("watched", 0, watched),
        ("shuffled", 0, watched),
        ("watched", 100_000, watched),
        ("banned", 0, banned),
        ("crowded", 0, watched),
    ] {
        let mut storm = Storm::new(bans, step);
        if name == "shuffled" {
            storm.shuffle();
        }
        if name == "crowded" {
            storm.crowd();
        }
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
