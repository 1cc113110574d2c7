//! What would happen: a small engine to try things with.

use std::net::IpAddr;

use super::Engine;
use crate::key::Key;
use crate::{PolicyError, Timestamp, net};

impl Engine {
    /// An engine with the same policy that knows of `addrs` what this one knows: what counts against
    /// them, who logged in there, what they did lately, who exempts them, their bans and how often they
    /// were banned. Of everybody else it knows nothing, so rules about many sources (`account`,
    /// `network`, deafness) see only its inputs from now on. The texts of earlier failures stay
    /// behind.
    ///
    /// Costs what is known of these addresses, not what is known of all.
    ///
    /// # Errors
    /// Never for a policy that is in force.
    pub fn preview(&self, addrs: &[IpAddr]) -> Result<Self, PolicyError> {
        let mut copy = Self::new(self.limits.policy.clone(), self.fingerprints.text("preview"))?;
        copy.tick(self.now, &mut Vec::new());
        // These distinguish users.
        copy.fingerprints = self.fingerprints.clone();
        copy.joins.copy_senders(&self.joins);
        copy.dialogs.copy_lives(&self.dialogs);
        copy.blind_until = self.blind_until;
        copy.address_domains = self.address_domains;
        for addr in addrs {
            let addr = net::canonical(*addr);
            let (key, host) = (self.key(addr), Key::of_addr(addr));
            let source = self.limits.source_net(addr);
            if self.is_inhabited(addr, &self.limits.net_key(addr)) {
                copy.note_inhabited(addr);
            }
            copy.sources.copy(&self.sources, key);
            copy.unproven_sources.copy(&self.unproven_sources, key);
            copy.identities.copy(&self.identities, host);
            copy.live.copy(&self.live, host);
            copy.callers.copy(&self.callers, host);
            copy.copy_known_elsewhere(self, host);
            copy.flows.copy(&self.flows, addr);
            copy.losses.copy(&self.losses, addr);
            copy.activity.copy(&self.activity, key);
            copy.offenders.copy(&self.offenders, key);
            for (class, net) in self.exemptions.touching(&source) {
                copy.exemptions.insert(class, net);
            }
            for net in self.bans.touching(&source) {
                if let Some(ban) = self.bans.get(&net) {
                    copy.bans.insert(ban.clone());
                }
            }
        }
        // What was copied may be due.
        copy.wake = Timestamp::EPOCH;
        Ok(copy)
    }
}
