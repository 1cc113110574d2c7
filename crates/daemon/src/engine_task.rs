//! The task that owns the engine: events in, route changes and records out.
//!
//! `hear` holds what comes in, `act` what goes out, `standing` and `kernel` what is remembered of that,
//! `restore` what the start brings back, `flood` how FreeSWITCH fares in a flood.

mod act;
mod first_list;
mod flood;
mod gather;
mod handle;
mod hear;
mod kernel;
mod mode;
mod prober;
mod publisher;
mod restore;
mod shielding;
mod state;
mod time;

use std::collections::HashMap;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use ipnet::IpNet;
use sipward_engine::{Action, Engine, Exemption, Flow, Input, Policy, Success, Timestamp};
use sipward_esl::Notices;
use sipward_route::{Report, USUAL_REQUESTS};
use tokio::sync::{broadcast, mpsc, oneshot};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

pub use first_list::FirstList;
pub(crate) use flood::Flood;
pub use flood::{Answers, Profiles};
use handle::Call;
pub use handle::{EngineHandle, EngineUnavailable};
pub use prober::Prober;
pub use publisher::{Publications, Published, PublishedBan, Publisher, publications};
pub use shielding::{Shielding, SlowedHost};

use crate::freeswitch_queries::table::Protected;
use crate::freeswitch_queries::{Answer, Query, Registration};
use crate::names::Exempt;
use crate::probe::Probed;
use crate::route_queue::RouteQueue;
use gather::Gathered;
pub use kernel::{KernelSide, Note};
pub use restore::TakenOver;
use sipward_config::file::Shield;
use sipward_ingest::log_parser::LogReader;
use sipward_model::clock::{Clock, StepWatch};
use sipward_model::record::{Ban, FlowDenied, Record, Totals};
use sipward_store::{Saved, State, Store};
use state::DaemonState;
pub use state::{FAILURES, Failure};
use time::Stored;

/// Notices and reports handled in one turn, so that neither starves the other.
const TURN: usize = 256;

/// Room kept for bans whose route is under way.
const UNDER_WAY: usize = 256;

/// How often the task wakes by itself: watchdog, status line, lost log lines.
const HEARTBEAT: Duration = Duration::from_secs(1);

/// Beats between two checks for registrations that expired without an event.
const EXPIRE_BEATS: u64 = 30;

/// How often a failed attempt is reported again whose reason is still the same: there may be four a second.
const TELL_AGAIN: Duration = Duration::from_secs(30);

/// Phones of the first list that are kept until its end, and bytes of their text. A larger one makes known, not
/// trusted.
const FIRST_PHONES: usize = 131_072;
const FIRST_BYTES: usize = 32 * 1024 * 1024;

/// FreeSWITCH writes its list of registrations by a queue: it lags behind the events by up to a second.
const LIST_LAG: Duration = Duration::from_secs(2);

/// Time that draining may take after the stop signal; the whole stop must fit into 2 s.
const DRAIN: Duration = Duration::from_millis(1_200);

/// What an operator or another task of the daemon wants of the engine.
#[derive(Debug)]
pub enum Command {
    /// A policy that was read again.
    Policy(Box<Policy>),
    /// New networks for classes of exemption.
    Exempt(Vec<Exempt>),
    /// What the store holds, known only now.
    Saved(Box<Saved>),
    /// The shield's settings were read again.
    Shield(Shield),
    /// A query or command ([`EngineHandle`]).
    Call(Call),
}

/// Where the task hears from the others.
#[derive(Debug)]
pub struct Inputs {
    pub notices: Notices,
    pub reports: mpsc::Receiver<Report>,
    pub commands: mpsc::Receiver<Command>,
    /// What FreeSWITCH answered.
    pub answers: mpsc::Receiver<Answer>,
    /// Whether FreeSWITCH's profiles answer.
    pub probed: mpsc::Receiver<Probed>,
}

/// Where the task speaks to the others.
#[derive(Debug)]
pub struct Outputs {
    pub routes_out: RouteQueue,
    pub store: Store,
    pub questions: mpsc::Sender<Query>,
    pub records: broadcast::Sender<Arc<Record>>,
}

/// Why the task ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// It was asked to.
    Asked,
    /// The task that owns the socket or netlink is gone.
    Abandoned,
}

/// The engine and all that it needs around it.
pub struct EngineTask {
    /// Boxed: it is large, and the task that owns it is moved about.
    engine: Box<Engine>,
    clock: Clock,
    routes_out: RouteQueue,
    store: Store,
    actions: Vec<Action>,
    /// Bans whose route is under way: their record waits for the kernel's answer.
    under_way: HashMap<IpNet, UnderWay>,
    /// Denied flows for which the kernel has not answered. The engine bounds them.
    flows_under_way: HashMap<Flow, FlowDenied>,
    /// Requests that wait for the kernel's answer to a ban. Their number is bounded.
    awaited: HashMap<IpNet, Vec<oneshot::Sender<()>>>,
    totals: Totals,
    records: broadcast::Sender<Arc<Record>>,
    peer: Option<SocketAddr>,
    never_connected: bool,
    status_hook: StatusHook,
    questions: mpsc::Sender<Query>,
    log: LogReader,
    /// Addresses whose query found no room.
    unasked: Vec<IpAddr>,
    standing: DaemonState,
    kernel: KernelSide,
    /// Events were dropped since the last beat: registrations may have gone unseen.
    missed: bool,
    /// `None` where the kernel is left alone.
    shielding: Option<Shielding>,
    flood: Flood,
    prober: Option<Prober>,
    /// `None` without a fleet.
    publisher: Option<Publisher>,
    /// Log-ins that the store has, until the fleet has taken them; `None` without one.
    remembered: Option<Vec<Success>>,
    protected: Protected,
    /// The last failed attempt that was reported, and its time.
    told_failure: Option<(String, Instant)>,
    beats: u64,
    /// When the last turn ended.
    turned: Instant,
    stored: Stored,
    forged: Gathered,
    unusable: Gathered,
    /// `None` once a list of registrations came.
    first_list: Option<FirstList>,
    /// The phones of that list, which is judged as a whole.
    first_phones: Vec<Registration>,
    first_bytes: usize,
}

/// Called once a beat.
pub(crate) type StatusHook = Box<dyn FnMut(&EngineStatus) + Send>;

/// The state of the daemon, for the status line.
#[derive(Clone, Copy, Debug)]
pub struct EngineStatus {
    peer: Option<SocketAddr>,
    totals: Totals,
    stores: bool,
}

impl fmt::Display for EngineStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.peer {
            Some(peer) => write!(f, "connected to FreeSWITCH at {peer}")?,
            None => f.write_str("NOT connected to FreeSWITCH")?,
        }
        let Totals { failures, banned_now, .. } = self.totals;
        write!(f, "; {banned_now} banned, {failures} failures since the start")?;
        f.write_str(if self.stores { "" } else { "; STORAGE FAILED" })
    }
}

struct UnderWay {
    ban: Ban,
    cause: Option<Happened>,
}

/// When an event happened.
#[derive(Clone, Copy, Debug)]
struct Happened {
    /// It left the socket.
    received: Instant,
    /// By FreeSWITCH's clock.
    dated: Option<Timestamp>,
}

impl EngineTask {
    pub fn new(
        engine: Engine,
        clock: Clock,
        outputs: Outputs,
        status_hook: StatusHook,
        shielding: Option<Shielding>,
    ) -> Self {
        let Outputs { routes_out, store, questions, records } = outputs;
        let standing = DaemonState::new(clock.now());
        Self {
            engine: Box::new(engine),
            clock,
            routes_out,
            store,
            actions: Vec::new(),
            under_way: HashMap::new(),
            flows_under_way: HashMap::new(),
            awaited: HashMap::new(),
            totals: Totals::default(),
            records,
            peer: None,
            never_connected: true,
            status_hook,
            questions,
            log: LogReader::default(),
            unasked: Vec::new(),
            standing,
            kernel: KernelSide::default(),
            missed: false,
            shielding,
            flood: Flood::default(),
            prober: None,
            publisher: None,
            remembered: None,
            protected: Protected::new(),
            told_failure: None,
            beats: 0,
            turned: Instant::now(),
            stored: Stored::default(),
            forged: Gathered::default(),
            unusable: Gathered::default(),
            first_list: None,
            first_phones: Vec::new(),
            first_bytes: 0,
        }
    }

    /// Comes when the kernel has answered for the ban of `net`; at once where it has. A ban that ends first has no
    /// answer.
    pub fn kernel_answer(&mut self, net: IpNet) -> oneshot::Receiver<()> {
        let (answer, answered) = oneshot::channel();
        if self.under_way.contains_key(&net) {
            let waiting = self.awaited.entry(net).or_default();
            waiting.retain(|waiting| !waiting.is_closed());
            waiting.push(answer);
        } else {
            let _ = answer.send(());
        }
        answered
    }

    /// Has FreeSWITCH's profiles asked whether they answer.
    pub fn ask_by(&mut self, prober: Prober) {
        self.prober = Some(prober);
    }

    /// Keeps the log-ins that the store has for [`EngineTask::publish_by`].
    pub fn keep_remembered(&mut self) {
        self.remembered = Some(Vec::new());
    }

    /// Has other nodes told of bans and known phones from now on; gives the log-ins that the store has.
    pub fn publish_by(&mut self, publisher: Publisher) -> Vec<Success> {
        self.publisher = Some(publisher);
        self.remembered.take().unwrap_or_default()
    }

    /// The next list of registrations is the first that this installation sees.
    pub fn await_first_list(&mut self, first_list: Option<FirstList>) {
        self.first_list = first_list;
    }

    /// Bans whose route is under way.
    pub fn under_way(&self) -> usize {
        self.under_way.len()
    }

    /// Passes an input to the engine that is not an event.
    pub fn handle(&mut self, input: Input<'_>) {
        self.decide(input, |_| ());
    }

    /// Tells the engine something, and looks at what it decided before that is carried out.
    pub fn decide<T>(&mut self, input: Input<'_>, look: impl FnOnce(&[Action]) -> T) -> T {
        self.engine.handle(input, self.clock.steady(), &mut self.actions);
        let seen = look(&self.actions);
        self.carry_out(None);
        seen
    }

    /// Exempts these networks, instead of those that the class had before.
    pub fn exempt(&mut self, class: Exemption, nets: Vec<IpNet>) {
        self.protected.exempt(class, &nets, self.clock.steady());
        self.handle(Input::Exempt { class, nets });
    }

    /// The table of addresses that must be let in, with reason and age.
    pub fn protected(&self) -> &Protected {
        &self.protected
    }

    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    pub fn totals(&self) -> Totals {
        self.totals
    }

    pub fn standing(&self) -> &DaemonState {
        &self.standing
    }

    /// How FreeSWITCH fares in a flood.
    pub fn flood(&self) -> &Flood {
        &self.flood
    }

    /// Hosts that the shield lets pass as healthy; `None` without a shield.
    pub fn healthy_hosts(&self) -> Option<usize> {
        self.shielding.as_ref().and_then(Shielding::healthy_hosts)
    }

    /// The host of an address if it is slowed down now; `None` also without a shield.
    pub fn slowed(&self, address: IpAddr) -> Option<SlowedHost> {
        self.shielding.as_ref()?.slowed().of(address, self.clock.steady())
    }

    /// What the kernel said of bans and unbans.
    pub fn kernel(&self) -> &KernelSide {
        &self.kernel
    }

    /// The FreeSWITCH end, while connected.
    pub fn peer(&self) -> Option<SocketAddr> {
        self.peer
    }

    /// Works until `stop`, then drains what is on its way and returns the totals.
    pub async fn run(mut self, mut inputs: Inputs, stop: CancellationToken) -> (Totals, End) {
        let mut notices = Vec::with_capacity(TURN);
        let mut reports = Vec::with_capacity(TURN);
        let steps = StepWatch::start();
        self.turned = Instant::now();
        let mut beat = tokio::time::interval(HEARTBEAT);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let end = loop {
            let deadline = self.engine.next_deadline().map(|at| self.clock.until_steady(at));
            tokio::select! {
                () = stop.cancelled() => break End::Asked,
                count = inputs.notices.recv_many(&mut notices, TURN) => {
                    if count == 0 {
                        break End::Abandoned;
                    }
                    notices.drain(..).for_each(|notice| self.notice(notice));
                }
                count = inputs.reports.recv_many(&mut reports, TURN) => {
                    if count == 0 {
                        break End::Abandoned;
                    }
                    reports.drain(..).for_each(|report| self.report(report));
                }
                Some(command) = inputs.commands.recv() => self.execute(command),
                Some(answer) = inputs.answers.recv() => self.answer(answer),
                Some(probed) = inputs.probed.recv() => self.probed(probed),
                () = tokio::time::sleep(deadline.unwrap_or_default()), if deadline.is_some() => {
                    self.engine.tick(self.clock.steady(), &mut self.actions);
                    self.carry_out(None);
                }
                () = self.routes_out.flow(), if self.routes_out.is_waiting() => {}
                () = steps.stepped() => self.look_at_clock(),
                _ = beat.tick() => self.beat(),
            }
            self.end_turn();
        };
        self.drain(inputs).await;
        (self.totals, end)
    }

    fn beat(&mut self) {
        let stores = self.store.health().state == State::Ok;
        self.look_at_clock();
        self.forget_ended();
        self.tell_gathered(false);
        (self.status_hook)(&EngineStatus { peer: self.peer, totals: self.totals, stores });
        self.complete_store();
        self.beats += 1;
        if self.beats.is_multiple_of(EXPIRE_BEATS) {
            self.protected.phones.expire(self.clock.steady());
        }
        if let Some(record) = self.kernel.take_changed() {
            self.publish(record);
        }
        if std::mem::take(&mut self.missed) {
            self.ask(Query::Registrations);
        }
        let now = self.clock.steady();
        if let Some(record) = self.flood.beat(self.totals.registered_now, now) {
            self.publish(record);
        }
        if let Some(record) = self.flood.overload_beat(now) {
            self.publish(record);
        }
        let requests = self.requests();
        if let Some(prober) = &self.prober {
            prober.beat(&mut self.flood, self.peer, requests, now);
        }
        let full = self.shielding.as_mut().and_then(|shielding| shielding.beat(&self.engine, now));
        self.note_full(full);
    }

    /// Requests a second that each of FreeSWITCH's profiles takes.
    fn requests(&self) -> u32 {
        self.shielding.as_ref().map_or(USUAL_REQUESTS, Shielding::requests)
    }

    /// The shield has no room for all hosts.
    fn note_full(&mut self, full: Option<String>) {
        if let Some(error) = full {
            self.publish(Record::NotSpared { error });
        }
    }

    /// Judges the events that are here already, then waits for the kernel's last answers.
    async fn drain(&mut self, inputs: Inputs) {
        let Inputs { mut notices, mut reports, .. } = inputs;
        for _ in 0..TURN {
            let Some(notice) = notices.try_recv() else {
                break;
            };
            self.notice(notice);
        }
        drop(notices);
        self.tell_gathered(true);
        let drained = tokio::time::timeout(DRAIN, async {
            while !self.under_way.is_empty()
                || self.kernel.leaving() > 0
                || self.routes_out.is_waiting()
            {
                tokio::select! {
                    report = reports.recv() => match report {
                        Some(report) => self.report(report),
                        None => break,
                    },
                    () = self.routes_out.flow(), if self.routes_out.is_waiting() => {}
                }
            }
        });
        if drained.await.is_err() {
            let routes = self.under_way.len() + self.kernel.leaving();
            tracing::warn!(routes, "stopped before the kernel answered");
        }
    }
}

#[cfg(test)]
mod tests;
