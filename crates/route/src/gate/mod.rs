//! The gate: nftables rules that drop what a blackholed source sends, and nothing else.
//!
//! ```text
//! table inet sipward {
//!   chain gate {
//!     type filter hook prerouting priority raw; policy accept;
//!     iif lo accept
//!     meta nfproto ipv6 fib saddr type blackhole counter drop
//!     meta nfproto ipv4 meta mark set meta mark | 0x20000000 fib saddr . mark oif missing \
//!       fib saddr type != local counter drop
//!     meta nfproto ipv4 meta mark set meta mark & 0xdfffffff
//!     meta l4proto udp th dport @sip_ports jump sip
//!     meta l4proto tcp th dport @sip_ports jump sip
//!   }
//!   chain sip {
//!     counter name "sip"
//!     ip saddr @spared4 return
//!     ip6 saddr @spared6 return
//!     update @limited4 { ip saddr limit rate over 50/second burst 50 packets } counter drop
//!     update @limited6 { ip6 saddr & ffff:ffff:ffff:ffff:: limit rate over 50/second burst 50 packets } \
//!       counter drop
//!   }
//! }
//! ```
//!
//! IPv6 can ask whether a source is blackholed. IPv4 can only ask which interface leads to it, and "none"
//! also means "no route". So the IPv4 lookup is made with one more mark bit, and a policy rule behind all
//! others gives packets with that bit a last route, `default dev lo`: then "none" means that the lookup
//! ended at a blackhole (or an `unreachable` or `prohibit` route, whose sources nobody can answer
//! either). The bit is cleared again before the packet is routed, so neither routing nor
//! `src_valid_mark` sees it; other bits are left as they are.
//!
//! What banned sources do not send and is for the SIP ports is counted: a flood can silence FreeSWITCH's
//! events, but not this counter. With a limit, each source may send so many packets a second and no
//! more, except the spared ones. The chain `sip` and what it uses are there only where the settings
//! name SIP ports, its last four rules only with a limit. Fragments behind the first name no port: they
//! pass, and are of no use without it.

mod expression;
mod inspect;
mod ruleset;
mod sets;
mod spared;

use netlink_sys::protocols::NETLINK_NETFILTER;
use nix::errno::Errno;

use self::inspect::State;
pub use self::spared::MOST_SPARED;
pub(crate) use self::spared::Spared;
use crate::netlink::{Batch, Channel, Refusal, Reply};
use crate::rules::{self, Rule};
use crate::{GateSettings, GateState, RouteError};

/// What cannot be done without the kernel's modules.
const SET: &str = "set the nftables gate";
/// What cannot be done with too many networks.
const SPARE: &str = "spare these networks from the limit";
/// Bytes of a transaction that sets the gate without spared networks: less than twenty messages.
const GATE_ONLY: usize = 16 * 1024;

/// The nftables rules together with the policy rule and the fallback route they rely on.
#[derive(Debug)]
pub(crate) struct Gate {
    netfilter: Channel,
    settings: GateSettings,
    protocol: u8,
    /// Whom the limit spares; `None` until somebody says so. Until then a gate that stands from an
    /// earlier run keeps sparing whom it spared, so that a restart hits no customer.
    spared: Option<Spared>,
    /// Where the counter of packets to the SIP ports stood when it was read last.
    counted: Option<u64>,
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
        Ok(Self { netfilter, settings, protocol, spared: None, counted: None })
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
        let state = self.state().await?;
        match state {
            State::Standing => {}
            State::Damaged => self.install().await?,
            State::Foreign => {
                let name = &self.settings.table_name;
                return Err(RouteError::Refused {
                    what: SET.to_owned(),
                    reason: format!(
                        "a table `inet {name}` of somebody else exists; choose another table name"
                    ),
                });
            }
        }
        Ok(Repaired { rules: added + usize::from(fallback), ruleset: state == State::Damaged })
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

    /// Packets that arrived for the SIP ports since this was asked last; 0 when asked first, because the
    /// counter of a gate that stands from an earlier run tells of times long gone.
    ///
    /// # Errors
    /// When netlink fails.
    pub(crate) async fn arrivals(&mut self) -> Result<u64, RouteError> {
        let Some(now) = inspect::packets(&mut self.netfilter, &self.settings).await? else {
            return Ok(0);
        };
        Ok(match self.counted.replace(now) {
            Some(before) if before <= now => now - before,
            // Somebody has set it back.
            Some(_) => now,
            None => 0,
        })
    }

    /// Goes a step towards sparing the networks of `target`, at once in the kernel where the gate is
    /// `standing`. Tells whether it is reached. Many new networks take many steps, so that bans are set
    /// in between.
    ///
    /// # Errors
    /// When netlink fails, the kernel refuses, or they are more than this host lets us send at once; then
    /// those spared before stay.
    pub(crate) async fn spare(
        &mut self,
        target: &Spared,
        standing: bool,
    ) -> Result<bool, RouteError> {
        if !standing || self.settings.effective_limit().is_none() {
            self.spared = Some(target.clone());
            return Ok(true);
        }
        if self.spared.as_ref() == Some(target) {
            return Ok(true);
        }
        self.check_size(target)?;
        let nobody = Spared::default();
        let next = self.spared.as_ref().unwrap_or(&nobody).towards(target);
        self.respare(&next).await?;
        let reached = next == *target;
        self.spared = Some(next);
        Ok(reached)
    }

    /// A gate that was flushed is put back with all of them in one piece.
    fn check_size(&self, target: &Spared) -> Result<(), RouteError> {
        let largest = self.netfilter.largest_send();
        // Start and end of each range.
        let needed = GATE_ONLY + target.len() * 2 * sets::LARGEST_ELEMENT;
        if needed > largest {
            let reason = format!(
                "{needed} bytes are more than this host takes in one piece ({largest}); raise the \
                 sysctl net.core.wmem_max to {needed} or spare fewer"
            );
            return Err(RouteError::Refused { what: SPARE.to_owned(), reason });
        }
        Ok(())
    }

    async fn respare(&mut self, now: &Spared) -> Result<(), RouteError> {
        let largest = self.netfilter.largest_send();
        let batch = ruleset::respare(&self.settings, self.spared.as_ref(), now);
        if batch.size() <= largest && self.transact(batch).await?.is_none() {
            return Ok(());
        }
        // The sets are not as they were left, or the difference is larger than the whole.
        match self.transact(ruleset::install(&self.settings, Some(now))).await? {
            None => {
                self.counted = Some(0);
                Ok(())
            }
            Some(refusal) => Err(refused(SPARE, &refusal)),
        }
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
        Ok(match self.state().await? {
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
        inspect::state(&mut self.netfilter, &self.settings, self.spared.as_ref()).await
    }

    async fn install(&mut self) -> Result<(), RouteError> {
        let batch = ruleset::install(&self.settings, self.spared.as_ref());
        match self.transact(batch).await? {
            None => {
                self.counted = Some(0);
                Ok(())
            }
            Some(refusal) => Err(refused(SET, &refusal)),
        }
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

    /// Sends a transaction; returns the first refusal.
    async fn transact(&mut self, batch: Batch) -> Result<Option<Refusal>, RouteError> {
        let mut first = None;
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
