//! Values as people read them.

use std::fmt::{self, Write as _};
use std::time::Duration;

use serde::{Serialize, Serializer};
use sipward_engine::Timestamp;

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

/// Seconds as `10m`, `1h`, `1.5s`.
#[derive(Clone, Copy, Debug)]
pub struct Span(pub f64);

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let span = Duration::try_from_secs_f64(self.0).unwrap_or_default();
        let millis = Duration::from_millis(u64::try_from(span.as_millis()).unwrap_or(u64::MAX));
        // Spans of a minute and more are not told to the millisecond.
        let shown =
            if millis.as_secs() >= 60 { Duration::from_secs(millis.as_secs()) } else { millis };
        write!(f, "{}", humantime::format_duration(shown))
    }
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
