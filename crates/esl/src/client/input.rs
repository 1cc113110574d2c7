//! The read buffer.

use bytes::BytesMut;

/// Size of a read buffer in bytes, usually: some 90 events. Frames keep their buffer alive, so a larger one would
/// let a single event keep more.
const USUAL: usize = 64 * 1024;

/// Its size in a flood. Each read costs a system call, an acknowledgement and often the wake-up of the sender, so
/// that four large reads are cheaper than thirty small ones; beyond this little is gained.
const FLOOD: usize = 512 * 1024;

/// A read is only worth a system call with this much room, in bytes.
const MIN_ROOM: usize = 4 * 1024;

/// What has come and is not decoded yet.
///
/// A read that fills the buffer makes the next one large; one that leaves most of it empty, small again.
#[derive(Debug)]
pub(super) struct Input {
    pub(super) bytes: BytesMut,
    /// Size of the buffer that `bytes` lies in; a frame that is larger needs more.
    size: usize,
    /// Size of the next one.
    next: usize,
}

impl Input {
    pub(super) fn new() -> Self {
        Self { bytes: BytesMut::new(), size: USUAL, next: USUAL }
    }

    /// Makes room for a read. Takes the same buffer again if no frame is left that lies in it.
    pub(super) fn make_room(&mut self) {
        if self.room() >= MIN_ROOM {
            return;
        }
        let more = self.next.saturating_sub(self.bytes.len()).max(USUAL);
        if self.size == self.next {
            self.bytes.reserve(more);
        } else {
            let mut buffer = BytesMut::with_capacity(self.bytes.len() + more);
            buffer.extend_from_slice(&self.bytes);
            self.bytes = buffer;
            self.size = self.next;
        }
    }

    /// Bytes that the next read may bring.
    pub(super) fn room(&self) -> usize {
        self.bytes.capacity() - self.bytes.len()
    }

    /// A read brought so many bytes; there had been `room` for more, or not.
    pub(super) fn has_read(&mut self, read: usize, room: usize) {
        if read < room && read < self.size / 8 {
            self.next = USUAL;
        } else if read == room && room >= self.size / 2 {
            self.next = FLOOD;
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::BufMut as _;

    use super::{FLOOD, Input, MIN_ROOM, USUAL};

    impl Input {
        /// A read of at most so many bytes; returns how many there was room for.
        fn read(&mut self, at_most: usize) -> usize {
            self.make_room();
            let room = self.room();
            let read = at_most.min(room);
            self.bytes.put_bytes(b'x', read);
            self.has_read(read, room);
            room
        }
    }

    #[test]
    fn grows_in_a_flood_and_not_beyond() {
        let (mut input, mut frames) = (Input::new(), Vec::new());
        let mut rooms = Vec::new();
        for _ in 0..4 {
            rooms.push(input.read(usize::MAX));
            // Frames that are still read elsewhere keep their buffer.
            frames.push(input.bytes.split());
        }
        assert_eq!(rooms, [USUAL, FLOOD, FLOOD, FLOOD]);
    }

    #[test]
    fn takes_a_buffer_again_that_no_frame_lies_in() {
        let mut input = Input::new();
        while input.read(usize::MAX) < FLOOD {
            drop(input.bytes.split());
        }
        let buffer = input.bytes.as_ptr();
        for _ in 0..3 {
            drop(input.bytes.split().freeze());
            input.read(usize::MAX);
            assert_eq!(input.bytes.as_ptr(), buffer);
        }
    }

    #[test]
    fn is_small_again_after_a_flood() {
        let mut input = Input::new();
        while input.read(usize::MAX) < FLOOD {
            drop(input.bytes.split());
        }
        let _frame = input.bytes.split();
        let rooms: Vec<usize> = (0..1000)
            .map(|_| {
                let room = input.read(700);
                drop(input.bytes.split());
                room
            })
            .collect();
        assert!(rooms.iter().all(|&room| room >= MIN_ROOM), "{rooms:?}");
        assert!(rooms.iter().skip(800).all(|&room| room <= USUAL), "{rooms:?}");
    }

    #[test]
    fn keeps_what_is_there_of_a_frame_larger_than_the_buffer() {
        let mut input = Input::new();
        while input.bytes.len() < 3 * FLOOD {
            input.read(usize::MAX);
        }
        assert!(input.bytes.iter().all(|&byte| byte == b'x'));
        assert!(input.bytes.capacity() < 8 * FLOOD, "{}", input.bytes.capacity());
    }
}
