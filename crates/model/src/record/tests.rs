use std::time::Duration;

use sipward_engine::{
    Details, Evidence, Expiry, Grade, Identity, RuleName, Scope, Text, Timestamp,
};

use super::*;

fn ban() -> Ban {
    let cause = Cause::Rule(Evidence {
        rule: RuleName::Failures,
        identity: Identity::Stranger,
        address: "203.0.113.7".parse().unwrap(),
        failures: 5,
        max_failures: 5,
        window: Duration::from_secs(600),
        grade: Grade::Answered,
        score: 5.0,
        ban_count: 2,
        details: Some(Box::new(Details {
            users: vec![Text::new("1000"), Text::new("a\u{1b}[2J\nb")],
            profile: Text::new("internal"),
            user_agent: Text::new("friendly-scanner"),
            reason: None,
        })),
    });
    let until = Expiry::At(Timestamp::from_micros(1_795_338_296_307_509));
    let decided =
        Ban::decided("203.0.113.7/32".parse().unwrap(), Scope::Host, until, Arc::new(cause));
    Ban { enforced: true, event_to_route_us: Some(412), ..decided }
}

#[test]
fn a_ban_is_one_flat_json_object_with_every_field_an_operator_needs() {
    let json = serde_json::to_value(Record::Ban(ban())).unwrap();
    assert_eq!(
        json,
        serde_json::json!({
            "event": "ban",
            "net": "203.0.113.7/32",
            "scope": "host",
            "until": "2026-11-22T09:04:56.307Z",
            "enforced": true,
            "event_to_route_us": 412,
            "by": "rule",
            "rule": "failures",
            "identity": "stranger",
            "address": "203.0.113.7",
            "failures": 5,
            "score": 5.0,
            "max_failures": 5,
            "window_seconds": 600.0,
            "grade": "answered",
            "users": ["1000", "a\u{1b}[2J\nb"],
            "profile": "internal",
            "user_agent": "friendly-scanner",
            "ban_count": 2,
        })
    );
}

#[test]
fn trouble_with_the_store_says_that_bans_go_on_and_what_to_do() {
    let error = "no space left for /var/lib/sipward/sipward.db; make room".to_owned();
    let degraded = Record::StoreDegraded { error };
    assert_eq!(degraded.level(), Level::ERROR);
    assert_eq!(
        degraded.to_string(),
        "STORAGE FAILED; bans continue, but are not \
        stored: no space left for /var/lib/sipward/sipward.db; make room"
    );
    let aside = Record::StoreSetAside {
        file: "/var/lib/sipward/sipward.db.corrupt-20261124T000000Z".into(),
        error: "file is not a database".to_owned(),
    };
    assert_eq!(
        serde_json::to_value(&aside).unwrap(),
        serde_json::json!({
            "event": "store_set_aside",
            "file": "/var/lib/sipward/sipward.db.corrupt-20261124T000000Z",
            "error": "file is not a database",
        })
    );
    assert!(aside.to_string().contains("sqlite3 FILE .recover"), "{aside}");
    let recovered = |dropped| Record::StoreRecovered { dropped }.to_string();
    assert_eq!(recovered(0), "the store works again");
    assert!(recovered(3).contains("3 entries are missing"));
}

#[test]
fn text_lines_show_what_an_attacker_typed_escaped_and_on_one_line() {
    assert_eq!(
        Record::Ban(ban()).to_string(),
        "ban 203.0.113.7/32 until 2026-11-22T09:04:56.307Z: failures 5 within 10m (answered), \
         ban 2, agent friendly-scanner, users 1000 a\\u{1b}[2J\\nb; enforced after 412 µs"
    );
}

#[test]
fn a_ban_that_is_not_enforced_says_so_and_is_told_apart_in_json() {
    let ban = Ban { enforced: false, not_enforced_because: Some("no gate".into()), ..ban() };
    let text = Record::Ban(ban.clone()).to_string();
    assert!(text.ends_with("; NOT enforced (no gate) after 412 µs"), "{text}");
    let json = serde_json::to_value(Record::Ban(ban)).unwrap();
    assert_eq!(json.get("enforced"), Some(&serde_json::Value::Bool(false)));
    assert_eq!(json.get("not_enforced_because"), Some(&"no gate".into()));
}

#[test]
fn a_refusal_carries_reason_and_evidence() {
    let record = Record::Refused {
        net: "192.0.2.1/32".parse().unwrap(),
        refusal: Refusal::Exempt {
            class: sipward_engine::Exemption::Allow,
            net: "192.0.2.0/24".parse().unwrap(),
        },
        cause: ban().cause,
    };
    let json = serde_json::to_value(&record).unwrap();
    for (field, value) in
        [("event", "refused"), ("net", "192.0.2.1/32"), ("reason", "exempt"), ("class", "allow")]
    {
        assert_eq!(json.get(field), Some(&value.into()), "{json}");
    }
    assert_eq!(record.to_string(), "not banned: 192.0.2.1/32, covered by 192.0.2.0/24 (allow)");
}

#[test]
fn a_kind_has_the_name_of_its_records() {
    let net: IpNet = "192.0.2.1/32".parse().unwrap();
    for record in [
        Record::Ban(ban()),
        Record::Stopped(Totals::default()),
        Record::Unban { net, reason: UnblockReason::Manual, still_stopped_by: None },
        Record::Alarm(Alarm::ManyBans { bans: 7 }),
        Record::DeliveryFailed { by: "mail".into(), error: "no".into(), retry_in_seconds: None },
        Record::RecordsMissed { by: "mail".into(), count: 3 },
        Record::LogLost { lines: 1 },
    ] {
        let json = serde_json::to_value(&record).unwrap();
        assert_eq!(json.get("event"), Some(&serde_json::to_value(record.kind()).unwrap()));
    }
}
