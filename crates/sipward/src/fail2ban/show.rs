//! The import as a `sipward.toml`: what is not a setting is in comments, so that the whole text can be used as the
//! file.

use std::fmt::Write as _;
use std::time::Duration;

use sipward_engine::Scope;

use super::{RawAddress, StandingBan, Takeover};
use sipward_model::text::{Plain, Span, Time};

/// Writes the settings, then the bans and the notes as comments.
#[must_use]
pub fn to_toml(takeover: &Takeover) -> String {
    let mut out = String::new();
    // Writing into a string cannot fail.
    let _ = write(takeover, &mut out);
    out
}

fn write(takeover: &Takeover, out: &mut String) -> std::fmt::Result {
    let jails: Vec<String> =
        takeover.jails.iter().map(|jail| Plain(&jail.name).to_string()).collect();
    match jails.as_slice() {
        [] => writeln!(out, "# Imported from fail2ban.")?,
        _ => writeln!(out, "# Imported from fail2ban: jail {}.", jails.join(", "))?,
    }
    for note in &takeover.notes {
        writeln!(out, "# Note: {}", Plain(note))?;
    }
    writeln!(out)?;
    if !takeover.allow.is_empty() {
        // Addresses, networks and DNS names hold no character that TOML would read.
        writeln!(out, "# ignoreip; loopback and this host's own addresses are always protected.")?;
        writeln!(out, "allow = [")?;
        takeover.allow.iter().try_for_each(|host| writeln!(out, "  \"{host}\","))?;
        writeln!(out, "]\n")?;
    }
    let scope = takeover.scope.map(|scope| {
        let by = takeover.scope_by.as_deref().unwrap_or_default();
        format!("scope = \"{}\" # {}", scope.as_str(), Plain(by))
    });
    let settings = [
        scope,
        takeover.max_failures.map(|count| format!("max_failures = {count} # maxretry")),
        takeover.window_seconds.map(|seconds| format!("window = \"{}\" # findtime", span(seconds))),
        takeover.ban_time_seconds.map(|s| format!("ban_time = \"{}\" # bantime", span(s))),
        takeover
            .escalation_factor
            .map(|factor| format!("escalation.factor = {factor:?} # bantime.factor")),
        match (takeover.escalation_max_seconds, takeover.ban_time_seconds) {
            (Some(max), _) => Some(format!("escalation.max = \"{}\" # bantime.maxtime", span(max))),
            // sipward refuses a first ban that is longer than the longest.
            (None, Some(first)) if first > LONGEST_BY_DEFAULT => {
                Some(format!("escalation.max = \"{}\" # at least ban_time", span(first)))
            }
            (None, _) => None,
        },
    ];
    if settings.iter().any(Option::is_some) {
        writeln!(out, "[policy]")?;
        settings.iter().flatten().try_for_each(|line| writeln!(out, "{line}"))?;
        writeln!(out)?;
    }
    if let Some(RawAddress { threshold, window_seconds, ban_time_seconds }) = takeover.raw_address {
        writeln!(out, "[policy.rules.raw_address]\nmode = \"ban\"")?;
        let settings = [
            threshold.map(|count| format!("threshold = {count} # maxretry")),
            window_seconds.map(|seconds| format!("window = \"{}\" # findtime", span(seconds))),
            ban_time_seconds.map(|seconds| format!("ban_time = \"{}\" # bantime", span(seconds))),
        ];
        settings.iter().flatten().try_for_each(|line| writeln!(out, "{line}"))?;
        writeln!(out)?;
    }
    writeln!(out, "# Active bans: {}.", takeover.bans.len())?;
    takeover.bans.iter().try_for_each(|ban| writeln!(out, "#   {}", line(ban)))
}

/// Default of `policy.escalation.max`, in seconds.
const LONGEST_BY_DEFAULT: u64 = 7 * 86_400;

fn span(seconds: u64) -> String {
    Span::from(Duration::from_secs(seconds)).to_string()
}

fn line(ban: &StandingBan) -> String {
    let end = ban.until.map_or("permanent".to_owned(), |until| format!("until {}", Time(until)));
    let what = match ban.scope {
        Some(Scope::Sip) => " from the SIP ports",
        Some(Scope::Host) | None => "",
    };
    format!("{}{what} {end} (jail {})", ban.net, Plain(&ban.jail))
}
