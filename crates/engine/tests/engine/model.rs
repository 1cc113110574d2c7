//! The engine beside a deliberately naive model of the policy, fed with the same random story.
//!
//! The model thinks in single addresses of a small world and keeps every failure it ever saw.

use std::net::IpAddr;
use std::time::Duration;

use ipnet::IpNet;
use proptest::prelude::*;
use sipward_engine::*;

use crate::world::{World, blocks, net};

/// Hosts that share sources, exempt neighbours and wider networks.
const HOSTS: [&str; 9] = [
    "192.0.2.1",
    "192.0.2.2",
    "192.0.2.3",
    "198.51.100.1",
    "2001:db8:0:1::1",
    "2001:db8:0:1::2",
    "2001:db8:0:2::1",
    "fe80::1",
    "fe80::2",
];

/// What gets allowed, banned by hand and lifted.
const NETS: [&str; 8] = [
    "192.0.2.1/32",
    "192.0.2.2/31",
    "192.0.2.0/24",
    "198.51.100.0/24",
    "2001:db8:0:1::1/128",
    "2001:db8:0:1::/64",
    "2001:db8::/32",
    "fe80::1/128",
];

/// Longer than any automatic ban of the test policy, so that by hand a ban only grows.
const BY_HAND: Duration = Duration::from_secs(4_000);

#[derive(Clone, Debug)]
enum Event {
    Pass(u64),
    Fail { host: usize, proven: bool },
    Allow(Vec<usize>),
    Ban(usize),
    Unban(usize),
}

fn event() -> impl Strategy<Value = Event> {
    let net = 0..NETS.len();
    prop_oneof![
        // Short steps, and steps that hit the edge of window and ban exactly.
        5 => prop_oneof![0..3_000_u64, Just(9_999), Just(10_000), Just(10_001), Just(60_000)]
            .prop_map(Event::Pass),
        20 => (0..HOSTS.len(), prop::bool::weighted(0.9))
            .prop_map(|(host, proven)| Event::Fail { host, proven }),
        1 => prop::collection::vec(net.clone(), 0..3).prop_map(Event::Allow),
        1 => net.clone().prop_map(Event::Ban),
        1 => net.prop_map(Event::Unban),
    ]
}

fn policy() -> Policy {
    Policy {
        max_failures: 3,
        window: Duration::from_secs(10),
        ban_time: Duration::from_secs(60),
        escalation: Escalation {
            factor: 2.0,
            max: Duration::from_secs(600),
            forget_after: Duration::from_secs(300),
        },
        ..Policy::default()
    }
}

#[derive(Default)]
struct Model {
    /// Counted failures: source and time in ms.
    failures: Vec<(IpNet, u64)>,
    /// Who is banned until when, and whether by hand.
    bans: Vec<(IpAddr, u64, bool)>,
    /// Automatic bans of each source: count and when that is forgotten.
    offences: Vec<(IpNet, u32, u64)>,
    allowed: Vec<IpNet>,
    now: u64,
}

impl Model {
    /// A host is its own source where somebody in its network is exempt.
    fn source(&self, addr: IpAddr) -> IpNet {
        let net = IpNet::new(addr, if addr.is_ipv4() { 32 } else { 64 }).unwrap().trunc();
        let shared = self.allowed.iter().any(|a| a.contains(&net) || net.contains(a));
        if shared { IpNet::from(addr) } else { net }
    }

    fn is_allowed(&self, addr: IpAddr) -> bool {
        self.allowed.iter().any(|net| net.contains(&addr))
    }

    fn is_banned(&self, addr: IpAddr) -> bool {
        self.bans.iter().any(|(host, until, _)| *host == addr && *until > self.now)
    }

    /// True when this failure bans.
    fn fail(&mut self, addr: IpAddr, proven: bool) -> bool {
        if self.is_allowed(addr) || self.is_banned(addr) || !proven {
            return false;
        }
        let source = self.source(addr);
        self.failures.push((source, self.now));
        let in_window =
            self.failures.iter().filter(|(s, at)| *s == source && self.now - at < 10_000);
        if in_window.count() < 3 {
            return false;
        }
        self.failures.retain(|(s, _)| *s != source);
        let earlier = self.offences.iter().rev().find(|(s, ..)| *s == source);
        let count = earlier.filter(|(.., until)| *until > self.now).map_or(1, |(_, n, _)| n + 1);
        let until = self.now + (60_000 << (count - 1).min(10)).min(600_000);
        self.offences.push((source, count, until + 300_000));
        let alone = source == net("fe80::/64");
        for host in hosts() {
            if host == addr || (source.contains(&host) && !alone) {
                self.bans.push((host, until, false));
            }
        }
        true
    }

    fn allow(&mut self, nets: Vec<IpNet>) {
        self.allowed = nets;
        let allowed = &self.allowed;
        self.bans
            .retain(|(host, _, by_hand)| *by_hand || !allowed.iter().any(|net| net.contains(host)));
    }

    fn ban(&mut self, net: IpNet) {
        let until = self.now + 4_000_000;
        self.bans.extend(hosts().filter(|host| net.contains(host)).map(|host| (host, until, true)));
    }

    fn unban(&mut self, net: IpNet) {
        self.bans.retain(|(host, ..)| !net.contains(host));
        self.failures.retain(|(source, _)| !net.contains(source) && !source.contains(&net));
    }
}

fn hosts() -> impl Iterator<Item = IpAddr> {
    HOSTS.iter().map(|host| host.parse().unwrap())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn bans_exactly_whom_the_naive_model_bans(story in prop::collection::vec(event(), 1..200)) {
        let mut world = World::new(policy());
        let mut model = Model::default();
        for event in story {
            match event {
                Event::Pass(ms) => {
                    world.pass(Duration::from_millis(ms));
                    model.now += ms;
                }
                Event::Fail { host, proven } => {
                    let username = proven.then_some("1000");
                    let actions = world.fail_as(HOSTS[host], "1000", username);
                    let due = model.fail(HOSTS[host].parse().unwrap(), proven);
                    prop_assert_eq!(!blocks(&actions).is_empty(), due);
                }
                Event::Allow(nets) => {
                    let nets: Vec<&str> = nets.into_iter().map(|at| NETS[at]).collect();
                    world.exempt(Exemption::Allow, &nets);
                    model.allow(nets.into_iter().map(net).collect());
                }
                Event::Ban(at) => {
                    world.ban(NETS[at], BY_HAND);
                    model.ban(net(NETS[at]));
                }
                Event::Unban(at) => {
                    world.unban(NETS[at]);
                    model.unban(net(NETS[at]));
                }
            }
            for host in hosts() {
                let banned = world.engine.source(host).ban.is_some();
                prop_assert_eq!(banned, model.is_banned(host), "{}", host);
                let by_hand = model.bans.iter().any(|(h, _, by_hand)| *h == host && *by_hand);
                prop_assert!(!banned || by_hand || !model.is_allowed(host), "{} is allowed", host);
            }
        }
        // Every timed ban ends.
        world.pass(BY_HAND);
        prop_assert!(world.engine.bans().next().is_none());
    }

    /// Waking up at each deadline and waking up late come to the same.
    #[test]
    fn the_driver_may_be_late(gaps in prop::collection::vec((0..40_000_u64, 0..9_usize), 1..100)) {
        let mut late = World::new(policy());
        let mut prompt = World::new(policy());
        for (gap, host) in gaps {
            let now = prompt.now + Duration::from_millis(gap);
            while let Some(due) = prompt.engine.next_deadline().filter(|due| *due <= now) {
                prop_assert!(due >= prompt.now, "deadlines lie ahead");
                prompt.now = due;
                prompt.pass(Duration::ZERO);
                let next = prompt.engine.next_deadline();
                prop_assert!(next.is_none_or(|next| next > due), "a deadline is met at once");
            }
            prompt.now = now;
            late.now = now;
            prompt.fail(HOSTS[host]);
            late.fail(HOSTS[host]);
            prop_assert!(late.engine.bans().eq(prompt.engine.bans()));
        }
    }
}
