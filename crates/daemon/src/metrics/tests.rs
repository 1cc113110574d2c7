use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use ipnet::IpNet;
use sipward_engine::{
    Alarm, Cause, Expiry, Grade, Identity, Judgement, Scope, Text, UnblockReason,
};

use super::*;
use sipward_model::record::Ban;
use sipward_model::wire::{FleetCounts, FleetLink, FleetNode, NodeStanding};
use sipward_store::State;

fn failure(profile: &str, grade: Grade) -> Record {
    Record::AuthFailure(Judgement {
        address: "203.0.113.7".parse().unwrap(),
        user: Text::new("1000"),
        profile: Text::new(profile),
        user_agent: Text::new("x"),
        grade,
        identity: Identity::Stranger,
        attention: false,
        failures: 1,
        exempt: None,
        banned: false,
    })
}

fn ban(us: u64) -> Record {
    let cause = Cause::Manual { reason: String::new(), force: false };
    let decided = Ban::decided(
        "203.0.113.7/32".parse().unwrap(),
        Scope::Host,
        Expiry::Never,
        Arc::new(cause),
    );
    Record::Ban(Ban { event_to_route_us: Some(us), ..decided })
}

/// Something of everything.
fn snapshot() -> Snapshot {
    let mut tally = Tally::default();
    let source: IpNet = "203.0.113.7/32".parse().unwrap();
    for record in [
        failure("internal", Grade::Answered),
        failure("internal", Grade::Answered),
        failure("a\"b\\c\nd", Grade::Unproven),
        ban(152),
        ban(250),
        ban(9_000_000),
        Record::Unban { net: source, reason: UnblockReason::Expired, still_stopped_by: None },
        Record::Alarm(Alarm::ManyBans { bans: 7 }),
        Record::EslBlind { seconds: 1.5 },
        Record::Healed { routes: 3, rules: 1, gate: false, elements: 0 },
        Record::LoginFailed { address: "203.0.113.9".parse().unwrap(), what: "token" },
    ] {
        tally.note(&record);
    }
    let by = |by: &str| Delivery { by: by.to_owned(), delivered: 3, ..Delivery::default() };
    Snapshot {
        version: "1.2.3",
        started: 1_795_338_296.5,
        observe: false,
        events: 12,
        events_dropped: 0,
        esl_connected: true,
        esl_away: 0.0,
        registrations: 30,
        bans: 2,
        sip_bans: 1,
        max_bans: 500_000,
        flows: 3,
        max_flows: 65_536,
        flows_not_enforced: 0,
        not_enforced: 0,
        routes: 2,
        gate: Some([true, false]),
        sources: [1, 2, 3, 4, 5],
        flood: FloodNow { answer: Some(0.004), healthy_hosts: Some(212), ..FloodNow::default() },
        store: Health {
            state: State::Ok,
            file: None,
            size_bytes: 4_096,
            behind_entries: 1,
            behind_ms: 250,
            dropped: 0,
            set_aside: None,
        },
        tally,
        deliveries: vec![by("mail"), by("webhook chat.example.org")],
        fleet: Arc::new(fleet()),
    }
}

fn fleet() -> Fleet {
    let refused = [("too_wide".to_owned(), 4)].into();
    let (node, standing) = ("fra.a".to_owned(), NodeStanding::Shadow);
    let node = FleetNode { node, standing, ..FleetNode::default() };
    Fleet {
        enabled: true,
        link: FleetLink { connected: true, behind: 7, ..FleetLink::default() },
        counts: FleetCounts { published: 3, taken: 5, refused, ..FleetCounts::default() },
        nodes: vec![node],
        ..Fleet::default()
    }
}

#[test]
fn what_was_counted_is_told() {
    let text = render(&snapshot(), Format::Prometheus);
    for line in [
        "# TYPE sipward_failures_total counter",
        "sipward_failures_total{profile=\"internal\",grade=\"answered\"} 2",
        "sipward_failures_total{profile=\"a\\\"b\\\\c\\nd\",grade=\"unproven\"} 1",
        "sipward_bans_total{by=\"manual\"} 3",
        "sipward_unbans_total{reason=\"expired\"} 1",
        "sipward_alarms_total{alarm=\"many_bans\"} 1",
        // There from the start: of a counter that begins with 1, Prometheus sees no increase.
        "sipward_alarms_total{alarm=\"deaf\"} 0",
        "sipward_login_failures_total 1",
        "sipward_esl_blind_seconds_total 1.5",
        "sipward_healed_total 4",
        "sipward_registrations 30",
        "sipward_bans_by_scope{scope=\"host\"} 1",
        "sipward_bans_by_scope{scope=\"sip\"} 1",
        "sipward_flows_active 3",
        "sipward_flows_limit 65536",
        "sipward_flows_not_enforced 0",
        "sipward_fleet_connected{path=\"live\"} 1",
        "sipward_fleet_connected{path=\"stream\"} 0",
        "sipward_fleet_behind 7",
        "sipward_fleet_refused_total{reason=\"too_wide\"} 4",
        "sipward_fleet_bans{of=\"others\"} 5",
        "sipward_fleet_peer_state{node=\"fra.a\"} 1",
        "sipward_gate{family=\"ipv4\"} 1",
        "sipward_gate{family=\"ipv6\"} 0",
        "sipward_store_behind_seconds 0.25",
        "# UNIT sipward_event_to_route_seconds seconds",
        "sipward_event_to_route_seconds_bucket{le=\"0.0001\"} 0",
        "sipward_event_to_route_seconds_bucket{le=\"0.0002\"} 1",
        "sipward_event_to_route_seconds_bucket{le=\"0.0003\"} 2",
        "sipward_event_to_route_seconds_bucket{le=\"5\"} 2",
        "sipward_event_to_route_seconds_bucket{le=\"+Inf\"} 3",
        "sipward_event_to_route_seconds_sum 9.000402",
        "sipward_event_to_route_seconds_count 3",
        "sipward_messages_delivered_total{by=\"webhook chat.example.org\"} 3",
    ] {
        assert!(text.lines().any(|found| found == line), "no {line} in:\n{text}");
    }
    assert!(!text.contains("# EOF"));
}

#[test]
fn openmetrics_names_a_counters_family_without_total_and_ends_with_eof() {
    let text = render(&snapshot(), Format::accepted("application/openmetrics-text; version=1.0.0"));
    assert!(text.contains("# TYPE sipward_failures counter\nsipward_failures_total{"), "{text}");
    assert!(text.ends_with("\n# EOF\n"));
}

#[test]
fn every_family_has_help_and_type_once_and_units_stand_in_names() {
    let text = render(&snapshot(), Format::Prometheus);
    let of = |mark: &str| -> Vec<(String, String)> {
        let lines = text.lines().filter_map(|line| line.strip_prefix(mark));
        lines.filter_map(|line| line.split_once(' ')).map(|(a, b)| (a.into(), b.into())).collect()
    };
    let helped: Vec<String> = of("# HELP ").into_iter().map(|(name, _)| name).collect();
    let typed: Vec<String> = of("# TYPE ").into_iter().map(|(name, _)| name).collect();
    assert_eq!(helped, typed);
    assert_eq!(helped.iter().collect::<BTreeSet<_>>().len(), helped.len(), "{helped:?}");
    for (name, unit) in of("# UNIT ") {
        assert!(name.trim_end_matches("_total").ends_with(&unit), "{name} {unit}");
    }
    for name in helped.iter().filter(|name| name.contains("seconds") || name.contains("bytes")) {
        assert!(of("# UNIT ").iter().any(|(with, _)| with == name), "{name} has no unit");
    }
}

#[test]
fn an_attacker_cannot_make_more_time_series_than_planned() {
    let mut tally = Tally::default();
    for n in 0..1_000 {
        tally.note(&failure(&format!("profile-{n}"), Grade::Unproven));
    }
    assert_eq!(tally.failures.len(), 17);
    assert_eq!(tally.failures["other"][&Grade::Unproven], 1_000 - 16);
}

#[test]
fn what_is_counted_first_was_there_before_as_zero() {
    let mut tally = Tally::default();
    let sizes = |tally: &Tally| {
        [&tally.bans, &tally.unbans, &tally.refusals, &tally.shadowed, &tally.alarms]
            .map(std::collections::BTreeMap::len)
    };
    let before = sizes(&tally);
    for record in [ban(1), Record::Alarm(Alarm::Deaf { burst: 1, packets: Some(1) })] {
        tally.note(&record);
    }
    for reason in [
        "expired",
        "manual",
        "exempted",
        "split",
        "superseded",
        "made_room",
        "not_adopted",
        "registered",
        "withdrawn",
    ] {
        let reason = serde_json::from_value(reason.into()).unwrap();
        let source = "192.0.2.1/32".parse().unwrap();
        tally.note(&Record::Unban { net: source, reason, still_stopped_by: None });
    }
    assert_eq!(sizes(&tally), before);
    assert!(tally.unbans.values().all(|count| *count == 1), "{:?}", tally.unbans);
}

/// Files that name metrics.
fn deployed() -> Vec<PathBuf> {
    let deploy = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy");
    ["grafana/sipward.json", "prometheus/sipward.rules.yml", "prometheus/sipward.rules.test.yml"]
        .map(|file| deploy.join(file))
        .into()
}

#[test]
fn dashboard_and_alerts_name_only_metrics_that_there_are() {
    let text = render(&snapshot(), Format::Prometheus);
    let samples = text.lines().filter(|line| !line.starts_with('#'));
    let known: BTreeSet<&str> = samples.filter_map(|line| line.split(['{', ' ']).next()).collect();
    for file in deployed() {
        let content = std::fs::read_to_string(&file).unwrap();
        let words = content.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        let named: BTreeSet<&str> = words.filter(|word| word.starts_with("sipward_")).collect();
        assert!(named.len() > 3, "{}: {named:?}", file.display());
        let unknown: Vec<_> = named.difference(&known).collect();
        assert!(unknown.is_empty(), "{} names {unknown:?}", file.display());
    }
}
