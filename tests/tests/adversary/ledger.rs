//! What sipward reported and did, and its cost to each phone and attacker.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use sipward_engine::{
    Action, Alarm, Cause, Expiry, Flow, Refusal, RuleName, Scope, Success, Timestamp,
};

const HOUR: Duration = Duration::from_secs(3_600);

/// Packets of a slowed host that pass at once, and then in a second (`Action::Slow`).
const SLOWED_BURST: f64 = 20.0;
const SLOWED_PER_SECOND: f64 = sipward_engine::SLOWED_PER_SECOND as f64;

/// Everything that the engine has decided.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    pub(crate) alarms: Vec<(Timestamp, Alarm)>,
    pub(crate) bans: Vec<Ban>,
    pub(crate) denials: Vec<Denial>,
    /// Addresses whose new flows count as strangers' ones, and until when.
    pub(crate) distrusted: Vec<(Timestamp, IpAddr)>,
    /// Phones that need attention.
    pub(crate) attention: Vec<(Timestamp, IpAddr)>,
    /// Due, but not done: the network and why.
    pub(crate) refused: Vec<(Timestamp, IpNet, Refusal)>,
    /// Due in shadow.
    pub(crate) shadowed: Vec<(Timestamp, IpNet, RuleName)>,
    pub(crate) slowed: HashMap<IpAddr, Slowed>,
    /// Every limit that was set: of whom, since when, until when.
    pub(crate) limits: Vec<(IpAddr, Timestamp, Timestamp)>,
    /// What the store would hold.
    pub(crate) remembered: HashMap<(IpAddr, String), Success>,
    /// Bans that stand, by network: their place in `bans`.
    standing: HashMap<IpNet, usize>,
    lengths: HashMap<u8, usize>,
    /// Flows that are denied, by their place in `denials`.
    denied: HashMap<Flow, usize>,
    /// Addresses whose ACLs are asked.
    pub(crate) asked: Vec<IpAddr>,
}

/// A ban, from its beginning to its end.
#[derive(Clone, Debug)]
pub(crate) struct Ban {
    pub(crate) net: IpNet,
    pub(crate) since: Timestamp,
    pub(crate) planned: Expiry,
    pub(crate) scope: Scope,
    pub(crate) cause: Arc<Cause>,
    pub(crate) ended: Option<Timestamp>,
}

/// A flow that is denied, from its beginning to its end.
#[derive(Clone, Debug)]
pub(crate) struct Denial {
    pub(crate) flow: Flow,
    pub(crate) since: Timestamp,
    pub(crate) planned: Timestamp,
    pub(crate) cause: Arc<Cause>,
    pub(crate) ended: Option<Timestamp>,
}

/// A host that is limited: a bucket of packets.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Slowed {
    pub(crate) until: Timestamp,
    tokens: f64,
    at: Timestamp,
}

impl Ledger {
    pub(crate) fn note(&mut self, action: Action, now: Timestamp) {
        match action {
            Action::Block { net, until, scope, cause, .. } => {
                self.block(net, (until, scope), cause, now);
            }
            Action::DenyFlow { flow, since, until, cause } => {
                self.allow(&flow, now);
                self.denied.insert(flow, self.denials.len());
                self.denials.push(Denial { flow, since, planned: until, cause, ended: None });
            }
            Action::AllowFlow { flow, .. } => self.allow(&flow, now),
            Action::Distrust { source, .. } => self.distrusted.push((now, source)),
            Action::Unblock { net, .. } => self.unblock(net, now),
            Action::Refused { net, reason, .. } => self.refused.push((now, net, reason)),
            Action::Shadowed { net, cause } => {
                if let Some(evidence) = cause.evidence() {
                    self.shadowed.push((now, net, evidence.rule));
                }
            }
            Action::NeedsAttention { source, .. } => self.attention.push((now, source)),
            Action::Slow { source, until, .. } => {
                let slowed = Slowed { until, tokens: SLOWED_BURST, at: now };
                let held = self.slowed.entry(source).or_insert(slowed);
                if until > now {
                    self.limits.push((source, now, until));
                }
                held.until = until;
            }
            Action::AskAcl { addr } => self.asked.push(addr),
            Action::Remember(success) => {
                let key = (success.source, success.user.to_string());
                self.remembered.insert(key, success);
            }
            Action::Judged(_) => {}
            Action::Alarm(alarm) => self.alarms.push((now, alarm)),
        }
    }

    /// What a restart puts back into the kernel's routes is there already.
    pub(crate) fn standing(&self) -> impl Iterator<Item = &Ban> {
        self.standing.values().map(|at| &self.bans[*at])
    }

    /// Networks that are blocked now.
    pub(crate) fn blocked(&self) -> impl Iterator<Item = &IpNet> {
        self.standing.keys()
    }

    pub(crate) fn is_standing(&self, net: &IpNet) -> bool {
        self.standing.contains_key(net)
    }

    /// The kernel lets nothing of this address through.
    pub(crate) fn is_blocked(&self, addr: IpAddr) -> bool {
        self.lengths.keys().any(|length| {
            IpNet::new(addr, *length).is_ok_and(|net| self.standing.contains_key(&net.trunc()))
        })
    }

    /// The kernel lets nothing of this flow through to the SIP ports.
    pub(crate) fn is_denied(&self, flow: &Flow) -> bool {
        self.denied.contains_key(flow)
    }

    /// Flows that are denied now.
    pub(crate) fn denied_now(&self) -> impl Iterator<Item = &Flow> {
        self.denied.keys()
    }

    /// A packet of a host arrives, if it is not slowed down, or not used up.
    pub(crate) fn passes(&mut self, addr: IpAddr, now: Timestamp) -> bool {
        let Some(slowed) = self.slowed.get_mut(&addr).filter(|slowed| slowed.until > now) else {
            return true;
        };
        let elapsed = now.since(slowed.at).as_secs_f64();
        slowed.tokens = (slowed.tokens + elapsed * SLOWED_PER_SECOND).min(SLOWED_BURST);
        slowed.at = now;
        let passes = slowed.tokens >= 1.0;
        slowed.tokens -= f64::from(u8::from(passes));
        passes
    }

    /// How long an address was banned between two times, counted once.
    pub(crate) fn banned(&self, addr: IpAddr, from: Timestamp, to: Timestamp) -> Duration {
        let bans = self.bans.iter().filter(|ban| ban.net.contains(&addr));
        covered(bans.map(|ban| (ban.since, ban.ended)), from, to)
    }

    /// The longest that a port of an address was denied within any hour, over any protocol.
    pub(crate) fn worst_hour_denied(&self, socket: SocketAddr, now: Timestamp) -> Duration {
        let begins = self.denials_of(socket).map(|(begin, _)| begin);
        let hours = begins.map(|begin| self.denied(socket, begin, (begin + HOUR).min(now)));
        hours.max().unwrap_or_default()
    }

    /// How long a port of an address was denied between two times, over any protocol.
    pub(crate) fn denied(&self, socket: SocketAddr, from: Timestamp, to: Timestamp) -> Duration {
        covered(self.denials_of(socket), from, to)
    }

    fn denials_of(
        &self,
        socket: SocketAddr,
    ) -> impl Iterator<Item = (Timestamp, Option<Timestamp>)> {
        let of = move |denial: &&Denial| {
            (denial.flow.source, denial.flow.port) == (socket.ip(), socket.port())
        };
        self.denials.iter().filter(of).map(|denial| (denial.since, denial.ended))
    }

    /// The longest that an address was banned within any hour.
    pub(crate) fn worst_hour(&self, addr: IpAddr, now: Timestamp) -> Duration {
        let begins = self.bans.iter().filter(|ban| ban.net.contains(&addr)).map(|ban| ban.since);
        begins
            .map(|begin| self.banned(addr, begin, (begin + HOUR).min(now)))
            .max()
            .unwrap_or_default()
    }

    /// This address was reported: by an alarm that names it, a ban, a refusal, a shadow or a phone
    /// in need. Gives when.
    pub(crate) fn told_of(&self, addr: IpAddr) -> Option<Timestamp> {
        let alarms = self.alarms.iter().filter(|(_, alarm)| names(alarm, addr)).map(|(at, _)| *at);
        let bans = self.bans.iter().filter(|ban| ban.net.contains(&addr)).map(|ban| ban.since);
        let refused = self.refused.iter().filter(|(_, net, _)| net.contains(&addr)).map(|r| r.0);
        let shadowed = self.shadowed.iter().filter(|(_, net, _)| net.contains(&addr)).map(|s| s.0);
        let attention = self.attention.iter().filter(|(_, of)| *of == addr).map(|(at, _)| *at);
        let denied =
            self.denials.iter().filter(|denial| denial.flow.source == addr).map(|d| d.since);
        alarms.chain(bans).chain(denied).chain(refused).chain(shadowed).chain(attention).min()
    }

    /// The first alarm of a kind.
    pub(crate) fn alarm(&self, kind: impl Fn(&Alarm) -> bool) -> Option<Timestamp> {
        self.alarms.iter().find(|(_, alarm)| kind(alarm)).map(|(at, _)| *at)
    }

    fn block(
        &mut self,
        net: IpNet,
        (planned, scope): (Expiry, Scope),
        cause: Arc<Cause>,
        now: Timestamp,
    ) {
        self.unblock(net, now);
        *self.lengths.entry(net.prefix_len()).or_default() += 1;
        self.standing.insert(net, self.bans.len());
        self.bans.push(Ban { net, since: now, planned, scope, cause, ended: None });
    }

    fn allow(&mut self, flow: &Flow, now: Timestamp) {
        if let Some(at) = self.denied.remove(flow) {
            self.denials[at].ended = Some(now);
        }
    }

    fn unblock(&mut self, net: IpNet, now: Timestamp) {
        let Some(at) = self.standing.remove(&net) else { return };
        self.bans[at].ended = Some(now);
        if let Some(count) = self.lengths.get_mut(&net.prefix_len()) {
            *count -= 1;
            if *count == 0 {
                self.lengths.remove(&net.prefix_len());
            }
        }
    }
}

/// How much of the time between two is covered by spans, counted once.
fn covered(
    spans: impl Iterator<Item = (Timestamp, Option<Timestamp>)>,
    from: Timestamp,
    to: Timestamp,
) -> Duration {
    let mut spans: Vec<(Timestamp, Timestamp)> = spans
        .map(|(begin, end)| (begin.max(from), end.unwrap_or(to).min(to)))
        .filter(|(begin, end)| begin < end)
        .collect();
    spans.sort_unstable();
    let (mut total, mut covered) = (Duration::ZERO, from);
    for (begin, end) in spans {
        total += end.since(begin.max(covered));
        covered = covered.max(end);
    }
    total
}

fn names(alarm: &Alarm, addr: IpAddr) -> bool {
    match alarm {
        Alarm::Insider { address, .. }
        | Alarm::Unjoined { address, .. }
        | Alarm::LikelyProxy { address } => *address == addr,
        Alarm::Spoofing { victims, .. } => victims.contains(&addr),
        Alarm::NetworkBanned { net, .. } => net.contains(&addr),
        _ => false,
    }
}
