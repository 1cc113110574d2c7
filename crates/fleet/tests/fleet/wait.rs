//! Waiting for what must come.

use std::time::{Duration, Instant};

/// Longest wait for anything, on a busy machine too.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(20);

/// What a probe saw: `true`, `Some` or `Ok` end the wait.
pub(crate) trait Seen {
    type Found;
    fn found(self) -> Result<Self::Found, String>;
}

impl Seen for bool {
    type Found = ();
    fn found(self) -> Result<(), String> {
        if self { Ok(()) } else { Err("nothing".to_owned()) }
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
pub(crate) async fn until<S: Seen>(what: &str, mut probe: impl AsyncFnMut() -> S) -> S::Found {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match probe().await.found() {
            Ok(found) => return found,
            Err(instead) => late(what, &instead, deadline),
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// As [`until`], for what blocks.
pub(crate) fn blocking<S: Seen>(what: &str, mut probe: impl FnMut() -> S) -> S::Found {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match probe().found() {
            Ok(found) => return found,
            Err(instead) => late(what, &instead, deadline),
        }
        std::thread::sleep(PAUSE);
    }
}

fn late(what: &str, instead: &str, deadline: Instant) {
    assert!(Instant::now() < deadline, "waited {PATIENCE:?} for: {what}; last seen: {instead}");
}
