//! The verdict in a language other than English, made of the report: the daemon's own sentence is English.

use maud::{Markup, html};
use sipward_engine::Timestamp;

use super::super::labels::{self, Shown};
use super::super::language::{self, t, tn};
use sipward_model::wire::{Ban, FailureEntry, SourceReport};

/// Banned or not, and why. `failures` are those of the source.
pub(super) fn translated(
    report: &SourceReport,
    failures: &[FailureEntry],
    now: Timestamp,
) -> Markup {
    if let Some(ban) = report.bans.first() {
        return banned(ban);
    }
    if let Some(exempt) = report.exempt.first() {
        let (class, net) = (labels::exemption(exempt.class), labels::bare_net(exempt.net));
        return t!("Exempt: {class} ({net}).", class = class, net = net);
    }
    let window = labels::span_of(report.window_seconds);
    let recent = |failure: &&FailureEntry| {
        failure.attention && now.since(failure.time.0).as_secs_f64() <= report.window_seconds
    };
    let attention = failures.iter().filter(recent).count() as u64;
    if attention > 0 {
        return tn!(
            attention,
            "Not banned: {n} failure within {window} of a phone that logged in before, most likely with an old password.",
            "Not banned: {n} failures within {window} of a phone that logged in before, most likely with an old password.",
            window = window,
        );
    }
    let forgeable = u64::from(report.unproven) + u64::from(report.unjoined);
    html! {
        (t!(
            "Not banned: weight {weight} of {most} within {window}.",
            weight = language::decimal(report.score, if report.score.fract() < 0.005 { 0 } else { 2 }),
            most = report.max_failures,
            window = window,
        ))
        @if forgeable > 0 {
            " "
            (tn!(
                forgeable,
                "{n} more failure is forgeable and does not count.",
                "{n} more failures are forgeable and do not count.",
            ))
        }
        @if report.slowed.is_some() { " " (t("Limited to 1 packet a second.")) }
    }
}

fn banned(ban: &Ban) -> Markup {
    let (net, why) = (Shown(ban.net), labels::cause(&ban.cause));
    match ban.until {
        Some(_) => t!("Banned as {net}: {why}.", net = net, why = why),
        None => t!("Banned permanently as {net}: {why}.", net = net, why = why),
    }
}
