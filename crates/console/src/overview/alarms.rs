//! The alarms: those of one kind together, each with links to what it names, and a button to acknowledge it.

mod words;

use axum::extract::State;
use axum::response::Response;
use maud::{Markup, html};

use super::super::context::ViewContext;
use super::super::error_page::ErrorPage;
use super::super::fields::Filled;
use super::super::forms;
use super::super::frame::Frame;
use super::super::labels::{self, Shown, plain};
use super::super::language::{self, en, t, tn};
use sipward_daemon::control::Control;
use sipward_model::text::api_name;
use sipward_model::wire::{Alarm, AlarmKind, AlarmList, AlarmState};
use sipward_server::http::error::ApiError;

/// Kinds shown; the API lists all alarms of the last day.
const KINDS: usize = 12;

/// Alarms of a kind shown.
const OF_A_KIND: usize = 50;

/// Acknowledges the alarms of a kind, or one of them.
pub(in super::super) async fn acknowledge(
    State(control): State<Control>,
    viewer: ViewContext,
    Filled(fields): Filled,
) -> Result<Response, ErrorPage> {
    let Some(kind) = fields.word::<AlarmKind>("kind")? else {
        return Err(ApiError::field("kind", en("name the alarm")).into());
    };
    let about = fields.raw("about").map(str::to_owned);
    control.acknowledge(kind, about, viewer.name).await?;
    Ok(forms::go_to("/#alarms"))
}

pub(super) fn list(frame: &Frame, list: &AlarmList) -> Markup {
    let (class, said) = match list.state {
        AlarmState::Ok => ("good", t("none")),
        AlarmState::Attention => ("warn", t("minor alarm")),
        AlarmState::Alarm => ("bad", t("alarm")),
    };
    let groups = groups(&list.items);
    let left_out = groups.len().saturating_sub(KINDS);
    html! {
        h2 #alarms-title { (t("Alarms")) " " span class={ "pill " (class) } { (said) } }
        @if groups.is_empty() { p.empty { (t("No alarms in the last day.")) } }
        @else {
            ul.alarms { @for group in groups.iter().take(KINDS) { (row(frame, group)) } }
            @if left_out > 0 { p.soft { (t!("and {count} other kinds in the last day", count = left_out)) } }
        }
    }
}

/// The alarms by kind: first what counts, a guessed password before all, then the worst, then the newest.
fn groups(items: &[Alarm]) -> Vec<Vec<&Alarm>> {
    let mut groups: Vec<Vec<&Alarm>> = Vec::new();
    for alarm in items {
        let found =
            groups.iter_mut().find(|group| group.first().is_some_and(|it| it.kind == alarm.kind));
        match found {
            Some(group) => group.push(alarm),
            None => groups.push(vec![alarm]),
        }
    }
    for group in &mut groups {
        group.sort_by_key(|alarm| !alarm.counts);
    }
    groups.sort_by_key(|group| {
        let first = group.first();
        let kind = first.map(|alarm| alarm.kind);
        let counts = first.is_some_and(|alarm| alarm.counts);
        (
            !counts,
            kind != Some(AlarmKind::Guessed),
            std::cmp::Reverse(kind.map(AlarmKind::severity)),
        )
    });
    groups
}

fn row(frame: &Frame, group: &[&Alarm]) -> Markup {
    let [first, ..] = group else { return html! {} };
    if group.len() == 1 {
        return html! { li { (line(frame, first)) } };
    }
    let counting = group.iter().filter(|alarm| alarm.counts).count();
    let title = title(first.kind, group.len());
    html! {
        li {
            (pill(first))
            details {
                summary {
                    (title)
                    @if counting > 0 && counting < group.len() { " (" (t!("{count} now", count = counting)) ")" }
                    span.soft { " · " (t!("last {ago}", ago = labels::ago(first.at, frame.now))) }
                }
                @if counting > 0 { (button(frame, first.kind, None, t("Acknowledge all"))) }
                ul.alarms {
                    @for alarm in group.iter().take(OF_A_KIND) { li { (line(frame, alarm)) } }
                }
                @if group.len() > OF_A_KIND { p.soft { (t!("and {count} more", count = group.len() - OF_A_KIND)) } }
            }
        }
    }
}

fn line(frame: &Frame, alarm: &Alarm) -> Markup {
    html! {
        (pill(alarm))
        span {
            (words::text(alarm))
            (links(alarm))
            span.soft {
                " · " (labels::ago(alarm.at, frame.now))
                @if alarm.times > 1 { ", " (tn!(alarm.times.into(), "{n} time", "{n} times")) }
                @if let Some(by) = &alarm.acknowledged {
                    ", "
                    (t!(
                        "acknowledged by {name} {ago}",
                        name = plain(&by.name),
                        ago = labels::ago(by.at, frame.now),
                    ))
                }
            }
            @if alarm.counts { " " (button(frame, alarm.kind, alarm.about.as_deref(), t("Acknowledge"))) }
        }
    }
}

fn pill(alarm: &Alarm) -> Markup {
    let class = match alarm.severity {
        _ if !alarm.counts => "",
        AlarmState::Alarm => "bad",
        AlarmState::Attention | AlarmState::Ok => "warn",
    };
    let word = match (alarm.standing, alarm.counts) {
        (Some(false), _) => t("over"),
        _ if alarm.acknowledged.is_some() => t("acknowledged"),
        (Some(true), _) => t("active"),
        (None, true) => t("event"),
        (None, false) => t("over"),
    };
    html! { span class={ "pill " (class) } { (word) } }
}

/// Links to the address and the user that an alarm names.
fn links(alarm: &Alarm) -> Markup {
    let field = |name: &str| alarm.data.get(name).and_then(serde_json::Value::as_str);
    let address = field("address").or_else(|| field("net"));
    let address = address.and_then(|text| text.parse::<sipward_model::wire::Net>().ok());
    let user = field("user").filter(|user| !user.is_empty());
    html! {
        @if let Some(net) = address {
            " · " a href={ "/sources/" (Shown(net.0.addr())) } { (t("address")) }
        }
        @if let Some(user) = user {
            @let query = form_urlencoded::Serializer::new(String::new())
                .append_pair("search", user).finish();
            " · " a href={ "/users?" (query) } { (t("user")) }
        }
    }
}

fn button(frame: &Frame, kind: AlarmKind, about: Option<&str>, text: &str) -> Markup {
    html! {
        @if frame.viewer.may_write {
            form.inline method="post" action="/alarms/ack" {
                input type="hidden" name="kind" value=(api_name(&kind));
                @if let Some(about) = about { input type="hidden" name="about" value=(about); }
                button.quiet type="submit" { (text) }
            }
        }
    }
}

/// Several alarms of a kind in words.
fn title(kind: AlarmKind, count: usize) -> Markup {
    let what = match kind {
        AlarmKind::Guessed => t("passwords may have been guessed"),
        AlarmKind::AccountAttacked => t("accounts attacked"),
        AlarmKind::AccountSpread => t("accounts used from many new addresses"),
        AlarmKind::Insider => t("addresses where users log in guess passwords of others"),
        AlarmKind::LikelyProxy => t("addresses that may be a proxy or a NAT"),
        AlarmKind::Limited => t("strangers limited for a minute"),
        AlarmKind::RefusedLogin => t("users refused with the right password"),
        AlarmKind::NetworkBanned => t("networks banned"),
        AlarmKind::PeerShadowed => t("nodes of the fleet broke their bounds"),
        AlarmKind::DeliveryFailed => t("receivers of messages failed"),
        AlarmKind::GatewayUnprotected => t("gateways unprotected"),
        AlarmKind::AccessListUnused => t("access lists not used"),
        AlarmKind::NameFailed => t("names could not be looked up"),
        other => {
            let name = html! { span lang=[language::english()] { (labels::word(&other)) } };
            return html! { (count) " × " (name) };
        }
    };
    html! { (count) " " (what) }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use sipward_engine::Timestamp;
    use sipward_model::text::Time;
    use sipward_model::wire::Acknowledgement;

    pub(in crate::overview) fn alarm(kind: AlarmKind, about: Option<&str>) -> Alarm {
        let at = Time(Timestamp::EPOCH);
        Alarm {
            kind,
            severity: kind.severity(),
            about: about.map(str::to_owned),
            counts: true,
            standing: None,
            since: at,
            at,
            times: 1,
            ended: None,
            acknowledged: None,
            text: format!("{kind:?} {}", about.unwrap_or_default()),
            data: serde_json::Map::new(),
        }
    }

    fn frame(may_write: bool) -> Frame {
        let viewer = ViewContext::named("noc", may_write);
        let status = super::super::super::frame::tests::status();
        Frame { viewer, status, now: Timestamp::EPOCH, in_fleet: false }
    }

    fn said(items: Vec<Alarm>, may_write: bool) -> String {
        list(&frame(may_write), &AlarmList { state: AlarmState::Alarm, items }).into_string()
    }

    #[test]
    fn many_of_a_kind_are_one_row_behind_the_guessed_password() {
        let mut items: Vec<Alarm> = (0..12)
            .map(|n| alarm(AlarmKind::AccountAttacked, Some(&format!("10{n:02}"))))
            .collect();
        items.push(alarm(AlarmKind::Guessed, Some("1003")));
        let page = said(items, true);
        assert!(page.contains("12 accounts attacked"), "{page}");
        assert_eq!(page.matches("<details").count(), 1, "{page}");
        assert!(page.find("Guessed 1003").unwrap() < page.find("12 accounts").unwrap(), "{page}");
        assert_eq!(page.matches("Acknowledge all").count(), 1, "{page}");
    }

    #[test]
    fn an_alarm_leads_to_what_it_names_whatever_that_is_called() {
        let mut guessed = alarm(AlarmKind::Guessed, Some("a\"&b"));
        guessed.data.insert("address".to_owned(), "203.0.113.7".into());
        guessed.data.insert("user".to_owned(), "a\"&b".into());
        let page = said(vec![guessed], true);
        assert!(page.contains("href=\"/sources/203.0.113.7\""), "{page}");
        assert!(page.contains("href=\"/users?search=a%22%26b\""), "{page}");
        assert!(page.contains("value=\"a&quot;&amp;b\""), "{page}");
    }

    #[test]
    fn an_acknowledged_alarm_has_no_colour_and_no_button_but_says_who() {
        let mut done = alarm(AlarmKind::Insider, Some("203.0.113.7"));
        done.counts = false;
        done.acknowledged =
            Some(Acknowledgement { name: "anna".to_owned(), at: Time(Timestamp::EPOCH) });
        let page = said(vec![done], true);
        let row = page.split_once("<ul").unwrap().1;
        assert!(row.contains("acknowledged by <bdi>anna</bdi>"), "{page}");
        assert!(!row.contains("pill bad") && !row.contains("<form"), "{page}");
        assert!(!said(vec![alarm(AlarmKind::Insider, None)], false).contains("<form"));
    }
}
