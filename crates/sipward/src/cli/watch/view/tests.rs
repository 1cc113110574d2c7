use ratatui::Terminal;
use ratatui::backend::TestBackend;
use serde_json::json;

use super::*;
use crate::cli::watch::feed::News;

fn scene() -> Scene {
    let mut scene = Scene::default();
    let status = json!({
        "version": "0.1.0", "mode": "ban", "started": "2026-11-23T22:00:00Z", "uptime_seconds": 60.0,
        "event_socket": {"connected": true, "peer": "127.0.0.1:8021", "since": "2026-11-23T22:00:00Z",
            "error": null, "blind_seconds": 0.0},
        "totals": {"events": 10, "events_dropped": 0, "failures": 5, "bans": 1, "unbans": 0, "refused": 0},
        "failures": {"unjoined": 0, "unproven": 0, "unchallenged": 0, "challenged": 0,
            "assumed": 0, "answered": 5, "genuine": 0},
        "failed_now": {"sources": 1, "failures": 5, "at_least": false},
        "alarms": {"state": "ok", "texts": [], "last_day": 0},
        "bans": {"active": 3, "sip": 1, "not_enforced": 0, "flows": 2, "flows_not_enforced": 0, "max": 500_000},
        "sources": {"tracked": 3, "weightless": 0, "known": 0, "attention": 0, "offenders": 1,
            "evicted": 0},
        "gate": null,
        "policy": {"max_failures": 5, "window_seconds": 600.0, "ban_time_seconds": 3600.0},
        "store": {"state": "ok", "problem": null, "since": null, "file": null, "size_bytes": 0,
            "behind_entries": 0, "behind_seconds": 0.0, "dropped_entries": 0, "set_aside": null},
        "flood": {"state": "shielded", "since": "2026-11-23T22:00:00Z",
            "summary": "31,204 packets/s dropped; 212 phones registered; FreeSWITCH answers in 4 ms",
            "passed_per_second": 412, "dropped_per_second": 31_204, "phones": 212,
            "answer_seconds": 0.004, "profiles": [], "strangers": []},
        "needs_restart": []
    });
    scene.take(News::Status(serde_json::from_value(status).unwrap()));
    for line in [
        json!({"event": "auth_failure", "address": "203.0.113.7", "user": "\u{1b}[2J1000",
            "user_agent": "friendly\u{9b}31m"}),
        json!({"event": "auth_failure", "address": "2001:db8:1234:5678:9abc:def0:1234:5678",
            "user": "1001", "user_agent": "Yealink SIP-T46S 66.84.0.15"}),
        json!({"event": "ban", "net": "203.0.113.7/32", "by": "rule", "rule": "failures", "failures": 5,
            "user_agent": "friendly-scanner 1.8 (Ubuntu 22.04; SIPVicious)"}),
        json!({"event": "ban", "net": "198.51.100.0/24", "by": "rule", "rule": "network", "failures": 10}),
    ] {
        let mut line = line;
        line["time"] = json!("2026-11-23T22:01:02Z");
        scene.take(News::Line(serde_json::from_value(line).unwrap()));
    }
    scene.second();
    scene
}

fn drawn(width: u16, height: u16, scene: &Scene) -> String {
    drawn_of(width, height, scene, &mut Browse::default())
}

fn drawn_of(width: u16, height: u16, scene: &Scene, browse: &mut Browse) -> String {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| draw(frame, scene, browse)).unwrap();
    terminal.backend().to_string()
}

#[test]
fn columns_stand_apart_and_addresses_are_whole_at_every_width() {
    let scene = scene();
    for width in [80, 120, 160, 200] {
        let screen = drawn(width, 30, &scene);
        for part in [
            "22:01:02  203.0.113.7/32   ",
            "22:01:02  198.51.100.0/24  network 10",
            "FAILED  ADDRESS ",
            "     1  2001:db8:1234:5678:9abc:def0:1234:5678  1001",
            &format!("     1  {:<38}  \\u{{1b}}[2J10", "203.0.113.7"),
            "4 ms",
        ] {
            assert!(screen.contains(part), "{width}: {part:?} in\n{screen}");
        }
        let beside =
            screen.lines().any(|line| line.contains("Newest bans") && line.contains("Busiest"));
        assert_eq!(beside, width >= 120, "{screen}");
        if width >= 200 {
            assert!(screen.contains("(Ubuntu 22.04; SIPVicious)"), "nothing is cut:\n{screen}");
            assert!(screen.contains("Yealink SIP-T46S 66.84.0.15"), "{screen}");
        }
    }
}

fn report() -> sipward_model::wire::SourceReport {
    serde_json::from_value(json!({
        "address": "203.0.113.7", "net": "203.0.113.7/32", "identity": "stranger",
        "verdict": "it failed too often", "bans": [], "flows": [], "distrusted_until": null,
        "exempt": [], "slowed": null, "failures": 5, "window_seconds": 600.0, "score": 5.0,
        "max_failures": 5, "grade": "answered", "unproven": 0, "unjoined": 0,
        "users": ["\u{1b}[2J1000"], "ban_count": 1, "kernel": {"state": "other", "detail": null},
        "location": null, "seen": [], "aged_out": 0, "history": [], "history_error": null
    }))
    .unwrap()
}

#[test]
fn why_is_shown_whole_and_scrolls_no_further_than_its_end() {
    let (scene, report) = (scene(), Box::new(report()));
    let mut browse = Browse::default();
    browse.view = View::Why { report, observes: false, top: 999 };
    let screen = drawn_of(80, 24, &scene, &mut browse);
    for part in ["Why 203.0.113.7", "is not banned", "Users tried  \\u{1b}[2J1000", "q back"] {
        assert!(screen.contains(part), "{part:?} in\n{screen}");
    }
    assert!(matches!(browse.view, View::Why { top: 0, .. }), "all of it fits");
    let screen = drawn_of(80, 5, &scene, &mut browse);
    assert!(screen.contains("more lines below"), "{screen}");
}

#[test]
fn questions_answers_and_the_filter_are_at_the_bottom() {
    let scene = scene();
    let mut browse = Browse::default();
    let request = super::super::ask::Request::Unban("203.0.113.7".parse().unwrap());
    let text =
        "203.0.113.7/32: \u{1b}1 user is registered there now\nunban 203.0.113.7/32?".to_owned();
    browse.prompt = Some(Prompt::Confirm { text, request });
    let screen = drawn_of(80, 24, &scene, &mut browse);
    assert!(screen.contains("unban 203.0.113.7/32? [y/N]"), "{screen}");
    assert!(screen.contains("32: \\u{1b}1 user is registered"), "{screen}");
    browse.prompt = Some(Prompt::Filter);
    browse.filter = "scanner".to_owned();
    let screen = drawn_of(80, 24, &scene, &mut browse);
    assert!(screen.contains("/scanner_") && screen.contains("with scanner: 1"), "{screen}");
    browse.prompt = None;
    browse.note = Some(Note { text: "refused\u{9b}: a gateway".into(), is_error: true });
    let screen = drawn_of(80, 24, &scene, &mut browse);
    assert!(screen.contains("refused\\u{9b}: a gateway"), "{screen}");
    browse.view = View::Help;
    browse.note = None;
    assert!(drawn_of(80, 24, &scene, &mut browse).contains("ban the selected address or network"));
}

#[test]
fn an_ordinary_terminal_shows_everything() {
    let screen = drawn(80, 24, &scene());
    for part in [
        "sipward 0.1.0   mode ban   5 failures in 10m ban for 1h",
        "FreeSWITCH 127.0.0.1:8021 connected",
        "3 banned (1 SIP only), 2 flows denied   3 sources failing",
        "SHIELDED: 31,204 packets/s dropped; 212 phones registered; FreeSWITCH answers",
        "4 ms",
        "failures 2/s, 2 in the last minute   bans 2 in the last minute",
        "Newest bans and denied flows",
        "22:01:02  203.0.113.7/32   failures 5, friendly-scanner 1.8 (Ubuntu",
        "Busiest sources",
        "q quit  times UTC",
    ] {
        assert!(screen.contains(part), "{part:?} in\n{screen}");
    }
}

#[test]
fn what_attackers_call_themselves_moves_no_cursor() {
    let screen = drawn(120, 30, &scene());
    assert!(!screen.contains(['\u{1b}', '\u{9b}']), "{screen}");
    assert!(screen.contains("\\u{1b}[2J10"), "{screen}");
}

#[test]
fn no_terminal_is_too_small_or_too_large() {
    let scene = scene();
    for (width, height) in [(1, 1), (3, 2), (10, 5), (20, 8), (40, 10), (79, 23), (300, 100)] {
        drawn(width, height, &scene);
        drawn(width, height, &Scene::default());
    }
}

#[test]
fn a_lost_daemon_is_said_first() {
    let mut scene = scene();
    scene.take(News::Lost("the connection broke".to_owned()));
    let screen = drawn(80, 24, &scene);
    assert!(screen.contains("no connection to sipward: the connection broke"), "{screen}");
}
