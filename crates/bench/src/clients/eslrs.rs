//! `eslrs`. It leaves values percent-encoded, so decoding is done here, only where there is a `%`; and it
//! never tells that the stream has ended, so the count ends the run.

use std::borrow::Cow;

use anyhow::{Context as _, Result, anyhow};
use eslrs::{Command, Inbound, event::PlainEvent};
use percent_encoding::percent_decode_str;

use super::{EVENTS, PASSWORD, Tally};
use crate::record::Record;

pub(crate) async fn read(port: u16, tally: &mut Tally) -> Result<()> {
    let mut connection = Inbound::connect(("127.0.0.1", port), PASSWORD).await?;
    let subscribed = connection.send_recv(Command::events(EVENTS)).await;
    subscribed.map_err(|error| anyhow!("{error:?}"))?;
    loop {
        let event = connection.recv().await.map_err(|error| anyhow!("{error:?}"))?;
        if !event.is_plain_event() {
            continue;
        }
        let event = PlainEvent::try_from(event)?;
        let raw = |name: &'static str| event.get_header(name).context(name);
        let text = |name: &'static str| anyhow::Ok(Cow::from(percent_decode_str(raw(name)?)));
        let word = |name: &'static str| anyhow::Ok(percent_decode_str(raw(name)?).decode_utf8()?);
        let record = Record {
            time: word("Event-Date-Timestamp")?.parse()?,
            sequence: word("Event-Sequence")?.parse()?,
            ip: word("network-ip")?.parse()?,
            port: word("network-port")?.parse()?,
            profile: &text("profile-name")?,
            user: &text("to-user")?,
            domain: &text("to-host")?,
            user_agent: &text("user-agent")?,
            method: &text("registration-type")?,
        };
        if tally.add(&record)? {
            return Ok(());
        }
    }
}
