//! `/allow`.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use ipnet::IpNet;
use sipward_engine::UnblockReason;
use tokio::sync::broadcast;

use super::bans::{MAX_WORDS, wait_for_unbans};
use super::overlap::Staying;
use super::{Api, convert};
use crate::config::HostEntry;
use crate::daemon::{self, Allowed};
use crate::http::error::{self, Answer, ApiError};
use crate::http::extract::{Place, Query, Sent, at_most, limit};
use crate::model::{
    AllowChanged, AllowEntry, AllowOrigin, AllowPage, AllowQuery, MAX_LISTED, NewAllow, Problem,
};
use crate::record::Record;
use crate::text::Time;

type Answers = HashMap<String, Vec<IpAddr>>;

/// Who is never banned by a rule.
#[utoipa::path(
    get, path = "/api/v1/allow", tag = "allow", params(AllowQuery),
    responses(
        (status = 200, description = "A page of the allow list", body = AllowPage),
        error::QueryErrors, error::CommonErrors
    )
)]
pub(crate) async fn list(
    State(api): State<Api>,
    Query(query): Query<AllowQuery>,
) -> Answer<AllowPage> {
    let limit = limit(query.limit)?;
    let (state, answers) = (api.settings.state().await, api.settings.answers());
    let mut entries = entries(&state, &answers);
    entries.retain(|(_, entry)| query.origin.is_none_or(|origin| origin == entry.origin));
    entries.sort_by(|(one, _), (other, _)| one.cmp(other));
    entries.dedup_by(|(one, _), (other, _)| one == other);
    let total = entries.len() as u64;
    entries.retain(|(name, _)| query.cursor.as_ref().is_none_or(|cursor| name > cursor));
    let more = entries.len() > limit;
    entries.truncate(limit);
    let next = entries.last().filter(|_| more).map(|(name, _)| name.clone());
    let items = entries.into_iter().map(|(_, entry)| entry).collect();
    Ok(Json(AllowPage { items, total, next }))
}

/// Allows a host: no rule bans it, and bans that cover it are lifted or split. It is stored.
///
/// A ban by an operator outranks the list: those that stand on the host are reported, and `DELETE /bans/{net}` lifts them.
#[utoipa::path(
    post, path = "/api/v1/allow", tag = "allow", request_body = NewAllow,
    responses(
        (status = 200, description = "It is on the list already", body = AllowChanged),
        (status = 201, description = "It was added", body = AllowChanged),
        error::BodyErrors, error::CommonErrors
    )
)]
pub(crate) async fn add(
    State(api): State<Api>,
    Sent(new): Sent<NewAllow>,
) -> Result<Response, ApiError> {
    let (status, changed) = allow(&api, new).await?;
    Ok((status, Json(changed)).into_response())
}

pub(crate) async fn allow(
    api: &Api,
    NewAllow { host, comment }: NewAllow,
) -> Result<(StatusCode, AllowChanged), ApiError> {
    at_most("comment", comment.as_deref(), MAX_WORDS)?;
    let mut records = api.records.subscribe();
    let done = api.settings.allow(host.clone(), comment).await?;
    wait_for_unbans(&api.engine).await?;
    let (count, ended) = lifted(&mut records);
    let store = convert::health(api.store.settled().await);
    let (state, answers) = (api.settings.state().await, api.settings.answers());
    let entry = entries(&state, &answers).into_iter().find(|(_, entry)| entry.host == host);
    let Some((_, entry)) = entry else {
        return Err(daemon::ChangeError::NoEntry(host).into());
    };
    let status = match done {
        Allowed::New => StatusCode::CREATED,
        Allowed::Already => StatusCode::OK,
    };
    let Staying { total: staying_total, nets: staying } =
        Staying::on(&api.engine, &entry.nets).await?;
    Ok((status, AllowChanged { entry, count, ended, staying_total, staying, store }))
}

/// Takes a host that was added at run time off the list.
#[utoipa::path(
    delete, path = "/api/v1/allow/{host}", tag = "allow",
    params(("host" = String, Path, description = "The entry as listed, `/` written as `%2F`")),
    responses(
        (status = 200, description = "It is no longer on the list", body = AllowChanged),
        (status = 404, description = "There is no such entry", body = Problem,
         content_type = "application/problem+json"),
        (status = 409, description = "It stands in the configuration file", body = Problem,
         content_type = "application/problem+json"),
        error::QueryErrors, error::CommonErrors
    )
)]
pub(crate) async fn remove(State(api): State<Api>, Place(host): Place) -> Answer<AllowChanged> {
    let host: HostEntry = host.parse().map_err(|error: String| ApiError::field("host", error))?;
    let entry = api.settings.disallow(&host).await?;
    let store = convert::health(api.store.settled().await);
    let entry = runtime(entry, &api.settings.answers());
    let (ended, staying) = (Vec::new(), Vec::new());
    Ok(Json(AllowChanged { entry, count: 0, ended, staying_total: 0, staying, store }))
}

/// Every entry, by its host as text. One that stands in the file and was added too is reported once, as the
/// file's.
fn entries(state: &daemon::State, answers: &Arc<Answers>) -> Vec<(String, AllowEntry)> {
    let file = state.file.allow.iter().map(|host| AllowEntry {
        host: host.clone(),
        origin: AllowOrigin::File,
        comment: None,
        since: None,
        nets: nets(host, answers),
    });
    let added = state.overrides.allowed().iter().map(|entry| runtime(entry.clone(), answers));
    let all = file.chain(added);
    all.map(|entry| (entry.host.to_string(), entry)).collect()
}

fn runtime(entry: crate::store::AllowEntry, answers: &Answers) -> AllowEntry {
    let nets = nets(&entry.host, answers);
    let (since, origin) = (Some(Time(entry.since)), AllowOrigin::Runtime);
    AllowEntry { host: entry.host, origin, comment: entry.comment, since, nets }
}

fn nets(host: &HostEntry, answers: &Answers) -> Vec<IpNet> {
    match host {
        HostEntry::Net(net) => vec![*net],
        HostEntry::Name(name) => {
            answers.get(name).into_iter().flatten().map(|address| IpNet::from(*address)).collect()
        }
    }
}

/// The bans that ended for an exemption, by the records told since `records` was opened.
fn lifted(records: &mut broadcast::Receiver<Arc<Record>>) -> (u64, Vec<IpNet>) {
    let (mut count, mut nets) = (0, Vec::new());
    loop {
        match records.try_recv() {
            Ok(record) => {
                let Record::Unban { source, reason, .. } = &*record else {
                    continue;
                };
                if matches!(reason, UnblockReason::Exempted | UnblockReason::Split) {
                    count += 1;
                    if nets.len() < MAX_LISTED {
                        nets.push(*source);
                    }
                }
            }
            // More than the channel holds: the count is a part of it.
            Err(broadcast::error::TryRecvError::Lagged(_)) => {}
            Err(_) => return (count, nets),
        }
    }
}
