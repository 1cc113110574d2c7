//! The allow list.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::SystemTime;

use ipnet::IpNet;
use sipward_engine::UnblockReason;
use tokio::sync::broadcast;

use super::Control;
use super::bans::{MAX_WORDS, wait_for_unbans};
use super::bounds::{at_most, limit};
use super::error::ControlError;
use super::overlap::Staying;
use crate::{self as daemon, Allowed};
use sipward_config::HostEntry;
use sipward_model::clock;
use sipward_model::record::Record;
use sipward_model::text::Time;
use sipward_model::wire::{
    AllowChanged, AllowEntry, AllowOrigin, AllowPage, AllowQuery, MAX_LISTED, NewAllow,
};

type Answers = HashMap<String, Vec<IpAddr>>;

impl Control {
    /// Lists hosts that no rule bans.
    pub async fn allow_list(&self, query: AllowQuery) -> Result<AllowPage, ControlError> {
        let limit = limit(query.limit)?;
        let (state, answers) = (self.settings.state().await, self.settings.answers());
        let mut entries = entries(&state, &answers);
        entries.retain(|(_, entry)| query.origin.is_none_or(|origin| origin == entry.origin));
        entries.sort_by(|(one, _), (other, _)| one.cmp(other));
        entries.dedup_by(|(one, _), (other, _)| one == other);
        let total = entries.len() as u64;
        entries.retain(|(name, _)| query.cursor.as_ref().is_none_or(|cursor| name > cursor));
        let more = entries.len() > limit;
        entries.truncate(limit);
        let next = entries.last().filter(|_| more).map(|(name, _)| name.clone());
        let items = entries.into_iter().map(|(_, entry)| entry).collect();
        Ok(AllowPage { items, total, next })
    }

    /// Allows a host: no rule bans it, and bans that cover it are lifted or split. It is stored.
    ///
    /// A ban by an operator outranks the list: such bans of the host remain and are reported.
    pub async fn allow(
        &self,
        NewAllow { host, comment, until }: NewAllow,
    ) -> Result<(Allowed, AllowChanged), ControlError> {
        at_most("comment", comment.as_deref(), MAX_WORDS)?;
        if until.is_some_and(|until| until.0 <= clock::stamp(SystemTime::now())) {
            return Err(ControlError::field("until", "it is over already; write a time to come"));
        }
        let mut records = self.records.subscribe();
        let done = self.settings.allow(host.clone(), comment, until.map(|until| until.0)).await?;
        wait_for_unbans(&self.engine).await?;
        let (count, ended) = lifted(&mut records);
        let store = self.store_settled().await;
        let (state, answers) = (self.settings.state().await, self.settings.answers());
        let entry = entries(&state, &answers).into_iter().find(|(_, entry)| entry.host == host);
        let Some((_, entry)) = entry else {
            return Err(daemon::ChangeError::NoEntry(host).into());
        };
        let Staying { total: staying_total, nets: staying } =
            Staying::on(&self.engine, &entry.nets).await?;
        Ok((done, AllowChanged { entry, count, ended, staying_total, staying, store }))
    }

    /// Takes a host that was added at run time off the list.
    pub async fn disallow(&self, host: &HostEntry) -> Result<AllowChanged, ControlError> {
        let entry = self.settings.disallow(host).await?;
        let store = self.store_settled().await;
        let entry = runtime(entry, &self.settings.answers());
        let (ended, staying) = (Vec::new(), Vec::new());
        Ok(AllowChanged { entry, count: 0, ended, staying_total: 0, staying, store })
    }
}

/// Every entry, by its host as text. An entry of the file that was also added at run time is listed once, as the
/// file's.
fn entries(state: &daemon::State, answers: &Arc<Answers>) -> Vec<(String, AllowEntry)> {
    let now = clock::stamp(SystemTime::now());
    let file = state.file.allow_at(now).map(|host| {
        let note = state.file.allow_note(host);
        AllowEntry {
            origin: AllowOrigin::File,
            comment: note.and_then(|note| note.comment.clone()),
            since: None,
            until: note.and_then(|note| note.until).map(Time),
            nets: nets(host, answers),
            host: host.clone(),
        }
    });
    let added = state.overrides.allowed().iter().map(|entry| runtime(entry.clone(), answers));
    let all = file.chain(added);
    all.map(|entry| (entry.host.to_string(), entry)).collect()
}

fn runtime(entry: sipward_store::AllowEntry, answers: &Answers) -> AllowEntry {
    let nets = nets(&entry.host, answers);
    let (since, origin) = (Some(Time(entry.since)), AllowOrigin::Runtime);
    AllowEntry {
        host: entry.host,
        origin,
        comment: entry.comment,
        since,
        until: entry.until.map(Time),
        nets,
    }
}

fn nets(host: &HostEntry, answers: &Answers) -> Vec<IpNet> {
    match host {
        HostEntry::Net(net) => vec![*net],
        HostEntry::Name(name) => {
            answers.get(name).into_iter().flatten().map(|address| IpNet::from(*address)).collect()
        }
    }
}

/// The bans that ended because of an exemption, from the records since `records` was opened.
fn lifted(records: &mut broadcast::Receiver<Arc<Record>>) -> (u64, Vec<IpNet>) {
    let (mut count, mut nets) = (0, Vec::new());
    loop {
        match records.try_recv() {
            Ok(record) => {
                let Record::Unban { net, reason, .. } = &*record else {
                    continue;
                };
                if matches!(reason, UnblockReason::Exempted | UnblockReason::Split) {
                    count += 1;
                    if nets.len() < MAX_LISTED {
                        nets.push(*net);
                    }
                }
            }
            // More than the channel holds: the count is a part of it.
            Err(broadcast::error::TryRecvError::Lagged(_)) => {}
            Err(_) => return (count, nets),
        }
    }
}
