//! What a dropped packet of a banned host costs, and what bans take of the kernel's memory, at 1, 100,000 and
//! 1,000,000 bans: by the gate's hash sets, and by the look-up of routes behind them, in the same run. Then how many
//! changes of flows and bans a minute the enforcer carries out.
//!
//! A veth pair delivers within the sender's call, so the time of many sends is the sender's work and the receiver's
//! up to the drop. The first row is that of a rule that drops everything: what is above it is the gate's.
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

use std::io::IoSlice;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use ipnet::IpNet;
use netlink_bindings::nftables::{
    Nfgenmsg, OpBatchBeginDo, OpBatchEndDo, OpDelsetelemDo, OpDeltableDo, OpNewchainDo,
    OpNewtableDo,
};
use netlink_packet_core::{Emitable, NLM_F_ACK, NLM_F_CREATE, NLM_F_REQUEST, NetlinkHeader};
use netlink_sys::{Socket, protocols::NETLINK_NETFILTER};
use nix::libc;
use nix::sys::socket::{ControlMessage, MsgFlags, SockaddrStorage, sendmsg};
use sipward_route::{Change, Enforcer, Flow, Report, Scope, Settings, Transport, flush};
use sipward_tests::netns::{Host, enter_user_namespace, wire};
use tokio::sync::{mpsc, oneshot};

/// Packets in one run.
const PACKETS: u32 = 50_000;
/// Runs of each; the fastest counts, because everything else on the machine only slows.
const RUNS: usize = 5;
/// Flows denied and allowed again, and hosts banned and unbanned, in the second part.
const CHANGES: u32 = 50_000;
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
        "ns a dropped packet, best of {RUNS} runs of {PACKETS}; memory of the kernel's slabs\n"
    );
    println!(
        "{:<18}{:>8}{:>9}{:>9}{:>12}{:>12}{:>12}{:>11}",
        "", "nothing", "set", "routes", "set kpps", "routes kpps", "set B each", "route B each"
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

fn row(family: Family, count: u32) {
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
    // IPv6 learns its neighbour by packets that the rule below would drop.
    let _ = socket.send_to(b"x", SocketAddr::new(family.pbx(), SIP));
    std::thread::sleep(Duration::from_millis(500));
    drop_all(&pbx);
    let nothing = best(&socket, family, count);
    nft(
        &pbx,
        &[(10 << 8 | 2, 0, {
            let mut payload = Vec::new();
            OpDeltableDo::encode_request(&mut payload, &inet()).push_name_bytes(b"all");
            payload
        })],
    );
    ban(&pbx, family, count);
    let full = slabs();
    let by_set = best(&socket, family, count);
    for set in ["banned4", "banned6", "banned6_64"] {
        let mut payload = Vec::new();
        OpDelsetelemDo::encode_request(&mut payload, &inet())
            .push_table_bytes(b"sipward")
            .push_set_bytes(set.as_bytes());
        nft(&pbx, &[(10 << 8 | 0x0e, 0, payload)]);
    }
    // The kernel frees elements after a while.
    std::thread::sleep(Duration::from_secs(2));
    let without = slabs();
    let by_routes = best(&socket, family, count);
    pbx.block_on(async || flush(&Settings::default()).await).unwrap();
    std::thread::sleep(Duration::from_secs(2));
    let empty = slabs();
    let each = |more: u64, less: u64| more.saturating_sub(less) / u64::from(count);
    let kpps = |time: u128| 1_000_000 / time.max(1);
    let name = format!("{family:?} {count}");
    let (set, routes) = if count > 1_000 {
        (each(full, without).to_string(), each(without, empty).to_string())
    } else {
        ("-".to_owned(), "-".to_owned())
    };
    println!(
        "{name:<18}{nothing:>8}{by_set:>9}{by_routes:>9}{:>12}{:>12}{set:>12}{routes:>11}",
        kpps(by_set),
        kpps(by_routes),
    );
}

fn any(family: Family) -> IpAddr {
    match family {
        Family::Ipv4 => Ipv4Addr::UNSPECIFIED.into(),
        Family::Ipv6 => Ipv6Addr::UNSPECIFIED.into(),
    }
}

/// The shortest time of a packet from one of the banned hosts, in nanoseconds.
fn best(socket: &UdpSocket, family: Family, count: u32) -> u128 {
    let target = SockaddrStorage::from(SocketAddr::new(family.pbx(), SIP));
    let mut random = fastrand::Rng::with_seed(7);
    let payload = [IoSlice::new(&[b'x'; 450])];
    let mut send = || {
        let source = family.source(random.u32(..count));
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
    };
    let runs = (0..RUNS).map(|_| {
        let began = Instant::now();
        (0..PACKETS).for_each(|_| send());
        began.elapsed().as_nanos() / u128::from(PACKETS)
    });
    runs.min().unwrap()
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
        let until = Instant::now() + Duration::from_mins(10);
        let flow = |n: u32| Flow {
            source: Family::Ipv4.source(n % 2_500),
            transport: Transport::Udp,
            port: u16::try_from(1_024 + n / 2_500 * 37).expect("16 bits"),
        };
        println!("\nchanges a minute, by {CHANGES} of each kind");
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
        for (name, which) in kinds {
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
            let rate = f64::from(count) / began.elapsed().as_secs_f64() * 60.0;
            println!("{name:<24}{rate:>14.0}");
        }
    });
}

/// Bytes that the kernel's slabs take.
fn slabs() -> u64 {
    let text = std::fs::read_to_string("/proc/meminfo").unwrap();
    let line = text.lines().find(|line| line.starts_with("Slab:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}

fn inet() -> Nfgenmsg {
    let mut header = Nfgenmsg::new();
    header.nfgen_family = 1;
    header
}

/// A chain before the gate whose policy drops everything.
fn drop_all(host: &Host) {
    let (mut table, mut chain) = (Vec::new(), Vec::new());
    OpNewtableDo::encode_request(&mut table, &inet()).push_name_bytes(b"all");
    OpNewchainDo::encode_request(&mut chain, &inet())
        .push_table_bytes(b"all")
        .push_name_bytes(b"all")
        .nested_hook()
        .push_num(0)
        .push_priority(-400)
        .end_nested()
        .push_policy(0)
        .push_type_bytes(b"filter");
    nft(host, &[(10 << 8, NLM_F_CREATE, table), (10 << 8 | 3, NLM_F_CREATE, chain)]);
}

/// One nftables transaction of messages given as type, flags and payload.
fn nft(host: &Host, messages: &[(u16, u16, Vec<u8>)]) {
    let mut header = Nfgenmsg::new();
    header.set_res_id(10);
    let (mut begin, mut end) = (Vec::new(), Vec::new());
    OpBatchBeginDo::encode_request(&mut begin, &header);
    OpBatchEndDo::encode_request(&mut end, &header);
    let mut all = vec![(16, 0, begin)];
    all.extend(messages.iter().map(|(kind, flags, payload)| (*kind, *flags, payload.clone())));
    if let Some((_, flags, _)) = all.last_mut() {
        *flags |= NLM_F_ACK;
    }
    all.push((17, 0, end));
    let mut bytes = Vec::new();
    for (kind, flags, payload) in &all {
        let mut header = NetlinkHeader::default();
        header.length = u32::try_from(16 + payload.len()).expect("a short message");
        header.message_type = *kind;
        header.flags = NLM_F_REQUEST | flags;
        let start = bytes.len();
        bytes.resize(start + 16, 0);
        header.emit(bytes.get_mut(start..).expect("room"));
        bytes.extend_from_slice(payload);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
    }
    let mut socket = host.run(|| Socket::new(NETLINK_NETFILTER)).expect("a netlink socket");
    socket.bind_auto().expect("a port");
    host.run(|| socket.send_to(&bytes, &netlink_sys::SocketAddr::new(0, 0), 0)).expect("sent");
    let mut buffer = Vec::with_capacity(65_536);
    socket.recv(&mut buffer, 0).expect("an answer");
    let code = buffer.get(16..20).map(|code| i32::from_ne_bytes(code.try_into().unwrap()));
    assert_eq!(code, Some(0), "refused");
}
