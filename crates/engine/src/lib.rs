//! Decides which sources are banned, and for how long: a pure state machine.
//!
//! No clock, no tokio, no IO. Time is a [`Timestamp`] handed in, randomness a seed handed in, so a
//! recorded attack replays to the same bans on every machine.
//!
//! [`Engine::handle`] takes an [`Input`] and appends [`Action`]s; [`Engine::next_deadline`] says when
//! [`Engine::tick`] must be called. The way of a failure:
//!
//! | module | step |
//! |---|---|
//! | `hash` | seeded hashes of what outsiders choose |
//! | `seen` | owned and bounded; what strangers chose is hashed with the seed |
//! | `join`, `dialogs` | finds the attempt beside it, or waits 200 ms for it, and the challenge of its dialog: the [`Grade`] |
//! | `complaints` | joins it with the log lines that tell of it too |
//! | `exempt` | who is never banned: tries of networks by [`Exemption`] |
//! | `sources` | the exact sliding window of each source, in eight bytes per failure |
//! | `recent` | the readable side of the latest failures, for log lines |
//! | `offenders` | how often it was banned before: longer bans |
//! | `activity` | challenges and floods by source: was this one challenged? |
//! | `identity`, `live` | who logged in from there before, who is registered now and from which ports: [`Identity`] |
//! | `effect` | what each rule does to whom on which evidence: the one table |
//! | `accounts`, `insiders`, `foreign` | accounts at many addresses; guesses from where users log in, within an hour and within a day |
//! | `losses` | how long a known host lost its calls lately: ten minutes of an hour at most |
//! | `exempt_failures` | failures of exempt hosts, reported where they would have banned |
//! | `campaign` | distributed guessing |
//! | `callers` | hosts whose calls the dialplan accepted |
//! | `held` | accusations that wait a second for those who may know the accused |
//! | `acl` | what FreeSWITCH's ACLs said about suspects |
//! | `agents`, `distinct`, `networks`, `stream_health` | scanners' names; accounts; networks; deafness |
//! | `bans` | the bans that stand, how they nest, split and end |
//! | `peer`, `fleet` | other nodes, what they say, and what of it is believed |
//! | `flows` | the flows that are denied where the host stays, and how many each address had |
//!
//! Memory is bounded everywhere, by the [`Policy`] or by a named constant; `lru` is the table that
//! forgets what was not used for the longest time, `table` the one for what every event looks up: it
//! writes nothing but the entry, and forgets the least important of a few. `slot` is their storage.

mod accounts;
mod acl;
mod action;
mod activity;
mod agents;
mod bans;
mod callers;
mod campaign;
mod complaints;
mod dialogs;
mod distinct;
mod effect;
mod engine;
mod exempt;
mod exempt_failures;
mod exemption;
mod fleet;
mod flow;
mod flows;
mod forecast;
mod foreign;
mod grade;
mod hash;
mod held;
mod identity;
mod input;
mod insiders;
mod join;
mod kept_cause;
mod key;
mod limits;
mod live;
mod losses;
mod lru;
mod net;
mod net_filter;
mod networks;
mod offenders;
mod peer;
mod policy;
mod recent;
mod scope;
mod seen;
mod slot;
mod sources;
mod stream_health;
mod table;
mod text;
mod time;

pub use action::*;
pub use bans::{BanView, Enforcement, Origin};
pub use effect::{Effect, Standing};
pub use engine::{ByGrade, Engine, FailureView, MAX_NETWORK_BANS, SourceView, Stats};
pub use exemption::Exemption;
pub use fleet::{
    AssertionView, KnownToShare, LIFT_HOLD, LiftView, MAX_ASSERTIONS, MAX_ASSERTIONS_PER_MINUTE,
    MAX_KNOWN_PER_HOME, MAX_KNOWN_PER_HOUR, MAX_PEERS, MAX_REMAINING, MAX_REMOTE_COUNT, PeerView,
    RefusedByReason, RemoteOutcome,
};
pub use flow::{Flow, FlowError, Transport};
pub use flows::{FlowView, MAX_DENIED_PORTS, MAX_FLOWS};
pub use forecast::{Forecast, NotMadeBecause, first_ban_time, forecast};
pub use grade::{Grade, Identity};
pub use input::*;
pub use kept_cause::KeptCause;
pub use losses::slowed_net;
pub use net::canonical_net;
pub use peer::{Home, HomeHash, PeerName, PeerNameError, RemoteBan, RemoteFacts};
pub use policy::*;
pub use scope::Scope;
pub use stream_health::MAX_FORGEABLE_PER_MINUTE;
pub use text::{FailureText, Text, prefix};
pub use time::*;
