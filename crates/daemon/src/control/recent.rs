//! What happened last.

use ipnet::IpNet;

use super::Control;
use crate::activity::Tick;
use sipward_model::record::{Ban, FlowDenied, Record};
use sipward_model::text::Time;
use sipward_model::wire::{HistoryKind, Recent};

impl Control {
    /// The last decisions, and the addresses that failed last, since the start; the newest first, at most ten.
    pub fn recent(&self) -> Vec<Recent> {
        let latest = self.metrics.recall(|activity, _| activity.ticker.latest());
        latest.into_iter().filter_map(recent).collect()
    }
}

fn recent(Tick { at, record, times }: Tick) -> Option<Recent> {
    let (event, net): (Option<HistoryKind>, IpNet) = match &*record {
        Record::Ban(Ban { net, .. }) => (Some(HistoryKind::Ban), *net),
        Record::Unban { net, .. } => (Some(HistoryKind::Unban), *net),
        Record::Refused { net, .. } => (Some(HistoryKind::Refused), *net),
        Record::FlowDenied(FlowDenied { flow, .. }) => {
            (Some(HistoryKind::FlowDenied), flow.source.into())
        }
        Record::FlowAllowed { flow, .. } => (Some(HistoryKind::FlowAllowed), flow.source.into()),
        Record::AuthFailure(judgement) => (None, judgement.address.into()),
        _ => return None,
    };
    Some(Recent { time: Time(at), event, net, times, text: record.to_string() })
}
