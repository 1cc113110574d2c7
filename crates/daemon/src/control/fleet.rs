//! What other nodes say.

use std::sync::Arc;

use ipnet::IpNet;
use sipward_engine::{AssertionView, RemoteOutcome};

use super::Control;
use super::error::ControlError;
use crate::EngineTask;
use crate::metrics::refusal_word;
use sipward_model::text::{Time, count};
use sipward_model::wire::{Fleet, FleetAssertion, FleetLift, FleetWhy, MAX_LISTED};

impl Control {
    /// The fleet as this node sees it, with the nodes as they were read last.
    #[must_use]
    pub fn fleet(&self) -> Arc<Fleet> {
        self.fleet.view()
    }

    /// The same, with the nodes as they are now.
    pub async fn fleet_now(&self) -> Arc<Fleet> {
        self.fleet.view_now().await
    }

    /// What the nodes say of `net`, and what became of it here.
    pub async fn fleet_why(&self, net: IpNet) -> Result<FleetWhy, ControlError> {
        Ok(self.engine.call(move |task| why(task, net)).await?)
    }
}

fn why(task: &EngineTask, net: IpNet) -> FleetWhy {
    let (engine, clock) = (task.engine(), task.clock());
    let said = engine.fleet_assertions(net);
    let assertions = said.iter().take(MAX_LISTED).map(|said| FleetAssertion {
        node: said.peer.to_string(),
        net: said.net,
        outcome: outcome_word(&said.outcome),
        until: Time(clock.wall(said.until)),
        rule: said.facts.rule.map(|rule| rule.as_str().to_owned()),
        grade: said.facts.grade.map(|grade| grade.as_str().to_owned()),
        failures: said.facts.failures,
        why: said.facts.why.to_string(),
    });
    let is_over = |lift: &IpNet| lift.contains(&net) || net.contains(lift);
    let lifts = engine.fleet_lifts().filter(|lift| is_over(&lift.net));
    let lift =
        lifts.filter(|lift| lift.hold_until > clock.steady()).max_by_key(|lift| lift.hold_until);
    FleetWhy {
        net,
        verdict: verdict(&said, net),
        assertions: assertions.collect(),
        lift: lift.map(|lift| FleetLift {
            until: Time(clock.wall(lift.hold_until)),
            reason: lift.reason.to_owned(),
        }),
    }
}

fn outcome_word(outcome: &RemoteOutcome) -> String {
    match outcome {
        RemoteOutcome::Banned => "banned".to_owned(),
        RemoteOutcome::BannedHere => "banned_here".to_owned(),
        RemoteOutcome::Refused(refusal) => refusal_word(refusal).to_owned(),
    }
}

fn verdict(said: &[AssertionView<'_>], net: IpNet) -> String {
    let Some(first) = said.first() else {
        return format!("no other node says that {net} is banned");
    };
    let nodes = count(said.len() as u64, "ban");
    if said.iter().any(|said| said.outcome == RemoteOutcome::Banned) {
        return format!("banned here because of {nodes} at other nodes");
    }
    if said.iter().any(|said| said.outcome == RemoteOutcome::BannedHere) {
        return format!("this node bans it itself; {nodes} at other nodes");
    }
    let why = outcome_word(&first.outcome).replace('_', " ");
    format!("not banned here in spite of {nodes} at other nodes: {why}")
}
