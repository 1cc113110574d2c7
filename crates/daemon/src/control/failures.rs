//! The latest failures.

use super::bounds::limit;
use super::error::ControlError;
use super::{Control, convert};
use crate::{FAILURES, Failure};
use sipward_model::wire::{FailurePage, FailureQuery};

impl Control {
    /// The latest failures, newest first.
    pub async fn failures(&self, query: FailureQuery) -> Result<FailurePage, ControlError> {
        let limit = limit(query.limit)?;
        let before = query.cursor.as_deref().map(str::parse::<u64>).transpose();
        let before =
            before.map_err(|_| ControlError::field("cursor", "use `next` of the previous page"))?;
        let FailureQuery { inside, grade, .. } = query;
        let found = self.engine.call(move |task| {
            let fits = |failure: &&Failure| {
                before.is_none_or(|before| failure.id < before)
                    && inside.is_none_or(|net| net.0.contains(&failure.judgement.address))
                    && grade.is_none_or(|grade| grade == failure.judgement.grade)
            };
            // One more, to know whether there is a next page.
            let fitting = task.standing().failures().filter(fits).take(limit + 1);
            fitting.map(convert::failure).collect::<Vec<_>>()
        });
        let mut items = found.await?;
        let more = items.len() > limit;
        items.truncate(limit);
        let next = items.last().filter(|_| more).map(|failure| failure.id.to_string());
        Ok(FailurePage { items, remembered_at_most: FAILURES as u64, next })
    }
}
