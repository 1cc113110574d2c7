//! Failures for users who never logged in where they came from, over a day.
//!
//! The rule `insider` looks at an hour. A patient insider stays below it: with a user every quarter of an hour, with
//! one user after the other, from several addresses of one account, or from other addresses of its own /64. So the
//! same is counted over a day, and reported.

use std::time::Duration;

use crate::Timestamp;

/// A user counts for so long after the latest failure for it.
const WITHIN: Duration = Duration::from_secs(86_400);

/// So many users are reported, and more are not told apart.
const MANY_USERS: usize = 10;

/// So many failures for them are reported, whatever the number of users.
const MANY_FAILURES: u32 = 30;

/// Users that may be taken for lines with a wrong password beside good ones.
const MAX_LINES: usize = 2;

/// A log-in after fewer failures than this forgives them: the user is new there, and has mistyped.
const FORGIVEN: u32 = 10;

/// The users of one host, account or /64, some 250 bytes at most.
#[derive(Debug, Default)]
pub(crate) struct Foreign {
    users: Vec<Tried>,
    told: Option<Timestamp>,
}

#[derive(Clone, Copy, Debug)]
struct Tried {
    user: u64,
    failures: u32,
    last: Timestamp,
    /// All of it looks like a line with a wrong password.
    line: bool,
}

impl Foreign {
    /// A failure; `is_line` when it looks like a line with a wrong password. True when it is taken for one: of a third
    /// user it is not.
    pub(crate) fn note(&mut self, user: u64, is_line: bool, now: Timestamp) -> bool {
        self.users.retain(|tried| now.since(tried.last) < WITHIN);
        let lines = self.users.iter().filter(|tried| tried.line).count();
        if let Some(tried) = self.users.iter_mut().find(|tried| tried.user == user) {
            tried.failures = tried.failures.saturating_add(1);
            tried.last = now;
            tried.line &= is_line;
            return tried.line;
        }
        if self.users.len() >= MANY_USERS
            && let Some(oldest) = (0..).zip(&self.users).min_by_key(|(_, it)| it.last)
        {
            self.users.swap_remove(oldest.0);
        }
        let line = is_line && lines < MAX_LINES;
        self.users.push(Tried { user, failures: 1, last: now, line });
        line
    }

    /// Some of what came within a window does not look like a line with a wrong password.
    pub(crate) fn has_guesses(&self, window: Duration, now: Timestamp) -> bool {
        self.users.iter().any(|tried| !tried.line && now.since(tried.last) < window)
    }

    /// Users and failures, when a report is due: once a day.
    pub(crate) fn due(&self, now: Timestamp) -> Option<(u32, u32)> {
        if self.told.is_some_and(|told| now.since(told) < WITHIN) {
            return None;
        }
        let guesses = self.users.iter().filter(|tried| !tried.line);
        let failures = guesses.fold(0_u32, |sum, tried| sum.saturating_add(tried.failures));
        let many = self.users.len() >= MANY_USERS || failures >= MANY_FAILURES;
        many.then(|| (u32::try_from(self.users.len()).unwrap_or(u32::MAX), failures))
    }

    /// It was reported, by this or by the rule.
    pub(crate) fn note_told(&mut self, now: Timestamp) {
        self.told = Some(now);
    }

    /// A user logged in: it is no stranger there any more.
    pub(crate) fn forgive(&mut self, user: u64) {
        self.users.retain(|tried| tried.user != user || tried.failures >= FORGIVEN);
    }

    /// Nothing of it counts any more.
    pub(crate) fn is_over(&self, now: Timestamp) -> bool {
        let over = |at: Timestamp| now.since(at) >= WITHIN;
        self.users.iter().all(|tried| over(tried.last)) && self.told.is_none_or(over)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Timestamp = Timestamp::from_micros(1_700_000_000_000_000);
    const HOUR: Duration = Duration::from_secs(3_600);

    #[test]
    fn ten_users_or_thirty_failures_of_a_day_are_reported_once_a_day() {
        let mut foreign = Foreign::default();
        for n in 0..9 {
            foreign.note(n, false, START + HOUR * u32::try_from(n).unwrap());
            assert_eq!(foreign.due(START), None);
        }
        let now = START + 10 * HOUR;
        foreign.note(9, false, now);
        assert_eq!(foreign.due(now), Some((10, 10)));
        foreign.note_told(now);
        foreign.note(10, false, now);
        assert_eq!(foreign.due(now + HOUR), None);
        assert!(!foreign.is_over(now + 23 * HOUR) && foreign.is_over(now + 24 * HOUR));

        let mut one = Foreign::default();
        for _ in 0..29 {
            one.note(1, false, now);
        }
        assert_eq!(one.due(now), None);
        one.note(1, false, now + HOUR);
        assert_eq!(one.due(now), Some((1, 30)));
    }

    #[test]
    fn two_lines_may_have_a_wrong_password_for_ever_and_a_third_may_not() {
        let mut foreign = Foreign::default();
        for _ in 0..100 {
            assert!(foreign.note(1, true, START) && foreign.note(2, true, START));
        }
        assert_eq!(foreign.due(START), None);
        assert!(!foreign.has_guesses(HOUR, START));
        for _ in 0..30 {
            assert!(!foreign.note(3, true, START));
        }
        assert_eq!(foreign.due(START), Some((3, 30)));
        assert!(foreign.has_guesses(HOUR, START));
    }

    #[test]
    fn who_logs_in_after_some_mistypes_was_no_guess() {
        let mut foreign = Foreign::default();
        for user in 0..30 {
            for _ in 0..3 {
                foreign.note(user, false, START);
            }
            foreign.forgive(user);
        }
        assert_eq!(foreign.due(START), None);
        for _ in 0..29 {
            foreign.note(99, false, START);
        }
        foreign.forgive(99);
        foreign.note(99, false, START);
        assert!(foreign.due(START).is_some(), "so many were no mistypes");
    }
}
