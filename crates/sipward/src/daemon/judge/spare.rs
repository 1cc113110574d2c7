//! Whom the gate's limit spares: the engine's list, handed to the task that owns netlink.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ipnet::IpNet;
use sipward_engine::Engine;
use sipward_route::MOST_SPARED;
use tokio::sync::watch;

/// How long the first list waits for FreeSWITCH's phones. Until it comes, the gate spares whom it spared
/// before a restart; without FreeSWITCH it must come all the same, for the hosts that are exempt.
const FIRST_LIST: Duration = Duration::from_secs(10);

/// The list as it was handed over last.
#[derive(Debug)]
pub(in crate::daemon) struct Spare {
    lists: watch::Sender<Arc<[IpNet]>>,
    version: Option<u64>,
    /// When the first list is handed over at the latest.
    due: Instant,
    left_out: usize,
}

impl Spare {
    pub(in crate::daemon) fn new(lists: watch::Sender<Arc<[IpNet]>>) -> Self {
        Self { lists, version: None, due: Instant::now() + FIRST_LIST, left_out: 0 }
    }

    /// FreeSWITCH's phones are known.
    pub(super) fn phones_known(&mut self) {
        self.due = Instant::now();
    }

    /// Hands over a list that has changed. Gives the number of networks that it has no room for, when
    /// that begins.
    pub(super) fn beat(&mut self, engine: &Engine) -> Option<usize> {
        let version = Some(engine.spared_version());
        if self.version == version || (self.version.is_none() && Instant::now() < self.due) {
            return None;
        }
        self.version = version;
        let (nets, left_out) = bounded(engine.spared(), MOST_SPARED);
        self.lists.send_if_modified(|list| {
            let differs = **list != *nets;
            if differs {
                *list = nets.into();
            }
            differs
        });
        let begins = self.left_out == 0 && left_out > 0;
        self.left_out = left_out;
        begins.then_some(left_out)
    }
}

/// The first `most` different networks in order, and how many more there are.
fn bounded(nets: impl Iterator<Item = IpNet>, most: usize) -> (Vec<IpNet>, usize) {
    let mut taken = HashSet::new();
    let mut left_out = 0;
    for net in nets {
        if taken.len() < most {
            taken.insert(net);
        } else if !taken.contains(&net) {
            left_out += 1;
        }
    }
    let mut taken: Vec<IpNet> = taken.into_iter().collect();
    taken.sort_unstable();
    (taken, left_out)
}

#[cfg(test)]
mod tests {
    use sipward_engine::{Exemption, Input, Policy, Timestamp};

    use super::*;

    fn spare() -> (Spare, watch::Receiver<Arc<[IpNet]>>) {
        let (lists, list) = watch::channel(Arc::from([]));
        (Spare::new(lists), list)
    }

    fn engine_allowing(nets: &[&str]) -> Engine {
        let mut engine = Engine::new(Policy::default(), 1).unwrap();
        allow(&mut engine, nets);
        engine
    }

    fn allow(engine: &mut Engine, nets: &[&str]) {
        let nets = nets.iter().map(|net| net.parse().unwrap()).collect();
        let input = Input::Exempt { class: Exemption::Allow, nets };
        engine.handle(input, Timestamp::from_micros(1), &mut Vec::new());
    }

    #[test]
    fn the_first_list_waits_for_the_phones_and_later_ones_for_a_change() {
        let (mut spare, mut list) = spare();
        let mut engine = engine_allowing(&["203.0.113.0/24"]);
        spare.beat(&engine);
        assert!(!list.has_changed().unwrap(), "before the phones are known");
        spare.phones_known();
        spare.beat(&engine);
        assert!(list.borrow_and_update().contains(&"203.0.113.0/24".parse().unwrap()));

        spare.beat(&engine);
        allow(&mut engine, &["203.0.113.0/24"]);
        spare.beat(&engine);
        assert!(!list.has_changed().unwrap(), "the same again");
        allow(&mut engine, &["198.51.100.7/32"]);
        spare.beat(&engine);
        let now = list.borrow_and_update();
        assert!(now.contains(&"198.51.100.7/32".parse().unwrap()));
        assert!(!now.contains(&"203.0.113.0/24".parse().unwrap()));
    }

    #[test]
    fn the_first_list_does_not_wait_for_ever() {
        let (mut spare, list) = spare();
        spare.due = Instant::now();
        spare.beat(&engine_allowing(&["203.0.113.0/24"]));
        assert!(list.has_changed().unwrap());
    }

    #[test]
    fn what_comes_first_has_the_room() {
        let nets = ["192.0.2.9/32", "192.0.2.1/32", "192.0.2.9/32", "192.0.2.0/24", "192.0.2.1/32"];
        let nets = || nets.iter().map(|net| net.parse::<IpNet>().unwrap());
        let words = |nets: Vec<IpNet>| nets.iter().map(IpNet::to_string).collect::<Vec<_>>();
        let (two, left_out) = bounded(nets(), 2);
        assert_eq!((words(two), left_out), (vec!["192.0.2.1/32".into(), "192.0.2.9/32".into()], 1));
        let (three, left_out) = bounded(nets(), 3);
        assert_eq!((three.len(), left_out), (3, 0));
    }
}
