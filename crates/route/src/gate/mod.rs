//! The gate: nftables rules that drop what a blackholed source sends, and nothing else.
//!
//! ```text
//! table inet sipward {
//!   chain gate {
//!     type filter hook prerouting priority raw; policy accept;
//!     iif lo accept
//!     ip saddr @banned4 counter drop
//!     ip6 saddr @banned6 counter drop
//!     ip6 saddr & ffff:ffff:ffff:ffff:: @banned6_64 counter drop
//!     meta nfproto ipv6 fib saddr type blackhole counter drop
//!     meta nfproto ipv4 meta mark set meta mark | 0x20000000 fib saddr . mark oif missing \
//!       fib saddr type != local counter drop
//!     meta nfproto ipv4 meta mark set meta mark & 0xdfffffff
//!     meta l4proto udp th dport @sip_ports goto sip_udp
//!     meta l4proto tcp th dport @sip_ports goto sip_tcp
//!   }
//!   chain sip_udp {
//!     ip saddr @sip_banned4 counter drop
//!     ip saddr @sip_banned_nets4 counter drop
//!     ip saddr . meta l4proto . th sport @denied4 \
//!       ip saddr . meta l4proto . th sport != @healthy_flows_udp4 counter drop
//!     counter name "sip"
//!     ip saddr @unlimited4 goto unlimited
//!     ip saddr . meta l4proto . th sport @healthy_flows_udp4 jump healthy_udp
//!     ip saddr @slowed_udp4 goto slowed
//!     ip saddr @healthy_udp4 jump healthy_udp
//!     counter name "strangers"
//!     add @counted4 { ip saddr counter }
//!     update @strangers_udp4 { ip saddr limit rate over 50/second burst 50 packets } \
//!       counter name "dropped_own_udp4" drop
//!     meta l4proto != @budgets accept
//!     ip saddr @granted4 limit name "newcomers_udp" counter name "newcomers" accept
//!     ip saddr != @admitted4 limit name "newcomers_udp" add @admitted4 { ip saddr } \
//!       counter name "newcomers" accept
//!     limit name "strangers_udp" accept
//!     meta nfproto ipv4 counter name "dropped_budget_udp4" drop
//!   }
//!   chain healthy_udp {
//!     update @guaranteed_udp4 { ip saddr limit rate 5/second burst 3 packets } \
//!       counter name "healthy" accept
//!     update @even_udp4 { ip saddr limit rate 5/second burst 2 packets } \
//!       limit name "even_udp" counter name "healthy" accept
//!     limit name "healthy_udp" counter name "healthy" accept
//!   }
//!   chain slowed {
//!     add @counted4 { ip saddr counter }
//!     meta nfproto ipv4 counter name "dropped_slowed4" drop
//!   }
//!   chain challenges {
//!     type filter hook output priority raw; policy accept;
//!     meta l4proto != udp accept
//!     th sport != @sip_ports accept
//!     @th,64,88 "SIP/2.0 401" ip daddr != @healthy_udp4 ip daddr != @challenged4 \
//!       add @challenged4 { ip daddr } add @granted4 { ip daddr limit rate 1/hour burst 5 packets }
//!   }
//! }
//! ```
//!
//! The same again for IPv6, by /64, and in `sip_tcp` and `new_tcp` for TCP, where bytes and new
//! connections are limited; `docs/ARCHITECTURE.md` shows the listing.
//!
//! Exact hosts are in hash sets in front of the look-ups of routes, which cost several times as much. The route
//! behind each stays: it stops answers, and what a set that somebody flushed lets through. Networks are found by
//! their routes alone. Bans of the SIP ports and denied flows have no routes: their sets, and those of the banned
//! hosts, stay with what they hold when the table is set anew.
//!
//! IPv6 can ask whether a source is blackholed. IPv4 can only ask which interface leads to it, and "none"
//! also means "no route". So the IPv4 lookup is made with one more mark bit, and a policy rule behind all
//! others gives packets with that bit a last route, `default dev lo`: then "none" means that the lookup
//! ended at a blackhole (or an `unreachable` or `prohibit` route, whose sources nobody can answer
//! either). The bit is cleared again before the packet is routed, so neither routing nor
//! `src_valid_mark` sees it; other bits are left as they are.
//!
//! What banned sources do not send and is for the SIP ports is counted: a flood can silence FreeSWITCH's
//! events, but not this counter. Then comes the shield. Unlimited hosts pass. Slowed hosts pass once a second.
//! Healthy hosts pass as long as they keep to their limits: by what is guaranteed to each, by the part of their
//! common limit that is for hosts which send evenly, or by the rest of it. So do flows of registered phones whose
//! hosts are not healthy. The rest are strangers: each has limits of its own, and all of them
//! share budgets, named limits of both families. Half of the budget of UDP packets is for newcomers: the
//! first packet of a stranger in 30 s, and the 4 that follow a challenge.
//!
//! The budgets are in force for the transports in the set `budgets`, which is empty until the healthy
//! hosts are in the kernel. The chains of the shield and what they use are there only where the settings
//! name SIP ports and a shield. Fragments behind the first name no port: they pass, and are of no use
//! without it.

mod banned;
mod bans;
mod chain;
mod content;
mod elements;
mod expression;
mod family;
mod flows;
mod found;
mod hosts;
mod inspect;
mod limits;
mod message;
mod objects;
mod ranges;
mod rule;
mod ruleset;
mod sets;
mod stateful;
mod table;

use std::collections::HashMap;
use std::time::Instant;

use netlink_bindings::nftables::OpGetgenDo;
use netlink_sys::protocols::NETLINK_NETFILTER;
use nix::errno::Errno;
use tracing::debug;

pub use self::bans::MOST_COUNTED;
pub(crate) use self::bans::{Direction, nets};
pub(crate) use self::content::Counted;
use self::content::Counters;
use self::flows::Flows;
pub(crate) use self::flows::Outcome;
pub use self::found::GateState;
pub(crate) use self::hosts::STEP;
use self::inspect::{Expected, State};
pub(crate) use self::ranges::Ranges;
pub use self::sets::MOST_DENIED;
use self::sets::Set;
use crate::netlink::{Batch, Channel, Refusal, Reply};
use crate::rules::{self, Rule};
use crate::shield::Key;
use crate::{GateSettings, RouteError, ShieldSettings};

/// What cannot be done without the kernel's modules.
const SET: &str = "set the nftables gate";
/// Messages of a transaction that changes nothing: its begin and its end.
const NOTHING: usize = 2;
/// `NFT_MSG_GETGEN` (`linux/netfilter/nf_tables.h`, in `NFNL_SUBSYS_NFTABLES`).
const GET_GENERATION: u16 = 10 << 8 | 16;

/// The nftables rules together with the policy rule and the fallback route they rely on.
#[derive(Debug)]
pub(crate) struct Gate {
    netfilter: Channel,
    settings: GateSettings,
    protocol: u8,
    /// Why the kernel does not take the shield; then the gate stands without it.
    shield_refused: Option<String>,
    /// The networks without a limit; `None` until somebody says so. Until then a gate that stands from an
    /// earlier run keeps those it had, so that a restart hits no customer.
    unlimited: Option<Ranges>,
    /// The healthy hosts in the kernel, with the registrations that their limits were made for.
    healthy: HashMap<Key, u32>,
    /// Whether the budgets are in force; `None` until the kernel was asked.
    budgets: Option<bool>,
    /// Until when hosts are slowed.
    slowed: HashMap<Key, Instant>,
    /// The networks of the set of those that are banned from the SIP ports.
    sip_nets: Ranges,
    flows: Flows,
    /// The sets of bans and flows are not as they were left.
    is_stale: bool,
    /// The kernel refused a change of hosts: its sets are not as we left them.
    is_suspect: bool,
    /// The table was set anew: it holds no hosts.
    is_fresh: bool,
    /// Where the counters stood when they were read last.
    counted: Option<Counters>,
}

/// What had to be set to make the gate stand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Repaired {
    /// Policy rules and the fallback route.
    pub(crate) rules: usize,
    /// The nftables table.
    pub(crate) ruleset: bool,
}

impl Gate {
    /// Opens the netfilter socket.
    ///
    /// # Errors
    /// When this kernel has no netfilter.
    pub(crate) fn open(settings: GateSettings, protocol: u8) -> Result<Self, RouteError> {
        let mut netfilter = Channel::open(NETLINK_NETFILTER).map_err(RouteError::Socket)?;
        netfilter.allow_large_sends();
        Ok(Self {
            netfilter,
            settings,
            protocol,
            shield_refused: None,
            unlimited: None,
            healthy: HashMap::new(),
            budgets: None,
            slowed: HashMap::new(),
            sip_nets: Ranges::default(),
            flows: Flows::default(),
            // What an earlier run left is not known.
            is_stale: true,
            is_suspect: false,
            is_fresh: false,
            counted: None,
        })
    }

    /// Other ports on which SIP is spoken; [`Gate::ensure`] sets them.
    pub(crate) fn listen_on(&mut self, ports: Vec<u16>) {
        self.settings.sip_ports = ports;
    }

    /// The port that marks notifications about our own changes.
    pub(crate) fn port(&self) -> u32 {
        self.netfilter.port()
    }

    /// Sets what is missing. The fallback comes first and the ruleset last, so that no packet meets a
    /// rule that takes a missing route for a ban.
    ///
    /// # Errors
    /// When netlink fails or the kernel refuses, for example because it was built without `nft_fib`; when
    /// a table of somebody else has our table's name.
    pub(crate) async fn ensure(&mut self, route: &mut Channel) -> Result<Repaired, RouteError> {
        let fallback = rules::ensure_fallback(route, self.protocol, &self.settings).await?;
        let wanted = [rules::for_gate(&self.settings)];
        let added = rules::ensure(route, self.protocol, &wanted).await?;
        let damaged = match self.state().await? {
            State::Standing => self.is_suspect,
            State::Damaged => true,
            State::Foreign => {
                let name = &self.settings.table_name;
                return Err(RouteError::Refused {
                    what: SET.to_owned(),
                    reason: format!(
                        "another program has a table `inet {name}`; choose another table name"
                    ),
                });
            }
        };
        if damaged {
            self.install().await?;
        } else if self.budgets.is_none() && self.shield().is_some() {
            self.learn().await?;
        }
        Ok(Repaired { rules: added + usize::from(fallback), ruleset: damaged })
    }

    /// Removes our rulesets, then the rules and the fallback they rely on; returns what was there.
    ///
    /// # Errors
    /// When netlink fails or the kernel refuses.
    pub(crate) async fn remove(&mut self, route: &mut Channel) -> Result<Repaired, RouteError> {
        let ruleset = self.remove_rulesets(|_| true).await?;
        let mut removed = self.remove_rules(route, |_| true).await?;
        let fallback = rules::remove_fallback(route, self.protocol, &self.settings).await?;
        removed += usize::from(fallback);
        Ok(Repaired { rules: removed, ruleset })
    }

    /// Removes what other settings left: rulesets of another name, rules for another mark or table.
    ///
    /// # Errors
    /// When netlink fails or the kernel refuses.
    pub(crate) async fn remove_others(&mut self, route: &mut Channel) -> Result<(), RouteError> {
        let name = self.settings.table_name.clone();
        self.remove_rulesets(|table| table != name).await?;
        let current = rules::for_gate(&self.settings);
        self.remove_rules(route, |rule| *rule != current).await?;
        Ok(())
    }

    /// What was counted since this was asked last; nothing when asked first, because the counters of a
    /// gate that stands from an earlier run tell of times long gone.
    ///
    /// # Errors
    /// When netlink fails.
    pub(crate) async fn count(&mut self) -> Result<Counted, RouteError> {
        let now = content::counters(&mut self.netfilter, &self.settings).await?;
        let counted = self.counted.as_ref().map(|before| now.since(before)).unwrap_or_default();
        self.counted = Some(now);
        Ok(counted)
    }

    /// Takes other settings of the shield; they are in force after the next [`ensure`](Self::ensure).
    pub(crate) fn change_shield(&mut self, shield: Option<ShieldSettings>) {
        self.settings.shield = shield;
        self.shield_refused = None;
    }

    /// The shield as it is in the kernel, or would be.
    pub(crate) fn shield(&self) -> Option<&ShieldSettings> {
        self.settings.effective_shield().filter(|_| self.shield_refused.is_none())
    }

    /// Why the kernel does not take the shield.
    pub(crate) fn shield_refused(&self) -> Option<&str> {
        self.shield_refused.as_deref()
    }

    /// Healthy hosts in the kernel.
    pub(crate) fn healthy(&self) -> impl ExactSizeIterator<Item = Key> {
        self.healthy.keys().copied()
    }

    /// Whether the budgets are in force.
    pub(crate) fn has_budgets(&self) -> bool {
        self.budgets == Some(true)
    }

    /// Whether the table was set anew since this was asked last.
    pub(crate) fn take_fresh(&mut self) -> bool {
        std::mem::take(&mut self.is_fresh)
    }

    /// Whether the kernel holds something else than was left there.
    pub(crate) fn is_suspect(&self) -> bool {
        self.is_suspect
    }

    /// How it stands, looked at without changing anything.
    ///
    /// # Errors
    /// When netlink fails or the kernel refuses: it shows nftables to `CAP_NET_ADMIN` only.
    pub(crate) async fn look(&mut self, route: &mut Channel) -> Result<GateState, RouteError> {
        let name = &self.settings.table_name;
        let there = inspect::tables(&mut self.netfilter).await?.contains(name);
        let wanted = rules::for_gate(&self.settings);
        let rule = rules::ours(route, self.protocol).await?.contains(&wanted);
        let fallback = rules::has_fallback(route, self.protocol, &self.settings).await?;
        // Its numbers are FreeSWITCH's, and known to a running daemon only.
        let expected = Expected { any_numbers: true, ..Expected::default() };
        let gate = self.in_force();
        Ok(match inspect::state(&mut self.netfilter, &gate, expected).await? {
            State::Foreign => GateState::Foreign,
            State::Damaged if !there && !rule && !fallback => GateState::Missing,
            State::Damaged if !there => {
                GateState::Damaged { what: "the nftables table is missing" }
            }
            State::Damaged => GateState::Damaged { what: "the nftables table was changed" },
            State::Standing if !rule => GateState::Damaged { what: "the policy rule is missing" },
            State::Standing if !fallback => {
                GateState::Damaged { what: "the fallback route is missing" }
            }
            State::Standing => {
                let dropped = inspect::dropped(&mut self.netfilter, &self.settings).await?;
                GateState::Standing { dropped }
            }
        })
    }

    async fn state(&mut self) -> Result<State, RouteError> {
        let gate = self.in_force();
        let expected = Expected {
            unlimited: self.unlimited.as_ref(),
            healthy: self.budgets.is_some().then_some(&self.healthy),
            budgets: self.budgets,
            any_numbers: false,
        };
        inspect::state(&mut self.netfilter, &gate, expected).await
    }

    /// The settings without a shield that the kernel does not take.
    fn in_force(&self) -> GateSettings {
        let shield = self.shield().copied();
        GateSettings { shield, ..self.settings.clone() }
    }

    /// Sets the table anew; without the shield where the kernel does not take it, because the bans must
    /// hold all the same.
    async fn install(&mut self) -> Result<(), RouteError> {
        let Some(refusal) = self.try_install().await? else {
            return self.installed().await;
        };
        if self.shield().is_none() || refusal.errno == Errno::EPERM {
            return Err(refused(SET, &refusal));
        }
        self.shield_refused = Some(refused("set the shield", &refusal).to_string());
        match self.try_install().await? {
            None => self.installed().await,
            Some(refusal) => {
                self.shield_refused = None;
                Err(refused(SET, &refusal))
            }
        }
    }

    /// Sets the table anew, around the sets of bans and flows where they are as they should be: what these hold
    /// is dropped all the while.
    async fn try_install(&mut self) -> Result<Option<Refusal>, RouteError> {
        let gate = self.in_force();
        if let Some(content) = table::contents(&mut self.netfilter, &gate).await? {
            let batch = ruleset::install(&gate, self.unlimited.as_ref(), Some(&content));
            match self.transact(batch).await? {
                None => {
                    let lasting = Set::all(&gate).into_iter().filter(|set| set.is_lasting());
                    self.is_stale |= ruleset::kept(&gate, &content).len() < lasting.count();
                    return Ok(None);
                }
                Some(refusal) => debug!(%refusal, "the whole table is set anew"),
            }
        }
        let batch = ruleset::install(&gate, self.unlimited.as_ref(), None);
        let outcome = self.transact(batch).await?;
        self.is_stale |= outcome.is_none();
        Ok(outcome)
    }

    async fn installed(&mut self) -> Result<(), RouteError> {
        self.counted = Some(Counters::default());
        self.healthy.clear();
        self.forget_kept();
        self.budgets = Some(false);
        (self.is_suspect, self.is_fresh) = (false, true);
        self.slow_again().await
    }

    async fn remove_rulesets(
        &mut self,
        mut which: impl FnMut(&str) -> bool,
    ) -> Result<bool, RouteError> {
        let mut removed = false;
        for table in inspect::tables(&mut self.netfilter).await? {
            if !which(&table) {
                continue;
            }
            match self.transact(ruleset::remove(&table)).await? {
                None => removed = true,
                Some(refusal) if refusal.errno == Errno::ENOENT => {}
                Some(refusal) => return Err(refused("remove the nftables gate", &refusal)),
            }
        }
        Ok(removed)
    }

    async fn remove_rules(
        &mut self,
        route: &mut Channel,
        mut which: impl FnMut(&Rule) -> bool,
    ) -> Result<usize, RouteError> {
        let mut removed = 0;
        for rule in rules::ours(route, self.protocol).await? {
            if rule.is_for_gate() && which(&rule) {
                removed += usize::from(rules::remove(route, self.protocol, rule).await?);
            }
        }
        Ok(removed)
    }

    /// The number of the last transaction of anybody in this network namespace.
    ///
    /// # Errors
    /// When netlink fails.
    pub(crate) async fn generation(&mut self) -> Result<u32, RouteError> {
        let (mut batch, mut payload) = (Batch::default(), Vec::new());
        OpGetgenDo::encode_request(&mut payload, &message::header());
        batch.raw(GET_GENERATION, 0, &payload);
        let mut generation = 0;
        self.netfilter
            .exchange(batch, |_, reply| {
                if let Reply::Object(_, payload) = reply {
                    let (_, found) = OpGetgenDo::decode_request(payload);
                    generation = found.get_id().unwrap_or_default();
                }
            })
            .await?;
        Ok(generation)
    }

    /// Sends a transaction; returns the first refusal.
    async fn transact(&mut self, batch: Batch) -> Result<Option<Refusal>, RouteError> {
        let mut first = None;
        if batch.len() <= NOTHING {
            return Ok(first);
        }
        self.netfilter
            .transact(batch, |_, reply| {
                if let Reply::Refused(refusal) = reply {
                    first.get_or_insert(refusal);
                }
            })
            .await?;
        Ok(first)
    }
}

fn refused(what: &str, refusal: &Refusal) -> RouteError {
    match refusal.errno {
        Errno::EPERM => RouteError::NotPermitted,
        Errno::ENOENT | Errno::EOPNOTSUPP => RouteError::Refused {
            what: what.to_owned(),
            reason: format!("{refusal}; this kernel lacks nf_tables, nft_fib_inet or nft_limit"),
        },
        _ => RouteError::Refused { what: what.to_owned(), reason: refusal.to_string() },
    }
}
