//! Exemptions: prefix tries of the exempt networks.

use std::net::IpAddr;

use ipnet::IpNet;
use prefix_trie::joint::JointPrefixMap;

use crate::net_filter::NetFilter;
use crate::{Exemption, net};

/// The exempt networks of every class.
///
/// One trie for all: a network is stored once with the set of its classes, so a lookup per failure
/// walks one path.
#[derive(Debug)]
pub(crate) struct Exemptions {
    nets: JointPrefixMap<IpNet, Classes>,
    filter: NetFilter,
}

impl Exemptions {
    /// Only what is always exempt: loopback and reserved addresses.
    pub(crate) fn new(seed: u64) -> Self {
        let mut this = Self { nets: JointPrefixMap::new(), filter: NetFilter::new(seed) };
        for net in net::never_bannable() {
            this.add(net, Exemption::Own);
        }
        this
    }

    /// Replaces the networks of one class. The built-in ones stay.
    pub(crate) fn replace(&mut self, class: Exemption, nets: &[IpNet]) {
        let old: Vec<IpNet> = self.of_class(class).collect();
        for net in old {
            self.remove(&net, class);
        }
        if class == Exemption::Own {
            for net in net::never_bannable() {
                self.add(net, class);
            }
        }
        for net in nets {
            self.add(net::canonical_net(*net), class);
        }
    }

    /// The networks of one class.
    pub(crate) fn of_class(&self, class: Exemption) -> impl Iterator<Item = IpNet> {
        self.nets.iter().filter(move |(_, held)| held.contains(class)).map(|(net, _)| net)
    }

    /// Exempts one more network.
    pub(crate) fn insert(&mut self, class: Exemption, net: IpNet) {
        self.add(net, class);
    }

    /// Exempts one network less.
    pub(crate) fn withdraw(&mut self, class: Exemption, net: &IpNet) {
        self.remove(net, class);
    }

    /// The first class that covers `addr`, and its widest network.
    pub(crate) fn of(&self, addr: IpAddr) -> Option<(Exemption, IpNet)> {
        if !self.filter.may_cover(addr) {
            return None;
        }
        self.nets
            .cover(&IpNet::from(addr))
            .filter_map(|(net, classes)| classes.first().map(|class| (class, net)))
            .min_by_key(|(class, _)| *class)
    }

    /// Exempt networks that share an address with `net`, and their classes.
    pub(crate) fn touching(&self, net: &IpNet) -> impl Iterator<Item = (Exemption, IpNet)> {
        let strictly_inside = self.nets.children(net).filter(move |(inner, _)| inner != net);
        let around = self.nets.cover(net);
        around
            .chain(strictly_inside)
            .flat_map(|(net, classes)| classes.iter().map(move |class| (class, net)))
    }

    /// Every exempt network, each once.
    pub(crate) fn iter(&self) -> impl Iterator<Item = IpNet> {
        self.nets.iter().map(|(net, _)| net)
    }

    fn add(&mut self, net: IpNet, class: Exemption) {
        let mut classes = self.nets.get(&net).copied().unwrap_or_default();
        classes.insert(class);
        if self.nets.insert(net, classes).is_none() {
            self.filter.insert(&net);
        }
    }

    fn remove(&mut self, net: &IpNet, class: Exemption) {
        let Some(classes) = self.nets.get_mut(net) else {
            return;
        };
        classes.remove(class);
        if classes.is_empty() {
            self.nets.remove(net);
            self.filter.remove(net);
        }
    }
}

/// A set of classes.
#[derive(Clone, Copy, Debug, Default)]
struct Classes(u8);

impl Classes {
    fn insert(&mut self, class: Exemption) {
        self.0 |= 1 << class as u8;
    }

    fn remove(&mut self, class: Exemption) {
        self.0 &= !(1 << class as u8);
    }

    fn contains(self, class: Exemption) -> bool {
        self.0 & (1 << class as u8) != 0
    }

    fn is_empty(self) -> bool {
        self.0 == 0
    }

    fn iter(self) -> impl Iterator<Item = Exemption> {
        Exemption::ALL.into_iter().filter(move |&class| self.contains(class))
    }

    fn first(self) -> Option<Exemption> {
        self.iter().next()
    }
}

#[cfg(test)]
mod tests;
