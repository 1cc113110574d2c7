//! Which profiles of FreeSWITCH are asked whether they answer, and when.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use sipward_engine::Timestamp;
use tokio::sync::watch;

use super::flood::Flood;
use crate::freeswitch_queries::ProfileFacts;
use crate::probe;
use sipward_ingest::freeswitch::uri::Transport;

/// How long all are asked after a connection: so it is known which of them answer before a flood begins.
const LOOK: Duration = Duration::from_secs(5);

/// Sends the targets to the probing task.
#[derive(Debug)]
pub struct Prober {
    /// In observe mode nothing is asked.
    is_on: bool,
    wanted: watch::Sender<Arc<[SocketAddr]>>,
    own: Vec<IpAddr>,
    ports: Vec<u16>,
    /// Whether packets are counted, so that a flood is seen.
    counts: bool,
    /// When FreeSWITCH was connected to last.
    connected: Option<Timestamp>,
}

impl Prober {
    /// For a host with these addresses and SIP ports.
    pub fn new(
        wanted: watch::Sender<Arc<[SocketAddr]>>,
        own: Vec<IpAddr>,
        ports: Vec<u16>,
        counts: bool,
    ) -> Self {
        Self { is_on: true, wanted, own, ports, counts, connected: None }
    }

    /// Asks from now on, or no longer.
    pub fn turn(&mut self, on: bool) {
        self.is_on = on;
    }

    /// This host has other addresses now.
    pub(super) fn moved(&mut self, own: Vec<IpAddr>) {
        self.own = own;
    }

    /// These profiles run: their UDP ports are asked from now on. Without any, the ports stay as they are.
    pub(super) fn runs(&mut self, profiles: &[ProfileFacts]) {
        let binds = profiles.iter().flat_map(|profile| &profile.binds);
        let udp = binds.filter(|bind| bind.transport == Transport::Udp);
        let ports: BTreeSet<u16> = udp.map(|bind| bind.port).collect();
        if !ports.is_empty() {
            self.ports = ports.into_iter().collect();
        }
    }

    /// FreeSWITCH is there: anew, or for the first time.
    pub(super) fn connected(&mut self, now: Timestamp) {
        self.connected = Some(now);
    }

    /// Packets are counted, or no longer.
    pub(super) fn counts(&mut self, counts: bool) {
        self.counts = counts;
    }

    /// Where FreeSWITCH's profiles may listen.
    fn profiles(&self) -> Arc<[SocketAddr]> {
        probe::candidates(&self.own, &self.ports)
    }

    /// Asks for what is to be known now. `peer` is the FreeSWITCH end of the Event Socket, `requests` what each
    /// profile takes a second.
    pub(super) fn beat(
        &self,
        flood: &mut Flood,
        peer: Option<SocketAddr>,
        requests: u32,
        now: Timestamp,
    ) {
        // Where nothing counts packets, nothing but the answers shows a flood.
        let looks = self.connected.is_some_and(|at| now.since(at) < LOOK);
        let in_need = !self.counts || looks || flood.wants_probe(requests, now);
        let wanted = self.is_on && in_need && self.is_here(peer);
        let targets = if wanted { self.profiles() } else { Arc::from([]) };
        self.wanted.send_if_modified(|old| {
            let differs = **old != *targets;
            if differs {
                flood.rests(&targets);
                *old = targets;
            }
            differs
        });
    }

    /// Whether FreeSWITCH runs on this host, as far as its Event Socket shows it.
    fn is_here(&self, peer: Option<SocketAddr>) -> bool {
        peer.is_some_and(|peer| peer.ip().is_loopback() || self.own.contains(&peer.ip()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sipward_ingest::freeswitch::profiles::Bind;

    fn asked(counts: bool, peer: Option<&str>, passed: u64) -> usize {
        let (wanted, asked) = watch::channel(Arc::from([]));
        let own = vec!["192.0.2.1".parse().unwrap()];
        let prober = Prober::new(wanted, own, vec![5_060, 5_080], counts);
        let mut flood = Flood::default();
        let now = Timestamp::from_micros(1_000_000);
        flood.arrived(passed, now);
        prober.beat(&mut flood, peer.map(|peer| peer.parse().unwrap()), 1_000, now);
        asked.borrow().len()
    }

    #[test]
    fn profiles_are_asked_near_the_limit_of_a_freeswitch_on_this_host() {
        let here = Some("127.0.0.1:8021");
        assert_eq!(asked(true, here, 100), 0);
        assert_eq!(asked(true, here, 900), 2);
        assert_eq!(asked(true, Some("192.0.2.1:8021"), 900), 2, "by its own address");
        assert_eq!(asked(true, Some("192.0.2.99:8021"), 900), 0, "on another host");
        assert_eq!(asked(true, None, 900), 0, "not connected");
        assert_eq!(asked(false, here, 0), 2, "where nothing is counted, always");
    }

    #[test]
    fn the_udp_ports_of_the_profiles_are_asked_once_freeswitch_has_named_them() {
        let (wanted, asked) = watch::channel(Arc::from([]));
        let own = vec!["192.0.2.1".parse().unwrap()];
        let mut prober = Prober::new(wanted, own, vec![5_060, 5_080], false);
        let (mut flood, now) = (Flood::default(), Timestamp::from_micros(1_000_000));
        let mut ports = |prober: &Prober| {
            prober.beat(&mut flood, Some("127.0.0.1:8021".parse().unwrap()), 1_000, now);
            asked.borrow().iter().map(SocketAddr::port).collect::<Vec<_>>()
        };
        let facts = |binds: &[(Transport, u16)]| ProfileFacts {
            name: "internal".to_owned(),
            binds: binds.iter().map(|&(transport, port)| Bind { transport, port }).collect(),
            max_rps: None,
            nonce_ttl: None,
        };
        prober.runs(&[
            facts(&[(Transport::Udp, 5_070), (Transport::Tcp, 5_070), (Transport::Wss, 7_443)]),
            facts(&[(Transport::Udp, 5_090)]),
        ]);
        assert_eq!(ports(&prober), [5_070, 5_090]);
        prober.runs(&[]);
        assert_eq!(ports(&prober), [5_070, 5_090], "no profile is no news of ports");
    }
}
