//! What a ban covers on a host, with or without the gate.

use crate::{Coverage, GateSettings, HostFacts};

/// What is covered on a host whose interfaces `open` have no `rp_filter`, with or without the gate.
pub(crate) fn coverage(
    settings: &GateSettings,
    gate: bool,
    open: &[String],
    host: &HostFacts,
) -> Coverage {
    let mut coverage = Coverage {
        ipv4_inbound: gate || open.is_empty(),
        ipv6_inbound: gate || !has_ipv6(host),
        gate,
        table: crate::settings::MAIN_TABLE,
        gaps: Vec::new(),
    };
    if !coverage.ipv4_inbound {
        coverage.gaps.push(format!(
            "IPv4: rp_filter is 0 on {}, so packets of banned hosts still arrive there",
            listed(open)
        ));
    }
    if !coverage.ipv6_inbound {
        let gap = "IPv6 has no rp_filter, so packets of banned hosts still arrive";
        coverage.gaps.push(gap.to_owned());
    }
    if settings.effective_shield().is_some() && !gate {
        let gap = "the shield of the SIP ports needs the gate, so nothing is shielded";
        coverage.gaps.push(gap.to_owned());
    }
    coverage
}

/// Whether the host has an IPv6 address of its own.
pub(crate) fn has_ipv6(host: &HostFacts) -> bool {
    host.own.iter().any(|ip| ip.is_ipv6() && !ip.is_loopback())
}

/// Interfaces named in a gap at most; a container host has hundreds.
const NAMED: usize = 8;

fn listed(interfaces: &[String]) -> String {
    let named = interfaces.iter().take(NAMED).map(String::as_str).collect::<Vec<_>>().join(", ");
    match interfaces.len().checked_sub(NAMED) {
        Some(more) if more > 0 => format!("{named} and {more} more"),
        _ => named,
    }
}
