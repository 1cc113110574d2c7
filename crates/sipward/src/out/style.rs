//! Colour, and how times are written: chosen once, from the command line and from what standard output is.

use std::ffi::OsStr;
use std::io::{self, IsTerminal as _};
use std::sync::OnceLock;

use clap::ValueEnum;
use jiff::tz::TimeZone;
use sipward_model::text::Time;

/// When text is coloured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    /// On a terminal, unless `NO_COLOR` is set or `TERM` is `dumb`.
    #[default]
    Auto,
    /// Also into a pipe or a file.
    Always,
    /// Never.
    Never,
}

impl Color {
    /// `NO_COLOR` counts when it is not empty (<https://no-color.org>).
    fn applies(self, is_terminal: bool, no_color: Option<&OsStr>, term: Option<&OsStr>) -> bool {
        let is_set = no_color.is_some_and(|value| !value.is_empty());
        let is_dumb = term.is_some_and(|term| term == "dumb");
        match self {
            Self::Auto => is_terminal && !is_set && !is_dumb,
            Self::Always => true,
            Self::Never => false,
        }
    }
}

/// What a colour says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tone {
    Head,
    Good,
    Warning,
    Bad,
}

#[derive(Debug)]
struct Style {
    colored: bool,
    /// Times are shown in [`Style::zone`], and else as RFC 3339 in UTC.
    local: bool,
    /// Of times that the operator writes, too.
    zone: TimeZone,
}

/// Until it is chosen, as in tests: no colour, UTC.
static STYLE: OnceLock<Style> = OnceLock::new();

/// Chooses for the whole program; the first call counts.
pub(crate) fn choose(color: Color, utc: bool) {
    let is_terminal = io::stdout().is_terminal();
    let (no_color, term) = (std::env::var_os("NO_COLOR"), std::env::var_os("TERM"));
    let colored = color.applies(is_terminal, no_color.as_deref(), term.as_deref());
    // What draws on the terminal itself asks there.
    ratatui::crossterm::style::force_color_output(colored);
    let zone = if utc { TimeZone::UTC } else { TimeZone::try_system().unwrap_or(TimeZone::UTC) };
    let _ = STYLE.set(Style { colored, local: is_terminal && !utc, zone });
}

/// The zone in which the operator reads and writes times.
pub(crate) fn zone() -> TimeZone {
    STYLE.get().map_or(TimeZone::UTC, |style| style.zone.clone())
}

/// Text in the colour of its tone, where colour is wanted.
pub(crate) fn paint(text: &str, tone: Tone) -> String {
    if STYLE.get().is_some_and(|style| style.colored) {
        colored(text, tone)
    } else {
        text.to_owned()
    }
}

fn colored(text: &str, tone: Tone) -> String {
    let code = match tone {
        Tone::Head => "1",
        Tone::Good => "32",
        Tone::Warning => "33",
        Tone::Bad => "1;31",
    };
    format!("\u{1b}[{code}m{text}\u{1b}[0m")
}

/// A time as the operator reads it: local time with its zone on a terminal; with `--utc`, and where standard output
/// is no terminal, RFC 3339 in UTC.
pub(crate) fn time(time: Time) -> String {
    match STYLE.get() {
        Some(Style { local: true, zone, .. }) => local(time, zone, "%Y-%m-%d %H:%M:%S %Z"),
        Some(_) | None => time.to_string(),
    }
}

/// Hours, minutes and seconds in the operator's zone.
pub(crate) fn clock(time: Time) -> String {
    local(time, &zone(), "%H:%M:%S")
}

/// The name of the operator's zone at a time: `CET`, `UTC`.
pub(crate) fn zone_name(time: Time) -> String {
    local(time, &zone(), "%Z")
}

fn local(time: Time, zone: &TimeZone, format: &str) -> String {
    let micros = i64::try_from(time.0.as_micros()).unwrap_or(i64::MAX);
    match jiff::Timestamp::from_microsecond(micros) {
        Ok(timestamp) => timestamp.to_zoned_datetime(zone.clone()).strftime(format).to_string(),
        // Beyond the year 9999.
        Err(_) => time.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colour_is_for_terminals_that_want_it() {
        let auto = |is_terminal, no_color: Option<&str>, term: &str| {
            Color::Auto.applies(is_terminal, no_color.map(OsStr::new), Some(OsStr::new(term)))
        };
        assert!(auto(true, None, "xterm"));
        assert!(auto(true, Some(""), "xterm"), "an empty NO_COLOR says nothing");
        assert!(!auto(true, Some("1"), "xterm"));
        assert!(!auto(true, None, "dumb"));
        assert!(!auto(false, None, "xterm"));
        assert!(
            Color::Always.applies(false, Some(OsStr::new("1")), None),
            "the option is stronger"
        );
        assert!(!Color::Never.applies(true, None, None));
    }

    #[test]
    fn local_times_have_their_zone_also_across_a_change_of_the_clocks() {
        // Rule of POSIX: an hour before UTC in winter, two in summer, from the last Sunday of March.
        let zone = TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap();
        let at = |text: &str| local(text.parse().unwrap(), &zone, "%Y-%m-%d %H:%M:%S %Z");
        assert_eq!(at("2026-11-23T22:01:02.345Z"), "2026-11-23 23:01:02 CET");
        assert_eq!(at("2026-03-29T01:00:00Z"), "2026-03-29 03:00:00 CEST");
        let far = Time(sipward_engine::Timestamp::from_micros(u64::MAX));
        assert_eq!(local(far, &zone, "%Y"), "9999-12-31T23:59:59.999Z");
    }
}
