//! The recordings of a real FreeSWITCH, and ways to feed them.

// Each test binary uses a part of it; a failed `expect` is a failed test.
#![allow(dead_code, unreachable_pub, missing_docs, clippy::expect_used, clippy::panic)]

use std::{
    fs,
    io::Read as _,
    path::{Path, PathBuf},
};

use bytes::BytesMut;
use sipward_esl::{ContentType, Frame, FrameDecoder, Limits};

pub struct Recording {
    pub name: String,
    pub bytes: Vec<u8>,
}

/// Everything that FreeSWITCH sent, without the compressed storm.
pub fn recordings() -> Vec<Recording> {
    let mut found = Vec::new();
    for folder in ["scenarios", "session", "api"] {
        for entry in fs::read_dir(fixtures().join(folder)).expect("fixtures are there") {
            let path = entry.expect("readable folder").path();
            if path.extension().is_some_and(|extension| extension == "raw") {
                found.push(read(&path));
            }
        }
    }
    found.sort_by(|a, b| a.name.cmp(&b.name));
    assert!(found.len() > 300, "{} recordings", found.len());
    found
}

pub fn recording(name: &str) -> Recording {
    read(&fixtures().join(name))
}

/// 19,999 failures from 2,000 addresses; `format` is `plain` or `json`.
pub fn storm(format: &str) -> Vec<u8> {
    let path = fixtures().join(format!("storm/storm-20k-register_failure.{format}.raw.gz"));
    let file = fs::File::open(path).expect("the storm is there");
    let mut bytes = Vec::new();
    flate2::read::GzDecoder::new(file).read_to_end(&mut bytes).expect("it is whole");
    bytes
}

/// What a stream decodes to, and how it ends.
#[derive(Debug, PartialEq)]
pub struct Decoded {
    pub frames: Vec<Frame>,
    pub end: Option<String>,
}

/// Decodes a stream that arrives in these pieces.
pub fn decode_pieces<'p>(pieces: impl IntoIterator<Item = &'p [u8]>, limits: Limits) -> Decoded {
    let mut decoder = FrameDecoder::new(limits);
    let mut buffer = BytesMut::new();
    let mut frames = Vec::new();
    for piece in pieces {
        buffer.extend_from_slice(piece);
        loop {
            match decoder.decode(&mut buffer) {
                Ok(Some(frame)) => frames.push(frame),
                Ok(None) => break,
                Err(error) => {
                    return Decoded { frames, end: Some(error.to_string()) };
                }
            }
        }
    }
    let end = loop {
        match decoder.decode_eof(&mut buffer) {
            Ok(Some(frame)) => frames.push(frame),
            Ok(None) => break None,
            Err(error) => break Some(error.to_string()),
        }
    };
    Decoded { frames, end }
}

pub fn decode(bytes: &[u8]) -> Decoded {
    decode_pieces([bytes], Limits::default())
}

/// How a frame is called in the recordings' own list.
pub fn label(frame: &Frame) -> String {
    match frame.content_type() {
        ContentType::EventPlain | ContentType::EventJson => {
            let event = frame.clone().into_event().expect("a readable event");
            let name = event.name().expect("an event has a name").to_string();
            match event.subclass() {
                Some(subclass) => subclass.to_string().replace("sofia::", ""),
                None => name,
            }
        }
        _ => String::from_utf8_lossy(frame.header("Content-Type").unwrap_or_default()).into_owned(),
    }
}

pub fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/freeswitch")
}

fn read(path: &Path) -> Recording {
    let name = path.strip_prefix(fixtures()).expect("inside").to_string_lossy().into_owned();
    Recording { name, bytes: fs::read(path).expect("readable") }
}
