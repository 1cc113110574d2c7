//! Decoding and extracting the storm's 19,999 failures, beside a plain search for newlines over the same
//! bytes: `cargo bench -p sipward-esl`.

use std::hint::black_box;

use bytes::BytesMut;
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use sipward_esl::{FrameDecoder, Limits, SofiaEvent, sofia};
use tokio_util::codec::Decoder as _;

#[path = "../tests/common/mod.rs"]
mod common;

fn storm(criterion: &mut Criterion) {
    for format in ["plain", "json"] {
        let stream = common::storm(format);
        let mut group = criterion.benchmark_group(format!("storm/{format}"));
        group.throughput(Throughput::Bytes(stream.len() as u64));
        group.bench_function("memchr_newlines", |bencher| {
            // Each place is used; `count()` would only add up bits, without finding any.
            let scan = |bytes| memchr::memchr_iter(b'\n', bytes).fold(0, |sum, at| sum ^ at);
            bencher.iter(|| scan(black_box(&stream)));
        });
        group.bench_function("decode_and_extract", |bencher| {
            let received = || BytesMut::from(&stream[..]);
            bencher.iter_batched(
                received,
                |stream| assert_eq!(failures(stream), 19_999),
                BatchSize::PerIteration,
            );
        });
        group.finish();
    }
}

fn failures(mut received: BytesMut) -> usize {
    let mut decoder = FrameDecoder::new(Limits::default());
    let mut failures = 0;
    while let Ok(Some(frame)) = decoder.decode(&mut received) {
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

criterion_group!(benches, storm);
criterion_main!(benches);
