//! Lines of FreeSWITCH's log, through the socket.

use crate::{
    command::LogLevel,
    frame::{ContentType, Cut, Frame},
};

/// A `log/data` frame: one log message, which may span rows.
///
/// Where it was written (`file`, `function`, `level`) comes from FreeSWITCH. The text holds whatever senders
/// chose (user names, domains), line ends and whole forged rows included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLine {
    frame: Frame,
    level: LogLevel,
}

/// A `log/data` frame that cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LogLineError {
    /// The frame holds something else.
    #[error("a frame of type {0:?} is no log line")]
    NotALogLine(ContentType),
    /// `Log-Level` is missing or no number.
    #[error("the log line has no Log-Level")]
    NoLevel,
}

impl LogLine {
    /// From a frame of type `log/data`.
    ///
    /// # Errors
    /// [`LogLineError`] for every other frame, and without a level.
    pub fn from_frame(frame: Frame) -> Result<Self, LogLineError> {
        if frame.content_type() != ContentType::LogData {
            return Err(LogLineError::NotALogLine(frame.content_type()));
        }
        let number = frame.header("Log-Level").and_then(decimal).ok_or(LogLineError::NoLevel)?;
        Ok(Self { level: LogLevel::from_number(number), frame })
    }

    /// `Log-Level`.
    #[must_use]
    pub const fn level(&self) -> LogLevel {
        self.level
    }

    /// `Log-File`, for example `sofia_reg.c`.
    #[must_use]
    pub fn file(&self) -> Option<&[u8]> {
        self.frame.header("Log-File")
    }

    /// `Log-Func`, for example `sofia_reg_handle_register_token`.
    #[must_use]
    pub fn function(&self) -> Option<&[u8]> {
        self.frame.header("Log-Func")
    }

    /// `Log-Line`: the line in that file.
    #[must_use]
    pub fn line(&self) -> Option<u64> {
        self.frame.header("Log-Line").and_then(decimal)
    }

    /// `User-Data`: the channel's UUID, when the message is about one.
    #[must_use]
    pub fn channel(&self) -> Option<&[u8]> {
        self.frame.header("User-Data").filter(|channel| !channel.is_empty())
    }

    /// The message with its time, as in the log file; without the last line end.
    #[must_use]
    pub fn text(&self) -> &[u8] {
        let text = self.frame.body();
        text.strip_suffix(b"\n").unwrap_or(text)
    }

    /// What was cut because the message was over [`Limits::max_body`](crate::Limits::max_body).
    #[must_use]
    pub fn truncated(&self) -> Option<&Cut> {
        self.frame.cut()
    }
}

fn decimal(raw: &[u8]) -> Option<u64> {
    std::str::from_utf8(raw).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests;
