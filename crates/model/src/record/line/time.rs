//! Lines about time.

use std::fmt;

use super::Record;
use crate::text::Span;

pub(super) fn line(f: &mut fmt::Formatter<'_>, record: &Record) -> fmt::Result {
    match record {
        Record::ClockStepped { by_seconds, now, corrected } => {
            let way = if *by_seconds < 0.0 { "back" } else { "forward" };
            let span = Span(by_seconds.abs());
            write!(
                f,
                "the system clock was set {way} by {span}; it is {now} now; bans keep their \
                    remaining time"
            )?;
            f.write_str(if *corrected { "; stored bans are re-read with this time" } else { "" })
        }
        Record::ClockBehind { by_seconds, written } => write!(
            f,
            "the system clock is {} behind {written}, when an earlier run wrote to the store: it \
             is wrong now, or was wrong then. Stored times in the future count from the end of \
             that run. Set the clock (NTP)",
            Span(*by_seconds)
        ),
        Record::Suspended { seconds } => {
            write!(f, "the machine was suspended for {}; bans continued", Span(*seconds))
        }
        Record::Stalled { seconds } => write!(
            f,
            "nothing was judged for {}: the process was stopped, or got no CPU time",
            Span(*seconds)
        ),
        other => write!(f, "{:?}", other.kind()),
    }
}
