//! What an administrator's mistake does to sipward's nftables table.

use sipward_route::{Flow, Inspection, Settings, Transport, inspect};
use sipward_tests::netns::Host;
pub(crate) use sipward_tests::nft::flush_ruleset;
use sipward_tests::nft::{add_element, delete_element, flow_key, flush_sets, host_key};

/// The name of sipward's table.
const TABLE: &str = "sipward";
/// `IPPROTO_UDP`.
const UDP: u8 = 17;

/// What the kernel of `host` holds of sipward.
pub(crate) fn look(host: &Host) -> Inspection {
    host.block_on(async || inspect(&Settings::default()).await).unwrap()
}

/// The denied flows, as they are written for people.
pub(crate) fn denied(host: &Host) -> Vec<String> {
    look(host).flows.iter().map(|(flow, _)| written(*flow)).collect()
}

fn written(flow: Flow) -> String {
    let transport = match flow.transport {
        Transport::Udp => "udp",
        Transport::Tcp => "tcp",
    };
    format!("{} {transport} {}", flow.source, flow.port)
}

/// The networks banned from the SIP ports, as they are written for people.
pub(crate) fn sip_bans(host: &Host) -> Vec<String> {
    look(host).sip_bans.iter().map(ToString::to_string).collect()
}

/// What a reboot does to what sipward has set: routes, rules of nftables, sets.
pub(crate) fn forget_all(host: &Host) {
    flush_ruleset(host);
    super::kernel::flush(host);
}

/// `nft flush set inet sipward SET`.
pub(crate) fn flush_set(host: &Host, set: &str) {
    flush_sets(host, TABLE, &[set]);
}

/// `nft add element inet sipward SET { ADDRESS }`.
pub(crate) fn add_host(host: &Host, set: &str, address: &str) {
    add_element(host, TABLE, set, &host_key(address));
}

/// `nft add element inet sipward SET { ADDRESS . udp . PORT }`.
pub(crate) fn add_udp_flow(host: &Host, set: &str, address: &str, port: u16) {
    add_element(host, TABLE, set, &flow_key(address, UDP, port));
}

/// `nft delete element inet sipward SET { ADDRESS }`.
pub(crate) fn delete_host(host: &Host, set: &str, address: &str) {
    delete_element(host, TABLE, set, &host_key(address));
}

/// `nft delete element inet sipward SET { ADDRESS . udp . PORT }`.
pub(crate) fn delete_udp_flow(host: &Host, set: &str, address: &str, port: u16) {
    delete_element(host, TABLE, set, &flow_key(address, UDP, port));
}
