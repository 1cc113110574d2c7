//! The kernel side of the daemon: the task that owns netlink, and what the host's own addresses forbid.

use anyhow::Context as _;
use ipnet::IpNet;
use sipward_engine::Exemption;
use sipward_route::{Enforcer, Found, HostFacts, Shield};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;

use crate::names::Exempt;
use sipward_config::{Config, Mode};

/// The kernel side, real or not.
pub struct Kernel {
    task: JoinHandle<anyhow::Result<()>>,
    stop: oneshot::Sender<()>,
    pub found: Found,
    /// Where the ports of FreeSWITCH's profiles go, if they are the ones that count.
    pub ports: Option<watch::Sender<Vec<u16>>>,
}

impl Kernel {
    pub async fn start(
        config: &Config,
        changes: mpsc::Receiver<sipward_route::Change>,
        reports: mpsc::Sender<sipward_route::Report>,
        shield: Shield,
    ) -> anyhow::Result<Self> {
        let (stop, stopped) = oneshot::channel();
        let (ports, ports_in) = watch::channel(Vec::new());
        let ports = config.sip_ports_auto.then_some(ports);
        match config.mode {
            Mode::Ban => {
                let (enforcer, found) = Enforcer::open(config.route.clone()).await?;
                let enforcer = enforcer.shield_by(shield).sip_ports_from(ports_in);
                let task = tokio::spawn(async move {
                    enforcer.run(changes, reports, stopped).await.context("netlink was lost")
                });
                Ok(Self { task, stop, found, ports })
            }
            Mode::Observe => {
                let host = sipward_route::host_facts(&config.route).await?;
                let task = tokio::spawn(async move {
                    sipward_route::dry_run(changes, reports).await;
                    Ok(())
                });
                Ok(Self { task, stop, found: Found { host, ..Found::default() }, ports })
            }
        }
    }

    /// Lets it carry out what it was asked, and waits for its end.
    pub async fn end(self) -> anyhow::Result<()> {
        let _ = self.stop.send(());
        self.task.await.context("the task that owns netlink failed")?
    }
}

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
