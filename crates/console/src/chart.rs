//! Failures and bans over time, drawn on the server as SVG. Colours are classes of the style sheet, which gives
//! them others in the dark. Across, everything is a share of the width: one drawing fits every screen, and its text
//! keeps its size.

use std::ops::Range;

use maud::{Markup, Render, html};
use sipward_engine::Timestamp;

use super::labels::{self, Shown};
use super::language::{en, t, text};
use sipward_model::text::Time;
use sipward_model::wire::{Bucket, Series, SeriesRange};

/// From the top to the axis of the failures, and to that of the bans, in pixels. The names are above them, the
/// times below.
const HEIGHT: u64 = 244;
const FAILURES: Range<u64> = 22..150;
const BANS: Range<u64> = 178..224;

/// Grid lines above an axis at most.
const FAILURE_LINES: u64 = 4;
const BAN_LINES: u64 = 2;

/// A bar takes eight tenths of its bucket's width, and leaves one on each side.
const BAR: u128 = 8;
const GAP: u128 = 1;

/// Of a [`Timestamp`].
const SECOND: u64 = 1_000_000;
const DAY: u64 = 86_400;
/// The epoch was a Thursday.
const FIRST_MONDAY: u64 = 4 * DAY;

/// The ranges to choose from, as the query names them.
pub(super) const RANGES: [(SeriesRange, &str, &str); 4] = [
    (SeriesRange::Hour, "/", en("Hour")),
    (SeriesRange::Day, "/?range=day", en("Day")),
    (SeriesRange::Week, "/?range=week", en("Week")),
    (SeriesRange::Month, "/?range=month", en("Month")),
];

/// The path of the overview with the chart of a range.
pub(super) fn path(range: SeriesRange) -> &'static str {
    RANGES.iter().find(|(one, ..)| *one == range).map_or("/", |(_, path, _)| path)
}

/// Links to the charts of all ranges.
pub(super) fn ranges(chosen: SeriesRange) -> Markup {
    html! {
        ul.tabs aria-label=(t("Time range")) {
            @for (range, path, text) in RANGES {
                li { a href=(path) aria-current=[(range == chosen).then_some("true")] { (t(text)) } }
            }
        }
    }
}

/// A figure of one series, with its numbers in words and as a table.
pub(super) fn figure(series: &Series) -> Markup {
    let sum = |of: fn(&Bucket) -> u64| series.buckets.iter().map(of).sum::<u64>();
    let (failures, proved) = (sum(|bucket| bucket.failures), sum(proved));
    let span = match series.range {
        SeriesRange::Hour => t("In the last hour (UTC):"),
        SeriesRange::Day => t("In the last day (UTC):"),
        SeriesRange::Week => t("In the last week (UTC):"),
        SeriesRange::Month => t("In the last 30 days (UTC):"),
    };
    let began = series.buckets.first().map(|bucket| bucket.at);
    html! {
        figure {
            div.plot { (drawing(series)) }
            figcaption {
                span { (span) }
                span.key.one { (labels::count(proved, "failure")) }
                span.key { (t!("{count} forgeable", count = labels::number(failures - proved))) }
                span.key.three { (labels::count(sum(|bucket| bucket.bans), "ban")) }
                span { (t!("{count} ended", count = labels::number(sum(|bucket| bucket.unbans)))) }
                @if began.is_some_and(|began| series.failures_since.0 > began.0) {
                    span { (t!("Failures are counted since {time}", time = labels::at(series.failures_since))) }
                }
            }
        }
        details {
            summary { (t("Show as table")) }
            (table(series))
        }
    }
}

/// Failures that are not forgeable.
fn proved(bucket: &Bucket) -> u64 {
    let grades = bucket.failures_by_grade;
    (grades.answered + grades.assumed).min(bucket.failures)
}

fn is_empty(bucket: &Bucket) -> bool {
    bucket.failures + bucket.bans + bucket.unbans == 0
}

fn table(series: &Series) -> Markup {
    html! {
        table.rows.tight {
            caption.hidden { (t("Failures and bans over time")) }
            thead { tr {
                th scope="col" { (t("Time (UTC)")) } th.num scope="col" { (t("Failures")) }
                th.num scope="col" { (t("Proved")) }
                th.num scope="col" { (t("Bans")) } th.num scope="col" { (t("Ended")) }
            } }
            tbody {
                @for bucket in series.buckets.iter().rev().filter(|bucket| !is_empty(bucket)) {
                    tr {
                        th scope="row" {
                            a href=(decisions(series, bucket)) { (period(series, bucket)) }
                        }
                        td.num data-label=(t("Failures")) { (labels::number(bucket.failures)) }
                        td.num data-label=(t("Proved")) { (labels::number(proved(bucket))) }
                        td.num data-label=(t("Bans")) { (labels::number(bucket.bans)) }
                        td.num data-label=(t("Ended")) { (labels::number(bucket.unbans)) }
                    }
                }
            }
        }
    }
}

/// The drawing. It is hidden from screen readers and the keyboard, because the table has its numbers and links.
fn drawing(series: &Series) -> Markup {
    let place = Place(series);
    html! {
        svg.chart width="100%" height=(HEIGHT) aria-hidden="true" focusable="false" {
            (place.bars(t("Failures"), &FAILURES, FAILURE_LINES, &[
                ("two", |bucket| bucket.failures),
                ("one", proved),
            ]))
            (place.bars(t("Bans"), &BANS, BAN_LINES, &[("three", |bucket| bucket.bans)]))
            (place.times())
            (place.links())
        }
    }
}

/// The decisions of a bucket's time, in the history.
fn decisions(series: &Series, bucket: &Bucket) -> String {
    let (from, to) = (second(bucket.at), second(end(series, bucket)));
    format!("/history?from={from}&to={to}")
}

fn end(series: &Series, bucket: &Bucket) -> Time {
    let length = u64::from(series.bucket_seconds) * SECOND;
    Time(Timestamp::from_micros(bucket.at.0.as_micros().saturating_add(length)))
}

/// `2026-11-23T22:00:00Z`.
fn second(at: Time) -> String {
    let text = at.to_string();
    format!("{}Z", text.split('.').next().unwrap_or(&text))
}

/// `Mon 23 Nov 22:00 to 22:15`, or a day alone.
fn period(series: &Series, bucket: &Bucket) -> String {
    let date = format!("{} {}", weekday(bucket.at), date(bucket.at));
    if u64::from(series.bucket_seconds) >= DAY {
        return date;
    }
    let (from, to) = (clock(bucket.at), clock(end(series, bucket)));
    text!("{date} {from} to {to}", date = date, from = from, to = to)
}

/// What happened within a bucket: `10 failures, 7 proved; 1 ban; 0 ended`.
fn words(bucket: &Bucket) -> String {
    text!(
        "{failures}, {proved} proved; {bans}; {ended} ended",
        failures = labels::count(bucket.failures, "failure"),
        proved = labels::number(proved(bucket)),
        bans = labels::count(bucket.bans, "ban"),
        ended = labels::number(bucket.unbans),
    )
}

/// A class of bars, and what they count.
type Layer = (&'static str, fn(&Bucket) -> u64);

/// Where on the drawing the buckets are.
struct Place<'a>(&'a Series);

impl Place<'_> {
    /// Bars before each other above one axis, each with its class; and lines with numbers.
    fn bars(&self, name: &str, rows: &Range<u64>, lines: u64, layers: &[Layer]) -> Markup {
        let buckets = &self.0.buckets;
        let most = layers.iter().flat_map(|(_, value)| buckets.iter().map(value)).max();
        let (step, end) = scale(most.unwrap_or(0), lines);
        let height = |value: u64| {
            Decimal(u128::from(rows.end - rows.start) * 10 * u128::from(value) / u128::from(end))
        };
        let y = |value: u64| Decimal((u128::from(rows.end) * 10).saturating_sub(height(value).0));
        html! {
            text.name x="0" y=(rows.start - 8) { (name) }
            @for line in (0..=end / step).map(|line| line * step) {
                @if line > 0 { line.grid x1="0" y1=(y(line)) x2="100%" y2=(y(line)) {} }
                text.count x="-8" y=(y(line)) { (labels::number(line)) }
            }
            @for (class, value) in layers {
                g class=(class) {
                    @for (bucket, number) in buckets.iter().zip(0..) {
                        @if value(bucket) > 0 {
                            rect x={ (self.share(number * 10 + GAP)) "%" } y=(y(value(bucket)))
                                width={ (self.share(BAR)) "%" } height=(height(value(bucket))) {}
                        }
                    }
                }
            }
            line.axis x1="0" y1=(rows.end) x2="100%" y2=(rows.end) {}
        }
    }

    /// Marks and round times below the lower axis.
    fn times(&self) -> Markup {
        let Some(first) = self.0.buckets.first() else { return html! {} };
        let (step, offset, text): (u64, u64, fn(Time) -> String) = match self.0.range {
            SeriesRange::Hour => (900, 0, clock),
            SeriesRange::Day => (14_400, 0, clock),
            SeriesRange::Week => (DAY, 0, |at| format!("{} {}", weekday(at), day(at))),
            SeriesRange::Month => (7 * DAY, FIRST_MONDAY, date),
        };
        let bucket = u64::from(self.0.bucket_seconds.max(1));
        let began = first.at.0.as_micros() / SECOND;
        let ends = began + bucket * self.0.buckets.len() as u64;
        let (from, to) =
            (began.saturating_sub(offset).div_ceil(step), ends.saturating_sub(offset) / step);
        html! {
            @for mark in (from..=to).map(|mark| mark * step + offset) {
                @let at = self.share(u128::from(mark - began) * 10 / u128::from(bucket));
                line.axis x1={ (at) "%" } y1=(BANS.end) x2={ (at) "%" } y2=(BANS.end + 4) {}
                text.time x={ (at) "%" } y=(BANS.end + 18) {
                    (text(Time(Timestamp::from_micros(mark * SECOND))))
                }
            }
        }
    }

    /// In front of the bars of each bucket in which something happened: its numbers, and the way to its decisions.
    fn links(&self) -> Markup {
        html! {
            @for (bucket, number) in self.0.buckets.iter().zip(0..) {
                @if !is_empty(bucket) {
                    a href=(decisions(self.0, bucket)) tabindex="-1" {
                        rect.hit x={ (self.share(number * 10)) "%" } y=(FAILURES.start)
                            width={ (self.share(10)) "%" } height=(BANS.end - FAILURES.start) {
                            title { (period(self.0, bucket)) " UTC: " (words(bucket)) }
                        }
                    }
                }
            }
        }
    }

    /// Tenths of a bucket, as a share of the width in percent.
    fn share(&self, tenths: u128) -> Hundredths {
        Hundredths(tenths * 10_000 / (self.0.buckets.len() as u128 * 10).max(1))
    }
}

/// The distance of grid lines, which is 1, 2 or 5 and zeros; and the last line, which no bar is higher than.
fn scale(most: u64, lines: u64) -> (u64, u64) {
    let mut unit: u64 = 1;
    loop {
        for factor in [1, 2, 5] {
            let step = unit.saturating_mul(factor);
            let needed = most.div_ceil(step).max(1);
            if needed <= lines {
                return (step, step.saturating_mul(needed));
            }
        }
        unit = unit.saturating_mul(10);
    }
}

/// `22:00`.
fn clock(at: Time) -> String {
    at.to_string().get(11..16).unwrap_or_default().to_owned()
}

/// `23`, without a zero in front.
fn day(at: Time) -> String {
    at.to_string().get(8..10).unwrap_or_default().trim_start_matches('0').to_owned()
}

/// `23 Nov`.
fn date(at: Time) -> String {
    const MONTHS: [&str; 12] = [
        en("Jan"),
        en("Feb"),
        en("Mar"),
        en("Apr"),
        en("May"),
        en("Jun"),
        en("Jul"),
        en("Aug"),
        en("Sep"),
        en("Oct"),
        en("Nov"),
        en("Dec"),
    ];
    let number = at.to_string().get(5..7).and_then(|month| month.parse::<usize>().ok());
    let month = number.and_then(|number| MONTHS.get(number.checked_sub(1)?));
    text!("{day} {month}", day = day(at), month = month.map_or("", |month| t(month)))
}

/// `Mon`.
fn weekday(at: Time) -> &'static str {
    const DAYS: [&str; 7] =
        [en("Thu"), en("Fri"), en("Sat"), en("Sun"), en("Mon"), en("Tue"), en("Wed")];
    let days = at.0.as_micros() / SECOND / DAY;
    DAYS.iter().cycle().nth(usize::try_from(days % 7).unwrap_or(0)).map_or("", |day| t(day))
}

/// A number with one digit behind the point, where that is not 0.
#[derive(Clone, Copy)]
struct Decimal(u128);

impl Render for Decimal {
    fn render_to(&self, buffer: &mut String) {
        let (whole, tenth) = (self.0 / 10, self.0 % 10);
        match tenth {
            0 => Shown(whole).render_to(buffer),
            _ => Shown(format_args!("{whole}.{tenth}")).render_to(buffer),
        }
    }
}

/// A number with up to two digits behind the point: a bar of a week is 0.6 percent wide.
#[derive(Clone, Copy)]
struct Hundredths(u128);

impl Render for Hundredths {
    fn render_to(&self, buffer: &mut String) {
        let (whole, part) = (self.0 / 100, self.0 % 100);
        match part {
            0 => Shown(whole).render_to(buffer),
            _ => Shown(format_args!("{whole}.{part:02}")).render_to(buffer),
        }
    }
}

#[cfg(test)]
mod tests;
