//! `sipward notify`.

use std::path::PathBuf;

use clap::{Subcommand, ValueEnum};

use super::out;
use super::progress::Progress;
use super::remote::{Exit, block_on};
use crate::doctor;
use sipward_config::Config;
use sipward_notify::trial;

/// Test mail and webhooks.
#[derive(Debug, clap::Args)]
pub(super) struct NotifyCommand {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Send a test mail to each recipient and a test event to each webhook, and report delivery or the error.
    ///
    /// Uses the configuration file as it is now, so it also tests a change before a reload. The command sends each
    /// message itself, once and within 30 s; the daemon need not run. Exit status: 0 all delivered, 1 not delivered, 2
    /// not configured.
    Test(Test),
}

#[derive(Debug, clap::Args)]
struct Test {
    /// What to test; without it, everything that is configured.
    #[arg(value_enum, value_name = "WAY")]
    way: Option<Way>,
    /// Configuration file; without it, /etc/sipward/sipward.toml if it exists. `SMTP_USER`, `SMTP_PASSWORD` and
    /// `WEBHOOK_SECRET` are looked for in the environment, then beside it (`environment`, `smtp-password`,
    /// `webhook-secret`).
    #[arg(long, short, value_name = "FILE")]
    config: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Way {
    /// Mail to `mail.to`.
    Mail,
    /// POST to `webhook.urls`.
    Webhook,
}

impl NotifyCommand {
    pub(super) fn run(&self) -> anyhow::Result<Exit> {
        let Action::Test(test) = &self.action;
        test.run()
    }
}

impl Test {
    fn run(&self) -> anyhow::Result<Exit> {
        let config = Config::load(self.config.as_deref())?;
        let is_wanted = |way| self.way.is_none_or(|only| only == way);
        let mail = is_wanted(Way::Mail) && !config.mail.to.is_empty();
        let webhook = is_wanted(Way::Webhook) && !config.webhook.targets.is_empty();
        if !mail && !webhook {
            eprintln!("sipward: {}", missing(self.way));
            return Ok(Exit::Usage);
        }
        let secrets = doctor::secrets(self.config.as_deref())?;
        let progress = Progress::new("sending tests", true);
        let work = async {
            let mut results = Vec::new();
            if mail {
                results.extend(trial::mail(&config, &secrets).await);
            }
            if webhook {
                results.extend(trial::webhooks(&config, &secrets).await);
            }
            results
        };
        let results = block_on(progress.around(work))?;
        let mut exit = Exit::Done;
        for result in results {
            match result {
                Ok(delivered) => out::text(&format!("{delivered}\n"))?,
                Err(failed) => {
                    exit = Exit::Failed;
                    eprintln!("sipward: {failed}");
                }
            }
        }
        Ok(exit)
    }
}

/// What to set for a way that is not configured.
fn missing(way: Option<Way>) -> &'static str {
    match way {
        Some(Way::Mail) => "mail is not configured: set `mail.to` to the recipients",
        Some(Way::Webhook) => "no webhook is configured: set `webhook.urls`",
        None => "neither mail nor a webhook is configured: set `mail.to` or `webhook.urls`",
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::{Read as _, Write as _};
    use std::net::TcpListener;

    use super::*;

    fn test(way: Option<Way>, text: &str) -> Exit {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("sipward.toml");
        fs::write(&file, text).unwrap();
        Test { way, config: Some(file) }.run().unwrap()
    }

    #[test]
    fn a_way_that_is_not_configured_ends_with_2() {
        let mail = "[mail]\nto = [\"noc@example.org\"]\n";
        assert_eq!(test(None, ""), Exit::Usage);
        assert_eq!(test(Some(Way::Webhook), mail), Exit::Usage);
        assert!(missing(Some(Way::Webhook)).contains("`webhook.urls`"));
        assert!(missing(Some(Way::Mail)).contains("`mail.to`"));
    }

    #[test]
    fn what_is_not_delivered_ends_with_1_and_what_is_with_0() {
        // A port on which nobody listens.
        let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mail = format!("[mail]\nto = [\"noc@example.org\"]\nserver = \"127.0.0.1:{closed}\"\n");
        assert_eq!(test(Some(Way::Mail), &mail), Exit::Failed);

        let receiver = TcpListener::bind("127.0.0.1:0").unwrap();
        let place = receiver.local_addr().unwrap();
        let posted = std::thread::spawn(move || {
            let mut stream = receiver.accept().unwrap().0;
            let mut head = [0; 4096];
            let length = stream.read(&mut head).unwrap();
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").unwrap();
            String::from_utf8_lossy(&head[..length]).into_owned()
        });
        let webhook = format!("[webhook]\nurls = [\"http://{place}/room\"]\n");
        assert_eq!(test(Some(Way::Webhook), &webhook), Exit::Done);
        assert!(posted.join().unwrap().starts_with("POST /room HTTP/1.1"));
    }
}
