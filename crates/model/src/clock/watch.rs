//! Notices at once that the system's clock was set.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::time::Duration;

use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};
use tokio::io::unix::AsyncFd;

/// When the timer would fire by itself, in seconds of the epoch: far beyond what the daemon lives to see. It is
/// there for being cancelled.
const NEVER: i64 = 1 << 40;

/// A timer of the wall clock that the kernel cancels whenever that clock is set (`timerfd_create(2)`,
/// `TFD_TIMER_CANCEL_ON_SET`), and at the end of a suspension. Without one, a look once a second has to do.
#[derive(Debug)]
pub struct StepWatch {
    timer: Option<AsyncFd<Timer>>,
}

impl StepWatch {
    /// Begins to watch. Must be called inside of a runtime.
    pub fn start() -> Self {
        match armed() {
            Ok(timer) => Self { timer: Some(timer) },
            Err(error) => {
                tracing::warn!(%error, "steps of the clock are noticed within a second only");
                Self { timer: None }
            }
        }
    }

    #[cfg(test)]
    pub(super) fn is_armed(&self) -> bool {
        self.timer.is_some()
    }

    /// Waits until the clock was set. Cancel-safe.
    pub async fn stepped(&self) {
        let Some(timer) = &self.timer else {
            return std::future::pending().await;
        };
        loop {
            // Fails when the runtime ends only.
            let Ok(mut ready) = timer.readable().await else {
                return std::future::pending().await;
            };
            // `wait` reads it, so that it can be cancelled again.
            let was_set = timer.get_ref().0.wait().is_ok();
            ready.clear_ready();
            if was_set {
                return;
            }
        }
    }
}

/// A timer as tokio takes it.
#[derive(Debug)]
struct Timer(TimerFd);

impl AsFd for Timer {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl AsRawFd for Timer {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_fd().as_raw_fd()
    }
}

fn armed() -> std::io::Result<AsyncFd<Timer>> {
    let flags = TimerFlags::TFD_NONBLOCK | TimerFlags::TFD_CLOEXEC;
    let timer = TimerFd::new(ClockId::CLOCK_REALTIME, flags)?;
    let never = TimeSpec::from_duration(Duration::from_secs(NEVER.unsigned_abs()));
    timer.set(
        Expiration::OneShot(never),
        TimerSetTimeFlags::TFD_TIMER_ABSTIME | TimerSetTimeFlags::TFD_TIMER_CANCEL_ON_SET,
    )?;
    #[allow(
        deprecated,
        reason = "what replaces it is unsafe, and a `Timer` has one descriptor for as long as it lives"
    )]
    AsyncFd::new(Timer(timer))
}
