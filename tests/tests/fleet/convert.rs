//! Messages of the wire as inputs of the engine, and what the engine says as messages.

use std::time::Duration;

use sipward_engine::{
    self as engine, Exemption, Expiry, Grade, Input, KnownToShare, RemoteFacts, RuleName, Timestamp,
};
use sipward_fleet::Text;
use sipward_fleet::message::{Ban, Body, By, Class, Known, Message, Mode, Scope, Standing, Veto};

/// A message as an input of the engine. `age`: since the message was stored, by the node's clock.
pub(crate) fn input(message: &Message, age: Duration) -> Option<Input<'static>> {
    let peer =
        engine::PeerName::new(message.from.site.as_str(), message.from.node.as_str()).ok()?;
    let n = message.n;
    Some(match &message.body {
        Body::Ban(net, Ban::Stands(ban)) => {
            let remaining = message.remaining(age)?;
            let remaining = ban.for_ms.map(|_| remaining);
            Input::Remote { peer, net: *net, n, remaining, age, facts: facts(ban) }
        }
        Body::Ban(net, Ban::Ended) => Input::RemoteEnded { peer, net: *net, n },
        Body::Lift(net, lift) => Input::Lift {
            net: *net,
            hold: Duration::from_millis(lift.hold_ms),
            age,
            reason: lift.reason.as_str().to_owned(),
        },
        Body::Veto(net, Veto::Stands { class }) => {
            let is = |it: &Exemption| serde_json::json!(it) == class.as_str();
            let class = Exemption::ALL.into_iter().find(is).unwrap_or(Exemption::Allow);
            Input::RemoteVeto { peer, net: *net, class }
        }
        Body::Veto(net, Veto::Ended) => Input::RemoteVetoEnded { peer, net: *net },
        Body::Peer(about, judgement) => Input::Peers {
            settings: vec![engine::PeerSetting {
                peer: engine::PeerName::new(about.site.as_str(), about.node.as_str()).ok()?,
                mode: match judgement.mode {
                    Mode::Accept => engine::PeerMode::Accept,
                    Mode::Shadow => engine::PeerMode::Shadow,
                    Mode::Ignore => engine::PeerMode::Ignore,
                },
                weight: judgement.weight,
            }],
            age,
        },
        Body::Known(net, Known::Stands { class, home, .. }) => Input::RemoteKnown {
            peer,
            source: net.addr(),
            class: match class {
                Class::Known => engine::KnownClass::Known,
                Class::Trusted => engine::KnownClass::Trusted,
                Class::Shared => engine::KnownClass::Shared,
            },
            home: home.map(|home| engine::Home(home.0)),
            age,
        },
        Body::Known(net, Known::Ended) => Input::RemoteKnownEnded { peer, source: net.addr() },
        Body::Node(_) => return None,
    })
}

fn facts(ban: &Standing) -> RemoteFacts {
    let small = |n: u64| u32::try_from(n).unwrap_or(u32::MAX);
    match ban.by {
        By::Manual => RemoteFacts::by_hand(ban.why.as_str()),
        By::Rule => RemoteFacts::by_rule(
            (
                RuleName::ALL.into_iter().find(|rule| rule.as_str() == ban.rule.as_str()),
                Grade::ALL.into_iter().find(|grade| grade.as_str() == ban.grade.as_str()),
            ),
            (small(ban.failures), ban.score),
            small(ban.count),
            ban.why.as_str(),
        ),
    }
}

/// A ban of this node that others should hear of.
pub(crate) fn ban(ban: &engine::BanView<'_>, now: Timestamp) -> Body {
    let for_ms = match ban.until {
        Expiry::At(end) => Some(end.since(now).as_millis() as u64),
        Expiry::Never => None,
    };
    let evidence = ban.cause.evidence();
    let evidence = evidence.as_deref();
    Body::Ban(
        ban.net,
        Ban::Stands(Standing {
            decided: 0,
            for_ms,
            by: if evidence.is_some() { By::Rule } else { By::Manual },
            scope: Scope::Host,
            rule: Text::cut(evidence.map_or("", |it| it.rule.as_str())),
            grade: Text::cut(evidence.map_or("", |it| it.grade.as_str())),
            failures: evidence.map_or(0, |it| it.failures.into()),
            score: evidence.map_or(0.0, |it| it.score),
            count: evidence.map_or(0, |it| it.ban_count.into()),
            why: Text::default(),
        }),
    )
}

/// A phone that others should know.
pub(crate) fn known(phone: &KnownToShare, home: engine::Home) -> Body {
    let class = match phone.class {
        engine::KnownClass::Known => Class::Known,
        engine::KnownClass::Trusted => Class::Trusted,
        engine::KnownClass::Shared => Class::Shared,
    };
    let home = Some(sipward_fleet::message::Home(home.0));
    Body::Known(phone.source.into(), Known::Stands { class, since: 0, last: 0, home })
}
