//! A look at what stands in the kernel, by somebody who changes nothing.

use std::collections::BTreeSet;
use std::time::Duration;

use ipnet::IpNet;
use netlink_packet_route::route::RouteType;
use netlink_sys::protocols::NETLINK_ROUTE;

use crate::ban::Exact;
use crate::blackhole::ask_permission;
use crate::blackhole::{self, Filter, Winner};
use crate::coverage::coverage;
use crate::gate::Gate;
use crate::netlink::{Batch, Channel};
use crate::place::Place;
use crate::proof::sample;
use crate::proof::{self, Proof};
use crate::rules::{self, Rule};
use crate::{
    Coverage, Enforcement, Flow, GateMode, GateState, RouteError, Scope, Settings, host, links,
    policy_rules, reverse_path, ways,
};

/// Bans looked up at most: what is wrong with the routing shows on the first, and a large host holds
/// half a million.
const LOOKED_UP: usize = 128;

/// Foreign routes and rules named at most.
const NAMED: usize = 32;

/// What stands in the kernel.
#[derive(Clone, Debug)]
pub struct Inspection {
    /// This process may change routes, rules and nftables (`CAP_NET_ADMIN`).
    pub permitted: bool,
    /// Bans: our routes with these settings.
    pub routes: usize,
    /// Their networks.
    pub bans: BTreeSet<IpNet>,
    /// Bans from the SIP ports ([`Scope::Sip`]), as the gate's sets hold them: networks that touch are one.
    pub sip_bans: BTreeSet<IpNet>,
    /// Denied flows, sorted, with the time that each has left.
    pub flows: Vec<(Flow, Duration)>,
    /// Banned hosts in the gate's sets.
    pub hosts: usize,
    /// Hosts that have a route and are missing in the gate's sets, or the other way round.
    pub hosts_differ: usize,
    /// Networks for which a blackhole, unreachable or prohibit route of somebody else stands in a table of
    /// the bans.
    pub stopped_by_others: BTreeSet<IpNet>,
    /// The table that holds the bans; 254 is main.
    pub table: u32,
    /// Routes and rules with our protocol number that are not ours with these settings, in the words of
    /// `ip`; at most 32 of them.
    pub foreign: Vec<String>,
    /// The gate.
    pub gate: GateState,
    /// What the kernel covers with the gate as it was found.
    pub coverage: Coverage,
    /// Bans that were looked up, at most 128.
    pub looked_up: usize,
    /// Those of them that another route wins against, and which. What a host among them sends is dropped all the same
    /// where the gate stands: its set of banned hosts asks no route.
    pub outranked: Vec<(IpNet, String)>,
}

/// Looks at routes, rules and the gate, and looks some of the bans up as the gate would. Needs no
/// privilege, except for the gate.
///
/// # Errors
/// When a setting is out of range, netlink fails or the kernel refuses.
pub async fn inspect(settings: &Settings) -> Result<Inspection, RouteError> {
    settings.check()?;
    let mut route = Channel::open(NETLINK_ROUTE).map_err(RouteError::Socket)?;
    let permitted = match ask_permission(&mut route, settings.protocol).await {
        Ok(()) => true,
        Err(RouteError::NotPermitted) => false,
        Err(error) => return Err(error),
    };
    let gate = match Gate::open(settings.gate.clone(), settings.protocol) {
        Ok(mut gate) => look(&mut gate, &mut route).await,
        Err(error) => Err(error),
    };
    let (gate, sets) = match gate {
        Ok(found) => found,
        Err(error @ (RouteError::Socket(_) | RouteError::Silent)) => return Err(error),
        Err(
            error @ (RouteError::NotPermitted
            | RouteError::Refused { .. }
            | RouteError::Settings(_)),
        ) => (GateState::Unknown { reason: error.to_string() }, Sets::default()),
    };
    let host = host::facts(&mut route, settings.protocol).await?;
    let open = reverse_path::open_interfaces(&mut route).await?;
    let stands = matches!(gate, GateState::Standing { .. });
    let mark = (stands && settings.gate.mode == GateMode::Auto).then_some(settings.gate.mark);
    let proof = proof(&mut route, settings, mark).await?;
    let passed_by = proof::passed_by(&mut route, &proof).await?;
    let coverage =
        coverage(&settings.gate, stands, &open, &host).passed_by(passed_by, proof.place.table);
    let Survey { mut ours, elsewhere, foreign } = survey(&mut route, settings, proof.place).await?;
    let strays = stops_of_others(&mut route, settings).await?;
    ours.extend(elsewhere.into_iter().map(|(net, _)| net));
    let nets: Vec<IpNet> = ours.iter().take(LOOKED_UP).copied().collect();
    let outranked = outranked(&mut route, &nets, &proof).await?;
    let hosts_differ = if stands { sets.differ_from(&ours) } else { 0 };
    Ok(Inspection {
        permitted,
        routes: ours.len(),
        hosts: sets.hosts.len(),
        hosts_differ,
        sip_bans: sets.sip_bans,
        flows: sets.flows,
        table: proof.place.table,
        foreign: foreign.into_iter().take(NAMED).collect(),
        gate,
        coverage,
        looked_up: nets.len(),
        outranked,
        bans: ours,
        stopped_by_others: strays,
    })
}

/// What the gate's sets hold.
#[derive(Debug, Default)]
struct Sets {
    hosts: BTreeSet<IpNet>,
    sip_bans: BTreeSet<IpNet>,
    flows: Vec<(Flow, Duration)>,
}

impl Sets {
    /// Hosts that are in the sets or among the bans, and not in both.
    fn differ_from(&self, bans: &BTreeSet<IpNet>) -> usize {
        let exact = bans.iter().filter(|net| Exact::of(**net).is_some());
        let missing = exact.filter(|net| !self.hosts.contains(net)).count();
        missing + self.hosts.difference(bans).count()
    }
}

async fn look(gate: &mut Gate, route: &mut Channel) -> Result<(GateState, Sets), RouteError> {
    let state = gate.look(route).await?;
    match state {
        GateState::Standing { .. } | GateState::Damaged { .. } => {}
        GateState::Missing | GateState::Foreign | GateState::Unknown { .. } => {
            return Ok((state, Sets::default()));
        }
    }
    let mut flows: Vec<_> = gate.denied_in_kernel().await?.into_iter().collect();
    flows.sort_unstable();
    let (hosts, sip_bans) = (gate.bans(Scope::Host).await?, gate.bans(Scope::Sip).await?);
    Ok((state, Sets { hosts, sip_bans, flows }))
}

/// Our routes, and what else carries our protocol number.
pub(crate) struct Survey {
    /// Where the bans are.
    pub(crate) ours: BTreeSet<IpNet>,
    /// Bans in another table of these settings, with its number.
    pub(crate) elsewhere: Vec<(IpNet, u32)>,
    /// Sorted, in the words of `ip`.
    pub(crate) foreign: Vec<String>,
}

/// Reads everything that carries our protocol number.
///
/// # Errors
/// When netlink fails or the kernel refuses.
pub(crate) async fn survey(
    route: &mut Channel,
    settings: &Settings,
    place: Place,
) -> Result<Survey, RouteError> {
    let (mut ours, mut elsewhere, mut foreign) = (BTreeSet::new(), BTreeSet::new(), Vec::new());
    let filter = Filter { protocol: Some(settings.protocol), ..Filter::default() };
    let (gate, tables) = (&settings.gate, settings.tables());
    blackhole::dump(route, filter, |route| {
        let is_blackhole = route.kind == RouteType::BlackHole;
        if is_blackhole && route.table == place.table {
            ours.insert(route.net);
        } else if is_blackhole && tables.contains(&route.table) {
            elsewhere.insert((route.net, route.table));
        } else if !rules::is_fallback(&route, gate) {
            foreign.push(route.to_string());
        }
    })
    .await?;
    let expected = [place.rules(), vec![rules::for_gate(gate)]].concat();
    let is_foreign = |rule: &&Rule| {
        let is_for_bans = !rule.is_for_gate() && tables.contains(&rule.table());
        !expected.contains(rule) && !is_for_bans
    };
    let rules = rules::ours(route, settings.protocol).await?;
    foreign.extend(rules.iter().filter(is_foreign).map(ToString::to_string));
    foreign.sort_unstable();
    foreign.dedup();
    Ok(Survey { ours, elsewhere: elsewhere.into_iter().collect(), foreign })
}

/// How bans are looked up on this host, for somebody who only looks. `mark` is the gate's where it stands.
///
/// # Errors
/// When netlink fails or the kernel refuses.
pub(crate) async fn proof(
    route: &mut Channel,
    settings: &Settings,
    mark: Option<u32>,
) -> Result<Proof, RouteError> {
    let all = policy_rules::read(route).await?;
    let links = links::read(route).await?;
    let own = host::own(route).await?;
    let ours = rules::ours(route, settings.protocol).await?;
    let host = ways::host(&all, &own, &links, settings.protocol);
    Ok(Proof::new(&host, Place::found(settings, &ours), mark))
}

/// Networks that a route of somebody else stops, in the tables of the bans.
async fn stops_of_others(
    route: &mut Channel,
    settings: &Settings,
) -> Result<BTreeSet<IpNet>, RouteError> {
    let tables = settings.tables();
    let mut found = BTreeSet::new();
    for kind in [RouteType::BlackHole, RouteType::Unreachable, RouteType::Prohibit] {
        let filter = Filter { kind: Some(kind), ..Filter::default() };
        blackhole::dump(route, filter, |route| {
            if route.protocol != settings.protocol && tables.contains(&route.table) {
                found.insert(route.net);
            }
        })
        .await?;
    }
    Ok(found)
}

async fn outranked(
    route: &mut Channel,
    nets: &[IpNet],
    proof: &Proof,
) -> Result<Vec<(IpNet, String)>, RouteError> {
    let mut lost = Vec::new();
    for some in nets.chunks((LOOKED_UP / proof.width()).max(1)) {
        let (mut batch, mut owners) = (Batch::default(), Vec::new());
        for (index, net) in some.iter().enumerate() {
            let count = proof.ask(&mut batch, sample(*net));
            owners.extend((0..count).map(|way| (index, way)));
        }
        let mut answers: Vec<Vec<Option<Winner>>> = vec![vec![None; proof.width()]; some.len()];
        route
            .exchange(batch, |place, reply| {
                let slot = owners
                    .get(place)
                    .and_then(|(index, way)| answers.get_mut(*index)?.get_mut(*way));
                if let (Some(slot), Some(winner)) = (slot, Winner::of(&reply)) {
                    *slot = Some(winner);
                }
            })
            .await?;
        for (net, answers) in some.iter().zip(answers) {
            match proof.judge(sample(*net), &answers).enforcement() {
                None => {}
                Some(Enforcement::Outranked { winner }) => lost.push((*net, winner)),
                Some(other) => lost.push((*net, other.to_string())),
            }
        }
    }
    Ok(lost)
}
