//! Records → contents and time of the next mails.

use std::time::Duration;

use tokio::time::Instant;

use super::text::{Lines, MailText};
use sipward_model::record::{Mail, Record};

/// Pause between two mails with alarms; alarms in between are in the second.
const ALARM_PAUSE: Duration = Duration::from_secs(60);

/// How long FreeSWITCH may be away before that is an alarm: a restart is not.
const AWAY: Duration = Duration::from_secs(60);

/// Collects until a mail is due.
pub(super) struct Collector {
    digest_after: Duration,
    digest_due: Option<Instant>,
    bans: Lines,
    unenforced: usize,
    unbans: usize,
    attention: Lines,
    alarms: Lines,
    /// Before this no further alarms are sent.
    quiet_until: Option<Instant>,
    away: Away,
}

/// Whether FreeSWITCH is connected.
enum Away {
    No,
    /// Not reported yet.
    Since(Instant, String),
    Told,
}

impl Collector {
    pub(super) fn new(digest_after: Duration) -> Self {
        Self {
            digest_after,
            digest_due: None,
            bans: Lines::default(),
            unenforced: 0,
            unbans: 0,
            attention: Lines::default(),
            alarms: Lines::default(),
            quiet_until: None,
            away: Away::No,
        }
    }

    /// Adds a record.
    pub(super) fn note(&mut self, record: &Record, now: Instant) {
        match record {
            Record::Ban(ban) => {
                self.bans.push(record);
                self.unenforced += usize::from(!ban.enforced);
                self.begin_digest(now);
            }
            Record::Unban { .. } => self.unbans += 1,
            Record::EslDisconnected { .. } => {
                if matches!(self.away, Away::No) {
                    self.away = Away::Since(now, record.to_string());
                }
            }
            Record::EslConnected { .. } => {
                if let Away::Told = std::mem::replace(&mut self.away, Away::No) {
                    self.alarms.push(record);
                }
            }
            other => match other.row().mail {
                Mail::No => {}
                Mail::Attention => {
                    self.attention.push(record);
                    self.begin_digest(now);
                }
                Mail::Alarm => self.alarms.push(record),
                Mail::Urgent => {
                    self.alarms.push(record);
                    self.quiet_until = None;
                }
            },
        }
    }

    /// When there is something to send next.
    pub(super) fn due(&self) -> Option<Instant> {
        let alarms = (!self.alarms.is_empty()).then_some(self.quiet_until).flatten();
        let away = match self.away {
            Away::Since(since, _) => Some(since + AWAY),
            Away::No | Away::Told => None,
        };
        [self.digest_due, alarms, away].into_iter().flatten().min()
    }

    /// The alarms, if they are due.
    pub(super) fn alarms(&mut self, now: Instant) -> Option<MailText> {
        if let Away::Since(since, line) = &self.away
            && now >= *since + AWAY
        {
            self.alarms.push(&format!("ALARM for 1 min: {line}"));
            self.away = Away::Told;
        }
        if self.alarms.is_empty() || self.quiet_until.is_some_and(|until| now < until) {
            return None;
        }
        self.quiet_until = Some(now + ALARM_PAUSE);
        Some(MailText::alarms(&std::mem::take(&mut self.alarms)))
    }

    /// The digest, if it is due.
    pub(super) fn digest(&mut self, now: Instant) -> Option<MailText> {
        self.digest_due.filter(|due| now >= *due)?;
        self.take_digest()
    }

    /// What is left at the end.
    pub(super) fn rest(mut self) -> (Option<MailText>, Option<MailText>) {
        let alarms = (!self.alarms.is_empty()).then(|| MailText::alarms(&self.alarms));
        (alarms, self.take_digest())
    }

    fn begin_digest(&mut self, now: Instant) {
        self.digest_due.get_or_insert(now + self.digest_after);
    }

    fn take_digest(&mut self) -> Option<MailText> {
        self.digest_due.take()?;
        Some(MailText::digest(
            std::mem::take(&mut self.bans),
            std::mem::take(&mut self.attention),
            std::mem::take(&mut self.unenforced),
            std::mem::take(&mut self.unbans),
        ))
    }
}
