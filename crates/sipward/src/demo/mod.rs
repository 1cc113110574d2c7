//! `sipward demo`: the whole daemon against a storm, on this machine, changing nothing.
//!
//! | module | holds |
//! |---|---|
//! | `events` | events in the form FreeSWITCH sends them |
//! | `storm` | who attacks, who mistypes, who spoofs |
//! | `server` | the Event Socket they are reported on, over real TCP |
//! | `screen` | what the terminal shows |
//!
//! Client, engine and the way to the kernel are those of `sipward run`; only the last step, the
//! kernel itself, is the dry run of observe mode.

mod events;
mod screen;
mod server;
mod storm;

use std::time::Duration;

use anyhow::Context as _;
use tokio::net::TcpListener;
use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;

use sipward_esl::Password;

use crate::config::{Config, Credentials, Mode};
use crate::daemon::{self, Daemon};
use screen::Screen;
use storm::Storm;

/// How long the storm blows.
const LENGTH: Duration = Duration::from_secs(20);

/// The demo's settings: defaults, but bans short enough to see them end and come back longer.
const CONFIG: &str = r#"
mode = "observe"
allow = ["198.51.100.64/29"]

[store]
path = ":memory:"

[policy]
ban_time = "4s"

[api]
socket = ""
"#;

/// Records that the screen may fall behind.
const RECORDS: usize = 16_384;

/// Plays the storm for 20 s, or until interrupted, and prints what happens and a summary.
///
/// # Errors
/// When no loopback port can be opened, or a task of the daemon failed.
pub async fn run(forever: bool) -> anyhow::Result<()> {
    let config = Config::parse(CONFIG, "the demo's own configuration".as_ref())?;
    debug_assert_eq!(config.mode, Mode::Observe);
    let listener =
        TcpListener::bind(("127.0.0.1", 0)).await.context("cannot open a loopback port")?;
    let address = listener.local_addr()?;
    let password = format!("demo-{:016x}", daemon::seed());
    let (records, for_screen) = broadcast::channel(RECORDS);
    let storm = Storm::new(daemon::seed());
    let screen = Screen::new(storm.counts(), for_screen, address);

    let stop = CancellationToken::new();
    daemon::stop_on_signals(stop.clone())?;
    let server = tokio::spawn(server::serve(
        listener,
        password.clone(),
        storm,
        records.subscribe(),
        stop.clone(),
    ));
    let screen = tokio::spawn(screen.run());
    if !forever {
        let stop = stop.clone();
        tokio::spawn(async move {
            tokio::time::sleep(LENGTH).await;
            stop.cancel();
        });
    }
    let credentials = Credentials {
        host: address.ip().to_string(),
        port: address.port(),
        user: None,
        password: Password::new(password)?,
    };
    let reload = Box::new(|| Config::parse(CONFIG, "the demo's own configuration".as_ref()));
    let daemon = Daemon { config, credentials, logs: None, reload };
    let totals = Box::pin(daemon.run_until(stop, records)).await?;
    server.abort();
    // The daemon has dropped the last sender of records, so the screen comes to its end.
    screen.await?.summary(&totals);
    Ok(())
}
