//! `sipward demo`: the whole daemon against a storm, on this machine, changing nothing.
//!
//! | module | holds |
//! |---|---|
//! | `events` | events in the form FreeSWITCH sends them |
//! | `flood` | a flood, as the kernel would count it |
//! | `storm` | attackers, phones with typing errors, a forger |
//! | `server` | the Event Socket they are reported on, over real TCP |
//! | `screen` | what the terminal shows |
//!
//! Client, engine and the way to the kernel are those of `sipward run`; only the last step, the
//! kernel itself, is the dry run of observe mode.

mod events;
mod flood;
mod screen;
mod server;
mod storm;

use std::fs::DirBuilder;
use std::net::{Ipv4Addr, SocketAddr, TcpListener as StdListener};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{broadcast, oneshot};
use tokio_util::sync::CancellationToken;

use sipward_esl::Password;

use crate::run::Daemon;
use screen::Screen;
use sipward_config::{Config, Credentials, Mode, Secrets};
use sipward_daemon as daemon;
use sipward_model::clock;
use sipward_model::wire::Scope;
use sipward_server::http::Links;
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
"#;

/// Countries and networks of the demo's addresses, invented; `sample.py` makes it.
const SAMPLE_PLACES: &[u8] = include_bytes!("sample.mmdb");

/// Where the page is, if that port is free.
const PAGE: (Ipv4Addr, u16) = (Ipv4Addr::LOCALHOST, 8022);

/// How long the log-in link of the page can be used.
const LINK_LIFE: Duration = Duration::from_secs(86_400);

/// Records that the screen may fall behind.
const RECORDS: usize = 16_384;

/// Plays the storm for 20 s, or until interrupted, and prints what happens and a summary.
///
/// # Errors
/// When no loopback port can be opened, or a task of the daemon failed.
pub async fn run(forever: bool) -> anyhow::Result<()> {
    let mut config = Config::parse(CONFIG, "the demo's own configuration".as_ref())?;
    config.http.listen = vec![page_address()?];
    let directory = PrivateDirectory::make()?;
    config.api.socket = Some(directory.0.join("sipward.sock"));
    let places = directory.0.join("sample.mmdb");
    std::fs::write(&places, SAMPLE_PLACES).context("cannot write the sample countries")?;
    config.geo.files = vec![places];
    debug_assert_eq!(config.mode, Mode::Observe);
    // It changes nothing on this host.
    config.mode_is_fixed = true;
    let listener =
        TcpListener::bind(("127.0.0.1", 0)).await.context("cannot open a loopback port")?;
    let address = listener.local_addr()?;
    let password = format!("demo-{:016x}", clock::seed());
    let (records, for_screen) = broadcast::channel(RECORDS);
    let storm = Storm::new(clock::seed());
    let links = Arc::new(Links::default());
    let code = links.make(Scope::Write, LINK_LIFE)?;
    let screen = Screen::new(storm.counts(), for_screen, address, code);

    let stop = CancellationToken::new();
    daemon::stop_on_signals(stop.clone())?;
    stop_with_the_terminal(stop.clone())?;
    let server = tokio::spawn(server::serve(
        listener,
        password.clone(),
        storm,
        records.subscribe(),
        stop.clone(),
    ));
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
    let unchanged = config.clone();
    let reload = Box::new(move || Ok(unchanged.clone()));
    let (kernel_reports, kernel) = oneshot::channel();
    tokio::spawn(flood::count(kernel, stop.clone()));
    let daemon = Daemon {
        config,
        credentials,
        secrets: Secrets::default(),
        logs: None,
        reload,
        links,
        kernel_reports: Some(kernel_reports),
    };
    let screen = tokio::spawn(screen.run());
    let totals = Box::pin(daemon.run_until(stop, records)).await?;
    server.abort();
    screen.await?.summary(&totals);
    Ok(())
}

/// A directory for the control socket and the sample countries, which nobody else may enter. Removed at the end.
struct PrivateDirectory(PathBuf);

impl PrivateDirectory {
    fn make() -> anyhow::Result<Self> {
        let path = std::env::temp_dir().join(format!("sipward-demo-{:08x}", clock::seed() >> 32));
        let made = DirBuilder::new().mode(0o700).create(&path);
        made.with_context(|| format!("cannot create {}", path.display()))?;
        Ok(Self(path))
    }
}

impl Drop for PrivateDirectory {
    fn drop(&mut self) {
        // What cannot be removed are two small files in /tmp.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A daemon reads its configuration again at SIGHUP; the demo ends, as its terminal has.
fn stop_with_the_terminal(stop: CancellationToken) -> anyhow::Result<()> {
    let mut hangup = signal(SignalKind::hangup()).context("cannot listen for SIGHUP")?;
    tokio::spawn(async move {
        hangup.recv().await;
        stop.cancel();
    });
    Ok(())
}

/// The usual address of the page, or, where something else listens there, one with a port that is free.
fn page_address() -> anyhow::Result<SocketAddr> {
    let usual = SocketAddr::from(PAGE);
    match StdListener::bind(usual).or_else(|_| StdListener::bind((PAGE.0, 0))) {
        Ok(listener) => Ok(listener.local_addr()?),
        Err(error) => Err(error).context("cannot open a loopback port for the page"),
    }
}
