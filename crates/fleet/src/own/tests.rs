use super::*;
use crate::message::{By, Scope, Standing};
use crate::text::Text;

const HOUR: u64 = 3_600_000;
const NOW: u64 = 1_700_000_000_000;

fn owned() -> Owned {
    Owned::new("berlin.n1".parse().unwrap(), false, 0)
}

fn ban(net: &str, until: Option<u64>) -> Own {
    let standing = Standing {
        decided: 0,
        for_ms: None,
        by: By::Rule,
        scope: Scope::Host,
        rule: Text::cut("failures"),
        grade: Text::default(),
        failures: 5,
        score: 5.0,
        count: 1,
        why: Text::default(),
    };
    Own { body: Body::Ban(net.parse().unwrap(), Ban::Stands(standing)), until }
}

fn key(net: &str) -> Key {
    Key::Ban(net.parse().unwrap())
}

const A: &str = "192.0.2.1/32";
const B: &str = "192.0.2.2/32";

/// Says all that is due and has it acknowledged: key, `n`, milliseconds if it stands.
fn said(owned: &mut Owned, now: u64) -> Vec<(Key, u64, Option<u64>)> {
    let mut all = Vec::new();
    while let Some(message) = owned.next_due(now) {
        let key = message.body.key();
        owned.acknowledged(&key, message.n, now);
        let for_ms = match message.body {
            Body::Ban(_, Ban::Stands(ban)) => ban.for_ms,
            _ => None,
        };
        all.push((key, message.n, for_ms));
    }
    all
}

#[test]
fn says_what_stands_in_order_once_and_for_what_is_left() {
    let mut owned = owned();
    owned.say(ban(B, Some(NOW + HOUR))).unwrap();
    owned.say(ban(A, None)).unwrap();
    owned.say(ban(B, Some(NOW + HOUR))).unwrap();
    assert_eq!((owned.standing(), owned.unacknowledged()), (2, 2));
    let all = said(&mut owned, NOW + 1_000);
    assert_eq!(all, [(key(B), NOW + 1_000, Some(HOUR - 1_000)), (key(A), NOW + 1_001, None)]);
    assert_eq!((owned.standing(), owned.unacknowledged()), (2, 0));
    owned.say(ban(A, None)).unwrap();
    assert_eq!(said(&mut owned, NOW + 1_000), []);
}

#[test]
fn what_is_not_acknowledged_is_said_again_with_the_same_n() {
    let mut owned = owned();
    owned.say(ban(A, None)).unwrap();
    let first = owned.next_due(NOW).unwrap();
    assert_eq!(owned.next_due(NOW), None);
    owned.failed(&key(A), first.n);
    // What is new does not wait for what failed.
    owned.say(ban(B, None)).unwrap();
    assert_eq!(owned.next_due(NOW).unwrap().body.key(), key(B));
    assert_eq!(owned.next_due(NOW), None);
    owned.retry();
    assert_eq!(owned.next_due(NOW + 5_000).unwrap(), first);
    owned.failed(&key(A), first.n);
    owned.retry();
    // By then less would be left of a ban that ends.
    assert_eq!(owned.next_due(NOW + 9_000).unwrap().n, NOW + 9_000);
}

#[test]
fn an_acknowledgement_of_what_has_changed_since_does_not_count() {
    let mut owned = owned();
    owned.say(ban(A, None)).unwrap();
    let first = owned.next_due(NOW).unwrap();
    owned.end(&key(A));
    owned.acknowledged(&key(A), first.n, NOW);
    assert_eq!(owned.unacknowledged(), 1);
    let end = owned.next_due(NOW).unwrap();
    assert_eq!((end.body, end.n), (Body::Ban(A.parse().unwrap(), Ban::Ended), first.n + 1));
    owned.failed(&key(A), first.n);
    assert_eq!(owned.next_due(NOW), None);
    owned.acknowledged(&key(A), end.n, NOW);
    assert_eq!((owned.standing(), owned.unacknowledged()), (0, 0));
}

#[test]
fn what_ran_out_is_not_said() {
    let mut owned = owned();
    owned.say(ban(A, Some(NOW + 5))).unwrap();
    owned.say(ban(B, None)).unwrap();
    owned.forget(&key(B));
    assert_eq!(said(&mut owned, NOW + 5), []);
    assert_eq!(owned.standing(), 0);
}

#[test]
fn after_a_connection_what_is_missing_is_said_and_what_no_longer_stands_is_ended() {
    let mut owned = owned();
    for net in [A, B] {
        owned.say(ban(net, None)).unwrap();
    }
    let all = said(&mut owned, NOW);
    let seen = |net: &str, n, stands| Seen { key: key(net), n, stands };
    let stream = vec![
        seen(A, all[0].1, true),
        seen("192.0.2.3/32", NOW + HOUR, true),
        seen("192.0.2.4/32", 7, false),
    ];
    owned.compare(stream, NOW);
    let again = said(&mut owned, NOW);
    // B is missing: the same message. 192.0.2.3 was said before a restart, by a clock that was ahead.
    assert_eq!(again, [(key(B), all[1].1, None), (key("192.0.2.3/32"), NOW + HOUR + 1, None)]);
    assert_eq!(owned.standing(), 2);
    assert_eq!(owned.n(), NOW + HOUR + 1);
}

#[test]
fn what_was_on_its_way_is_due_on_another_connection_and_may_be_in_the_stream_by_then() {
    let mut owned = owned();
    owned.say(ban(A, None)).unwrap();
    let first = owned.next_due(NOW).unwrap();
    owned.reconnected();
    assert_eq!(owned.next_due(NOW + 1).unwrap(), first);
    owned.say(ban(B, None)).unwrap();
    let second = owned.next_due(NOW + 1).unwrap();
    owned.compare(vec![Seen { key: key(A), n: first.n, stands: true }], NOW + 2);
    assert_eq!(owned.unacknowledged(), 1);
    assert_eq!(owned.next_due(NOW + 2).unwrap(), second);
    assert_eq!(owned.next_due(NOW + 2), None);
}

#[test]
fn a_greater_n_in_the_stream_is_outbid() {
    let mut owned = owned();
    owned.say(ban(A, None)).unwrap();
    said(&mut owned, NOW);
    owned.compare(vec![Seen { key: key(A), n: NOW + 5, stands: false }], NOW);
    assert_eq!(said(&mut owned, NOW), [(key(A), NOW + 6, None)]);
}

#[test]
fn n_grows_though_the_clock_goes_back_and_the_store_is_lost() {
    let mut owned = Owned::new("berlin.n1".parse().unwrap(), false, NOW);
    owned.say(ban(A, None)).unwrap();
    assert_eq!(said(&mut owned, 5), [(key(A), NOW + 1, None)]);
}

#[test]
fn long_bans_are_said_again_and_short_ones_are_not() {
    let mut owned = owned();
    let again = Duration::from_millis(12 * HOUR);
    owned.say(ban(A, None)).unwrap();
    owned.say(ban(B, Some(NOW + 20 * HOUR))).unwrap();
    let first = said(&mut owned, NOW);
    owned.refresh(NOW + 11 * HOUR, again);
    assert_eq!(said(&mut owned, NOW + 11 * HOUR), []);
    owned.refresh(NOW + 12 * HOUR, again);
    let second = said(&mut owned, NOW + 12 * HOUR);
    assert_eq!(second, [(key(A), NOW + 12 * HOUR, None)]);
    assert!(second[0].1 > first[0].1);
    owned.refresh(NOW + 20 * HOUR, again);
    assert_eq!(owned.standing(), 1);
}

#[test]
fn is_bounded_and_says_only_what_a_node_may() {
    let mut owned = owned();
    for host in 0..MAX_OWN {
        let net = format!("10.0.{}.{}/32", host / 256, host % 256);
        owned.say(ban(&net, None)).unwrap();
    }
    assert_eq!(owned.say(ban(A, None)), Err(NotSaid::Full));
    owned.say(ban("10.0.0.0/32", Some(NOW + 1))).unwrap();
    let ended = Own { body: Body::Ban(A.parse().unwrap(), Ban::Ended), until: None };
    assert_eq!(owned.say(ended), Err(NotSaid::NotOurs));
    let known =
        Known::Stands { class: crate::message::Class::Known, since: 1, last: 1, home: None };
    let known = Own { body: Body::Known(A.parse().unwrap(), known), until: None };
    assert_eq!(owned.say(known.clone()), Err(NotSaid::NotOurs));
    owned.shares_known = true;
    owned.say(known).unwrap();
}
