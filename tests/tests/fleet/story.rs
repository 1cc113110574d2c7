//! Phones, attackers, operators and a malicious node; and what must hold.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use bytes::Bytes;
use ipnet::IpNet;
use sipward_engine::{Alarm, Cause, Origin, PeerName, ShadowedBecause, SourceView};
use sipward_fleet::message::{
    Ban, Body, By, Class, Home, Known, Lift, MAX_N, Message, Scope, Standing, Veto,
};
use sipward_fleet::{Peer, Text};

use crate::bus::{Bus, Second};
use crate::node::{Made, Node};

const MINUTE: Second = 60;
const HOUR: Second = 60 * MINUTE;

/// Time between two looks at the world.
const STEP: Second = 2;

/// No more attacks; no more partitions, restarts and lifts; the end.
const LAST_ATTACK: Second = 2 * HOUR;
const QUIET: Second = 2 * HOUR + 20 * MINUTE;
const END: Second = 4 * HOUR;

/// Phones register so often.
const REGISTERS: Second = 5 * MINUTE;

/// How long the word of a new address takes at most while a node is connected: the stream is read every ten seconds.
const WORD_TAKES: Second = 30;

/// How long an operator's lift holds.
const HOLD: Second = HOUR;

struct Phone {
    user: String,
    address: IpAddr,
    node: usize,
    /// Since when it is at the address.
    since: Second,
    next: Second,
    /// It has logged in from there.
    logged_in: bool,
    /// When its node has told the others of the address.
    told: Option<Second>,
    /// How often it has roamed: beyond four addresses a day nobody believes it.
    roamed: u32,
    /// Failures with an old password that it still sends.
    wrong: u32,
}

struct Attacker {
    addresses: Vec<IpAddr>,
    stopped: bool,
}

/// The malicious node, and what it does.
struct Malicious {
    name: Peer,
    n: u64,
    /// Bans of strangers within a minute.
    rate: u64,
    /// Bans of phones within an hour.
    hits: u64,
    banned: BTreeSet<IpNet>,
    /// Attackers that it claims to know: that protects them, until somebody distrusts it.
    protected: BTreeSet<IpAddr>,
}

struct Story {
    random: fastrand::Rng,
    now: Second,
    bus: Bus,
    nodes: Vec<Node>,
    connected_since: Vec<Second>,
    away_until: Vec<Second>,
    phones: Vec<Phone>,
    attackers: Vec<Attacker>,
    malicious: Malicious,
    operator: Peer,
    operators_n: u64,
    /// When each message was stored, by peer, network and number.
    stamps: BTreeMap<(String, IpNet, u64), Second>,
    lifts: BTreeMap<IpNet, Second>,
    addresses: u32,
}

/// Plays one story. What does not hold is the error.
pub(crate) fn play(seed: u64) -> Result<(), String> {
    let mut story = Story::new(seed);
    while story.now < END {
        story.now += STEP;
        story.step()?;
    }
    story.check_end()
}

impl Story {
    fn new(seed: u64) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        let count = if seed % 12 == 11 { random.usize(20..50) } else { random.usize(2..8) };
        let name = |n: usize| Peer::new(&format!("site-{}", n % 3), &format!("node-{n}")).unwrap();
        let nodes: Vec<Node> = (0..count).map(|n| Node::new(name(n), &mut random)).collect();
        let malicious = Malicious {
            name: Peer::new("site-1", "evil").unwrap(),
            n: 0,
            rate: [10, 100, 1_200][random.usize(..3)],
            hits: [0, 10, 1_000][random.usize(..3)],
            banned: BTreeSet::new(),
            protected: BTreeSet::new(),
        };
        let mut story = Self {
            random,
            now: 0,
            bus: Bus::default(),
            connected_since: vec![0; count],
            away_until: vec![0; count],
            nodes,
            phones: Vec::new(),
            attackers: Vec::new(),
            malicious,
            operator: Peer::new("ops", "alice").unwrap(),
            operators_n: 0,
            stamps: BTreeMap::new(),
            lifts: BTreeMap::new(),
            addresses: 0,
        };
        for n in 0..(3 * count).min(40) {
            let address = story.new_address();
            let (node, next) = (n % count, story.random.u64(..REGISTERS));
            let user = format!("10{n:02}");
            story.phones.push(Phone {
                user,
                address,
                node,
                since: next,
                next,
                logged_in: false,
                told: None,
                roamed: 0,
                wrong: 0,
            });
        }
        for n in 0..60_u16 {
            let v4 = |last| IpAddr::from(Ipv4Addr::new(203, 0, 113, last));
            let v6 = |last| IpAddr::from(Ipv6Addr::new(0x2001, 0xdb8, 0xbad, n, 0, 0, 0, last));
            let addresses = if n % 4 == 0 { (1..6).map(v6).collect() } else { vec![v4(n as u8)] };
            story.attackers.push(Attacker { addresses, stopped: false });
        }
        story
    }

    fn new_address(&mut self) -> IpAddr {
        self.addresses += 1;
        IpAddr::from(Ipv4Addr::from_bits(0xC612_0000 + self.addresses * 3))
    }

    fn step(&mut self) -> Result<(), String> {
        for node in &mut self.nodes {
            node.pass(self.now);
        }
        self.connections();
        for (to, stored) in self.bus.arrived(self.now) {
            if self.nodes[to].connected {
                self.nodes[to].receive(&stored);
            }
        }
        self.phones()?;
        if self.now < LAST_ATTACK {
            self.attackers();
        }
        if self.now > 20 * MINUTE && self.now < 60 * MINUTE {
            self.malicious();
        }
        if self.now > 30 * MINUTE && self.now < 80 * MINUTE && self.random.u64(..5 * MINUTE) < STEP
        {
            self.lift();
        }
        for at in 0..self.nodes.len() {
            self.publish(at);
        }
        self.check_made()?;
        if self.now % MINUTE < STEP { self.check_phones() } else { Ok(()) }
    }

    /// Nodes lose the bus and find it again, and their processes end and begin.
    fn connections(&mut self) {
        for at in 0..self.nodes.len() {
            let quiet = self.now >= QUIET;
            let node = &mut self.nodes[at];
            if node.connected && !quiet && self.random.u64(..90 * MINUTE) < STEP {
                let long = [2 * MINUTE, 20 * MINUTE, 100 * MINUTE][self.random.usize(..3)];
                node.connected = false;
                self.away_until[at] = self.now + self.random.u64(..long);
            } else if !node.connected && (quiet || self.now >= self.away_until[at]) {
                node.connected = true;
                self.connected_since[at] = self.now;
                node.put_right(&self.bus);
            } else if node.connected && self.now % 10 < STEP {
                node.catch_up(&self.bus);
            }
            if !quiet && self.random.u64(..HOUR) < STEP {
                let here = self.phones.iter().filter(|phone| phone.node == at && phone.wrong == 0);
                let here: Vec<(IpAddr, String)> = here
                    .filter(|phone| phone.since + 2 * REGISTERS < self.now)
                    .map(|phone| (phone.address, phone.user.clone()))
                    .collect();
                let node = &mut self.nodes[at];
                node.restart(&here);
                if node.connected {
                    self.connected_since[at] = self.now;
                    node.put_right(&self.bus);
                }
            }
        }
    }

    /// Connected long enough to have heard of what was said `since`.
    fn has_heard(&self, at: usize, since: Second) -> bool {
        self.nodes[at].connected && self.now >= self.connected_since[at].max(since) + WORD_TAKES
    }

    fn phones(&mut self) -> Result<(), String> {
        for at in 0..self.phones.len() {
            if self.now < self.phones[at].next {
                continue;
            }
            self.phones[at].next = self.now + REGISTERS;
            self.move_phone(at);
            let Phone { node, address, wrong, .. } = self.phones[at];
            let (user, agent) = (self.phones[at].user.clone(), format!("phone {at}"));
            let blocked = self.nodes[node].bans_host(address);
            ensure!(
                !blocked,
                "{user} at {address} is locked out of {} after {} s: {:?}",
                self.nodes[node].name,
                self.now,
                self.nodes[node].engine.source(address).ban
            );
            if wrong > 0 {
                self.nodes[node].fail(address, &user, &agent);
                self.phones[at].wrong -= 1;
                self.phones[at].next = self.now + STEP;
            } else {
                self.nodes[node].register(address, &user, &agent);
                self.phones[at].logged_in = true;
            }
        }
        Ok(())
    }

    /// It fails over, maybe with a password that was changed meanwhile, or roams.
    fn move_phone(&mut self, at: usize) {
        let Phone { node, told, wrong, roamed, .. } = self.phones[at];
        // Until the others have heard of it, it stays where it is.
        let Some(told) = told.filter(|_| wrong == 0) else { return };
        match self.random.u8(..20) {
            0 => {
                let other = self.random.usize(..self.nodes.len());
                self.phones[at].node = other;
                if other != node && self.has_heard(other, told) && self.random.bool() {
                    self.phones[at].wrong = 25;
                }
            }
            1 if self.now < QUIET && roamed < 4 => {
                let address = self.new_address();
                let phone = &mut self.phones[at];
                (phone.address, phone.since, phone.told) = (address, self.now, None);
                (phone.logged_in, phone.roamed) = (false, roamed + 1);
            }
            _ => {}
        }
    }

    fn attackers(&mut self) {
        for at in 0..self.attackers.len() {
            if self.attackers[at].stopped || self.random.u64(..20 * MINUTE) >= STEP {
                continue;
            }
            let node = self.random.usize(..self.nodes.len());
            for n in 0..8 {
                let addresses = &self.attackers[at].addresses;
                let address = addresses[n % addresses.len()];
                if !self.nodes[node].bans_host(address) {
                    self.nodes[node].fail(address, "admin", "friendly-caller");
                }
            }
        }
    }

    /// An operator lifts the ban of an attacker, who was a customer and has been told.
    fn lift(&mut self) {
        let at = self.random.usize(..self.attackers.len());
        if std::mem::replace(&mut self.attackers[at].stopped, true) {
            return;
        }
        let address = self.attackers[at].addresses[0];
        let net = source(address);
        let lift = Lift { hold_ms: HOLD * 1_000, reason: Text::default(), who: Text::default() };
        self.operators_n += 1;
        let (from, n) = (self.operator.clone(), self.operators_n);
        let message = Message { from, n, at: 0, body: Body::Lift(net, lift) };
        let said = (message.subject(), message.encode().unwrap());
        self.lifts.insert(net, self.now);
        let nodes = self.nodes.len();
        self.bus.publish(&self.operator, said, self.now, nodes, &mut self.random);
    }

    fn publish(&mut self, at: usize) {
        if !self.nodes[at].connected {
            return;
        }
        for body in std::mem::take(&mut self.nodes[at].outbox) {
            let message = self.nodes[at].message(body);
            self.put(&message);
        }
        let now = self.now;
        let here = self.phones.iter_mut().filter(|phone| phone.node == at && phone.logged_in);
        for phone in here {
            phone.told.get_or_insert(now);
        }
    }

    fn put(&mut self, message: &Message) {
        if let Body::Ban(net, _) = &message.body {
            let key = (message.from.to_string(), *net, message.n);
            self.stamps.entry(key).or_insert(self.now);
        }
        let said = (message.subject(), message.encode().unwrap());
        let (from, nodes) = (message.from.clone(), self.nodes.len());
        self.bus.publish(&from, said, self.now, nodes, &mut self.random);
    }

    fn malicious(&mut self) {
        let (rate, hits) = (self.malicious.rate, self.malicious.hits);
        for _ in 0..self.times(rate, MINUTE) {
            let bits = 0x6440_0000 + self.random.u32(..0x40_0000);
            let net = IpNet::from(IpAddr::from(Ipv4Addr::from_bits(bits)));
            self.accuse(net);
        }
        for _ in 0..self.times(hits, HOUR) {
            let phone = &self.phones[self.random.usize(..self.phones.len())];
            // Of others it cannot know.
            if phone.told.is_some_and(|told| told + 2 * WORD_TAKES < self.now) {
                let net = phone.address.into();
                self.accuse(net);
            }
        }
        if self.random.u64(..2 * MINUTE) < STEP {
            self.mischief();
        }
    }

    /// How often within a step what happens `many` times within `span`.
    fn times(&mut self, many: u64, span: Second) -> u64 {
        let most = many * STEP;
        most / span + u64::from(self.random.u64(..span) < most % span)
    }

    fn mischief(&mut self) {
        let attacker = self.attackers[self.random.usize(..self.attackers.len())].addresses[0];
        let net = source(attacker);
        match self.random.u8(..6) {
            0 => self.say(Body::Ban(net, Ban::Ended)),
            1 => {
                let wide = ["0.0.0.0/0", "198.18.0.0/15", "203.0.113.0/24", "2001:db8::/32"];
                let net = wide[self.random.usize(..4)].parse().unwrap();
                self.accuse(net);
            }
            2 => {
                let class = Text::cut("allow");
                self.say(Body::Veto("0.0.0.0/0".parse().unwrap(), Veto::Stands { class }));
            }
            3 => {
                let (class, home) = (Class::Trusted, Some(Home([7; 8])));
                self.malicious.protected.insert(attacker);
                let known = Known::Stands { class, since: 0, last: 0, home };
                self.say(Body::Known(attacker.into(), known));
            }
            4 => {
                // In the name of another, and what is no message at all.
                let victim = self.nodes[self.random.usize(..self.nodes.len())].name.clone();
                let body = Body::Ban(net, Ban::Ended);
                let forged = Message { from: victim, n: MAX_N, at: 0, body };
                let said = (forged.subject(), forged.encode().unwrap());
                let garbage = (forged.subject(), Bytes::from_static(b"{}"));
                let (name, nodes) = (self.malicious.name.clone(), self.nodes.len());
                self.bus.publish(&name, said, self.now, nodes, &mut self.random);
                self.bus.publish(&name, garbage, self.now, nodes, &mut self.random);
            }
            _ => {
                let lift =
                    Lift { hold_ms: u64::MAX, reason: Text::default(), who: Text::default() };
                self.say(Body::Lift("0.0.0.0/0".parse().unwrap(), lift));
            }
        }
    }

    fn accuse(&mut self, net: IpNet) {
        self.malicious.banned.insert(net);
        self.say(Body::Ban(
            net,
            Ban::Stands(Standing {
                decided: 0,
                for_ms: None,
                by: By::Manual,
                scope: Scope::Host,
                rule: Text::default(),
                grade: Text::default(),
                failures: 0,
                score: 0.0,
                count: u64::MAX,
                why: Text::cut("because"),
            }),
        ));
    }

    fn say(&mut self, body: Body) {
        self.malicious.n += 1 + self.random.u64(..1_000_000);
        let (from, n) = (self.malicious.name.clone(), self.malicious.n);
        self.put(&Message { from, n, at: 0, body });
    }

    /// No ban that was decided before a lift is made after it, and none at all while it holds.
    fn check_made(&mut self) -> Result<(), String> {
        for at in 0..self.nodes.len() {
            let node = &mut self.nodes[at];
            for Made { net, peer, n, heard } in std::mem::take(&mut node.made) {
                let (Some(lifted), Some(heard)) = (self.lifts.get(&net), heard) else { continue };
                let stamp = self.stamps.get(&(peer.to_string(), net, n)).copied();
                ensure!(
                    self.now >= heard + HOLD && stamp.is_some_and(|stamp| stamp > *lifted),
                    "{} bans {net} at {} s for {peer}, said at {stamp:?} s, lifted at {lifted} s",
                    node.name,
                    self.now
                );
            }
        }
        Ok(())
    }

    /// Healthy phones are banned nowhere.
    fn check_phones(&self) -> Result<(), String> {
        for phone in &self.phones {
            // Before its first log-in there, and while its node cannot tell, nobody can know.
            let Some(told) = phone.told else { continue };
            for at in (0..self.nodes.len()).filter(|at| self.has_heard(*at, told)) {
                let SourceView { ban, identity, .. } = self.nodes[at].engine.source(phone.address);
                ensure!(
                    ban.is_none(),
                    "{} at {} ({identity:?}) is banned by {} after {} s: {ban:?}",
                    phone.user,
                    phone.address,
                    self.nodes[at].name,
                    self.now
                );
            }
        }
        Ok(())
    }

    fn check_end(&self) -> Result<(), String> {
        let evil = &self.malicious.name;
        let evil = PeerName::new(evil.site.as_str(), evil.node.as_str()).unwrap();
        // What stands, by those who said it.
        let mut standing: BTreeMap<IpNet, Vec<String>> = BTreeMap::new();
        for stored in self.bus.all() {
            let Ok(message) = Message::parse(&stored.subject, &stored.value) else { continue };
            if let Body::Ban(net, Ban::Stands(_)) = message.body {
                standing.entry(net).or_default().push(message.from.to_string());
            }
        }
        let protected: BTreeSet<IpNet> =
            self.malicious.protected.iter().map(|it| source(*it)).collect();
        let mut honest = 0;
        for (net, by) in &standing {
            let said_by_honest = by.iter().any(|name| *name != evil.to_string());
            if !said_by_honest || protected.contains(net) {
                continue;
            }
            honest += 1;
            for node in &self.nodes {
                ensure!(
                    node.engine.ban(*net).is_some(),
                    "{by:?} ban {net}, but {} does not: {:?}",
                    node.name,
                    node.engine.fleet_assertions(*net)
                );
            }
        }
        ensure!(honest >= 5, "only {honest} bans of honest nodes stand");
        for node in &self.nodes {
            self.check_node(node, evil, &standing)?;
        }
        let heard = self.nodes.iter().all(|node| node.lifted.len() == self.lifts.len());
        ensure!(heard && !self.lifts.is_empty(), "{} lifts, not all heard", self.lifts.len());
        Ok(())
    }

    fn check_node(
        &self,
        node: &Node,
        evil: PeerName,
        standing: &BTreeMap<IpNet, Vec<String>>,
    ) -> Result<(), String> {
        let name = &node.name;
        let mut by_evil = 0;
        for ban in node.engine.bans().filter(|ban| ban.origin == Origin::Remote) {
            let cause = ban.cause.get();
            let Cause::Remote(said) = &*cause else { return Err(format!("{ban:?}")) };
            let net = ban.net;
            let holds = standing.get(&net).is_some_and(|by| by.contains(&said.peer.to_string()));
            ensure!(holds, "{name} bans {net} for {}, which does not say so", said.peer);
            // In a /64 where a node knows a host, because the malicious one said so, it bans the others one by one.
            let around = source(net.addr());
            let mut known = self.malicious.protected.iter();
            let is_alone = net == net.addr().into() && known.any(|host| around.contains(host));
            ensure!(net == around || is_alone, "{name} bans {net}, which is no source");
            ensure!(!self.lifts.contains_key(&net), "{name} bans {net}, which was lifted");
            by_evil += usize::from(said.peer == evil);
        }
        let view = node.engine.fleet_peers().find(|view| view.peer == evil);
        let Some(view) = view else {
            return Err(format!("{name} never heard of the malicious one"));
        };
        ensure!(view.standing <= sipward_engine::MAX_ASSERTIONS, "{name}: {view:?}");
        ensure!(by_evil <= view.standing, "{name} has {by_evil} bans of {view:?}");
        if view.shadowed.is_some() {
            ensure!(by_evil == 0, "{name} bans {by_evil} for a peer in shadow");
        }
        if self.malicious.rate > 600 {
            let flood = [ShadowedBecause::TooManyAMinute, ShadowedBecause::TooManyStanding];
            let because = view.shadowed;
            let hits = because == Some(ShadowedBecause::HitsKnown);
            let caught = hits || because.is_some_and(|because| flood.contains(&because));
            ensure!(caught, "{name} did not shadow a flood: {view:?}");
        }
        let honest = node
            .alarms
            .iter()
            .find(|alarm| matches!(alarm, Alarm::PeerShadowed { peer, .. } if *peer != evil));
        ensure!(honest.is_none(), "{name}: {honest:?}");
        let spared = self.attackers.iter().all(|attacker| {
            !attacker.stopped || attacker.addresses.iter().all(|it| !node.bans_host(*it))
        });
        ensure!(spared, "{name} bans somebody whose ban was lifted");
        Ok(())
    }
}

/// The source of an address, as engines ban it.
fn source(address: IpAddr) -> IpNet {
    let prefix = if address.is_ipv4() { 32 } else { 64 };
    IpNet::new(address, prefix).unwrap().trunc()
}
