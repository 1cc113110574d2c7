//! The records of the daemon: one value for each kind of event, the same for the log, the API and the demo's screen.
//! serde gives the JSON form; `line` has the form for people.

mod kind;
mod line;
mod parts;
mod table;
mod wire;

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use ipnet::IpNet;
use serde::Serialize;
use sipward_engine::{Alarm, Cause, Flow, Judgement, Refusal, Text, UnblockReason};
use sipward_route::Coverage;
use tokio::sync::broadcast;
use tracing::Level;

pub use kind::Kind;
pub use parts::{Ban, FlowDenied, Started, Totals};
pub use table::{AlarmEffect, Mail};
pub use wire::{line, line_with_message};

use crate::wire::{AuthMethod, Mode, Scope, TokenEnd};

use crate::text::Time;

/// `tracing` target of every record.
pub const TARGET: &str = "sipward::record";

/// One thing that happened. `event` names its kind; the other field names are the API's.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Record {
    /// The daemon runs.
    Started(Started),
    /// The daemon stops, with its totals.
    Stopped(Totals),
    /// Connected to FreeSWITCH, logged in and subscribed.
    EslConnected {
        /// The FreeSWITCH end.
        peer: SocketAddr,
    },
    /// The connection was lost or could not be made.
    EslDisconnected {
        /// Why, and what to do.
        error: String,
        /// Pause before the next attempt.
        retry_in_seconds: f64,
    },
    /// FreeSWITCH was restarted.
    EslRestarted {
        /// `Core-UUID` before.
        old: String,
        /// `Core-UUID` now.
        new: String,
    },
    /// No events were seen for a while.
    EslBlind {
        /// Length of the gap.
        seconds: f64,
    },
    /// Events were dropped in the queue of sipward.
    EslOverflow {
        /// How many.
        dropped: u64,
    },
    /// Events could not be used. Logged once a minute at most.
    EventUnusable {
        /// Which header of the latest, and why.
        error: String,
        /// How many there were since the last such line.
        count: u64,
    },
    /// Events were no evidence: another Event Socket client made them. Logged once a minute at most.
    EventForged {
        /// The origin of the latest, if known.
        error: String,
        /// The address that it names.
        address: Option<IpAddr>,
        /// How many there were since the last such line.
        count: u64,
    },
    /// One failed authentication and what became of it.
    AuthFailure(Judgement),
    /// A network is banned.
    Ban(Ban),
    /// A ban has ended.
    Unban {
        /// The network.
        net: IpNet,
        /// Why.
        reason: UnblockReason,
        /// The route of another program that still blocks it, if any.
        #[serde(skip_serializing_if = "Option::is_none")]
        still_stopped_by: Option<String>,
    },
    /// A flow is denied: its host stays, because others live there.
    FlowDenied(FlowDenied),
    /// A flow is allowed again.
    FlowAllowed {
        /// Its address.
        address: IpAddr,
        /// The flow.
        flow: Flow,
        /// Why.
        reason: UnblockReason,
    },
    /// Many ports of an address were denied within an hour: its new flows count as a stranger's, those of its
    /// registrations keep their place.
    Distrusted {
        /// The address.
        address: IpAddr,
        /// Until when.
        until: Time,
    },
    /// A ban was due and was not done.
    Refused {
        /// The network that was due.
        net: IpNet,
        /// Why not.
        #[serde(flatten)]
        refusal: Refusal,
        /// What made it due.
        #[serde(flatten)]
        cause: Arc<Cause>,
    },
    /// A rule in shadow would have banned a network.
    Shadowed {
        /// The network.
        net: IpNet,
        /// What made it due.
        #[serde(flatten)]
        cause: Arc<Cause>,
    },
    /// A phone that logged in before fails now: most likely its password was changed.
    NeedsAttention {
        /// Its address.
        address: IpAddr,
        /// Its user.
        user: Text,
        /// Its user agent.
        user_agent: Text,
        /// When it last logged in; `null` where this user never did from there, but another is
        /// registered there.
        last_success: Option<Time>,
    },
    /// A source guesses passwords of other users while a user is registered from there: it is limited to a packet a
    /// second.
    Slowed {
        /// The address. It is written once: the cause holds it as well.
        #[serde(skip)]
        address: IpAddr,
        /// Until when.
        until: Time,
        /// What made it due.
        #[serde(flatten)]
        cause: Arc<Cause>,
    },
    /// Phones that FreeSWITCH says are registered: they are known from now on.
    Registrations {
        /// How many: users, each counted once at each address.
        phones: usize,
        /// What of FreeSWITCH's list could not be read. Then no registration is removed.
        #[serde(skip_serializing_if = "Option::is_none")]
        problem: Option<String>,
    },
    /// Where FreeSWITCH's gateways are: they are never banned.
    Trunks {
        /// Their addresses.
        nets: Vec<IpNet>,
    },
    /// Not all addresses of a gateway are known: its carrier can be banned.
    GatewayUnprotected {
        /// The gateway's name.
        gateway: String,
        /// Why, of its name.
        error: String,
    },
    /// All addresses of a gateway are known now.
    GatewayProtected {
        /// The gateway's name.
        gateway: String,
    },
    /// One of FreeSWITCH's access control lists exempts no host, or only some of those it allows.
    AccessListUnused {
        /// Its name.
        list: String,
        /// Why.
        error: String,
    },
    /// An access control list counts again.
    AccessListUsed {
        /// Its name.
        list: String,
    },
    /// The ports on which FreeSWITCH speaks SIP: packets to them are counted and limited.
    SipPorts {
        /// The ports.
        ports: Vec<u16>,
        /// The running profiles that listen on them.
        profiles: Vec<String>,
    },
    /// FreeSWITCH does not let the user of the Event Socket have these events.
    EventsNotAllowed {
        /// Their names.
        names: Vec<String>,
    },
    /// FreeSWITCH refused a right password. Known from the log, where the reason and the failure are
    /// two lines.
    RefusedLogin {
        /// The address.
        address: IpAddr,
        /// The user.
        user: Text,
        /// Why it was refused.
        reason: RefusedFor,
    },
    /// FreeSWITCH did not answer a question about its phones, gateways, access lists or log.
    DirectoryFailed {
        /// The API command.
        question: String,
        /// Why.
        error: String,
    },
    /// The kernel did not take a route.
    RouteFailed {
        /// The network.
        net: IpNet,
        /// What was asked: `block` or `unblock`.
        change: &'static str,
        /// The error of the kernel, and what to do.
        error: String,
    },
    /// Active bans became effective or ineffective: another program added or removed a rule or route. At most once a
    /// second.
    Enforcement {
        /// Bans that stop packets now, and did not.
        enforced: usize,
        /// Bans that stop nothing any more.
        not_enforced: usize,
        /// One of them, of the latter if there are any.
        net: IpNet,
        /// Why that one stops nothing; `null` when it does.
        because: Option<String>,
    },
    /// The bans are in another routing table now; each was set there before it went here.
    BansMoved {
        /// How many.
        routes: usize,
        /// The table; 254 is main.
        table: u32,
        /// The rules of others that are read before the table where they were.
        because: Vec<String>,
    },
    /// Blackhole routes with the protocol number of sipward that are not bans: another program or an operator set
    /// them.
    StrayRoutes {
        /// How many.
        count: usize,
        /// Their networks, at most 64.
        nets: Vec<IpNet>,
    },
    /// The shield has no room for a host, or was refused: healthy hosts may be limited like strangers.
    NotSpared {
        /// Why, and what to do.
        error: String,
    },
    /// Strangers send more than they may all together, and have for 5 s: what is above is dropped, healthy
    /// hosts pass.
    Shielded {
        /// Packets dropped in the last second.
        dropped_per_second: u64,
        /// Phones that are registered.
        phones: usize,
    },
    /// Strangers have kept within what they may for 10 s.
    ShieldOver {
        /// How long they did not.
        seconds: f64,
        /// Packets dropped meanwhile.
        dropped: u64,
        /// The most of them in one second.
        most_per_second: u64,
    },
    /// FreeSWITCH has answered no OPTIONS request to a profile for 3 s.
    Deaf {
        /// Where the profile listens.
        profile: SocketAddr,
        /// How long it has not.
        seconds: f64,
    },
    /// A profile that was deaf answers, or is gone.
    Hears {
        /// Where the profile listens.
        profile: SocketAddr,
        /// How long it was deaf.
        seconds: f64,
    },
    /// A stranger has sent more than its own limit for a minute.
    Limited {
        /// The IPv4 address or IPv6 /64.
        net: IpNet,
        /// Packets a second that it sends to the SIP ports.
        packets_per_second: u64,
        /// How many of them pass.
        limit: u32,
    },
    /// Exempt hosts, trunks and access lists together send more packets to the SIP ports than FreeSWITCH takes
    /// requests, and have for 3 s: the shield does not limit them, so they may deafen it.
    Overload {
        /// Packets in the last second.
        packets_per_second: u64,
        /// Requests a second that each profile takes, or the smallest of them.
        limit: u32,
    },
    /// They have not for 10 s.
    OverloadOver {
        /// How long they did.
        seconds: f64,
        /// The most packets in one second.
        most_per_second: u64,
    },
    /// A stranger has sent so many packets to the SIP ports that it may send one a second only, for a while.
    Scanner {
        /// The IPv4 address or IPv6 /64.
        net: IpNet,
        /// Packets in at most ten minutes.
        packets: u64,
        /// How long, in seconds.
        seconds: u64,
    },
    /// Another program removed something of sipward, which was restored.
    Healed {
        /// Routes put back.
        routes: usize,
        /// Rules put back.
        rules: usize,
        /// Whether the gate was put back.
        gate: bool,
        /// Elements of the gate's sets put back, or taken out because they are no bans.
        elements: usize,
    },
    /// What the gate covers.
    Gate {
        /// IPv4 packets from banned hosts are dropped on arrival.
        ipv4_inbound: bool,
        /// IPv6 packets from banned hosts are dropped on arrival.
        ipv6_inbound: bool,
        /// The routing table that holds the bans; 254 is main.
        table: u32,
        /// What is not covered, and why.
        gaps: Vec<String>,
    },
    /// Another program uses the protocol number of sipward.
    ProtocolTaken {
        /// The number.
        protocol: u8,
        /// Their routes.
        routes: Vec<String>,
    },
    /// Nothing can be stored. Bans go on; it is tried again and again.
    StoreDegraded {
        /// Why, and what to do.
        error: String,
    },
    /// The store works again.
    StoreRecovered {
        /// Entries lost since the start.
        dropped: u64,
    },
    /// A corrupt store was renamed and a new one created, which contains the active bans.
    StoreSetAside {
        /// Where it is now.
        file: PathBuf,
        /// What is wrong with it.
        error: String,
    },
    /// There was no store: a new one is begun, and nothing is restored.
    StoreBegun {
        /// Where.
        file: PathBuf,
    },
    /// Something that was stored, or should have been, is not.
    StoreIncomplete {
        /// What, why, and what to do.
        error: String,
    },
    /// The store could be read only now; its bans are restored.
    StoreRead {
        /// Restored bans.
        restored: usize,
    },
    /// This node is connected to the servers of its fleet.
    FleetConnected {
        /// This node, as `SITE.NAME`.
        node: String,
    },
    /// It is not, or not any more. It is tried again and again; local bans go on.
    FleetDisconnected {
        /// Why, and what to do.
        error: String,
    },
    /// The fleet's stream has messages that this node has not read for a while.
    FleetBehind {
        /// How many.
        messages: u64,
    },
    /// All messages of the fleet's stream are read.
    FleetCaughtUp {
        /// How many there are.
        messages: u64,
    },
    /// The servers of the fleet do not acknowledge what this node publishes: most of them may be down.
    FleetNoQuorum {
        /// Messages that wait. They are sent again.
        waiting: u64,
    },
    /// The servers acknowledge again.
    FleetQuorum {},
    /// Another node has the same name and site. Both overwrite each other's bans.
    FleetNameTaken {
        /// The name, as `SITE.NAME`.
        node: String,
    },
    /// Something needs an operator.
    Alarm(Alarm),
    /// The configuration was read again and is in force.
    Reload {
        /// Sections that differ and wait for a restart.
        needs_restart: Vec<&'static str>,
    },
    /// The configuration was reloaded but is invalid; the previous one remains.
    ReloadFailed {
        /// What is wrong and where.
        error: String,
    },
    /// Bans are carried out from now on, or only observed.
    ModeChanged {
        /// The mode.
        mode: Mode,
        /// Active bans.
        bans: usize,
        /// Routes of an earlier run among them, which the kernel still held.
        adopted: usize,
    },
    /// A name of `allow`, `proxies` or a gateway could not be looked up; its last answer stays.
    NameFailed {
        /// The name.
        name: String,
        /// Why.
        error: String,
    },
    /// A file of `[geo]` cannot be used.
    GeoFailed {
        /// The file.
        file: PathBuf,
        /// Why.
        error: String,
    },
    /// The control API is served.
    ApiOpened {
        /// On this Unix socket.
        socket: PathBuf,
    },
    /// The control API is not served; everything else works.
    ApiFailed {
        /// Why, and what to do.
        error: String,
    },
    /// The API and the page are served on TCP.
    HttpOpened {
        /// Here.
        address: SocketAddr,
        /// By TLS.
        tls: bool,
    },
    /// The API and the page are not served there; everything else works.
    HttpFailed {
        /// Where they should be.
        address: SocketAddr,
        /// Why, and what to do.
        error: String,
    },
    /// The certificate was reloaded but is invalid; the previous one remains in use.
    CertificateFailed {
        /// Why, and what to do.
        error: String,
    },
    /// A token was made.
    TokenAdded {
        /// Its name.
        name: String,
        /// What it may do.
        scope: Scope,
        /// Its end; `null` when it has none.
        expires: Option<Time>,
    },
    /// A token opens nothing any more.
    TokenRevoked {
        /// Its name.
        name: String,
        /// Sessions that ended with it.
        sessions_ended: u64,
    },
    /// A browser logged in.
    LoggedIn {
        /// From where.
        address: IpAddr,
        /// The token's name; `link` for a one-time link.
        name: String,
        /// What it may do.
        scope: Scope,
    },
    /// A request for a change by the API or the console was answered.
    Changed {
        /// The user: a token's name, `link` for a one-time link, `root` or `uid N` on the Unix socket.
        name: String,
        /// The way of the log-in.
        way: AuthMethod,
        /// From where; `null` on the Unix socket.
        address: Option<IpAddr>,
        /// The method of the request.
        method: String,
        /// Its path and query, at most 512 characters.
        path: String,
        /// What it said; `null` above 1,024 bytes.
        body: Option<String>,
        /// The status of the answer; 400 and above changed nothing.
        status: u16,
    },
    /// A log-in to the API or the console failed.
    LoginFailed {
        /// From where.
        address: IpAddr,
        /// `token`: a bearer token. `login`: the log-in of the page.
        what: &'static str,
    },
    /// A mail or webhook could not be delivered.
    DeliveryFailed {
        /// `mail`, or `webhook` with the host it goes to.
        by: String,
        /// Why, and what to do.
        error: String,
        /// Pause before the next attempt; `null` when it is given up.
        retry_in_seconds: Option<f64>,
    },
    /// Mails or webhooks arrive again after failures.
    Delivered {
        /// As in [`Record::DeliveryFailed`].
        by: String,
        /// Messages lost since the start: given up, or without room.
        lost: u64,
    },
    /// A listener was too slow, and did not hear of some records.
    RecordsMissed {
        /// Which: `mail`, `webhook …` or `metrics`.
        by: String,
        /// How many.
        count: u64,
    },
    /// The system's clock was set. Bans keep their time left.
    ClockStepped {
        /// How far, in seconds; backwards is negative.
        by_seconds: f64,
        /// The time now.
        now: Time,
        /// Stored bans were read again, because the time that the start went by was wrong.
        corrected: bool,
    },
    /// The system's clock is behind what an earlier run has stored: it is wrong now, or was then.
    ClockBehind {
        /// How far at least, in seconds.
        by_seconds: f64,
        /// The latest time that is stored.
        written: Time,
    },
    /// The machine was suspended. Bans ran on.
    Suspended {
        /// How long, in seconds.
        seconds: f64,
    },
    /// Nothing was judged for a while: the process was stopped, or found no processor.
    Stalled {
        /// How long, in seconds; at most one too many.
        seconds: f64,
    },
    /// A token was shown that opens nothing any more. It counts as no guess. Logged once a minute for each
    /// token at most.
    TokenRefused {
        /// From where.
        address: IpAddr,
        /// The token's name.
        name: String,
        /// `expired` or `revoked`.
        because: TokenEnd,
        /// How many times since the last such line.
        count: u64,
    },
    /// There was no room for a further connection to the API or the page. Logged once a minute at most.
    ConnectionsShed {
        /// Connections that were closed for others, or refused, since the last such line.
        count: u64,
        /// Connections at most.
        limit: usize,
    },
    /// Log lines were lost because whatever reads them did not keep up.
    LogLost {
        /// How many since the start.
        lines: usize,
    },
}

impl Record {
    /// Writes it to the log and sends it to all subscribers.
    pub fn publish(self, listeners: &broadcast::Sender<Arc<Self>>) {
        self.log();
        // Most of the time there is no subscriber.
        if listeners.receiver_count() > 0 {
            let _ = listeners.send(Arc::new(self));
        }
    }

    /// Writes it to the log.
    pub fn log(&self) {
        // `tracing` wants the level as a constant; the fields are only rendered by the format
        // that is in use.
        macro_rules! event {
            ($level:expr) => {
                tracing::event!(target: TARGET, $level, json = %Json(self), text = %self)
            };
        }
        match self.level() {
            Level::ERROR => event!(Level::ERROR),
            Level::WARN => event!(Level::WARN),
            _ => event!(Level::INFO),
        }
    }
}

/// A record as one JSON object.
struct Json<'a>(&'a Record);

impl fmt::Display for Json<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&serde_json::to_string(self.0).map_err(|_| fmt::Error)?)
    }
}

impl From<&Coverage> for Record {
    fn from(coverage: &Coverage) -> Self {
        Self::Gate {
            ipv4_inbound: coverage.ipv4_inbound,
            ipv6_inbound: coverage.ipv6_inbound,
            table: coverage.table,
            gaps: coverage.gaps.clone(),
        }
    }
}

/// Why FreeSWITCH refused a right password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RefusedFor {
    /// `max-registrations-per-extension`.
    MaxRegistrations,
    /// `user-agent-filter`.
    UserAgentFilter,
}

#[cfg(test)]
mod tests;
