//! One connection: connect, authenticate, subscribe, one command at a time.
//!
//! [`Connection`] is enough for a program that runs once. What must stay connected for months uses
//! [`session`](crate::session()).

mod error;
mod handshake;
mod input;
mod reply;
mod stream;

use std::{
    collections::VecDeque,
    future::poll_fn,
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::{Buf as _, BytesMut};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    time::timeout,
};
use tokio_util::io::poll_read_buf;

use self::input::Input;
pub use self::{
    error::{ClientError, Step},
    reply::Reply,
    stream::Streamed,
};
use crate::{
    Limits,
    command::{Command, CommandKind},
    frame::{ContentType, Frame, FrameDecoder},
    text::excerpt,
};

/// Frames kept aside while [`Connection::request`] waits for its reply. Events of a second or two; beyond
/// that the oldest is dropped and counted, because a reader that stops stalls FreeSWITCH.
pub const MAX_PENDING: usize = 4096;

/// A connection to an Event Socket.
#[derive(Debug)]
pub struct Connection<S = TcpStream> {
    stream: S,
    decoder: FrameDecoder,
    input: Input,
    /// Commands on their way out.
    output: BytesMut,
    /// The peer has closed its side.
    ended: bool,
    pending: VecDeque<Frame>,
    dropped: u64,
}

impl Connection {
    /// Connects by TCP.
    ///
    /// # Errors
    /// [`ClientError::Connect`] and [`ClientError::Timeout`].
    pub async fn connect(
        host: &str,
        port: u16,
        limits: Limits,
        within: Duration,
    ) -> Result<Self, ClientError> {
        let failed = |error| ClientError::Connect { address: format!("{host}:{port}"), error };
        let stream = timeout(within, TcpStream::connect((host, port)))
            .await
            .map_err(|_| ClientError::Timeout { step: Step::Connection, after: within })?
            .map_err(failed)?;
        stream.set_nodelay(true).map_err(failed)?;
        Ok(Self::new(stream, limits))
    }

    /// The other end and this one.
    ///
    /// # Errors
    /// [`ClientError::Io`] when the connection is gone already.
    pub fn addresses(&self) -> Result<(SocketAddr, SocketAddr), ClientError> {
        let peer = self.stream.peer_addr().map_err(ClientError::Io)?;
        let local = self.stream.local_addr().map_err(ClientError::Io)?;
        Ok((peer, local))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    /// Over a stream that is connected already, before its greeting has been read.
    #[must_use]
    pub fn new(stream: S, limits: Limits) -> Self {
        Self {
            stream,
            decoder: FrameDecoder::new(limits),
            input: Input::new(),
            output: BytesMut::new(),
            ended: false,
            pending: VecDeque::new(),
            dropped: 0,
        }
    }

    /// The next frame: those kept aside during [`request`](Self::request) first.
    ///
    /// Cancel safe: no bytes are lost when the future is dropped.
    ///
    /// # Errors
    /// [`ClientError::Closed`] at the end of the stream, [`ClientError::Damaged`] when it ended inside a
    /// frame or cannot be split, [`ClientError::Io`].
    pub async fn next_frame(&mut self) -> Result<Frame, ClientError> {
        if let Some(frame) = self.pending.pop_front() {
            return Ok(frame);
        }
        self.receive().await
    }

    /// Sends a command and waits for its reply. Frames that come before it are kept aside for
    /// [`next_frame`](Self::next_frame), at most [`MAX_PENDING`].
    ///
    /// Not cancel safe: dropped early, the reply would be taken for that of the next command. Drop the
    /// connection too then.
    ///
    /// # Errors
    /// [`ClientError::Disconnected`] when FreeSWITCH sends a disconnect notice instead, and those of `next_frame`.
    pub async fn request(&mut self, command: &Command) -> Result<Reply, ClientError> {
        self.send(command);
        loop {
            let frame = self.receive().await?;
            if is_answer(&frame, command.kind()) {
                return Ok(Reply::from_frame(&frame));
            }
            if let Some(error) = good_bye(&frame) {
                return Err(error);
            }
            if self.pending.len() >= MAX_PENDING {
                self.pending.pop_front();
                self.dropped += 1;
            }
            self.pending.push_back(frame);
        }
    }

    /// Frames dropped by [`request`](Self::request) so far because too many came before its reply.
    #[must_use]
    pub const fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Queues a command; [`fill`](Self::fill) sends it in one write.
    pub(crate) fn send(&mut self, command: &Command) {
        self.output.extend_from_slice(command.as_bytes());
    }

    /// Sends what is queued and waits until something has come, without letting one wait for the other.
    /// Cancel safe.
    pub(crate) async fn fill(&mut self) -> Result<(), ClientError> {
        poll_fn(|cx| {
            if let Poll::Ready(Err(error)) = self.poll_send(cx) {
                return Poll::Ready(Err(error));
            }
            self.poll_receive(cx)
        })
        .await
    }

    /// A frame that has come already: those kept aside first.
    pub(crate) fn next_ready(&mut self) -> Result<Option<Frame>, ClientError> {
        match self.pending.pop_front() {
            Some(frame) => Ok(Some(frame)),
            None => self.decode(),
        }
    }

    fn decode(&mut self) -> Result<Option<Frame>, ClientError> {
        if let Some(frame) = self.decoder.decode(&mut self.input.bytes)? {
            return Ok(Some(frame));
        }
        if self.ended {
            self.decoder.decode_eof(&mut self.input.bytes)?;
            return Err(ClientError::Closed);
        }
        Ok(None)
    }

    async fn receive(&mut self) -> Result<Frame, ClientError> {
        loop {
            if let Some(frame) = self.decode()? {
                return Ok(frame);
            }
            self.fill().await?;
        }
    }

    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), ClientError>> {
        while self.output.has_remaining() {
            let stream = Pin::new(&mut self.stream);
            match ready!(stream.poll_write(cx, &self.output)) {
                Ok(written) => self.output.advance(written),
                Err(error) => return Poll::Ready(Err(ClientError::Io(error))),
            }
        }
        Poll::Ready(Ok(()))
    }

    fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), ClientError>> {
        self.input.make_room();
        let room = self.input.room();
        match ready!(poll_read_buf(Pin::new(&mut self.stream), cx, &mut self.input.bytes)) {
            Ok(read) => {
                self.input.has_read(read, room);
                self.ended = read == 0;
                Poll::Ready(Ok(()))
            }
            Err(error) => Poll::Ready(Err(ClientError::Io(error))),
        }
    }
}

/// Is this frame the reply to such a command? Replies come in the order of the commands.
pub(crate) fn is_answer(frame: &Frame, command: CommandKind) -> bool {
    match frame.content_type() {
        ContentType::CommandReply => true,
        ContentType::ApiResponse => command == CommandKind::Api,
        ContentType::AuthRequest
        | ContentType::EventPlain
        | ContentType::EventJson
        | ContentType::EventXml
        | ContentType::LogData
        | ContentType::DisconnectNotice
        | ContentType::RudeRejection
        | ContentType::Other => false,
    }
}

/// The error that a frame of farewell means. A notice that FreeSWITCH lingers is none yet.
pub(crate) fn good_bye(frame: &Frame) -> Option<ClientError> {
    /// Bytes of the notice that an error quotes.
    const QUOTED: usize = 200;
    match frame.content_type() {
        ContentType::RudeRejection => Some(ClientError::AclRejected),
        ContentType::DisconnectNotice => {
            let lingers = frame.header("Content-Disposition") == Some(b"linger");
            let notice = excerpt(frame.body().trim_ascii_end(), QUOTED);
            (!lingers).then_some(ClientError::Disconnected { notice })
        }
        ContentType::AuthRequest
        | ContentType::CommandReply
        | ContentType::ApiResponse
        | ContentType::EventPlain
        | ContentType::EventJson
        | ContentType::EventXml
        | ContentType::LogData
        | ContentType::Other => None,
    }
}

#[cfg(test)]
mod tests;
