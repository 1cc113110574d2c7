//! What the start brings back: stored bans, and routes that nobody explains.

use std::collections::HashSet;
use std::time::Duration;

use ipnet::IpNet;
use sipward_engine::{Action, Input};
use sipward_route::{Change, Report};
use tokio::sync::mpsc;
use tokio::time;
use tokio_util::sync::CancellationToken;

use super::{Judge, TURN};
use crate::record::Record;
use crate::store::{Saved, SavedBan};

/// Longest wait for the kernel to have all bans back before FreeSWITCH's events are read: twice what half
/// a million take, and within the time that systemd gives a start.
const RETURN: Duration = Duration::from_secs(20);

/// What the start has brought back.
#[derive(Clone, Debug)]
pub(in crate::daemon) struct Restored {
    /// Stored bans that stand again.
    pub(in crate::daemon) bans: usize,
    /// Routes that became bans, because no stored ban explains them.
    pub(in crate::daemon) adopted: usize,
    /// Bans whose routes were not there and are on their way.
    pub(in crate::daemon) missing: HashSet<IpNet>,
}

impl Judge {
    /// Takes over what was stored and the routes of ours that were found.
    pub(in crate::daemon) fn take_over(&mut self, saved: Saved, found: &[IpNet]) -> Restored {
        // A route whose ban has ended meanwhile is explained too: it is on its way out.
        let explained: HashSet<IpNet> = saved.bans.iter().map(|ban| ban.net).collect();
        let mut missing = self.restore(saved);
        let bans = missing.len();
        let before = self.totals.bans;
        for net in found {
            missing.remove(net);
            if !explained.contains(net) {
                self.tell(Input::Adopt { net: *net });
            }
        }
        let adopted = usize::try_from(self.totals.bans - before).unwrap_or(usize::MAX);
        Restored { bans, adopted, missing }
    }

    /// Tells the engine what was stored. Gives the bans that stand again, whose routes are on their way.
    fn restore(&mut self, saved: Saved) -> HashSet<IpNet> {
        // Allowed hosts and changed settings are in force before: they decide what comes back.
        let Saved { bans, offenders, successes, allow: _, overrides: _, unreadable, tokens: _ } =
            saved;
        if unreadable > 0 {
            let error = format!(
                "{unreadable} rows make no sense and were left out; was the file changed by hand, or \
                 written by another version?"
            );
            self.publish(Record::StoreIncomplete { error });
        }
        for success in successes {
            self.tell(Input::Remember(success));
        }
        for offender in offenders {
            self.tell(Input::Offender(offender));
        }
        bans.into_iter().filter_map(|ban| self.restore_ban(ban)).collect()
    }

    fn restore_ban(&mut self, ban: SavedBan) -> Option<IpNet> {
        let SavedBan { net, since, until, cause } = ban;
        let input = Input::Restore { net, since, until, cause };
        self.engine.handle(input, self.clock.now(), &mut self.actions);
        let before = self.actions.len();
        // A ban that stands as it was stored is no news, neither for the log nor for the history.
        self.actions.retain(|action| {
            !matches!(action, Action::Block { net: n, since: s, until: u, .. }
                if (*n, *s, *u) == (net, since, until))
        });
        let stands = self.actions.len() < before;
        if stands {
            self.wishes.push(Change::Block(net));
        }
        self.carry_out(None);
        stands.then_some(net)
    }

    /// Waits until the kernel has answered for all of `nets`.
    pub(in crate::daemon) async fn settle(
        &mut self,
        mut nets: HashSet<IpNet>,
        reports: &mut mpsc::Receiver<Report>,
        stop: &CancellationToken,
    ) {
        let mut some = Vec::with_capacity(TURN);
        let settled = time::timeout(RETURN, async {
            while !nets.is_empty() {
                tokio::select! {
                    () = stop.cancelled() => break,
                    count = reports.recv_many(&mut some, TURN) => {
                        if count == 0 {
                            break;
                        }
                        for report in some.drain(..) {
                            if let Some(net) = answered(&report) {
                                nets.remove(&net);
                            }
                            self.report(report);
                        }
                    }
                    () = self.wishes.flow(), if self.wishes.is_waiting() => {}
                }
            }
        });
        if settled.await.is_err() {
            tracing::warn!(routes = nets.len(), "not all bans are back yet; FreeSWITCH is watched");
        }
    }

    /// The store could be read only now.
    pub(super) fn late(&mut self, mut saved: Saved) {
        // What was decided meanwhile is in it too.
        let standing: HashSet<_> =
            self.engine.bans().map(|ban| (ban.net, ban.since, ban.until)).collect();
        saved.bans.retain(|ban| !standing.contains(&(ban.net, ban.since, ban.until)));
        let restored = self.restore(saved).len();
        self.store.took_over();
        self.publish(Record::StoreRead { restored });
    }

    /// Writes all bans anew where some were lost on the way to the store.
    pub(super) fn complete_store(&self) {
        if !self.store.wants_bans() {
            return;
        }
        let bans = self.engine.bans().map(|ban| SavedBan {
            net: ban.net,
            since: ban.since,
            until: ban.until,
            cause: ban.cause.clone(),
        });
        self.store.put_bans(bans.collect());
    }
}

fn answered(report: &Report) -> Option<IpNet> {
    match report {
        Report::Blocked { net, .. } | Report::Unblocked { net, .. } => Some(*net),
        Report::Failed { change, .. } => Some(change.net()),
        Report::Healed { .. }
        | Report::Moved { .. }
        | Report::Strays { .. }
        | Report::Packets { .. }
        | Report::Spared { .. }
        | Report::NotSpared { .. }
        | Report::Host(_)
        | Report::Coverage(_) => None,
    }
}
