//! What operators of this node lifted before the start.

use std::time::Duration;

use ipnet::IpNet;
use sipward_engine::{Engine, Input, LIFT_HOLD, MAX_REMAINING, Origin, UnblockReason};

use crate::engine_task::EngineTask;
use sipward_model::clock::Clock;
use sipward_store::{HistoryKind, HistoryQuery, Store, What};

/// Pages of the history that are looked at.
const MAX_PAGES: usize = 10;

/// A network, and how long ago its ban was lifted.
pub type Lifted = (IpNet, Duration);

/// Bans that operators lifted, of the last day: what others said of them before must not ban them again. Without the
/// store nothing is known.
pub async fn lifted(store: &Store, clock: &Clock) -> Vec<Lifted> {
    let (now, mut before, mut all) = (clock.now(), None, Vec::new());
    for _ in 0..MAX_PAGES {
        let query = HistoryQuery {
            kind: Some(HistoryKind::Unban),
            from: Some(now.earlier(MAX_REMAINING)),
            before,
            limit: HistoryQuery::MAX_LIMIT,
            ..HistoryQuery::default()
        };
        let Ok(page) = store.history(query).await else { break };
        let manual = What::Unban { reason: UnblockReason::Manual };
        let lifted = page.events.iter().filter(|event| event.what == manual);
        all.extend(lifted.map(|event| (event.net, now.since(event.at))));
        before = page.next;
        if before.is_none() {
            break;
        }
    }
    all
}

/// Passes them to the engine, without those that this node itself has banned again.
pub(super) fn restore(task: &mut EngineTask, lifted: Vec<Lifted>) {
    for (net, age) in lifted {
        if !is_banned_here(task.engine(), net) {
            let (hold, reason) = (LIFT_HOLD.saturating_sub(age), String::new());
            task.handle(Input::Lift { net, hold, age, reason });
        }
    }
}

/// Whether a ban of this node itself stands there.
fn is_banned_here(engine: &Engine, net: IpNet) -> bool {
    let mut there = engine.bans_covering(net).chain(engine.bans_inside(net));
    there.any(|ban| ban.origin != Origin::Remote)
}
