//! What every record carries.

use std::{
    fmt,
    time::{Duration, SystemTime},
};

use crate::CoreUuid;

/// Time, sequence, core and origin of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct EventMeta {
    /// `Event-Date-Timestamp`.
    pub time: EventTime,
    /// `Event-Sequence`: orders the events of one core. It counts all of them, so a filtered
    /// subscription sees gaps.
    pub sequence: u64,
    /// `Core-UUID`.
    pub core: CoreUuid,
    /// The sender of the event. Only [`Origin::Sofia`] is evidence.
    pub origin: Origin,
}

/// FreeSWITCH's clock at the event, in µs since 1970 UTC. It moves in steps of about 20 ms.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventTime(u64);

/// The sender of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Origin {
    /// `mod_sofia`: every `Event-Calling-File` is one of its files, and there is no `Command`.
    Sofia,
    /// Another client of the Event Socket, by `sendevent` (there is a `Command` header). Forged.
    Sendevent,
    /// Something else inside FreeSWITCH: a script, a dialplan's `event` application. Forged too.
    Elsewhere,
}

impl EventTime {
    /// From µs since 1970 UTC.
    #[must_use]
    pub const fn from_micros(micros: u64) -> Self {
        Self(micros)
    }

    /// µs since 1970 UTC.
    #[must_use]
    pub const fn as_micros(self) -> u64 {
        self.0
    }
}

impl From<EventTime> for SystemTime {
    fn from(time: EventTime) -> Self {
        // u64 µs are 584,000 years; the sum fits wherever seconds are 64 bits wide.
        Self::UNIX_EPOCH.checked_add(Duration::from_micros(time.0)).unwrap_or(Self::UNIX_EPOCH)
    }
}

impl fmt::Debug for EventTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} µs", self.0)
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sofia => "from mod_sofia",
            Self::Sendevent => "forged by sendevent",
            Self::Elsewhere => "not from mod_sofia",
        })
    }
}
