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
    let titles = |text: &str| drawn.matches(&format!("<title>{text}</title>")).count();
    // Each is drawn twice, large and small; failures once more where some are proved.
    assert_eq!(drawn.matches("<rect").count(), 2 * (2 + 2 + 1));
    assert_eq!(titles("22:03: 10 failures, 7 proved"), 4);
    assert_eq!(titles("22:59: 2 failures, 2 proved"), 4);
    assert_eq!(titles("22:03: 1 ban"), 2);
    assert!(drawn.contains("9 failures") && drawn.contains("3 forgeable"));
}

#[test]
fn times_below_a_chart_are_round() {
    let mut hour = series(&[(0, 0, 0); 60]);
    let marks = |series: &Series| {
        let drawn = drawing(series, &LARGE).into_string();
        let marks = drawn.split("<text class=\"time\" x=\"").skip(1);
        let mark = |text: &str| text.split("</text>").next().unwrap().to_owned();
        marks.map(mark).collect::<Vec<_>>()
    };
    let at = |x: &str, clock: &str| format!("{x}\" y=\"234\">{clock}");
    assert_eq!(marks(&hour)[..2], [at("44", "22:00"), at("227", "22:10")]);
    assert_eq!(marks(&hour).last(), Some(&at("1142", "23:00")));
    // A bucket need not begin at a round time: 21:57 is three of sixty minutes before 22:00.
    hour.buckets[0].at = "2026-11-23T21:57:00Z".parse().unwrap();
    assert_eq!(marks(&hour)[0], at("98.9", "22:00"));
    let mut day = series(&[(0, 0, 0); 60]);
    day.bucket_seconds = 900;
    day.buckets.resize(96, day.buckets[0]);
    let clocks: Vec<_> = marks(&day).iter().map(|mark| mark[mark.len() - 5..].to_owned()).collect();
    assert_eq!(clocks, ["00:00", "04:00", "08:00", "12:00", "16:00", "20:00"]);
}

#[test]
fn a_bar_is_as_high_as_its_value() {
    let drawn = drawing(&series(&[(10, 5, 4); 60]), &LARGE).into_string();
    // Failures have 136 pixels for 10, bans 60 for 4.
    for place in [
        "y=\"8\" width=\"14.6\" height=\"136\"",
        "y=\"76\" width=\"14.6\" height=\"68\"",
        "y=\"156\" width=\"14.6\" height=\"60\"",
    ] {
        assert_eq!(drawn.matches(place).count(), 60, "{place} in {drawn}");
    }
}

#[test]
fn a_chart_carries_no_style_that_the_content_security_policy_forbids() {
    let drawn = figure(&series(&[(1_000_000, 0, 5); 60])).into_string();
    assert!(!drawn.contains("style") && !drawn.contains("<script"));
    assert!(!drawn.contains("NaN") && !drawn.contains("fill="));
}

#[test]
fn scales_end_at_round_numbers() {
    for (most, end) in
        [(0, 4), (4, 4), (5, 10), (41, 100), (11, 20), (21, 40), (130, 200), (u64::MAX, u64::MAX)]
    {
        assert_eq!(ceiling(most), end);
    }
}
