//! "If this had been on last week": the part of the preview that looks back.

use maud::{Markup, html};

use super::super::labels;
use super::super::language::{t, tn};
use sipward_daemon::control::ControlError;
use sipward_model::wire::{NotMadeBecause, PolicyReplay};

pub(super) fn section(replayed: &Result<PolicyReplay, ControlError>) -> Markup {
    html! {
        section.card #replay aria-labelledby="replay-title" {
            h2 #replay-title { (t("If this had been on last week")) }
            @match replayed {
                Ok(replay) => (body(replay)),
                Err(error) => p.empty {
                    (t!("No replay: {reason}", reason = labels::english(&error.to_string())))
                },
            }
        }
    }
}

fn body(replay: &PolicyReplay) -> Markup {
    html! {
        div.grid {
            div {
                h3 { (t("Banned besides")) }
                p {
                    (tn!(
                        replay.added_total,
                        "{n} more address would have been banned",
                        "{n} more addresses would have been banned"
                    ))
                    (among(replay.added_healthy, replay.added_total))
                }
                (covered(replay))
                (added(replay))
            }
            div {
                h3 { (t("Not banned")) }
                p {
                    (t!(
                        "{count} of {banned} banned addresses would not have been banned",
                        count = labels::number(replay.not_banned_total),
                        banned = labels::number(replay.banned),
                    ))
                    (among(replay.not_banned_healthy, replay.not_banned_total))
                }
                (by_evidence(replay))
                (not_banned(replay))
            }
        }
        p.soft {
            (t(
                "What cannot be known: earlier failures that led to no ban are not kept, nor what a banned address \
                 would have sent next. Log-ins, allow list and access lists are those of now. The rules calls, \
                 raw_address, challenges, flood, scan, report, log and login are judged by the evidence of their bans \
                 only."
            ))
        }
    }
}

/// What the stored bans tell, and how far back they reach.
fn by_evidence(replay: &PolicyReplay) -> Markup {
    html! {
        p.soft {
            (t!(
                "{count} would have been banned as well.",
                count = labels::number(replay.banned_again),
            ))
            @if replay.unsure > 0 {
                " "
                (t!(
                    "For {count} the evidence is not sufficient.",
                    count = labels::number(replay.unsure),
                ))
            }
            @if let Some(from) = replay.bans_from {
                " "
                (t!(
                    "By the evidence stored with {bans} since {time}.",
                    bans = labels::count(replay.bans, "ban"),
                    time = labels::at(from),
                ))
            } @else { " " (t("No ban of the last week is stored.")) }
            @if !replay.bans_whole { " " (t("There were more before, which were not read.")) }
        }
    }
}

/// How many are no strangers.
fn among(healthy: u64, total: u64) -> Markup {
    html! {
        @if total > 0 {
            @if healthy > 0 {
                ", "
                span.pill.bad {
                    (tn!(healthy, "{n} with a known or registered host", "{n} with known or registered hosts"))
                }
            } @else { ", " (t("none with a known or registered host")) }
        }
    }
}

fn covered(replay: &PolicyReplay) -> Markup {
    html! {
        p.soft {
            @if replay.failures == 0 { (t("There are no failures in memory to judge again.")) }
            @else {
                (t!(
                    "By {failures} since {time}, judged again one after the other.",
                    failures = labels::count(replay.failures, "failure"),
                    time = labels::at(replay.failures_from),
                ))
            }
        }
    }
}

fn added(replay: &PolicyReplay) -> Markup {
    let rows = replay.added.iter().map(|ban| {
        html! {
            (labels::net(ban.net)) ", " (labels::rule(ban.rule))
            @if ban.healthy { " " (known()) }
        }
    });
    folded(t("Addresses"), rows, replay.added_total)
}

fn not_banned(replay: &PolicyReplay) -> Markup {
    let rows = replay.not_banned.iter().map(|lift| {
        html! {
            (labels::net(lift.net)) ", " (labels::rule(lift.rule)) ": " (because(lift.because))
            @if lift.healthy { " " (known()) }
        }
    });
    folded(t("Addresses"), rows, replay.not_banned_total)
}

/// A list that opens, of the first of `total`; nothing where it is empty.
pub(super) fn folded(
    title: &str,
    rows: impl ExactSizeIterator<Item = Markup>,
    total: u64,
) -> Markup {
    let more = total > rows.len() as u64;
    html! {
        @if rows.len() > 0 {
            details {
                summary { (title) }
                ul { @for row in rows { li { (row) } } }
                @if more { p.soft { (t("and more")) } }
            }
        }
    }
}

/// Why a ban would not have been made.
pub(super) fn because(reason: NotMadeBecause) -> &'static str {
    match reason {
        NotMadeBecause::Mode => t("the rule would not ban"),
        NotMadeBecause::Threshold => t("the failures would not reach the threshold"),
        NotMadeBecause::Grade => t("the evidence is too weak"),
        NotMadeBecause::UserAgent => t("the user agent is not listed"),
    }
}

fn known() -> Markup {
    html! { span.pill.warn { (t("known host")) } }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sipward_engine::{RuleName, Timestamp};
    use sipward_model::text::Time;
    use sipward_model::wire::ReplayedBan;

    fn replay() -> PolicyReplay {
        PolicyReplay {
            changes: Vec::new(),
            bans_from: Some(Time(Timestamp::EPOCH)),
            bans_whole: true,
            bans: 7,
            banned: 6,
            banned_again: 4,
            unsure: 1,
            not_banned_total: 1,
            not_banned_healthy: 0,
            not_banned: Vec::new(),
            failures: 90,
            failures_from: Time(Timestamp::EPOCH),
            added_total: 2,
            added_healthy: 1,
            added: vec![ReplayedBan {
                net: "203.0.113.7/32".parse().unwrap(),
                rule: RuleName::Failures,
                healthy: true,
            }],
        }
    }

    #[test]
    fn the_span_that_is_covered_and_known_hosts_are_named() {
        let page = section(&Ok(replay())).into_string();
        for part in [
            "2 more addresses would have been banned",
            "1 with a known or registered host",
            "90 failures since",
            "1970-01-01",
            "1 of 6 banned addresses would not",
            "For 1 the evidence is not sufficient",
            "known host",
            "and more",
        ] {
            assert!(page.contains(part), "{part}: {page}");
        }
        let cut = PolicyReplay { bans_whole: false, ..replay() };
        assert!(section(&Ok(cut)).into_string().contains("which were not read"));
    }

    #[test]
    fn when_none_is_made_it_says_why() {
        let busy = ControlError::TooMany { detail: "<busy>".to_owned(), retry_after: 5 };
        let page = section(&Err(busy)).into_string();
        assert!(page.contains("&lt;busy&gt;"), "{page}");
    }
}
