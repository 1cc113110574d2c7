//! One connection of the fake FreeSWITCH.

use std::io;
use std::ops::ControlFlow;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{mpsc, watch};

use super::settings::Settings;
use super::state::{Outgoing, Seat};
use super::{Delivery, Frame, Greeting, Recording, Subscription};

/// A client's longest command, in bytes; those of sipward are far below 1 KiB.
const MAX_COMMAND: usize = 64 * 1024;

/// Said before a connection is closed.
const GOODBYE: &str = "Disconnected, goodbye.\nSee you at ClueCon! http://www.cluecon.com/\n";

pub(super) struct Connection {
    reader: CommandReader,
    writer: OwnedWriteHalf,
    queue: mpsc::Receiver<Outgoing>,
    stalled: watch::Receiver<bool>,
    seat: Seat,
    settings: Settings,
    authenticated: bool,
}

/// Whether the connection goes on.
type Flow = ControlFlow<()>;

impl Connection {
    pub(super) fn new(
        stream: TcpStream,
        seat: Seat,
        queue: mpsc::Receiver<Outgoing>,
        settings: Settings,
    ) -> Self {
        // Without it small writes may be joined, which is only less strict a test.
        let _ = stream.set_nodelay(true);
        let (reader, writer) = stream.into_split();
        let stalled = seat.shared.stalled.subscribe();
        let reader = CommandReader { reader, buffer: Vec::new() };
        Self { reader, writer, queue, stalled, seat, settings, authenticated: false }
    }

    pub(super) async fn serve(mut self) -> io::Result<()> {
        let flow = match self.settings.greeting.clone() {
            Greeting::Handshake => {
                self.send(&Frame::with_body("Content-Type: auth/request\n\n", b"")).await?;
                Flow::Continue(())
            }
            Greeting::RudeRejection => {
                let rejection = "Content-Type: text/rude-rejection\nContent-Length: 24\n\n";
                self.send(&Frame::with_body(rejection, b"Access Denied, go away.\n")).await?;
                self.send(&goodbye(GOODBYE)).await?;
                Flow::Break(())
            }
            Greeting::Silence => {
                while self.reader.next().await?.is_some() {}
                Flow::Break(())
            }
            Greeting::Recording(recording) => self.play(&recording).await?,
        };
        if flow.is_continue() {
            self.converse().await?;
        }
        if let Some(rest) = self.reader.unfinished() {
            self.seat.violation(format!("command without its blank line: {rest:?}"));
        }
        self.writer.shutdown().await
    }

    /// Answers commands and sends what is queued, until either side closes.
    async fn converse(&mut self) -> io::Result<()> {
        loop {
            let flow = tokio::select! {
                command = self.reader.next() => match command? {
                    Some(command) => self.answer(&command).await?,
                    None => Flow::Break(()),
                },
                Some(outgoing) = self.queue.recv() => {
                    let flow = self.send_queued(outgoing).await?;
                    self.seat.sent();
                    flow
                }
            };
            if flow.is_break() {
                return Ok(());
            }
        }
    }

    /// Sends a recorded stream: every answer in it waits for one command of the client.
    async fn play(&mut self, recording: &Recording) -> io::Result<Flow> {
        for frame in recording.frames() {
            if frame.is_answer() {
                let Some(command) = self.reader.next().await? else {
                    return Ok(Flow::Break(()));
                };
                self.seat.heard(&command);
                if let Some(asked) = command.strip_prefix("event ").and_then(Subscription::parse) {
                    self.seat.subscribe(asked);
                }
            }
            self.send(frame).await?;
            if frame.content_type() == "text/disconnect-notice" {
                return Ok(Flow::Break(()));
            }
        }
        if !recording.tail().is_empty() {
            self.write(recording.tail()).await?;
            return Ok(Flow::Break(()));
        }
        self.authenticated = true;
        Ok(Flow::Continue(()))
    }

    async fn answer(&mut self, command: &str) -> io::Result<Flow> {
        self.seat.heard(command);
        let (verb, arguments) = command.split_once(' ').unwrap_or((command, ""));
        let reply = match verb {
            "auth" | "userauth" => return self.authenticate(verb, arguments).await,
            _ if !self.authenticated => self.refuse(command, "command not found"),
            "event" => match Subscription::parse(arguments) {
                Some(asked) => {
                    if asked.subclasses.is_empty() && asked.names.is_empty() {
                        self.seat.violation("a bare CUSTOM gets no sofia event".to_owned());
                    }
                    let format = asked.format.name();
                    self.seat.subscribe(asked);
                    format!("+OK event listener enabled {format}")
                }
                None => self.refuse(command, "no keywords supplied"),
            },
            "log" => {
                self.seat.log(true);
                format!("+OK log level {arguments} [{arguments}]")
            }
            "nolog" => {
                self.seat.log(false);
                "+OK no longer logging".to_owned()
            }
            "noevents" if self.seat.unsubscribe() => {
                "+OK no longer listening for events".to_owned()
            }
            "noevents" => self.refuse(command, "not listening for events"),
            "exit" => {
                self.send(&Frame::reply("+OK bye")).await?;
                self.send(&goodbye(GOODBYE)).await?;
                return Ok(Flow::Break(()));
            }
            "api" => {
                let answer = self.seat.shared.with(|state| state.settings.answer(arguments));
                self.send(&Frame::api_response(&answer)).await?;
                return Ok(Flow::Continue(()));
            }
            "bgapi" => return self.background_job(arguments).await,
            _ => self.refuse(command, "command not found"),
        };
        self.send(&Frame::reply(&reply)).await?;
        Ok(Flow::Continue(()))
    }

    /// `bgapi COMMAND`, with the job's identity in a header of its own or made up here.
    async fn background_job(&mut self, arguments: &str) -> io::Result<Flow> {
        let (command, headers) = arguments.split_once('\n').unwrap_or((arguments, ""));
        let given = headers.lines().find_map(|line| line.strip_prefix("Job-UUID: "));
        let job = given.map_or_else(super::core::random_uuid, str::to_owned);
        let body = self.seat.shared.with(|state| state.settings.answer(command));
        let reply = format!("+OK Job-UUID: {job}\nJob-UUID: {job}");
        self.send(&Frame::reply(&reply)).await?;
        self.seat.shared.with(|state| {
            let event = state.core.background_job(&job, command, &body);
            state.publish(&event);
        });
        Ok(Flow::Continue(()))
    }

    async fn authenticate(&mut self, verb: &str, credentials: &str) -> io::Result<Flow> {
        let right = match (verb, &self.settings.user) {
            ("auth", _) => credentials == self.settings.password,
            (_, Some(user)) => credentials == format!("{user}:{}", self.settings.password),
            (_, None) => false,
        };
        if right {
            self.authenticated = true;
            self.send(&Frame::reply("+OK accepted")).await?;
            return Ok(Flow::Continue(()));
        }
        self.send(&Frame::reply("-ERR invalid")).await?;
        self.send(&goodbye(GOODBYE)).await?;
        Ok(Flow::Break(()))
    }

    fn refuse(&self, command: &str, why: &str) -> String {
        self.seat.violation(format!("{command:?}: {why}"));
        format!("-ERR {why}")
    }

    async fn send_queued(&mut self, outgoing: Outgoing) -> io::Result<Flow> {
        match outgoing {
            Outgoing::Frame(frame) => {
                self.send(&frame).await?;
                Ok(Flow::Continue(()))
            }
            Outgoing::CutMidFrame(frame) => {
                let half = frame.bytes().len() / 2;
                self.write(frame.bytes().get(..half).unwrap_or_default()).await?;
                Ok(Flow::Break(()))
            }
            Outgoing::Goodbye(frame) => {
                self.send(&frame).await?;
                Ok(Flow::Break(()))
            }
        }
    }

    async fn send(&mut self, frame: &Frame) -> io::Result<()> {
        self.write(frame.bytes()).await
    }

    async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        // A stalled FreeSWITCH sends nothing, answers included, and reads nothing meanwhile. The
        // sender half lives in the seat, so the wait ends only by its value.
        let _ = self.stalled.wait_for(|stalled| !*stalled).await;
        match self.settings.delivery {
            Delivery::Whole => self.writer.write_all(bytes).await,
            Delivery::ByteByByte => {
                for byte in bytes {
                    self.writer.write_all(std::slice::from_ref(byte)).await?;
                    tokio::task::yield_now().await;
                }
                Ok(())
            }
        }
    }
}

/// `text/disconnect-notice` with the given words.
pub(super) fn goodbye(words: &str) -> Frame {
    Frame::with_body(
        &format!("Content-Type: text/disconnect-notice\nContent-Length: {}\n\n", words.len()),
        words.as_bytes(),
    )
}

/// Cuts the client's bytes into commands.
struct CommandReader {
    reader: OwnedReadHalf,
    buffer: Vec<u8>,
}

impl CommandReader {
    /// The next command without its blank line; `None` when the client closed. Cancel-safe: bytes
    /// wait in the buffer.
    async fn next(&mut self) -> io::Result<Option<String>> {
        loop {
            if let Some(command) = self.take() {
                return Ok(Some(command));
            }
            if self.buffer.len() > MAX_COMMAND {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "command too long"));
            }
            if self.reader.read_buf(&mut self.buffer).await? == 0 {
                return Ok(None);
            }
        }
    }

    /// What came without an end. Whole commands that came too late to be answered are no fault of the client.
    fn unfinished(&mut self) -> Option<String> {
        while self.take().is_some() {}
        let text = String::from_utf8_lossy(&self.buffer);
        (!text.trim().is_empty()).then(|| text.into_owned())
    }

    fn take(&mut self) -> Option<String> {
        // Bare newlines between commands are a keep-alive (`session/bare-newlines-keepalive`).
        let lead = self.buffer.iter().take_while(|b| matches!(b, b'\n' | b'\r')).count();
        self.buffer.drain(..lead);
        let end = ["\n\n", "\r\n\r\n"].iter().filter_map(|end| find(&self.buffer, end)).min()?;
        let command: Vec<u8> = self.buffer.drain(..end).collect();
        Some(String::from_utf8_lossy(&command).into_owned())
    }
}

fn find(haystack: &[u8], needle: &str) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle.as_bytes())
}
