//! One connection's life, from its subscription to its end.

use std::{
    collections::{HashMap, VecDeque},
    pin::pin,
    time::SystemTime,
};

use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::mpsc,
    task::yield_now,
    time::{Instant, sleep},
};

use super::{
    CommandError, Memory, Notice, SessionConfig,
    handle::{Answer, Request, Work},
    queue::Sender,
};
use crate::{
    Event, Frame, JobUuid, LogLine,
    client::{ClientError, Connection, Reply, good_bye, is_answer},
    command::{Command, CommandKind, Format, Subscription},
    frame::ContentType,
};

/// Answers to `bgapi` that may be outstanding. Each costs a hundred bytes.
const MAX_JOBS: usize = 1024;

/// Notices handed over together, at most.
const MAX_BATCH: usize = 256;

const BACKGROUND_JOB: &str = "BACKGROUND_JOB";

/// Serves one connection.
pub(super) struct Connected<'s> {
    config: &'s SessionConfig,
    notices: &'s Sender,
    memory: &'s mut Memory,
    random: &'s mut fastrand::Rng,
    /// Notices of one read, or of a part of it, handed over together.
    batch: Vec<Notice>,
    /// Commands whose replies have not come, in order.
    in_flight: VecDeque<InFlight>,
    jobs: HashMap<JobUuid, Answer>,
    /// `BACKGROUND_JOB` has been subscribed to for the jobs of this session.
    listens_to_jobs: bool,
    /// The first event of this connection has shown its `Core-UUID`.
    core_known: bool,
    last_event: Instant,
}

struct InFlight {
    kind: CommandKind,
    waiter: Waiter,
}

enum Waiter {
    /// The reply is the answer.
    Reply(Answer),
    /// The reply only reports whether the job was accepted.
    Job(JobUuid),
    /// No caller waits: the session sent the command itself.
    Nobody,
}

impl<'s> Connected<'s> {
    pub(super) fn new(
        config: &'s SessionConfig,
        notices: &'s Sender,
        memory: &'s mut Memory,
        random: &'s mut fastrand::Rng,
    ) -> Self {
        Self {
            config,
            notices,
            memory,
            random,
            batch: Vec::new(),
            in_flight: VecDeque::new(),
            jobs: HashMap::new(),
            listens_to_jobs: config.subscription.names_event(BACKGROUND_JOB),
            core_known: false,
            last_event: Instant::now(),
        }
    }

    /// Reads always; returns why the connection ended.
    pub(super) async fn run<S: AsyncRead + AsyncWrite + Unpin>(
        &mut self,
        connection: &mut Connection<S>,
        requests: &mut mpsc::Receiver<Request>,
    ) -> ClientError {
        let limit = self.config.heartbeat_timeout;
        let mut silence = pin!(sleep(limit));
        // What the handshake read beside its replies, and what it had no room for.
        if connection.dropped() > 0 {
            self.batch.push(Notice::Overflow { dropped: connection.dropped() });
        }
        let mut outcome = self.receive_all(connection).await;
        loop {
            if let Err(error) = outcome {
                return error;
            }
            outcome = tokio::select! {
                // In this order: the next request waits for the reply to the last one, so it cannot keep
                // the session from reading; and after a suspend of this host, what has arrived is read
                // before the silence is judged.
                biased;
                Some(request) = requests.recv(), if self.in_flight.is_empty() => {
                    self.start(request, connection);
                    Ok(())
                }
                filled = connection.fill() => match filled {
                    Ok(()) => self.receive_all(connection).await,
                    Err(error) => Err(error),
                },
                () = &mut silence => {
                    let left = limit.saturating_sub(self.last_event.elapsed());
                    if left.is_zero() {
                        Err(ClientError::Silent { after: limit })
                    } else {
                        silence.as_mut().reset(Instant::now() + left);
                        Ok(())
                    }
                }
            };
        }
    }

    /// Answers all waiting callers: the connection is lost.
    pub(super) fn end(&mut self) {
        let waiting = self.in_flight.drain(..).filter_map(|in_flight| match in_flight.waiter {
            Waiter::Reply(answer) => Some(answer),
            Waiter::Job(_) | Waiter::Nobody => None,
        });
        for answer in waiting.chain(self.jobs.drain().map(|(_, answer)| answer)) {
            give(answer, Err(CommandError::Lost));
        }
        self.memory.blind = true;
    }

    /// Takes every frame that has come. A flood is always ready to be read: the consumer gets its turn after each
    /// batch, while the events are still in the cache and the queue has room.
    async fn receive_all<S: AsyncRead + AsyncWrite + Unpin>(
        &mut self,
        connection: &mut Connection<S>,
    ) -> Result<(), ClientError> {
        let received = Instant::now();
        loop {
            let more = self.receive(connection, received)?;
            yield_now().await;
            if !more {
                return Ok(());
            }
        }
    }

    /// Takes a batch of the frames that have come, and hands the notices over even if the last one is an
    /// error. Says whether there may be more.
    fn receive<S: AsyncRead + AsyncWrite + Unpin>(
        &mut self,
        connection: &mut Connection<S>,
        received: Instant,
    ) -> Result<bool, ClientError> {
        let most = MAX_BATCH.min(self.config.queue / 2).max(1);
        let outcome = loop {
            if self.batch.len() >= most {
                break Ok(true);
            }
            match connection.next_ready() {
                Ok(Some(frame)) => {
                    if let Err(error) = self.frame(frame, received) {
                        break Err(error);
                    }
                }
                Ok(None) => break Ok(false),
                Err(error) => break Err(error),
            }
        };
        if self.last_event == received {
            self.memory.last_seen = Some(SystemTime::now());
        }
        self.notices.push_all(&mut self.batch);
        outcome
    }

    fn frame(&mut self, frame: Frame, received: Instant) -> Result<(), ClientError> {
        if let Some(error) = good_bye(&frame) {
            return Err(error);
        }
        match frame.content_type() {
            ContentType::EventPlain | ContentType::EventJson => {
                self.last_event = received;
                match frame.try_into_event() {
                    Ok(event) => self.event(event, received),
                    Err((error, frame)) => self.batch.push(Notice::Damaged { error, frame }),
                }
            }
            ContentType::LogData => match LogLine::from_frame(frame.clone()) {
                Ok(line) => self.batch.push(Notice::Log { line, received: received.into_std() }),
                Err(_) => self.batch.push(Notice::Unusable { frame }),
            },
            ContentType::CommandReply | ContentType::ApiResponse => self.reply(frame),
            ContentType::EventXml => {
                self.last_event = received;
                self.batch.push(Notice::Unusable { frame });
            }
            ContentType::AuthRequest
            | ContentType::DisconnectNotice
            | ContentType::RudeRejection
            | ContentType::Other => self.batch.push(Notice::Unusable { frame }),
        }
        Ok(())
    }

    fn event(&mut self, event: Event, received: Instant) {
        if !self.core_known {
            self.learn_core(&event);
        }
        if self.listens_to_jobs
            && event.raw_header("Event-Name") == Some(BACKGROUND_JOB.as_bytes())
            && self.finish_job(&event)
        {
            return;
        }
        self.batch.push(Notice::Event { event, received: received.into_std() });
    }

    /// The first event that FreeSWITCH itself created identifies the run of FreeSWITCH.
    fn learn_core(&mut self, event: &Event) {
        if event.raw_header("Command").is_some() {
            return;
        }
        let Some(new) = event.core_uuid() else { return };
        self.core_known = true;
        if let Some(old) = self.memory.core.replace(new)
            && old != new
        {
            self.batch.push(Notice::Restarted { old, new });
        }
    }

    /// Answers the session's own job. Returns whether the event is handled: the consumer does not get it.
    fn finish_job(&mut self, event: &Event) -> bool {
        let job = event.header("Job-UUID").and_then(|job| JobUuid::parse(job.as_bytes()));
        if let Some(answer) = job.and_then(|job| self.jobs.remove(&job)) {
            give(answer, Ok(Reply::from_job(event)));
            return true;
        }
        !self.config.subscription.names_event(BACKGROUND_JOB)
    }

    fn reply(&mut self, frame: Frame) {
        let answers = self.in_flight.front().is_some_and(|front| is_answer(&frame, front.kind));
        let in_flight = if answers { self.in_flight.pop_front() } else { None };
        let Some(in_flight) = in_flight else {
            self.batch.push(Notice::Unusable { frame });
            return;
        };
        let reply = Reply::from_frame(&frame);
        let refused = reply.is_error() && frame.content_type() == ContentType::CommandReply;
        let outcome = || {
            if refused {
                Err(CommandError::Refused { reply: reply.to_string() })
            } else {
                Ok(reply.clone())
            }
        };
        match in_flight.waiter {
            Waiter::Reply(answer) => give(answer, outcome()),
            Waiter::Job(job) if refused => {
                if let Some(answer) = self.jobs.remove(&job) {
                    give(answer, outcome());
                }
            }
            Waiter::Nobody if refused => self.batch.push(Notice::Unusable { frame }),
            Waiter::Job(_) | Waiter::Nobody => {}
        }
    }

    fn start<S: AsyncRead + AsyncWrite + Unpin>(
        &mut self,
        request: Request,
        connection: &mut Connection<S>,
    ) {
        let Request { work, answer } = request;
        match work {
            Work::Command(command) => self.send(&command, Waiter::Reply(answer), connection),
            Work::Job(command) => {
                if let Err((error, answer)) = self.start_job(&command, answer, connection) {
                    give(answer, Err(error));
                }
            }
        }
    }

    fn start_job<S: AsyncRead + AsyncWrite + Unpin>(
        &mut self,
        command: &str,
        answer: Answer,
        connection: &mut Connection<S>,
    ) -> Result<(), (CommandError, Answer)> {
        let format = self.config.subscription.format();
        if format == Format::Xml {
            return Err((CommandError::XmlFormat, answer));
        }
        // Callers that stopped waiting make room.
        self.jobs.retain(|_, answer| !answer.is_closed());
        if self.jobs.len() >= MAX_JOBS {
            return Err((CommandError::TooManyJobs { limit: MAX_JOBS }, answer));
        }
        let job = JobUuid::random(self.random.u128(..));
        let commands =
            (Subscription::new(format).event(BACKGROUND_JOB), Command::bgapi(command, job));
        let (listen, run) = match commands {
            (Ok(subscription), Ok(run)) => (Command::event(&subscription), run),
            (Err(error), _) | (_, Err(error)) => return Err((error.into(), answer)),
        };
        if !std::mem::replace(&mut self.listens_to_jobs, true) {
            self.send(&listen, Waiter::Nobody, connection);
        }
        self.jobs.insert(job, answer);
        self.send(&run, Waiter::Job(job), connection);
        Ok(())
    }

    fn send<S: AsyncRead + AsyncWrite + Unpin>(
        &mut self,
        command: &Command,
        waiter: Waiter,
        connection: &mut Connection<S>,
    ) {
        tracing::trace!(?command, "sent");
        connection.send(command);
        self.in_flight.push_back(InFlight { kind: command.kind(), waiter });
    }
}

/// The caller may have stopped waiting; then the answer is dropped.
fn give(answer: Answer, outcome: Result<Reply, CommandError>) {
    let _ = answer.send(outcome);
}
