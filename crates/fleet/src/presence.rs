//! This node's status: said at intervals, and read back to see the server's clock and another process of the same name.

use std::time::Duration;

use async_nats::Client;
use async_nats::jetstream::Context;
use async_nats::jetstream::stream::DirectGetErrorKind;

use crate::clock::now_ms;
use crate::feed::Trouble;
use crate::message::{Body, Message};
use crate::publish::put;
use crate::refusal::Refusal;
use crate::shared::Shared;
use crate::streams::Stream;

/// Shortest time between two statuses.
const LEAST: Duration = Duration::from_millis(200);

/// Runs until it is dropped.
pub(crate) async fn presence(shared: &Shared, client: &Client, js: &Context) {
    loop {
        let pause = match announce(shared, client, js).await {
            Ok(()) => {
                shared.announced.send_replace(true);
                shared.settings.timing.status
            }
            Err(why) => {
                shared.trouble("saying this node's status", &why);
                shared.settings.timing.retry
            }
        };
        tokio::time::sleep(LEAST).await;
        let asked = shared.present.notified();
        drop(tokio::time::timeout(pause.saturating_sub(LEAST), asked).await);
    }
}

async fn announce(shared: &Shared, client: &Client, js: &Context) -> Result<(), Trouble> {
    let at = now_ms();
    let status = Message {
        from: shared.me().clone(),
        n: at.max(1),
        at,
        body: Body::Node(Box::new(shared.status())),
    };
    let subject = status.subject();
    let value = status.encode().map_err(Refusal::as_str)?;
    let revision = put(client, subject.clone(), value).await?;
    let took = now_ms().saturating_sub(at);
    let stream = js.get_stream_no_info(Stream::Nodes.name()).await?;
    let last = match stream.direct_get_last_for_subject(subject.clone()).await {
        Ok(last) => last,
        // A server that has not got it yet may answer.
        Err(error) if error.kind() == DirectGetErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    if last.sequence < revision {
        return Ok(());
    }
    let Ok(Message { body: Body::Node(status), .. }) = Message::parse(&subject, &last.payload)
    else {
        return Ok(());
    };
    if last.sequence == revision {
        // It was stored after half of the time that the answer took.
        let stamp = i64::try_from(last.time.unix_timestamp_nanos() / 1_000_000)?;
        let sent = i64::try_from(at.saturating_add(took / 2))?;
        shared.changing().clock_offset_ms = Some(stamp.saturating_sub(sent));
    }
    shared.status_seen(&status);
    Ok(())
}
