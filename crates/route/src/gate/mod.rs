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

mod inspect;
mod ruleset;

use netlink_sys::protocols::NETLINK_NETFILTER;
use nix::errno::Errno;

use crate::netlink::{Channel, Refusal, Reply};
use crate::{GateSettings, RouteError, rules};

/// The nftables rules together with the policy rule and the fallback route they rely on.
#[derive(Debug)]
pub(crate) struct Gate {
    netfilter: Channel,
    settings: GateSettings,
    protocol: u8,
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
        let netfilter = Channel::open(NETLINK_NETFILTER).map_err(RouteError::Socket)?;
        Ok(Self {
            netfilter,
            settings,
            protocol,
        })
    }

    /// The port that marks notifications about our own changes.
    pub(crate) fn port(&self) -> u32 {
        self.netfilter.port()
    }

    /// Sets what is missing. The fallback comes first and the ruleset last, so that no packet meets a
    /// rule that takes a missing route for a ban.
    ///
    /// # Errors
    /// When netlink fails or the kernel refuses, for example because it was built without `nft_fib`.
    pub(crate) async fn ensure(&mut self, route: &mut Channel) -> Result<Repaired, RouteError> {
        let fallback = rules::ensure_fallback(route, self.protocol, &self.settings).await?;
        let wanted = [rules::for_gate(&self.settings)];
        let added = rules::ensure(route, self.protocol, &wanted).await?;
        let stands = inspect::stands(&mut self.netfilter, &self.settings).await?;
        if !stands {
            self.install().await?;
        }
        Ok(Repaired {
            rules: added + usize::from(fallback),
            ruleset: !stands,
        })
    }

    /// Removes the ruleset, then the rule and the fallback; returns what was there.
    ///
    /// # Errors
    /// When netlink fails or the kernel refuses.
    pub(crate) async fn remove(&mut self, route: &mut Channel) -> Result<Repaired, RouteError> {
        let ruleset = self.remove_ruleset().await?;
        let rule = rules::for_gate(&self.settings);
        let rule = rules::remove(route, self.protocol, rule).await?;
        let fallback = rules::remove_fallback(route, self.protocol, &self.settings).await?;
        Ok(Repaired {
            rules: usize::from(rule) + usize::from(fallback),
            ruleset,
        })
    }

    async fn install(&mut self) -> Result<(), RouteError> {
        match self.transact(ruleset::install(&self.settings)).await? {
            None => Ok(()),
            Some(refusal) => Err(refused("set the nftables gate", &refusal)),
        }
    }

    async fn remove_ruleset(&mut self) -> Result<bool, RouteError> {
        match self.transact(ruleset::remove(&self.settings)).await? {
            None => Ok(true),
            Some(refusal) if matches!(refusal.errno, Errno::ENOENT | Errno::EOPNOTSUPP) => {
                Ok(false)
            }
            Some(refusal) => Err(refused("remove the nftables gate", &refusal)),
        }
    }

    /// Sends a transaction; returns the first refusal.
    async fn transact(
        &mut self,
        batch: crate::netlink::Batch,
    ) -> Result<Option<Refusal>, RouteError> {
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
            reason: format!("{refusal}; this kernel lacks nf_tables or nft_fib_inet"),
        },
        _ => RouteError::Refused {
            what: what.to_owned(),
            reason: refusal.to_string(),
        },
    }
}
