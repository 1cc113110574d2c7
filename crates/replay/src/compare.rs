//! What two policies do differently.

use std::collections::BTreeMap;

use ipnet::IpNet;
use serde::Serialize;

use super::report::{Banned, Report};
use sipward_model::text::Time;

/// The difference of two reports over the same input, by network and its first ban.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Comparison {
    /// Banned by both at the same moment.
    pub same: u64,
    /// Banned by the first policy only.
    pub only_first: Vec<Banned>,
    /// Banned by the second policy only.
    pub only_second: Vec<Banned>,
    /// Banned by both, by the first one sooner.
    pub first_sooner: Vec<Both>,
    /// Banned by both, by the second one sooner.
    pub second_sooner: Vec<Both>,
    /// Lists of bans were cut, so differences may be missing.
    pub incomplete: bool,
}

/// A network that both ban.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Both {
    /// The network.
    pub net: IpNet,
    /// When the first policy first banned it.
    pub first: Time,
    /// When the second did.
    pub second: Time,
}

impl Comparison {
    /// Of the first report to the second.
    #[must_use]
    pub fn of(first: &Report, second: &Report) -> Self {
        let mut found = Self {
            incomplete: first.bans.left_out() + second.bans.left_out() > 0,
            ..Self::default()
        };
        let mut others = first_bans(second);
        let mut bans: Vec<&Banned> = first_bans(first).into_values().collect();
        bans.sort_by_key(|ban| ban.since);
        for ban in bans {
            let Some(other) = others.remove(&ban.net) else {
                found.only_first.push(ban.clone());
                continue;
            };
            let both = Both { net: ban.net, first: ban.since, second: other.since };
            match both.first.cmp(&both.second) {
                std::cmp::Ordering::Less => found.first_sooner.push(both),
                std::cmp::Ordering::Equal => found.same += 1,
                std::cmp::Ordering::Greater => found.second_sooner.push(both),
            }
        }
        found.only_second = others.into_values().cloned().collect();
        found.only_second.sort_by_key(|ban| ban.since);
        found
    }
}

/// The first ban of each network.
fn first_bans(report: &Report) -> BTreeMap<IpNet, &Banned> {
    let mut bans = BTreeMap::new();
    for ban in &report.bans.entries {
        bans.entry(ban.net).or_insert(ban);
    }
    bans
}
