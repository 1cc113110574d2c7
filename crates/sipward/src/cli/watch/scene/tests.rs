use serde_json::json;

use super::*;

fn line(event: &str, fields: &Value) -> News {
    let mut document = fields.clone();
    document["time"] = json!("2026-11-23T22:01:02.345Z");
    document["event"] = json!(event);
    News::Line(serde_json::from_value(document).unwrap())
}

fn failure(address: &str) -> News {
    line(
        "auth_failure",
        &json!({"address": address, "user": "100", "user_agent": "x", "banned": false}),
    )
}

#[test]
fn rates_count_the_last_minute() {
    let mut scene = Scene::default();
    for _ in 0..3 {
        scene.take(failure("192.0.2.7"));
    }
    assert_eq!((scene.failures.sum(), scene.failures.last()), (3, 0));
    scene.second();
    assert_eq!((scene.failures.sum(), scene.failures.last()), (3, 3));
    for _ in 0..SECONDS {
        scene.second();
    }
    assert_eq!(scene.failures.sum(), 0);
}

#[test]
fn the_busiest_source_is_the_one_that_fails_now() {
    let mut scene = Scene::default();
    (0..20).for_each(|_| scene.take(failure("192.0.2.1")));
    (0..300).for_each(|_| scene.second());
    (0..5).for_each(|_| scene.take(failure("192.0.2.2")));
    scene.take(failure("192.0.2.3"));
    let order: Vec<&str> = scene.busiest(2).into_iter().map(|(address, _)| address).collect();
    assert_eq!(order, ["192.0.2.2", "192.0.2.3"]);
    assert_eq!(scene.busiest(3)[2].1.failures, 20);
    assert!(scene.busiest(0).is_empty());
}

#[test]
fn a_ban_and_its_end_are_shown_with_the_reason() {
    let mut scene = Scene::default();
    scene.take(failure("192.0.2.7"));
    let ban = json!({"net": "192.0.2.7/32", "by": "rule", "rule": "user_agents", "failures": 1,
        "address": "192.0.2.7", "user_agent": "friendly-scanner"});
    scene.take(line("ban", &ban));
    assert_eq!(scene.bans[0].time.to_string(), "2026-11-23T22:01:02.345Z");
    assert_eq!(scene.bans[0].why, "user agents 1, friendly-scanner");
    assert!(scene.busiest(1)[0].1.banned);
    scene.take(line("unban", &json!({"net": "192.0.2.7/32", "reason": "expired"})));
    assert!(scene.bans[0].ended);
}

#[test]
fn a_storm_from_everywhere_stays_bounded() {
    let mut scene = Scene::default();
    for n in 0..3 * u32::try_from(MAX_SOURCES).unwrap() {
        let address = std::net::Ipv4Addr::from(0x0a00_0000 + n).to_string();
        scene.take(failure(&address));
        scene.take(failure("192.0.2.7"));
        scene.take(line("ban", &json!({"net": address})));
    }
    assert!(scene.sources.len() <= MAX_SOURCES);
    assert!(scene.bans.len() <= MAX_BANS);
    assert_eq!(scene.busiest(1)[0].0, "192.0.2.7");
}

#[test]
fn what_was_missed_is_counted_and_what_is_unknown_passed_over() {
    let mut scene = Scene::default();
    scene.take(line("missed", &json!({"count": 7})));
    scene.take(line("something_new", &json!({"address": 5})));
    scene.take(line("auth_failure", &json!({"address": 5})));
    assert_eq!(scene.missed, 7);
}

#[test]
fn a_denied_flow_is_shown_until_it_is_allowed_again() {
    let mut scene = Scene::default();
    let flow = "203.0.113.7 udp 41234";
    let denied = json!({"address": "203.0.113.7", "flow": flow, "by": "rule", "rule": "failures",
        "failures": 5});
    scene.take(line("flow_denied", &denied));
    assert_eq!((scene.bans[0].net.as_str(), scene.bans[0].why.as_str()), (flow, "failures 5"));
    assert_eq!(scene.bans_made.sum(), 0, "a denied flow is no ban");
    let allowed = json!({"address": "203.0.113.7", "flow": flow, "reason": "expired"});
    scene.take(line("flow_allowed", &allowed));
    assert!(scene.bans[0].ended);
}
