//! FreeSWITCH's list of registrations, read in pieces over a separate connection. It may have tens of megabytes, must
//! not delay events, and is not kept in memory as a whole.

use std::time::{Duration, Instant};

use sipward_esl::Limits;
use sipward_esl::client::{ClientError, Connection, Streamed};
use tokio::sync::mpsc;
use tokio::task::yield_now;
use tokio::time::timeout;

use super::Answer;
use super::ask::Asker;
use sipward_ingest::freeswitch::registrations::{Outcome, QUESTION, Row, Rows};

/// Longest wait for the beginning of the list (FreeSWITCH makes all of it first), and for each piece.
const PIECE: Duration = Duration::from_secs(60);

/// Longest wait for log-in.
const LOGIN: Duration = Duration::from_secs(10);

/// Registrations handed to the engine at once, and bytes of their text: what the engine's task does with them takes
/// less than a millisecond, in which no ban waits.
const CHUNK: usize = 256;
const CHUNK_BYTES: usize = 64 * 1024;

/// Bytes read before others get their turn.
const TURN: usize = 32 * 1024;

/// One phone that is registered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registration {
    pub user: String,
    pub domain: String,
    pub source: std::net::IpAddr,
    pub port: Option<u16>,
    pub call_id: String,
    /// When it runs out, in seconds of the epoch by FreeSWITCH's clock; `None` when it does not.
    pub expires: Option<u64>,
}

/// A part of the list.
#[derive(Clone, Debug)]
pub enum Listed {
    /// Some phones.
    Phones {
        phones: Vec<Registration>,
        /// When the list was asked for.
        asked: Instant,
    },
    /// All of it was read.
    End {
        outcome: Outcome,
        /// When the list was asked for.
        asked: Instant,
    },
}

/// The list could not be had over a connection of its own.
enum Failed {
    /// FreeSWITCH lets us in and does not answer `api`, or does not let us in a second time.
    AnotherWay(String),
    /// The answer is not a list.
    Unreadable(String),
    /// The engine's task is gone.
    Stopped,
}

impl Asker {
    /// Passes all registrations on. What cannot be had is reported.
    pub(super) async fn registrations(&self, answers: &mpsc::Sender<Answer>) {
        let asked = Instant::now();
        let why = match self.stream(asked, answers).await {
            Ok(()) => return self.answered(QUESTION),
            Err(Failed::Stopped) => return,
            Err(Failed::Unreadable(error)) => return self.needed_failed(QUESTION, &error),
            Err(Failed::AnotherWay(error)) => error,
        };
        tracing::debug!(error = why, "no second connection; the event connection is used");
        let asked = Instant::now();
        let Some((text, is_cut)) = self.whole_text(QUESTION).await else { return };
        let mut reader = Reader::new(asked, answers);
        match reader.take(text.as_bytes()).await {
            Ok(()) => {}
            Err(_) => return,
        }
        match reader.end(is_cut).await {
            Ok(()) => self.answered(QUESTION),
            Err(Failed::Unreadable(error)) => self.needed_failed(QUESTION, &error),
            Err(Failed::AnotherWay(_) | Failed::Stopped) => {}
        }
    }

    async fn stream(&self, asked: Instant, answers: &mpsc::Sender<Answer>) -> Result<(), Failed> {
        let another = |error: ClientError| Failed::AnotherWay(error.to_string());
        let late = |_| Failed::AnotherWay(format!("no answer within {} s", PIECE.as_secs()));
        let login = &self.credentials;
        let limits = Limits::default();
        let mut connection =
            Connection::connect(&login.host, login.port, limits, self.connect_timeout)
                .await
                .map_err(another)?;
        connection.login(login.user.as_deref(), &login.password, LOGIN).await.map_err(another)?;
        match timeout(PIECE, connection.stream_api(QUESTION))
            .await
            .map_err(late)?
            .map_err(another)?
        {
            Streamed::Body => {}
            Streamed::Refused(reply) => return Err(Failed::AnotherWay(reply.to_string())),
        }
        let mut reader = Reader::new(asked, answers);
        loop {
            match timeout(PIECE, connection.next_piece()).await {
                Ok(Ok(Some(piece))) => reader.take(&piece).await?,
                Ok(Ok(None)) => return reader.end(false).await,
                // Rows that were read are kept; the rest is missing.
                Ok(Err(_)) | Err(_) => return reader.end(true).await,
            }
        }
    }
}

/// Turns pieces of the list into answers.
struct Reader<'o> {
    rows: Rows,
    chunk: Vec<Registration>,
    bytes: usize,
    asked: Instant,
    answers: &'o mpsc::Sender<Answer>,
}

impl<'o> Reader<'o> {
    fn new(asked: Instant, answers: &'o mpsc::Sender<Answer>) -> Self {
        Self { rows: Rows::new(), chunk: Vec::new(), bytes: 0, asked, answers }
    }

    async fn take(&mut self, piece: &[u8]) -> Result<(), Failed> {
        for turn in piece.chunks(TURN) {
            let Self { rows, chunk, bytes, .. } = self;
            rows.push(turn, |row| {
                let Row { user, domain, call_id, source, port, expires } = row;
                let (user, domain, call_id) =
                    (user.into_owned(), domain.into_owned(), call_id.into_owned());
                *bytes += user.len() + domain.len() + call_id.len();
                chunk.push(Registration { user, domain, source, port, call_id, expires });
            });
            while self.chunk.len() >= CHUNK || self.bytes >= CHUNK_BYTES {
                self.hand_over().await?;
            }
            yield_now().await;
        }
        Ok(())
    }

    async fn hand_over(&mut self) -> Result<(), Failed> {
        let rest = self.chunk.split_off(CHUNK.min(self.chunk.len()));
        let phones = std::mem::replace(&mut self.chunk, rest);
        self.bytes = self
            .chunk
            .iter()
            .map(|phone| phone.user.len() + phone.domain.len() + phone.call_id.len())
            .sum();
        let asked = self.asked;
        self.answer(Listed::Phones { phones, asked }).await
    }

    /// All that came has been taken; `is_cut`: there was more.
    async fn end(mut self, is_cut: bool) -> Result<(), Failed> {
        while !self.chunk.is_empty() {
            self.hand_over().await?;
        }
        let rows = std::mem::replace(&mut self.rows, Rows::new());
        let mut outcome = rows.finish().map_err(Failed::Unreadable)?;
        if is_cut {
            outcome.incomplete.get_or_insert_with(|| "the answer was truncated".to_owned());
        }
        let asked = self.asked;
        self.answer(Listed::End { outcome, asked }).await
    }

    async fn answer(&self, listed: Listed) -> Result<(), Failed> {
        self.answers.send(Answer::Listed(listed)).await.map_err(|_| Failed::Stopped)
    }
}
