//! What another policy or exemption would do, tried on a small engine ([`Engine::preview`]).

use std::net::IpAddr;
use std::time::Duration;

use ipnet::IpNet;

use super::Engine;
use crate::effect::Effect;
use crate::{Action, Exemption, Mode, PolicyError, RuleName, net};

impl Engine {
    /// The rule whose threshold `addr` is at already, so that its next failure bans it. Of the rules that
    /// count failures of one source (`failures`, `users`, `slow`, `calls`, `raw_address`). Under the policy
    /// that counted them there is hardly ever one; after [`crate::Input::Policy`] there may be.
    #[must_use]
    pub fn already_due(&self, addr: IpAddr) -> Option<RuleName> {
        let addr = net::canonical(addr);
        if self.exemptions.of(addr).is_some() || self.bans.covering(addr).is_some() {
            return None;
        }
        let subject = self.subject(addr);
        let base = self.base_due(&subject, &self.tally(&subject.key, subject.standing));
        let found = self.findings(&subject).each();
        let counting = found.map(|(rule, finding)| self.counting_due(rule, finding, &subject));
        let mut dues = [base].into_iter().chain(counting).flatten();
        dues.find(|due| due.mode == Mode::Ban && due.effect == Effect::Ban).map(|due| due.rule)
    }

    /// Length of ban number `count` (from 1) of a source, when the first lasts `first`.
    #[must_use]
    pub fn ban_length(&self, first: Duration, count: u32) -> Duration {
        self.limits.ban_time(first, count)
    }

    /// What exempting `nets` beside those that are exempt would do to the bans of exactly the networks
    /// `banned`: the same as [`crate::Input::Exempt`] does. Nothing is changed.
    ///
    /// Costs what is known of these bans and of whom they may not cover.
    ///
    /// # Errors
    /// Never for a policy that is in force.
    pub fn try_exemption(
        &self,
        banned: &[IpNet],
        class: Exemption,
        nets: &[IpNet],
    ) -> Result<Vec<Action>, PolicyError> {
        let mut copy = self.preview(&[])?;
        for net in banned {
            for (class, exempt) in self.exemptions.touching(net) {
                copy.exemptions.insert(class, exempt);
            }
            if let Some(ban) = self.bans.get(net) {
                copy.bans.insert(ban.clone());
            }
        }
        let nets: Vec<IpNet> = nets.iter().copied().map(net::canonical_net).collect();
        for net in &nets {
            copy.exemptions.insert(class, *net);
        }
        let mut actions = Vec::new();
        for net in &nets {
            copy.recheck_touching(net, &mut actions);
        }
        Ok(actions)
    }
}
