//! Commands, typed, with no way for a caller's text to become a second command.

mod message;
mod password;
mod subscription;

use std::fmt;

use bytes::Bytes;

pub use self::{
    message::Message,
    password::Password,
    subscription::{Format, LogLevel, Subscription},
};
use crate::JobUuid;

/// One command, ready to send: its lines and the blank line in one piece.
///
/// CR, LF and NUL are refused wherever a caller's text goes in, because a line end would end the command and
/// start another. `Debug` shows the command without its secrets.
///
/// ```
/// use sipward_esl::Command;
///
/// assert!(Command::api("status").is_ok());
/// assert!(Command::api("status\n\nexit").is_err());
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Command {
    bytes: Bytes,
    kind: CommandKind,
}

/// Which command it is, for messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CommandKind {
    /// `auth`.
    Auth,
    /// `userauth`.
    Userauth,
    /// `event`.
    Event,
    /// `nixevent`.
    Nixevent,
    /// `noevents`.
    Noevents,
    /// `filter` and `filter delete`.
    Filter,
    /// `api`.
    Api,
    /// `bgapi`.
    Bgapi,
    /// `log`.
    Log,
    /// `nolog`.
    Nolog,
    /// `sendevent`.
    Sendevent,
    /// `sendmsg`.
    Sendmsg,
    /// `divert_events`.
    DivertEvents,
    /// `exit`.
    Exit,
}

/// A text that cannot be part of a command. It is not repeated here: it may be a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the {part} {problem}")]
#[non_exhaustive]
pub struct InvalidCommand {
    /// Which part of the command.
    pub part: &'static str,
    /// What is wrong with it.
    pub problem: InvalidText,
}

/// What is wrong with a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum InvalidText {
    /// It holds CR, LF or NUL, which would end the command.
    LineEnd,
    /// It is empty.
    Empty,
    /// It holds white space where one word is expected.
    NotOneWord,
    /// It holds a colon where that separates the parts.
    Colon,
}

impl Command {
    /// `auth PASSWORD`.
    #[must_use]
    pub fn auth(password: &Password) -> Self {
        Self::new(CommandKind::Auth, &format!("auth {}", password.reveal()))
    }

    /// `userauth USER:PASSWORD`, where the user is `user@domain` of the directory.
    ///
    /// # Errors
    /// [`InvalidCommand`] when the user is no single word, or holds a colon.
    pub fn userauth(user: &str, password: &Password) -> Result<Self, InvalidCommand> {
        const PART: &str = "user";
        checked_word(PART, user)?;
        if user.contains(':') {
            return Err(InvalidCommand { part: PART, problem: InvalidText::Colon });
        }
        Ok(Self::new(CommandKind::Userauth, &format!("userauth {user}:{}", password.reveal())))
    }

    /// `event FORMAT NAMES CUSTOM SUBCLASSES`. Adds to what is subscribed, and switches the format.
    #[must_use]
    pub fn event(subscription: &Subscription) -> Self {
        let format = subscription.format().as_str();
        Self::new(CommandKind::Event, &format!("event {format} {}", subscription.words()))
    }

    /// `nixevent NAMES CUSTOM SUBCLASSES`: takes these away.
    #[must_use]
    pub fn nixevent(subscription: &Subscription) -> Self {
        Self::new(CommandKind::Nixevent, &format!("nixevent {}", subscription.words()))
    }

    /// `noevents`: takes all away.
    #[must_use]
    pub fn noevents() -> Self {
        Self::new(CommandKind::Noevents, "noevents")
    }

    /// `filter HEADER VALUE`: from now on only events that match one of the filters come.
    ///
    /// # Errors
    /// [`InvalidCommand`] when the header is no single word, or the value holds a line end.
    pub fn filter(header: &str, value: &str) -> Result<Self, InvalidCommand> {
        checked_word("filter header", header)?;
        checked("filter value", value)?;
        Ok(Self::new(CommandKind::Filter, &format!("filter {header} {value}")))
    }

    /// `filter delete HEADER [VALUE]`. The header `all` deletes every filter.
    ///
    /// # Errors
    /// [`InvalidCommand`] when the header is no single word, or the value holds a line end.
    pub fn filter_delete(header: &str, value: Option<&str>) -> Result<Self, InvalidCommand> {
        checked_word("filter header", header)?;
        checked("filter value", value.unwrap_or_default())?;
        let value = value.map(|value| format!(" {value}")).unwrap_or_default();
        Ok(Self::new(CommandKind::Filter, &format!("filter delete {header}{value}")))
    }

    /// `api COMMAND`: the answer is a frame of type `api/response`. It holds up the events of this
    /// connection until FreeSWITCH has it; prefer [`bgapi`](Self::bgapi).
    ///
    /// # Errors
    /// [`InvalidCommand`] when the command is empty or holds a line end.
    pub fn api(command: &str) -> Result<Self, InvalidCommand> {
        checked_text("api command", command)?;
        Ok(Self::new(CommandKind::Api, &format!("api {command}")))
    }

    /// `bgapi COMMAND`: the answer is a `BACKGROUND_JOB` event with this `Job-UUID`.
    ///
    /// # Errors
    /// [`InvalidCommand`] when the command is empty or holds a line end.
    pub fn bgapi(command: &str, job: JobUuid) -> Result<Self, InvalidCommand> {
        checked_text("bgapi command", command)?;
        Ok(Self::new(CommandKind::Bgapi, &format!("bgapi {command}\nJob-UUID: {job}")))
    }

    /// `log LEVEL`: log lines of this level and the more severe ones come as `log/data`.
    #[must_use]
    pub fn log(level: LogLevel) -> Self {
        Self::new(CommandKind::Log, &format!("log {}", level.number()))
    }

    /// `nolog`.
    #[must_use]
    pub fn nolog() -> Self {
        Self::new(CommandKind::Nolog, "nolog")
    }

    /// `sendevent NAME`: raises an event; `message` gives its headers and body.
    ///
    /// # Errors
    /// [`InvalidCommand`] when the name is no single word.
    pub fn sendevent(name: &str, message: &Message) -> Result<Self, InvalidCommand> {
        checked_word("event name", name)?;
        Ok(message.command(CommandKind::Sendevent, &format!("sendevent {name}")))
    }

    /// `sendmsg [UUID]`: a message to a channel; without a UUID to the channel of an outbound connection.
    ///
    /// # Errors
    /// [`InvalidCommand`] when the UUID is no single word.
    pub fn sendmsg(uuid: Option<&str>, message: &Message) -> Result<Self, InvalidCommand> {
        let Some(uuid) = uuid else {
            return Ok(message.command(CommandKind::Sendmsg, "sendmsg"));
        };
        checked_word("channel UUID", uuid)?;
        Ok(message.command(CommandKind::Sendmsg, &format!("sendmsg {uuid}")))
    }

    /// `divert_events on|off`: events of an embedded script come here too.
    #[must_use]
    pub fn divert_events(on: bool) -> Self {
        let switch = if on { "on" } else { "off" };
        Self::new(CommandKind::DivertEvents, &format!("divert_events {switch}"))
    }

    /// `exit`: FreeSWITCH sends a disconnect notice and closes the connection.
    #[must_use]
    pub fn exit() -> Self {
        Self::new(CommandKind::Exit, "exit")
    }

    /// Which command it is.
    #[must_use]
    pub const fn kind(&self) -> CommandKind {
        self.kind
    }

    /// What goes over the wire, secrets included.
    #[must_use]
    pub const fn as_bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// `lines` without the blank line at the end.
    fn new(kind: CommandKind, lines: &str) -> Self {
        Self { bytes: Bytes::from(format!("{lines}\n\n")), kind }
    }
}

impl fmt::Debug for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let secret = matches!(self.kind, CommandKind::Auth | CommandKind::Userauth);
        let shown = if secret { "…".into() } else { String::from_utf8_lossy(&self.bytes) };
        f.debug_struct("Command").field("kind", &self.kind).field("bytes", &shown).finish()
    }
}

impl fmt::Display for CommandKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Auth => "auth",
            Self::Userauth => "userauth",
            Self::Event => "event",
            Self::Nixevent => "nixevent",
            Self::Noevents => "noevents",
            Self::Filter => "filter",
            Self::Api => "api",
            Self::Bgapi => "bgapi",
            Self::Log => "log",
            Self::Nolog => "nolog",
            Self::Sendevent => "sendevent",
            Self::Sendmsg => "sendmsg",
            Self::DivertEvents => "divert_events",
            Self::Exit => "exit",
        })
    }
}

impl fmt::Display for InvalidText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::LineEnd => "holds CR, LF or NUL",
            Self::Empty => "is empty",
            Self::NotOneWord => "must be one word",
            Self::Colon => "must not hold a colon",
        })
    }
}

/// No byte that ends a line or, in FreeSWITCH's C strings, the command.
fn checked(part: &'static str, text: &str) -> Result<(), InvalidCommand> {
    if memchr::memchr3(b'\r', b'\n', 0, text.as_bytes()).is_some() {
        return Err(InvalidCommand { part, problem: InvalidText::LineEnd });
    }
    Ok(())
}

/// [`checked`], and something is there.
fn checked_text(part: &'static str, text: &str) -> Result<(), InvalidCommand> {
    checked(part, text)?;
    if text.trim().is_empty() {
        return Err(InvalidCommand { part, problem: InvalidText::Empty });
    }
    Ok(())
}

/// [`checked_text`], and it is one word.
fn checked_word(part: &'static str, text: &str) -> Result<(), InvalidCommand> {
    checked_text(part, text)?;
    if text.contains(char::is_whitespace) {
        return Err(InvalidCommand { part, problem: InvalidText::NotOneWord });
    }
    Ok(())
}

#[cfg(test)]
mod tests;
