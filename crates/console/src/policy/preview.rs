//! The preview of a change of the policy.

use maud::{Markup, html};

use super::super::frame::Frame;
use super::super::labels;
use super::{replay, values};
use sipward_daemon::control::ControlError;
use sipward_model::wire::{NotMadeBecause, PolicyChange, PolicyPreview, PolicyReplay};

pub(super) fn page(
    frame: &Frame,
    change: &PolicyChange,
    meant: &PolicyPreview,
    replayed: &Result<PolicyReplay, ControlError>,
) -> Markup {
    let body = html! {
        div.head { h1 { "Preview" } p.soft { "Nothing is applied yet." } }
        div.grid {
            section.card {
                h2 { "Changes" }
                ul {
                    @for value in &meant.changes {
                        li {
                            span.mono { (value.key) } ": " (values::of(&value.key, &value.from))
                            " → " strong { (values::of(&value.key, &value.to)) }
                        }
                    }
                }
                p.soft {
                    @if change.stored { "The change is stored and survives a restart." }
                    @else { "The change ends with the next restart." }
                }
            }
            section.card {
                h2 { "Active bans" }
                p { "They continue: a change of the policy ends no ban." }
                dl.pairs {
                    dt { "Checked" } dd { (labels::count(meant.bans_looked_at, "ban")) " by rules" }
                    dt { "Not made" }
                    dd {
                        strong { (labels::number(meant.not_made_total)) }
                        " would not have been made"
                    }
                    @if meant.unsure_total > 0 {
                        dt { "Unsure" }
                        dd { (labels::count(meant.unsure_total, "ban")) " with too little evidence to decide" }
                    }
                    dt { "Longer" } dd { (labels::number(meant.longer)) " would last longer" }
                    dt { "Shorter" } dd { (labels::number(meant.shorter)) " would last shorter" }
                }
                (not_made(meant))
            }
            section.card {
                h2 { "Would be banned next" }
                p { strong { (labels::count(meant.due_total, "source")) } " would be banned at the next failure, of "
                    (labels::number(meant.sources_looked_at)) " checked." }
                (due(meant))
            }
        }
        (replay::section(replayed))
        @if frame.viewer.may_write {
            form.card method="post" action="/policy" {
                @for (key, value) in &change.values {
                    input type="hidden" name=(key) value=(values::written(key, value));
                }
                @if !change.stored { input type="hidden" name="until_restart" value="on"; }
                p.actions {
                    button type="submit" { "Apply" }
                    a.button.quiet href="/policy" { "Cancel" }
                }
            }
        }
    };
    frame.page("/policy", "Preview", None, &body)
}

fn not_made(meant: &PolicyPreview) -> Markup {
    html! {
        @if !meant.not_made.is_empty() {
            details {
                summary { "Bans that would not have been made" }
                ul {
                    @for ban in &meant.not_made {
                        li {
                            (labels::net(ban.net)) ", " (labels::rule(ban.rule)) ": "
                            (because(ban.because))
                        }
                    }
                }
                @if meant.not_made_total > meant.not_made.len() as u64 { p.soft { "and more" } }
            }
        }
    }
}

pub(super) fn because(reason: NotMadeBecause) -> &'static str {
    match reason {
        NotMadeBecause::Mode => "the rule would not ban",
        NotMadeBecause::Threshold => "the failures would not reach the threshold",
        NotMadeBecause::Grade => "the evidence is too weak",
        NotMadeBecause::UserAgent => "the user agent is not listed",
    }
}

fn due(meant: &PolicyPreview) -> Markup {
    html! {
        @if !meant.due.is_empty() {
            details {
                summary { "Sources" }
                ul {
                    @for source in &meant.due {
                        li {
                            (labels::net(source.address.into())) ", " (labels::rule(source.rule)) " × "
                            (source.failures)
                        }
                    }
                }
                @if meant.due_total > meant.due.len() as u64 { p.soft { "and more" } }
            }
        }
    }
}
