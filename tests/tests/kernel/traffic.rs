//! What hosts send to the SIP ports in these tests: floods, phones, challenges.

use std::collections::HashMap;
use std::io::{ErrorKind, Write};
use std::net::{IpAddr, SocketAddr, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rtnetlink::RouteMessageBuilder;
use rtnetlink::packet_route::route::{RouteScope, RouteType};
use sipward_tests::netns::Host;

use crate::world::net;

pub(crate) const SIP: u16 = 5060;
/// A port that is none of SIP's.
pub(crate) const OTHER: u16 = 5070;
/// Index of `lo`, the same in every network namespace.
const LOOPBACK: u32 = 1;

/// `ip route add local NET dev lo`: the host may send from every address of an IPv4 network.
pub(crate) fn own_all_of(host: &Host, target: &str) {
    let ipnet::IpNet::V4(target) = net(target) else { panic!("{target} is not IPv4") };
    let mut message = RouteMessageBuilder::<std::net::Ipv4Addr>::new()
        .destination_prefix(target.network(), target.prefix_len())
        .output_interface(LOOPBACK)
        .table_id(255)
        .scope(RouteScope::Host)
        .build();
    message.header.kind = RouteType::Local;
    host.netlink(async |handle| handle.route().add(message).execute().await).expect("a route");
}

/// Whether a TCP connection to a port of another host comes about within 0.5 s.
pub(crate) fn knocks(from: (&Host, &str), to: &str, port: u16) -> bool {
    connect(from, to, port).is_some()
}

/// A TCP connection, if it comes about within 0.5 s.
pub(crate) fn connect(from: (&Host, &str), to: &str, port: u16) -> Option<TcpStream> {
    let target = SocketAddr::new(to.parse().expect("an address"), port);
    let source = SocketAddr::new(from.1.parse().expect("an address"), 0);
    from.0.block_on(async || {
        let socket = match target {
            SocketAddr::V4(_) => tokio::net::TcpSocket::new_v4(),
            SocketAddr::V6(_) => tokio::net::TcpSocket::new_v6(),
        };
        let socket = socket.expect("a socket");
        socket.bind(source).expect("an own address");
        let connecting = tokio::time::timeout(Duration::from_millis(500), socket.connect(target));
        let stream = connecting.await.ok()?.ok()?.into_std().ok()?;
        stream.set_nonblocking(false).expect("blocking mode");
        Some(stream)
    })
}

/// A SIP socket of the PBX that counts what reaches it, by source.
pub(crate) struct Arrivals {
    counting: JoinHandle<()>,
    arrived: Arc<Mutex<HashMap<IpAddr, usize>>>,
    over: Arc<AtomicBool>,
    socket: UdpSocket,
}

impl Arrivals {
    pub(crate) fn at(pbx: &Host, address: &str) -> Self {
        let address: IpAddr = address.parse().expect("an address");
        let socket = pbx.udp((address, SIP));
        socket.set_read_timeout(Some(Duration::from_millis(50))).expect("a timeout");
        let listening = socket.try_clone().expect("a clone");
        let (over, arrived) = (Arc::new(AtomicBool::new(false)), Arc::default());
        let (ends, counted) = (Arc::clone(&over), Arc::clone(&arrived));
        let counting = thread::spawn(move || count(&listening, &counted, &ends));
        Self { counting, arrived, over, socket }
    }

    /// Answers like FreeSWITCH that it wants to know a password.
    pub(crate) fn challenge(&self, to: SocketAddr) {
        self.socket.send_to(b"SIP/2.0 401 Unauthorized\r\n\r\n", to).expect("a way out");
    }

    /// What has arrived of a source.
    pub(crate) fn of(&self, source: IpAddr) -> usize {
        let arrived = self.arrived.lock().expect("no panic");
        arrived.get(&source).copied().unwrap_or_default()
    }

    /// What has arrived of all sources.
    pub(crate) fn total(&self) -> usize {
        self.arrived.lock().expect("no panic").values().sum()
    }

    /// What has arrived, by source.
    pub(crate) fn end(self) -> HashMap<IpAddr, usize> {
        // What was sent last is on its way for microseconds.
        thread::sleep(Duration::from_millis(100));
        self.over.store(true, Ordering::Relaxed);
        self.counting.join().expect("no panic");
        std::mem::take(&mut self.arrived.lock().expect("no panic"))
    }
}

fn count(socket: &UdpSocket, arrived: &Mutex<HashMap<IpAddr, usize>>, over: &AtomicBool) {
    // A flood may never let it rest.
    while !over.load(Ordering::Relaxed) {
        match socket.recv_from(&mut [0; 2048]) {
            Ok((_, peer)) => {
                *arrived.lock().expect("no panic").entry(peer.ip()).or_default() += 1;
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => panic!("the PBX's socket: {error}"),
        }
    }
}

/// Datagrams from many sources at a rate, until it is ended.
pub(crate) struct Flood {
    sending: JoinHandle<u64>,
    over: Arc<AtomicBool>,
}

impl Flood {
    /// From each source in turn, `rate` a second in all.
    pub(crate) fn begin(host: &Host, sources: &[IpAddr], to: &str, rate: u32) -> Self {
        let target = SocketAddr::new(to.parse().expect("an address"), SIP);
        let sockets: Vec<UdpSocket> = host.run(|| {
            sources.iter().map(|source| UdpSocket::bind((*source, 0)).expect("a socket")).collect()
        });
        let over = Arc::new(AtomicBool::new(false));
        let ends = Arc::clone(&over);
        let sending = thread::spawn(move || {
            let began = Instant::now();
            for (sent, socket) in (0_u64..).zip(sockets.iter().cycle()) {
                if ends.load(Ordering::Relaxed) {
                    return sent;
                }
                let due = Duration::from_nanos(sent * 1_000_000_000 / u64::from(rate));
                // Shorter waits are not what a sleep is good at; a few are sent at once instead.
                if let Some(ahead) = (began + due).checked_duration_since(Instant::now())
                    && ahead > Duration::from_micros(200)
                {
                    thread::sleep(ahead);
                }
                let _ = socket.send_to(b"OPTIONS sip:flood SIP/2.0\r\n\r\n", target);
            }
            0
        });
        Self { sending, over }
    }

    /// Gives how many were sent.
    pub(crate) fn end(self) -> u64 {
        self.over.store(true, Ordering::Relaxed);
        self.sending.join().expect("no panic")
    }
}

/// The first addresses of an IPv4 network.
pub(crate) fn addresses(target: &str, count: usize) -> Vec<IpAddr> {
    let ipnet::IpNet::V4(target) = net(target) else { panic!("{target} is not IPv4") };
    target.hosts().take(count).map(IpAddr::V4).collect()
}

/// A phone that sends `rate` datagrams a second for a time; gives how many.
pub(crate) fn phone(from: (&Host, &str), to: &str, rate: u32, time: Duration) -> usize {
    let source: IpAddr = from.1.parse().expect("an address");
    let socket = from.0.udp((source, 0));
    let target = SocketAddr::new(to.parse().expect("an address"), SIP);
    let began = Instant::now();
    let mut sent = 0;
    while began.elapsed() < time {
        socket.send_to(b"REGISTER sip:pbx.test SIP/2.0\r\n\r\n", target).expect("a way out");
        sent += 1;
        thread::sleep(Duration::from_secs(1) / rate);
    }
    sent
}

/// Writes as much as a connection takes within a time.
pub(crate) fn pour(mut stream: &TcpStream, time: Duration) {
    stream.set_write_timeout(Some(Duration::from_millis(100))).expect("a timeout");
    let until = Instant::now() + time;
    while Instant::now() < until {
        match stream.write(&[b'x'; 1000]) {
            Ok(_) => {}
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(error) => panic!("a connection: {error}"),
        }
    }
}
