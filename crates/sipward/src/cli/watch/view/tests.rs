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
        json!({"event": "ban", "net": "203.0.113.7/32", "by": "rule", "rule": "failures", "failures": 5}),
    ] {
        let mut line = line;
        line["time"] = json!("2026-11-23T22:01:02Z");
        scene.take(News::Line(serde_json::from_value(line).unwrap()));
    }
    scene.second();
    scene
}

fn drawn(width: u16, height: u16, scene: &Scene) -> String {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| draw(frame, scene)).unwrap();
    terminal.backend().to_string()
}

#[test]
fn an_ordinary_terminal_shows_everything() {
    let screen = drawn(80, 24, &scene());
    for part in [
        "sipward 0.1.0   mode ban   5 failures in 10m ban for 1h",
        "FreeSWITCH 127.0.0.1:8021 connected",
        "3 banned (1 SIP only), 2 flows denied   3 sources failing",
        "SHIELDED: 31,204 packets/s dropped; 212 phones registered; FreeSWITCH answers",
        "failures 1/s, 1 in the last minute   bans 1 in the last minute",
        "Newest bans and denied flows",
        "22:01:02 203.0.113.7/32",
        "failures 5",
        "Busiest sources",
        "q quits",
    ] {
        assert!(screen.contains(part), "{part:?} in\n{screen}");
    }
}

#[test]
fn what_attackers_call_themselves_moves_no_cursor() {
    let screen = drawn(120, 30, &scene());
    assert!(!screen.contains(['\u{1b}', '\u{9b}']), "{screen}");
    assert!(screen.contains("\\u{1b}[2J1000"), "{screen}");
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
