use super::*;

const NOON: Timestamp = Timestamp::from_micros(1_800_014_400 * 1_000_000);

fn minutes(count: u64) -> Duration {
    Duration::from_secs(count * 60)
}

/// Failures, bans and unbans of each span.
fn figures(spans: &[(Timestamp, Counts)]) -> Vec<(u32, u32, u32)> {
    let figures = |counts: &Counts| (counts.failures.iter().sum(), counts.bans, counts.unbans);
    spans.iter().map(|(_, counts)| figures(counts)).collect()
}

fn bans(series: &Series, now: Timestamp, seconds: u32, count: u32) -> u32 {
    series.read(now, seconds, count).iter().map(|(_, counts)| counts.bans).sum()
}

#[test]
fn spans_are_equal_filled_with_zeros_and_end_now() {
    let mut series = Series::new(NOON);
    series.failure(Grade::Answered, NOON);
    series.failure(Grade::Unproven, NOON + minutes(1));
    series.ban(NOON + minutes(1));
    series.unban(NOON + minutes(4));
    let spans = series.read(NOON + minutes(5), 60, 7);
    assert_eq!(
        figures(&spans),
        [(0, 0, 0), (1, 0, 0), (1, 1, 0), (0, 0, 0), (0, 0, 0), (0, 0, 1), (0, 0, 0)]
    );
    assert_eq!(spans.last().unwrap().0, NOON + minutes(5));
    assert_eq!(spans[1].1.failures, [0, 0, 0, 0, 0, 1, 0], "by grade, the weakest first");
    assert_eq!(spans[2].1.failures, [0, 1, 0, 0, 0, 0, 0]);
}

#[test]
fn wide_spans_begin_at_round_times() {
    let mut series = Series::new(NOON);
    series.ban(NOON);
    series.ban(NOON + minutes(31));
    let now = NOON + minutes(47);
    let quarters = series.read(now, 900, 4);
    assert_eq!(figures(&quarters), [(0, 1, 0), (0, 0, 0), (0, 1, 0), (0, 0, 0)]);
    assert_eq!(quarters[0].0, NOON);
    let days = series.read(now, 86_400, 2);
    assert_eq!(figures(&days), [(0, 0, 0), (0, 2, 0)]);
    assert_eq!(days[1].0, NOON.earlier(minutes(720)), "midnight, as NOON says");
    assert_eq!(bans(&series, now, 3_600, 168), 2);
}

#[test]
fn memory_is_bounded_by_time() {
    let mut series = Series::new(NOON);
    for quarter in 0..4_000 {
        series.ban(NOON + minutes(quarter * 15));
    }
    assert_eq!(series.quarters.counts.len(), 31 * 96 + 1);
    assert_eq!(series.minutes.counts.len(), 5);
    let now = NOON + minutes(3_999 * 15);
    assert_eq!(bans(&series, now, 86_400, 30), 29 * 96 + 16, "the last day has 16 quarters so far");
    // A clock that stood still for a year.
    assert_eq!(bans(&series, NOON + minutes(365 * 1_440), 86_400, 30), 0);
}

#[test]
fn a_record_that_comes_late_counts_in_its_minute() {
    let mut series = Series::new(NOON);
    series.ban(NOON + minutes(10));
    series.ban(NOON + minutes(9));
    series.ban(NOON.earlier(minutes(2_000)));
    assert_eq!(figures(&series.read(NOON + minutes(10), 60, 2)), [(0, 1, 0), (0, 1, 0)]);
}

#[test]
fn what_was_counted_before_the_start_comes_back() {
    let mut before = Series::new(NOON);
    before.failure(Grade::Answered, NOON);
    before.ban(NOON + minutes(16));
    let (from, stored) = before.take_unsaved().unwrap();
    assert_eq!((from * 900_000_000, stored.len()), (NOON.as_micros(), 2));
    assert_eq!(before.take_unsaved(), None);
    before.unban(NOON + minutes(17));
    assert_eq!(before.take_unsaved().unwrap().1.len(), 1, "only what changed is stored again");

    let start = NOON + minutes(20);
    let mut series = Series::new(start);
    series.ban(start);
    let day_before = start.earlier(minutes(1_440));
    let minute = NOON.as_micros() / 60_000_000;
    // Two bans more were decided in the last quarter than were stored before the crash.
    let decided = [(minute + 16, 1, 0), (minute + 19, 2, 0)];
    series.fill(&stored, day_before, &decided);
    assert_eq!(figures(&series.read(start, 900, 2)), [(1, 0, 0), (0, 4, 0)]);
    assert_eq!(figures(&series.read(start, 60, 2)), [(0, 2, 0), (0, 1, 0)]);
    assert_eq!((series.failures_since(), series.decisions_since()), (NOON, day_before));
    let (from, again) = series.take_unsaved().unwrap();
    assert_eq!((from, again[0].1.bans), (minute / 15 + 1, 4));
}

#[test]
fn a_clock_that_is_set_moves_this_run_and_no_other() {
    let day = minutes(1_440);
    let (earlier, start) = (NOON.earlier(day), NOON + 10 * day);
    let mut series = Series::new(start);
    let counts = Counts { bans: 5, ..Counts::default() };
    series.fill(&[(earlier.as_micros() / 900_000_000, counts)], earlier, &[]);
    series.ban(start + minutes(1));
    assert!(series.take_unsaved().is_some());

    series.shift(-(10 * 86_400_000_000));

    let now = NOON + minutes(2);
    assert_eq!(bans(&series, now, 60, 60), 1);
    assert_eq!(bans(&series, now, 86_400, 30), 6);
    assert_eq!(bans(&series, now + 10 * day, 86_400, 5), 0, "nothing is left at the wrong time");
    let (from, _) = series.take_unsaved().unwrap();
    assert_eq!(from * 900_000_000, NOON.as_micros(), "stored anew from the right time on");
}
