//! Addresses of FreeSWITCH's gateways: configured ones, resolved names, and addresses that answered.
//!
//! The last answer for each name is kept until there is a better one.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::{Duration, Instant};

use crate::dns::Located;
use sipward_ingest::freeswitch::gateways::{Gateways, MAX_GATEWAYS};
use sipward_ingest::freeswitch::sofia_conf::SofiaConf;
use sipward_ingest::freeswitch::uri::{Host, Target};
use sipward_model::backoff::Backoff;

/// Gateways named for one address at most: a carrier may have hundreds there.
const NAMED: usize = 3;

/// Before a name without a complete answer is queried again.
const BACKOFF: Backoff =
    Backoff { first: Duration::from_secs(5), longest: Duration::from_secs(300) };

/// All gateways.
#[derive(Debug, Default)]
pub(super) struct Trunks {
    /// `<proxy>` of each gateway; `None` where it cannot be read.
    proxies: BTreeMap<String, Option<Target>>,
    /// Gateways beyond what there is room for.
    left_out: usize,
    /// Further proxies of `sofia.conf`, by gateway.
    conf: BTreeMap<String, Vec<Target>>,
    /// Gateways of `sofia.conf` with a proxy that cannot be read.
    unreadable: BTreeSet<String>,
    /// The registrar that answered each gateway, and when that was heard.
    registrars: BTreeMap<String, (IpAddr, Instant)>,
    names: BTreeMap<Target, Name>,
    /// Gateways that were reported as unprotected, and why.
    told: BTreeMap<String, String>,
    /// The list has come at least once.
    listed: bool,
}

/// The addresses of a target.
#[derive(Debug, Default)]
struct Name {
    addresses: BTreeSet<IpAddr>,
    /// When to ask again; `None` while that is being done, or never needed.
    due: Option<Instant>,
    /// Why (some of) its addresses are not known now.
    missing: Option<String>,
    failures: u32,
}

/// A gateway whose protection changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// Not all of its addresses are known. Why.
    Unprotected { gateway: String, error: String },
    /// All of them are.
    Protected { gateway: String },
}

impl Trunks {
    /// The gateways there are, asked for at `asked`.
    pub(super) fn set_gateways(&mut self, gateways: Gateways, asked: Instant) {
        self.left_out = gateways.left_out;
        self.proxies =
            gateways.list.into_iter().map(|gateway| (gateway.name, gateway.proxy)).collect();
        let proxies = &self.proxies;
        // What was heard since may be of a gateway that came since.
        self.registrars
            .retain(|gateway, (_, heard)| proxies.contains_key(gateway) || *heard >= asked);
        self.listed = true;
        self.follow();
    }

    /// Further proxies; an empty configuration when they are not to be looked at.
    pub(super) fn set_conf(&mut self, conf: &SofiaConf) {
        self.conf.clear();
        self.unreadable.clear();
        for gateway in &conf.gateways {
            self.conf
                .entry(gateway.name.clone())
                .or_default()
                .extend(gateway.proxies.iter().cloned());
            if gateway.unreadable {
                self.unreadable.insert(gateway.name.clone());
            }
        }
        // Packets of every gateway of a profile may go through the profile's proxy.
        for profile in &conf.profiles {
            if let Some(proxy) = &profile.outbound_proxy {
                self.conf.entry(String::new()).or_default().push(proxy.clone());
            }
        }
        self.follow();
    }

    /// The registrar of a gateway answered from this address. Says whether that is news.
    pub(super) fn set_registrar(&mut self, gateway: &str, address: IpAddr, now: Instant) -> bool {
        if self.registrars.len() >= MAX_GATEWAYS && !self.registrars.contains_key(gateway) {
            return false;
        }
        let before = self.registrars.insert(gateway.to_owned(), (address, now));
        before.is_none_or(|(before, _)| before != address)
    }

    /// Whether a gateway is in the list that came last.
    pub(super) fn knows(&self, gateway: &str) -> bool {
        self.proxies.contains_key(gateway)
    }

    /// Keeps the names that gateways have now, and asks for new ones.
    fn follow(&mut self) {
        let targets: BTreeSet<Target> = self
            .targets()
            .filter(|(_, target)| is_name(target))
            .map(|(_, target)| target.clone())
            .collect();
        self.names.retain(|target, _| targets.contains(target));
        let now = Instant::now();
        for target in targets {
            self.names.entry(target).or_insert_with(|| Name { due: Some(now), ..Name::default() });
        }
    }

    /// Every target with its gateway; `""` is the gateways of a whole profile.
    fn targets(&self) -> impl Iterator<Item = (&str, &Target)> {
        let proxies = self
            .proxies
            .iter()
            .filter_map(|(gateway, proxy)| Some((gateway.as_str(), proxy.as_ref()?)));
        let further = self.conf.iter().flat_map(|(gateway, targets)| {
            targets.iter().map(move |target| (gateway.as_str(), target))
        });
        // A gateway of the file that does not run needs no look-up.
        proxies.chain(
            further
                .filter(|(gateway, _)| gateway.is_empty() || self.proxies.contains_key(*gateway)),
        )
    }

    /// When the next name is due.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.names.values().filter_map(|name| name.due).min()
    }

    /// The names that are due, and whether each has an answer from before. They are not due again before
    /// [`Trunks::located`].
    pub(super) fn take_due(&mut self, now: Instant, most: usize) -> Vec<(Target, bool)> {
        let due = self.names.iter_mut().filter(|(_, name)| name.due.is_some_and(|due| due <= now));
        due.take(most)
            .map(|(target, name)| {
                name.due = None;
                (target.clone(), !name.addresses.is_empty())
            })
            .collect()
    }

    /// The answer for a name. An error, or what it does not know, leaves what was known.
    pub(super) fn located(
        &mut self,
        target: &Target,
        answer: Result<Located, String>,
        now: Instant,
    ) {
        let Some(name) = self.names.get_mut(target) else { return };
        let again = match answer {
            Ok(Located { addresses, again_at, missing: None }) => {
                (name.addresses, name.missing, name.failures) = (addresses, None, 0);
                name.due = again_at;
                return;
            }
            Ok(Located { addresses, again_at, missing }) => {
                name.addresses.extend(addresses);
                name.missing = missing;
                again_at
            }
            Err(error) => {
                name.missing = Some(error);
                None
            }
        };
        name.failures = name.failures.saturating_add(1);
        let retry = now + BACKOFF.pause(name.failures);
        name.due = Some(again.map_or(retry, |again| again.min(retry)));
    }

    /// The addresses of all gateways, each with the names of the gateways there: the first few of many.
    pub(super) fn addresses(&self) -> BTreeMap<IpAddr, String> {
        let mut all: BTreeMap<IpAddr, BTreeSet<&str>> = BTreeMap::new();
        for (gateway, (address, _)) in &self.registrars {
            all.entry(*address).or_default().insert(gateway);
        }
        for (gateway, target) in self.targets() {
            let addresses: Vec<IpAddr> = match &target.host {
                Host::Address(address) => vec![*address],
                Host::Name(_) => {
                    let name = self.names.get(target).into_iter();
                    name.flat_map(|name| &name.addresses).copied().collect()
                }
            };
            for address in addresses {
                all.entry(address).or_default().insert(gateway);
            }
        }
        let joined = |names: BTreeSet<&str>| {
            let more = names.len().saturating_sub(NAMED);
            let first = names.into_iter().take(NAMED).collect::<Vec<_>>().join(", ");
            if more > 0 { format!("{first} and {more} more") } else { first }
        };
        all.into_iter().map(|(address, names)| (address, joined(names))).collect()
    }

    /// Whether the addresses of every gateway are known.
    pub(super) fn are_known(&self) -> bool {
        self.listed && self.left_out == 0 && self.problems().is_empty() && !self.is_looking()
    }

    /// Whether a name has never had an answer, good or bad.
    fn is_looking(&self) -> bool {
        self.names.values().any(|name| name.addresses.is_empty() && name.missing.is_none())
    }

    /// Gateways of which something is not known, and what.
    fn problems(&self) -> BTreeMap<String, String> {
        let mut found = BTreeMap::new();
        let mut note = |gateway: &str, error: String| {
            let gateway =
                if gateway.is_empty() { "the outbound-proxy of a profile" } else { gateway };
            found.entry(gateway.to_owned()).or_insert(error);
        };
        for (gateway, proxy) in &self.proxies {
            if proxy.is_none() {
                note(gateway, "its proxy is not a SIP address".to_owned());
            }
        }
        for gateway in self.unreadable.iter().filter(|gateway| self.proxies.contains_key(*gateway))
        {
            note(gateway, "its register-proxy or outbound-proxy is not a SIP address".to_owned());
        }
        for (gateway, target) in self.targets() {
            let missing = self.names.get(target).and_then(|name| name.missing.as_ref());
            // A name that had an answer before is protected by it.
            if let Some(missing) = missing
                && self.names.get(target).is_none_or(|name| name.addresses.is_empty())
            {
                note(gateway, missing.clone());
            }
        }
        if self.left_out > 0 {
            let error = format!("only {MAX_GATEWAYS} gateways are examined");
            note(&format!("{} more gateways", self.left_out), error);
        }
        found
    }

    /// Names that keep an answer from before because the name server failed, and how it failed.
    pub(super) fn stale(&self) -> impl Iterator<Item = (&str, &str)> {
        self.names.iter().filter_map(|(target, name)| {
            let missing = name.missing.as_deref().filter(|_| !name.addresses.is_empty())?;
            match &target.host {
                Host::Name(host) => Some((host.as_str(), missing)),
                // An address is not looked up.
                Host::Address(_) => None,
            }
        })
    }

    /// What changed since this was asked last.
    pub(super) fn changes(&mut self) -> Vec<Change> {
        let now = self.problems();
        let over = self.told.keys().filter(|gateway| !now.contains_key(*gateway));
        let mut changes: Vec<Change> =
            over.map(|gateway| Change::Protected { gateway: gateway.clone() }).collect();
        let new = now.iter().filter(|(gateway, _)| !self.told.contains_key(*gateway));
        changes.extend(new.map(|(gateway, error)| Change::Unprotected {
            gateway: gateway.clone(),
            error: error.clone(),
        }));
        self.told = now;
        changes
    }
}

fn is_name(target: &Target) -> bool {
    matches!(target.host, Host::Name(_))
}

#[cfg(test)]
mod tests;
