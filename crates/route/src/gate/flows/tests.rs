use super::*;

fn flow(n: usize) -> Flow {
    let address = u32::try_from(n / 60_000).unwrap();
    let port = u16::try_from(n % 60_000 + 1).unwrap();
    Flow { source: std::net::Ipv4Addr::from(address).into(), transport: Transport::Udp, port }
}

#[test]
fn a_full_table_refuses_until_flows_have_run_out() {
    let (mut flows, now) = (Flows::default(), Instant::now());
    let soon = now + Duration::from_secs(1);
    for n in 0..MOST_DENIED {
        assert_eq!(flows.note(flow(n), Some(soon), now).0, Outcome::Denied);
    }
    let other = flow(MOST_DENIED);
    assert_eq!(flows.note(other, Some(soon), now).0, Outcome::Full);
    let later = soon + Duration::from_secs(9);
    assert_eq!(flows.note(flow(7), Some(later), now).0, Outcome::Denied, "it is there already");
    flows.tidy(soon);
    assert_eq!(flows.denied.len(), 1);
    assert_eq!(flows.note(other, Some(later), soon).0, Outcome::Denied);
}

#[test]
fn what_a_wish_comes_to_is_told() {
    let (mut flows, now) = (Flows::default(), Instant::now());
    let until = now + Duration::from_secs(600);
    assert_eq!(flows.note(flow(1), Some(until), now), (Outcome::Denied, None, Some(until)));
    let later = until + Duration::from_secs(1);
    assert_eq!(flows.note(flow(1), Some(later), now), (Outcome::Denied, Some(until), Some(later)));
    assert_eq!(flows.note(flow(1), Some(now), now), (Outcome::Over, Some(later), None));
    assert_eq!(flows.note(flow(1), None, now), (Outcome::Allowed, None, None));
    flows.kept.insert(flow(2));
    assert_eq!(flows.note(flow(2), Some(until), now).0, Outcome::Kept);
    let nowhere = Flow { port: 0, ..flow(3) };
    assert!(matches!(flows.note(nowhere, Some(until), now).0, Outcome::Refused(_)));
    assert!(flows.denied.is_empty());
}

#[test]
fn a_day_is_the_longest() {
    let (mut flows, now) = (Flows::default(), Instant::now());
    let (_, _, until) = flows.note(flow(1), Some(now + LONGEST * 9), now);
    assert_eq!(until, Some(now + LONGEST));
}

#[test]
fn what_found_no_room_waits_until_there_is_some() {
    let (mut flows, now) = (Flows::default(), Instant::now());
    let (soon, later) = (now + Duration::from_secs(1), now + Duration::from_secs(60));
    for n in 0..MOST_DENIED {
        flows.note(flow(n), Some(if n < 3 { soon } else { later }), now);
    }
    let more: Vec<Flow> = (0..5).map(|n| flow(MOST_DENIED + n)).collect();
    for other in &more {
        assert_eq!(flows.note(*other, Some(later), now).0, Outcome::Full);
    }
    assert_eq!(flows.next_waiting(9, now), [], "no room");
    assert_eq!(flows.note(more[4], None, now).0, Outcome::Allowed);
    assert_eq!(flows.next_waiting(2, soon).len(), 2);
    let room = flows.next_waiting(9, soon);
    assert_eq!(room.len(), 3);
    for (flow, until) in room {
        assert_eq!(flows.note(flow, until, soon).0, Outcome::Denied);
    }
    assert_eq!(flows.waiting.len(), 1);
    flows.tidy(later);
    assert!(flows.waiting.is_empty(), "nor is one denied whose time has run out");
}

#[test]
fn those_that_wait_are_bounded() {
    let (mut flows, until) = (Flows::default(), Instant::now());
    for n in 0..MOST_DENIED + 9 {
        flows.wait(flow(n), until);
    }
    assert_eq!(flows.waiting.len(), MOST_DENIED);
}

#[test]
fn an_element_with_another_time_differs() {
    let begun = Instant::now();
    let (read, until) = (begun + Duration::from_millis(300), begun + Duration::from_secs(600));
    let runs_out = |seconds| runs_out(Duration::from_secs(seconds), until, (begun, read));
    assert!(runs_out(600) && runs_out(599) && runs_out(602));
    assert!(!runs_out(2) && !runs_out(590) && !runs_out(700));
    assert!(!runs_out(0), "it never runs out");
}
