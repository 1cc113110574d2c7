//! Messages to systemd (`sd_notify(3)`). Without systemd nothing is sent.

use std::time::Duration;

use sd_notify::NotifyState;

/// The daemon works: bans are in the kernel, the Event Socket is being watched or tried.
pub fn ready() {
    tell(&[NotifyState::Ready]);
}

/// The configuration is being read again; [`ready`] ends it.
pub fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[NotifyState::Reloading, now]),
        Err(_) => tell(&[NotifyState::Reloading]),
    }
}

/// The daemon stops.
pub fn stopping() {
    tell(&[NotifyState::Stopping]);
}

/// One line for `systemctl status`.
pub fn status(line: &str) {
    tell(&[NotifyState::Status(line)]);
}

/// Still alive. To be called at least every [`watchdog_interval`].
pub fn alive() {
    tell(&[NotifyState::Watchdog]);
}

/// Half the time after which systemd gives the daemon up; `None` when it does not watch.
#[must_use]
pub fn watchdog_interval() -> Option<Duration> {
    sd_notify::watchdog_enabled().map(|limit| limit / 2)
}

fn tell(states: &[NotifyState<'_>]) {
    // A lost message is not worth stopping for: the next one comes within a second.
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!(%error, "cannot reach systemd");
    }
}
