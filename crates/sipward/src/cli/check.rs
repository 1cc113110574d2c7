//! `sipward check`.

use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;

use super::on_runtime;
use crate::doctor::{self, AccessLists};
use sipward_config::StoreLocation;
use sipward_config::{Config, Credentials, Secrets};
use sipward_daemon as daemon;
use sipward_daemon::certificates::Certificates;
use sipward_model::text::Plain;
use sipward_notify::Notifiers;

/// Longest wait for FreeSWITCH, all in all. What is checked is the file: FreeSWITCH may be down, or elsewhere.
const FREESWITCH: Duration = Duration::from_secs(2);

/// Says that all is good, or everything that is not: of the file, of the environment, of the files that they name.
pub(super) fn run(path: Option<&Path>) -> anyhow::Result<()> {
    let (config, errors) = Config::survey(path);
    let mut problems: Vec<String> = errors.iter().map(ToString::to_string).collect();
    let is_good = problems.is_empty();
    let lookup = |name: &str| std::env::var_os(name);
    let credentials = Credentials::all_from_lookup(lookup);
    let secrets = Secrets::from_env();
    if let Some(config) = &config {
        problems.extend(files(config));
        if let Ok(secrets) = &secrets
            && let Err(error) = Notifiers::check(config, secrets)
        {
            problems.push(format!("{error:#}"));
        }
        if is_good && problems.is_empty() {
            println!("{}", daemon::summary(config));
        }
    }
    if let Err(error) = secrets {
        problems.push(error.to_string());
    }
    let only_credentials = problems.is_empty();
    let credentials = match credentials {
        Ok(credentials) => Some(credentials),
        Err(errors) => {
            problems.extend(errors.iter().map(ToString::to_string));
            None
        }
    };
    if let Some(credentials) = credentials.as_ref().filter(|_| problems.is_empty()) {
        println!(
            "Event Socket at {}:{}{}, password set",
            credentials.host,
            credentials.port,
            credentials.user.as_ref().map(|user| format!(" as {user}")).unwrap_or_default()
        );
    }
    // A file with errors may name other lists than intended.
    if let Some(config) = config.filter(|_| is_good) {
        access_lists(config, credentials);
    }
    match problems.split_first() {
        None => Ok(()),
        Some((first, [])) => {
            let failed = Err(anyhow::Error::msg(first.clone()));
            if only_credentials {
                return failed.context("the configuration is valid, the credentials are not");
            }
            failed
        }
        Some(_) => {
            let count = problems.len();
            Err(anyhow::Error::msg(problems.join("\n")))
                .with_context(|| format!("{count} errors:\n"))
        }
    }
}

/// Names the access lists of FreeSWITCH that allow everybody. They are no error: sipward does not use them.
fn access_lists(config: Config, credentials: Option<Credentials>) {
    if config.allow_acl.is_empty() {
        return;
    }
    let named = config.allow_acl.join(", ");
    let asked = match credentials {
        None => Err("the credentials are missing or invalid".to_owned()),
        Some(credentials) => {
            let asking =
                async move { Ok(doctor::access_lists(&config, &credentials, FREESWITCH).await) };
            on_runtime(asking).unwrap_or_else(|error| Err(format!("{error:#}")))
        }
    };
    let AccessLists { decided, unanswered } = match asked {
        Ok(lists) => lists,
        Err(why) => {
            println!(
                "access lists not checked, because FreeSWITCH is unavailable ({named}): {}",
                Plain(&why)
            );
            return;
        }
    };
    for (list, why) in &decided.unused {
        eprintln!(
            "sipward: warning: access list {} is not used: {}; correct it in acl.conf.xml and \
             `fs_cli -x reloadacl`, or remove it from `allow_acl`",
            Plain(list),
            Plain(why)
        );
    }
    if let Some((lists, why)) = unanswered {
        let lists = lists.join(", ");
        println!("FreeSWITCH did not answer whether {lists} allow every address: {}", Plain(&why));
    } else if decided.unused.is_empty() {
        let nets = decided.nets.len();
        println!("FreeSWITCH's access lists ({named}): {nets} networks are never banned");
    }
}

/// What is wrong with the files that a configuration names.
fn files(config: &Config) -> Vec<String> {
    let mut problems = Vec::new();
    if let Some(tls) = config.http.tls.as_ref().filter(|_| !config.http.listen.is_empty())
        && let Err(error) = Certificates::read(tls)
    {
        problems.push(format!("[http] {error}"));
    }
    for file in &config.geo.files {
        if let Err(error) = std::fs::File::open(file) {
            problems.push(format!("[geo] cannot read {}: {error}", file.display()));
        }
    }
    let database = match &config.store.location {
        StoreLocation::File(file) => Some(("[store]", file)),
        StoreLocation::Memory => None,
    };
    let socket = config.api.socket.as_ref().map(|socket| ("[api]", socket));
    for (section, file) in [database, socket].into_iter().flatten() {
        // The unit makes the usual ones when it starts the daemon.
        let made_by_the_unit = ["/var/lib/sipward", "/run/sipward"].map(Path::new);
        let directory = file.parent().filter(|directory| !directory.as_os_str().is_empty());
        if let Some(directory) = directory.filter(|directory| !made_by_the_unit.contains(directory))
            && !directory.is_dir()
        {
            problems.push(format!(
                "{section} {}: the directory {} does not exist",
                file.display(),
                directory.display()
            ));
        }
    }
    problems
}
