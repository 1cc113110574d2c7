//! What was decided before.

use super::bounds::limit;
use super::error::ControlError;
use super::select::Filter;
use super::{Control, convert};
use sipward_model::wire::{BanFilter, HistoryKind, HistoryPage, HistoryQuery};
use sipward_store as store;

impl Control {
    /// What was decided before, newest first.
    pub async fn history(&self, query: HistoryQuery) -> Result<HistoryPage, ControlError> {
        let HistoryQuery { net, event, from, to, country, as_number, limit: most, cursor } = query;
        let before = cursor.map(|cursor| cursor.parse()).transpose();
        let query = store::HistoryQuery {
            net: net.map(|net| net.0),
            kind: event.map(|event| match event {
                HistoryKind::Ban => store::HistoryKind::Ban,
                HistoryKind::Unban => store::HistoryKind::Unban,
                HistoryKind::Refused => store::HistoryKind::Refused,
                HistoryKind::FlowDenied => store::HistoryKind::FlowDenied,
                HistoryKind::FlowAllowed => store::HistoryKind::FlowAllowed,
            }),
            from: from.map(|time| time.0),
            to: to.map(|time| time.0),
            before: before.map_err(|error: store::NoCursor| {
                ControlError::field("cursor", error.to_string())
            })?,
            limit: limit(most)?,
        };
        // What was decided before the question is in the answer.
        self.store.settled().await;
        let page = if country.is_some() || as_number.is_some() {
            let wanted = BanFilter { country, as_number, ..BanFilter::default() };
            let filter = Filter::new(wanted, self.lookups.geo.finder())?;
            self.store.history_of(query, move |net| filter.is_there(net)).await?
        } else {
            self.store.history(query).await?
        };
        let next = page.next.map(|cursor| cursor.to_string());
        Ok(HistoryPage { items: page.events.into_iter().map(convert::history).collect(), next })
    }
}
