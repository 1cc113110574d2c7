//! One policy at work on a replay.

use std::net::IpAddr;
use std::time::Duration;

use ipnet::IpNet;
use sipward_engine::{
    Action, AuthAttempt, AuthResult, Cause, Engine, Exemption, Expiry, Input, Mode, Policy,
    PolicyError, Registered, Text, Timestamp,
};

use super::logins::{InForce, Logins};
use super::report::{Banned, Listed, MAX_BANS, MAX_OTHERS, Report, Shadow, Told};
use super::{Item, Timed};
use sipward_ingest::bridge::{self, Aside};
use sipward_ingest::log_parser::{LogFinding, LogReader, Message};
use sipward_model::record::{FlowDenied, Record};
use sipward_model::text::Time;

/// Behind every hold that could still change a verdict: a failure waits 200 ms for its attempt, a log
/// line 2 s for its event.
const SETTLED: Duration = Duration::from_secs(5);

/// Fixed, so that the same input gives the same bans. The sender of a recording cannot aim at the hash tables.
const SEED: u64 = 1;

/// Healthy addresses under a ban that are named.
const MAX_NAMED: usize = 1_000;

/// An engine with a policy, and what it decided.
#[derive(Debug)]
pub struct Simulation {
    engine: Box<Engine>,
    log: LogReader,
    actions: Vec<Action>,
    /// The time of the last item.
    last: Option<Timestamp>,
    /// By network, the place of the ban in the report; [`NOT_LISTED`] when it has none.
    in_force: InForce,
    logins: Logins,
    logins_lost: u64,
    report: Report,
}

/// The place of a ban that the report only counts.
const NOT_LISTED: usize = usize::MAX;

impl Simulation {
    /// With a policy, whose file is called `name`, and the exempt addresses.
    ///
    /// # Errors
    /// A setting is out of range.
    pub fn new(
        name: impl Into<String>,
        policy: Policy,
        exempt: Vec<(Exemption, Vec<IpNet>)>,
    ) -> Result<Self, PolicyError> {
        let mut engine = Box::new(Engine::new(policy, SEED)?);
        let mut actions = Vec::new();
        for (class, nets) in exempt {
            engine.handle(Input::Exempt { class, nets }, Timestamp::EPOCH, &mut actions);
        }
        // Nobody is banned yet, so nothing follows.
        actions.clear();
        Ok(Self {
            engine,
            log: LogReader::default(),
            actions,
            last: None,
            in_force: InForce::default(),
            logins: Logins::default(),
            logins_lost: 0,
            report: Report::new(name.into()),
        })
    }

    /// Judges an input.
    pub fn hear(&mut self, Timed { at, after_gap, item }: &Timed) {
        let at = *at;
        self.advance(at);
        if *after_gap || self.last.is_none() {
            // Challenges before were not seen, so none is missing.
            let from = self.last.unwrap_or(at);
            self.engine.handle(Input::Blind { from, to: at }, at, &mut self.actions);
        }
        self.last = Some(at);
        match item {
            Item::Event(event) => {
                let Self { engine, actions, logins, logins_lost, in_force, report, .. } = self;
                let aside = bridge::translate(event, |input| {
                    if let Some((address, user)) = login(&input)
                        && logins.note(address, user, at)
                        && let Some(place) = in_force.covering(address)
                    {
                        *logins_lost += 1;
                        if let Some(ban) = report.bans.entries.get_mut(place) {
                            ban.logins_during += 1;
                        }
                    }
                    engine.handle(input, at, actions);
                });
                self.set_aside(aside);
            }
            Item::Line(line) => {
                let heard = self.log.read(line, at);
                tell(heard, at, &mut self.engine, &mut self.actions, &mut self.report);
            }
            Item::Message(text) => {
                let heard = self.log.read_message(Message { text, origin: None }, at);
                tell(heard, at, &mut self.engine, &mut self.actions, &mut self.report);
            }
        }
        self.collect(at);
    }

    /// What was decided, when no more comes.
    #[must_use]
    pub fn finish(mut self) -> Report {
        if let Some(last) = self.last {
            self.advance(last + SETTLED);
        }
        let Self { engine, logins, mut report, .. } = self;
        report.healthy.logins = logins.count;
        report.healthy.addresses = logins.addresses() as u64;
        report.healthy.logins_not_kept = logins.not_kept;
        report.healthy.logins_lost = self.logins_lost;
        for ban in &mut report.bans.entries {
            for (address, login) in logins.inside(&ban.net) {
                ban.logged_in_before |= login.first < ban.since.0;
                ban.logged_in_after |= ban.until.is_some_and(|until| login.last > until.0);
                if report.healthy.banned.len() < MAX_NAMED {
                    report.healthy.banned.insert(address, login.user);
                }
            }
        }
        report.counters = engine.stats();
        report
    }

    /// Does what was due before `at`, each at its own time.
    fn advance(&mut self, at: Timestamp) {
        while let Some(due) = self.engine.next_deadline().filter(|due| *due < at) {
            self.engine.tick(due, &mut self.actions);
            self.collect(due);
        }
    }

    fn set_aside(&mut self, aside: Aside) {
        match aside {
            // A replay cannot ask FreeSWITCH for its gateways.
            Aside::Nothing | Aside::Gateways | Aside::Gateway { .. } | Aside::Configuration => {}
            Aside::Report(record) if matches!(*record, Record::EventForged { .. }) => {
                self.report.forged_events += 1;
            }
            Aside::Report(_) => self.report.unusable_events += 1,
        }
    }

    fn collect(&mut self, now: Timestamp) {
        let at = Time(now);
        let mut actions = std::mem::take(&mut self.actions);
        for action in actions.drain(..) {
            let report = &mut self.report;
            match action {
                Action::Block { net, since, until, scope, cause } => {
                    let place = match &*cause {
                        // A piece belongs to the ban that it is left of.
                        Cause::Split { of, .. } => self.in_force.get(of),
                        Cause::Rule(_)
                        | Cause::Manual { .. }
                        | Cause::Adopted
                        | Cause::Remote(_) => report.bans.push(Banned {
                            net,
                            scope,
                            since: Time(since),
                            until: match until {
                                Expiry::At(until) => Some(Time(until)),
                                Expiry::Never => None,
                            },
                            cause,
                            logins_during: 0,
                            logged_in_before: false,
                            logged_in_after: false,
                        }),
                    };
                    self.in_force.insert(net, place.unwrap_or(NOT_LISTED));
                }
                Action::Unblock { net, reason: _ } => self.in_force.remove(&net),
                Action::Shadowed { net, cause } => {
                    let policy = self.engine.policy();
                    let mode = cause.evidence().map(|evidence| policy.mode(evidence.rule));
                    let rule_in_shadow = mode != Some(Mode::Ban);
                    report.shadowed.push(Shadow { at, net, rule_in_shadow, cause });
                }
                Action::Refused { net, reason, cause } => {
                    let record = Record::Refused { net, refusal: reason, cause };
                    report.refused.push(Told { at, record });
                }
                Action::NeedsAttention { source, user, user_agent, last_success } => {
                    let last_success = last_success.map(Time);
                    let record =
                        Record::NeedsAttention { address: source, user, user_agent, last_success };
                    report.attention.push(Told { at, record });
                }
                // The end of a limit is no event of its own.
                Action::Slow { until, .. } if until <= now => {}
                Action::Slow { source, until, cause } => {
                    let record = Record::Slowed { address: source, until: Time(until), cause };
                    report.alarms.push(Told { at, record });
                }
                Action::Alarm(alarm) => {
                    report.alarms.push(Told { at, record: Record::Alarm(alarm) });
                }
                Action::AskAcl { addr: _ } => report.acl_questions += 1,
                Action::DenyFlow { flow, since: _, until, cause } => {
                    let record = Record::FlowDenied(FlowDenied::decided(flow, until, cause));
                    report.flows.push(Told { at, record });
                }
                Action::Distrust { source, until } => {
                    let record = Record::Distrusted { address: source, until: Time(until) };
                    report.flows.push(Told { at, record });
                }
                // The counters cover the judgements; there is no store here.
                Action::Judged(_) | Action::Remember(_) | Action::AllowFlow { .. } => {}
            }
        }
        self.actions = actions;
    }
}

/// Tells the engine of a log line, as the daemon does.
fn tell(
    heard: Option<LogFinding<'_>>,
    at: Timestamp,
    engine: &mut Engine,
    actions: &mut Vec<Action>,
    report: &mut Report,
) {
    match heard {
        Some(LogFinding::Complaint(complaint)) => {
            engine.handle(Input::Complaint(complaint.as_input()), at, actions);
        }
        Some(LogFinding::RefusedLogin(complaint, reason)) => {
            let user = Text::new(complaint.user.as_deref().unwrap_or_default());
            let record = Record::RefusedLogin { address: complaint.source, user, reason };
            report.attention.push(Told { at: Time(at), record });
        }
        None => {}
    }
}

/// Who logs in by this.
fn login<'i>(input: &Input<'i>) -> Option<(IpAddr, &'i str)> {
    if let Input::Registered(Registered { source, user, .. })
    | Input::AuthAttempt(AuthAttempt { source, user, result: AuthResult::Success, .. }) = input
    {
        return Some((*source, user));
    }
    None
}

impl Report {
    fn new(policy: String) -> Self {
        Self {
            policy,
            bans: Listed::new(MAX_BANS),
            shadowed: Listed::new(MAX_OTHERS),
            flows: Listed::new(MAX_OTHERS),
            refused: Listed::new(MAX_OTHERS),
            attention: Listed::new(MAX_OTHERS),
            alarms: Listed::new(MAX_OTHERS),
            healthy: super::report::Healthy::default(),
            acl_questions: 0,
            forged_events: 0,
            unusable_events: 0,
            counters: sipward_engine::Stats::default(),
        }
    }
}
