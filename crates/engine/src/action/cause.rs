//! Why a ban was decided, as data.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::effect::{Effect, Standing};
use crate::{Grade, Identity, RemoteBan, RuleName, Text};

/// Why a ban was decided.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "by", rename_all = "snake_case")]
pub enum Cause {
    /// A rule.
    Rule(Evidence),
    /// An operator's command.
    Manual {
        /// The operator's reason.
        #[serde(rename = "comment")]
        reason: String,
        /// The operator insisted, although it covers a protected address.
        #[serde(default)]
        force: bool,
    },
    /// A route of sipward found at the start.
    Adopted,
    /// Another node of the fleet. On the heap: a fleet's ban must not make every other one larger.
    Remote(Box<RemoteBan>),
    /// What is left of a wider ban that was split.
    Split {
        /// The ban that was split last.
        of: IpNet,
        /// Why that was decided; never a split itself.
        #[serde(with = "shared")]
        was: Arc<Cause>,
    },
}

impl Cause {
    /// The cause of what is left when a ban of `of` with this cause is split.
    pub(crate) fn split(self: &Arc<Self>, of: IpNet) -> Arc<Self> {
        Arc::new(Self::Split { of, was: Arc::clone(self.original()) })
    }

    /// The decision behind this cause: what was split, or the cause itself.
    #[must_use]
    pub fn original(self: &Arc<Self>) -> &Arc<Self> {
        match &**self {
            Self::Split { was, .. } => was,
            Self::Rule(_) | Self::Manual { .. } | Self::Adopted | Self::Remote(_) => self,
        }
    }

    /// The evidence, when a rule decided.
    #[must_use]
    pub fn evidence(&self) -> Option<&Evidence> {
        match self {
            Self::Rule(evidence) => Some(evidence),
            Self::Split { was, .. } => match &**was {
                Self::Rule(evidence) => Some(evidence),
                Self::Manual { .. } | Self::Adopted | Self::Remote(_) | Self::Split { .. } => None,
            },
            Self::Manual { .. } | Self::Adopted | Self::Remote(_) => None,
        }
    }

    /// The same cause without its details; `None` when it has none.
    pub(crate) fn aged(&self) -> Option<Arc<Self>> {
        match self {
            Self::Rule(evidence) if evidence.details.is_some() => {
                let aged = Evidence { details: None, ..evidence.clone() };
                Some(Arc::new(Self::Rule(aged)))
            }
            Self::Split { of, was } => was.aged().map(|was| Arc::new(Self::Split { of: *of, was })),
            Self::Rule(_) | Self::Manual { .. } | Self::Adopted | Self::Remote(_) => None,
        }
    }
}

/// What was seen of a source within the window.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    /// The rule.
    pub rule: RuleName,
    /// Address of the event that crossed the threshold.
    pub address: IpAddr,
    /// Whether a user logged in from there lately.
    pub identity: Identity,
    /// What the rule counted in the window: failures, users, hosts.
    pub failures: u32,
    /// Sum of their weights: what is held against the threshold.
    pub score: f64,
    /// The threshold in force for this source.
    pub max_failures: u32,
    /// Window length.
    #[serde(rename = "window_seconds", with = "seconds")]
    pub window: Duration,
    /// Weakest grade among what was counted.
    pub grade: Grade,
    /// Bans of this source, this one included.
    pub ban_count: u32,
    /// What the failures looked like; `None` when that has aged out of memory.
    #[serde(flatten)]
    pub details: Option<Box<Details>>,
}

impl Evidence {
    /// The ban makes the next one of the same source longer.
    #[must_use]
    pub fn escalates(&self) -> bool {
        let effect = Effect::acting(self.rule, Standing::unregistered(self.identity));
        effect == Effect::Ban && self.rule.escalates(self.grade)
    }

    /// The same, and the source is the host or network that failed, not one around it.
    pub(crate) fn makes_offender(&self) -> bool {
        self.escalates() && self.rule != RuleName::Network
    }
}

/// The readable part of an [`Evidence`]; kept for a bounded number of bans.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Details {
    /// Users tried, each once, newest last; bounded, so it may be a part.
    pub users: Vec<Text>,
    /// Profile of the last failure.
    pub profile: Text,
    /// User agent of the last failure.
    pub user_agent: Text,
    /// What the dialplan said, where it reported the source.
    #[serde(default, rename = "report", skip_serializing_if = "Option::is_none")]
    pub reason: Option<Text>,
}

/// A duration as a number of seconds.
mod seconds {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(d: &Duration, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_f64(d.as_secs_f64())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Duration, D::Error> {
        Duration::try_from_secs_f64(f64::deserialize(d)?).map_err(D::Error::custom)
    }
}

/// A shared value as if it were owned.
mod shared {
    use std::sync::Arc;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<T: Serialize, S: Serializer>(
        v: &Arc<T>,
        s: S,
    ) -> Result<S::Ok, S::Error> {
        T::serialize(v, s)
    }

    pub(super) fn deserialize<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
        d: D,
    ) -> Result<Arc<T>, D::Error> {
        T::deserialize(d).map(Arc::new)
    }
}
