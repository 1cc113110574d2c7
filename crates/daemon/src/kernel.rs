//! The kernel side of the daemon: the task that owns netlink, and what the host's own addresses forbid.
//!
//! In ban mode an [`Enforcer`] carries decisions out; in observe mode nothing is asked of the kernel. The mode changes
//! while the daemon runs: [`KernelSwitch`] prepares the other side, the engine's task sends what it decides there from
//! then on ([`EngineTask::switch_kernel`](crate::EngineTask::switch_kernel)), and the side before ends.

use anyhow::Context as _;
use ipnet::IpNet;
use sipward_engine::Exemption;
use sipward_route::{Change, Enforcer, Found, HostFacts, Report, Shield};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;

use crate::names::Exempt;
use crate::only::{KernelLock, Owner};
use crate::route_queue::{self, RouteQueue};
use sipward_config::{Config, Mode};

/// Orders that wait at most: the settings give one at a time.
const MODE_CHANGES: usize = 1;

/// The kernel side, real or not.
pub struct Kernel {
    task: JoinHandle<anyhow::Result<Mode>>,
    stop: oneshot::Sender<()>,
    mode_changes: mpsc::Sender<ModeChange>,
    pub found: Found,
    /// How strangers are distinguished from healthy hosts; `None` in observe mode.
    pub shield: Option<Shield>,
    /// Where the ports of FreeSWITCH's profiles go, if they are the ones that count.
    pub ports: Option<watch::Sender<Vec<u16>>>,
}

/// Changes the mode of the kernel side.
#[derive(Clone, Debug)]
pub struct KernelSwitch {
    mode_changes: mpsc::Sender<ModeChange>,
}

#[derive(Debug)]
struct ModeChange {
    mode: Mode,
    answer: oneshot::Sender<anyhow::Result<(Prepared, Done)>>,
}

/// The kernel side in another mode. It works once the engine's task has taken it over; dropped before, nothing
/// changes.
#[derive(Debug)]
pub struct Prepared {
    pub mode: Mode,
    pub routes_out: RouteQueue,
    pub found: Found,
    /// The protocol number of sipward's routes.
    pub protocol: u8,
    pub shield: Option<Shield>,
    pub(crate) taken: oneshot::Sender<()>,
}

/// Comes when the side before has ended, and in observe mode the kernel holds nothing of sipward.
pub(crate) type Done = oneshot::Receiver<anyhow::Result<()>>;

impl KernelSwitch {
    /// Prepares the kernel side for a mode.
    ///
    /// # Errors
    /// When the kernel side cannot be opened (`CAP_NET_ADMIN`, another daemon), or has ended.
    pub(crate) async fn prepare(&self, mode: Mode) -> anyhow::Result<(Prepared, Done)> {
        let (answer, answered) = oneshot::channel();
        let ended = "the daemon is stopping";
        self.mode_changes.send(ModeChange { mode, answer }).await.ok().context(ended)?;
        answered.await.context(ended)?
    }
}

impl Kernel {
    pub async fn start(
        config: &Config,
        owner: Owner,
        changes: mpsc::Receiver<Change>,
        reports: mpsc::Sender<Report>,
    ) -> anyhow::Result<Self> {
        let (stop, stopped) = oneshot::channel();
        let (mode_changes, mode_changes_in) = mpsc::channel(MODE_CHANGES);
        let (ports, ports_in) = watch::channel(Vec::new());
        let ports = config.sip_ports_auto.then_some(ports);
        let keeper = Keeper { owner, route: config.route.clone(), ports: ports_in, reports };
        let Opened { side, found, shield } = keeper.open(config.mode).await?;
        let running = keeper.run(side, changes);
        let task = tokio::spawn(keeper.keep(running, mode_changes_in, stopped));
        Ok(Self { task, stop, mode_changes, found, shield, ports })
    }

    pub fn switch(&self) -> KernelSwitch {
        KernelSwitch { mode_changes: self.mode_changes.clone() }
    }

    /// Lets it carry out what it was asked, and waits for its end. Gives its mode.
    pub async fn end(self) -> anyhow::Result<Mode> {
        let _ = self.stop.send(());
        self.task.await.context("the task that owns netlink failed")?
    }
}

/// Keeps one side running: the real one, or the one that leaves the kernel alone.
struct Keeper {
    owner: Owner,
    route: sipward_route::Settings,
    ports: watch::Receiver<Vec<u16>>,
    reports: mpsc::Sender<Report>,
}

/// A side that does not work yet.
enum Side {
    Enforcing(Box<Enforcer>, KernelLock),
    Observing,
}

struct Opened {
    side: Side,
    found: Found,
    shield: Option<Shield>,
}

/// A side that works.
struct Running {
    mode: Mode,
    task: JoinHandle<anyhow::Result<()>>,
    stop: oneshot::Sender<()>,
}

impl Keeper {
    async fn open(&self, mode: Mode) -> anyhow::Result<Opened> {
        match mode {
            Mode::Ban => {
                let lock = self.owner.lock_kernel(&self.route)?;
                let (enforcer, found) = Enforcer::open(self.route.clone()).await?;
                let shield = Shield::default();
                let enforcer =
                    enforcer.shield_by(shield.clone()).sip_ports_from(self.ports.clone());
                let side = Side::Enforcing(Box::new(enforcer), lock);
                Ok(Opened { side, found, shield: Some(shield) })
            }
            Mode::Observe => {
                let host = sipward_route::host_facts(&self.route).await?;
                let found = Found { host, ..Found::default() };
                Ok(Opened { side: Side::Observing, found, shield: None })
            }
        }
    }

    fn run(&self, side: Side, changes: mpsc::Receiver<Change>) -> Running {
        let (stop, stopped) = oneshot::channel();
        let reports = self.reports.clone();
        let (mode, task) = match side {
            Side::Enforcing(enforcer, lock) => {
                let task = async move {
                    let _lock = lock;
                    enforcer.run(changes, reports, stopped).await.context("netlink was lost")
                };
                (Mode::Ban, tokio::spawn(task))
            }
            Side::Observing => {
                let task = async move {
                    sipward_route::dry_run(changes, reports).await;
                    Ok(())
                };
                (Mode::Observe, tokio::spawn(task))
            }
        };
        Running { mode, task, stop }
    }

    /// Until the end of the daemon, or of the side that runs.
    async fn keep(
        self,
        mut running: Running,
        mut mode_changes: mpsc::Receiver<ModeChange>,
        mut stopped: oneshot::Receiver<()>,
    ) -> anyhow::Result<Mode> {
        loop {
            tokio::select! {
                _ = &mut stopped => break,
                ended = &mut running.task => return ended.context(FAILED)?.map(|()| running.mode),
                Some(mode_change) = mode_changes.recv() => running = self.carry_out(mode_change, running).await?,
            }
        }
        let _ = running.stop.send(());
        running.task.await.context(FAILED)??;
        Ok(running.mode)
    }

    /// The side that runs then.
    async fn carry_out(
        &self,
        mode_change: ModeChange,
        running: Running,
    ) -> anyhow::Result<Running> {
        let ModeChange { mode, answer } = mode_change;
        let Opened { side, found, shield } = match self.open(mode).await {
            Ok(opened) => opened,
            Err(error) => {
                let _ = answer.send(Err(error));
                return Ok(running);
            }
        };
        let (sender, changes) = mpsc::channel(route_queue::CHANGES);
        let (taken, was_taken) = oneshot::channel();
        let (done_out, done) = oneshot::channel();
        let routes_out = RouteQueue::new(sender);
        let protocol = self.route.protocol;
        let prepared = Prepared { mode, routes_out, found, protocol, shield, taken };
        if answer.send(Ok((prepared, done))).is_err() || was_taken.await.is_err() {
            return Ok(running);
        }
        // What was decided before is carried out first.
        let _ = running.stop.send(());
        running.task.await.context(FAILED)??;
        let flushed = match mode {
            Mode::Ban => Ok(()),
            Mode::Observe => sipward_route::flush(&self.route).await.map(drop),
        };
        let flushed = flushed.context("the bans cannot be removed from the kernel");
        let running = self.run(side, changes);
        let _ = done_out.send(flushed);
        Ok(running)
    }
}

const FAILED: &str = "the task that carries bans out failed";

/// What of this host must never be banned.
///
/// A network that this host is connected to counts by its first address, which belongs to the
/// network itself (RFC 4291 section 2.6.1: all its routers): so a ban is never as wide as a
/// connected network, where its route would lose against the kernel's own (IPv6 metric 1024
/// against 256) or cut off every neighbour, but narrows to the failing address.
pub fn host_exemptions(host: &HostFacts) -> [Exempt; 2] {
    let own = host.own.iter().copied().map(IpNet::from).collect();
    let networks = host.on_link.iter().filter(|net| net.max_prefix_len() - net.prefix_len() > 1);
    let gateways = host.gateways.iter().copied().chain(networks.map(IpNet::network));
    [(Exemption::Own, own), (Exemption::Gateway, gateways.map(IpNet::from).collect())]
}

#[cfg(test)]
mod tests;
