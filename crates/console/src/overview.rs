//! The current state and recent events.

mod flood;

use axum::extract::State;
use maud::{Markup, html};

use super::bans::{Columns, rows};
use super::chart;
use super::error_page::ErrorPage;
use super::fields::Asked;
use super::frame::{Frame, gate_words};
use super::insights::Insights;
use super::labels::{self, Shown, plain};
use sipward_config::Mode;
use sipward_daemon::control::Control;
use sipward_model::wire::{
    Alarm, AlarmList, AlarmState, BanOrder, BanPage, BanQuery, Direction, Series, SeriesQuery,
    SeriesRange, Top, TopBy, TopQuery,
};

/// Rows of each short table.
const LINES: u16 = 8;

/// Alarms shown; the API lists all of the last day.
const ALARMS: usize = 8;

pub(super) async fn show(
    State(control): State<Control>,
    frame: Frame,
    Asked(fields): Asked,
) -> Result<Markup, ErrorPage> {
    let range = fields.word::<SeriesRange>("range")?.unwrap_or_default();
    let query = BanQuery {
        sort: Some(BanOrder::Since),
        order: Some(Direction::Desc),
        limit: Some(LINES),
        ..BanQuery::default()
    };
    let top = async |by| {
        let query = TopQuery { by: Some(by), limit: Some(LINES) };
        control.top(query).await
    };
    let series = SeriesQuery { range: Some(range) };
    let (alarms, bans, sources, users, insights) = tokio::try_join!(
        control.alarms(),
        control.bans(query),
        top(TopBy::Address),
        top(TopBy::User),
        Insights::ask(&control),
    )?;
    let found = Found { series: control.series(&series), alarms, bans, sources, users, insights };
    Ok(page(&frame, &found))
}

/// The data of the page.
struct Found {
    series: Series,
    alarms: AlarmList,
    bans: BanPage,
    sources: Top,
    users: Top,
    insights: Insights,
}

fn page(frame: &Frame, found: &Found) -> Markup {
    let here = chart::path(found.series.range);
    let body = html! {
        h1.hidden { "Overview" }
        div.facts #facts data-live="" { (facts(frame)) }
        section.card #alarms data-live="" aria-labelledby="alarms-title" {
            (alarms(frame, &found.alarms))
        }
        section.card aria-labelledby="chart-title" {
            div.head {
                h2 #chart-title { "Failures and bans" }
                (chart::ranges(found.series.range))
            }
            div #chart data-live="" { (chart::figure(&found.series)) }
        }
        div.grid {
            section.card aria-labelledby="sources-title" {
                h2 #sources-title { "Top sources" }
                div #sources data-live="" { (top(frame, &found.sources)) }
            }
            section.card aria-labelledby="users-title" {
                h2 #users-title { a href="/users" { "Users under attack" } }
                div #users data-live="" { (top(frame, &found.users)) }
            }
        }
        (found.insights.section(frame))
        section.card aria-labelledby="strangers-title" {
            h2 #strangers-title { "Busiest strangers" }
            div #strangers data-live="" { (flood::strangers(frame)) }
        }
        section.card aria-labelledby="newest-title" {
            h2 #newest-title { a href="/bans" { "Newest bans" } }
            div #newest data-live="" {
                (rows(frame, &found.bans.items, &Columns::plain("Newest bans")))
            }
        }
        form.filter method="get" action="/sources" role="search" aria-label="Look up an address" {
            div.field.wide {
                label for="address" { "Why is an address banned or not?" }
                input type="search" id="address" name="address" placeholder="203.0.113.7" required
                    maxlength="45" autocomplete="off" spellcheck="false";
            }
            button type="submit" { "Look up" }
        }
    };
    frame.page("/", "Overview", Some(here), &body)
}

/// The most important numbers.
fn facts(frame: &Frame) -> Markup {
    let status = &frame.status;
    let socket = &status.event_socket;
    let (gate, gate_said) = gate_words(status.mode, status.gate.as_ref());
    let gaps = status.gate.as_ref().map(|gate| gate.gaps.as_slice()).unwrap_or_default();
    let open = status.bans.not_enforced + status.bans.flows_not_enforced;
    let refused = status.mode == Mode::Ban && open > 0;
    html! {
        (fact(if socket.connected { "good" } else { "bad" }, "FreeSWITCH", &html! {
            strong { @if socket.connected { "connected" } @else { "NOT connected" } }
            p.soft {
                "for " (labels::span(frame.now.since(socket.since.0).as_secs()))
                @if let Some(peer) = &socket.peer { ", " (peer) }
            }
            @if socket.blind_seconds > 0.0 {
                p { "blind for " (labels::span_of(socket.blind_seconds)) " in total" }
            }
            @if !socket.connected { @if let Some(error) = &socket.error { p { (plain(error)) } } }
        }))
        (fact(gate, "Gate", &html! {
            strong { (gate_said) }
            @for gap in gaps { p { (plain(gap)) } }
            p.soft {
                a href="/mode" {
                    @if status.mode == Mode::Observe { "Who would be blocked" } @else { "Mode" }
                }
            }
        }))
        (flood::fact(frame))
        (fact(if refused { "bad" } else { "" }, "Banned now", &html! {
            strong { (labels::number(status.bans.active)) }
            @if refused { p { (labels::number(open)) " not enforced" } }
            p.soft {
                (labels::number(status.totals.bans)) " since the start"
                (super::bans::flows(status))
            }
        }))
        (fact("", "Failing now", &html! {
            strong {
                @if status.failed_now.at_least { "≥ " }
                (labels::number(status.failed_now.failures))
            }
            p.soft {
                "from " (labels::count(status.failed_now.sources, "source")) " in "
                (labels::span_of(status.policy.window_seconds))
            }
            p.soft { (labels::number(status.totals.failures)) " since the start" }
        }))
    }
}

fn fact(class: &str, title: &str, body: &Markup) -> Markup {
    html! { section class={ "fact " (class) } { h2 { (title) } (body) } }
}

fn alarms(frame: &Frame, list: &AlarmList) -> Markup {
    let (class, said) = match list.state {
        AlarmState::Ok => ("good", "none"),
        AlarmState::Attention => ("warn", "minor alarm"),
        AlarmState::Alarm => ("bad", "alarm"),
    };
    let left_out = list.items.len().saturating_sub(ALARMS);
    html! {
        h2 #alarms-title { "Alarms " span class={ "pill " (class) } { (said) } }
        @if list.items.is_empty() { p.empty { "No alarms in the last day." } }
        @else {
            ul.alarms { @for alarm in list.items.iter().take(ALARMS) { (line(frame, alarm)) } }
            @if left_out > 0 { p.soft { "and " (left_out) " more in the last day" } }
        }
    }
}

fn line(frame: &Frame, alarm: &Alarm) -> Markup {
    let over = alarm.standing == Some(false) || !alarm.counts;
    let class = match alarm.severity {
        _ if over => "",
        AlarmState::Alarm => "bad",
        AlarmState::Attention | AlarmState::Ok => "warn",
    };
    html! {
        li {
            span class={ "pill " (class) } {
                @if over { "over" } @else if alarm.standing == Some(true) { "active" } @else { "event" }
            }
            span {
                (plain(&alarm.text))
                span.soft {
                    " · " (labels::ago(alarm.at, frame.now))
                    @if alarm.times > 1 { ", " (alarm.times) " times" }
                }
            }
        }
    }
}

fn top(frame: &Frame, top: &Top) -> Markup {
    let sources = top.by == TopBy::Address;
    if top.items.is_empty() {
        return html! { p.empty { "No failures since " (labels::at(top.memory.since)) "." } };
    }
    html! {
        table.rows.tight {
            caption.hidden {
                @if sources { "Sources with the most failures" }
                @else { "Users with the most failures" }
            }
            thead { tr {
                th scope="col" { @if sources { "Source" } @else { "User" } }
                th.num scope="col" { "Failures" }
                th.num scope="col" { @if sources { "Users" } @else { "Sources" } }
                th scope="col" { "Last" }
            } }
            tbody {
                @for entry in &top.items {
                    tr data-key=(Shown(sipward_model::text::Plain(&entry.name))) {
                        th scope="row" {
                            @if sources {
                                a.net href={ "/sources/" (entry.name) } { (entry.name) }
                                @if entry.banned == Some(true) { " " span.pill.bad { "banned" } }
                            }
                            @else { (plain(&entry.name)) }
                        }
                        td.num data-label="Failures" { (labels::number(entry.failures)) }
                        td.num data-label=(if sources { "Users" } else { "Sources" }) {
                            (labels::number(entry.users.or(entry.sources).unwrap_or_default()))
                        }
                        td data-label="Last" { (labels::ago(entry.last, frame.now)) }
                    }
                }
            }
        }
    }
}
