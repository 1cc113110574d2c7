//! Why an address is banned or not.

mod near;
mod owner;
mod spark;
mod verdict;

use std::net::IpAddr;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use maud::{Markup, html};
use sipward_engine::Exemption;

use super::bans::{Columns, rows};
use super::error_page::ErrorPage;
use super::fields::Asked;
use super::flows;
use super::forms;
use super::frame::Frame;
use super::history;
use super::labels::{self, Shown, plain};
use super::language::{self, en, t, tn};
use super::undo;
use sipward_config::Mode;
use sipward_daemon::control::Control;
use sipward_model::text::Time;
use sipward_model::wire::{
    Ban, BanScope, Evidence, FailureEntry, HistoryEntry, KernelRoute, RouteState, SeenFailure,
    SourceReport,
};
use sipward_server::http::error::ApiError;
use sipward_server::http::extract::Place;

/// Most lines of the timeline; the history has all decisions.
const LINES: usize = 60;

/// Redirects from the address field to the page of the address.
pub(super) async fn find(Asked(fields): Asked) -> Result<Response, ErrorPage> {
    let address = fields.read::<IpAddr>("address").map_err(|_| no_address())?;
    let address = address.ok_or_else(no_address)?.to_canonical();
    Ok(forms::go_to(&format!("/sources/{address}")).into_response())
}

fn no_address() -> ApiError {
    ApiError::field("address", en("expected an IPv4 or IPv6 address"))
}

pub(super) async fn show(
    State(control): State<Control>,
    frame: Frame,
    Place(address): Place,
    Asked(fields): Asked,
) -> Result<Markup, ErrorPage> {
    let address: IpAddr = address.parse().map_err(|_| no_address())?;
    let report = control.source(address).await?;
    let near = near::look(&control, report.address).await?;
    let own = |failure: &&FailureEntry| report.net.contains(&failure.address);
    let failures: Vec<FailureEntry> = near.failures.iter().filter(own).cloned().collect();
    let asked =
        if fields.has("ask") { Some(owner::ask(&control, report.address).await) } else { None };
    let here = format!("/sources/{}", report.address);
    let body = html! {
        (undo::done(&control, &frame, &fields, &here))
        div.head {
            h1 #verdict data-live="" {
                span.mono { (Shown(report.address)) } " " (verdict(&report))
            }
            @if frame.viewer.may_write { (actions(&report, &here)) }
        }
        div #summary data-live="" {
            p.lead {
                @if language::is_english() { (sentence(&report.verdict)) }
                @else { (verdict::translated(&report, &failures, frame.now)) }
            }
            (spark::line(&failures, &report.history, frame.now))
        }
        div.grid {
            section.card aria-labelledby="facts-title" {
                h2 #facts-title { (t("Facts")) }
                div #facts data-live="" { (facts(&report, frame.status.mode)) }
            }
            section.card aria-labelledby="tried-title" {
                h2 #tried-title { (t("Evidence")) }
                div #tried data-live="" { (evidence(&report)) }
            }
        }
        section.card aria-labelledby="owner-title" {
            h2 #owner-title { (t("Owner")) }
            div #owner { (owner::whose(&report, asked.as_ref())) }
        }
        @if !report.bans.is_empty() {
            section.card aria-labelledby="bans-title" {
                h2 #bans-title { (t("Bans covering this address")) }
                div #bans data-live="" {
                    (rows(&frame, &report.bans, &Columns::plain(t("Bans covering this address"))))
                    @if report.bans.iter().all(|ban| ban.scope == BanScope::Sip) {
                        p.soft {
                            (t("Only packets to the SIP ports are dropped (UDP, TCP, TLS, WebSocket). Web, mail and \
                                SSH of this server remain reachable from this address."))
                        }
                    }
                }
            }
        }
        @if !report.flows.is_empty() || report.distrusted_until.is_some() {
            section.card aria-labelledby="flows-title" {
                h2 #flows-title { (t("Denied flows")) }
                div #flows data-live="" {
                    (flows::rows(&frame, &report.flows, &here))
                    @if let Some(until) = report.distrusted_until {
                        p {
                            (t!(
                                "Distrusted: it lost many flows. Its new flows are treated like a stranger's until \
                                 {time}. Flows of its registrations are not affected.",
                                time = labels::at(until),
                            ))
                        }
                    }
                }
            }
        }
        section.card aria-labelledby="near-title" {
            h2 #near-title { (t("Neighbours")) }
            div #near data-live="" { (near::show(&frame, &near, report.net)) }
        }
        section.card aria-labelledby="timeline-title" {
            h2 #timeline-title { (t("Timeline")) }
            div #timeline data-live="" { (timeline(&frame, &report, &failures)) }
            p { a href={ "/history?net=" (Shown(report.address)) } { (t("All decisions about this address")) } }
        }
    };
    Ok(frame.page("/bans", &report.address.to_string(), Some(&here), &body))
}

fn verdict(report: &SourceReport) -> Markup {
    html! {
        @if !report.bans.is_empty() { span.pill.bad { (t("banned")) } }
        @else if !report.exempt.is_empty() { span.pill.good { (t("exempt")) } }
        @else { span.pill { (t("not banned")) } }
    }
}

fn actions(report: &SourceReport, here: &str) -> Markup {
    html! {
        div.actions {
            @if report.bans.is_empty() {
                form method="post" action="/bans" {
                    input type="hidden" name="back" value=(here);
                    input type="hidden" name="net" value=(Shown(report.net));
                    button.danger type="submit" {
                        (t!("Ban {net}", net = labels::bare_net(report.net)))
                    }
                }
            } @else {
                form method="post" action="/bans/unban" {
                    input type="hidden" name="back" value=(here);
                    input type="hidden" name="net" value=(Shown(report.net));
                    button type="submit" { (t("Unban")) }
                }
            }
            @if !report.exempt.iter().any(|exempt| exempt.class == Exemption::Allow) {
                form method="post" action="/allow/preview" {
                    input type="hidden" name="host" value=(Shown(report.address));
                    button.quiet type="submit" { (t("Allow…")) }
                }
            }
        }
    }
}

fn facts(report: &SourceReport, mode: Mode) -> Markup {
    let most = f64::from(report.max_failures);
    let none_because = if report.bans.is_empty() {
        None
    } else if mode == Mode::Observe {
        Some(t("observe mode"))
    } else if report.bans.iter().all(|ban| ban.scope == BanScope::Sip) {
        Some(t("the ban covers the SIP ports only"))
    } else {
        None
    };
    html! {
        dl.pairs {
            @for ban in &report.bans {
                dt { (t("Banned")) }
                dd {
                    @match (ban.until, ban.remaining_seconds) {
                        (Some(until), Some(left)) => {
                            (t!(
                                "for another {span}, until {time}",
                                span = html! { strong { (labels::span_of(left)) } },
                                time = labels::at(until),
                            ))
                        }
                        _ => strong { (t("permanently")) },
                    }
                    @if report.bans.len() > 1 { " (" (labels::bare_net(ban.net)) ")" }
                    @if let Some(packets) = ban.packets_dropped {
                        ". " (t!("{packets} dropped since", packets = labels::count(packets, "packet")))
                    }
                }
            }
            dt { (t("Classification")) } dd { (labels::identity(report.identity)) }
            dt { (t("Counted as")) } dd { span.mono { (Shown(report.net)) } }
            @for exempt in &report.exempt {
                dt { (t("Exempt")) }
                dd { (labels::exemption(exempt.class)) ", " span.mono { (Shown(exempt.net)) } }
            }
            @if let Some(slowed) = &report.slowed {
                dt { (t("Limited")) }
                dd {
                    (t!("to 1 packet a second until {time}", time = labels::at(slowed.until))) ": "
                    (labels::rule(slowed.rule))
                    @if slowed.net.prefix_len() < slowed.net.max_prefix_len() {
                        ", " span.mono { (Shown(slowed.net)) }
                    }
                    @if let Some(rate) = slowed.packets_per_second {
                        ", " (t!("now {rate} a second", rate = language::decimal(rate, 1)))
                    }
                }
            }
            // A ban resets the count; the evidence of the ban says what was counted.
            @if report.bans.is_empty() || report.failures > 0 {
                dt { (t("Failures")) }
                dd {
                    (t!(
                        "{count} in the last {span}, weight {weight} of {most}",
                        count = labels::number(report.failures.into()),
                        span = labels::span_of(report.window_seconds),
                        weight = language::decimal(report.score, 2),
                        most = report.max_failures,
                    ))
                    br;
                    meter min="0" max=(most) value=(report.score.min(most))
                        aria-label=(t("Weight of the failures against the threshold")) {}
                }
            }
            @if let Some(grade) = report.grade { dt { (t("Weakest evidence")) } dd { (labels::grade(grade)) } }
            @if report.unproven + report.unjoined > 0 {
                dt { (t("Not counted")) }
                dd {
                    (labels::count(u64::from(report.unproven), "unproven failure")) ", "
                    (t!("{count} unjoined.", count = report.unjoined)) " " span.soft { (t(FORGEABLE)) }
                }
            }
            dt { (t("Bans so far")) } dd { (report.ban_count) }
            dt { (t("Kernel")) } dd { (kernel(&report.kernel, none_because)) }
        }
    }
}

/// What the kernel does with packets of the source; `none_because` says why a banned source is not blackholed.
fn kernel(route: &KernelRoute, none_because: Option<&str>) -> Markup {
    html! {
        @match route.state {
            RouteState::Blackhole => (t("blackholed")),
            RouteState::Other => {
                (t("not blackholed")) @if let Some(why) = none_because { ": " (why) }
            }
            RouteState::Unknown => (t("unknown")),
        }
        @if let Some(detail) = &route.detail { " " span.soft { "(" (labels::english(detail)) ")" } }
    }
}

/// The verdict as a sentence.
fn sentence(verdict: &str) -> Markup {
    // The sentence is that of the command line.
    let verdict = verdict.replacen("BANNED", "banned", 1).replace('`', "");
    let mut letters = verdict.chars();
    let first: String = letters.next().into_iter().flat_map(char::to_uppercase).collect();
    labels::plain(&format!("{first}{}.", letters.as_str()))
}

const FORGEABLE: &str =
    en("Another host can forge these under this address, so they do not count towards a ban.");

/// What was counted when it was banned, and what it tried.
fn evidence(report: &SourceReport) -> Markup {
    html! {
        @for ban in &report.bans {
            @if let Some(seen) = &ban.cause.evidence { (at_ban(ban, seen)) }
        }
        (tried(report))
    }
}

/// The evidence of a ban as it was then.
fn at_ban(ban: &Ban, seen: &Evidence) -> Markup {
    let seconds = seen.window_seconds;
    html! {
        h3 { (t!("When it was banned, {time}", time = labels::at(ban.since))) }
        dl.pairs {
            dt { (t("Rule")) } dd { (labels::rule(seen.rule)) }
            dt { (t("Counted")) }
            dd {
                (t!(
                    "{count} within {span}, weight {weight} of {most}",
                    count = html! { strong { (labels::number(seen.failures.into())) } },
                    span = labels::span_of(seconds),
                    weight = language::decimal(seen.score, 2),
                    most = seen.max_failures,
                ))
            }
            dt { (t("Weakest evidence")) } dd { (labels::grade(seen.grade)) }
            dt { (t("Classification")) } dd { (labels::identity(seen.identity)) }
            @if let Some(words) = seen.report.as_ref().filter(|words| !words.is_empty()) {
                dt { (t("Reported")) } dd { (plain(words)) }
            }
            dt { (t("Ban number")) } dd { (seen.ban_count) }
            @if seen.details_aged_out { dt { (t("Users, user agent")) } dd { (t("no longer kept")) } }
        }
    }
}

/// The users and user agents of the failures that count and of the bans, because a ban resets the count.
fn tried(report: &SourceReport) -> Markup {
    let causes: Vec<&Evidence> =
        report.bans.iter().filter_map(|ban| ban.cause.evidence.as_ref()).collect();
    let banned_for = causes.iter().flat_map(|cause| &cause.users).map(String::as_str);
    let users = distinct(report.users.iter().rev().map(String::as_str).chain(banned_for));
    let seen = |of: fn(&SeenFailure) -> Option<&String>| report.seen.iter().filter_map(of);
    let found = |of: fn(&Evidence) -> Option<&String>| causes.iter().copied().filter_map(of);
    let agents =
        seen(|seen| seen.user_agent.as_ref()).chain(found(|cause| cause.user_agent.as_ref()));
    let profiles = seen(|seen| seen.profile.as_ref()).chain(found(|cause| cause.profile.as_ref()));
    let (agents, profiles) =
        (distinct(agents.map(String::as_str)), distinct(profiles.map(String::as_str)));
    html! {
        @if users.is_empty() && agents.is_empty() {
            @if causes.is_empty() { p.empty { (t("No failures count at the moment.")) } }
        } @else {
            (chips(t("Users"), &users))
            (chips(t("User agents"), &agents))
            (chips(t("Profiles"), &profiles))
            @if report.aged_out > 0 {
                p.soft {
                    (tn!(
                        report.aged_out.into(),
                        "{n} older failure: only time and grade are kept.",
                        "{n} older failures: only time and grade are kept.",
                    ))
                }
            }
        }
    }
}

/// Each text once, in order. There are at most a thousand.
fn distinct<'a>(all: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    /// What fits on a page.
    const MOST: usize = 20;
    let mut found = Vec::new();
    for one in all {
        if found.len() < MOST && !found.contains(&one) {
            found.push(one);
        }
    }
    found
}

fn chips(title: &str, words: &[&str]) -> Markup {
    html! {
        @if !words.is_empty() {
            h3 { (title) }
            ul.chips {
                @for word in words { li { @if word.is_empty() { (t("none")) } @else { (plain(word)) } } }
            }
        }
    }
}

/// One line of the timeline.
enum Event<'a> {
    Failed(&'a FailureEntry),
    Decided(&'a HistoryEntry),
}

impl Event<'_> {
    fn time(&self) -> Time {
        match self {
            Self::Failed(failure) => failure.time,
            Self::Decided(entry) => entry.time,
        }
    }
}

fn timeline(frame: &Frame, report: &SourceReport, failures: &[FailureEntry]) -> Markup {
    let forgeable = failures.iter().any(|failure| failure.grade.is_forgeable());
    let failures = failures.iter().map(Event::Failed);
    let mut events: Vec<Event<'_>> =
        failures.chain(report.history.iter().map(Event::Decided)).collect();
    events.sort_by_key(|event| std::cmp::Reverse(event.time()));
    let left_out = events.len().saturating_sub(LINES);
    html! {
        @if let Some(error) = &report.history_error {
            p.notice.warn { (t!("The history is unavailable: {error}", error = labels::english(error))) }
        }
        @if events.is_empty() { p.empty { (t("No events.")) } }
        @if forgeable { p.soft { (t("Grey failures are unproven.")) " " (t(FORGEABLE)) } }
        ol.timeline {
            @for event in events.iter().take(LINES) {
                @match event {
                    Event::Failed(failure) => li.unproven[failure.grade.is_forgeable()] {
                        (labels::at(failure.time)) " · " (labels::ago(failure.time, frame.now)) br;
                        (t!("Failure of user {user}", user = html! { strong { (plain(&failure.user)) } }))
                        @if !failure.user_agent.is_empty() { ", " (plain(&failure.user_agent)) }
                        span.soft {
                            " · " span lang=[language::english()] { (labels::word(&failure.grade)) }
                            @if failure.attention { " · " (t("phone with an old password")) }
                            @if failure.exempt.is_some() { " · " (t("exempt")) }
                            @if failure.banned { " · " (t("already banned")) }
                        }
                    },
                    Event::Decided(entry) => li class=(class(entry)) {
                        (labels::at(entry.time)) " · " (labels::ago(entry.time, frame.now)) br;
                        (history::what(entry)) " " span.mono { (Shown(entry.net)) } " "
                        (history::why(entry))
                    },
                }
            }
        }
        @if left_out > 0 { p.soft { (tn!(left_out as u64, "and {n} earlier event", "and {n} earlier events")) } }
    }
}

fn class(entry: &HistoryEntry) -> &'static str {
    use sipward_model::wire::HistoryKind::{Ban, FlowAllowed, FlowDenied, Refused, Unban};
    match entry.event {
        Ban | FlowDenied => "bad",
        Unban | FlowAllowed => "good",
        Refused => "warn",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ban_without_a_route_says_why_there_is_none() {
        let route = KernelRoute { state: RouteState::Other, detail: Some("via eth0".to_owned()) };
        let said = |why| kernel(&route, why).into_string();
        let observed = said(Some("observe mode"));
        assert!(observed.starts_with("not blackholed: observe mode "), "{observed}");
        assert!(said(None).starts_with("not blackholed <"), "{}", said(None));
    }
}
