use std::sync::Mutex;

use super::*;
use sipward_model::backoff::Backoff;
use sipward_model::record::Kind::{self, Delivered, DeliveryFailed};

/// Longest wait for anything, on a busy machine too.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Waits until what nothing announces is so.
pub(crate) async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let waited = tokio::time::timeout(PATIENCE, async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
    assert!(waited.await.is_ok(), "waited {PATIENCE:?} for: {what}");
}

const RETRY: Retry = Retry {
    backoff: Backoff { first: Duration::from_secs(1), longest: Duration::from_secs(4) },
    attempts: 5,
};

#[allow(clippy::type_complexity, reason = "taken apart at once")]
fn voice() -> (
    DeliveryReporter,
    Arc<DeliveryStats>,
    broadcast::Sender<Arc<Record>>,
    broadcast::Receiver<Arc<Record>>,
) {
    let (records, heard) = broadcast::channel(64);
    let ledger = Arc::new(DeliveryStats::new("test".to_owned()));
    (DeliveryReporter::new(Arc::clone(&ledger), records.downgrade()), ledger, records, heard)
}

#[tokio::test(start_paused = true)]
async fn what_fails_is_tried_again_in_order_with_growing_pauses() {
    let (voice, ledger, _records, mut heard) = voice();
    let outbox = Outbox::new(8, voice);
    outbox.put("a");
    outbox.put("b");
    let begin = tokio::time::Instant::now();
    let tried = Mutex::new(Vec::new());
    let send = async |message: &&'static str| {
        let mut tried = tried.lock().unwrap();
        tried.push((*message, begin.elapsed()));
        if tried.len() < 4 { Err(Failure::Later("busy".to_owned())) } else { Ok(()) }
    };
    let all_sent = async {
        until("both delivered", || ledger.read().delivered == 2).await;
        outbox.close();
    };
    tokio::join!(outbox.empty(RETRY, send), all_sent);
    let tried = tried.into_inner().unwrap();
    let (names, times): (Vec<_>, Vec<_>) = tried.into_iter().unzip();
    assert_eq!(names, ["a", "a", "a", "a", "b"]);
    for (pair, pause) in times.windows(2).zip([1.0, 2.0, 4.0]) {
        let waited = pair[1].checked_sub(pair[0]).unwrap().as_secs_f64();
        assert!((pause * 0.74..=pause * 1.01).contains(&waited), "{waited} s instead of {pause} s");
    }
    let counts = ledger.read();
    assert_eq!((counts.delivered, counts.failed, counts.lost, counts.waiting), (2, 3, 0, 0));
    let mut kinds = Vec::new();
    while let Ok(record) = heard.try_recv() {
        kinds.push(record.kind());
    }
    assert_eq!(kinds, [DeliveryFailed, DeliveryFailed, DeliveryFailed, Delivered]);
}

#[tokio::test(start_paused = true)]
async fn what_never_arrives_is_given_up_and_counted() {
    let (voice, ledger, _records, _heard) = voice();
    let outbox = Outbox::new(8, voice);
    outbox.put(());
    let send = async |(): &()| Err(Failure::Later("down".to_owned()));
    let given_up = async {
        until("one lost", || ledger.read().lost > 0).await;
        outbox.close();
    };
    tokio::join!(outbox.empty(RETRY, send), given_up);
    assert_eq!((ledger.read().failed, ledger.read().lost), (5, 1));
}

#[tokio::test]
async fn without_room_the_oldest_goes_and_that_is_told_once() {
    let (voice, ledger, _records, mut heard) = voice();
    let outbox = Outbox::new(2, voice);
    (0..5).for_each(|n| outbox.put(n));
    outbox.close();
    let sent = Mutex::new(Vec::new());
    outbox
        .empty(RETRY, async |n: &i32| {
            sent.lock().unwrap().push(*n);
            Ok(())
        })
        .await;
    assert_eq!(sent.into_inner().unwrap(), [3, 4]);
    assert_eq!(ledger.read().lost, 3);
    assert!(matches!(
        &*heard.try_recv().unwrap(),
        Record::DeliveryFailed { retry_in_seconds: None, .. }
    ));
    assert!(matches!(&*heard.try_recv().unwrap(), Record::Delivered { lost: 3, .. }));
}

#[tokio::test]
async fn who_is_too_slow_says_how_much_it_missed() {
    let (records, _keep) = broadcast::channel(4);
    let ledger = Arc::new(DeliveryStats::new("test".to_owned()));
    let stop = CancellationToken::new();
    let mut hearing = EventReceiver::new(&records, Arc::clone(&ledger), stop.clone());
    for lines in 0..10 {
        records.send(Arc::new(Record::LogLost { lines })).unwrap();
    }
    stop.cancel();
    let mut heard = Vec::new();
    while let Some(record) = hearing.next().await {
        heard.push(record.kind());
    }
    assert_eq!(ledger.read().missed, 6);
    assert_eq!(heard.pop(), Some(Kind::RecordsMissed));
    assert_eq!(heard, [Kind::LogLost; 4]);
}
