//! Whether FreeSWITCH is near: on this host, or on a network that this host is connected to.

use std::net::IpAddr;
use std::time::Duration;

use sipward_route::HostFacts;

use crate::names;

/// Longest wait for the name; without an answer FreeSWITCH counts as far.
const LOOK_UP: Duration = Duration::from_secs(2);

/// Whether every address of `host` is near.
pub async fn is_near(host: &str, facts: &HostFacts) -> bool {
    let addresses = if let Ok(address) = host.parse::<IpAddr>() {
        vec![address]
    } else {
        let found = tokio::time::timeout(LOOK_UP, names::look_up(host.to_owned())).await;
        found.ok().and_then(|(_, addresses)| addresses.ok()).unwrap_or_default()
    };
    !addresses.is_empty() && addresses.into_iter().all(|address| is_local(address, facts))
}

fn is_local(address: IpAddr, facts: &HostFacts) -> bool {
    let address = address.to_canonical();
    address.is_loopback()
        || facts.own.contains(&address)
        || facts.on_link.iter().any(|net| net.contains(&address))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn loopback_and_connected_networks_are_near() {
        let facts = HostFacts {
            own: vec!["192.0.2.1".parse().unwrap()],
            on_link: vec!["10.1.0.0/16".parse().unwrap(), "2001:db8:1::/64".parse().unwrap()],
            ..HostFacts::default()
        };
        for (host, near) in [
            ("127.0.0.1", true),
            ("::1", true),
            ("localhost", true),
            ("192.0.2.1", true),
            ("10.1.2.3", true),
            ("::ffff:10.1.2.3", true),
            ("2001:db8:1::9", true),
            ("10.2.0.1", false),
            ("2001:db8:2::9", false),
            ("no.such.name.invalid", false),
        ] {
            assert_eq!(is_near(host, &facts).await, near, "{host}");
        }
    }
}
