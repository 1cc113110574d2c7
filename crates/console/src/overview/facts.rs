//! The state in one row of four facts, and the shield in one sentence. Each fact has a colour and a word.

use maud::{Markup, html};

use super::super::flood;
use super::super::frame::{Frame, gate_words};
use super::super::labels;
use super::super::language::{self, t, tn};
use sipward_config::Mode;
use sipward_model::wire::{AlarmKind, AlarmList, FloodState, Status};

/// Is FreeSWITCH heard, does the kernel drop, does anybody attack, is a customer in trouble?
pub(super) fn row(frame: &Frame, alarms: &AlarmList) -> Markup {
    html! {
        (heard(frame))
        (kernel(&frame.status))
        (attack(&frame.status))
        (customers(&frame.status, alarms))
    }
}

/// What the shield does, in one sentence.
pub(super) fn shield(frame: &Frame) -> Markup {
    let flood = &frame.status.flood;
    html! {
        (t!(
            "The shield drops {rate} of strangers now, {today} today (UTC);",
            rate = strong(&format!("{}/s", labels::count(flood.dropped_per_second, "packet"))),
            today = strong(&labels::number(flood.dropped_today)),
        )) " "
        (tn!(
            flood.phones,
            "{phones} is registered;",
            "{phones} are registered;",
            phones = strong(&labels::count(flood.phones, "phone")),
        )) " "
        @match (flood.state, flood.answer_seconds) {
            (FloodState::Deaf, _) => { strong { (t("FreeSWITCH does not answer")) } "." }
            (_, Some(seconds)) => {
                (t!("FreeSWITCH answers in {time}.", time = strong(&milliseconds(seconds))))
            }
            (_, None) => (t("FreeSWITCH is asked whether it answers only in a flood.")),
        }
    }
}

fn strong(text: &str) -> Markup {
    html! { strong { (text) } }
}

/// Less than one would read as none.
fn milliseconds(seconds: f64) -> String {
    format!("{} ms", language::decimal((seconds * 1_000.0).max(1.0), 0))
}

fn fact(class: &str, place: &str, title: &str, body: &Markup) -> Markup {
    html! { section class={ "fact " (class) } { h2 { a href=(place) { (title) } } (body) } }
}

fn heard(frame: &Frame) -> Markup {
    let socket = &frame.status.event_socket;
    let class = if socket.connected { "good" } else { "bad" };
    fact(
        class,
        "#shield",
        "FreeSWITCH",
        &html! {
            strong { @if socket.connected { (t("heard")) } @else { (t("NOT heard")) } }
            p.soft {
                (t!("for {span}", span = labels::span(frame.now.since(socket.since.0).as_secs())))
                @if let Some(peer) = &socket.peer { ", " (peer) }
            }
            @if socket.blind_seconds > 0.0 {
                p { (t!("blind for {span} in total", span = labels::span_of(socket.blind_seconds))) }
            }
            @if !socket.connected { @if let Some(error) = &socket.error { p { (labels::english(error)) } } }
        },
    )
}

fn kernel(status: &Status) -> Markup {
    let (gate, said) = gate_words(status.mode, status.gate.as_ref());
    let gaps = status.gate.as_ref().map(|gate| gate.gaps.as_slice()).unwrap_or_default();
    let open = status.bans.not_enforced + status.bans.flows_not_enforced;
    let refused = status.mode == Mode::Ban && open > 0;
    let class = if refused { "bad" } else { gate };
    let (place, word) = match (status.mode, class) {
        (Mode::Observe, _) => ("/mode", t("observe mode: drops nothing")),
        (Mode::Ban, "good") => ("/bans", t("drops what is banned")),
        (Mode::Ban, _) if refused => ("/bans?state=failed", t("does NOT drop all bans")),
        (Mode::Ban, _) => ("/mode", said),
    };
    fact(
        class,
        place,
        t("Kernel"),
        &html! {
            strong { (word) }
            @for gap in gaps { p { (labels::english(gap)) } }
            @if refused { p { (t!("{count} not enforced", count = labels::number(open))) } }
            p.soft { (labels::count(status.bans.active, "ban")) (super::super::bans::flows(status)) }
        },
    )
}

fn attack(status: &Status) -> Markup {
    let failed = &status.failed_now;
    let (class, word) = match (status.flood.state, failed.attackers) {
        (FloodState::Quiet, 0) => ("good", t("no attack")),
        (FloodState::Quiet, _) => ("warn", t("under attack")),
        (flood, _) => flood::state(flood),
    };
    fact(
        class,
        "#sources-title",
        t("Attacks"),
        &html! {
            strong { (word) }
            p.soft {
                @if failed.at_least { "≥ " }
                (t!(
                    "{failures} of {attackers} in {span}",
                    failures = labels::count(failed.counted, "failure"),
                    attackers = labels::count(failed.attackers, "attacker"),
                    span = labels::span_of(status.policy.window_seconds),
                ))
            }
            @if failed.failures > failed.counted {
                p.soft {
                    (t!(
                        "{count} more that do not count",
                        count = labels::number(failed.failures - failed.counted),
                    ))
                }
            }
        },
    )
}

fn customers(status: &Status, alarms: &AlarmList) -> Markup {
    let counting =
        |kind| alarms.items.iter().filter(|it| it.counts && it.kind == kind).count() as u64;
    let (guessed, refused) = (counting(AlarmKind::Guessed), counting(AlarmKind::RefusedLogin));
    let phones = status.sources.attention;
    let (class, place, word) = if guessed > 0 {
        ("bad", "#alarms", t("password guessed?"))
    } else if phones > 0 {
        ("warn", "#phones-title", t("phones fail"))
    } else if refused > 0 {
        ("warn", "#alarms", t("log-ins refused"))
    } else {
        ("good", "#phones-title", t("no trouble"))
    };
    fact(
        class,
        place,
        t("Customers"),
        &html! {
            strong { (word) }
            @if guessed > 0 { p { (tn!(guessed, "{n} password may have been guessed", "{n} passwords may have been guessed")) } }
            p.soft {
                (tn!(phones, "{n} phone needs attention", "{n} phones need attention"))
            }
            @if refused > 0 { p.soft {
                    (tn!(
                        refused,
                        "{n} user refused with the right password",
                        "{n} users refused with the right password",
                    ))
                } }
        },
    )
}

#[cfg(test)]
mod tests {
    use super::super::alarms::tests::alarm;
    use super::*;
    use sipward_model::wire::{AlarmState, FailedNow, Gate};

    fn said(status: &Status, alarms: &[AlarmKind]) -> String {
        let list = AlarmList {
            state: AlarmState::Ok,
            items: alarms.iter().map(|kind| alarm(*kind, None)).collect(),
        };
        (kernel(status).into_string() + &attack(status).into_string())
            + &customers(status, &list).into_string()
    }

    fn status() -> Status {
        let gate = Gate { ipv4_inbound: true, ipv6_inbound: true, ..Gate::default() };
        Status { gate: Some(gate), ..super::super::super::frame::tests::status() }
    }

    #[test]
    fn each_fact_has_a_colour_and_a_word() {
        let quiet = said(&status(), &[]);
        assert_eq!(quiet.matches("class=\"fact good\"").count(), 3, "{quiet}");
        for word in ["drops what is banned", "no attack", "no trouble"] {
            assert!(quiet.contains(word), "{word}: {quiet}");
        }
        let mut busy = status();
        busy.mode = Mode::Observe;
        busy.failed_now =
            FailedNow { attackers: 2, counted: 9, failures: 11, ..FailedNow::default() };
        busy.sources.attention = 1;
        let busy = said(&busy, &[AlarmKind::RefusedLogin]);
        assert_eq!(busy.matches("class=\"fact warn\"").count(), 3, "{busy}");
        for word in [
            "observe mode",
            "under attack",
            "9 failures of 2 attackers",
            "2 more that do",
            "phones fail",
        ] {
            assert!(busy.contains(word), "{word}: {busy}");
        }
        let mut open = status();
        open.bans.not_enforced = 3;
        let open = said(&open, &[AlarmKind::Guessed]);
        assert_eq!(open.matches("class=\"fact bad\"").count(), 2, "{open}");
        assert!(open.contains("does NOT drop") && open.contains("password guessed?"), "{open}");
    }
}
