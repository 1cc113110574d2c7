//! Whom a limit on all sources must not touch.

use ipnet::IpNet;

use super::Engine;

impl Engine {
    /// The networks of all hosts that are not strangers: exempt ones of every class first, then those with
    /// registrations that stand, then those who logged in lately, then those that peers know. Some come twice, some lie inside
    /// others; there may be some hundred thousand.
    pub fn spared(&self) -> impl Iterator<Item = IpNet> {
        self.exemptions.iter().chain(self.known_hosts())
    }

    /// [`Engine::spared`] without the exempt: hosts with registrations, those who logged in lately, those that peers
    /// know.
    pub fn known_hosts(&self) -> impl Iterator<Item = IpNet> {
        let fleet = self.fleet.as_deref();
        let elsewhere = fleet.into_iter().flat_map(|fleet| fleet.known.hosts(self.fresh(fleet)));
        self.known_sources().chain(elsewhere).map(|key| IpNet::from(key.addr()))
    }

    /// A number that is another one whenever [`Engine::spared`] gives others. It takes up to a minute to notice that
    /// a host has become a stranger by time alone.
    #[must_use]
    pub const fn spared_version(&self) -> u64 {
        self.spared_version
    }

    pub(super) const fn note_spared(&mut self) {
        self.spared_version += 1;
    }
}
