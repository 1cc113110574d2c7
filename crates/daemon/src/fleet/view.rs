//! The fleet as it is shown, and what this node says of itself.

use std::collections::BTreeMap;
use std::time::Duration;

use sipward_engine::{PeerMode, PeerView, RefusedByReason, ShadowedBecause, Timestamp};
use sipward_fleet::message::{Body, NodeStatus};
use sipward_fleet::{DELAY_BOUNDS, Delays, NodeSeen, Snapshot, State, Text};

use sipward_config::Mode;
use sipward_model::text::Time;
use sipward_model::wire::{Fleet, FleetCounts, FleetLink, FleetNode, NodeStanding};

/// How a node says that it hears its FreeSWITCH.
const CONNECTED: &str = "connected";

/// Most nodes that are shown.
const MAX_NODES: usize = 1_024;

/// What this node says of itself.
pub(super) fn status(mode: Mode, connected: bool, peers: &[PeerView]) -> NodeStatus {
    let connection = if connected { CONNECTED } else { "not connected" };
    let counts = BTreeMap::from([
        ("taken", peers.iter().map(|peer| peer.taken).sum::<u64>()),
        ("known", peers.iter().map(|peer| peer.known).sum()),
    ]);
    NodeStatus {
        version: Text::cut(env!("CARGO_PKG_VERSION")),
        mode: Text::cut(mode.as_str()),
        connection: Text::cut(connection),
        counts: counts.into_iter().collect(),
        refusals: refused(peers).iter().map(|(reason, count)| (*reason, *count)).collect(),
        ..NodeStatus::default()
    }
}

/// Refusals of all peers, by reason.
fn refused(peers: &[PeerView]) -> BTreeMap<&'static str, u64> {
    let mut sums = BTreeMap::new();
    for (reason, count) in peers.iter().flat_map(|peer| by_reason(&peer.refused)) {
        *sums.entry(reason).or_default() += count;
    }
    sums
}

fn by_reason(refused: &RefusedByReason) -> [(&'static str, u64); 8] {
    let RefusedByReason {
        exempt,
        known,
        lifted,
        no_quorum,
        too_wide,
        peer_budget,
        peer_shadowed,
        other,
    } = *refused;
    [
        ("exempt", exempt),
        ("known", known),
        ("lifted", lifted),
        ("no_quorum", no_quorum),
        ("too_wide", too_wide),
        ("peer_budget", peer_budget),
        ("peer_shadowed", peer_shadowed),
        ("other", other),
    ]
}

/// What is shown.
pub(super) fn fleet(
    own: &str,
    (link, peers, nodes): (&Snapshot, &[PeerView], &[NodeSeen]),
    (published, taken): (u64, u64),
) -> Fleet {
    let mut refused = refused(peers);
    for (reason, count) in &link.refused {
        *refused.entry(reason.as_str()).or_default() += count;
    }
    let received = link.received.iter().map(|(kind, count)| (kind.as_str().to_owned(), *count));
    let counts = FleetCounts {
        published,
        taken,
        received: received.collect(),
        refused: refused.into_iter().map(|(reason, count)| (reason.to_owned(), count)).collect(),
    };
    let (connected, down) = match &link.state {
        State::Starting => (false, None),
        State::Connected { .. } => (true, None),
        State::Down { why } => (false, Some(why.clone())),
    };
    Fleet {
        enabled: true,
        node: Some(own.to_owned()),
        link: FleetLink {
            connected,
            error: down.or_else(|| link.trouble.clone()),
            stream: connected && link.caught_up,
            behind: link.behind,
            unacknowledged: link.unacknowledged as u64,
            delay_seconds: usual_delay(&link.delays).map(|delay| delay.as_secs_f64()),
        },
        counts,
        nodes: rows(own, link, peers, nodes),
    }
}

/// The bound that 99 of 100 messages kept.
fn usual_delay(delays: &Delays) -> Option<Duration> {
    let all: u64 = delays.buckets.iter().sum();
    let mut within = 0;
    let bound = delays.buckets.iter().zip(DELAY_BOUNDS).find_map(|(count, bound)| {
        within += count;
        (within * 100 >= all * 99).then_some(bound)
    });
    let most = DELAY_BOUNDS.last().copied().unwrap_or_default();
    (all > 0).then(|| Duration::from_millis(bound.unwrap_or(most)))
}

fn rows(own: &str, link: &Snapshot, peers: &[PeerView], nodes: &[NodeSeen]) -> Vec<FleetNode> {
    let mut rows: BTreeMap<String, FleetNode> = BTreeMap::new();
    for seen in nodes {
        let name = seen.message.from.to_string();
        let Body::Node(status) = &seen.message.body else { continue };
        let row = rows.entry(name.clone()).or_insert_with(|| blank(name, own));
        let word = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        row.version = word(status.version.as_str());
        row.mode = word(status.mode.as_str());
        row.connected = word(status.connection.as_str()).map(|said| said == CONNECTED);
        row.seen = Some(Time(Timestamp::from_micros(seen.stamp.saturating_mul(1_000))));
        // The offset says how far the server's clock is ahead.
        row.clock_ahead_seconds = status.clock_offset_ms.map(|offset| -seconds(offset));
        row.behind = Some(link.applied.saturating_add(link.behind).saturating_sub(status.applied));
    }
    for peer in peers {
        let name = peer.peer.to_string();
        let row = rows.entry(name.clone()).or_insert_with(|| blank(name, own));
        row.standing = match (peer.mode, peer.shadowed) {
            (PeerMode::Ignore, _) => NodeStanding::Ignore,
            (PeerMode::Shadow, _) | (PeerMode::Accept, Some(_)) => NodeStanding::Shadow,
            (PeerMode::Accept, None) => NodeStanding::Accept,
        };
        row.because = peer.shadowed.map(|because| because_words(because).to_owned());
        row.weight = peer.weight;
        row.bans = peer.standing as u64;
        row.taken = peer.taken;
        row.refused = by_reason(&peer.refused).iter().map(|(_, count)| count).sum();
    }
    rows.into_values().take(MAX_NODES).collect()
}

/// Milliseconds as seconds; beyond a month the difference does not matter.
fn seconds(ms: i64) -> f64 {
    let most = i32::MAX;
    f64::from(i32::try_from(ms).unwrap_or(if ms < 0 { -most } else { most })) / 1_000.0
}

fn blank(node: String, own: &str) -> FleetNode {
    FleetNode { own: node == own, node, weight: 1, ..FleetNode::default() }
}

fn because_words(because: ShadowedBecause) -> &'static str {
    match because {
        ShadowedBecause::TooManyAMinute => "it banned more than 600 sources within a minute",
        ShadowedBecause::TooManyStanding => "more than 10,000 of its bans stand",
        ShadowedBecause::HitsKnown => "it banned hosts that are known, registered or exempt here",
    }
}
