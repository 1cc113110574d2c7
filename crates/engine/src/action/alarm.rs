//! What an operator must see.

use std::net::IpAddr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::{PeerName, PolicyError, Text};

/// Something an operator must see. Each is raised when its state begins, not at every event of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "alarm", rename_all = "snake_case")]
pub enum Alarm {
    /// `max_bans` is reached: new bans are refused. Raised again only after the table was below 95 %.
    BanTableFull {
        /// The limit.
        max_bans: usize,
    },
    /// The kernel refused a ban, so that it is listed but not enforced. Raised for the first one and
    /// again only after every such ban was enforced or lifted.
    NotEnforced {
        /// The first network.
        net: IpNet,
        /// What the kernel said.
        error: String,
    },
    /// More bans within a minute than `alarm_bans_per_minute`. They are applied; check them.
    ManyBans {
        /// Bans in that minute so far.
        bans: u32,
    },
    /// Many forgeable failures within a minute, or failures that name known or protected hosts: an attacker tries to
    /// have other hosts banned.
    Spoofing {
        /// Such failures in that minute so far.
        failures: u32,
        /// Whom the latest of them name.
        victims: Vec<IpAddr>,
    },
    /// A proxy or a NAT, with healthy users behind it, reached a threshold. Consider it for `proxies`
    /// or `allow`.
    LikelyProxy {
        /// The address that failed.
        address: IpAddr,
    },
    /// A user logged in from an address where it never did before, after failures: the password may have been guessed.
    /// Raised once an hour for an account, and once a day for an account and an address.
    Guessed {
        /// The user.
        user: Text,
        /// The address.
        address: IpAddr,
        /// Failures from that address or its IPv6 /64 that came before: of this user, or of all users where they led to
        /// a ban that holds.
        failures: u32,
        /// Seconds from the first of them to the log-in; `None` without any, or where a ban has taken their place.
        first_failure_seconds_before: Option<u32>,
        /// Other strangers that failed for the user within the window of the rule `account`; at least so many.
        strangers: u32,
    },
    /// One user is attacked from many sources.
    AccountAttacked {
        /// The user.
        user: Text,
        /// Sources within the window.
        sources: u32,
    },
    /// A source from where users log in guesses passwords of other users. Raised when it begins, and every hour while
    /// it continues; every day where only a day shows it: ten users or thirty failures of one address, of the
    /// addresses of one account, or of strangers in an IPv6 /64 where somebody is known.
    Insider {
        /// Its address; the latest of several.
        address: IpAddr,
        /// Users tried within the hour, or the day, who never logged in from there.
        users: u32,
        /// Failures for them.
        failures: u32,
        /// Names of the latest of them.
        names: Vec<Text>,
    },
    /// One account logged in from more new addresses within a day than
    /// [`crate::Healthy::max_new_addresses`]: stolen, or shared by many phones. Those beyond do not become known.
    AccountSpread {
        /// The user.
        user: Text,
        /// New addresses so far.
        addresses: u32,
    },
    /// Failures of a stranger come without their attempts although this FreeSWITCH sends attempts:
    /// the source may hide its guesses. They cause no ban.
    Unjoined {
        /// The address.
        address: IpAddr,
        /// Such failures so far.
        failures: u32,
    },
    /// Strangers in many networks fail within a minute, none of them banned yet.
    Distributed {
        /// About how many strangers failed within the minute.
        sources: u32,
        /// The accounts they tried, the latest last.
        users: Vec<Text>,
    },
    /// More bans within a minute on forgeable evidence than
    /// [`crate::MAX_FORGEABLE_PER_MINUTE`]: further ones are only reported.
    ForgeableBans {
        /// Such bans in that minute so far.
        bans: u32,
    },
    /// A whole network was banned.
    NetworkBanned {
        /// The network.
        net: IpNet,
        /// The failures of its addresses, by weight.
        failures: u32,
    },
    /// A flood silences FreeSWITCH: packets arrive, events do not.
    Deaf {
        /// Failures in the burst before the silence.
        burst: u32,
        /// Packets a second now; `None` where a probe has found it ([`crate::Input::Probed`]).
        #[serde(skip_serializing_if = "Option::is_none")]
        packets: Option<u32>,
    },
    /// A peer of the fleet broke its bounds: its bans are lifted, and further ones are not made until an operator
    /// accepts it again.
    PeerShadowed {
        /// The peer.
        peer: PeerName,
        /// What it did.
        because: ShadowedBecause,
    },
    /// A new policy was out of range; the previous one remains.
    PolicyRejected {
        /// What is wrong with it.
        #[serde(serialize_with = "display")]
        error: PolicyError,
    },
}

/// Why the bans of a peer are no longer made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ShadowedBecause {
    /// It decided more than [`crate::MAX_ASSERTIONS_PER_MINUTE`] bans within a minute.
    TooManyAMinute,
    /// More than [`crate::MAX_ASSERTIONS`] of its bans stand.
    TooManyStanding,
    /// It banned hosts that are exempt, known or registered here: five or more within an hour, and more than 1 % of
    /// its bans.
    HitsKnown,
}

fn display<T: std::fmt::Display, S: serde::Serializer>(value: &T, s: S) -> Result<S::Ok, S::Error> {
    s.collect_str(value)
}
