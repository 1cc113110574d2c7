use tokio::sync::mpsc;

use super::*;

fn report(last: u8) -> Report {
    let net = ipnet::IpNet::new([192, 0, 2, last].into(), 32).unwrap();
    Report::Unblocked { net, still: None }
}

#[test]
fn reports_keep_their_order_over_a_full_queue() {
    let (sender, mut receiver) = mpsc::channel(2);
    let mut outbox = Outbox::default();
    (1..=5).for_each(|n| outbox.push(report(n)));
    let mut arrived = Vec::new();
    for _ in 0..3 {
        outbox.deliver(&sender);
        while let Ok(report) = receiver.try_recv() {
            arrived.push(report);
        }
    }
    assert_eq!(arrived, (1..=5).map(report).collect::<Vec<_>>());
}

#[test]
fn changes_are_taken_only_while_their_answers_fit() {
    let mut outbox = Outbox::default();
    (0..ROOM).for_each(|_| outbox.push(report(1)));
    assert!(!outbox.has_room_for(1));
    let (sender, _receiver) = mpsc::channel(1);
    outbox.deliver(&sender);
    assert!(outbox.has_room_for(1));
}

#[test]
fn reports_nobody_reads_are_let_go() {
    let (sender, receiver) = mpsc::channel(1);
    drop(receiver);
    let mut outbox = Outbox::default();
    (1..=3).for_each(|n| outbox.push(report(n)));
    outbox.deliver(&sender);
    assert!(outbox.has_room_for(ROOM));
}

#[test]
fn counted_packets_are_summed_while_they_wait() {
    let (sender, mut receiver) = mpsc::channel(1);
    let mut outbox = Outbox::default();
    outbox.push(report(1));
    outbox.deliver(&sender);
    for _ in 0..100_000 {
        outbox.push(Report::Packets { count: 3 });
        outbox.deliver(&sender);
    }
    outbox.push(report(2));
    assert_eq!(outbox.queue.len(), 1);
    let mut arrived = Vec::new();
    while let Ok(report) = receiver.try_recv() {
        arrived.push(report);
        outbox.deliver(&sender);
    }
    assert_eq!(arrived, [report(1), Report::Packets { count: 300_000 }, report(2)]);
}
