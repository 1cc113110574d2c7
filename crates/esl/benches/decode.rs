//! Decoding and extracting the storm's 19,999 failures, beside a plain search for newlines over the same
//! bytes: `cargo bench -p sipward-esl`.

// It stops at the first thing that is not as it should be.
#![allow(clippy::expect_used, clippy::indexing_slicing)]

use std::{hint::black_box, time::Duration};

use bytes::BytesMut;
use criterion::{BatchSize, Criterion, Throughput, criterion_group};
use nix::time::ClockId;
use sipward_esl::{FrameDecoder, Limits, SofiaEvent, sofia};

#[path = "../tests/common/mod.rs"]
mod common;

fn storm(criterion: &mut Criterion) {
    for format in ["plain", "json"] {
        let stream = common::storm(format);
        let mut group = criterion.benchmark_group(format!("storm/{format}"));
        group.throughput(Throughput::Bytes(stream.len() as u64));
        group.bench_function("memchr_newlines", |bencher| {
            bencher.iter(|| scan(black_box(&stream)));
        });
        group.bench_function("decode_and_extract", |bencher| {
            let received = || BytesMut::from(&stream[..]);
            bencher.iter_batched_ref(
                received,
                |received| assert_eq!(failures(received), 19_999),
                BatchSize::PerIteration,
            );
        });
        group.finish();
    }
}

fn failures(received: &mut BytesMut) -> usize {
    let mut decoder = FrameDecoder::new(Limits::default());
    let mut failures = 0;
    while let Ok(Some(frame)) = decoder.decode(received) {
        let Ok(event) = frame.into_event() else {
            continue;
        };
        if let Ok(Some(SofiaEvent::RegisterFailure(failure))) = sofia::parse(&event) {
            black_box(&failure);
            failures += 1;
        }
    }
    failures
}

/// The two of plain events by turns, in time of the processor, so that neighbours on the machine count for
/// little: best and median of many.
fn ratio() {
    const ROUNDS: usize = 101;
    let stream = common::storm("plain");
    let (mut scans, mut decodes) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        // Each reads a fresh copy.
        let mut received = BytesMut::from(&stream[..]);
        scans.push(processor_time(|| scan(black_box(&received))));
        received = BytesMut::from(&stream[..]);
        decodes.push(processor_time(|| failures(&mut received)));
    }
    scans.sort();
    decodes.sort();
    for (name, at) in [("best", 0), ("median", ROUNDS / 2)] {
        let (scan, decode) = (scans[at], decodes[at]);
        let ratio = decode.div_duration_f64(scan);
        println!(
            "{name}: scan {scan:.2?}, decode and extract {decode:.2?}, {ratio:.2} times the scan"
        );
    }
}

fn processor_time<T>(work: impl FnOnce() -> T) -> Duration {
    let now =
        || Duration::from(ClockId::CLOCK_THREAD_CPUTIME_ID.now().expect("every Linux has it"));
    let start = now();
    black_box(work());
    now().saturating_sub(start)
}

fn scan(bytes: &[u8]) -> usize {
    // Each place is used; `count()` would only add up bits, without finding any.
    memchr::memchr_iter(b'\n', bytes).fold(0, |sum, at| sum ^ at)
}

criterion_group!(benches, storm);

fn main() {
    benches();
    ratio();
    Criterion::default().configure_from_args().final_summary();
}
