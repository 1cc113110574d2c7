//! Log-ins after failures: a password that may have been guessed.
//!
//! Mistypes look the same, so what is reported is as narrow as it can be without missing a guess. Only a user that never
//! logged in from the address counts, and:
//!
//! | address | reported when |
//! |---|---|
//! | stranger | it failed more often for this user than people mistype, within what is remembered of it |
//! | stranger | its failures have led to a ban that holds: in observe mode, or a packet in flight |
//! | stranger | other strangers fail for this user, and the user never used this user agent anywhere |
//! | users log in from there | this alarm or [`Alarm::Insider`] names it, and it failed for this user as above |
//! | exempt | never |

use std::time::Duration;

use super::Engine;
use super::identity::LoggedIn;
use crate::key::Key;
use crate::limits::millis;
use crate::sources::MISTYPES;
use crate::{Action, Alarm, RuleName, Text, Timestamp, net};

/// Reports remembered, by account, by host and by both: each takes a right password.
pub(super) const MAX_REPORTED: usize = 4_096;

/// How long nothing more is reported of an account, and of an account at the same host.
const REPORT_EVERY: Duration = Duration::from_secs(3_600);
const SAME_HOST_EVERY: Duration = Duration::from_secs(86_400);

/// Failures of a user at an address that are more than mistypes.
const MANY: u32 = MISTYPES + 1;

/// Other strangers that fail for a user: fewer may be anybody's typing error.
const STRANGERS: u32 = 3;

/// What came before a log-in.
struct Before {
    failures: u32,
    /// How long ago the first of them was.
    first_ms: Option<u32>,
    strangers: u32,
}

impl Engine {
    /// A right password came, from an address that may be forged. True when it may have been guessed: then the
    /// failures before it stay counted.
    pub(super) fn watch_login(&mut self, success: LoggedIn<'_>, actions: &mut Vec<Action>) -> bool {
        let address = net::canonical(success.source);
        let (host, user) = (Key::of_addr(address), self.fingerprints.text(success.user));
        if self.identities.is_at_home(host, user, self.now, &self.limits)
            || self.exemptions.of(address).is_some()
        {
            return false;
        }
        let Some(before) = self.before(success, host, user) else {
            return false;
        };
        let account = self.fingerprints.account(success.user, success.domain);
        let line = self.fingerprints.line(host, account, 0);
        if self.may_report(account, REPORT_EVERY) && self.may_report(line, SAME_HOST_EVERY) {
            for what in [account, line, self.fingerprints.key(host)] {
                *self.guessed.entry(what) = self.now;
            }
            actions.push(Action::Alarm(Alarm::Guessed {
                user: Text::new(success.user),
                address,
                failures: before.failures,
                first_failure_seconds_before: before.first_ms.map(|ms| ms / 1_000),
                strangers: before.strangers,
            }));
        }
        true
    }

    /// What came before the first log-in of a user at a host, if it speaks of guessing.
    fn before(&self, success: LoggedIn<'_>, host: Key, user: u64) -> Option<Before> {
        let address = net::canonical(success.source);
        let key = self.key(address);
        let rule = &self.limits.policy.rules.account;
        let member = self.fingerprints.key(key);
        let strangers = self.accounts.others(user, member, rule.window, self.now);
        if !self.standing(address, Some(user)).1.is_strange() {
            let suspect = self.insiders.was_reported(&host, self.now)
                || !self.may_report(self.fingerprints.key(host), SAME_HOST_EVERY);
            let (failures, first_ms) =
                self.insiders.since_first(&host, user, &self.limits, self.now);
            let many = suspect && failures >= MANY;
            return many.then_some(Before { failures, first_ms, strangers });
        }
        let history = self.sources.get(&key).map(|source| &source.history);
        let (failures, first_ms) = history.map_or((0, None), |history| {
            history.since_first(user, millis(self.now), self.limits.keep_ms)
        });
        if failures >= MANY {
            return Some(Before { failures, first_ms, strangers });
        }
        // A ban forgets the failures that led to it.
        let ban = self.bans.covering(address).and_then(|(_, ban)| ban.cause.evidence());
        let own = ban.filter(|it| self.key(net::canonical(it.address)) == key);
        if let Some(evidence) = own.filter(|it| counts_failures(it.rule)) {
            return Some(Before { failures: evidence.failures, first_ms: None, strangers });
        }
        // Accounts with simple names are always under attack: their own phones go on to new addresses, too.
        let attacked = strangers >= STRANGERS.min(rule.threshold);
        let usual = self
            .agent(success.user_agent)
            .is_some_and(|agent| self.identities.uses(user, agent, self.now, &self.limits));
        (attacked && !usual).then_some(Before { failures, first_ms, strangers })
    }

    fn may_report(&self, what: u64, every: Duration) -> bool {
        let last = self.guessed.get(&what);
        last.is_none_or(|at: &Timestamp| self.now.since(*at) >= every)
    }

    /// Forgets reports that are too old to hold others back.
    pub(super) fn expire_guessed(&mut self, now: Timestamp) {
        self.guessed.expire(|_, at| now.since(*at) >= SAME_HOST_EVERY);
    }
}

/// Whether the bans of a rule follow from failed log-ins to FreeSWITCH.
fn counts_failures(rule: RuleName) -> bool {
    match rule {
        RuleName::Failures
        | RuleName::Users
        | RuleName::UserAgents
        | RuleName::Slow
        | RuleName::Calls
        | RuleName::RawAddress
        | RuleName::Account
        | RuleName::Deafness => true,
        RuleName::Report
        | RuleName::Flood
        | RuleName::Challenges
        | RuleName::Network
        | RuleName::Log
        | RuleName::Login
        | RuleName::Attention
        | RuleName::Insider
        | RuleName::Scan => false,
    }
}
