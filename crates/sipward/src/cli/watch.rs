//! `sipward watch`: what happens, live.
//!
//! | module | holds |
//! |---|---|
//! | `feed` | asks the daemon and listens to it; comes back when it restarts |
//! | `scene` | what has happened, as far as it is shown |
//! | `view` | the screen |

mod feed;
mod scene;
mod view;

use std::io::IsTerminal as _;
use std::time::Duration;

use anyhow::Context as _;
use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval};

use super::remote::{Exit, block_on};
use crate::client::Client;
use feed::News;
use scene::Scene;

/// Frames a second: enough for the eye, at a constant cost during a flood of 2,000 failures a second.
const PICTURE: Duration = Duration::from_millis(100);

/// How often the keyboard thread looks whether it is still wanted.
const KEYBOARD: Duration = Duration::from_millis(200);

/// Most queued events and keys. Beyond that the daemon waits, and reports the number of missed events.
const WAITING: usize = 1_024;

/// Show live events: the connection, rates, the newest bans, the busiest sources. `q` quits.
#[derive(Debug, clap::Args)]
pub(super) struct WatchCommand {
    /// The daemon's socket; without it, the one that the configuration file names.
    #[arg(long, value_name = "PATH")]
    socket: Option<std::path::PathBuf>,
    /// Configuration file that names the socket; without it, /etc/sipward/sipward.toml if it exists.
    #[arg(long, short, value_name = "FILE")]
    config: Option<std::path::PathBuf>,
    /// Print each event as a line of JSON instead, until interrupted.
    #[arg(long)]
    json: bool,
}

impl WatchCommand {
    pub(super) fn run(&self) -> anyhow::Result<Exit> {
        let socket = super::remote::socket(self.socket.as_deref(), self.config.as_deref())?;
        if self.json {
            block_on(feed::print(&socket))??;
            return Ok(Exit::Done);
        }
        anyhow::ensure!(
            std::io::stdout().is_terminal(),
            "`watch` needs a terminal; `watch --json` prints events, `status --json` the state"
        );
        block_on(async {
            // A daemon that is not there is an error, not an empty screen.
            drop(Client::connect(&socket).await?);
            let mut quit = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
            let (news_out, news) = mpsc::channel(WAITING);
            let feed = tokio::spawn(feed::run(socket, news_out));
            // Also puts the terminal back when the program panics.
            let mut terminal = ratatui::try_init().context("cannot use this terminal")?;
            let watched = tokio::select! {
                watched = watch(&mut terminal, news) => watched,
                _ = quit.recv() => Ok(()),
            };
            ratatui::restore();
            feed.abort();
            watched
        })??;
        Ok(Exit::Done)
    }
}

async fn watch(
    terminal: &mut DefaultTerminal,
    mut news: mpsc::Receiver<News>,
) -> anyhow::Result<()> {
    let mut keys = keyboard();
    let mut scene = Scene::default();
    let mut picture = interval(PICTURE);
    picture.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut second = interval(Duration::from_secs(1));
    second.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut is_stale = true;
    loop {
        tokio::select! {
            key = keys.recv() => match key {
                Some(Event::Key(key)) if quits(key) => return Ok(()),
                // A closed terminal sends no keys.
                None => return Ok(()),
                Some(_) => is_stale = true,
            },
            item = news.recv() => match item {
                Some(item) => {
                    scene.take(item);
                    is_stale = true;
                }
                None => anyhow::bail!("the connection to the daemon ended unexpectedly"),
            },
            _ = second.tick() => {
                scene.second();
                is_stale = true;
            }
            _ = picture.tick(), if is_stale => {
                terminal.draw(|frame| view::draw(frame, &scene)).context("cannot draw")?;
                is_stale = false;
            }
        }
    }
}

/// `q`, Escape and Ctrl-C, which raw mode makes a key like any other.
fn quits(key: KeyEvent) -> bool {
    let control = key.modifiers.contains(KeyModifiers::CONTROL);
    key.kind != KeyEventKind::Release
        && match key.code {
            KeyCode::Char('q') | KeyCode::Esc => true,
            KeyCode::Char('c') => control,
            _ => false,
        }
}

/// Reading a terminal blocks, so it has a thread of its own; it ends with the receiver.
fn keyboard() -> mpsc::Receiver<Event> {
    let (out, keys) = mpsc::channel(WAITING);
    std::thread::spawn(move || {
        while !out.is_closed() {
            match event::poll(KEYBOARD) {
                Ok(false) => {}
                Ok(true) => match event::read() {
                    Ok(event) => {
                        if out.blocking_send(event).is_err() {
                            return;
                        }
                    }
                    Err(_) => return,
                },
                Err(_) => return,
            }
        }
    });
    keys
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn q_escape_and_control_c_quit() {
        let key = |code, modifiers| quits(KeyEvent::new(code, modifiers));
        assert!(key(KeyCode::Char('q'), KeyModifiers::NONE));
        assert!(key(KeyCode::Esc, KeyModifiers::NONE));
        assert!(key(KeyCode::Char('c'), KeyModifiers::CONTROL));
        assert!(!key(KeyCode::Char('c'), KeyModifiers::NONE));
        assert!(!key(KeyCode::Enter, KeyModifiers::NONE));
    }
}
