//! An engine with what a daemon does around it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use sipward_engine::*;
use sipward_fleet::Peer;
use sipward_fleet::merge::{Limits, Merge, Outcome};
use sipward_fleet::message::{Ban, Body, Key, Message};

use crate::bus::{Bus, Second, Stored};
use crate::convert;

/// True time 0, in seconds since 1970.
const BEGIN: u64 = 1_700_000_000;

/// Bans last longer than a story.
const BAN_TIME: Duration = Duration::from_secs(8 * 3_600);

/// A standing ban as the store has it.
type Saved = (Timestamp, Expiry, Scope, Arc<Cause>);

/// A ban of a peer that was made.
pub(crate) struct Made {
    pub(crate) net: IpNet,
    pub(crate) peer: PeerName,
    pub(crate) n: u64,
    /// When the node heard that the network was lifted, if it had by then.
    pub(crate) heard: Option<Second>,
}

/// A node.
pub(crate) struct Node {
    pub(crate) name: Peer,
    pub(crate) engine: Engine,
    /// Its clock is so many seconds ahead of twenty minutes behind: 0 to 1,200.
    skew: u64,
    pub(crate) now: Second,
    pub(crate) connected: bool,
    merge: Merge,
    n: u64,
    applied: u64,
    /// What it has said of its own bans, as far as it was stored.
    said: BTreeSet<IpNet>,
    bans: BTreeMap<IpNet, Saved>,
    successes: BTreeMap<(IpAddr, String), Success>,
    sequence: u64,
    call: u64,
    seed: u64,
    /// To be published, in order.
    pub(crate) outbox: Vec<Body>,
    /// Bans of peers that were made.
    pub(crate) made: Vec<Made>,
    pub(crate) alarms: Vec<Alarm>,
    /// When it heard of each lift.
    pub(crate) lifted: BTreeMap<IpNet, Second>,
}

/// How a fleet names a phone, without the HMAC.
pub(crate) fn home(user: &str, agent: &str) -> Home {
    let bytes = user.bytes().chain([0]).chain(agent.bytes());
    let number = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |sum, byte| {
        (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    Home(number.to_be_bytes())
}

fn engine(name: &Peer, seed: u64, now: Timestamp) -> Engine {
    let mut policy = Policy { ban_time: BAN_TIME, ..Policy::default() };
    policy.escalation.max = 4 * BAN_TIME;
    let mut engine = Engine::new(policy, seed).unwrap();
    let own = PeerName::new(name.site.as_str(), name.node.as_str()).unwrap();
    let settings =
        FleetSettings { own, quorum: Quorum::default(), home: Some(HomeHash::new(home)) };
    engine.handle(Input::Fleet(settings), now, &mut Vec::new());
    engine
}

impl Node {
    pub(crate) fn new(name: Peer, random: &mut fastrand::Rng) -> Self {
        let (skew, seed) = (random.u64(..=1_200), random.u64(..));
        let engine = engine(&name, seed, clock(0, skew));
        Self {
            name,
            engine,
            skew,
            now: 0,
            connected: true,
            merge: Merge::new(Limits::default()),
            n: 0,
            applied: 0,
            said: BTreeSet::new(),
            bans: BTreeMap::new(),
            successes: BTreeMap::new(),
            sequence: 0,
            call: 0,
            seed,
            outbox: Vec::new(),
            made: Vec::new(),
            alarms: Vec::new(),
            lifted: BTreeMap::new(),
        }
    }

    /// Its own clock.
    pub(crate) fn time(&self) -> Timestamp {
        clock(self.now, self.skew)
    }

    pub(crate) fn pass(&mut self, now: Second) {
        self.now = now;
        let mut actions = Vec::new();
        self.engine.tick(self.time(), &mut actions);
        self.carry_out(actions);
    }

    pub(crate) fn handle(&mut self, input: Input<'_>) {
        let mut actions = Vec::new();
        self.engine.handle(input, self.time(), &mut actions);
        self.carry_out(actions);
    }

    fn carry_out(&mut self, actions: Vec<Action>) {
        for action in actions {
            match action {
                Action::Block { net, since, until, scope, cause } => {
                    if let Cause::Remote(ban) = &*cause {
                        let heard = self.lifted.get(&net).copied();
                        self.made.push(Made { net, peer: ban.peer, n: ban.n, heard });
                    }
                    self.bans.insert(net, (since, until, scope, cause));
                    let ban = self.engine.ban(net);
                    if let Some(ban) = ban.filter(|ban| self.engine.is_publishable(ban)) {
                        self.outbox.push(convert::ban(&ban, self.time()));
                    }
                }
                Action::Unblock { net, reason } => {
                    self.bans.remove(&net);
                    if reason != UnblockReason::Expired && self.said.contains(&net) {
                        self.outbox.push(Body::Ban(net, Ban::Ended));
                    }
                }
                Action::Remember(success) => {
                    self.successes.insert((success.source, success.user.to_string()), success);
                    if let Some(phone) = self.engine.known_to_share(&success) {
                        let home = home(&phone.user, &phone.user_agent);
                        self.outbox.push(convert::known(&phone, home));
                    }
                }
                Action::Alarm(alarm) => self.alarms.push(alarm),
                _ => {}
            }
        }
    }

    /// A ban of a network or host of this one.
    pub(crate) fn bans_host(&self, addr: IpAddr) -> bool {
        self.engine.source(addr).ban.is_some()
    }

    /// A message came, on whichever way.
    pub(crate) fn receive(&mut self, stored: &Stored) {
        let Ok(message) = Message::parse(&stored.subject, &stored.value) else { return };
        if message.from == self.name {
            return;
        }
        let stamp_ms = (BEGIN + stored.stamp) * 1_000;
        match self.merge.take(&message, &stored.value, stamp_ms) {
            Outcome::Newer(forgotten) => {
                for (peer, key) in forgotten {
                    if let Key::Ban(net) = key {
                        let peer = PeerName::new(peer.site.as_str(), peer.node.as_str()).unwrap();
                        self.handle(Input::RemoteEnded { peer, net, n: u64::MAX });
                    }
                }
            }
            Outcome::Same | Outcome::Older | Outcome::Full => return,
        }
        // The server's time, by this node's clock.
        let age = self.time().since(Timestamp::from_micros(stamp_ms * 1_000));
        if let Body::Lift(net, _) = &message.body {
            self.lifted.insert(*net, self.now);
        }
        if let Some(input) = convert::input(&message, age) {
            self.handle(input);
        }
    }

    /// Reads the stream from where it left off; before that nothing is put.
    pub(crate) fn catch_up(&mut self, bus: &Bus) {
        for stored in bus.since(self.applied) {
            self.receive(&stored);
            self.applied = stored.revision;
        }
    }

    /// After a connection: puts what stands and is missing, and ends what no longer stands.
    pub(crate) fn put_right(&mut self, bus: &Bus) {
        self.catch_up(bus);
        let mut said = BTreeMap::new();
        for stored in bus.said_by(&self.name) {
            if let Ok(Message { body: Body::Ban(net, ban), n, .. }) =
                Message::parse(&stored.subject, &stored.value)
            {
                self.n = self.n.max(n);
                let stands = ban != Ban::Ended;
                said.insert(net, stands);
                if stands {
                    self.said.insert(net);
                }
            }
        }
        let stands: Vec<IpNet> = self
            .engine
            .bans()
            .filter(|ban| self.engine.is_publishable(ban))
            .map(|ban| ban.net)
            .collect();
        self.outbox.retain(|body| !matches!(body, Body::Ban(..)));
        for net in &stands {
            if said.get(net) != Some(&true) {
                let ban = self.engine.ban(*net).unwrap();
                self.outbox.push(convert::ban(&ban, self.time()));
            }
        }
        let gone =
            said.iter().filter(|(net, stands_there)| **stands_there && !stands.contains(net));
        self.outbox.extend(gone.map(|(net, _)| Body::Ban(*net, Ban::Ended)));
    }

    /// The next message of what it has to say.
    pub(crate) fn message(&mut self, body: Body) -> Message {
        self.n += 1;
        match &body {
            Body::Ban(net, Ban::Stands(_)) => drop(self.said.insert(*net)),
            Body::Ban(net, Ban::Ended) => drop(self.said.remove(net)),
            _ => {}
        }
        Message { from: self.name.clone(), n: self.n, at: self.time().as_micros() / 1_000, body }
    }

    /// The process ends and begins anew with what the store has: bans, successes, its number. `phones` are registered
    /// there.
    pub(crate) fn restart(&mut self, phones: &[(IpAddr, String)]) {
        self.engine = engine(&self.name, self.seed, self.time());
        self.merge = Merge::new(Limits::default());
        self.applied = 0;
        self.said.clear();
        // The stream says it again.
        self.lifted.clear();
        for success in std::mem::take(&mut self.successes).into_values() {
            self.successes.insert((success.source, success.user.to_string()), success);
            self.handle(Input::Remember(success));
        }
        for (net, (since, until, scope, cause)) in std::mem::take(&mut self.bans) {
            self.handle(Input::Restore { net, since, until, scope, cause });
        }
        let listed: Vec<Registered<'_>> =
            phones.iter().map(|(source, user)| registered(*source, user, "")).collect();
        let asked = self.time();
        self.handle(Input::Registrations { phones: listed, asked, first: false });
    }

    /// Somebody with a wrong password: challenge, attempt, failure.
    pub(crate) fn fail(&mut self, source: IpAddr, user: &str, user_agent: &str) {
        let call = self.challenge(source, user);
        let (attempt, failure) = (self.next(), self.next());
        let attempt = Self::attempt(source, (user, user_agent), &call, attempt);
        self.handle(Input::AuthAttempt(attempt));
        self.handle(Input::AuthFailure(AuthFailure {
            source,
            port: 5060,
            profile: "internal",
            user,
            domain: "pbx.test",
            user_agent,
            method: Method::Register,
            sequence: failure,
            core: CoreId(1),
        }));
    }

    /// A phone with the right password: challenge, success, registration.
    pub(crate) fn register(&mut self, source: IpAddr, user: &str, user_agent: &str) {
        let call = self.challenge(source, user);
        let sequence = self.next();
        let attempt = Self::attempt(source, (user, user_agent), &call, sequence);
        self.handle(Input::AuthAttempt(AuthAttempt { result: AuthResult::Success, ..attempt }));
        let registered = registered(source, user, user_agent);
        self.handle(Input::Registered(Registered { call_id: &call, ..registered }));
    }

    fn challenge(&mut self, source: IpAddr, user: &str) -> String {
        self.call += 1;
        let call = format!("{:x}-{}", self.seed, self.call);
        let (port, profile, core) = (5060, "internal", CoreId(1));
        self.handle(Input::Challenge(Challenge {
            source,
            port,
            profile,
            user,
            call_id: &call,
            core,
        }));
        call
    }

    fn attempt<'a>(
        source: IpAddr,
        (user, user_agent): (&'a str, &'a str),
        call_id: &'a str,
        sequence: u64,
    ) -> AuthAttempt<'a> {
        AuthAttempt {
            source,
            port: 5060,
            profile: "internal",
            user,
            domain: "pbx.test",
            realm: Some("pbx.test"),
            username: Some(user),
            call_id,
            websocket: false,
            result: AuthResult::Forbidden,
            user_agent,
            sequence,
            core: CoreId(1),
        }
    }

    fn next(&mut self) -> u64 {
        self.sequence += 10;
        self.sequence
    }
}

fn registered<'a>(source: IpAddr, user: &'a str, user_agent: &'a str) -> Registered<'a> {
    Registered {
        source,
        port: Some(5060),
        user,
        domain: "pbx.test",
        realm: Some("pbx.test"),
        username: Some(user),
        call_id: user,
        user_agent,
        life: Some(Duration::from_secs(1_200)),
        core: CoreId(1),
    }
}

/// A clock that is up to ten minutes wrong, either way.
fn clock(now: Second, skew: u64) -> Timestamp {
    Timestamp::from_micros((BEGIN - 600 + skew + now) * 1_000_000)
}
