//! Undo of a ban or an unban.

use axum::extract::State;
use axum::response::Response;
use ipnet::IpNet;
use maud::{Markup, html};

use super::error_page::ErrorPage;
use super::fields::{Fields, Filled};
use super::forms;
use super::frame::Frame;
use super::labels;
use super::language::{en, t, tn};
use sipward_daemon::control::{Control, Undoable, Undone};
use sipward_server::http::error::ApiError;

/// The result of the last action, with a button that undoes it while that is possible. The query has only its number.
pub(super) fn done(control: &Control, frame: &Frame, fields: &Fields, here: &str) -> Markup {
    let number = fields.text("undo").and_then(|id| id.parse().ok());
    match number.and_then(|id| control.undoable(id)) {
        Some(action) if frame.viewer.may_write => offer(&action, here),
        Some(_) | None => forms::done(fields),
    }
}

fn offer(action: &Undoable, here: &str) -> Markup {
    html! {
        div.notice.good role="status" {
            form.offer method="post" action="/undo" {
                input type="hidden" name="id" value=(action.id);
                input type="hidden" name="back" value=(here);
                span {
                    @match (action.banned, action.unbanned) {
                        (Some(net), _) => (t!("{net} banned", net = shown(net))),
                        (None, Some(net)) => (t!("{net} unbanned", net = shown(net))),
                        (None, None) => (tn!(action.ended as u64, "{n} ban lifted", "{n} bans lifted")),
                    }
                    @if action.banned.is_some() && action.ended > 0 {
                        "; "
                        (tn!(action.ended as u64, "{n} earlier ban replaced", "{n} earlier bans replaced"))
                    }
                }
                button.quiet type="submit" { (t("Undo")) }
            }
        }
    }
}

fn shown(net: IpNet) -> Markup {
    html! { span.mono { (labels::bare_net(net)) } }
}

/// Undoes an action.
pub(super) async fn undo(
    State(control): State<Control>,
    Filled(fields): Filled,
) -> Result<Response, ErrorPage> {
    let id =
        fields.read("id")?.ok_or_else(|| ApiError::field("id", en("the number is missing")))?;
    let Undone { lifted, restored, over, refused } = control.undo(id).await?;
    let counts = [lifted, restored, over, refused].map(|count| count.to_string());
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.append_pair("done", "undone");
    for (name, count) in ["count", "restored", "over", "refused"].iter().zip(&counts) {
        query.append_pair(name, count);
    }
    Ok(forms::go_to(&forms::with(forms::back(&fields, "/bans"), &query.finish())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_done_is_named_beside_its_undo() {
        let net = "203.0.113.200/32".parse().unwrap();
        let action = Undoable { id: 7, banned: None, unbanned: Some(net), ended: 1 };
        let said = |action: &Undoable| offer(action, "/bans?q=%22%3E").into_string();
        let one = said(&action);
        assert!(one.contains("203.0.113.200</span> unbanned"), "{one}");
        assert!(one.contains("name=\"id\" value=\"7\"") && one.contains("/bans?q=%22%3E"), "{one}");
        assert!(
            said(&Undoable { unbanned: None, ended: 3, ..action.clone() })
                .contains("3 bans lifted")
        );
        let ban = Undoable { banned: Some(net), unbanned: None, ended: 2, ..action };
        assert!(said(&ban).contains("</span> banned; 2 earlier bans replaced"));
    }
}
