//! What a dropped packet of a banned host costs, and what bans take of the kernel's memory, at 1, 100,000 and
//! 1,000,000 bans: by the gate's hash sets, and by the look-up of routes behind them, in turns. Then how many changes
//! of flows and bans a minute the enforcer carries out.
//!
//! A veth pair delivers within the sender's call, so the time of many sends is the sender's work and the receiver's
//! up to the drop. Beside the two stands a host with one chain that drops everything: what is above that is the gate's.
//!
//! ```text
//! cargo bench -p sipward-tests --bench bans            # or with the most bans as argument: -- 100000
//! ```
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a bench that cannot measure ends"
)]

#[path = "support/nft.rs"]
mod nft;

use std::io::IoSlice;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use ipnet::IpNet;
use nix::libc;
use nix::sys::socket::{ControlMessage, MsgFlags, SockaddrStorage, sendmsg};
use sipward_route::{
    Change, Enforcer, Flow, GateState, Report, Scope, Settings, Transport, inspect,
};
use sipward_tests::netns::{Host, enter_user_namespace, wire};
use tokio::sync::{mpsc, oneshot};

/// Packets in one run: some ten milliseconds, so that many runs fall between the turns of other programs.
const PACKETS: u32 = 5_000;
/// Runs of each, in turns.
const RUNS: usize = 61;
/// Flows denied and allowed again, and hosts banned and unbanned, in the second part.
const CHANGES: u32 = 50_000;
/// Runs of each kind of changes, in turns.
const ROUNDS: usize = 5;
/// How long the kernel may take to give memory back.
const PATIENCE: Duration = Duration::from_secs(120);
const SIP: u16 = 5060;

fn main() -> ExitCode {
    if let Err(refused) = enter_user_namespace() {
        eprintln!("{refused}");
        return ExitCode::FAILURE;
    }
    if cfg!(debug_assertions) {
        println!("NOT OPTIMISED: run it by `cargo bench` for figures that count");
    }
    let most = std::env::args().find_map(|word| word.parse().ok()).unwrap_or(1_000_000);
    println!(
        "ns a dropped packet, best and median of {RUNS} runs of {PACKETS}; bytes of the kernel's memory a ban\n"
    );
    println!(
        "{:<14}{:>15}{:>15}{:>15}{:>11}{:>11}{:>8}{:>8}",
        "", "all dropped", "set", "routes", "set +", "routes +", "set B", "route B"
    );
    for family in [Family::Ipv4, Family::Ipv6] {
        for count in [1, 100_000, 1_000_000] {
            if count <= most {
                row(family, count);
            }
        }
    }
    changes();
    ExitCode::SUCCESS
}

/// Which changes are carried out.
type Which = fn(&Change) -> bool;

#[derive(Clone, Copy, Debug)]
enum Family {
    Ipv4,
    Ipv6,
}

impl Family {
    /// The nth banned host, or IPv6 /64.
    fn ban(self, n: u32) -> IpNet {
        match self {
            Self::Ipv4 => IpNet::from(self.source(n)),
            Self::Ipv6 => IpNet::new(self.source(n), 64).expect("a length").trunc(),
        }
    }

    fn source(self, n: u32) -> IpAddr {
        match self {
            Self::Ipv4 => Ipv4Addr::from_bits(0x0a00_0000 + n).into(),
            Self::Ipv6 => {
                let high = 0x2001_0db8_u128 << 96;
                Ipv6Addr::from_bits(high | u128::from(n) << 64 | 7).into()
            }
        }
    }

    fn pbx(self) -> IpAddr {
        match self {
            Self::Ipv4 => IpAddr::from([192, 0, 2, 1]),
            Self::Ipv6 => "2001:db9::1".parse().unwrap(),
        }
    }
}

/// A host with bans, and one that sends to it under the banned addresses.
struct Pair {
    pbx: Host,
    socket: UdpSocket,
    times: Vec<u64>,
}

fn row(family: Family, count: u32) {
    let [mut all, mut set, mut routes] = [(); 3].map(|()| Pair::new(family));
    nft::drop_all(&all.pbx);
    let before = kernel_memory();
    ban(&set.pbx, family, count);
    std::thread::sleep(Duration::from_secs(2));
    let with_both = kernel_memory();
    ban(&routes.pbx, family, count);
    nft::empty_sets(&routes.pbx);
    // The kernel frees elements after a while.
    std::thread::sleep(Duration::from_secs(2));
    let with_routes = kernel_memory();
    let dropped = [set.dropped(), routes.dropped()];
    for run in 0..RUNS {
        for pair in [&mut all, &mut set, &mut routes] {
            pair.send(family, count, run);
        }
    }
    let packets = u64::from(PACKETS) * u64::try_from(RUNS).expect("few");
    assert_eq!(dropped.map(|before| before + packets), [set.dropped(), routes.dropped()]);
    let columns = [&all, &set, &routes].map(Pair::result);
    let [(nothing, _), by_set, by_routes] = columns;
    let [both, route] = [(with_both, before), (with_routes, with_both)]
        .map(|(more, less)| more.saturating_sub(less) / u64::from(count));
    let bytes = |bytes: u64| if count > 1_000 { bytes.to_string() } else { "-".to_owned() };
    print!("{:<14}", format!("{family:?} {count}"));
    for (best, median) in columns {
        print!("{:>15}", format!("{best} {median}"));
    }
    let above = |(best, _): (u64, u64)| best.saturating_sub(nothing);
    println!(
        "{:>11}{:>11}{:>8}{:>8}",
        above(by_set),
        above(by_routes),
        bytes(both.saturating_sub(route)),
        bytes(route),
    );
    drop([all, set, routes]);
    let began = Instant::now();
    while count > 1_000 && kernel_memory() > before + with_both.saturating_sub(before) / 8 {
        assert!(began.elapsed() < PATIENCE, "the memory of a host that is gone");
        std::thread::sleep(Duration::from_millis(100));
    }
}

impl Pair {
    fn new(family: Family) -> Self {
        let (pbx, attacker) = (Host::new("pbx"), Host::new("attacker"));
        wire((&pbx, "eth0"), (&attacker, "eth0"));
        match family {
            Family::Ipv4 => {
                pbx.address("eth0", "192.0.2.1/24");
                attacker.address("eth0", "192.0.2.66/24");
                attacker.own("10.0.0.0/8");
            }
            Family::Ipv6 => {
                pbx.address("eth0", "2001:db9::1/64");
                attacker.address("eth0", "2001:db9::66/64");
                attacker.own("2001:db8::/32");
            }
        }
        let socket = attacker.run(|| UdpSocket::bind(SocketAddr::new(any(family), 0))).unwrap();
        // The sender learns its neighbour once and for all: in IPv6 what drops everything drops its questions too.
        let learnt = || {
            let _ = socket.send_to(b"x", SocketAddr::new(family.pbx(), SIP));
            std::thread::sleep(Duration::from_millis(20));
            let mut ip = Command::new("ip");
            ip.args(["neigh", "replace", &family.pbx().to_string()]);
            ip.args(["dev", "eth0", "nud", "permanent"]).stderr(Stdio::null());
            attacker.run(|| ip.status()).expect("the ip program").success()
        };
        assert!((0..100).any(|_| learnt()), "a neighbour");
        Self { pbx, socket, times: Vec::with_capacity(RUNS) }
    }

    /// Sends one run of packets, each from one of the banned hosts.
    fn send(&mut self, family: Family, count: u32, run: usize) {
        let mut random = fastrand::Rng::with_seed(u64::try_from(run).expect("few"));
        let began = Instant::now();
        for _ in 0..PACKETS {
            send_from(&self.socket, family.source(random.u32(..count)), family.pbx());
        }
        let time = began.elapsed().as_nanos() / u128::from(PACKETS);
        self.times.push(u64::try_from(time).expect("few"));
    }

    /// The shortest and the median time of a packet, in nanoseconds. Everything else on the machine only slows.
    fn result(&self) -> (u64, u64) {
        let mut times = self.times.clone();
        times.sort_unstable();
        (*times.first().expect("a run"), *times.get(times.len() / 2).expect("a run"))
    }

    /// Packets that the gate has dropped.
    fn dropped(&self) -> u64 {
        let found = self.pbx.block_on(async || inspect(&Settings::default()).await);
        match found.expect("the kernel side").gate {
            GateState::Standing { dropped } => dropped,
            other => panic!("{other:?}"),
        }
    }
}

fn any(family: Family) -> IpAddr {
    match family {
        Family::Ipv4 => Ipv4Addr::UNSPECIFIED.into(),
        Family::Ipv6 => Ipv6Addr::UNSPECIFIED.into(),
    }
}

fn send_from(socket: &UdpSocket, source: IpAddr, to: IpAddr) {
    let target = SockaddrStorage::from(SocketAddr::new(to, SIP));
    let payload = [IoSlice::new(&[b'x'; 450])];
    let sent = match source {
        IpAddr::V4(source) => {
            let info = libc::in_pktinfo {
                ipi_ifindex: 0,
                ipi_spec_dst: libc::in_addr { s_addr: source.to_bits().to_be() },
                ipi_addr: libc::in_addr { s_addr: 0 },
            };
            let control = [ControlMessage::Ipv4PacketInfo(&info)];
            sendmsg(socket.as_raw_fd(), &payload, &control, MsgFlags::empty(), Some(&target))
        }
        IpAddr::V6(source) => {
            let info = libc::in6_pktinfo {
                ipi6_addr: libc::in6_addr { s6_addr: source.octets() },
                ipi6_ifindex: 0,
            };
            let control = [ControlMessage::Ipv6PacketInfo(&info)];
            sendmsg(socket.as_raw_fd(), &payload, &control, MsgFlags::empty(), Some(&target))
        }
    };
    sent.expect("a way out");
}

/// Bans by an enforcer, which ends and leaves them.
fn ban(pbx: &Host, family: Family, count: u32) {
    pbx.block_on(async || {
        let (enforcer, found) = Enforcer::open(Settings::default()).await.expect("the kernel side");
        assert!(found.coverage.gate, "{:?}", found.coverage);
        let (changes, change_queue) = mpsc::channel(4_096);
        let (report_queue, mut reports) = mpsc::channel(4_096);
        let (_running, stop) = oneshot::channel();
        let running = tokio::spawn(enforcer.run(change_queue, report_queue, stop));
        tokio::spawn(async move {
            for n in 0..count {
                changes.send(Change::block(family.ban(n))).await.expect("a running enforcer");
            }
        });
        for _ in 0..count {
            match reports.recv().await.expect("a report") {
                Report::Blocked { enforcement, .. } => assert!(enforcement.is_full()),
                other => panic!("{other:?}"),
            }
        }
        running.await.expect("no panic").expect("an orderly end");
    });
}

/// Flows denied and allowed, hosts banned and unbanned, in turn.
fn changes() {
    let pbx = Host::new("pbx");
    pbx.address("lo", "192.0.2.1/32");
    pbx.block_on(async || {
        let (enforcer, found) = Enforcer::open(Settings::default()).await.expect("the kernel side");
        assert!(found.coverage.gate, "{:?}", found.coverage);
        let (changes, change_queue) = mpsc::channel(4_096);
        let (report_queue, mut reports) = mpsc::channel(4_096);
        let (_running, stop) = oneshot::channel();
        tokio::spawn(enforcer.run(change_queue, report_queue, stop));
        let until = Instant::now() + Duration::from_secs(600);
        let flow = |n: u32| Flow {
            source: Family::Ipv4.source(n % 2_500),
            transport: Transport::Udp,
            port: u16::try_from(1_024 + n / 2_500 * 37).expect("16 bits"),
        };
        println!(
            "\nchanges a minute, {CHANGES} of each kind and back, median and range of {ROUNDS}"
        );
        let mut all = Vec::new();
        for n in 0..CHANGES {
            all.push(Change::Deny { flow: flow(n), until });
            all.push(Change::Block { net: Family::Ipv4.ban(n), scope: Scope::Host });
            all.push(Change::Block { net: Family::Ipv6.ban(n), scope: Scope::Sip });
        }
        let undone: Vec<Change> = all
            .iter()
            .map(|change| match *change {
                Change::Deny { flow, .. } | Change::Allow(flow) => Change::Allow(flow),
                Change::Block { net, .. } | Change::Unblock(net) => Change::Unblock(net),
            })
            .collect();
        let kinds: [(&str, Which); 4] = [
            ("flows", |change| matches!(change, Change::Deny { .. } | Change::Allow(_))),
            ("bans of hosts, IPv4", |change| change.net().is_some_and(|net| net.addr().is_ipv4())),
            ("bans from SIP, IPv6", |change| change.net().is_some_and(|net| net.addr().is_ipv6())),
            ("all of these in turn", |_| true),
        ];
        let mut rates = kinds.map(|_| Vec::with_capacity(ROUNDS));
        for _ in 0..ROUNDS {
            for ((_, which), rates) in kinds.iter().zip(&mut rates) {
                let began = Instant::now();
                let mut count = 0_u32;
                for list in [&all, &undone] {
                    let some: Vec<Change> = list.iter().filter(|it| which(it)).copied().collect();
                    for part in some.chunks(1_024) {
                        for change in part {
                            changes.send(*change).await.expect("a running enforcer");
                        }
                        for _ in part {
                            let report = reports.recv().await.expect("a report");
                            assert!(!matches!(report, Report::Failed { .. }), "{report:?}");
                            count += 1;
                        }
                    }
                }
                rates.push(f64::from(count) / began.elapsed().as_secs_f64() * 60.0);
            }
        }
        for ((name, _), mut rates) in kinds.iter().zip(rates) {
            rates.sort_unstable_by(f64::total_cmp);
            let [least, median, most] = [0, ROUNDS / 2, ROUNDS - 1].map(|at| rates.get(at));
            let [least, median, most] = [least, median, most].map(|rate| rate.expect("a round"));
            println!("{name:<24}{median:>14.0}   {least:.0} to {most:.0}");
        }
    });
}

/// Bytes that the kernel has allocated for itself and cannot reclaim.
fn kernel_memory() -> u64 {
    let text = std::fs::read_to_string("/proc/meminfo").unwrap();
    let kib = |name: &str| -> u64 {
        let line = text.lines().find(|line| line.starts_with(name)).expect("a name");
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    };
    ["SUnreclaim:", "VmallocUsed:", "Percpu:"].map(kib).iter().sum::<u64>() * 1024
}
