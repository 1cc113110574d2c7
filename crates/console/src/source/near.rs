//! Bans and failing sources in the network around an address.

use std::net::IpAddr;

use ipnet::IpNet;
use maud::{Markup, html};

use super::super::bans::{Columns, rows};
use super::super::frame::Frame;
use super::super::labels::{self, Shown};
use super::super::language::t;
use sipward_daemon::control::{Control, ControlError};
use sipward_model::wire::{
    BanOrder, BanPage, BanQuery, Direction, FailureEntry, FailureQuery, MAX_LIMIT, Net,
};

/// Prefix lengths of the network: what an attacker often has whole.
const V4: u8 = 24;
const V6: u8 = 48;

/// Bans and sources that the page lists.
const LISTED: u16 = 10;

/// What is there.
pub(super) struct Near {
    net: IpNet,
    bans: BanPage,
    /// The latest failures, those of the address itself among them.
    pub(super) failures: Vec<FailureEntry>,
}

pub(super) async fn look(control: &Control, address: IpAddr) -> Result<Near, ControlError> {
    let length = if address.is_ipv4() { V4 } else { V6 };
    let net = IpNet::new(address, length).unwrap_or_else(|_| address.into()).trunc();
    let query = BanQuery {
        inside: Some(Net(net)),
        sort: Some(BanOrder::Since),
        order: Some(Direction::Desc),
        limit: Some(LISTED + 1),
        ..BanQuery::default()
    };
    let failures =
        FailureQuery { inside: Some(Net(net)), limit: Some(MAX_LIMIT), ..FailureQuery::default() };
    let (bans, failures) = tokio::join!(control.bans(query), control.failures(failures));
    Ok(Near { net, bans: bans?, failures: failures?.items })
}

/// `own` is the network that the address is counted by: the page shows it elsewhere.
pub(super) fn show(frame: &Frame, near: &Near, own: IpNet) -> Markup {
    let inside = |net: &IpNet| own.contains(net) || net.contains(&own);
    let bans: Vec<_> = near
        .bans
        .items
        .iter()
        .filter(|ban| !inside(&ban.net))
        .take(LISTED.into())
        .cloned()
        .collect();
    let others = near
        .bans
        .total
        .saturating_sub(near.bans.items.iter().filter(|ban| inside(&ban.net)).count() as u64);
    let mut failing: Vec<(IpAddr, u64)> = Vec::new();
    for failure in near.failures.iter().filter(|failure| !own.contains(&failure.address)) {
        match failing.iter_mut().find(|(address, _)| *address == failure.address) {
            Some((_, count)) => *count += 1,
            None => failing.push((failure.address, 1)),
        }
    }
    failing.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let more = failing.len().saturating_sub(LISTED.into());
    html! {
        p.soft {
            (t!(
                "In {net} besides this source: {bans}, {sources} with failures lately.",
                net = html! { span.mono { (Shown(near.net)) } },
                bans = labels::count(others, "ban"),
                sources = labels::count(failing.len() as u64, "source"),
            ))
        }
        @if !bans.is_empty() { (rows(frame, &bans, &Columns::plain(t("Bans in its network")))) }
        @if others > bans.len() as u64 {
            p { a href={ "/bans?q=" (Shown(near.net)) } { (t("All bans in this network")) } }
        }
        @if !failing.is_empty() {
            ul.chips {
                @for (address, count) in failing.iter().take(LISTED.into()) {
                    li { (labels::net((*address).into())) " " span.soft { "× " (labels::number(*count)) } }
                }
                @if more > 0 { li { (t!("and {count} more", count = more)) } }
            }
        }
    }
}
