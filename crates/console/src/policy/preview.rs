//! The preview of a change of the policy.

use maud::{Markup, html};

use super::super::frame::Frame;
use super::super::labels;
use super::super::language::{t, tn};
use super::values;
use sipward_model::wire::{NotMadeBecause, PolicyChange, PolicyPreview};

pub(super) fn page(frame: &Frame, change: &PolicyChange, meant: &PolicyPreview) -> Markup {
    let body = html! {
        div.head { h1 { (t("Preview")) } p.soft { (t("Nothing is applied yet.")) } }
        div.grid {
            section.card {
                h2 { (t("Changes")) }
                ul {
                    @for value in &meant.changes {
                        li {
                            span.mono { (value.key) } ": " (values::of(&value.key, &value.from))
                            " → " strong { (values::of(&value.key, &value.to)) }
                        }
                    }
                }
                p.soft {
                    @if change.stored { (t("The change is stored and survives a restart.")) }
                    @else { (t("The change ends with the next restart.")) }
                }
            }
            section.card {
                h2 { (t("Active bans")) }
                p { (t("They continue: a change of the policy ends no ban.")) }
                dl.pairs {
                    dt { (t("Checked")) } dd { (tn!(meant.bans_looked_at, "{n} ban by rules", "{n} bans by rules")) }
                    dt { (t("Not made")) }
                    dd {
                        (t!(
                            "{count} would not have been made",
                            count = html! { strong { (labels::number(meant.not_made_total)) } },
                        ))
                    }
                    @if meant.unsure_total > 0 {
                        dt { (t("Unsure")) }
                        dd {
                            (tn!(
                                meant.unsure_total,
                                "{n} ban with too little evidence to decide",
                                "{n} bans with too little evidence to decide",
                            ))
                        }
                    }
                    dt { (t("Longer")) } dd { (t!("{count} would last longer", count = labels::number(meant.longer))) }
                    dt { (t("Shorter")) } dd { (t!("{count} would last shorter", count = labels::number(meant.shorter))) }
                }
                (not_made(meant))
            }
            section.card {
                h2 { (t("Would be banned next")) }
                p {
                    (t!(
                        "{sources} would be banned at the next failure, of {checked} checked.",
                        sources = html! { strong { (labels::count(meant.due_total, "source")) } },
                        checked = labels::number(meant.sources_looked_at),
                    ))
                }
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
                    button type="submit" { (t("Apply")) }
                    a.button.quiet href="/policy" { (t("Cancel")) }
                }
            }
        }
    };
    frame.page("/policy", t("Preview"), None, &body)
}

fn not_made(meant: &PolicyPreview) -> Markup {
    html! {
        @if !meant.not_made.is_empty() {
            details {
                summary { (t("Bans that would not have been made")) }
                ul {
                    @for ban in &meant.not_made {
                        li {
                            (labels::net(ban.net)) ", " (labels::rule(ban.rule)) ": "
                            (because(ban.because))
                        }
                    }
                }
                @if meant.not_made_total > meant.not_made.len() as u64 { p.soft { (t("and more")) } }
            }
        }
    }
}

fn because(reason: NotMadeBecause) -> &'static str {
    match reason {
        NotMadeBecause::Mode => t("the rule would not ban"),
        NotMadeBecause::Threshold => t("the failures would not reach the threshold"),
        NotMadeBecause::Grade => t("the evidence is too weak"),
        NotMadeBecause::UserAgent => t("the user agent is not listed"),
    }
}

fn due(meant: &PolicyPreview) -> Markup {
    html! {
        @if !meant.due.is_empty() {
            details {
                summary { (t("Sources")) }
                ul {
                    @for source in &meant.due {
                        li {
                            (labels::net(source.address.into())) ", " (labels::rule(source.rule)) " × "
                            (source.failures)
                        }
                    }
                }
                @if meant.due_total > meant.due.len() as u64 { p.soft { (t("and more")) } }
            }
        }
    }
}
