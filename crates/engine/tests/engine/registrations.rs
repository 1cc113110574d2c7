//! Who is registered now, and whom a limit on all sources spares.

use std::collections::BTreeSet;

use sipward_engine::*;

use crate::world::*;

const PHONE: &str = "192.0.2.7";

/// Logins are forgotten before registrations end, so that only these make anybody known.
fn world() -> World {
    let mut policy = Policy::default();
    policy.healthy.remember = HOUR;
    World::new(policy)
}

fn phone(source: &str, call_id: &'static str) -> Registered<'static> {
    let life = Some(12 * HOUR);
    Registered { call_id, life, ..a_registration(source.parse().unwrap()) }
}

impl World {
    fn register(&mut self, source: &str, call_id: &'static str) -> Vec<Action> {
        self.handle(Input::Registered(phone(source, call_id)))
    }

    fn snapshot(&mut self, phones: &[Registered<'static>]) -> Vec<Action> {
        let asked = self.now;
        self.handle(Input::Registrations { phones: phones.to_vec(), asked })
    }

    fn identity(&self, source: &str) -> (Identity, u32) {
        let view = self.engine.source(source.parse().unwrap());
        (view.identity, view.registrations)
    }

    fn spared(&self) -> BTreeSet<String> {
        let always = Engine::new(Policy::default(), 1).unwrap();
        let always: BTreeSet<_> = always.spared().collect();
        self.engine.spared().filter(|net| !always.contains(net)).map(|n| n.to_string()).collect()
    }
}

#[test]
fn a_registration_that_stands_makes_its_source_known_longer_than_memory() {
    let mut world = world();
    world.register(PHONE, "a");
    world.pass(2 * HOUR);
    assert_eq!(world.identity(PHONE), (Identity::Known, 1));
    world.fails(PHONE, 19);
    assert!(!world.is_banned(PHONE), "19 of 20: nothing is remembered of its user");
    assert_eq!(world.engine.stats().registrations, 1);
    world.handle(Input::RegistrationEnded(phone(PHONE, "a")));
    assert_eq!(world.identity(PHONE), (Identity::Stranger, 0));
    world.fail(PHONE);
    assert!(world.is_banned(PHONE));
}

#[test]
fn whose_registration_ends_is_remembered() {
    let mut world = world();
    world.register(PHONE, "a");
    world.handle(Input::RegistrationEnded(phone(PHONE, "a")));
    assert_eq!(world.identity(PHONE), (Identity::Known, 0));
    world.pass(HOUR + MINUTE);
    assert_eq!(world.identity(PHONE), (Identity::Stranger, 0));
}

#[test]
fn one_phone_of_two_that_leaves_leaves_the_other() {
    let mut world = world();
    world.register(PHONE, "a");
    world.register(PHONE, "b");
    world.register(PHONE, "b");
    world.pass(2 * HOUR);
    world.handle(Input::RegistrationEnded(phone(PHONE, "a")));
    assert_eq!(world.identity(PHONE), (Identity::Known, 1));
}

#[test]
fn a_registration_whose_end_goes_unseen_runs_out() {
    let mut world = world();
    world.register(PHONE, "a");
    world.pass(12 * HOUR + 2 * MINUTE);
    assert_eq!(world.identity(PHONE), (Identity::Known, 1), "FreeSWITCH is late itself");
    world.pass(2 * MINUTE);
    assert_eq!(world.identity(PHONE), (Identity::Stranger, 0));
    assert_eq!(world.engine.stats().registrations, 0);
    world.pass(DAY);
    assert_eq!(world.engine.next_deadline(), None, "nothing is remembered");
}

#[test]
fn a_snapshot_replaces_what_stands() {
    let mut world = world();
    for (source, call_id) in [("192.0.2.1", "a"), ("192.0.2.2", "b")] {
        world.register(source, call_id);
    }
    world.pass(2 * HOUR);
    world.snapshot(&[phone("192.0.2.2", "b"), phone("2001:db8::3", "c")]);
    assert_eq!(world.identity("192.0.2.1"), (Identity::Stranger, 0), "gone while nobody looked");
    assert_eq!(world.identity("192.0.2.2"), (Identity::Known, 1));
    assert_eq!(world.identity("2001:db8::77"), (Identity::Known, 1), "of one /64");
    world.pass(MINUTE);
    world.snapshot(&[]);
    assert_eq!(world.engine.stats().registrations, 0);
}

#[test]
fn a_snapshot_does_not_undo_what_came_after_its_question() {
    let mut world = world();
    let asked = world.now;
    world.pass(SECOND);
    world.register(PHONE, "a");
    world.pass(SECOND);
    world.handle(Input::Registrations { phones: Vec::new(), asked });
    assert_eq!(world.identity(PHONE), (Identity::Known, 1));
}

/// It tells that somebody logged in once, not that he does now.
#[test]
fn a_snapshot_forgives_nothing_and_keeps_the_user_agent() {
    let mut world = World::new(Policy::default());
    world.register(PHONE, "a");
    world.fails("192.0.2.9", 4);
    world.snapshot(&[phone(PHONE, "a"), phone("192.0.2.9", "b")]);
    assert_eq!(world.engine.source("192.0.2.9".parse().unwrap()).failures, 4);
    world.fails(PHONE, 30);
    assert!(!world.is_banned(PHONE), "a phone with an old password, as before");
    world.agent = "other/1.0";
    world.fails(PHONE, 20);
    assert!(world.is_banned(PHONE), "another user agent is no phone of ours");
}

#[test]
fn whom_only_a_snapshot_names_may_have_an_old_password_too() {
    let mut world = World::new(Policy::default());
    world.snapshot(&[phone(PHONE, "a")]);
    let actions = world.fails(PHONE, 30);
    assert!(!world.is_banned(PHONE));
    let told = actions.iter().filter(|a| matches!(a, Action::NeedsAttention { .. })).count();
    assert_eq!(told, 1);
    world.agent = "other/1.0";
    world.fails(PHONE, 20);
    assert!(world.is_banned(PHONE), "its user agent is the first that came");
}

/// A phone that moved while nobody looked is trusted as soon as it logs in.
#[test]
fn trust_begins_with_a_login_that_is_seen() {
    let mut world = World::new(Policy::default());
    for _ in 0..3 {
        world.login("198.51.100.1", "1000");
        world.pass(DAY);
        world.snapshot(&[phone(PHONE, "a"), phone("192.0.2.8", "b")]);
    }
    assert_eq!(world.identity(PHONE), (Identity::Known, 1), "not by standing in a list for days");
    world.login(PHONE, "1000");
    assert_eq!(world.identity(PHONE), (Identity::Trusted, 1), "at home elsewhere");
    world.login("192.0.2.8", "1001");
    assert_eq!(world.identity("192.0.2.8"), (Identity::Known, 1));
}

#[test]
fn a_banned_network_is_split_where_a_registration_appears() {
    let mut policy = Policy::default();
    policy.rules.network.guard.mode = Mode::Ban;
    let mut world = World::new(policy);
    for n in 1..=10 {
        world.fails(&format!("192.0.2.{n}"), 5);
    }
    assert!(world.is_banned("192.0.2.200"));
    world.snapshot(&[phone("192.0.2.200", "a")]);
    assert!(!world.is_banned("192.0.2.200"));
    assert!(world.is_banned("192.0.2.201"));
}

#[test]
fn the_exempt_and_the_known_are_spared_and_the_version_tells_when() {
    let mut world = world();
    let mut version = world.engine.spared_version();
    let mut changed = |world: &World| {
        let before = std::mem::replace(&mut version, world.engine.spared_version());
        before != version
    };
    world.fails("192.0.2.66", 3);
    assert!(!changed(&world) && world.spared().is_empty(), "a stranger changes nothing");

    world.exempt(Exemption::Allow, &["203.0.113.0/24"]);
    assert!(changed(&world));
    let addr = "198.51.100.5".parse().unwrap();
    world.handle(Input::AclAnswer { addr, allowed: Some(true) });
    assert!(changed(&world));
    world.register(PHONE, "a");
    world.login("2001:db8::7", "1001");
    assert!(changed(&world));
    world.register(PHONE, "a");
    world.login("2001:db8::8", "1002");
    assert!(!changed(&world), "they are known already");
    let all = ["192.0.2.7/32", "198.51.100.5/32", "2001:db8::/64", "203.0.113.0/24"];
    assert_eq!(world.spared(), all.map(str::to_owned).into());

    world.handle(Input::AclAnswer { addr, allowed: Some(false) });
    assert!(changed(&world));
    world.pass(HOUR + 2 * MINUTE);
    assert!(changed(&world), "a login was forgotten");
    assert_eq!(world.spared(), ["192.0.2.7/32", "203.0.113.0/24"].map(str::to_owned).into());
    world.handle(Input::RegistrationEnded(phone(PHONE, "a")));
    assert!(changed(&world));
    assert_eq!(world.spared(), ["203.0.113.0/24".to_owned()].into());
}

#[test]
fn other_access_lists_are_asked_anew_and_protect_nobody_from_before() {
    let mut world = World::new(Policy::default());
    let [allowed, denied, banned] = ["192.0.2.1", "192.0.2.2", "192.0.2.3"];
    let answer = |world: &mut World, source: &str, allowed| {
        let addr = source.parse().unwrap();
        world.handle(Input::AclAnswer { addr, allowed: Some(allowed) })
    };
    for (source, is_allowed) in [(allowed, true), (denied, false), (banned, false)] {
        world.fail(source);
        answer(&mut world, source, is_allowed);
    }
    world.fails(banned, 4);
    assert!(world.is_banned(banned));
    let asked = |actions: &[Action], source: &str| {
        actions.contains(&Action::AskAcl { addr: source.parse().unwrap() })
    };

    let actions = world.handle(Input::AclsChanged);
    assert!(asked(&actions, banned), "whoever is banned may be allowed now");
    assert!(!asked(&actions, allowed) && !asked(&actions, denied), "not before they fail");
    let lifted = answer(&mut world, banned, true);
    assert_eq!(unblocks(&lifted), [("192.0.2.3/32".into(), UnblockReason::Exempted)]);
    assert!(asked(&world.fail(denied), denied), "its count goes on, its answer is another one");
    assert!(asked(&world.fail(allowed), allowed));
    world.fails(allowed, 4);
    assert!(world.is_banned(allowed));
}
