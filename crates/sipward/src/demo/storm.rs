//! The hosts of the demo: attackers, phones, and a forger.

use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use ipnet::IpNet;
use sipward_engine::{Flow, Transport};

use super::events::{Events, Request};

/// What the storm has sent, and what became of it.
#[derive(Debug, Default)]
pub(super) struct Counts {
    /// Requests of attackers that FreeSWITCH had to answer.
    pub(super) answered: AtomicU64,
    /// Requests of banned attackers, which the gate would have dropped.
    pub(super) dropped: AtomicU64,
    /// Registrations of healthy phones.
    pub(super) registered: AtomicU64,
    /// Registrations of healthy phones that a ban would have stopped. Must stay 0.
    pub(super) harmed: AtomicU64,
    /// Forged packets.
    pub(super) forged: AtomicU64,
    /// Registrations of healthy phones behind the NAT.
    pub(super) behind_nat: AtomicU64,
    /// Requests of denied flows, which the gate would have dropped.
    pub(super) denied: AtomicU64,
}

/// What the daemon has the kernel stop.
#[derive(Debug, Default)]
pub(super) struct Stopped {
    /// Banned networks.
    pub(super) nets: HashSet<IpNet>,
    /// Denied flows.
    pub(super) flows: HashSet<Flow>,
}

impl Stopped {
    fn has(&self, source: IpAddr, port: u16) -> bool {
        self.flows.contains(&Flow { source, transport: Transport::Udp, port })
            || self.nets.iter().any(|net| net.contains(&source))
    }
}

/// A host that sends requests.
#[derive(Debug)]
struct Actor {
    source: Source,
    /// The source port of all its requests; without one, each has another.
    port: Option<u16>,
    agent: &'static str,
    role: Role,
    /// Silent before.
    starts: Duration,
    /// Pause between requests.
    pause: Duration,
    next: Duration,
    sent: u32,
}

#[derive(Clone, Copy, Debug)]
enum Source {
    Fixed(IpAddr),
    /// Another address of one /64 for each request.
    Rotating(u64),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    /// Tries user after user.
    Attacker,
    /// Registers; the password is right, but for the first `slips` times.
    Phone { user: u16, slips: u32 },
    /// A phone behind the NAT: registers, or keeps trying an old password.
    BehindNat { user: u16, old_password: bool },
    /// Sends blind packets that name one of the phones.
    Spoofer,
}

/// The population and its clock.
#[derive(Debug)]
pub(super) struct Storm {
    actors: Vec<Actor>,
    events: Events,
    random: fastrand::Rng,
    counts: Arc<Counts>,
}

/// Phones behind the NAT, which are one address; the last of them has an old password.
pub(super) const NAT_PHONES: u16 = 12;

/// Their address.
pub(super) const NAT: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 50);

/// The source port of the first of them; the others follow.
const NAT_PORTS: u16 = 40_000;

/// What attackers call themselves: two by the names of their tools, two like a phone.
const AGENTS: [&str; 4] =
    ["Grandstream GXP1625 1.0.4.132", "friendly-scanner", "eyeBeam release 1102q", "sipvicious"];

impl Storm {
    pub(super) fn new(seed: u64) -> Self {
        let mut actors = Vec::new();
        // Brute-forcers over IPv4: from patient to furious.
        for (n, per_second) in (0_u8..).zip([2_u32, 4, 8, 15, 30, 60, 3, 5, 10, 20, 40, 6]) {
            // Each in a network of its own, or the rule `network` would ban them together.
            let address = Ipv4Addr::new(198, 18, n, 10 + n * 7);
            let agent = AGENTS.get(usize::from(n) % AGENTS.len()).copied().unwrap_or_default();
            actors.push(Actor::attacker(
                Source::Fixed(address.into()),
                agent,
                Duration::from_millis(500 + u64::from(n) * 900),
                Duration::from_secs(1) / per_second,
            ));
        }
        // Brute-forcers over IPv6, one of which takes another address of its /64 each time.
        let fixed = Ipv6Addr::new(0x2001, 0xdb8, 0xbad, 1, 0, 0, 0, 0x10);
        actors.push(Actor::attacker(
            Source::Fixed(fixed.into()),
            "Grandstream GXP1625 1.0.4.132",
            Duration::from_secs(2),
            Duration::from_millis(120),
        ));
        actors.push(Actor::attacker(
            Source::Rotating(0x2001_0db8_0bad_0002),
            "eyeBeam release 1102q",
            Duration::from_secs(4),
            Duration::from_millis(90),
        ));
        // Healthy phones; every third of the first nine mistypes once. The last is an office on
        // the allow list whose phone has an old password.
        for n in 0_u8..30 {
            let slips = u32::from(n < 9 && n % 3 == 0);
            actors.push(Actor::phone(phone_address(n), 1000 + u16::from(n), slips));
        }
        actors.push(Actor {
            pause: Duration::from_millis(700),
            ..Actor::phone(Ipv4Addr::new(198, 51, 100, 66).into(), 1100, u32::MAX)
        });
        actors.extend((0..NAT_PHONES).map(Actor::behind_nat));
        // A forger that wants the phones banned.
        actors.push(Actor {
            role: Role::Spoofer,
            agent: "spoofer",
            starts: Duration::from_secs(3),
            ..Actor::attacker(
                Source::Fixed(phone_address(0)),
                "spoofer",
                Duration::from_secs(3),
                Duration::from_millis(20),
            )
        });
        let counts = Arc::default();
        Self { actors, events: Events::new(seed), random: fastrand::Rng::with_seed(seed), counts }
    }

    pub(super) fn counts(&self) -> Arc<Counts> {
        Arc::clone(&self.counts)
    }

    pub(super) fn heartbeat(&mut self) -> String {
        self.events.heartbeat()
    }

    /// Everything that happens up to `elapsed` since the start, as events. What `stopped` sources
    /// and flows send never reaches FreeSWITCH, so it makes no event.
    pub(super) fn advance(&mut self, elapsed: Duration, stopped: &Stopped) -> String {
        let Self { actors, events, random, counts } = self;
        let mut out = String::new();
        for actor in actors {
            while actor.starts.max(actor.next) <= elapsed {
                actor.next = actor.starts.max(actor.next) + jittered(actor.pause, random);
                out.push_str(&actor.send(events, random, counts, stopped));
            }
        }
        out
    }
}

impl Actor {
    fn attacker(source: Source, agent: &'static str, starts: Duration, pause: Duration) -> Self {
        let (role, port) = (Role::Attacker, None);
        Self { source, port, agent, role, starts, pause, next: starts, sent: 0 }
    }

    /// Each has a port of its own, as a NAT gives it. The one with the old password begins when the others are
    /// registered, and tries far more often than a phone would: a NAT of so many may fail 60 times, and there are
    /// 20 seconds to see it.
    fn behind_nat(n: u16) -> Self {
        let (user, old_password) = (1200 + n, n + 1 == NAT_PHONES);
        let usual = Self::phone(NAT.into(), user, 0);
        let (starts, pause) = if old_password {
            (Duration::from_secs(4), Duration::from_millis(80))
        } else {
            (usual.starts, usual.pause)
        };
        let (role, port) = (Role::BehindNat { user, old_password }, Some(NAT_PORTS + n));
        Self { port, role, starts, pause, ..usual }
    }

    fn phone(address: IpAddr, user: u16, slips: u32) -> Self {
        Self {
            source: Source::Fixed(address),
            port: None,
            agent: "Yealink SIP-T46U 108.86.0.45",
            role: Role::Phone { user, slips },
            starts: Duration::from_millis(u64::from(user % 30) * 100),
            pause: Duration::from_secs(3),
            next: Duration::ZERO,
            sent: 0,
        }
    }

    fn send(
        &mut self,
        events: &mut Events,
        random: &mut fastrand::Rng,
        counts: &Counts,
        stopped: &Stopped,
    ) -> String {
        let source = match (self.source, self.role) {
            (_, Role::Spoofer) => phone_address(random.u8(0..30)),
            (Source::Fixed(address), _) => address,
            (Source::Rotating(prefix), _) => {
                Ipv6Addr::from((u128::from(prefix) << 64) | u128::from(random.u64(1..))).into()
            }
        };
        let port = self.port.unwrap_or_else(|| random.u16(1024..));
        let stopped = stopped.has(source, port);
        let user = match self.role {
            Role::Phone { user, .. } | Role::BehindNat { user, .. } => user.to_string(),
            Role::Attacker | Role::Spoofer => (1000 + random.u16(0..30)).to_string(),
        };
        let request = Request { source, port, user: &user, agent: self.agent };
        let count = |counter: &AtomicU64| {
            counter.fetch_add(1, Ordering::Relaxed);
        };
        self.sent = self.sent.saturating_add(1);
        match self.role {
            Role::Attacker if stopped => count(&counts.dropped),
            Role::BehindNat { old_password: true, .. } if stopped => count(&counts.denied),
            Role::Phone { .. } | Role::BehindNat { .. } if stopped => count(&counts.harmed),
            Role::BehindNat { old_password: true, .. } => return events.failure(request),
            Role::BehindNat { old_password: false, .. } => {
                count(&counts.behind_nat);
                return events.success(request);
            }
            Role::Attacker => {
                count(&counts.answered);
                return events.failure(request);
            }
            Role::Phone { slips, .. } => {
                if self.sent <= slips {
                    return events.failure(request);
                }
                count(&counts.registered);
                return events.success(request);
            }
            Role::Spoofer => {
                count(&counts.forged);
                return events.blind_spoof(request);
            }
        }
        String::new()
    }
}

fn phone_address(n: u8) -> IpAddr {
    Ipv4Addr::new(192, 0, 2, 20 + n).into()
}

/// Varied by a quarter, as on a real network.
fn jittered(pause: Duration, random: &mut fastrand::Rng) -> Duration {
    pause.mul_f64(0.75 + random.f64() / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(counter: &AtomicU64) -> u64 {
        counter.load(Ordering::Relaxed)
    }

    #[test]
    fn a_denied_flow_keeps_one_phone_out_and_the_others_of_the_nat_go_on() {
        let mut storm = Storm::new(7);
        let counts = storm.counts();
        let before = storm.advance(Duration::from_secs(6), &Stopped::default());
        let tries = |events: &str| events.matches("to-user: 1211\n").count();
        assert!(tries(&before) > 0);
        let (registered, denied) = (read(&counts.behind_nat), read(&counts.denied));
        assert!(registered >= u64::from(NAT_PHONES - 1), "{registered}");
        assert_eq!(denied, 0);

        let port = NAT_PORTS + NAT_PHONES - 1;
        let flow = Flow { source: NAT.into(), transport: Transport::Udp, port };
        let stopped = Stopped { flows: [flow].into(), ..Stopped::default() };
        let after = storm.advance(Duration::from_secs(12), &stopped);
        assert_eq!(tries(&after), 0, "what the gate drops makes no event");
        assert!(read(&counts.denied) > 0);
        assert!(read(&counts.behind_nat) >= registered + u64::from(NAT_PHONES - 1));
        assert_eq!(read(&counts.harmed), 0);
    }
}
