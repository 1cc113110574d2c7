//! Waiting for what must come.

use std::{
    thread,
    time::{Duration, Instant},
};

/// Longest wait for anything that should take milliseconds, on a busy machine too.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// First pause between two looks; each further one is twice as long, up to [`LONGEST_PAUSE`].
const PAUSE: Duration = Duration::from_millis(1);
/// Longest pause between two looks.
const LONGEST_PAUSE: Duration = Duration::from_millis(20);

/// What a probe saw: `true`, `Some` or `Ok` end the wait. `Err` says what was there instead.
pub trait Seen {
    /// What the wait gives.
    type Found;

    /// What was waited for, or what was there instead.
    ///
    /// # Errors
    /// When the wait goes on.
    fn found(self) -> Result<Self::Found, String>;
}

impl Seen for bool {
    type Found = ();

    fn found(self) -> Result<(), String> {
        self.then_some(()).found()
    }
}

impl<T> Seen for Option<T> {
    type Found = T;

    fn found(self) -> Result<T, String> {
        self.ok_or_else(|| "nothing".to_owned())
    }
}

impl<T> Seen for Result<T, String> {
    type Found = T;

    fn found(self) -> Result<T, String> {
        self
    }
}

/// Waits until `probe` sees what it looks for, and gives it.
///
/// # Panics
/// When that takes longer than [`PATIENCE`].
pub fn until<S: Seen>(what: &str, probe: impl FnMut() -> S) -> S::Found {
    until_within(PATIENCE, what, probe)
}

/// As [`until`], for what has a limit of its own.
///
/// # Panics
/// When that takes longer than `limit`.
pub fn until_within<S: Seen>(
    limit: Duration,
    what: &str,
    mut probe: impl FnMut() -> S,
) -> S::Found {
    let deadline = Instant::now() + limit;
    let mut pause = PAUSE;
    loop {
        match probe().found() {
            Ok(found) => return found,
            Err(instead) => {
                assert!(
                    Instant::now() < deadline,
                    "waited {limit:?} for: {what}; last seen: {instead}"
                );
            }
        }
        thread::sleep(pause);
        pause = (2 * pause).min(LONGEST_PAUSE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gives_what_the_probe_finds() {
        let mut looks = 0;
        let found = until("the third look", || {
            looks += 1;
            (looks == 3).then_some(looks)
        });
        assert_eq!(found, 3);
    }

    #[test]
    #[should_panic(expected = "waited 20ms for: a miracle; last seen: rain")]
    fn says_what_was_waited_for_and_for_how_long() {
        until_within(Duration::from_millis(20), "a miracle", || Err::<(), _>("rain".to_owned()));
    }
}
