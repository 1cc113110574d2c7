//! The Event Socket of the demo: answers the daemon's commands and plays the storm to it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::ensure;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::broadcast::error::TryRecvError;
use tokio::sync::{broadcast, mpsc};
use tokio::task::JoinSet;
use tokio::time::{self, Instant};
use tokio_util::sync::CancellationToken;

use super::events::background_job;
use super::storm::{Stopped, Storm};
use sipward_model::record::Record;

/// FreeSWITCH serves its listeners every 20 ms (`mod_event_socket.c`, `listener_run`).
const TURN: Duration = Duration::from_millis(20);

/// `HEARTBEAT` interval (switch.conf.xml, `event-heartbeat-interval`).
const HEARTBEAT: Duration = Duration::from_secs(20);

/// Longest command that is read, in bytes.
const MAX_COMMAND: u64 = 4096;

/// Time that the daemon has to hang up.
const GOOD_BYE: Duration = Duration::from_secs(2);

/// Most connections at a time.
const MAX_CLIENTS: usize = 8;

/// Serves clients until `stop`; the first client that subscribes receives the attack. `records` reports bans and
/// denied flows.
pub(super) async fn serve(
    listener: TcpListener,
    password: String,
    mut storm: Storm,
    mut records: broadcast::Receiver<Arc<Record>>,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let (events, subscriber) = mpsc::channel(1);
    let clients = tokio::spawn(welcome(listener, password.into(), subscriber));
    let start = Instant::now();
    let mut beat = time::interval(HEARTBEAT);
    let mut turn = time::interval(TURN);
    let mut stopped = Stopped::default();
    loop {
        let happened = tokio::select! {
            () = stop.cancelled() => break,
            _ = beat.tick() => storm.heartbeat(),
            _ = turn.tick() => {
                follow(&mut records, &mut stopped);
                storm.advance(start.elapsed(), &stopped)
            }
        };
        // The first event waits for a listener; an error means that there is none any more.
        if !happened.is_empty() && events.send(happened).await.is_err() {
            break;
        }
    }
    // The daemon hangs up first, as it would on a FreeSWITCH that stays.
    stop.cancelled().await;
    time::sleep(GOOD_BYE).await;
    clients.abort();
    Ok(())
}

/// Takes connections until it is aborted.
async fn welcome(
    listener: TcpListener,
    password: Arc<str>,
    subscriber: mpsc::Receiver<String>,
) -> anyhow::Result<()> {
    let subscriber = Arc::new(Mutex::new(Some(subscriber)));
    let mut clients = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept(), if clients.len() < MAX_CLIENTS => {
                let stream = BufReader::new(accepted?.0);
                let client = Client { stream, subscriber: Arc::clone(&subscriber), events: None };
                clients.spawn(client.run(Arc::clone(&password)));
            }
            // Another process that connects to a loopback port is not the demo's daemon.
            Some(_) = clients.join_next() => {}
        }
    }
}

/// What a client gets when it subscribes first.
type Subscriber = Arc<Mutex<Option<mpsc::Receiver<String>>>>;

/// One connection.
struct Client {
    stream: BufReader<TcpStream>,
    subscriber: Subscriber,
    events: Option<mpsc::Receiver<String>>,
}

impl Client {
    /// Answers commands, and sends events after a subscription, until the client hangs up.
    async fn run(mut self, password: Arc<str>) -> anyhow::Result<()> {
        self.send("Content-Type: auth/request\n\n").await?;
        if self.command().await? != format!("auth {password}") {
            self.send(&reply("-ERR invalid")).await?;
            anyhow::bail!("wrong password");
        }
        self.send(&reply("+OK accepted")).await?;
        loop {
            let events = self.events.as_mut();
            tokio::select! {
                // Nothing of a command is lost: it is read after its first byte has come.
                filled = self.stream.fill_buf() => {
                    ensure!(!filled?.is_empty(), "the client closed");
                    let command = self.command().await?;
                    let answer = self.answer(&command);
                    self.send(&answer).await?;
                }
                Some(happened) = next(events) => self.send(&happened).await?,
            }
        }
    }

    fn answer(&mut self, command: &str) -> String {
        let (word, rest) = command.split_once(' ').unwrap_or((command, ""));
        match word {
            "event" => {
                let waiting = self.subscriber.lock().unwrap_or_else(PoisonError::into_inner).take();
                self.events = self.events.take().or(waiting);
                reply("+OK event listener enabled plain")
            }
            "api" => {
                let answer = said(rest);
                format!("Content-Type: api/response\nContent-Length: {}\n\n{answer}", answer.len())
            }
            "bgapi" => {
                let (question, job) = rest.split_once("\nJob-UUID: ").unwrap_or((rest, ""));
                let accepted = format!("+OK Job-UUID: {job}\nJob-UUID: {job}");
                reply(&accepted) + &background_job(job, &said(question))
            }
            "log" | "filter" | "nixevent" | "noevents" | "nolog" => reply("+OK"),
            _ => reply("-ERR command not found"),
        }
    }

    async fn send(&mut self, text: &str) -> anyhow::Result<()> {
        Ok(self.stream.write_all(text.as_bytes()).await?)
    }

    /// One command: a line, its headers and the empty line behind them.
    async fn command(&mut self) -> anyhow::Result<String> {
        let mut command = String::new();
        let mut bounded = (&mut self.stream).take(MAX_COMMAND);
        while !command.ends_with("\n\n") {
            ensure!(bounded.read_line(&mut command).await? > 0, "the client closed in a command");
        }
        command.truncate(command.trim_end().len());
        Ok(command)
    }
}

async fn next(events: Option<&mut mpsc::Receiver<String>>) -> Option<String> {
    match events {
        Some(events) => events.recv().await,
        None => None,
    }
}

fn reply(text: &str) -> String {
    format!("Content-Type: command/reply\nReply-Text: {text}\n\n")
}

/// What a FreeSWITCH with one profile, without gateways and access lists, answers (`mod_sofia.c`, `mod_commands.c`).
fn said(command: &str) -> String {
    let head = "<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?>";
    match command {
        "sofia xmlstatus" => format!(
            "{head}\n<profiles>\n<profile>\n<name>internal</name>\n<type>profile</type>\n\
             <data>sip:mod_sofia@192.0.2.2:5060</data>\n<state>RUNNING (0)</state>\n</profile>\n</profiles>\n"
        ),
        "sofia xmlstatus gateway" => format!("{head}\n<gateways>\n</gateways>\n"),
        "show registrations as json" => "{\"row_count\":0}\n".to_owned(),
        "show registrations count" => "\n0 total.\n".to_owned(),
        other => {
            let word = other.split(' ').next().unwrap_or_default();
            format!("-ERR {word} Command not found!\n")
        }
    }
}

/// Keeps `stopped` as the daemon has decided.
fn follow(records: &mut broadcast::Receiver<Arc<Record>>, stopped: &mut Stopped) {
    loop {
        match records.try_recv().as_deref() {
            Ok(Record::Ban(ban)) => drop(stopped.nets.insert(ban.net)),
            Ok(Record::Unban { net, .. }) => drop(stopped.nets.remove(net)),
            Ok(Record::FlowDenied(denied)) => drop(stopped.flows.insert(denied.flow)),
            Ok(Record::FlowAllowed { flow, .. }) => drop(stopped.flows.remove(flow)),
            Ok(_) | Err(TryRecvError::Lagged(_)) => {}
            Err(TryRecvError::Empty | TryRecvError::Closed) => return,
        }
    }
}
