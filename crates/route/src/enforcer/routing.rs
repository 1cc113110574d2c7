//! Follows the policy rules of this host: where the bans have to be, and how they are looked up.

use ipnet::IpNet;
use netlink_packet_route::AddressFamily;
use tokio::time::Instant;

use super::Enforcer;
use super::unsettled::Extent;
use crate::blackhole::Blackholes;
use crate::place::Place;
use crate::policy_rules;
use crate::proof::Proof;
use crate::ways::{self, Host};
use crate::{RouteError, links, rules};

/// Rules named as the reason of a move at most.
const NAMED: usize = 4;

impl Enforcer {
    /// Reads rules and interfaces, puts our own rules where they have to be, and begins to move the bans
    /// where another table is needed. Returns how many of our rules were missing.
    ///
    /// # Errors
    /// When netlink fails or the kernel refuses.
    pub(super) async fn reroute(&mut self) -> Result<usize, RouteError> {
        self.rules = policy_rules::read(&mut self.route).await?;
        self.links = links::read(&mut self.route).await?;
        let before = self.proof.place;
        let host = ways::host(&self.rules, &self.host.own, &self.links, self.settings.protocol);
        let current = self.is_placed.then_some(before);
        let place = Place::choose(&mut self.route, &self.settings, &host, current).await?;
        let because = reasons(&host, before);
        // The rule first: a table that is still empty is passed through.
        let wanted = place.rules();
        let added = rules::ensure(&mut self.route, self.settings.protocol, &wanted).await?;
        if added > 0 {
            self.rules = policy_rules::read(&mut self.route).await?;
        }
        if place == before {
            return Ok(if self.is_placed { added } else { 0 });
        }
        self.blackholes = Blackholes::in_table(place.table, self.settings.protocol);
        self.proof.place = place;
        if self.is_placed && place.table != before.table {
            self.moved_because = because;
            let routes: Vec<(IpNet, u32)> =
                self.wanted.iter().map(|net| (net, before.table)).collect();
            self.begin_move(routes);
        } else if self.is_placed {
            self.remove_stale_rules().await?;
        }
        Ok(0)
    }

    /// Works out again how bans are looked up; where that changed, all are looked up again.
    pub(super) fn renew_proof(&mut self) {
        let mark = self.coverage.gate.then_some(self.settings.gate.mark);
        let host = ways::host(&self.rules, &self.host.own, &self.links, self.settings.protocol);
        let proof = Proof::new(&host, self.proof.place, mark);
        if proof != self.proof {
            self.proof = proof;
            self.round.note(Extent::All, Instant::now());
        }
    }
}

/// The rules that are read before a table.
fn reasons(host: &Host<'_>, place: Place) -> Vec<String> {
    [AddressFamily::Inet, AddressFamily::Inet6]
        .into_iter()
        .flat_map(|family| ways::all_before(host, family, place.table))
        .take(NAMED)
        .map(ToString::to_string)
        .collect()
}
