//! Listens to what others change: routes, rules, addresses, links and nftables.

use std::io;

use ipnet::IpNet;
use netlink_packet_core::{NLM_F_REPLACE, NetlinkBuffer, NlasIterator};
use netlink_sys::protocols::{NETLINK_NETFILTER, NETLINK_ROUTE};
use netlink_sys::{AsyncSocket, AsyncSocketExt, TokioSocket};
use nix::errno::Errno;
use nix::sys::socket::{setsockopt, sockopt::RcvBufForce};
use rtnetlink::MulticastGroup;
use socket2::{SockFilter, SockRef};
use tracing::debug;

use crate::blackhole::Route;
use crate::netlink::{LARGEST_DATAGRAM, messages};

/// Receive buffer of a monitor socket, in bytes: some ten thousand notifications, which is what a
/// routing daemon sends at once when a session comes up. More is an overrun, and answered by a dump.
const RECEIVE_BUFFER: usize = 8 * 1024 * 1024;
/// Multicast group of nftables changes (`NFNLGRP_NFTABLES`).
const NFTABLES_GROUP: u32 = 7;
/// Message type of the end of an nftables transaction (`NFNL_SUBSYS_NFTABLES`, `NFT_MSG_NEWGEN`).
const NEW_GENERATION: u16 = 10 << 8 | 15;

/// Message types of a deleted table and set, of added and of deleted elements.
const SET_CHANGES: [u16; 4] = [10 << 8 | 2, 10 << 8 | 0x0b, 10 << 8 | 0x0c, 10 << 8 | 0x0e];
/// Attribute of each of them that names the table.
const TABLE_NAME: u16 = 1;
/// Bytes of `struct nfgenmsg`.
const NETFILTER_HEADER: usize = 4;

/// Routes of others remembered between two looks, a second apart.
const MOST_ARRIVALS: usize = 256;

/// The rtnetlink groups we listen to.
const GROUPS: [MulticastGroup; 9] = [
    MulticastGroup::Ipv4Route,
    MulticastGroup::Ipv6Route,
    MulticastGroup::Ipv4Rule,
    MulticastGroup::Ipv6Rule,
    MulticastGroup::Ipv4Ifaddr,
    MulticastGroup::Ipv6Ifaddr,
    MulticastGroup::Link,
    // `rp_filter` switches are announced here.
    MulticastGroup::Ipv4Netconf,
    MulticastGroup::Ipv6Netconf,
];

// linux/rtnetlink.h
const RTM_NEWLINK: u16 = 16;
const RTM_DELLINK: u16 = 17;
const RTM_NEWADDR: u16 = 20;
const RTM_DELADDR: u16 = 21;
const RTM_NEWROUTE: u16 = 24;
const RTM_DELROUTE: u16 = 25;
const RTM_NEWRULE: u16 = 32;
const RTM_DELRULE: u16 = 33;
const RTM_NEWNETCONF: u16 = 80;
const RTM_DELNETCONF: u16 = 81;

/// Hears what changes, except what we change ourselves.
pub(crate) struct Monitor {
    route: TokioSocket,
    netfilter: Option<TokioSocket>,
    own: Own,
    protocol: u8,
    table: String,
    seen: Signs,
    /// Routes that others added since these were taken, with their tables.
    arrived: Vec<(IpNet, u32)>,
    buffer: Vec<u8>,
    other_buffer: Vec<u8>,
}

/// The ports of our request sockets, which mark what we change ourselves.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Own {
    pub(crate) route: u32,
    pub(crate) netfilter: Option<u32>,
}

/// What may need a look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "any of them, in any combination")]
pub(crate) struct Signs {
    /// Another program deleted, replaced or set a route with sipward's protocol number.
    pub(crate) routes: bool,
    /// Rules, the ruleset, addresses, interfaces or `rp_filter` changed: rules and gate may be gone, or
    /// needed now.
    pub(crate) fixtures: bool,
    /// Addresses, interfaces or routes of others changed.
    pub(crate) host: bool,
    /// Another program changed sets of the gate, or deleted its table.
    pub(crate) sets: bool,
    /// A route of another program was removed: it may have been in the way of sipward's.
    pub(crate) obstacles: bool,
}

impl Signs {
    /// Everything: after an overrun the missed changes are unknown.
    pub(crate) const ALL: Self =
        Self { routes: true, fixtures: true, host: true, sets: true, obstacles: true };

    pub(crate) fn any(self) -> bool {
        self != Self::default()
    }

    pub(crate) fn add(&mut self, other: Self) {
        self.routes |= other.routes;
        self.fixtures |= other.fixtures;
        self.host |= other.host;
        self.sets |= other.sets;
        self.obstacles |= other.obstacles;
    }
}

impl Monitor {
    /// Subscribes. `protocol` is sipward's route protocol number, `table` the name of the gate's table. A kernel
    /// without nftables is no error: then
    /// there is no gate to watch.
    pub(crate) fn open(own: Own, protocol: u8, table: String) -> io::Result<Self> {
        let groups = GROUPS.map(|group| group as u32);
        let route = subscribe(NETLINK_ROUTE, &groups, Some(own.route))?;
        let netfilter = match subscribe(NETLINK_NETFILTER, &[NFTABLES_GROUP], own.netfilter) {
            Ok(socket) => Some(socket),
            Err(error) => {
                debug!(%error, "nftables cannot be watched");
                None
            }
        };
        Ok(Self {
            route,
            netfilter,
            own,
            protocol,
            table,
            seen: Signs::default(),
            arrived: Vec::new(),
            buffer: Vec::with_capacity(LARGEST_DATAGRAM),
            other_buffer: Vec::with_capacity(LARGEST_DATAGRAM),
        })
    }

    /// Waits until another program changes something relevant. Cancel safe: what was heard is
    /// kept for the next call.
    ///
    /// # Errors
    /// When a socket fails.
    pub(crate) async fn changed(&mut self) -> io::Result<Signs> {
        loop {
            self.drain()?;
            if self.seen.any() {
                return Ok(std::mem::take(&mut self.seen));
            }
            self.hear().await?;
        }
    }

    /// Reads what has queued up, without waiting. To be called between batches, because nothing else empties the
    /// queue meanwhile.
    ///
    /// # Errors
    /// When a socket fails.
    pub(crate) fn drain(&mut self) -> io::Result<()> {
        let Self { route, netfilter, arrived, .. } = self;
        let sockets = [Some(&*route), netfilter.as_ref()];
        for socket in sockets.into_iter().flatten() {
            loop {
                self.buffer.clear();
                let outcome = socket.socket_ref().recv(&mut self.buffer, 0);
                match outcome {
                    Ok(_) => {
                        self.seen.add(signs(&self.buffer, self.own, self.protocol));
                        self.seen.sets |= changes_sets(&self.buffer, self.own, &self.table);
                        note_arrivals(&self.buffer, self.own, self.protocol, arrived);
                    }
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                    Err(error) => self.seen.add(overrun(error)?),
                }
            }
        }
        Ok(())
    }

    /// Hears nothing of nftables until [`unmute`](Self::unmute). While nobody listens, the kernel announces nothing;
    /// for
    /// each element of a set that takes longer than to add it.
    ///
    /// # Errors
    /// When the socket fails.
    pub(crate) fn mute(&mut self) -> io::Result<()> {
        let netfilter = self.netfilter.as_mut();
        netfilter.map_or(Ok(()), |socket| socket.socket_mut().drop_membership(NFTABLES_GROUP))
    }

    /// Hears of nftables again.
    ///
    /// # Errors
    /// When the socket fails.
    pub(crate) fn unmute(&mut self) -> io::Result<()> {
        let netfilter = self.netfilter.as_mut();
        netfilter.map_or(Ok(()), |socket| socket.socket_mut().add_membership(NFTABLES_GROUP))
    }

    /// Notes that another program changed nftables while muted.
    pub(crate) fn note_unheard(&mut self) {
        self.seen.add(Signs { fixtures: true, sets: true, ..Signs::default() });
    }

    /// Routes that others have added since this was asked last, with their tables; at most
    /// [`MOST_ARRIVALS`]. On a router where more come, the audit finds what they do.
    pub(crate) fn take_arrived(&mut self) -> Vec<(IpNet, u32)> {
        std::mem::take(&mut self.arrived)
    }

    /// Waits for one datagram.
    async fn hear(&mut self) -> io::Result<()> {
        let Self { route, netfilter, buffer, other_buffer, .. } = self;
        buffer.clear();
        other_buffer.clear();
        let (outcome, heard) = match netfilter {
            None => (route.recv(buffer).await, buffer),
            Some(netfilter) => tokio::select! {
                outcome = route.recv(buffer) => (outcome, buffer),
                outcome = netfilter.recv(other_buffer) => (outcome, other_buffer),
            },
        };
        let signs = match outcome {
            Ok(()) => {
                note_arrivals(heard, self.own, self.protocol, &mut self.arrived);
                let sets = changes_sets(heard, self.own, &self.table);
                Signs { sets, ..signs(heard, self.own, self.protocol) }
            }
            Err(error) => overrun(error)?,
        };
        self.seen.add(signs);
        Ok(())
    }
}

impl std::fmt::Debug for Monitor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Monitor")
            .field("own", &self.own)
            .field("seen", &self.seen)
            .finish_non_exhaustive()
    }
}

fn subscribe(protocol: isize, groups: &[u32], own: Option<u32>) -> io::Result<TokioSocket> {
    let mut socket = TokioSocket::new(protocol)?;
    let inner = socket.socket_mut();
    inner.bind_auto()?;
    // Past `rmem_max`, which needs the capability we need anyway.
    if let Err(error) = setsockopt(&*inner, RcvBufForce, &RECEIVE_BUFFER) {
        debug!(%error, "the monitor keeps the default receive buffer");
    }
    // Without the filter the same is done here, one read per own change.
    if let Some(Err(error)) = own.map(|port| SockRef::from(&*inner).attach_filter(&all_but(port))) {
        debug!(%error, "the monitor also sees changes of sipward");
    }
    for group in groups {
        inner.add_membership(*group)?;
    }
    Ok(socket)
}

/// A socket filter (classic BPF) that lets pass what was not changed through `port`: a burst of bans
/// would otherwise fill the queue with its own announcements.
fn all_but(port: u32) -> [SockFilter; 4] {
    // linux/bpf_common.h
    const LOAD_WORD: u16 = 0x20;
    const JUMP_IF_EQUAL: u16 = 0x15;
    const RETURN: u16 = 0x06;
    /// Offset of `nlmsg_pid` in `struct nlmsghdr`, in bytes.
    const PORT: u32 = 12;
    [
        // The filter machine loads in network byte order, netlink writes in the host's.
        SockFilter::new(LOAD_WORD, 0, 0, PORT),
        SockFilter::new(JUMP_IF_EQUAL, 0, 1, u32::from_be(port)),
        SockFilter::new(RETURN, 0, 0, 0),
        SockFilter::new(RETURN, 0, 0, u32::MAX),
    ]
}

/// An overrun means that something was missed; any other error is one.
fn overrun(error: io::Error) -> io::Result<Signs> {
    if error.raw_os_error() == Some(Errno::ENOBUFS as i32) { Ok(Signs::ALL) } else { Err(error) }
}

/// What a datagram of notifications tells.
fn signs(datagram: &[u8], own: Own, protocol: u8) -> Signs {
    let mut signs = Signs::default();
    for message in messages(datagram) {
        let port = message.port_number();
        if port != own.route && Some(port) != own.netfilter {
            signs.add(sign(&message, protocol));
        }
    }
    signs
}

/// Remembers the routes of others that a datagram announces.
fn note_arrivals(datagram: &[u8], own: Own, protocol: u8, arrived: &mut Vec<(IpNet, u32)>) {
    for message in messages(datagram) {
        if arrived.len() >= MOST_ARRIVALS {
            return;
        }
        if message.message_type() == RTM_NEWROUTE
            && message.port_number() != own.route
            && let Some(route) = Route::read(message.payload())
            && route.protocol != protocol
        {
            arrived.push((route.net, route.table));
        }
    }
}

/// Whether a datagram tells of sets of a table, or that the table is gone. To compare the sets with all bans takes a
/// second on a large host, which changes of other tables are not worth.
fn changes_sets(datagram: &[u8], own: Own, table: &str) -> bool {
    messages(datagram).any(|message| {
        let attributes = message.payload().get(NETFILTER_HEADER..).unwrap_or_default();
        let names_table = || {
            let mut attributes = NlasIterator::new(attributes).filter_map(Result::ok);
            attributes.any(|attribute| {
                attribute.kind() == TABLE_NAME
                    && attribute.value().strip_suffix(b"\0") == Some(table.as_bytes())
            })
        };
        SET_CHANGES.contains(&message.message_type())
            && Some(message.port_number()) != own.netfilter
            && names_table()
    })
}

fn sign(message: &NetlinkBuffer<&[u8]>, protocol: u8) -> Signs {
    let none = Signs::default();
    match message.message_type() {
        RTM_NEWROUTE | RTM_DELROUTE => {
            let deleted = message.message_type() == RTM_DELROUTE;
            // `rtm_protocol` of `struct rtmsg`.
            let ours = message.payload().get(5) == Some(&protocol);
            if ours {
                // The fallback route carries our protocol too.
                Signs { routes: true, fixtures: deleted, ..none }
            } else {
                // `ip route replace` announces the new route only.
                let replaced = message.flags() & NLM_F_REPLACE != 0;
                Signs { routes: replaced, host: true, obstacles: deleted || replaced, ..none }
            }
        }
        RTM_NEWADDR | RTM_DELADDR => Signs { host: true, fixtures: true, ..none },
        // With an interface go its routes, and IPv4 announces none of them.
        RTM_NEWLINK | RTM_DELLINK => Signs { sets: false, ..Signs::ALL },
        RTM_NEWRULE | RTM_DELRULE | NEW_GENERATION | RTM_NEWNETCONF | RTM_DELNETCONF => {
            Signs { fixtures: true, ..none }
        }
        _ => none,
    }
}

#[cfg(test)]
mod tests;
