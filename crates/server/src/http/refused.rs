//! Requests with expired or revoked tokens: logged now and then, not each time.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::broadcast;

use sipward_model::record::Record;
use sipward_model::wire::TokenEnd;

/// Pause between two reports of one token.
const QUIET: Duration = Duration::from_secs(60);

/// Tokens counted at most: more than can be remembered as dead.
const MOST: usize = 512;

/// What was shown since the last report, by the token's name.
#[derive(Debug, Default)]
pub(super) struct Refused {
    all: Mutex<HashMap<String, (Instant, u64)>>,
}

impl Refused {
    /// Counts it, and reports it where that is due.
    pub(super) fn note(
        &self,
        source: IpAddr,
        name: &str,
        because: TokenEnd,
        records: &broadcast::Sender<Arc<Record>>,
    ) {
        if let Some(count) = self.count(name, Instant::now()) {
            let name = name.to_owned();
            Record::TokenRefused { address: source, name, because, count }.publish(records);
        }
    }

    /// How many there were since the last report, when the next one is due.
    fn count(&self, name: &str, now: Instant) -> Option<u64> {
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((reported, count)) = all.get_mut(name) {
            *count += 1;
            if now.saturating_duration_since(*reported) < QUIET {
                return None;
            }
            *reported = now;
            return Some(std::mem::take(count));
        }
        if all.len() >= MOST {
            all.clear();
        }
        all.insert(name.to_owned(), (now, 0));
        Some(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scraper_with_a_dead_token_is_one_line_a_minute() {
        let (refused, start) = (Refused::default(), Instant::now());
        assert_eq!(refused.count("prometheus", start), Some(1));
        for second in 1..60 {
            assert_eq!(refused.count("prometheus", start + Duration::from_secs(second)), None);
        }
        assert_eq!(refused.count("other", start), Some(1));
        assert_eq!(refused.count("prometheus", start + QUIET), Some(60));
    }
}
