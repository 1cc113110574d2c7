//! Which user agents are those of known scanners.

use crate::text::Excerpt;

/// Verdicts remembered by hash of the user agent: attackers and phones send few different ones.
const CACHE: usize = 1_024;

/// The patterns, and a cache of what they said.
#[derive(Debug)]
pub(crate) struct Agents {
    /// In lower case.
    patterns: Vec<String>,
    cache: Vec<Option<(u64, bool)>>,
}

impl Agents {
    pub(crate) fn new(patterns: &[String]) -> Self {
        let patterns = patterns.iter().map(|pattern| pattern.to_lowercase()).collect();
        Self { patterns, cache: vec![None; CACHE] }
    }

    /// One of the patterns is a part of this user agent. `hash` is that of the whole, which may be
    /// longer than the text; a scanner that hides its name behind 60 bytes of others is not one that
    /// gives itself away.
    pub(crate) fn is_scanner(&mut self, user_agent: Excerpt<'_>, hash: u64) -> bool {
        let place = usize::try_from(hash % CACHE as u64).unwrap_or_default();
        if let Some(Some((of, verdict))) = self.cache.get(place)
            && *of == hash
        {
            return *verdict;
        }
        let user_agent = user_agent.as_str().to_lowercase();
        let verdict = self.patterns.iter().any(|pattern| user_agent.contains(pattern.as_str()));
        if let Some(place) = self.cache.get_mut(place) {
            *place = Some((hash, verdict));
        }
        verdict
    }
}
