//! `/policy`.

mod values;

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use serde_json::Value;
use sipward_engine::Policy;

use super::{Api, convert};
use crate::daemon::{self, PolicyEdit};
use crate::http::error::{self, Answer, ApiError};
use crate::http::extract::{Place, Sent, bounded};
use crate::model::{
    PolicyChange, PolicyKey, PolicyOrigin, PolicyValue, PolicyView, Problem, Reloaded, StoreHealth,
};

/// Every value of the policy, and where it comes from.
#[utoipa::path(
    get, path = "/api/v1/policy", tag = "policy",
    responses((status = 200, description = "The policy in force", body = PolicyView), error::CommonErrors)
)]
pub(crate) async fn show(State(api): State<Api>) -> Answer<PolicyView> {
    let health = convert::health(api.store.health());
    view(&api, health).await
}

/// Changes values over those of the file.
#[utoipa::path(
    patch, path = "/api/v1/policy", tag = "policy", request_body = PolicyChange,
    responses(
        (status = 200, description = "The policy in force now", body = PolicyView),
        error::BodyErrors, error::CommonErrors
    )
)]
pub(crate) async fn change(
    State(api): State<Api>,
    Sent(change): Sent<PolicyChange>,
) -> Answer<PolicyView> {
    let stored = change.stored;
    let values = wanted(change)?;
    api.settings.change_policy(PolicyEdit::Set { values, stored }).await?;
    settled(&api).await
}

/// The values of a change, by their keys.
pub(super) fn wanted(change: PolicyChange) -> Result<Vec<(PolicyKey, Value)>, ApiError> {
    let PolicyChange { max_failures, window_seconds, ban_time_seconds, values, stored: _ } = change;
    let mut wanted: BTreeMap<PolicyKey, Value> = BTreeMap::new();
    for (name, value) in values {
        let field = || format!("values.{}", bounded(&name));
        let key: PolicyKey =
            name.parse().map_err(|error: String| ApiError::field(field(), error))?;
        if wanted.insert(key, value).is_some() {
            return Err(ApiError::field(field(), "it is named twice"));
        }
    }
    let named = [
        (PolicyKey::MaxFailures, max_failures.map(u64::from)),
        (PolicyKey::WindowSeconds, window_seconds),
        (PolicyKey::BanTimeSeconds, ban_time_seconds),
    ];
    for (key, value) in named.into_iter().filter_map(|(key, value)| Some((key, value?))) {
        if wanted.insert(key, value.into()).is_some() {
            return Err(ApiError::field(key.to_string(), "it is in `values` as well"));
        }
    }
    if wanted.is_empty() {
        let detail = "give max_failures, window_seconds, ban_time_seconds, or other `values`";
        return Err(ApiError::field("the body", detail));
    }
    Ok(wanted.into_iter().collect())
}

/// Drops what was set for one value: that of the file holds again.
#[utoipa::path(
    delete, path = "/api/v1/policy/{key}", tag = "policy",
    params(("key" = PolicyKey, Path, description = "The value")),
    responses(
        (status = 200, description = "The policy in force now", body = PolicyView),
        error::QueryErrors, error::CommonErrors
    )
)]
pub(crate) async fn reset(State(api): State<Api>, Place(key): Place) -> Answer<PolicyView> {
    let key: PolicyKey = key.parse().map_err(|error: String| ApiError::field("key", error))?;
    api.settings.change_policy(PolicyEdit::Reset(key)).await?;
    settled(&api).await
}

/// Reads the configuration file again. What was set at run time stays on top of it.
#[utoipa::path(
    post, path = "/api/v1/reload", tag = "daemon",
    responses(
        (status = 200, description = "It is in force", body = Reloaded),
        (status = 409, description = "It is broken, and what was in force stays", body = Problem,
         content_type = "application/problem+json"),
        error::CommonErrors
    )
)]
pub(crate) async fn reload(State(api): State<Api>) -> Answer<Reloaded> {
    let daemon::Reloaded { needs_restart, certificate_problem } = api.settings.reload().await?;
    let needs_restart = needs_restart.into_iter().map(str::to_owned).collect();
    Ok(Json(Reloaded { needs_restart, certificate_problem }))
}

async fn settled(api: &Api) -> Answer<PolicyView> {
    let health = convert::health(api.store.settled().await);
    view(api, health).await
}

async fn view(api: &Api, store: StoreHealth) -> Answer<PolicyView> {
    let state = api.settings.state().await;
    let policy = state.effective().policy;
    let values = values::of(&policy).into_iter().map(|(key, value)| described(&state, key, value));
    Ok(Json(PolicyView { values: values.collect(), store }))
}

/// The values in which two policies differ, by their keys.
pub(super) fn differences(one: &Policy, other: &Policy) -> Vec<(String, Value, Value)> {
    let both = values::of(one).into_iter().zip(values::of(other));
    let differing = both.filter(|((_, one), (_, other))| one != other);
    differing.map(|((key, one), (_, other))| (key, one, other)).collect()
}

/// One value and where it comes from.
fn described(state: &daemon::State, key: String, value: serde_json::Value) -> PolicyValue {
    let written = key.strip_suffix("_seconds").unwrap_or(&key);
    let below = if state.file.policy_keys.contains(written) {
        PolicyOrigin::File
    } else {
        PolicyOrigin::Default
    };
    let layers = key.parse::<PolicyKey>().ok().map(|key| state.overrides.policy(key));
    let file = &state.file.policy;
    let under = values::of(file).into_iter().find(|(name, _)| *name == key).map(|(_, value)| value);
    let (origin, overridden) = match layers {
        // One that does not fit the file any more is not in force.
        Some(layers) if layers.value().is_some() && under.as_ref() != Some(&value) => {
            let stored = layers.runtime.is_none();
            (if stored { PolicyOrigin::Stored } else { PolicyOrigin::Runtime }, under)
        }
        Some(_) | None => (below, None),
    };
    PolicyValue { key, value, origin, overridden }
}
