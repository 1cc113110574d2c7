//! What others may ask of the engine.

use std::net::IpAddr;
use std::time::Duration;

use ipnet::IpNet;
use sipward_engine::*;

use super::world::World;

const HOUR: Duration = Duration::from_secs(3_600);

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn net(text: &str) -> IpNet {
    text.parse().unwrap()
}

fn world(max_failures: u32) -> World {
    World::without_networks(Policy { max_failures, ..Policy::default() })
}

fn ban(world: &mut World, net: &str) {
    let (net, until, reason) = (self::net(net), Expiry::At(world.now + HOUR), String::new());
    world.handle(Input::Ban { net, until, scope: None, reason, force: false });
}

fn users(failures: &[FailureView]) -> Vec<Option<&str>> {
    failures.iter().map(|failure| failure.text.as_ref().map(|text| text.user.as_str())).collect()
}

#[test]
fn each_failure_in_the_window_is_told_newest_first_with_its_time_and_user() {
    let mut world = world(20);
    let mut times = Vec::new();
    for user in ["1000", "1001", "1002"] {
        world.fail_as("192.0.2.7", user, Some(user));
        world.fail_as("192.0.2.8", "other", Some("other"));
        times.insert(0, world.now.as_micros() / 1_000);
        world.pass(Duration::from_secs(7));
    }

    let failures = world.engine.failures(ip("192.0.2.7"));

    assert_eq!(users(&failures), [Some("1002"), Some("1001"), Some("1000")]);
    let told: Vec<u64> = failures.iter().map(|failure| failure.at.as_micros() / 1_000).collect();
    assert_eq!(told, times);
    assert!(failures.iter().all(|failure| failure.grade == Grade::Answered && !failure.invite));
    world.pass(Duration::from_secs(600) - Duration::from_secs(13));
    assert_eq!(users(&world.engine.failures(ip("192.0.2.7"))), [Some("1002")]);
}

#[test]
fn a_forgiven_failure_is_not_told_and_does_not_shift_the_others() {
    let mut world = world(20);
    for user in ["1000", "1001", "1000", "1002"] {
        world.fail_as("192.0.2.7", user, Some(user));
        world.pass(Duration::from_secs(1));
    }
    world.login("192.0.2.7", "1000");

    assert_eq!(users(&world.engine.failures(ip("192.0.2.7"))), [Some("1002"), Some("1001")]);
}

#[test]
fn what_fell_out_of_memory_is_told_without_its_text() {
    let mut world = world(20);
    world.fail_as("192.0.2.7", "early", Some("early"));
    for n in 0..8_192_u32 {
        let source = format!("198.18.{}.{}", n / 200, n % 200);
        world.fail(&source);
    }
    world.fail_as("192.0.2.7", "late", Some("late"));

    let failures = world.engine.failures(ip("192.0.2.7"));

    assert_eq!(users(&failures), [Some("late"), None]);
    assert_eq!(failures[1].grade, Grade::Answered);
}

#[test]
fn bans_are_read_in_parts_without_a_gap_or_a_repetition() {
    let mut world = world(5);
    for n in 0..50 {
        ban(&mut world, &format!("203.0.113.{n}/32"));
        ban(&mut world, &format!("2001:db8:{n}::/48"));
    }
    let all: Vec<IpNet> = world.engine.bans().map(|ban| ban.net).collect();
    for size in [1, 7, 50, 100, 101] {
        let mut read: Vec<IpNet> = Vec::new();
        loop {
            let after = read.last().copied();
            let part: Vec<IpNet> =
                world.engine.bans_after(after).take(size).map(|ban| ban.net).collect();
            if part.is_empty() {
                break;
            }
            read.extend(part);
        }
        assert_eq!(read, all, "in parts of {size}");
    }
    // The one it stopped at may be gone meanwhile.
    world.handle(Input::Unban { net: net("203.0.113.7/32") });
    let next = world.engine.bans_after(Some(net("203.0.113.7/32"))).next();
    assert_eq!(next.map(|ban| ban.net), Some(net("203.0.113.8/32")));
}

#[test]
fn everybody_who_exempts_an_address_is_told() {
    let mut world = world(5);
    let allow = vec![net("192.0.2.0/24"), net("192.0.2.7/32"), net("192.0.2.8/32")];
    world.handle(Input::Exempt { class: Exemption::Allow, nets: allow });
    let gateway = vec![net("192.0.2.7/32")];
    world.handle(Input::Exempt { class: Exemption::Gateway, nets: gateway });

    assert_eq!(
        world.engine.exemptions(ip("192.0.2.7")),
        [
            (Exemption::Gateway, net("192.0.2.7/32")),
            (Exemption::Allow, net("192.0.2.0/24")),
            (Exemption::Allow, net("192.0.2.7/32")),
        ]
    );
    assert_eq!(world.engine.exemptions(ip("198.51.100.1")), []);
}

#[test]
fn the_bans_around_and_inside_a_network_are_told() {
    let mut world = world(5);
    // A longer ban inside a wider one stands beside it.
    for (wide, until) in [
        ("203.0.113.0/24", Expiry::At(world.now + HOUR)),
        ("203.0.113.65/32", Expiry::Never),
        ("198.51.100.7/32", Expiry::Never),
    ] {
        let (net, reason) = (self::net(wide), String::new());
        world.handle(Input::Ban { net, until, scope: None, reason, force: true });
    }
    let nets = |bans: Vec<BanView<'_>>| -> Vec<IpNet> { bans.iter().map(|ban| ban.net).collect() };
    let covering = |text: &str| nets(world.engine.bans_covering(net(text)).collect());
    let inside = |text: &str| nets(world.engine.bans_inside(net(text)).collect());
    assert_eq!(covering("203.0.113.65/32"), [net("203.0.113.0/24"), net("203.0.113.65/32")]);
    assert_eq!(covering("203.0.113.66/32"), [net("203.0.113.0/24")]);
    assert_eq!(inside("203.0.113.0/24"), [net("203.0.113.65/32")]);
    assert_eq!(inside("203.0.0.0/16"), [net("203.0.113.0/24"), net("203.0.113.65/32")]);
    assert_eq!(inside("198.51.100.7/32"), []);
    assert!(world.engine.ban(net("203.0.113.0/24")).is_some());
    assert!(world.engine.ban(net("203.0.113.0/25")).is_none());
}

#[test]
fn a_known_source_has_never_a_lower_threshold_than_a_stranger() {
    for (max_failures, known) in [(5, 20), (50, 50)] {
        let mut world = world(max_failures);
        world.register("192.0.2.7", "1000");
        assert_eq!(world.engine.source(ip("192.0.2.7")).max_failures, known);
        assert_eq!(world.engine.source(ip("192.0.2.8")).max_failures, max_failures);
    }
}
