//! The text of a mail.

use std::fmt::{Display, Write as _};
use std::net::IpAddr;

use sipward_engine::prefix;

use crate::whois::Answer;

/// Most lines of a kind in one mail; further ones are counted.
const MAX_LINES: usize = 50;

/// Longest line, in characters: a ban with ten users of 62 bytes each, escaped, may be longer.
const MAX_LINE: usize = 1_000;

/// Longest subject, in characters.
const MAX_SUBJECT: usize = 150;

/// Longest whois answer in a mail, in bytes. A mail contains up to ten.
const MAX_WHOIS: usize = 2_000;

/// Lines for people, at most [`MAX_LINES`] of them.
#[derive(Debug, Default)]
pub(super) struct Lines {
    lines: Vec<String>,
    count: usize,
}

impl Lines {
    pub(super) fn push(&mut self, line: &impl Display) {
        self.count += 1;
        if self.lines.len() < MAX_LINES {
            self.lines.push(cut(&one_line(&line.to_string()), MAX_LINE));
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.count == 0
    }

    fn write_to(&self, text: &mut String) {
        for line in &self.lines {
            text.push_str(line);
            text.push('\n');
        }
        let more = self.count - self.lines.len();
        if more > 0 {
            let _ = writeln!(text, "and {more} more; `sipward history` lists all");
        }
    }
}

/// A letter without addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct MailText {
    /// Behind `sipward on HOST: `. One line.
    pub(super) subject: String,
    pub(super) text: String,
}

impl MailText {
    pub(super) fn alarms(alarms: &Lines) -> Self {
        let first = alarms.lines.first().map_or("", String::as_str);
        let others = alarms.count.saturating_sub(1);
        let mut subject = cut(first, MAX_SUBJECT);
        if others > 0 {
            let _ = write!(subject, " (and {others} more)");
        }
        let mut text = String::new();
        alarms.write_to(&mut text);
        Self { subject, text }
    }

    pub(super) fn test() -> Self {
        Self {
            subject: "test mail".to_owned(),
            text: "This is a test by `sipward notify test`. Nothing happened.\n".to_owned(),
        }
    }

    pub(super) fn digest(bans: Lines, attention: Lines, unenforced: usize, unbans: usize) -> Self {
        let mut subject = counted(bans.count, "ban");
        if unenforced > 0 {
            let _ = write!(subject, ", {unenforced} NOT enforced");
        }
        if !attention.is_empty() {
            let phones = counted(attention.count, "phone");
            let need = if attention.count == 1 { "needs" } else { "need" };
            let _ = write!(subject, ", {phones} {need} attention");
        }
        let mut text = format!("{subject}; {} ended.\n", counted(unbans, "ban"));
        for part in [bans, attention] {
            if !part.is_empty() {
                text.push('\n');
                part.write_to(&mut text);
            }
        }
        Self { subject, text }
    }

    /// With what whois says of addresses in it.
    pub(super) fn with_whois(mut self, answers: &[(IpAddr, Answer)]) -> Self {
        for (address, Answer { server, text }) in answers {
            let _ = writeln!(self.text, "\nwhois {address} ({server}):\n");
            let shown = prefix(text, MAX_WHOIS);
            for line in shown.lines() {
                // Indented, so that no answer can look like a line of sipward.
                let _ = writeln!(self.text, "    {line}");
            }
            if shown.len() < text.len() {
                self.text.push_str("    [...]\n");
            }
        }
        self
    }
}

fn counted(count: usize, word: &str) -> String {
    sipward_model::text::count(count as u64, word)
}

/// Lines of records are already escaped. Errors of the system are not, but a mail needs that.
fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

fn cut(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}...", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}
