//! Moves bans from one table to another while they stand.

use ipnet::IpNet;
use nix::errno::Errno;

use super::Enforcer;
use super::apply::SEND;
use crate::blackhole::Blackholes;
use crate::monitor::Signs;
use crate::netlink::{Batch, Reply};
use crate::place::Place;
use crate::{Report, RouteError, rules};

/// Bans on their way into another table. Each is set there before it goes here, so none is without a route.
#[derive(Debug)]
pub(super) struct Moving {
    /// The tables they leave.
    from: Vec<Blackholes>,
    /// What is still to move, with its table.
    rest: Vec<(IpNet, Blackholes)>,
    moved: usize,
}

impl Moving {
    pub(super) fn old_tables(&self) -> &[Blackholes] {
        &self.from
    }
}

impl Enforcer {
    /// Begins to move our routes that are in other tables to where the bans are now.
    pub(super) fn begin_move(&mut self, routes: Vec<(IpNet, u32)>) {
        let protocol = self.settings.protocol;
        let rest =
            routes.into_iter().map(|(net, table)| (net, Blackholes::in_table(table, protocol)));
        let moving =
            self.moving.get_or_insert(Moving { from: Vec::new(), rest: Vec::new(), moved: 0 });
        for (net, blackholes) in rest {
            if !moving.from.iter().any(|known| known.table() == blackholes.table()) {
                moving.from.push(blackholes);
            }
            moving.rest.push((net, blackholes));
        }
    }

    /// Moves the next some.
    pub(super) async fn move_on(&mut self) -> Result<(), RouteError> {
        let Some(moving) = &mut self.moving else { return Ok(()) };
        let keep = moving.rest.len().saturating_sub(SEND);
        let part = moving.rest.split_off(keep);
        if part.is_empty() {
            return self.end_move().await;
        }
        let mut batch = Batch::default();
        let mut places = Vec::with_capacity(part.len());
        for (index, (net, _)) in part.iter().enumerate() {
            // One that was unbanned meanwhile only goes.
            if self.wanted.contains(net) {
                self.blackholes.add(&mut batch, *net);
                places.push(index);
            }
        }
        let mut refused = vec![false; part.len()];
        self.route
            .exchange(batch, |place, reply| {
                if let Reply::Refused(refusal) = reply
                    && let Some(slot) = places.get(place).and_then(|index| refused.get_mut(*index))
                {
                    // Taken by one of our own that came before it.
                    *slot = refusal.errno != Errno::EEXIST;
                }
            })
            .await?;
        let mut batch = Batch::default();
        for ((net, from), refused) in part.iter().zip(refused) {
            if !refused {
                from.delete_any(&mut batch, *net);
            }
        }
        self.route.exchange(batch, |_, _| {}).await?;
        if let Some(moving) = &mut self.moving {
            moving.moved += part.len();
        }
        // Nothing waits here: other tasks of this thread, which ask for bans meanwhile, get their turn.
        tokio::task::yield_now().await;
        self.monitor.drain().map_err(RouteError::Socket)
    }

    /// Takes away the rules of tables that are empty now, looks whether all has arrived, and reports.
    async fn end_move(&mut self) -> Result<(), RouteError> {
        let Some(moving) = self.moving.take() else { return Ok(()) };
        self.remove_stale_rules().await?;
        let Place { table, preference } = self.proof.place;
        let because = std::mem::take(&mut self.moved_because);
        self.outbox.push(Report::Moved { routes: moving.moved, table, preference, because });
        let now = tokio::time::Instant::now();
        self.schedule.note(Signs { routes: true, ..Signs::default() }, now);
        self.round.note(super::unsettled::Extent::Unsettled, now);
        Ok(())
    }

    /// Removes our rules that lead to bans where there are none any more.
    pub(super) async fn remove_stale_rules(&mut self) -> Result<(), RouteError> {
        let protocol = self.settings.protocol;
        let wanted = self.proof.place.rules();
        let tables = self.settings.tables();
        for rule in rules::ours(&mut self.route, protocol).await? {
            let is_for_bans = !rule.is_for_gate() && tables.contains(&rule.table());
            if is_for_bans && !wanted.contains(&rule) {
                rules::remove(&mut self.route, protocol, rule).await?;
            }
        }
        Ok(())
    }
}
