//! `sipward bans`.

use clap::ValueEnum;

use super::ban::ScopeWord;
use super::out::{self, Column, Table, Tone};
use super::progress::Progress;
use super::remote::{Exit, Remote};
use super::words::{self, left};
use crate::client::{Answer, Client, ClientError};
use sipward_model::text::Plain;
use sipward_model::wire::{
    Ban, BanOrder, BanOrigin, BanPage, BanQuery, BanScope, BanState, Direction, MAX_LIMIT, Net,
};

/// List the active bans.
#[derive(Debug, clap::Args)]
pub(super) struct BansCommand {
    /// Only bans that cover this address, or that lie inside this network.
    #[arg(value_name = "ADDR|CIDR")]
    net: Option<Net>,
    /// Only bans of this origin.
    #[arg(long)]
    origin: Option<OriginWord>,
    /// Only bans in this state in the kernel.
    #[arg(long)]
    state: Option<StateWord>,
    /// Only bans of this scope.
    #[arg(long)]
    scope: Option<ScopeWord>,
    /// Only bans with this text in their network, users, user agent, report or comment.
    #[arg(long, value_name = "TEXT")]
    search: Option<String>,
    /// Sort key.
    #[arg(long, default_value = "net")]
    sort: OrderWord,
    /// The largest or latest first.
    #[arg(long, short)]
    reverse: bool,
    /// Bans to show.
    #[arg(long, value_name = "COUNT", default_value_t = 100, value_parser = clap::value_parser!(u16).range(1..=i64::from(MAX_LIMIT)))]
    limit: u16,
    /// Continue after the page that ended with this `next`.
    #[arg(long, value_name = "NEXT")]
    cursor: Option<String>,
    /// Show all pages.
    #[arg(long, conflicts_with_all = ["limit", "cursor"])]
    all: bool,
    /// Write all bans as CSV, ordered by network.
    #[arg(long, conflicts_with_all = ["limit", "cursor", "all", "json", "sort", "reverse"])]
    csv: bool,
    #[command(flatten)]
    remote: Remote,
}

/// What decided a ban.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum OriginWord {
    /// Another node of the fleet.
    Remote,
    /// A rule, or a route found at start.
    Automatic,
    /// An operator.
    Manual,
    /// An operator, with `--force`.
    Forced,
}

/// The state of a ban in the kernel.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum StateWord {
    /// The kernel has not answered yet.
    Pending,
    /// Packets of the network are dropped.
    Enforced,
    /// The route does not stop the packets.
    Ineffective,
    /// The kernel refused the route.
    Failed,
}

/// What bans are sorted by.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum OrderWord {
    /// The network.
    Net,
    /// The start.
    Since,
    /// The end.
    Until,
}

impl BansCommand {
    pub(super) fn run(&self) -> anyhow::Result<Exit> {
        if self.csv {
            let filter = self.query().filter();
            return self.remote.download("reading the bans", "/bans.csv", &filter);
        }
        let progress = self.remote.progress("reading the bans");
        self.remote.run_showing(
            &progress,
            async |client| {
                if self.all {
                    self.read_all(client, &progress).await
                } else {
                    client.get("/bans", &self.query()).await
                }
            },
            text,
        )
    }

    fn query(&self) -> BanQuery {
        let is_host = |net: &Net| net.0.prefix_len() == net.0.max_prefix_len();
        BanQuery {
            inside: self.net.filter(|net| !is_host(net)),
            covering: self.net.filter(is_host),
            origin: self.origin.map(|origin| match origin {
                OriginWord::Remote => BanOrigin::Remote,
                OriginWord::Automatic => BanOrigin::Automatic,
                OriginWord::Manual => BanOrigin::Manual,
                OriginWord::Forced => BanOrigin::Forced,
            }),
            state: self.state.map(|state| match state {
                StateWord::Pending => BanState::Pending,
                StateWord::Enforced => BanState::Enforced,
                StateWord::Ineffective => BanState::Ineffective,
                StateWord::Failed => BanState::Failed,
            }),
            scope: self.scope.map(ScopeWord::scope),
            rule: None,
            search: self.search.clone(),
            country: None,
            as_number: None,
            sort: Some(match self.sort {
                OrderWord::Net => BanOrder::Net,
                OrderWord::Since => BanOrder::Since,
                OrderWord::Until => BanOrder::Until,
            }),
            order: self.reverse.then_some(Direction::Desc),
            limit: Some(self.limit),
            cursor: self.cursor.clone(),
        }
    }

    /// Page after page, as one.
    async fn read_all(
        &self,
        client: &mut Client,
        progress: &Progress,
    ) -> Result<Answer<BanPage>, ClientError> {
        let mut query = BanQuery { limit: Some(MAX_LIMIT), cursor: None, ..self.query() };
        let mut all = BanPage { items: Vec::new(), total: 0, next: None, located: false };
        loop {
            let page = client.get::<BanPage>("/bans", &query).await?.value;
            all.total = page.total;
            let read = u64::try_from(page.items.len()).unwrap_or(u64::MAX);
            progress.steps(page.total);
            progress.advance(read);
            all.items.extend(page.items);
            match page.next {
                // A page that leads to itself would be read forever.
                Some(next) if query.cursor.as_ref() != Some(&next) => query.cursor = Some(next),
                Some(_) | None => break,
            }
        }
        let body = serde_json::to_string(&all);
        let body = body.map_err(|error| ClientError::Unreadable { what: error.to_string() })?;
        Ok(Answer { value: all, body })
    }
}

fn text(page: &BanPage) -> String {
    if page.items.is_empty() {
        return "no bans\n".to_owned();
    }
    let mut text = table(&page.items, out::width());
    if let Some(next) = &page.next {
        let (shown, total) = (page.items.len(), page.total);
        out::add(
            &mut text,
            format_args!("{shown} of {total}; --cursor {next} continues, --all shows all\n"),
        );
    }
    text
}

/// Bans as a table that fits the terminal.
pub(super) fn table(bans: &[Ban], width: Option<usize>) -> String {
    let mut table = Table::new([
        Column::kept("NETWORK"),
        Column::extra("SCOPE", 3),
        Column::extra("LEFT", 2),
        Column::kept("STATE").toned(tone),
        Column::extra("FROM", 4).optional(),
        Column::extra("DROPPED", 5).numbers().optional(),
        Column::text("WHY", 1),
    ]);
    for ban in bans {
        table.row([
            ban.net.to_string(),
            scope(ban.scope).to_owned(),
            ban.remaining_seconds.map_or("permanent".to_owned(), left),
            state(ban.state).to_owned(),
            ban.cause.remote.as_ref().map_or_else(String::new, |said| said.peer.to_string()),
            ban.packets_dropped.map_or_else(String::new, |packets| packets.to_string()),
            words::cause(&ban.cause),
        ]);
    }
    let mut text = table.render(width);
    for (net, why) in reasons(bans) {
        out::add(&mut text, format_args!("{net}: {}\n", Plain(&why)));
    }
    text
}

/// Reasons named below a table at most: a rule that passes bans by passes all of them by.
const REASONS: usize = 8;

/// Why bans are ineffective, or which route blocks their packets, each reason once.
fn reasons(bans: &[Ban]) -> Vec<(String, String)> {
    let mut reasons: Vec<Reason> = Vec::new();
    for ban in bans {
        let by = ban.enforced_by.as_ref();
        let by =
            by.map(|route| format!("ineffective because of a route of another program: {route}"));
        let Some(text) = ban.error.clone().or(by) else { continue };
        // One reason names another network for each ban.
        let key = text.replace(&ban.net.to_string(), "").replace(&ban.net.addr().to_string(), "");
        if let Some(reason) = reasons.iter_mut().find(|reason| reason.key == key) {
            reason.more += 1;
        } else if reasons.len() < REASONS {
            reasons.push(Reason { key, net: ban.net.to_string(), text, more: 0 });
        }
    }
    let named = reasons.into_iter().map(|Reason { net, text, more, .. }| match more {
        0 => (net, text),
        more => (format!("{net} and {more} more"), text),
    });
    named.collect()
}

/// Why bans are not just enforced.
struct Reason {
    key: String,
    /// The first ban.
    net: String,
    text: String,
    /// Further bans.
    more: usize,
}

pub(super) fn scope(scope: BanScope) -> &'static str {
    match scope {
        BanScope::Host => "host",
        BanScope::Sip => "sip",
    }
}

/// The colour of a state.
pub(super) fn tone(state: &str) -> Option<Tone> {
    match state {
        "INEFFECTIVE" | "FAILED" => Some(Tone::Bad),
        "pending" => Some(Tone::Warning),
        _ => None,
    }
}

pub(super) fn state(state: BanState) -> &'static str {
    match state {
        BanState::Pending => "pending",
        BanState::Enforced => "enforced",
        BanState::Ineffective => "INEFFECTIVE",
        BanState::Failed => "FAILED",
    }
}
