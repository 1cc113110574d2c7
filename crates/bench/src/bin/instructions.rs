//! What decoding costs in instructions, which no neighbour on the machine can change.
//!
//! ```console
//! $ cargo build --release --bin instructions
//! $ for step in scan frames records; do
//!     valgrind --tool=callgrind --callgrind-out-file=/dev/null --toggle-collect="*::$step" \
//!       target/release/instructions $step
//!   done
//! ```
//!
//! Callgrind counts only inside the function of that name. Divide by the 19,999 events of the storm. Times are
//! compared by `cargo bench -p sipward-esl`.

use std::{env, fs::File, hint::black_box, io::Read as _, path::Path};

use anyhow::{Context as _, Result, bail};
use bytes::BytesMut;
use flate2::read::GzDecoder;
use sipward_esl::{FrameDecoder, Limits, SofiaEvent, sofia};

fn main() -> Result<()> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../tests/fixtures/freeswitch/storm/storm-20k-register_failure.plain.raw.gz");
    let file = File::open(&path).with_context(|| path.display().to_string())?;
    let mut recording = Vec::new();
    GzDecoder::new(file).read_to_end(&mut recording)?;

    let received = || BytesMut::from(&recording[..]);
    match env::args().nth(1).as_deref() {
        Some("scan") => println!("{} line ends", scan(&mut received())),
        Some("frames") => println!("{} frames", frames(&mut received())),
        Some("records") => println!("{} failures", records(&mut received())),
        Some(_) | None => bail!("usage: instructions scan|frames|records"),
    }
    Ok(())
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
