//! What an operator does, with a credential of an operator: makes the streams, lifts bans, judges peers.

use async_nats::Client;
use async_nats::jetstream::context::GetStreamErrorKind;
use async_nats::jetstream::stream::Config;
use async_nats::jetstream::{Context, ErrorCode};
use ipnet::IpNet;

use crate::clock::now_ms;
use crate::connect::{ConnectError, connect, context};
use crate::fleet::{NodeSeen, NodesError, nodes};
use crate::message::{Body, Judgement, Lift, MAX_N, Message};
use crate::name::Peer;
use crate::publish::put;
use crate::settings::Settings;
use crate::streams::Stream;

/// A connection of an operator.
pub struct Operator {
    me: Peer,
    client: Client,
    js: Context,
}

/// How large the streams may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    /// Servers that have a copy: 1, 3 or 5, and not more than there are.
    pub replicas: usize,
    /// Most bytes of the stream of bans, and of that of known phones. That of statuses has a tenth.
    pub max_bytes: i64,
}

impl Default for Size {
    /// Three copies of at most 1 GiB: about three million bans.
    fn default() -> Self {
        Self { replicas: 3, max_bytes: 1 << 30 }
    }
}

/// What `init` found or did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Initialized {
    /// Name of the stream.
    pub stream: &'static str,
    /// Whether it was made; otherwise it was there.
    pub made: bool,
    /// What is not as it should be. Empty if all is.
    pub differences: Vec<Difference>,
}

/// One property of a stream that is not as it should be. `init` leaves it as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The property, as NATS calls it.
    pub property: &'static str,
    /// What it is.
    pub is: String,
    /// What it should be.
    pub should_be: String,
}

/// Why an operator's request failed.
#[derive(Debug, thiserror::Error)]
pub enum OperatorError {
    /// No connection.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// A server that does not answer, or refuses.
    #[error("{doing}: {why}")]
    Stream {
        /// What was tried.
        doing: String,
        /// What the server said.
        why: String,
    },
}

impl Operator {
    /// Connects once.
    ///
    /// # Errors
    /// Why there is no connection.
    pub async fn connect(settings: &Settings) -> Result<Self, OperatorError> {
        let client = connect(settings, |_| {}).await?;
        let js = context(&client, settings);
        Ok(Self { me: settings.peer.clone(), client, js })
    }

    /// Makes the three streams where they are not there, and says what of those that are there is not as it should be.
    /// Doing it again changes nothing.
    ///
    /// # Errors
    /// When a server does not answer or refuses it. Streams before that are made.
    pub async fn init(&self, size: Size) -> Result<Vec<Initialized>, OperatorError> {
        let mut all = Vec::new();
        for stream in Stream::ALL {
            let max_bytes =
                if stream == Stream::Nodes { size.max_bytes / 10 } else { size.max_bytes };
            let wanted = stream.config(size.replicas, max_bytes);
            all.push(self.init_stream(stream.name(), wanted).await?);
        }
        Ok(all)
    }

    async fn init_stream(
        &self,
        name: &'static str,
        wanted: Config,
    ) -> Result<Initialized, OperatorError> {
        match self.js.get_stream(name).await {
            Ok(there) => {
                let differences = differences(&there.cached_info().config, &wanted);
                return Ok(Initialized { stream: name, made: false, differences });
            }
            Err(error) => match error.kind() {
                GetStreamErrorKind::JetStream(error)
                    if error.error_code() == ErrorCode::STREAM_NOT_FOUND => {}
                _ => return Err(failed(format!("looking for the stream {name}"), &error)),
            },
        }
        let made = self.js.create_stream(wanted.clone()).await;
        let made = made.map_err(|error| failed(format!("making the stream {name}"), &error))?;
        // A server may leave out what it does not know.
        let differences = differences(&made.cached_info().config, &wanted);
        Ok(Initialized { stream: name, made: true, differences })
    }

    /// Lifts all bans of a network on all nodes.
    ///
    /// # Errors
    /// When the stream does not acknowledge it. It may have been stored all the same; doing it again does no harm.
    pub async fn lift(&self, net: IpNet, lift: Lift) -> Result<(), OperatorError> {
        self.say(Body::Lift(net.trunc(), lift)).await
    }

    /// Says what to make of a peer.
    ///
    /// # Errors
    /// As [`Operator::lift`].
    pub async fn judge(&self, peer: Peer, judgement: Judgement) -> Result<(), OperatorError> {
        self.say(Body::Peer(peer, judgement)).await
    }

    async fn say(&self, body: Body) -> Result<(), OperatorError> {
        let at = now_ms();
        let mut message = Message { from: self.me.clone(), n: at.clamp(1, MAX_N), at, body };
        let subject = message.subject();
        let doing = || format!("saying {subject}");
        // An earlier word, by a clock that was ahead, must not count against this one.
        let stream = self.js.get_stream_no_info(Stream::Main.name()).await;
        let stream = stream.map_err(|error| failed(doing(), &error))?;
        if let Ok(last) = stream.direct_get_last_for_subject(subject.clone()).await
            && let Ok(before) = Message::parse(&subject, &last.payload)
        {
            message.n = message.n.max(before.n.saturating_add(1)).min(MAX_N);
        }
        let value = message.encode().map_err(|refusal| failed(doing(), &refusal))?;
        put(&self.client, subject.clone(), value).await.map_err(|why| failed(doing(), &why))?;
        Ok(())
    }

    /// What all nodes said last about themselves, at most an hour ago.
    ///
    /// # Errors
    /// When the stream does not answer.
    pub async fn nodes(&self) -> Result<Vec<NodeSeen>, NodesError> {
        nodes(&self.js, self.me.token()).await
    }
}

fn failed(doing: String, why: &impl ToString) -> OperatorError {
    OperatorError::Stream { doing, why: why.to_string() }
}

fn differences(is: &Config, wanted: &Config) -> Vec<Difference> {
    let rows = |config: &Config| {
        let mut subjects = config.subjects.clone();
        subjects.sort();
        [
            ("subjects", subjects.join(" ")),
            ("retention", format!("{:?}", config.retention)),
            ("storage", format!("{:?}", config.storage)),
            ("discard", format!("{:?}", config.discard)),
            ("max_msgs", config.max_messages.to_string()),
            ("max_msgs_per_subject", config.max_messages_per_subject.to_string()),
            ("allow_rollup_hdrs", config.allow_rollup.to_string()),
            ("deny_delete", config.deny_delete.to_string()),
            ("deny_purge", config.deny_purge.to_string()),
            ("max_msg_size", config.max_message_size.to_string()),
            ("allow_direct", config.allow_direct.to_string()),
            ("max_age", format!("{:?}", config.max_age)),
            ("max_bytes", config.max_bytes.to_string()),
            ("num_replicas", config.num_replicas.to_string()),
        ]
    };
    rows(is)
        .into_iter()
        .zip(rows(wanted))
        .filter(|((_, is), (_, wanted))| is != wanted)
        .map(|((property, is), (_, should_be))| Difference { property, is, should_be })
        .collect()
}
