//! Values as text for people.

use std::fmt::{self, Write as _};
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sipward_engine::Timestamp;

/// The API's name of a value: of an enum's variant its word, of anything else its JSON.
pub fn api_name(value: &impl Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(name)) => name,
        Ok(other) => other.to_string(),
        Err(_) => String::new(),
    }
}

/// A time, RFC 3339 in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Time(pub Timestamp);

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let micros = i64::try_from(self.0.as_micros()).unwrap_or(i64::MAX);
        match jiff::Timestamp::from_microsecond(micros) {
            Ok(time) => write!(f, "{time:.3}"),
            // Beyond the year 9999, which RFC 3339 cannot write.
            Err(_) => f.write_str("9999-12-31T23:59:59.999Z"),
        }
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl std::str::FromStr for Time {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let time = text.parse::<jiff::Timestamp>();
        let time = time.map_err(|_| "write a time such as 2026-11-23T22:00:00Z".to_owned())?;
        // The engine counts from the epoch on.
        Ok(Self(Timestamp::from_micros(u64::try_from(time.as_microsecond()).unwrap_or_default())))
    }
}

/// An end that a person has written: a day, which is over before its 00:00 UTC, or a time.
pub fn read_end(text: &str) -> Result<Time, String> {
    let wrong =
        |_| "write a day such as 2026-12-01, or a time such as 2026-12-01T18:00:00Z".to_owned();
    match text.len() {
        10 => format!("{text}T00:00:00Z").parse().map_err(wrong),
        _ => text.parse().map_err(wrong),
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// Seconds as [`read_span`] reads them, and as the configuration file has them: `10m`, `1d 12h`, `1s 500ms`. Spans of a
/// minute and more are shown without milliseconds.
#[derive(Clone, Copy, Debug)]
pub struct Span(pub f64);

impl From<Duration> for Span {
    fn from(span: Duration) -> Self {
        Self(span.as_secs_f64())
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let span = Duration::try_from_secs_f64(self.0).unwrap_or_default();
        let millis = if span.as_secs() < 60 { u64::from(span.subsec_millis()) } else { 0 };
        let (mut left, mut parts) = (span.as_secs(), 0);
        for (length, unit) in [(86_400, "d"), (3_600, "h"), (60, "m"), (1, "s")] {
            if left >= length {
                let gap = if parts > 0 { " " } else { "" };
                write!(f, "{gap}{}{unit}", left / length)?;
                left %= length;
                parts += 1;
            }
        }
        match (parts, millis) {
            (0, 0) => f.write_str("0s"),
            (_, 0) => Ok(()),
            (0, millis) => write!(f, "{millis}ms"),
            (_, millis) => write!(f, " {millis}ms"),
        }
    }
}

/// `12,345`.
#[derive(Clone, Copy, Debug)]
pub struct Thousands(pub u64);

impl fmt::Display for Thousands {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.0.to_string();
        for (place, digit) in digits.chars().enumerate() {
            if place > 0 && (digits.len() - place).is_multiple_of(3) {
                f.write_char(',')?;
            }
            f.write_char(digit)?;
        }
        Ok(())
    }
}

/// The form of a noun that goes with a number: `ban` for 1, else `bans`; `address` has `addresses`.
#[must_use]
pub fn plural(number: u64, noun: &str) -> String {
    let ending = match noun {
        _ if number == 1 => "",
        noun if noun.ends_with("address") => "es",
        _ => "s",
    };
    format!("{noun}{ending}")
}

/// `1 ban`, `2 bans`, `0 addresses`.
#[must_use]
pub fn count(number: u64, noun: &str) -> String {
    format!("{number} {}", plural(number, noun))
}

/// Reads a span as the configuration file writes it: `90s`, `10m`, `2h`, `7d`, or a number of seconds.
///
/// # Errors
/// What to write instead, if the text is no span or the span is shorter than a second.
pub fn read_span(text: &str) -> Result<Duration, String> {
    let read = match text.parse() {
        Ok(seconds) => Ok(Duration::from_secs(seconds)),
        Err(_) => humantime::parse_duration(text),
    };
    match read {
        Ok(span) if span.as_secs() == 0 => Err("at least 1s".to_owned()),
        Ok(span) => Ok(span),
        Err(error) => Err(format!("{error}; write 90s, 10m, 2h or 7d")),
    }
}

/// Whether a character controls a terminal or a line, or is invisible: controls (C0, DEL, C1), line and paragraph
/// separators, characters of Unicode's Cf that change the text direction or show nothing.
#[must_use]
pub fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{ad}'
                | '\u{61c}'
                | '\u{180e}'
                | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{feff}'
                | '\u{fff9}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e007f}'
        )
}

/// Text from the network, with control and invisible characters escaped; `-` when empty.
#[derive(Clone, Copy, Debug)]
pub struct Plain<'a>(pub &'a str);

impl fmt::Display for Plain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("-");
        }
        for c in self.0.chars() {
            // `escape_debug` knows what is not printable; quotes are.
            if c == '"' || c == '\'' {
                f.write_char(c)?;
            } else {
                c.escape_debug().try_for_each(|c| f.write_char(c))?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_is_read_as_what_is_shown() {
        for (seconds, words) in [
            (0.0, "0s"),
            (0.25, "250ms"),
            (1.5, "1s 500ms"),
            (59.0, "59s"),
            (60.25, "1m"),
            (5_400.0, "1h 30m"),
            (129_605.0, "1d 12h 5s"),
            // No months, which are no number of days.
            (31_536_000.0, "365d"),
        ] {
            assert_eq!(Span(seconds).to_string(), words);
            let shown = if seconds < 60.0 { seconds } else { seconds.floor() };
            let read = read_span(words).map(|span| span.as_secs_f64());
            assert_eq!(read.ok(), Some(shown).filter(|shown| *shown >= 1.0), "{words}");
        }
    }

    #[test]
    fn one_thing_has_no_plural() {
        let counted = [(0, "ban"), (1, "ban"), (2, "ban"), (1, "address"), (2, "address")]
            .map(|(number, noun)| count(number, noun));
        assert_eq!(counted, ["0 bans", "1 ban", "2 bans", "1 address", "2 addresses"]);
    }
}
