//! The task of the transport: connects, reads on both paths, says what is due, and begins anew when the connection
//! is lost.

use std::future::Future;
use std::sync::Arc;

use async_nats::{Client, Event, ServerError};
use futures_util::StreamExt;
use futures_util::stream::select_all;
use tokio::sync::{mpsc, watch};

use crate::connect::{connect, context};
use crate::feed::Feed;
use crate::fleet::Fleet;
use crate::intake::{Arrival, Intake, OwnerGone, Received};
use crate::message::Kind;
use crate::own::{NotSaid, Own, Owned};
use crate::presence::presence;
use crate::publish::publish;
use crate::settings::{Settings, SettingsError};
use crate::shared::{Shared, lock};
use crate::snapshot::{State, add_one};
use crate::streams::Stream;

/// Messages that wait for the owner.
const CHANNEL: usize = 4_096;

/// What the owner knows from before.
#[derive(Debug, Default)]
pub struct Start {
    /// The greatest `n` that was stored ([`Snapshot::n`](crate::Snapshot::n)); 0 if none was. What is too small heals
    /// itself: the stream has this node's own messages.
    pub n: u64,
    /// What stands of this node. What the stream has beside it is ended.
    pub standing: Vec<Own>,
}

/// Makes a link and the two ends for its owner: the handle, and the channel of what others say. Nothing runs before
/// [`Link::run`].
///
/// # Errors
/// When the settings do not fit together.
pub fn link(
    settings: Settings,
    start: Start,
) -> Result<(Fleet, mpsc::Receiver<Received>, Link), SettingsError> {
    settings.check()?;
    let mut owned = Owned::new(settings.peer.clone(), settings.share_known, start.n);
    let refused = start.standing.into_iter().filter_map(|own| owned.say(own).err());
    let refused = refused.filter(|why| *why == NotSaid::Full).count();
    if refused > 0 {
        tracing::warn!(refused, "fleet: more stands than a node may say");
    }
    let shared = Arc::new(Shared::new(settings, owned));
    let (out, received) = mpsc::channel(CHANNEL);
    let link = Link {
        intake: Intake::new(out),
        feeds: [Feed::new(Stream::Main), Feed::new(Stream::Known)],
        shared: Arc::clone(&shared),
    };
    Ok((Fleet::new(shared), received, link))
}

/// The transport. Runs as one task of its owner's.
pub struct Link {
    shared: Arc<Shared>,
    intake: Intake,
    feeds: [Feed; 2],
}

impl Link {
    /// Runs until `shutdown` is done or the owner has dropped the channel. Never panics for what comes over the network,
    /// and tries for ever.
    pub async fn run(mut self, shutdown: impl Future<Output = ()>) {
        let shared = Arc::clone(&self.shared);
        tokio::select! {
            () = shutdown => {}
            OwnerGone = self.connections() => {}
        }
        *lock(&shared.client) = None;
        shared.state(State::Down { why: "stopped".to_owned() });
    }

    async fn connections(&mut self) -> OwnerGone {
        let mut failures = 0;
        loop {
            tokio::time::sleep(self.shared.back_off(failures)).await;
            let (lost, mut is_lost) = watch::channel(None);
            let events = on_event(Arc::clone(&self.shared), lost);
            let why = match connect(&self.shared.settings, events).await {
                Ok(client) => {
                    let began = tokio::time::Instant::now();
                    let why = tokio::select! {
                        gone = self.session(&client) => return gone,
                        why = lost_connection(&mut is_lost) => why,
                    };
                    *lock(&self.shared.client) = None;
                    // A connection that lasts clears the record; one that is cut again and again does not.
                    if began.elapsed() > self.shared.settings.timing.retry {
                        failures = 0;
                    }
                    why
                }
                Err(error) => error.to_string(),
            };
            failures += 1;
            tracing::debug!(%why, "fleet: no connection");
            self.shared.state(State::Down { why });
        }
    }

    /// One connection, until the owner is gone.
    async fn session(&mut self, client: &Client) -> OwnerGone {
        let Self { shared, intake, feeds: [main, known] } = self;
        add_one(&shared.counts.connects);
        shared.state(State::Connected { server: client.server_info().server_name });
        shared.announced.send_replace(false);
        *lock(&shared.client) = Some(client.clone());
        let js = context(client, &shared.settings);
        tokio::select! {
            // What has come both ways counts as the fast one's.
            biased;
            gone = core(shared, intake, client) => gone,
            gone = main.run(shared, intake, &js) => gone,
            gone = known.run(shared, intake, &js), if shared.settings.share_known => gone,
            never = forever(presence(shared, client, &js)) => never,
            never = forever(publish(shared, client, &js)) => never,
            never = forever(prune(shared, intake)) => never,
        }
    }
}

/// What never ends by itself.
async fn forever(task: impl Future<Output = ()>) -> OwnerGone {
    task.await;
    std::future::pending().await
}

async fn prune(shared: &Shared, intake: &Intake) {
    loop {
        tokio::time::sleep(std::time::Duration::from_secs(60)).await;
        intake.prune(shared);
    }
}

/// The fast path: plain subscriptions, which go on while the stream has no leader.
async fn core(shared: &Shared, intake: &Intake, client: &Client) -> OwnerGone {
    let me = shared.me();
    let kinds =
        [Kind::Ban, Kind::Lift, Kind::Veto, Kind::Peer].map(|kind| format!("sipward.1.{kind}.>"));
    let known = shared.settings.share_known.then(|| format!("sipward.1.{}.>", Kind::Known));
    let own = format!("sipward.1.{}.{}.{}", Kind::Node, me.site, me.node);
    let mut subscriptions = Vec::new();
    for subject in kinds.into_iter().chain(known).chain([own]) {
        match client.subscribe(subject.clone()).await {
            Ok(subscription) => subscriptions.push(subscription),
            Err(why) => shared.trouble(&format!("subscribing to {subject}"), &why),
        }
    }
    let mut messages = select_all(subscriptions);
    while let Some(message) = messages.next().await {
        let (subject, value) = (&message.subject, &message.payload);
        if let Err(gone) = intake.accept(shared, subject, value, Arrival::Core).await {
            return gone;
        }
    }
    // The connection is lost, which is noticed elsewhere.
    std::future::pending().await
}

/// Hears what happens to the connection. A reason is sent when it is lost.
fn on_event(
    shared: Arc<Shared>,
    lost: watch::Sender<Option<String>>,
) -> impl Fn(Event) + Send + Sync + 'static {
    move |event| match event {
        Event::SlowConsumer(_) => add_one(&shared.counts.dropped),
        Event::ServerError(ServerError::AuthorizationViolation) => {
            end(
                &lost,
                "the server no longer takes this node's credential (Authorization Violation)",
            );
        }
        Event::ServerError(error) => {
            let words = error.to_string();
            // "User Authentication Expired", "User Authentication Revoked", "Account Authentication Expired"
            if words.to_ascii_lowercase().contains("authentication") {
                end(
                    &lost,
                    &format!("the server ends the connection ({words}); renew the credential"),
                );
            } else {
                shared.trouble("the server says", &words);
            }
        }
        Event::Disconnected | Event::Closed => end(&lost, "the connection was lost"),
        Event::LameDuckMode => end(&lost, "the server is about to stop"),
        Event::Connected | Event::Draining | Event::ClientError(_) => {}
    }
}

/// The first reason counts.
fn end(lost: &watch::Sender<Option<String>>, why: &str) {
    lost.send_if_modified(|reason| {
        let is_first = reason.is_none();
        if is_first {
            *reason = Some(why.to_owned());
        }
        is_first
    });
}

async fn lost_connection(lost: &mut watch::Receiver<Option<String>>) -> String {
    match lost.wait_for(Option::is_some).await {
        Ok(why) => why.clone().unwrap_or_default(),
        Err(_) => "the connection was closed".to_owned(),
    }
}
