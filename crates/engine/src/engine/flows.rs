//! Denying single flows, where the host cannot be banned because other phones share it.
//!
//! A denial hits one port of one address for [`crate::Healthy::attention_ban_time`]. It is never that of a
//! registration that holds, so no forged port harms a registered phone; and a port is denied once within an
//! hour, so a phone that is not registered, whose port a forger guesses, waits for ten minutes at most. What a
//! host loses to limits counts, too ([`crate::losses`]).

use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;

use super::Engine;
use super::bans::bounded;
use super::rules::{Due, Subject};
use crate::flow::Socket;
use crate::flows::{Denial, MAX_FLOWS};
use crate::key::Key;
use crate::losses;
use crate::{
    Action, Cause, Enforcement, Flow, FlowView, Identity, Refusal, Timestamp, UnblockReason, net,
};

impl Engine {
    /// The flows that are denied, in the order of their addresses.
    pub fn flows(&self) -> impl Iterator<Item = FlowView<'_>> {
        self.flows.after(None)
    }

    /// The denied flows behind one in their order; from the first one without it. To read many in parts.
    pub fn flows_after(&self, flow: Option<Flow>) -> impl Iterator<Item = FlowView<'_>> {
        self.flows.after(flow.map(Flow::canonical))
    }

    /// A flow that is denied.
    #[must_use]
    pub fn flow(&self, flow: Flow) -> Option<FlowView<'_>> {
        let flow = flow.canonical();
        self.flows.get(&flow).map(|denial| denial.view(flow))
    }

    /// The ports from which users are registered at an address, as far as they are known: their flows keep
    /// their place, whatever else comes from there. In their order, at most 65,535; a registration that ran
    /// out unseen may be among them for a minute.
    pub fn registered_flows(&self, addr: IpAddr) -> impl Iterator<Item = u16> {
        self.live.ports(Key::of_addr(net::canonical(addr)))
    }

    /// Denies the flow of the failure at which something became due. True when it was not denied before.
    pub(super) fn deny_flow(
        &mut self,
        due: &Due,
        subject: &Subject,
        actions: &mut Vec<Action>,
    ) -> bool {
        if let Some(reason) = self.flow_refusal(subject) {
            self.refuse_due(due, subject, reason, actions);
            return false;
        }
        let Some(socket) = subject.socket else { return false };
        let time = self.limits.policy.healthy.attention_ban_time;
        let Some(until) = self.losses.deny_until(subject.addr, time, self.now) else {
            return false;
        };
        let bans = self.offenders.bans(&subject.key, self.now);
        let cause = Arc::new(Cause::Rule(self.evidence(due, subject, bans)));
        self.stats.flows_denied += 1;
        for flow in socket.flows(subject.addr) {
            self.place_flow(flow, self.now, until, Arc::clone(&cause), actions);
        }
        self.note_denied(subject.addr, socket.port, self.now, actions);
        if self.flows.distrusted_until(&Key::of_addr(subject.addr), self.now).is_some()
            && !self.is_registered_beside(subject)
        {
            // Nobody is registered there whom it could hit: a guesser that hops ports is held to a packet a second.
            self.slow(due, subject, actions);
        }
        true
    }

    /// Somebody is registered where a limit of this host would hit: there, or at another address of its /64.
    fn is_registered_beside(&self, subject: &Subject) -> bool {
        let net = losses::slowed_net(subject.addr);
        subject.standing.is_registered()
            || (subject.addr.is_ipv6()
                && self.live.hosts(self.now).any(|host| net.contains(&host.addr())))
    }

    /// Why the flow of a failure is not denied, if it is not.
    pub(super) fn flow_refusal(&self, subject: &Subject) -> Option<Refusal> {
        let net = IpNet::from(subject.addr);
        let Some(Socket { port, .. }) = subject.socket else {
            return Some(Refusal::Known { net });
        };
        let host = Key::of_addr(subject.addr);
        if self.live.may_hold(host, port) {
            // Many users at one port are a proxy.
            let shared = subject.identity == Identity::Shared;
            return Some(if shared { Refusal::Shared } else { Refusal::Registered });
        }
        // Whom a limit has kept from registering is not also denied: both can be forged. Where somebody is
        // registered others may wait to be, and lose no more than the time of the limit.
        let time = self.limits.policy.healthy.attention_ban_time;
        let lost = if subject.standing.is_registered() {
            self.losses.deny_until(subject.addr, time, self.now).is_none()
        } else {
            self.losses.slowed_until(subject.addr, self.now).is_some()
        };
        let lately = lost || !self.flows.may_deny(&host, port, self.now);
        lately.then_some(Refusal::DeniedLately)
    }

    /// A failure came from a flow that is denied: on its way when the denial was made.
    pub(super) fn is_denied(&self, source: IpAddr, socket: Option<Socket>) -> bool {
        self.flows.len() > 0
            && socket.is_some_and(|socket| {
                socket.flows(source).all(|flow| self.flows.get(&flow).is_some())
            })
    }

    /// Registrations hold at a host: their flows are not denied any more, nor is any where the port of one is
    /// not known. A limit that was due because nobody was registered there is over.
    pub(super) fn allow_registered(&mut self, source: IpAddr, actions: &mut Vec<Action>) {
        let host = Key::of_addr(source);
        if self.live.of(&host, self.now) > 0
            && let Some(cause) = self.losses.end(source, self.now)
        {
            actions.push(Action::Slow { source, until: self.now, cause });
        }
        if self.flows.len() == 0 {
            return;
        }
        let flows: Vec<Flow> = self.flows.within(&IpNet::from(source)).collect();
        for flow in flows {
            if self.live.may_hold(host, flow.port) {
                self.allow(flow, UnblockReason::Registered, actions);
            }
        }
    }

    /// Allows the flows of hosts in a network that are exempt now.
    pub(super) fn allow_exempt(&mut self, net: &IpNet, actions: &mut Vec<Action>) {
        let flows: Vec<Flow> = self.flows.within(net).collect();
        for flow in flows {
            if self.exemptions.of(flow.source).is_some() {
                self.allow(flow, UnblockReason::Exempted, actions);
            }
        }
    }

    /// An operator lifts everything in a network.
    pub(super) fn allow_inside(&mut self, net: &IpNet, actions: &mut Vec<Action>) {
        let flows: Vec<Flow> = self.flows.within(net).collect();
        for flow in flows {
            self.allow(flow, UnblockReason::Manual, actions);
        }
        for source in self.flows.trust(net, self.now) {
            actions.push(Action::Distrust { source, until: self.now });
        }
    }

    pub(super) fn on_unban_flow(&mut self, flow: Flow, actions: &mut Vec<Action>) {
        self.allow(flow.canonical(), UnblockReason::Manual, actions);
    }

    pub(super) fn on_restore_flow(
        &mut self,
        flow: Flow,
        since: Timestamp,
        until: Timestamp,
        cause: Arc<Cause>,
        actions: &mut Vec<Action>,
    ) {
        let flow = flow.canonical();
        let host = Key::of_addr(flow.source);
        let reason = if until <= self.now {
            UnblockReason::Expired
        } else if self.exemptions.of(flow.source).is_some() {
            UnblockReason::Exempted
        } else if self.live.may_hold(host, flow.port) {
            UnblockReason::Registered
        } else {
            self.place_flow(flow, since, until, cause, actions);
            self.note_denied(flow.source, flow.port, since, actions);
            return;
        };
        // The kernel may hold it, and it counts all the same.
        if self.flows.get(&flow).is_none() {
            actions.push(Action::AllowFlow { flow, reason });
        }
        self.note_denied(flow.source, flow.port, since, actions);
    }

    pub(super) fn on_flow_enforcement(&mut self, flow: Flow, state: Enforcement) {
        self.flows.set_enforcement(&flow.canonical(), bounded(state));
    }

    pub(super) fn expire_flows(&mut self, actions: &mut Vec<Action>) {
        while let Some(flow) = self.flows.pop_expired(self.now) {
            actions.push(Action::AllowFlow { flow, reason: UnblockReason::Expired });
        }
    }

    fn place_flow(
        &mut self,
        flow: Flow,
        since: Timestamp,
        until: Timestamp,
        cause: Arc<Cause>,
        actions: &mut Vec<Action>,
    ) {
        if self.flows.len() >= MAX_FLOWS
            && self.flows.get(&flow).is_none()
            && let Some(flow) = self.flows.pop_oldest()
        {
            self.stats.flows_made_room += 1;
            actions.push(Action::AllowFlow { flow, reason: UnblockReason::MadeRoom });
        }
        let kept = Arc::clone(&cause).into();
        let denial = Denial { since, until, cause: kept, enforcement: Enforcement::Pending };
        self.flows.insert(flow, denial);
        self.wake_by(until);
        actions.push(Action::DenyFlow { flow, since, until, cause });
    }

    fn note_denied(&mut self, source: IpAddr, port: u16, at: Timestamp, actions: &mut Vec<Action>) {
        let host = Key::of_addr(source);
        self.losses.note_denied(source, at, self.now);
        if let Some(until) = self.flows.note(host, port, at, self.now) {
            self.stats.distrusted += 1;
            actions.push(Action::Distrust { source, until });
        }
    }

    fn allow(&mut self, flow: Flow, reason: UnblockReason, actions: &mut Vec<Action>) {
        if self.flows.remove(&flow).is_some() {
            actions.push(Action::AllowFlow { flow, reason });
        }
    }
}
