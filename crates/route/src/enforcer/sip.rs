//! The SIP side of the gate: counts what arrives, and follows the hosts and settings of the shield.

use std::time::Duration;

use ipnet::IpNet;
use tokio::sync::watch;
use tokio::time::Instant;

use super::Enforcer;
use crate::gate::{Gate, Ranges, STEP};
use crate::shield::{NewSettings, Shield};
use crate::{MOST_SIP_PORTS, Report, RouteError, ShieldSettings};

/// Between two looks at the counters.
const COUNT_INTERVAL: Duration = Duration::from_secs(1);
/// Between two looks at the packets of each stranger, and the share of the time that they may take.
const STRANGERS_INTERVAL: Duration = Duration::from_secs(10);
const STRANGERS_SHARE: u32 = 50;
/// Between two looks at the packets of each banned host, and the share of the time that they may take.
const DROPPED_INTERVAL: Duration = Duration::from_secs(10);
const DROPPED_SHARE: u32 = 100;
/// From the first change of a host to the transaction: phones register in swarms.
const GATHER: Duration = Duration::from_millis(10);
/// From a refusal by the kernel that repeats itself to the next try.
const AFTER_REFUSAL: Duration = Duration::from_secs(5);

/// When to count, and when to follow the shield.
#[derive(Debug)]
pub(super) struct Sip {
    count_due: Instant,
    strangers_due: Instant,
    dropped_due: Instant,
    /// The packets of each banned host that were dropped, as they were reported.
    dropped: Vec<(IpNet, u64)>,
    /// Strangers' packets were counted since the last look at each.
    strangers_came: bool,
    /// The ports on which SIP is spoken; nobody says so, or says so no more.
    ports: Option<watch::Receiver<Vec<u16>>>,
    shield: Option<Shield>,
    step_due: Option<Instant>,
    /// Unlimited networks that are in force in part.
    unlimited: Option<Ranges>,
    progress: Progress,
    /// What was refused and reported last.
    refused: Option<String>,
    /// The sets are set anew after a refusal.
    is_mending: bool,
}

/// How far the shield's hosts have come.
#[derive(Debug, Default)]
struct Progress {
    /// All healthy hosts were in the kernel, and this was reported.
    is_reported: bool,
    /// What the kernel held from an earlier run was compared with the first complete list.
    is_learned: bool,
}

impl Sip {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            count_due: now + COUNT_INTERVAL,
            strangers_due: now + STRANGERS_INTERVAL,
            dropped_due: now + DROPPED_INTERVAL,
            dropped: Vec::new(),
            strangers_came: false,
            ports: None,
            shield: None,
            step_due: None,
            unlimited: None,
            progress: Progress::default(),
            refused: None,
            is_mending: false,
        }
    }

    /// When to look at the counters next.
    pub(super) fn count_due(&self) -> Instant {
        self.count_due
    }

    /// When the next step after the shield is due, if it changed.
    pub(super) fn step_due(&self) -> Option<Instant> {
        self.step_due
    }

    /// Waits for what is new. Cancel safe: a sign is taken when it is returned.
    pub(super) async fn next_sign(&mut self) -> Sign {
        let Self { shield, ports, .. } = self;
        let shield_changed = async {
            match shield {
                Some(shield) => shield.changed().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = shield_changed => Sign::Shield,
            ports = next_ports(ports) => Sign::Ports(ports),
        }
    }

    /// Notes that the shield changed, or what the kernel holds of it.
    pub(super) fn note_change(&mut self, now: Instant) {
        self.step_due.get_or_insert(now + GATHER);
    }
}

/// What is new of the gate's SIP side.
pub(super) enum Sign {
    /// The shield changed.
    Shield,
    /// Count and shield packets to these ports.
    Ports(Vec<u16>),
}

async fn next_ports(ports: &mut Option<watch::Receiver<Vec<u16>>>) -> Vec<u16> {
    if let Some(ports) = ports
        && ports.changed().await.is_ok()
    {
        return ports.borrow_and_update().clone();
    }
    // The last ports stay in force.
    *ports = None;
    std::future::pending().await
}

impl Enforcer {
    /// Follows a shield: its hosts, its unlimited networks, its settings. Without it the shield stands as
    /// [`GateSettings::shield`](crate::GateSettings::shield) says, nobody is healthy, and the budgets drop
    /// nothing.
    ///
    /// Each change is in the kernel within 100 ms; thousands at once take several transactions, with bans
    /// set in between. Until the shield is [complete](Shield::complete) the kernel keeps what a gate from an
    /// earlier run holds, so that a restart makes nobody a stranger.
    #[must_use]
    pub fn shield_by(mut self, shield: Shield) -> Self {
        self.sip.shield = Some(shield);
        self.sip.note_change(Instant::now());
        self
    }

    /// Follows the ports on which SIP is spoken, instead of those that [`GateSettings`](crate::GateSettings::sip_ports)
    /// was opened with. Each list replaces the one before; of more than [`MOST_SIP_PORTS`] the first count, and 0
    /// is no port.
    ///
    /// The first list taken is one that `ports` has not seen yet.
    #[must_use]
    pub fn sip_ports_from(mut self, ports: watch::Receiver<Vec<u16>>) -> Self {
        self.sip.ports = Some(ports);
        self
    }

    /// Takes other ports. The gate is set anew with them where it stands.
    pub(super) async fn listen_on(&mut self, mut ports: Vec<u16>) -> Result<(), RouteError> {
        ports.retain(|port| *port != 0);
        ports.sort_unstable();
        ports.dedup();
        ports.truncate(MOST_SIP_PORTS);
        if ports == self.settings.gate.sip_ports {
            return Ok(());
        }
        self.settings.gate.sip_ports.clone_from(&ports);
        if let Ok(gate) = &mut self.gate {
            gate.listen_on(ports);
        }
        let before = self.coverage.clone();
        self.cover().await?;
        if self.coverage != before {
            self.outbox.push(Report::Coverage(self.coverage.clone()));
        }
        Ok(())
    }

    /// Whether packets to the SIP ports are counted now.
    pub(super) fn counts(&self) -> bool {
        self.coverage.gate && self.settings.gate.counts()
    }

    /// Reads the counters and reports what arrived.
    pub(super) async fn count(&mut self) -> Result<(), RouteError> {
        let Ok(gate) = &mut self.gate else { return Ok(()) };
        let counted = gate.count().await?;
        if counted.arrived > 0 {
            self.outbox.push(Report::Packets { count: counted.arrived });
        }
        if !counted.shield.is_empty() {
            self.outbox.push(Report::Shield(counted.shield));
        }
        let shield = &counted.shield;
        self.sip.strangers_came |= shield.strangers > 0 || shield.dropped.slowed.total() > 0;
        let now = Instant::now();
        self.sip.count_due = now + COUNT_INTERVAL;
        if self.sip.strangers_came && self.sip.strangers_due <= now {
            self.sip.strangers_came = false;
            let strangers = gate.strangers().await?;
            if !strangers.is_empty() {
                self.outbox.push(Report::Strangers(strangers));
            }
            let done = Instant::now();
            let rest = (done - now) * STRANGERS_SHARE;
            self.sip.strangers_due = done + rest.max(STRANGERS_INTERVAL);
        }
        self.count_dropped().await
    }

    /// Looks at the packets of each banned host and reports them where they changed.
    async fn count_dropped(&mut self) -> Result<(), RouteError> {
        let (started, are_counted) = (Instant::now(), self.are_counted(0));
        let Ok(gate) = &mut self.gate else { return Ok(()) };
        if self.sip.dropped_due > started {
            return Ok(());
        }
        let dropped = if are_counted { gate.dropped().await? } else { Vec::new() };
        if dropped != self.sip.dropped {
            self.sip.dropped.clone_from(&dropped);
            self.outbox.push(Report::Dropped(dropped));
        }
        let done = Instant::now();
        self.sip.dropped_due = done + ((done - started) * DROPPED_SHARE).max(DROPPED_INTERVAL);
        Ok(())
    }

    /// Takes a step after the shield.
    pub(super) async fn follow_shield(&mut self) -> Result<(), RouteError> {
        self.sip.step_due = None;
        let Some(shield) = self.sip.shield.clone() else { return Ok(()) };
        let started = Instant::now();
        let outcome = self.step_after(&shield).await;
        let now = Instant::now();
        match outcome {
            Ok(done) => {
                (self.sip.refused, self.sip.is_mending) = (None, false);
                if !done {
                    self.sip.step_due = Some(now + (now - started));
                }
                Ok(())
            }
            Err(error @ (RouteError::Socket(_) | RouteError::Silent)) => Err(error),
            Err(
                error @ (RouteError::Refused { .. }
                | RouteError::NotPermitted
                | RouteError::Settings(_)),
            ) => {
                let error = error.to_string();
                // Another program changed the sets: they are set again at once, which is no failure.
                let suspect = self.gate.as_ref().is_ok_and(Gate::is_suspect);
                let first = suspect && !std::mem::replace(&mut self.sip.is_mending, true);
                // What cannot be was taken from the shield, and what is left may go on.
                let at_once = first || !suspect;
                self.sip.step_due = Some(if at_once { now } else { now + AFTER_REFUSAL });
                if !first && self.sip.refused.as_ref() != Some(&error) {
                    self.outbox.push(Report::ShieldFailed { error: error.clone() });
                    self.sip.refused = Some(error);
                }
                Ok(())
            }
        }
    }

    /// Gives whether nothing is left to do.
    async fn step_after(&mut self, shield: &Shield) -> Result<bool, RouteError> {
        if let Some(NewSettings(settings)) = shield.take_settings() {
            settings.as_ref().map_or(Ok(()), ShieldSettings::check)?;
            self.change_shield(settings).await?;
        }
        self.mend_gate(shield).await?;
        let standing = self.coverage.gate;
        let Ok(gate) = &mut self.gate else { return Ok(true) };
        if let Some(nets) = shield.take_unlimited() {
            self.sip.unlimited = Some(Ranges::new(&nets));
        }
        if let Some(target) = self.sip.unlimited.take() {
            match gate.unlimit(&target, standing).await {
                Ok(true) => {}
                Ok(false) => self.sip.unlimited = Some(target),
                Err(error) => {
                    if gate.is_suspect() {
                        self.sip.unlimited = Some(target);
                    }
                    return Err(error);
                }
            }
        }
        if !standing {
            return Ok(true);
        }
        let flows = shield.take_flows(STEP);
        gate.keep_flows(&flows).await?;
        if shield.has_changed_flows() {
            return Ok(false);
        }
        if gate.shield().is_none() {
            return Ok(true);
        }
        let slowed = shield.take_slowed();
        gate.slow(&slowed).await?;
        // Those of an earlier run stay until all are named.
        if !shield.is_complete() && gate.has_budgets() {
            return Ok(self.sip.unlimited.is_none());
        }
        let hosts = shield.take_hosts(STEP);
        gate.change_hosts(&hosts).await?;
        if shield.has_changed_hosts() || self.sip.unlimited.is_some() {
            return Ok(false);
        }
        if shield.is_complete() {
            gate.set_budgets(true).await?;
            if !std::mem::replace(&mut self.sip.progress.is_reported, true) {
                let hosts = gate.healthy().len();
                self.outbox.push(Report::Shielded { hosts });
            }
        }
        Ok(true)
    }

    /// Puts other limits in force. The table is set anew in one transaction.
    async fn change_shield(&mut self, settings: Option<ShieldSettings>) -> Result<(), RouteError> {
        if self.settings.gate.shield == settings {
            return Ok(());
        }
        self.settings.gate.shield = settings;
        if let Ok(gate) = &mut self.gate {
            gate.change_shield(settings);
        }
        let before = self.coverage.clone();
        self.cover().await?;
        if self.coverage != before {
            self.outbox.push(Report::Coverage(self.coverage.clone()));
        }
        Ok(())
    }

    /// Brings gate and shield together again where the gate is not as it was left.
    async fn mend_gate(&mut self, shield: &Shield) -> Result<(), RouteError> {
        if self.gate.as_ref().is_ok_and(Gate::is_suspect) {
            self.cover().await?;
        }
        let Ok(gate) = &mut self.gate else { return Ok(()) };
        if gate.take_fresh() {
            self.sip.progress.is_reported = false;
            shield.forget_taken([]);
            shield.forget_taken_flows([]);
        } else if shield.is_complete() && !self.sip.progress.is_learned {
            // What the kernel holds from an earlier run is compared with what it shall hold.
            shield.forget_taken(gate.healthy().collect::<Vec<_>>());
            shield.forget_taken_flows(gate.kept().collect::<Vec<_>>());
        }
        if shield.is_complete() {
            self.sip.progress.is_learned = true;
        }
        Ok(())
    }
}
