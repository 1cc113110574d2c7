//! The little network of these tests, and the enforcer that runs in it.

use std::thread::{self, JoinHandle};
use std::time::Duration;

use ipnet::IpNet;
use sipward_route::{
    Change, Enforcement, Enforcer, Found, Report, RouteError, Settings, Shield, ShieldCounts,
};
use sipward_tests::netns::{self, Host, tcp_connects, udp_arrives};
use sipward_tests::wait::{PATIENCE, until_within};
use tokio::sync::{mpsc, oneshot};

/// How long the shield may take for its hosts: hundreds of thousands are seconds of work, and as many of rest.
const SHIELDING: Duration = Duration::from_secs(120);

/// A PBX between two hosts: `attacker` on `eth0`, `phone` on `eth1`. `rp_filter` is 0 everywhere.
pub(crate) struct World {
    pub(crate) pbx: Host,
    pub(crate) attacker: Host,
    pub(crate) phone: Host,
}

/// Addresses of the two hosts and of the PBX as each sees it.
pub(crate) const ATTACKER: &str = "192.0.2.66";
pub(crate) const ATTACKER6: &str = "2001:db8:a::66";
pub(crate) const PHONE: &str = "198.51.100.7";
pub(crate) const PHONE6: &str = "2001:db8:b::7";
pub(crate) const PBX: &str = "192.0.2.1";
pub(crate) const PBX6: &str = "2001:db8:a::1";
pub(crate) const PBX_FOR_PHONE: &str = "198.51.100.1";
pub(crate) const PBX6_FOR_PHONE: &str = "2001:db8:b::1";
/// Addresses under which the attacker's host is a router.
pub(crate) const ROUTER: &str = "192.0.2.254";
pub(crate) const ROUTER6: &str = "2001:db8:a::fe";
/// Further addresses of the attacker, a hop away.
pub(crate) const FAR: &str = "203.0.113.66";
pub(crate) const FAR6: &str = "2001:db8:66::66";

impl World {
    pub(crate) fn new() -> Self {
        let (pbx, attacker, phone) = (Host::new("pbx"), Host::new("attacker"), Host::new("phone"));
        netns::wire((&pbx, "eth0"), (&attacker, "eth0"));
        netns::wire((&pbx, "eth1"), (&phone, "eth0"));
        for (host, interface, nets) in [
            (&pbx, "eth0", ["192.0.2.1/24", "2001:db8:a::1/64"]),
            (&pbx, "eth1", ["198.51.100.1/24", "2001:db8:b::1/64"]),
            (&attacker, "eth0", ["192.0.2.66/24", "2001:db8:a::66/64"]),
            (&attacker, "eth0", ["192.0.2.254/24", "2001:db8:a::fe/64"]),
            (&attacker, "lo", ["203.0.113.66/32", "2001:db8:66::66/128"]),
            (&phone, "eth0", ["198.51.100.7/24", "2001:db8:b::7/64"]),
        ] {
            for net in nets {
                host.address(interface, net);
            }
        }
        phone.route("0.0.0.0/0", PBX_FOR_PHONE);
        phone.route("::/0", PBX6_FOR_PHONE);
        Self { pbx, attacker, phone }
    }

    /// Gives the PBX its way back to the attacker's further addresses.
    pub(crate) fn with_default_route(self) -> Self {
        self.pbx.route("0.0.0.0/0", ROUTER);
        self.pbx.route("::/0", ROUTER6);
        self
    }

    /// Whether datagrams and new connections from one of the attacker's addresses arrive. Panics when
    /// only one of the two does.
    pub(crate) fn reached_by_attacker(&self, from: &str) -> bool {
        let to = if from.contains(':') { PBX6 } else { PBX };
        let udp = udp_arrives((&self.attacker, from), (&self.pbx, to));
        let tcp = tcp_connects((&self.attacker, from), (&self.pbx, to));
        assert_eq!(udp, tcp, "{from}: UDP {udp}, TCP {tcp}");
        udp
    }

    /// Whether the phone's datagrams and connections arrive over both families.
    pub(crate) fn reached_by_phone(&self) -> bool {
        [(PHONE, PBX_FOR_PHONE), (PHONE6, PBX6_FOR_PHONE)].into_iter().all(|(from, to)| {
            udp_arrives((&self.phone, from), (&self.pbx, to))
                && tcp_connects((&self.phone, from), (&self.pbx, to))
        })
    }
}

/// An enforcer at work in a host.
pub(crate) struct Running {
    pub(crate) found: Found,
    changes: mpsc::Sender<Change>,
    pub(crate) shield: Shield,
    reports: mpsc::Receiver<Report>,
    shutdown: oneshot::Sender<()>,
    thread: JoinHandle<Result<(), RouteError>>,
}

impl Running {
    pub(crate) fn start(host: &Host, settings: Settings) -> Self {
        Self::try_start(host, settings).expect("an open kernel side")
    }

    pub(crate) fn try_start(host: &Host, settings: Settings) -> Result<Self, RouteError> {
        let (changes, change_queue) = mpsc::channel(1024);
        let (report_queue, reports) = mpsc::channel(1024);
        let shield = Shield::default();
        let followed = shield.clone();
        let (shutdown, stop) = oneshot::channel();
        let (opened, outcome) = std::sync::mpsc::channel();
        let thread = host.spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime");
            runtime.block_on(async {
                match Enforcer::open(settings).await {
                    Ok((enforcer, found)) => {
                        opened.send(Ok(found)).expect("the test waits");
                        enforcer.shield_by(followed).run(change_queue, report_queue, stop).await
                    }
                    Err(error) => {
                        opened.send(Err(error)).expect("the test waits");
                        Ok(())
                    }
                }
            })
        });
        let found = outcome.recv().expect("an outcome")?;
        Ok(Self { found, changes, shield, reports, shutdown, thread })
    }

    pub(crate) fn send(&self, change: Change) {
        self.changes.blocking_send(change).expect("a running enforcer");
    }

    /// A second sender of changes.
    pub(crate) fn sender(&self) -> mpsc::Sender<Change> {
        self.changes.clone()
    }

    /// Blocks a network; panics unless its route stands.
    pub(crate) fn block(&mut self, target: &str) -> Enforcement {
        match self.ask(Change::block(net(target))) {
            Report::Blocked { enforcement, .. } => enforcement,
            other => panic!("block {target}: {other:?}"),
        }
    }

    pub(crate) fn unblock(&mut self, target: &str) {
        let report = self.ask(Change::Unblock(net(target)));
        assert_eq!(report, Report::Unblocked { net: net(target), still: None });
    }

    /// Names all healthy hosts, with a registration each, and waits until they are in the kernel and the
    /// budgets in force; gives how many there are.
    pub(crate) fn shielded(&mut self, healthy: &[&str]) -> usize {
        self.shield.replace(healthy.iter().map(|text| (net(text), 1)));
        self.shield.complete();
        self.all_known()
    }

    /// Waits until all healthy hosts are in the kernel and the budgets in force.
    pub(crate) fn all_known(&mut self) -> usize {
        let report = self.expect_within(SHIELDING, "all hosts are known", |report| {
            matches!(report, Report::Shielded { .. })
        });
        match report {
            Report::Shielded { hosts } => hosts,
            other => panic!("{other:?}"),
        }
    }

    /// What the shield counted until nothing more comes for two looks.
    pub(crate) fn counted(&mut self) -> ShieldCounts {
        let mut sum = ShieldCounts::default();
        for report in self.reports_within(Duration::from_millis(2200)) {
            if let Report::Shield(counts) = report {
                sum += counts;
            }
        }
        sum
    }

    /// Sends a change and waits for its own report.
    pub(crate) fn ask(&mut self, change: Change) -> Report {
        self.send(change);
        self.expect("an answer", |report| match report {
            Report::Blocked { net, .. } | Report::Unblocked { net, .. } => {
                change.net() == Some(*net)
            }
            Report::Denied { flow, .. } | Report::Allowed { flow } => match change {
                Change::Deny { flow: asked, .. } | Change::Allow(asked) => asked == *flow,
                Change::Block { .. } | Change::Unblock(_) => false,
            },
            Report::Failed { change: failed, .. } => *failed == change,
            Report::Healed { .. }
            | Report::Moved { .. }
            | Report::Strays { .. }
            | Report::Packets { .. }
            | Report::Shield(_)
            | Report::Strangers(_)
            | Report::Dropped(_)
            | Report::Shielded { .. }
            | Report::ShieldFailed { .. }
            | Report::Host(_)
            | Report::Coverage(_) => false,
        })
    }

    /// Waits for a report of a kind; others are skipped.
    pub(crate) fn expect(&mut self, what: &str, wanted: impl FnMut(&Report) -> bool) -> Report {
        self.expect_within(PATIENCE, what, wanted)
    }

    pub(crate) fn expect_within(
        &mut self,
        patience: Duration,
        what: &str,
        mut wanted: impl FnMut(&Report) -> bool,
    ) -> Report {
        until_within(patience, what, || {
            std::iter::from_fn(|| self.reports.try_recv().ok()).find(|report| wanted(report))
        })
    }

    /// Waits for damage to be healed; returns routes, rules and gate put back.
    pub(crate) fn healed(&mut self) -> (usize, usize, bool) {
        let healed = self.expect("healed", |report| matches!(report, Report::Healed { .. }));
        match healed {
            Report::Healed { routes, rules, gate, .. } => (routes, rules, gate),
            other => panic!("{other:?}"),
        }
    }

    /// Reports that come within a time: for those that must not come, whose absence nothing announces, and for counts
    /// that come every second.
    pub(crate) fn reports_within(&mut self, time: Duration) -> Vec<Report> {
        thread::sleep(time);
        std::iter::from_fn(|| self.reports.try_recv().ok()).collect()
    }

    pub(crate) fn stop(self) {
        drop(self.shutdown);
        drop(self.reports);
        self.thread.join().expect("no panic").expect("an orderly end");
    }
}

pub(crate) fn net(text: &str) -> IpNet {
    match text.parse() {
        Ok(net) => net,
        Err(_) => IpNet::from(text.parse::<std::net::IpAddr>().expect("a network or an address")),
    }
}
