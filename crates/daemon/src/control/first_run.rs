//! The first steps of a new installation, and which of them are taken.

use std::net::IpAddr;
use std::sync::atomic::Ordering;

use sipward_engine::Exemption;

use super::Control;
use super::doctor::of_operators;
use super::error::ControlError;
use crate::EngineTask;
use crate::freeswitch_queries::table::Part;
use sipward_config::Mode;
use sipward_model::text;

/// A first step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FirstStep {
    /// FreeSWITCH accepts the password of the Event Socket, and its events arrive.
    Connected,
    /// FreeSWITCH has listed its registered phones, and there are some.
    Phones,
    /// Something is on the allow list, and so is the address that the request comes from.
    Allowed,
    /// Mail or a webhook is set, and has delivered.
    Notified,
    /// Bans are carried out.
    Blocking,
}

/// How a step is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StepTaken {
    pub step: FirstStep,
    pub done: bool,
    /// What is so, or what is missing. May contain text of FreeSWITCH or of a server.
    pub found: String,
}

impl Control {
    /// The first steps, in the order in which they are best taken; `from` is the address of the request. None
    /// where the command line says that nothing is to be blocked.
    pub async fn first_run(&self, from: Option<IpAddr>) -> Result<Vec<StepTaken>, ControlError> {
        if self.settings.state().await.file.mode_is_fixed {
            return Ok(Vec::new());
        }
        let of_engine = self
            .engine
            .call(move |task| [connected(task), phones(task), allowed(task, from)])
            .await?;
        let mut steps = Vec::from(of_engine);
        steps.extend([self.told(), self.blocking()]);
        Ok(steps)
    }

    fn told(&self) -> StepTaken {
        let ways = self.notifications();
        let delivered =
            self.trials.worked.load(Ordering::Relaxed) || ways.iter().any(|way| way.delivered > 0);
        let (done, found) = match (ways.is_empty(), delivered) {
            (true, _) => (false, "nothing is set (`mail.to`, `webhook.urls`)"),
            (false, false) => (false, "set, but not tested"),
            (false, true) => (true, "set, and delivered"),
        };
        StepTaken { step: FirstStep::Notified, done, found: found.to_owned() }
    }

    fn blocking(&self) -> StepTaken {
        let (done, found) = match self.settings.mode() {
            Mode::Ban => (true, "bans are carried out"),
            Mode::Observe => (false, "observe mode: nothing is blocked"),
        };
        StepTaken { step: FirstStep::Blocking, done, found: found.to_owned() }
    }
}

fn connected(task: &EngineTask) -> StepTaken {
    let (done, found) = match task.peer() {
        Some(peer) => (true, format!("connected to {peer}")),
        None => {
            (false, task.standing().error.clone().unwrap_or_else(|| "not connected yet".into()))
        }
    };
    StepTaken { step: FirstStep::Connected, done, found }
}

fn phones(task: &EngineTask) -> StepTaken {
    let count = task.protected().phones.count() as u64;
    let complete = task.protected().unknown().all(|part| part != Part::Registrations);
    let (done, found) = match (complete, count) {
        (false, _) => (false, "FreeSWITCH has not listed its registrations".to_owned()),
        (true, 0) => (false, "no phone is registered".to_owned()),
        (true, count) => (true, format!("{} registered", text::count(count, "phone"))),
    };
    StepTaken { step: FirstStep::Phones, done, found }
}

fn allowed(task: &EngineTask, from: Option<IpAddr>) -> StepTaken {
    let count = of_operators(task);
    let from = from.map(|from| from.to_canonical());
    // Through a tunnel a request comes from this host, and its origin is not known.
    let outside = from.filter(|from| {
        task.engine().exemptions(*from).iter().all(|(class, _)| *class != Exemption::Own)
    });
    let covered = outside.is_none_or(|from| !task.engine().exemptions(from).is_empty());
    let (done, found) = match (count, covered, outside) {
        (0, _, _) => (false, "nothing is allowed".to_owned()),
        (_, false, Some(from)) => (false, format!("your address {from} is not on the list")),
        (count, _, _) => (true, format!("{} allowed", text::count(count as u64, "network"))),
    };
    StepTaken { step: FirstStep::Allowed, done, found }
}
