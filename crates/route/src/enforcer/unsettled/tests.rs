use super::*;
use crate::Enforcement;

fn net(text: &str) -> IpNet {
    text.parse().unwrap()
}

fn weak(winner: &str) -> Report {
    let enforcement = Enforcement::Outranked { winner: winner.to_owned() };
    Report::Blocked { net: net("192.0.2.7/32"), enforcement }
}

#[test]
fn the_same_is_reported_once() {
    let (mut unsettled, net) = (Unsettled::default(), net("192.0.2.7/32"));
    assert!(unsettled.note(net, Why::Weak, &weak("a")));
    assert!(!unsettled.note(net, Why::Weak, &weak("a")));
    assert!(unsettled.note(net, Why::Weak, &weak("b")));
    assert!(unsettled.settle(net));
    assert!(!unsettled.settle(net));
}

#[test]
fn what_is_unsettled_is_tried_at_intervals_and_after_signs() {
    let now = Instant::now();
    let mut round = Round::new(now);
    assert_eq!(round.due(false), None);
    assert_eq!(round.due(true), Some(now + RETRY));
    assert_eq!(round.begins(true, now), None);
    assert_eq!(round.begins(true, now + RETRY), Some(Extent::Unsettled));
    round.finished(now, now + Duration::from_secs(1));
    assert_eq!(round.due(false), None, "nothing waits");
    round.note(Extent::Unsettled, now);
    assert_eq!(round.due(false), Some(now + SETTLE));
    round.note(Extent::All, now);
    assert_eq!(round.begins(false, now + SETTLE), Some(Extent::All));
}

#[test]
fn a_round_goes_on_where_it_was_and_rests_in_between() {
    let now = Instant::now();
    let mut round = Round::new(now);
    round.add(["192.0.2.1/32", "192.0.2.2/32", "192.0.2.3/32"].map(net), now);
    assert_eq!(round.take(2).len(), 2);
    round.finished(now, now + Duration::from_secs(1));
    assert_eq!(round.due(false), Some(now + Duration::from_secs(4)));
    round.note(Extent::All, now);
    assert_eq!(round.begins(false, now), None, "not before the one that runs is over");
    assert_eq!(round.take(2), [net("192.0.2.1/32")]);
    assert_eq!(round.begins(false, now), Some(Extent::All));
}
