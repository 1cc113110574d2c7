//! `sipward check`.

use std::path::Path;

use anyhow::Context as _;

use sipward_config::StoreLocation;
use sipward_config::{Config, Credentials, Secrets};
use sipward_daemon as daemon;
use sipward_daemon::certificates::Certificates;
use sipward_notify::Notifiers;

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
    match (credentials, problems.split_first()) {
        (Some(credentials), None) => {
            println!(
                "Event Socket at {}:{}{}, password set",
                credentials.host,
                credentials.port,
                credentials.user.map(|user| format!(" as {user}")).unwrap_or_default()
            );
            Ok(())
        }
        (_, Some((first, []))) => {
            let failed = Err(anyhow::Error::msg(first.clone()));
            if only_credentials {
                return failed.context("the configuration is good, the credentials are not");
            }
            failed
        }
        (_, _) => {
            let count = problems.len();
            Err(anyhow::Error::msg(problems.join("\n")))
                .with_context(|| format!("{count} errors:\n"))
        }
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
                "{section} {}: there is no directory {}",
                file.display(),
                directory.display()
            ));
        }
    }
    problems
}
