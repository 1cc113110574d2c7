//! Says what this node says: acknowledged, again while it is not, and compared with the stream after each connection.
//! Until that comparison is done, what is new goes by the core path alone: a stream without a leader delays no ban.

use std::sync::atomic::Ordering;
use std::time::Duration;

use async_nats::Client;
use async_nats::jetstream::Context;
use async_nats::jetstream::publish::PublishAck;
use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use serde::Deserialize;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use crate::clock::now_ms;
use crate::feed::{Trouble, read_once};
use crate::message::{Key, Kind, Message};
use crate::own::{MAX_OWN, MAX_OWN_KNOWN, Seen};
use crate::refusal::Refusal;
use crate::shared::Shared;
use crate::snapshot::add_one;
use crate::streams::Stream;

/// Messages that wait for their acknowledgement.
const WINDOW: usize = 1_024;
/// How often what stands is looked through for what must be said again.
const REFRESH: Duration = Duration::from_secs(60);
/// How long another process of this node's name has to answer this one's first status.
const ANSWER: Duration = Duration::from_millis(700);

/// How long the comparison may take before what is new goes out without it. With a leader it takes some milliseconds.
const COMPARISON: Duration = Duration::from_millis(200);

/// Runs until it is dropped.
pub(crate) async fn publish(shared: &Shared, client: &Client, js: &Context) {
    if shared.counts.connects() == 1 {
        announced(shared).await;
        sleep(ANSWER).await;
    }
    shared.owned().reconnected();
    loop {
        while yields(shared) {
            sleep(shared.settings.timing.status).await;
        }
        tokio::select! {
            () = compare(shared, js) => say(shared, client).await,
            () = say_by_core(shared, client) => {}
        }
    }
}

/// Waits for this connection's first status. Without a stream for statuses it goes on all the same.
async fn announced(shared: &Shared) {
    let mut announced = shared.announced.subscribe();
    drop(timeout(shared.settings.timing.answer * 2, announced.wait_for(|said| *said)).await);
}

/// Whether an older process has this node's name: each would end what the other says.
fn yields(shared: &Shared) -> bool {
    shared.twin().is_some_and(|twin| twin.we_yield)
}

/// Says what is due without waiting for acknowledgements, until it is dropped or an older process of the same name is
/// heard of. The comparison then finds what the stream has of it.
async fn say_by_core(shared: &Shared, client: &Client) {
    sleep(COMPARISON).await;
    while !yields(shared) {
        let Some(message) = shared.owned().next_due(now_ms()) else {
            shared.due.notified().await;
            continue;
        };
        if let Err(why) = publish_plainly(client, &message).await {
            shared.trouble(&format!("saying {:?}", message.body.key()), &why);
        }
    }
}

async fn publish_plainly(client: &Client, message: &Message) -> Result<(), Trouble> {
    let value = message.encode().map_err(Refusal::as_str)?;
    Ok(client.publish(message.subject(), value).await?)
}

/// Reads what the streams have of this node, until that succeeds.
async fn compare(shared: &Shared, js: &Context) {
    announced(shared).await;
    let mut failures = 1;
    loop {
        match own_messages(shared, js).await {
            Ok(seen) => {
                let found = shared.owned().compare(seen, now_ms());
                shared.counts.said.fetch_add(found, Ordering::Relaxed);
                return;
            }
            Err(why) => {
                failures += 1;
                shared.trouble("reading this node's own messages", &why);
                sleep(shared.back_off(failures)).await;
            }
        }
    }
}

async fn own_messages(shared: &Shared, js: &Context) -> Result<Vec<Seen>, Trouble> {
    let me = shared.me();
    let name = format!("{}_own", me.token());
    let mut all = Vec::new();
    let known = shared.settings.share_known.then_some((Stream::Known, Kind::Known));
    // A filter lies within one of the stream's subjects, which are one for each kind.
    let own = [(Stream::Main, Kind::Ban), (Stream::Main, Kind::Veto)];
    for (stream, kind) in own.into_iter().chain(known) {
        let filter = format!("sipward.1.{kind}.{}.{}.*", me.site, me.node);
        let max = 2 * (MAX_OWN + MAX_OWN_KNOWN);
        let patience = shared.settings.timing.answer;
        let found = read_once(js, stream, name.clone(), filter, max, patience).await?;
        let server_now = shared.server_now();
        all.extend(found.into_iter().filter_map(|(subject, value, stamp)| {
            let message = Message::parse(&subject, &value).ok()?;
            let age = Duration::from_millis(server_now.saturating_sub(stamp));
            let stands = message.remaining(age).is_some();
            Some(Seen { key: message.body.key(), n: message.n, stands })
        }));
    }
    Ok(all)
}

/// Says what is due, until an older process of the same name is heard of or a stream is another.
async fn say(shared: &Shared, client: &Client) {
    let mut waiting = FuturesUnordered::new();
    let mut refresh = tokio::time::interval(REFRESH);
    let mut failures = 0;
    let mut retry = None;
    loop {
        if yields(shared) {
            return;
        }
        while waiting.len() < WINDOW {
            let Some(message) = shared.owned().next_due(now_ms()) else { break };
            waiting.push(send(client, message));
        }
        tokio::select! {
            Some((key, n, result)) = waiting.next(), if !waiting.is_empty() => match result {
                Ok(()) => {
                    failures = 0;
                    add_one(&shared.counts.said);
                    shared.owned().acknowledged(&key, n, now_ms());
                }
                Err(why) => {
                    shared.owned().failed(&key, n);
                    shared.trouble(&format!("saying {key:?}"), &why);
                    // Many fail at once: that is one failure.
                    if retry.is_none() {
                        failures += 1;
                        retry = Some(Instant::now() + shared.back_off(failures + 1));
                    }
                }
            },
            () = shared.due.notified() => {}
            () = shared.anew.notified() => return,
            () = sleep_until(retry.unwrap_or_else(Instant::now)), if retry.is_some() => {
                retry = None;
                shared.owned().retry();
            }
            _ = refresh.tick() => {
                shared.owned().refresh(now_ms(), shared.settings.timing.again);
            }
        }
    }
}

async fn send(client: &Client, message: Message) -> (Key, u64, Result<(), Trouble>) {
    let (key, n) = (message.body.key(), message.n);
    // The longest that a node says has 256 bytes of words, which no escape makes six times as long: there are no
    // control characters in them. So it always fits.
    let result = match message.encode() {
        Ok(value) => put(client, message.subject(), value).await.map(drop),
        Err(refusal) => Err(refusal.as_str().into()),
    };
    (key, n, result)
}

/// Says one thing and waits for the stream's acknowledgement: its revision.
pub(crate) async fn put(client: &Client, subject: String, value: Bytes) -> Result<u64, Trouble> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Answer {
        Refused { error: Refused },
        Stored(PublishAck),
    }
    #[derive(Deserialize)]
    struct Refused {
        #[serde(default)]
        description: String,
    }
    let answer = client.request(subject, value).await?;
    match serde_json::from_slice(&answer.payload)? {
        Answer::Stored(ack) => Ok(ack.sequence),
        Answer::Refused { error } => {
            Err(format!("the stream refuses it: {}", error.description).into())
        }
    }
}
