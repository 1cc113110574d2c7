//! The latest decisions and failures. The script fetches them again with the page, which marks the new rows.

use maud::{Markup, html};

use super::super::frame::Frame;
use super::super::history::title;
use super::super::labels::{self, Shown};
use super::super::language::t;
use sipward_model::wire::{HistoryKind, Recent};

pub(super) fn list(frame: &Frame, recent: &[Recent]) -> Markup {
    if recent.is_empty() {
        return html! { p.empty { (t("Nothing since the start.")) } };
    }
    html! {
        table.rows.tight {
            caption.hidden { (t("Latest decisions and failures")) }
            thead { tr {
                th scope="col" { (t("Time")) } th scope="col" { (t("Event")) } th scope="col" { (t("Network")) }
                th scope="col" { (t("Details")) }
            } }
            tbody { @for one in recent { (row(frame, one)) } }
        }
    }
}

fn row(frame: &Frame, one: &Recent) -> Markup {
    let (class, word) = match one.event {
        None => ("", t("failed")),
        Some(event @ (HistoryKind::Ban | HistoryKind::FlowDenied)) => ("bad", title(event)),
        Some(event @ (HistoryKind::Unban | HistoryKind::FlowAllowed)) => ("good", title(event)),
        Some(event @ HistoryKind::Refused) => ("warn", title(event)),
    };
    html! {
        tr data-key={ (word) " " (Shown(one.net)) " " (Shown(one.time)) } {
            td data-label=(t("Time")) { (labels::ago(one.time, frame.now)) }
            td data-label=(t("Event")) {
                span class={ "pill " (class) } { (word) }
                @if one.times > 1 { " × " (labels::number(one.times)) }
            }
            th scope="row" { (labels::net(one.net)) }
            td data-label=(t("Details")) { (labels::english(&one.text)) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::context::ViewContext;
    use super::*;
    use sipward_engine::Timestamp;
    use sipward_model::text::Time;

    #[test]
    fn the_latest_are_listed_with_a_word_each_and_hostile_names_are_text() {
        let viewer = ViewContext::named("noc", false);
        let status = super::super::super::frame::tests::status();
        let frame = Frame { viewer, status, now: Timestamp::EPOCH, in_fleet: false };
        let one = |event, times| Recent {
            time: Time(Timestamp::EPOCH),
            event,
            net: "203.0.113.7/32".parse().unwrap(),
            times,
            text: "<b>\u{202e}".to_owned(),
        };
        let page = list(&frame, &[one(None, 14), one(Some(HistoryKind::Ban), 1)]).into_string();
        assert!(page.contains("failed</span> × 14"), "{page}");
        assert!(page.contains("pill bad\">banned"), "{page}");
        assert!(page.contains("&lt;b&gt;\\u{202e}"), "{page}");
        assert!(list(&frame, &[]).into_string().contains("Nothing since the start"));
    }
}
