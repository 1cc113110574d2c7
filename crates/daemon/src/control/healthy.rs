//! Hosts in a network that are not strangers.

use ipnet::IpNet;
use sipward_engine::Identity;

use super::Control;
use super::error::ControlError;
use crate::{EngineTask, ProtectedReason};
use sipward_model::text::Time;
use sipward_model::wire::{Healthy, HealthyHost, HealthyReason, Net};

impl Control {
    /// Hosts in `net` that are registered, known or exempt.
    pub async fn healthy(&self, net: IpNet) -> Result<Healthy, ControlError> {
        Ok(self.engine.call(move |task| look(task, net)).await?)
    }
}

pub(super) fn look(task: &EngineTask, net: IpNet) -> Healthy {
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

/// Whether a user logged in from there lately.
fn is_known(task: &EngineTask, net: &IpNet) -> bool {
    if net.prefix_len() == net.max_prefix_len() {
        return task.engine().source(net.addr()).identity != Identity::Stranger;
    }
    let exempt: std::collections::HashSet<IpNet> =
        task.protected().entries().map(|entry| entry.net).collect();
    task.engine().known_hosts().any(|known| net.contains(&known) && !exempt.contains(&known))
}
