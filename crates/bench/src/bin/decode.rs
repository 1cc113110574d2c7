//! What decoding costs beside a plain search for line ends: in time, and in instructions, which no
//! neighbour on the machine can change.
//!
//! ```console
//! $ cargo run --release --bin decode
//! $ for step in scan frames records; do
//!     valgrind --tool=callgrind --callgrind-out-file=/dev/null --toggle-collect="*::$step" \
//!       target/release/decode $step
//!   done
//! ```
//!
//! Without a step: each of them by turns, best and median of [`ROUNDS`]. Callgrind counts only inside the function of that name. Divide by the 19,999 events of the storm.

use std::{env, fs::File, hint::black_box, io::Read as _, path::Path, time::Instant};

use anyhow::{Context as _, Result, bail};
use bytes::BytesMut;
use flate2::read::GzDecoder;
use sipward_esl::{FrameDecoder, Limits, SofiaEvent, sofia};
use tokio_util::codec::Decoder as _;

/// Enough that some of them have a core to themselves.
const ROUNDS: usize = 101;

fn main() -> Result<()> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../tests/fixtures/freeswitch/storm/storm-20k-register_failure.plain.raw.gz");
    let file = File::open(&path).with_context(|| path.display().to_string())?;
    let mut recording = Vec::new();
    GzDecoder::new(file).read_to_end(&mut recording)?;

    let received = || BytesMut::from(&recording[..]);
    match env::args().nth(1).as_deref() {
        None => compare(received),
        Some("scan") => println!("{} line ends", scan(&mut received())),
        Some("frames") => println!("{} frames", frames(&mut received())),
        Some("records") => println!("{} failures", records(&mut received())),
        Some(other) => bail!("unknown step {other:?}; they are scan, frames and records"),
    }
    Ok(())
}

fn compare(received: impl Fn() -> BytesMut) {
    const STEPS: [(&str, fn(&mut BytesMut) -> usize); 3] =
        [("scan", scan), ("frames", frames), ("records", records)];
    let mut times = STEPS.map(|_| Vec::new());
    for _ in 0..ROUNDS {
        for ((_, step), times) in STEPS.iter().zip(&mut times) {
            let mut received = received();
            let start = Instant::now();
            black_box(step(&mut received));
            times.push(start.elapsed());
        }
    }
    let [scan, ..] = times.each_mut().map(|times| {
        times.sort();
        (times[0], times[ROUNDS / 2])
    });
    println!("{:8} {:>9} {:>6} {:>10} {:>6}", "", "best ms", "ratio", "median ms", "ratio");
    for ((name, _), times) in STEPS.iter().zip(&times) {
        let (best, median) = (times[0], times[ROUNDS / 2]);
        println!(
            "{name:8} {:>9.2} {:>6.2} {:>10.2} {:>6.2}",
            1e3 * best.as_secs_f64(),
            best.div_duration_f64(scan.0),
            1e3 * median.as_secs_f64(),
            median.div_duration_f64(scan.1),
        );
    }
}

/// The measure of all: finding every line end.
#[inline(never)]
fn scan(received: &mut BytesMut) -> usize {
    memchr::memchr_iter(b'\n', black_box(&*received)).fold(0, |count, at| {
        black_box(at);
        count + 1
    })
}

/// Splitting into frames only.
#[inline(never)]
fn frames(received: &mut BytesMut) -> usize {
    let mut decoder = FrameDecoder::new(Limits::default());
    let mut frames = 0;
    while let Ok(Some(frame)) = decoder.decode(received) {
        black_box(&frame);
        frames += 1;
    }
    frames
}

/// All the way to records.
#[inline(never)]
fn records(received: &mut BytesMut) -> usize {
    let mut decoder = FrameDecoder::new(Limits::default());
    let mut failures = 0;
    while let Ok(Some(frame)) = decoder.decode(received) {
        let Ok(event) = frame.into_event() else { continue };
        if let Ok(Some(SofiaEvent::RegisterFailure(failure))) = sofia::parse(&event) {
            black_box(&failure);
            failures += 1;
        }
    }
    failures
}
