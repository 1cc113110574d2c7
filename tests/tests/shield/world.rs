//! A FreeSWITCH on the internet, with phones and attackers with as many addresses as they want.
//!
//! ```text
//!  attacker 198.51.100.7    ─┐
//!   and all of 198.18.0.0/16 │
//!       2001:db8:bad::7      router ── 192.0.2.1 pbx (fake FreeSWITCH, fake sofia, daemon)
//!     phone 203.0.113.5     ─┘       2001:db8:0:1::1
//!   and all of 198.19.0.0/16
//! ```
//!
//! The attacker may also forge the phones' addresses: the answers reach the phones.
#![allow(dead_code, reason = "the tests and the benchmark each use their part")]

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::thread;
use std::time::Duration;

use sipward_tests::daemon::{Daemon, Setup, this_program};
use sipward_tests::fake_freeswitch::{DEFAULT_PASSWORD, FakeFreeSwitch};
use sipward_tests::fake_sofia::FakeSofia;
use sipward_tests::netns::{self, Host};
use sipward_tests::sip::{Flood, Kind, Phone};

/// The phone that every case watches.
pub(crate) const PHONE: &str = "203.0.113.5";
/// Its user.
pub(crate) const USER: &str = "1000";
/// User of the first phone beside it.
pub(crate) const FIRST_USER: u32 = 20_000;
/// Phones at most.
const MOST_USERS: u32 = 6_000;

/// Hosts, cables, a FreeSWITCH with its SIP side.
pub(crate) struct World {
    pub(crate) pbx: Host,
    pub(crate) attacker: Host,
    pub(crate) phones: Host,
    pub(crate) sofia: FakeSofia,
    pub(crate) fs: FakeFreeSwitch,
    /// Takes its cables along when it goes.
    _router: Host,
}

impl World {
    /// With the limit that FreeSWITCH has by default.
    pub(crate) fn new() -> Self {
        let [pbx, router, attacker, phones] =
            ["pbx", "router", "attacker", "phones"].map(Host::new);
        router.sysctl("ipv4/ip_forward", "1");
        router.sysctl("ipv6/conf/all/forwarding", "1");
        for (host, port, [v4, gateway4], [v6, gateway6]) in [
            (&pbx, "pbx", ["192.0.2.1", "192.0.2.254"], ["2001:db8:0:1::1", "2001:db8:0:1::fe"]),
            (
                &attacker,
                "attacker",
                ["198.51.100.7", "198.51.100.254"],
                ["2001:db8:bad::7", "2001:db8:bad::fe"],
            ),
            (
                &phones,
                "phones",
                [PHONE, "203.0.113.254"],
                ["2001:db8:900d::5", "2001:db8:900d::fe"],
            ),
        ] {
            netns::wire((host, "eth0"), (&router, port));
            for (own, gateway, length, all) in
                [(v4, gateway4, 24, "0.0.0.0/0"), (v6, gateway6, 64, "::/0")]
            {
                host.address("eth0", &format!("{own}/{length}"));
                router.address(port, &format!("{gateway}/{length}"));
                host.route(all, gateway);
            }
        }
        router.route("198.18.0.0/16", "198.51.100.7");
        attacker.own("198.18.0.0/16");
        router.route("198.19.0.0/16", PHONE);
        phones.own("198.19.0.0/16");
        // To forge them.
        attacker.own("198.19.0.0/16");
        let fs = pbx.run(|| FakeFreeSwitch::builder().start()).expect("a fake FreeSWITCH");
        let users = (FIRST_USER..FIRST_USER + MOST_USERS).map(|user| user.to_string());
        let sofia = FakeSofia::builder(fs.emitter())
            .users(users.chain([USER.to_owned()]))
            .profile("internal", sip())
            .profile("external", "192.0.2.1:5080".parse().expect("an address"))
            .profile("internal-ipv6", "[2001:db8:0:1::1]:5060".parse().expect("an address"));
        let sofia = pbx.run(|| sofia.start()).expect("a fake sofia");
        Self { pbx, attacker, phones, sofia, fs, _router: router }
    }

    /// A daemon's setup with `config`.
    pub(crate) fn setup(&self, config: &str) -> Setup {
        Setup::new(&this_program(), config).event_socket(self.fs.address(), DEFAULT_PASSWORD)
    }

    /// Starts a daemon, and waits until it knows the registrations and its lists are in the kernel.
    pub(crate) fn watch(&self, setup: &Setup) -> Daemon {
        self.sofia.tell_registrations();
        let daemon = self.pbx.run(|| setup.start());
        daemon.expect("registrations");
        thread::sleep(SETTLE);
        daemon
    }
}

/// The phone that registers five times a second.
pub(crate) fn phone() -> Phone {
    Phone::new(PHONE, USER, sip())
}

/// A flood of the attacker from so many addresses.
pub(crate) fn flood(kind: Kind, sources: u32, rate: u32) -> Flood {
    let sources = attackers(sources).map(IpAddr::from).collect();
    Flood { kind, sources, rate, target: sip() }
}

/// Time in which what the daemon knows is in the kernel, with a machine's worst added.
const SETTLE: Duration = Duration::from_millis(1_500);

/// Where FreeSWITCH's phones register.
pub(crate) fn sip() -> SocketAddr {
    SocketAddr::from((Ipv4Addr::new(192, 0, 2, 1), 5060))
}

/// The first so many addresses of attackers.
pub(crate) fn attackers(count: u32) -> impl Iterator<Item = Ipv4Addr> {
    addresses(18, count)
}

/// The first so many addresses of phones beside the one that is watched.
pub(crate) fn phones(count: u32) -> impl Iterator<Item = Ipv4Addr> {
    addresses(19, count)
}

fn addresses(second: u8, count: u32) -> impl Iterator<Item = Ipv4Addr> {
    let first = u32::from(Ipv4Addr::new(198, second, 0, 1));
    (first..first + count).map(Ipv4Addr::from)
}

/// What Prometheus reads.
pub(crate) fn metrics(setup: &Setup) -> String {
    let mut stream = setup.client().connect();
    let request = "GET /metrics HTTP/1.1\r\nHost: sipward\r\nConnection: close\r\n\r\n";
    stream.write_all(request.as_bytes()).expect("the request is taken");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer, and its end");
    answer
}

/// Whether an address is one of the attacker's own.
pub(crate) fn is_attacker(source: IpAddr) -> bool {
    match source {
        IpAddr::V4(v4) => {
            matches!(v4.octets(), [198, 18, ..] | [198, 51, 100, _])
        }
        IpAddr::V6(v6) => v6.segments().starts_with(&[0x2001, 0xdb8, 0xbad]),
    }
}
