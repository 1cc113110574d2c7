//! From a failure to a verdict.

use std::sync::Arc;

use super::Engine;
use crate::join::Joined;
use crate::limits::UNIT;
use crate::seen::Seen;
use crate::sources::{Entry, Key, Tally};
use crate::{
    Action, AuthAttempt, AuthFailure, AuthResult, Cause, Evidence, Exemption, Grade, Judgement,
    Refusal,
};

impl Engine {
    pub(super) fn on_failure(&mut self, failure: &AuthFailure<'_>, actions: &mut Vec<Action>) {
        let seen = self.fingerprints.failure(failure);
        match self.joins.take_attempt(seen.join_key, seen.sequence) {
            Some(joined) => self.judge(&seen, grade(joined), actions),
            None => self.joins.wait(seen, self.now),
        }
        self.judge_waiting(actions);
    }

    pub(super) fn on_attempt(&mut self, attempt: &AuthAttempt<'_>, actions: &mut Vec<Action>) {
        self.stats.attempts += 1;
        self.joins.note_sender(attempt.core);
        let failure_follows = match attempt.result {
            AuthResult::Forbidden | AuthResult::Other => true,
            // Let in, or challenged anew.
            AuthResult::Success | AuthResult::Stale => false,
        };
        if !failure_follows {
            return;
        }
        let key = self.fingerprints.attempt(attempt);
        let nonce_checked = attempt.username.is_some();
        if let Some((seen, joined)) =
            self.joins
                .attempt(key, attempt.sequence, nonce_checked, self.now)
        {
            self.judge(&seen, grade(joined), actions);
        }
    }

    /// Judges the failures whose attempt did not come in time.
    pub(super) fn judge_waiting(&mut self, actions: &mut Vec<Action>) {
        while let Some(seen) = self.joins.due(self.now) {
            // Old FreeSWITCH sends no attempts at all: nothing to judge by, so the failure counts.
            // One that does send them had 200 ms to show it, also for its very first failure.
            let grade = if self.joins.sends_attempts(seen.core) {
                Grade::Unjoined
            } else {
                Grade::Assumed
            };
            self.judge(&seen, grade, actions);
        }
    }

    fn judge(&mut self, seen: &Seen, grade: Grade, actions: &mut Vec<Action>) {
        self.stats.failures.add(grade);
        let exempt = self.exemptions.of(seen.source);
        let banned = self.bans.covering(seen.source).is_some();
        let weight = self.limits.weight(grade);
        let key = self.limits.key(seen.source);

        let mut tally = None;
        if let Some((class, net)) = exempt {
            self.stats.exempt += 1;
            self.spare(seen, grade, class, net, actions);
        } else if banned {
            // In flight when the ban fell. It counts for nothing: when the ban ends, the window
            // begins anew, and only a new offence makes the next ban longer.
            self.stats.in_flight += 1;
        } else if weight == 0 {
            self.weightless.record(key, grade, self.now);
        } else {
            tally = Some(self.count(seen, grade, key));
        }

        let failures = match tally {
            Some(tally) => tally.failures,
            None => self.tally(&key).failures,
        };
        actions.push(Action::Judged(Judgement {
            source: seen.source,
            user: seen.user,
            profile: seen.profile,
            user_agent: seen.user_agent,
            grade,
            failures,
            exempt: exempt.map(|(class, _)| class),
            banned,
        }));
        if let Some(tally) = tally.filter(|tally| tally.score >= self.limits.threshold) {
            self.ban_source(seen, key, &tally, actions);
        }
    }

    fn count(&mut self, seen: &Seen, grade: Grade, key: Key) -> Tally {
        let entry = Entry::new(seen, grade, self.now);
        let tally = self.sources.record(key, entry, self.now, &self.limits);
        if let Some(source) = self.sources.get_mut(&key) {
            source.newest_detail = self.recent.push(key, seen, source.newest_detail);
        }
        tally
    }

    /// An exempt host failed: nothing but a report, once, when its ban would have been due.
    fn spare(
        &mut self,
        seen: &Seen,
        grade: Grade,
        class: Exemption,
        net: ipnet::IpNet,
        actions: &mut Vec<Action>,
    ) {
        let host = ipnet::IpNet::from(seen.source);
        let weight = self.limits.weight(grade);
        if !self
            .spared
            .record(Key::of(&host), weight, self.now, &self.limits)
        {
            return;
        }
        self.stats.refused += 1;
        let cause = Arc::new(Cause::Failures(Evidence {
            source: seen.source,
            failures: self.limits.threshold.div_ceil(weight.max(1)),
            score: f64::from(self.limits.policy.max_failures),
            max_failures: self.limits.policy.max_failures,
            window: self.limits.policy.window,
            grade,
            ban_count: 0,
            details: Some(crate::Details {
                users: vec![seen.user],
                profile: seen.profile,
                user_agent: seen.user_agent,
            }),
        }));
        actions.push(Action::Refused {
            net: host,
            reason: Refusal::Exempt { class, net },
            cause,
        });
    }

    pub(super) fn evidence(
        &self,
        seen: &Seen,
        key: Key,
        tally: &Tally,
        ban_count: u32,
    ) -> Evidence {
        let newest = self
            .sources
            .get(&key)
            .and_then(|source| source.newest_detail);
        Evidence {
            source: seen.source,
            failures: tally.failures,
            score: f64::from(tally.score) / f64::from(UNIT),
            max_failures: self.limits.policy.max_failures,
            window: self.limits.policy.window,
            grade: tally.weakest.unwrap_or(Grade::Unjoined),
            ban_count,
            details: self.recent.details(key, newest),
        }
    }

    pub(super) fn tally(&self, key: &Key) -> Tally {
        let now = crate::limits::millis(self.now);
        let source = self.sources.get(key);
        source.map_or_else(Tally::default, |source| {
            source.history.tally(now, &self.limits)
        })
    }
}

fn grade(joined: Joined) -> Grade {
    match joined {
        Joined::NonceValid => Grade::Answered,
        Joined::NonceUnchecked => Grade::Unproven,
    }
}
