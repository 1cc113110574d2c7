//! The kernel side without a kernel.

use tokio::sync::mpsc;

use crate::{Change, Enforcement, Report};

/// Answers every change as [`Enforcer::run`](crate::Enforcer::run) would, without touching the
/// kernel. Ends when `changes` closes or `reports` is dropped.
pub async fn dry_run(mut changes: mpsc::Receiver<Change>, reports: mpsc::Sender<Report>) {
    while let Some(change) = changes.recv().await {
        let report = match change {
            Change::Block { net, .. } => Report::Blocked { net, enforcement: Enforcement::DryRun },
            Change::Unblock(net) => Report::Unblocked { net, still: None },
            Change::Deny { flow, .. } => Report::Denied { flow, enforcement: Enforcement::DryRun },
            Change::Allow(flow) => Report::Allowed { flow },
        };
        if reports.send(report).await.is_err() {
            return;
        }
    }
}
