//! Inputs of the engine.

mod fleet;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;

pub use fleet::*;

use crate::{
    Cause, Exemption, Expiry, Flow, Home, Offender, PeerName, Policy, RemoteFacts, Scope,
    ShadowedBecause, Success, Timestamp,
};

/// How long a call over UDP must have lasted after it was answered before it proves its address: a forger
/// does not see the answer.
pub const CALL_PROVES_AFTER: Duration = Duration::from_secs(5);

/// One thing that happened.
#[derive(Clone, Debug)]
pub enum Input<'a> {
    /// `sofia::register_failure`.
    AuthFailure(AuthFailure<'a>),
    /// `sofia::register_attempt`.
    AuthAttempt(AuthAttempt<'a>),
    /// `sofia::pre_register`: a request without (usable) credentials was challenged.
    Challenge(Challenge<'a>),
    /// `sofia::register`: this user is well, and registered until it says otherwise.
    Registered(Registered<'a>),
    /// `sofia::unregister`, `sofia::expire`: this registration ended. The log-in of the user is still remembered.
    RegistrationEnded(RegistrationEnded<'a>),
    /// All registrations there are. It replaces those that hold, as after a connection or a gap in
    /// the events.
    Registrations {
        /// The registrations; their user agents are not looked at.
        phones: Vec<Registered<'a>>,
        /// When FreeSWITCH was asked: what was registered since need not be among them.
        asked: Timestamp,
        /// The first list that this installation has ever seen. Its phones are trusted, each user at
        /// the address where the list has it ([`crate::Healthy::trust_first_list`]).
        first: bool,
    },
    /// How long nonces of a profile live: its `nonce-ttl`. Until it is known 60 s are assumed, the
    /// default of FreeSWITCH (`sofia_reg.c`).
    NonceLife {
        /// `profile-name`.
        profile: &'a str,
        /// Its `nonce-ttl`; a day at most counts.
        life: Duration,
    },
    /// A success from before a restart, as [`crate::Action::Remember`] reported it.
    Remember(Success),
    /// `sofia::wrong_call_state`: a call was challenged and given up. Any address can be forged in it.
    AbandonedCall {
        /// `network_ip`.
        source: IpAddr,
    },
    /// `sipward::report`: the dialplan accuses an address.
    Report {
        /// The address.
        source: IpAddr,
        /// The text of the dialplan.
        reason: &'a str,
        /// The call came over TCP, TLS or WebSocket, whose handshake proves the address. Over UDP one packet can name
        /// any address.
        proved: bool,
    },
    /// `sipward::call`: the dialplan accepted a call from this address. Tell only of calls over TCP,
    /// TLS and WebSocket, and of those over UDP that were answered and lasted
    /// [`crate::CALL_PROVES_AFTER`].
    CallAccepted {
        /// The address.
        source: IpAddr,
    },
    /// A log-in to sipward's console or API failed. Over TCP, so the address is proved.
    LoginFailure {
        /// Whose client it was.
        source: IpAddr,
    },
    /// A line of FreeSWITCH's log accuses an address.
    Complaint(Complaint<'a>),
    /// Other access control lists are asked from now on: what was answered before is worth nothing.
    AclsChanged,
    /// What FreeSWITCH's ACLs say to [`crate::Action::AskAcl`]. `None`: no answer to be had.
    AclAnswer {
        /// The address.
        addr: IpAddr,
        /// One of the lists allows it.
        allowed: Option<bool>,
    },
    /// Packets that arrived for the SIP ports since the last such input, by the kernel's count. About
    /// once a second; without it deafness is not recognised.
    Packets {
        /// How many.
        count: u64,
    },
    /// What OPTIONS requests to FreeSWITCH have come to. About once a second while it is asked. As long as it
    /// answers, it is not deaf, whatever the packets say; where it is not probed, the packets decide alone.
    Probed {
        /// How long a profile has answered nothing, when that is long enough to call it deaf; `None` when all
        /// that were asked have answered.
        deaf_for: Option<Duration>,
    },
    /// A stranger that is not slowed down has sent many packets to the SIP ports, by the kernel's count.
    Scanner {
        /// The address; of an IPv6 /64 the first.
        source: IpAddr,
        /// How many within [`Rules::SCAN_WINDOW`](crate::Rules::SCAN_WINDOW) at most.
        packets: u64,
    },
    /// The connection now shows this FreeSWITCH (`Core-UUID`); a new value means a restart.
    Core(CoreId),
    /// No events were seen between these two times.
    Blind {
        /// Last event before the gap.
        from: Timestamp,
        /// First moment we saw again.
        to: Timestamp,
    },
    /// Replaces all networks of one class of exemption.
    Exempt {
        /// Why they are exempt.
        class: Exemption,
        /// The networks, all of them.
        nets: Vec<IpNet>,
    },
    /// Replaces the policy; counts and bans stay.
    Policy(Box<Policy>),
    /// An operator bans a network.
    Ban {
        /// The network; host bits are cleared.
        net: IpNet,
        /// Its end.
        until: Expiry,
        /// What it stops; `None`: [`Policy::scope`].
        scope: Option<Scope>,
        /// The operator's reason.
        reason: String,
        /// Also when it covers a gateway, the ESL peer, a name server or link-local neighbours.
        /// Nothing overrides [`Exemption::Own`].
        force: bool,
    },
    /// An operator lifts every ban inside `net`; a ban that is wider than `net` is split around it.
    /// Flows of addresses inside are allowed, and the addresses trusted again. The failures counted against
    /// the sources inside are forgotten, their ban counts are not.
    Unban {
        /// The network.
        net: IpNet,
    },
    /// An operator allows a flow that is denied. It is not denied again within the hour.
    UnbanFlow {
        /// The flow.
        flow: Flow,
    },
    /// The kernel already has a route of sipward for `net` without a stored ban: it becomes a
    /// ban for `ban_time`, or [`crate::Action::Unblock`] removes it. If there is a ban of scope SIP, which needs no
    /// route, [`crate::Action::Block`] names it again.
    ///
    /// Comes after every [`Input::Restore`], so that those explain what they can.
    Adopt {
        /// The network.
        net: IpNet,
    },
    /// A ban that was decided before a restart. One whose time is over is unblocked, because its
    /// route may have outlived it; its ban count is remembered as usual.
    Restore {
        /// The network.
        net: IpNet,
        /// Its beginning.
        since: Timestamp,
        /// Its end.
        until: Expiry,
        /// What it stops. Bans stored by versions without scopes stop the host.
        scope: Scope,
        /// Why it was decided.
        cause: Arc<Cause>,
    },
    /// A flow that was denied before a restart. One whose time is over is allowed, but still counts for the
    /// hour in which its port is not denied again.
    RestoreFlow {
        /// The flow.
        flow: Flow,
        /// Its beginning.
        since: Timestamp,
        /// Its end.
        until: Timestamp,
        /// Why it was decided.
        cause: Arc<Cause>,
    },
    /// A host that was limited before a restart ([`crate::Action::Slow`]): it counts towards what the host loses
    /// within the hour. The kernel holds the limit or not; the engine does not ask for it again.
    RestoreSlowed {
        /// The address.
        source: IpAddr,
        /// Its beginning.
        since: Timestamp,
        /// Its end.
        until: Timestamp,
    },
    /// A source that was banned before a restart, by [`crate::Offender::of`]: its next ban is longer.
    /// The larger count and the later end hold.
    Offender(Offender),
    /// The kernel did what [`crate::Action::Block`] asked.
    Applied {
        /// The network.
        net: IpNet,
        /// A look-up showed that sipward's route wins, and the gate is active.
        enforced: bool,
    },
    /// The kernel refused what [`crate::Action::Block`] asked. The ban stays listed, as not enforced
    /// and with this error: the decision remains, and the kernel side compares the kernel with
    /// [`crate::Engine::bans`], tries again and reports [`Input::Applied`].
    ApplyFailed {
        /// The network.
        net: IpNet,
        /// What the kernel said.
        error: String,
    },
    /// The kernel did what [`crate::Action::DenyFlow`] asked.
    FlowApplied {
        /// The flow.
        flow: Flow,
        /// It is in the kernel's set, and the gate is active.
        enforced: bool,
    },
    /// The kernel refused what [`crate::Action::DenyFlow`] asked. The flow stays listed, with this error.
    FlowFailed {
        /// The flow.
        flow: Flow,
        /// What the kernel said.
        error: String,
    },
    /// This node is one of a fleet. Comes before what peers say; without it their quorum is 1 each.
    Fleet(FleetSettings),
    /// What an operator says of these peers, and how long ago; others remain as they are. Accepting a peer ends an
    /// earlier shadow ([`crate::Alarm::PeerShadowed`]).
    Peers {
        /// What is said.
        settings: Vec<PeerSetting>,
        /// How long ago.
        age: Duration,
    },
    /// Before a restart a peer was put in shadow ([`crate::Alarm::PeerShadowed`]).
    Shadowed {
        /// The peer.
        peer: PeerName,
        /// Why.
        because: ShadowedBecause,
        /// How long ago.
        age: Duration,
    },
    /// A peer has banned a network, or says again that it has. Of one peer and network only what has a greater `n`
    /// than all before comes here, or the same again: then the later end holds.
    Remote {
        /// The peer.
        peer: PeerName,
        /// The network; host bits are cleared.
        net: IpNet,
        /// The number of the message.
        n: u64,
        /// How long the ban still lasts there; `None`: without an end. Here a day at most from now on.
        remaining: Option<Duration>,
        /// How long ago the peer decided it (not: said it last). Where that is not told, how long ago it said so.
        age: Duration,
        /// Why.
        facts: RemoteFacts,
    },
    /// A peer has ended its ban before its time. Those of other peers, and of this node, stay.
    RemoteEnded {
        /// The peer.
        peer: PeerName,
        /// The network.
        net: IpNet,
        /// The number of the message.
        n: u64,
    },
    /// A peer says that a network must not be banned: it is exempt there. Bans by peers yield; those of this node do
    /// not. Wider than /8 (IPv6 /32) it is not taken.
    RemoteVeto {
        /// The peer.
        peer: PeerName,
        /// The network.
        net: IpNet,
        /// Why it is exempt there.
        class: Exemption,
    },
    /// A peer no longer vetoes bans of a network.
    RemoteVetoEnded {
        /// The peer.
        peer: PeerName,
        /// The network.
        net: IpNet,
    },
    /// A peer knows an address: here it is known as well, and trusted when two peers trust it.
    RemoteKnown {
        /// The peer.
        peer: PeerName,
        /// The address.
        source: IpAddr,
        /// What the peer knows.
        class: KnownClass,
        /// The user and user agent that succeeded from there, if the peer tells.
        home: Option<Home>,
        /// How long ago the peer said it.
        age: Duration,
    },
    /// A peer no longer knows an address.
    RemoteKnownEnded {
        /// The peer.
        peer: PeerName,
        /// The address.
        source: IpAddr,
    },
    /// An operator lifts every ban inside `net` in the whole fleet, as [`Input::Unban`] does here. A ban of this node
    /// that is younger than the lift stays.
    Lift {
        /// The network.
        net: IpNet,
        /// For how long from now on nothing that peers say of it is made; a day at most counts. Afterwards only what
        /// they decided after the lift.
        hold: Duration,
        /// How long ago the operator lifted it, by the server's clock.
        age: Duration,
        /// The operator's reason; 256 bytes are kept.
        reason: String,
    },
}

/// One failed authentication, as FreeSWITCH reports it.
#[derive(Clone, Copy, Debug)]
pub struct AuthFailure<'a> {
    /// `network-ip`: source address of the packet. Over UDP its sender chose it.
    pub source: IpAddr,
    /// `network-port`.
    pub port: u16,
    /// `profile-name`.
    pub profile: &'a str,
    /// `to-user`.
    pub user: &'a str,
    /// `to-host`.
    pub domain: &'a str,
    /// `user-agent`; empty when absent.
    pub user_agent: &'a str,
    /// `registration-type`.
    pub method: Method,
    /// `Event-Sequence`: orders the events of one FreeSWITCH.
    pub sequence: u64,
    /// `Core-UUID` of the FreeSWITCH that reports it.
    pub core: CoreId,
}

/// One authentication attempt with credentials, as FreeSWITCH reports it.
#[derive(Clone, Copy, Debug)]
pub struct AuthAttempt<'a> {
    /// `network-ip`.
    pub source: IpAddr,
    /// `network-port`.
    pub port: u16,
    /// `profile-name`.
    pub profile: &'a str,
    /// The To user (FreeSWITCH writes it into `from-user`).
    pub user: &'a str,
    /// Its domain (`from-host`).
    pub domain: &'a str,
    /// `realm` of the digest. A profile with a domain of its own (`force-register-domain`) takes any, and one without
    /// takes any domain of the To address: only where both are the same do they name the account.
    pub realm: Option<&'a str>,
    /// Digest user name; `None` when FreeSWITCH wrote `unknown`, so the nonce was never checked.
    pub username: Option<&'a str>,
    /// `call-id`: the dialog, named by the sender. A host off the path does not know that of another phone.
    pub call_id: &'a str,
    /// The request came over WebSocket: sofia-sip drops a request whose Via names another transport
    /// than its own, so `status: Registered(WS…)` is true, and a handshake proved the address.
    pub websocket: bool,
    /// `auth-result`.
    pub result: AuthResult,
    /// `user-agent`; empty when absent.
    pub user_agent: &'a str,
    /// `Event-Sequence`.
    pub sequence: u64,
    /// `Core-UUID`.
    pub core: CoreId,
}

/// A registration of a user.
#[derive(Clone, Copy, Debug)]
pub struct Registered<'a> {
    /// `network-ip`.
    pub source: IpAddr,
    /// `network-port`, in a list of registrations `network_port`, from 1 on. While it is not known of a
    /// registration, no flow of its address is denied.
    pub port: Option<u16>,
    /// The registered user (`from-user`, the To user).
    pub user: &'a str,
    /// Its domain (`from-host`).
    pub domain: &'a str,
    /// `realm` of the digest, as in [`AuthAttempt::realm`]. `None` in a list of registrations.
    pub realm: Option<&'a str>,
    /// Digest user name (`username`): whose password was proved. `None` where FreeSWITCH does not
    /// say, as in a list of registrations; then it is `user`.
    pub username: Option<&'a str>,
    /// `call-id`, in a list of registrations the `token`.
    pub call_id: &'a str,
    /// `user-agent`; empty when absent.
    pub user_agent: &'a str,
    /// Its lifetime from now on; `None` if unknown. It is forgotten a few minutes later,
    /// after a day at most, if its end goes unseen.
    pub life: Option<Duration>,
    /// `Core-UUID` of the FreeSWITCH that reports it.
    pub core: CoreId,
}

/// A registration that ended.
#[derive(Clone, Copy, Debug)]
pub struct RegistrationEnded<'a> {
    /// `network-ip`; a WebSocket connection that closed leaves none.
    pub source: Option<IpAddr>,
    /// The registered user.
    pub user: &'a str,
    /// Its domain.
    pub domain: &'a str,
    /// `call-id`.
    pub call_id: &'a str,
}

/// A challenge that went out to `source`.
#[derive(Clone, Copy, Debug)]
pub struct Challenge<'a> {
    /// `network-ip`.
    pub source: IpAddr,
    /// `network-port`.
    pub port: u16,
    /// `profile-name`.
    pub profile: &'a str,
    /// The To user.
    pub user: &'a str,
    /// `call-id`: the dialog that was challenged.
    pub call_id: &'a str,
    /// `Core-UUID`.
    pub core: CoreId,
}

/// A line of FreeSWITCH's log that accuses an address. It carries no grade: over UDP any address can
/// be forged in it.
#[derive(Clone, Copy, Debug)]
pub struct Complaint<'a> {
    /// The address.
    pub source: IpAddr,
    /// The user that the line names.
    pub user: Option<&'a str>,
    /// Of what.
    pub kind: ComplaintKind,
}

/// What a line of the log complains of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ComplaintKind {
    /// `SIP auth failure (REGISTER|INVITE)`; FreeSWITCH writes it with `log-auth-failures` only.
    AuthFailure,
    /// `Can't find user`, just before the [`ComplaintKind::AuthFailure`] that it leads to. The user is
    /// the one of the digest, which need not be the one registered.
    UnknownUser,
    /// `FAIL2BAN_HOST=`, written by a dialplan or a script.
    Reported,
    /// An access control list of the SIP profile rejects the address.
    AclRejected,
    /// A request whose credentials or headers are no use.
    MalformedAuthorization,
}

impl ComplaintKind {
    /// As text, for explanations.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AuthFailure => "failed authentication in the log",
            Self::UnknownUser => "unknown user in the log",
            Self::Reported => "FAIL2BAN_HOST in the log",
            Self::AclRejected => "rejected by an access control list, in the log",
            Self::MalformedAuthorization => "malformed authorization in the log",
        }
    }
}

/// `registration-type` of a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Method {
    /// `REGISTER`.
    Register,
    /// `INVITE`.
    Invite,
    /// Anything else.
    Other,
}

/// `auth-result` of an attempt (`sofia_reg.c`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AuthResult {
    /// `SUCCESS` or `RENEWED`.
    Success,
    /// `FORBIDDEN`.
    Forbidden,
    /// `STALE`.
    Stale,
    /// Anything else.
    Other,
}

/// Identity of one run of FreeSWITCH (`Core-UUID`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct CoreId(pub u128);
