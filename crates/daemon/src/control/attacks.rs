//! Accounts under attack, sources and user agents.

use std::collections::HashSet;
use std::net::IpAddr;

use ipnet::IpNet;

use super::bounds::{at_most, limit};
use super::error::ControlError;
use super::{Control, aside};
use crate::EngineHandle;
use crate::activity::{self, Attacked, Column, MOST_FAILURES, Patient, Remembered, Row};
use sipward_model::text::Time;
use sipward_model::wire::{
    AttackedUser, AttackingSource, Memory, Phone, Top, TopBy, TopEntry, TopOnly, TopQuery,
    UserPage, UserQuery,
};

/// Longest text to search for, in bytes.
pub(super) const MAX_SEARCH: usize = 128;

/// Phones on a page.
const PHONES: usize = 100;

/// Addresses looked up among the bans in one call to the engine: well under a millisecond.
const PART: usize = 512;

impl Control {
    /// Accounts under attack, and healthy phones that failed, by the failures that are remembered.
    pub async fn users(&self, query: UserQuery) -> Result<UserPage, ControlError> {
        let limit = limit(query.limit)?;
        at_most("search", query.search.as_deref(), MAX_SEARCH)?;
        let skip = query.cursor.as_deref().map(str::parse::<usize>).transpose();
        let skip =
            skip.map_err(|_| ControlError::field("cursor", "use `next` of the previous page"))?;
        let skip = skip.unwrap_or_default();
        let (memory, (accounts, total), (phones, attention_total)) = of_memory(self, move |seen| {
            let users = activity::users(seen, query.search.as_deref(), skip, limit);
            (memory(seen), users, activity::patients(seen, PHONES))
        })
        .await?;
        let named =
            accounts.iter().flat_map(|account| account.top.iter().map(|(source, _)| *source));
        let named = named.chain(phones.iter().map(|phone| phone.source)).collect();
        let banned = banned(&self.engine, named).await?;
        let shown = skip.saturating_add(accounts.len());
        let more = !accounts.is_empty() && (shown as u64) < total;
        Ok(UserPage {
            items: accounts.into_iter().map(|account| user(account, &banned)).collect(),
            total,
            next: more.then(|| shown.to_string()),
            attention: phones.into_iter().map(|one| phone(one, &banned)).collect(),
            attention_total,
            memory,
        })
    }

    /// The sources, users or user agents with the most failures that count, by the failures that are remembered.
    pub async fn top(&self, query: TopQuery) -> Result<Top, ControlError> {
        let limit = limit(query.limit)?;
        let by = query.by.unwrap_or_default();
        let column = match by {
            TopBy::Address => Column::Source,
            TopBy::User => Column::User,
            TopBy::UserAgent => Column::UserAgent,
        };
        let wanted = move |row: &Row| match query.only {
            None => true,
            Some(TopOnly::Counted) => row.counted > 0,
            Some(TopOnly::Forgeable) => row.proved == 0,
        };
        let (memory, (rows, total)) = of_memory(self, move |seen| {
            (memory(seen), activity::rows(seen, column, wanted, limit))
        })
        .await?;
        let banned =
            banned(&self.engine, rows.iter().filter_map(|row| row.address).collect()).await?;
        let items = rows.into_iter().map(|row| entry(row, &banned)).collect();
        Ok(Top { by, items, total, memory })
    }
}

/// Makes a table of recent failures, on a separate thread.
pub(super) async fn of_memory<T: Send + 'static>(
    control: &Control,
    make: impl FnOnce(&Remembered) -> T + Send + 'static,
) -> Result<T, ControlError> {
    let seen = control.metrics.recall(|activity, now| activity.attacks.remembered(now));
    aside(move || make(&seen)).await
}

/// Which of these addresses are banned.
pub(super) async fn banned(
    engine: &EngineHandle,
    addresses: Vec<IpAddr>,
) -> Result<HashSet<IpAddr>, ControlError> {
    let mut banned = HashSet::new();
    for part in addresses.chunks(PART) {
        let part = part.to_vec();
        let found = engine.call(move |task| {
            let is_banned = |address: &IpAddr| {
                task.engine().bans_covering(IpNet::from(*address)).next().is_some()
            };
            part.into_iter().filter(is_banned).collect::<Vec<_>>()
        });
        banned.extend(found.await?);
    }
    Ok(banned)
}

pub(super) fn memory(seen: &Remembered) -> Memory {
    Memory {
        failures: seen.count() as u64,
        remembered_at_most: MOST_FAILURES as u64,
        since: Time(seen.since),
    }
}

fn user(account: Attacked, banned: &HashSet<IpAddr>) -> AttackedUser {
    let source = |(address, failures)| AttackingSource {
        address,
        failures,
        banned: banned.contains(&address),
    };
    AttackedUser {
        user: account.user,
        failures: account.failures,
        proved: account.proved,
        sources: account.sources,
        first: Time(account.first),
        last: Time(account.last),
        top_sources: account.top.into_iter().map(source).collect(),
        profiles: account.profiles,
    }
}

fn phone(patient: Patient, banned: &HashSet<IpAddr>) -> Phone {
    let Patient { user, source, user_agent, last_success, told, failures, last } = patient;
    Phone {
        user,
        address: source,
        user_agent,
        last_success: last_success.map(Time),
        told: Time(told),
        failures,
        last: last.map(Time),
        banned: banned.contains(&source),
    }
}

fn entry(row: Row, banned: &HashSet<IpAddr>) -> TopEntry {
    let is_source = row.address.is_some();
    TopEntry {
        name: row.name,
        failures: row.failures,
        proved: row.proved,
        counted: row.counted,
        users: is_source.then_some(row.distinct),
        sources: (!is_source).then_some(row.distinct),
        last: Time(row.last),
        banned: row.address.map(|address| banned.contains(&address)),
    }
}
