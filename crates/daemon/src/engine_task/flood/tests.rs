use sipward_route::ByFamily;

use super::*;
use crate::probe::Outcome;

fn at(seconds: f64) -> Timestamp {
    let since = Duration::from_secs_f64(1_000_000.0 + seconds);
    Timestamp::from_micros(u64::try_from(since.as_micros()).unwrap())
}

/// A second in which so many packets were dropped by the budgets, 10 by limits of single strangers, and 400 passed.
fn dropping(by_budgets: u64) -> ShieldCounts {
    let of_ipv4 = |ipv4| ByFamily { ipv4, ipv6: 0 };
    let mut counts =
        ShieldCounts { healthy: 300, strangers: 110 + by_budgets, ..ShieldCounts::default() };
    counts.dropped.budget_packets = of_ipv4(by_budgets);
    counts.dropped.own_packets = of_ipv4(10);
    counts
}

/// So many passed and nothing was dropped but what single strangers sent too much.
fn passing(healthy: u64, own: u64) -> ShieldCounts {
    let mut counts = ShieldCounts { healthy, strangers: own, ..ShieldCounts::default() };
    counts.dropped.own_packets = ByFamily { ipv4: 0, ipv6: own };
    counts
}

#[test]
fn what_passed_is_what_was_judged_without_what_was_dropped() {
    let second = Second::from(&dropping(31_204));
    assert_eq!(second, Second { passed: 400, dropped: 31_214, by_budgets: 31_204 });
    let mut slowed = passing(500, 20);
    slowed.dropped.slowed = ByFamily { ipv4: 7, ipv6: 0 };
    assert_eq!(Second::from(&slowed), Second { passed: 500, dropped: 27, by_budgets: 0 });
}

#[test]
fn without_a_shield_what_arrives_is_what_passes() {
    let mut flood = Flood::default();
    flood.arrived(20_000, at(0.0));
    assert_eq!(flood.second(at(0.0)).passed, 20_000);
    flood.counted(&dropping(19_600), 1_000, at(1.0));
    flood.arrived(20_000, at(1.0));
    assert_eq!(flood.second(at(1.0)).passed, 400, "the shield knows better");
    assert_eq!(flood.second(at(4.0)), Second::default(), "long ago");
}

/// Counts and beats each second; the names of what is reported, with the second.
fn told(
    flood: &mut Flood,
    seconds: impl IntoIterator<Item = (u32, Option<u64>)>,
) -> Vec<(u32, &'static str)> {
    let mut told = Vec::new();
    for (second, by_budgets) in seconds {
        let now = at(second.into());
        if let Some(by_budgets) = by_budgets {
            let counts = if by_budgets == 0 { passing(400, 10) } else { dropping(by_budgets) };
            flood.counted(&counts, 1_000, now);
        }
        match flood.beat(212, now) {
            Some(Record::Shielded { phones: 212, .. }) => told.push((second, "shielded")),
            Some(Record::ShieldOver { .. }) => told.push((second, "over")),
            Some(other) => panic!("{other:?}"),
            None => {}
        }
    }
    told
}

#[test]
fn budgets_that_drop_for_five_seconds_are_a_state_until_ten_quiet_ones() {
    let mut flood = Flood::default();
    let seconds = (0..30).map(|second| (second, (second < 9).then_some(31_204)));
    assert_eq!(told(&mut flood, seconds), [(5, "shielded"), (18, "over")]);
    assert_eq!(flood.shielded_since(), None);
}

#[test]
fn a_burst_is_no_flood_and_one_late_count_no_pause() {
    let mut flood = Flood::default();
    let bursts = (0..60).map(|second| (second, Some(if second % 6 < 4 { 100 } else { 0 })));
    assert_eq!(told(&mut flood, bursts), []);
    let mut flood = Flood::default();
    let late = (0..8).map(|second| (second, (second != 3).then_some(100)));
    assert_eq!(told(&mut flood, late), [(5, "shielded")]);
    assert_eq!(flood.shielded_since(), Some(at(0.0)));
    let over = (8..20).find_map(|second| flood.beat(212, at(second.into())));
    let Some(Record::ShieldOver { seconds, dropped, most_per_second }) = over else {
        panic!("{over:?}")
    };
    assert!((seconds - 7.0).abs() < 0.01, "{seconds}");
    assert_eq!((dropped, most_per_second), (7 * 110, 110), "from the first second on");
}

#[test]
fn it_is_asked_only_while_it_may_be_deaf() {
    let mut flood = Flood::default();
    assert!(!flood.wants_probe(1_000, at(0.0)), "nothing arrives");
    flood.counted(&passing(499, 100), 1_000, at(1.0));
    assert!(!flood.wants_probe(1_000, at(1.0)), "strangers above their own limits harm nobody");
    flood.counted(&passing(500, 0), 1_000, at(2.0));
    assert!(flood.wants_probe(1_000, at(2.0)), "near the limit");
    assert!(!flood.wants_probe(1_000, at(6.0)), "which is over");
    flood.counted(&dropping(1), 1_000, at(7.0));
    assert!(flood.wants_probe(1_000, at(7.0)) && flood.wants_probe(1_000, at(16.0)));
    assert!(!flood.wants_probe(1_000, at(17.0)));
}

fn profile() -> SocketAddr {
    "192.0.2.1:5060".parse().unwrap()
}

fn probed(outcome: Outcome) -> Probed {
    Probed { target: profile(), outcome }
}

#[test]
fn three_seconds_without_an_answer_are_deaf_and_the_next_answer_ends_it() {
    let mut flood = Flood::default();
    let mut hear = |outcome, seconds| flood.probed(probed(outcome), at(seconds));
    let silent = |seconds| Outcome::Silent(Duration::from_secs(seconds));
    assert!(hear(Outcome::Answered(Duration::from_millis(4)), 0.0).is_none());
    assert!(hear(silent(1), 2.0).is_none());
    assert!(hear(silent(2), 3.0).is_none());
    let deaf = hear(silent(3), 4.0);
    assert!(matches!(deaf, Some(Record::Deaf { profile, .. }) if profile == self::profile()));
    assert!(hear(silent(4), 5.0).is_none(), "told once");
    let over = hear(Outcome::Answered(Duration::from_millis(900)), 9.0);
    let Some(Record::Hears { seconds, .. }) = over else { panic!("{over:?}") };
    assert!((seconds - 8.0).abs() < 0.01, "deaf since the first request without an answer");
    assert_eq!(flood.profiles.slowest(), Some(Duration::from_millis(900)));
}

#[test]
fn what_never_answered_is_not_deaf_and_what_is_closed_no_longer() {
    let mut flood = Flood::default();
    let silent = Outcome::Silent(Duration::from_secs(60));
    assert!(flood.probed(probed(silent), at(60.0)).is_none(), "it may be no profile at all");
    assert!(!flood.profiles.is_deaf());
    flood.probed(probed(Outcome::Answered(Duration::ZERO)), at(61.0));
    assert!(flood.probed(probed(silent), at(121.0)).is_some());
    assert!(flood.wants_probe(1_000, at(121.0)), "until it hears again");
    assert!(matches!(flood.probed(probed(Outcome::Closed), at(130.0)), Some(Record::Hears { .. })));
    assert_eq!(flood.profiles.all().count(), 0);
}

#[test]
fn a_stranger_above_its_limit_for_a_minute_is_told_once() {
    let net: IpNet = "198.51.100.7/32".parse().unwrap();
    let quiet: IpNet = "198.51.100.8/32".parse().unwrap();
    let mut strangers = Strangers::default();
    let mut told = Vec::new();
    for round in 0..20_u32 {
        let now = at(f64::from(round) * 10.0);
        // Slowed to one a second: what it sends above that is counted too.
        let packets = |rate: u32| u64::from(round * rate * 10 + 300);
        let records =
            strangers.take([(net, packets(12), true), (quiet, packets(1), false)], 50, now);
        told.extend(records.into_iter().map(|record| (round, record)));
    }
    let [(7, Record::Limited { net: limited, packets_per_second, limit: 1 })] = told.as_slice()
    else {
        panic!("{told:?}")
    };
    assert_eq!((*limited, *packets_per_second), (net, 12));
    let busiest = strangers.busiest(20, at(190.0));
    assert!(busiest[0].0 == net && busiest[0].1.is_slowed && !busiest[1].1.is_slowed);
    assert_eq!(busiest[0].1.limited, Some(at(10.0)), "since its rate is known");
    assert_eq!((busiest[1].0, busiest[1].1.rate, busiest[1].1.limited), (quiet, Some(1.0), None));
    assert!(strangers.busiest(20, at(300.0)).is_empty(), "the list is old");
}

#[test]
fn a_stranger_that_is_counted_anew_is_not_told_again() {
    let net: IpNet = "198.51.100.7/32".parse().unwrap();
    let other: IpNet = "198.51.100.8/32".parse().unwrap();
    let mut strangers = Strangers::default();
    let mut told = 0;
    for round in 0..40_u32 {
        // The kernel forgets it after ten minutes, and names it again from 300 packets on.
        let is_slowed = round % 20 != 19;
        let packets = (round != 20).then_some((net, u64::from(round % 20) * 400 + 300, is_slowed));
        let list = packets.into_iter().chain([(other, 400, false)]);
        let now = at(f64::from(round) * 10.0);
        told += strangers.take(list, 50, now).len();
        let listed = strangers.busiest(20, now).len();
        assert_eq!(listed, if round == 20 { 1 } else { 2 });
    }
    assert_eq!(told, 1);
}

#[test]
fn many_limited_strangers_are_told_a_few_at_a_time() {
    let mut strangers = Strangers::default();
    let mut told = Vec::new();
    for round in 0..9_u32 {
        let list = (0..2_000_u32).map(|n| {
            let net = IpNet::from(std::net::IpAddr::from(n.to_be_bytes()));
            (net, u64::from(round) * 1_000, false)
        });
        told.push(strangers.take(list, 50, at(f64::from(round) * 10.0)).len());
    }
    assert_eq!(told, [0, 0, 0, 0, 0, 0, 0, 10, 10]);
    assert_eq!(strangers.busiest(usize::MAX, at(80.0)).len(), 1_024);
}

#[test]
fn what_was_dropped_today_begins_anew_at_midnight() {
    let mut flood = Flood::default();
    let midnight = Timestamp::from_micros(20_000 * 86_400_000_000);
    let (before, after) = (midnight.earlier(Duration::from_secs(1)), midnight);
    flood.dropped_at(before, 7);
    flood.dropped_at(before, 3);
    assert_eq!((flood.dropped_today(before), flood.dropped_today(after)), (10, 0));
    flood.dropped_at(after, 5);
    assert_eq!(flood.dropped_today(after), 5);
}
