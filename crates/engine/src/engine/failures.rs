//! From a failure to a verdict.

use std::net::IpAddr;

use super::Engine;
use super::rules::Subject;
use crate::activity::Event;
use crate::effect::Standing;
use crate::identity::Patient;
use crate::join::{JOIN_WAIT, Joined, Tried};
use crate::key::Key;
use crate::limits::millis;
use crate::seen::Seen;
use crate::slot::Slot;
use crate::sources::{Counts, Entry, Tally};
use crate::{
    Action, Alarm, AuthAttempt, AuthFailure, AuthResult, Exemption, FailureText, Grade, Judgement,
    Method, Text, net,
};

/// What became of a failure.
pub(super) enum Outcome {
    /// Its source is exempt.
    Exempt(Exemption),
    /// In flight when the ban fell, or the denial of its flow. It counts for nothing: when the ban ends the window
    /// begins anew,
    /// and only a new offence makes the next ban longer.
    Banned,
    /// Taken for a phone with an old password.
    Attention(Patient),
    /// Its evidence counts nothing against this source.
    Weightless(Counts),
    Counted(Slot, Tally),
}

/// Failures that count nothing, of a source without a quiet window between them, that are reported: those of
/// a stranger without their attempts, and those with a valid nonce that name a known one.
const WEIGHTLESS_TOLD: u32 = 20;

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
        // A stale nonce is an answer too; its sender is challenged anew.
        self.note_event(source, Event::Answered, actions);
        match attempt.result {
            AuthResult::Success => self.on_attempted_success(source, attempt, actions),
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
                match self.joins.take_adjacent(seen.join_key, seen.sequence) {
                    Some(joined) => self.judge_joined(&seen, joined, actions),
                    None => self.judge(&seen, Grade::Unjoined, actions),
                }
                continue;
            }
            if seen.method == Method::Invite {
                // Its To user is the number called: the account whose password was tried is unknown.
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
        let profile = self.fingerprints.text(profile);
        let key = self.fingerprints.join_key(source, port, profile, user_hash, core);
        let tried = attempt.username.map(|name| {
            let call = self.fingerprints.text(attempt.call_id);
            let proved = attempt.websocket;
            // Most phones register the user whose password they have.
            if name == attempt.user {
                return Tried { account: user_hash, name: None, call, proved };
            }
            let other = Some(Box::new(Text::new(name)));
            Tried { account: self.fingerprints.text(name), name: other, call, proved }
        });
        if let Some((held, joined)) = self.joins.attempt(key, attempt.sequence, tried, self.now) {
            self.judge_joined(&held.seen(), joined, actions);
        }
    }

    fn judge_joined(&mut self, seen: &Seen<'_>, joined: Joined, actions: &mut Vec<Action>) {
        let name;
        let mut seen = *seen;
        let grade = match joined {
            Joined::NonceUnchecked => Grade::Unproven,
            Joined::NonceValid(tried) => {
                if tried.account != seen.user_hash {
                    self.note_reported(seen.source, tried.account);
                }
                seen.user_hash = tried.account;
                seen.call = Some(tried.call);
                seen.handshake = tried.proved;
                let grade = self.grade(&seen, tried.call, tried.proved);
                if let Some(other) = tried.name {
                    name = other;
                    seen.user = name.excerpt();
                }
                grade
            }
        };
        self.judge(&seen, grade, actions);
    }

    /// What proves that the named address sent a failure whose nonce was valid.
    fn grade(&mut self, seen: &Seen<'_>, call: u64, proved: bool) -> Grade {
        let host = Key::of_addr(seen.source);
        if self.live.is_genuine(self.fingerprints.line(host, seen.user_hash, call), self.now) {
            return Grade::Genuine;
        }
        let profile = seen.profile_hash;
        let dialog = self.fingerprints.dialog(host, profile, call);
        if self.dialogs.answer(dialog, profile, self.now) || proved {
            return Grade::Answered;
        }
        let (key, seconds) = (self.key(seen.source), self.dialogs.life(profile));
        if self.was_blind() || self.activity.was_challenged(&key, seconds, self.now) {
            return Grade::Challenged;
        }
        Grade::Unchallenged
    }

    pub(super) fn judge(&mut self, seen: &Seen<'_>, grade: Grade, actions: &mut Vec<Action>) {
        self.stats.failures.add(grade);
        let key = self.key(seen.source);
        let (identity, standing) = self.standing(seen.source, Some(seen.user_hash));
        let (addr, socket) = (seen.source, seen.socket());
        let mut subject = Subject { addr, key, identity, standing, slot: None, socket };
        let text = seen.text();
        let outcome = self.outcome(seen, grade, &subject, &text, actions);
        self.watch_failure(seen, grade, &subject, &outcome, actions);
        let failures = match outcome {
            Outcome::Counted(_, tally) => tally.failures,
            Outcome::Attention(Patient { failures, .. }) => failures,
            Outcome::Exempt(_) | Outcome::Banned | Outcome::Weightless(_) => {
                self.tally(&key, standing).failures
            }
        };
        let exempt = match outcome {
            Outcome::Exempt(class) => Some(class),
            _ => None,
        };
        actions.push(Action::Judged(Judgement {
            address: seen.source,
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
        if !matches!(outcome, Outcome::Exempt(_) | Outcome::Banned) {
            let is_phone = matches!(outcome, Outcome::Attention(_));
            self.watch_insider(seen, (grade, is_phone), &subject, actions);
            self.watch_neighbour(seen, grade, &subject, actions);
        }
        match outcome {
            Outcome::Counted(slot, tally) => {
                subject.slot = Some(slot);
                self.apply_rules(seen, grade, &subject, &tally, actions);
            }
            Outcome::Attention(patient) => self.limit_attention(&subject, &patient, actions),
            Outcome::Exempt(_) => self.spare(seen, grade, &subject, actions),
            Outcome::Weightless(counts) => {
                self.watch_weightless(counts, grade, &subject, actions);
            }
            Outcome::Banned => {}
        }
    }

    fn outcome(
        &mut self,
        seen: &Seen<'_>,
        grade: Grade,
        subject: &Subject,
        text: &FailureText,
        actions: &mut Vec<Action>,
    ) -> Outcome {
        let Subject { key, standing, .. } = *subject;
        if let Some((class, _)) = self.exemptions.of(seen.source) {
            self.stats.exempt += 1;
            return Outcome::Exempt(class);
        }
        let denied = !standing.is_strange() && self.is_denied(seen.source, subject.socket);
        if denied || self.bans.covering(seen.source).is_some() {
            self.stats.in_flight += 1;
            return Outcome::Banned;
        }
        if self.limits.base_weight(standing, grade) == 0 {
            return Outcome::Weightless(self.unproven_sources.record(key, grade, self.now));
        }
        if !standing.is_strange()
            && let Some(patient) = self.attend(seen, grade, subject, actions)
        {
            return Outcome::Attention(patient);
        }
        let entry = Entry::new(seen, grade, self.now);
        let hint = self.activity.source(&key);
        let (slot, tally) = self.sources.record(key, hint, entry, standing, self.now, &self.limits);
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

    /// What counts nothing is no silence either.
    fn watch_weightless(
        &mut self,
        counts: Counts,
        grade: Grade,
        subject: &Subject,
        actions: &mut Vec<Action>,
    ) {
        if grade == Grade::Unjoined && counts.unjoined == WEIGHTLESS_TOLD {
            self.report_unjoined(subject, counts.unjoined, actions);
        }
        let guesses = counts.guesses();
        if grade > Grade::Unproven && guesses == WEIGHTLESS_TOLD {
            let victims = vec![subject.addr];
            actions.push(Action::Alarm(Alarm::Spoofing { failures: guesses, victims }));
        }
    }

    /// The weighed window of a source, as the base rule counts against `standing`.
    pub(super) fn tally(&self, key: &Key, standing: Standing) -> Tally {
        let (counted, _) = self.limits.base_grades(standing);
        let source = self.sources.get(key);
        source.map_or_else(Tally::default, |source| {
            source.history.tally(millis(self.now), &self.limits, counted)
        })
    }
}
