//! Subjects: `sipward.1.KIND.SITE.NODE` and, but for `node`, what the message is about.

use std::fmt;

use ipnet::IpNet;

use crate::name::Peer;
use crate::net;

/// What all subjects of this version begin with.
pub(crate) const PREFIX: &str = "sipward.1";
/// Longest subject, in bytes; more than any has.
const MAX_SUBJECT: usize = 160;

/// The kinds of messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// A ban of a network.
    Ban,
    /// Lifts all bans of a network; operators only.
    Lift,
    /// A network that is never banned there.
    Veto,
    /// What to make of a peer; operators only.
    Peer,
    /// A phone that logged in.
    Known,
    /// How a node is.
    Node,
}

impl Kind {
    /// All kinds.
    pub const ALL: [Self; 6] =
        [Self::Ban, Self::Lift, Self::Veto, Self::Peer, Self::Known, Self::Node];

    /// Its name in subjects and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ban => "ban",
            Self::Lift => "lift",
            Self::Veto => "veto",
            Self::Peer => "peer",
            Self::Known => "known",
            Self::Node => "node",
        }
    }

    /// Whether only operators may say it.
    #[must_use]
    pub const fn is_operators(self) -> bool {
        matches!(self, Self::Lift | Self::Peer)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a message is about. Of two messages of one peer with one key the one with the greater `n` counts.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Key {
    /// A ban of this network.
    Ban(IpNet),
    /// The lifting of all bans of this network.
    Lift(IpNet),
    /// A veto against bans of this network.
    Veto(IpNet),
    /// What to make of this peer. One token of the subject: `SITE_NODE`.
    Peer(Peer),
    /// A phone at this network.
    Known(IpNet),
    /// The sender itself.
    Node,
}

impl Key {
    /// The kind of message.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Ban(_) => Kind::Ban,
            Self::Lift(_) => Kind::Lift,
            Self::Veto(_) => Kind::Veto,
            Self::Peer(_) => Kind::Peer,
            Self::Known(_) => Kind::Known,
            Self::Node => Kind::Node,
        }
    }

    /// The network, where it is about one.
    #[must_use]
    pub const fn net(&self) -> Option<IpNet> {
        match self {
            Self::Ban(net) | Self::Lift(net) | Self::Veto(net) | Self::Known(net) => Some(*net),
            Self::Peer(_) | Self::Node => None,
        }
    }

    pub(super) const fn peer(&self) -> Option<&Peer> {
        match self {
            Self::Peer(peer) => Some(peer),
            _ => None,
        }
    }
}

pub(super) fn write(from: &Peer, key: &Key) -> String {
    let kind = key.kind();
    let start = format!("{PREFIX}.{kind}.{}.{}", from.site, from.node);
    match key {
        Key::Ban(about) | Key::Lift(about) | Key::Veto(about) | Key::Known(about) => {
            format!("{start}.{}", net::token(*about))
        }
        Key::Peer(about) => format!("{start}.{}", about.token()),
        Key::Node => start,
    }
}

pub(super) fn read(subject: &str) -> Option<(Peer, Key)> {
    if subject.len() > MAX_SUBJECT {
        return None;
    }
    let mut tokens = subject.strip_prefix(PREFIX)?.strip_prefix('.')?.split('.');
    let kind = tokens.next()?;
    let from = Peer::new(tokens.next()?, tokens.next()?).ok()?;
    let about = tokens.next();
    let network = || net::from_token(about?);
    let key = match kind {
        "ban" => Key::Ban(network()?),
        "lift" => Key::Lift(network()?),
        "veto" => Key::Veto(network()?),
        "peer" => Key::Peer(Peer::from_token(about?).ok()?),
        "known" => Key::Known(network()?),
        "node" if about.is_none() => Key::Node,
        _ => return None,
    };
    tokens.next().is_none().then_some((from, key))
}
