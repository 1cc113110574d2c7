use super::*;

const MINUTE: Duration = Duration::from_mins(1);
const NOW: Timestamp = Timestamp::from_micros(1_700_000_000_000_000);

fn key(address: &str) -> Key {
    Key::of(&ipnet::IpNet::from(address.parse::<std::net::IpAddr>().unwrap()))
}

fn live() -> Live {
    Live::new(42)
}

#[test]
fn a_source_has_as_many_registrations_as_stand() {
    let (mut live, office) = (live(), key("192.0.2.7"));
    for id in 0..3 {
        live.put(id, office, None, NOW);
    }
    live.put(1, office, None, NOW + MINUTE);
    assert_eq!((live.of(&office, NOW), live.sizes()), (3, (3, 1)));
    live.end(0);
    live.end(0);
    live.end(99);
    assert_eq!(live.of(&office, NOW), 2);
    live.end(1);
    live.end(2);
    assert_eq!((live.of(&office, NOW), live.sizes()), (0, (0, 0)));
}

#[test]
fn a_phone_that_moves_leaves_its_old_address() {
    let mut live = live();
    live.put(1, key("192.0.2.7"), None, NOW);
    live.put(1, key("198.51.100.7"), None, NOW);
    assert_eq!(live.sources(NOW).collect::<Vec<_>>(), [key("198.51.100.7")]);
    assert_eq!(live.sizes(), (1, 1));
}

#[test]
fn a_life_is_what_the_phone_asked_for_within_a_day_and_an_hour_if_nobody_says() {
    for (life, expected) in [
        (Some(2 * MINUTE), 2 * MINUTE),
        (Some(Duration::ZERO), Duration::ZERO),
        (Some(Duration::MAX), MAX_LIFE),
        (None, DEFAULT_LIFE),
    ] {
        let (mut live, source) = (live(), key("2001:db8::7"));
        live.put(1, source, life, NOW);
        let end = NOW + expected + GRACE;
        let before = Timestamp::from_micros(end.as_micros() - 1);
        live.expire(before);
        assert_eq!(live.of(&source, before), 1, "{life:?}");
        assert_eq!(live.of(&source, end), 0, "{life:?}: also before the sweep");
        live.expire(end);
        assert_eq!(live.sizes(), (0, 0), "{life:?}");
    }
}

#[test]
fn what_is_older_than_a_snapshot_and_not_in_it_goes() {
    let mut live = live();
    let (gone, stays, newer) = (key("192.0.2.1"), key("192.0.2.2"), key("192.0.2.3"));
    live.put(1, gone, None, NOW);
    live.put(2, stays, None, NOW);
    let asked = NOW + MINUTE;
    live.put(3, newer, None, asked);
    live.put(2, stays, None, asked + MINUTE);
    live.forget_unseen(asked);
    let left = [gone, stays, newer].map(|source| live.of(&source, asked + MINUTE));
    assert_eq!(left, [0, 1, 1]);
}

#[test]
fn beyond_its_bound_the_longest_unseen_goes_and_the_counts_stay_right() {
    let mut live = live();
    let most = u32::try_from(MAX_LIVE).unwrap();
    let source = |n: u32| key(&std::net::Ipv4Addr::from(0x0A00_0000 + n).to_string());
    for n in 0..most + 10 {
        // Each source twice, one after the other.
        live.put(n.into(), source(n / 2), None, NOW);
    }
    assert_eq!(live.sizes(), (MAX_LIVE, MAX_LIVE / 2));
    assert_eq!([4, 5].map(|n| live.of(&source(n), NOW)), [0, 2]);
    for n in 0..most + 10 {
        live.end(n.into());
    }
    assert_eq!(live.sizes(), (0, 0));
}
