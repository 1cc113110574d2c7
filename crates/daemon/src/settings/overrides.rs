//! What an operator set over the file while the daemon ran.

mod set;

use std::collections::BTreeMap;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sipward_engine::{Policy, PolicyError, Timestamp};

use set::set;
use sipward_config::{Config, HostEntry, Mode};
use sipward_model::clock;
use sipward_model::wire::PolicyKey;
use sipward_store::{AllowEntry, Entry, Override, Saved, Store};

/// Entries added at run time at most: as many as the file may have.
const MAX_ALLOW: usize = 16_384;

/// Everything that was set at run time.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Overrides {
    pub(super) mode: Option<ModeSet>,
    allow: Vec<AllowEntry>,
    policy: BTreeMap<PolicyKey, Layers>,
}

/// The mode that was set while the daemon ran.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModeSet {
    pub mode: Mode,
    /// The file's mode then. Once the file has another one, that counts.
    pub over: Mode,
}

impl ModeSet {
    /// What is stored for a daemon with this file. The store need not be open yet.
    pub fn stored(file: &Config) -> Option<Self> {
        let value = Store::stored_override(&file.store.location, MODE)?;
        serde_json::from_value(value).ok()
    }

    /// The mode of a daemon with this file.
    pub fn over(set: Option<Self>, file: &Config) -> Mode {
        let set = set.filter(|set| set.over == file.mode && !file.mode_is_fixed);
        set.map_or(file.mode, |set| set.mode)
    }
}

/// Its name in the store.
const MODE: &str = "mode";

/// What the store hears of it.
pub(super) fn mode_entry(set: Option<ModeSet>, since: Timestamp) -> Entry {
    let value = set.and_then(|set| serde_json::to_value(set).ok());
    let key = MODE.to_owned();
    value.map_or(Entry::Reset { key: key.clone() }, |value| {
        Entry::Override(Override { key, value, since })
    })
}

/// The two layers over the file: what lasts, and over it what ends with the process.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Layers {
    pub stored: Option<Value>,
    pub runtime: Option<Value>,
}

impl Layers {
    /// What counts.
    pub fn value(&self) -> Option<&Value> {
        self.runtime.as_ref().or(self.stored.as_ref())
    }
}

/// A change of the policy.
#[derive(Clone, Debug, PartialEq)]
pub enum PolicyEdit {
    /// These values hold from now on.
    Set {
        values: Vec<(PolicyKey, Value)>,
        /// Beyond the end of the process.
        stored: bool,
    },
    /// The file's value holds again.
    Reset(PolicyKey),
}

/// A value that cannot be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidValue {
    pub key: PolicyKey,
    pub detail: String,
}

impl Overrides {
    /// What was stored. Values that this version does not know are left alone in the store.
    pub fn stored(saved: &Saved) -> Self {
        let mut this = Self::default();
        this.take_over(saved);
        this
    }

    /// Puts what was stored under what was set since.
    pub fn take_over(&mut self, saved: &Saved) {
        for entry in &saved.allow {
            if !self.allows(&entry.host) && self.allow(entry.clone()).is_err() {
                tracing::warn!(host = %entry.host, "too many allow entries are stored");
            }
        }
        for Override { key, value, .. } in &saved.overrides {
            if key == MODE {
                let set = serde_json::from_value(value.clone());
                self.mode = self.mode.or_else(|| {
                    set.map_err(
                        |error| tracing::warn!(%value, %error, "the stored mode is ignored"),
                    )
                    .ok()
                });
                continue;
            }
            let known = PolicyKey::all().find(|known| name(*known) == *key);
            let fits = |known| set(&mut Policy::default(), known, value).is_ok();
            let Some(known) = known.filter(|known| fits(*known)) else {
                tracing::warn!(key, %value, "a stored override is unknown to this version");
                continue;
            };
            self.layers(known).stored.get_or_insert_with(|| value.clone());
        }
    }

    /// With this mode instead of the stored one: the one by which the kernel side was started.
    #[must_use]
    pub fn with_mode(self, mode: Option<ModeSet>) -> Self {
        Self { mode, ..self }
    }

    /// Entries of the allow list.
    pub fn allowed(&self) -> &[AllowEntry] {
        &self.allow
    }

    /// Whether a host was allowed at run time.
    pub fn allows(&self, host: &HostEntry) -> bool {
        self.allow.iter().any(|entry| entry.host == *host)
    }

    /// Adds an entry; the error is the limit.
    pub fn allow(&mut self, entry: AllowEntry) -> Result<(), usize> {
        if self.allow.len() >= MAX_ALLOW {
            return Err(MAX_ALLOW);
        }
        self.allow.push(entry);
        Ok(())
    }

    /// Takes away the entries that have come to their end at `now`, and gives them.
    pub fn expire(&mut self, now: Timestamp) -> Vec<AllowEntry> {
        let (ended, kept) =
            std::mem::take(&mut self.allow).into_iter().partition(|entry| has_ended(entry, now));
        self.allow = kept;
        ended
    }

    /// Takes an entry away and gives it.
    pub fn disallow(&mut self, host: &HostEntry) -> Option<AllowEntry> {
        let place = self.allow.iter().position(|entry| entry.host == *host)?;
        Some(self.allow.remove(place))
    }

    /// What was set for a value of the policy.
    pub fn policy(&self, key: PolicyKey) -> Layers {
        self.policy.get(&key).cloned().unwrap_or_default()
    }

    /// Makes a change.
    pub fn edit(&mut self, edit: &PolicyEdit) {
        match edit {
            PolicyEdit::Set { values, stored } => {
                for (key, value) in values {
                    let layers = self.layers(*key);
                    if *stored {
                        *layers = Layers { stored: Some(value.clone()), runtime: None };
                    } else {
                        layers.runtime = Some(value.clone());
                    }
                }
            }
            PolicyEdit::Reset(key) => drop(self.policy.remove(key)),
        }
    }

    /// Whether what `edit` has set fits over `file`.
    pub fn check(&self, edit: &PolicyEdit, file: &Config) -> Result<(), InvalidValue> {
        let edited = |key| match edit {
            PolicyEdit::Set { values, .. } => values.iter().any(|(edited, _)| *edited == key),
            PolicyEdit::Reset(_) => false,
        };
        let unfit = self.lay_over(&mut file.policy.clone());
        unfit.filter(|unfit| edited(unfit.key)).map_or(Ok(()), Err)
    }

    /// What the store must hear of to get from `before` to this.
    pub fn entries_since(&self, before: &Self, at: Timestamp) -> Vec<Entry> {
        let changed = PolicyKey::all().filter_map(|key| {
            let (old, new) = (before.policy(key).stored, self.policy(key).stored);
            (old != new).then(|| match new {
                Some(value) => Entry::Override(Override { key: name(key), value, since: at }),
                None => Entry::Reset { key: name(key) },
            })
        });
        changed.collect()
    }

    /// `file` with everything on top. A value that conflicts with the file is ignored and reported.
    pub fn over(&self, file: &Config) -> Config {
        let mut config = file.clone();
        config.mode = ModeSet::over(self.mode, file);
        config.allow = self.allow_over(file, clock::stamp(SystemTime::now()));
        if let Some(InvalidValue { key, detail }) = self.lay_over(&mut config.policy) {
            tracing::warn!(%key, detail, "an override conflicts with the file and is ignored");
        }
        config
    }

    /// The allow list at `now`: that of `file`, and what was added at run time.
    pub fn allow_over(&self, file: &Config, now: Timestamp) -> Vec<HostEntry> {
        let mut allow: Vec<HostEntry> = file.allow_at(now).cloned().collect();
        let added = self.allow.iter().filter(|entry| !has_ended(entry, now));
        let added: Vec<HostEntry> =
            added.map(|entry| &entry.host).filter(|host| !allow.contains(host)).cloned().collect();
        allow.extend(added);
        allow
    }

    /// Puts the values over a policy as far as they fit; gives the last one that does not.
    fn lay_over(&self, policy: &mut Policy) -> Option<InvalidValue> {
        let values = self.policy.iter();
        let mut left: Vec<(PolicyKey, &Value)> =
            values.filter_map(|(key, layers)| Some((*key, layers.value()?))).collect();
        // A first ban may be too long until the longest is longer, and the other way round.
        loop {
            let before = left.len();
            let mut unfit = None;
            left.retain(|(key, value)| {
                let mut changed = policy.clone();
                match set(&mut changed, *key, value).and_then(|()| valid(&changed)) {
                    Ok(()) => *policy = changed,
                    Err(detail) => {
                        unfit = Some(InvalidValue { key: *key, detail });
                        return true;
                    }
                }
                false
            });
            if left.is_empty() || left.len() == before {
                return unfit;
            }
        }
    }

    fn layers(&mut self, key: PolicyKey) -> &mut Layers {
        self.policy.entry(key).or_default()
    }
}

fn has_ended(entry: &AllowEntry, now: Timestamp) -> bool {
    entry.until.is_some_and(|until| until <= now)
}

/// The name by which a value is stored, as the file's key is written.
fn name(key: PolicyKey) -> String {
    let key = key.to_string();
    format!("policy.{}", key.strip_suffix("_seconds").unwrap_or(&key))
}

fn valid(policy: &Policy) -> Result<(), String> {
    policy.validate().map_err(|PolicyError { key, value, expected, .. }| {
        format!("`{key}` would be {value}, which is out of range: {expected}")
    })
}

#[cfg(test)]
mod tests;
