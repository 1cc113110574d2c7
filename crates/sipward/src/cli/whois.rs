//! `sipward whois`.

use serde::{Deserialize, Serialize};

use super::out;
use super::remote::{Exit, Remote};
use super::why;
use crate::client::{Answer, Client, ClientError, NoQuery, segment};
use sipward_model::text::Plain;
use sipward_model::wire::{Host, Net, WhoisReport};

/// Show the owner of an address: its name, country and network, and the answer of its registry.
///
/// The daemon makes the queries and limits their rate. For a network, its first address is looked up.
#[derive(Debug, clap::Args)]
pub(super) struct WhoisCommand {
    /// An address, or a network.
    #[arg(value_name = "ADDR|CIDR")]
    net: Net,
    #[command(flatten)]
    remote: Remote,
}

/// Both answers.
#[derive(Debug, Deserialize, Serialize)]
struct Found {
    host: Host,
    /// What the registry says; `null` when it could not be asked.
    whois: Option<WhoisReport>,
    /// Why not.
    whois_error: Option<String>,
}

impl WhoisCommand {
    pub(super) fn run(&self) -> anyhow::Result<Exit> {
        let address = segment(self.net.0.network());
        self.remote.run("asking the registry", async |client| ask(client, &address).await, text)
    }
}

async fn ask(client: &mut Client, address: &str) -> Result<Answer<Found>, ClientError> {
    let host = client.get::<Host>(&format!("/hosts/{address}"), &NoQuery {}).await?.value;
    let whois = client.get::<WhoisReport>(&format!("/whois/{address}"), &NoQuery {}).await;
    let (whois, whois_error) = match whois {
        Ok(answer) => (Some(answer.value), None),
        // The rest is worth to be shown.
        Err(ClientError::Problem { problem, .. }) => {
            let field = problem.errors.first().map(|error| error.detail.clone());
            (None, Some(field.unwrap_or(problem.detail)))
        }
        Err(error) => return Err(error),
    };
    let value = Found { host, whois, whois_error };
    let body = serde_json::to_string(&value);
    let body = body.map_err(|error| ClientError::Unreadable { what: error.to_string() })?;
    Ok(Answer { value, body })
}

fn text(found: &Found) -> String {
    let Found { host, whois, whois_error } = found;
    let mut text = format!("Address   {}\n", host.address);
    for name in &host.names {
        let doubt = if name.confirmed {
            ""
        } else {
            " (unconfirmed: the name does not resolve to the address)"
        };
        out::add(&mut text, format_args!("Name      {}{doubt}\n", Plain(&name.name)));
    }
    if let Some(error) = &host.names_error {
        out::add(&mut text, format_args!("Name      unknown: {}\n", Plain(error)));
    }
    if let Some(location) = &host.location {
        text.push_str(&why::location("Place     ", location));
    }
    match (whois, whois_error) {
        (Some(WhoisReport { server, text: said, .. }), _) => {
            out::add(&mut text, format_args!("\nAnswer of {}:\n", Plain(server)));
            said.lines().for_each(|line| {
                // An empty line stays one.
                let line = if line.is_empty() { String::new() } else { Plain(line).to_string() };
                out::add(&mut text, format_args!("{line}\n"));
            });
        }
        (None, Some(error)) => {
            out::add(&mut text, format_args!("Whois     {}\n", Plain(error)));
        }
        (None, None) => {}
    }
    text
}
