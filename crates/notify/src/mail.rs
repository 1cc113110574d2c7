//! Mail: one digest of bans instead of a mail for each, and alarms at once.
//!
//! | module | holds |
//! |---|---|
//! | `settings` | recipients and mail server |
//! | `collect` | records → contents and time of the next mails |
//! | `text` | the text of a mail |
//! | `post` | mails → SMTP or sendmail |
//!
//! Everything that strangers wrote is escaped before it becomes text (`record`'s lines for people), header
//! fields are made of our own words and encoded by `lettre`, and a letter has a bounded number of lines. whois
//! is asked for beside; what has come when the letter is due is in it.

mod collect;
mod post;
mod text;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use crate::whois::{Answer, Whois, WhoisError};
use crate::{EventReceiver, Outbox, Retry};
use collect::Collector;
pub use post::Mailer;
use post::{Message, Post};
use sipward_config::MailSettings;
use sipward_model::backoff::Backoff;
use sipward_model::clock::Clock;
use sipward_model::record::Record;
use text::MailText;

/// How the log and the metrics call it.
pub const NAME: &str = "mail";

/// Messages that wait for a mail server at most: one for each letter and recipient, 30 kB at most.
const ROOM: usize = 128;

/// A mail server is down for minutes, or for a night: tried for about ten hours.
const RETRY: Retry = Retry {
    backoff: Backoff { first: Duration::from_secs(10), longest: Duration::from_secs(1_800) },
    attempts: 28,
};

/// Most whois queries for one digest: registries block clients with hundreds of queries.
const ASKED: usize = 10;

/// Writes mails about what it hears, until the daemon stops.
pub async fn run(mailer: Mailer, hearing: EventReceiver, whois: Arc<Whois>, clock: Clock) {
    deliver(mailer, hearing, whois, clock, RETRY).await;
}

async fn deliver(
    mailer: Mailer,
    hearing: EventReceiver,
    whois: Arc<Whois>,
    clock: Clock,
    retry: Retry,
) {
    let (settings, post) = mailer.into_parts();
    let outbox = Outbox::new(ROOM, hearing.voice());
    let write = Writer { settings: &settings, post: &post, outbox: &outbox, clock };
    let written = async {
        write.all(hearing, whois).await;
        outbox.close();
    };
    let sent = outbox.empty(retry, async |message: &Message| post.send(message).await);
    tokio::join!(written, sent);
}

struct Writer<'a> {
    settings: &'a MailSettings,
    post: &'a Post,
    outbox: &'a Outbox<Message>,
    clock: Clock,
}

impl Writer<'_> {
    async fn all(&self, mut hearing: EventReceiver, whois: Arc<Whois>) {
        let mut collector = Collector::new(self.settings.digest);
        let mut questions =
            Questions { whois, open: JoinSet::new(), asked: 0, answers: Vec::new() };
        loop {
            let due = collector.due();
            tokio::select! {
                heard = hearing.next() => match heard {
                    Some(record) => {
                        collector.note(&record, Instant::now());
                        if self.settings.whois {
                            questions.ask_about(&record);
                        }
                    }
                    None => break,
                },
                () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {}
            }
            self.put(collector.alarms(Instant::now()));
            if let Some(digest) = collector.digest(Instant::now()) {
                self.put(Some(digest.with_whois(&questions.take())));
            }
        }
        let (alarms, digest) = collector.rest();
        self.put(alarms);
        self.put(digest.map(|digest| digest.with_whois(&questions.take())));
    }

    fn put(&self, letter: Option<MailText>) {
        let Some(letter) = letter else { return };
        let now = self.clock.now();
        for message in self.post.address(&letter, now) {
            self.outbox.put(message);
        }
    }
}

/// What whois was asked for the next digest.
struct Questions {
    whois: Arc<Whois>,
    open: JoinSet<(IpAddr, Result<Answer, WhoisError>)>,
    asked: usize,
    answers: Vec<(IpAddr, Answer)>,
}

impl Questions {
    fn ask_about(&mut self, record: &Record) {
        let Record::Ban(ban) = record else { return };
        if self.asked >= ASKED {
            return;
        }
        self.asked += 1;
        let address = ban.cause.evidence().map_or(ban.net.addr(), |evidence| evidence.address);
        let whois = Arc::clone(&self.whois);
        self.open.spawn(async move { (address, whois.look_up(address).await) });
    }

    /// The answers so far. The mail does not wait for the others.
    fn take(&mut self) -> Vec<(IpAddr, Answer)> {
        while let Some(done) = self.open.try_join_next() {
            if let Ok((address, Ok(answer))) = done {
                self.answers.push((address, answer));
            }
        }
        // What comes later is remembered by `Whois` for the next ban of that address.
        self.open.detach_all();
        self.asked = 0;
        std::mem::take(&mut self.answers)
    }
}

#[cfg(test)]
mod tests;
