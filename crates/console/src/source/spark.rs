//! Failures of a source over time, with its bans, as a small drawing.

use maud::{Markup, html};
use sipward_engine::Timestamp;

use super::super::labels;
use super::super::language::t;
use sipward_model::wire::{FailureEntry, HistoryEntry, HistoryKind};

/// Size of the drawing; a bar for each of its parts of time.
const WIDTH: u64 = 480;
const HEIGHT: u64 = 56;
const BARS: usize = 48;

/// Microseconds: the shortest and the longest time that it shows.
const LEAST: u64 = 600 * 1_000_000;
const MOST: u64 = 86_400 * 1_000_000;

#[derive(Clone, Copy, Default)]
struct Bar {
    proved: u64,
    forgeable: u64,
    bans: u64,
}

/// The drawing; empty if nothing happened in the last day.
pub(super) fn line(failures: &[FailureEntry], history: &[HistoryEntry], now: Timestamp) -> Markup {
    let bans = history.iter().filter(|entry| entry.event == HistoryKind::Ban);
    let bans: Vec<u64> =
        bans.map(|entry| age(entry.time.0, now)).filter(|age| *age < MOST).collect();
    let failures: Vec<(u64, bool)> = failures
        .iter()
        .map(|failure| (age(failure.time.0, now), failure.grade.is_forgeable()))
        .filter(|(age, _)| *age < MOST)
        .collect();
    let oldest = failures.iter().map(|(age, _)| *age).chain(bans.iter().copied()).max();
    let Some(oldest) = oldest else { return html! {} };
    let span = oldest.saturating_add(1).max(LEAST);
    let mut columns = [Bar::default(); BARS];
    let mut add = |age: u64, to: fn(&mut Bar) -> &mut u64| {
        // The newest are at the right.
        let back = age.saturating_mul(BARS as u64) / span;
        let place = (BARS - 1).saturating_sub(usize::try_from(back).unwrap_or(BARS));
        if let Some(bar) = columns.get_mut(place) {
            *to(bar) += 1;
        }
    };
    for (age, forgeable) in &failures {
        add(*age, if *forgeable { |bar| &mut bar.forgeable } else { |bar| &mut bar.proved });
    }
    for age in &bans {
        add(*age, |bar| &mut bar.bans);
    }
    let most = columns.iter().map(|bar| bar.proved + bar.forgeable).max().unwrap_or(0).max(1);
    let forgeable = failures.iter().filter(|(_, forgeable)| *forgeable).count();
    let width = WIDTH / BARS as u64;
    html! {
        figure.spark {
            svg viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } preserveAspectRatio="none" aria-hidden="true" {
                @for (x, bar) in (0..).step_by(10).zip(&columns) {
                    @let all = height(bar.proved + bar.forgeable, most);
                    @let proved = height(bar.proved, most);
                    @if bar.forgeable > 0 {
                        rect.two x=(x) y=(HEIGHT - all) width=(width - 2) height=(all) {}
                    }
                    @if bar.proved > 0 {
                        rect.one x=(x) y=(HEIGHT - proved) width=(width - 2) height=(proved) {}
                    }
                    @if bar.bans > 0 { rect.ban x=(x + 3) y="0" width="3" height=(HEIGHT) {} }
                }
                path.axis d={ "M0 " (HEIGHT) "H" (WIDTH) } {}
            }
            figcaption {
                span { (t!("In the last {span}:", span = labels::span(span / 1_000_000))) }
                span.key.one { (labels::count((failures.len() - forgeable) as u64, "failure")) }
                @if forgeable > 0 { span.key { (t!("{count} forgeable", count = labels::number(forgeable as u64))) } }
                @if !bans.is_empty() { span.key.three { (labels::count(bans.len() as u64, "ban")) } }
            }
        }
    }
}

fn age(time: Timestamp, now: Timestamp) -> u64 {
    u64::try_from(now.since(time).as_micros()).unwrap_or(u64::MAX)
}

/// A bar that is there can be seen.
fn height(count: u64, most: u64) -> u64 {
    (count * (HEIGHT - 4) / most).max(u64::from(count > 0) * 3)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use sipward_engine::{Grade, Identity};
    use sipward_model::text::Time;

    fn failure(time: Timestamp, grade: Grade) -> FailureEntry {
        FailureEntry {
            id: 1,
            time: Time(time),
            address: "192.0.2.7".parse().unwrap(),
            user: String::new(),
            profile: String::new(),
            user_agent: String::new(),
            grade,
            identity: Identity::Stranger,
            attention: false,
            failures: 1,
            exempt: None,
            banned: false,
        }
    }

    #[test]
    fn forgeable_failures_are_drawn_apart_and_the_newest_stand_at_the_right() {
        let now = Timestamp::from_micros(100_000_000_000);
        let old = now.earlier(Duration::from_secs(3_600));
        let drawn = line(&[failure(now, Grade::Answered), failure(old, Grade::Unproven)], &[], now);
        let drawn = drawn.into_string();
        assert!(drawn.contains("<rect class=\"two\" x=\"0\""), "{drawn}");
        assert!(drawn.contains("<rect class=\"one\" x=\"470\""), "{drawn}");
        assert!(drawn.contains("1 forgeable") && drawn.contains("1 failure<"), "{drawn}");
    }

    #[test]
    fn without_events_of_the_last_day_there_is_no_drawing() {
        let now = Timestamp::from_micros(100_000_000_000_000);
        let old = now.earlier(Duration::from_secs(90_000));
        assert_eq!(line(&[failure(old, Grade::Answered)], &[], now).into_string(), "");
    }
}
