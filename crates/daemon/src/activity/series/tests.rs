use std::time::Duration;

use super::*;

const NOON: Timestamp = Timestamp::from_micros(1_800_000_000 * 1_000_000);

fn minutes(count: u64) -> Duration {
    Duration::from_secs(count * 60)
}

/// Failures, bans and unbans of each span.
fn figures(spans: &[(Timestamp, Minute)]) -> Vec<(u32, u32, u32)> {
    let figures = |minute: &Minute| (minute.failures.iter().sum(), minute.bans, minute.unbans);
    spans.iter().map(|(_, minute)| figures(minute)).collect()
}

#[test]
fn spans_are_equal_filled_with_zeros_and_end_now() {
    let mut series = Series::new(NOON);
    series.failure(Grade::Answered, NOON);
    series.failure(Grade::Unproven, NOON + minutes(1));
    series.ban(NOON + minutes(1));
    series.unban(NOON + minutes(4));
    let spans = series.read(NOON + minutes(5), 1, 7);
    assert_eq!(
        figures(&spans),
        [(0, 0, 0), (1, 0, 0), (1, 1, 0), (0, 0, 0), (0, 0, 0), (0, 0, 1), (0, 0, 0)]
    );
    assert_eq!(spans.last().unwrap().0, NOON + minutes(5));
    assert_eq!(spans[1].1.failures, [0, 0, 0, 0, 0, 1, 0], "by grade, the weakest first");
    assert_eq!(spans[2].1.failures, [0, 1, 0, 0, 0, 0, 0]);
    let wide = series.read(NOON + minutes(5), 3, 2);
    assert_eq!(figures(&wide), [(2, 1, 0), (0, 0, 1)]);
    assert_eq!(wide[0].0, NOON);
}

#[test]
fn what_is_older_than_a_day_falls_out() {
    let mut series = Series::new(NOON);
    series.ban(NOON);
    let sum = |series: &mut Series, now| {
        series.read(now, 15, 96).iter().map(|(_, minute)| minute.bans).sum::<u32>()
    };
    assert_eq!(sum(&mut series, NOON + minutes(1_439)), 1);
    assert_eq!(sum(&mut series, NOON + minutes(1_440)), 0);
    series.ban(NOON + minutes(1_440));
    // A clock that stood still for a year.
    assert_eq!(sum(&mut series, NOON + minutes(365 * 1_440)), 0);
}

#[test]
fn a_record_that_comes_late_counts_in_its_minute() {
    let mut series = Series::new(NOON);
    series.ban(NOON + minutes(10));
    series.ban(NOON + minutes(9));
    series.ban(NOON.earlier(minutes(2_000)));
    assert_eq!(figures(&series.read(NOON + minutes(10), 1, 2)), [(0, 1, 0), (0, 1, 0)]);
}

#[test]
fn decisions_of_before_the_start_are_filled_in() {
    let mut series = Series::new(NOON);
    series.ban(NOON);
    let minute = NOON.as_micros() / MINUTE_MICROS;
    let day_before = NOON.earlier(minutes(1_440));
    series.fill(day_before, &[(minute - 3_000, 9, 9), (minute - 1, 2, 1), (minute, 4, 0)]);
    assert_eq!(figures(&series.read(NOON, 1, 3)), [(0, 0, 0), (0, 2, 1), (0, 5, 0)]);
    assert_eq!(series.decisions_since(), day_before);
    assert_eq!(series.failures_since(), NOON);
}
