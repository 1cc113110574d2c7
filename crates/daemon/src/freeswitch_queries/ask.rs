//! Questions to FreeSWITCH, and what it answers.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use sipward_esl::command::{Command, LogLevel};
use sipward_esl::{CommandError, SessionHandle};
use tokio::sync::{broadcast, watch};

use super::lists::{self, Decided};
use sipward_config::Credentials;
use sipward_ingest::freeswitch::access_lists::{self, AccessLists};
use sipward_ingest::freeswitch::gateways::{self, Gateways};
use sipward_ingest::freeswitch::profiles::{self, Profile};
use sipward_ingest::freeswitch::sofia_conf::{self, SofiaConf};
use sipward_model::record::Record;

/// Longest wait until it is known which lists are to be asked.
const LISTS_KNOWN: Duration = Duration::from_secs(5);

/// Questions whose last failure is remembered; each kind of question is one.
const MAX_FAILURES: usize = 256;

pub(super) struct Asker {
    session: SessionHandle,
    pub(super) credentials: Credentials,
    pub(super) connect_timeout: Duration,
    /// The access control lists that are asked about an address; `None` before they are known.
    lists: watch::Receiver<Option<Vec<String>>>,
    records: broadcast::Sender<Arc<Record>>,
    /// The last failure of each query: reported once, not each time.
    failures: Mutex<BTreeMap<String, String>>,
}

/// How much a failure matters.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Weight {
    /// People may be banned for want of the answer.
    Needed,
    /// There is another way: FreeSWITCH itself is asked about an address, usual ports are taken.
    Useful,
}

impl Asker {
    pub(super) fn new(
        session: SessionHandle,
        credentials: Credentials,
        connect_timeout: Duration,
        lists: watch::Receiver<Option<Vec<String>>>,
        records: broadcast::Sender<Arc<Record>>,
    ) -> Self {
        let failures = Mutex::default();
        Self { session, credentials, connect_timeout, lists, records, failures }
    }

    /// Whether one of the lists in force allows `addr`; `None` when FreeSWITCH did not say.
    pub(super) async fn acl(&self, addr: IpAddr) -> Option<bool> {
        let mut lists = self.lists.clone();
        loop {
            let known = lists.wait_for(Option::is_some);
            let asked = match tokio::time::timeout(LISTS_KNOWN, known).await {
                Ok(Ok(known)) => known.clone().unwrap_or_default(),
                Ok(Err(_)) | Err(_) => return None,
            };
            let answer = self.one_of(&asked, addr).await;
            // A reload may have put others in force meanwhile.
            if lists.borrow().as_ref() == Some(&asked) {
                return answer;
            }
        }
    }

    async fn one_of(&self, lists: &[String], addr: IpAddr) -> Option<bool> {
        // No list has to be asked: the networks of the file say all.
        let mut answered = lists.is_empty();
        for list in lists {
            match self.allows(list, addr).await {
                Some(true) => return Some(true),
                Some(false) => answered = true,
                None => {}
            }
        }
        answered.then_some(false)
    }

    /// What FreeSWITCH says of one address. An unknown list answers `false` too.
    async fn allows(&self, list: &str, addr: IpAddr) -> Option<bool> {
        let question = format!("acl {addr} {list}");
        match self.text(&question, "acl", Weight::Needed).await?.trim() {
            "true" => Some(true),
            "false" => Some(false),
            _ => None,
        }
    }

    /// Not part of the subscription: a user that may not read the log (`esl-allowed-log`) must not
    /// lose the events with it.
    pub(super) async fn log(&self, wanted: bool) {
        let command = if wanted { Command::log(LogLevel::Warning) } else { Command::nolog() };
        if let Err(error) = self.session.command(command).await {
            let question = if wanted { "log" } else { "nolog" };
            self.problem(question, &error, Weight::Needed);
        }
    }

    pub(super) async fn gateways(&self) -> Option<Gateways> {
        let question = "sofia xmlstatus gateway";
        let text = self.text(question, question, Weight::Needed).await?;
        self.read(question, gateways::read(&text), Weight::Needed)
    }

    /// The answer holds passwords: it goes no further than this.
    pub(super) async fn sofia_conf(&self) -> Option<SofiaConf> {
        let question = sofia_conf::QUESTION;
        let text = self.text(question, question, Weight::Useful).await?;
        let read = tokio::task::spawn_blocking(move || sofia_conf::read(&text)).await.ok()?;
        self.read(question, read, Weight::Useful)
    }

    /// The file with the access lists, and what the `wanted` ones come to. `None` when FreeSWITCH cannot be asked.
    pub(super) async fn lists(&self, wanted: &[String]) -> (Option<AccessLists>, Option<Decided>) {
        if wanted.is_empty() {
            return (None, Some(Decided::default()));
        }
        let question = access_lists::QUESTION;
        let file = match self.ask(question).await {
            Err(CommandError::NotConnected | CommandError::Lost | CommandError::Ended) => {
                return (None, None);
            }
            Err(error) => {
                self.failed(question, &error.to_string(), Weight::Useful);
                None
            }
            Ok(text) => {
                let read = tokio::task::spawn_blocking(move || access_lists::read(&text)).await;
                read.ok().and_then(|read| self.read(question, read, Weight::Useful))
            }
        };
        let mut decided = lists::decide(wanted, file.as_ref());
        let asked = decided.asked.clone();
        let everybody = join_all(asked.iter().map(|list| self.allows_everybody(list))).await;
        for (list, everybody) in asked.iter().zip(everybody) {
            if everybody {
                decided.allows_everybody(list);
            }
        }
        (file, Some(decided))
    }

    /// Whether a list allows reserved addresses.
    async fn allows_everybody(&self, list: &str) -> bool {
        for family in lists::nobody() {
            let mut all = true;
            for address in family {
                all = all && self.allows(list, address).await == Some(true);
            }
            if all {
                return true;
            }
        }
        false
    }

    /// The running profiles, and how many more there are.
    pub(super) async fn profiles(&self) -> Option<(Vec<Profile>, usize)> {
        let question = profiles::QUESTION;
        let text = self.text(question, question, Weight::Useful).await?;
        let (names, left_out) = self.read(question, profiles::running(&text), Weight::Useful)?;
        let mut found = Vec::new();
        for name in names {
            let question = format!("{question} profile {name}");
            let text = self.text(&question, &question, Weight::Useful).await?;
            // It may have stopped meanwhile.
            found.extend(profiles::profile(&text).ok());
        }
        Some((found, left_out))
    }

    /// Sends a query; `kind` groups queries that differ in an address only.
    pub(super) async fn whole_text(&self, question: &str) -> Option<(String, bool)> {
        match self.session.bgapi(question).await {
            Ok(reply) => Some((reply.lossy().into_owned(), reply.is_truncated())),
            Err(error) => {
                self.problem(question, &error, Weight::Needed);
                None
            }
        }
    }

    async fn text(&self, question: &str, kind: &str, weight: Weight) -> Option<String> {
        match self.ask(question).await {
            Ok(text) => Some(text),
            Err(error) => {
                self.problem(kind, &error, weight);
                None
            }
        }
    }

    async fn ask(&self, question: &str) -> Result<String, CommandError> {
        self.session.bgapi(question).await.map(|reply| reply.lossy().into_owned())
    }

    fn read<T>(&self, question: &str, read: Result<T, String>, weight: Weight) -> Option<T> {
        match read {
            Ok(value) => {
                self.answered(question);
                Some(value)
            }
            Err(error) => {
                self.failed(question, &error, weight);
                None
            }
        }
    }

    fn problem(&self, question: &str, error: &CommandError, weight: Weight) {
        // The loss of the connection is reported by itself, and all is asked again after it.
        let lost =
            matches!(error, CommandError::NotConnected | CommandError::Lost | CommandError::Ended);
        if !lost {
            self.failed(question, &error.to_string(), weight);
        }
    }

    pub(super) fn needed_failed(&self, question: &str, error: &str) {
        self.failed(question, error, Weight::Needed);
    }

    pub(super) fn answered(&self, question: &str) {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner).remove(question);
    }

    fn failed(&self, question: &str, error: &str, weight: Weight) {
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        if failures.get(question).is_some_and(|known| known == error) {
            return;
        }
        if failures.len() < MAX_FAILURES || failures.contains_key(question) {
            failures.insert(question.to_owned(), error.to_owned());
        }
        drop(failures);
        if weight == Weight::Useful {
            tracing::debug!(question, error, "FreeSWITCH gave no answer");
            return;
        }
        let (question, error) = (question.to_owned(), error.to_owned());
        Record::DirectoryFailed { question, error }.publish(&self.records);
    }
}
