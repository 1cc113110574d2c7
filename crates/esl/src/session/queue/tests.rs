use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use super::{Notices, RESERVE, Sender, queue};
use crate::{Event, client::ClientError, session::Notice};

fn ends(capacity: usize, max_bytes: usize) -> (Sender, Notices) {
    queue(capacity, max_bytes, CancellationToken::new())
}

fn event(number: usize) -> Notice {
    let event = Event::from_plain(format!("Event-Sequence: {number:04}\n"));
    Notice::Event { event, received: Instant::now() }
}

fn disconnected() -> Notice {
    Notice::Disconnected { error: ClientError::Closed, retry_in: Duration::ZERO }
}

/// Event numbers, and what else there is.
fn show(notice: &Notice) -> String {
    match notice {
        Notice::Event { event, .. } => event.header("Event-Sequence").unwrap().to_string(),
        Notice::Overflow { dropped } => format!("{dropped} dropped"),
        other => format!("{other:?}").split(' ').next().unwrap().to_owned(),
    }
}

fn drain(notices: &mut Notices) -> Vec<String> {
    std::iter::from_fn(|| notices.try_recv()).map(|notice| show(&notice)).collect()
}

#[test]
fn what_does_not_fit_is_counted_in_its_place() {
    let (sender, mut notices) = ends(3, usize::MAX);
    (0..5).for_each(|number| sender.push(event(number)));
    assert_eq!(show(&notices.try_recv().unwrap()), "0000");
    sender.push(event(5));
    assert_eq!(drain(&mut notices), ["0001", "0002", "2 dropped", "0005"]);
}

#[test]
fn an_overflow_is_told_even_if_nothing_follows() {
    let (sender, mut notices) = ends(1, usize::MAX);
    (0..5).for_each(|number| sender.push(event(number)));
    assert_eq!(drain(&mut notices), ["0000", "4 dropped"]);
    assert!(notices.try_recv().is_none());
}

#[test]
fn bytes_are_bounded_too() {
    let (sender, mut notices) = ends(1000, 100);
    (0..10).for_each(|number| sender.push(event(number)));
    let kept = drain(&mut notices);
    assert_eq!(kept.len(), 5, "{kept:?}");
    assert_eq!(kept.last().unwrap(), "6 dropped");
    sender.push(event(11));
    assert_eq!(drain(&mut notices), ["0011"], "room comes back");
}

#[test]
fn events_cannot_push_out_notices_about_the_connection() {
    let (sender, mut notices) = ends(2, usize::MAX);
    (0..5).for_each(|number| sender.push(event(number)));
    sender.push(disconnected());
    assert_eq!(drain(&mut notices), ["0000", "0001", "3 dropped", "Disconnected"]);
}

#[test]
fn nothing_grows_for_ever_behind_a_consumer_that_is_gone() {
    let (sender, mut notices) = ends(2, usize::MAX);
    (0..10_000).for_each(|_| sender.push(disconnected()));
    let kept = drain(&mut notices);
    assert_eq!(kept.len(), 2 + RESERVE + 1);
    assert_eq!(kept.last().unwrap(), &format!("{} dropped", 10_000 - 2 - RESERVE));
}

#[tokio::test]
async fn the_end_comes_after_what_is_queued() {
    let (sender, mut notices) = ends(10, usize::MAX);
    sender.push_all(&mut vec![event(1), event(2), event(3)]);
    drop(sender);
    let mut buffer = Vec::new();
    assert_eq!(notices.recv_many(&mut buffer, 2).await, 2);
    assert_eq!(show(&notices.recv().await.unwrap()), "0003");
    assert!(notices.recv().await.is_none());
    assert_eq!(notices.recv_many(&mut buffer, 2).await, 0);
}

#[tokio::test]
async fn a_reader_that_waits_is_woken() {
    let (sender, mut notices) = ends(10, usize::MAX);
    let reader = tokio::spawn(async move { notices.recv().await.map(|notice| show(&notice)) });
    tokio::task::yield_now().await;
    sender.push(event(7));
    assert_eq!(reader.await.unwrap().unwrap(), "0007");
}

#[tokio::test(start_paused = true)]
async fn a_read_that_is_given_up_loses_nothing() {
    let (sender, mut notices) = ends(10, usize::MAX);
    let wait = tokio::time::timeout(Duration::from_millis(1), notices.recv()).await;
    assert!(wait.is_err());
    sender.push(event(8));
    assert_eq!(show(&notices.recv().await.unwrap()), "0008");
}

#[test]
fn dropping_the_notices_stops_the_session() {
    let stop = CancellationToken::new();
    let (_sender, notices) = queue(1, 1, stop.clone());
    drop(notices);
    assert!(stop.is_cancelled());
}
