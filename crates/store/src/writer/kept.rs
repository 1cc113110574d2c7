//! What an operator said, kept for a file that has to begin anew.

use std::collections::{BTreeMap, VecDeque};

use super::super::inbox::Item;
use super::super::{AllowEntry, Entry, MOST_RETIRED, Override, RetiredToken, Saved, SavedToken};

/// Changes by an operator: the only rows that exist nowhere else.
#[derive(Debug, Default)]
pub(super) struct Kept {
    allow: BTreeMap<String, AllowEntry>,
    overrides: BTreeMap<String, Override>,
    tokens: BTreeMap<String, SavedToken>,
    retired: VecDeque<RetiredToken>,
}

impl Kept {
    /// What the file holds.
    pub(super) fn note_saved(&mut self, saved: &Saved) {
        let allow = saved.allow.iter().map(|entry| (entry.host.to_string(), entry.clone()));
        self.allow.extend(allow);
        self.overrides.extend(saved.overrides.iter().map(|set| (set.key.clone(), set.clone())));
        // What is read again is here already.
        self.retired.clear();
        saved.retired.iter().for_each(|token| self.retire(token));
        self.tokens.extend(saved.tokens.iter().map(|token| (token.name.clone(), token.clone())));
    }

    /// What goes into it.
    pub(super) fn note(&mut self, item: &Item) {
        let Item::Entry(entry) = item else { return };
        match entry {
            Entry::Allow(allowed) => {
                self.allow.insert(allowed.host.to_string(), allowed.clone());
            }
            Entry::Disallow { host } => {
                self.allow.remove(&host.to_string());
            }
            Entry::Override(set) => {
                self.overrides.insert(set.key.clone(), set.clone());
            }
            Entry::Reset { key } => {
                self.overrides.remove(key);
            }
            Entry::Token(token) => {
                self.tokens.insert(token.name.clone(), token.clone());
            }
            Entry::RevokeToken(token) => {
                self.tokens.remove(&token.name);
                self.retire(token);
            }
            // An alarm that lost its acknowledgement is acknowledged once more.
            Entry::Acknowledge(_)
            | Entry::ForgetAcknowledgement { .. }
            | Entry::Alarm(_)
            | Entry::Notified { .. }
            | Entry::Ban { .. }
            | Entry::Unban { .. }
            | Entry::DenyFlow { .. }
            | Entry::Slowed(_)
            | Entry::AllowFlow { .. }
            | Entry::Refused { .. }
            | Entry::Mode(_)
            | Entry::Stepped(_)
            | Entry::EndPast { .. }
            | Entry::Remember(_)
            | Entry::Counts { .. } => {}
        }
    }

    fn retire(&mut self, token: &RetiredToken) {
        if self.retired.len() >= MOST_RETIRED {
            self.retired.pop_front();
        }
        self.retired.push_back(token.clone());
    }

    /// Everything, to be written again.
    pub(super) fn items(&self) -> Vec<Item> {
        let allow = self.allow.values().cloned().map(Entry::Allow);
        let overrides = self.overrides.values().cloned().map(Entry::Override);
        let tokens = self.tokens.values().cloned().map(Entry::Token);
        let retired = self.retired.iter().cloned().map(Entry::RevokeToken);
        allow.chain(overrides).chain(tokens).chain(retired).map(Item::Entry).collect()
    }
}
