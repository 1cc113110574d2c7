//! The daemon's lists, and what differs from the kernel's.

use std::collections::BTreeSet;
use std::path::Path;

use ipnet::IpNet;
use sipward_engine::{Flow, MAX_FLOWS, Scope};
use sipward_route::Inspection;

use super::Lists;
use crate::client::{Client, ClientError};
use sipward_daemon::control::{Control, ControlError};
use sipward_daemon::route_queue::flow_of;
use sipward_model::wire::{BanFilter, BanScope, FlowPage, FlowQuery, MAX_LIMIT};

/// Bytes of a line of the daemon's list at most; the longest network has 43.
const LONGEST_LINE: usize = 64;

/// What the daemon bans and denies.
#[derive(Debug, Default)]
pub(super) struct Listed {
    /// Networks banned with scope `host`.
    pub(super) hosts: BTreeSet<IpNet>,
    /// Networks banned with scope `sip`.
    pub(super) sip: BTreeSet<IpNet>,
    /// Denied flows.
    pub(super) flows: BTreeSet<Flow>,
}

/// What is in one list only.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Difference<T> {
    /// The daemon has it, the kernel does not stop it.
    pub(super) missing: BTreeSet<T>,
    /// The kernel has it, the daemon does not know it.
    pub(super) stray: BTreeSet<T>,
}

/// Where the daemon's lists and the kernel's differ.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Differences {
    pub(super) routes: Difference<IpNet>,
    pub(super) sip: Difference<IpNet>,
    pub(super) flows: Difference<Flow>,
    /// Banned hosts that are in the gate's sets or have a route, and not both.
    pub(super) hosts: usize,
}

impl Listed {
    /// Asks the daemon.
    ///
    /// # Errors
    /// When it cannot be asked, or its answer cannot be read.
    pub(super) async fn read(lists: Lists<'_>) -> Result<Self, String> {
        match lists {
            Lists::Socket(socket) => asked(socket).await.map_err(|error| error.to_string()),
            Lists::Control(control) => in_process(control).await.map_err(|error| error.to_string()),
        }
    }
}

async fn asked(socket: &Path) -> Result<Listed, ClientError> {
    let mut client = Client::connect(socket).await?;
    Ok(Listed {
        hosts: bans(&mut client, BanScope::Host).await?,
        sip: bans(&mut client, BanScope::Sip).await?,
        flows: flows(&mut client).await?,
    })
}

async fn in_process(control: &Control) -> Result<Listed, ControlError> {
    let mut listed = Listed::default();
    for (net, scope) in control.banned_nets().await? {
        match scope {
            Scope::Host => listed.hosts.insert(net),
            Scope::Sip => listed.sip.insert(net),
        };
    }
    listed.flows = control.denied_flows().await?.into_iter().collect();
    Ok(listed)
}

async fn bans(client: &mut Client, scope: BanScope) -> Result<BTreeSet<IpNet>, ClientError> {
    let (mut nets, mut rest) = (BTreeSet::new(), Vec::new());
    let take = |part: &[u8]| {
        for byte in part {
            match byte {
                b'\n' => {
                    let line = String::from_utf8_lossy(&rest);
                    let net: IpNet = line.parse().map_err(std::io::Error::other)?;
                    nets.insert(net);
                    rest.clear();
                }
                _ if rest.len() < LONGEST_LINE => rest.push(*byte),
                _ => return Err(std::io::Error::other("a line is too long")),
            }
        }
        Ok(())
    };
    let filter = BanFilter { scope: Some(scope), ..BanFilter::default() };
    client.download("/bans.txt", &filter, take).await?;
    Ok(nets)
}

async fn flows(client: &mut Client) -> Result<BTreeSet<Flow>, ClientError> {
    let mut flows = BTreeSet::new();
    let mut query = FlowQuery { limit: Some(MAX_LIMIT), ..FlowQuery::default() };
    // Flows that come meanwhile could make it longer than there can be at once.
    for _ in 0..=MAX_FLOWS / usize::from(MAX_LIMIT) {
        let page = client.get::<FlowPage>("/flows", &query).await?.value;
        flows.extend(page.items.iter().map(|denied| denied.flow));
        query.cursor = page.next;
        if query.cursor.is_none() {
            break;
        }
    }
    Ok(flows)
}

impl<T> Default for Difference<T> {
    fn default() -> Self {
        Self { missing: BTreeSet::new(), stray: BTreeSet::new() }
    }
}

impl<T: Ord + Copy> Difference<T> {
    /// What differs in both.
    fn and(&self, other: &Self) -> Self {
        let both = |a: &BTreeSet<T>, b: &BTreeSet<T>| a.intersection(b).copied().collect();
        Self {
            missing: both(&self.missing, &other.missing),
            stray: both(&self.stray, &other.stray),
        }
    }
}

impl Differences {
    pub(super) fn between(listed: &Listed, found: &Inspection) -> Self {
        let is_stopped =
            |net: &&IpNet| found.bans.contains(net) || found.stopped_by_others.contains(net);
        let routes = Difference {
            missing: listed.hosts.iter().filter(|net| !is_stopped(net)).copied().collect(),
            stray: found.bans.difference(&listed.hosts).copied().collect(),
        };
        let kernel: BTreeSet<Flow> = found.flows.iter().map(|(flow, _)| flow_of(*flow)).collect();
        let flows = Difference {
            missing: listed.flows.difference(&kernel).copied().collect(),
            stray: kernel.difference(&listed.flows).copied().collect(),
        };
        // In the kernel's sets networks that touch are one.
        let (wanted, held) = (merged(&listed.sip), merged(&found.sip_bans));
        let beyond = |nets: &BTreeSet<IpNet>, others: &BTreeSet<IpNet>| {
            nets.iter().filter(|net| !covers(others, **net)).copied().collect()
        };
        let sip = Difference {
            missing: beyond(&listed.sip, &held),
            stray: beyond(&found.sip_bans, &wanted),
        };
        Self { routes, sip, flows, hosts: found.hosts_differ }
    }

    /// What differs in both.
    pub(super) fn and(&self, other: &Self) -> Self {
        Self {
            routes: self.routes.and(&other.routes),
            sip: self.sip.and(&other.sip),
            flows: self.flows.and(&other.flows),
            hosts: self.hosts.min(other.hosts),
        }
    }
}

/// The fewest networks that hold the same addresses.
fn merged(nets: &BTreeSet<IpNet>) -> BTreeSet<IpNet> {
    IpNet::aggregate(&nets.iter().copied().collect()).into_iter().collect()
}

/// One of `merged` holds all of `net`.
fn covers(merged: &BTreeSet<IpNet>, net: IpNet) -> bool {
    let mut wider = Some(net);
    while let Some(net) = wider {
        if merged.contains(&net) {
            return true;
        }
        wider = net.supernet();
    }
    false
}
