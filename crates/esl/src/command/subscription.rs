//! What to listen to.

use super::{InvalidCommand, checked_word};
use crate::sofia::Subclass;

/// The events to subscribe to: plain names first, then the subclasses of `CUSTOM`, because FreeSWITCH takes
/// every word behind `CUSTOM` for a subclass.
///
/// `HEARTBEAT` is always included: without it a dead connection looks like a quiet one.
/// FreeSWITCH answers `+OK` to subclasses that nothing sends; only events that arrive prove anything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscription {
    format: Format,
    names: Vec<String>,
    subclasses: Vec<String>,
    log: Option<LogLevel>,
}

/// How events are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Format {
    /// `text/event-plain`: values percent-encoded, so that no sender's text can forge a line.
    #[default]
    Plain,
    /// `text/event-json`. May hold bytes that are no UTF-8.
    Json,
    /// `text/event-xml`: handed on as frames, not as events.
    Xml,
}

/// Severity of a log line, as in syslog (`switch_types.h`, `switch_log_level_t`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LogLevel {
    /// `CONSOLE`, 0.
    Console,
    /// `ALERT`, 1.
    Alert,
    /// `CRIT`, 2.
    Critical,
    /// `ERR`, 3.
    Error,
    /// `WARNING`, 4: authentication failures and challenges, with `log-auth-failures`.
    Warning,
    /// `NOTICE`, 5.
    Notice,
    /// `INFO`, 6.
    Info,
    /// `DEBUG`, 7 and the levels above it.
    Debug,
}

impl Subscription {
    /// Only `HEARTBEAT`.
    #[must_use]
    pub fn new(format: Format) -> Self {
        Self { format, names: vec!["HEARTBEAT".into()], subclasses: Vec::new(), log: None }
    }

    /// Every record of [`sofia`](crate::sofia), in plain format.
    #[must_use]
    pub fn sofia() -> Self {
        Self::of(&Subclass::ALL)
    }

    /// The events that distinguish attackers from phones: `HEARTBEAT` and [`Subclass::REQUIRED`].
    #[must_use]
    pub fn sofia_required() -> Self {
        Self::of(&Subclass::REQUIRED)
    }

    /// Useful events beside them: [`Subclass::OPTIONAL`].
    #[must_use]
    pub fn sofia_optional() -> Self {
        Self::of(&Subclass::OPTIONAL)
    }

    fn of(subclasses: &[Subclass]) -> Self {
        let subclasses = subclasses.iter().map(|subclass| subclass.as_str().to_owned()).collect();
        Self { subclasses, ..Self::new(Format::Plain) }
    }

    /// Adds a plain event by name, for example `BACKGROUND_JOB`, or `ALL`.
    ///
    /// # Errors
    /// [`InvalidCommand`] when it is no single word.
    pub fn event(mut self, name: &str) -> Result<Self, InvalidCommand> {
        checked_word("event name", name)?;
        if !self.names.iter().any(|known| known.eq_ignore_ascii_case(name)) {
            self.names.push(name.to_ascii_uppercase());
        }
        Ok(self)
    }

    /// Adds a subclass of `CUSTOM`, for example `conference::maintenance`.
    ///
    /// # Errors
    /// [`InvalidCommand`] when it is no single word.
    pub fn custom(mut self, subclass: &str) -> Result<Self, InvalidCommand> {
        checked_word("subclass", subclass)?;
        if !self.subclasses.iter().any(|known| known == subclass) {
            self.subclasses.push(subclass.to_owned());
        }
        Ok(self)
    }

    /// Adds log lines of this level and the more severe ones.
    #[must_use]
    pub const fn log(mut self, level: LogLevel) -> Self {
        self.log = Some(level);
        self
    }

    /// The same in another format.
    #[must_use]
    pub const fn in_format(mut self, format: Format) -> Self {
        self.format = format;
        self
    }

    /// How events are written.
    #[must_use]
    pub const fn format(&self) -> Format {
        self.format
    }

    /// The level of log lines asked for.
    #[must_use]
    pub const fn log_level(&self) -> Option<LogLevel> {
        self.log
    }

    /// A subscription to each event alone, with its name.
    pub fn each(&self) -> impl Iterator<Item = (String, Self)> {
        let alone = |names: Vec<String>, subclasses: Vec<String>| Self {
            format: self.format,
            names,
            subclasses,
            log: None,
        };
        let names =
            self.names.iter().map(move |name| (name.clone(), alone(vec![name.clone()], vec![])));
        let subclasses = self
            .subclasses
            .iter()
            .map(move |subclass| (subclass.clone(), alone(vec![], vec![subclass.clone()])));
        names.chain(subclasses)
    }

    /// Is this plain event subscribed to by name?
    pub(crate) fn names_event(&self, name: &str) -> bool {
        self.names.iter().any(|known| known == name || known == "ALL")
    }

    /// The names after `event FORMAT`.
    pub(super) fn words(&self) -> String {
        let mut words = self.names.join(" ");
        if !self.subclasses.is_empty() {
            words.push_str(if words.is_empty() { "CUSTOM " } else { " CUSTOM " });
            words.push_str(&self.subclasses.join(" "));
        }
        words
    }
}

impl Format {
    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Json => "json",
            Self::Xml => "xml",
        }
    }
}

impl LogLevel {
    /// From its number; what is above 7 counts as [`Debug`](Self::Debug).
    #[must_use]
    pub const fn from_number(number: u64) -> Self {
        match number {
            0 => Self::Console,
            1 => Self::Alert,
            2 => Self::Critical,
            3 => Self::Error,
            4 => Self::Warning,
            5 => Self::Notice,
            6 => Self::Info,
            _ => Self::Debug,
        }
    }

    /// Its number, 0 to 7.
    #[must_use]
    pub const fn number(self) -> u8 {
        self as u8
    }
}
