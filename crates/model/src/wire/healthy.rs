//! Hosts in a network that are not strangers, for a check before a ban.

use serde::{Deserialize, Serialize};
use sipward_engine::Exemption;
use utoipa::ToSchema;

use super::Net;
use crate::text::{Time, count};

/// Hosts in a network that are registered, known or exempt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Healthy {
    /// The network.
    #[schema(value_type = String, example = "203.0.113.7/32")]
    pub net: Net,
    /// The hosts, each reason once; empty if all are strangers.
    pub hosts: Vec<HealthyHost>,
    /// What is not known of FreeSWITCH now, or not whole: `registrations`, `gateways`, `access lists`. More hosts may
    /// be there then.
    pub unknown: Vec<String>,
}

/// Hosts that are there for one reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HealthyHost {
    /// Why they are no strangers: `registered`, `known` (logged in lately), or the class of an exemption.
    #[schema(value_type = String, example = "registered")]
    pub reason: HealthyReason,
    /// Users registered there now.
    pub registrations: u32,
    /// Since when, in this run of the daemon; `null` where that is not known.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub since: Option<Time>,
}

/// Why a host is not a stranger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", untagged)]
pub enum HealthyReason {
    /// It is never banned by a rule.
    Exempt(Exemption),
    /// A user is registered from there.
    #[serde(with = "registered")]
    Registered,
    /// A user logged in from there lately.
    #[serde(with = "known")]
    Known,
}

/// A unit variant that is written as text.
macro_rules! word {
    ($module:ident, $word:literal) => {
        mod $module {
            use serde::{Deserialize, Deserializer, Serializer, de::Error as _};

            pub(super) fn serialize<S: Serializer>(serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str($word)
            }

            pub(super) fn deserialize<'de, D: Deserializer<'de>>(
                reader: D,
            ) -> Result<(), D::Error> {
                let word = String::deserialize(reader)?;
                if word == $word { Ok(()) } else { Err(D::Error::custom("another word")) }
            }
        }
    };
}
word!(registered, "registered");
word!(known, "known");

impl Healthy {
    /// Whether the network covers an address of this host, or a reserved one: nothing can ban it.
    #[must_use]
    pub fn covers_this_host(&self) -> bool {
        let own = HealthyReason::Exempt(Exemption::Own);
        self.hosts.iter().any(|host| host.reason == own)
    }

    /// A line for each reason, shown before a ban of the network.
    #[must_use]
    pub fn words(&self) -> Vec<String> {
        let net = self.net;
        self.hosts
            .iter()
            .map(|host| match (host.reason, host.registrations) {
                (HealthyReason::Registered, users) => {
                    let are = if users == 1 { "is" } else { "are" };
                    format!("{net}: {} {are} registered there now", count(users.into(), "user"))
                }
                (HealthyReason::Known, _) => format!("{net}: a user logged in from there lately"),
                (HealthyReason::Exempt(class), _) => {
                    format!("{net}: no rule bans it, or a part of it: {}", class_in_words(class))
                }
            })
            .collect()
    }
}

const fn class_in_words(class: Exemption) -> &'static str {
    match class {
        Exemption::Own => "an address of this host",
        Exemption::Gateway => "a gateway of this host",
        Exemption::EslPeer => "FreeSWITCH's end of the Event Socket",
        Exemption::NameServer => "a name server of this host",
        Exemption::Trunk => "a gateway of FreeSWITCH",
        Exemption::Proxy => "one of `proxies`",
        Exemption::Acl => "an access list of FreeSWITCH allows it",
        Exemption::Allow => "it is on the allow list",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_words_on_the_wire() {
        for (reason, word) in [
            (HealthyReason::Registered, "\"registered\""),
            (HealthyReason::Known, "\"known\""),
            (HealthyReason::Exempt(Exemption::Trunk), "\"trunk\""),
        ] {
            assert_eq!(serde_json::to_string(&reason).unwrap(), word);
            assert_eq!(serde_json::from_str::<HealthyReason>(word).unwrap(), reason);
        }
        assert!(serde_json::from_str::<HealthyReason>("\"nobody\"").is_err());
    }
}
