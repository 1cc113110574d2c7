//! From a failure to a verdict.

use std::net::IpAddr;

use super::Engine;
use super::rules::Subject;
use crate::activity::Event;
use crate::join::{Account, JOIN_WAIT, Joined};
use crate::limits::millis;
use crate::seen::Seen;
use crate::slot::Slot;
use crate::sources::{Entry, Key, Tally};
use crate::{
    Action, AuthAttempt, AuthFailure, AuthResult, Exemption, FailureText, Grade, Identity,
    Judgement, Method, Text, net,
};

/// What became of a failure.
enum Outcome {
    /// Its source is exempt.
    Exempt(Exemption),
    /// In flight when the ban fell. It counts for nothing: when the ban ends the window begins anew,
    /// and only a new offence makes the next ban longer.
    Banned,
    /// Taken for a phone with an old password; so many failures of it lately.
    Attention(u32),
    /// Its evidence weighs nothing.
    Weightless,
    Counted(Slot, Tally),
}

impl Engine {
    pub(super) fn on_failure(&mut self, failure: &AuthFailure<'_>, actions: &mut Vec<Action>) {
        let seen = self.fingerprints.failure(failure);
        self.note_event(seen.source, Event::Other, actions);
        self.note_reported(seen.source, seen.user_hash);
        if let Some(joined) = self.joins.take_attempt(seen.join_key, seen.sequence) {
            self.judge_joined(&seen, joined, actions);
        } else {
            self.joins.wait(&seen, self.now);
            self.wake_by(self.now + JOIN_WAIT);
        }
        self.judge_waiting(actions);
    }

    pub(super) fn on_attempt(&mut self, attempt: &AuthAttempt<'_>, actions: &mut Vec<Action>) {
        self.stats.attempts += 1;
        self.joins.note_sender(attempt.core);
        let source = net::canonical(attempt.source);
        // A stale nonce is an answer too; whoever sends one is challenged anew.
        self.note_event(source, Event::Answered, actions);
        match attempt.result {
            AuthResult::Success => {
                let user = attempt.username.unwrap_or(attempt.user);
                self.on_success(source, user, attempt.user_agent, actions);
            }
            AuthResult::Stale => {}
            AuthResult::Forbidden | AuthResult::Other => {
                self.await_failure(source, attempt, actions);
            }
        }
    }

    /// Judges the failures whose attempt did not come in time.
    pub(super) fn judge_waiting(&mut self, actions: &mut Vec<Action>) {
        while let Some(held) = self.joins.due(self.now) {
            let mut seen = held.seen();
            // Old FreeSWITCH sends no attempts at all: nothing to judge by, so the failure counts.
            // One that does send them had 200 ms to show it, also for its very first failure.
            if self.joins.sends_attempts(seen.core) {
                self.judge(&seen, Grade::Unjoined, actions);
                continue;
            }
            if seen.method == Method::Invite {
                // Its To user is the number called: nobody knows whose password was tried.
                seen.user_hash = self.fingerprints.text("");
            }
            self.judge(&seen, Grade::Assumed, actions);
        }
    }

    /// An attempt that a failure follows, or came before.
    fn await_failure(
        &mut self,
        source: IpAddr,
        attempt: &AuthAttempt<'_>,
        actions: &mut Vec<Action>,
    ) {
        let AuthAttempt { port, profile, core, .. } = *attempt;
        let user_hash = self.fingerprints.text(attempt.user);
        let key = self.fingerprints.join_key(source, port, profile, user_hash, core);
        let account = attempt.username.map(|name| {
            // Most phones register the user whose password they have.
            if name == attempt.user {
                return Account { hash: user_hash, name: None };
            }
            Account { hash: self.fingerprints.text(name), name: Some(Box::new(Text::new(name))) }
        });
        if let Some((held, joined)) = self.joins.attempt(key, attempt.sequence, account, self.now) {
            self.judge_joined(&held.seen(), joined, actions);
        }
    }

    fn judge_joined(&mut self, seen: &Seen<'_>, joined: Joined, actions: &mut Vec<Action>) {
        let name;
        let mut seen = *seen;
        let grade = match joined {
            Joined::NonceUnchecked => Grade::Unproven,
            Joined::NonceValid(account) => {
                if account.hash != seen.user_hash {
                    self.note_reported(seen.source, account.hash);
                }
                seen.user_hash = account.hash;
                if let Some(other) = account.name {
                    name = other;
                    seen.user = name.excerpt();
                }
                let key = self.limits.key(seen.source);
                if self.was_blind() || self.activity.was_challenged(&key, self.now) {
                    Grade::Answered
                } else {
                    Grade::Unchallenged
                }
            }
        };
        self.judge(&seen, grade, actions);
    }

    fn judge(&mut self, seen: &Seen<'_>, grade: Grade, actions: &mut Vec<Action>) {
        self.stats.failures.add(grade);
        let key = self.limits.key(seen.source);
        let identity = self.identity(&key);
        self.watch_failure(seen.source, grade, actions);
        let text = seen.text();
        let outcome = self.outcome(seen, grade, key, identity, &text, actions);
        let failures = match outcome {
            Outcome::Counted(_, tally) => tally.failures,
            Outcome::Attention(failures) => failures,
            Outcome::Exempt(_) | Outcome::Banned | Outcome::Weightless => self.tally(&key).failures,
        };
        let exempt = match outcome {
            Outcome::Exempt(class) => Some(class),
            _ => None,
        };
        actions.push(Action::Judged(Judgement {
            source: seen.source,
            user: text.user,
            profile: text.profile,
            user_agent: text.user_agent,
            grade,
            identity,
            attention: matches!(outcome, Outcome::Attention(_)),
            failures,
            exempt,
            banned: matches!(outcome, Outcome::Banned),
        }));
        let mut subject = Subject { addr: seen.source, key, identity, slot: None };
        match outcome {
            Outcome::Counted(slot, tally) => {
                subject.slot = Some(slot);
                self.apply_rules(seen, grade, &subject, &tally, actions);
            }
            Outcome::Attention(failures) => self.limit_attention(&subject, failures, actions),
            Outcome::Exempt(_) => self.spare(seen, grade, &subject, actions),
            Outcome::Banned | Outcome::Weightless => {}
        }
    }

    fn outcome(
        &mut self,
        seen: &Seen<'_>,
        grade: Grade,
        key: Key,
        identity: Identity,
        text: &FailureText,
        actions: &mut Vec<Action>,
    ) -> Outcome {
        if let Some((class, _)) = self.exemptions.of(seen.source) {
            self.stats.exempt += 1;
            return Outcome::Exempt(class);
        }
        if self.bans.covering(seen.source).is_some() {
            self.stats.in_flight += 1;
            return Outcome::Banned;
        }
        // What anybody can forge weighs nothing against those who logged in.
        let forgeable = grade < Grade::Assumed && identity != Identity::Stranger;
        if forgeable || self.limits.weight(grade) == 0 {
            self.weightless.record(key, grade, self.now);
            return Outcome::Weightless;
        }
        if identity != Identity::Stranger
            && let Some(failures) = self.attend(seen, key, actions)
        {
            return Outcome::Attention(failures);
        }
        let entry = Entry::new(seen, grade, self.now);
        let hint = self.activity.source(&key);
        let (slot, tally) = self.sources.record(key, hint, entry, self.now, &self.limits);
        if hint != Some(slot) {
            self.activity.set_source(&key, slot);
        }
        let mut ask = false;
        if let Some(source) = self.sources.at_mut(slot) {
            source.newest_detail = self.recent.push(key, entry, *text, source.newest_detail);
            // Once for each window of an address: the answers are remembered elsewhere.
            let mark = self.acl.mark(seen.source);
            ask = tally.failures == 1 || source.asked_for != mark;
            source.asked_for = mark;
        }
        if ask {
            self.ask_acl(seen.source, actions);
        }
        Outcome::Counted(slot, tally)
    }

    pub(super) fn tally(&self, key: &Key) -> Tally {
        let source = self.sources.get(key);
        source.map_or_else(Tally::default, |source| {
            source.history.tally(millis(self.now), &self.limits, None)
        })
    }
}
