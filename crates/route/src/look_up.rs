//! What the kernel does with packets of one address.

use std::net::IpAddr;

use netlink_sys::protocols::NETLINK_ROUTE;

use crate::netlink::Channel;
use crate::proof::{self, Verdict};
use crate::{Enforcement, RouteError, Settings, inspect};

/// Which route the kernel takes to an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Route {
    /// A blackhole, whichever of this host's addresses its packets are sent to: nothing is sent, and where
    /// the gate stands nothing is let in.
    Blackhole,
    /// Another one, for some packets at least, in the words of `ip route`; with the rule of somebody else by
    /// which it wins against a blackhole.
    Other(String),
}

/// Asks the kernel which route it takes to `address`, as the gate asks: for each own address that rules tell
/// apart. Needs no privilege, and knows nothing of the gate.
///
/// # Errors
/// When netlink fails.
pub async fn look_up(settings: &Settings, address: IpAddr) -> Result<Route, RouteError> {
    let mut channel = Channel::open(NETLINK_ROUTE).map_err(RouteError::Socket)?;
    let proof = inspect::proof(&mut channel, settings, None).await?;
    let answers = proof::answers(&mut channel, &proof, address).await?;
    Ok(match proof.judge(address, &answers) {
        Verdict::Blackhole => Route::Blackhole,
        Verdict::Refusing(kind) => Route::Other(format!("{kind} route")),
        verdict @ Verdict::Passed { .. } => match verdict.enforcement() {
            Some(Enforcement::Outranked { winner }) => Route::Other(winner),
            Some(other) => Route::Other(other.to_string()),
            None => Route::Blackhole,
        },
    })
}
