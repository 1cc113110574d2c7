//! What a change of the policy would mean.

use maud::{Markup, html};

use super::super::frame::Frame;
use super::super::labels;
use super::values;
use sipward_model::wire::{NotMadeBecause, PolicyChange, PolicyPreview};

pub(super) fn page(frame: &Frame, change: &PolicyChange, meant: &PolicyPreview) -> Markup {
    let body = html! {
        div.head { h1 { "What it would mean" } p.soft { "Nothing is changed yet." } }
        div.grid {
            section.card {
                h2 { "Would change" }
                ul {
                    @for value in &meant.changes {
                        li {
                            span.mono { (value.key) } ": " (values::of(&value.key, &value.from))
                            " → " strong { (values::of(&value.key, &value.to)) }
                        }
                    }
                }
                p.soft {
                    @if change.stored { "It outlives a restart." }
                    @else { "It ends with the daemon." }
                }
            }
            section.card {
                h2 { "Bans that stand" }
                p { "They go on: a changed policy ends no ban." }
                dl.pairs {
                    dt { "Looked at" } dd { (labels::count(meant.bans_looked_at, "ban")) " by rules" }
                    dt { "Not made" }
                    dd {
                        strong { (labels::number(meant.not_made_total)) }
                        " would not have been made"
                    }
                    @if meant.unsure_total > 0 {
                        dt { "Unsure" }
                        dd { (labels::number(meant.unsure_total)) ", whose evidence does not tell" }
                    }
                    dt { "Longer" } dd { (labels::number(meant.longer)) " would last longer" }
                    dt { "Shorter" } dd { (labels::number(meant.shorter)) " would last shorter" }
                }
                (not_made(meant))
            }
            section.card {
                h2 { "Due at once" }
                p { strong { (labels::count(meant.due_total, "source")) } " would be banned by the next failure, of "
                    (labels::number(meant.sources_looked_at)) " looked at." }
                (due(meant))
            }
        }
        @if frame.viewer.may_write {
            form.card method="post" action="/policy" {
                @for (key, value) in &change.values {
                    input type="hidden" name=(key) value=(values::written(key, value));
                }
                @if !change.stored { input type="hidden" name="until_restart" value="on"; }
                p.actions {
                    button type="submit" { "Put it in force" }
                    a.button.quiet href="/policy" { "Leave it as it is" }
                }
            }
        }
    };
    frame.page("/policy", "What it would mean", None, &body)
}

fn not_made(meant: &PolicyPreview) -> Markup {
    html! {
        @if !meant.not_made.is_empty() {
            details {
                summary { "Which would not have been made" }
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

fn because(reason: NotMadeBecause) -> &'static str {
    match reason {
        NotMadeBecause::Mode => "the rule would not ban",
        NotMadeBecause::Threshold => "it takes more than was seen",
        NotMadeBecause::Grade => "what was seen is too weak",
        NotMadeBecause::UserAgent => "its user agent is not on the list",
    }
}

fn due(meant: &PolicyPreview) -> Markup {
    html! {
        @if !meant.due.is_empty() {
            details {
                summary { "Which" }
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
