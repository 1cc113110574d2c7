//! A flood that the shield stops, as the kernel would count it: no packet is sent.

use std::net::Ipv4Addr;
use std::time::Duration;

use ipnet::IpNet;
use sipward_route::{ByFamily, Dropped, Report, ShieldCounts, Stranger};
use tokio::sync::{mpsc, oneshot};
use tokio::time;
use tokio_util::sync::CancellationToken;

/// When it begins, and how long it lasts, in seconds of each minute: within the demo's twenty.
const BEGINS: u64 = 6;
const LASTS: u64 = 11;
const PERIOD: u64 = 60;

/// Packets a second that strangers send, and how many of them the budget lets pass.
const SENT: u64 = 30_000;
const BUDGET: u64 = 300;

/// Packets a second of the phones.
const HEALTHY: u64 = 40;

/// The kernel lists the busiest strangers every ten seconds; so many of them send OPTIONS.
const LISTED_EVERY: u64 = 10;
const STRANGERS: u8 = 12;

/// Adds the counts of each second to what the kernel side reports, until `stop`.
pub(super) async fn count(
    kernel: oneshot::Receiver<mpsc::Sender<Report>>,
    stop: CancellationToken,
) {
    let Ok(reports) = kernel.await else { return };
    let mut random = fastrand::Rng::new();
    let mut ticks = time::interval(Duration::from_secs(1));
    for second in 0.. {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = ticks.tick() => {}
        }
        let in_flood = (BEGINS..BEGINS + LASTS).contains(&(second % PERIOD));
        let sent = if in_flood { SENT + random.u64(0..SENT / 10) } else { 0 };
        let strangers = in_flood && second % LISTED_EVERY == 0;
        let counted = Report::Shield(counts(sent));
        let listed = strangers.then(|| Report::Strangers(busiest(sent)));
        for report in [Some(counted), listed].into_iter().flatten() {
            if reports.send(report).await.is_err() {
                return;
            }
        }
    }
}

/// What the shield counts while strangers send so many packets a second.
fn counts(sent: u64) -> ShieldCounts {
    let ipv4 = sent.saturating_sub(BUDGET);
    let dropped = Dropped { budget_packets: ByFamily { ipv4, ipv6: 0 }, ..Dropped::default() };
    let (strangers, newcomers) = (sent, sent.min(BUDGET) / 2);
    ShieldCounts { unlimited: 0, healthy: HEALTHY, strangers, newcomers, dropped }
}

/// The strangers that sent most of it.
fn busiest(sent: u64) -> Vec<Stranger> {
    let each = sent / u64::from(STRANGERS);
    let stranger = |n: u8| Stranger {
        source: IpNet::from(std::net::IpAddr::from(Ipv4Addr::new(198, 19, n, 5))),
        packets: each,
        is_slowed: false,
    };
    (0..STRANGERS).map(stranger).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_budget_passes_and_the_rest_of_the_flood_is_dropped() {
        let (reports, mut kernel) = mpsc::channel(256);
        let (give, take) = oneshot::channel();
        give.send(reports).unwrap();
        let stop = CancellationToken::new();
        let task = tokio::spawn(count(take, stop.clone()));
        let (mut quiet, mut dropped, mut listed) = (0, 0, 0);
        while quiet + dropped < 20 {
            match kernel.recv().await.unwrap() {
                Report::Shield(counts) if counts.dropped.total() == 0 => quiet += 1,
                Report::Shield(counts) => {
                    assert_eq!(counts.strangers - counts.dropped.total(), BUDGET);
                    assert_eq!(counts.dropped.by_budgets(), counts.dropped.total());
                    dropped += 1;
                }
                Report::Strangers(strangers) => listed = strangers.len(),
                other => panic!("{other:?}"),
            }
        }
        assert_eq!((quiet, dropped, listed), (20 - LASTS, LASTS, usize::from(STRANGERS)));
        stop.cancel();
        task.await.unwrap();
    }
}
