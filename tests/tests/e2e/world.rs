//! The little internet of every case.
//!
//! ```text
//!  attacker 198.51.100.7 ─┐
//!        2001:db8:bad::7  │
//!                       router ── 192.0.2.1 pbx (fake FreeSWITCH, daemon)
//!     phone 203.0.113.5  ─┘       2001:db8:0:1::1
//!        2001:db8:900d::5
//! ```
//!
//! The PBX has a default route by the router, and `rp_filter` is 0 everywhere.

use std::net::IpAddr;

use sipward_tests::daemon::{Daemon, Line, Setup, this_program};
use sipward_tests::fake_freeswitch::{Builder, DEFAULT_PASSWORD, FakeFreeSwitch};
use sipward_tests::netns::{self, Host};
use sipward_tests::wait::until;

/// The way out of the PBX's network.
pub(crate) const GATEWAYS: [&str; 2] = ["192.0.2.254", "2001:db8:0:1::fe"];

/// One of the two internets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    V4,
    V6,
}

impl Family {
    pub(crate) fn pbx(self) -> &'static str {
        match self {
            Self::V4 => "192.0.2.1",
            Self::V6 => "2001:db8:0:1::1",
        }
    }

    pub(crate) fn attacker(self) -> &'static str {
        match self {
            Self::V4 => "198.51.100.7",
            Self::V6 => "2001:db8:bad::7",
        }
    }

    pub(crate) fn phone(self) -> &'static str {
        match self {
            Self::V4 => "203.0.113.5",
            Self::V6 => "2001:db8:900d::5",
        }
    }

    /// What is banned when the attacker is.
    pub(crate) fn attackers_net(self) -> &'static str {
        match self {
            Self::V4 => "198.51.100.7/32",
            Self::V6 => "2001:db8:bad::/64",
        }
    }
}

/// Hosts, cables and a FreeSWITCH.
pub(crate) struct World {
    pub(crate) pbx: Host,
    pub(crate) attacker: Host,
    pub(crate) phone: Host,
    pub(crate) fs: FakeFreeSwitch,
    /// Takes its cables along when it goes.
    _router: Host,
}

impl World {
    /// With an ordinary FreeSWITCH.
    pub(crate) fn new() -> Self {
        Self::with(FakeFreeSwitch::builder())
    }

    /// With a FreeSWITCH of the test's choice.
    pub(crate) fn with(fs: Builder) -> Self {
        let [pbx, router, attacker, phone] = ["pbx", "router", "attacker", "phone"].map(Host::new);
        netns::wire((&pbx, "eth0"), (&router, "pbx"));
        netns::wire((&attacker, "eth0"), (&router, "attacker"));
        netns::wire((&phone, "eth0"), (&router, "phone"));
        router.sysctl("ipv4/ip_forward", "1");
        router.sysctl("ipv6/conf/all/forwarding", "1");
        for (host, port, v4, v6) in [
            (&pbx, "pbx", ["192.0.2.1", GATEWAYS[0]], ["2001:db8:0:1::1", GATEWAYS[1]]),
            (
                &attacker,
                "attacker",
                ["198.51.100.7", "198.51.100.254"],
                ["2001:db8:bad::7", "2001:db8:bad::fe"],
            ),
            (
                &phone,
                "phone",
                ["203.0.113.5", "203.0.113.254"],
                ["2001:db8:900d::5", "2001:db8:900d::fe"],
            ),
        ] {
            for ([own, gateway], length, all) in [(v4, 24, "0.0.0.0/0"), (v6, 64, "::/0")] {
                host.address("eth0", &format!("{own}/{length}"));
                router.address(port, &format!("{gateway}/{length}"));
                host.route(all, gateway);
            }
        }
        let fs = pbx.run(|| fs.start()).unwrap();
        Self { pbx, attacker, phone, fs, _router: router }
    }

    /// A daemon's setup with `config` and the right password.
    ///
    /// Whole networks are not banned: the strangers of a test share them.
    pub(crate) fn setup(&self, config: &str) -> Setup {
        let config = format!("{config}\n[policy.rules.network]\nmode = \"off\"\n");
        self.setup_with_networks(&config)
    }

    /// A daemon's setup with `config` and nothing else, and the right password.
    pub(crate) fn setup_with_networks(&self, config: &str) -> Setup {
        setup_without_credentials(config).event_socket(self.fs.address(), DEFAULT_PASSWORD)
    }

    /// Starts a daemon on the PBX.
    pub(crate) fn start(&self, setup: &Setup) -> Daemon {
        self.pbx.run(|| setup.start())
    }

    /// Starts a daemon on the PBX and waits until it sees FreeSWITCH's events.
    pub(crate) fn watch(&self, setup: &Setup) -> Daemon {
        let daemon = self.start(setup);
        daemon.expect("esl_connected");
        daemon
    }

    /// Wrong passwords from `source`, each from a port of its own.
    pub(crate) fn fail(&self, source: &str, times: u16) {
        for n in 0..times {
            self.fs.failure(ip(source), 5060 + n, "1000");
        }
    }

    /// Lets the attacker fail until `daemon` bans him, and gives the line that says so.
    pub(crate) fn ban(&self, daemon: &Daemon, family: Family) -> Line {
        self.fail(family.attacker(), 5);
        daemon.expect_that("ban", of(family.attackers_net()))
    }

    /// Whether packets of the attacker arrive at the PBX.
    pub(crate) fn attacker_arrives(&self, family: Family) -> Arrivals {
        arrivals((&self.attacker, family.attacker()), (&self.pbx, family.pbx()))
    }

    /// Waits until packets of the attacker arrive: the end of a ban is reported before the kernel has dropped its route.
    pub(crate) fn attacker_is_let_in(&self, family: Family) {
        until("the attacker is let in", || self.attacker_arrives(family) == ALL);
    }

    /// Whether packets of the phone arrive at the PBX.
    pub(crate) fn phone_arrives(&self, family: Family) -> Arrivals {
        arrivals((&self.phone, family.phone()), (&self.pbx, family.pbx()))
    }
}

/// A daemon's setup with `config` and an empty environment.
pub(crate) fn setup_without_credentials(config: &str) -> Setup {
    Setup::new(&this_program(), config)
}

/// Which packets of one host arrived at another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Arrivals {
    pub(crate) udp: bool,
    pub(crate) tcp: bool,
}

/// Everything arrives.
pub(crate) const ALL: Arrivals = Arrivals { udp: true, tcp: true };

/// Nothing arrives.
pub(crate) const NONE: Arrivals = Arrivals { udp: false, tcp: false };

/// Which packets of one host, sent from one of its addresses, arrive at another.
pub(crate) fn arrivals(from: (&Host, &str), to: (&Host, &str)) -> Arrivals {
    Arrivals { udp: netns::udp_arrives(from, to), tcp: netns::tcp_connects(from, to) }
}

/// Whether a line is about what was seen of `address`.
pub(crate) fn seen_at(address: &str) -> impl Fn(&Line) -> bool {
    move |line| line.text("address") == address
}

/// Whether a line is about the banned network `net`.
pub(crate) fn of(net: &str) -> impl Fn(&Line) -> bool {
    move |line| line.text("net") == net
}

pub(crate) fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}
