//! `/users` and `/top`: who is attacked, from where, with what.

use std::collections::HashSet;
use std::net::IpAddr;

use axum::Json;
use axum::extract::State;
use ipnet::IpNet;

use super::Api;
use crate::activity::{self, Attacked, Column, MOST_FAILURES, Patient, Remembered, Row};
use crate::daemon::EngineHandle;
use crate::http::error::{self, Answer, ApiError};
use crate::http::extract::{Query, at_most, limit};
use crate::model::{
    AttackedUser, AttackingSource, Memory, Phone, ProblemKind, Top, TopBy, TopEntry, TopQuery,
    UserPage, UserQuery,
};
use crate::text::Time;

/// Longest text to search for, in bytes.
pub(super) const MAX_SEARCH: usize = 128;

/// Phones on a page.
const PHONES: usize = 100;

/// Addresses looked up among the bans in one call to the engine: well under a millisecond.
const PART: usize = 512;

/// Accounts under attack, and healthy phones that failed, by the failures that are remembered.
#[utoipa::path(
    get, path = "/api/v1/users", tag = "sources", params(UserQuery),
    responses(
        (status = 200, description = "A page of accounts", body = UserPage), error::QueryErrors, error::CommonErrors
    )
)]
pub(crate) async fn users(
    State(api): State<Api>,
    Query(query): Query<UserQuery>,
) -> Answer<UserPage> {
    let limit = limit(query.limit)?;
    at_most("search", query.search.as_deref(), MAX_SEARCH)?;
    let skip = query.cursor.as_deref().map(str::parse::<usize>).transpose();
    let skip =
        skip.map_err(|_| ApiError::field("cursor", "take it from `next` of the page before"))?;
    let skip = skip.unwrap_or_default();
    let (memory, (accounts, total), (phones, attention_total)) = of_memory(&api, move |seen| {
        let users = activity::users(seen, query.search.as_deref(), skip, limit);
        (memory(seen), users, activity::patients(seen, PHONES))
    })
    .await?;
    let named = accounts.iter().flat_map(|account| account.top.iter().map(|(source, _)| *source));
    let named = named.chain(phones.iter().map(|phone| phone.source)).collect();
    let banned = banned(&api.engine, named).await?;
    let shown = skip.saturating_add(accounts.len());
    let more = !accounts.is_empty() && (shown as u64) < total;
    Ok(Json(UserPage {
        items: accounts.into_iter().map(|account| user(account, &banned)).collect(),
        total,
        next: more.then(|| shown.to_string()),
        attention: phones.into_iter().map(|one| phone(one, &banned)).collect(),
        attention_total,
        memory,
    }))
}

/// The sources, users or user agents that failed most often, by the failures that are remembered.
#[utoipa::path(
    get, path = "/api/v1/top", tag = "sources", params(TopQuery),
    responses(
        (status = 200, description = "The most frequent", body = Top), error::QueryErrors, error::CommonErrors
    )
)]
pub(crate) async fn top(State(api): State<Api>, Query(query): Query<TopQuery>) -> Answer<Top> {
    let limit = limit(query.limit)?;
    let by = query.by.unwrap_or_default();
    let column = match by {
        TopBy::Source => Column::Source,
        TopBy::User => Column::User,
        TopBy::UserAgent => Column::UserAgent,
    };
    let (memory, (rows, total)) =
        of_memory(&api, move |seen| (memory(seen), activity::rows(seen, column, limit))).await?;
    let banned = banned(&api.engine, rows.iter().filter_map(|row| row.address).collect()).await?;
    let items = rows.into_iter().map(|row| entry(row, &banned)).collect();
    Ok(Json(Top { by, items, total, memory }))
}

/// Makes a table of what is remembered, on a thread where nobody waits for it.
pub(super) async fn of_memory<T: Send + 'static>(
    api: &Api,
    make: impl FnOnce(&Remembered) -> T + Send + 'static,
) -> Result<T, ApiError> {
    let seen = api.metrics.recall(|activity, now| activity.attacks.remembered(now));
    let table = tokio::task::spawn_blocking(move || make(&seen)).await;
    table.map_err(|error| ApiError::new(ProblemKind::Unavailable, error.to_string()))
}

/// Which of these addresses are banned.
pub(super) async fn banned(
    engine: &EngineHandle,
    addresses: Vec<IpAddr>,
) -> Result<HashSet<IpAddr>, ApiError> {
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

fn memory(seen: &Remembered) -> Memory {
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
        source,
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
        users: is_source.then_some(row.distinct),
        sources: (!is_source).then_some(row.distinct),
        last: Time(row.last),
        banned: row.address.map(|address| banned.contains(&address)),
    }
}
