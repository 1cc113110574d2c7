//! Webhooks: each selected record, as one signed POST.
//!
//! The body is the record as in the API's events, one JSON object. With a secret, its HMAC-SHA256 is in
//! `X-Sipward-Signature: sha256=…`. Records arrive in order, each at least once: a receiver that answered too late
//! gets it again, with the same `X-Sipward-Delivery`.
//!
//! | module | holds |
//! |---|---|
//! | `target` | a URL, taken apart |
//! | `post` | one request over a connection that is kept |
//!
//! The client is hyper's connection itself: one host, one connection, no redirects, no cookies, no pool.

mod post;

use std::time::Duration;

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use sipward_engine::Timestamp;

use crate::{EventReceiver, Outbox, Retry, TEST_LIMIT};
use post::Post;
use sipward_config::{Secret, WebhookSettings, WebhookUrl};
use sipward_model::backoff::Backoff;
use sipward_model::clock::{self, Clock};
use sipward_model::record::Kind;
use sipward_model::text::Time;
use sipward_model::wire::Line;

/// Records that wait for a receiver at most: about 1 MB, and some minutes of a storm.
const ROOM: usize = 1_024;

/// A receiver is restarted, or down for a while: tried for about half an hour. What waits behind is in order.
const RETRY: Retry = Retry {
    backoff: Backoff { first: Duration::from_secs(1), longest: Duration::from_secs(300) },
    attempts: 14,
};

/// The name of the event that a test posts.
const TEST: &str = "test";

/// A receiver, and what it gets.
#[derive(Debug)]
pub struct Hook {
    target: WebhookUrl,
    events: Vec<Kind>,
    timeout: Duration,
    secret: Option<Secret>,
}

impl Hook {
    /// One for each receiver.
    pub fn all(settings: &WebhookSettings, secret: Option<&Secret>) -> Vec<Self> {
        let hook = |target: &WebhookUrl| Self {
            target: target.clone(),
            events: settings.events.clone(),
            timeout: settings.timeout,
            secret: secret.cloned(),
        };
        settings.targets.iter().map(hook).collect()
    }

    /// How the log and the metrics call it: without the path, which often is a secret itself.
    pub fn name(&self) -> String {
        format!("webhook {}", self.target.authority())
    }

    /// [`WebhookUrl::place`].
    pub fn place(&self) -> String {
        self.target.place()
    }

    /// Posts one event `test` within [`TEST_LIMIT`], and gives the status that accepted it.
    ///
    /// # Errors
    /// When it was not accepted, with the reason.
    pub async fn send_test(self, now: Timestamp) -> Result<u16, String> {
        let text = "a test by `sipward notify test`; nothing happened".to_owned();
        let fields = [("text".to_owned(), text.into())].into_iter().collect();
        let line =
            Line { time: Time(now), event: TEST.to_owned(), level: None, message: None, fields };
        let delivery = Delivery::of(&line, &mut fastrand::Rng::with_seed(clock::seed()));
        let limit = self.timeout.min(TEST_LIMIT);
        let status = Post::new(self.target, limit, self.secret).once(&delivery).await?;
        if status.is_success() {
            Ok(status.as_u16())
        } else {
            Err(format!("the receiver answered {status}"))
        }
    }
}

/// A record on its way.
#[derive(Debug)]
struct Delivery {
    /// The same for each attempt.
    id: String,
    event: String,
    body: Vec<u8>,
}

/// Posts what it hears, until the daemon stops.
pub async fn run(hook: Hook, hearing: EventReceiver, clock: Clock) {
    let Hook { target, events, timeout, secret } = hook;
    deliver(Post::new(target, timeout, secret), events, hearing, clock, RETRY).await;
}

async fn deliver(
    mut post: Post,
    events: Vec<Kind>,
    mut hearing: EventReceiver,
    clock: Clock,
    retry: Retry,
) {
    let outbox = Outbox::new(ROOM, hearing.voice());
    let heard = async {
        let mut random = fastrand::Rng::with_seed(clock::seed());
        while let Some(record) = hearing.next().await {
            if events.contains(&record.kind()) {
                let line = sipward_model::record::line(&record, clock.now());
                outbox.put(Delivery::of(&line, &mut random));
            }
        }
        outbox.close();
    };
    let posted = outbox.empty(retry, async |delivery: &Delivery| post.deliver(delivery).await);
    tokio::join!(heard, posted);
}

impl Delivery {
    fn of(line: &Line, random: &mut fastrand::Rng) -> Self {
        // Strings and numbers always become JSON.
        let body = serde_json::to_vec(line).unwrap_or_default();
        Self { id: format!("{:032x}", random.u128(..)), event: line.event.clone(), body }
    }
}

/// `sha256=` and the HMAC-SHA256 of `body` in hexadecimal.
fn signature(secret: &Secret, body: &[u8]) -> Option<String> {
    // A key of any length fits (RFC 2104 section 2).
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.expose().as_bytes()).ok()?;
    mac.update(body);
    let bytes = mac.finalize().into_bytes();
    Some(bytes.iter().fold("sha256=".to_owned(), |text, byte| format!("{text}{byte:02x}")))
}

#[cfg(test)]
mod tests;
