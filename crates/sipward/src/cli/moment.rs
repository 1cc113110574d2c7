//! Times as an operator writes them: `1h`, `yesterday`, `2026-11-29`, `2026-11-29T10:00`.

use std::str::FromStr;
use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use super::out;
use crate::client::ClientError;
use sipward_model::clock;
use sipward_model::text::{Time, read_span};

/// Longest text of a time, in bytes.
const MAX_TEXT: usize = 64;

/// A point in time as it was written.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Moment {
    /// So long ago.
    Ago(Duration),
    /// The beginning of the day so many days ago.
    Day(i64),
    /// A time of the operator's zone.
    Local(DateTime),
    /// A time with its zone.
    Exact(Timestamp),
}

impl FromStr for Moment {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = "write a span (1h, 7d), today, yesterday, a day (2026-11-29), or a time \
                     (2026-11-29T10:00, 2026-11-29T10:00:00Z)";
        if text.len() > MAX_TEXT {
            return Err(wrong.to_owned());
        }
        match text {
            "now" => return Ok(Self::Ago(Duration::ZERO)),
            "today" => return Ok(Self::Day(0)),
            "yesterday" => return Ok(Self::Day(1)),
            _ => {}
        }
        // A bare number is a year to one and seconds to the other.
        if text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(format!("{wrong}; a number needs its unit"));
        }
        if let Ok(exact) = text.parse() {
            return Ok(Self::Exact(exact));
        }
        if let Ok(local) = text.parse() {
            return Ok(Self::Local(local));
        }
        read_span(text).map(Self::Ago).map_err(|_| wrong.to_owned())
    }
}

impl Moment {
    /// Now.
    pub(super) fn now() -> Time {
        Time(clock::stamp(SystemTime::now()))
    }

    /// The time that is meant by the argument `name`.
    ///
    /// # Errors
    /// A time before 1970.
    pub(super) fn time(self, name: &str) -> Result<Time, ClientError> {
        let time = self.resolve(Self::now(), &out::zone());
        time.ok_or_else(|| ClientError::invalid(name, "before 1970"))
    }

    /// The same, of an argument that begins a span which lasts until now.
    ///
    /// # Errors
    /// A time before 1970, or in the future.
    pub(super) fn past(self, name: &str) -> Result<Time, ClientError> {
        let time = self.time(name)?;
        if time > Self::now() {
            let detail = format!("{} lies in the future", out::time(time));
            return Err(ClientError::invalid(name, &detail));
        }
        Ok(time)
    }

    fn resolve(self, now: Time, zone: &TimeZone) -> Option<Time> {
        let micros = i64::try_from(now.0.as_micros()).ok()?;
        let now = Timestamp::from_microsecond(micros).ok()?;
        let timestamp = match self {
            Self::Ago(span) => now.checked_sub(jiff::SignedDuration::try_from(span).ok()?).ok()?,
            Self::Day(days) => {
                let today = now.to_zoned_datetime(zone.clone()).date();
                let day = today.checked_sub(jiff::Span::new().days(days)).ok()?;
                day.to_zoned_datetime(zone.clone()).ok()?.timestamp()
            }
            Self::Local(local) => local.to_zoned_datetime(zone.clone()).ok()?.timestamp(),
            Self::Exact(timestamp) => timestamp,
        };
        let micros = u64::try_from(timestamp.as_microsecond()).ok()?;
        Some(Time(sipward_engine::Timestamp::from_micros(micros)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_they_are_written_in_the_operators_zone() {
        let zone = TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap();
        let now = "2026-11-29T23:30:00Z".parse().unwrap();
        let read = |text: &str| {
            let moment: Moment = text.parse().unwrap();
            moment.resolve(now, &zone).unwrap().to_string()
        };
        for (text, expected) in [
            ("1h", "2026-11-29T22:30:00.000Z"),
            ("1d 12h", "2026-11-28T11:30:00.000Z"),
            ("now", "2026-11-29T23:30:00.000Z"),
            // It is the 30th already where the operator is.
            ("today", "2026-11-29T23:00:00.000Z"),
            ("yesterday", "2026-11-28T23:00:00.000Z"),
            ("2026-11-29", "2026-11-28T23:00:00.000Z"),
            ("2026-11-29T10:00", "2026-11-29T09:00:00.000Z"),
            ("2026-11-29 10:00:30", "2026-11-29T09:00:30.000Z"),
            ("2026-07-01T10:00", "2026-07-01T08:00:00.000Z"),
            ("2026-11-29T10:00:00Z", "2026-11-29T10:00:00.000Z"),
            ("2026-11-29T10:00:00+05:00", "2026-11-29T05:00:00.000Z"),
            // This hour does not exist: the clocks went from two to three.
            ("2026-03-29T02:30", "2026-03-29T01:30:00.000Z"),
        ] {
            assert_eq!(read(text), expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_time_is_told_with_what_to_write() {
        for wrong in
            ["", "soon", "60", "2026", "-1h", "0s", "2026-13-01", "1h ago", "99999999999999999999y"]
        {
            let told = wrong.parse::<Moment>().unwrap_err();
            assert!(told.contains("yesterday"), "{wrong}: {told}");
        }
        assert!("1".repeat(65).parse::<Moment>().is_err());
        assert!("20000000d".parse::<Moment>().unwrap().past("since").is_err());
        let future = "2999-01-01".parse::<Moment>().unwrap().past("since").unwrap_err();
        assert!(future.to_string().contains("lies in the future"), "{future}");
    }
}
