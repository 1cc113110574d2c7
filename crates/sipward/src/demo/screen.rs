//! What the demo's terminal shows.

use std::collections::BTreeMap;
use std::io::{IsTerminal as _, Write as _};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use ipnet::IpNet;
use sipward_engine::{Evidence, Grade, Judgement, Transport, UnblockReason};
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::{self, Instant, MissedTickBehavior};

use super::storm::{Counts, NAT, NAT_PHONES};
use crate::out;
use sipward_config::Secret;
use sipward_model::record::{Ban, FlowDenied, Record, Totals};
use sipward_model::text::{Plain, Thousands, count};

/// Prints a line. With `sipward demo | head` the attack continues without output.
macro_rules! say {
    ($($words:tt)*) => {{
        let _ = writeln!(std::io::stdout(), $($words)*);
    }};
}

/// Prints the storm as it is fought off.
#[derive(Debug)]
pub(super) struct Screen {
    counts: Arc<Counts>,
    records: broadcast::Receiver<Arc<Record>>,
    /// Of the page's log-in link.
    code: Secret,
    start: Instant,
    colours: bool,
    /// Networks banned at least once, with how often.
    banned: BTreeMap<IpNet, u32>,
    /// µs from event to the (dry-run) kernel's answer.
    delays: Vec<u64>,
    spared: BTreeMap<&'static str, u64>,
    now_banned: usize,
    last: (u64, u64),
}

/// Delays that the summary is made of: more than a long demo has bans.
const MAX_DELAYS: usize = 100_000;

impl Screen {
    pub(super) fn new(
        counts: Arc<Counts>,
        records: broadcast::Receiver<Arc<Record>>,
        socket: SocketAddr,
        code: Secret,
    ) -> Self {
        let introduction = format!(
            "sipward demo: 14 attackers (IPv4 and IPv6), 30 healthy phones, an allowed office with an old password, \
             a NAT of {NAT_PHONES} phones of which one has an old password, and one forger, reported by an embedded \
             Event Socket at {socket}, and a flood of 30,000 packets/s, which is counted and not sent. Nothing on this host is changed."
        );
        say!("{}", wrapped(&introduction, 0));
        Self {
            counts,
            records,
            code,
            start: Instant::now(),
            colours: std::io::stdout().is_terminal(),
            banned: BTreeMap::new(),
            delays: Vec::new(),
            spared: BTreeMap::new(),
            now_banned: 0,
            last: (0, 0),
        }
    }

    /// Prints until the daemon has ended.
    pub(super) async fn run(mut self) -> Self {
        let mut second = time::interval(Duration::from_secs(1));
        second.set_missed_tick_behavior(MissedTickBehavior::Skip);
        second.tick().await;
        loop {
            tokio::select! {
                record = self.records.recv() => match record {
                    // Connections to the page may still hold senders.
                    Ok(record) if matches!(*record, Record::Stopped(_)) => return self,
                    Ok(record) => self.show(&record),
                    Err(RecvError::Lagged(missed)) => {
                        self.line("33", "note", &format!("{missed} lines not shown"));
                    }
                    Err(RecvError::Closed) => return self,
                },
                _ = second.tick() => self.rates(),
            }
        }
    }

    fn show(&mut self, record: &Record) {
        match record {
            Record::EslConnected { peer } => {
                self.line("32", "socket", &format!("connected to {peer}, logged in, subscribed"));
            }
            Record::HttpOpened { address, .. } => {
                let code = self.code.expose();
                if address.port() != super::PAGE.1 {
                    say!("Another program listens on port {}.", super::PAGE.1);
                }
                say!("The console, until the demo ends:\nhttp://{address}/login?code={code}\n");
            }
            Record::ApiOpened { socket, .. } => {
                let program = std::env::current_exe().unwrap_or_else(|_| "sipward".into());
                say!("In another terminal, until then:");
                for command in ["watch", "bans", "why 198.18.0.10"] {
                    say!("{} {command} --socket {}", program.display(), socket.display());
                }
                say!();
            }
            Record::Ban(ban) => self.ban(ban),
            Record::Unban { net, reason, .. } => {
                self.now_banned = self.now_banned.saturating_sub(1);
                if *reason == UnblockReason::Expired {
                    self.line("36", "unban", &format!("{:<24} expired", net.to_string()));
                }
            }
            Record::FlowDenied(denied) => self.denied(denied),
            Record::AuthFailure(judgement) => self.judged(judgement),
            Record::Shielded { dropped_per_second, phones } => {
                let dropped = Thousands(*dropped_per_second);
                let phones = count(*phones as u64, "registered phone");
                let text = format!(
                    "a flood: {dropped} packets/s would be dropped, and {phones} would notice nothing"
                );
                self.line("31", "SHIELD", &text);
            }
            Record::Alarm(_) | Record::EslOverflow { .. } => {
                self.line("33", "note", &record.to_string());
            }
            _ => {}
        }
    }

    fn ban(&mut self, ban: &Ban) {
        self.now_banned += 1;
        *self.banned.entry(ban.net).or_default() += 1;
        let Some(evidence) = ban.cause.evidence() else { return };
        let Evidence { failures, ban_count, details, .. } = evidence;
        let (users, agent) =
            details.as_ref().map_or((0, ""), |d| (d.users.len(), d.user_agent.as_str()));
        let micros = ban.event_to_route_us.unwrap_or_default();
        if self.delays.len() < MAX_DELAYS {
            self.delays.push(micros);
        }
        let again =
            if *ban_count > 1 { format!(", ban {ban_count}: longer") } else { String::new() };
        self.line(
            "31",
            "BAN",
            &format!(
                "{:<24} {}, {}, {}; {micros} µs after the event{again}",
                ban.net.to_string(),
                count((*failures).into(), "failure"),
                count(users as u64, "user"),
                Plain(agent),
            ),
        );
    }

    /// The port is denied for UDP and for TCP; one line says so.
    fn denied(&mut self, denied: &FlowDenied) {
        let Some(evidence) =
            denied.cause.evidence().filter(|_| denied.flow.transport == Transport::Udp)
        else {
            return;
        };
        let left = NAT_PHONES - 1;
        self.line(
            "31",
            "FLOW",
            &format!(
                "{:<24} {} failures; only this port is denied, the {left} other phones of the NAT \
                    are not affected",
                format!("{} port {}", denied.flow.source, denied.flow.port),
                evidence.failures,
            ),
        );
    }

    fn judged(&mut self, j: &Judgement) {
        let why = if j.exempt.is_some() {
            "on the allow list"
        } else if j.grade == Grade::Unproven {
            "forged: the nonce was never checked"
        } else if j.address == NAT {
            "an old password behind a NAT: the address is not banned"
        } else if j.user_agent.starts_with("Yealink") {
            "a phone with a typing error: below the threshold"
        } else {
            return;
        };
        let seen = self.spared.entry(why).or_default();
        *seen += 1;
        if *seen == 1 {
            self.line("32", "spared", &format!("{:<24} {why}", j.address.to_string()));
        }
    }

    fn rates(&mut self) {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let now = (read(&self.counts.answered), read(&self.counts.dropped));
        let (answered, dropped) = (now.0 - self.last.0, now.1 - self.last.1);
        self.last = now;
        self.line(
            "2",
            "rate",
            &format!(
                "attackers: {answered}/s reach FreeSWITCH, {dropped}/s would be dropped; {} banned",
                count(self.now_banned as u64, "network")
            ),
        );
    }

    fn line(&self, colour: &str, word: &str, text: &str) {
        let at = self.start.elapsed().as_secs_f64();
        let text = wrapped(text, "  0.00s BAN    ".len());
        let text = text.trim_end();
        if self.colours {
            say!("{at:6.2}s \x1b[{colour}m{word:<6} {text}\x1b[0m");
        } else {
            say!("{at:6.2}s {word:<6} {text}");
        }
    }

    /// Prints what it came to.
    pub(super) fn summary(mut self, totals: &Totals) {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let (answered, dropped) = (read(&self.counts.answered), read(&self.counts.dropped));
        self.delays.sort_unstable();
        let at = |share: usize| {
            let last = self.delays.len().saturating_sub(1);
            self.delays.get(last * share / 100).copied().unwrap_or_default()
        };
        say!("\nSummary");
        row("events read", totals.events, "");
        row("failures judged", totals.failures, "");
        let longer = self.banned.values().filter(|times| **times > 1).count();
        let of =
            format!("of {} networks, {longer} for longer than the first time", self.banned.len());
        row("bans", totals.bans, &of);
        row("event to route, µs", at(50), &format!("median ({} at most)", at(100)));
        let where_to = format!(
            "{answered} reached FreeSWITCH, {dropped} would have been dropped by the kernel"
        );
        row("attackers' requests", answered + dropped, &where_to);
        let harmed = format!("{} harmed", read(&self.counts.harmed));
        row("healthy registrations", read(&self.counts.registered), &harmed);
        let denied = format!(
            "registrations of the other phones; {} requests of the denied flow would have been dropped",
            read(&self.counts.denied)
        );
        row("behind the NAT", read(&self.counts.behind_nat), &denied);
        for (why, times) in &self.spared {
            row("spared", *times, why);
        }
        say!("\nThe same against your own FreeSWITCH: README.md, \"First week\".");
    }
}

/// A line of the summary.
fn row(label: &str, number: u64, text: &str) {
    let text = wrapped(text, "  healthy registrations      1234   ".len());
    say!("{}", format!("  {label:<22} {number:>8}   {}", text.trim_end()).trim_end());
}

/// Fits a terminal of 80 columns.
fn wrapped(text: &str, indent: usize) -> String {
    out::wrap(text, indent, Some(80))
}
