//! Between the words of the engine and those of the fleet's messages.

use std::time::Duration;

use ipnet::IpNet;
use sipward_engine::{
    Cause, Exemption, Grade, Home, Input, KnownClass, PeerMode, PeerName, PeerSetting, RemoteFacts,
    RuleName,
};
use sipward_fleet::message::{self, Ban, Body, By, Key, Known, Message, Scope, Standing, Veto};
use sipward_fleet::{Peer, Received, Text};

use crate::engine_task::PublishedBan;

/// A message's author by the engine's name.
pub(super) fn peer_name(peer: &Peer) -> Option<PeerName> {
    PeerName::new(peer.site.as_str(), peer.node.as_str()).ok()
}

/// What the engine makes of something received; `None` for what is not for it.
pub(super) fn input(received: Received) -> Option<Input<'static>> {
    match received {
        Received::Said { message, remaining, age, path: _ } => said(message, remaining, age),
        Received::Forgotten { peer, key } => {
            let peer = peer_name(&peer)?;
            match key {
                Key::Ban(net) => Some(Input::RemoteEnded { peer, net, n: u64::MAX }),
                Key::Veto(net) => Some(Input::RemoteVetoEnded { peer, net }),
                Key::Known(net) => Some(Input::RemoteKnownEnded { peer, source: net.addr() }),
                Key::Lift(_) | Key::Peer(_) | Key::Node => None,
            }
        }
        Received::CaughtUp => None,
    }
}

fn said(message: Message, remaining: Option<Duration>, age: Duration) -> Option<Input<'static>> {
    let Message { from, n, at, body } = message;
    let peer = peer_name(&from)?;
    Some(match body {
        Body::Ban(net, Ban::Stands(standing)) => {
            let facts = facts(&standing);
            // Both by the clock of the node, so that it does not matter if that is wrong.
            let before = match standing.decided {
                0 => Duration::ZERO,
                decided => Duration::from_millis(at.saturating_sub(decided)),
            };
            let age = age + before;
            Input::Remote { peer, net, n, remaining: Some(remaining?), age, facts }
        }
        Body::Ban(net, Ban::Ended) => Input::RemoteEnded { peer, net, n },
        Body::Veto(net, Veto::Stands { class }) => {
            remaining?;
            Input::RemoteVeto { peer, net, class: exemption(class.as_str()) }
        }
        Body::Veto(net, Veto::Ended) => Input::RemoteVetoEnded { peer, net },
        Body::Lift(net, lift) => {
            let hold = Duration::from_millis(lift.hold_ms).saturating_sub(age);
            Input::Lift { net, hold, age, reason: lift.reason.as_str().to_owned() }
        }
        Body::Peer(about, judgement) => {
            let mode = match judgement.mode {
                message::Mode::Accept => PeerMode::Accept,
                message::Mode::Shadow => PeerMode::Shadow,
                message::Mode::Ignore => PeerMode::Ignore,
            };
            let peer = peer_name(&about)?;
            let settings = vec![PeerSetting { peer, mode, weight: judgement.weight }];
            Input::Peers { settings, age }
        }
        Body::Known(net, Known::Stands { class, home, .. }) => {
            remaining?;
            let class = match class {
                message::Class::Known => KnownClass::Known,
                message::Class::Trusted => KnownClass::Trusted,
                message::Class::Shared => KnownClass::Shared,
            };
            let home = home.map(|home| Home(home.0));
            Input::RemoteKnown { peer, source: net.addr(), class, home, age }
        }
        Body::Known(net, Known::Ended) => Input::RemoteKnownEnded { peer, source: net.addr() },
        Body::Node(_) => return None,
    })
}

fn facts(standing: &Standing) -> RemoteFacts {
    let why = standing.why.as_str();
    match standing.by {
        By::Manual => RemoteFacts::by_hand(why),
        By::Rule => RemoteFacts::by_rule(
            (word::<RuleName>(standing.rule.as_str()), word::<Grade>(standing.grade.as_str())),
            (u32::try_from(standing.failures).unwrap_or(u32::MAX), standing.score),
            u32::try_from(standing.count).unwrap_or(u32::MAX),
            why,
        ),
    }
}

/// A value by its word, if this version knows it.
fn word<T: for<'de> serde::Deserialize<'de>>(text: &str) -> Option<T> {
    serde_json::from_value(serde_json::Value::from(text)).ok()
}

/// What a later version calls otherwise is an exemption all the same.
fn exemption(class: &str) -> Exemption {
    word(class).unwrap_or(Exemption::Allow)
}

/// A ban of this node as it is said, decided at this time in milliseconds since 1970.
pub(super) fn standing(ban: &PublishedBan, decided: u64) -> Standing {
    let blank = |by| Standing {
        // From the end, whenever it is said.
        for_ms: None,
        decided,
        by,
        scope: Scope::Host,
        rule: Text::cut(""),
        grade: Text::cut(""),
        failures: 0,
        score: 0.0,
        count: 0,
        why: Text::cut(""),
    };
    match &*ban.cause {
        Cause::Rule(evidence) => Standing {
            rule: Text::cut(evidence.rule.as_str()),
            grade: Text::cut(evidence.grade.as_str()),
            failures: u64::from(evidence.failures),
            score: evidence.score,
            count: u64::from(evidence.ban_count),
            ..blank(By::Rule)
        },
        Cause::Manual { reason, .. } => Standing { why: Text::cut(reason), ..blank(By::Manual) },
        // Never published.
        Cause::Adopted | Cause::Remote(_) | Cause::Split { .. } => blank(By::Manual),
    }
}

/// Whether other nodes must not ban what is exempt for this reason here. What is special to this host concerns nobody
/// else.
pub(super) fn is_vetoed(class: Exemption, net: &IpNet) -> bool {
    let widest = if net.addr().is_ipv4() { 8 } else { 32 };
    let is_shared = match class {
        Exemption::Trunk | Exemption::Proxy | Exemption::Acl | Exemption::Allow => true,
        Exemption::Own | Exemption::Gateway | Exemption::EslPeer | Exemption::NameServer => false,
    };
    is_shared && net.prefix_len() >= widest
}
