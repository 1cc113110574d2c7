//! Random stories of scopes and flows, held against what must be true at every moment.
//!
//! [`World`] itself checks after each step that what was decided, carried out in order, is what the engine lists.

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;
use sipward_engine::*;

use crate::world::*;

const NETS: [&str; 7] = [
    "192.0.2.1/32",
    "192.0.2.2/31",
    "192.0.2.0/29",
    "192.0.2.0/24",
    "2001:db8:0:1::1/128",
    "2001:db8:0:1::/64",
    "2001:db8::/32",
];
const HOSTS: [&str; 4] = ["192.0.2.1", "192.0.2.3", "192.0.2.9", "2001:db8:0:1::1"];
const PORTS: [u16; 12] = [5060, 5062, 1, 2, 3, 4, 5, 6, 7, 8, 9, 65_535];
const USERS: [&str; 2] = ["1000", "1001"];
/// Of each user at each host.
const CALLS: [&str; 8] = ["a", "b", "c", "d", "e", "f", "g", "h"];

#[derive(Clone, Debug)]
enum Scoped {
    Pass(u64),
    Fail(usize),
    Login(usize),
    Allow(Vec<usize>),
    Ban { net: usize, scope: Option<Scope>, minutes: Option<u64>, force: bool },
    Unban(usize),
    Adopt(usize),
    Restore { net: usize, scope: Scope, minutes: u64 },
}

fn scope() -> impl Strategy<Value = Scope> {
    prop_oneof![Just(Scope::Host), Just(Scope::Sip)]
}

fn scoped() -> impl Strategy<Value = Scoped> {
    let net = 0..NETS.len();
    let minutes = prop_oneof![Just(10_u64), Just(60), Just(90)];
    prop_oneof![
        2 => (0..3_600_u64).prop_map(Scoped::Pass),
        4 => (0..HOSTS.len()).prop_map(Scoped::Fail),
        1 => (0..HOSTS.len()).prop_map(Scoped::Login),
        1 => prop::collection::vec(net.clone(), 0..2).prop_map(Scoped::Allow),
        4 => (net.clone(), prop::option::of(scope()), prop::option::of(minutes.clone()), any::<bool>())
            .prop_map(|(net, scope, minutes, force)| Scoped::Ban { net, scope, minutes, force }),
        1 => net.clone().prop_map(Scoped::Unban),
        1 => net.clone().prop_map(Scoped::Adopt),
        2 => (net, scope(), minutes)
            .prop_map(|(net, scope, minutes)| Scoped::Restore { net, scope, minutes }),
    ]
}

fn rank(origin: Origin) -> u8 {
    match origin {
        Origin::Remote => 0,
        Origin::Automatic => 1,
        Origin::Manual => 2,
        Origin::Forced => 3,
    }
}

/// A ban inside another ends later, yields less, or stops more.
fn none_is_useless(world: &World) -> Result<(), TestCaseError> {
    let bans: Vec<_> = world.engine.bans().collect();
    for outer in &bans {
        for inner in bans.iter().filter(|ban| ban.net != outer.net) {
            let useless = outer.net.contains(&inner.net)
                && outer.until >= inner.until
                && rank(outer.origin) >= rank(inner.origin)
                && outer.scope.covers(inner.scope);
            prop_assert!(!useless, "{:?} in {:?}", inner, outer);
        }
    }
    Ok(())
}

#[derive(Clone, Debug)]
enum Event {
    Pass(u64),
    Guess { host: usize, port: usize, times: usize },
    Register { host: usize, user: usize, port: usize },
    End { host: usize, user: usize },
    Success { host: usize, user: usize },
    Unban(usize),
    UnbanFlow { host: usize, port: usize },
    Allow(bool),
    Restore { host: usize, port: usize, age: u64 },
}

fn event() -> impl Strategy<Value = Event> {
    let host = prop_oneof![4 => Just(0_usize), 1 => 0..HOSTS.len()];
    let (port, user) = (0..PORTS.len(), 0..USERS.len());
    let at = (host.clone(), port.clone());
    prop_oneof![
        3 => prop_oneof![6 => 0..60_u64, 1 => Just(599), 1 => Just(600), 1 => Just(601), 1 => Just(3_600)]
            .prop_map(Event::Pass),
        24 => (at.clone(), prop_oneof![Just(1_usize), Just(3), Just(25)])
            .prop_map(|((host, port), times)| Event::Guess { host, port, times }),
        3 => (at.clone(), user.clone())
            .prop_map(|((host, port), user)| Event::Register { host, user, port }),
        1 => (host.clone(), user.clone()).prop_map(|(host, user)| Event::End { host, user }),
        2 => (host.clone(), user).prop_map(|(host, user)| Event::Success { host, user }),
        1 => host.prop_map(Event::Unban),
        1 => at.clone().prop_map(|(host, port)| Event::UnbanFlow { host, port }),
        1 => any::<bool>().prop_map(Event::Allow),
        // What was decided this very moment is no memory of before.
        1 => (at, 1..4_000_u64).prop_map(|((host, port), age)| Event::Restore { host, port, age }),
    ]
}

/// What a story knows by itself.
struct Story {
    world: World,
    /// Ports of registrations that certainly hold, and since when: by host and user.
    live: BTreeMap<(usize, usize), (u16, Timestamp)>,
    /// Denials that were decided, by host: port and time.
    denied: BTreeMap<String, Vec<(u16, Timestamp)>>,
}

impl Story {
    fn step(&mut self, event: &Event) -> Result<(), TestCaseError> {
        let world = &mut self.world;
        let actions = match *event {
            Event::Pass(seconds) => world.pass(Duration::from_secs(seconds)),
            Event::Guess { host, port, times } => {
                (world.call, world.port) = ("of a guesser", PORTS[port]);
                let users = (0..times).map(|n| ["g0", "g1", "g2", "g3"][n % 4]);
                users.flat_map(|user| world.fail_as(HOSTS[host], user, Some(user))).collect()
            }
            Event::Register { host, user, port } => {
                (world.call, world.port) = (CALLS[host * 2 + user], PORTS[port]);
                let actions = world.register(HOSTS[host], USERS[user]);
                if !world.is_banned(HOSTS[host]) {
                    self.live.insert((host, user), (PORTS[port], world.now));
                }
                actions
            }
            Event::End { host, user } => {
                self.live.remove(&(host, user));
                let source = Some(HOSTS[host].parse().unwrap());
                let (user, domain, call_id) = (USERS[user], "pbx.test", CALLS[host * 2 + user]);
                let ended = RegistrationEnded { source, user, domain, call_id };
                world.handle(Input::RegistrationEnded(ended))
            }
            Event::Success { host, user } => {
                (world.call, world.port) = ("without a registration", 5060);
                world.login(HOSTS[host], USERS[user])
            }
            Event::Unban(host) => world.unban(HOSTS[host]),
            Event::UnbanFlow { host, port } => {
                let flow = format!("{} udp {}", HOSTS[host], PORTS[port]).parse().unwrap();
                world.handle(Input::UnbanFlow { flow })
            }
            Event::Allow(one) => {
                world.exempt(Exemption::Allow, if one { &["192.0.2.1"] } else { &[] })
            }
            Event::Restore { host, port, age } => {
                let flow: Flow = format!("{} tcp {}", HOSTS[host], PORTS[port]).parse().unwrap();
                // As a store does: what is denied already is not stored again.
                let known = world.engine.flow(flow).is_some();
                let since = world.now.earlier(Duration::from_secs(age));
                let (until, cause) = (since + 10 * MINUTE, Cause::Adopted.into());
                let input = Input::RestoreFlow { flow, since, until, cause };
                if known || until <= world.now { Vec::new() } else { world.handle_restored(input) }
            }
        };
        self.check(&actions)
    }

    fn check(&mut self, actions: &[Action]) -> Result<(), TestCaseError> {
        let now = self.world.now;
        for action in actions {
            if let Action::DenyFlow { flow, since, until, .. } = action {
                prop_assert!(*until <= *since + 10 * MINUTE);
                if *since != now {
                    continue;
                }
                let denied = self.denied.entry(flow.source.to_string()).or_default();
                let both = denied.last() == Some(&(flow.port, now));
                let lately = denied.iter().filter(|(_, at)| now.since(*at) < HOUR);
                let ports: Vec<u16> = lately.map(|(port, _)| *port).collect();
                prop_assert!(both || !ports.contains(&flow.port), "{} within an hour", flow);
                denied.push((flow.port, now));
            }
        }
        for (host, denied) in &mut self.denied {
            denied.retain(|(_, at)| now.since(*at) < HOUR);
            let ports: std::collections::BTreeSet<_> =
                denied.iter().map(|(port, _)| port).collect();
            prop_assert!(ports.len() <= MAX_DENIED_PORTS, "{} ports of {}", ports.len(), host);
        }
        for ((host, _), (port, at)) in &self.live {
            let holds = now.since(*at) < HOUR;
            let denied = Transport::ALL.into_iter().any(|transport| {
                let source = HOSTS[*host].parse().unwrap();
                self.world.engine.flow(Flow { source, transport, port: *port }).is_some()
            });
            prop_assert!(!(holds && denied), "{} {} is registered, and denied", HOSTS[*host], port);
        }
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn no_ban_of_any_scope_is_useless(
        story in prop::collection::vec(scoped(), 1..60),
        default in scope(),
    ) {
        let policy = Policy { scope: default, max_failures: 2, ..Policy::default() };
        let mut world = World::new(policy);
        world.pass(2 * MINUTE);
        for event in story {
            match event {
                Scoped::Pass(seconds) => drop(world.pass(Duration::from_secs(seconds))),
                Scoped::Fail(host) => drop(world.fail(HOSTS[host])),
                Scoped::Login(host) => {
                    let source = HOSTS[host].parse().unwrap();
                    (0..10).for_each(|_| drop(world.handle(Input::LoginFailure { source })));
                }
                Scoped::Allow(nets) => {
                    let nets: Vec<&str> = nets.into_iter().map(|at| NETS[at]).collect();
                    world.exempt(Exemption::Allow, &nets);
                }
                Scoped::Ban { net: at, scope, minutes, force } => {
                    let until = minutes.map_or(Expiry::Never, |n| {
                        Expiry::At(world.now + Duration::from_secs(60 * n))
                    });
                    let (net, reason) = (net(NETS[at]), "test".to_owned());
                    let actions = world.handle(Input::Ban { net, until, scope, reason, force });
                    if blocks(&actions) == [net.to_string()] {
                        let ban = world.engine.ban(net).unwrap();
                        prop_assert_eq!(ban.scope, scope.unwrap_or(default));
                    }
                }
                Scoped::Unban(at) => drop(world.unban(NETS[at])),
                Scoped::Adopt(at) => drop(world.handle(Input::Adopt { net: net(NETS[at]) })),
                Scoped::Restore { net: at, scope, minutes } => {
                    let (net, since) = (net(NETS[at]), world.now.earlier(MINUTE));
                    let until = Expiry::At(world.now + Duration::from_secs(60 * minutes));
                    let cause = Cause::Manual { reason: "stored".into(), force: false }.into();
                    world.handle(Input::Restore { net, since, until, scope, cause });
                }
            }
            none_is_useless(&world)?;
        }
    }

    #[test]
    fn flows_keep_their_bounds_and_spare_registrations(
        story in prop::collection::vec(event(), 1..120),
    ) {
        let mut world = World::without_networks(Policy::default());
        world.pass(2 * MINUTE);
        let mut story_of = Story { world, live: BTreeMap::new(), denied: BTreeMap::new() };
        for event in &story {
            story_of.step(event)?;
        }
        // Every denial ends.
        story_of.world.pass(10 * MINUTE);
        prop_assert_eq!(story_of.world.engine.flows().count(), 0);
    }
}
