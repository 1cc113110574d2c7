//! One storm without a clock, to count what a guess costs: instructions do not depend on neighbours.
//!
//! ```console
//! $ cargo bench -p sipward-engine --bench instructions --no-run
//! $ valgrind --tool=callgrind --toggle-collect='*::measured' target/release/deps/instructions-… watched
//! ```
//!
//! Without valgrind it tells the time on the processor, which neighbours who take it away do not lengthen.
//!
//! The argument is `watched`, `shuffled`, `banned` or `crowded`, as in the bench `engine`; 30 failures of
//! each source have come before, as many as any rule looks at.

mod storm;

use std::time::Duration;

use crate::storm::{SOURCES, Storm};

/// Failures that the longest history holds.
const ROUNDS: u32 = 30;

/// Rounds that are measured: a quarter of a second, because the kernel counts time in milliseconds.
const MEASURED: u32 = 10;

fn main() {
    let case = std::env::args().nth(1).filter(|case| !case.starts_with('-'));
    let case = case.as_deref().unwrap_or("watched");
    let step = Duration::from_millis(if case == "banned" { 1 } else { 2 });
    let mut storm = Storm::new(0, step);
    if case == "shuffled" {
        storm.shuffle();
    }
    if case == "crowded" {
        storm.crowd();
    }
    for _ in 0..ROUNDS * SOURCES {
        storm.guess();
    }
    let began = on_processor();
    measured(&mut storm);
    let guesses = MEASURED * SOURCES;
    let each = on_processor().saturating_sub(began) / guesses;
    let stats = storm.engine.stats();
    println!("{case}: {each:?} a guess; {guesses} guesses, {} sources tracked", stats.tracked);
}

/// Time that this process had a processor.
fn on_processor() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/schedstat").unwrap_or_default();
    let nanos = stat.split_whitespace().next().and_then(|nanos| nanos.parse().ok());
    Duration::from_nanos(nanos.unwrap_or_default())
}

#[inline(never)]
fn measured(storm: &mut Storm) {
    for _ in 0..MEASURED * SOURCES {
        storm.guess();
    }
}
