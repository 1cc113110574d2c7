//! Event Socket credentials. They come only from the environment, so that the configuration file contains no secret.

use std::ffi::OsString;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use sipward_esl::Password;

use sipward_model::wire::is_host_name;

/// `event_socket.conf.xml` ships these.
const DEFAULT_HOST: &str = "127.0.0.1";
const DEFAULT_PORT: u16 = 8021;

/// Longest password file that is read, in bytes. FreeSWITCH keeps the password in 255 characters
/// (`mod_event_socket.c`, `prefs.password` and the `auth` command line).
const MAX_PASSWORD_FILE: u64 = 4096;

/// Where FreeSWITCH listens and how to log in.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// `ESL_HOST`; default 127.0.0.1.
    pub host: String,
    /// `ESL_PORT`; default 8021.
    pub port: u16,
    /// `ESL_USER`, for `userauth`; `None` logs in with the password alone.
    pub user: Option<String>,
    /// `ESL_PASSWORD`, or the content of `ESL_PASSWORD_FILE`.
    pub password: Password,
}

/// Credentials that are missing or cannot be used. The password itself is never part of a message.
#[derive(Debug, thiserror::Error)]
pub enum CredentialsError {
    /// No password anywhere.
    #[error(
        "no Event Socket password: set ESL_PASSWORD, or ESL_PASSWORD_FILE to a file that contains \
            it \
         (under systemd: LoadCredential=esl-password:/etc/sipward/esl-password)"
    )]
    NoPassword,
    /// Both were set: which one counts would be a guess.
    #[error("both ESL_PASSWORD and ESL_PASSWORD_FILE are set: unset one of them")]
    TwoPasswords,
    /// A file with a secret cannot be used.
    #[error("{variable}={}: {problem}", .path.display())]
    PasswordFile {
        /// The variable that names it.
        variable: &'static str,
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// A variable holds something that cannot be used.
    #[error("{variable}: {problem}")]
    Variable {
        /// Its name.
        variable: &'static str,
        /// What is wrong with it.
        problem: String,
    },
}

impl Credentials {
    /// Reads `ESL_HOST`, `ESL_PORT`, `ESL_USER`, `ESL_PASSWORD` and `ESL_PASSWORD_FILE`.
    ///
    /// # Errors
    /// When there is no password, two of them, or an invalid variable.
    pub fn from_env() -> Result<Self, CredentialsError> {
        Self::from_lookup(|name| std::env::var_os(name))
    }

    /// As [`Credentials::from_env`], with another source of variables.
    ///
    /// # Errors
    /// As [`Credentials::from_env`]: the first of [`Credentials::all_from_lookup`].
    pub fn from_lookup(
        lookup: impl Fn(&str) -> Option<OsString>,
    ) -> Result<Self, CredentialsError> {
        Self::all_from_lookup(lookup).map_err(|mut errors| errors.swap_remove(0))
    }

    /// As [`Credentials::from_lookup`], with everything that is wrong instead of the first of it.
    ///
    /// # Errors
    /// At least one.
    pub fn all_from_lookup(
        lookup: impl Fn(&str) -> Option<OsString>,
    ) -> Result<Self, Vec<CredentialsError>> {
        let (password, host) = (password(&lookup), host(&lookup));
        let (port, user) = (port(&lookup), user(&lookup));
        match (password, host, port, user) {
            (Ok(password), Ok(host), Ok(port), Ok(user)) => Ok(Self { host, port, user, password }),
            (password, host, port, user) => {
                let errors = [password.err(), host.err(), port.err(), user.err()];
                Err(errors.into_iter().flatten().collect())
            }
        }
    }
}

fn password(lookup: &impl Fn(&str) -> Option<OsString>) -> Result<Password, CredentialsError> {
    let text = match (variable(lookup, "ESL_PASSWORD")?, variable(lookup, "ESL_PASSWORD_FILE")?) {
        (Some(_), Some(_)) => return Err(CredentialsError::TwoPasswords),
        (None, None) => return Err(CredentialsError::NoPassword),
        (Some(password), None) => password,
        (None, Some(path)) => secret_file("ESL_PASSWORD_FILE", Path::new(&path))?,
    };
    Password::new(text).map_err(|_| CredentialsError::Variable {
        variable: "the Event Socket password",
        problem: ONE_LINE.to_owned(),
    })
}

/// A name or an address, and nothing else: what cannot connect is refused here, with the form that can.
fn host(lookup: &impl Fn(&str) -> Option<OsString>) -> Result<String, CredentialsError> {
    const VARIABLE: &str = "ESL_HOST";
    let Some(written) = variable(lookup, VARIABLE)? else {
        return Ok(DEFAULT_HOST.to_owned());
    };
    let refused = |problem: String| CredentialsError::Variable { variable: VARIABLE, problem };
    let bare =
        written.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(&written);
    let address = bare.split('%').next().unwrap_or_default();
    if address.parse::<IpAddr>().is_ok() || is_host_name(bare) {
        return Ok(bare.to_owned());
    }
    let advice = right_host(&written).map_or_else(
        || "expected a host name (pbx.example.org) or an address (192.0.2.1, ::1)".to_owned(),
        |(host, port)| match port {
            Some(port) => format!("write ESL_HOST={host} and ESL_PORT={port}"),
            None => format!("write ESL_HOST={host}"),
        },
    );
    Err(refused(format!("`{}` is not a host: {advice}", written.escape_debug())))
}

/// The host, and the port if there is one, that was meant by what cannot be used.
fn right_host(written: &str) -> Option<(String, Option<u16>)> {
    let rest = written.trim().trim_matches(['"', '\'']);
    let rest = rest.split_once("://").map_or(rest, |(_, rest)| rest);
    let rest = rest.split('/').next()?;
    let rest = rest.rsplit('@').next()?;
    let (host, port) = match rest.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, port)) => (host, port.strip_prefix(':')),
        None => rest.rsplit_once(':').map_or((rest, None), |(host, port)| (host, Some(port))),
    };
    let is_host = host.parse::<IpAddr>().is_ok() || is_host_name(host);
    let port = port.map(str::parse);
    match port {
        Some(Err(_)) => None,
        _ if !is_host => None,
        _ => Some((host.to_owned(), port.and_then(Result::ok))),
    }
}

fn port(lookup: &impl Fn(&str) -> Option<OsString>) -> Result<u16, CredentialsError> {
    const VARIABLE: &str = "ESL_PORT";
    let Some(value) = variable(lookup, VARIABLE)? else { return Ok(DEFAULT_PORT) };
    value.parse().ok().filter(|port| *port != 0).ok_or_else(|| CredentialsError::Variable {
        variable: VARIABLE,
        problem: format!("`{}` is not a port number (1 to 65535)", value.escape_debug()),
    })
}

fn user(lookup: &impl Fn(&str) -> Option<OsString>) -> Result<Option<String>, CredentialsError> {
    const VARIABLE: &str = "ESL_USER";
    let user = variable(lookup, VARIABLE)?;
    if let Some(user) = &user {
        let refused = |problem: &str| CredentialsError::Variable {
            variable: VARIABLE,
            problem: problem.to_owned(),
        };
        one_line(VARIABLE, user)?;
        if user.contains(':') {
            return Err(refused(
                "must not contain `:`, which ends the name in `userauth user:password`",
            ));
        }
        if user.contains(char::is_whitespace) {
            return Err(refused("must not contain white space; write name@domain"));
        }
    }
    Ok(user)
}

/// A variable's text; `None` when it is not set or empty.
pub(super) fn variable(
    lookup: &impl Fn(&str) -> Option<OsString>,
    variable: &'static str,
) -> Result<Option<String>, CredentialsError> {
    match lookup(variable).map(OsString::into_string) {
        None => Ok(None),
        Some(Ok(value)) if value.is_empty() => Ok(None),
        Some(Ok(value)) => Ok(Some(value)),
        Some(Err(_)) => {
            Err(CredentialsError::Variable { variable, problem: "is not UTF-8 text".to_owned() })
        }
    }
}

/// Reads a secret: the file's text without the line end an editor leaves.
pub(super) fn secret_file(variable: &'static str, path: &Path) -> Result<String, CredentialsError> {
    let failed = |problem: String| CredentialsError::PasswordFile {
        variable,
        path: path.to_owned(),
        problem,
    };
    let size = std::fs::metadata(path).map_err(|e| failed(e.to_string()))?.len();
    if size > MAX_PASSWORD_FILE {
        return Err(failed(format!("has {size} bytes; a password has fewer than 256")));
    }
    let text = std::fs::read_to_string(path).map_err(|e| failed(e.to_string()))?;
    let password = text.trim_end_matches(['\r', '\n']);
    if password.is_empty() {
        return Err(failed("is empty".to_owned()));
    }
    Ok(password.to_owned())
}

const ONE_LINE: &str = "must be one line without control characters";

/// A line end would start a command of its own on the socket.
pub(super) fn one_line(variable: &'static str, value: &str) -> Result<(), CredentialsError> {
    if value.contains(['\r', '\n', '\0']) {
        return Err(CredentialsError::Variable { variable, problem: ONE_LINE.to_owned() });
    }
    Ok(())
}

#[cfg(test)]
#[path = "credentials_tests.rs"]
mod tests;
