//! Secrets.

use std::fmt;

use super::{InvalidCommand, checked};

/// The Event Socket's password. Shown nowhere: not by `Debug`, not in errors, not in traces.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(Box<str>);

impl Password {
    /// A password, as in `event_socket.conf.xml` or the directory.
    ///
    /// # Errors
    /// [`InvalidCommand`] when it holds CR, LF or NUL, which would end the command (a file's line end
    /// must be taken off first).
    pub fn new(password: impl Into<Box<str>>) -> Result<Self, InvalidCommand> {
        let password = password.into();
        checked("password", &password)?;
        Ok(Self(password))
    }

    pub(super) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(…)")
    }
}
