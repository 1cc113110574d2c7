//! The SIP side of the gate: counts what arrives, and keeps up with whom the limit spares.

use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::Enforcer;
use crate::gate::Spared;
use crate::{MOST_SIP_PORTS, Report, RouteError};

/// Between two looks at the counter.
const COUNT_INTERVAL: Duration = Duration::from_secs(1);
/// Between two replacements of the spared networks. Every phone that registers may change them.
const SPARE_INTERVAL: Duration = Duration::from_secs(1);
/// Part of the time that replacing them may take: one in so many. No ban is set meanwhile.
const SPARE_SHARE: u32 = 4;

/// When to count, and whom to spare.
#[derive(Debug)]
pub(super) struct Sip {
    count_due: Instant,
    spare_due: Instant,
    /// Nobody says whom, or says so no more.
    spared: Option<watch::Receiver<Arc<[IpNet]>>>,
    /// The ports on which SIP is spoken; nobody says so, or says so no more.
    ports: Option<watch::Receiver<Vec<u16>>>,
    /// A list that is in force in part.
    under_way: Option<UnderWay>,
}

/// A list on its way into the kernel.
#[derive(Debug)]
struct UnderWay {
    target: Spared,
    networks: usize,
    /// When the next step may be taken.
    due: Instant,
}

impl Sip {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            count_due: now + COUNT_INTERVAL,
            spare_due: now,
            spared: None,
            ports: None,
            under_way: None,
        }
    }

    /// When to look at the counter next.
    pub(super) fn count_due(&self) -> Instant {
        self.count_due
    }

    /// When the next step towards the present list is due, if it is not in force yet.
    pub(super) fn step_due(&self) -> Option<Instant> {
        self.under_way.as_ref().map(|under_way| under_way.due)
    }

    /// Waits for what is wished next. Cancel safe: a wish is taken when it is returned.
    pub(super) async fn next_wish(&mut self) -> Wish {
        let Self { spare_due, spared, ports, .. } = self;
        tokio::select! {
            nets = next_spared(*spare_due, spared) => Wish::Spare(nets),
            ports = next_ports(ports) => Wish::Ports(ports),
        }
    }
}

/// What the gate's SIP side is to do.
pub(super) enum Wish {
    /// Spare these networks.
    Spare(Arc<[IpNet]>),
    /// Count and limit packets to these ports.
    Ports(Vec<u16>),
}

async fn next_spared(
    due: Instant,
    spared: &mut Option<watch::Receiver<Arc<[IpNet]>>>,
) -> Arc<[IpNet]> {
    sleep_until(due).await;
    if let Some(lists) = spared
        && lists.changed().await.is_ok()
    {
        return Arc::clone(&lists.borrow_and_update());
    }
    // The last list stays in force.
    *spared = None;
    std::future::pending().await
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
    /// Follows a list of networks that the [limit](crate::GateSettings::limit) never touches: known
    /// phones, allowed and protected hosts. They may overlap; at most
    /// [`MOST_SPARED`](crate::MOST_SPARED) of them. An IPv6 source is limited by its /64 and spared by
    /// its address.
    ///
    /// Each new list replaces the one before, at most once a second. Some thousand new networks are one
    /// transaction; more take several, with bans set in between, and what is no longer spared goes with
    /// the first. A list is answered by [`Report::Spared`] or [`Report::NotSpared`], unless a newer one
    /// replaces it before; lists in between are skipped.
    ///
    /// The first list taken is one that `networks` has not seen yet, so not the one that its channel was
    /// made with. Until it comes nobody is spared, except whom a gate from an earlier run still spares:
    /// so a restart limits no customer before it is known who they are.
    #[must_use]
    pub fn spare_from(mut self, networks: watch::Receiver<Arc<[IpNet]>>) -> Self {
        self.sip.spared = Some(networks);
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

    /// Reads the counter and reports what arrived.
    pub(super) async fn count(&mut self) -> Result<(), RouteError> {
        let Ok(gate) = &mut self.gate else { return Ok(()) };
        let count = gate.arrivals().await?;
        if count > 0 {
            self.outbox.push(Report::Packets { count });
        }
        self.sip.count_due = Instant::now() + COUNT_INTERVAL;
        Ok(())
    }

    /// Takes a new list, and the first step towards it.
    pub(super) async fn spare(&mut self, nets: &[IpNet]) -> Result<(), RouteError> {
        let now = Instant::now();
        self.sip.spare_due = now + SPARE_INTERVAL;
        match Spared::new(nets) {
            Ok(target) => {
                let networks = nets.len();
                self.sip.under_way = Some(UnderWay { target, networks, due: now });
                self.spare_more().await
            }
            Err(error) => self.report_spared(Err(error)),
        }
    }

    /// Takes a step towards the present list; reports it when it is in force.
    pub(super) async fn spare_more(&mut self) -> Result<(), RouteError> {
        let started = Instant::now();
        let Some(mut under_way) = self.sip.under_way.take() else { return Ok(()) };
        let outcome = match &mut self.gate {
            Ok(gate) => gate.spare(&under_way.target, self.coverage.gate).await,
            // Without netfilter nothing is limited.
            Err(_) => Ok(true),
        };
        let (now, took) = (Instant::now(), started.elapsed());
        self.sip.spare_due = self.sip.spare_due.max(now + took * SPARE_SHARE);
        if let Ok(false) = outcome {
            // As long again for whatever else there is to do.
            under_way.due = now + took;
            self.sip.under_way = Some(under_way);
            return Ok(());
        }
        self.report_spared(outcome.map(|_| under_way.networks))
    }

    fn report_spared(&mut self, outcome: Result<usize, RouteError>) -> Result<(), RouteError> {
        self.outbox.push(match outcome {
            Ok(networks) => Report::Spared { networks },
            Err(error @ (RouteError::Socket(_) | RouteError::Silent)) => return Err(error),
            Err(
                error @ (RouteError::Refused { .. }
                | RouteError::NotPermitted
                | RouteError::Settings(_)),
            ) => Report::NotSpared { error: error.to_string() },
        });
        Ok(())
    }
}
