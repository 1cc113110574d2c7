//! A live table of the registered phones: a snapshot by `bgapi`, kept up to date by events.
//!
//! ```console
//! $ ESL_PASSWORD=ClueCon cargo run --example registrations
//! ```

mod common;

use std::{collections::BTreeMap, error::Error};

use sipward_esl::{Notice, SessionHandle, SofiaEvent, Text, session, sofia};

/// User and domain → where the phone is, and what it is.
type Phones = BTreeMap<(String, String), String>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let (session, handle, mut notices) = session(common::config()?);
    tokio::spawn(session.run());
    let (snapshots, mut snapshot) = tokio::sync::mpsc::channel(1);
    let mut phones = Phones::new();
    loop {
        tokio::select! {
            Some(found) = snapshot.recv() => phones = found,
            notice = notices.recv() => match notice {
                None => return Ok(()),
                Some(Notice::Connected { .. }) => {
                    // Asked for beside the events, which must not wait for the answer.
                    let (handle, snapshots) = (handle.clone(), snapshots.clone());
                    tokio::spawn(async move {
                        match registered(&handle).await {
                            Ok(found) => drop(snapshots.send(found).await),
                            Err(error) => eprintln!("{error}"),
                        }
                    });
                    continue;
                }
                Some(Notice::Event { event, .. }) => match sofia::parse(&event) {
                    Ok(Some(record)) if update(&mut phones, &record) => {}
                    Ok(_) => continue,
                    Err(error) => {
                        eprintln!("{error}");
                        continue;
                    }
                },
                Some(other) => {
                    eprintln!("{other:?}");
                    continue;
                }
            }
        }
        show(&phones);
    }
}

async fn registered(handle: &SessionHandle) -> Result<Phones, Box<dyn Error + Send + Sync>> {
    let answer = handle.bgapi("show registrations as json").await?;
    let table: serde_json::Value = serde_json::from_slice(answer.as_bytes())?;
    let rows = table.get("rows").and_then(serde_json::Value::as_array);
    let text = |row: &serde_json::Value, column: &str| {
        row.get(column).and_then(serde_json::Value::as_str).unwrap_or_default().to_owned()
    };
    Ok(rows
        .into_iter()
        .flatten()
        .map(|row| {
            let phone = (text(row, "reg_user"), text(row, "realm"));
            (phone, format!("{} port {}", text(row, "network_ip"), text(row, "network_port")))
        })
        .collect())
}

/// Says whether the table has changed.
fn update(phones: &mut Phones, record: &SofiaEvent<'_>) -> bool {
    match record {
        SofiaEvent::Register(new) => {
            let agent = new.user_agent.as_ref().map(ToString::to_string).unwrap_or_default();
            let place = format!("{} port {}  {agent}", new.source.ip, new.source.port);
            phones.insert(phone(new.user.as_ref(), new.domain.as_ref()), place);
            true
        }
        SofiaEvent::Unregister(gone) => {
            phones.remove(&phone(gone.user.as_ref(), gone.domain.as_ref())).is_some()
        }
        SofiaEvent::Expire(gone) => {
            phones.remove(&phone(gone.user.as_ref(), gone.domain.as_ref())).is_some()
        }
        _ => false,
    }
}

fn phone(user: Option<&Text<'_>>, domain: Option<&Text<'_>>) -> (String, String) {
    let text = |value: Option<&Text<'_>>| value.map(ToString::to_string).unwrap_or_default();
    (text(user), text(domain))
}

fn show(phones: &Phones) {
    println!("\x1b[2J\x1b[H{} registered", phones.len());
    for ((user, domain), place) in phones {
        println!("{:40} {place}", format!("{user}@{domain}"));
    }
}
