//! Registrations that stand: who is known because FreeSWITCH serves him right now.

use std::net::IpAddr;

use super::Engine;
use crate::sources::Key;
use crate::{Action, Identity, Registered, Timestamp, net};

impl Engine {
    /// What is known of a source: somebody logged in from there lately, or is registered now.
    pub(super) fn identity(&self, key: &Key) -> Identity {
        match self.identities.of(key, self.now, &self.limits) {
            Identity::Stranger if self.live.of(key, self.now) > 0 => Identity::Known,
            identity => identity,
        }
    }

    /// Sources that are no strangers. Some come twice.
    pub(super) fn known_sources(&self) -> impl Iterator<Item = Key> {
        let remember = self.limits.policy.healthy.remember;
        self.live.sources(self.now).chain(self.identities.known(self.now, remember))
    }

    pub(super) fn on_registered(&mut self, registered: &Registered<'_>, actions: &mut Vec<Action>) {
        self.note_domain(registered.domain);
        let Registered { source, user, user_agent, .. } = *registered;
        self.note_registration(registered);
        self.on_success(source, user, user_agent, actions);
    }

    pub(super) fn on_registration_ended(&mut self, registered: &Registered<'_>) {
        let (_, sources) = self.live.sizes();
        self.live.end(self.registration_id(registered));
        self.note_fewer_live(sources);
    }

    /// Replaces what stands by a snapshot.
    pub(super) fn on_registrations(
        &mut self,
        phones: &[Registered<'_>],
        asked: Timestamp,
        actions: &mut Vec<Action>,
    ) {
        for phone in phones {
            self.note_domain(phone.domain);
            self.note_registration(phone);
            let source = net::canonical(phone.source);
            let key = self.limits.key(source);
            // It logged in some time ago: that forgives no failure since, and tells no user agent.
            let user = self.fingerprints.text(phone.user);
            self.identities.confirm(key, user, self.now);
            self.free_from_network_ban(source, actions);
        }
        let (_, sources) = self.live.sizes();
        // Whatever the caller's clock says: who is in the list stays.
        self.live.forget_unseen(asked.min(self.now));
        self.note_fewer_live(sources);
    }

    /// Forgets who was not seen for too long.
    pub(super) fn expire_identities(&mut self, now: Timestamp) {
        let (known, ..) = self.identities.sizes();
        let (_, sources) = self.live.sizes();
        self.identities.expire(now, &self.limits);
        self.live.expire(now);
        if self.identities.sizes().0 != known {
            self.note_spared();
        }
        self.note_fewer_live(sources);
    }

    fn note_registration(&mut self, registered: &Registered<'_>) {
        let source = net::canonical(registered.source);
        self.greet(source);
        let (_, sources) = self.live.sizes();
        let id = self.registration_id(registered);
        self.live.put(id, self.limits.key(source), registered.life, self.now);
        self.note_fewer_live(sources);
    }

    fn note_fewer_live(&mut self, sources_before: usize) {
        if self.live.sizes().1 < sources_before {
            self.note_spared();
        }
    }

    fn registration_id(&self, registered: &Registered<'_>) -> u64 {
        let Registered { user, domain, call_id, .. } = *registered;
        self.fingerprints.registration(user, domain, call_id)
    }

    /// Somebody new is no stranger from now on.
    pub(super) fn greet(&mut self, source: IpAddr) {
        let key = self.limits.key(source);
        if self.identity(&key) == Identity::Stranger {
            self.note_spared();
        }
    }
}
