//! The Event Socket of the demo: logs a client in and plays the storm to it.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::TryRecvError;
use tokio::time::{self, Instant};
use tokio_util::sync::CancellationToken;

use super::storm::Storm;
use crate::record::Record;

/// FreeSWITCH serves its listeners every 20 ms (`mod_event_socket.c`, `listener_run`).
const TURN: Duration = Duration::from_millis(20);

/// `HEARTBEAT` interval (switch.conf.xml, `event-heartbeat-interval`).
const HEARTBEAT: Duration = Duration::from_secs(20);

/// Longest command line that is read, in bytes.
const MAX_LINE: u64 = 4096;

/// Serves one client until `stop`; `records` tells who is banned.
pub(super) async fn serve(
    listener: TcpListener,
    password: String,
    mut storm: Storm,
    mut records: broadcast::Receiver<Arc<Record>>,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let mut stream = loop {
        let (stream, _) = listener.accept().await?;
        let mut stream = BufReader::new(stream);
        // Whoever else knocks at a loopback port is not the demo's daemon.
        if log_in(&mut stream, &password).await.is_ok() {
            break stream.into_inner();
        }
    };
    let start = Instant::now();
    let mut beat = time::interval(HEARTBEAT);
    let mut turn = time::interval(TURN);
    let mut banned = HashSet::new();
    loop {
        let events = tokio::select! {
            () = stop.cancelled() => {
                // The daemon hangs up first, as it would on a FreeSWITCH that stays.
                let mut rest = Vec::new();
                let _ = stream.take(MAX_LINE).read_to_end(&mut rest).await;
                return Ok(());
            }
            _ = beat.tick() => storm.heartbeat(),
            _ = turn.tick() => {
                follow(&mut records, &mut banned);
                storm.advance(start.elapsed(), &banned)
            }
        };
        stream.write_all(events.as_bytes()).await?;
    }
}

/// Keeps `banned` as the daemon has decided.
fn follow(records: &mut broadcast::Receiver<Arc<Record>>, banned: &mut HashSet<ipnet::IpNet>) {
    loop {
        match records.try_recv().as_deref() {
            Ok(Record::Ban(ban)) => drop(banned.insert(ban.source)),
            Ok(Record::Unban { source, .. }) => drop(banned.remove(source)),
            Ok(_) | Err(TryRecvError::Lagged(_)) => {}
            Err(TryRecvError::Empty | TryRecvError::Closed) => return,
        }
    }
}

async fn log_in(stream: &mut BufReader<TcpStream>, password: &str) -> anyhow::Result<()> {
    stream.write_all(b"Content-Type: auth/request\n\n").await?;
    let auth = command(stream).await?;
    if auth != format!("auth {password}") {
        stream.write_all(b"Content-Type: command/reply\nReply-Text: -ERR invalid\n\n").await?;
        anyhow::bail!("wrong password");
    }
    stream.write_all(b"Content-Type: command/reply\nReply-Text: +OK accepted\n\n").await?;
    let event = command(stream).await?;
    ensure!(event.starts_with("event plain "), "no subscription");
    let reply = b"Content-Type: command/reply\nReply-Text: +OK event listener enabled plain\n\n";
    stream.write_all(reply).await?;
    Ok(())
}

/// One command: a line and the empty line behind it.
async fn command(stream: &mut BufReader<TcpStream>) -> anyhow::Result<String> {
    let mut line = String::new();
    let mut bounded = stream.take(MAX_LINE);
    bounded.read_line(&mut line).await?;
    let mut end = String::new();
    bounded.read_line(&mut end).await?;
    ensure!(end == "\n", "a command ends with an empty line");
    line.pop().context("the client closed")?;
    Ok(line)
}
