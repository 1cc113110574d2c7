//! One host: a network namespace of its own.

use std::fs::{self, File};
use std::net::{IpAddr, TcpListener, ToSocketAddrs, UdpSocket};
use std::os::fd::AsRawFd;
use std::os::fd::RawFd;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use futures_util::TryStreamExt;
use ipnet::IpNet;
use nix::sched::{CloneFlags, setns, unshare};
use rtnetlink::packet_route::route::{RouteScope, RouteType};
use rtnetlink::{Handle, LinkUnspec, RouteMessageBuilder};

use crate::wait::until;

/// The kernel's table of its own addresses (`RT_TABLE_LOCAL`).
const LOCAL_TABLE: u32 = 255;

/// A host of the test's little network: a fresh network namespace with its loopback up.
///
/// It goes away with its last clone, socket and process.
#[derive(Clone, Debug)]
pub struct Host {
    name: String,
    namespace: Arc<File>,
}

impl Host {
    /// Makes an empty host. `name` is for messages only.
    #[must_use]
    pub fn new(name: &str) -> Self {
        let made = thread::scope(|scope| {
            let maker = scope.spawn(|| {
                unshare(CloneFlags::CLONE_NEWNET)?;
                File::open("/proc/thread-self/ns/net")
            });
            maker.join().unwrap()
        });
        let namespace = Arc::new(made.expect("a new network namespace"));
        let host = Self { name: name.to_owned(), namespace };
        host.up("lo");
        host
    }

    /// The name given to [`Host::new`].
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Runs `f` on a thread inside this host and waits for it. Sockets and processes that it makes
    /// belong to this host wherever they are used afterwards. A panic in `f` is passed on.
    pub fn run<T: Send>(&self, f: impl FnOnce() -> T + Send) -> T {
        let outcome = thread::scope(|scope| scope.spawn(|| self.inside(f)).join());
        outcome.unwrap_or_else(|panic| resume_unwind(panic))
    }

    /// A UDP socket at an address of this host. One that was free a moment ago may be taken: a process that another test
    /// starts has a copy of every socket until it runs its own program.
    #[must_use]
    pub fn udp(&self, address: impl ToSocketAddrs + Copy + Sync) -> UdpSocket {
        self.run(|| {
            until("the address is free", || UdpSocket::bind(address).map_err(|e| e.to_string()))
        })
    }

    /// The same for a TCP listener.
    #[must_use]
    pub fn tcp(&self, address: impl ToSocketAddrs + Copy + Sync) -> TcpListener {
        self.run(|| {
            until("the address is free", || TcpListener::bind(address).map_err(|e| e.to_string()))
        })
    }

    /// Runs `f` on a thread of its own inside this host, beside the test.
    pub fn spawn<T: Send + 'static>(
        &self,
        f: impl FnOnce() -> T + Send + 'static,
    ) -> JoinHandle<T> {
        let host = self.clone();
        thread::spawn(move || host.inside(f))
    }

    /// Runs an async closure inside this host on a runtime of its own and waits for it.
    pub fn block_on<T: Send>(&self, f: impl AsyncFnOnce() -> T + Send) -> T {
        self.run(|| runtime().block_on(f()))
    }

    /// Like [`block_on`](Self::block_on), with a netlink connection of this host.
    pub fn netlink<T: Send>(&self, f: impl AsyncFnOnce(Handle) -> T + Send) -> T {
        self.block_on(async || {
            let (connection, handle, _) = rtnetlink::new_connection().expect("a netlink socket");
            let driver = tokio::spawn(connection);
            let outcome = f(handle).await;
            driver.abort();
            outcome
        })
    }

    /// `ip link set INTERFACE up`.
    pub fn up(&self, interface: &str) {
        self.netlink(async |handle| {
            handle.link().set(LinkUnspec::new_with_name(interface).up().build()).execute().await
        })
        .unwrap_or_else(|error| panic!("{}: set {interface} up: {error}", self.name));
    }

    /// `ip link set INTERFACE down`.
    pub fn down(&self, interface: &str) {
        self.netlink(async |handle| {
            handle.link().set(LinkUnspec::new_with_name(interface).down().build()).execute().await
        })
        .unwrap_or_else(|error| panic!("{}: set {interface} down: {error}", self.name));
    }

    /// The index of an interface.
    #[must_use]
    pub fn interface(&self, name: &str) -> u32 {
        self.netlink(async |handle| {
            handle.link().get().match_name(name.to_owned()).execute().try_next().await
        })
        .ok()
        .flatten()
        .unwrap_or_else(|| panic!("{}: no interface {name}", self.name))
        .header
        .index
    }

    /// `ip address add NET dev INTERFACE`, for example `192.0.2.1/24`, and waits until the address is
    /// usable: the kernel finishes IPv6 addresses in the background. Gives up waiting after two seconds,
    /// for an address that another host defends or an interface that is down.
    pub fn address(&self, interface: &str, net: &str) {
        let net: IpNet = net.parse().expect("ADDRESS/LENGTH");
        let index = self.interface(interface);
        self.netlink(async |handle| {
            handle.address().add(index, net.addr(), net.prefix_len()).execute().await
        })
        .unwrap_or_else(|error| panic!("{}: add {net}: {error}", self.name));
        self.run(|| {
            let deadline = Instant::now() + Duration::from_secs(2);
            while !is_usable(net.addr()) && Instant::now() < deadline {
                thread::sleep(Duration::from_millis(2));
            }
        });
    }

    /// `ip route add local NET dev lo`: every address of `net` is this host's own, to send from and to be sent
    /// to. A route to this host is another matter.
    pub fn own(&self, net: &str) {
        let parsed: IpNet = net.parse().expect("ADDRESS/LENGTH");
        let lo = self.interface("lo");
        let local = RouteMessageBuilder::<IpAddr>::new()
            .destination_prefix(parsed.network(), parsed.prefix_len())
            .expect("a length that fits")
            .output_interface(lo)
            .table_id(LOCAL_TABLE)
            .kind(RouteType::Local)
            .scope(RouteScope::Host)
            .build();
        self.netlink(async |handle| handle.route().add(local).execute().await)
            .unwrap_or_else(|error| panic!("{}: own {net}: {error}", self.name));
        if parsed.addr().is_ipv6() {
            // IPv6 sends from addresses of interfaces only, unless it may send from all.
            self.sysctl("ipv6/ip_nonlocal_bind", "1");
        }
    }

    /// `ip address del NET dev INTERFACE`.
    pub fn remove_address(&self, interface: &str, net: &str) {
        let net: IpNet = net.parse().expect("ADDRESS/LENGTH");
        let index = self.interface(interface);
        self.netlink(async |handle| {
            let mut found = handle
                .address()
                .get()
                .set_link_index_filter(index)
                .set_address_filter(net.addr())
                .execute();
            let address = found.try_next().await?;
            handle.address().del(address.expect("the address")).execute().await
        })
        .unwrap_or_else(|error| panic!("{}: del {net}: {error}", self.name));
    }

    /// `ip route add NET via GATEWAY`; `0.0.0.0/0` and `::/0` are the default routes.
    pub fn route(&self, net: &str, gateway: &str) {
        self.netlink(async |handle| handle.route().add(via(net, gateway)).execute().await)
            .unwrap_or_else(|error| panic!("{}: add {net} via {gateway}: {error}", self.name));
    }

    /// `ip route del NET via GATEWAY`.
    pub fn remove_route(&self, net: &str, gateway: &str) {
        self.netlink(async |handle| handle.route().del(via(net, gateway)).execute().await)
            .unwrap_or_else(|error| panic!("{}: del {net} via {gateway}: {error}", self.name));
    }

    /// `sysctl -w net.KEY=VALUE`, with `KEY` written by slashes: `ipv4/conf/all/rp_filter`.
    pub fn sysctl(&self, key: &str, value: &str) {
        self.run(|| fs::write(format!("/proc/sys/net/{key}"), value))
            .unwrap_or_else(|error| panic!("{}: set net/{key} to {value}: {error}", self.name));
    }

    pub(super) fn descriptor(&self) -> RawFd {
        self.namespace.as_raw_fd()
    }

    fn inside<T>(&self, f: impl FnOnce() -> T) -> T {
        setns(&*self.namespace, CloneFlags::CLONE_NEWNET).expect("the host's namespace");
        f()
    }
}

fn via(net: &str, gateway: &str) -> rtnetlink::packet_route::route::RouteMessage {
    let net: IpNet = net.parse().expect("ADDRESS/LENGTH");
    let gateway: IpAddr = gateway.parse().expect("an address");
    RouteMessageBuilder::<IpAddr>::new()
        .destination_prefix(net.addr(), net.prefix_len())
        .and_then(|route| route.gateway(gateway))
        .expect("net and gateway of one family")
        .build()
}

/// Whether a datagram from an address to itself arrives.
fn is_usable(address: IpAddr) -> bool {
    let probe = || {
        let socket = UdpSocket::bind((address, 0))?;
        socket.set_read_timeout(Some(Duration::from_millis(50)))?;
        socket.send_to(b"x", socket.local_addr()?)?;
        socket.recv(&mut [0; 1])
    };
    probe().is_ok()
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}
