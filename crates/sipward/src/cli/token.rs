//! `sipward token`.

use std::time::Duration;

use clap::Subcommand;
use hyper::Method;

use super::ban::degraded;
use super::out::{self, Column, Table, Tone};
use super::remote::{Exit, Remote};
use crate::client::{NoQuery, segment};
use sipward_model::text::{Plain, read_span};
use sipward_model::wire::{
    LinkMade, NewLink, NewToken, Scope, SessionsEnded, StoreHealth, StoreState, TokenList,
    TokenMade, TokenRevoked,
};

/// Manage access to the API and the console on TCP (`[http]` in the configuration file).
#[derive(Debug, clap::Args)]
pub(super) struct TokenCommand {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Create a token for a person or a program. Its secret is shown only once.
    Add {
        /// Its name: letters, digits, `.`, `_`, `-`.
        #[arg(value_name = "NAME")]
        name: String,
        /// Its scope.
        #[arg(long, value_enum, default_value_t)]
        scope: Scope,
        /// Its lifetime: 1h, 90d. Default: until it is revoked.
        #[arg(long, value_name = "SPAN", value_parser = read_span)]
        expires: Option<Duration>,
        #[command(flatten)]
        remote: Remote,
    },
    /// List the tokens, without their secrets.
    List {
        #[command(flatten)]
        remote: Remote,
    },
    /// Revoke a token. Its sessions end immediately.
    Revoke {
        /// Its name.
        #[arg(value_name = "NAME")]
        name: String,
        #[command(flatten)]
        remote: Remote,
    },
    /// Create a link that logs a browser in once.
    Link {
        /// The scope of its session.
        #[arg(long, value_enum, default_value_t)]
        scope: Scope,
        /// How long the link is valid: 30s, 10m, at most 1d.
        #[arg(long = "for", value_name = "SPAN", value_parser = read_span, default_value = "10m")]
        life: Duration,
        #[command(flatten)]
        remote: Remote,
    },
    /// End all browser sessions. Tokens remain valid.
    EndSessions {
        #[command(flatten)]
        remote: Remote,
    },
}

impl TokenCommand {
    pub(super) fn run(&self) -> anyhow::Result<Exit> {
        match &self.action {
            Action::Add { name, scope, expires, remote } => {
                let expires_seconds = expires.map(|life| life.as_secs());
                let token = NewToken { name: name.clone(), scope: *scope, expires_seconds };
                remote.run(
                    "creating a token",
                    async |client| client.post("/tokens", &token).await,
                    made,
                )
            }
            Action::List { remote } => remote.run(
                "reading the tokens",
                async |client| client.get("/tokens", &NoQuery {}).await,
                listed,
            ),
            Action::Revoke { name, remote } => {
                let path = format!("/tokens/{}", segment(name));
                remote.run(
                    "revoking a token",
                    async |client| client.send(Method::DELETE, &path).await,
                    revoked,
                )
            }
            Action::Link { scope, life, remote } => {
                let seconds = u32::try_from(life.as_secs()).unwrap_or(u32::MAX);
                let link = NewLink { scope: *scope, seconds: Some(seconds) };
                remote.run(
                    "creating a link",
                    async |client| client.post("/links", &link).await,
                    linked,
                )
            }
            Action::EndSessions { remote } => remote.run(
                "ending sessions",
                async |client| client.send(Method::DELETE, "/sessions").await,
                |ended: &SessionsEnded| format!("{} ended\n", out::count(ended.count, "session")),
            ),
        }
    }
}

fn made(made: &TokenMade) -> String {
    let entry = &made.entry;
    let end = entry.expires.map(|end| format!("until {}", out::time(end)));
    let end = end.unwrap_or_else(|| "until revoked".to_owned());
    format!(
        "{}\n{} has scope {} {end}. The line above is its secret: it is not shown again\n{}",
        Plain(&made.token),
        Plain(&entry.name),
        entry.scope,
        kept(&made.store)
    )
}

fn listed(list: &TokenList) -> String {
    let by_link = match list.link_sessions {
        0 => String::new(),
        count => format!("{} by one-time links\n", out::count(count, "session")),
    };
    if list.items.is_empty() {
        return format!("there are no tokens; `sipward token add NAME` creates one\n{by_link}");
    }
    let mut table = Table::new([
        Column::kept("NAME"),
        Column::kept("SCOPE"),
        Column::extra("CREATED", 3),
        Column::kept("EXPIRES").toned(|end| end.starts_with("EXPIRED").then_some(Tone::Bad)),
        Column::extra("LAST USED", 1),
        Column::extra("SESSIONS", 2),
    ]);
    for token in &list.items {
        let end = token.expires.map_or("never".to_owned(), out::time);
        table.row([
            token.name.clone(),
            token.scope.to_string(),
            out::time(token.created),
            if token.expired { format!("EXPIRED {end}") } else { end },
            token.last_used.map_or("never".to_owned(), out::time),
            token.sessions.to_string(),
        ]);
    }
    format!("{}{by_link}{}", table.render(out::width()), kept(&list.store))
}

fn revoked(done: &TokenRevoked) -> String {
    let sessions = match done.sessions_ended {
        0 => String::new(),
        count => format!("; {} ended", out::count(count, "session")),
    };
    format!("{} is revoked{sessions}\n{}", Plain(&done.name), degraded(&done.store))
}

pub(super) fn linked(link: &LinkMade) -> String {
    let mut text = String::new();
    for url in &link.urls {
        out::add(&mut text, format_args!("{}\n", Plain(url)));
    }
    if link.urls.is_empty() {
        out::add(
            &mut text,
            format_args!(
                "{}\nthe daemon listens on no TCP address: set `http.listen` and restart it\n",
                Plain(&link.path)
            ),
        );
    }
    out::add(
        &mut text,
        format_args!(
            "opens one session with scope {}, once, until {}\n",
            link.scope,
            out::time(link.expires)
        ),
    );
    text
}

/// Says when what was made does not outlive the daemon.
fn kept(store: &StoreHealth) -> String {
    if store.state == StoreState::Ok && store.file.is_none() {
        return "the store is in memory (`store.path`), so it ends at the next restart\n"
            .to_owned();
    }
    degraded(store)
}
