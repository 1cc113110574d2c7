//! Recordings of a real FreeSWITCH (`tests/fixtures/freeswitch`).

use std::io::Read as _;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::{fs, io};

use flate2::read::GzDecoder;

use super::Frame;

/// What a real FreeSWITCH sent over one connection.
#[derive(Clone, Debug)]
pub struct Recording {
    name: String,
    frames: Vec<Frame>,
    /// Bytes behind the last whole frame; only recordings of a killed connection have any.
    tail: Vec<u8>,
}

/// What is in `PATH.gz`.
fn unzipped(path: &Path) -> io::Result<Vec<u8>> {
    let mut zipped = path.as_os_str().to_owned();
    zipped.push(".gz");
    let mut stream = Vec::new();
    GzDecoder::new(fs::File::open(zipped)?).read_to_end(&mut stream)?;
    Ok(stream)
}

impl Recording {
    /// Reads a recording by its path below `tests/fixtures/freeswitch`, without `.raw` or `.raw.gz`:
    /// `scenarios/01a-register-wrongpw-udp4.plain`.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn load(name: &str) -> io::Result<Self> {
        let path = Self::directory().join(format!("{name}.raw"));
        let read = if path.exists() { fs::read(&path) } else { unzipped(&path) };
        let stream = read.map_err(|error| {
            io::Error::new(error.kind(), format!("{}: {error}", path.display()))
        })?;
        let (frames, tail) = Frame::split_stream(&stream);
        Ok(Self { name: name.to_owned(), frames, tail: tail.to_vec() })
    }

    /// Every recorded scenario in the plain format, ordered by name.
    ///
    /// # Errors
    /// When the directory or a file cannot be read.
    pub fn all_plain_scenarios() -> io::Result<Vec<Self>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(Self::directory().join("scenarios"))? {
            let file = entry?.file_name();
            if let Some(name) = file.to_str().and_then(|name| name.strip_suffix(".plain.raw")) {
                names.push(format!("scenarios/{name}.plain"));
            }
        }
        names.sort();
        names.iter().map(|name| Self::load(name)).collect()
    }

    /// Every recording of the second set (`2-*`: dialogs, forgeries, floods), ordered by name.
    ///
    /// # Errors
    /// When the directory or a file cannot be read.
    pub fn second_set() -> io::Result<Vec<Self>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(Self::directory().join("second"))? {
            let file = entry?.file_name();
            if let Some(name) = file.to_str().and_then(|name| name.strip_suffix(".raw.gz")) {
                names.push(format!("second/{name}"));
            }
        }
        names.sort();
        names.iter().map(|name| Self::load(name)).collect()
    }

    /// Where the recordings are.
    #[must_use]
    pub fn directory() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/freeswitch")
    }

    /// The name it was loaded by.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// All whole frames, handshake included.
    #[must_use]
    pub fn frames(&self) -> &[Frame] {
        &self.frames
    }

    /// All whole frames, handshake included.
    #[must_use]
    pub fn into_frames(self) -> Vec<Frame> {
        self.frames
    }

    /// Bytes of a frame cut at the end of the recording.
    #[must_use]
    pub fn tail(&self) -> &[u8] {
        &self.tail
    }

    /// Only the events, in their order.
    pub fn events(&self) -> impl Iterator<Item = &Frame> {
        self.frames.iter().filter(|frame| frame.is_event())
    }

    /// The same recording with every event as if from `source`.
    ///
    /// A recording with several sources (the spoofing ones) becomes one of a single source.
    #[must_use]
    pub fn from_source(mut self, source: IpAddr) -> Self {
        for frame in &mut self.frames {
            if frame.header("network-ip").is_some() {
                *frame = frame.from_source(source);
            }
        }
        self
    }
}
