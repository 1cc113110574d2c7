//! Successes, and what follows from them.

use std::net::IpAddr;
use std::time::Duration;

use ipnet::IpNet;

use super::Engine;
use super::rules::Subject;
use crate::acl::AclAnswers;
use crate::identity::{Login, Patient};
use crate::join::JOIN_WAIT;
use crate::key::Key;
use crate::limits::millis;
use crate::live::Put;
use crate::lru::LruTable;
use crate::seen::Seen;
use crate::{
    Action, Alarm, AuthAttempt, Exemption, Grade, Origin, Registered, RuleName, Success, Text,
    Timestamp, UnblockReason, net,
};

/// How long a proved success vouches for the `sofia::register` behind it. FreeSWITCH sends both from the
/// same request.
const REGISTERS_WITHIN: Duration = Duration::from_secs(10);

/// How long a success waits for its challenge, like a failure for its attempt.
const PROVED_WITHIN: Duration = JOIN_WAIT;

/// Successes that wait at once, oldest out first.
const MAX_UNPROVED: usize = 1_024;

/// Right passwords in dialogs whose challenge was not seen yet.
#[derive(Debug)]
pub(super) struct UnprovedSuccesses {
    /// By host, account and Call-ID.
    table: LruTable<u64, Option<UnprovedSuccess>>,
    /// Registrations that came before the attempt which proves them, by the same.
    early: LruTable<u64, Option<(Timestamp, IpAddr, Put)>>,
}

#[derive(Clone, Debug)]
struct UnprovedSuccess {
    at: Timestamp,
    source: IpAddr,
    user: Text,
    domain: Option<Text>,
    user_agent: Text,
    /// The registration that came of it.
    registration: Option<Put>,
}

impl UnprovedSuccess {
    /// `None` when a text is longer than what is kept: its user would be another one.
    fn new(success: LoggedIn<'_>, at: Timestamp) -> Option<Self> {
        let LoggedIn { source, .. } = success;
        let text = |text| Some(Text::new(text)).filter(|text| !text.is_cut());
        let (user, user_agent) = (text(success.user)?, text(success.user_agent)?);
        let domain = match success.domain {
            Some(domain) => Some(text(domain)?),
            None => None,
        };
        Some(Self { at, source, user, domain, user_agent, registration: None })
    }
}

impl UnprovedSuccesses {
    pub(super) fn new(seed: u64) -> Self {
        let (table, early) = (LruTable::new(MAX_UNPROVED, seed), LruTable::new(MAX_UNPROVED, seed));
        Self { table, early }
    }

    fn is_empty(&self) -> bool {
        self.table.len() == 0
    }

    fn put(&mut self, line: u64, success: Option<UnprovedSuccess>) {
        if success.is_some() {
            *self.table.entry(line) = success;
        }
    }

    /// A registration came, of a success that waits or of one that is still to come.
    pub(super) fn note_registration(&mut self, source: IpAddr, put: Put, now: Timestamp) {
        let slot = self.table.find(&put.line);
        match slot.and_then(|slot| self.table.value_mut(slot)?.as_mut()) {
            Some(success) => success.registration = Some(put),
            None => *self.early.entry(put.line) = Some((now, source, put)),
        }
    }

    /// The registration that came before the success which is proved now.
    fn take_early(&mut self, line: u64, now: Timestamp) -> Option<(IpAddr, Put)> {
        if self.early.len() == 0 {
            return None;
        }
        let (at, source, put) = self.early.remove(&line).flatten()?;
        (now.since(at) < PROVED_WITHIN).then_some((source, put))
    }

    fn take(&mut self, line: u64, now: Timestamp) -> Option<UnprovedSuccess> {
        self.table.remove(&line).flatten().filter(|late| now.since(late.at) < PROVED_WITHIN)
    }

    /// Forgets those that have waited long enough.
    pub(super) fn expire(&mut self, now: Timestamp) {
        self.table.expire(|_, success| {
            success.as_ref().is_none_or(|success| now.since(success.at) >= PROVED_WITHIN)
        });
        self.early.expire(|_, early| {
            early.as_ref().is_none_or(|(at, ..)| now.since(*at) >= PROVED_WITHIN)
        });
    }

    pub(super) fn len(&self) -> usize {
        self.table.len() + self.early.len()
    }
}

/// A log-in whose address is proved.
#[derive(Clone, Copy)]
pub(super) struct LoggedIn<'a> {
    pub(super) source: IpAddr,
    /// The user of the digest: whose password was proved.
    pub(super) user: &'a str,
    /// Its domain, where nothing else than that would do.
    pub(super) domain: Option<&'a str>,
    pub(super) user_agent: &'a str,
}

/// The domain of the account that logged in, unless the sender chose it: of realm and To host FreeSWITCH checks one.
/// Which, is up to the profile.
pub(super) fn checked<'a>(realm: Option<&str>, domain: &'a str) -> Option<&'a str> {
    realm.filter(|realm| realm.eq_ignore_ascii_case(domain)).map(|_| domain)
}

impl Engine {
    /// The right password came, in an attempt.
    ///
    /// That proves no address: FreeSWITCH takes a nonce that another host fetched. So the dialog must have
    /// been challenged at this address, or be the one by which this user is registered there.
    pub(super) fn on_attempted_success(
        &mut self,
        source: IpAddr,
        attempt: &AuthAttempt<'_>,
        actions: &mut Vec<Action>,
    ) {
        let AuthAttempt { profile, domain, realm, user_agent, .. } = *attempt;
        let user = attempt.username.unwrap_or(attempt.user);
        let host = Key::of_addr(source);
        let (account, call) =
            (self.fingerprints.text(user), self.fingerprints.text(attempt.call_id));
        let profile_hash = self.fingerprints.text(profile);
        let dialog = self.fingerprints.dialog(host, profile_hash, call);
        let answered = self.dialogs.answer(dialog, profile_hash, self.now);
        let domain_hash = self.fingerprints.text(domain);
        let user_hash = self.fingerprints.text(attempt.user);
        let registered = self.fingerprints.registration_call(user_hash, domain_hash, call);
        let line = self.fingerprints.line(host, account, call);
        let proved = answered
            || attempt.websocket
            || self.live.is_registered_line(line, self.now)
            // The same phone at another address: no other host knows its Call-ID.
            || self.live.is_registered_call(registered, self.now)
            || self.was_challenged_for(attempt, source, profile_hash);
        let success = LoggedIn { source, user, domain: checked(realm, domain), user_agent };
        if proved {
            self.note_proved(host, account);
            self.on_success(success, actions);
            if let Some((source, put)) = self.unproved.take_early(line, self.now) {
                self.note_proved_registration(source, put, actions);
            }
            return;
        }
        self.stats.unproved_successes += 1;
        // Nothing proves the address, but the password was right.
        self.watch_login(success, actions);
        // Its challenge may be on its way: events of a busy FreeSWITCH were seen to overtake each other.
        self.unproved.put(line, UnprovedSuccess::new(success, self.now));
    }

    fn note_proved(&mut self, host: Key, account: u64) {
        let recent = self.fingerprints.line(host, account, 0);
        *self.proved.entry(recent) = self.now;
    }

    /// A challenge of a dialog came: does a success wait for it?
    pub(super) fn prove_late(
        &mut self,
        host: Key,
        account: u64,
        call: u64,
        actions: &mut Vec<Action>,
    ) {
        if self.unproved.is_empty() {
            return;
        }
        let line = self.fingerprints.line(host, account, call);
        let Some(late) = self.unproved.take(line, self.now) else {
            return;
        };
        let UnprovedSuccess { source, user, domain, user_agent, registration, .. } = late;
        self.note_proved(host, account);
        let (user, domain, user_agent) = (&user, domain.as_deref(), &user_agent);
        self.on_success(LoggedIn { source, user, domain, user_agent }, actions);
        // The registration may have overtaken both.
        let early = || self.unproved.take_early(line, self.now);
        if let Some((source, put)) = registration.map(|put| (source, put)).or_else(early) {
            self.note_proved_registration(source, put, actions);
        }
    }

    /// The same user was challenged last, from the same address and port: only a forger that first causes a challenge
    /// to its victim can achieve that, and it could name the right dialog as well.
    fn was_challenged_for(
        &self,
        attempt: &AuthAttempt<'_>,
        source: IpAddr,
        profile_hash: u64,
    ) -> bool {
        let AuthAttempt { port, user, .. } = *attempt;
        let whom = self.fingerprints.challenged(profile_hash, port, self.fingerprints.text(user));
        let (key, life) = (self.key(source), self.dialogs.life(profile_hash));
        self.activity.was_challenged_for(&key, whom, life, self.now)
    }

    /// A `sofia::register` belongs to a success that was proved.
    pub(super) fn is_proved(&self, host: Key, account: u64, line: u64) -> bool {
        let recent = self.fingerprints.line(host, account, 0);
        let at = self.proved.get(&recent).copied();
        at.is_some_and(|at| self.now.since(at) < REGISTERS_WITHIN)
            || self.live.is_registered_line(line, self.now)
    }

    /// A user logged in from an address.
    pub(super) fn on_success(&mut self, success: LoggedIn<'_>, actions: &mut Vec<Action>) {
        let LoggedIn { source, user, user_agent, .. } = success;
        let source = net::canonical(source);
        let (host, key) = (Key::of_addr(source), self.key(source));
        let user_hash = self.fingerprints.text(user);
        let clean = self.sources.get(&key).is_none_or(|source| source.history.is_clean(user_hash));
        if !self.watch_login(success, actions) {
            self.sources.forgive(&key, user_hash);
        }
        if !self.may_become_known(success, host, user_hash, actions) {
            return;
        }
        let agent = self.agent(user_agent);
        self.greet(source);
        let (since, at) = (self.now, self.now);
        let vouched = clean && self.is_vouched_elsewhere(success);
        let login = Login { user: user_hash, agent, since, at, clean, vouched };
        let first = self.identities.success(host, login, &self.limits);
        if self.insiders.len() > 0 {
            let accounts = self.identities.users(&host, self.now);
            let network = self.limits.net_key(source);
            self.insiders.forgive(&host, &network, &accounts, user_hash);
        }
        if let Some(since) = first {
            self.remember(success, since, actions);
        }
        self.free_from_wide_ban(source, actions);
        self.settle_touching(&source.into(), actions);
    }

    /// One account makes a few new addresses a day known, so that neither its owner nor a thief can protect arbitrary
    /// addresses.
    fn may_become_known(
        &mut self,
        success: LoggedIn<'_>,
        host: Key,
        user_hash: u64,
        actions: &mut Vec<Action>,
    ) -> bool {
        if self.identities.is_at_home(host, user_hash, self.now, &self.limits) {
            return true;
        }
        let account = self.fingerprints.account(success.user, success.domain);
        let limit = self.limits.policy.healthy.max_new_addresses;
        self.accounts_spread.claim(account, user_hash);
        let new = self.accounts_spread.new_address(account, host, limit, self.now);
        if let Some(addresses) = new.tell {
            let user = Text::new(success.user);
            actions.push(Action::Alarm(Alarm::AccountSpread { user, addresses }));
        }
        new.within_limit
    }

    fn remember(&self, success: LoggedIn<'_>, since: Timestamp, actions: &mut Vec<Action>) {
        let (user, user_agent) = (Text::new(success.user), Text::new(success.user_agent));
        // A cut name would be another one after a restart.
        if !user.is_cut() && !user_agent.is_cut() {
            let source = net::canonical(success.source);
            let success = Success { source, user, user_agent, since, at: self.now };
            actions.push(Action::Remember(success));
        }
    }

    pub(super) fn on_remember(&mut self, success: &Success, actions: &mut Vec<Action>) {
        let source = net::canonical(success.source);
        let user = self.fingerprints.text(&success.user);
        let agent = self.agent(&success.user_agent);
        self.greet(source);
        let at = success.at.min(self.now);
        // What failed before a restart is not remembered.
        let since = success.since.min(at);
        let login = Login { user, agent, since, at, clean: true, vouched: false };
        let host = Key::of_addr(source);
        self.identities.success(host, login, &self.limits);
        self.accounts_spread.restore(user, host, since, self.now);
        self.free_from_wide_ban(source, actions);
        self.settle_touching(&source.into(), actions);
    }

    /// A list of registrations may make this phone known.
    pub(super) fn may_be_listed(
        &mut self,
        phone: &Registered<'_>,
        host: Key,
        actions: &mut Vec<Action>,
    ) -> bool {
        let Registered { source, user, domain, user_agent, .. } = *phone;
        let user_hash = self.fingerprints.text(user);
        // Nothing better is known of a registration that no event told of.
        let listed = LoggedIn { source, user, domain: Some(domain), user_agent };
        self.may_become_known(listed, host, user_hash, actions)
    }

    /// A phone is in a list of registrations; `trusted` in the first that this installation sees, unless
    /// its user is at many addresses: that is a stolen account as likely as not.
    pub(super) fn on_listed(
        &mut self,
        phone: &Registered<'_>,
        trusted: bool,
        actions: &mut Vec<Action>,
    ) {
        let Registered { user, domain, .. } = *phone;
        let source = net::canonical(phone.source);
        let (host, user_hash) = (Key::of_addr(source), self.fingerprints.text(user));
        // It logged in some time ago: that forgives no failure since, and tells no user agent.
        let since = self.identities.confirm(host, user_hash, trusted, self.now, &self.limits);
        if let Some(since) = since {
            let domain = Some(domain);
            self.remember(LoggedIn { source, user, domain, user_agent: "" }, since, actions);
        }
        self.free_from_wide_ban(source, actions);
    }

    /// A user agent, unless it was not told.
    pub(super) fn agent(&self, user_agent: &str) -> Option<u64> {
        (!user_agent.is_empty()).then(|| self.fingerprints.text(user_agent))
    }

    /// A ban that failures of another host made wider than one host never covers a known one: it narrows to
    /// the host that failed, and that of a whole network is split around the source.
    pub(super) fn free_from_wide_ban(&mut self, source: IpAddr, actions: &mut Vec<Action>) {
        let Some((net, ban)) = self.bans.covering(source) else {
            return;
        };
        let Some(evidence) = ban.cause.evidence().filter(|_| ban.origin == Origin::Automatic)
        else {
            return;
        };
        let failed = IpNet::from(net::canonical(evidence.address));
        let pieces = if evidence.rule == RuleName::Network {
            net::pieces_around(net, self.limits.source_net(source))
        } else if net == IpNet::from(source) || failed == IpNet::from(source) {
            // Its own failures.
            return;
        } else if net.contains(&failed) {
            vec![failed]
        } else {
            Vec::new()
        };
        self.split(net, pieces, UnblockReason::Exempted, actions);
    }

    /// A failure of a known source that looks like a phone with an old password.
    pub(super) fn attend(
        &mut self,
        seen: &Seen<'_>,
        grade: Grade,
        subject: &Subject,
        actions: &mut Vec<Action>,
    ) -> Option<Patient> {
        let window_ms = self.limits.window_ms;
        let source = self.sources.get(&subject.key);
        let others = source.is_some_and(|source| {
            source.history.holds_others(seen.user_hash, millis(self.now), window_ms)
        });
        let host = Key::of_addr(seen.source);
        let proof = (grade, subject.standing);
        let patient = self.identities.patient(host, seen, proof, others, self.now, &self.limits)?;
        if patient.tell {
            actions.push(Action::NeedsAttention {
                source: seen.source,
                user: seen.user.to_text(),
                user_agent: seen.user_agent.to_text(),
                last_success: patient.last_success,
            });
        }
        Some(patient)
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

    /// A host that an answer had exempted is exempt no more, and everybody is asked about anew: who fails
    /// next, and who is banned, as far as there is room for questions.
    pub(super) fn on_acls_changed(&mut self, actions: &mut Vec<Action>) {
        self.acl.clear();
        self.exemptions.replace(Exemption::Acl, &[]);
        self.note_spared();
        let banned: Vec<IpAddr> = self
            .bans
            .iter()
            .filter(|(_, ban)| ban.origin == Origin::Automatic)
            .filter_map(|(_, ban)| Some(net::canonical(ban.cause.evidence()?.address)))
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
