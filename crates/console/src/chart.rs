//! Failures and bans over time, drawn on the server as SVG. Colours are classes of the style sheet, which gives
//! them others in the dark.

use std::ops::RangeInclusive;

use maud::{Markup, Render, html};
use sipward_engine::Timestamp;

use super::labels;
use sipward_model::text::Time;
use sipward_model::wire::{Bucket, Series, SeriesSpan};

/// A size that the drawing has, in pixels.
struct Size {
    class: &'static str,
    width: u64,
    height: u64,
    /// From the top to the axis of the failures, and to that of the bans.
    failures: RangeInclusive<u64>,
    bans: RangeInclusive<u64>,
}

/// The style sheet shows one of the two, so that the text can be read on a phone.
const LARGE: Size =
    Size { class: "large", width: 1_160, height: 240, failures: 8..=144, bans: 156..=216 };
const SMALL: Size =
    Size { class: "small", width: 340, height: 230, failures: 8..=138, bans: 150..=206 };

/// Of a [`Timestamp`].
const SECOND: u64 = 1_000_000;

/// Room for numbers at the left, and at the right for half of a time whose mark is at the end.
const LEFT: u64 = 44;
const RIGHT: u64 = 18;

/// A bar takes eight tenths of its bucket's width, and leaves one on each side.
const BAR: u128 = 8;
const GAP: u128 = 1;

/// A figure of one series, with its numbers in words and as a table.
pub(super) fn figure(series: &Series) -> Markup {
    let sum = |of: fn(&Bucket) -> u64| series.buckets.iter().map(of).sum::<u64>();
    let (failures, proved) = (sum(|bucket| bucket.failures), sum(proved));
    let span = match series.span {
        SeriesSpan::Hour => "the last hour",
        SeriesSpan::Day => "the last day",
    };
    html! {
        figure {
            (drawing(series, &LARGE))
            (drawing(series, &SMALL))
            figcaption {
                span { "In " (span) ":" }
                span.key.one { (labels::count(proved, "failure")) }
                span.key { (labels::number(failures - proved)) " forgeable" }
                span.key.three { (labels::count(sum(|bucket| bucket.bans), "ban")) }
                span { (labels::number(sum(|bucket| bucket.unbans))) " ended" }
            }
        }
        details {
            summary { "Show as table" }
            (table(series))
        }
    }
}

/// Failures that are not forgeable.
fn proved(bucket: &Bucket) -> u64 {
    let grades = bucket.failures_by_grade;
    (grades.answered + grades.assumed).min(bucket.failures)
}

fn table(series: &Series) -> Markup {
    let happened = |bucket: &&Bucket| bucket.failures + bucket.bans + bucket.unbans > 0;
    html! {
        table.rows.tight {
            caption.hidden { "Failures and bans over time" }
            thead { tr {
                th scope="col" { "From" } th.num scope="col" { "Failures" }
                th.num scope="col" { "Proved" }
                th.num scope="col" { "Bans" } th.num scope="col" { "Ended" }
            } }
            tbody {
                @for bucket in series.buckets.iter().rev().filter(happened) {
                    tr {
                        th scope="row" { (labels::at(bucket.at)) }
                        td.num data-label="Failures" { (labels::number(bucket.failures)) }
                        td.num data-label="Proved" { (labels::number(proved(bucket))) }
                        td.num data-label="Bans" { (labels::number(bucket.bans)) }
                        td.num data-label="Ended" { (labels::number(bucket.unbans)) }
                    }
                }
            }
        }
    }
}

/// The drawing. It is hidden from screen readers, because its numbers are in the caption.
fn drawing(series: &Series, size: &Size) -> Markup {
    let (width, height) = (size.width, size.height);
    let place = Place { series, width: size.width - LEFT - RIGHT };
    html! {
        svg class=(size.class) viewBox={ "0 0 " (width) " " (height) } width=(width) height=(height)
            aria-hidden="true" focusable="false" {
            (place.bars(&size.failures, &[
                Layer { class: "two", value: |bucket| bucket.failures, title: failures },
                Layer { class: "one", value: proved, title: failures },
            ]))
            (place.bars(&size.bans, &[
                Layer { class: "three", value: |bucket| bucket.bans, title: bans },
            ]))
            (place.times(*size.bans.end()))
        }
    }
}

/// `10 failures, 7 proved`.
fn failures(bucket: &Bucket) -> String {
    format!(
        "{}, {} proved",
        labels::count(bucket.failures, "failure"),
        labels::number(proved(bucket))
    )
}

fn bans(bucket: &Bucket) -> String {
    labels::count(bucket.bans, "ban")
}

/// Bars of one colour.
struct Layer {
    class: &'static str,
    value: fn(&Bucket) -> u64,
    title: fn(&Bucket) -> String,
}

/// Where on the drawing a bucket is.
struct Place<'a> {
    series: &'a Series,
    /// Of all buckets, in pixels.
    width: u64,
}

impl Place<'_> {
    /// Bars before each other above one axis, with lines and numbers at its half and its end.
    fn bars(&self, rows: &RangeInclusive<u64>, layers: &[Layer]) -> Markup {
        let (top, bottom) = (*rows.start(), *rows.end());
        let values = |layer: &Layer| self.series.buckets.iter().map(layer.value).max();
        let end = ceiling(layers.iter().filter_map(values).max().unwrap_or(0));
        let height = |value: u64| Tenths::part(bottom - top, value.into(), end.into());
        let y = |value: u64| Tenths(u128::from(bottom) * 10).minus(height(value));
        let right = LEFT + self.width;
        html! {
            @for mark in [end, end / 2] {
                line.grid x1=(LEFT) y1=(y(mark)) x2=(right) y2=(y(mark)) {}
                text.count x=(LEFT - 8) y=(y(mark)) { (labels::number(mark)) }
            }
            text.count x=(LEFT - 8) y=(bottom) { "0" }
            @for layer in layers {
                g class=(layer.class) {
                    @for (bucket, number) in self.series.buckets.iter().zip(0..) {
                        @let value = (layer.value)(bucket);
                        @if value > 0 {
                            rect x=(self.x(number * 10 + GAP)) y=(y(value))
                                width=(self.span(BAR)) height=(height(value)) {
                                title { (clock(bucket.at)) ": " ((layer.title)(bucket)) }
                            }
                        }
                    }
                }
            }
            path.axis d={ "M" (LEFT) " " (top) "V" (bottom) "H" (right) } {}
        }
    }

    /// Marks and times below the lower axis, at round times.
    fn times(&self, axis: u64) -> Markup {
        let Some(first) = self.series.buckets.first() else { return html! {} };
        let bucket = u64::from(self.series.bucket_seconds.max(1));
        let seconds = bucket.saturating_mul(self.series.buckets.len() as u64);
        let began = first.at.0.as_micros() / SECOND;
        // An hour has marks of 10 minutes, a day of 4 hours.
        let step = if seconds <= 3_600 { 600 } else { 14_400 };
        let marks = (began.div_ceil(step)..=(began + seconds) / step).map(|mark| mark * step);
        html! {
            @for mark in marks {
                @let x = self.x(u128::from(mark - began) * 10 / u128::from(bucket));
                line.axis x1=(x) y1=(axis) x2=(x) y2=(axis + 4) {}
                text.time x=(x) y=(axis + 18) { (clock(Time(Timestamp::from_micros(mark * SECOND)))) }
            }
        }
    }

    /// From the left edge, in tenths of a bucket.
    fn x(&self, tenths: u128) -> Tenths {
        Tenths(u128::from(LEFT) * 10 + self.span(tenths).0)
    }

    fn span(&self, tenths: u128) -> Tenths {
        Tenths::part(self.width, tenths, (self.series.buckets.len() as u128 * 10).max(1))
    }
}

/// `22:00`.
fn clock(at: Time) -> String {
    at.to_string().chars().skip(11).take(5).collect()
}

/// Pixels to the tenth: a bar of a day is less than three pixels wide on a phone.
#[derive(Clone, Copy)]
struct Tenths(u128);

impl Tenths {
    /// So much of `pixels` as `some` is of `all`.
    fn part(pixels: u64, some: u128, all: u128) -> Self {
        Self(u128::from(pixels) * 10 * some / all)
    }

    fn minus(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl Render for Tenths {
    fn render_to(&self, buffer: &mut String) {
        (self.0 / 10).render_to(buffer);
        if !self.0.is_multiple_of(10) {
            buffer.push('.');
            (self.0 % 10).render_to(buffer);
        }
    }
}

/// A round number that no bar is higher than, and whose half is a whole number.
fn ceiling(most: u64) -> u64 {
    let mut unit: u64 = 1;
    loop {
        for step in [4, 10, 20] {
            let round = unit.saturating_mul(step);
            if round >= most || round == u64::MAX {
                return round;
            }
        }
        unit = unit.saturating_mul(10);
    }
}

#[cfg(test)]
mod tests;
