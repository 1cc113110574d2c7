//! The three streams.

use std::time::Duration;

use async_nats::jetstream::stream::{Config, DiscardPolicy, RetentionPolicy, StorageType};

use crate::message::{Kind, MAX_JUDGEMENT, MAX_KNOWN, MAX_STATUS, MAX_VALUE};

/// A stream of the fleet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stream {
    /// Bans, lifts, vetoes, judgements: read by every node.
    Main,
    /// Known phones: read by nodes with `share_known`.
    Known,
    /// Status of nodes: read on request.
    Nodes,
}

impl Stream {
    pub(crate) const ALL: [Self; 3] = [Self::Main, Self::Known, Self::Nodes];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Main => "SIPWARD",
            Self::Known => "SIPWARD_KNOWN",
            Self::Nodes => "SIPWARD_NODES",
        }
    }

    pub(crate) const fn kinds(self) -> &'static [Kind] {
        match self {
            Self::Main => &[Kind::Ban, Kind::Lift, Kind::Veto, Kind::Peer],
            Self::Known => &[Kind::Known],
            Self::Nodes => &[Kind::Node],
        }
    }

    const fn max_age(self) -> Duration {
        match self {
            Self::Main => MAX_JUDGEMENT,
            Self::Known => MAX_KNOWN,
            Self::Nodes => MAX_STATUS,
        }
    }

    /// As `init` makes it.
    pub(crate) fn config(self, replicas: usize, max_bytes: i64) -> Config {
        let about = if self == Self::Nodes { "*.*" } else { "*.*.*" };
        Config {
            name: self.name().to_owned(),
            subjects: self.kinds().iter().map(|kind| format!("sipward.1.{kind}.{about}")).collect(),
            retention: RetentionPolicy::Limits,
            storage: StorageType::File,
            discard: DiscardPolicy::New,
            max_messages: -1,
            max_consumers: -1,
            // An end takes the place of what it ends, and nothing else is ever removed by anyone.
            max_messages_per_subject: 1,
            allow_rollup: false,
            deny_delete: true,
            deny_purge: true,
            max_message_size: i32::try_from(MAX_VALUE).unwrap_or(i32::MAX),
            allow_direct: true,
            max_age: self.max_age(),
            max_bytes,
            num_replicas: replicas,
            ..Config::default()
        }
    }
}
