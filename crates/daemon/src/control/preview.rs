//! What a change would mean for the bans in force. Nothing is
//! changed.

use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;
use sipward_engine::{
    self as engine, BanView, Engine, Exemption, Expiry, Forecast, Input, Policy, RuleName,
};

use super::attacks::of_memory;
use super::bans::{Ended, MAX_WORDS};
use super::bounds::at_most;
use super::error::ControlError;
use super::overlap::{Staying, list, visit_overlapping};
use super::{Control, convert, policy};
use crate::names;
use crate::{EngineTask, PolicyEdit};
use sipward_config::HostEntry;
use sipward_model::wire::{
    AllowPreview, NewAllow, PolicyChange, PolicyPreview, PreviewedBan, PreviewedSource, ValueChange,
};

/// Bans looked at in one call to the engine.
const BANS: usize = 1_024;

/// Bans whose exemption is tried in one call: splitting one takes some microseconds.
const TRIED: usize = 64;

/// Sources looked at in one call: what is known of each is copied.
const SOURCES: usize = 64;

impl Control {
    /// The effect of a change of the policy: bans that would not have been made, and sources that would be banned next.
    ///
    /// A change of the policy ends no ban. The answer is based on the evidence at the time of each ban: some of them
    /// would have been made later.
    pub async fn preview_policy(
        &self,
        change: PolicyChange,
    ) -> Result<PolicyPreview, ControlError> {
        let stored = change.stored;
        let edit = PolicyEdit::Set { values: policy::wanted(change)?, stored };
        let (now, then) = self.settings.preview_policy(&edit).await?;
        let changes = policy::differences(&now, &then);
        let changes = changes.into_iter().map(|(key, from, to)| ValueChange { key, from, to });
        let then = Arc::new(then);
        let mut preview = PolicyPreview { changes: changes.collect(), ..PolicyPreview::default() };
        let mut last = None;
        loop {
            let then = Arc::clone(&then);
            let (part, more) =
                self.engine.call(move |task| look_at_bans(task, last, &then)).await?;
            for seen in part {
                add_ban(&mut preview, &seen);
            }
            match more {
                Some(net) => last = Some(net),
                None => break,
            }
        }
        let sources = of_memory(self, |seen| {
            let mut known = HashSet::new();
            let sources = seen.failures().map(|(_, failure)| failure.address);
            sources.filter(|source| known.insert(*source)).collect::<Vec<IpAddr>>()
        })
        .await?;
        preview.sources_looked_at = sources.len() as u64;
        for part in sources.chunks(SOURCES) {
            let (part, then) = (part.to_vec(), Arc::clone(&then));
            let due = self.engine.call(move |task| look_at_sources(task, &part, &then)).await?;
            preview.due_total += due.len() as u64;
            list(&mut preview.due, due);
        }
        preview.sources_tracked =
            self.engine.call(|task| task.engine().stats().tracked).await? as u64;
        Ok(preview)
    }
}

/// What is said of one ban.
struct SeenBan {
    net: IpNet,
    rule: RuleName,
    forecast: Forecast,
    /// Longer or shorter than it is.
    length: std::cmp::Ordering,
}

fn add_ban(preview: &mut PolicyPreview, seen: &SeenBan) {
    let SeenBan { net, rule, forecast, length } = *seen;
    preview.bans_looked_at += 1;
    match forecast {
        Forecast::Made => {
            preview.longer += u64::from(length.is_gt());
            preview.shorter += u64::from(length.is_lt());
        }
        Forecast::Unsure => preview.unsure_total += 1,
        Forecast::NotMade(because) => {
            let because = convert::not_made_because(because);
            preview.not_made_total += 1;
            list(&mut preview.not_made, [PreviewedBan { net, rule, because }]);
        }
    }
}

/// The next bans of rules behind a network, and the last one that was looked at; `None` at the end.
fn look_at_bans(
    task: &EngineTask,
    last: Option<IpNet>,
    then: &Policy,
) -> (Vec<SeenBan>, Option<IpNet>) {
    let engine = task.engine();
    // A small engine with the new policy knows how long its bans last.
    let Ok(ruler) = with_policy(engine, &[], then, task) else { return (Vec::new(), None) };
    let (mut seen, mut count, mut last_seen) = (Vec::new(), 0, None);
    for ban in engine.bans_after(last).take(BANS) {
        count += 1;
        last_seen = Some(ban.net);
        seen.extend(look_at_ban(&ban, then, &ruler));
    }
    (seen, last_seen.filter(|_| count >= BANS))
}

fn look_at_ban(ban: &BanView<'_>, then: &Policy, ruler: &Engine) -> Option<SeenBan> {
    let evidence = ban.cause.evidence()?;
    let forecast = engine::forecast(&evidence, then);
    let first = engine::first_ban_time(evidence.rule, then);
    let count = evidence.ban_count.max(1);
    let length = if evidence.escalates() { ruler.ban_length(first, count) } else { first };
    let Expiry::At(until) = ban.until else { return None };
    let length = length.cmp(&until.since(ban.since));
    Some(SeenBan { net: ban.net, rule: evidence.rule, forecast, length })
}

/// Those of `sources` that are due under another policy and not under the one in force.
fn look_at_sources(task: &EngineTask, sources: &[IpAddr], then: &Policy) -> Vec<PreviewedSource> {
    let engine = task.engine();
    let Ok(copy) = with_policy(engine, sources, then, task) else { return Vec::new() };
    let fresh = |source: &&IpAddr| engine.already_due(**source).is_none();
    let due = sources.iter().filter(fresh).filter_map(|source| {
        let rule = copy.already_due(*source)?;
        let view = copy.source(*source);
        let (failures, score) = (view.failures, view.score);
        Some(PreviewedSource { address: *source, rule, failures, score })
    });
    due.collect()
}

/// A small engine that knows of `sources` what the real one knows, with another policy.
fn with_policy(
    engine: &Engine,
    sources: &[IpAddr],
    then: &Policy,
    task: &EngineTask,
) -> Result<Engine, sipward_engine::PolicyError> {
    let mut copy = engine.preview(sources)?;
    let policy = Input::Policy(Box::new(then.clone()));
    copy.handle(policy, task.clock().steady(), &mut Vec::new());
    Ok(copy)
}

impl Control {
    /// The effect of an allow entry: bans that would be lifted or split, and manual bans that would remain.
    pub async fn preview_allow(
        &self,
        NewAllow { host, comment, until: _ }: NewAllow,
    ) -> Result<AllowPreview, ControlError> {
        at_most("comment", comment.as_deref(), MAX_WORDS)?;
        let state = self.settings.state().await;
        let already = state.effective().allow.contains(&host);
        let (nets, name_error) = match &host {
            HostEntry::Net(net) => (vec![*net], None),
            HostEntry::Name(name) => match names::look_up(name.clone()).await.1 {
                Ok(found) => (found.into_iter().map(IpNet::from).collect(), None),
                Err(error) => (Vec::new(), Some(error)),
            },
        };
        let mut preview = AllowPreview {
            host,
            already,
            nets,
            name_error,
            ended_total: 0,
            ended: Vec::new(),
            left_total: 0,
            left: Vec::new(),
            staying_total: 0,
            staying: Vec::new(),
        };
        if !already {
            let nets = preview.nets.clone();
            let tried = nets.clone();
            let look = move |task: &EngineTask, part: &[IpNet]| {
                let ended = task.engine().try_exemption(part, Exemption::Allow, &tried);
                (Ended::of(&ended.unwrap_or_default()), Staying::among(task, part))
            };
            let mut staying = Staying::default();
            visit_overlapping(&self.engine, &nets, TRIED, look, |(ended, stay)| {
                add_ended(&mut preview, ended);
                staying.add(stay);
            })
            .await?;
            (preview.staying_total, preview.staying) = (staying.total, staying.nets);
        }
        Ok(preview)
    }
}

fn add_ended(preview: &mut AllowPreview, ended: Ended) {
    preview.ended_total += ended.count;
    preview.left_total += ended.left.len() as u64;
    list(&mut preview.ended, ended.nets);
    list(&mut preview.left, ended.left);
}
