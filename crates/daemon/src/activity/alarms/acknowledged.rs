//! Alarms that an operator has acknowledged: they no longer count, but stay listed.

use sipward_engine::Timestamp;

use sipward_model::clock::moved;
use sipward_model::wire::AlarmKind;
use sipward_store::{MOST_ACKNOWLEDGED, SavedAcknowledgement};

/// The acknowledged alarms, the latest last; at most [`MOST_ACKNOWLEDGED`].
#[derive(Debug, Default)]
pub(super) struct Acknowledgements(Vec<Acknowledged>);

#[derive(Debug)]
struct Acknowledged {
    alarm: SavedAcknowledgement,
    /// It comes from an earlier run, and no end of its state was recorded since.
    earlier: bool,
}

impl Acknowledgements {
    /// Takes over what an earlier run has stored. What was acknowledged since is newer.
    pub(super) fn restore(&mut self, saved: Vec<SavedAcknowledgement>) {
        let since = std::mem::take(&mut self.0);
        let is_earlier = |alarm: &SavedAcknowledgement| {
            !since.iter().any(|it| is(&it.alarm, alarm.kind, alarm.about.as_deref()))
        };
        let earlier = saved.into_iter().filter(is_earlier);
        let mut all: Vec<Acknowledged> =
            earlier.map(|alarm| Acknowledged { alarm, earlier: true }).collect();
        all.extend(since);
        all.drain(..all.len().saturating_sub(MOST_ACKNOWLEDGED));
        self.0 = all;
    }

    pub(super) fn add(&mut self, alarm: SavedAcknowledgement) {
        self.0.retain(|it| !is(&it.alarm, alarm.kind, alarm.about.as_deref()));
        if self.0.len() >= MOST_ACKNOWLEDGED {
            self.0.remove(0);
        }
        self.0.push(Acknowledged { alarm, earlier: false });
    }

    /// The one that covers an alarm which was first reported at `first`. Across a restart that is a state which
    /// goes on; what began later is another alarm.
    pub(super) fn of(
        &self,
        kind: AlarmKind,
        about: Option<&str>,
        first: Timestamp,
    ) -> Option<&SavedAcknowledgement> {
        let found = self.0.iter().find(|it| is(&it.alarm, kind, about))?;
        let covers = first <= found.alarm.at || (found.earlier && kind.has_end());
        covers.then_some(&found.alarm)
    }

    /// Those of an earlier run, which has forgotten the alarms themselves.
    pub(super) fn of_earlier_runs(&self) -> impl Iterator<Item = &SavedAcknowledgement> {
        self.0.iter().filter(|it| it.earlier).map(|it| &it.alarm)
    }

    /// A state is over. True when it was acknowledged.
    pub(super) fn end(&mut self, kind: AlarmKind, about: Option<&str>) -> bool {
        let found = self.0.iter_mut().find(|it| is(&it.alarm, kind, about));
        found.map(|it| it.earlier = false).is_some()
    }

    pub(super) fn shift(&mut self, by: i64) {
        for Acknowledged { alarm, .. } in &mut self.0 {
            alarm.since = moved(alarm.since, by);
            alarm.last = moved(alarm.last, by);
            alarm.at = moved(alarm.at, by);
        }
    }
}

fn is(alarm: &SavedAcknowledgement, kind: AlarmKind, about: Option<&str>) -> bool {
    alarm.kind == kind && alarm.about.as_deref() == about
}
