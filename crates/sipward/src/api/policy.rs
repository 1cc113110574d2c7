//! `/policy`.

mod values;

use axum::Json;
use axum::extract::State;

use super::extract::{Place, Sent};
use super::fault::{self, Answer, Fault};
use super::model::{
    PolicyChange, PolicyKey, PolicyOrigin, PolicyValue, PolicyView, Problem, Reloaded, StoreHealth,
};
use super::{Api, convert};
use crate::daemon::{self, PolicyEdit};

/// Every value of the policy, and where it comes from.
#[utoipa::path(
    get, path = "/api/v1/policy", tag = "policy",
    responses((status = 200, description = "The policy in force", body = PolicyView), fault::Usual)
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
        fault::Sent, fault::Usual
    )
)]
pub(crate) async fn change(
    State(api): State<Api>,
    Sent(change): Sent<PolicyChange>,
) -> Answer<PolicyView> {
    let PolicyChange { max_failures, window_seconds, ban_time_seconds, stored } = change;
    let values: Vec<(PolicyKey, u64)> = [
        (PolicyKey::MaxFailures, max_failures.map(u64::from)),
        (PolicyKey::WindowSeconds, window_seconds),
        (PolicyKey::BanTimeSeconds, ban_time_seconds),
    ]
    .into_iter()
    .filter_map(|(key, value)| Some((key, value?)))
    .collect();
    if values.is_empty() {
        let detail = "give max_failures, window_seconds or ban_time_seconds";
        return Err(Fault::field("the body", detail));
    }
    api.settings.change_policy(PolicyEdit::Set { values, stored }).await?;
    settled(&api).await
}

/// Drops what was set for one value: that of the file holds again.
#[utoipa::path(
    delete, path = "/api/v1/policy/{key}", tag = "policy",
    params(("key" = PolicyKey, Path, description = "The value")),
    responses(
        (status = 200, description = "The policy in force now", body = PolicyView),
        fault::Asked, fault::Usual
    )
)]
pub(crate) async fn reset(State(api): State<Api>, Place(key): Place) -> Answer<PolicyView> {
    let key: PolicyKey = key.parse().map_err(|error: String| Fault::field("key", error))?;
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
        fault::Usual
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
