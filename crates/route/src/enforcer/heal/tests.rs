use super::*;

const FIXTURES: Signs =
    Signs { routes: false, fixtures: true, host: false, obstacles: false, sets: false };
const HOST: Signs =
    Signs { routes: false, fixtures: false, host: true, obstacles: false, sets: false };

#[test]
fn a_swarm_of_signs_leads_to_one_look() {
    let start = Instant::now();
    let mut schedule = Schedule::new(start);
    schedule.note(FIXTURES, start);
    schedule.note(FIXTURES, start + SETTLE / 2);
    assert_eq!(schedule.next(), start + SETTLE);
    assert_eq!(schedule.due(start + SETTLE, true), FIXTURES);
    assert_eq!(schedule.due(start + SETTLE, true), Signs::default());
}

#[test]
fn a_look_that_took_long_is_followed_by_rest() {
    let start = Instant::now();
    let mut schedule = Schedule::new(start);
    let took = Duration::from_millis(100);
    schedule.finished(FIXTURES, false, start, start + took);
    schedule.note(FIXTURES, start + took);
    assert_eq!(schedule.next(), start + took * (REST + 1));
}

#[test]
fn after_damage_there_is_no_rest() {
    let start = Instant::now();
    let mut schedule = Schedule::new(start);
    let took = Duration::from_millis(100);
    schedule.finished(FIXTURES, true, start, start + took);
    schedule.note(FIXTURES, start + took);
    assert_eq!(schedule.next(), start + took + SETTLE);
}

#[test]
fn a_host_whose_routes_never_rest_is_looked_at_once_a_second() {
    let start = Instant::now();
    let mut schedule = Schedule::new(start);
    schedule.finished(HOST, false, start, start);
    schedule.note(HOST, start);
    assert_eq!(schedule.next(), start + HOST_INTERVAL);
    schedule.note(FIXTURES, start);
    assert_eq!(schedule.next(), start + SETTLE, "healing does not wait for it");
}

#[test]
fn everything_is_audited_without_any_sign() {
    let start = Instant::now();
    let mut schedule = Schedule::new(start);
    assert_eq!(schedule.next(), start + AUDIT);
    assert_eq!(schedule.due(start + AUDIT, true), Signs::ALL);
    assert_eq!(schedule.next(), start + AUDIT * 2);
}

#[test]
fn large_sets_are_compared_after_a_sign_only() {
    const SETS: Signs =
        Signs { routes: false, fixtures: false, host: false, obstacles: false, sets: true };
    let start = Instant::now();
    let mut schedule = Schedule::new(start);
    assert_eq!(schedule.due(start + AUDIT, false), Signs { sets: false, ..Signs::ALL });
    schedule.note(SETS, start + AUDIT);
    assert!(schedule.due(start + AUDIT * 2, false).sets);
}
