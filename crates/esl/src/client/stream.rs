//! An answer of any size, piece by piece.

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite};

use super::{ClientError, Connection, MAX_PENDING, Reply, good_bye, is_answer};
use crate::{
    command::{Command, CommandKind},
    frame::Streaming,
};

/// The answer to a command, on its way.
#[derive(Debug)]
pub enum Streamed {
    /// Its body comes by [`Connection::next_piece`].
    Body,
    /// FreeSWITCH did not answer by `api/response`: it refused the command.
    Refused(Reply),
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    /// Sends `api COMMAND`, and waits for the beginning of its answer. Then take all pieces of it by
    /// [`next_piece`](Self::next_piece), whatever their sum, before anything else is done with the connection.
    ///
    /// FreeSWITCH sends no event on this connection before it has the answer: give a connection without a
    /// subscription to it.
    ///
    /// Not cancel safe, as [`request`](Self::request).
    ///
    /// # Errors
    /// As [`request`](Self::request), and [`ClientError::Invalid`] when `command` is no line of text.
    pub async fn stream_api(&mut self, command: &str) -> Result<Streamed, ClientError> {
        self.send(&Command::api(command)?);
        loop {
            match self.decoder.stream_answer(&mut self.input.bytes)? {
                Streaming::Begun => return Ok(Streamed::Body),
                Streaming::Other => {
                    if let Some(frame) = self.decode()? {
                        if is_answer(&frame, CommandKind::Api) {
                            return Ok(Streamed::Refused(Reply::from_frame(&frame)));
                        }
                        if let Some(error) = good_bye(&frame) {
                            return Err(error);
                        }
                        if self.pending.len() >= MAX_PENDING {
                            self.pending.pop_front();
                            self.dropped += 1;
                        }
                        self.pending.push_back(frame);
                        continue;
                    }
                }
                Streaming::Incomplete if self.ended => return Err(self.end_of_stream()),
                Streaming::Incomplete => {}
            }
            self.fill().await?;
        }
    }

    /// The next piece of the answer to [`stream_api`](Self::stream_api), at most as large as the read buffer (half a
    /// megabyte); `None` behind the last one.
    ///
    /// Cancel safe: no bytes are lost when the future is dropped.
    ///
    /// # Errors
    /// As [`next_frame`](Self::next_frame), also when the stream ends inside the answer.
    pub async fn next_piece(&mut self) -> Result<Option<Bytes>, ClientError> {
        loop {
            match self.decoder.take_streamed(&mut self.input.bytes) {
                None => return Ok(None),
                Some(piece) if !piece.is_empty() => return Ok(Some(piece)),
                Some(_) if self.ended => return Err(self.end_of_stream()),
                Some(_) => self.fill().await?,
            }
        }
    }

    /// Why the stream has ended here.
    fn end_of_stream(&mut self) -> ClientError {
        match self.decoder.decode_eof(&mut self.input.bytes) {
            Err(error) => error.into(),
            Ok(_) => ClientError::Closed,
        }
    }
}
