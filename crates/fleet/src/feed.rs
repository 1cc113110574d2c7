//! A stream, read by one named consumer that is made anew when it falls silent: the complete path.

use std::time::{Duration, Instant};

use async_nats::jetstream::consumer::{AckPolicy, Consumer, DeliverPolicy, pull};
use async_nats::jetstream::{self, Context, stream};
use futures_util::StreamExt;
use tokio::time::timeout;

use crate::intake::{Arrival, Intake, OwnerGone};
use crate::shared::Shared;
use crate::snapshot::add_one;
use crate::streams::Stream;

/// Messages asked for at once; half as many again may be on their way.
const BATCH: usize = 2_000;
/// The server removes a consumer that nobody asks any more after this time.
const INACTIVE: Duration = Duration::from_secs(60);
/// Silence that the server breaks by a heartbeat. Two that are missing mean that the consumer is gone.
const HEARTBEAT: Duration = Duration::from_secs(5);
/// How long a request for messages stands.
const REQUEST: Duration = Duration::from_secs(30);

/// What went wrong with a stream, for people.
pub(crate) type Trouble = Box<dyn std::error::Error + Send + Sync>;

/// How far a stream was read. Kept over connections.
pub(crate) struct Feed {
    stream: Stream,
    /// When the stream was made: another has other revisions.
    made: Option<i128>,
    /// Revision of the last message that was handed over.
    applied: u64,
}

impl Feed {
    pub(crate) const fn new(stream: Stream) -> Self {
        Self { stream, made: None, applied: 0 }
    }

    /// Reads until the owner is gone.
    pub(crate) async fn run(
        &mut self,
        shared: &Shared,
        intake: &Intake,
        js: &Context,
    ) -> OwnerGone {
        // By a clock that is wrong everything that is read might have run out.
        if shared.changing().clock_offset_ms.is_none() {
            let mut announced = shared.announced.subscribe();
            let known = announced.wait_for(|said| *said);
            drop(timeout(shared.settings.timing.answer, known).await);
        }
        loop {
            let Err(why) = self.follow(shared, intake, js).await;
            match why.downcast::<OwnerGone>() {
                Ok(gone) => return *gone,
                Err(why) => {
                    add_one(&shared.counts.stalls);
                    shared.trouble(&format!("reading {}", self.stream.name()), &why);
                    tokio::time::sleep(shared.draw(shared.settings.timing.jitter)).await;
                }
            }
        }
    }

    async fn follow(
        &mut self,
        shared: &Shared,
        intake: &Intake,
        js: &Context,
    ) -> Result<std::convert::Infallible, Trouble> {
        let stream = js.get_stream(self.stream.name()).await?;
        let info = stream.cached_info();
        let (made, last) = (info.created.unix_timestamp_nanos(), info.state.last_sequence);
        if self.made != Some(made) || self.applied > last {
            if self.made.is_some() {
                shared.anew.notify_one();
            }
            (self.made, self.applied) = (Some(made), 0);
        }
        let from = match self.applied {
            // Each subject has one message, so all are the last of each.
            0 => DeliverPolicy::All,
            applied => DeliverPolicy::ByStartSequence { start_sequence: applied + 1 },
        };
        let (name, patience) = (shared.me().token(), shared.settings.timing.answer);
        let consumer = consumer(&stream, name, String::new(), from, patience).await?;
        let mut caught_up = consumer.cached_info().num_pending == 0;
        if caught_up {
            self.applied = self.applied.max(last);
            self.is_caught_up(shared, intake).await?;
        }
        let mut messages = messages(&consumer).await?;
        let timing = shared.settings.timing;
        let mut compare = tokio::time::interval(timing.compare);
        let mut heard = Instant::now();
        let mut delivered = 0;
        loop {
            tokio::select! {
                message = messages.next() => {
                    let message = message.ok_or_else(|| stalled("the consumer has ended"))??;
                    let Place { revision, count, pending, stamp } = place(&message)?;
                    // Who may ask for this consumer's messages can take some away.
                    if count != delivered + 1 {
                        return Err(stalled("messages are missing").into());
                    }
                    delivered = count;
                    let arrival = Arrival::Stream { stamp, live: caught_up };
                    intake.accept(shared, &message.subject, &message.payload, arrival).await?;
                    (self.applied, heard) = (revision, Instant::now());
                    // A message that another has replaced may count as waiting for ever.
                    if (pending == 0 || revision >= last) && !caught_up {
                        caught_up = true;
                        self.is_caught_up(shared, intake).await?;
                    }
                    self.note(shared, None);
                }
                _ = compare.tick() => {
                    let last = stream.get_info().await?.state.last_sequence;
                    self.note(shared, Some(last));
                    if self.applied != last && heard.elapsed() >= timing.silence {
                        return Err(stalled("silent although revisions are missing").into());
                    }
                    shared.well();
                }
            }
        }
    }

    async fn is_caught_up(&self, shared: &Shared, intake: &Intake) -> Result<(), OwnerGone> {
        self.note(shared, None);
        intake.prune(shared);
        if self.stream == Stream::Main {
            shared.changing().caught_up = true;
            intake.caught_up().await?;
        }
        Ok(())
    }

    fn note(&self, shared: &Shared, last: Option<u64>) {
        if self.stream == Stream::Main {
            let mut changing = shared.changing();
            changing.applied = self.applied;
            match last {
                Some(last) => changing.behind = last.saturating_sub(self.applied),
                None => changing.behind = changing.behind.saturating_sub(1),
            }
        }
    }
}

/// Makes a consumer with a name of its own, in place of one of that name. It is kept in memory by one server: it is made
/// anew in no time, and three would vote on each step of each node.
///
/// While a server of a cluster is dead, the others place one in three on it (nats-server 2.9.10). Then nobody answers, so
/// after a short while it is tried again; in a cluster that is well the answer takes milliseconds.
async fn consumer<I>(
    stream: &stream::Stream<I>,
    name: String,
    filter_subject: String,
    deliver_policy: DeliverPolicy,
    patience: Duration,
) -> Result<Consumer<pull::Config>, Trouble> {
    let config = pull::Config {
        name: Some(name.clone()),
        filter_subject,
        deliver_policy,
        ack_policy: AckPolicy::None,
        inactive_threshold: INACTIVE,
        memory_storage: true,
        num_replicas: 1,
        ..pull::Config::default()
    };
    let mut wait = patience / 16;
    loop {
        // There is none, mostly.
        drop(timeout(wait, stream.delete_consumer(&name)).await);
        match timeout(wait, stream.create_consumer(config.clone())).await {
            Ok(made) => return Ok(made?),
            Err(_) if wait < patience => wait *= 2,
            Err(_) => return Err(stalled("no server makes a consumer").into()),
        }
    }
}

async fn messages(consumer: &Consumer<pull::Config>) -> Result<pull::Stream, Trouble> {
    let stream = consumer.stream().max_messages_per_batch(BATCH).heartbeat(HEARTBEAT);
    Ok(stream.expires(REQUEST).messages().await?)
}

/// Where a message stands.
struct Place {
    revision: u64,
    /// How many the consumer has delivered with it.
    count: u64,
    /// How many wait behind it.
    pending: u64,
    /// When it was stored, in milliseconds since 1970.
    stamp: u64,
}

fn place(message: &jetstream::Message) -> Result<Place, Trouble> {
    let info = message.info()?;
    Ok(Place {
        revision: info.stream_sequence,
        count: info.consumer_sequence,
        pending: info.pending,
        stamp: u64::try_from(info.published.unix_timestamp_nanos() / 1_000_000)?,
    })
}

fn stalled(why: &'static str) -> std::io::Error {
    std::io::Error::other(why)
}

/// Reads what a stream has of a filter now: subject, value, and when it was stored. At most `max` messages. Ends when the
/// server says that no more wait, or sends none for `patience`: one that another has replaced may count for ever.
pub(crate) async fn read_once(
    js: &Context,
    stream: Stream,
    name: String,
    filter: String,
    max: usize,
    patience: Duration,
) -> Result<Vec<(String, Vec<u8>, u64)>, Trouble> {
    let stream = js.get_stream_no_info(stream.name()).await?;
    let consumer = consumer(&stream, name.clone(), filter, DeliverPolicy::All, patience).await?;
    let mut found = Vec::new();
    if consumer.cached_info().num_pending > 0 {
        let mut messages = messages(&consumer).await?;
        loop {
            let Ok(next) = timeout(patience, messages.next()).await else {
                // The silence means something only while the stream answers.
                stream.get_info().await?;
                break;
            };
            let message = next.ok_or_else(|| stalled("the consumer has ended"))??;
            let Place { pending, stamp, .. } = place(&message)?;
            found.push((message.subject.to_string(), message.payload.to_vec(), stamp));
            if pending == 0 || found.len() >= max {
                break;
            }
        }
    }
    // It would go by itself.
    drop(stream.delete_consumer(&name).await);
    Ok(found)
}
