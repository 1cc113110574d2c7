//! Many engines on a simulated bus, with one malicious node among them.
//!
//! | file | is |
//! |---|---|
//! | `bus.rs` | messages: delayed, lost, sent twice and in another order; and the stream that keeps the last of each subject |
//! | `node.rs` | an engine with what a daemon does around it: merge, store, what it tells the others |
//! | `convert.rs` | messages of the wire as inputs of the engine, and back |
//! | `story.rs` | phones, attackers, operators and the malicious node, and what must hold |
//!
//! `FLEET_SEEDS=1000 cargo test --release -p sipward-tests --test fleet` plays more seeds than the usual 4,
//! `FLEET_SEED=58` the story of that seed.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed expectation is a failed test"
)]
#![allow(clippy::cast_possible_truncation, reason = "seeds, counts and short times are small")]

/// Ends a story with an explanation unless something holds.
macro_rules! ensure {
    ($holds:expr, $($words:tt)+) => {
        if !$holds {
            return Err(format!($($words)+));
        }
    };
}

mod bus;
mod convert;
mod node;
mod story;

use std::sync::atomic::{AtomicU64, Ordering};

/// Stories, unless `FLEET_SEEDS` says otherwise.
const SEEDS: u64 = 4;

#[test]
fn every_story_ends_well() {
    let number = |name| std::env::var(name).ok().map(|number| number.parse::<u64>().unwrap());
    let seeds = match number("FLEET_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("FLEET_SEEDS").unwrap_or(SEEDS),
    };
    let next = AtomicU64::new(seeds.start);
    let play = || {
        let mut faults = Vec::new();
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds.end {
                return faults;
            }
            if let Err(fault) = story::play(seed) {
                faults.push(format!("seed {seed}: {fault}"));
            }
        }
    };
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let faults: Vec<String> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..cores).map(|_| scope.spawn(play)).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    let count = seeds.end - seeds.start;
    assert!(faults.is_empty(), "{} of {count} stories:\n{}", faults.len(), faults.join("\n"));
}
