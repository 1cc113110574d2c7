//! Simulated time: a FreeSWITCH, sipward's engine behind its events, and the kernel's bans before it.

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use ipnet::IpNet;
use sipward_engine::{
    Action, Engine, Flow, Input, Method, Offender, Policy, Registered, Success, Text, Timestamp,
    Transport,
};

use crate::event::{DOMAIN, Event, Kind, Name};
use crate::ledger::{Denial, Ledger};
use crate::phone::Phone;
use crate::sofia::{Answer, Request, SWEEP, Sofia};

pub(crate) const MILLISECOND: Duration = Duration::from_millis(1);
pub(crate) const SECOND: Duration = Duration::from_secs(1);
pub(crate) const MINUTE: Duration = Duration::from_secs(60);
pub(crate) const HOUR: Duration = Duration::from_secs(3_600);
pub(crate) const DAY: Duration = Duration::from_secs(86_400);

/// FreeSWITCH looks at its event queues every 20 ms.
const POLL: Duration = Duration::from_millis(20);

const START: Timestamp = Timestamp::from_micros(1_700_000_000_000_000);

/// What is due at a time.
#[derive(Debug)]
enum Due {
    Deliver(Event),
    /// By number, and the number of its plan: a later plan replaces it.
    Phone(usize, u64),
    Sweep,
    Snapshot {
        asked: Timestamp,
        first: bool,
    },
    Acl(IpAddr),
}

pub(crate) struct World {
    pub(crate) now: Timestamp,
    pub(crate) engine: Engine,
    pub(crate) policy: Policy,
    pub(crate) random: fastrand::Rng,
    pub(crate) sofia: Sofia,
    pub(crate) ledger: Ledger,
    pub(crate) phones: Vec<Phone>,
    /// Events may overtake each other by up to this.
    pub(crate) disorder: Duration,
    /// Part of the events that get lost.
    pub(crate) loss: f64,
    /// Networks that FreeSWITCH's ACLs allow.
    pub(crate) allowed: Vec<IpNet>,
    /// Guesses that FreeSWITCH checked, by the address they came from.
    pub(crate) guesses: HashMap<IpAddr, u64>,
    pub(crate) guessed: u64,
    agenda: BTreeMap<(Timestamp, u64), Due>,
    entries: u64,
    last_delivery: Timestamp,
    /// sipward sees nothing.
    blind_since: Option<Timestamp>,
    actions: Vec<Action>,
    events: Vec<Event>,
    serial: u64,
}

impl World {
    pub(crate) fn new(seed: u64) -> Self {
        Self::with(seed, Policy::default())
    }

    pub(crate) fn with(seed: u64, policy: Policy) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        let engine = Engine::new(policy.clone(), random.u64(..)).unwrap();
        let mut world = Self {
            now: START + Duration::from_secs(random.u64(..86_400)),
            engine,
            policy,
            random,
            sofia: Sofia::new(),
            ledger: Ledger::default(),
            phones: Vec::new(),
            disorder: Duration::ZERO,
            loss: 0.0,
            allowed: Vec::new(),
            guesses: HashMap::new(),
            guessed: 0,
            agenda: BTreeMap::new(),
            entries: 0,
            last_delivery: START,
            blind_since: None,
            actions: Vec::new(),
            events: Vec::new(),
            serial: 0,
        };
        world.tick();
        world.plan(SWEEP, Due::Sweep);
        let core = world.sofia.core;
        world.tell(Input::Core(core));
        world
    }

    /// sipward has run long enough that nothing is taken for unseen.
    pub(crate) fn settle(&mut self) {
        self.pass(3 * MINUTE);
    }

    /// Lets time pass: phones do what they do.
    pub(crate) fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            let next = self.agenda.first_key_value().map(|((at, _), _)| *at);
            let engine = self.engine.next_deadline().filter(|at| *at <= end);
            if let Some(at) = engine.filter(|at| next.is_none_or(|next| *at < next)) {
                self.now = at.max(self.now);
                self.tick();
                continue;
            }
            let Some(entry) = self.agenda.first_entry().filter(|entry| entry.key().0 <= end) else {
                break;
            };
            let (at, _) = *entry.key();
            let due = entry.remove();
            self.now = at.max(self.now);
            self.carry_out(due);
        }
        self.now = end;
        self.tick();
    }

    /// A random time between two.
    pub(crate) fn between(&mut self, from: Duration, to: Duration) -> Duration {
        let micros = from.as_micros() as u64..=to.as_micros() as u64;
        Duration::from_micros(self.random.u64(micros))
    }

    /// A request is sent; its answer goes to its source address.
    pub(crate) fn send(&mut self, request: &Request) -> Answer {
        self.tick();
        let addr = request.source.ip().to_canonical();
        let transport = if request.websocket { Transport::Tcp } else { Transport::Udp };
        let flow = Flow { source: addr, transport, port: request.source.port() };
        if self.ledger.is_blocked(addr)
            || self.ledger.is_denied(&flow)
            || !self.ledger.passes(addr, self.now)
        {
            return Answer::Nothing;
        }
        let mut events = std::mem::take(&mut self.events);
        let answer = self.sofia.handle(request, self.now, &mut events);
        self.deliver(&mut events);
        self.events = events;
        answer
    }

    /// The dialplan sends an event about a call from an address, if it arrives.
    pub(crate) fn dialplan(&mut self, source: SocketAddr, kind: Kind) {
        self.tick();
        if self.ledger.is_blocked(source.ip()) {
            return;
        }
        let mut events = std::mem::take(&mut self.events);
        self.sofia.dialplan(source, kind, &mut events);
        self.deliver(&mut events);
        self.events = events;
    }

    pub(crate) fn tell(&mut self, input: Input<'_>) {
        let mut actions = std::mem::take(&mut self.actions);
        self.engine.handle(input, self.now, &mut actions);
        self.actions = actions;
        self.note();
    }

    /// What is due by now happens before the next packet arrives.
    pub(crate) fn tick(&mut self) {
        let mut actions = std::mem::take(&mut self.actions);
        self.engine.tick(self.now, &mut actions);
        self.actions = actions;
        self.note();
    }

    /// sipward's connection is lost for a while; then it asks for the registrations.
    pub(crate) fn reconnect(&mut self, gap: Duration, listed_after: Duration) {
        let from = self.now;
        self.blind_since = Some(from);
        self.pass(gap);
        self.blind_since = None;
        let (core, to) = (self.sofia.core, self.now);
        self.tell(Input::Blind { from, to });
        self.tell(Input::Core(core));
        self.ask_registrations(listed_after, false);
    }

    /// sipward is started anew with what its store holds.
    pub(crate) fn restart_sipward(&mut self, gap: Duration, listed_after: Duration) {
        self.blind_since = Some(self.now);
        self.pass(gap);
        self.blind_since = None;
        self.engine = Engine::new(self.policy.clone(), self.random.u64(..)).unwrap();
        self.tick();
        let bans: Vec<_> = self.ledger.bans.clone();
        for ban in bans.iter().filter(|ban| ban.ended.is_some()) {
            if let Some(offender) = Offender::of(&ban.cause, ban.planned) {
                self.tell(Input::Offender(offender));
            }
        }
        let standing: Vec<_> = self.ledger.standing().cloned().collect();
        for ban in standing {
            let (net, since, until, scope) = (ban.net, ban.since, ban.planned, ban.scope);
            self.tell(Input::Restore { net, since, until, scope, cause: ban.cause });
        }
        // Also those that ended within the hour: a port is not denied again so soon.
        let lately = self.now.earlier(HOUR);
        let denied: Vec<_> = self.ledger.denials.clone();
        for denial in denied.into_iter().filter(|denial| denial.since > lately) {
            let Denial { flow, since, planned: until, cause, .. } = denial;
            self.tell(Input::RestoreFlow { flow, since, until, cause });
        }
        let limits = self.ledger.limits.clone();
        for (source, since, until) in limits.into_iter().filter(|(_, since, _)| *since > lately) {
            self.tell(Input::RestoreSlowed { source, since, until });
        }
        let successes: Vec<Success> = self.ledger.remembered.values().copied().collect();
        for success in successes {
            self.tell(Input::Remember(success));
        }
        let core = self.sofia.core;
        self.tell(Input::Core(core));
        self.ask_registrations(listed_after, false);
    }

    /// FreeSWITCH is started anew; sipward connects after `gap`.
    pub(crate) fn restart_freeswitch(&mut self, gap: Duration, forget: bool) {
        self.sofia.restart(forget);
        for phone in &mut self.phones {
            phone.forget_nonce();
        }
        self.reconnect(gap, 300 * MILLISECOND);
    }

    /// sipward asks for the registrations, and gets them after a while.
    pub(crate) fn ask_registrations(&mut self, after: Duration, first: bool) {
        let asked = self.now;
        self.plan(after, Due::Snapshot { asked, first });
    }

    /// A phone is known since some days, as the store says.
    pub(crate) fn remember(&mut self, phone: usize, age: Duration) {
        let Phone { addr, ref user, ref agent, .. } = self.phones[phone];
        let (user, user_agent) = (Text::new(user), Text::new(agent));
        let (since, at) = (self.now.earlier(age), self.now.earlier(HOUR));
        let success = Success { source: addr.ip(), user, user_agent, since, at };
        self.ledger.remembered.insert((addr.ip(), user.to_string()), success);
        self.tell(Input::Remember(success));
    }

    /// sipward is not there yet, or it is.
    pub(crate) fn unseen(&mut self, unseen: bool) {
        self.blind_since = unseen.then_some(self.now);
        if !unseen {
            let core = self.sofia.core;
            self.tell(Input::Core(core));
        }
    }

    /// A new installation: nothing is remembered.
    pub(crate) fn engine_anew(&mut self) {
        self.engine = Engine::new(self.policy.clone(), self.random.u64(..)).unwrap();
        self.ledger = Ledger::default();
        self.tick();
    }

    /// A list of registrations names a phone that FreeSWITCH serves.
    pub(crate) fn engine_hears_of(&mut self, phone: &Phone) {
        let (asked, core) = (self.now, self.sofia.core);
        let listed = Registered {
            source: phone.addr.ip(),
            port: Some(phone.addr.port()),
            user: &phone.user,
            domain: DOMAIN,
            realm: None,
            username: None,
            call_id: &phone.call_id,
            user_agent: &phone.agent,
            life: Some(HOUR),
            core,
        };
        self.tell(Input::Registrations { phones: vec![listed], asked, first: false });
    }

    /// An unused name.
    pub(crate) fn fresh(&mut self, what: &str) -> Name {
        self.serial += 1;
        format!("{what}-{}-{:08x}", self.serial, self.random.u32(..)).into()
    }

    pub(crate) fn wake_phone(&mut self, phone: usize, after: Duration) {
        self.serial += 1;
        self.phones[phone].plan = self.serial;
        self.plan(after, Due::Phone(phone, self.serial));
    }

    pub(crate) fn request(&mut self, source: SocketAddr, to: &Name, agent: &Name) -> Request {
        Request {
            source,
            method: Method::Register,
            websocket: false,
            call_id: self.fresh("call"),
            to: to.clone(),
            agent: agent.clone(),
            credentials: None,
            expires: HOUR,
            padding: 0,
        }
    }

    fn plan(&mut self, after: Duration, due: Due) {
        self.plan_at(self.now + after, due);
    }

    fn plan_at(&mut self, at: Timestamp, due: Due) {
        self.entries += 1;
        self.agenda.insert((at, self.entries), due);
    }

    fn carry_out(&mut self, due: Due) {
        match due {
            Due::Deliver(event) => {
                // What was on its way when the connection broke is gone.
                if self.blind_since.is_none() && event.core == self.sofia.core {
                    let mut actions = std::mem::take(&mut self.actions);
                    event.tell(&mut self.engine, self.now, &mut actions);
                    self.actions = actions;
                    self.note();
                }
            }
            Due::Phone(phone, plan) if self.phones[phone].plan == plan => self.step_phone(phone),
            Due::Phone(..) => {}
            Due::Sweep => {
                let mut events = std::mem::take(&mut self.events);
                self.sofia.sweep(self.now, &mut events);
                self.deliver(&mut events);
                self.events = events;
                self.plan(SWEEP, Due::Sweep);
            }
            Due::Snapshot { asked, first } => self.list(asked, first),
            Due::Acl(addr) => {
                let allowed = Some(self.allowed.iter().any(|net| net.contains(&addr)));
                self.tell(Input::AclAnswer { addr, allowed });
            }
        }
    }

    fn list(&mut self, asked: Timestamp, first: bool) {
        let held = self.sofia.registrations().to_vec();
        let core = self.sofia.core;
        let phones = held.iter().map(|held| Registered {
            source: held.source.ip(),
            port: Some(held.source.port()),
            user: &held.user,
            domain: DOMAIN,
            realm: None,
            username: None,
            call_id: &held.call_id,
            user_agent: &held.agent,
            life: Some(held.until.since(self.now)),
            core,
        });
        let phones = phones.collect();
        self.tell(Input::Registrations { phones, asked, first });
    }

    fn deliver(&mut self, events: &mut Vec<Event>) {
        for event in events.drain(..) {
            if self.blind_since.is_some() || (self.loss > 0.0 && self.random.f64() < self.loss) {
                continue;
            }
            let polled = Duration::from_micros(self.random.u64(..=POLL.as_micros() as u64));
            let late = Duration::from_micros(self.random.u64(..=self.disorder.as_micros() as u64));
            let in_order = (self.now + polled).max(self.last_delivery);
            self.last_delivery = in_order;
            self.plan_at(in_order + late, Due::Deliver(event));
        }
    }

    fn note(&mut self) {
        if self.actions.is_empty() {
            return;
        }
        for action in std::mem::take(&mut self.actions) {
            self.ledger.note(action, self.now);
        }
        for addr in std::mem::take(&mut self.ledger.asked) {
            let after = self.between(MILLISECOND, 900 * MILLISECOND);
            self.plan(after, Due::Acl(addr));
        }
    }

    /// The kernel's routes are the engine's bans.
    pub(crate) fn check(&mut self) -> Result<(), String> {
        self.tick();
        let bans = self.engine.bans().count();
        let blocked = self.ledger.blocked().count();
        let same = self.engine.bans().all(|ban| self.ledger.is_standing(&ban.net));
        crate::ensure!(bans == blocked && same, "{bans} bans, {blocked} in the kernel");
        let denied = self.ledger.denied_now().count();
        let same = self.engine.flows().all(|view| self.ledger.is_denied(&view.flow));
        let flows = self.engine.flows().count();
        crate::ensure!(flows == denied && same, "{flows} flows, {denied} in the kernel");
        Ok(())
    }
}
