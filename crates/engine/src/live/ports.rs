//! From which ports of an address users are registered.

use std::collections::BTreeMap;

use crate::key::Key;

/// How many registrations each port of a host has: of one port in the host's own entry ([`OwnPort`]), of further ones
/// in here. Most hosts have one port, for which a tree would take as much as the rest of what is held of the host.
#[derive(Debug, Default)]
pub(crate) struct Ports(BTreeMap<(Key, Option<u16>), u32>);

/// The port that a host's entry holds itself. It is free only while the host has no other.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct OwnPort {
    /// `None` if the port is unknown, and while it is free.
    port: Option<u16>,
    /// Registrations from there; 0 while it is free.
    count: u32,
}

impl Ports {
    /// A registration came; `None` if its port is unknown.
    pub(crate) fn enter(&mut self, host: Key, own: &mut OwnPort, port: Option<u16>) {
        if own.count == 0 {
            *own = OwnPort { port, count: 1 };
        } else if own.port == port {
            own.count += 1;
        } else {
            *self.0.entry((host, port)).or_default() += 1;
        }
    }

    /// A registration is gone.
    pub(crate) fn leave(&mut self, host: Key, own: &mut OwnPort, port: Option<u16>) {
        if own.holds(port) {
            own.count -= 1;
            if own.count == 0 {
                *own = self.take_first(host);
            }
        } else if let Some(count) = self.0.get_mut(&(host, port)) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.0.remove(&(host, port));
            }
        }
    }

    /// A registration is, or may be, at this port of the host.
    pub(crate) fn may_hold(&self, host: Key, own: OwnPort, port: u16) -> bool {
        let holds = |port| own.holds(port) || self.0.contains_key(&(host, port));
        holds(Some(port)) || holds(None)
    }

    /// The known ports of a host, in their order: at most 65,535.
    pub(crate) fn of(&self, host: Key, own: OwnPort) -> impl Iterator<Item = u16> {
        // `own` is none of the others.
        let below = self.0.range((host, None)..(host, own.port));
        let above = self.0.range((host, own.port)..=(host, Some(u16::MAX)));
        let port = |((_, port), _): (&(Key, Option<u16>), &u32)| *port;
        below.filter_map(port).chain(own.port).chain(above.filter_map(port))
    }

    /// Takes over what `other` has of one host, beside its own port.
    pub(crate) fn copy(&mut self, other: &Self, host: Key) {
        self.0.extend(other.others(host).map(|(key, count)| (*key, *count)));
    }

    fn others(&self, host: Key) -> impl Iterator<Item = (&(Key, Option<u16>), &u32)> {
        self.0.range((host, None)..=(host, Some(u16::MAX)))
    }

    /// One of a host's other ports, for its own entry; a free one when there is none.
    fn take_first(&mut self, host: Key) -> OwnPort {
        let first = self.others(host).next().map(|(key, _)| *key);
        let taken = first.and_then(|key| Some((key, self.0.remove(&key)?)));
        taken.map_or_else(OwnPort::default, |((_, port), count)| OwnPort { port, count })
    }
}

impl OwnPort {
    fn holds(self, port: Option<u16>) -> bool {
        self.count > 0 && self.port == port
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the ports of two hosts come to, by the plainest means.
    #[derive(Default)]
    struct Plain(BTreeMap<(Key, Option<u16>), u32>);

    #[test]
    fn they_are_counted_as_in_one_table_of_all() {
        let hosts = ["192.0.2.1", "2001:db8::1"].map(|host| Key::of_addr(host.parse().unwrap()));
        let choices = [None, Some(5060), Some(5061), Some(u16::MAX)];
        let (mut ports, mut own) = (Ports::default(), [OwnPort::default(); 2]);
        let mut plain = Plain::default();
        let mut random = 42_u64;
        for _ in 0..10_000 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let pick = |shift: u32, most: u64| usize::try_from((random >> shift) % most).unwrap();
            let (at, port) = (pick(33, 2), choices[pick(40, 4)]);
            let (host, own) = (hosts[at], &mut own[at]);
            let count = plain.0.entry((host, port)).or_default();
            if pick(50, 2) == 0 && *count < 3 {
                *count += 1;
                ports.enter(host, own, port);
            } else if *count > 0 {
                *count -= 1;
                ports.leave(host, own, port);
            }
            let held = |port| plain.0.get(&(host, port)).is_some_and(|count| *count > 0);
            for port in [5060, 5061, 5062, u16::MAX] {
                let may_hold = held(Some(port)) || held(None);
                assert_eq!(ports.may_hold(host, *own, port), may_hold, "{port}");
            }
            let found: Vec<u16> = ports.of(host, *own).collect();
            let known: Vec<u16> =
                choices.into_iter().flatten().filter(|port| held(Some(*port))).collect();
            assert_eq!(found, known);
        }
    }

    #[test]
    fn a_host_with_one_port_takes_no_memory_beside_its_entry() {
        let (mut ports, mut own) = (Ports::default(), OwnPort::default());
        let host = Key::of_addr("192.0.2.1".parse().unwrap());
        for _ in 0..3 {
            ports.enter(host, &mut own, Some(5060));
        }
        assert!(ports.0.is_empty());
        ports.enter(host, &mut own, Some(5061));
        assert_eq!(ports.0.len(), 1);
        for _ in 0..3 {
            ports.leave(host, &mut own, Some(5060));
        }
        assert!(ports.0.is_empty(), "the other one has moved in");
        assert!(ports.may_hold(host, own, 5061) && !ports.may_hold(host, own, 5060));
    }
}
