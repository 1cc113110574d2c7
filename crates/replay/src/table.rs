//! The outcome for people: short tables that fit 80 columns. Text that came from the network is escaped.

mod cells;

use std::fmt::{self, Display};

use sipward_engine::{Cause, Evidence, Refusal};

use self::cells::{count, row, rows, short_time, shortened, some};
use super::compare::{Both, Comparison};
use super::report::{Banned, Healthy, Listed, Report, Shadow, Told};
use super::tally::{Kind, Tally, Unread};
use sipward_model::record::Record;
use sipward_model::text::{Plain, Span, Time};

/// Widest line, in columns: a terminal as it always was.
pub const COLUMNS: usize = 80;

/// Rows of a table; the JSON form has them all.
const ROWS: usize = 100;

/// Lines of what is reported beside the bans.
const LINES: usize = 20;

/// Everything that was replayed, and what one or two policies made of it.
#[derive(Debug)]
pub struct Outcome<'r> {
    /// What was read.
    pub sources: &'r [Tally],
    /// In which zone the times of log lines were read; `None` when none was needed.
    pub zone: Option<&'r str>,
    /// What the first policy made of it.
    pub first: &'r Report,
    /// The other policy, and the difference.
    pub second: Option<(&'r Report, &'r Comparison)>,
}

impl Display for Outcome<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.input(f)?;
        match self.second {
            None => report(f, self.first, self.has_logins()),
            Some((second, comparison)) => {
                for (letter, report) in [('A', self.first), ('B', second)] {
                    writeln!(f, "\nPolicy {letter}: {}", Plain(&report.policy))?;
                    totals(f, report)?;
                    healthy(f, &report.healthy, self.has_logins())?;
                }
                difference(f, comparison)
            }
        }
    }
}

impl Outcome<'_> {
    fn has_logins(&self) -> bool {
        self.sources.iter().any(|source| source.kind == Kind::Recording)
    }

    fn input(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sum = |of: fn(&Tally) -> u64| self.sources.iter().map(of).sum::<u64>();
        let files = self.sources.len();
        let (events, lines) = (sum(|s| s.events), sum(|s| s.log_lines));
        writeln!(
            f,
            "Replayed {}: {}, {}",
            count(files as u64, "file"),
            count(events, "event"),
            count(lines, "log message")
        )?;
        let from = self.sources.iter().filter_map(|source| source.from).min();
        let to = self.sources.iter().filter_map(|source| source.to).max();
        if let Some((from, to)) = from.zip(to) {
            let length = Span(to.0.since(from.0).as_secs_f64());
            writeln!(f, "from {from}\nto   {to} ({length})")?;
        }
        if let Some(zone) = self.zone {
            writeln!(f, "log files: local time taken as {zone} (--utc-offset sets another)")?;
        }
        self.sources.iter().try_for_each(|source| trouble(f, source))
    }
}

/// What of a file was of no use.
fn trouble(f: &mut fmt::Formatter<'_>, source: &Tally) -> fmt::Result {
    let file = Plain(&source.file);
    if source.damaged > 0 {
        let (places, bytes) = (count(source.damaged, "damaged place"), source.skipped_bytes);
        writeln!(f, "! {file}:\n    {places}, {bytes} bytes lost")?;
    }
    for Unread { kind, rows, first_line, first } in &source.unread {
        let first = Plain(first).to_string();
        let first = if first.is_empty() {
            String::new()
        } else {
            format!(": {}", shortened(&first, COLUMNS / 2))
        };
        writeln!(
            f,
            "! {file}:\n    {rows} of {} {}:\n    first at line {first_line}{first}",
            count(source.rows, "row"),
            kind.as_words()
        )?;
    }
    if source.steps > 0 {
        let times = count(source.steps, "time");
        writeln!(
            f,
            "! {file}:\n    the clock was set back {times}; from there on times are counted on"
        )?;
    }
    // Those of a log file are among the rows above.
    let is_recording = u64::from(source.kind == Kind::Recording);
    for (number, what) in [
        (source.unusable * is_recording, "cannot be read"),
        (source.undated * is_recording, "without a time"),
        (source.set_back, "out of order by more than a second: judged late"),
    ] {
        if number > 0 {
            writeln!(f, "! {file}:\n    {}, {what}", count(number, "item"))?;
        }
    }
    match &source.ended_early {
        Some(error) => writeln!(f, "! {file}:\n    not read to its end: {}", Plain(error)),
        None => Ok(()),
    }
}

fn report(f: &mut fmt::Formatter<'_>, report: &Report, has_logins: bool) -> fmt::Result {
    writeln!(f, "Policy: {}\n", Plain(&report.policy))?;
    totals(f, report)?;
    if !report.bans.entries.is_empty() {
        heading(f)?;
        rows(f, &report.bans, ROWS, banned)?;
    }
    shadows(f, &report.shadowed)?;
    writeln!(f)?;
    healthy(f, &report.healthy, has_logins)?;
    told(f, "Needs attention", &report.attention)?;
    told(f, "Flows denied", &report.flows)?;
    told(f, "Refused", &report.refused)?;
    told(f, "Alarms", &report.alarms)?;
    if report.acl_questions > 0 {
        writeln!(
            f,
            "\nThe daemon would have asked FreeSWITCH {} times whether an access list\n\
             (allow_acl) allows a source; a replay cannot.",
            report.acl_questions
        )?;
    }
    Ok(())
}

fn totals(f: &mut fmt::Formatter<'_>, report: &Report) -> fmt::Result {
    let failures = report.counters.failures;
    write!(f, "{} judged", count(failures.total(), "failure"))?;
    for (number, grade) in [
        (failures.answered, "answered"),
        (failures.assumed, "assumed"),
        (failures.unchallenged, "unchallenged"),
        (failures.unproven, "unproven"),
        (failures.unjoined, "unjoined"),
    ] {
        if number > 0 {
            write!(f, ", {number} {grade}")?;
        }
    }
    let complaints = report.counters.complaints;
    if complaints > 0 {
        write!(f, "; {} in the log", count(complaints, "complaint"))?;
    }
    if report.forged_events > 0 {
        write!(f, "\n{} sent by other Event Socket clients", count(report.forged_events, "event"))?;
    }
    if report.unusable_events > 0 {
        write!(f, "\n{} unusable", count(report.unusable_events, "event"))?;
    }
    let mut networks: Vec<_> = report.bans.entries.iter().map(|ban| ban.net).collect();
    networks.sort_unstable();
    networks.dedup();
    let (bans, networks) = (report.bans.total, networks.len() as u64);
    match bans {
        0 => writeln!(f, "\nNothing would have been banned."),
        _ => writeln!(
            f,
            "\nWould have been banned: {}, {}",
            count(networks, "network"),
            count(bans, "ban")
        ),
    }
}

fn heading(f: &mut fmt::Formatter<'_>) -> fmt::Result {
    row(f, &["WHEN (UTC)", "NETWORK", "RULE", "SEEN", "FOR", "USERS"])
}

fn banned(f: &mut fmt::Formatter<'_>, ban: &Banned) -> fmt::Result {
    let length = match ban.until {
        Some(until) => Span(until.0.since(ban.since.0).as_secs_f64()).to_string(),
        None => "ever".to_owned(),
    };
    cause_row(f, ban.since, &ban.net.to_string(), &ban.cause, &length)?;
    if !ban.hits_healthy() {
        return Ok(());
    }
    let mut when = Vec::new();
    if ban.logged_in_before {
        when.push("before".to_owned());
    }
    if ban.logins_during > 0 {
        when.push(format!("during it ({} lost)", count(ban.logins_during, "login")));
    }
    if ban.logged_in_after {
        when.push("after".to_owned());
    }
    writeln!(f, "    ! a user logged in from there {}", when.join(", "))
}

fn cause_row(
    f: &mut fmt::Formatter<'_>,
    at: Time,
    source: &str,
    cause: &Cause,
    length: &str,
) -> fmt::Result {
    let (rule, seen, who) = match cause.evidence() {
        Some(evidence) => (evidence.rule.as_str().to_owned(), seen(evidence), who(evidence)),
        None => (String::new(), String::new(), String::new()),
    };
    row(f, &[&short_time(at), source, &rule, &seen, length, &who])
}

fn seen(evidence: &Evidence) -> String {
    format!("{} in {}", evidence.failures, Span(evidence.window.as_secs_f64()))
}

/// The users tried; where there are none, the text of a report or a log line.
fn who(evidence: &Evidence) -> String {
    let Some(details) = &evidence.details else { return String::new() };
    if let Some(reason) = &details.reason {
        return Plain(reason).to_string();
    }
    let users: Vec<String> = details.users.iter().map(|user| Plain(user).to_string()).collect();
    users.join(" ")
}

fn shadows(f: &mut fmt::Formatter<'_>, shadowed: &Listed<Shadow>) -> fmt::Result {
    let (shadow, weak): (Vec<_>, Vec<_>) =
        shadowed.entries.iter().partition(|shadow| shadow.rule_in_shadow);
    let mut rules: Vec<&str> =
        shadow.iter().filter_map(|shadow| Some(shadow.cause.evidence()?.rule.as_str())).collect();
    rules.sort_unstable();
    rules.dedup();
    if let Some(example) = rules.first() {
        writeln!(
            f,
            "\nWould be banned if the rule were not in shadow ([policy.rules.{example}]\n\
             mode = \"ban\"): {}",
            shadow.len()
        )?;
        heading(f)?;
        some(f, &shadow, ROWS, |f, shadow| shadow_row(f, shadow))?;
    }
    if !weak.is_empty() {
        writeln!(
            f,
            "\nNot banned, because the evidence is below the rule's min_grade: {}",
            weak.len()
        )?;
        heading(f)?;
        some(f, &weak, ROWS, |f, shadow| shadow_row(f, shadow))?;
    }
    if shadowed.left_out() > 0 {
        writeln!(f, "... and {} more of these", shadowed.left_out())?;
    }
    Ok(())
}

fn shadow_row(f: &mut fmt::Formatter<'_>, shadow: &Shadow) -> fmt::Result {
    cause_row(f, shadow.at, &shadow.net.to_string(), &shadow.cause, "-")
}

fn healthy(f: &mut fmt::Formatter<'_>, healthy: &Healthy, has_logins: bool) -> fmt::Result {
    let Healthy { logins, addresses, logins_not_kept, banned, logins_lost } = healthy;
    if !has_logins {
        return f.write_str(
            "Healthy phones: unknown, because log files contain no log-ins. A recording\n\
             (`sipward record`) has them.\n",
        );
    }
    if *logins == 0 {
        return writeln!(f, "Healthy phones: no log-ins.");
    }
    writeln!(
        f,
        "Healthy phones: {} from {}. Bans would have covered {}\n\
         of these addresses and lost {}.",
        count(*logins, "login"),
        count(*addresses, "address"),
        banned.len(),
        count(*logins_lost, "login"),
    )?;
    let named: Vec<_> = banned.iter().collect();
    some(f, &named, LINES, |f, (address, user)| {
        let line = format!("  ! {address} user {}", Plain(user));
        writeln!(f, "{}", shortened(&line, COLUMNS))
    })?;
    if *logins_not_kept > 0 {
        let many = count(*logins_not_kept, "login");
        writeln!(f, "  {many} from addresses beyond the limit: not examined")?;
    }
    Ok(())
}

fn told(f: &mut fmt::Formatter<'_>, title: &str, list: &Listed<Told>) -> fmt::Result {
    if list.total == 0 {
        return Ok(());
    }
    writeln!(f, "\n{title}: {}", list.total)?;
    rows(f, list, LINES, |f, told| {
        let line = format!("{} {}", short_time(told.at), words(&told.record));
        writeln!(f, "{}", shortened(&line, COLUMNS))
    })
}

/// As in the log, without the title, which is above it already.
fn words(record: &Record) -> String {
    match record {
        Record::Refused { net, refusal: Refusal::Covered { net: wider }, .. } => {
            format!("{net}: {wider} is banned at least as long")
        }
        record => {
            let line = record.to_string();
            let titles = ["needs attention: ", "not banned: ", "ALARM "];
            let bare = titles.iter().find_map(|title| line.strip_prefix(title));
            bare.map_or_else(|| line.clone(), str::to_owned)
        }
    }
}

fn difference(f: &mut fmt::Formatter<'_>, found: &Comparison) -> fmt::Result {
    let Comparison { same, only_first, only_second, first_sooner, second_sooner, incomplete } =
        found;
    writeln!(f, "\nBanned by both at the same moment: {}", count(*same, "network"))?;
    for (title, list) in [("Banned by A only", only_first), ("Banned by B only", only_second)] {
        writeln!(f, "{title}: {}", count(list.len() as u64, "network"))?;
        if !list.is_empty() {
            heading(f)?;
            some(f, list, ROWS, banned)?;
        }
    }
    for (title, list) in [("Sooner by A", first_sooner), ("Sooner by B", second_sooner)] {
        writeln!(f, "{title}: {}", count(list.len() as u64, "network"))?;
        some(f, list, ROWS, |f, Both { net, first, second }| {
            let apart = first.0.since(second.0).max(second.0.since(first.0));
            let (a, b) = (short_time(*first), short_time(*second));
            let line = format!("  {net}  A {a}  B {b}  {}", Span(apart.as_secs_f64()));
            writeln!(f, "{}", shortened(&line, COLUMNS))
        })?;
    }
    if *incomplete {
        writeln!(f, "There are more bans than the limit: differences may be missing.")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
