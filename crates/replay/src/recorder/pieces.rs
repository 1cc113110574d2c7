//! The files of a recording: `FILE`, and `FILE.1`, `FILE.2` … that were full before it.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// A recording holds user names and addresses: only its owner may read it.
const MODE: u32 = 0o600;

/// Bytes gathered before a write.
const BUFFER: usize = 64 * 1024;

/// Files that a recording is cut into. Each begins with a whole frame, so each can be replayed alone.
#[derive(Debug)]
pub struct Pieces {
    path: PathBuf,
    max_size: u64,
    keep: u32,
    file: BufWriter<File>,
    /// Bytes in `file`.
    size: u64,
    written: u64,
}

/// Why no recording can be begun.
#[derive(Debug, thiserror::Error)]
pub enum PiecesError {
    /// A file of that name is there already.
    #[error("{} already exists: choose another name, or move it", .path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// The system refused.
    #[error("cannot create {}: {error}", .path.display())]
    Create {
        /// The file.
        path: PathBuf,
        /// The error.
        error: io::Error,
    },
}

impl Pieces {
    /// Creates `path`. A file is full at `max_size` bytes (one frame that is larger has a file of its
    /// own); the `keep` newest full ones stay beside it.
    ///
    /// # Errors
    /// When a file is there already under one of the names that will be needed, or cannot be created.
    pub fn create(path: &Path, max_size: u64, keep: u32) -> Result<Self, PiecesError> {
        for number in 0..=keep {
            let path = numbered(path, number);
            // A link that leads nowhere is there too.
            if path.symlink_metadata().is_ok() {
                return Err(PiecesError::Exists { path });
            }
        }
        let file =
            open(path).map_err(|error| PiecesError::Create { path: path.to_owned(), error })?;
        Ok(Self { path: path.to_owned(), max_size, keep, file, size: 0, written: 1 })
    }

    /// Files written so far.
    #[must_use]
    pub const fn written(&self) -> u64 {
        self.written
    }

    /// Appends a whole frame.
    ///
    /// # Errors
    /// When the disk fails. Part of the frame may have been written.
    pub fn save(&mut self, frame: &[u8]) -> io::Result<()> {
        let length = frame.len() as u64;
        if self.size > 0 && self.size.saturating_add(length) > self.max_size {
            self.rotate()?;
        }
        self.file.write_all(frame)?;
        self.size += length;
        Ok(())
    }

    /// Hands everything to the system.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }

    /// The full file makes room. The oldest one goes.
    fn rotate(&mut self) -> io::Result<()> {
        self.file.flush()?;
        for number in (0..self.keep).rev() {
            let (from, to) = (numbered(&self.path, number), numbered(&self.path, number + 1));
            match fs::rename(from, to) {
                // Not that many yet.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                renamed => renamed?,
            }
        }
        if self.keep == 0 {
            fs::remove_file(&self.path)?;
        }
        self.file = open(&self.path)?;
        self.size = 0;
        self.written += 1;
        Ok(())
    }
}

fn open(path: &Path) -> io::Result<BufWriter<File>> {
    let file = OpenOptions::new().write(true).create_new(true).mode(MODE).open(path)?;
    Ok(BufWriter::with_capacity(BUFFER, file))
}

/// `FILE` itself, `FILE.1`, `FILE.2` …
fn numbered(path: &Path, number: u32) -> PathBuf {
    if number == 0 {
        return path.to_owned();
    }
    let mut name = OsString::from(path);
    name.push(format!(".{number}"));
    name.into()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn read(path: &Path, number: u32) -> String {
        fs::read_to_string(numbered(path, number)).unwrap_or_default()
    }

    #[test]
    fn full_files_move_on_and_the_oldest_goes() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("esl.raw");
        let mut pieces = Pieces::create(&path, 10, 2).unwrap();
        for frame in ["one--", "two--", "three", "four-", "five-", "six--", "seven"] {
            pieces.save(frame.as_bytes()).unwrap();
        }
        pieces.flush().unwrap();
        let files: Vec<String> = (0..4).map(|number| read(&path, number)).collect();
        assert_eq!(files, ["seven", "five-six--", "threefour-", ""]);
        assert_eq!(pieces.written(), 4);
    }

    #[test]
    fn with_none_kept_only_the_newest_stays() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("esl.raw");
        let mut pieces = Pieces::create(&path, 4, 0).unwrap();
        for frame in ["one", "much larger than a file", "two"] {
            pieces.save(frame.as_bytes()).unwrap();
        }
        pieces.flush().unwrap();
        assert_eq!((read(&path, 0).as_str(), pieces.written()), ("two", 3));
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn only_the_owner_reads_each_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("esl.raw");
        let mut pieces = Pieces::create(&path, 1, 1).unwrap();
        pieces.save(b"one").unwrap();
        pieces.save(b"two").unwrap();
        for number in 0..2 {
            let mode = fs::metadata(numbered(&path, number)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
    }

    #[test]
    fn nothing_is_overwritten_at_the_start() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("esl.raw");
        fs::write(numbered(&path, 2), "precious").unwrap();
        let error = Pieces::create(&path, 1, 2).unwrap_err();
        assert!(error.to_string().contains("esl.raw.2 already exists"), "{error}");
        assert!(!path.exists());
        let mut pieces = Pieces::create(&path, 1, 1).unwrap();
        for frame in ["one", "two", "three"] {
            pieces.save(frame.as_bytes()).unwrap();
        }
        assert_eq!(read(&path, 2), "precious", "not one of our own");
        // A link would redirect the recording to another file.
        let link = dir.path().join("link");
        std::os::unix::fs::symlink(dir.path().join("elsewhere"), &link).unwrap();
        assert!(matches!(Pieces::create(&link, 1, 0), Err(PiecesError::Exists { .. })));
    }
}
