//! The policy's values, and where each comes from.

mod values;

use std::collections::BTreeMap;

use serde_json::Value;
use sipward_engine::Policy;

use super::Control;
use super::bounds::bounded;
use super::error::ControlError;
use crate::{self as daemon, PolicyEdit};
use sipward_model::wire::{
    PolicyChange, PolicyKey, PolicyOrigin, PolicyValue, PolicyView, Reloaded, StoreHealth,
};

impl Control {
    /// Every value of the policy, and where it comes from.
    pub async fn policy(&self) -> Result<PolicyView, ControlError> {
        let health = self.store_health();
        view(self, health).await
    }

    /// Changes values over those of the file.
    pub async fn change_policy(&self, change: PolicyChange) -> Result<PolicyView, ControlError> {
        let stored = change.stored;
        let values = wanted(change)?;
        self.settings.change_policy(PolicyEdit::Set { values, stored }).await?;
        settled(self).await
    }
}

/// The values of a change, by their keys.
pub(super) fn wanted(change: PolicyChange) -> Result<Vec<(PolicyKey, Value)>, ControlError> {
    let PolicyChange { max_failures, window_seconds, ban_time_seconds, values, stored: _ } = change;
    let mut wanted: BTreeMap<PolicyKey, Value> = BTreeMap::new();
    for (name, value) in values {
        let field = || format!("values.{}", bounded(&name));
        let key: PolicyKey =
            name.parse().map_err(|error: String| ControlError::field(field(), error))?;
        if wanted.insert(key, value).is_some() {
            return Err(ControlError::field(field(), "the key is given twice"));
        }
    }
    let named = [
        (PolicyKey::MaxFailures, max_failures.map(u64::from)),
        (PolicyKey::WindowSeconds, window_seconds),
        (PolicyKey::BanTimeSeconds, ban_time_seconds),
    ];
    for (key, value) in named.into_iter().filter_map(|(key, value)| Some((key, value?))) {
        if wanted.insert(key, value.into()).is_some() {
            return Err(ControlError::field(key.to_string(), "the key is also in `values`"));
        }
    }
    if wanted.is_empty() {
        let detail = "give max_failures, window_seconds, ban_time_seconds, or other `values`";
        return Err(ControlError::field("the body", detail));
    }
    Ok(wanted.into_iter().collect())
}

impl Control {
    /// Drops what was set for one value: that of the file holds again.
    pub async fn reset_policy(&self, key: PolicyKey) -> Result<PolicyView, ControlError> {
        self.settings.change_policy(PolicyEdit::Reset(key)).await?;
        settled(self).await
    }

    /// Reads the configuration file again. What was set at run time stays on top of it.
    pub async fn reload(&self) -> Result<Reloaded, ControlError> {
        let daemon::Reloaded { needs_restart, certificate_problem } =
            self.settings.reload().await?;
        let needs_restart = needs_restart.into_iter().map(str::to_owned).collect();
        Ok(Reloaded { needs_restart, certificate_problem })
    }
}

async fn settled(control: &Control) -> Result<PolicyView, ControlError> {
    let health = control.store_settled().await;
    view(control, health).await
}

async fn view(control: &Control, store: StoreHealth) -> Result<PolicyView, ControlError> {
    let state = control.settings.state().await;
    let policy = state.effective().policy;
    let values = values::of(&policy).into_iter().map(|(key, value)| described(&state, key, value));
    Ok(PolicyView { values: values.collect(), store })
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
    let of = |policy| {
        let mut values = values::of(policy).into_iter();
        values.find(|(name, _)| *name == key).map(|(_, value)| value)
    };
    let under = of(&state.file.policy);
    let default = of(&Policy::default()).unwrap_or_default();
    let (origin, overridden) = match layers {
        // One that does not fit the file any more is not in force.
        Some(layers) if layers.value().is_some() && under.as_ref() != Some(&value) => {
            let stored = layers.runtime.is_none();
            (if stored { PolicyOrigin::Stored } else { PolicyOrigin::Runtime }, under)
        }
        Some(_) | None => (below, None),
    };
    PolicyValue { key, value, default, origin, overridden }
}
