//! Damaged copies of the recordings: never a panic, never a loop, never growth past the limits.

// A failed unwrap is a failed test.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use std::sync::OnceLock;

use bytes::BytesMut;
use common::{Recording, recordings};
use proptest::prelude::*;
use sipward_esl::{FrameDecoder, Limits, LogLine, sofia};

const LIMITS: Limits = {
    let mut limits = Limits::new();
    limits.max_head = 4096;
    limits.max_body = 2048;
    limits.max_reply = 4096;
    limits.max_value = 256;
    limits.max_headers = 64;
    limits
};

/// Most that a frame may occupy: head, body, and a cut body's shortened values.
const BOUND: usize =
    LIMITS.max_head + LIMITS.max_body + LIMITS.max_reply + LIMITS.max_headers * (128 + 256 + 8);

#[derive(Clone, Debug)]
enum Damage {
    Flip { at: usize, bit: u8 },
    Cut { from: usize, len: usize },
    Double { from: usize, len: usize },
    Insert { at: usize, bytes: Vec<u8> },
}

fn damage() -> impl Strategy<Value = Damage> {
    let place = any::<usize>;
    prop_oneof![
        (place(), 0..8_u8).prop_map(|(at, bit)| Damage::Flip { at, bit }),
        (place(), 1..2000_usize).prop_map(|(from, len)| Damage::Cut { from, len }),
        (place(), 1..2000_usize).prop_map(|(from, len)| Damage::Double { from, len }),
        (place(), any::<[u8; 4]>())
            .prop_map(|(at, bytes)| Damage::Insert { at, bytes: bytes.to_vec() }),
        place().prop_map(|at| Damage::Insert { at, bytes: b"\nContent-Length: 99999\n".to_vec() }),
    ]
}

impl Damage {
    fn apply(self, bytes: &mut Vec<u8>) {
        if bytes.is_empty() {
            return;
        }
        let size = bytes.len();
        match self {
            Self::Flip { at, bit } => bytes[at % size] ^= 1 << bit,
            Self::Cut { from, len } => {
                let from = from % size;
                bytes.drain(from..(from + len).min(size));
            }
            Self::Double { from, len } => {
                let from = from % size;
                let part = bytes[from..(from + len).min(size)].to_vec();
                bytes.splice(from..from, part);
            }
            Self::Insert { at, bytes: inserted } => {
                let at = at % size;
                bytes.splice(at..at, inserted);
            }
        }
    }
}

fn originals() -> &'static [Recording] {
    static RECORDINGS: OnceLock<Vec<Recording>> = OnceLock::new();
    RECORDINGS.get_or_init(|| {
        let mut recordings = recordings();
        recordings.retain(|recording| recording.bytes.len() < 64 * 1024);
        recordings
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn damage_harms_nothing(
        which: usize,
        damages in proptest::collection::vec(damage(), 1..12),
        piece in 1..5000_usize,
    ) {
        let originals = originals();
        let mut bytes = originals[which % originals.len()].bytes.clone();
        for damage in damages {
            damage.apply(&mut bytes);
        }

        let mut decoder = FrameDecoder::new(LIMITS);
        let mut buffer = BytesMut::new();
        let mut frames = 0;
        let mut pieces = bytes.chunks(piece);
        'stream: loop {
            let ended = match pieces.next() {
                Some(piece) => {
                    buffer.extend_from_slice(piece);
                    false
                }
                None => true,
            };
            loop {
                let decoded = if ended {
                    decoder.decode_eof(&mut buffer)
                } else {
                    decoder.decode(&mut buffer)
                };
                let Ok(decoded) = decoded else { break 'stream };
                let Some(frame) = decoded else { break };
                frames += 1;
                prop_assert!(frames <= bytes.len(), "every frame takes a byte at least");
                prop_assert!(frame.as_bytes().len() <= BOUND);
                let _ = LogLine::from_frame(frame.clone());
                let _ = frame.reply_text();
                if let Ok(event) = frame.into_event() {
                    let _ = event.body();
                    prop_assert!(event.headers().count() <= event.as_bytes().len());
                    if let Err(error) = sofia::parse(&event) {
                        prop_assert!(error.to_string().len() < 1000);
                    }
                }
            }
            prop_assert!(buffer.len() <= BOUND, "{} bytes wait", buffer.len());
            if ended {
                break;
            }
        }
    }
}
