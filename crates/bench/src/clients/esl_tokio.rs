//! `freeswitch-esl-tokio`. It decodes all values of an event by itself.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use freeswitch_esl_tokio::{AuthMethod, EslClient, EslConnectOptions, EventFormat, EventOverflow};

use super::{EVENTS, PASSWORD, Tally};
use crate::record::Record;

/// Without it events are dropped as soon as the queue is full.
const OVERFLOW: EventOverflow = EventOverflow::BlockFor(Duration::from_mins(1));

pub(crate) async fn read(port: u16, tally: &mut Tally) -> Result<()> {
    let options = EslConnectOptions::default().with_event_overflow(OVERFLOW);
    let password = AuthMethod::password(PASSWORD);
    let (client, mut events) =
        Box::pin(EslClient::connect_with_auth("127.0.0.1", port, password, options)).await?;
    client.subscribe_events_raw(EventFormat::Plain, EVENTS).await?;
    loop {
        let event = events.try_next().await?.context("the stream has ended")?;
        let text = |name: &'static str| event.header_str(name).context(name);
        let record = Record {
            time: text("Event-Date-Timestamp")?.parse()?,
            sequence: text("Event-Sequence")?.parse()?,
            ip: text("network-ip")?.parse()?,
            port: text("network-port")?.parse()?,
            profile: text("profile-name")?.as_bytes(),
            user: text("to-user")?.as_bytes(),
            domain: text("to-host")?.as_bytes(),
            user_agent: text("user-agent")?.as_bytes(),
            method: text("registration-type")?.as_bytes(),
        };
        if tally.add(&record)? {
            break;
        }
    }
    ensure!(client.dropped_event_count() == 0, "events were dropped");
    Ok(())
}
