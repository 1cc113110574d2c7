//! What operators hear of the link: each state once, when it begins and when it ends.

use std::sync::Arc;
use std::time::Duration;

use sipward_fleet::{Snapshot, State};
use tokio::sync::broadcast;
use tokio::time::Instant;

use sipward_model::record::Record;

/// How long messages may remain unread, or unacknowledged, before that is reported.
const PATIENCE: Duration = Duration::from_secs(30);

/// Reports states of the link.
#[derive(Debug)]
pub(super) struct Report {
    records: broadcast::Sender<Arc<Record>>,
    connected: Option<bool>,
    behind: Lasting,
    unacknowledged: Lasting,
    has_twin: bool,
}

/// A state that is reported when it lasts.
#[derive(Debug, Default)]
struct Lasting {
    since: Option<Instant>,
    is_reported: bool,
}

/// What to report of it.
enum Change {
    Begins,
    Ends,
}

impl Lasting {
    fn is(&mut self, now: bool) -> Option<Change> {
        if !now {
            self.since = None;
            return std::mem::take(&mut self.is_reported).then_some(Change::Ends);
        }
        let since = *self.since.get_or_insert_with(Instant::now);
        if self.is_reported || since.elapsed() < PATIENCE {
            return None;
        }
        self.is_reported = true;
        Some(Change::Begins)
    }
}

impl Report {
    pub(super) fn new(records: broadcast::Sender<Arc<Record>>) -> Self {
        let (behind, unacknowledged) = (Lasting::default(), Lasting::default());
        Self { records, connected: None, behind, unacknowledged, has_twin: false }
    }

    /// Looks at the link; called once a beat.
    pub(super) fn look(&mut self, node: &str, link: &Snapshot) {
        let connected = match &link.state {
            State::Starting => None,
            State::Connected { .. } => Some(true),
            State::Down { .. } => Some(false),
        };
        if connected.is_some() && connected != self.connected {
            self.connected = connected;
            self.publish(match &link.state {
                State::Down { why } => Record::FleetDisconnected { error: why.clone() },
                State::Connected { .. } | State::Starting => {
                    Record::FleetConnected { node: node.to_owned() }
                }
            });
        }
        // Without a connection that is the one thing to say.
        let is_connected = connected == Some(true);
        match self.behind.is(is_connected && link.behind > 0) {
            Some(Change::Begins) => self.publish(Record::FleetBehind { messages: link.behind }),
            Some(Change::Ends) if is_connected => {
                self.publish(Record::FleetCaughtUp { messages: link.applied });
            }
            Some(Change::Ends) | None => {}
        }
        let waiting = link.unacknowledged as u64;
        match self.unacknowledged.is(is_connected && waiting > 0) {
            Some(Change::Begins) => self.publish(Record::FleetNoQuorum { waiting }),
            Some(Change::Ends) => self.publish(Record::FleetQuorum {}),
            None => {}
        }
        let has_twin = link.twin.is_some();
        if has_twin && !self.has_twin {
            self.publish(Record::FleetNameTaken { node: node.to_owned() });
        }
        self.has_twin = has_twin;
    }

    fn publish(&self, record: Record) {
        record.publish(&self.records);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(state: State, behind: u64) -> Snapshot {
        Snapshot { state, behind, ..Snapshot::default() }
    }

    fn up() -> State {
        State::Connected { server: "n1".to_owned() }
    }

    #[tokio::test(start_paused = true)]
    async fn each_state_is_reported_once_when_it_begins_and_when_it_ends() {
        let (records, mut heard) = broadcast::channel(16);
        let mut report = Report::new(records);
        let mut look = |link: Snapshot| -> Vec<String> {
            report.look("fra.a", &link);
            std::iter::from_fn(|| heard.try_recv().ok()).map(|record| record.to_string()).collect()
        };
        let none: Vec<String> = Vec::new();
        assert_eq!(look(link(State::Starting, 0)), none);
        let down = || link(State::Down { why: "refused".to_owned() }, 0);
        let told = look(down());
        assert!(told.len() == 1 && told[0].contains("not connected to the fleet"), "{told:?}");
        assert_eq!(look(down()), none);
        assert_eq!(look(link(up(), 5)), ["connected to the fleet as fra.a"]);
        tokio::time::advance(PATIENCE).await;
        assert_eq!(look(link(up(), 5)), ["5 messages of the fleet not read yet"]);
        assert_eq!(look(link(up(), 3)), none);
        assert_eq!(
            look(Snapshot { applied: 9, ..link(up(), 0) }),
            ["9 messages of the fleet read"]
        );
        let waiting = || Snapshot { unacknowledged: 2, ..link(up(), 0) };
        assert_eq!(look(waiting()), none);
        tokio::time::advance(PATIENCE).await;
        assert!(look(waiting())[0].contains("acknowledge nothing; 2 messages wait"));
        assert_eq!(look(link(up(), 0)), ["the servers of the fleet acknowledge again"]);
    }
}
