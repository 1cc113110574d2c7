//! `sipward tail`.

use std::future::pending;
use std::io;
use std::net::IpAddr;
use std::os::fd::AsFd as _;
use std::path::Path;
use std::time::Duration;

use ipnet::IpNet;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use serde::Deserialize as _;
use serde::de::value::{Error as WrongWord, StrDeserializer};
use serde_json::Value;
use tokio::sync::oneshot;
use tokio::time::sleep;

use super::out::{self, Tone};
use super::remote::{Exit, Remote, block_on};
use crate::client::{Client, ClientError, Events};
use sipward_model::record::Kind;
use sipward_model::text::{Span, is_hidden};
use sipward_model::wire::{EventQuery, Line, Net};

/// First and longest pause before a daemon that went away is tried again.
const PAUSES: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(15));

/// Most kinds of events on the command line: the API takes so long a list.
const MAX_KINDS: usize = 16;

/// Print events as they happen, one line each, as in the log
///
/// Runs until it is interrupted. When the daemon restarts, it connects again; what happened meanwhile is missing.
#[derive(Debug, clap::Args)]
pub(super) struct TailCommand {
    /// Only events about this address or network, networks inside it and networks that cover it.
    #[arg(value_name = "ADDR|CIDR")]
    net: Option<Net>,
    /// Only events of these kinds, by their names in the log: `ban,unban,auth_failure`.
    #[arg(long, short, value_name = "KINDS", value_delimiter = ',', value_parser = kind)]
    event: Vec<String>,
    #[command(flatten)]
    remote: Remote,
}

impl TailCommand {
    pub(super) fn run(&self) -> anyhow::Result<Exit> {
        if self.event.len() > MAX_KINDS {
            let detail = format!("at most {MAX_KINDS} kinds");
            return Err(ClientError::invalid("event", &detail).into());
        }
        let socket = self.remote.socket()?;
        let is_json = self.remote.wants_json();
        let query = EventQuery {
            event: (!self.event.is_empty()).then(|| self.event.join(",")),
            message: Some(!is_json),
        };
        let show = |line: &Line| {
            if !self.net.is_none_or(|net| concerns(line, net.0)) {
                return Ok(());
            }
            if is_json {
                return Ok(out::json(&serde_json::to_string(line)?)?);
            }
            Ok(out::text(&text(line))?)
        };
        follow(&socket, &query, show)
    }
}

/// Shows each event until Ctrl-C, or until nobody reads standard output.
pub(super) fn follow(
    socket: &Path,
    query: &EventQuery,
    show: impl Fn(&Line) -> anyhow::Result<()>,
) -> anyhow::Result<Exit> {
    block_on(async {
        tokio::select! {
            ended = listen(socket, query, show) => ended,
            interrupted = tokio::signal::ctrl_c() => Ok(interrupted?),
            () = nobody_reads() => Ok(()),
        }
    })??;
    Ok(Exit::Done)
}

async fn listen(
    socket: &Path,
    query: &EventQuery,
    show: impl Fn(&Line) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let (mut pause, longest) = PAUSES;
    let mut events = connect(socket, query).await?;
    loop {
        let mut problem = match events.next().await {
            Ok(Some(line)) => {
                show(&line)?;
                (pause, _) = PAUSES;
                continue;
            }
            Ok(None) => "sipward ended the connection".to_owned(),
            Err(error) => error.to_string(),
        };
        events = loop {
            eprintln!("sipward: {problem}; trying again in {}", Span(pause.as_secs_f64()));
            sleep(pause).await;
            pause = (pause * 2).min(longest);
            match connect(socket, query).await {
                Ok(events) => break events,
                Err(
                    error @ (ClientError::NotPermitted { .. } | ClientError::Unreadable { .. }),
                ) => {
                    return Err(error.into());
                }
                Err(error) => problem = error.to_string(),
            }
        };
        eprintln!("sipward: connected again");
    }
}

async fn connect(socket: &Path, query: &EventQuery) -> Result<Events, ClientError> {
    Client::connect(socket).await?.events(query).await
}

/// Ends when standard output is a pipe whose reader has gone: `sipward tail | head -1`. The next line would find
/// that out, too, but it may take hours to come.
async fn nobody_reads() {
    let (gone_out, gone) = oneshot::channel();
    // Errors are reported without being asked for. The thread ends with the program.
    std::thread::spawn(move || {
        let stdout = io::stdout();
        let mut watched = [PollFd::new(stdout.as_fd(), PollFlags::empty())];
        if poll(&mut watched, PollTimeout::NONE).is_ok() {
            let _ = gone_out.send(());
        }
    });
    if gone.await.is_err() {
        pending::<()>().await;
    }
}

/// As the log has it.
fn text(line: &Line) -> String {
    let level = line.level.as_deref().unwrap_or("INFO");
    let tone = match level {
        "ERROR" => Some(Tone::Bad),
        "WARN" => Some(Tone::Warning),
        _ => None,
    };
    let level = format!("{level:5}");
    let level = tone.map_or_else(|| level.clone(), |tone| out::paint(&level, tone));
    let message = match &line.message {
        Some(message) => message.clone(),
        None => missed(line),
    };
    // What attackers wrote is escaped by the daemon; nothing else may move a cursor either.
    let mut plain = String::with_capacity(message.len());
    for c in message.chars() {
        if is_hidden(c) {
            plain.extend(c.escape_debug());
        } else {
            plain.push(c);
        }
    }
    format!("{} {level} {plain}\n", out::time(line.time))
}

/// The only event that no record is behind.
fn missed(line: &Line) -> String {
    let count = line.fields.get("count").and_then(Value::as_u64).unwrap_or_default();
    format!("{} came too fast and are missing here", out::count(count, "event"))
}

/// Whether an event is about a network, one inside it, or one around it. What was missed may have been.
fn concerns(line: &Line, wanted: IpNet) -> bool {
    let touches = |text: &str| {
        // A flow is an address, the protocol and the port.
        let host = text.split(' ').next().unwrap_or_default();
        let net = host.parse().or_else(|_| host.parse::<IpAddr>().map(IpNet::from));
        net.is_ok_and(|net: IpNet| wanted.contains(&net) || net.contains(&wanted))
    };
    let named = ["net", "address", "flow"].iter();
    let mut named = named.filter_map(|name| line.fields.get(*name)?.as_str());
    line.event == "missed" || named.any(touches)
}

/// A kind by its name in the log.
fn kind(text: &str) -> Result<String, String> {
    let name = text.trim();
    let known: Result<Kind, WrongWord> = Kind::deserialize(StrDeserializer::new(name));
    match known {
        Ok(_) => Ok(name.to_owned()),
        Err(_) => Err(
            "no kind of event; some are auth_failure, ban, unban, refused, flow_denied, alarm, \
                       esl_disconnected, changed"
                .to_owned(),
        ),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn line(fields: &Value) -> Line {
        let mut document = fields.clone();
        document["time"] = json!("2026-11-23T22:01:02.345Z");
        serde_json::from_value(document).unwrap()
    }

    #[test]
    fn a_line_is_that_of_the_log_and_moves_no_cursor() {
        let ban = line(
            &json!({"event": "ban", "level": "WARN", "message": "ban 192.0.2.7/32, \u{9b}31m\n"}),
        );
        assert_eq!(text(&ban), "2026-11-23T22:01:02.345Z WARN  ban 192.0.2.7/32, \\u{9b}31m\\n\n");
        let missed = line(&json!({"event": "missed", "count": 7}));
        assert_eq!(
            text(&missed),
            "2026-11-23T22:01:02.345Z INFO  7 events came too fast and are missing here\n"
        );
    }

    #[test]
    fn events_are_chosen_by_any_address_they_name() {
        let concerns = |fields: Value, net: &str| concerns(&line(&fields), net.parse().unwrap());
        let ban = || json!({"event": "ban", "net": "192.0.2.0/24", "address": "192.0.2.7"});
        assert!(concerns(ban(), "192.0.2.7/32") && concerns(ban(), "192.0.0.0/16"));
        assert!(!concerns(ban(), "198.51.100.0/24"));
        let flow = || json!({"event": "flow_denied", "flow": "203.0.113.7 udp 41234"});
        assert!(concerns(flow(), "203.0.113.7/32") && !concerns(flow(), "203.0.113.8/32"));
        assert!(concerns(json!({"event": "missed", "count": 1}), "203.0.113.8/32"));
        assert!(!concerns(json!({"event": "started"}), "0.0.0.0/0"));
    }

    #[test]
    fn kinds_are_those_of_the_log() {
        assert_eq!(kind("flow_denied").as_deref(), Ok("flow_denied"));
        assert!(kind("bans").is_err() && kind("").is_err());
    }
}
