//! Earlier failures judged again: what another policy would have made of them.

use std::net::IpAddr;

use super::Engine;
use crate::key::Key;
use crate::{Action, AuthFailure, CoreId, Judgement, Method, Policy, PolicyError, Timestamp, net};

impl Engine {
    /// An engine with `policy` to judge earlier failures again with. It knows nobody yet ([`Engine::introduce`]), and
    /// its time begins at the first of them.
    ///
    /// # Errors
    /// A setting is out of range.
    pub fn rehearsal(&self, policy: Policy) -> Result<Self, PolicyError> {
        let mut copy = Self::new(policy, self.fingerprints.text("rehearsal"))?;
        // These distinguish users.
        copy.fingerprints = self.fingerprints.clone();
        Ok(copy)
    }

    /// Tells `rehearsal` who logs in at `addrs` and who exempts them, as it is now. What counts against them stays
    /// here, and so do bans.
    ///
    /// Costs what is known of these addresses.
    pub fn introduce(&self, addrs: &[IpAddr], rehearsal: &mut Self) {
        for addr in addrs {
            let addr = net::canonical(*addr);
            let host = Key::of_addr(addr);
            if self.is_inhabited(addr, &self.limits.net_key(addr)) {
                rehearsal.note_inhabited_at(addr, self.now);
            }
            rehearsal.identities.copy(&self.identities, host);
            rehearsal.live.copy(&self.live, host);
            for (class, net) in self.exemptions.touching(&self.limits.source_net(addr)) {
                rehearsal.exemptions.insert(class, net);
            }
        }
    }

    /// Judges a failure again, by the grade that it was given, at the time when it came.
    ///
    /// A judgement says neither port nor domain nor method: no flow is denied, and the rules `calls` and
    /// `raw_address` find nothing.
    pub fn rejudge(&mut self, judged: &Judgement, now: Timestamp, actions: &mut Vec<Action>) {
        self.tick(now, actions);
        let seen = self.fingerprints.failure(&AuthFailure {
            source: judged.address,
            port: 0,
            profile: &judged.profile,
            user: &judged.user,
            domain: "",
            user_agent: &judged.user_agent,
            method: Method::Register,
            sequence: 0,
            core: CoreId(0),
        });
        self.judge(&seen, judged.grade, actions);
    }
}
