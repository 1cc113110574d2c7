//! The bans that share an address with some networks, a part at a time.

use std::collections::HashSet;

use ipnet::IpNet;
use sipward_engine::Origin;

use super::error::ControlError;
use crate::{EngineHandle, EngineTask};

/// Most items that a preview lists; it also contains their total number.
const LISTED: usize = 100;

/// Bans looked at in one call to the engine, where a look is all.
const LOOKED_AT: usize = 1_024;

/// Hands the bans that share an address with one of `nets` to `look`, in the engine, at most `at_once` in a
/// call but for those around a network, and each ban once; what it makes of them goes to `take`.
pub(super) async fn visit_overlapping<T: Send + 'static>(
    engine: &EngineHandle,
    nets: &[IpNet],
    at_once: usize,
    look: impl Fn(&EngineTask, &[IpNet]) -> T + Clone + Send + 'static,
    mut take: impl FnMut(T),
) -> Result<(), ControlError> {
    // One ban may hold several of the nets.
    let mut touched = HashSet::new();
    for net in nets.iter().copied() {
        let around = engine.call(move |task| {
            task.engine().bans_covering(net).map(|ban| ban.net).collect::<Vec<_>>()
        });
        let mut part: Vec<IpNet> = around.await?;
        let mut last = net;
        loop {
            part.retain(|banned| touched.insert(*banned));
            let look = look.clone();
            let call = engine.call(move |task| {
                let inside = task.engine().bans_after(Some(last)).map(|ban| ban.net);
                let behind: Vec<IpNet> =
                    inside.take_while(|inner| net.contains(inner)).take(at_once).collect();
                (look(task, &part), behind)
            });
            let (looked, behind) = call.await?;
            take(looked);
            match behind.last() {
                Some(inner) => last = *inner,
                None => break,
            }
            part = behind;
        }
    }
    Ok(())
}

/// Bans by an operator, which outrank the allow list.
#[derive(Debug, Default)]
pub(super) struct Staying {
    pub(super) total: u64,
    /// The first of them.
    pub(super) nets: Vec<IpNet>,
}

impl Staying {
    /// Those that share an address with one of `nets`.
    pub(super) async fn on(engine: &EngineHandle, nets: &[IpNet]) -> Result<Self, ControlError> {
        let mut all = Self::default();
        visit_overlapping(engine, nets, LOOKED_AT, Self::among, |some| all.add(some)).await?;
        Ok(all)
    }

    /// Those of exactly these networks.
    pub(super) fn among(task: &EngineTask, nets: &[IpNet]) -> Self {
        let is_manual = |net: &&IpNet| {
            let ban = task.engine().ban(**net);
            ban.is_some_and(|ban| matches!(ban.origin, Origin::Manual | Origin::Forced))
        };
        let nets: Vec<IpNet> = nets.iter().filter(is_manual).copied().collect();
        Self { total: nets.len() as u64, nets }
    }

    pub(super) fn add(&mut self, other: Self) {
        self.total += other.total;
        list(&mut self.nets, other.nets);
    }
}

/// Lists more, as far as there is room.
pub(super) fn list<T>(listed: &mut Vec<T>, more: impl IntoIterator<Item = T>) {
    let room = LISTED.saturating_sub(listed.len());
    listed.extend(more.into_iter().take(room));
}
