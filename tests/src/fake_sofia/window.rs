//! The limit on requests a second.

use std::time::{Duration, Instant};

/// Length of a window.
const WINDOW: Duration = Duration::from_secs(1);

/// Counts requests in windows of a second. When one had more than the limit, all of the next is dropped.
#[derive(Clone, Copy, Debug)]
pub(super) struct Window {
    /// 0 is no limit.
    max: u32,
    began: Instant,
    count: u32,
    is_deaf: bool,
}

impl Window {
    pub(super) fn new(max: u32, now: Instant) -> Self {
        Self { max, began: now, count: 0, is_deaf: false }
    }

    /// Counts a request; returns whether it is accepted.
    pub(super) fn admits(&mut self, now: Instant) -> bool {
        let windows = now.saturating_duration_since(self.began).as_secs();
        if windows >= 1 {
            // Only the window right before counts: a second of silence ends it.
            self.is_deaf = windows == 1 && self.max > 0 && self.count > self.max;
            self.began += WINDOW * u32::try_from(windows).unwrap_or(u32::MAX);
            self.count = 0;
        }
        self.count = self.count.saturating_add(1);
        !self.is_deaf
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn second(window: &mut Window, start: Instant, second: u64, requests: u32) -> u32 {
        let heard = (0..requests).filter(|n| {
            let at = Duration::from_secs(second) + WINDOW * *n / requests;
            window.admits(start + at)
        });
        u32::try_from(heard.count()).unwrap()
    }

    #[test]
    fn too_many_silence_the_next_second_and_what_is_dropped_counts_too() {
        let start = Instant::now();
        let mut window = Window::new(1_000, start);
        assert_eq!(second(&mut window, start, 0, 1_000), 1_000, "as many as may be");
        assert_eq!(second(&mut window, start, 1, 1_001), 1_001, "one too many is heard");
        assert_eq!(second(&mut window, start, 2, 1_001), 0, "and silences the next second");
        assert_eq!(second(&mut window, start, 3, 5), 0, "which had too many itself");
        assert_eq!(second(&mut window, start, 4, 5), 5);
    }

    #[test]
    fn a_second_without_requests_ends_it() {
        let start = Instant::now();
        let mut window = Window::new(10, start);
        second(&mut window, start, 0, 50);
        assert_eq!(second(&mut window, start, 2, 5), 5);
    }

    #[test]
    fn zero_is_no_limit() {
        let start = Instant::now();
        let mut window = Window::new(0, start);
        second(&mut window, start, 0, 5_000);
        assert_eq!(second(&mut window, start, 1, 5_000), 5_000);
    }
}
