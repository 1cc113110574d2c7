//! Active registrations: hosts that are known because FreeSWITCH serves them now.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::time::Duration;

use ipnet::IpNet;

use super::Engine;
use super::identity::{LoggedIn, checked};
use crate::effect::{Effect, Standing};
use crate::key::Key;
use crate::live::{self, Proof, Put};
use crate::{
    Action, Identity, Origin, Registered, RegistrationEnded, Timestamp, UnblockReason, net,
};

/// A user at more addresses than this in the first list of registrations is not trusted there.
const MAX_LISTED_ADDRESSES: u32 = 3;

impl Engine {
    /// What is known of an address: the users that logged in from there, and what may be done to it when `account`
    /// (the hash of a user) fails.
    #[inline]
    pub(super) fn standing(&self, addr: IpAddr, account: Option<u64>) -> (Identity, Standing) {
        let (identity, standing) = self.own_standing(addr, account);
        if self.fleet.is_none() {
            return (identity, standing);
        }
        let identity = self.with_peers(&Key::of_addr(addr), identity);
        let registered = standing.is_registered();
        (identity, if registered { standing } else { Standing::unregistered(identity) })
    }

    /// The same by what this node knows alone.
    pub(super) fn own_standing(&self, addr: IpAddr, account: Option<u64>) -> (Identity, Standing) {
        let host = Key::of_addr(addr);
        let identity = self.identities.of(&host, self.now, &self.limits);
        let registered = self.live.accounts(&host, self.now);
        let identity = match identity {
            Identity::Stranger if registered != live::Registered::Nobody => Identity::Known,
            Identity::Stranger if self.is_caller(&host) => Identity::Caller,
            identity => identity,
        };
        let standing = match registered {
            live::Registered::Nobody => Standing::unregistered(identity),
            live::Registered::Only(only) if account == Some(only) => Standing::Registered,
            live::Registered::Only(_) | live::Registered::Several => Standing::OthersRegistered,
        };
        (identity, standing)
    }

    /// What an address is counted under: its network, or the host alone if another host in the network is known or
    /// exempt, so that each only counts its own failures.
    #[inline]
    pub(super) fn key(&self, addr: IpAddr) -> Key {
        // Most sources are IPv4 hosts: every event asks three times.
        if addr.is_ipv4() && self.limits.is_host(addr) {
            return Key::of_addr(addr);
        }
        self.key_in_network(addr)
    }

    #[inline(never)]
    fn key_in_network(&self, addr: IpAddr) -> Key {
        let key = self.limits.net_key(addr);
        if self.limits.is_host(addr) || !self.is_inhabited(addr, &key) {
            return key;
        }
        Key::of_addr(addr)
    }

    /// A known or exempt host is in the network of an address.
    pub(super) fn is_inhabited(&self, addr: IpAddr, net_key: &Key) -> bool {
        let known = self.inhabited.get(net_key);
        known.is_some_and(|until| *until > self.now)
            || self.fleet.as_ref().is_some_and(|it| it.known.inhabits(net_key, &self.fresh(it)))
            || self.exemptions.touching(&self.limits.source_net(addr)).next().is_some()
    }

    /// Sources that are no strangers. Some come twice.
    pub(super) fn known_sources(&self) -> impl Iterator<Item = Key> {
        let remember = self.limits.policy.healthy.remember;
        self.live.hosts(self.now).chain(self.identities.known(self.now, remember))
    }

    pub(super) fn on_registered(&mut self, registered: &Registered<'_>, actions: &mut Vec<Action>) {
        let Registered { source, domain, realm, user_agent, .. } = *registered;
        let user = registered.username.unwrap_or(registered.user);
        let put = self.registration(registered);
        // An old FreeSWITCH sends no attempts: nothing to judge by.
        let proved = !self.joins.sends_attempts(registered.core)
            || self.is_proved(put.host, put.account, put.line);
        if !proved {
            // While nobody was looking the challenge may have been missed: a list will show it.
            self.unproved.note_registration(source, put, self.now);
            if !self.was_blind() {
                self.live.put(Put { proof: Proof::Unproved, ..put }, self.now);
            }
            return;
        }
        self.note_domain(domain);
        let checked = checked(realm, domain);
        self.on_success(LoggedIn { source, user, domain: checked, user_agent }, actions);
        self.note_proved_registration(source, put, actions);
    }

    /// An account that came from too many new addresses is known at the first of them only.
    pub(super) fn note_proved_registration(
        &mut self,
        source: IpAddr,
        put: Put,
        actions: &mut Vec<Action>,
    ) {
        if self.identities.is_at_home(put.host, put.account, self.now, &self.limits) {
            self.note_registration(source, put, actions);
        } else {
            // No list makes it known, either.
            self.live.put(Put { proof: Proof::Unproved, ..put }, self.now);
        }
    }

    pub(super) fn on_registration_ended(&mut self, ended: &RegistrationEnded<'_>) {
        let (_, hosts) = self.live.sizes();
        let text = |text| self.fingerprints.text(text);
        let (user, domain, call) = (text(ended.user), text(ended.domain), text(ended.call_id));
        self.live.end(self.fingerprints.registration_call(user, domain, call), self.now);
        self.note_fewer_live(hosts);
    }

    /// Replaces what holds by a snapshot.
    pub(super) fn on_registrations(
        &mut self,
        phones: &[Registered<'_>],
        asked: Timestamp,
        first: bool,
        actions: &mut Vec<Action>,
    ) {
        let first = first && self.limits.policy.healthy.trust_first_list;
        let spread = if first { self.addresses_by_account(phones) } else { HashMap::new() };
        for phone in phones {
            let put = self.registration(phone);
            if self.live.belongs_to_another(&put, self.now) {
                // A list says who is registered, not whose password that took.
                continue;
            }
            self.note_domain(phone.domain);
            let account = self.fingerprints.account(phone.user, Some(phone.domain));
            let trusted = spread.get(&account).is_some_and(|n| *n <= MAX_LISTED_ADDRESSES);
            // Other lists, and users at many addresses, make as many of them known as successes do.
            let known = trusted || self.may_be_listed(phone, put.host, actions);
            let proof = if known { Proof::Listed } else { Proof::Unproved };
            self.note_registration(phone.source, Put { proof, ..put }, actions);
            // A registration that was made from elsewhere is listed, too, and stays unproved.
            if self.live.of(&put.host, self.now) > 0 && known {
                self.on_listed(phone, trusted, actions);
                self.lift_what_holds_no_longer(phone.source, actions);
            }
        }
        let (_, hosts) = self.live.sizes();
        // Whatever the caller's clock says: hosts in the list remain registered.
        self.live.forget_unseen(asked.min(self.now), self.now);
        self.note_fewer_live(hosts);
    }

    /// Lifts a ban that would not be made now: it was made before the list of registrations arrived.
    fn lift_what_holds_no_longer(&mut self, source: IpAddr, actions: &mut Vec<Action>) {
        let source = net::canonical(source);
        let Some((net, ban)) = self.bans.covering(source) else {
            return;
        };
        let Some(evidence) = ban.cause.evidence().filter(|_| ban.origin == Origin::Automatic)
        else {
            return;
        };
        let (_, standing) = self.standing(source, None);
        let own = net == IpNet::from(source);
        if own && Effect::of(evidence.rule, standing, evidence.grade) != Effect::Ban {
            self.split(net, Vec::new(), UnblockReason::Exempted, actions);
        }
    }

    /// At how many addresses each account is.
    fn addresses_by_account(&self, phones: &[Registered<'_>]) -> HashMap<u64, u32> {
        let mut seen = HashSet::new();
        let mut spread = HashMap::new();
        for phone in phones {
            let account = self.fingerprints.account(phone.user, Some(phone.domain));
            if seen.insert((account, net::canonical(phone.source))) {
                *spread.entry(account).or_default() += 1;
            }
        }
        spread
    }

    /// Removes hosts that were not seen for too long.
    pub(super) fn expire_identities(&mut self, now: Timestamp) {
        let (known, ..) = self.identities.sizes();
        let (_, hosts) = self.live.sizes();
        self.identities.expire(now, &self.limits);
        self.live.expire(now);
        self.accounts_spread.expire(now);
        self.insiders.expire(now, &self.limits);
        self.expire_guessed(now);
        self.callers.expire(now);
        self.unproved.expire(now);
        self.proved.expire(|_, at| now.since(*at) >= Duration::from_secs(60));
        self.flows.expire(now);
        self.losses.expire(now);
        self.inhabited.expire(|_, until| *until <= now);
        self.populated.expire(|_, until| *until <= now);
        if self.identities.sizes().0 != known {
            self.note_spared();
        }
        self.note_fewer_live(hosts);
    }

    fn note_registration(&mut self, source: IpAddr, put: Put, actions: &mut Vec<Action>) {
        let source = net::canonical(source);
        self.greet(source);
        let (_, hosts) = self.live.sizes();
        self.live.put(put, self.now);
        self.note_inhabited(source);
        self.note_fewer_live(hosts);
        self.allow_registered(source, actions);
        self.settle_touching(&source.into(), actions);
    }

    fn note_fewer_live(&mut self, hosts_before: usize) {
        if self.live.sizes().1 < hosts_before {
            self.note_spared();
        }
    }

    fn registration(&self, registered: &Registered<'_>) -> Put {
        let Registered { user, domain, call_id, .. } = *registered;
        let host = Key::of_addr(net::canonical(registered.source));
        let text = |text| self.fingerprints.text(text);
        let account = text(registered.username.unwrap_or(user));
        let (user, domain, call) = (text(user), text(domain), text(call_id));
        Put {
            id: self.fingerprints.registration(user, domain, host),
            host,
            port: registered.port.filter(|port| *port > 0),
            account,
            call: self.fingerprints.registration_call(user, domain, call),
            line: self.fingerprints.line(host, account, call),
            life: registered.life,
            proof: Proof::Proved,
        }
    }

    /// A host is no longer a stranger, and the others of its network no longer share its count.
    pub(super) fn greet(&mut self, source: IpAddr) {
        if self.standing(source, None).1.is_strange() {
            self.note_spared();
        }
        self.note_inhabited(source);
    }

    pub(super) fn note_inhabited(&mut self, source: IpAddr) {
        self.note_inhabited_at(source, self.now);
    }

    /// A known host is in the networks of an address: for as long as it is remembered, and as its registrations hold.
    pub(super) fn note_inhabited_at(&mut self, source: IpAddr, at: Timestamp) {
        let remembered = at + self.limits.policy.healthy.remember;
        let registered = self.live.until(&Key::of_addr(source), self.now);
        let until = registered.map_or(remembered, |until| remembered.max(until));
        if !self.limits.is_host(source) {
            let entry = self.inhabited.entry(self.limits.net_key(source));
            *entry = until.max(*entry);
        }
        let entry = self.populated.entry(Key::of(&net::wide_net(source)));
        *entry = until.max(*entry);
    }
}
