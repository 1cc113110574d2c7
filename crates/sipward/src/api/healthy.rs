//! `/healthy/{net}`: whom a ban would hit that is no stranger.

use axum::Json;
use axum::extract::State;
use ipnet::IpNet;
use sipward_engine::Identity;

use super::{Api, net_of};
use crate::daemon::{EngineTask, ProtectedReason};
use crate::http::error::{self, Answer, ApiError};
use crate::http::extract::Place;
use crate::model::{Healthy, HealthyHost, HealthyReason, Net};
use crate::text::Time;

/// Who in a network is registered, known or exempt.
///
/// For a look before a ban by hand, which may hit whom no rule would ban.
#[utoipa::path(
    get, path = "/api/v1/healthy/{net}", tag = "sources",
    params(("net" = String, Path, description = "An address or a network, `/` written as `%2F`")),
    responses(
        (status = 200, description = "Who is there", body = Healthy), error::QueryErrors, error::CommonErrors
    )
)]
pub(crate) async fn show(State(api): State<Api>, Place(net): Place) -> Answer<Healthy> {
    let net = net_of("net", &net)?;
    of(&api, net).await.map(Json)
}

/// Who in `net` is registered, known or exempt.
pub(crate) async fn of(api: &Api, net: IpNet) -> Result<Healthy, ApiError> {
    Ok(api.engine.call(move |task| look(task, net)).await?)
}

fn look(task: &EngineTask, net: IpNet) -> Healthy {
    let mut hosts: Vec<HealthyHost> = task
        .protected()
        .touching(&net)
        .into_iter()
        .map(|entry| HealthyHost {
            reason: match entry.reason {
                ProtectedReason::Exempt(class) => HealthyReason::Exempt(class),
                ProtectedReason::Registered => HealthyReason::Registered,
            },
            registrations: entry.registrations,
            since: Some(Time(entry.since)),
        })
        .collect();
    let is_registered = hosts.iter().any(|host| host.reason == HealthyReason::Registered);
    if !is_registered && is_known(task, &net) {
        let reason = HealthyReason::Known;
        hosts.push(HealthyHost { reason, registrations: 0, since: None });
    }
    let unknown = task.protected().unknown().map(|part| part.as_str().to_owned()).collect();
    Healthy { net: Net(net), hosts, unknown }
}

/// Whether somebody logged in from there lately.
fn is_known(task: &EngineTask, net: &IpNet) -> bool {
    if net.prefix_len() == net.max_prefix_len() {
        return task.engine().source(net.addr()).identity != Identity::Stranger;
    }
    let exempt: std::collections::HashSet<IpNet> =
        task.protected().entries().map(|entry| entry.net).collect();
    task.engine().spared().any(|known| net.contains(&known) && !exempt.contains(&known))
}
