//! Successes, and what follows from them.

use std::net::IpAddr;

use super::Engine;
use crate::acl::AclAnswers;
use crate::identity::Login;
use crate::limits::millis;
use crate::seen::Seen;
use crate::sources::Key;
use crate::{Action, Exemption, Origin, RuleName, Success, Text, Timestamp, UnblockReason, net};

impl Engine {
    /// A user logged in.
    pub(super) fn on_success(
        &mut self,
        source: IpAddr,
        user: &str,
        user_agent: &str,
        actions: &mut Vec<Action>,
    ) {
        let source = net::canonical(source);
        let key = self.limits.key(source);
        let user_hash = self.fingerprints.text(user);
        let agent = self.agent(user_agent);
        self.greet(source);
        let clean = self.sources.get(&key).is_none_or(|source| source.history.is_clean(user_hash));
        let (since, at) = (self.now, self.now);
        let login = Login { user: user_hash, agent, since, at, clean };
        let first = self.identities.success(key, login, &self.limits);
        self.sources.forgive(&key, user_hash);
        let (user, user_agent) = (Text::new(user), Text::new(user_agent));
        // A cut name would be another one after a restart.
        let whole = !user.is_cut() && !user_agent.is_cut();
        if let Some(since) = first.filter(|_| whole) {
            actions.push(Action::Remember(Success {
                source,
                user,
                user_agent,
                since,
                at: self.now,
            }));
        }
        self.free_from_network_ban(source, actions);
    }

    pub(super) fn on_remember(&mut self, success: &Success, actions: &mut Vec<Action>) {
        let source = net::canonical(success.source);
        let key = self.limits.key(source);
        let user = self.fingerprints.text(&success.user);
        let agent = self.agent(&success.user_agent);
        self.greet(source);
        let at = success.at.min(self.now);
        // What failed before a restart is not remembered.
        let login = Login { user, agent, since: success.since.min(at), at, clean: true };
        self.identities.success(key, login, &self.limits);
        self.free_from_network_ban(source, actions);
    }

    /// A user agent, unless it was not told.
    fn agent(&self, user_agent: &str) -> Option<u64> {
        (!user_agent.is_empty()).then(|| self.fingerprints.text(user_agent))
    }

    /// A ban of a network never holds a known host: where one appears it is split.
    pub(super) fn free_from_network_ban(&mut self, source: IpAddr, actions: &mut Vec<Action>) {
        let Some((net, ban)) = self.bans.covering(source) else {
            return;
        };
        let by_network =
            ban.cause.evidence().is_some_and(|evidence| evidence.rule == RuleName::Network);
        if by_network {
            let hole = self.limits.source_net(source);
            let pieces = net::pieces_around(net, hole);
            self.split(net, pieces, UnblockReason::Exempted, actions);
        }
    }

    /// A failure of a known source that looks like a phone with an old password: its failures lately.
    pub(super) fn attend(
        &mut self,
        seen: &Seen<'_>,
        key: Key,
        actions: &mut Vec<Action>,
    ) -> Option<u32> {
        let window_ms = self.limits.window_ms;
        let source = self.sources.get(&key);
        let others = source.is_some_and(|source| {
            source.history.holds_others(seen.user_hash, millis(self.now), window_ms)
        });
        let patient = self.identities.patient(key, seen, others, self.now, &self.limits)?;
        if patient.tell {
            actions.push(Action::NeedsAttention {
                source: seen.source,
                user: seen.user.to_text(),
                user_agent: seen.user_agent.to_text(),
                last_success: patient.last_success,
            });
        }
        Some(patient.failures)
    }

    /// The first evidence against an address: its ACLs should be known before the threshold.
    pub(super) fn ask_acl(&mut self, addr: IpAddr, actions: &mut Vec<Action>) {
        if !self.limits.policy.ask_acl {
            return;
        }
        let (ask, forgotten) = self.acl.suspect(addr, self.now);
        if ask {
            actions.push(Action::AskAcl { addr });
        }
        if let Some(forgotten) = forgotten {
            self.withdraw_acl(forgotten);
        }
    }

    /// The answer; a late one lifts the ban at once.
    pub(super) fn on_acl_answer(
        &mut self,
        addr: IpAddr,
        allowed: Option<bool>,
        actions: &mut Vec<Action>,
    ) {
        let addr = net::canonical(addr);
        let Some(allowed) = allowed else { return };
        self.acl.answer(addr, allowed, self.now);
        if allowed {
            self.exemptions.insert(Exemption::Acl, addr.into());
            self.note_spared();
            self.recheck_touching(&addr.into(), actions);
        } else {
            self.withdraw_acl(addr);
        }
    }

    /// Whoever an answer had exempted is not any more, and everybody is asked about anew: who fails
    /// next, and who is banned, as far as there is room for questions.
    pub(super) fn on_acls_changed(&mut self, actions: &mut Vec<Action>) {
        self.acl.clear();
        self.exemptions.replace(Exemption::Acl, &[]);
        self.note_spared();
        let banned: Vec<IpAddr> = self
            .bans
            .iter()
            .filter(|(_, ban)| ban.origin == Origin::Automatic)
            .filter_map(|(_, ban)| Some(net::canonical(ban.cause.evidence()?.source)))
            .take(AclAnswers::ROOM)
            .collect();
        for addr in banned {
            self.ask_acl(addr, actions);
        }
    }

    fn withdraw_acl(&mut self, addr: IpAddr) {
        self.exemptions.withdraw(Exemption::Acl, &addr.into());
        self.note_spared();
    }

    pub(super) fn forget_acl_answers(&mut self, now: Timestamp) {
        for addr in self.acl.expire(now) {
            self.withdraw_acl(addr);
        }
    }
}
