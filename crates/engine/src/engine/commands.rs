//! What operators, the store and the kernel's state ask for.

use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;

use super::Engine;
use crate::agents::Agents;
use crate::bans::Ban;
use crate::key::Key;
use crate::limits::Limits;
use crate::{
    Action, Alarm, Cause, Exemption, Expiry, Offender, Origin, Policy, Scope, Timestamp,
    UnblockReason, net,
};

impl Engine {
    pub(super) fn on_exempt(
        &mut self,
        class: Exemption,
        nets: &[IpNet],
        actions: &mut Vec<Action>,
    ) {
        let fleet = self.fleet.is_some();
        let before: Vec<IpNet> =
            if fleet { self.exemptions.of_class(class).collect() } else { Vec::new() };
        self.exemptions.replace(class, nets);
        self.note_spared();
        for net in nets {
            self.recheck_touching(&net::canonical_net(*net), actions);
        }
        // What peers ban there may be banned now.
        for net in before {
            self.settle_touching(&net, actions);
        }
    }

    /// Lifts or splits the bans that share an address with `net`, as far as it is exempt now.
    pub(super) fn recheck_touching(&mut self, net: &IpNet, actions: &mut Vec<Action>) {
        for banned in self.bans.touching(net) {
            self.recheck(banned, actions);
        }
        self.allow_exempt(net, actions);
        self.settle_touching(net, actions);
    }

    /// Lifts or splits a ban that covers an exempt host now.
    fn recheck(&mut self, net: IpNet, actions: &mut Vec<Action>) {
        let Some(ban) = self.bans.get(&net) else {
            return;
        };
        let remote = ban.origin == Origin::Remote;
        let pieces = self.carve(net, ban.origin);
        if pieces != [net] {
            // Those of peers are never split.
            let pieces = if remote { Vec::new() } else { pieces };
            self.split(net, pieces, UnblockReason::Exempted, actions);
        }
    }

    pub(super) fn on_policy(&mut self, policy: Policy, actions: &mut Vec<Action>) {
        if let Err(error) = policy.validate() {
            actions.push(Action::Alarm(Alarm::PolicyRejected { error }));
            return;
        }
        let old = &self.limits.policy;
        let sources = |policy: &Policy| {
            (policy.ipv4_prefix, policy.ipv6_prefix, policy.nat64_prefixes.clone())
        };
        if sources(old) != sources(&policy) {
            // Counts of networks cannot be divided among smaller ones.
            self.sources.clear();
            self.unproven_sources.clear();
            self.activity.clear();
        }
        self.sources.set_capacity(policy.max_tracked);
        self.unproven_sources.set_capacity(policy.max_unproven);
        self.agents = Agents::new(&policy.rules.user_agents.patterns);
        self.limits = Limits::new(policy);
        self.sources.distrust_ages();
        self.activity.distrust_ages();
        let known: Vec<IpAddr> = self.known_sources().map(Key::addr).collect();
        for addr in known {
            self.note_inhabited(addr);
        }
        // Who is remembered depends on it, and the networks of the known.
        self.note_spared();
    }

    pub(super) fn on_ban(
        &mut self,
        net: IpNet,
        (until, scope): (Expiry, Option<Scope>),
        reason: String,
        force: bool,
        actions: &mut Vec<Action>,
    ) {
        let net = net::canonical_net(net);
        let origin = if force { Origin::Forced } else { Origin::Manual };
        let cause = Arc::new(Cause::Manual { reason, force });
        let scope = scope.unwrap_or(self.limits.policy.scope);
        let ban = Ban::new(net, self.now, until, origin, scope, Arc::clone(&cause));
        let placed = match self.objection(&net, origin) {
            Some(objection) => Err(objection),
            None => self.place(ban, actions),
        };
        if let Err(reason) = placed {
            self.refuse(net, reason, cause, actions);
        }
    }

    pub(super) fn on_unban(&mut self, net: IpNet, actions: &mut Vec<Action>) {
        let net = net::canonical_net(net);
        self.lift_here(net);
        self.lift_bans(net, self.now, actions);
    }

    /// Lifts the bans inside `net` that were made by `until`, and forgets what counts against sources inside.
    pub(super) fn lift_bans(&mut self, net: IpNet, until: Timestamp, actions: &mut Vec<Action>) {
        for banned in self.bans.touching(&net) {
            let Some(ban) = self.bans.get(&banned) else { continue };
            if ban.since > until {
                continue;
            }
            let remote = ban.origin == Origin::Remote;
            let pieces = if remote { Vec::new() } else { net::pieces_around(banned, net) };
            self.split(banned, pieces, UnblockReason::Manual, actions);
        }
        self.allow_inside(&net, actions);
        let (key, host) = (self.limits.net_key(net.network()), Key::of_addr(net.network()));
        self.sources.remove(&key);
        self.sources.remove(&host);
        // Looks at every source, which is only needed for more than one.
        if net.prefix_len() < net.max_prefix_len() {
            self.sources.remove_inside(&net);
        }
    }

    pub(super) fn on_adopt(&mut self, net: IpNet, actions: &mut Vec<Action>) {
        let net = net::canonical_net(net);
        if let Some(ban) = self.bans.get(&net) {
            if ban.scope == Scope::Sip {
                // No ban explains its route.
                actions.push(ban.block());
            }
            return;
        }
        let until = Expiry::At(self.now + self.limits.policy.ban_time);
        let cause = Arc::new(Cause::Adopted);
        let ban = Ban::new(net, self.now, until, Origin::Automatic, Scope::Host, cause);
        self.take_over(ban, actions);
    }

    pub(super) fn on_restore(
        &mut self,
        net: IpNet,
        since: Timestamp,
        (until, scope): (Expiry, Scope),
        cause: Arc<Cause>,
        actions: &mut Vec<Action>,
    ) {
        let net = net::canonical_net(net);
        if let Some(offender) = Offender::of(&cause, until) {
            self.on_offender(&offender);
        }
        if let Cause::Remote(_) = &**cause.original()
            && until > Expiry::At(self.now)
        {
            self.restore_remote(net, since, until, &cause, actions);
            return;
        }
        if until <= Expiry::At(self.now) {
            if self.bans.get(&net).is_none() {
                actions.push(Action::Unblock { net, reason: UnblockReason::Expired });
            }
            return;
        }
        let origin = match &**cause.original() {
            Cause::Manual { force: true, .. } => Origin::Forced,
            Cause::Manual { force: false, .. } => Origin::Manual,
            Cause::Remote(_) => Origin::Remote,
            Cause::Rule(_) | Cause::Adopted | Cause::Split { .. } => Origin::Automatic,
        };
        self.take_over(Ban::new(net, since, until, origin, scope, cause), actions);
    }

    pub(super) fn on_offender(&mut self, offender: &Offender) {
        let Offender { source, bans, until } = *offender;
        let forget_at = until + self.limits.policy.escalation.forget_after;
        if forget_at > self.now {
            let key = self.key(net::canonical(source));
            self.offenders.raise(key, bans, forget_at);
        }
    }

    /// Places a ban from before, or what exemptions leave of it. Its route may be in the kernel
    /// already, so what does not become a ban is unblocked.
    fn take_over(&mut self, ban: Ban, actions: &mut Vec<Action>) {
        let net = ban.net();
        let pieces = self.carve(net, ban.origin);
        if pieces == [net] {
            let cause = ban.cause.get();
            let placed = match self.objection(&net, ban.origin) {
                Some(objection) => Err(objection),
                None => self.place(ban, actions),
            };
            let Err(reason) = placed else { return };
            self.refuse(net, reason, cause, actions);
            self.unblock_unless_banned(net, UnblockReason::NotAdopted, actions);
            return;
        }
        let reason = if pieces.is_empty() { UnblockReason::Exempted } else { UnblockReason::Split };
        self.place_pieces(net, &ban, pieces, actions);
        self.unblock_unless_banned(net, reason, actions);
    }

    /// The kernel may hold a route that does not become a ban; another ban of the same network needs it.
    fn unblock_unless_banned(&self, net: IpNet, reason: UnblockReason, actions: &mut Vec<Action>) {
        if self.bans.get(&net).is_none() {
            actions.push(Action::Unblock { net, reason });
        }
    }
}
