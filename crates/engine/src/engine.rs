//! The state machine.

mod bans;
mod commands;
mod complaints;
mod failures;
mod fleet;
mod flows;
mod forecast;
mod guessed;
mod identity;
mod preview;
mod registrations;
mod rehearsal;
mod rules;
mod spared;
mod views;
mod watch;

use std::time::Duration;

use ipnet::IpNet;

pub use views::{ByGrade, FailureView, SourceView, Stats};
pub use watch::MAX_NETWORK_BANS;

use self::fleet::Said;
use self::identity::UnprovedSuccesses;
use crate::accounts::Accounts;
use crate::acl::AclAnswers;
use crate::activity::Activity;
use crate::agents::Agents;
use crate::bans::Bans;
use crate::callers::Callers;
use crate::campaign::Campaign;
use crate::complaints::Complaints;
use crate::dialogs::Dialogs;
use crate::distinct::DistinctCounters;
use crate::exempt::Exemptions;
use crate::exempt_failures::ExemptFailures;
use crate::fleet::Fleet;
use crate::flows::Flows;
use crate::held::HeldAccusations;
use crate::identity::Identities;
use crate::insiders::Insiders;
use crate::join::Joins;
use crate::key::Key;
use crate::limits::Limits;
use crate::live::Live;
use crate::losses::Losses;
use crate::lru::LruTable;
use crate::networks::Networks;
use crate::offenders::Offenders;
use crate::recent::Recent;
use crate::seen::Fingerprints;
use crate::sources::{Sources, UnprovenSources};
use crate::stream_health::StreamHealth;
use crate::{Action, Enforcement, Flow, Input, Policy, PolicyError, Timestamp};

/// How often sources that no longer count are forgotten: rare enough to cost nothing, often enough
/// that memory follows an attack down.
const SWEEP_EVERY: Duration = Duration::from_secs(60);

/// How soon a sweep goes on that has more to look at than it may at once.
const SWEEP_ON: Duration = Duration::from_millis(100);

/// Accounts at a host whose success was proved a moment ago: two seconds of the most that FreeSWITCH takes.
const MAX_PROVED: usize = 8_192;

/// Networks with known hosts: at most as many as known sources.
const MAX_INHABITED: usize = 131_072;

/// Decides which sources are banned and for how long.
///
/// ```
/// use sipward_engine::{Action, AuthFailure, CoreId, Engine, Input, Method, Policy, Timestamp};
///
/// let mut engine = Engine::new(Policy { max_failures: 2, ..Policy::default() }, 42)?;
/// let mut actions = Vec::new();
/// let failure = AuthFailure {
///     source: "192.0.2.7".parse()?,
///     port: 5060,
///     profile: "internal",
///     user: "1000",
///     domain: "pbx.example",
///     user_agent: "friendly-scanner",
///     method: Method::Register,
///     sequence: 1,
///     core: CoreId(1),
/// };
/// engine.handle(Input::AuthFailure(failure), Timestamp::from_micros(0), &mut actions);
/// engine.handle(Input::AuthFailure(failure), Timestamp::from_micros(1), &mut actions);
/// // No attempt came beside them: the engine waits 200 ms for one, then counts them, because this
/// // FreeSWITCH has never sent any.
/// let wake = engine.next_deadline().expect("something waits");
/// engine.tick(wake, &mut actions);
/// engine.tick(engine.next_deadline().expect("the other one"), &mut actions);
/// assert!(actions.iter().any(|action| matches!(action, Action::Block { .. })));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Engine {
    limits: Limits,
    /// The latest time seen: time never goes backwards in here.
    now: Timestamp,
    next_sweep: Option<Timestamp>,
    /// Nothing is due before: what makes an event that is not late cost one comparison. May be too
    /// early, never too late.
    wake: Timestamp,
    fingerprints: Fingerprints,
    joins: Joins,
    dialogs: Dialogs,
    exemptions: Exemptions,
    sources: Sources,
    unproven_sources: UnprovenSources,
    exempt_failures: ExemptFailures,
    recent: Recent,
    bans: Bans,
    flows: Flows,
    offenders: Offenders,
    activity: Activity,
    identities: Identities,
    live: Live,
    /// When accounts last logged in at a host in a way that proves their address.
    proved: LruTable<u64, Timestamp>,
    unproved: UnprovedSuccesses,
    /// Source networks with known hosts, and until when: as long as one is remembered or registered.
    inhabited: LruTable<Key, Timestamp>,
    /// The same for /24s and /48s.
    populated: LruTable<Key, Timestamp>,
    /// New addresses by account.
    accounts_spread: Accounts,
    insiders: Insiders,
    losses: Losses,
    /// When a guessed password was last reported: by account, by host, and by both.
    guessed: LruTable<u64, Timestamp>,
    callers: Callers,
    /// Changes when others are spared.
    spared_version: u64,
    acl: AclAnswers,
    agents: Agents,
    /// Sources by the user they attack.
    accounts: DistinctCounters,
    /// Failures of strangers by network.
    networks: Networks,
    /// Reports by source. Those that can be forged in any number of names have a table of their own: they must not
    /// push out the others.
    reports: DistinctCounters,
    proved_reports: DistinctCounters,
    /// Failed log-ins to sipward's console by source.
    logins: DistinctCounters,
    /// Log lines that may yet turn out to be failures seen as events.
    complaints: Complaints,
    /// Log lines by source.
    lines: DistinctCounters,
    /// Gives each line a number of its own.
    lines_counted: u64,
    stream_health: StreamHealth,
    campaign: Campaign,
    held: HeldAccusations,
    /// Made by the first input about a fleet.
    fleet: Option<Box<Fleet>>,
    /// Until when events may have gone unseen.
    blind_until: Option<Timestamp>,
    /// A user registered to a domain that is an address.
    address_domains: bool,
    /// A ban was refused for want of room, and the table was not below 95 % since.
    full: bool,
    stats: Stats,
}

impl Engine {
    /// An engine without counts or bans. `seed` protects the hash tables against attackers that choose their keys:
    /// give it a random number, or a constant to replay a recording.
    ///
    /// # Errors
    ///
    /// A setting is out of range.
    pub fn new(policy: Policy, seed: u64) -> Result<Self, PolicyError> {
        policy.validate()?;
        Ok(Self {
            now: Timestamp::EPOCH,
            next_sweep: None,
            wake: Timestamp::EPOCH,
            fingerprints: Fingerprints::new(seed),
            joins: Joins::new(),
            dialogs: Dialogs::new(),
            exemptions: Exemptions::new(seed),
            sources: Sources::new(policy.max_tracked, seed),
            unproven_sources: UnprovenSources::new(policy.max_unproven, seed),
            exempt_failures: ExemptFailures::new(seed),
            recent: Recent::default(),
            bans: Bans::new(seed),
            flows: Flows::new(seed),
            offenders: Offenders::new(seed),
            activity: Activity::new(seed),
            identities: Identities::new(seed),
            live: Live::new(seed),
            proved: LruTable::new(MAX_PROVED, seed),
            unproved: UnprovedSuccesses::new(seed),
            inhabited: LruTable::new(MAX_INHABITED, seed),
            populated: LruTable::new(MAX_INHABITED, seed),
            accounts_spread: Accounts::new(seed),
            insiders: Insiders::new(seed),
            losses: Losses::new(seed),
            guessed: LruTable::new(guessed::MAX_REPORTED, seed),
            callers: Callers::new(seed),
            spared_version: 0,
            acl: AclAnswers::new(seed),
            agents: Agents::new(&policy.rules.user_agents.patterns),
            accounts: DistinctCounters::new(seed),
            networks: Networks::default(),
            reports: DistinctCounters::new(seed),
            proved_reports: DistinctCounters::new(seed),
            logins: DistinctCounters::new(seed),
            complaints: Complaints::new(seed),
            lines: DistinctCounters::new(seed),
            lines_counted: 0,
            stream_health: StreamHealth::default(),
            campaign: Campaign::default(),
            held: HeldAccusations::default(),
            fleet: None,
            blind_until: None,
            address_domains: false,
            full: false,
            stats: Stats::default(),
            limits: Limits::new(policy),
        })
    }

    /// Takes in one thing that happened at `now` and appends what follows from it to `actions`.
    ///
    /// What was due before `now` happens first, as by [`Engine::tick`]. A `now` before an earlier one
    /// counts as that.
    pub fn handle(&mut self, input: Input<'_>, now: Timestamp, actions: &mut Vec<Action>) {
        self.tick(now, actions);
        // What comes by the thousand first, where it lies.
        match &input {
            Input::AuthFailure(failure) => self.on_failure(failure, actions),
            Input::AuthAttempt(attempt) => self.on_attempt(attempt, actions),
            Input::Challenge(challenge) => self.on_challenge(challenge, actions),
            _ => self.on_rare(input, actions),
        }
    }

    #[inline(never)]
    fn on_rare(&mut self, input: Input<'_>, actions: &mut Vec<Action>) {
        match input {
            // Taken above.
            Input::AuthFailure(_) | Input::AuthAttempt(_) | Input::Challenge(_) => {}
            Input::Registered(registered) => self.on_registered(&registered, actions),
            Input::RegistrationEnded(registered) => self.on_registration_ended(&registered),
            Input::Registrations { phones, asked, first } => {
                self.on_registrations(&phones, asked, first, actions);
            }
            Input::NonceLife { profile, life } => {
                self.dialogs.set_life(self.fingerprints.text(profile), life);
            }
            Input::Remember(success) => self.on_remember(&success, actions),
            Input::AbandonedCall { source } => self.on_abandoned_call(source, actions),
            Input::Report { source, reason, proved } => {
                self.on_report(source, reason, proved, actions);
            }
            Input::CallAccepted { source } => self.on_call_accepted(source, actions),
            Input::LoginFailure { source } => self.on_login_failure(source, actions),
            Input::Complaint(complaint) => self.on_complaint(&complaint, actions),
            Input::AclsChanged => self.on_acls_changed(actions),
            Input::AclAnswer { addr, allowed } => self.on_acl_answer(addr, allowed, actions),
            Input::Packets { count } => self.on_packets(count, actions),
            Input::Probed { deaf_for } => self.on_probed(deaf_for, actions),
            Input::Scanner { source, packets } => self.on_scanner(source, packets, actions),
            // Challenges of the previous run were not seen, but may be answered now.
            Input::Core(_) => self.on_blind(self.now),
            Input::Blind { to, .. } => self.on_blind(to),
            Input::Exempt { class, nets } => self.on_exempt(class, &nets, actions),
            Input::Policy(policy) => self.on_policy(*policy, actions),
            Input::Ban { net, until, scope, reason, force } => {
                self.on_ban(net, (until, scope), reason, force, actions);
            }
            Input::Unban { net } => self.on_unban(net, actions),
            Input::UnbanFlow { flow } => self.on_unban_flow(flow, actions),
            Input::Adopt { net } => self.on_adopt(net, actions),
            Input::Restore { net, since, until, scope, cause } => {
                self.on_restore(net, since, (until, scope), cause, actions);
            }
            Input::RestoreFlow { flow, since, until, cause } => {
                self.on_restore_flow(flow, since, until, cause, actions);
            }
            Input::RestoreSlowed { source, since, until } => {
                let source = crate::net::canonical(source);
                self.losses.note_slowed(source, (since, until), None, self.now);
            }
            Input::Offender(offender) => self.on_offender(&offender),
            Input::Applied { net, enforced } => {
                self.on_enforcement(net, enforcement(enforced), actions);
            }
            Input::ApplyFailed { net, error } => {
                let error = error.into_boxed_str();
                self.on_enforcement(net, Enforcement::Failed { error }, actions);
            }
            Input::FlowApplied { flow, enforced } => {
                self.on_flow_enforcement(flow, enforcement(enforced));
            }
            Input::FlowFailed { flow, error } => {
                let error = error.into_boxed_str();
                self.on_flow_enforcement(flow, Enforcement::Failed { error });
            }
            Input::Fleet(settings) => self.on_fleet(settings, actions),
            Input::Peers { settings, age } => self.on_peers(&settings, age, actions),
            Input::Shadowed { peer, because, age } => {
                self.on_shadowed(peer, because, age, actions);
            }
            Input::Remote { peer, net, n, remaining, age, facts } => {
                self.on_remote(Said { peer, net, n, remaining, age, facts }, actions);
            }
            Input::RemoteEnded { peer, net, n } => self.on_remote_ended(peer, net, n, actions),
            Input::RemoteVeto { peer, net, class } => {
                self.on_remote_veto(peer, net, class, actions);
            }
            Input::RemoteVetoEnded { peer, net } => self.on_remote_veto_ended(peer, net, actions),
            Input::RemoteKnown { peer, source, class, home, age } => {
                self.on_remote_known((peer, source), (class, home), age, actions);
            }
            Input::RemoteKnownEnded { peer, source } => {
                self.on_remote_known_ended(&peer, source, actions);
            }
            Input::Lift { net, hold, age, reason } => {
                self.on_lift(net, (hold, age), &reason, actions);
            }
        }
    }

    /// The kernel is to be asked for every ban and denied flow again, and has not answered for any.
    pub fn await_kernel(&mut self) {
        let nets: Vec<IpNet> = self.bans.iter().map(|(net, _)| net).collect();
        for net in nets {
            self.bans.set_enforcement(&net, Enforcement::Pending);
        }
        let flows: Vec<Flow> = self.flows.after(None).map(|view| view.flow).collect();
        for flow in flows {
            self.flows.set_enforcement(&flow, Enforcement::Pending);
        }
    }

    /// When [`Engine::tick`] must be called next; `None` while nothing is due.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Timestamp> {
        let sweep = self.next_sweep.filter(|_| self.remembers());
        [self.next_due(), sweep].into_iter().flatten().min()
    }

    /// The next deadline that is not a sweep.
    fn next_due(&self) -> Option<Timestamp> {
        let (failure, line) = (self.joins.next_deadline(), self.complaints.next_deadline());
        let (held, end) = (self.held.next_deadline(), self.bans.next_expiry());
        [failure, line, held, end, self.flows.next_expiry()].into_iter().flatten().min()
    }

    /// Does what is due at `now`: bans end, failures that waited for their attempt are judged,
    /// sources that no longer count are forgotten.
    #[inline]
    pub fn tick(&mut self, now: Timestamp, actions: &mut Vec<Action>) {
        let end = now.max(self.now);
        if end < self.wake {
            self.now = end;
        } else {
            self.catch_up(end, actions);
        }
    }

    /// Something is due by `at`: the next call at that time or later looks what.
    fn wake_by(&mut self, at: Timestamp) {
        self.wake = self.wake.min(at);
    }

    #[inline(never)]
    fn catch_up(&mut self, end: Timestamp, actions: &mut Vec<Action>) {
        // One deadline after the other, each at its own time: a late call gives the same bans.
        while let Some(due) = self.next_due().filter(|due| *due <= end) {
            self.now = due.max(self.now);
            self.expire_bans(actions);
            self.expire_flows(actions);
            self.judge_waiting(actions);
            self.count_waiting_lines(actions);
            self.judge_held(actions);
        }
        self.now = end;
        if self.next_sweep.is_some_and(|sweep| sweep <= end) {
            self.sweep(end);
            self.sweep_fleet(actions);
        }
        let sweep = *self.next_sweep.get_or_insert(end + SWEEP_EVERY);
        self.wake = self.next_due().map_or(sweep, |due| due.min(sweep));
        // Before the first call nothing was seen.
        self.blind_until.get_or_insert(end);
    }

    fn remembers(&self) -> bool {
        let (known, healthy, attention) = self.identities.sizes();
        let reports = self.reports.len() + self.proved_reports.len();
        let counters = self.accounts.len() + reports + self.accounts_spread.len();
        let hosts = self.unproved.len()
            + self.insiders.len()
            + self.guessed.len()
            + self.callers.len()
            + self.flows.hosts()
            + self.losses.len();
        let lines = self.lines.len() + self.logins.len();
        let sources = self.sources.len() + self.unproven_sources.len() + self.exempt_failures.len();
        let others = self.offenders.len() + self.activity.len() + self.acl.len();
        let (live, _) = self.live.sizes();
        let fleet = self.fleet.as_ref().is_some_and(|fleet| !fleet.is_empty());
        fleet
            || sources + others + counters + hosts + lines + known + healthy + attention + live > 0
    }

    /// Forgets what no longer counts. That changes no verdict, so the sweeps that a late call missed
    /// are one.
    fn sweep(&mut self, now: Timestamp) {
        let sources = self.sources.expire(now, &self.limits);
        let active = self.activity.expire(now, &self.limits.activity);
        let offenders = self.offenders.expire(now);
        if !(sources && active && offenders) {
            self.next_sweep = Some(now + SWEEP_ON);
            return;
        }
        self.next_sweep = Some(now + SWEEP_EVERY);
        self.unproven_sources.expire(now, &self.limits);
        self.exempt_failures.expire(now, &self.limits);
        self.expire_identities(now);
        self.forget_acl_answers(now);
        let rules = &self.limits.policy.rules;
        self.accounts.expire(now, rules.account.window);
        self.reports.expire(now, rules.report.window);
        self.proved_reports.expire(now, rules.report.window);
        self.logins.expire(now, rules.login.window);
        self.lines.expire(now, rules.log.window);
    }
}

fn enforcement(enforced: bool) -> Enforcement {
    if enforced { Enforcement::Enforced } else { Enforcement::Ineffective }
}
