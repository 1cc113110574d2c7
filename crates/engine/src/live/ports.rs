//! From which ports of an address users are registered.

use std::collections::BTreeMap;

use crate::key::Key;

/// How many registrations each port of a host has. Holds the ports of registrations, so it is never larger
/// than their table.
#[derive(Debug, Default)]
pub(crate) struct Ports(BTreeMap<(Key, Option<u16>), u32>);

impl Ports {
    /// A registration came; `None` where nobody says from which port.
    pub(crate) fn enter(&mut self, host: Key, port: Option<u16>) {
        *self.0.entry((host, port)).or_default() += 1;
    }

    /// A registration is gone.
    pub(crate) fn leave(&mut self, host: Key, port: Option<u16>) {
        if let Some(count) = self.0.get_mut(&(host, port)) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.0.remove(&(host, port));
            }
        }
    }

    /// A registration is, or may be, at this port of the host.
    pub(crate) fn may_hold(&self, host: Key, port: u16) -> bool {
        self.0.contains_key(&(host, Some(port))) || self.0.contains_key(&(host, None))
    }

    /// The known ports of a host, in their order: at most 65,535.
    pub(crate) fn of(&self, host: Key) -> impl Iterator<Item = u16> {
        let ports = self.0.range((host, None)..=(host, Some(u16::MAX)));
        ports.filter_map(|((_, port), _)| *port)
    }

    /// Takes over what `other` has of one host.
    pub(crate) fn copy(&mut self, other: &Self, host: Key) {
        let ports = other.0.range((host, None)..=(host, Some(u16::MAX)));
        self.0.extend(ports.map(|(key, count)| (*key, *count)));
    }
}
