//! Times of log lines: local ones, some without a year.

use std::time::Duration;

use jiff::civil::{Date, DateTime};
use jiff::tz::{AmbiguousOffset, TimeZone};
use sipward_engine::Timestamp;

/// How the local times of a log are read.
#[derive(Clone, Debug)]
pub struct Local {
    zone: TimeZone,
    /// The log's newest line is no younger: decides the year where a line has none.
    newest: Timestamp,
}

impl Local {
    /// Times of `zone`, none of them after `newest`.
    #[must_use]
    pub const fn new(zone: TimeZone, newest: Timestamp) -> Self {
        Self { zone, newest }
    }

    /// `2026-11-22` or `11-22`, and `08:24:26.444097`.
    pub(super) fn read(&self, date: &[u8], time: &[u8]) -> Option<DateTime> {
        let (date, time) = (std::str::from_utf8(date).ok()?, std::str::from_utf8(time).ok()?);
        let time: jiff::civil::Time = time.parse().ok()?;
        let mut parts = date.split('-');
        let (first, second) = (parts.next()?, parts.next()?);
        let Some(third) = parts.next() else {
            let (month, day) = (first.parse().ok()?, second.parse().ok()?);
            return self.latest(month, day, time);
        };
        let date = Date::new(first.parse().ok()?, second.parse().ok()?, third.parse().ok()?);
        Some(date.ok()?.to_datetime(time))
    }

    /// The latest such day that is not after the log's end; a day of grace for clocks and zones.
    fn latest(&self, month: i8, day: i8, time: jiff::civil::Time) -> Option<DateTime> {
        let end = jiff::Timestamp::from_microsecond(i64::try_from(self.newest.as_micros()).ok()?);
        let end = self.zone.to_datetime(end.ok()?).date().tomorrow().ok()?;
        [end.year(), end.year() - 1]
            .into_iter()
            .filter_map(|year| Date::new(year, month, day).ok())
            .find(|date| *date <= end)
            .map(|date| date.to_datetime(time))
    }

    /// When that was, behind what was at `last`. Of an hour that never came it is the hour after; of one that came
    /// twice the first, unless that would lead back and the second would not.
    pub(super) fn stamp(&self, local: DateTime, last: Option<Timestamp>) -> Option<Timestamp> {
        /// Rows overtake each other, and clocks are set, by less than this.
        const SLACK: Duration = Duration::from_secs(300);
        let micros = |at: jiff::Timestamp| {
            u64::try_from(at.as_microsecond()).ok().map(Timestamp::from_micros)
        };
        let found = self.zone.to_ambiguous_timestamp(local);
        let first = micros(found.compatible().ok()?)?;
        let (AmbiguousOffset::Fold { .. }, Some(last)) = (found.offset(), last) else {
            return Some(first);
        };
        let second = micros(found.later().ok()?)?;
        let leads_back = |at| last.since(at) > SLACK;
        Some(if leads_back(first) && !leads_back(second) { second } else { first })
    }
}

/// `local` as if it were UTC, in µs since 1970.
pub(super) fn as_utc(local: DateTime) -> Option<i64> {
    Some(TimeZone::UTC.to_timestamp(local).ok()?.as_microsecond())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-03-01 00:00 UTC.
    const NEWEST: Timestamp = Timestamp::from_micros(1_772_323_200_000_000);

    fn read(zone: TimeZone, date: &str, time: &str) -> Option<String> {
        let local = Local::new(zone, NEWEST);
        let at = local.stamp(local.read(date.as_bytes(), time.as_bytes())?, None)?;
        Some(sipward_model::text::Time(at).to_string())
    }

    fn hours(hours: i8) -> TimeZone {
        TimeZone::fixed(jiff::tz::Offset::constant(hours))
    }

    #[test]
    fn local_times_lose_their_zone() {
        let read = |zone| read(zone, "2026-02-01", "01:02:03.456789");
        assert_eq!(read(TimeZone::UTC).as_deref(), Some("2026-02-01T01:02:03.456Z"));
        assert_eq!(read(hours(2)).as_deref(), Some("2026-01-31T23:02:03.456Z"));
        assert_eq!(read(hours(-5)).as_deref(), Some("2026-02-01T06:02:03.456Z"));
    }

    #[test]
    fn a_date_without_a_year_is_the_latest_before_the_end_of_the_log() {
        let read = |date| read(TimeZone::UTC, date, "12:00:00.000");
        assert_eq!(read("02-27").as_deref(), Some("2026-02-27T12:00:00.000Z"));
        assert_eq!(read("03-02").as_deref(), Some("2026-03-02T12:00:00.000Z"), "a day of grace");
        assert_eq!(read("03-03").as_deref(), Some("2025-03-03T12:00:00.000Z"));
        assert_eq!(read("12-31").as_deref(), Some("2025-12-31T12:00:00.000Z"));
        assert_eq!(read("02-29"), None, "neither year has one");
    }

    #[test]
    fn the_hour_that_comes_twice_is_told_by_what_was_before() {
        let zone = TimeZone::get("Europe/Berlin").unwrap();
        let local = Local::new(zone, Timestamp::from_micros(1_800_000_000_000_000));
        let mut last = None;
        let mut hours = Vec::new();
        for time in
            ["02:44:00", "02:59:30", "02:59:29.9", "02:14:00", "02:13:59.5", "02:59:00", "03:14:00"]
        {
            last = local.stamp(local.read(b"2026-10-25", time.as_bytes()).unwrap(), last);
            hours.push(sipward_model::text::Time(last.unwrap()).to_string()[11..16].to_owned());
        }
        assert_eq!(hours, ["00:44", "00:59", "00:59", "01:14", "01:13", "01:59", "02:14"]);
    }

    #[test]
    fn nonsense_is_no_time() {
        for (date, time) in [
            ("2026-13-01", "00:00:00"),
            ("2026-02-30", "00:00:00"),
            ("99999999999-1-1", "00:00:00"),
            ("1-1-1-1", "00:00:61"),
            ("2026-02-01", "25:00:00"),
            ("2026-02-01", "..::"),
            ("", ""),
        ] {
            assert_eq!(read(TimeZone::UTC, date, time), None, "{date} {time}");
        }
    }
}
