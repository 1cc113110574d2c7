//! Bans as lines of a table.

use std::borrow::Cow;

use csv::{Terminator, WriterBuilder};

use sipward_model::text::{Plain, api_name};
use sipward_model::wire::Ban;

/// The columns. Later versions append.
const HEAD: [&str; 24] = [
    "network",
    "since",
    "until",
    "remaining_seconds",
    "origin",
    "state",
    "error",
    "by",
    "split_of",
    "comment",
    "rule",
    "address",
    "identity",
    "failures",
    "score",
    "max_failures",
    "window_seconds",
    "grade",
    "ban_count",
    "users",
    "profile",
    "user_agent",
    "report",
    "scope",
];

/// The names of the columns.
pub(super) fn head() -> Vec<u8> {
    written([HEAD.map(Cow::Borrowed)])
}

/// A line for each ban.
pub(super) fn lines(bans: &[Ban]) -> Vec<u8> {
    written(bans.iter().map(line))
}

fn written<'a>(lines: impl IntoIterator<Item = [Cow<'a, str>; HEAD.len()]>) -> Vec<u8> {
    // RFC 4180 section 2.1: lines end with CRLF.
    let mut out = WriterBuilder::new().terminator(Terminator::CRLF).from_writer(Vec::new());
    for line in lines {
        // Into memory it cannot fail, and all lines have as many cells.
        let _ = out.write_record(line.iter().map(|cell| cell.as_bytes()));
    }
    out.into_inner().unwrap_or_default()
}

fn line(ban: &Ban) -> [Cow<'static, str>; HEAD.len()] {
    let evidence = ban.cause.evidence.as_ref();
    let text = |text: Option<String>| Cow::Owned(text.unwrap_or_default());
    let number = |number: Option<f64>| text(number.map(|number| number.to_string()));
    let count = |count: Option<u32>| text(count.map(|count| count.to_string()));
    let said = |said: Option<&String>| text(said.map(|said| defused(said)));
    [
        text(Some(ban.net.to_string())),
        text(Some(ban.since.to_string())),
        text(ban.until.map(|until| until.to_string())),
        number(ban.remaining_seconds),
        text(Some(api_name(&ban.origin))),
        text(Some(api_name(&ban.state))),
        said(ban.error.as_ref()),
        text(Some(api_name(&ban.cause.by))),
        text(ban.cause.split_of.map(|net| net.to_string())),
        said(ban.cause.comment.as_ref()),
        text(evidence.map(|seen| api_name(&seen.rule))),
        text(evidence.map(|seen| seen.address.to_string())),
        text(evidence.map(|seen| api_name(&seen.identity))),
        count(evidence.map(|seen| seen.failures)),
        number(evidence.map(|seen| seen.score)),
        count(evidence.map(|seen| seen.max_failures)),
        number(evidence.map(|seen| seen.window_seconds)),
        text(evidence.map(|seen| api_name(&seen.grade))),
        count(evidence.map(|seen| seen.ban_count)),
        text(evidence.map(|seen| defused(&seen.users.join(" ")))),
        said(evidence.and_then(|seen| seen.profile.as_ref())),
        said(evidence.and_then(|seen| seen.user_agent.as_ref())),
        said(evidence.and_then(|seen| seen.report.as_ref())),
        text(Some(api_name(&ban.scope))),
    ]
}

/// A stranger's text that neither a spreadsheet takes for a formula nor a terminal for a command.
fn defused(text: &str) -> String {
    if text.is_empty() {
        return String::new();
    }
    let plain = Plain(text).to_string();
    let risky = text.starts_with(['=', '+', '-', '@', '\t', '\r']);
    if risky { format!("'{plain}") } else { plain }
}
