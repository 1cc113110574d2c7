//! The preview of a change of the policy.

use maud::{Markup, html};

use super::super::frame::Frame;
use super::super::labels;
use super::super::language::{t, tn};
use super::{replay, values};
use sipward_daemon::control::ControlError;
use sipward_model::wire::{PolicyChange, PolicyPreview, PolicyReplay};

pub(super) fn page(
    frame: &Frame,
    change: &PolicyChange,
    meant: &PolicyPreview,
    replayed: &Result<PolicyReplay, ControlError>,
) -> Markup {
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
        (replay::section(replayed))
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
    let rows = meant.not_made.iter().map(|ban| {
        html! {
            (labels::net(ban.net)) ", " (labels::rule(ban.rule)) ": " (replay::because(ban.because))
        }
    });
    replay::folded(t("Bans that would not have been made"), rows, meant.not_made_total)
}

fn due(meant: &PolicyPreview) -> Markup {
    let rows = meant.due.iter().map(|source| {
        html! {
            (labels::net(source.address.into())) ", " (labels::rule(source.rule)) " × "
            (source.failures)
        }
    });
    replay::folded(t("Sources"), rows, meant.due_total)
}
