//! The thread that writes, and the bounded queue before it.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use bytes::Bytes;
use tokio_util::sync::CancellationToken;

use super::pieces::Pieces;
use super::{GREETING, Totals};

/// Frames that wait for the disk at most: as many as a FreeSWITCH sends in half a minute.
const MAX_FRAMES: usize = 65_536;

/// Bytes of them: senders choose the size of events, so the number alone is no bound.
const MAX_BYTES: usize = 64 * 1024 * 1024;

/// A quiet recording reaches the disk this soon.
const FLUSH_EVERY: Duration = Duration::from_secs(1);

/// Hands frames to the disk and never waits for it.
#[derive(Debug)]
pub(super) struct Disk {
    frames: SyncSender<Bytes>,
    /// Bytes that wait.
    waiting: Arc<AtomicUsize>,
    thread: JoinHandle<io::Result<u64>>,
    /// Frames are missing here.
    gap: bool,
    pub(super) totals: Totals,
}

impl Disk {
    /// Starts the thread; `failed` is cancelled when the disk fails.
    pub(super) fn start(pieces: Pieces, failed: CancellationToken) -> io::Result<Self> {
        let (frames, queue) = sync_channel(MAX_FRAMES);
        let waiting = Arc::new(AtomicUsize::new(0));
        let thread = {
            let waiting = Arc::clone(&waiting);
            let work = move || {
                let _failed = failed.drop_guard();
                write(&queue, &waiting, pieces)
            };
            std::thread::Builder::new().name("disk".into()).spawn(work)?
        };
        Ok(Self { frames, waiting, thread, gap: false, totals: Totals::default() })
    }

    /// What comes next does not follow directly on what came before.
    pub(super) fn mark_gap(&mut self) {
        self.gap = true;
    }

    /// Queues a frame. Without room it is dropped, and a mark takes its place.
    pub(super) fn save(&mut self, frame: Bytes) {
        if self.gap {
            self.gap = !self.push(Bytes::from_static(GREETING));
        }
        let length = frame.len() as u64;
        if self.gap || !self.push(frame) {
            self.drop_one();
            return;
        }
        self.totals.frames += 1;
        self.totals.bytes += length;
    }

    /// Counts a frame that is not saved.
    pub(super) fn drop_one(&mut self) {
        self.totals.dropped += 1;
        self.gap = true;
    }

    fn push(&self, bytes: Bytes) -> bool {
        let length = bytes.len();
        if self.waiting.load(Ordering::Relaxed).saturating_add(length) > MAX_BYTES {
            return false;
        }
        // Before it is sent: the other side subtracts it.
        self.waiting.fetch_add(length, Ordering::Relaxed);
        let sent = self.frames.try_send(bytes).is_ok();
        if !sent {
            self.waiting.fetch_sub(length, Ordering::Relaxed);
        }
        sent
    }

    /// Waits until everything is written. Blocks.
    pub(super) fn finish(self) -> io::Result<Totals> {
        let Self { frames, thread, mut totals, .. } = self;
        drop(frames);
        let written = thread.join().map_err(|_| io::Error::other("the disk's thread panicked"))?;
        totals.pieces = written?;
        Ok(totals)
    }
}

/// Writes until the last sender is gone; returns the number of files.
fn write(queue: &Receiver<Bytes>, waiting: &AtomicUsize, mut pieces: Pieces) -> io::Result<u64> {
    loop {
        match queue.recv_timeout(FLUSH_EVERY) {
            Ok(frame) => {
                waiting.fetch_sub(frame.len(), Ordering::Relaxed);
                pieces.save(&frame)?;
            }
            Err(RecvTimeoutError::Timeout) => pieces.flush()?,
            Err(RecvTimeoutError::Disconnected) => {
                pieces.flush()?;
                return Ok(pieces.written());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn disk(dir: &tempfile::TempDir, max_size: u64) -> (Disk, std::path::PathBuf) {
        let path = dir.path().join("esl.raw");
        let pieces = Pieces::create(&path, max_size, 1).unwrap();
        (Disk::start(pieces, CancellationToken::new()).unwrap(), path)
    }

    #[test]
    fn frames_are_written_in_order_behind_the_mark() {
        let dir = tempfile::tempdir().unwrap();
        let (mut disk, path) = disk(&dir, 1_000);
        disk.mark_gap();
        disk.save(Bytes::from_static(b"one "));
        disk.save(Bytes::from_static(b"two "));
        disk.drop_one();
        disk.save(Bytes::from_static(b"four "));
        let totals = disk.finish().unwrap();
        let expected = Totals { frames: 3, bytes: 13, dropped: 1, reconnects: 0, pieces: 1 };
        assert_eq!(totals, expected);
        let mark = String::from_utf8(GREETING.to_vec()).unwrap();
        let written = std::fs::read_to_string(path).unwrap();
        assert_eq!(written, format!("{mark}one two {mark}four "));
    }

    #[test]
    fn what_the_disk_has_no_room_for_is_dropped_and_marked() {
        let (frames, queue) = sync_channel(2);
        let waiting = Arc::default();
        let thread = std::thread::spawn(|| Ok(1));
        let totals = Totals::default();
        let mut disk = Disk { frames, waiting, thread, gap: false, totals };
        for text in ["one", "two", "three", "four"] {
            disk.save(Bytes::from_static(text.as_bytes()));
        }
        assert_eq!((disk.totals.frames, disk.totals.dropped), (2, 2));
        let taken: Vec<Bytes> = queue.try_iter().collect();
        assert_eq!(taken, ["one", "two"]);
        disk.save(Bytes::from_static(b"five"));
        let taken: Vec<Bytes> = queue.try_iter().collect();
        assert_eq!(taken, [Bytes::from_static(GREETING), Bytes::from_static(b"five")]);
    }

    #[test]
    fn bytes_are_bounded_as_well_as_frames() {
        let (frames, queue) = sync_channel(MAX_FRAMES);
        let waiting = Arc::new(AtomicUsize::new(MAX_BYTES - 4));
        let thread = std::thread::spawn(|| Ok(1));
        let totals = Totals::default();
        let mut disk = Disk { frames, waiting, thread, gap: false, totals };
        disk.save(Bytes::from_static(b"four"));
        disk.save(Bytes::from_static(b"5"));
        assert_eq!((disk.totals.frames, disk.totals.dropped), (1, 1));
        assert_eq!(queue.try_iter().count(), 1);
    }

    #[test]
    fn a_disk_that_fails_is_told_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("esl.raw");
        let failed = CancellationToken::new();
        let pieces = Pieces::create(&path, 1, 1).unwrap();
        // The next file cannot be created where a directory lies.
        std::fs::create_dir(dir.path().join("esl.raw.1")).unwrap();
        let mut disk = Disk::start(pieces, failed.clone()).unwrap();
        disk.save(Bytes::from_static(b"one"));
        disk.save(Bytes::from_static(b"two"));
        while !failed.is_cancelled() {
            std::thread::yield_now();
        }
        assert!(disk.finish().is_err());
    }
}
