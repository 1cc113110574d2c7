//! What other nodes say, and what of it is done.

use std::time::Duration;

use proptest::prelude::*;
use sipward_engine::*;

use crate::world::*;

const STRANGER: &str = "203.0.113.7";
const PHONE: &str = "192.0.2.7";

/// Nodes of three sites; this one is `fra.own`.
pub(crate) const PEERS: [&str; 5] = ["fra.a", "fra.b", "ams.a", "ams.b", "lon.a"];

fn peer(text: &str) -> PeerName {
    text.parse().unwrap()
}

fn facts(count: u32) -> RemoteFacts {
    let (rule, grade) = (Some(RuleName::Failures), Some(Grade::Answered));
    RemoteFacts::by_rule((rule, grade), (5, 5.0), count, "five failures")
}

fn hash(user: &str, agent: &str) -> Home {
    let mut home = [0; 8];
    for (at, byte) in user.bytes().chain([0]).chain(agent.bytes()).enumerate() {
        home[at % 8] = u8::wrapping_mul(home[at % 8], 31).wrapping_add(byte);
    }
    Home(home)
}

fn settings() -> FleetSettings {
    let (own, quorum) = (peer("fra.own"), Quorum::default());
    FleetSettings { own, quorum, home: Some(HomeHash::new(hash)) }
}

fn fleet() -> World {
    with_policy(Policy::default())
}

fn with_policy(policy: Policy) -> World {
    let mut world = World::without_networks(policy);
    world.handle(Input::Fleet(settings()));
    world
}

impl World {
    fn remote(&mut self, by: &str, text: &str, n: u64, minutes: u32) -> Vec<Action> {
        self.remote_of(by, text, n, (Some(MINUTE * minutes), Duration::ZERO))
    }

    fn remote_of(
        &mut self,
        by: &str,
        text: &str,
        n: u64,
        (remaining, age): (Option<Duration>, Duration),
    ) -> Vec<Action> {
        let (peer, net) = (peer(by), net(text));
        self.handle(Input::Remote { peer, net, n, remaining, age, facts: facts(1) })
    }

    fn ended(&mut self, by: &str, text: &str, n: u64) -> Vec<Action> {
        self.handle(Input::RemoteEnded { peer: peer(by), net: net(text), n })
    }

    fn knows(&mut self, by: &str, source: &str, class: KnownClass) -> Vec<Action> {
        let (home, age) = (hash(source, ""), Duration::ZERO);
        let (peer, source) = (peer(by), source.parse().unwrap());
        self.handle(Input::RemoteKnown { peer, source, class, home: Some(home), age })
    }

    fn lift(&mut self, text: &str, age: Duration) -> Vec<Action> {
        let (net, reason) = (net(text), "a customer".to_owned());
        self.handle(Input::Lift { net, hold: HOUR, age, reason })
    }

    fn set(&mut self, by: &str, mode: PeerMode) -> Vec<Action> {
        let setting = PeerSetting { peer: peer(by), mode, weight: 1 };
        self.handle(Input::Peers { settings: vec![setting], age: Duration::ZERO })
    }

    fn origin(&self, text: &str) -> Option<Origin> {
        self.engine.ban(net(text)).map(|ban| ban.origin)
    }

    fn end_of(&self, text: &str) -> Option<Duration> {
        match self.engine.ban(net(text))?.until {
            Expiry::At(end) => Some(end.since(self.now)),
            Expiry::Never => None,
        }
    }

    fn outcomes(&self, text: &str) -> Vec<(String, RemoteOutcome)> {
        let views = self.engine.fleet_assertions(net(text)).into_iter();
        views.map(|view| (view.peer.to_string(), view.outcome)).collect()
    }

    fn peer_view(&self, by: &str) -> PeerView {
        self.engine.fleet_peers().find(|view| view.peer == peer(by)).unwrap()
    }

    fn published(&self, text: &str) -> bool {
        self.engine.ban(net(text)).is_some_and(|ban| self.engine.is_publishable(&ban))
    }
}

fn alarms(actions: &[Action]) -> Vec<ShadowedBecause> {
    let alarms = actions.iter().filter_map(|action| match action {
        Action::Alarm(Alarm::PeerShadowed { because, .. }) => Some(*because),
        _ => None,
    });
    alarms.collect()
}

fn stranger(n: u32) -> String {
    std::net::IpAddr::from((0xC633_6400 + n).to_be_bytes()).to_string()
}

#[test]
fn a_ban_of_a_peer_is_made_until_its_end() {
    let mut world = fleet();
    let actions = world.remote("ams.a", STRANGER, 1, 60);
    assert_eq!(blocks(&actions), ["203.0.113.7/32"]);
    let ban = world.engine.ban(net(STRANGER)).unwrap();
    assert_eq!((ban.origin, ban.scope), (Origin::Remote, Scope::Host));
    let cause = ban.cause.get();
    let Cause::Remote(said) = &*cause else { panic!("{:?}", ban.cause) };
    assert_eq!((said.peer, said.n, &*said.facts.why), (peer("ams.a"), 1, "five failures"));
    world.pass(59 * MINUTE);
    assert!(world.is_banned(STRANGER));
    let actions = world.pass(MINUTE);
    assert_eq!(unblocks(&actions), [("203.0.113.7/32".into(), UnblockReason::Expired)]);
    assert_eq!(world.peer_view("ams.a").taken, 1);
    world.pass(MINUTE);
    assert_eq!(world.peer_view("ams.a").standing, 0);
}

#[test]
fn it_lasts_a_day_at_most_and_longer_when_it_is_said_again() {
    let mut world = fleet();
    world.remote_of("ams.a", STRANGER, 1, (None, Duration::ZERO));
    assert_eq!(world.end_of(STRANGER), Some(DAY));
    world.remote_of("ams.a", "203.0.113.8", 2, (Some(30 * DAY), Duration::ZERO));
    assert_eq!(world.end_of("203.0.113.8"), Some(DAY));
    world.pass(HOUR);
    world.remote_of("ams.a", STRANGER, 1, (None, HOUR));
    assert_eq!(world.end_of(STRANGER), Some(DAY), "the same again");
    world.remote("ams.a", "203.0.113.8", 3, 5);
    assert_eq!(world.end_of("203.0.113.8"), Some(5 * MINUTE), "a newer one shortens it");
}

#[test]
fn an_older_message_changes_nothing() {
    let mut world = fleet();
    world.remote("ams.a", STRANGER, 5, 60);
    assert_eq!(world.remote("ams.a", STRANGER, 4, 600), []);
    assert_eq!(world.ended("ams.a", STRANGER, 4), []);
    assert_eq!(world.end_of(STRANGER), Some(HOUR));
}

#[test]
fn the_end_of_one_peer_ends_no_ban_of_another() {
    let mut world = fleet();
    world.remote("ams.a", STRANGER, 1, 60);
    world.remote("lon.a", STRANGER, 1, 30);
    assert_eq!(world.ended("fra.a", STRANGER, 9), [], "it has said nothing");
    world.ended("ams.a", STRANGER, 2);
    assert_eq!(world.end_of(STRANGER), Some(30 * MINUTE));
    let actions = world.ended("lon.a", STRANGER, 2);
    assert_eq!(unblocks(&actions), [("203.0.113.7/32".into(), UnblockReason::Withdrawn)]);
}

#[test]
fn what_comes_under_its_own_name_is_an_echo() {
    let mut world = fleet();
    assert_eq!(world.remote("fra.own", STRANGER, 1, 60), []);
    assert_eq!(world.engine.fleet_peers().count(), 0);
}

#[test]
fn every_exemption_is_stronger() {
    for class in Exemption::ALL {
        let mut world = fleet();
        world.exempt(class, &["203.0.113.0/29"]);
        let refused = refusals(&world.remote("ams.a", STRANGER, 1, 60));
        assert_eq!(refused, [Refusal::Exempt { class, net: net("203.0.113.0/29") }]);
        assert!(!world.is_banned(STRANGER));
        // As long as it lasts.
        world.exempt(class, &[]);
        assert_eq!(world.origin(STRANGER), Some(Origin::Remote), "{class:?}");
        let actions = world.exempt(class, &[STRANGER]);
        assert_eq!(unblocks(&actions), [("203.0.113.7/32".into(), UnblockReason::Exempted)]);
    }
}

#[test]
fn every_identity_but_a_stranger_is_stronger() {
    let known: [fn(&mut World); 4] = [
        |world| drop(world.login(PHONE, "1000")),
        |world| drop(world.register(PHONE, "1000")),
        |world| drop(world.handle(Input::CallAccepted { source: PHONE.parse().unwrap() })),
        |world| drop(world.knows("fra.b", PHONE, KnownClass::Known)),
    ];
    for become_known in known {
        let mut before = fleet();
        become_known(&mut before);
        let refused = refusals(&before.remote("ams.a", PHONE, 1, 60));
        assert_eq!(refused, [Refusal::Known { net: net(PHONE) }]);
        let mut after = fleet();
        after.remote("ams.a", PHONE, 1, 60);
        assert!(after.is_banned(PHONE));
        become_known(&mut after);
        assert!(!after.is_banned(PHONE), "it becomes known later");
        assert_eq!(after.banned(), [""; 0]);
    }
}

#[test]
fn a_registration_in_a_list_and_a_remembered_success_lift_it() {
    let mut world = fleet();
    world.remote("ams.a", PHONE, 1, 60);
    let phones = vec![a_registration(PHONE.parse().unwrap())];
    world.handle(Input::Registrations { phones, asked: world.now, first: false });
    assert_eq!(world.banned(), [""; 0]);
    let mut world = fleet();
    world.remote("ams.a", PHONE, 1, 60);
    let (user, user_agent) = (Text::new("1000"), Text::new("pytest/1.0"));
    let (source, at) = (PHONE.parse().unwrap(), world.now);
    world.handle(Input::Remember(Success { source, user, user_agent, since: at, at }));
    assert_eq!(world.banned(), [""; 0]);
}

#[test]
fn a_source_of_many_hosts_is_lifted_when_one_of_them_is_known() {
    let source = "2001:db8:0:1::/64";
    let mut world = fleet();
    world.remote("ams.a", source, 1, 60);
    assert_eq!(world.origin(source), Some(Origin::Remote));
    world.login("2001:db8:0:1::7", "1000");
    assert_eq!(world.banned(), [""; 0]);
    let views = world.outcomes(source);
    let known = Refusal::Known { net: net("2001:db8:0:1::7") };
    assert_eq!(views, [("ams.a".into(), RemoteOutcome::Refused(known))]);
    world.remote("ams.a", "2001:db8:0:2::/64", 2, 60);
    world.exempt(Exemption::Allow, &["2001:db8:0:2::7"]);
    assert_eq!(world.banned(), [""; 0], "one of them is allowed");
    world.remote("ams.a", "2001:db8:0:3::/80", 3, 60);
    world.knows("ams.b", "2001:db8:0:3::7", KnownClass::Known);
    assert_eq!(world.banned(), [""; 0], "one of them is known elsewhere");
}

#[test]
fn a_veto_of_a_peer_holds_as_long_as_it_stands() {
    let mut world = fleet();
    world.remote("ams.a", STRANGER, 1, 60);
    let (veto, class) = (net("203.0.113.0/24"), Exemption::Allow);
    let actions = world.handle(Input::RemoteVeto { peer: peer("lon.a"), net: veto, class });
    assert_eq!(unblocks(&actions), [("203.0.113.7/32".into(), UnblockReason::Exempted)]);
    let refused = refusals(&world.remote("fra.a", "203.0.113.9", 1, 60));
    assert_eq!(refused, [Refusal::Exempt { class, net: veto }]);
    world.set("lon.a", PeerMode::Shadow);
    assert_eq!(world.banned(), [""; 0], "what a peer in shadow vetoes still protects");
    world.set("lon.a", PeerMode::Ignore);
    assert_eq!(world.banned().len(), 2);
    world.set("lon.a", PeerMode::Accept);
    assert_eq!(world.banned(), [""; 0]);
    world.handle(Input::RemoteVetoEnded { peer: peer("fra.a"), net: veto });
    assert_eq!(world.banned(), [""; 0], "a peer ends its own vetoes only");
    world.handle(Input::RemoteVetoEnded { peer: peer("lon.a"), net: veto });
    assert_eq!(world.banned().len(), 2);
}

#[test]
fn a_veto_touches_no_ban_of_this_node_and_exempts_no_half_of_the_internet() {
    let mut world = fleet();
    world.fails(STRANGER, 5);
    world.remote("ams.a", "198.51.100.7", 1, 60);
    let class = Exemption::Allow;
    world.handle(Input::RemoteVeto { peer: peer("lon.a"), net: net(STRANGER), class });
    for wide in ["0.0.0.0/0", "192.0.0.0/7", "2000::/31"] {
        world.handle(Input::RemoteVeto { peer: peer("lon.a"), net: net(wide), class });
    }
    assert_eq!(world.banned(), ["198.51.100.7/32", "203.0.113.7/32"]);
    let view = world.peer_view("lon.a");
    assert_eq!((view.vetoes, view.refused.too_wide), (1, 3));
}

#[test]
fn a_ban_of_this_node_replaces_one_of_a_peer_and_outlives_nothing() {
    let mut world = fleet();
    world.remote("ams.a", STRANGER, 1, 600);
    let actions = world.ban(STRANGER, HOUR);
    assert_eq!(blocks(&actions), ["203.0.113.7/32"]);
    assert_eq!(
        (world.origin(STRANGER), world.end_of(STRANGER)),
        (Some(Origin::Manual), Some(HOUR))
    );
    assert!(world.published(STRANGER));
    assert_eq!(world.outcomes(STRANGER), [("ams.a".into(), RemoteOutcome::BannedHere)]);
    // Neither longer nor shorter by what peers say.
    world.remote("lon.a", STRANGER, 1, 5);
    world.remote("ams.a", STRANGER, 2, 1_200);
    world.ended("lon.a", STRANGER, 2);
    assert_eq!(
        (world.origin(STRANGER), world.end_of(STRANGER)),
        (Some(Origin::Manual), Some(HOUR))
    );
    // When it ends, what still stands elsewhere holds again.
    let actions = world.pass(HOUR);
    assert_eq!(unblocks(&actions), [("203.0.113.7/32".into(), UnblockReason::Expired)]);
    assert_eq!(world.origin(STRANGER), Some(Origin::Remote));
    assert_eq!(world.end_of(STRANGER), Some(1_140 * MINUTE));
}

#[test]
fn a_rule_bans_for_its_own_time_where_a_peer_banned() {
    let mut world = fleet();
    world.remote("ams.a", STRANGER, 1, 1_000);
    let (source, proved) = (STRANGER.parse().unwrap(), true);
    // Failures in flight do not count, but the log-ins of sipward's console are another matter.
    let actions: Vec<Action> =
        (0..10).flat_map(|_| world.handle(Input::LoginFailure { source })).collect();
    assert!(proved && blocks(&actions).is_empty(), "the ban of the peer stops the host already");
    world.fails(STRANGER, 10);
    assert_eq!(world.origin(STRANGER), Some(Origin::Remote));
}

#[test]
fn a_wider_ban_of_this_node_covers_it() {
    let mut world = fleet();
    world.ban("203.0.113.0/24", 2 * HOUR);
    let covered = Refusal::Covered { net: net("203.0.113.0/24") };
    assert_eq!(refusals(&world.remote("ams.a", STRANGER, 1, 60)), [covered]);
    world.remote("ams.a", "203.0.113.8", 2, 180);
    assert_eq!(world.banned(), ["203.0.113.0/24", "203.0.113.8/32"], "it lasts longer");
    world.remote("lon.a", "203.0.113.9", 3, 60);
    world.pass(HOUR);
    world.remote("lon.a", "203.0.113.10", 4, 50);
    world.unban("203.0.113.64/26");
    assert!(world.is_banned("203.0.113.10"));
}

#[test]
fn what_an_operator_here_unbans_no_peer_bans_for_an_hour() {
    let mut world = fleet();
    world.remote("ams.a", STRANGER, 1, 600);
    let actions = world.unban(STRANGER);
    assert_eq!(unblocks(&actions), [("203.0.113.7/32".into(), UnblockReason::Manual)]);
    let lifted = Refusal::Lifted { net: net(STRANGER) };
    assert_eq!(refusals(&world.remote("lon.a", STRANGER, 1, 600)), [lifted]);
    assert_eq!(refusals(&world.remote("ams.a", STRANGER, 2, 600)), [lifted]);
    let lift = world.engine.fleet_lifts().next().unwrap();
    assert_eq!((lift.net, lift.hold_until), (net(STRANGER), world.now + LIFT_HOLD));
    world.pass(HOUR + 2 * MINUTE);
    assert!(!world.is_banned(STRANGER), "decided before");
}

#[test]
fn a_lift_ends_every_ban_and_holds_for_its_time() {
    let mut world = fleet();
    world.fails(STRANGER, 5);
    world.remote("ams.a", "203.0.113.8", 1, 600);
    world.remote("ams.a", "198.51.100.7", 2, 600);
    let actions = world.lift("203.0.113.0/24", Duration::ZERO);
    let manual = |text: &str| (text.to_owned(), UnblockReason::Manual);
    assert_eq!(unblocks(&actions), [manual("203.0.113.7/32"), manual("203.0.113.8/32")]);
    assert_eq!(world.banned(), ["198.51.100.7/32"]);
    let lift = world.engine.fleet_lifts().next().unwrap();
    assert_eq!((lift.net, lift.reason), (net("203.0.113.0/24"), "a customer"));
    // This node may ban anew on its own evidence.
    world.fails(STRANGER, 5);
    assert_eq!(world.origin(STRANGER), Some(Origin::Automatic));
}

/// However late it comes, and whatever its number: a node behind a partition has not heard of the lift.
#[test]
fn what_was_decided_before_a_lift_is_never_made_after_it() {
    for (behind, ahead) in [(0, 0), (10, 0), (0, 10)] {
        for late in [1_u32, 59, 61, 120, 600] {
            let mut world = fleet();
            world.remote("ams.a", STRANGER, 1, 1_200);
            world.lift(STRANGER, Duration::ZERO);
            world.pass(MINUTE * late);
            // Decided five minutes before the lift, by a clock that is wrong.
            let age = (MINUTE * (late + 5 + behind)).saturating_sub(MINUTE * ahead);
            world.remote_of("lon.a", STRANGER, 1, (Some(DAY), age));
            world.pass(2 * HOUR);
            assert_eq!(world.banned(), [""; 0], "{late} min late, {behind} or {ahead} min wrong");
        }
    }
}

#[test]
fn what_is_decided_after_a_lift_is_made_when_its_hold_is_over() {
    let mut world = fleet();
    world.lift(STRANGER, Duration::ZERO);
    world.pass(30 * MINUTE);
    let lifted = Refusal::Lifted { net: net(STRANGER) };
    assert_eq!(refusals(&world.remote("ams.a", STRANGER, 1, 600)), [lifted]);
    world.pass(29 * MINUTE);
    assert!(!world.is_banned(STRANGER));
    world.pass(2 * MINUTE);
    assert_eq!(world.origin(STRANGER), Some(Origin::Remote));
    let mut world = fleet();
    world.lift(STRANGER, Duration::ZERO);
    world.pass(2 * HOUR);
    world.remote("ams.a", STRANGER, 1, 600);
    assert!(world.is_banned(STRANGER), "a new offence");
}

#[test]
fn a_lift_that_comes_late_spares_the_younger_bans_of_this_node() {
    let mut world = fleet();
    world.fails(STRANGER, 5);
    world.lift(STRANGER, 10 * MINUTE);
    assert_eq!(world.banned(), [""; 0], "clocks differ");
    world.fails(STRANGER, 5);
    world.lift(STRANGER, 5 * HOUR);
    assert!(world.is_banned(STRANGER));
}

#[test]
fn a_lift_of_a_part_lifts_the_whole_source() {
    let mut world = fleet();
    world.remote("ams.a", "2001:db8:0:1::/64", 1, 60);
    world.lift("2001:db8:0:1::7", Duration::ZERO);
    assert_eq!(world.banned(), [""; 0]);
}

#[test]
fn more_than_one_source_takes_three_nodes_of_two_sites_and_nobody_known() {
    let wide = "203.0.113.0/24";
    let mut world = fleet();
    for by in ["ams.a", "ams.b", "ams.c"] {
        assert_eq!(refusals(&world.remote(by, wide, 1, 60)), [Refusal::TooWide]);
    }
    world.remote("lon.a", wide, 1, 60);
    assert_eq!(world.origin(wide), Some(Origin::Remote));
    world.login("203.0.113.99", "1000");
    assert_eq!(world.banned(), [""; 0]);
    for wide in ["2001:db8::/63", "203.0.112.0/31"] {
        assert_eq!(refusals(&world.remote("ams.a", wide, 1, 60)), [Refusal::TooWide]);
    }
    for single in ["2001:db8:0:1::/64", "2001:db8:0:2::/80", "2001:db8:0:3::1", "198.51.100.1"] {
        assert_eq!(refusals(&world.remote("ams.a", single, 1, 60)), []);
    }
    for by in PEERS {
        world.remote(by, "0.0.0.0/0", 1, 60);
    }
    assert_eq!(world.origin("0.0.0.0/0"), None, "own addresses are inside");
}

#[test]
fn a_quorum_counts_weights_of_the_own_site_or_of_all() {
    let quorum = Quorum { site: 2, fleet: 3 };
    let mut world = fleet();
    world.handle(Input::Fleet(FleetSettings { quorum, ..settings() }));
    assert_eq!(refusals(&world.remote("fra.a", STRANGER, 1, 60)), [Refusal::NoQuorum]);
    world.remote("fra.b", STRANGER, 1, 30);
    assert_eq!(world.end_of(STRANGER), Some(30 * MINUTE), "as long as both say so");
    world.remote("ams.a", STRANGER, 1, 120);
    assert_eq!(world.end_of(STRANGER), Some(30 * MINUTE), "three say so no longer");
    world.remote("lon.a", "198.51.100.1", 1, 60);
    world.remote("ams.a", "198.51.100.1", 1, 60);
    assert_eq!(world.origin("198.51.100.1"), None, "two of other sites");
    let setting = PeerSetting { peer: peer("lon.a"), mode: PeerMode::Accept, weight: 2 };
    world.handle(Input::Peers { settings: vec![setting], age: Duration::ZERO });
    assert_eq!(world.origin("198.51.100.1"), Some(Origin::Remote));
    let setting = PeerSetting { weight: 0, ..setting };
    world.handle(Input::Peers { settings: vec![setting], age: Duration::ZERO });
    assert_eq!(world.origin("198.51.100.1"), None);
    world.ended("fra.b", STRANGER, 2);
    assert_eq!(world.origin(STRANGER), None);
}

#[test]
fn a_shadow_outlives_a_restart_until_an_operator_accepts_the_peer_after_it() {
    let mut world = fleet();
    let (ams, because) = (peer("ams.a"), ShadowedBecause::HitsKnown);
    // The store opened late.
    world.remote("ams.a", "198.51.100.1", 1, 60);
    world.handle(Input::Shadowed { peer: ams, because, age: HOUR });
    assert_eq!(world.origin("198.51.100.1"), None);
    assert_eq!(refusals(&world.remote("ams.a", STRANGER, 1, 60)), []);
    assert_eq!(world.outcomes(STRANGER)[0].1, RemoteOutcome::Refused(Refusal::PeerShadowed));
    assert_eq!(world.peer_view("ams.a").shadowed, Some(because));
    // What was said before the shadow comes again with the stream.
    let settings = vec![PeerSetting { peer: ams, mode: PeerMode::Accept, weight: 1 }];
    world.handle(Input::Peers { settings: settings.clone(), age: 2 * HOUR });
    assert_eq!(world.origin(STRANGER), None);
    world.handle(Input::Peers { settings, age: HOUR / 2 });
    assert_eq!(world.origin(STRANGER), Some(Origin::Remote));
}

#[test]
fn a_peer_that_decides_too_many_within_a_minute_is_shadowed() {
    let mut world = fleet();
    world.remote("lon.a", STRANGER, 1, 60);
    let mut all = Vec::new();
    for n in 0..=MAX_ASSERTIONS_PER_MINUTE {
        all.extend(world.remote("ams.a", &stranger(n), u64::from(n), 60));
    }
    assert_eq!(alarms(&all), [ShadowedBecause::TooManyAMinute], "one alarm");
    assert_eq!(world.banned(), ["203.0.113.7/32"], "its bans are lifted, and nobody else's");
    assert_eq!(refusals(&all), [Refusal::PeerBudget], "the one that broke the bound");
    world.pass(10 * MINUTE);
    let more = world.remote("ams.a", "192.0.2.99", 10_000, 60);
    assert_eq!((alarms(&more), refusals(&more)), (vec![], vec![]));
    let view = world.peer_view("ams.a");
    assert_eq!(view.shadowed, Some(ShadowedBecause::TooManyAMinute));
    assert_eq!((view.refused.peer_budget, view.refused.peer_shadowed), (1, 1));
    assert_eq!(world.outcomes(&stranger(3))[0].1, RemoteOutcome::Refused(Refusal::PeerShadowed));
    // Until an operator says so.
    world.set("ams.a", PeerMode::Accept);
    assert_eq!(world.banned().len(), 602);
}

#[test]
fn what_comes_at_once_but_was_decided_over_time_breaks_no_bound() {
    let mut world = fleet();
    let mut all = Vec::new();
    for n in 0..5_000 {
        let age = Duration::from_millis(u64::from(n) * 110);
        all.extend(world.remote_of("ams.a", &stranger(n), u64::from(n), (Some(HOUR), age)));
    }
    assert_eq!(alarms(&all), []);
    assert_eq!(world.banned().len(), 5_000);
}

#[test]
fn a_peer_with_too_many_bans_is_shadowed() {
    let mut world = fleet();
    let most = u32::try_from(MAX_ASSERTIONS).unwrap();
    let old = (Some(HOUR), 2 * HOUR);
    for n in 0..most {
        world.remote_of("ams.a", &stranger(n), u64::from(n), old);
        assert_eq!(world.peer_view("ams.a").standing, n as usize + 1);
    }
    assert_eq!(world.banned().len(), MAX_ASSERTIONS);
    world.pass(2 * MINUTE);
    let again = world.remote_of("ams.a", &stranger(1), 20_000, old);
    assert_eq!(alarms(&again), [], "it replaces one");
    world.ended("ams.a", &stranger(2), 20_001);
    assert_eq!(alarms(&world.remote_of("ams.a", &stranger(2), 20_002, old)), []);
    let broken = world.remote_of("ams.a", STRANGER, 20_003, old);
    assert_eq!(alarms(&broken), [ShadowedBecause::TooManyStanding]);
    assert_eq!(world.banned(), [""; 0]);
}

#[test]
fn a_peer_that_bans_hosts_known_here_is_shadowed() {
    let mut world = fleet();
    for n in 0..6 {
        world.login(&format!("192.0.2.{n}"), &format!("10{n}"));
    }
    world.remote("ams.a", STRANGER, 1, 60);
    let mut all = Vec::new();
    for n in 0..5 {
        all.extend(world.remote("ams.a", &format!("192.0.2.{n}"), 2, 60));
    }
    assert_eq!(alarms(&all), [ShadowedBecause::HitsKnown]);
    assert_eq!(world.banned(), [""; 0]);
    // One of a hundred may be: the neighbour of a customer behind the same address.
    let mut world = fleet();
    for n in 0..10 {
        world.login(&format!("192.0.2.{n}"), &format!("10{n}"));
    }
    let mut all = Vec::new();
    for n in 0..1_100 {
        all.extend(world.remote("ams.a", &stranger(n), 1, 60));
        if n % 110 == 109 {
            all.extend(world.remote("ams.a", &format!("192.0.2.{}", n / 110), 1, 60));
        }
        world.pass(SECOND);
    }
    assert_eq!(alarms(&all), []);
    assert_eq!(world.peer_view("ams.a").refused.known, 10);
}

#[test]
fn what_other_peers_know_makes_nobody_suspicious() {
    let mut world = fleet();
    let mut all = Vec::new();
    for n in 0..20 {
        world.knows("lon.a", &stranger(n), KnownClass::Trusted);
        all.extend(world.remote("ams.a", &stranger(n), 1, 60));
    }
    assert_eq!((alarms(&all), world.banned().len()), (vec![], 0));
}

#[test]
fn nothing_of_a_peer_that_is_ignored_counts() {
    let mut world = fleet();
    world.remote("ams.a", STRANGER, 1, 60);
    world.remote("ams.a", "203.0.113.8", 1, 60);
    world.remote("lon.a", "203.0.113.8", 1, 30);
    world.knows("ams.a", PHONE, KnownClass::Known);
    world.set("ams.a", PeerMode::Ignore);
    assert_eq!(world.banned(), ["203.0.113.8/32"]);
    assert_eq!(world.end_of("203.0.113.8"), Some(30 * MINUTE));
    assert_eq!(world.identity(PHONE), Identity::Stranger);
    let refused = RemoteOutcome::Refused(Refusal::PeerShadowed);
    assert_eq!(world.outcomes(STRANGER), [("ams.a".into(), refused)]);
    world.set("ams.a", PeerMode::Accept);
    assert_eq!(world.banned().len(), 2);
}

#[test]
fn peers_beyond_a_thousand_are_refused() {
    let mut world = fleet();
    for n in 0..MAX_PEERS {
        world.remote(&format!("x.n{n}"), STRANGER, 1, 60);
    }
    let refused = refusals(&world.remote("x.other", "203.0.113.8", 1, 60));
    assert_eq!((refused, world.banned().len()), (vec![Refusal::PeerBudget], 1));
    assert_eq!(world.engine.fleet_peers().count(), MAX_PEERS);
}

#[test]
fn bans_of_peers_make_the_next_one_here_longer() {
    let longer = |theirs: u32| {
        let mut world = fleet();
        let (peer, remaining) = (peer("ams.a"), Some(MINUTE));
        let (net, facts) = (net(STRANGER), facts(theirs));
        world.handle(Input::Remote { peer, net, n: 1, remaining, age: MINUTE, facts });
        world.pass(2 * MINUTE);
        world.fails(STRANGER, 5);
        let ban = world.engine.ban(net).unwrap();
        ban.cause.evidence().unwrap().ban_count
    };
    assert_eq!([0, 1, 2, 3, 9].map(longer), [1, 2, 3, 4, 4]);
}

#[test]
fn only_good_bans_of_single_sources_are_published() {
    let mut world = fleet();
    world.fails(STRANGER, 5);
    assert!(world.published(STRANGER));
    world.ban("203.0.113.9", HOUR);
    assert!(world.published("203.0.113.9"));
    world.ban("203.0.112.0/24", HOUR);
    assert!(!world.published("203.0.112.0/24"), "wider than a source");
    let (net_, until) = (net("203.0.113.10"), Expiry::Never);
    let (scope, reason) = (Some(Scope::Sip), String::new());
    world.handle(Input::Ban { net: net_, until, scope, reason, force: false });
    assert!(!world.published("203.0.113.10"), "of scope SIP");
    world.remote("ams.a", "203.0.113.11", 1, 60);
    assert!(!world.published("203.0.113.11"), "of a peer");
    let (source, reason, proved) = ("203.0.113.12".parse().unwrap(), "fraud", true);
    for _ in 0..Policy::default().rules.report.threshold {
        world.handle(Input::Report { source, reason, proved });
        world.pass(2 * SECOND);
    }
    assert!(world.is_banned("203.0.113.12") && !world.published("203.0.113.12"), "a report");
    world.handle(Input::Adopt { net: net("203.0.113.13") });
    assert!(!world.published("203.0.113.13"), "a route found at start");
    for _ in 0..10 {
        world.borrow_nonce("203.0.113.14");
    }
    assert!(world.is_banned("203.0.113.14") && !world.published("203.0.113.14"), "borrowed nonces");
    world.login(PHONE, "1000");
    world.ban(PHONE, HOUR);
    assert!(world.is_banned(PHONE) && !world.published(PHONE), "a host known here");
    world.ban("198.51.100.0/31", HOUR);
    world.exempt(Exemption::Own, &["198.51.100.1"]);
    assert!(world.is_banned("198.51.100.0") && !world.published("198.51.100.0"), "a piece");
}

#[test]
fn known_at_one_peer_is_known_here_and_trusted_by_two_is_trusted() {
    let mut world = fleet();
    world.knows("ams.a", PHONE, KnownClass::Trusted);
    assert_eq!(world.identity(PHONE), Identity::Known);
    world.knows("ams.a", PHONE, KnownClass::Shared);
    assert_eq!(world.identity(PHONE), Identity::Known, "the same peer");
    world.knows("lon.a", PHONE, KnownClass::Known);
    assert_eq!(world.identity(PHONE), Identity::Known);
    world.knows("fra.b", PHONE, KnownClass::Trusted);
    assert_eq!(world.identity(PHONE), Identity::Trusted, "in place of one that only knows it");
    assert!(world.engine.spared().any(|spared| spared == net(PHONE)));
    let (peer, source) = (peer("fra.b"), PHONE.parse().unwrap());
    world.handle(Input::RemoteKnownEnded { peer, source });
    assert_eq!(world.identity(PHONE), Identity::Known, "one has forgotten it");
    world.pass(Policy::default().healthy.remember + MINUTE);
    assert_eq!(world.identity(PHONE), Identity::Stranger);
}

/// Its password was changed at another node, and then that node failed.
#[test]
fn a_phone_with_an_old_password_that_fails_over_is_not_banned() {
    let mut world = fleet();
    world.knows("ams.a", PHONE, KnownClass::Known);
    let actions = world.fails(PHONE, 100);
    assert_eq!((blocks(&actions), world.is_banned(PHONE)), (vec![], false));
}

#[test]
fn a_ban_made_before_the_word_came_is_lifted() {
    let mut world = fleet();
    world.fails(PHONE, 5);
    assert!(world.is_banned(PHONE));
    let actions = world.knows("ams.a", PHONE, KnownClass::Known);
    assert_eq!(unblocks(&actions), [("192.0.2.7/32".into(), UnblockReason::Exempted)]);
    // Evidence that would ban a known host, or a word of an operator, stays.
    let mut policy = Policy { max_failures: 20, ..Policy::default() };
    policy.healthy.known_max_failures = 20;
    let mut world = with_policy(policy);
    world.fails(PHONE, 20);
    world.ban("192.0.2.8", HOUR);
    for phone in [PHONE, "192.0.2.8"] {
        world.knows("ams.a", phone, KnownClass::Known);
        assert!(world.is_banned(phone), "{phone}");
    }
}

#[test]
fn a_phone_that_is_trusted_elsewhere_is_trusted_at_its_first_success_here() {
    let trusted = |class, agent| {
        let mut world = fleet();
        let (home, age) = (hash("1000", agent), Duration::ZERO);
        let (peer, source) = (peer("ams.a"), "198.51.100.1".parse().unwrap());
        world.handle(Input::RemoteKnown { peer, source, class, home: Some(home), age });
        world.login(PHONE, "1000");
        world.identity(PHONE)
    };
    assert_eq!(trusted(KnownClass::Trusted, "pytest/1.0"), Identity::Trusted);
    assert_eq!(trusted(KnownClass::Known, "pytest/1.0"), Identity::Known);
    assert_eq!(trusted(KnownClass::Trusted, "another"), Identity::Known);
}

#[test]
fn so_many_addresses_of_a_phone_and_of_a_peer_are_believed() {
    let mut world = fleet();
    let (home, age, class) = (hash("1000", "pytest/1.0"), Duration::ZERO, KnownClass::Known);
    let know = |world: &mut World, n: u32, home| {
        let (peer, source) = (peer("ams.a"), stranger(n).parse().unwrap());
        world.handle(Input::RemoteKnown { peer, source, class, home: Some(home), age });
        world.identity(&stranger(n)) == Identity::Known
    };
    let believed = (0..10).filter(|n| know(&mut world, *n, home)).count();
    assert_eq!(believed, 5);
    assert_eq!(world.peer_view("ams.a").known_refused, 5);
    let other = |n: u32| Home(u64::from(n).to_be_bytes());
    let believed = (10..2_000).filter(|n| know(&mut world, *n, other(*n))).count();
    assert_eq!(believed, 990, "a thousand an hour, those of the phone among them");
    assert!(know(&mut world, 10, other(10)), "again");
    world.pass(HOUR);
    assert!(know(&mut world, 1_999, other(1_999)));
}

#[test]
fn what_this_node_knows_by_itself_is_shared() {
    let mut world = fleet();
    let remembered = |actions: &[Action]| {
        let found = actions.iter().find_map(|action| match action {
            Action::Remember(success) => Some(*success),
            _ => None,
        });
        found.unwrap()
    };
    let success = remembered(&world.login(PHONE, "1000"));
    let (source, class) = (PHONE.parse().unwrap(), KnownClass::Known);
    let (user, user_agent) = (Text::new("1000"), Text::new("pytest/1.0"));
    let shared = world.engine.known_to_share(&success);
    assert_eq!(shared, Some(KnownToShare { source, class, user, user_agent }));
    world.pass(DAY + MINUTE);
    let success = remembered(&world.login(PHONE, "1000"));
    assert_eq!(world.engine.known_to_share(&success).unwrap().class, KnownClass::Trusted);
    world.knows("ams.a", STRANGER, KnownClass::Known);
    let theirs = Success { source: STRANGER.parse().unwrap(), ..success };
    assert_eq!(world.engine.known_to_share(&theirs), None, "never what came from others");
}

#[test]
fn a_restored_ban_holds_until_the_stream_confirms_or_ends_it() {
    let mut world = fleet();
    world.remote("ams.a", STRANGER, 7, 600);
    let ban = world.engine.ban(net(STRANGER)).unwrap();
    let (since, until, scope, cause) = (ban.since, ban.until, ban.scope, ban.cause.get());
    let json = serde_json::to_string(&*cause).unwrap();
    assert_eq!(serde_json::from_str::<Cause>(&json).unwrap(), *cause);
    let restore = |world: &mut World| {
        let cause = cause.clone();
        world.handle(Input::Restore { net: net(STRANGER), since, until, scope, cause })
    };
    let mut again = fleet();
    restore(&mut again);
    assert_eq!(again.origin(STRANGER), Some(Origin::Remote));
    assert_eq!(again.remote("ams.a", STRANGER, 7, 600), [], "confirmed");
    again.ended("ams.a", STRANGER, 8);
    assert_eq!(again.banned(), [""; 0]);
    // Somebody became known meanwhile.
    let mut again = fleet();
    again.login(STRANGER, "1000");
    let actions = restore(&mut again);
    assert_eq!(unblocks(&actions), [("203.0.113.7/32".into(), UnblockReason::NotAdopted)]);
}

#[test]
fn a_full_table_gives_up_bans_of_peers_first() {
    let mut world = with_policy(Policy { max_bans: 3, ..Policy::default() });
    for (n, text) in ["203.0.113.1", "203.0.113.2", "203.0.113.3"].into_iter().enumerate() {
        world.remote("ams.a", text, n as u64, 60);
    }
    let full = refusals(&world.remote("ams.a", "203.0.113.4", 9, 600));
    assert_eq!(full, [Refusal::TooManyBans]);
    world.fails(PHONE, 5);
    assert_eq!(world.banned(), ["192.0.2.7/32", "203.0.113.2/32", "203.0.113.3/32"]);
}

#[test]
fn facts_of_any_size_are_cut() {
    let mut world = fleet();
    let facts = RemoteFacts { why: "x".repeat(100_000).into(), ..facts(1) };
    let (peer, remaining, age) = (peer("ams.a"), Some(HOUR), Duration::ZERO);
    world.handle(Input::Remote { peer, net: net(STRANGER), n: 1, remaining, age, facts });
    let ban = world.engine.ban(net(STRANGER)).unwrap();
    let cause = ban.cause.get();
    let Cause::Remote(said) = &*cause else { panic!() };
    assert_eq!(said.facts.why.len(), RemoteFacts::MAX_WHY_BYTES);
}

#[test]
fn nothing_is_left_when_all_is_over() {
    let mut world = fleet();
    world.remote("ams.a", STRANGER, 1, 60);
    world.lift("203.0.113.8", Duration::ZERO);
    world.knows("ams.a", PHONE, KnownClass::Known);
    world.pass(32 * DAY);
    assert_eq!(world.engine.next_deadline(), None);
    assert_eq!(world.engine.fleet_assertions(net("0.0.0.0/0")), []);
    assert_eq!(world.engine.fleet_lifts().count(), 0);
}

/// One message of the last of each peer and network.
#[derive(Clone, Debug)]
struct Said {
    by: usize,
    net: usize,
    minutes: u32,
    decided: u32,
}

/// Hosts and networks that nest.
const NETS: [&str; 8] = [
    "203.0.113.7",
    "203.0.113.8",
    "203.0.113.0/24",
    "192.0.2.7",
    "2001:db8:0:1::/64",
    "2001:db8:0:1::7",
    "2001:db8:0:1:1::/80",
    "2001:db8::/48",
];

fn said() -> impl Strategy<Value = Said> {
    (0..PEERS.len(), 0..NETS.len(), 1..2_000_u32, 0..300_u32)
        .prop_map(|(by, net, minutes, decided)| Said { by, net, minutes, decided })
}

#[derive(Clone, Debug)]
enum Word {
    Says(Said),
    Vetoes(usize, usize),
    Lifts(usize, u32),
    Knows(usize, usize),
    Sets(usize, PeerMode),
}

fn word() -> impl Strategy<Value = Word> {
    let mode = prop_oneof![Just(PeerMode::Accept), Just(PeerMode::Shadow), Just(PeerMode::Ignore)];
    let (peer, net) = (0..PEERS.len(), 0..NETS.len());
    prop_oneof![
        8 => said().prop_map(Word::Says),
        1 => (peer.clone(), net.clone()).prop_map(|(by, net)| Word::Vetoes(by, net)),
        1 => (net.clone(), 0..600_u32).prop_map(|(net, age)| Word::Lifts(net, age)),
        1 => (peer.clone(), net).prop_map(|(by, net)| Word::Knows(by, net)),
        1 => (peer, mode).prop_map(|(by, mode)| Word::Sets(by, mode)),
    ]
}

impl World {
    fn hear(&mut self, word: &Word) {
        match word {
            Word::Says(Said { by, net, minutes, decided }) => {
                let times = (Some(MINUTE * *minutes), MINUTE * *decided);
                self.remote_of(PEERS[*by], NETS[*net], 1, times);
            }
            Word::Vetoes(by, text) => {
                let (peer, net, class) = (peer(PEERS[*by]), net(NETS[*text]), Exemption::Allow);
                self.handle(Input::RemoteVeto { peer, net, class });
            }
            Word::Lifts(text, age) => {
                self.lift(NETS[*text], MINUTE * *age);
            }
            Word::Knows(by, text) => {
                let host = net(NETS[*text]).addr().to_string();
                self.knows(PEERS[*by], &host, KnownClass::Known);
            }
            Word::Sets(by, mode) => {
                self.set(PEERS[*by], *mode);
            }
        }
    }
}

proptest! {
    /// The order in which the same words come, and how often, changes nothing.
    #[test]
    fn the_same_words_in_any_order_give_the_same_bans(
        words in prop::collection::vec(word(), 1..25),
        (order, quorum) in (any::<u64>(), 1..3_u32),
        by_hand in prop::option::of(0..NETS.len()),
    ) {
        // Of one peer and network the merge leaves one word.
        let mut once = std::collections::BTreeMap::new();
        for (at, word) in words.into_iter().enumerate() {
            let key = match &word {
                Word::Says(said) => (0, said.by, said.net),
                Word::Vetoes(by, net) => (1, *by, *net),
                Word::Lifts(net, _) => (2, 0, *net),
                Word::Knows(by, net) => (3, *by, *net),
                Word::Sets(by, _) => (4, *by, 0),
            };
            once.insert(key, (at, word));
        }
        let words: Vec<Word> = once.into_values().map(|(_, word)| word).collect();
        let mut shuffled = words.clone();
        let mut state = order;
        for at in (1..shuffled.len()).rev() {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            shuffled.swap(at, (state >> 33) as usize % (at + 1));
        }
        let again: Vec<Word> = shuffled.iter().filter(|word| !matches!(word, Word::Lifts(..))).cloned().collect();
        let quorum = Quorum { site: quorum, fleet: quorum };
        let bans = |words: &[Word]| {
            let mut world = fleet();
            world.handle(Input::Fleet(FleetSettings { quorum, ..settings() }));
            if let Some(net) = by_hand {
                world.ban(NETS[net], 600 * MINUTE);
            }
            for word in words {
                world.hear(word);
            }
            let of = |world: &World| {
                let bans = world.engine.bans();
                bans.map(|ban| (ban.net, ban.until, ban.origin, ban.cause.get())).collect::<Vec<_>>()
            };
            let now = of(&world);
            world.pass(61 * MINUTE);
            world.pass(MINUTE);
            let held = of(&world);
            world.pass(601 * MINUTE);
            (now, held, of(&world))
        };
        let expected = bans(&words);
        if by_hand.is_none() {
            // A lift ends a ban by hand only if it comes after it, here as anywhere.
            prop_assert_eq!(&bans(&shuffled), &expected);
        }
        let twice: Vec<Word> = shuffled.iter().chain(&again).cloned().collect();
        prop_assert_eq!(bans(&twice), bans(&shuffled));
    }
}
