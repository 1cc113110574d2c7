//! Whether bans are carried out.

use ipnet::IpNet;

use super::Control;
use super::error::ControlError;
use super::healthy::look;
use crate::EngineTask;
use sipward_model::wire::{Healthy, Mode, ModeView};

/// Bans looked at in one call to the engine: each is compared with all hosts that must stay.
const PART: usize = 64;

/// Bans of healthy hosts that are named.
const NAMED: usize = 20;

impl Control {
    /// The mode, and what mode `ban` blocks.
    pub async fn mode(&self) -> Result<ModeView, ControlError> {
        let state = self.settings.state().await;
        let (bans, flows) = self
            .engine
            .call(|task| (task.engine().stats().bans, task.engine().flows().count()))
            .await?;
        let mut view = ModeView {
            mode: self.settings.mode(),
            file: state.file.mode,
            is_fixed: state.file.mode_is_fixed,
            bans: bans as u64,
            flows: flows as u64,
            bans_of_healthy: 0,
            healthy: Vec::new(),
        };
        let mut last = None;
        loop {
            let (found, more) = self.engine.call(move |task| healthy_after(task, last)).await?;
            view.bans_of_healthy += found.len() as u64;
            let room = NAMED - view.healthy.len();
            view.healthy.extend(found.into_iter().take(room));
            match more {
                Some(net) => last = Some(net),
                None => return Ok(view),
            }
        }
    }

    /// Carries bans out from now on, or only observes. It is answered when the kernel has taken over, or let go of,
    /// what it had to, and the store has written it.
    pub async fn set_mode(&self, mode: Mode) -> Result<ModeView, ControlError> {
        self.settings.set_mode(mode).await?;
        self.store_settled().await;
        self.mode().await
    }
}

/// The healthy hosts in some bans behind that of `last`, and where to go on.
fn healthy_after(task: &EngineTask, last: Option<IpNet>) -> (Vec<Healthy>, Option<IpNet>) {
    let nets: Vec<IpNet> = task.engine().bans_after(last).take(PART).map(|ban| ban.net).collect();
    let more = nets.last().copied().filter(|_| nets.len() == PART);
    let found = nets.into_iter().map(|net| look(task, net)).filter(|found| !found.hosts.is_empty());
    (found.collect(), more)
}
