//! Authentication failures as JSON lines, one an event.
//!
//! ```console
//! $ ESL_PASSWORD=ClueCon cargo run --example failures
//! {"domain":"pbx.test","method":"REGISTER","origin":"from mod_sofia","port":33752,"profile":"internal",…}
//! ```

mod common;

use std::error::Error;

use serde_json::json;
use sipward_esl::{Notice, SofiaEvent, Text, session, sofia};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let (session, _handle, mut notices) = session(common::config()?);
    tokio::spawn(session.run());
    while let Some(notice) = notices.recv().await {
        match notice {
            Notice::Event { event, .. } => match sofia::parse(&event) {
                Ok(Some(SofiaEvent::RegisterFailure(failure))) => {
                    let text = |value: &Option<Text<'_>>| {
                        value.as_ref().map(|value| value.lossy().into_owned())
                    };
                    let line = json!({
                        "time": failure.meta.time.as_micros(),
                        "address": failure.source.ip,
                        "port": failure.source.port,
                        "user": text(&failure.user),
                        "domain": text(&failure.domain),
                        "user_agent": text(&failure.user_agent),
                        "profile": failure.profile.lossy(),
                        "method": failure.method.as_str(),
                        "origin": failure.meta.origin.to_string(),
                    });
                    println!("{line}");
                }
                Ok(_) => {}
                Err(error) => eprintln!("{error}"),
            },
            Notice::Disconnected { error, retry_in } => {
                eprintln!("{error}; again in {retry_in:.1?}");
            }
            Notice::Blind { from, to } => eprintln!("saw nothing from {from:?} to {to:?}"),
            Notice::Overflow { dropped } => eprintln!("dropped {dropped} events"),
            _ => {}
        }
    }
    Ok(())
}
