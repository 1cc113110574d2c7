//! Failures and bans over time, drawn on the server. Colours are those of the style sheet, which gives them
//! others in the dark.

use maud::{Markup, PreEscaped, html};
use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::RGBColor;

use super::labels;
use sipward_model::wire::{Bucket, Series, SeriesSpan};

/// `--chart-1`: failures whose address is proved.
const PROVED: RGBColor = RGBColor(0xC2, 0x41, 0x0C);
/// `--chart-2`: forgeable failures.
const FORGEABLE: RGBColor = RGBColor(0x8B, 0x95, 0xA3);
/// `--chart-3`: bans.
const BANS: RGBColor = RGBColor(0x0A, 0x5A, 0xA6);
const LINE: RGBColor = RGBColor(0xD5, 0xDB, 0xE3);
const AXIS: RGBColor = RGBColor(0x7C, 0x87, 0x96);

/// Sizes of the two drawings, in pixels. The style sheet shows one of them, so that its text is readable on a
/// phone.
const LARGE: (u32, u32) = (1_160, 240);
const SMALL: (u32, u32) = (340, 230);

/// Percent of the height for failures; the rest is for bans.
const FAILURES: i32 = 62;

/// Width of a bucket and of its bar, in steps of the axis.
const BUCKET: u32 = 10;
const BAR: std::ops::Range<u32> = 1..9;

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Failed<'a> = DrawingAreaErrorKind<<SVGBackend<'a> as DrawingBackend>::ErrorType>;

/// A figure of one series, with its sums and a table.
pub(super) fn figure(series: &Series) -> Markup {
    let sum = |of: fn(&Bucket) -> u64| series.buckets.iter().map(of).sum::<u64>();
    let (failures, proved) = (sum(|bucket| bucket.failures), sum(proved));
    let span = match series.span {
        SeriesSpan::Hour => "the last hour",
        SeriesSpan::Day => "the last day",
    };
    html! {
        figure {
            (drawing(series, LARGE, "large"))
            (drawing(series, SMALL, "small"))
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
fn drawing(series: &Series, size: (u32, u32), class: &str) -> Markup {
    let mut svg = String::new();
    if let Err(error) = draw(&mut svg, series, size) {
        return html! { p.soft { "The chart cannot be drawn: " (error.to_string()) } };
    }
    let open = format!("<svg class=\"{class}\" aria-hidden=\"true\" focusable=\"false\" ");
    PreEscaped(svg.replacen("<svg ", &open, 1))
}

fn draw<'a>(svg: &'a mut String, series: &Series, size: (u32, u32)) -> Result<(), Failed<'a>> {
    let area = SVGBackend::with_string(svg, size).into_drawing_area();
    let (upper, lower) = area.split_vertically(FAILURES.percent_height());
    let clock = |at: &u32| {
        let bucket = usize::try_from(at / BUCKET).ok().and_then(|at| series.buckets.get(at));
        bucket
            .map(|bucket| bucket.at.to_string().chars().skip(11).take(5).collect())
            .unwrap_or_default()
    };
    let count = |of: fn(&Bucket) -> u64| series.buckets.iter().map(of).collect::<Vec<_>>();
    let all = count(|bucket| bucket.failures);
    bars(&upper, &[(&all, FORGEABLE), (&count(proved), PROVED)], None)?;
    bars(&lower, &[(&count(|bucket| bucket.bans), BANS)], Some(&clock))?;
    area.present()
}

/// Overlapping bars on one pair of axes, with times below if `clock` is given.
fn bars<'a>(
    area: &Area<'a>,
    layers: &[(&[u64], RGBColor)],
    clock: Option<&dyn Fn(&u32) -> String>,
) -> Result<(), Failed<'a>> {
    let most = layers.iter().flat_map(|(values, _)| values.iter()).max().copied().unwrap_or(0);
    let length = layers.first().map_or(0, |(values, _)| values.len());
    let length = u32::try_from(length).unwrap_or(u32::MAX / BUCKET) * BUCKET;
    let mut chart = ChartBuilder::on(area)
        .margin_top(8)
        .margin_right(14)
        .set_label_area_size(LabelAreaPosition::Left, 44)
        .set_label_area_size(LabelAreaPosition::Bottom, if clock.is_some() { 24 } else { 4 })
        .build_cartesian_2d(0..length, 0..ceiling(most))?;
    let whole = |value: &u64| labels::number(*value);
    let nothing = |_: &u32| String::new();
    chart
        .configure_mesh()
        .disable_x_mesh()
        .bold_line_style(LINE)
        .light_line_style(TRANSPARENT)
        .axis_style(AXIS)
        .label_style(("sans-serif", 12).into_font().color(&AXIS))
        .x_labels(7)
        .y_labels(if clock.is_some() { 3 } else { 4 })
        .y_label_formatter(&whole)
        .x_label_formatter(clock.unwrap_or(&nothing))
        .draw()?;
    for (values, colour) in layers {
        let places = (0..length).step_by(BUCKET as usize);
        let shown = places.zip(*values).filter(|(_, value)| **value > 0);
        chart.draw_series(shown.map(|(left, value)| {
            Rectangle::new([(left + BAR.start, 0), (left + BAR.end, *value)], colour.filled())
        }))?;
    }
    Ok(())
}

/// The top of the axis: a round number that divides into whole labels.
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
