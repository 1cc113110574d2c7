//! Time spans as the file writes them.

use std::ops::RangeInclusive;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::error::Problem;
use sipward_model::text;

/// A time span written as `90s`, `10m`, `1h`, `7d`, or as whole seconds (as fail2ban writes them).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span(Duration);

impl Span {
    pub(super) fn get(self) -> Duration {
        self.0
    }
}

/// Puts what is written over the default.
pub(super) fn set(field: &mut Duration, written: Option<Span>) {
    super::set(field, written.map(Span::get));
}

/// Refuses a span out of its range.
pub(super) fn within(
    key: &str,
    span: Duration,
    range: RangeInclusive<Duration>,
) -> Result<(), Problem> {
    if range.contains(&span) {
        return Ok(());
    }
    let (least, most) = (text::Span::from(*range.start()), text::Span::from(*range.end()));
    let span = text::Span::from(span);
    Err(Problem::new(key, format!("{span} is not between {least} and {most}")))
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged, expecting = "expected a time span such as \"10m\", \"1h\", \"7d\"")]
        enum Written {
            Seconds(i64),
            Text(String),
        }
        let span = match Written::deserialize(deserializer)? {
            Written::Seconds(seconds) => {
                u64::try_from(seconds).map(Duration::from_secs).map_err(|_| {
                    serde::de::Error::custom(
                        "a time span cannot be negative; the longest ban of the policy is 365d",
                    )
                })?
            }
            Written::Text(text) => humantime::parse_duration(&text).map_err(|e| {
                serde::de::Error::custom(format!(
                    "`{}` is not a time span ({e}); write 90s, 10m, 1h or 7d",
                    text.escape_debug()
                ))
            })?,
        };
        Ok(Self(span))
    }
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&text::Span::from(self.0))
    }
}
