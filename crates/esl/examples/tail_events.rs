//! Prints events as they come: `tail_events [plain|json] [EVENT | CLASS::SUBCLASS]...`
//!
//! ```console
//! $ ESL_PASSWORD=ClueCon cargo run --example tail_events -- json ALL
//! ```
//!
//! Without names: every record of `mod_sofia`. Connects to `ESL_HOST` (127.0.0.1) and `ESL_PORT` (8021).

mod common;

use std::{env, error::Error};

use sipward_esl::{Event, Format, InvalidCommand, Notice, Subscription, Text, session};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut config = common::config()?;
    config.subscription = subscription(env::args().skip(1))?;
    let (session, _handle, mut notices) = session(config);
    tokio::spawn(session.run());
    while let Some(notice) = notices.recv().await {
        match notice {
            Notice::Event { event, .. } => print(&event),
            Notice::Connected { peer, .. } => eprintln!("connected to {peer}"),
            Notice::Disconnected { error, retry_in } => {
                eprintln!("{error}; again in {retry_in:.1?}");
            }
            other => eprintln!("{other:?}"),
        }
    }
    Ok(())
}

fn subscription(args: impl Iterator<Item = String>) -> Result<Subscription, InvalidCommand> {
    let mut args = args.peekable();
    let format = match args.peek().map(String::as_str) {
        Some("json") => Format::Json,
        Some(_) | None => Format::Plain,
    };
    if matches!(args.peek().map(String::as_str), Some("plain" | "json")) {
        args.next();
    }
    if args.peek().is_none() {
        return Ok(Subscription::sofia().in_format(format));
    }
    args.try_fold(Subscription::new(format), |subscription, name| {
        if name.contains("::") { subscription.custom(&name) } else { subscription.event(&name) }
    })
}

fn print(event: &Event) {
    for header in event.headers() {
        // `Display` of a text escapes what a sender must not do to a terminal.
        println!("{}: {}", String::from_utf8_lossy(header.name()), header.value());
    }
    if let Some(cut) = event.truncated() {
        println!("({} bytes, cut)", cut.original_len);
    }
    for line in String::from_utf8_lossy(event.body()).lines() {
        println!("{}", Text::from(line));
    }
    println!();
}
