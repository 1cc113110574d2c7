use super::*;

const MINUTE: Duration = Duration::from_secs(60);
const NOW: Timestamp = Timestamp::from_micros(1_700_000_000_000_000);

fn key(address: &str) -> Key {
    Key::of(&ipnet::IpNet::from(address.parse::<std::net::IpAddr>().unwrap()))
}

fn live() -> Live {
    Live::new(42)
}

/// Registration `id` of account `id` by dialog `id`.
fn of(id: u64, host: Key) -> Put {
    let (call, port) = (id + 1_000_000, Some(5060));
    Put { id, host, port, account: id, call, line: id, life: None, proof: Proof::Proved }
}

fn call(id: u64) -> u64 {
    of(id, key("::")).call
}

#[test]
fn a_host_has_as_many_registrations_as_hold() {
    let (mut live, office) = (live(), key("192.0.2.7"));
    for id in 0..3 {
        live.put(of(id, office), NOW);
    }
    live.put(of(1, office), NOW + MINUTE);
    assert_eq!((live.of(&office, NOW), live.sizes()), (3, (3, 1)));
    assert_eq!(live.accounts(&office, NOW), Registered::Several);
    for id in [0, 0, 99] {
        live.end(call(id), NOW);
    }
    assert_eq!(live.of(&office, NOW), 2);
    live.end(call(1), NOW);
    live.end(call(2), NOW);
    assert_eq!((live.of(&office, NOW), live.sizes()), (0, (0, 0)));
    assert_eq!(live.accounts(&office, NOW), Registered::Nobody);
    live.put(of(5, office), NOW);
    assert_eq!(live.accounts(&office, NOW), Registered::Only(5));
}

#[test]
fn a_call_that_moves_leaves_its_old_address() {
    let mut live = live();
    live.put(of(1, key("192.0.2.7")), NOW);
    live.put(Put { id: 2, ..of(1, key("198.51.100.7")) }, NOW);
    assert_eq!(live.hosts(NOW).collect::<Vec<_>>(), [key("198.51.100.7")]);
    assert_eq!(live.sizes(), (1, 1));
}

#[test]
fn a_new_dialog_of_a_user_at_its_address_is_no_second_registration() {
    let (mut live, host) = (live(), key("192.0.2.7"));
    live.put(of(1, host), NOW);
    live.put(Put { call: 8, line: 80, ..of(1, host) }, NOW);
    assert_eq!(live.of(&host, NOW), 1);
    live.end(call(1), NOW);
    assert_eq!(live.of(&host, NOW), 1, "the end of the old dialog comes late");
    live.end(8, NOW);
    assert_eq!(live.of(&host, NOW), 0);
}

#[test]
fn a_dialog_is_genuine_while_registered_and_for_an_hour_after() {
    let (mut live, host) = (live(), key("192.0.2.7"));
    live.put(of(1, host), NOW);
    let later = NOW + 10 * MINUTE;
    assert!(live.is_genuine(1, later) && !live.is_genuine(2, later));
    live.end(call(1), later);
    assert!(live.is_genuine(1, later + 59 * MINUTE));
    assert!(!live.is_genuine(1, later + 60 * MINUTE));
}

#[test]
fn a_list_makes_registered_and_not_genuine() {
    let (mut live, host) = (live(), key("192.0.2.7"));
    live.put(Put { proof: Proof::Listed, ..of(1, host) }, NOW);
    assert_eq!(live.of(&host, NOW), 1);
    assert!(live.is_registered_line(1, NOW) && !live.is_genuine(1, NOW));
    live.put(of(1, host), NOW);
    assert!(live.is_genuine(1, NOW));
    live.put(Put { proof: Proof::Listed, ..of(1, host) }, NOW);
    assert!(live.is_genuine(1, NOW), "the list says nothing less");
}

#[test]
fn an_unproved_success_registers_nobody_and_takes_nothing_away() {
    let (mut live, host) = (live(), key("192.0.2.7"));
    let forged = Put { proof: Proof::Unproved, ..of(1, host) };
    live.put(forged, NOW);
    live.put(Put { proof: Proof::Listed, ..forged }, NOW);
    assert_eq!((live.of(&host, NOW), live.is_registered_line(1, NOW)), (0, false));
    live.put(of(1, host), NOW);
    live.put(Put { call: 7, line: 70, ..forged }, NOW);
    assert_eq!((live.of(&host, NOW), live.is_genuine(1, NOW)), (1, true));
    assert!(!live.is_genuine(70, NOW));
}

#[test]
fn a_life_is_what_the_phone_asked_for_within_a_day_and_an_hour_if_nobody_says() {
    for (life, expected) in [
        (Some(2 * MINUTE), 2 * MINUTE),
        (Some(Duration::ZERO), Duration::ZERO),
        (Some(Duration::MAX), MAX_LIFE),
        (None, DEFAULT_LIFE),
    ] {
        let (mut live, host) = (live(), key("2001:db8::7"));
        live.put(Put { life, ..of(1, host) }, NOW);
        let end = NOW + expected + GRACE;
        let before = Timestamp::from_micros(end.as_micros() - 1);
        live.expire(before);
        assert_eq!(live.of(&host, before), 1, "{life:?}");
        assert_eq!(live.of(&host, end), 0, "{life:?}: also before the sweep");
        live.expire(end);
        assert_eq!(live.sizes(), (0, 0), "{life:?}");
    }
}

#[test]
fn what_is_older_than_a_snapshot_and_not_in_it_goes() {
    let mut live = live();
    let (gone, stays, newer) = (key("192.0.2.1"), key("192.0.2.2"), key("192.0.2.3"));
    live.put(of(1, gone), NOW);
    live.put(of(2, stays), NOW);
    let asked = NOW + MINUTE;
    live.put(of(3, newer), asked);
    live.put(of(2, stays), asked + MINUTE);
    live.forget_unseen(asked, asked + MINUTE);
    let left = [gone, stays, newer].map(|host| live.of(&host, asked + MINUTE));
    assert_eq!(left, [0, 1, 1]);
}

#[test]
fn beyond_its_bound_the_longest_unseen_goes_and_the_counts_stay_right() {
    let mut live = live();
    let most = u32::try_from(MAX_LIVE).unwrap();
    let host = |n: u32| key(&std::net::Ipv4Addr::from(0x0A00_0000 + n).to_string());
    for n in 0..most + 10 {
        // Each host twice, one after the other.
        live.put(of(n.into(), host(n / 2)), NOW);
    }
    assert_eq!(live.sizes(), (MAX_LIVE, MAX_LIVE / 2));
    assert_eq!([4, 5].map(|n| live.of(&host(n), NOW)), [0, 2]);
    for n in 0..most + 10 {
        live.end(call(n.into()), NOW);
    }
    assert_eq!(live.sizes(), (0, 0));
}

#[test]
fn a_registration_and_a_host_take_no_more_than_a_hundred_thousand_of_them_may() {
    // Beside it in the table: a key of 8 or 16 bytes, and 8 that link it.
    assert_eq!(size_of::<Option<Registration>>(), 56);
    assert_eq!(size_of::<Host>(), 32);
}

#[test]
fn an_account_with_any_number_of_names_pushes_out_nobody() {
    let (mut live, phone, evil) = (live(), key("192.0.2.7"), key("198.51.100.66"));
    live.put(of(1, phone), NOW);
    let names = MAX_LIVE as u64 + 1_000;
    for id in 100..names {
        let at = NOW + Duration::from_millis(id);
        live.put(Put { account: 9, ..of(id, evil) }, at);
        // And from anywhere, with what proves no address.
        let elsewhere = Key::of_addr(std::net::Ipv6Addr::from_bits(u128::from(id)).into());
        let put = Put { account: 9, proof: Proof::Unproved, ..of(names + id, elsewhere) };
        live.put(put, at);
    }
    assert_eq!((live.of(&phone, NOW), live.of(&evil, NOW)), (1, MAX_OF_ACCOUNT));
    assert!(live.is_genuine(1, NOW) && live.is_registered_call(call(1), NOW));
    let held = 1 + MAX_OF_ACCOUNT as usize + MAX_UNPROVED;
    assert_eq!((live.sizes().0, live.unproved), (held, MAX_UNPROVED));
    // Which of these names is whose, nobody knows.
    let listed = Put { account: 1, proof: Proof::Listed, ..of(names - 1, evil) };
    assert!(live.belongs_to_another(&listed, NOW));
    live.put(Put { account: 8, ..of(names - 1, evil) }, NOW);
    assert_eq!(live.of(&evil, NOW), MAX_OF_ACCOUNT + 1, "another account at the same host");
    live.expire(NOW + 3 * DEFAULT_LIFE);
    assert_eq!((live.sizes(), live.pairs.len(), live.unproved), ((0, 0), 0, 0));
}

#[test]
fn dialogs_given_up_at_once_push_out_those_of_nobody() {
    let (mut live, phone, evil) = (live(), key("192.0.2.7"), key("198.51.100.66"));
    live.put(of(1, phone), NOW);
    for n in 0..MAX_LIVE as u64 + 1_000 {
        let put = Put { call: n + 5_000_000, line: n + 5_000_000, ..of(2, evil) };
        live.put(put, NOW + Duration::from_millis(n));
        if n % 2 == 0 {
            live.end(put.call, NOW + Duration::from_millis(n));
        }
    }
    assert!(live.is_genuine(1, NOW));
    assert!(live.lines.len() <= 2 + MAX_SHORT as usize);
}

#[test]
fn a_list_tells_nothing_of_a_registration_with_the_password_of_another() {
    let (mut live, host) = (live(), key("192.0.2.7"));
    live.put(of(1, host), NOW);
    let row = Put { account: 2, line: 77, proof: Proof::Listed, ..of(1, host) };
    assert!(live.belongs_to_another(&row, NOW + MINUTE));
    live.forget_unseen(NOW + MINUTE, NOW + MINUTE);
    assert_eq!(live.of(&host, NOW + MINUTE), 1, "it goes on");
    assert!(!live.belongs_to_another(&Put { proof: Proof::Listed, ..of(1, host) }, NOW + MINUTE));
    assert!(!live.belongs_to_another(&Put { call: 7, ..row }, NOW + MINUTE), "a new dialog");
    assert!(!live.belongs_to_another(&of(3, host), NOW + MINUTE), "unseen");
}
