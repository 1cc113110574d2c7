use super::*;
use sipward_model::wire::Grades;

/// A series that begins at this time, with failures, answered ones and bans.
fn series(range: SeriesRange, began: &str, counts: &[(u64, u64, u64)]) -> Series {
    let began: Time = began.parse().unwrap();
    let bucket_seconds = match range {
        SeriesRange::Hour => 60,
        SeriesRange::Day => 900,
        SeriesRange::Week => 3_600,
        SeriesRange::Month => 86_400,
    };
    let at = |number: u64| {
        let later = number * u64::from(bucket_seconds) * SECOND;
        Time(Timestamp::from_micros(began.0.as_micros() + later))
    };
    let bucket = |(number, &(failures, answered, bans)): (u64, &(u64, u64, u64))| Bucket {
        at: at(number),
        failures,
        failures_by_grade: Grades { answered, unproven: failures - answered, ..Grades::default() },
        bans,
        unbans: 0,
    };
    Series {
        range,
        bucket_seconds,
        buckets: (0..).zip(counts).map(bucket).collect(),
        failures_since: began,
        decisions_since: began,
    }
}

fn hour(counts: &[(u64, u64, u64)]) -> Series {
    series(SeriesRange::Hour, "2026-11-23T22:00:00Z", counts)
}

#[test]
fn a_chart_has_a_bar_for_what_happened_and_none_for_what_did_not() {
    let mut counts = vec![(0, 0, 0); 60];
    counts[3] = (10, 7, 1);
    counts[59] = (2, 2, 0);
    let drawn = figure(&hour(&counts)).into_string();
    let titles = |text: &str| drawn.matches(&format!("<title>{text}</title>")).count();
    // Failures twice, because some are proved; bans; and a link in front of each bucket.
    assert_eq!(drawn.matches("<rect").count(), 2 * 2 + 1 + 2);
    assert_eq!(titles("Mon 23 Nov 22:03 to 22:04 UTC: 10 failures, 7 proved; 1 ban; 0 ended"), 1);
    assert_eq!(titles("Mon 23 Nov 22:59 to 23:00 UTC: 2 failures, 2 proved; 0 bans; 0 ended"), 1);
    let link = "\"/history?from=2026-11-23T22:03:00Z&amp;to=2026-11-23T22:04:00Z\"";
    assert_eq!(drawn.matches(link).count(), 2, "in the drawing and in the table: {drawn}");
    assert!(drawn.contains("9 failures") && drawn.contains("3 forgeable"));
    assert!(!drawn.contains("counted since"));
}

#[test]
fn times_below_a_chart_are_round() {
    let marks = |range, began: &str, count: usize| {
        let drawn = drawing(&series(range, began, &vec![(0, 0, 0); count])).into_string();
        let marks = drawn.split("<text class=\"time\" x=\"").skip(1);
        let mark = |text: &str| {
            let (x, rest) = text.split_once('%').unwrap();
            let said = rest.split('>').nth(1).unwrap().split('<').next().unwrap();
            format!("{x} {said}")
        };
        marks.map(mark).collect::<Vec<_>>()
    };
    assert_eq!(
        marks(SeriesRange::Hour, "2026-11-23T21:57:00Z", 60),
        ["5 22:00", "30 22:15", "55 22:30", "80 22:45"]
    );
    assert_eq!(
        marks(SeriesRange::Day, "2026-11-23T22:15:00Z", 96)[..2],
        ["7.29 00:00", "23.95 04:00"]
    );
    let week = marks(SeriesRange::Week, "2026-11-23T12:00:00Z", 168);
    assert_eq!(
        (week.len(), week[0].as_str(), week[6].as_str()),
        (7, "7.14 Tue 24", "92.85 Mon 30")
    );
    let month = marks(SeriesRange::Month, "2026-11-24T00:00:00Z", 30);
    assert_eq!(month, ["20 30 Nov", "43.33 7 Dec", "66.66 14 Dec", "90 21 Dec"]);
}

#[test]
fn a_bar_is_as_high_as_its_value() {
    let drawn = drawing(&hour(&[(10, 5, 4); 60])).into_string();
    // Failures have 128 pixels for 10, bans 46 for 4.
    for place in [
        "y=\"22\" width=\"1.33%\" height=\"128\"",
        "y=\"86\" width=\"1.33%\" height=\"64\"",
        "y=\"178\" width=\"1.33%\" height=\"46\"",
    ] {
        assert_eq!(drawn.matches(place).count(), 60, "{place}");
    }
}

#[test]
fn a_day_of_a_month_says_its_date_and_what_was_not_counted_is_said() {
    let mut month =
        series(SeriesRange::Month, "2026-11-01T00:00:00Z", &[(1, 1, 0), (0, 0, 0), (0, 0, 2)]);
    month.failures_since = "2026-11-02T10:00:00Z".parse().unwrap();
    let drawn = figure(&month).into_string();
    assert!(drawn.contains("<title>Sun 1 Nov UTC: 1 failure, 1 proved; 0 bans; 0 ended</title>"));
    assert!(drawn.contains("from=2026-11-03T00:00:00Z&amp;to=2026-11-04T00:00:00Z"), "{drawn}");
    assert!(drawn.contains("counted since") && drawn.contains("2026-11-02 10:00:00 UTC"));
}

#[test]
fn a_chart_carries_no_style_that_the_content_security_policy_forbids() {
    let drawn = figure(&hour(&[(1_000_000, 0, 5); 60])).into_string();
    assert!(!drawn.contains("style") && !drawn.contains("<script"));
    assert!(!drawn.contains("NaN") && !drawn.contains("fill="));
}

#[test]
fn lines_are_at_round_numbers() {
    for (most, lines, step, end) in [
        (0, 4, 1, 1),
        (4, 4, 1, 4),
        (5, 4, 2, 6),
        (10, 4, 5, 10),
        (41, 4, 20, 60),
        (130, 4, 50, 150),
        (3, 2, 2, 4),
        (1_001, 2, 1_000, 2_000),
        (u64::MAX, 4, 5_000_000_000_000_000_000, u64::MAX),
    ] {
        assert_eq!(scale(most, lines), (step, end), "{most}");
    }
}
