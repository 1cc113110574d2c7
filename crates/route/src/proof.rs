//! Proves bans: looks them up as the gate does, for each way in.

use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;
use netlink_packet_route::AddressFamily;

use crate::blackhole::{self, Winner};
use crate::netlink::{Batch, Channel};
use crate::place::Place;
use crate::policy_rules::PolicyRule;
use crate::way::Way;
use crate::ways::{Host, Ways};
use crate::{Enforcement, RouteError};

/// Addresses of strangers, spread over what is routed: what a rule before the bans finds for most of them
/// it finds for most attackers.
const STRANGERS: [[&str; 4]; 2] = [
    ["5.45.96.1", "77.88.55.1", "133.11.93.1", "201.131.4.1"],
    ["2001:4860::1", "2400:cb00::1", "2600:1f00::1", "2a00:1450::1"],
];

/// How bans of a place are looked up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Proof {
    pub(crate) place: Place,
    ipv4: Ways,
    ipv6: Ways,
    /// The gate's mark where it stands, carried by look-ups of IPv4.
    mark: Option<u32>,
}

/// What the look-ups of one ban came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// A blackhole wins, whichever way packets come.
    Blackhole,
    /// No packet gets an answer, for some ways by an unreachable or prohibit route.
    Refusing(&'static str),
    /// Another route wins, for some ways at least.
    Passed {
        way: Way,
        /// The rule of another program by which it does.
        rule: Option<String>,
        winner: String,
    },
}

impl Default for Proof {
    fn default() -> Self {
        Self { place: Place::MAIN, ipv4: Ways::default(), ipv6: Ways::default(), mark: None }
    }
}

impl Proof {
    pub(crate) fn new(host: &Host<'_>, place: Place, mark: Option<u32>) -> Self {
        let ways = |family, mark| Ways::new(host, family, place.table, mark);
        let ipv4 = ways(AddressFamily::Inet, mark.unwrap_or(0));
        Self { place, ipv4, ipv6: ways(AddressFamily::Inet6, 0), mark }
    }

    /// How many look-ups a ban takes at most.
    pub(crate) fn width(&self) -> usize {
        self.ipv4.all.len().max(self.ipv6.all.len())
    }

    /// Asks for all look-ups of an address; returns how many.
    pub(crate) fn ask(&self, batch: &mut Batch, address: IpAddr) -> usize {
        let ways = self.ways(address);
        let mark = if address.is_ipv4() { self.mark } else { None };
        for way in &ways.all {
            blackhole::lookup(batch, address, mark, way);
        }
        ways.all.len()
    }

    /// Judges the answers to [`ask`](Self::ask), in its order. One that did not come is `None`.
    pub(crate) fn judge(&self, address: IpAddr, answers: &[Option<Winner>]) -> Verdict {
        let ways = self.ways(address);
        let mut verdict = Verdict::Blackhole;
        for (index, way) in ways.all.iter().enumerate() {
            let rule = |table| ways.rule_of(way, table).map(PolicyRule::to_string);
            let passed = |rule, winner| Verdict::Passed { way: way.clone(), rule, winner };
            match answers.get(index) {
                Some(Some(Winner::Blackhole)) => {}
                // The gate takes it for a blackhole: it can only ask whether there is a way back.
                Some(Some(Winner::Refusing(kind))) if address.is_ipv4() => {
                    verdict = Verdict::Refusing(kind);
                }
                Some(Some(Winner::Refusing(kind))) => {
                    let winner = format!("{kind} route, which stops answers only");
                    return passed(rule(None), winner);
                }
                Some(Some(Winner::Other { route, table })) => {
                    return passed(rule(*table), route.clone());
                }
                Some(None) | None => {
                    return passed(None, "unknown (no answer to the look-up)".to_owned());
                }
            }
        }
        verdict
    }

    /// Whether a route in this table may win against bans by a rule before them.
    pub(crate) fn is_read_before(&self, table: u32) -> bool {
        let mut rules = self.ipv4.rules.iter().chain(&self.ipv6.rules);
        rules.any(|rule| rule.may_lead_to(table))
    }

    fn ways(&self, address: IpAddr) -> &Ways {
        if address.is_ipv4() { &self.ipv4 } else { &self.ipv6 }
    }
}

/// What passes the bans by on this host, of each family: in words, for every rule that does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct PassedBy {
    pub(crate) ipv4: Vec<String>,
    pub(crate) ipv6: Vec<String>,
}

/// Looks up some strangers by each way. What a rule before the bans finds for them is not stopped.
///
/// # Errors
/// When netlink fails.
pub(crate) async fn passed_by(
    channel: &mut Channel,
    proof: &Proof,
) -> Result<PassedBy, RouteError> {
    let mut found = PassedBy::default();
    for (strangers, is_ipv6) in STRANGERS.into_iter().zip([false, true]) {
        let ways = if is_ipv6 { &proof.ipv6 } else { &proof.ipv4 };
        if ways.rules.is_empty() {
            continue;
        }
        let gaps = if is_ipv6 { &mut found.ipv6 } else { &mut found.ipv4 };
        for stranger in strangers {
            let Ok(stranger) = stranger.parse() else { continue };
            let answers = answers(channel, proof, stranger).await?;
            for (way, winner) in ways.all.iter().zip(answers) {
                let table = match winner {
                    Some(Winner::Other { table: Some(table), .. })
                        if table != proof.place.table =>
                    {
                        Some(table)
                    }
                    Some(Winner::Refusing(_)) if is_ipv6 => None,
                    Some(Winner::Blackhole | Winner::Refusing(_) | Winner::Other { .. }) | None => {
                        continue;
                    }
                };
                if let Some(rule) = ways.rule_of(way, table) {
                    let gap = gap(way, rule, proof.place);
                    if !gaps.contains(&gap) {
                        gaps.push(gap);
                    }
                }
            }
        }
        if ways.is_partial {
            gaps.push(format!(
                "more policy rules are read before the bans in table {} than can be looked into; set \
                 [route] table = \"auto\"",
                proof.place
            ));
        }
    }
    Ok(found)
}

/// Looks an address up by each way, in their order.
///
/// # Errors
/// When netlink fails.
pub(crate) async fn answers(
    channel: &mut Channel,
    proof: &Proof,
    address: IpAddr,
) -> Result<Vec<Option<Winner>>, RouteError> {
    let mut batch = Batch::default();
    let count = proof.ask(&mut batch, address);
    let mut answers: Vec<Option<Winner>> = vec![None; count];
    channel
        .exchange(batch, |place, reply| {
            if let (Some(slot), Some(winner)) = (answers.get_mut(place), Winner::of(&reply)) {
                *slot = Some(winner);
            }
        })
        .await?;
    Ok(answers)
}

fn gap(way: &Way, rule: &PolicyRule, place: Place) -> String {
    let way = way.to_string();
    let gap = if way.is_empty() { "" } else { " " };
    format!(
        "packets{gap}{way} pass by the bans: `{rule}` is read before table {place}; set [route] table = \
         \"auto\" (or an own table with a rule_preference below {})",
        rule.preference
    )
}

/// "to 192.0.2.1 over TCP in VRF red"; nothing for packets of any way.
impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { destination, vrf, tos, transport } = self;
        let mut gap = "";
        let mut next = || std::mem::replace(&mut gap, " ");
        if let Some(own) = destination {
            write!(f, "{}to {own}", next())?;
        }
        match transport {
            Some(6) => write!(f, "{}over TCP", next())?,
            Some(17) => write!(f, "{}over UDP", next())?,
            Some(_) | None => {}
        }
        if *tos != 0 {
            write!(f, "{}with type of service {tos:#x}", next())?;
        }
        if let Some(vrf) = vrf {
            write!(f, "{}in VRF {}", next(), vrf.name.escape_debug())?;
        }
        Ok(())
    }
}

impl Verdict {
    /// In the words of a report; `None` where the route does what it should.
    pub(crate) fn enforcement(self) -> Option<Enforcement> {
        match self {
            Self::Blackhole | Self::Refusing(_) => None,
            Self::Passed { way, rule: Some(rule), winner } => {
                Some(Enforcement::PassedBy { packets: way.to_string(), rule, winner })
            }
            Self::Passed { rule: None, winner, .. } => Some(Enforcement::Outranked { winner }),
        }
    }
}

/// The address to look up for a network: one in its middle, where hardly ever an address or a gateway
/// of this host sits, for which more specific routes exist.
pub(crate) fn sample(net: IpNet) -> IpAddr {
    let half =
        1_u128.checked_shl(u32::from(net.max_prefix_len() - net.prefix_len()).wrapping_sub(1));
    let half = half.unwrap_or(0);
    match net {
        IpNet::V4(net) => {
            let half = u32::try_from(half).unwrap_or(0);
            IpAddr::V4((u32::from(net.network()) | half).into())
        }
        IpNet::V6(net) => IpAddr::V6((u128::from(net.network()) | half).into()),
    }
}
