//! Decoding and extracting allocates nothing for an event.

// A failed unwrap is a failed test.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use bytes::BytesMut;
use sipward_esl::{FrameDecoder, Limits, SofiaEvent, sofia};

#[test]
fn twenty_thousand_failures_allocate_once() {
    let mut buffer = BytesMut::from(&common::storm("plain")[..]);
    let mut failures = 0;
    let allocations = allocation_counter::measure(|| {
        let mut decoder = FrameDecoder::new(Limits::default());
        while let Ok(Some(frame)) = decoder.decode(&mut buffer) {
            let Ok(event) = frame.into_event() else {
                continue;
            };
            if let Ok(Some(SofiaEvent::RegisterFailure(_))) = sofia::parse(&event) {
                failures += 1;
            }
        }
    });
    assert_eq!(failures, 19_999);
    // The buffer becomes a shared one when its first frame is split off.
    assert_eq!(allocations.count_total, 1);
}
