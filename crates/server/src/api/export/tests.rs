use sipward_engine::{Grade, Identity, RuleName, Timestamp};

use super::*;
use sipward_model::text::Time;
use sipward_model::wire::{BanOrigin, BanScope, BanState, By, Cause, Evidence};

fn ban(user_agent: &str, users: &[&str]) -> Ban {
    Ban {
        scope: BanScope::Host,
        net: "203.0.113.7/32".parse().unwrap(),
        since: Time(Timestamp::from_micros(1_800_000_000_000_000)),
        until: None,
        remaining_seconds: None,
        origin: BanOrigin::Automatic,
        state: BanState::Enforced,
        error: None,
        enforced_by: None,
        packets_dropped: None,
        cause: Cause {
            by: By::Rule,
            split_of: None,
            comment: None,
            evidence: Some(Evidence {
                rule: RuleName::Failures,
                address: "203.0.113.7".parse().unwrap(),
                identity: Identity::Stranger,
                failures: 5,
                score: 5.0,
                max_failures: 5,
                window_seconds: 600.0,
                grade: Grade::Answered,
                ban_count: 1,
                details_aged_out: false,
                users: users.iter().map(ToString::to_string).collect(),
                profile: Some("internal".to_owned()),
                user_agent: Some(user_agent.to_owned()),
                report: None,
            }),
            remote: None,
        },
        location: None,
    }
}

/// The cells of a ban by the names of their columns.
fn cell(ban: &Ban, column: &str) -> String {
    let table = [csv::head(), csv::lines(std::slice::from_ref(ban))].concat();
    let mut reader = ::csv::Reader::from_reader(table.as_slice());
    let place = reader.headers().unwrap().iter().position(|name| name == column).unwrap();
    let row = reader.records().next().unwrap().unwrap();
    row.get(place).unwrap().to_owned()
}

#[test]
fn what_a_spreadsheet_takes_for_a_formula_is_defused() {
    for (agent, shown) in [
        ("=HYPERLINK(\"http://evil.example\")", "'=HYPERLINK(\"http://evil.example\")"),
        ("+1", "'+1"),
        ("-1", "'-1"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\t=1", "'\\t=1"),
        ("\r=1", "'\\r=1"),
        ("a,b\"c\nd", "a,b\"c\\nd"),
        ("a\u{1b}[2J\u{202e}", "a\\u{1b}[2J\\u{202e}"),
        ("Yealink SIP-T46G", "Yealink SIP-T46G"),
        ("", ""),
    ] {
        assert_eq!(cell(&ban(agent, &[]), "user_agent"), shown);
    }
    assert_eq!(cell(&ban("x", &["=1+1", "1000"]), "users"), "'=1+1 1000");
}

#[test]
fn lines_end_as_rfc_4180_wants_it() {
    let lines = String::from_utf8(csv::lines(&[ban("x", &["a", "b"]), ban("y", &[])])).unwrap();
    assert_eq!(lines.matches("\r\n").count(), 2);
    assert!(lines.starts_with("203.0.113.7/32,2027-01-15T08:00:00.000Z,,,automatic,"), "{lines}");
}

#[test]
fn parts_of_a_json_list_make_one() {
    let one = ban("x", &[]);
    let parts = [
        (JSON.head)(),
        json(&[], true),
        json(&[one.clone(), one.clone()], true),
        json(&[], false),
        json(&[one], false),
        JSON.tail.into(),
    ];
    let bans: Vec<Ban> = serde_json::from_slice(&parts.concat()).unwrap();
    assert_eq!(bans.len(), 3);
}

#[test]
fn a_ban_shows_its_scope() {
    let host = ban("x", &[]);
    assert_eq!(cell(&host, "scope"), "host");
    assert_eq!(cell(&Ban { scope: BanScope::Sip, ..host }, "scope"), "sip");
}
