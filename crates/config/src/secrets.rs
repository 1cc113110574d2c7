//! Passwords and keys of the mail server, the webhooks and the fleet. Like those of the Event Socket they come from
//! the environment and nowhere else.

use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};

use super::credentials::{self, CredentialsError};

/// Everything secret beside the Event Socket's password.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Secrets {
    /// `SMTP_USER`, with `SMTP_PASSWORD` or the content of `SMTP_PASSWORD_FILE`.
    pub smtp: Option<Login>,
    /// `WEBHOOK_SECRET`, or the content of `WEBHOOK_SECRET_FILE`.
    pub webhook: Option<Secret>,
    /// `SIPWARD_FLEET_CREDENTIALS`: the NATS credentials file of this node, or of an operator.
    pub fleet_credentials: Option<PathBuf>,
    /// `SIPWARD_FLEET_KEY`, or the content of `SIPWARD_FLEET_KEY_FILE`: the same on all nodes that share known phones.
    pub fleet_key: Option<Secret>,
}

/// How to log in to a mail server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Login {
    /// The user.
    pub user: String,
    /// The password.
    pub password: Secret,
}

/// A text that is in no output.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Keeps `text`.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The secret itself, for its user.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(...)")
    }
}

impl Secrets {
    /// Reads the environment.
    ///
    /// # Errors
    /// When a secret is given twice, cannot be read, or makes no sense.
    pub fn from_env() -> Result<Self, CredentialsError> {
        Self::from_lookup(|name| std::env::var_os(name))
    }

    /// As [`Secrets::from_env`], with another source of variables.
    ///
    /// # Errors
    /// As [`Secrets::from_env`].
    pub fn from_lookup(
        lookup: impl Fn(&str) -> Option<OsString>,
    ) -> Result<Self, CredentialsError> {
        let user = credentials::variable(&lookup, "SMTP_USER")?;
        let password = secret(&lookup, "SMTP_PASSWORD", "SMTP_PASSWORD_FILE")?;
        let smtp = match (user, password) {
            (Some(user), Some(password)) => {
                credentials::one_line("SMTP_USER", &user)?;
                Some(Login { user, password })
            }
            (None, None) => None,
            (Some(_), None) => {
                return Err(half("SMTP_USER", "SMTP_PASSWORD or SMTP_PASSWORD_FILE"));
            }
            (None, Some(_)) => return Err(half("SMTP_PASSWORD", "SMTP_USER")),
        };
        let webhook = secret(&lookup, "WEBHOOK_SECRET", "WEBHOOK_SECRET_FILE")?;
        let fleet_credentials = credentials::variable(&lookup, "SIPWARD_FLEET_CREDENTIALS")?;
        let fleet_key = secret(&lookup, "SIPWARD_FLEET_KEY", "SIPWARD_FLEET_KEY_FILE")?;
        Ok(Self {
            smtp,
            webhook,
            fleet_credentials: fleet_credentials.map(PathBuf::from),
            fleet_key,
        })
    }
}

fn secret(
    lookup: impl Fn(&str) -> Option<OsString>,
    direct: &'static str,
    file: &'static str,
) -> Result<Option<Secret>, CredentialsError> {
    let text =
        match (credentials::variable(&lookup, direct)?, credentials::variable(&lookup, file)?) {
            (None, None) => return Ok(None),
            (Some(_), Some(_)) => {
                let problem = format!("{file} is also set: unset one of them");
                return Err(CredentialsError::Variable { variable: direct, problem });
            }
            (Some(text), None) => text,
            (None, Some(path)) => credentials::secret_file(file, Path::new(&path))?,
        };
    credentials::one_line(direct, &text)?;
    Ok(Some(Secret(text)))
}

fn half(variable: &'static str, other: &str) -> CredentialsError {
    CredentialsError::Variable { variable, problem: format!("is set, but {other} is not") }
}

#[cfg(test)]
mod tests;
