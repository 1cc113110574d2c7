//! Placing, splitting and ending bans.
//!
//! Bans may lie inside each other, but none is useless: a ban is not placed inside a wider one that
//! lasts at least as long, and a wider ban replaces those inside it that end no later. One of scope SIP
//! never makes one of the whole host useless, which stops more. An automatic
//! ban never makes an operator's useless, because it yields to exemptions that the other does not
//! yield to.

use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;

use super::Engine;
use super::rules::{Due, Subject};
use crate::bans::Ban;
use crate::text::prefix;
use crate::{
    Action, Alarm, Cause, Enforcement, Exemption, Expiry, Origin, Refusal, Scope, UnblockReason,
    net,
};

/// After an alarm for a full table the next one needs room again: below 95 %.
const REARM_PERCENT: usize = 95;

/// Bytes kept of an error of the kernel's.
const MAX_ERROR_BYTES: usize = 256;

impl Engine {
    /// Bans a source. True if it is banned afterwards.
    pub(super) fn ban_subject(
        &mut self,
        due: &Due,
        subject: &Subject,
        actions: &mut Vec<Action>,
    ) -> bool {
        let earlier = self.bans_so_far(&subject.key);
        let escalates = due.rule.escalates(due.grade);
        let count = if escalates { earlier.saturating_add(1) } else { earlier.max(1) };
        let length =
            if escalates { self.limits.ban_time(due.ban_time, count) } else { due.ban_time };
        let end = self.now + length;
        let net = self.source_net(subject.addr);
        let cause = Arc::new(Cause::Rule(self.evidence(due, subject, count)));
        // One that stands there stops less: what it stops, it stops until its end.
        // That of a peer has no part in it.
        let standing = self.bans.get(&net).filter(|ban| ban.origin != Origin::Remote);
        let standing = standing.map(Ban::until);
        let until = standing.map_or(Expiry::At(end), |until| until.max(Expiry::At(end)));
        let ban = Ban::new(net, self.now, until, Origin::Automatic, self.scope(due), cause);
        if let Err(reason) = self.place(ban, actions) {
            self.refuse_due(due, subject, reason, actions);
            return false;
        }
        if escalates {
            let forget_at = end + self.limits.policy.escalation.forget_after;
            self.offenders.record(subject.key, count, forget_at);
        }
        self.sources.remove(&subject.key);
        self.activity.begin_anew(&subject.key);
        self.watch_ban(actions);
        true
    }

    /// What a ban by a rule stops.
    pub(super) fn scope(&self, due: &Due) -> Scope {
        if due.rule.is_sip_only(due.grade) {
            return Scope::Sip;
        }
        let policy = &self.limits.policy;
        policy.rules.scope(due.rule).unwrap_or(policy.scope)
    }

    /// A ban that stops at least what one of `scope` stops covers an address, or one by hand that a rule
    /// has no say in.
    pub(super) fn is_shut_out(&self, addr: IpAddr, scope: Scope) -> bool {
        if self.bans.covering(addr).is_none() {
            return false;
        }
        let host = IpNet::from(addr);
        let own = self.bans.get(&host).map(|ban| (host, ban));
        own.into_iter().chain(self.bans.around(&host)).any(|(net, ban)| {
            let by_hand = matches!(ban.origin, Origin::Manual | Origin::Forced)
                && net == self.source_net(addr);
            by_hand || ban.scope.covers(scope)
        })
    }

    /// The network to ban for an address, which itself is not exempt: its source, or only the host when
    /// somebody else in the source is known or exempt, or the link's neighbours are.
    pub(super) fn source_net(&self, addr: IpAddr) -> IpNet {
        let net = self.limits.source_net(addr);
        if self.limits.is_host(addr)
            || self.objection(&net, Origin::Automatic).is_some()
            || self.is_inhabited(addr, &self.limits.net_key(addr))
        {
            return IpNet::from(addr);
        }
        net
    }

    /// The host that a ban of `net` must not cover.
    pub(super) fn objection(&self, net: &IpNet, origin: Origin) -> Option<Refusal> {
        let exempt = self.exemptions.touching(net).filter(|(class, _)| outranks(*class, origin));
        if let Some((class, net)) = exempt.min_by_key(|(class, _)| *class) {
            return Some(Refusal::Exempt { class, net });
        }
        (origin != Origin::Forced && net::cuts_link_local(net)).then_some(Refusal::LinkLocal)
    }

    /// Adds a ban, in place of those it makes useless.
    pub(super) fn place(&mut self, ban: Ban, actions: &mut Vec<Action>) -> Result<(), Refusal> {
        let net = ban.net();
        if let Some((net, _)) = self.bans.around(&net).find(|(_, wider)| replaces(wider, &ban)) {
            return Err(Refusal::Covered { net });
        }
        let inside = self.bans.inside(&net).filter(|(_, inner)| replaces(&ban, inner));
        let superseded: Vec<IpNet> = inside.map(|(net, _)| net).collect();
        let gone = superseded.len() + usize::from(self.bans.get(&net).is_some());
        if self.bans.len() - gone >= self.limits.policy.max_bans && !self.make_room(&ban, actions) {
            return Err(Refusal::TooManyBans);
        }
        let block = ban.block();
        if let Expiry::At(end) = ban.until() {
            self.wake_by(end);
        }
        self.bans.insert(ban);
        self.stats.banned += 1;
        actions.push(block);
        for net in superseded {
            self.bans.remove(&net);
            actions.push(Action::Unblock { net, reason: UnblockReason::Superseded });
        }
        Ok(())
    }

    /// The table is full: a ban on good evidence takes the place of the oldest on worse; where there is
    /// none, of the automatic one that ends first.
    fn make_room(&mut self, ban: &Ban, actions: &mut Vec<Action>) -> bool {
        if ban.is_weak() {
            return false;
        }
        let weakest = self.bans.pop_weakest();
        let Some(net) = weakest.or_else(|| self.bans.pop_first_to_end(ban.until())) else {
            return false;
        };
        if weakest.is_none() {
            self.note_full(actions);
        }
        actions.push(Action::Unblock { net, reason: UnblockReason::MadeRoom });
        true
    }

    /// Reports a ban that was due and is not done.
    pub(super) fn refuse(
        &mut self,
        net: IpNet,
        reason: Refusal,
        cause: Arc<Cause>,
        actions: &mut Vec<Action>,
    ) {
        self.stats.refused += 1;
        actions.push(Action::Refused { net, reason, cause });
        if reason == Refusal::TooManyBans {
            self.note_full(actions);
        }
    }

    fn note_full(&mut self, actions: &mut Vec<Action>) {
        if !std::mem::replace(&mut self.full, true) {
            let max_bans = self.limits.policy.max_bans;
            actions.push(Action::Alarm(Alarm::BanTableFull { max_bans }));
        }
    }

    /// Replaces a standing ban by `pieces` of it, or by nothing. The pieces come first, so that their packets are
    /// dropped without a gap.
    pub(super) fn split(
        &mut self,
        net: IpNet,
        pieces: Vec<IpNet>,
        emptied: UnblockReason,
        actions: &mut Vec<Action>,
    ) {
        let Some(ban) = self.bans.remove(&net) else {
            return;
        };
        let reason = if pieces.is_empty() { emptied } else { UnblockReason::Split };
        self.place_pieces(net, &ban, pieces, actions);
        actions.push(Action::Unblock { net, reason });
        self.rearm();
        // What a ban of this node has hidden.
        self.settle_touching(&net, actions);
    }

    pub(super) fn place_pieces(
        &mut self,
        of: IpNet,
        ban: &Ban,
        pieces: Vec<IpNet>,
        actions: &mut Vec<Action>,
    ) {
        let cause = ban.cause.get().split(of);
        for piece in pieces {
            // A ban of exactly this piece that lasts at least as long needs no other.
            if self.bans.get(&piece).is_some_and(|standing| replaces(standing, ban)) {
                continue;
            }
            let cause_of_part = Arc::clone(&cause);
            let part =
                Ban::new(piece, ban.since, ban.until(), ban.origin, ban.scope, cause_of_part);
            let placed = match self.objection(&piece, ban.origin) {
                Some(objection) => Err(objection),
                None => self.place(part, actions),
            };
            match placed {
                Ok(()) | Err(Refusal::Covered { .. }) => {}
                Err(reason) => self.refuse(piece, reason, Arc::clone(&cause), actions),
            }
        }
    }

    /// The widest parts of `net` that a ban of this origin may cover.
    pub(super) fn carve(&self, net: IpNet, origin: Origin) -> Vec<IpNet> {
        let mut pieces = Vec::new();
        let mut rest = vec![net];
        while let Some(net) = rest.pop() {
            let mut exempt = self.exemptions.touching(&net);
            match exempt.find(|(class, _)| outranks(*class, origin)) {
                None => pieces.push(net),
                Some((_, hole)) if hole.contains(&net) => {}
                Some(_) => rest.extend(net.subnets(net.prefix_len() + 1).into_iter().flatten()),
            }
        }
        pieces
    }

    pub(super) fn expire_bans(&mut self, actions: &mut Vec<Action>) {
        while let Some(net) = self.bans.pop_expired(self.now) {
            self.stats.expired += 1;
            actions.push(Action::Unblock { net, reason: UnblockReason::Expired });
            self.settle_touching(&net, actions);
        }
        self.rearm();
    }

    pub(super) fn on_enforcement(
        &mut self,
        net: IpNet,
        state: Enforcement,
        actions: &mut Vec<Action>,
    ) {
        let net = net::canonical_net(net);
        let quiet = self.bans.failed() > 0;
        let alarm = match &state {
            Enforcement::Failed { error } => Some(error.to_string()),
            Enforcement::Pending | Enforcement::Enforced | Enforcement::Ineffective => None,
        };
        if self.bans.set_enforcement(&net, bounded(state)).is_none() || quiet {
            return;
        }
        if let Some(error) = alarm {
            actions.push(Action::Alarm(Alarm::NotEnforced { net, error }));
        }
    }

    pub(super) fn rearm(&mut self) {
        let max_bans = self.limits.policy.max_bans;
        if self.full && self.bans.len() < max_bans.saturating_mul(REARM_PERCENT).div_ceil(100) {
            self.full = false;
        }
    }
}

/// Whether a ban yields to an exemption.
fn outranks(class: Exemption, origin: Origin) -> bool {
    match origin {
        Origin::Remote | Origin::Automatic => true,
        Origin::Manual => !matches!(class, Exemption::Proxy | Exemption::Acl | Exemption::Allow),
        Origin::Forced => class == Exemption::Own,
    }
}

/// Whether `wider` makes `inner` useless.
fn replaces(wider: &Ban, inner: &Ban) -> bool {
    wider.until() >= inner.until()
        && rank(wider.origin) >= rank(inner.origin)
        && wider.scope.covers(inner.scope)
}

/// The less a ban yields, the higher.
fn rank(origin: Origin) -> u8 {
    match origin {
        Origin::Remote => 0,
        Origin::Automatic => 1,
        Origin::Manual => 2,
        Origin::Forced => 3,
    }
}

pub(super) fn bounded(state: Enforcement) -> Enforcement {
    match state {
        Enforcement::Failed { error } if error.len() > MAX_ERROR_BYTES => {
            Enforcement::Failed { error: prefix(&error, MAX_ERROR_BYTES).into() }
        }
        state => state,
    }
}
