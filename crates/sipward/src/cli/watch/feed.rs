//! Where the news come from.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval, sleep};

use crate::client::{Client, ClientError, NoQuery};
use sipward_model::wire::{
    BanOrder, BanPage, BanQuery, Direction, EventQuery, FailurePage, FailureQuery, Line, Status,
};

/// How often the status is asked for.
const STATUS: Duration = Duration::from_secs(2);

/// Pause before a daemon that went away is tried again.
const RETRY: Duration = Duration::from_secs(1);

/// Earlier bans and failures that are read at the start.
const BEFORE: u16 = 200;

/// One thing that is new.
#[derive(Clone, Debug)]
pub(super) enum News {
    /// What was before, at the start and after each loss of the daemon.
    Before { bans: BanPage, failures: FailurePage },
    /// The state of the daemon.
    Status(Box<Status>),
    /// Something happened.
    Line(Line),
    /// The daemon cannot be asked, and why.
    Lost(String),
}

/// Sends events until the receiver is closed.
pub(super) async fn run(socket: PathBuf, news: mpsc::Sender<News>) {
    while !news.is_closed() {
        let error = match follow(&socket, &news).await {
            Ok(()) => "the daemon ended the connection".to_owned(),
            Err(error) => error.to_string(),
        };
        if news.send(News::Lost(error)).await.is_err() {
            return;
        }
        sleep(RETRY).await;
    }
}

/// Returns when the daemon or the receiver ends it.
async fn follow(socket: &Path, news: &mpsc::Sender<News>) -> Result<(), ClientError> {
    // Listen before looking: what happens meanwhile is heard.
    let mut events = Client::connect(socket).await?.events(&EventQuery::default()).await?;
    let mut client = Client::connect(socket).await?;
    let newest = BanQuery {
        sort: Some(BanOrder::Since),
        order: Some(Direction::Desc),
        limit: Some(BEFORE),
        ..BanQuery::default()
    };
    let bans = client.get("/bans", &newest).await?.value;
    let latest = FailureQuery { limit: Some(BEFORE), ..FailureQuery::default() };
    let failures = client.get("/failures", &latest).await?.value;
    if news.send(News::Before { bans, failures }).await.is_err() {
        return Ok(());
    }
    let mut due = interval(STATUS);
    due.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let item = tokio::select! {
            line = events.next() => match line? {
                Some(line) => News::Line(line),
                None => return Ok(()),
            },
            _ = due.tick() => {
                News::Status(Box::new(client.get::<Status>("/status", &NoQuery {}).await?.value))
            }
        };
        if news.send(item).await.is_err() {
            return Ok(());
        }
    }
}
