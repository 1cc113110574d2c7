//! The configuration file and the credentials.

use std::collections::HashMap;
use std::ffi::OsString;
use std::io::Read as _;
use std::path::Path;

use super::{Check, Patient, directory_of};
use sipward_config::{Config, ConfigError, Credentials, DEFAULT_PATH, Secrets};
use sipward_daemon::{self as daemon, ModeSet};

/// Largest environment file that is read, in bytes.
const MAX_ENVIRONMENT: u64 = 64 * 1024;

/// The configuration to look on with, and how the file is.
pub(super) fn configuration(path: Option<&Path>) -> Result<(Config, Check), ConfigError> {
    const NAME: &str = "configuration";
    match Config::load(path) {
        Ok(config) => {
            // What was set at run time outranks the file.
            let mode = ModeSet::over(ModeSet::stored(&config), &config);
            let config = Config { mode, ..config };
            let check = Check::ok(NAME, daemon::summary(&config));
            Ok((config, check))
        }
        Err(error) => {
            let advice = "correct the file; the checks below use the defaults";
            // An empty file is a whole configuration.
            let defaults = Config::parse("", Path::new(DEFAULT_PATH))?;
            Ok((defaults, Check::fail(NAME, error.to_string(), advice)))
        }
    }
}

/// The credentials of this process's environment, or those that the systemd unit hands to the daemon.
pub(super) fn credentials(patient: &Patient) -> (Option<Credentials>, Check) {
    const NAME: &str = "credentials";
    let directory = directory_of(patient.config.as_deref());
    let file = directory.join("environment");
    let unit = environment_file(&file);
    let password_file = directory.join("esl-password");
    let own_password = ["ESL_PASSWORD", "ESL_PASSWORD_FILE"]
        .into_iter()
        .any(|name| std::env::var_os(name).is_some_and(|value| !value.is_empty()));
    let lookup = |name: &str| match std::env::var_os(name) {
        Some(value) if !value.is_empty() => Some(value),
        Some(_) | None if own_password && name.starts_with("ESL_PASSWORD") => None,
        Some(_) | None => unit.get(name).map(OsString::from).or_else(|| {
            let is_there = name == "ESL_PASSWORD_FILE" && password_file.exists();
            is_there.then(|| password_file.clone().into_os_string())
        }),
    };
    match Credentials::from_lookup(lookup) {
        Ok(credentials) => {
            let from = if own_password {
                "the environment".to_owned()
            } else {
                password_file.display().to_string()
            };
            let user = credentials.user.as_ref().map(|user| format!(" as {user}"));
            let found = format!(
                "password of {from}, for {}:{}{}",
                credentials.host,
                credentials.port,
                user.unwrap_or_default()
            );
            (Some(credentials), Check::ok(NAME, found))
        }
        Err(error) => {
            let advice = format!(
                "write the password of event_socket.conf.xml to {} (mode 0600), and run `doctor` \
                 as root; or set ESL_PASSWORD",
                password_file.display()
            );
            (None, Check::fail(NAME, error.to_string(), advice))
        }
    }
}

/// The secrets for mail and webhooks: of this process's environment, else those that the systemd unit hands to the
/// daemon, as far as they lie beside the configuration file.
///
/// # Errors
/// When a secret is given twice, cannot be read, or makes no sense.
pub(crate) fn secrets(config: Option<&Path>) -> anyhow::Result<Secrets> {
    secrets_in(&directory_of(config), |name| std::env::var_os(name))
}

fn secrets_in(directory: &Path, own: impl Fn(&str) -> Option<OsString>) -> anyhow::Result<Secrets> {
    let unit = environment_file(&directory.join("environment"));
    let own = |name: &str| own(name).filter(|value| !value.is_empty());
    let set = |name: &str| own(name).or_else(|| unit.get(name).map(OsString::from));
    // The first place that has one of the two is the one that counts.
    let one_of = |name: &str, direct: &str, file: &str, beside: &str| {
        if own(direct).is_some() || own(file).is_some() {
            return own(name);
        }
        if unit.contains_key(direct) || unit.contains_key(file) {
            return unit.get(name).map(OsString::from);
        }
        let beside = directory.join(beside);
        (name == file && beside.exists()).then(|| beside.into_os_string())
    };
    let secrets = Secrets::from_lookup(|name| match name {
        // Without a user the password is of no use, and an error.
        "SMTP_PASSWORD" | "SMTP_PASSWORD_FILE" => {
            let found = one_of(name, "SMTP_PASSWORD", "SMTP_PASSWORD_FILE", "smtp-password");
            let is_set = set("SMTP_USER").is_some() || own(name).is_some();
            found.filter(|_| is_set)
        }
        "WEBHOOK_SECRET" | "WEBHOOK_SECRET_FILE" => {
            one_of(name, "WEBHOOK_SECRET", "WEBHOOK_SECRET_FILE", "webhook-secret")
        }
        _ => set(name),
    });
    Ok(secrets?)
}

/// The variables of the unit's `EnvironmentFile=` (systemd.exec(5)): `NAME=value` lines, perhaps quoted.
fn environment_file(path: &Path) -> HashMap<String, String> {
    let mut text = String::new();
    let read = std::fs::File::open(path)
        .and_then(|file| file.take(MAX_ENVIRONMENT).read_to_string(&mut text));
    if read.is_err() {
        return HashMap::new();
    }
    let variable = |line: &str| {
        let line = line.trim();
        let (name, value) = line.split_once('=').filter(|_| !line.starts_with(['#', ';']))?;
        let value = value.trim();
        let quoted = ['"', '\''].into_iter().find_map(|quote| {
            value.strip_prefix(quote).and_then(|value| value.strip_suffix(quote))
        });
        Some((name.trim().to_owned(), quoted.unwrap_or(value).to_owned()))
    };
    text.lines().filter_map(variable).collect()
}

#[cfg(test)]
mod tests {
    use sipward_config::{Login, Secret};

    use super::*;

    #[test]
    fn the_units_environment_file_is_read() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let text =
            "# FreeSWITCH is elsewhere\nESL_HOST = pbx.test\nESL_PORT=\"8022\"\n;x=1\nnothing\n";
        std::fs::write(file.path(), text).unwrap();
        let read = environment_file(file.path());
        assert_eq!(read.get("ESL_HOST").map(String::as_str), Some("pbx.test"));
        assert_eq!(read.get("ESL_PORT").map(String::as_str), Some("8022"));
        assert_eq!(read.len(), 2);
    }

    #[test]
    fn the_secrets_beside_the_configuration_are_found_unless_the_environment_has_others() {
        let directory = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            std::fs::write(directory.path().join(name), text).unwrap();
        };
        let with = |own: &[(&str, &str)]| {
            let value =
                |name: &str| own.iter().find(|(key, _)| *key == name).map(|(_, v)| v.into());
            secrets_in(directory.path(), value).unwrap()
        };
        assert_eq!(with(&[]), Secrets::default());
        write("smtp-password", "s3cret\n");
        write("webhook-secret", "k3y\n");
        assert_eq!(with(&[]).smtp, None, "nobody to log in as");
        let login = |user: &str, password: &str| {
            Some(Login { user: user.to_owned(), password: Secret::new(password) })
        };
        assert_eq!(with(&[("SMTP_USER", "pbx")]).smtp, login("pbx", "s3cret"));
        write("environment", "SMTP_USER=unit\nWEBHOOK_SECRET=other\n");
        let found = with(&[]);
        assert_eq!(found.smtp, login("unit", "s3cret"));
        assert_eq!(found.webhook, Some(Secret::new("other")));
        let own = with(&[("SMTP_PASSWORD", "own"), ("WEBHOOK_SECRET", "mine")]);
        assert_eq!(own.smtp, login("unit", "own"));
        assert_eq!(own.webhook, Some(Secret::new("mine")));
    }
}
