//! The one task that owns netlink.

mod again;
mod apply;
mod coverage;
mod heal;
mod moving;
mod outbox;
mod routing;
mod sets;
mod sip;
mod step;
mod unsettled;

use std::time::Duration;

use ipnet::IpNet;
use netlink_sys::protocols::NETLINK_ROUTE;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until};

pub(crate) use self::coverage::Drops;
use self::heal::{MOST_AUDITED, Schedule};
use self::moving::Moving;
use self::outbox::Outbox;
use self::sip::{Sign, Sip};
use self::unsettled::{Extent, Round, Unsettled};
use crate::ban::SipBans;
use crate::blackhole::Blackholes;
use crate::blackhole::ask_permission;
use crate::gate::Gate;
use crate::inspect::{self, Survey};
use crate::links::Links;
use crate::monitor::{Monitor, Own};
use crate::net_set::NetSet;
use crate::netlink::Channel;
use crate::place::Place;
use crate::policy_rules::PolicyRule;
use crate::proof::Proof;
use crate::{Change, Coverage, Found, HostFacts, Report, RouteError, Settings, host};

/// Changes taken from the queue at once. Reports leave and the monitor is heard between two takes; a
/// take of this size is about 10 ms of work.
const TAKE: usize = 512;
/// How long undelivered reports may hold up a shutdown.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// The one task that owns netlink: it applies changes, watches what others do and heals.
#[derive(Debug)]
pub struct Enforcer {
    settings: Settings,
    /// Makes routes in the table where the bans are.
    blackholes: Blackholes,
    /// Where that is, and how bans are looked up.
    proof: Proof,
    /// Whether a place was chosen before.
    is_placed: bool,
    /// Every policy rule of this host.
    rules: Vec<PolicyRule>,
    links: Links,
    /// Bans on their way from one table to another.
    moving: Option<Moving>,
    /// The rules of others that made them move.
    moved_because: Vec<String>,
    route: Channel,
    /// Why there is none, where this kernel has no netfilter.
    gate: Result<Gate, String>,
    monitor: Monitor,
    /// The networks whose routes shall stand: those that are banned from everything.
    wanted: NetSet,
    /// The networks that are banned from the SIP ports only.
    at_sip: SipBans,
    /// A change needs the gate.
    needs_gate: bool,
    /// What the gate's sets held at the start was taken over.
    are_sets_adopted: bool,
    /// When sets that could not be put right are tried again.
    mend_sets_at: Instant,
    /// What was refused, or stands and stops nothing.
    unsettled: Unsettled,
    round: Round,
    /// Routes with sipward's protocol number that are not bans, as they were reported.
    strays: Vec<IpNet>,
    host: HostFacts,
    /// What gate and `rp_filter` drop, whatever the rules say.
    drops: Drops,
    coverage: Coverage,
    outbox: Outbox,
    schedule: Schedule,
    sip: Sip,
}

impl Enforcer {
    /// Opens netlink, dumps what is there, sets rules and gate.
    ///
    /// The gate is no condition: where it cannot be set, [`Found::coverage`] says what is not covered.
    ///
    /// # Errors
    /// When a setting is out of range, netlink cannot be opened, `CAP_NET_ADMIN` is missing, or the rule
    /// of an own table cannot be set.
    pub async fn open(settings: Settings) -> Result<(Self, Found), RouteError> {
        settings.check()?;
        let mut route = Channel::open(NETLINK_ROUTE).map_err(RouteError::Socket)?;
        ask_permission(&mut route, settings.protocol).await?;
        let gate = Gate::open(settings.gate.clone(), settings.protocol).map_err(|e| e.to_string());
        let own = Own { route: route.port(), netfilter: gate.as_ref().ok().map(Gate::port) };
        // Listen before looking: what changes while we look is heard.
        let table = settings.gate.table_name.clone();
        let monitor = Monitor::open(own, settings.protocol, table).map_err(RouteError::Socket)?;
        let host = host::facts(&mut route, settings.protocol).await?;
        let now = Instant::now();
        let mut enforcer = Self {
            blackholes: Blackholes::in_table(Place::MAIN.table, settings.protocol),
            proof: Proof::default(),
            is_placed: false,
            rules: Vec::new(),
            links: Links::default(),
            moving: None,
            moved_because: Vec::new(),
            settings,
            route,
            gate,
            monitor,
            wanted: NetSet::default(),
            at_sip: SipBans::default(),
            needs_gate: false,
            are_sets_adopted: false,
            mend_sets_at: now,
            unsettled: Unsettled::default(),
            round: Round::new(now),
            strays: Vec::new(),
            host,
            drops: Drops::default(),
            coverage: Coverage::default(),
            outbox: Outbox::default(),
            schedule: Schedule::new(now),
            sip: Sip::new(now),
        };
        enforcer.reroute().await?;
        enforcer.is_placed = true;
        enforcer.tidy_gate().await?;
        let foreign = enforcer.adopt().await?;
        enforcer.cover().await?;
        let flows = enforcer.adopt_sets().await?;
        // Nothing was reported yet that could have changed.
        enforcer.round = Round::new(Instant::now());
        let mut routes: Vec<IpNet> = enforcer.wanted.iter().collect();
        routes.sort_unstable();
        let mut sip_bans: Vec<IpNet> = enforcer.at_sip.iter().collect();
        sip_bans.sort_unstable();
        let found = Found {
            routes,
            sip_bans,
            flows,
            foreign,
            host: enforcer.host.clone(),
            coverage: enforcer.coverage.clone(),
        };
        Ok((enforcer, found))
    }

    /// Runs until `shutdown` resolves (its sender dropped counts) or `changes` closes; then finishes
    /// what is queued and delivers the last reports. Routes, rules and gate stay, so that a restart
    /// leaves no gap; call [`flush`](crate::flush) afterwards to take them away.
    ///
    /// Every change is answered by one report, except that changes of one network that arrive together
    /// are folded into the last. Reports never block the enforcer, but while some thousands of them are
    /// undelivered it takes no further changes: anyone who waits for room in `changes` must go on
    /// receiving `reports`.
    ///
    /// # Errors
    /// When netlink is lost for good.
    pub async fn run(
        mut self,
        mut changes: mpsc::Receiver<Change>,
        reports: mpsc::Sender<Report>,
        mut shutdown: oneshot::Receiver<()>,
    ) -> Result<(), RouteError> {
        let mut taken = Vec::with_capacity(TAKE);
        loop {
            self.outbox.deliver(&reports);
            let is_moving = self.moving.is_some();
            // Damage is healed first: what is missing is not worth a look.
            let is_calm = self.schedule.next() > Instant::now();
            let look_again = self.round_due().filter(|_| is_calm);
            tokio::select! {
                _ = &mut shutdown => break,
                count = changes.recv_many(&mut taken, TAKE), if self.outbox.has_room_for(TAKE) => {
                    if count == 0 {
                        break;
                    }
                    self.apply(&taken).await?;
                    taken.clear();
                }
                () = self.outbox.room(&reports) => {}
                signs = self.monitor.changed() => {
                    self.schedule.note(signs.map_err(RouteError::Socket)?, Instant::now());
                }
                () = sleep_until(self.schedule.next()) => self.look_after().await?,
                () = std::future::ready(()), if is_moving => self.move_on().await?,
                () = sleep_until(look_again.unwrap_or_else(Instant::now)),
                    if look_again.is_some() && self.outbox.has_room_for(TAKE) =>
                {
                    self.look_again().await?;
                }
                () = sleep_until(self.sip.count_due()), if self.counts() => self.count().await?,
                () = sleep_until(self.sip.step_due().unwrap_or_else(Instant::now)),
                    if self.sip.step_due().is_some() && self.outbox.has_room_for(1) =>
                {
                    self.follow_shield().await?;
                }
                sign = self.sip.next_sign(), if self.outbox.has_room_for(1) => match sign {
                    Sign::Shield => self.sip.note_change(Instant::now()),
                    Sign::Ports(ports) => self.listen_on(ports).await?,
                },
            }
        }
        changes.close();
        while changes.recv_many(&mut taken, TAKE).await > 0 {
            self.apply(&taken).await?;
            taken.clear();
            self.outbox.deliver(&reports);
        }
        // It is the daemon's decision not to listen.
        let _ = tokio::time::timeout(LAST_WORDS, self.outbox.drain(&reports)).await;
        Ok(())
    }

    /// Adopts existing routes of sipward; returns those with its protocol number that are not bans.
    async fn adopt(&mut self) -> Result<Vec<String>, RouteError> {
        let survey = inspect::survey(&mut self.route, &self.settings, self.proof.place).await?;
        let Survey { ours, elsewhere, foreign } = survey;
        self.wanted.extend(ours);
        self.wanted.extend(elsewhere.iter().map(|(net, _)| *net));
        if elsewhere.is_empty() {
            self.remove_stale_rules().await?;
        } else {
            self.begin_move(elsewhere);
        }
        Ok(foreign)
    }

    /// Does what the monitor or the clock asked for.
    async fn look_after(&mut self) -> Result<(), RouteError> {
        let started = Instant::now();
        let are_sets_small = self.ban_count() <= MOST_AUDITED;
        let mut signs = self.schedule.due(started, are_sets_small);
        if self.schedule.take_audit() {
            self.round.note(Extent::All, started);
        }
        if signs.host {
            let facts = host::facts(&mut self.route, self.settings.protocol).await?;
            if facts != self.host {
                let before = std::mem::replace(&mut self.host, facts.clone());
                self.outbox.push(Report::Host(facts));
                self.recheck(&before);
                self.follow_links(&before.on_link).await?;
                // Whether the gate is needed depends on the addresses, and so does what the rules tell apart.
                signs.fixtures = true;
            }
            self.hear_of_routes();
        }
        let healed = self.heal(signs).await?;
        self.schedule.finished(signs, healed, started, Instant::now());
        Ok(())
    }
}
