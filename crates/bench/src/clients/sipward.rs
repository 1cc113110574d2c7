//! sipward-esl.

use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use sipward_esl::{
    Event, Format, Limits, Notice, Password, SessionConfig, SofiaEvent, Subscription, Text,
    client::Connection, sofia,
};

use super::{PASSWORD, Tally};
use crate::record::Record;

const WITHIN: Duration = Duration::from_secs(10);

pub(crate) async fn session(port: u16, tally: &mut Tally) -> Result<()> {
    let mut config = SessionConfig::new("127.0.0.1", Password::new(PASSWORD)?);
    (config.port, config.subscription) = (port, subscription()?);
    let (session, _handle, mut notices) = sipward_esl::session(config);
    tokio::spawn(session.run());
    loop {
        match notices.recv().await.context("the session has ended")? {
            Notice::Event { event, .. } => {
                if take(&event, tally)? {
                    return Ok(());
                }
            }
            Notice::Connected { .. } => {}
            other => bail!("{other:?}"),
        }
    }
}

pub(crate) async fn connection(port: u16, tally: &mut Tally) -> Result<()> {
    let mut connection = Connection::connect("127.0.0.1", port, Limits::default(), WITHIN).await?;
    connection.login(None, &Password::new(PASSWORD)?, WITHIN).await?;
    connection.subscribe(&subscription()?, WITHIN).await?;
    while !take(&connection.next_frame().await?.into_event()?, tally)? {}
    ensure!(connection.dropped() == 0, "events were dropped");
    Ok(())
}

fn subscription() -> Result<Subscription> {
    Ok(Subscription::new(Format::Plain).custom("sofia::register_failure")?)
}

fn take(event: &Event, tally: &mut Tally) -> Result<bool> {
    match &sofia::parse(event)? {
        Some(SofiaEvent::RegisterFailure(failure)) => tally.add(&record(failure)),
        _ => bail!("{event:?} is no failure"),
    }
}

pub(crate) fn record<'r>(failure: &'r sofia::RegisterFailure<'_>) -> Record<'r> {
    let text = |value: &'r Option<Text<'_>>| value.as_ref().map_or(&b""[..], Text::as_bytes);
    Record {
        time: failure.meta.time.as_micros(),
        sequence: failure.meta.sequence,
        ip: failure.source.ip,
        port: failure.source.port,
        profile: failure.profile.as_bytes(),
        user: text(&failure.user),
        domain: text(&failure.domain),
        user_agent: text(&failure.user_agent),
        method: failure.method.as_str().as_bytes(),
    }
}
