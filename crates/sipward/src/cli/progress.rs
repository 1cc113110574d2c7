//! What is shown while a command waits.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Time before a command shows its progress.
const SILENCE: Duration = Duration::from_secs(1);

/// How often what is shown moves.
const TICK: Duration = Duration::from_millis(120);

/// One line on standard error that says what is waited for, and how far it is where that is known; after
/// [`SILENCE`], and only on a terminal. Gone when the waiting is over.
#[derive(Debug)]
pub(super) struct Progress {
    bar: ProgressBar,
    is_wanted: bool,
}

impl Progress {
    /// Nothing is ever shown unless it `is_wanted`.
    pub(super) fn new(what: &'static str, is_wanted: bool) -> Self {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden());
        Self { bar: bar.with_style(ProgressStyle::default_spinner()).with_message(what), is_wanted }
    }

    /// It takes `count` steps.
    pub(super) fn steps(&self, count: u64) {
        self.bar.set_length(count);
        if let Ok(style) = ProgressStyle::with_template("{msg} {wide_bar} {pos}/{len} {eta}") {
            self.bar.set_style(style);
        }
    }

    /// `count` more are done.
    pub(super) fn advance(&self, count: u64) {
        self.bar.inc(count);
    }

    /// Waits for `work`.
    pub(super) async fn around<T>(&self, work: impl Future<Output = T>) -> T {
        let mut work = std::pin::pin!(work);
        if let Ok(done) = tokio::time::timeout(SILENCE, work.as_mut()).await {
            return done;
        }
        if self.is_wanted {
            self.bar.set_draw_target(ProgressDrawTarget::stderr());
            self.bar.enable_steady_tick(TICK);
        }
        let done = work.await;
        self.bar.finish_and_clear();
        done
    }
}
