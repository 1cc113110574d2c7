//! The mode: whether bans are carried out, and what a change would block.

use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use maud::{Markup, html};

use super::bans::{Columns, rows};
use super::error_page::{self, ErrorPage};
use super::fields::{Asked, Fields, Filled};
use super::forms;
use super::frame::Frame;
use super::labels;
use super::language::{t, tn};
use sipward_config::Mode;
use sipward_daemon::control::Control;
use sipward_model::wire::{BanOrder, BanPage, BanQuery, Direction, ModeView};
use sipward_server::http::error::ApiError;

/// Bans that are shown.
const SHOWN: u16 = 50;

pub(super) async fn show(
    State(control): State<Control>,
    frame: Frame,
    Asked(fields): Asked,
) -> Result<Markup, ErrorPage> {
    let (view, bans) = read(&control).await?;
    Ok(page(&frame, &fields, &view, &bans, None))
}

pub(super) async fn change(
    State(control): State<Control>,
    frame: Frame,
    Filled(fields): Filled,
) -> Result<Response, ErrorPage> {
    let changed = async {
        let mode = fields.word("mode")?;
        let mode = mode.ok_or_else(|| ApiError::field("mode", "`ban` or `observe`"))?;
        Ok::<_, ApiError>(control.set_mode(mode).await?)
    };
    match changed.await {
        Ok(_) => Ok(forms::go_to("/mode?done=changed")),
        Err(fault) => {
            let problem = fault.problem();
            let (view, bans) = read(&control).await?;
            let banner = error_page::banner(problem);
            let page = page(&frame, &Fields::default(), &view, &bans, Some(banner));
            Ok((error_page::status(problem), page).into_response())
        }
    }
}

async fn read(control: &Control) -> Result<(ModeView, BanPage), ApiError> {
    let (sort, order) = (Some(BanOrder::Since), Some(Direction::Desc));
    let query = BanQuery { sort, order, limit: Some(SHOWN), ..BanQuery::default() };
    Ok((control.mode().await?, control.bans(query).await?))
}

fn page(
    frame: &Frame,
    fields: &Fields,
    view: &ModeView,
    bans: &BanPage,
    problem: Option<Markup>,
) -> Markup {
    let more = bans.total.saturating_sub(bans.items.len() as u64);
    let body = html! {
        (forms::done(fields))
        @if let Some(problem) = problem { (problem) }
        div.head {
            h1 { (t("Mode")) }
            @match view.mode {
                Mode::Ban => p.soft { (t("Banned hosts are blocked.")) },
                Mode::Observe => p.soft { (t("Everything is decided and recorded; nothing is blocked.")) },
            }
        }
        section.card {
            (effect(view))
            @if view.is_fixed {
                p.soft { (t("This daemon was started to observe only. Its mode cannot be changed.")) }
            } @else if frame.viewer.may_write {
                (form(view.mode))
            }
            @if view.mode != view.file && !view.is_fixed {
                p.soft {
                    (t!("Set at run time. The configuration file has mode {mode}.", mode = view.file.as_str()))
                }
            }
        }
        section.card {
            h2 { @if view.mode == Mode::Observe { (t("Would be blocked")) } @else { (t("Blocked")) } }
            (rows(frame, &bans.items, &Columns::plain(t("Active bans"))))
            @if more > 0 { p { a href="/bans" { (t!("and {count} more", count = labels::number(more))) } } }
        }
    };
    frame.page("/mode", t("Mode"), None, &body)
}

/// What a change does.
fn effect(view: &ModeView) -> Markup {
    let bans = html! { strong { (labels::count(view.bans, "ban")) } };
    html! {
        @match view.mode {
            Mode::Observe => p {
                @if view.flows > 0 {
                    (t!(
                        "Mode ban sets {bans} in the kernel at once, and denies {flows}.",
                        bans = bans,
                        flows = labels::count(view.flows, "flow"),
                    ))
                } @else { (t!("Mode ban sets {bans} in the kernel at once.", bans = bans)) }
            },
            Mode::Ban => p {
                (t!(
                    "Mode observe removes {bans} from the kernel: these hosts can reach FreeSWITCH again. The bans \
                     stay on the list.",
                    bans = bans,
                ))
            },
        }
        @if view.mode == Mode::Observe && view.bans_of_healthy > 0 {
            div.notice.warn {
                (tn!(
                    view.bans_of_healthy,
                    "{n} ban of these covers hosts that are not strangers:",
                    "{n} bans of these cover hosts that are not strangers:",
                ))
                ul { @for line in view.healthy.iter().flat_map(labels::healthy) { li { (line) } } }
            }
        }
    }
}

fn form(mode: Mode) -> Markup {
    let (other, words) = match mode {
        Mode::Ban => ("observe", t("Stop blocking")),
        Mode::Observe => ("ban", t("Block these hosts now")),
    };
    html! {
        form.actions method="post" action="/mode" {
            input type="hidden" name="mode" value=(other);
            button type="submit" { (words) }
        }
    }
}
