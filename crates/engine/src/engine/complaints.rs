//! Lines of FreeSWITCH's log.

use std::net::IpAddr;

use super::Engine;
use crate::complaints::{JOIN_LINE, Line, Lines};
use crate::distinct::Size;
use crate::held::Accusation;
use crate::key::Key;
use crate::{Action, Complaint, ComplaintKind, Grade, Mode, RuleName, Text, net};

impl Engine {
    pub(super) fn on_complaint(&mut self, complaint: &Complaint<'_>, actions: &mut Vec<Action>) {
        if !self.limits.policy.rules.log.guard.is_on() {
            return;
        }
        self.stats.complaints += 1;
        let Complaint { source, user, kind } = *complaint;
        let source = net::canonical(source);
        match kind {
            ComplaintKind::AuthFailure | ComplaintKind::UnknownUser => {
                let user = self.fingerprints.text(user.unwrap_or_default());
                let host = (source, Key::of_addr(source));
                let key = self.fingerprints.complaint(host.1, user);
                let evicted = match self.complaints.line(key, host, kind, self.now) {
                    Line::Joined => {
                        self.stats.complaints_joined += 1;
                        None
                    }
                    Line::Waits(evicted) => evicted,
                    Line::Replaces(evicted) => {
                        self.stats.complaints_joined += 1;
                        evicted
                    }
                };
                self.wake_by(self.now + JOIN_LINE);
                if let Some(lines) = evicted {
                    self.count_lines(lines, actions);
                }
            }
            // No event reports these.
            ComplaintKind::Reported
            | ComplaintKind::AclRejected
            | ComplaintKind::MalformedAuthorization => self.count_line(source, kind, actions),
        }
    }

    /// An event reported a failure: lines about the same one do not count.
    pub(super) fn note_reported(&mut self, source: IpAddr, user: u64) {
        if !self.limits.policy.rules.log.guard.is_on() {
            return;
        }
        let key = self.fingerprints.complaint(Key::of_addr(source), user);
        self.stats.complaints_joined += u64::from(self.complaints.failure(key, self.now));
    }

    /// Counts the lines for which no event came.
    pub(super) fn count_waiting_lines(&mut self, actions: &mut Vec<Action>) {
        while let Some(lines) = self.complaints.due(self.now) {
            self.count_lines(lines, actions);
        }
    }

    fn count_lines(&mut self, lines: Lines, actions: &mut Vec<Action>) {
        let (Some(source), Some(kind)) = (lines.source, lines.kind) else {
            return;
        };
        // More of them than any threshold change nothing.
        let most = self.limits.policy.rules.log.threshold;
        for _ in 0..lines.count.min(most) {
            self.count_line(source, kind, actions);
        }
    }

    fn count_line(&mut self, source: IpAddr, kind: ComplaintKind, actions: &mut Vec<Action>) {
        let rule = self.limits.policy.rules.log;
        let counted = self.fingerprints.key(self.key(source));
        self.lines_counted += 1;
        let member = self.lines_counted;
        let most = (rule.threshold, rule.window);
        let Size { count, new } = self.lines.add(counted, member, most, self.now);
        // In shadow it is reported once, for as long as it stays due. A ban begins the count anew: what
        // was counted towards it counts for no second one.
        let shadow = rule.guard.mode == Mode::Shadow;
        if count < rule.threshold || (shadow && !new) {
            return;
        }
        if !shadow {
            self.lines.remove(counted);
        }
        let reason = Some(Box::new(Text::new(kind.as_str())));
        let (rule, grade, addr) = (RuleName::Log, Grade::Unjoined, source);
        self.accuse(Accusation { rule, grade, count, addr, reason }, actions);
    }
}
