//! The recorded storm, as a stream of any length.

use std::{fs::File, io::Read as _, path::Path};

use anyhow::{Context as _, Result, ensure};
use bytes::BytesMut;
use flate2::read::GzDecoder;
use sipward_esl::{FrameDecoder, Limits, SofiaEvent, sofia};

use crate::{clients::sipward, record::Sum};

/// 19,999 `register_failure` events as FreeSWITCH sent them.
pub(crate) struct Storm {
    /// The events without the handshake before them.
    bytes: Vec<u8>,
    /// Where each event ends, and what it and those before it add up to.
    events: Vec<(usize, Sum)>,
}

impl Storm {
    pub(crate) fn load() -> Result<Self> {
        let path = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../../tests/fixtures/freeswitch/storm/storm-20k-register_failure.plain.raw.gz");
        let file = File::open(&path).with_context(|| path.display().to_string())?;
        let mut recording = Vec::new();
        GzDecoder::new(file).read_to_end(&mut recording)?;

        let mut decoder = FrameDecoder::new(Limits::default());
        let mut rest = BytesMut::from(&recording[..]);
        let (mut start, mut events, mut sum) = (0, Vec::new(), Sum::default());
        while let Some(frame) = decoder.decode(&mut rest)? {
            let end = recording.len() - rest.len();
            let Ok(event) = frame.into_event() else {
                start = end;
                continue;
            };
            if let Some(SofiaEvent::RegisterFailure(failure)) = sofia::parse(&event)? {
                sum.add(&sipward::record(&failure));
            }
            events.push((end - start, sum));
        }
        ensure!(!events.is_empty(), "{} holds no events", path.display());
        Ok(Self { bytes: recording.split_off(start), events })
    }

    /// The pieces of a stream of so many events: the whole storm again and again, then a part of it.
    pub(crate) fn pieces(&self, events: usize) -> impl Iterator<Item = &[u8]> {
        let whole = events / self.events.len();
        let (_, part) = self.tail(events);
        std::iter::repeat_n(&self.bytes[..], whole).chain([part])
    }

    /// What such a stream adds up to.
    pub(crate) fn sum(&self, events: usize) -> Sum {
        let whole = (events / self.events.len()) as u64;
        let all = self.events.last().map_or(0, |(_, sum)| sum.0);
        let (part, _) = self.tail(events);
        Sum(all.wrapping_mul(whole).wrapping_add(part.0))
    }

    fn tail(&self, events: usize) -> (Sum, &[u8]) {
        match (events % self.events.len()).checked_sub(1).map(|last| self.events[last]) {
            Some((end, sum)) => (sum, &self.bytes[..end]),
            None => (Sum::default(), &[]),
        }
    }
}
