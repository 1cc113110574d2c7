use super::*;
use sipward_model::text::Time;
use sipward_model::wire::Grades;

fn series(counts: &[(u64, u64, u64)]) -> Series {
    let at = |minute: usize| -> Time { format!("2026-11-23T22:{minute:02}:00Z").parse().unwrap() };
    let bucket = |(minute, &(failures, answered, bans))| Bucket {
        at: at(minute),
        failures,
        failures_by_grade: Grades { answered, unproven: failures - answered, ..Grades::default() },
        bans,
        unbans: 0,
    };
    Series {
        span: SeriesSpan::Hour,
        bucket_seconds: 60,
        buckets: counts.iter().enumerate().map(bucket).collect(),
        failures_since: at(0),
        decisions_since: at(0),
    }
}

#[test]
fn a_chart_has_a_bar_for_what_happened_and_none_for_what_did_not() {
    let mut counts = vec![(0, 0, 0); 60];
    counts[3] = (10, 7, 1);
    counts[59] = (2, 2, 0);
    let drawn = figure(&series(&counts)).into_string();
    let bars = |colour: &str| drawn.matches(&format!("fill=\"{colour}\"")).count();
    // Each is drawn twice, large and small.
    assert_eq!([bars("#C2410C"), bars("#8B95A3"), bars("#0A5AA6")], [4, 4, 2]);
    assert!(drawn.contains("9 failures") && drawn.contains("3 forgeable"));
    assert!(drawn.contains(">22:00<") || drawn.contains("22:00\n"), "{drawn}");
}

#[test]
fn a_chart_carries_no_style_that_the_content_security_policy_forbids() {
    let drawn = figure(&series(&[(1_000_000, 0, 5); 60])).into_string();
    assert!(!drawn.contains("style=") && !drawn.contains("<script"));
}

#[test]
fn scales_end_at_round_numbers() {
    for (most, end) in
        [(0, 4), (4, 4), (5, 10), (41, 100), (11, 20), (21, 40), (130, 200), (u64::MAX, u64::MAX)]
    {
        assert_eq!(ceiling(most), end);
    }
}
