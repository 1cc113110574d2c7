//! The frame of every page: navigation, state, time of the data.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use maud::{Markup, html};
use sipward_engine::Timestamp;

use super::context::ViewContext;
use super::document::document;
use super::error_page::ErrorPage;
use super::flood;
use super::labels::{self, plain};
use super::language::{self, en, t};
use super::live;
use super::theme;
use sipward_config::Mode;
use sipward_daemon::control::Control;
use sipward_model::wire::{AlarmState, Gate, Status, StoreState};

/// The pages in the navigation.
const PLACES: [(&str, &str); 9] = [
    ("/", en("Overview")),
    ("/bans", en("Bans")),
    ("/users", en("Users")),
    ("/allow", en("Allow list")),
    ("/policy", en("Policy")),
    ("/test", en("Rule test")),
    ("/history", en("History")),
    ("/notifications", en("Notifications")),
    ("/doctor", en("Doctor")),
];

/// A page's surroundings.
pub(super) struct Frame {
    pub(super) viewer: ViewContext,
    pub(super) status: Status,
    /// By the daemon's clock.
    pub(super) now: Timestamp,
    /// Whether there are other nodes.
    pub(super) in_fleet: bool,
}

impl FromRequestParts<Control> for Frame {
    type Rejection = ErrorPage;

    async fn from_request_parts(parts: &mut Parts, control: &Control) -> Result<Self, ErrorPage> {
        let Ok(viewer) = ViewContext::from_request_parts(parts, control).await;
        Self::of(viewer, control).await
    }
}

impl Frame {
    pub(super) async fn of(viewer: ViewContext, control: &Control) -> Result<Self, ErrorPage> {
        let status = control.status().await?;
        let up = std::time::Duration::try_from_secs_f64(status.uptime_seconds).unwrap_or_default();
        let now = status.started.0 + up;
        let in_fleet = control.fleet().enabled;
        Ok(Self { viewer, status, now, in_fleet })
    }

    /// The whole page. `place` is its entry in the navigation; `fresh` is the path that the script polls for
    /// changes, `None` for a page that does not change.
    pub(super) fn page(
        &self,
        place: &str,
        title: &str,
        fresh: Option<&str>,
        body: &Markup,
    ) -> Markup {
        let head = html! {
            nav aria-label=(t("Pages")) {
                (self.places(place))
                // In place of the list on a small screen.
                details.menu {
                    summary { (t("Menu")) }
                    (self.places(place))
                }
            }
            form.find method="get" action="/search" role="search"
                aria-label=(t("Search everything")) {
                label.hidden for="find" { (t("Address, network, user or user agent")) }
                input type="search" id="find" name="q" maxlength="100" required
                    placeholder=(t("IP, user, agent…")) autocomplete="off"
                    autocapitalize="off" spellcheck="false";
                button.quiet type="submit" { (t("Search")) }
            }
            form.who method="post" action="/logout" {
                span title=(t("Current user")) {
                    (plain(&self.viewer.name))
                    @if !self.viewer.may_write { " · " (t("read only")) }
                }
                button.quiet type="submit" { (t("Log out")) }
            }
        };
        // The script fetches only what changes.
        let seen = fresh.map(|_| live::state(&self.status));
        if self.viewer.wants_part {
            return html! { title { (title) } (self.strip()) main data-seen=[seen] { (body) } };
        }
        let body = html! {
            div.bar {
                (self.strip())
                div.live data-live-controls {
                    p #live role="status" {
                        (t!("As of {time}", time = labels::at(sipward_model::text::Time(self.now))))
                    }
                    button.quiet #pause type="button" hidden { (t("Pause")) }
                    button.quiet #alerts type="button" hidden aria-pressed="false" {
                        (t("Alerts"))
                    }
                    a.button.quiet #reload href=(fresh.unwrap_or(place)) { (t("Refresh")) }
                }
            }
            main #main tabindex="-1" data-fresh=[fresh] data-seen=[seen] { (body) }
        };
        let foot = html! {
            (keys())
            (theme::form(self.viewer.theme, fresh.unwrap_or(place)))
            (language::form(fresh.unwrap_or(place)))
            p {
                "sipward " (self.status.version) " · " a href="/api/v1/openapi.json" { "API" } " · "
                a href="/metrics" { (t("Metrics")) }
            }
        };
        document(title, &head, &body, Some(&foot), self.viewer.theme)
    }

    fn places(&self, place: &str) -> Markup {
        let fleet = self.in_fleet.then_some(("/fleet", en("Fleet")));
        html! {
            ul {
                @for (path, name) in PLACES.into_iter().chain(fleet) {
                    li { a href=(path) aria-current=[(path == place).then_some("page")] { (t(name)) } }
                }
            }
        }
    }

    /// The state, in a line.
    fn strip(&self) -> Markup {
        let Status { event_socket, gate, bans, store, mode, needs_restart, alarms, .. } =
            &self.status;
        let (gate_class, gate_said) = gate_words(*mode, gate.as_ref());
        html! {
            ul.strip #strip data-live="" aria-label=(t("State")) {
                li {
                    @if event_socket.connected { span.pill.good { (t("FreeSWITCH connected")) } }
                    @else { span.pill.bad { (t("FreeSWITCH not connected")) } }
                }
                li {
                    @if *mode == Mode::Observe { a.pill.warn href="/mode" { (gate_said) } }
                    @else { span class={ "pill " (gate_class) } { (t!("gate {state}", state = gate_said)) } }
                }
                li { a.pill href="/bans" { (labels::count(bans.active, "ban")) } }
                @match alarms.state {
                    AlarmState::Ok => {},
                    AlarmState::Attention => {
                        li { a.pill.warn href="/#alarms" { (t("minor alarm")) } }
                    }
                    AlarmState::Alarm => li { a.pill.bad href="/#alarms" { (t("alarm")) } },
                }
                (flood::pill(&self.status.flood))
                @if bans.not_enforced > 0 && *mode == Mode::Ban {
                    li { span.pill.bad {
                        (t!("{count} not enforced", count = labels::number(bans.not_enforced)))
                    } }
                }
                @if store.state == StoreState::Degraded {
                    li { span.pill.bad { (t("storage failed")) } }
                }
                @if !needs_restart.is_empty() {
                    li { span.pill.warn { (t("restart needed")) } }
                }
            }
        }
    }
}

/// The keys of the script, shown by `?`.
fn keys() -> Markup {
    const KEYS: [(&str, &str); 5] = [
        (
            "g o, g b, g u, g a, g p, g t, g h, g n, g d",
            en(
                "go to overview, bans, users, allow list, policy, rule test, history, notifications, doctor",
            ),
        ),
        ("/", en("search")),
        ("p", en("pause or resume the updates")),
        ("?", en("this list")),
        ("Esc", en("close")),
    ];
    html! {
        dialog #keys aria-labelledby="keys-title" {
            h2 #keys-title { (t("Keyboard shortcuts")) }
            dl.pairs { @for (press, does) in KEYS { dt { kbd { (press) } } dd { (t(does)) } } }
            form.actions method="dialog" {
                button type="submit" { (t("Close")) }
                button.quiet #keys-off type="button" { (t("Switch shortcuts off")) }
            }
        }
    }
}

/// Whether packets of banned sources are dropped: the colour class and the text.
pub(super) fn gate_words(mode: Mode, gate: Option<&Gate>) -> (&'static str, &'static str) {
    match (mode, gate) {
        (Mode::Observe, _) => ("warn", t("observe mode")),
        (Mode::Ban, None) => ("warn", t("not ready yet")),
        (Mode::Ban, Some(gate)) => match (gate.ipv4_inbound, gate.ipv6_inbound) {
            (true, true) if gate.gaps.is_empty() => ("good", t("enforced")),
            (true, true) => ("warn", t("enforced, with gaps")),
            (false, true) => ("bad", t("IPv4 NOT enforced")),
            (true, false) => ("bad", t("IPv6 NOT enforced")),
            (false, false) => ("bad", t("NOT enforced")),
        },
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// The state of a daemon that has just started.
    pub(crate) fn status() -> Status {
        let status = serde_json::json!({
            "version": "0", "mode": "ban", "started": "2026-11-30T00:00:00.000Z",
            "uptime_seconds": 1.0,
            "event_socket": {
                "connected": true, "peer": null, "since": "2026-11-30T00:00:00.000Z",
                "error": null, "blind_seconds": 0.0,
            },
            "totals": {
                "events": 0, "events_dropped": 0, "failures": 0, "bans": 0, "unbans": 0,
                "refused": 0,
            },
            "failures": {
                "unjoined": 0, "unproven": 0, "unchallenged": 0, "challenged": 0, "assumed": 0,
                "answered": 0, "genuine": 0,
            },
            "failed_now": { "sources": 0, "failures": 0, "at_least": false },
            "bans": {
                "active": 0, "sip": 0, "not_enforced": 0, "max": 9, "flows": 0,
                "flows_not_enforced": 0,
            },
            "sources": {
                "tracked": 0, "weightless": 0, "known": 0, "attention": 0, "offenders": 0,
                "evicted": 0,
            },
            "gate": null,
            "flood": {
                "state": "quiet", "since": null, "summary": "", "passed_per_second": 0,
                "dropped_per_second": 0, "phones": 0, "answer_seconds": null, "profiles": [],
                "strangers": [],
            },
            "policy": { "max_failures": 5, "window_seconds": 600.0, "ban_time_seconds": 3600.0 },
            "store": {
                "state": "ok", "problem": null, "since": null, "file": null, "size_bytes": 0,
                "behind_entries": 0, "behind_seconds": 0.0, "dropped_entries": 0,
                "set_aside": null,
            },
            "alarms": { "state": "ok", "texts": [], "last_day": 0 },
            "needs_restart": [],
        });
        serde_json::from_value(status).unwrap()
    }

    #[test]
    fn a_gate_that_lets_packets_through_is_red_and_says_which() {
        let gate =
            |ipv4_inbound, ipv6_inbound| Gate { ipv4_inbound, ipv6_inbound, ..Gate::default() };
        let said = |gate: Gate| gate_words(Mode::Ban, Some(&gate));
        assert_eq!(said(gate(true, true)), ("good", "enforced"));
        assert_eq!(said(gate(true, false)), ("bad", "IPv6 NOT enforced"));
        assert_eq!(said(gate(false, true)), ("bad", "IPv4 NOT enforced"));
        assert_eq!(said(gate(false, false)), ("bad", "NOT enforced"));
        let gaps = vec!["a bridge".to_owned()];
        assert_eq!(said(Gate { gaps, ..gate(true, true) }).0, "warn");
        assert_eq!(gate_words(Mode::Observe, None).0, "warn");
    }
}
