//! The task that owns the engine: events in, wishes for the kernel and records out.

use std::collections::HashMap;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use ipnet::IpNet;
use sipward_engine::{Action, Engine, Exemption, Input, Mode, Policy, Registered, Text};
use sipward_esl::{Event, LogLine, Notice, Notices};
use sipward_route::{Change, Report};
use tokio::sync::{broadcast, mpsc};
use tokio::time::{self, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use crate::bridge::{self, Aside};
use crate::clock::{Clock, stamp};
use crate::complaint::{Heard, LogReader};
use crate::daemon::directory::{Question, Registration};
use crate::enforce::Wishes;
use crate::names::Exempt;
use crate::record::{Ban, Record, Totals};
use crate::text::Time;

/// Notices and reports handled in one turn, so that neither starves the other.
const TURN: usize = 256;

/// Room kept for bans whose route is under way.
const UNDER_WAY: usize = 256;

/// How often the heart beats: watchdog, status line, lost log lines.
const HEARTBEAT: Duration = Duration::from_secs(1);

/// Time that draining may take after the stop signal; the whole stop must fit into 2 s.
const DRAIN: Duration = Duration::from_millis(1_200);

/// What an operator or another task of the daemon wants of the engine.
#[derive(Debug)]
pub(super) enum Order {
    /// A policy that was read again.
    Policy(Box<Policy>),
    /// New networks for classes of exemption.
    Exempt(Vec<Exempt>),
    /// Addresses of FreeSWITCH's gateways, all of them.
    Trunks(Vec<IpNet>),
    /// Phones that FreeSWITCH says are registered.
    Registered(Vec<Registration>),
    /// What FreeSWITCH's access control lists say of an address; `None` when they said nothing.
    Acl { addr: IpAddr, allowed: Option<bool> },
}

/// Where the task hears from the others.
#[derive(Debug)]
pub(super) struct Ears {
    pub(super) notices: Notices,
    pub(super) reports: mpsc::Receiver<Report>,
    pub(super) orders: mpsc::Receiver<Order>,
}

/// Why the task ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// It was asked to.
    Asked,
    /// The task that owns the socket or netlink is gone.
    Abandoned,
}

/// The engine and all that it needs around it.
pub(super) struct Judge {
    /// Boxed: it is large, and the task that owns it is moved about.
    engine: Box<Engine>,
    clock: Clock,
    wishes: Wishes,
    actions: Vec<Action>,
    /// Bans whose route is under way: their record waits for the kernel's answer.
    under_way: HashMap<IpNet, UnderWay>,
    totals: Totals,
    records: broadcast::Sender<Arc<Record>>,
    peer: Option<SocketAddr>,
    never_connected: bool,
    heart: Heart,
    questions: mpsc::Sender<Question>,
    log: LogReader,
    /// Addresses whose question found no room.
    unasked: Vec<IpAddr>,
}

/// Called once a beat.
pub(super) type Heart = Box<dyn FnMut(&Beat) + Send>;

/// How the daemon stands, for the status line.
#[derive(Clone, Copy, Debug)]
pub(super) struct Beat {
    peer: Option<SocketAddr>,
    totals: Totals,
}

impl fmt::Display for Beat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.peer {
            Some(peer) => write!(f, "connected to FreeSWITCH at {peer}")?,
            None => f.write_str("NOT connected to FreeSWITCH")?,
        }
        let Totals { failures, banned_now, .. } = self.totals;
        write!(f, "; {banned_now} banned, {failures} failures since the start")
    }
}

struct UnderWay {
    ban: Ban,
    /// When the event that caused it left the socket.
    received: Option<Instant>,
}

impl Judge {
    pub(super) fn new(
        engine: Engine,
        clock: Clock,
        wishes: Wishes,
        records: broadcast::Sender<Arc<Record>>,
        heart: Heart,
        questions: mpsc::Sender<Question>,
    ) -> Self {
        Self {
            engine: Box::new(engine),
            clock,
            wishes,
            actions: Vec::new(),
            under_way: HashMap::new(),
            totals: Totals::default(),
            records,
            peer: None,
            never_connected: true,
            heart,
            questions,
            log: LogReader::default(),
            unasked: Vec::new(),
        }
    }

    /// Tells the engine something that is no event.
    pub(super) fn tell(&mut self, input: Input<'_>) {
        self.engine.handle(input, self.clock.now(), &mut self.actions);
        self.carry_out(None);
    }

    /// Works until `stop`, then drains what is on its way and returns the totals.
    pub(super) async fn run(mut self, mut ears: Ears, stop: CancellationToken) -> (Totals, End) {
        let mut notices = Vec::with_capacity(TURN);
        let mut reports = Vec::with_capacity(TURN);
        let mut beat = time::interval(HEARTBEAT);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let end = loop {
            let deadline = self.engine.next_deadline().map(|at| self.clock.until(at));
            tokio::select! {
                () = stop.cancelled() => break End::Asked,
                count = ears.notices.recv_many(&mut notices, TURN) => {
                    if count == 0 {
                        break End::Abandoned;
                    }
                    notices.drain(..).for_each(|notice| self.notice(notice));
                }
                count = ears.reports.recv_many(&mut reports, TURN) => {
                    if count == 0 {
                        break End::Abandoned;
                    }
                    reports.drain(..).for_each(|report| self.report(report));
                }
                Some(order) = ears.orders.recv() => self.order(order),
                () = time::sleep(deadline.unwrap_or_default()), if deadline.is_some() => {
                    self.engine.tick(self.clock.now(), &mut self.actions);
                    self.carry_out(None);
                }
                () = self.wishes.flow(), if self.wishes.is_waiting() => {}
                _ = beat.tick() => (self.heart)(&Beat { peer: self.peer, totals: self.totals }),
            }
        };
        self.drain(ears).await;
        (self.totals, end)
    }

    /// Judges the events that are here already, then waits for the kernel's last answers.
    async fn drain(&mut self, ears: Ears) {
        let Ears { mut notices, mut reports, orders } = ears;
        drop(orders);
        for _ in 0..TURN {
            let Some(notice) = notices.try_recv() else {
                break;
            };
            self.notice(notice);
        }
        drop(notices);
        let drained = time::timeout(DRAIN, async {
            while !self.under_way.is_empty() || self.wishes.is_waiting() {
                tokio::select! {
                    report = reports.recv() => match report {
                        Some(report) => self.report(report),
                        None => break,
                    },
                    () = self.wishes.flow(), if self.wishes.is_waiting() => {}
                }
            }
        });
        if drained.await.is_err() {
            tracing::warn!(routes = self.under_way.len(), "stopped before the kernel answered");
        }
    }

    fn notice(&mut self, notice: Notice) {
        match notice {
            Notice::Event { event, received } => self.event(&event, received),
            Notice::Connected { peer, local: _ } => {
                if std::mem::take(&mut self.never_connected) {
                    // Challenges before were not seen, so none is missing.
                    let (from, to) = (self.clock.at_start(), self.clock.now());
                    self.tell(Input::Blind { from, to });
                }
                self.peer = Some(peer);
                let nets = vec![peer.ip().into()];
                self.tell(Input::Exempt { class: Exemption::EslPeer, nets });
                if self.wants_log() {
                    self.ask(Question::Log { wanted: true });
                }
                self.ask(Question::Snapshot);
                self.publish(Record::EslConnected { peer });
            }
            Notice::Disconnected { error, retry_in } => {
                self.peer = None;
                let retry_in_seconds = retry_in.as_secs_f64();
                self.publish(Record::EslDisconnected {
                    error: error.to_string(),
                    retry_in_seconds,
                });
            }
            Notice::Restarted { old, new } => {
                self.tell(Input::Core(bridge::core_id(new)));
                let (old, new) = (old.to_string(), new.to_string());
                self.publish(Record::EslRestarted { old, new });
            }
            Notice::Blind { from, to } => {
                self.tell(Input::Blind { from: stamp(from), to: stamp(to) });
                self.ask(Question::Snapshot);
                let seconds = stamp(to).since(stamp(from)).as_secs_f64();
                self.publish(Record::EslBlind { seconds });
            }
            Notice::Overflow { dropped } => self.publish(Record::EslOverflow { dropped }),
            Notice::Damaged { error, .. } => {
                self.publish(Record::EventUnusable { error: error.to_string() });
            }
            Notice::Unusable { frame } => {
                tracing::debug!(content_type = ?frame.content_type(), "frame without a use");
            }
            Notice::Log { line, received } => self.log_line(&line, received),
            // A later version of the library may tell more.
            _ => {}
        }
    }

    fn event(&mut self, event: &Event, received: Instant) {
        self.totals.events += 1;
        let now = self.clock.at(received);
        let Self { engine, actions, .. } = self;
        match bridge::translate(event, |input| engine.handle(input, now, actions)) {
            Aside::Nothing => {}
            Aside::Gateway => self.ask(Question::Gateways),
            Aside::Told(record) => self.publish(*record),
        }
        self.carry_out(Some(received));
    }

    fn log_line(&mut self, line: &LogLine, received: Instant) {
        match self.log.read(line, received) {
            Some(Heard::Complaint(complaint)) => {
                let now = self.clock.at(received);
                let input = Input::Complaint(complaint.as_input());
                self.engine.handle(input, now, &mut self.actions);
                self.carry_out(Some(received));
            }
            Some(Heard::RefusedLogin(complaint, reason)) => {
                let user = Text::new(complaint.user.as_deref().unwrap_or_default());
                self.publish(Record::RefusedLogin { source: complaint.source, user, reason });
            }
            None => {}
        }
    }

    /// The log is of use as long as the rule is on, if only in shadow.
    fn wants_log(&self) -> bool {
        self.engine.policy().rules.log.guard.mode != Mode::Off
    }

    fn order(&mut self, order: Order) {
        match order {
            Order::Policy(policy) => {
                let wanted = self.wants_log();
                self.tell(Input::Policy(policy));
                if wanted != self.wants_log() && self.peer.is_some() {
                    self.ask(Question::Log { wanted: !wanted });
                }
            }
            Order::Exempt(classes) => {
                for (class, nets) in classes {
                    self.tell(Input::Exempt { class, nets });
                }
            }
            Order::Trunks(nets) => {
                self.tell(Input::Exempt { class: Exemption::Trunk, nets: nets.clone() });
                self.publish(Record::Trunks { sources: nets });
            }
            Order::Registered(phones) => {
                for Registration { user, domain, source } in &phones {
                    let phone = Registered { source: *source, user, domain, user_agent: "" };
                    self.tell(Input::Registered(phone));
                }
                self.publish(Record::Registrations { phones: phones.len() });
            }
            Order::Acl { addr, allowed } => self.tell(Input::AclAnswer { addr, allowed }),
        }
    }

    fn report(&mut self, report: Report) {
        match report {
            Report::Blocked { net, enforcement } => {
                let enforced = enforcement.is_full();
                let because = (!enforced).then(|| enforcement.to_string());
                self.answered(net, enforced, because);
                self.tell(Input::Applied { net, enforced });
            }
            Report::Unblocked { net: _ } => {}
            Report::Failed { change, error } => self.failed(change, error),
            Report::Healed { routes, rules, gate } => {
                self.publish(Record::Healed { routes, rules, gate });
            }
            Report::Packets { count } => self.tell(Input::Packets { count }),
            // Nobody is spared, because nothing is limited.
            Report::Spared { .. } | Report::NotSpared { .. } => {}
            Report::Coverage(coverage) => self.publish((&coverage).into()),
            Report::Host(host) => super::host_exemptions(&host)
                .into_iter()
                .for_each(|(class, nets)| self.tell(Input::Exempt { class, nets })),
        }
    }

    fn failed(&mut self, change: Change, error: String) {
        let (net, word) = match change {
            Change::Block(net) => {
                self.answered(net, false, Some(error.clone()));
                self.tell(Input::ApplyFailed { net, error: error.clone() });
                (net, "block")
            }
            Change::Unblock(net) => (net, "unblock"),
        };
        self.publish(Record::RouteFailed { source: net, change: word, error });
    }

    /// The kernel has answered: the ban's record is complete.
    fn answered(&mut self, net: IpNet, enforced: bool, because: Option<String>) {
        let Some(UnderWay { mut ban, received }) = self.under_way.remove(&net) else {
            return;
        };
        if self.under_way.is_empty() {
            // What a burst has needed is not needed for good.
            self.under_way.shrink_to(UNDER_WAY);
        }
        ban.enforced = enforced;
        ban.not_enforced_because = because;
        ban.event_to_route_us =
            received.map(|at| u64::try_from(at.elapsed().as_micros()).unwrap_or(u64::MAX));
        self.publish(Record::Ban(ban));
    }

    fn carry_out(&mut self, received: Option<Instant>) {
        let mut actions = std::mem::take(&mut self.actions);
        for action in actions.drain(..) {
            match action {
                Action::Block { net, since: _, until, cause } => {
                    self.totals.bans += 1;
                    self.wishes.push(Change::Block(net));
                    let ban = Ban::decided(net, until, cause);
                    self.under_way.insert(net, UnderWay { ban, received });
                }
                Action::Unblock { net, reason } => {
                    self.totals.unbans += 1;
                    self.wishes.push(Change::Unblock(net));
                    if let Some(UnderWay { ban, .. }) = self.under_way.remove(&net) {
                        // Lifted before the kernel had answered: the ban happened all the same.
                        self.publish(Record::Ban(ban));
                    }
                    self.publish(Record::Unban { source: net, reason });
                }
                Action::Refused { net, reason, cause } => {
                    self.totals.refused += 1;
                    self.publish(Record::Refused { source: net, refusal: reason, cause });
                }
                Action::Judged(judgement) => {
                    self.totals.failures += 1;
                    self.publish(Record::AuthFailure(judgement));
                }
                Action::Shadowed { net, cause } => {
                    self.publish(Record::Shadowed { source: net, cause });
                }
                Action::NeedsAttention { source, user, user_agent, last_success } => {
                    let last_success = Time(last_success);
                    self.publish(Record::NeedsAttention { source, user, user_agent, last_success });
                }
                Action::AskAcl { addr } => self.ask_acl(addr),
                // Kept by the engine; there is no store yet that outlives it.
                Action::Remember(_) => {}
                Action::Alarm(alarm) => self.publish(Record::Alarm(alarm)),
            }
        }
        self.totals.banned_now = self.engine.stats().bans;
        for addr in std::mem::take(&mut self.unasked) {
            self.tell(Input::AclAnswer { addr, allowed: None });
        }
        // The buffer is kept: the next event needs it.
        self.actions = actions;
    }

    /// A snapshot that finds no room is made after the next gap; a wish for the log is not made again.
    fn ask(&self, question: Question) {
        let refused = self.questions.try_send(question).is_err();
        if refused && matches!(question, Question::Log { .. }) {
            let (question, error) = ("log".to_owned(), "too many questions wait".to_owned());
            self.publish(Record::DirectoryFailed { question, error });
        }
    }

    /// A question that cannot be asked is answered at once: nobody knows.
    fn ask_acl(&mut self, addr: IpAddr) {
        if self.questions.try_send(Question::Acl(addr)).is_err() {
            self.unasked.push(addr);
        }
    }

    fn publish(&self, record: Record) {
        record.log();
        // Nobody listens most of the time.
        if self.records.receiver_count() > 0 {
            let _ = self.records.send(Arc::new(record));
        }
    }
}
