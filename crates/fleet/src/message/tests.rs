use ipnet::IpNet;
use proptest::prelude::*;

use super::*;
use crate::text::Text;

fn standing() -> Standing {
    Standing {
        decided: 0,
        for_ms: Some(3_600_000),
        by: By::Rule,
        scope: Scope::Host,
        rule: Text::cut("failures"),
        grade: Text::cut("answered"),
        failures: 5,
        score: 5.0,
        count: 1,
        why: Text::cut("failures 5, 4 users"),
    }
}

fn message(from: &str, body: Body) -> Message {
    Message { from: from.parse().unwrap(), n: 7, at: 1_700_000_000_000, body }
}

fn net() -> IpNet {
    "203.0.113.7/32".parse().unwrap()
}

const SUBJECT: &str = "sipward.1.ban.berlin.n1.4-cb007107-20";

/// The value of a ban with some of its fields changed, or removed where `null` stands for them.
fn ban_with(changes: &serde_json::Value) -> Vec<u8> {
    let ban = message("berlin.n1", Body::Ban(net(), Ban::Stands(standing())));
    let mut value: serde_json::Value = serde_json::from_slice(&ban.encode().unwrap()).unwrap();
    for (field, new) in changes.as_object().unwrap() {
        if new == "absent" {
            value.as_object_mut().unwrap().remove(field);
        } else {
            value[field] = new.clone();
        }
    }
    value.to_string().into_bytes()
}

#[test]
fn a_ban_on_the_wire() {
    let ban = message("berlin.n1", Body::Ban(net(), Ban::Stands(standing())));
    assert_eq!(ban.subject(), SUBJECT);
    assert_eq!(
        ban.encode().unwrap(),
        r#"{"v":1,"node":"berlin.n1","net":"203.0.113.7/32","n":7,"at":1700000000000,"state":"stands","for_ms":3600000,"by":"rule","scope":"host","rule":"failures","grade":"answered","failures":5,"score":5.0,"count":1,"why":"failures 5, 4 users"}"#
    );
    let ended = message("berlin.n1", Body::Ban(net(), Ban::Ended));
    assert_eq!(
        ended.encode().unwrap(),
        r#"{"v":1,"node":"berlin.n1","net":"203.0.113.7/32","n":7,"at":1700000000000,"state":"ended"}"#
    );
}

#[test]
fn other_kinds_on_the_wire() {
    let peer = message(
        "ops.alice",
        Body::Peer("berlin.n1".parse().unwrap(), Judgement { mode: Mode::Ignore, weight: 1 }),
    );
    assert_eq!(peer.subject(), "sipward.1.peer.ops.alice.berlin_n1");
    assert_eq!(
        peer.encode().unwrap(),
        r#"{"v":1,"node":"ops.alice","peer":"berlin.n1","n":7,"at":1700000000000,"mode":"ignore","weight":1}"#
    );
    let known = message(
        "berlin.n1",
        Body::Known(
            "2001:db8::/64".parse().unwrap(),
            Known::Stands {
                class: Class::Trusted,
                since: 1,
                last: 2,
                home: Some(Home([1, 2, 3, 4, 5, 6, 7, 0xff])),
            },
        ),
    );
    assert_eq!(known.subject(), "sipward.1.known.berlin.n1.6-20010db8000000000000000000000000-40");
    assert_eq!(
        known.encode().unwrap(),
        r#"{"v":1,"node":"berlin.n1","net":"2001:db8::/64","n":7,"at":1700000000000,"state":"stands","class":"trusted","since":1,"last":2,"home":"01020304050607ff"}"#
    );
    let node = message("berlin.n1", Body::Node(Box::default()));
    assert_eq!(node.subject(), "sipward.1.node.berlin.n1");
}

#[test]
fn unknown_fields_are_ignored_and_unknown_versions_refused() {
    let parse = |changes: serde_json::Value| Message::parse(SUBJECT, &ban_with(&changes));
    assert!(parse(serde_json::json!({"colour": {"deep": [1, 2, {}]}})).is_ok());
    assert_eq!(parse(serde_json::json!({"v": 2})), Err(Refusal::Version));
    let other = serde_json::json!({"v": 2, "n": "words", "node": 3});
    assert_eq!(parse(other), Err(Refusal::Version));
    assert_eq!(parse(serde_json::json!({"v": "1"})), Err(Refusal::Malformed));
    assert_eq!(parse(serde_json::json!({"v": "absent"})), Err(Refusal::Malformed));
}

#[test]
fn subject_and_value_must_agree() {
    for changes in [
        serde_json::json!({"node": "berlin.n2"}),
        serde_json::json!({"net": "203.0.113.8/32"}),
        serde_json::json!({"net": "203.0.113.7"}),
        serde_json::json!({"net": "absent"}),
        serde_json::json!({"peer": "berlin.n2"}),
    ] {
        let refused = Message::parse(SUBJECT, &ban_with(&changes));
        assert_eq!(refused, Err(Refusal::Malformed), "{changes}");
    }
    for subject in [
        "sipward.1.ban.berlin.n1",
        "sipward.1.ban.berlin.n1.4-cb007107-20.x",
        "sipward.1.ban.berlin.n1.4-cb007107-18",
        "sipward.1.node.berlin.n1.4-cb007107-20",
        "sipward.1.bans.berlin.n1.4-cb007107-20",
        "sipward.2.ban.berlin.n1.4-cb007107-20",
        "sipward.1..berlin.n1.4-cb007107-20",
        "other.1.ban.berlin.n1.4-cb007107-20",
        "sipward.1.peer.ops.alice.4-cb007107-20",
        "",
    ] {
        let refused = Message::parse(subject, &ban_with(&serde_json::json!({})));
        assert_eq!(refused, Err(Refusal::Malformed), "{subject}");
    }
}

#[test]
fn every_field_has_bounds() {
    for changes in [
        serde_json::json!({"n": 0}),
        serde_json::json!({"n": MAX_N + 1}),
        serde_json::json!({"n": -1}),
        serde_json::json!({"at": "absent"}),
        serde_json::json!({"state": "maybe"}),
        serde_json::json!({"for_ms": -1}),
        serde_json::json!({"by": "report"}),
        serde_json::json!({"scope": "absent"}),
        serde_json::json!({"rule": "x".repeat(33)}),
        serde_json::json!({"grade": "x".repeat(33)}),
        serde_json::json!({"why": "x".repeat(257)}),
        serde_json::json!({"why": "\u{1b}[2J"}),
        serde_json::json!({"count": 1.5}),
    ] {
        let refused = Message::parse(SUBJECT, &ban_with(&changes));
        assert_eq!(refused, Err(Refusal::Malformed), "{changes}");
    }
    let scope = ban_with(&serde_json::json!({"scope": "sip"}));
    assert_eq!(Message::parse(SUBJECT, &scope), Err(Refusal::Scope));
    let long = ban_with(&serde_json::json!({"padding": "x".repeat(MAX_VALUE)}));
    assert_eq!(Message::parse(SUBJECT, &long), Err(Refusal::TooLong));
    let array = br#"[1,"berlin.n1","203.0.113.7/32",null,7,1]"#;
    assert_eq!(Message::parse(SUBJECT, array), Err(Refusal::Malformed));
}

#[test]
fn only_operators_lift_and_judge() {
    let lift = Lift { hold_ms: 1, reason: Text::cut("error"), who: Text::cut("alice") };
    let body = Body::Lift(net(), lift);
    let allowed = message("ops.alice", body.clone());
    assert_eq!(Message::parse(&allowed.subject(), &allowed.encode().unwrap()), Ok(allowed));
    let forged = message("berlin.n1", body);
    let refused = Message::parse(&forged.subject(), &forged.encode().unwrap());
    assert_eq!(refused, Err(Refusal::NotOperator));
}

#[test]
fn durations_travel_and_end_within_a_day() {
    let hour = Duration::from_secs(3600);
    let ban =
        |for_ms| message("a.b", Body::Ban(net(), Ban::Stands(Standing { for_ms, ..standing() })));
    assert_eq!(ban(Some(3_600_000)).remaining(hour / 4), Some(hour * 3 / 4));
    assert_eq!(ban(Some(3_600_000)).remaining(hour), None);
    assert_eq!(ban(None).remaining(hour), Some(23 * hour));
    assert_eq!(ban(Some(u64::MAX)).remaining(hour), Some(23 * hour));
    assert_eq!(ban(None).remaining(24 * hour), None);
    assert_eq!(message("a.b", Body::Ban(net(), Ban::Ended)).remaining(Duration::ZERO), None);
}

#[test]
fn a_status_has_few_counts() {
    let status = NodeStatus {
        instance: Text::cut("x"),
        counts: ["a", "b", "c", "a"].map(|name| (name, 1)).into_iter().collect(),
        ..NodeStatus::default()
    };
    assert_eq!(status.counts.iter().count(), 3);
    let names: Vec<String> = (0..33).map(|i| format!("c{i}")).collect();
    let many: serde_json::Map<_, _> =
        names.iter().map(|name| (name.clone(), serde_json::json!(1))).collect();
    let mut value = serde_json::json!({"v": 1, "node": "a.b", "n": 1, "at": 1, "instance": "x", "counts": many});
    let parse = |value: &serde_json::Value| {
        Message::parse("sipward.1.node.a.b", value.to_string().as_bytes())
    };
    assert_eq!(parse(&value), Err(Refusal::Malformed));
    value["counts"].as_object_mut().unwrap().remove("c0");
    assert!(parse(&value).is_ok());
}

fn nets() -> impl Strategy<Value = IpNet> {
    (any::<u128>(), 0u8..=128, any::<bool>()).prop_map(|(bits, prefix, four)| {
        let [a, b, c, d, ..] = bits.to_be_bytes();
        if four {
            IpNet::new([a, b, c, d].into(), prefix.min(32)).unwrap().trunc()
        } else {
            IpNet::new(bits.to_be_bytes().into(), prefix).unwrap().trunc()
        }
    })
}

fn bans() -> impl Strategy<Value = Ban> {
    let facts =
        (any::<Option<u64>>(), any::<bool>(), any::<(u64, u64)>(), -1e6f64..1e6, any::<String>());
    prop_oneof![
        Just(Ban::Ended),
        facts.prop_map(|(for_ms, manual, (failures, count), score, words)| {
            Ban::Stands(Standing {
                decided: count,
                for_ms,
                by: if manual { By::Manual } else { By::Rule },
                scope: Scope::Host,
                rule: Text::cut(&words),
                grade: Text::cut(&words),
                failures,
                score: score.round(),
                count,
                why: Text::cut(&words.repeat(3)),
            })
        }),
    ]
}

fn bodies() -> impl Strategy<Value = Body> {
    let peers = ("[a-z0-9-]{1,32}", "[a-z0-9-]{1,32}")
        .prop_map(|(site, node)| Peer::new(&site, &node).unwrap());
    let known = (nets(), any::<(u64, u64)>(), any::<Option<[u8; 8]>>());
    let status = (any::<String>(), any::<u64>(), any::<Option<i64>>());
    prop_oneof![
        (nets(), bans()).prop_map(|(net, ban)| Body::Ban(net, ban)),
        (nets(), any::<u64>(), any::<String>()).prop_map(|(net, hold_ms, words)| {
            Body::Lift(net, Lift { hold_ms, reason: Text::cut(&words), who: Text::cut(&words) })
        }),
        (nets(), any::<String>())
            .prop_map(|(net, words)| Body::Veto(net, Veto::Stands { class: Text::cut(&words) })),
        nets().prop_map(|net| Body::Veto(net, Veto::Ended)),
        (peers, any::<u32>())
            .prop_map(|(peer, weight)| Body::Peer(peer, Judgement { mode: Mode::Shadow, weight })),
        known.prop_map(|(net, (since, last), home)| {
            let home = home.map(Home);
            Body::Known(net, Known::Stands { class: Class::Shared, since, last, home })
        }),
        status.prop_map(|(words, number, clock_offset_ms)| {
            Body::Node(Box::new(NodeStatus {
                instance: Text::cut(&words),
                version: Text::cut(&words),
                started: number,
                applied: number,
                clock_offset_ms,
                counts: [(words.as_str(), number)].into_iter().collect(),
                ..NodeStatus::default()
            }))
        }),
    ]
}

proptest! {
    #[test]
    fn what_is_sent_is_what_is_read(node in "[a-z0-9-]{1,32}", n in 1..=MAX_N, at: u64, body in bodies()) {
        let said = Message { from: Peer::new("ops", &node).unwrap(), n, at, body };
        // Control characters and quotes may take six bytes each: then it is too long, and not sent.
        if let Ok(value) = said.encode() {
            prop_assert_eq!(Message::parse(&said.subject(), &value), Ok(said));
        }
    }

    #[test]
    fn arbitrary_bytes_are_refused_and_never_panic(subject in "\\PC*", value: Vec<u8>) {
        prop_assert!(Message::parse(&subject, &value).is_err());
        prop_assert!(Message::parse(SUBJECT, &value).is_err());
    }

    /// What is nearly right goes deeper than what is arbitrary.
    #[test]
    fn damaged_messages_never_panic(body in bodies(), at in any::<prop::sample::Index>(), byte: u8, cut: bool) {
        let said = Message { from: Peer::new("ops", "alice").unwrap(), n: 7, at: 7, body };
        let Ok(value) = said.encode() else { return Ok(()) };
        let mut damaged = value.to_vec();
        let at = at.index(damaged.len());
        if cut { damaged.truncate(at) } else { damaged[at] = byte }
        if let Ok(read) = Message::parse(&said.subject(), &damaged) {
            prop_assert_eq!(read.body.key(), said.body.key());
        }
        let mut subject = said.subject().into_bytes();
        let at = at % subject.len();
        subject[at] = byte & 0x7f;
        if let Ok(read) = Message::parse(&String::from_utf8(subject).unwrap(), &value) {
            prop_assert_eq!(read, said);
        }
    }
}
