use sipward_route::Coverage;

use super::*;
use crate::doctor::State;

fn config(text: &str) -> Config {
    Config::parse(text, "x".as_ref()).unwrap()
}

fn inspection(gate: GateState, gaps: &[&str]) -> Inspection {
    let gaps = gaps.iter().map(|&gap| gap.to_owned()).collect();
    let coverage = Coverage { gaps, ..Coverage::default() };
    Inspection { gate, coverage, ..found_for_tests() }
}

#[test]
fn a_gate_that_is_missing_matters_while_the_daemon_runs() {
    let missing = inspection(GateState::Missing, &["IPv6 has no rp_filter"]);
    let state = |running| gate(&config(""), running, &missing).state;
    assert_eq!((state(true), state(false)), (State::Fail, State::Warn));
    let not_needed = inspection(GateState::Missing, &[]);
    assert_eq!(gate(&config(""), true, &not_needed).state, State::Ok);
    let observing = gate(&config("mode = \"observe\""), true, &missing);
    assert_eq!(observing.state, State::Ok);
}

#[test]
fn a_standing_gate_is_no_good_when_another_route_wins() {
    let mut found = inspection(GateState::Standing { dropped: 7 }, &[]);
    let check = gate(&config(""), true, &found);
    assert_eq!(check.state, State::Ok);
    assert!(check.found.contains("active, 7 packets dropped"), "{check:?}");
    found.routes = 9;
    found.looked_up = 9;
    found.outranked = vec![("192.0.2.7/32".parse().unwrap(), "192.0.2.7 via 10.0.0.1".to_owned())];
    let check = gate(&config(""), true, &found);
    assert_eq!(check.state, State::Fail);
    assert!(check.found.contains("1 of 9 bans looked up are ineffective"), "{check:?}");
}

#[test]
fn a_standing_gate_is_no_good_when_packets_pass_the_bans_by() {
    let gap = "packets to 192.0.2.1 pass by the bans";
    let check = gate(&config(""), true, &inspection(GateState::Standing { dropped: 0 }, &[gap]));
    assert_eq!(check.state, State::Fail);
    assert!(check.found.contains(gap), "{check:?}");
}

#[test]
fn the_protocol_number_must_be_ours() {
    let directory = tempfile::TempDir::new().unwrap();
    let found = inspection(GateState::Missing, &[]);
    let check = || clashes(&config(""), &found, directory.path());
    assert_eq!(check().state, State::Ok);
    fs::write(directory.path().join("rt_protos"), "# names\n186\tbgp\n216 sipward\n").unwrap();
    assert_eq!(check().state, State::Ok);
    fs::create_dir(directory.path().join("rt_protos.d")).unwrap();
    fs::write(directory.path().join("rt_protos.d/x.conf"), "216 vpnd\n").unwrap();
    assert!(check().found.contains("belongs to `vpnd`"));
}

#[test]
fn the_right_of_a_running_daemon_counts() {
    assert_eq!(right(&config(""), Some(false), true).state, State::Fail);
    assert_eq!(right(&config(""), None, true).state, State::Ok);
    assert_eq!(right(&config(""), None, false).state, State::Warn);
}
