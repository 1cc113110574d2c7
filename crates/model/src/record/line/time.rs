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
                "the system clock was set {way} by {span}; it is {now} now, bans keep their time left"
            )?;
            f.write_str(if *corrected { "; stored bans are read again by this time" } else { "" })
        }
        Record::ClockBehind { by_seconds, written } => write!(
            f,
            "the system clock is {} behind {written}, when an earlier run stored something: it is wrong now, or was \
             then; what is stored with a time to come counts from that run's end. Set the clock (NTP)",
            Span(*by_seconds)
        ),
        Record::Suspended { seconds } => {
            write!(f, "the machine was suspended for {}; bans ran on", Span(*seconds))
        }
        Record::Stalled { seconds } => write!(
            f,
            "nothing was judged for {}: the process was stopped, or found no processor",
            Span(*seconds)
        ),
        other => write!(f, "{:?}", other.kind()),
    }
}
