//! What an operator set over the file while the daemon ran.

use std::time::Duration;

use serde_json::Value;
use sipward_engine::{Policy, PolicyError, Timestamp};

use crate::api::model::PolicyKey;
use crate::config::Config;
use crate::config::HostEntry;
use crate::store::{AllowEntry, Entry, Override, Saved};

/// Entries added at run time at most: as many as the file may have.
const MAX_ALLOW: usize = 16_384;

/// Everything that was set at run time.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Overrides {
    allow: Vec<AllowEntry>,
    /// In the order of [`PolicyKey::ALL`].
    policy: [Layers; PolicyKey::ALL.len()],
}

/// The two layers over the file: what lasts, and over it what ends with the process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Layers {
    pub(crate) stored: Option<u64>,
    pub(crate) runtime: Option<u64>,
}

impl Layers {
    /// What counts.
    pub(crate) fn value(self) -> Option<u64> {
        self.runtime.or(self.stored)
    }
}

/// A change of the policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum PolicyEdit {
    /// These values hold from now on.
    Set {
        values: Vec<(PolicyKey, u64)>,
        /// Beyond the end of the process.
        stored: bool,
    },
    /// The file's value holds again.
    Reset(PolicyKey),
}

/// A value that cannot be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Unfit {
    pub(crate) key: PolicyKey,
    pub(crate) detail: String,
}

impl Overrides {
    /// What was stored. Values that this version does not know are left alone in the store.
    pub(crate) fn stored(saved: &Saved) -> Self {
        let mut this = Self::default();
        this.take_over(saved);
        this
    }

    /// Puts what was stored under what was set since.
    pub(crate) fn take_over(&mut self, saved: &Saved) {
        for entry in &saved.allow {
            if !self.allows(&entry.host) && self.allow(entry.clone()).is_err() {
                tracing::warn!(host = %entry.host, "too many allow entries are stored");
            }
        }
        for Override { key, value, .. } in &saved.overrides {
            let known = PolicyKey::ALL.into_iter().find(|known| name(*known) == key);
            let Some((key, value)) = known.zip(value.as_u64()) else {
                tracing::warn!(key, %value, "a stored override means nothing to this version");
                continue;
            };
            self.layers(key).stored.get_or_insert(value);
        }
    }

    /// Entries of the allow list.
    pub(crate) fn allowed(&self) -> &[AllowEntry] {
        &self.allow
    }

    /// Whether a host was allowed at run time.
    pub(crate) fn allows(&self, host: &HostEntry) -> bool {
        self.allow.iter().any(|entry| entry.host == *host)
    }

    /// Adds an entry; the error is the limit.
    pub(crate) fn allow(&mut self, entry: AllowEntry) -> Result<(), usize> {
        if self.allow.len() >= MAX_ALLOW {
            return Err(MAX_ALLOW);
        }
        self.allow.push(entry);
        Ok(())
    }

    /// Takes an entry away and gives it.
    pub(crate) fn disallow(&mut self, host: &HostEntry) -> Option<AllowEntry> {
        let place = self.allow.iter().position(|entry| entry.host == *host)?;
        Some(self.allow.remove(place))
    }

    /// What was set for a value of the policy.
    pub(crate) fn policy(&self, key: PolicyKey) -> Layers {
        self.policy.get(key as usize).copied().unwrap_or_default()
    }

    /// Makes a change.
    pub(crate) fn edit(&mut self, edit: &PolicyEdit) {
        match edit {
            PolicyEdit::Set { values, stored } => {
                for (key, value) in values {
                    let layers = self.layers(*key);
                    if *stored {
                        *layers = Layers { stored: Some(*value), runtime: None };
                    } else {
                        layers.runtime = Some(*value);
                    }
                }
            }
            PolicyEdit::Reset(key) => *self.layers(*key) = Layers::default(),
        }
    }

    /// Whether what `edit` has set fits over `file`.
    pub(crate) fn check(&self, edit: &PolicyEdit, file: &Config) -> Result<(), Unfit> {
        let edited = |key| match edit {
            PolicyEdit::Set { values, .. } => values.iter().any(|(edited, _)| *edited == key),
            PolicyEdit::Reset(_) => false,
        };
        let unfit = self.lay_over(&mut file.policy.clone());
        unfit.filter(|unfit| edited(unfit.key)).map_or(Ok(()), Err)
    }

    /// What the store must hear of to get from `before` to this.
    pub(crate) fn entries_since(&self, before: &Self, at: Timestamp) -> Vec<Entry> {
        let changed = PolicyKey::ALL.into_iter().filter_map(|key| {
            let (old, new) = (before.policy(key).stored, self.policy(key).stored);
            (old != new).then(|| match new {
                Some(value) => Entry::Override(Override {
                    key: name(key).to_owned(),
                    value: Value::from(value),
                    since: at,
                }),
                None => Entry::Reset { key: name(key).to_owned() },
            })
        });
        changed.collect()
    }

    /// `file` with everything on top. A value that does not fit the file any more is left out and told.
    pub(crate) fn over(&self, file: &Config) -> Config {
        let mut config = file.clone();
        let added = self.allow.iter().map(|entry| &entry.host);
        config.allow.extend(added.filter(|host| !file.allow.contains(host)).cloned());
        if let Some(Unfit { key, detail }) = self.lay_over(&mut config.policy) {
            tracing::warn!(%key, detail, "an override does not fit the file and is left out");
        }
        config
    }

    /// Puts the values over a policy as far as they fit; gives the last one that does not.
    fn lay_over(&self, policy: &mut Policy) -> Option<Unfit> {
        let mut unfit = None;
        for key in PolicyKey::ALL {
            let Some(value) = self.policy(key).value() else {
                continue;
            };
            let mut changed = policy.clone();
            match set(&mut changed, key, value).and_then(|()| valid(&changed)) {
                Ok(()) => *policy = changed,
                Err(detail) => unfit = Some(Unfit { key, detail }),
            }
        }
        unfit
    }

    fn layers(&mut self, key: PolicyKey) -> &mut Layers {
        let [max_failures, window, ban_time] = &mut self.policy;
        match key {
            PolicyKey::MaxFailures => max_failures,
            PolicyKey::WindowSeconds => window,
            PolicyKey::BanTimeSeconds => ban_time,
        }
    }
}

/// The name by which a value is stored, as the file's key is written.
fn name(key: PolicyKey) -> &'static str {
    match key {
        PolicyKey::MaxFailures => "policy.max_failures",
        PolicyKey::WindowSeconds => "policy.window",
        PolicyKey::BanTimeSeconds => "policy.ban_time",
    }
}

fn set(policy: &mut Policy, key: PolicyKey, value: u64) -> Result<(), String> {
    match key {
        PolicyKey::MaxFailures => {
            policy.max_failures =
                u32::try_from(value).map_err(|_| format!("{value} is not between 1 and 1000"))?;
        }
        PolicyKey::WindowSeconds => policy.window = Duration::from_secs(value),
        PolicyKey::BanTimeSeconds => policy.ban_time = Duration::from_secs(value),
    }
    Ok(())
}

fn valid(policy: &Policy) -> Result<(), String> {
    policy.validate().map_err(|PolicyError { key, value, expected, .. }| {
        format!("`{key}` would be {value}, which is out of range: {expected}")
    })
}

#[cfg(test)]
mod tests;
