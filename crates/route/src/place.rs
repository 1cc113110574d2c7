//! Where the bans are: in the main table, or in a table of their own with a rule before those of others.

use std::fmt;

use netlink_packet_route::AddressFamily;

use crate::blackhole::{self, Filter};
use crate::netlink::Channel;
use crate::policy_rules::PolicyRule;
use crate::rules::Rule;
use crate::settings::{BanTable, MAIN_TABLE};
use crate::ways::{self, Host};
use crate::{RouteError, Settings};

/// Tables for [`BanTable::Auto`]; the first unused one is taken.
const AUTO_TABLES: [u32; 9] = [216, 218, 219, 220, 221, 222, 223, 224, 225];

/// The table that holds the bans, and the rule that makes the kernel read it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) table: u32,
    /// Preference of our rule; `None` where the kernel's own rule leads there.
    pub(crate) preference: Option<u32>,
}

impl Place {
    pub(crate) const MAIN: Self = Self { table: MAIN_TABLE, preference: None };

    /// Where these settings put the bans on a host with these rules. `current` is where they are, if that
    /// is known: what [`BanTable::Auto`] has taken it keeps, so that a VPN that comes and goes moves
    /// nothing twice.
    ///
    /// # Errors
    /// When netlink fails or the kernel refuses.
    pub(crate) async fn choose(
        channel: &mut Channel,
        settings: &Settings,
        host: &Host<'_>,
        current: Option<Self>,
    ) -> Result<Self, RouteError> {
        let preference = match settings.table {
            BanTable::Main => return Ok(Self::MAIN),
            BanTable::Own(own) => {
                return Ok(Self { table: own.id, preference: Some(own.preference) });
            }
            BanTable::Auto { preference } => preference,
        };
        let current = current.unwrap_or(Self::MAIN);
        let Some(first) = first_before(host, current.table) else {
            return Ok(current);
        };
        let own = current.preference.is_some();
        let table = if own { current.table } else { free_table(channel, settings, host).await? };
        let preference = current.preference.unwrap_or(preference);
        // Behind what is this host's own in any case.
        let preference = preference.min(first.saturating_sub(1)).max(floor(host));
        Ok(Self { table, preference: Some(preference) })
    }

    /// The rules that bans here need.
    pub(crate) fn rules(self) -> Vec<Rule> {
        let to_it = |family| Some(Rule::to_table(family, self.preference?, self.table));
        [AddressFamily::Inet, AddressFamily::Inet6].into_iter().filter_map(to_it).collect()
    }

    /// Where the bans are, for somebody who only looks. `ours` are the rules with our protocol number.
    pub(crate) fn found(settings: &Settings, ours: &[Rule]) -> Self {
        match settings.table {
            BanTable::Main => Self::MAIN,
            BanTable::Own(own) => Self { table: own.id, preference: Some(own.preference) },
            BanTable::Auto { .. } => ours
                .iter()
                .filter(|rule| !rule.is_for_gate())
                .find_map(|rule| {
                    let place = Self { table: rule.table(), preference: Some(rule.preference()) };
                    AUTO_TABLES.contains(&place.table).then_some(place)
                })
                .unwrap_or(Self::MAIN),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.table == MAIN_TABLE { f.write_str("main") } else { self.table.fmt(f) }
    }
}

impl Settings {
    /// The tables in which our blackholes are bans: that of these settings, and those where other
    /// settings may have left them, from which they move.
    pub(crate) fn tables(&self) -> Vec<u32> {
        let own = match self.table {
            BanTable::Own(own) => Some(own.id),
            BanTable::Main | BanTable::Auto { .. } => None,
        };
        let known = [MAIN_TABLE].into_iter().chain(AUTO_TABLES);
        let free = |table: &u32| *table != self.gate.fallback_table && Some(*table) != own;
        own.into_iter().chain(known.filter(free)).collect()
    }
}

/// The preference of the first rule, of either family, that is read before a table.
fn first_before(host: &Host<'_>, table: u32) -> Option<u32> {
    [AddressFamily::Inet, AddressFamily::Inet6]
        .into_iter()
        .filter_map(|family| ways::all_before(host, family, table).first().map(|r| r.preference))
        .min()
}

/// The preference of the rule that leads to this host's own addresses.
fn floor(host: &Host<'_>) -> u32 {
    let own = host.rules.iter().filter(|rule| rule.is_for_own_addresses());
    own.map(|rule| rule.preference).max().unwrap_or(0)
}

/// The first unused table; if all are used, the first one, which is then shared.
async fn free_table(
    channel: &mut Channel,
    settings: &Settings,
    host: &Host<'_>,
) -> Result<u32, RouteError> {
    let candidates = settings.tables().into_iter().filter(|table| AUTO_TABLES.contains(table));
    let mut first = None;
    for table in candidates {
        first.get_or_insert(table);
        let is_led_to =
            |rule: &PolicyRule| rule.leads_to(table) && rule.protocol != settings.protocol;
        if host.rules.iter().any(is_led_to) {
            continue;
        }
        let mut is_used = false;
        let filter = Filter { table: Some(table), ..Filter::default() };
        blackhole::dump(channel, filter, |route| is_used |= route.protocol != settings.protocol)
            .await?;
        if !is_used {
            return Ok(table);
        }
    }
    Ok(first.unwrap_or(MAIN_TABLE))
}
