//! `sipward watch`: what happens, live.
//!
//! | module | holds |
//! |---|---|
//! | `feed` | asks the daemon and listens to it; comes back when it restarts |
//! | `scene` | what has happened, as far as it is shown |
//! | `ask` | `why`, bans and unbans for the operator |
//! | `browse` | the keys: selection, filter, questions |
//! | `view` | the screen |

mod ask;
mod browse;
mod feed;
mod scene;
mod view;

use std::io::IsTerminal as _;
use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval};

use super::remote::{Exit, block_on};
use super::{out, tail};
use crate::client::Client;
use browse::{Browse, Step};
use feed::News;
use scene::Scene;
use sipward_model::wire::{EventQuery, Line};

/// Frames a second: enough for the eye, at a constant cost during a flood of 2,000 failures a second.
const PICTURE: Duration = Duration::from_millis(100);

/// How often the keyboard thread looks whether it is still wanted.
const KEYBOARD: Duration = Duration::from_millis(200);

/// Most queued events and keys. Beyond that the daemon waits, and reports the number of missed events.
const WAITING: usize = 1_024;

/// Show live events: the connection, rates, the newest bans, the busiest sources
///
/// Keys: j and k select a row, Tab changes the list, / filters, Enter shows why the address is banned or not, b bans
/// and u unbans it after a question, ? lists all keys, q quits.
#[derive(Debug, clap::Args)]
pub(super) struct WatchCommand {
    /// The daemon's socket; without it, the one that the configuration file names.
    #[arg(long, value_name = "PATH")]
    socket: Option<std::path::PathBuf>,
    /// Configuration file that names the socket; without it, /etc/sipward/sipward.toml if it exists.
    #[arg(long, short, value_name = "FILE")]
    config: Option<std::path::PathBuf>,
    /// Print each event as a line of JSON instead, as `sipward tail --json` does.
    #[arg(long)]
    json: bool,
}

impl WatchCommand {
    pub(super) fn run(&self) -> anyhow::Result<Exit> {
        let socket = super::remote::socket(self.socket.as_deref(), self.config.as_deref())?;
        if self.json {
            let show = |line: &Line| Ok(out::json(&serde_json::to_string(line)?)?);
            return tail::follow(&socket, &EventQuery::default(), show);
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
            let feed = tokio::spawn(feed::run(socket.clone(), news_out));
            // Also puts the terminal back when the program panics.
            let mut terminal = ratatui::try_init().context("cannot use this terminal")?;
            let watched = tokio::select! {
                watched = watch(&mut terminal, &socket, news) => watched,
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
    socket: &Path,
    mut news: mpsc::Receiver<News>,
) -> anyhow::Result<()> {
    let mut keys = keyboard();
    let (mut scene, mut browse) = (Scene::default(), Browse::default());
    // `Browse` asks for one thing at a time.
    let (answers_out, mut answers) = mpsc::channel(1);
    let mut picture = interval(PICTURE);
    picture.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut second = interval(Duration::from_secs(1));
    second.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut is_stale = true;
    loop {
        tokio::select! {
            key = keys.recv() => match key {
                Some(Event::Key(key)) => {
                    match browse.key(key, &scene) {
                        Step::Quit => return Ok(()),
                        Step::Nothing => {}
                        Step::Ask(request) => {
                            let (socket, out) = (socket.to_owned(), answers_out.clone());
                            // Its receiver is gone when this is no longer shown.
                            tokio::spawn(async move { out.send(ask::ask(&socket, request).await).await });
                        }
                    }
                    is_stale = true;
                }
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
            Some(answer) = answers.recv() => {
                browse.answered(answer);
                is_stale = true;
            }
            _ = second.tick() => {
                scene.second();
                is_stale = true;
            }
            _ = picture.tick(), if is_stale => {
                terminal.draw(|frame| view::draw(frame, &scene, &mut browse)).context("cannot draw")?;
                is_stale = false;
            }
        }
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
