//! What the kernel does with packets to one address.

use std::net::IpAddr;

use netlink_sys::protocols::NETLINK_ROUTE;

use crate::RouteError;
use crate::blackhole::{self, Winner};
use crate::netlink::{Batch, Channel, Reply};

/// Which route the kernel takes to an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Route {
    /// A blackhole: nothing is sent, and where the gate stands nothing is let in.
    Blackhole,
    /// Another one, in the words of `ip route`.
    Other(String),
}

/// `ip route get fibmatch ADDRESS`: asks the kernel which route it takes to `address`. Needs no
/// privilege, and knows nothing of the gate.
///
/// # Errors
/// When netlink fails.
pub async fn look_up(address: IpAddr) -> Result<Route, RouteError> {
    let mut channel = Channel::open(NETLINK_ROUTE).map_err(RouteError::Socket)?;
    let mut batch = Batch::default();
    blackhole::lookup(&mut batch, address, None);
    let mut winner = None;
    channel
        .exchange(batch, |_, reply| match reply {
            Reply::Refused(refusal) => winner = Some(Winner::of_refusal(&refusal)),
            Reply::Object(_, payload) => winner = Some(Winner::of_route(payload)),
            Reply::Done => {}
        })
        .await?;
    Ok(match winner {
        Some(Winner::Blackhole) => Route::Blackhole,
        Some(Winner::Other(route)) => Route::Other(route),
        None => Route::Other("unknown (no answer to the lookup)".to_owned()),
    })
}
