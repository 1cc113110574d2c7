//! What FreeSWITCH knows of its own people, asked by `bgapi`: who is registered, which gateways it
//! uses, whom its access control lists allow; and for its log.
//!
//! `bgapi` runs beside the events; `api` would hold them up (`mod_event_socket.c`, `api_exec`).

mod answers;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ipnet::IpNet;
use sipward_esl::command::{Command, LogLevel};
use sipward_esl::{CommandError, SessionHandle};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use super::judge::Order;
use crate::names;
use crate::record::Record;
pub(super) use answers::Registration;

/// Questions that wait at most. A storm from more new sources at once leaves the rest unasked: they
/// are judged without an answer, which only a later one can soften.
pub(super) const QUESTIONS: usize = 1_024;

/// Questions to FreeSWITCH under way at once: each is a thread there (`bgapi` makes one).
const AT_ONCE: usize = 8;

/// Least time between two looks at the gateways, whose state may flap.
const GATEWAYS_EVERY: Duration = Duration::from_secs(10);

/// What is to be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Question {
    /// Do the access control lists allow this address?
    Acl(IpAddr),
    /// Who is registered, and which gateways are there? After each connection.
    Snapshot,
    /// Will it send its warnings, or no longer? After each connection, and when the rule changed.
    Log {
        /// Whether they are wanted.
        wanted: bool,
    },
    /// Which gateways are there? After a gateway changed its state.
    Gateways,
}

/// Asks and passes the answers on until the daemon ends.
pub(super) async fn run(
    session: SessionHandle,
    lists: watch::Receiver<Vec<String>>,
    mut questions: mpsc::Receiver<Question>,
    orders: mpsc::Sender<Order>,
) {
    let asker = Arc::new(Asker { session, lists });
    let mut under_way = JoinSet::new();
    let mut gateways_due = None;
    loop {
        tokio::select! {
            question = questions.recv(), if under_way.len() < AT_ONCE => match question {
                None => return,
                // A flapping gateway asks often; one look serves all.
                Some(Question::Gateways) => {
                    gateways_due.get_or_insert_with(|| tokio::time::Instant::now() + GATEWAYS_EVERY);
                }
                Some(question) => {
                    let asker = Arc::clone(&asker);
                    under_way.spawn(async move { asker.ask(question).await });
                }
            },
            Some(done) = under_way.join_next() => {
                for order in done.unwrap_or_default() {
                    if orders.send(order).await.is_err() {
                        return;
                    }
                }
            }
            () = tokio::time::sleep_until(gateways_due.unwrap_or_else(tokio::time::Instant::now)),
                if gateways_due.is_some() =>
            {
                gateways_due = None;
                let asker = Arc::clone(&asker);
                under_way.spawn(async move { asker.ask(Question::Gateways).await });
            }
        }
    }
}

struct Asker {
    session: SessionHandle,
    /// The access control lists that count.
    lists: watch::Receiver<Vec<String>>,
}

impl Asker {
    async fn ask(&self, question: Question) -> Vec<Order> {
        match question {
            Question::Acl(addr) => vec![Order::Acl { addr, allowed: self.acl(addr).await }],
            Question::Gateways => self.gateways().await.into_iter().collect(),
            Question::Log { wanted } => {
                self.log(wanted).await;
                Vec::new()
            }
            Question::Snapshot => {
                let asked = Instant::now();
                let registrations = self.registrations().await;
                let registrations = registrations.map(|phones| Order::Registered { phones, asked });
                registrations.into_iter().chain(self.gateways().await).collect()
            }
        }
    }

    /// Whether one of the lists in force allows `addr`; `None` when FreeSWITCH did not say.
    async fn acl(&self, addr: IpAddr) -> Option<bool> {
        let mut lists = self.lists.clone();
        loop {
            let asked = lists.borrow_and_update().clone();
            let answer = self.one_of(&asked, addr).await;
            // A reload may have put others in force meanwhile.
            if !lists.has_changed().unwrap_or(false) {
                return answer;
            }
        }
    }

    async fn one_of(&self, lists: &[String], addr: IpAddr) -> Option<bool> {
        let mut answered = false;
        for list in lists {
            // An unknown list answers `false` too.
            match self.text(&format!("acl {addr} {list}")).await.as_deref().map(str::trim) {
                Some("true") => return Some(true),
                Some("false") => answered = true,
                Some(_) | None => {}
            }
        }
        answered.then_some(false)
    }

    async fn registrations(&self) -> Option<Vec<Registration>> {
        let question = "show registrations as json";
        let text = self.text(question).await?;
        answers::registrations(&text).map_err(|error| failed(question, &error)).ok()
    }

    /// Not part of the subscription: a user that may not read the log (`esl-allowed-log`) must not
    /// lose the events with it.
    async fn log(&self, wanted: bool) {
        let command = if wanted { Command::log(LogLevel::Warning) } else { Command::nolog() };
        if let Err(error) = self.session.command(command).await {
            failed(if wanted { "log" } else { "nolog" }, &error.to_string());
        }
    }

    /// The addresses of the gateways' proxies; names are looked up.
    async fn gateways(&self) -> Option<Order> {
        let question = "sofia xmlstatus gateway";
        let text = self.text(question).await?;
        let hosts = answers::gateways(&text).map_err(|error| failed(question, &error)).ok()?;
        let mut nets: Vec<IpNet> = Vec::new();
        for host in hosts {
            match host.parse::<IpAddr>() {
                Ok(address) => nets.push(address.into()),
                Err(_) => match names::look_up(host).await {
                    (_, Ok(addresses)) => nets.extend(addresses.into_iter().map(IpNet::from)),
                    (name, Err(error)) => Record::NameFailed { name, error }.log(),
                },
            }
        }
        nets.sort_unstable();
        nets.dedup();
        Some(Order::Trunks(nets))
    }

    async fn text(&self, question: &str) -> Option<String> {
        match self.session.bgapi(question).await {
            Ok(reply) => Some(reply.lossy().into_owned()),
            // The loss of the connection is told by itself, and all is asked again after it.
            Err(CommandError::NotConnected | CommandError::Lost | CommandError::Ended) => None,
            Err(error) => {
                failed(question, &error.to_string());
                None
            }
        }
    }
}

fn failed(question: &str, error: &str) {
    let (question, error) = (question.to_owned(), error.to_owned());
    Record::DirectoryFailed { question, error }.log();
}
