//! All policy rules of this host (`ip rule`), no matter who set them: which are read before the bans?

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use netlink_packet_core::{NLM_F_DUMP, Parseable};
use netlink_packet_route::rule::{RuleAction, RuleAttribute, RuleFlags, RuleMessage};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use nix::errno::Errno;

use crate::RouteError;
use crate::netlink::{Batch, Channel, Dump, Refusal};
use crate::way::Way;

/// Rules kept of each family. A host has some dozens, one with a container network some hundreds; each
/// packet is held against all of them, so nobody has many thousands.
const MOST_RULES: usize = 4096;

/// Holds this host's own addresses (`RT_TABLE_LOCAL`): no stranger is in it.
const LOCAL_TABLE: u32 = 255;

/// One rule.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a selector of its own")]
pub(crate) struct PolicyRule {
    pub(crate) family: AddressFamily,
    pub(crate) preference: u32,
    pub(crate) table: u32,
    /// Its origin (`rtnetlink.h`, `RTPROT_…`).
    pub(crate) protocol: u8,
    action: RuleAction,
    source: Option<IpNet>,
    destination: Option<IpNet>,
    iif: Option<String>,
    oif: Option<String>,
    /// Value and mask.
    mark: Option<(u32, u32)>,
    tos: u8,
    l3mdev: bool,
    pub(crate) transport: Option<u8>,
    has_ports: bool,
    uids: Option<(u32, u32)>,
    /// A selector that this program does not know.
    has_more: bool,
    suppressed: Option<u32>,
    is_inverted: bool,
}

/// Reads the rules of both families in the order in which the kernel does.
///
/// # Errors
/// When netlink fails or the kernel refuses.
pub(crate) async fn read(channel: &mut Channel) -> Result<Vec<PolicyRule>, RouteError> {
    let mut found = Vec::new();
    for family in [AddressFamily::Inet, AddressFamily::Inet6] {
        let mut of_family: Vec<PolicyRule> = Vec::new();
        dump(channel, family, |payload| {
            let rule = PolicyRule::read(payload).filter(|_| of_family.len() < MOST_RULES);
            of_family.extend(rule.filter(|rule| !of_family.contains(rule)));
        })
        .await?;
        // The kernel lists them in its own order, except where a dump was read in two parts.
        of_family.sort_by_key(|rule| rule.preference);
        found.extend(of_family);
    }
    Ok(found)
}

/// The rules of others that the kernel reads before it looks into `table` for every packet, and that may
/// end a look-up; of one family, in order. `protocol` is ours.
pub(crate) fn before(
    rules: &[PolicyRule],
    family: AddressFamily,
    table: u32,
    protocol: u8,
) -> Vec<&PolicyRule> {
    rules
        .iter()
        .filter(|rule| rule.family == family)
        .take_while(|rule| !(rule.leads_to(table) && rule.is_for_all()))
        .filter(|rule| rule.protocol != protocol)
        .filter(|rule| rule.may_end_a_look_up() && !rule.leads_to(table))
        .collect()
}

impl PolicyRule {
    fn read(payload: &[u8]) -> Option<Self> {
        let message = RuleMessage::parse(payload).ok()?;
        let header = &message.header;
        let any: IpAddr = match header.family {
            AddressFamily::Inet => Ipv4Addr::UNSPECIFIED.into(),
            AddressFamily::Inet6 => Ipv6Addr::UNSPECIFIED.into(),
            _ => return None,
        };
        // A length without an address is a net of zeros.
        let net = |length: u8| (length > 0).then(|| IpNet::new(any, length).ok()).flatten();
        let mut rule = Self {
            family: header.family,
            preference: 0,
            table: header.table.into(),
            protocol: 0,
            action: header.action,
            source: net(header.src_len),
            destination: net(header.dst_len),
            iif: None,
            oif: None,
            mark: None,
            tos: header.tos,
            l3mdev: false,
            transport: None,
            has_ports: false,
            uids: None,
            has_more: false,
            suppressed: None,
            is_inverted: header.flags.contains(RuleFlags::Invert),
        };
        let (mut value, mut bits) = (None, None);
        for attribute in &message.attributes {
            match attribute {
                RuleAttribute::Priority(preference) => rule.preference = *preference,
                RuleAttribute::Table(table) => rule.table = *table,
                RuleAttribute::Protocol(number) => rule.protocol = u8::from(*number),
                RuleAttribute::Source(ip) => rule.source = IpNet::new(*ip, header.src_len).ok(),
                RuleAttribute::Destination(ip) => {
                    rule.destination = IpNet::new(*ip, header.dst_len).ok();
                }
                RuleAttribute::Iifname(name) => rule.iif = Some(name.clone()),
                RuleAttribute::Oifname(name) => rule.oif = Some(name.clone()),
                RuleAttribute::FwMark(number) => value = Some(*number),
                RuleAttribute::FwMask(number) => bits = Some(*number),
                RuleAttribute::L3MDev(is_set) => rule.l3mdev = *is_set,
                RuleAttribute::IpProtocol(number) => rule.transport = Some(u8::from(*number)),
                RuleAttribute::SourcePortRange(_) | RuleAttribute::DestinationPortRange(_) => {
                    rule.has_ports = true;
                }
                RuleAttribute::UidRange(range) => rule.uids = Some((range.start, range.end)),
                RuleAttribute::SuppressPrefixLen(length) => {
                    rule.suppressed = Some(*length).filter(|length| *length != u32::MAX);
                }
                RuleAttribute::TunId(id) => rule.has_more |= *id != 0,
                RuleAttribute::Other(_) => rule.has_more = true,
                _ => {}
            }
        }
        rule.mark = match (value, bits) {
            (None, None) | (_, Some(0)) => None,
            (value, bits) => Some((value.unwrap_or(0), bits.unwrap_or(u32::MAX))),
        };
        Some(rule)
    }

    /// Whether it makes the kernel look into a table.
    pub(crate) fn leads_to(&self, table: u32) -> bool {
        self.action == RuleAction::ToTable && self.table == table && !self.l3mdev
    }

    /// Whether it leads to the table of this host's own addresses.
    pub(crate) fn is_for_own_addresses(&self) -> bool {
        self.leads_to(LOCAL_TABLE)
    }

    /// Whether it holds for every packet.
    fn is_for_all(&self) -> bool {
        !self.is_inverted && !self.depends_on_packets() && self.source.is_none()
    }

    /// Whether it has a selector beside the address that packets are sent to.
    fn depends_on_packets(&self) -> bool {
        self.destination.is_some()
            || self.iif.is_some()
            || self.oif.is_some()
            || self.mark.is_some()
            || self.tos != 0
            || self.l3mdev
            || self.transport.is_some()
            || self.has_ports
            || self.uids.is_some()
            || self.has_more
    }

    fn may_end_a_look_up(&self) -> bool {
        match self.action {
            RuleAction::ToTable => !self.is_for_own_addresses(),
            RuleAction::Nop | RuleAction::Unspec => false,
            _ => true,
        }
    }

    /// Whether it selects by something that differs between packets of one VRF and another.
    pub(crate) fn selects_vrfs(&self) -> bool {
        self.l3mdev || self.iif.is_some() || self.oif.is_some()
    }

    pub(crate) fn source(&self) -> Option<IpNet> {
        self.source
    }

    pub(crate) fn tos(&self) -> u8 {
        self.tos
    }

    /// Whether it may hold for the gate's look-up of the source of a packet that came this way. `mark` is
    /// what that look-up carries.
    pub(crate) fn may_hold_for(&self, way: &Way, mark: u32) -> bool {
        let interface = |name: &Option<String>, is_loopback_meant: bool| {
            name.as_ref().is_none_or(|name| {
                (is_loopback_meant && name == "lo")
                    || way.vrf.as_ref().is_some_and(|vrf| vrf.name == *name)
            })
        };
        let holds = self.holds_for_destination(way.destination)
            // The gate's look-up comes from the loopback and leaves by no interface in particular.
            && interface(&self.iif, true)
            && interface(&self.oif, false)
            && self.mark.is_none_or(|(value, mask)| mark & mask == value & mask)
            && (self.tos == 0 || self.tos == way.tos)
            && (!self.l3mdev || way.vrf.is_some())
            && self.transport.is_none_or(|transport| way.transport == Some(transport))
            && !self.has_ports
            && self.uids.is_none_or(|(first, last)| (first..=last).contains(&0));
        // Whether the banned address is meant, and what an unknown selector says, nobody knows here.
        let is_unsure = self.destination.is_some() || self.has_more;
        if self.is_inverted { !holds || is_unsure } else { holds }
    }

    /// As [`may_hold_for`](Self::may_hold_for), for packets that somebody marks before the gate sees them.
    pub(crate) fn may_hold_for_marked(&self, way: &Way) -> bool {
        let unmarked = Self { mark: None, ..self.clone() };
        (self.mark.is_some() && self.is_inverted) || unmarked.may_hold_for(way, 0)
    }

    /// Whether it makes the kernel look into a table, by whichever way.
    pub(crate) fn may_lead_to(&self, table: u32) -> bool {
        match self.action {
            RuleAction::ToTable => self.l3mdev || self.table == table,
            RuleAction::Goto => true,
            _ => false,
        }
    }

    fn holds_for_destination(&self, own: Option<IpAddr>) -> bool {
        match (self.source, own) {
            (None, _) => true,
            (Some(net), None) => net.prefix_len() == 0,
            (Some(net), Some(own)) => net.contains(&own),
        }
    }

    /// Whether a look-up that ended in `table` may have ended by this rule.
    pub(crate) fn may_have_led_to(&self, table: Option<u32>, way: &Way) -> bool {
        match (self.action, table) {
            (RuleAction::ToTable, Some(table)) if self.l3mdev => {
                way.vrf.as_ref().is_some_and(|vrf| vrf.table == table)
            }
            (RuleAction::ToTable, Some(table)) => self.table == table,
            // A jump leads to any table.
            _ => true,
        }
    }
}

/// In the words of `ip rule`.
impl fmt::Display for PolicyRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let family = if self.family == AddressFamily::Inet6 { "-6 " } else { "" };
        write!(f, "ip {family}rule pref {}", self.preference)?;
        if self.is_inverted {
            f.write_str(" not")?;
        }
        if let Some(net) = self.source {
            write!(f, " from {}", Short(net))?;
        }
        if let Some(net) = self.destination {
            write!(f, " to {}", Short(net))?;
        }
        if self.tos != 0 {
            write!(f, " tos {:#x}", self.tos)?;
        }
        match self.mark {
            Some((value, u32::MAX)) => write!(f, " fwmark {value:#x}")?,
            Some((value, mask)) => write!(f, " fwmark {value:#x}/{mask:#x}")?,
            None => {}
        }
        for (word, name) in [("iif", &self.iif), ("oif", &self.oif)] {
            if let Some(name) = name {
                write!(f, " {word} {}", name.escape_debug())?;
            }
        }
        if let Some((first, last)) = self.uids {
            write!(f, " uidrange {first}-{last}")?;
        }
        match self.transport {
            Some(6) => f.write_str(" ipproto tcp")?,
            Some(17) => f.write_str(" ipproto udp")?,
            Some(number) => write!(f, " ipproto {number}")?,
            None => {}
        }
        match self.action {
            RuleAction::ToTable if self.l3mdev => f.write_str(" lookup [l3mdev-table]"),
            RuleAction::ToTable => write!(f, " lookup {}", self.table),
            RuleAction::Goto => f.write_str(" goto"),
            RuleAction::Blackhole => f.write_str(" blackhole"),
            RuleAction::Unreachable => f.write_str(" unreachable"),
            RuleAction::Prohibit => f.write_str(" prohibit"),
            RuleAction::Nop => f.write_str(" nop"),
            _ => f.write_str(" of an unknown kind"),
        }?;
        self.suppressed.map_or(Ok(()), |length| write!(f, " suppress_prefixlength {length}"))
    }
}

/// A network, a single address without its length.
struct Short(IpNet);

impl fmt::Display for Short {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(net) = self;
        if net.prefix_len() == net.max_prefix_len() { net.addr().fmt(f) } else { net.fmt(f) }
    }
}

/// `ip rule add pref PREFERENCE from SOURCE lookup TABLE`.
#[cfg(test)]
pub(crate) fn test_rule(preference: u32, table: u32, source: Option<&str>) -> PolicyRule {
    PolicyRule {
        family: AddressFamily::Inet,
        preference,
        table,
        protocol: 4,
        action: RuleAction::ToTable,
        source: source.and_then(|source| source.parse().ok()),
        destination: None,
        iif: None,
        oif: None,
        mark: None,
        tos: 0,
        l3mdev: false,
        transport: None,
        has_ports: false,
        uids: None,
        has_more: false,
        suppressed: None,
        is_inverted: false,
    }
}

/// Gives every rule of a family to `each`, some of them twice; none on a host without that family.
///
/// # Errors
/// When netlink fails or the kernel refuses.
pub(crate) async fn dump(
    channel: &mut Channel,
    family: AddressFamily,
    mut each: impl FnMut(&[u8]),
) -> Result<(), RouteError> {
    let request = || {
        let mut message = RuleMessage::default();
        message.header.family = family;
        let mut batch = Batch::default();
        batch.route(NLM_F_DUMP, RouteNetlinkMessage::GetRule(message));
        batch
    };
    match channel.dump(request, |_, payload| each(payload)).await? {
        Dump::Complete => Ok(()),
        Dump::Refused(refusal) if refusal.errno == Errno::EAFNOSUPPORT => Ok(()),
        Dump::Refused(refusal) => Err(refused("read the rules".to_owned(), &refusal)),
    }
}

/// What the kernel refused, as an error.
pub(crate) fn refused(what: String, refusal: &Refusal) -> RouteError {
    match refusal.errno {
        Errno::EPERM => RouteError::NotPermitted,
        _ => RouteError::Refused { what, reason: refusal.to_string() },
    }
}

#[cfg(test)]
mod tests;
