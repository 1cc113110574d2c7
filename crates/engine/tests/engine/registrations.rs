//! Who is registered now, and whom a limit on all sources spares.

use std::collections::BTreeSet;
use std::time::Duration;

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

fn ended(phone: Registered<'static>) -> Input<'static> {
    let Registered { source, user, domain, call_id, .. } = phone;
    let source = Some(source);
    Input::RegistrationEnded(RegistrationEnded { source, user, domain, call_id })
}

impl World {
    /// Challenge, success, registration for twelve hours.
    fn put(&mut self, phone: Registered<'static>) {
        let call = std::mem::replace(&mut self.call, phone.call_id);
        self.login(&phone.source.to_string(), phone.user);
        self.handle(Input::Registered(phone));
        self.call = call;
    }

    fn snapshot(&mut self, phones: &[Registered<'static>]) -> Vec<Action> {
        let asked = self.now;
        self.handle(Input::Registrations { phones: phones.to_vec(), asked, first: false })
    }

    fn first_list(&mut self, phones: &[Registered<'static>]) -> Vec<Action> {
        let asked = self.now;
        self.handle(Input::Registrations { phones: phones.to_vec(), asked, first: true })
    }

    fn seen(&self, source: &str) -> (Identity, u32) {
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
fn a_registration_that_holds_makes_its_source_known_longer_than_memory() {
    let mut world = world();
    world.put(phone(PHONE, "a"));
    world.pass(2 * HOUR);
    assert_eq!(world.seen(PHONE), (Identity::Known, 1));
    world.fails(PHONE, 19);
    assert!(!world.is_banned(PHONE));
    assert_eq!(world.engine.stats().registrations, 1);
    world.handle(ended(phone(PHONE, "a")));
    assert_eq!(world.seen(PHONE), (Identity::Stranger, 0));
}

/// FreeSWITCH was seen to send them in another order when it is busy.
#[test]
fn a_registration_is_proved_in_whatever_order_its_events_come() {
    for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        let mut world = World::new(Policy::default());
        world.login("192.0.2.99", "1099");
        let source = PHONE.parse().unwrap();
        let (call_id, port) = (world.call, world.port);
        let registered = Registered { call_id, ..a_registration(source) };
        for event in order {
            let _ = match event {
                0 => {
                    let challenge = Challenge { call_id, port, ..a_challenge(source) };
                    world.handle(Input::Challenge(challenge))
                }
                1 => world.succeed(source, registered.user),
                _ => world.handle(Input::Registered(registered)),
            };
            world.pass(Duration::from_millis(30));
        }
        assert_eq!(world.seen(PHONE), (Identity::Known, 1), "{order:?}");
    }
}

#[test]
fn whose_registration_ends_is_remembered() {
    let mut world = world();
    world.put(phone(PHONE, "a"));
    world.handle(ended(phone(PHONE, "a")));
    assert_eq!(world.seen(PHONE), (Identity::Known, 0));
    world.pass(HOUR + MINUTE);
    assert_eq!(world.seen(PHONE), (Identity::Stranger, 0));
}

#[test]
fn one_phone_of_two_that_leaves_leaves_the_other() {
    let mut world = world();
    let other = Registered { user: "1001", username: Some("1001"), ..phone(PHONE, "b") };
    world.put(phone(PHONE, "a"));
    world.put(other);
    world.put(other);
    world.pass(2 * HOUR);
    assert_eq!(world.seen(PHONE), (Identity::Known, 2));
    world.handle(ended(phone(PHONE, "a")));
    assert_eq!(world.seen(PHONE), (Identity::Known, 1));
}

#[test]
fn a_phone_that_starts_anew_is_one_registration() {
    let mut world = world();
    world.put(phone(PHONE, "a"));
    world.put(phone(PHONE, "b"));
    assert_eq!(world.seen(PHONE), (Identity::Known, 1));
    world.handle(ended(phone(PHONE, "a")));
    assert_eq!(world.seen(PHONE).1, 1, "the end of the dialog before comes late");
}

#[test]
fn a_registration_ends_without_an_address() {
    let mut world = world();
    world.put(phone(PHONE, "a"));
    let Input::RegistrationEnded(end) = ended(phone(PHONE, "a")) else { panic!() };
    world.handle(Input::RegistrationEnded(RegistrationEnded { source: None, ..end }));
    assert_eq!(world.seen(PHONE).1, 0, "a WebSocket connection closed");
}

#[test]
fn a_registration_whose_end_goes_unseen_runs_out() {
    let mut world = world();
    world.put(phone(PHONE, "a"));
    world.pass(12 * HOUR + 2 * MINUTE);
    assert_eq!(world.seen(PHONE), (Identity::Known, 1), "FreeSWITCH is late itself");
    world.pass(2 * MINUTE);
    assert_eq!(world.seen(PHONE), (Identity::Stranger, 0));
    assert_eq!(world.engine.stats().registrations, 0);
    world.pass(2 * DAY);
    assert_eq!(world.engine.next_deadline(), None, "nothing is remembered");
}

#[test]
fn a_snapshot_replaces_what_holds() {
    let mut world = world();
    for (source, call_id) in [("192.0.2.1", "a"), ("192.0.2.2", "b")] {
        world.put(phone(source, call_id));
    }
    world.pass(2 * HOUR);
    world.snapshot(&[phone("192.0.2.2", "b"), phone("2001:db8::3", "c")]);
    assert_eq!(world.seen("192.0.2.1"), (Identity::Stranger, 0), "gone while nobody looked");
    assert_eq!(world.seen("192.0.2.2"), (Identity::Known, 1));
    assert_eq!(world.seen("2001:db8::3"), (Identity::Known, 1));
    assert_eq!(world.seen("2001:db8::77"), (Identity::Stranger, 0), "a neighbour in its /64");
    world.pass(MINUTE);
    world.snapshot(&[]);
    assert_eq!(world.engine.stats().registrations, 0);
}

#[test]
fn a_snapshot_does_not_undo_what_came_after_its_question() {
    let mut world = world();
    let asked = world.now;
    world.pass(SECOND);
    world.put(phone(PHONE, "a"));
    world.pass(SECOND);
    world.handle(Input::Registrations { phones: Vec::new(), asked, first: false });
    assert_eq!(world.seen(PHONE), (Identity::Known, 1));
}

/// It tells that somebody logged in once, not that he does now.
#[test]
fn a_snapshot_forgives_nothing() {
    let mut world = World::new(Policy::default());
    world.fails("192.0.2.9", 4);
    world.snapshot(&[phone("192.0.2.9", "b")]);
    world.handle(ended(phone("192.0.2.9", "b")));
    assert_eq!(world.engine.source("192.0.2.9".parse().unwrap()).failures, 4);
}

#[test]
fn whom_only_a_snapshot_names_may_have_an_old_password_too() {
    let mut world = World::new(Policy::default());
    world.snapshot(&[phone(PHONE, "a")]);
    let actions = world.fails(PHONE, 30);
    assert!(!world.is_banned(PHONE));
    let told = actions.iter().filter(|a| matches!(a, Action::NeedsAttention { .. })).count();
    assert_eq!(told, 1);
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
    assert_eq!(world.seen(PHONE), (Identity::Known, 1), "not by being in a list for days");
    world.login(PHONE, "1000");
    assert_eq!(world.seen(PHONE), (Identity::Trusted, 1), "at home elsewhere");
    world.login("192.0.2.8", "1001");
    assert_eq!(world.seen("192.0.2.8"), (Identity::Known, 1));
}

#[test]
fn the_phones_of_the_first_list_are_trusted_and_remembered() {
    let mut world = World::new(Policy::default());
    let other =
        |n, source: &'static str| Registered { user: n, username: None, ..phone(source, source) };
    let everywhere: Vec<_> =
        ["192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4"].map(|a| other("1001", a)).into();
    let actions = world.first_list(&[vec![other("1000", PHONE)], everywhere].concat());
    assert_eq!(world.seen(PHONE), (Identity::Trusted, 1));
    assert_eq!(world.seen("192.0.2.1"), (Identity::Known, 1), "a user at four addresses");
    let kept: Vec<_> = actions
        .iter()
        .filter_map(|action| match action {
            Action::Remember(success) => Some(*success),
            _ => None,
        })
        .collect();
    let [kept] = kept[..] else { panic!("{kept:?}") };
    let mut later = World::new(Policy::default());
    later.now = world.now;
    later.handle(Input::Remember(kept));
    assert_eq!(later.seen(PHONE), (Identity::Trusted, 0));

    let mut off = Policy::default();
    off.healthy.trust_first_list = false;
    let mut world = World::new(off);
    world.first_list(&[other("1000", PHONE)]);
    assert_eq!(world.seen(PHONE), (Identity::Known, 1));
}

#[test]
fn failures_for_another_user_end_the_trust_of_the_first_list() {
    let mut world = World::new(Policy::default());
    world.first_list(&[phone(PHONE, "a")]);
    world.fail(PHONE);
    assert_eq!(world.seen(PHONE).0, Identity::Trusted, "its own user");
    world.fail_as(PHONE, "1001", Some("1001"));
    assert_eq!(world.seen(PHONE).0, Identity::Known);
}

#[test]
fn a_success_from_where_nobody_was_challenged_makes_nobody_known() {
    let mut world = World::new(Policy::default());
    world.pass(2 * MINUTE);
    world.put(phone(PHONE, "a"));
    let forged = phone("203.0.113.9", "b");
    world.succeed(forged.source, forged.user);
    world.handle(Input::Registered(forged));
    assert_eq!(world.seen("203.0.113.9"), (Identity::Stranger, 0));
    assert_eq!(world.engine.stats().unproved_successes, 1);
    world.snapshot(&[phone(PHONE, "a"), forged]);
    assert_eq!(world.seen("203.0.113.9"), (Identity::Stranger, 0), "FreeSWITCH lists it too");
    world.put(phone("203.0.113.9", "c"));
    assert_eq!(world.seen("203.0.113.9"), (Identity::Known, 1), "now it is there");
}

#[test]
fn a_success_that_overtook_its_challenge_is_proved_by_it() {
    for late in [Duration::from_millis(150), Duration::from_millis(250)] {
        let mut world = World::new(Policy::default());
        world.pass(2 * MINUTE);
        world.call = "a";
        world.succeed(PHONE.parse().unwrap(), "1000");
        world.handle(Input::Registered(phone(PHONE, "a")));
        assert_eq!(world.seen(PHONE), (Identity::Stranger, 0));
        world.pass(late);
        world.challenge(PHONE);
        let expected =
            if late < SECOND / 5 { (Identity::Known, 1) } else { (Identity::Stranger, 0) };
        assert_eq!(world.seen(PHONE), expected, "{late:?}");
    }
}

#[test]
fn a_registration_that_overtook_its_attempt_is_proved_by_it() {
    let mut world = World::new(Policy::default());
    world.pass(2 * MINUTE);
    world.register("203.0.113.77", "1009");
    world.call = "a";
    world.challenge(PHONE);
    world.handle(Input::Registered(phone(PHONE, "a")));
    assert_eq!(world.seen(PHONE), (Identity::Stranger, 0));
    world.pass(SECOND / 10);
    world.succeed(PHONE.parse().unwrap(), "1000");
    assert_eq!(world.seen(PHONE), (Identity::Known, 1));
}

#[test]
fn a_phone_that_goes_on_with_its_nonce_stays_known_without_a_challenge() {
    let mut world = world();
    world.put(phone(PHONE, "a"));
    world.pass(50 * MINUTE);
    world.call = "a";
    world.succeed(PHONE.parse().unwrap(), "1000");
    world.handle(Input::Registered(phone(PHONE, "a")));
    world.handle(ended(phone(PHONE, "a")));
    world.pass(50 * MINUTE);
    assert_eq!(world.seen(PHONE), (Identity::Known, 0), "the second success counts");
}

#[test]
fn a_sixth_new_address_of_an_account_in_a_day_is_not_known() {
    let mut world = World::new(Policy::default());
    let mut actions = Vec::new();
    for n in 1..=8 {
        actions.extend(world.register(&format!("192.0.2.{n}"), "1000"));
    }
    let known = (1..=8).filter(|n| world.seen(&format!("192.0.2.{n}")).0 == Identity::Known);
    assert_eq!(known.count(), 5);
    let told: Vec<_> = actions
        .iter()
        .filter_map(|action| match action {
            Action::Alarm(Alarm::AccountSpread { user, addresses }) => Some((*user, *addresses)),
            _ => None,
        })
        .collect();
    assert_eq!(told, [(Text::new("1000"), 6)]);
    world.domain = "other.test";
    world.login("192.0.2.99", "1000");
    assert_eq!(world.seen("192.0.2.99").0, Identity::Known, "a user of another domain");
}

#[test]
fn a_banned_network_is_split_where_a_registration_appears() {
    let mut world = World::new(Policy::default());
    for n in 1..=10 {
        world.fails(&format!("192.0.2.{n}"), 2);
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
    world.put(phone(PHONE, "a"));
    world.login("2001:db8::7", "1001");
    assert!(changed(&world));
    world.put(phone(PHONE, "a"));
    world.login("2001:db8::8", "1002");
    assert!(changed(&world), "a neighbour in a /64 is somebody else");
    world.login("2001:db8::8", "1002");
    assert!(!changed(&world), "they are known already");
    let known = ["2001:db8::7/128", "2001:db8::8/128"];
    let all = ["192.0.2.7/32", "198.51.100.5/32", known[0], known[1], "203.0.113.0/24"];
    assert_eq!(world.spared(), all.map(str::to_owned).into());

    world.handle(Input::AclAnswer { addr, allowed: Some(false) });
    assert!(changed(&world));
    world.pass(HOUR + 2 * MINUTE);
    assert!(changed(&world), "a login was forgotten");
    assert_eq!(world.spared(), ["192.0.2.7/32", "203.0.113.0/24"].map(str::to_owned).into());
    world.handle(ended(phone(PHONE, "a")));
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
    assert!(asked(&actions, banned), "anyone who is banned may be allowed now");
    assert!(!asked(&actions, allowed) && !asked(&actions, denied), "not before they fail");
    let lifted = answer(&mut world, banned, true);
    assert_eq!(unblocks(&lifted), [("192.0.2.3/32".into(), UnblockReason::Exempted)]);
    assert!(asked(&world.fail(denied), denied), "its count goes on, its answer is another one");
    assert!(asked(&world.fail(allowed), allowed));
    world.fails(allowed, 4);
    assert!(world.is_banned(allowed));
}
