use super::*;

fn at(seconds: u64) -> Timestamp {
    Timestamp::from_micros(seconds * 1_000_000)
}

fn phone<'p>(user: &'p str, address: &str, call_id: &'p str, port: u16) -> Phone<'p> {
    Phone { user, domain: "pbx.test", source: address.parse().unwrap(), call_id, port: Some(port) }
}

#[test]
fn a_registration_is_a_user_at_an_address_and_no_call_id() {
    let mut phones = Phones::new();
    phones.registered(&phone("1000", "192.0.2.1", "a", 5060), None, at(1));
    phones.registered(&phone("1000", "192.0.2.1", "a", 5060), None, at(2));
    // It restarts: another Call-ID from the same port.
    phones.registered(&phone("1000", "192.0.2.1", "b", 5060), None, at(3));
    assert_eq!((phones.count(), phones.at("192.0.2.1".parse().unwrap())), (1, 1));
    assert_eq!(phones.ended("1000", "pbx.test", "b", at(4)), Some("192.0.2.1".parse().unwrap()));
    assert_eq!(phones.count(), 0, "nothing is left of the Call-ID before");

    // Two phones of one user behind one address: one leaves, the other stays.
    phones.registered(&phone("1000", "192.0.2.1", "c", 5060), None, at(5));
    phones.registered(&phone("1000", "192.0.2.1", "d", 5062), None, at(5));
    phones.registered(&phone("1001", "::ffff:192.0.2.1", "e", 5064), None, at(5));
    phones.registered(&phone("1000", "192.0.2.9", "f", 5060), None, at(5));
    assert_eq!((phones.count(), phones.at("192.0.2.1".parse().unwrap())), (3, 2));
    phones.ended("1000", "pbx.test", "d", at(6));
    assert_eq!(phones.at("192.0.2.1".parse().unwrap()), 2);
    phones.ended("1000", "pbx.test", "c", at(6));
    assert_eq!(phones.at("192.0.2.1".parse().unwrap()), 1);
    assert_eq!(phones.ended("1000", "pbx.test", "c", at(7)), None, "it had gone");
}

#[test]
fn a_phone_that_moves_is_where_it_is_now() {
    let mut phones = Phones::new();
    phones.registered(&phone("1000", "192.0.2.1", "a", 5060), None, at(1));
    phones.registered(&phone("1000", "2001:db8::7", "a", 5060), None, at(2));
    let all: Vec<_> = phones.addresses().collect();
    assert_eq!(all, [("2001:db8::7".parse().unwrap(), at(2), 1)]);
}

#[test]
fn a_list_never_lifts_nor_brings_back_what_events_said_since() {
    let mut phones = Phones::new();
    phones.registered(&phone("old", "192.0.2.1", "a", 1), None, at(1));
    phones.registered(&phone("gone", "192.0.2.2", "b", 1), None, at(1));
    phones.registered(&phone("moved", "192.0.2.3", "c", 1), None, at(1));
    let asked = at(10);
    phones.registered(&phone("new", "192.0.2.4", "d", 1), None, at(11));
    phones.ended("gone", "pbx.test", "b", at(11));
    phones.registered(&phone("moved", "192.0.2.33", "c", 1), None, at(11));

    // The list was made before that.
    let now = at(12);
    assert!(!phones.listed(&phone("gone", "192.0.2.2", "b", 1), None, asked, now));
    assert!(phones.listed(&phone("moved", "192.0.2.3", "c", 1), None, asked, now));
    assert!(phones.listed(&phone("listed", "192.0.2.5", "e", 1), None, asked, now));
    phones.list_ends(asked);

    let mut all: Vec<String> =
        phones.addresses().map(|(address, ..)| address.to_string()).collect();
    all.sort();
    assert_eq!(all, ["192.0.2.33", "192.0.2.4", "192.0.2.5"], "old was not in the list");
    // It registers again, and a later list has it.
    phones.registered(&phone("gone", "192.0.2.2", "b", 1), None, at(13));
    assert!(phones.listed(&phone("gone", "192.0.2.2", "b", 1), None, at(14), at(15)));
}

#[test]
fn what_runs_out_without_a_word_is_forgotten() {
    let mut phones = Phones::new();
    let minute = Some(Duration::from_secs(60));
    phones.registered(&phone("1000", "192.0.2.1", "a", 1), minute, at(0));
    phones.registered(&phone("1001", "192.0.2.2", "b", 1), Some(Duration::MAX), at(0));
    phones.expire(at(200));
    assert_eq!(phones.count(), 2);
    phones.expire(at(241));
    assert_eq!(phones.count(), 1);
    phones.expire(at(24 * 3600 + 181));
    assert_eq!(phones.count(), 0);
}

#[test]
fn more_than_there_is_room_for_is_told_until_a_list_fits() {
    let mut phones = Phones::new();
    for n in 0..=MAX_DIALOGS {
        let user = n.to_string();
        phones.registered(&phone(&user, "192.0.2.1", "a", 1), None, at(1));
    }
    assert_eq!(phones.count(), MAX_DIALOGS);
    assert!(phones.is_incomplete());
    phones.list_ends(at(5));
    assert_eq!((phones.count(), phones.is_incomplete()), (0, false));
}
