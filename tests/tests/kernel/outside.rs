//! What others do to routes, rules and nftables: an administrator, another daemon.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use futures_util::TryStreamExt;
use ipnet::IpNet;
use netlink_bindings::nftables::{
    CmpOps, MetaKeys, Nfgenmsg, OpGetruleDump, OpGetsetDump, OpGetsetelemDump, OpGettableDump,
    OpNewchainDo, OpNewruleDo, OpNewtableDo, VerdictCode,
};
use netlink_bindings::traits::Pusher;
use netlink_packet_core::{Emitable, NLM_F_ACK, NLM_F_CREATE, NLM_F_DUMP, NLM_F_EXCL};
use netlink_sys::protocols::{NETLINK_NETFILTER, NETLINK_ROUTE};
use rtnetlink::packet_route::route::{RouteAttribute, RouteMessage, RouteProtocol, RouteType};
use rtnetlink::packet_route::rule::{RuleAction, RuleAttribute, RuleFlags, RuleMessage};
use rtnetlink::packet_route::{AddressFamily, RouteNetlinkMessage};
use rtnetlink::{IpVersion, LinkUnspec, LinkVrf, RouteMessageBuilder};
use sipward_tests::netns::Host;
pub(crate) use sipward_tests::nft::flush_ruleset;
use sipward_tests::nft::{
    add_element, delete_element, exchange, flow_key, host_key, inet, transaction,
};

use crate::world::net;

/// `ip route add KIND NET proto PROTOCOL table TABLE`.
pub(crate) fn add_route(host: &Host, kind: RouteType, target: &str, protocol: u8, table: u32) {
    let message = route(kind, net(target), protocol, table);
    host.netlink(async |handle| handle.route().add(message).execute().await).expect("a route");
}

/// `ip route add KIND NET proto PROTOCOL metric METRIC`, in the main table.
pub(crate) fn add_route_with_metric(
    host: &Host,
    kind: RouteType,
    target: &str,
    protocol: u8,
    metric: u32,
) {
    let mut message = route(kind, net(target), protocol, 254);
    message.attributes.push(RouteAttribute::Priority(metric));
    host.netlink(async |handle| handle.route().add(message).execute().await).expect("a route");
}

/// `ip route del KIND NET proto PROTOCOL table TABLE`.
pub(crate) fn delete_route(host: &Host, kind: RouteType, target: &str, protocol: u8, table: u32) {
    let message = route(kind, net(target), protocol, table);
    host.netlink(async |handle| handle.route().del(message).execute().await).expect("a route");
}

/// Adds blackholes of the main table as fast as the kernel takes them.
pub(crate) fn add_blackholes(host: &Host, nets: &[IpNet], protocol: u8) {
    let create = NLM_F_CREATE | NLM_F_EXCL;
    send_routes(host, nets, protocol, create, RouteNetlinkMessage::NewRoute);
}

/// Deletes blackholes of the main table as fast as the kernel takes them.
pub(crate) fn delete_blackholes(host: &Host, nets: &[IpNet], protocol: u8) {
    send_routes(host, nets, protocol, 0, RouteNetlinkMessage::DelRoute);
}

/// `ip route show table all` without the local table (in which the kernel enters addresses when it is done
/// checking them): the routes of both families, in the words `KIND NET proto P table T`.
pub(crate) fn routes(host: &Host) -> Vec<String> {
    let all = messages(host);
    all.iter().map(describe).filter(|line| !line.ends_with("table 255")).collect()
}

/// Whether a blackhole of protocol 216 for this network is in a table.
pub(crate) fn is_blackholed(host: &Host, target: &str, table: u32) -> bool {
    let wanted = format!("blackhole {} proto 216 table {table}", net(target));
    routes(host).contains(&wanted)
}

/// `ip route flush proto PROTOCOL`.
pub(crate) fn flush_routes(host: &Host, protocol: u8) {
    for message in messages(host) {
        if u8::from(message.header.protocol) == protocol {
            host.netlink(async |handle| handle.route().del(message).execute().await)
                .expect("a route");
        }
    }
}

/// Preferences of the IPv4 and IPv6 rules that lead to a table.
pub(crate) fn rule_preferences(host: &Host, table: u32) -> Vec<u32> {
    let preference = |message: &RuleMessage| {
        message.attributes.iter().find_map(|attribute| match attribute {
            RuleAttribute::Priority(preference) => Some(*preference),
            _ => None,
        })
    };
    rules(host, table).iter().filter_map(preference).collect()
}

/// `ip rule del lookup TABLE`, both families.
pub(crate) fn delete_rules(host: &Host, table: u32) {
    for message in rules(host, table) {
        host.netlink(async |handle| handle.rule().del(message).execute().await).expect("a rule");
    }
}

/// A foreign policy rule: `ip rule add … pref PREFERENCE lookup TABLE`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rule {
    pub(crate) is_ipv6: bool,
    pub(crate) preference: u32,
    pub(crate) table: u32,
    pub(crate) from: Option<IpNet>,
    pub(crate) to: Option<IpNet>,
    pub(crate) iif: Option<String>,
    pub(crate) mark: Option<u32>,
    pub(crate) inverted: bool,
    pub(crate) suppress: Option<u32>,
    pub(crate) transport: Option<u8>,
}

impl Rule {
    /// Without a selector, of the family that an address or a network has.
    pub(crate) fn lookup(family: &str, preference: u32, table: u32) -> Self {
        Self { is_ipv6: family.contains(':'), preference, table, ..Self::default() }
    }

    fn message(&self) -> RuleMessage {
        let mut message = RuleMessage::default();
        let header = &mut message.header;
        header.family = if self.is_ipv6 { AddressFamily::Inet6 } else { AddressFamily::Inet };
        header.action = RuleAction::ToTable;
        let attributes = &mut message.attributes;
        attributes
            .extend([RuleAttribute::Priority(self.preference), RuleAttribute::Table(self.table)]);
        if let Some(from) = self.from {
            header.src_len = from.prefix_len();
            attributes.push(RuleAttribute::Source(from.addr()));
        }
        if let Some(to) = self.to {
            header.dst_len = to.prefix_len();
            attributes.push(RuleAttribute::Destination(to.addr()));
        }
        attributes.extend(self.iif.clone().map(RuleAttribute::Iifname));
        attributes.extend(self.mark.map(RuleAttribute::FwMark));
        attributes.extend(self.suppress.map(RuleAttribute::SuppressPrefixLen));
        attributes.extend(self.transport.map(|number| RuleAttribute::IpProtocol(number.into())));
        if self.inverted {
            header.flags = RuleFlags::Invert;
        }
        message
    }
}

/// `ip rule add …`.
pub(crate) fn add_rule(host: &Host, rule: &Rule) {
    send(host, NLM_F_CREATE | NLM_F_EXCL, &RouteNetlinkMessage::NewRule(rule.message()));
}

/// `ip rule del …`.
pub(crate) fn delete_rule(host: &Host, rule: &Rule) {
    send(host, 0, &RouteNetlinkMessage::DelRule(rule.message()));
}

/// `ip route add default via GATEWAY dev INTERFACE table TABLE`.
pub(crate) fn add_default_route(host: &Host, gateway: &str, interface: &str, table: u32) {
    let index = host.interface(interface);
    let message = match gateway.parse().expect("an address") {
        IpAddr::V4(gateway) => RouteMessageBuilder::<Ipv4Addr>::new()
            .gateway(gateway)
            .output_interface(index)
            .table_id(table)
            .build(),
        IpAddr::V6(gateway) => RouteMessageBuilder::<Ipv6Addr>::new()
            .gateway(gateway)
            .output_interface(index)
            .table_id(table)
            .build(),
    };
    host.netlink(async |handle| handle.route().add(message).execute().await).expect("a route");
}

/// `ip link add NAME type vrf table TABLE; ip link set INTERFACE master NAME`, both up.
pub(crate) fn add_vrf(host: &Host, name: &str, table: u32, interface: &str) {
    assert!(try_vrf(host, name, table), "a VRF");
    let master = host.interface(name);
    let slave = LinkUnspec::new_with_name(interface).controller(master).build();
    host.netlink(async |handle| handle.link().set(slave).execute().await).expect("its interface");
}

/// `ip link add NAME type vrf table TABLE`; whether this kernel has VRFs.
pub(crate) fn try_vrf(host: &Host, name: &str, table: u32) -> bool {
    let vrf = LinkVrf::new(name, table).up().build();
    host.netlink(async |handle| handle.link().add(vrf).execute().await).is_ok()
}

fn send(host: &Host, flags: u16, message: &RouteNetlinkMessage) {
    let mut payload = vec![0; message.buffer_len()];
    message.emit(&mut payload);
    exchange(host, NETLINK_ROUTE, &[(message.message_type(), flags | NLM_F_ACK, payload)]);
}

/// Marks every packet before the gate sees it.
pub(crate) fn mark_all(host: &Host, mark: u32) {
    let (mut table, mut chain) = (Vec::new(), Vec::new());
    OpNewtableDo::encode_request(&mut table, &inet()).push_name_bytes(b"marks");
    OpNewchainDo::encode_request(&mut chain, &inet())
        .push_table_bytes(b"marks")
        .push_name_bytes(b"before")
        .nested_hook()
        .push_num(0)
        .push_priority(-350)
        .end_nested()
        .push_policy(1)
        .push_type_bytes(b"filter");
    let rule = setting_mark(b"before", mark);
    transaction(
        host,
        &[(10 << 8, 0x400, table), (10 << 8 | 3, 0x400, chain), (10 << 8 | 6, 0xc00, rule)],
    );
}

/// `meta mark set MARK` in a chain of the table `marks`.
fn setting_mark(chain: &[u8], mark: u32) -> Vec<u8> {
    let mut set = Vec::new();
    OpNewruleDo::encode_request(&mut set, &inet())
        .push_table_bytes(b"marks")
        .push_chain_bytes(chain)
        .nested_expressions()
        .nested_elem()
        .nested_data_immediate()
        .push_dreg(1)
        .nested_data()
        .push_value(&mark.to_ne_bytes())
        .end_nested()
        .end_nested()
        .end_nested()
        .nested_elem()
        .nested_data_meta()
        .push_key(MetaKeys::Mark as u32)
        .push_sreg(1)
        .end_nested()
        .end_nested();
    set
}

/// `nft flush set inet TABLE SET`.
pub(crate) fn flush_set(host: &Host, table: &str, set: &str) {
    sipward_tests::nft::flush_sets(host, table, &[set]);
}

/// `nft add element inet TABLE SET { ADDRESS }`, of an IPv4 address.
pub(crate) fn add_host_to_set(host: &Host, table: &str, set: &str, address: &str) {
    add_element(host, table, set, &host_key(address));
}

/// `nft delete element inet sipward SET { ADDRESS }`, of an IPv4 address.
pub(crate) fn delete_host_from_set(host: &Host, set: &str, address: &str) {
    delete_element(host, "sipward", set, &host_key(address));
}

/// `nft add element inet TABLE SET { ADDRESS . TRANSPORT . PORT }`, of an IPv4 address.
pub(crate) fn add_flow_to_set(
    host: &Host,
    table: &str,
    set: &str,
    address: &str,
    transport: u8,
    port: u16,
) {
    add_element(host, table, set, &flow_key(address, transport, port));
}

/// Deletes an element of a set of IPv4 flows and adds it again with another time, in one transaction.
pub(crate) fn change_time_of_flow(
    host: &Host,
    set: &str,
    address: &str,
    transport: u8,
    port: u16,
    time: Duration,
) {
    let key = flow_key(address, transport, port);
    sipward_tests::nft::replace_element(host, "sipward", set, &key, time);
}

/// `nft delete rule inet sipward gate handle …`: deletes the last rule of a chain.
pub(crate) fn delete_chain_rules(host: &Host, table: &str, chain: &str) {
    let mut payload = Vec::new();
    netlink_bindings::nftables::OpDelruleDo::encode_request(&mut payload, &inet())
        .push_table_bytes(table.as_bytes())
        .push_chain_bytes(chain.as_bytes());
    transaction(host, &[(10 << 8 | 8, 0, payload)]);
}

/// A gate as it was before it had sets of bans: its table, known by the comment, its chain, and the rule for IPv6.
pub(crate) fn old_gate(host: &Host) {
    let comment = |text: &str| {
        let length = u8::try_from(text.len() + 1).expect("a short comment");
        [&[0, length], text.as_bytes(), b"\0"].concat()
    };
    let (mut table, mut chain, mut rule) = (Vec::new(), Vec::new(), Vec::new());
    OpNewtableDo::encode_request(&mut table, &inet())
        .push_name_bytes(b"sipward")
        .push_flags(0)
        .push_userdata(&comment("sipward: drops what blackholed sources send"));
    OpNewchainDo::encode_request(&mut chain, &inet())
        .push_table_bytes(b"sipward")
        .push_name_bytes(b"gate")
        .nested_hook()
        .push_num(0)
        .push_priority(-300)
        .end_nested()
        .push_policy(1)
        .push_type_bytes(b"filter");
    OpNewruleDo::encode_request(&mut rule, &inet())
        .push_table_bytes(b"sipward")
        .push_chain_bytes(b"gate")
        .nested_expressions()
        .nested_elem()
        .nested_data_meta()
        .push_key(MetaKeys::Nfproto as u32)
        .push_dreg(1)
        .end_nested()
        .end_nested()
        .nested_elem()
        .nested_data_cmp()
        .push_sreg(1)
        .push_op(CmpOps::Eq as u32)
        .nested_data()
        .push_value(&[10])
        .end_nested()
        .end_nested()
        .end_nested()
        // `fib saddr type blackhole`, by the kernel's numbers.
        .nested_elem()
        .nested_data_fib()
        .push_dreg(1)
        .push_result(3)
        .push_flags(1)
        .end_nested()
        .end_nested()
        .nested_elem()
        .nested_data_cmp()
        .push_sreg(1)
        .push_op(CmpOps::Eq as u32)
        .nested_data()
        .push_value(&6_u32.to_ne_bytes())
        .end_nested()
        .end_nested()
        .end_nested()
        .nested_elem()
        .nested_data_immediate()
        .push_dreg(0)
        .nested_data()
        .nested_verdict()
        .push_code(VerdictCode::Drop as u32)
        .end_nested()
        .end_nested()
        .end_nested()
        .end_nested();
    transaction(
        host,
        &[(10 << 8, 0x400, table), (10 << 8 | 3, 0x400, chain), (10 << 8 | 6, 0xc00, rule)],
    );
}

/// `table ip nat { chain out { type nat hook postrouting priority srcnat; oifname INTERFACE masquerade; } }`.
pub(crate) fn masquerade(host: &Host) {
    let ip = || {
        let mut header = Nfgenmsg::new();
        header.nfgen_family = 2;
        header
    };
    let (mut table, mut chain, mut rule) = (Vec::new(), Vec::new(), Vec::new());
    OpNewtableDo::encode_request(&mut table, &ip()).push_name_bytes(b"nat");
    OpNewchainDo::encode_request(&mut chain, &ip())
        .push_table_bytes(b"nat")
        .push_name_bytes(b"out")
        .nested_hook()
        .push_num(4)
        .push_priority(100)
        .end_nested()
        .push_policy(1)
        .push_type_bytes(b"nat");
    let mut list = OpNewruleDo::encode_request(&mut rule, &ip())
        .push_table_bytes(b"nat")
        .push_chain_bytes(b"out")
        .nested_expressions()
        .nested_elem();
    // `NFTA_EXPR_NAME`, which is all that masquerading needs.
    list.as_vec_mut().extend([9_u16.to_ne_bytes(), 1_u16.to_ne_bytes()].concat());
    list.as_vec_mut().extend(b"masq\0\0\0\0");
    drop(list);
    transaction(
        host,
        &[(10 << 8, 0x400, table), (10 << 8 | 3, 0x400, chain), (10 << 8 | 6, 0xc00, rule)],
    );
}

/// `nft add table inet NAME`.
pub(crate) fn add_table(host: &Host, name: &str) {
    let mut payload = Vec::new();
    OpNewtableDo::encode_request(&mut payload, &inet()).push_name_bytes(name.as_bytes());
    transaction(host, &[(10 << 8, 0x400, payload)]);
}

/// `nft list sets inet`: their names, sorted.
pub(crate) fn sets(host: &Host) -> Vec<String> {
    let mut payload = Vec::new();
    OpGetsetDump::encode_request(&mut payload, &inet());
    let all = exchange(host, NETLINK_NETFILTER, &[((10 << 8) | 0x0a, NLM_F_DUMP, payload)]);
    let name = |set: &Vec<u8>| {
        let (_, set) = OpGetsetDump::decode_request(set);
        set.get_name().expect("a name").to_string_lossy().into_owned()
    };
    let mut names: Vec<String> = all.iter().map(name).collect();
    names.sort_unstable();
    names
}

/// `nft list set inet sipward SET`: the keys of its elements.
pub(crate) fn elements(host: &Host, set: &str) -> Vec<Vec<u8>> {
    let mut payload = Vec::new();
    OpGetsetelemDump::encode_request(&mut payload, &inet())
        .push_table_bytes(b"sipward")
        .push_set_bytes(set.as_bytes());
    let all = exchange(host, NETLINK_NETFILTER, &[((10 << 8) | 0x0d, NLM_F_DUMP, payload)]);
    let mut keys = Vec::new();
    for part in all {
        let (_, list) = OpGetsetelemDump::decode_request(&part);
        let Ok(list) = list.get_elements() else { continue };
        for element in list.get_elem() {
            let key = element.get_key().and_then(|key| key.get_value()).unwrap_or_default();
            keys.push(key.to_vec());
        }
    }
    keys
}

/// Whether a set of the gate holds an IPv4 host.
pub(crate) fn holds(host: &Host, set: &str, address: &str) -> bool {
    elements(host, set).contains(&host_key(address))
}

/// `nft list tables inet`: their names.
pub(crate) fn tables(host: &Host) -> Vec<String> {
    let mut payload = Vec::new();
    OpGettableDump::encode_request(&mut payload, &inet());
    let all = exchange(host, NETLINK_NETFILTER, &[((10 << 8) | 1, NLM_F_DUMP, payload)]);
    let name = |table: &Vec<u8>| {
        let (_, table) = OpGettableDump::decode_request(table);
        table.get_name().expect("a name").to_string_lossy().into_owned()
    };
    all.iter().map(name).collect()
}

/// Packets that the rules of the gate have counted, summed over its drop rules.
pub(crate) fn packets_dropped(host: &Host) -> u64 {
    let mut payload = Vec::new();
    OpGetruleDump::encode_request(&mut payload, &inet())
        .push_table_bytes(b"sipward")
        .push_chain_bytes(b"gate");
    let mut total = 0;
    for rule in exchange(host, NETLINK_NETFILTER, &[((10 << 8) | 7, NLM_F_DUMP, payload)]) {
        let (_, rule) = OpGetruleDump::decode_request(&rule);
        let Ok(expressions) = rule.get_expressions() else {
            continue;
        };
        for expression in expressions.get_elem() {
            if let Ok(netlink_bindings::nftables::ExprOps::Counter(counter)) = expression.get_data()
            {
                total += counter.get_packets().expect("a count");
            }
        }
    }
    total
}

/// Two chains around the gate: one before it sets `mark`, one behind it drops what does not carry
/// exactly that mark.
pub(crate) fn demand_mark(host: &Host, mark: u32) {
    let chain = |name: &[u8], priority: i32| {
        let mut payload = Vec::new();
        OpNewchainDo::encode_request(&mut payload, &inet())
            .push_table_bytes(b"marks")
            .push_name_bytes(name)
            .nested_hook()
            .push_num(0)
            .push_priority(priority)
            .end_nested()
            .push_policy(1)
            .push_type_bytes(b"filter");
        (10 << 8 | 3, 0x400, payload)
    };
    let mut table = Vec::new();
    OpNewtableDo::encode_request(&mut table, &inet()).push_name_bytes(b"marks");
    let set = setting_mark(b"before", mark);
    let mut demand = Vec::new();
    OpNewruleDo::encode_request(&mut demand, &inet())
        .push_table_bytes(b"marks")
        .push_chain_bytes(b"behind")
        .nested_expressions()
        .nested_elem()
        .nested_data_meta()
        .push_key(MetaKeys::Mark as u32)
        .push_dreg(1)
        .end_nested()
        .end_nested()
        .nested_elem()
        .nested_data_cmp()
        .push_sreg(1)
        .push_op(CmpOps::Neq as u32)
        .nested_data()
        .push_value(&mark.to_ne_bytes())
        .end_nested()
        .end_nested()
        .end_nested()
        .nested_elem()
        .nested_data_immediate()
        .push_dreg(0)
        .nested_data()
        .nested_verdict()
        .push_code(VerdictCode::Drop as u32)
        .end_nested()
        .end_nested()
        .end_nested()
        .end_nested();
    transaction(
        host,
        &[
            (10 << 8, 0x400, table),
            chain(b"before", -350),
            chain(b"behind", -250),
            (10 << 8 | 6, 0xc00, set),
            (10 << 8 | 6, 0xc00, demand),
        ],
    );
}

fn route(kind: RouteType, net: IpNet, protocol: u8, table: u32) -> RouteMessage {
    let mut message = match net {
        IpNet::V4(net) => RouteMessageBuilder::<Ipv4Addr>::new()
            .destination_prefix(net.network(), net.prefix_len())
            .table_id(table)
            .build(),
        IpNet::V6(net) => RouteMessageBuilder::<Ipv6Addr>::new()
            .destination_prefix(net.network(), net.prefix_len())
            .table_id(table)
            .build(),
    };
    message.header.protocol = RouteProtocol::from(protocol);
    message.header.kind = kind;
    message
}

fn send_routes(
    host: &Host,
    nets: &[IpNet],
    protocol: u8,
    flags: u16,
    message: fn(RouteMessage) -> RouteNetlinkMessage,
) {
    for some in nets.chunks(500) {
        let mut encoded = Vec::new();
        for net in some {
            let message = message(route(RouteType::BlackHole, *net, protocol, 254));
            let mut payload = vec![0; message.buffer_len()];
            message.emit(&mut payload);
            encoded.push((message.message_type(), flags, payload));
        }
        if let Some((_, flags, _)) = encoded.last_mut() {
            *flags |= NLM_F_ACK;
        }
        exchange(host, NETLINK_ROUTE, &encoded);
    }
}

fn messages(host: &Host) -> Vec<RouteMessage> {
    host.netlink(async |handle| {
        let mut all = Vec::new();
        for request in [
            RouteMessageBuilder::<Ipv4Addr>::new().build(),
            RouteMessageBuilder::<Ipv6Addr>::new().build(),
        ] {
            let found: Vec<_> =
                handle.route().get(request).execute().try_collect().await.expect("routes");
            all.extend(found);
        }
        all
    })
}

fn describe(message: &RouteMessage) -> String {
    let header = &message.header;
    let (mut target, mut table) = (None, u32::from(header.table));
    for attribute in &message.attributes {
        match attribute {
            RouteAttribute::Destination(rtnetlink::packet_route::route::RouteAddress::Inet(ip)) => {
                target = Some((*ip).into());
            }
            RouteAttribute::Destination(rtnetlink::packet_route::route::RouteAddress::Inet6(
                ip,
            )) => {
                target = Some((*ip).into());
            }
            RouteAttribute::Table(number) => table = *number,
            _ => {}
        }
    }
    let target = target.map_or("default".to_owned(), |ip| {
        IpNet::new(ip, header.destination_prefix_length).expect("a length").to_string()
    });
    let kind = format!("{:?}", header.kind).to_lowercase();
    format!("{kind} {target} proto {} table {table}", u8::from(header.protocol))
}

fn rules(host: &Host, table: u32) -> Vec<RuleMessage> {
    host.netlink(async |handle| {
        let mut all = Vec::new();
        for version in [IpVersion::V4, IpVersion::V6] {
            let found: Vec<_> =
                handle.rule().get(version).execute().try_collect().await.expect("rules");
            all.extend(found);
        }
        all.retain(|message: &RuleMessage| {
            u32::from(message.header.table) == table
                || message.attributes.contains(&RuleAttribute::Table(table))
        });
        all
    })
}
