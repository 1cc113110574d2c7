use std::path::Path;
use std::time::Duration;

use jiff::tz::TimeZone;
use proptest::prelude::*;
use sipward_engine::{Exemption, Mode, Policy, RuleName};

use super::report::Banned;
use super::*;
use world::{START, World};

mod world;

/// Where the recordings are.
fn fixtures() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures"))
}

/// Read as a file would be.
fn source(bytes: impl Into<Vec<u8>>) -> Source {
    let local = Local::new(TimeZone::UTC, START + Duration::from_secs(86_400));
    Source::new("test".as_ref(), std::io::Cursor::new(bytes.into()), local).unwrap()
}

fn simulation(policy: Policy) -> Simulation {
    Simulation::new("test.toml", policy, Vec::new()).unwrap()
}

/// What the default policy makes of a recording.
fn judged(recording: impl Into<Vec<u8>>) -> Report {
    judged_by(Policy::default(), vec![source(recording)])
}

fn judged_by(policy: Policy, mut sources: Vec<Source>) -> Report {
    let mut simulations = [simulation(policy)];
    play(&mut sources, &mut simulations, || {});
    let [simulation] = simulations;
    simulation.finish()
}

fn bans(report: &Report) -> Vec<(String, String)> {
    let words = |ban: &Banned| (ban.net.to_string(), ban.since.to_string());
    report.bans.entries.iter().map(words).collect()
}

/// The recordings of a real FreeSWITCH end in the verdicts of `tests/fixtures/verdicts.tsv`, by their own
/// times. As there, the threshold is 1, what came over loopback is moved to 198.51.100.7, and the events
/// were watched for two minutes before.
#[test]
fn every_recording_ends_in_its_verdict() {
    let verdicts = std::fs::read_to_string(fixtures().join("verdicts.tsv")).unwrap();
    let rows: Vec<&str> = verdicts.lines().skip(1).collect();
    assert_eq!(rows.len(), 104);
    for row in rows {
        let mut columns = row.split('\t');
        let (name, failures) = (columns.next().unwrap(), columns.next().unwrap());
        let banned = columns.next().unwrap();
        let path = fixtures().join(format!("freeswitch/{name}.raw"));
        let report = verdict(&std::fs::read(path).unwrap());
        let mut found: Vec<String> =
            report.bans.entries.iter().map(|ban| ban.net.to_string()).collect();
        found.sort_unstable();
        let found = match found.len() {
            0 => "-".to_owned(),
            1..=3 => found.join(" "),
            many => format!("{many} networks"),
        };
        assert_eq!(found, banned, "{name}");
        let number = |text: &str| text.split(' ').next().and_then(|n| n.parse().ok()).unwrap_or(0);
        let expected: u64 = failures.split(", ").map(number).sum();
        assert_eq!(report.counters.failures.total(), expected, "{name}: {failures}");
    }
}

fn verdict(recording: &[u8]) -> Report {
    let mut simulation = simulation(Policy { max_failures: 1, ..Policy::default() });
    let mut source = source(recording);
    let mut watched = false;
    while let Some(mut timed) = source.next() {
        if !std::mem::replace(&mut watched, true) {
            let before = timed.at.as_micros() - 120_000_000;
            let heartbeat = Event::from_plain("Event-Name: HEARTBEAT\n\n");
            simulation.hear(&Timed {
                at: Timestamp::from_micros(before),
                after_gap: false,
                item: Item::Event(heartbeat),
            });
        }
        timed.after_gap = false;
        if let Item::Event(event) = timed.item {
            timed.item = Item::Event(moved(&event));
        }
        simulation.hear(&timed);
    }
    simulation.finish()
}

/// The event as if it had not come over loopback.
fn moved(event: &Event) -> Event {
    let mut text = String::from_utf8_lossy(event.as_bytes()).into_owned();
    for key in ["network-ip", "network_ip"] {
        for loopback in ["127.0.0.1", "%3A%3A1"] {
            let (from, to) = (format!("{key}: {loopback}\n"), format!("{key}: 198.51.100.7\n"));
            text = text.replace(&from, &to);
        }
    }
    Event::from_plain(text)
}

#[test]
fn bans_on_the_fifth_failure_at_its_own_time_and_again_when_that_ban_has_ended() {
    let mut world = World::default();
    for second in 0..8 {
        world.at(second).failure("203.0.113.9", "1000");
    }
    for second in 4_000..4_005 {
        world.at(second).failure("203.0.113.9", "1000");
    }
    let report = judged(world.recording());
    let times = bans(&report);
    assert_eq!(
        times,
        [
            ("203.0.113.9/32".to_owned(), "2026-11-22T10:00:04.000Z".to_owned()),
            ("203.0.113.9/32".to_owned(), "2026-11-22T11:06:44.000Z".to_owned()),
        ]
    );
    let lengths: Vec<u64> = report
        .bans
        .entries
        .iter()
        .map(|ban| ban.until.unwrap().0.since(ban.since.0).as_secs())
        .collect();
    assert_eq!(lengths, [3_600, 7_200], "the second one is longer");
    assert_eq!(report.counters.in_flight, 3);
}

#[test]
fn what_bans_would_have_cost_the_phones_is_told() {
    let mut world = World::default();
    world.at(0).success("192.0.2.1", "1001");
    for second in 1..6 {
        world.at(second).failure("192.0.2.2", "1002");
    }
    // In truth this login would have met a ban.
    world.at(60).success("192.0.2.2", "1002");
    // And this phone has just been mistyped.
    world.at(61).failure("192.0.2.1", "1001");
    let report = judged(world.recording());
    assert_eq!(report.healthy.logins, 2);
    assert_eq!(report.healthy.addresses, 2);
    assert_eq!(report.healthy.logins_lost, 1);
    let named: Vec<String> = report.healthy.banned.keys().map(ToString::to_string).collect();
    assert_eq!(named, ["192.0.2.2"]);
    let ban = report.bans.entries.first().unwrap();
    assert_eq!(
        (ban.logged_in_before, ban.logins_during, ban.logged_in_after, ban.hits_healthy()),
        (false, 1, false, true)
    );
    assert_eq!(report.attention.total, 1, "the phone with the old password");
}

#[test]
fn a_login_before_or_after_a_ban_shows_at_it() {
    let mut world = World::default();
    world.at(0).success("192.0.2.2", "1002");
    // Its registration has run out and its login is forgotten: no rule bans a known host.
    let mut policy = Policy::default();
    policy.healthy.remember = Duration::from_secs(3_600);
    for second in 8_001..=8_020 {
        world.at(second).failure("192.0.2.2", &format!("20{second}"));
    }
    world.at(12_000).success("192.0.2.2", "1002");
    let report = judged_by(policy, vec![source(world.recording())]);
    let ban = report.bans.entries.first().unwrap();
    assert_eq!(
        (ban.logged_in_before, ban.logins_during, ban.logged_in_after),
        (true, 0, true),
        "{ban:?}"
    );
}

#[test]
fn the_log_alone_shows_what_its_rule_would_ban_and_bans_once_it_may() {
    let mut log = String::new();
    for second in 0..6 {
        log.push_str(&world::log_row(second, "203.0.113.9"));
    }
    let report = judged(log.clone());
    assert!(report.bans.entries.is_empty());
    let shadow = report.shadowed.entries.first().unwrap();
    assert_eq!(shadow.cause.evidence().unwrap().rule, RuleName::Log);
    assert!(shadow.rule_in_shadow);
    // The fifth, and the two seconds that its event has to come.
    assert_eq!(shadow.at.to_string(), "2026-11-22T10:00:06.000Z");

    let mut policy = Policy::default();
    policy.rules.log.guard.mode = Mode::Ban;
    let report = judged_by(policy, vec![source(log)]);
    let expected = ("203.0.113.9/32".to_owned(), "2026-11-22T10:00:06.000Z".to_owned());
    assert_eq!(bans(&report), [expected]);
}

#[test]
fn files_are_played_together_in_the_order_of_their_times() {
    let (mut early, mut late) = (World::default(), World::default());
    for second in [0, 2, 4] {
        early.at(second).failure("203.0.113.9", "1000");
        late.at(second + 1).failure("203.0.113.9", "1000");
    }
    let (early, late) = (early.recording(), late.recording());
    let expected = [("203.0.113.9/32".to_owned(), "2026-11-22T10:00:04.000Z".to_owned())];
    for files in [[&early, &late], [&late, &early]] {
        let sources = files.map(|bytes| source(bytes.clone()));
        assert_eq!(bans(&judged_by(Policy::default(), sources.into())), expected);
    }
}

#[test]
fn who_is_exempt_is_refused_and_told() {
    let mut world = World::default();
    for second in 0..6 {
        world.at(second).failure("192.0.2.9", "1000");
    }
    let allowed = vec![(Exemption::Allow, vec!["192.0.2.0/24".parse().unwrap()])];
    let mut simulations = [Simulation::new("test.toml", Policy::default(), allowed).unwrap()];
    play(&mut [source(world.recording())], &mut simulations, || {});
    let [simulation] = simulations;
    let report = simulation.finish();
    assert_eq!((report.bans.total, report.counters.exempt), (0, 6));
}

#[test]
fn two_policies_are_compared_by_network() {
    let mut world = World::default();
    for second in 0..6 {
        world.at(second).failure("203.0.113.9", "1000");
    }
    for second in 10..13 {
        world.at(second).failure("203.0.113.10", "1000");
    }
    world.at(20).failure_of("203.0.113.11", "1000", "friendly-scanner");
    let mut strict = Policy { max_failures: 3, ..Policy::default() };
    strict.rules.user_agents.guard.mode = Mode::Off;
    let mut simulations = [simulation(Policy::default()), simulation(strict)];
    play(&mut [source(world.recording())], &mut simulations, || {});
    let [first, second] = simulations.map(Simulation::finish);
    let found = Comparison::of(&first, &second);
    let names = |list: &[Banned]| list.iter().map(|b| b.net.to_string()).collect::<Vec<_>>();
    assert_eq!(names(&found.only_first), ["203.0.113.11/32"]);
    assert_eq!(names(&found.only_second), ["203.0.113.10/32"]);
    assert_eq!(found.second_sooner.len(), 1);
    assert_eq!((found.first_sooner.len(), found.same), (0, 0));
    assert_eq!(Comparison::of(&first, &first).same, 2);
}

#[test]
fn the_same_input_gives_the_same_report() {
    let storm = fixtures().join("freeswitch/session/slow-consumer-killed.tail.raw");
    let storm = std::fs::read(storm).unwrap();
    let json = |report: &Report| serde_json::to_string(report).unwrap();
    assert_eq!(json(&judged(storm.clone())), json(&judged(storm)));
}

#[test]
fn a_new_connection_and_a_restart_excuse_a_missing_challenge() {
    let grades = |gap: fn(&mut World)| {
        let mut world = World::default();
        world.at(0).heartbeat();
        world.at(120).heartbeat();
        gap(&mut world);
        world.at(121).unchallenged_failure("203.0.113.9", "1000");
        let failures = judged(world.recording()).counters.failures;
        (failures.unchallenged, failures.challenged)
    };
    assert_eq!(grades(|_| {}), (1, 0));
    assert_eq!(grades(World::reconnect), (0, 1));
    assert_eq!(grades(World::restart), (0, 1));
}

/// Arbitrary bytes, and recordings and logs with some of them.
fn any_bytes() -> impl Strategy<Value = Vec<u8>> {
    let recording = include_bytes!(
        "../../../tests/fixtures/freeswitch/session/log-warning-and-events-interleaved.raw"
    );
    let log = include_bytes!("../../../tests/fixtures/logs/layouts.log");
    let real = prop_oneof![Just(&recording[..]), Just(&log[..])];
    let damaged =
        (real, any::<prop::sample::Index>(), any::<prop::sample::Index>(), any::<Vec<u8>>());
    let damaged = damaged.prop_map(|(real, from, to, with)| {
        let (from, to) = (from.index(real.len()), to.index(real.len()));
        let mut bytes = real.to_vec();
        bytes.splice(from.min(to)..from.max(to), with);
        bytes
    });
    prop_oneof![1 => any::<Vec<u8>>(), 8 => damaged]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    /// Every file is replayed to its end, and printed in lines that fit.
    #[test]
    fn any_bytes_are_replayed_without_harm(bytes in any_bytes()) {
        let local = Local::new(TimeZone::UTC, START);
        let opened = Source::new("any".as_ref(), std::io::Cursor::new(bytes), local);
        if let Ok(source) = opened {
            let mut sources = [source];
            let mut simulations = [simulation(Policy { max_failures: 1, ..Policy::default() })];
            play(&mut sources, &mut simulations, || {});
            let tallies = sources.map(|source| source.tally());
            let [simulation] = simulations;
            let first = &simulation.finish();
            let outcome = table::Outcome { sources: &tallies, zone: None, first, second: None };
            for line in outcome.to_string().lines() {
                prop_assert!(line.chars().count() <= table::COLUMNS, "{line}");
                prop_assert!(!line.contains(char::is_control), "{line:?}");
            }
            prop_assert!(serde_json::to_string(first).is_ok());
        }
    }
}
