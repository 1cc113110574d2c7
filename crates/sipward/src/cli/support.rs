//! `sipward support`.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::Context as _;
use serde_json::Value;
use sipward_engine::{Timestamp, prefix};

use super::progress::Progress;
use super::remote::{self, Exit, block_on};
use super::{doctor as doctor_command, out};
use crate::client::{Client, ClientError, NoQuery};
use crate::doctor::{self, Patient, State};
use sipward_config::{Config, ConfigError, Layers};
use sipward_model::clock;
use sipward_model::text::{Time, is_hidden};
use sipward_model::wire::HistoryQuery;

/// Largest part of the file, in bytes.
const MAX_PART: usize = 4 * 1024 * 1024;

/// Bytes read of a file of the system.
const MAX_READ: u64 = 16 * 1024;

/// Alarms and decisions at most, of each.
const MAX_ITEMS: u16 = 200;

/// How far back the decisions go.
const PAST: Duration = Duration::from_secs(24 * 3_600);

/// Fields of the API that hold names of users.
const USER_FIELDS: [&str; 3] = ["user", "users", "names"];

/// Write a file for a support request: versions, configuration, checks, state, alarms, decisions
///
/// Passwords, tokens, secrets and the paths of URLs are not in it, and names of users are replaced. Addresses of hosts,
/// mail addresses, comments and user agents are. Read it before you send it. Run it as root, because other users cannot
/// check everything.
#[derive(Debug, clap::Args)]
pub(super) struct SupportCommand {
    /// The file to write, which must not exist; `-` writes to standard output. Default: sipward-support-TIME.txt in this
    /// directory.
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Configuration file; without it, /etc/sipward/sipward.toml if it exists.
    #[arg(long, short, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The daemon's socket; without it, the one that the configuration file names.
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,
}

impl SupportCommand {
    pub(super) fn run(&self) -> anyhow::Result<Exit> {
        let now = Time(clock::stamp(SystemTime::now()));
        let progress = Progress::new("collecting", true);
        let text = block_on(progress.around(self.collect(now, Path::new("/"))))?;
        if self.output.as_deref() == Some(Path::new("-")) {
            out::text(&text)?;
            return Ok(Exit::Done);
        }
        let file = self.output.clone().unwrap_or_else(|| file_name(now).into());
        write(&file, &text)?;
        out::text(&format!("{} was written; read it before you send it\n", file.display()))?;
        Ok(Exit::Done)
    }

    /// The whole text. What cannot be had is named with the reason.
    async fn collect(&self, now: Time, root: &Path) -> String {
        let mut text = format!(
            "sipward support, {now}\n\nRead this file before you send it. It holds versions, the configuration, the \
             results of `sipward doctor`, the\nstate of the daemon, its alarms, and the decisions of the last day. \
             Passwords, tokens, secrets and the paths of\nURLs are not in it. Names of users are replaced by user-1, \
             user-2, ... Addresses of hosts, mail addresses,\ncomments and user agents are in it.\n"
        );
        part(&mut text, "versions", &versions(root));
        part(&mut text, "configuration (sipward check --effective)", &self.configuration());
        part(&mut text, "checks (sipward doctor --no-wait)", &self.checks(root).await);
        let named = [
            "state (sipward status --json)",
            "alarms of the last day, the newest first",
            "decisions of the last day, the newest first",
        ];
        match self.answers(now).await {
            Ok(answers) => {
                for (name, answer) in named.into_iter().zip(&answers) {
                    part(&mut text, name, answer);
                }
            }
            Err(error) => part(&mut text, "state, alarms, decisions", &format!("{error:#}")),
        }
        without_control(&without_paths(&text))
    }

    fn configuration(&self) -> String {
        let read = || {
            let layers = Layers::read(self.config.as_deref())?;
            Ok((layers.config()?, layers.effective()))
        };
        match read() {
            Ok((config, text)) => without_webhooks(&text, &config),
            Err(error) => place(&error),
        }
    }

    async fn checks(&self, root: &Path) -> String {
        let patient = Patient {
            config: self.config.clone(),
            socket: self.socket.clone(),
            heartbeat: Duration::ZERO,
            root: root.to_owned(),
        };
        match doctor::examine(&patient).await {
            Ok(mut examination) => {
                // The line with the error may hold a secret.
                for check in &mut examination.checks {
                    if check.check == "configuration" && check.state == State::Fail {
                        "has an error, see above".clone_into(&mut check.found);
                    }
                }
                doctor_command::text(&examination, None)
            }
            Err(error) => place(&error),
        }
    }

    /// State, alarms and decisions, as the daemon has them.
    async fn answers(&self, now: Time) -> anyhow::Result<[String; 3]> {
        let socket = remote::socket(self.socket.as_deref(), self.config.as_deref())?;
        let mut client = Client::connect(&socket).await?;
        let past = u64::try_from(PAST.as_micros()).unwrap_or(u64::MAX);
        let from = Time(Timestamp::from_micros(now.0.as_micros().saturating_sub(past)));
        let query =
            HistoryQuery { from: Some(from), limit: Some(MAX_ITEMS), ..HistoryQuery::default() };
        let mut status = client.get("/status", &NoQuery {}).await.map(|answer| answer.value);
        if let Ok(status) = &mut status {
            without_texts(status);
        }
        let alarms = client.get("/alarms", &NoQuery {}).await.map(|answer| answer.value);
        let history = client.get("/history", &query).await.map(|answer| answer.value);
        let mut names = Names::default();
        Ok([status, alarms, history].map(|answer| shown(answer, &mut names)))
    }
}

fn shown(answer: Result<Value, ClientError>, names: &mut Names) -> String {
    match answer {
        Ok(mut value) => {
            if let Some(items) = value.get_mut("items").and_then(Value::as_array_mut) {
                items.truncate(MAX_ITEMS.into());
            }
            names.replace_in(&mut value);
            serde_json::to_string_pretty(&value).unwrap_or_else(|error| error.to_string())
        }
        Err(error) => error.to_string(),
    }
}

fn part(text: &mut String, name: &str, content: &str) {
    out::add(text, format_args!("\n==== {name} ====\n\n"));
    let shown = prefix(content.trim_end(), MAX_PART);
    text.push_str(shown);
    text.push('\n');
    if shown.len() < content.trim_end().len() {
        text.push_str("[the rest is left out]\n");
    }
}

/// `sipward-support-2026-11-30-104500.txt`.
fn file_name(now: Time) -> String {
    let time: String = now.to_string().chars().take("2026-11-30T10:45:00".len()).collect();
    format!("sipward-support-{}.txt", time.replace('T', "-").replace(':', ""))
}

/// Only for its owner, and never over another file: others may write to this directory.
fn write(file: &Path, text: &str) -> anyhow::Result<()> {
    let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(file);
    let written = made.and_then(|mut file| file.write_all(text.as_bytes()));
    written.with_context(|| format!("cannot write {}; choose another file with -o", file.display()))
}

fn versions(root: &Path) -> String {
    let read = |path: &str| {
        let mut text = String::new();
        let file = File::open(root.join(path)).ok()?;
        file.take(MAX_READ).read_to_string(&mut text).ok()?;
        Some(text)
    };
    let mut text = format!("sipward {}\n", env!("CARGO_PKG_VERSION"));
    let facts = ["ostype", "osrelease", "version"].map(|fact| format!("proc/sys/kernel/{fact}"));
    let kernel: Vec<String> = facts.iter().filter_map(|fact| read(fact)).collect();
    let kernel: Vec<&str> = kernel.iter().map(|fact| fact.trim()).collect();
    out::add(
        &mut text,
        format_args!("kernel: {} ({})\n", kernel.join(" "), std::env::consts::ARCH),
    );
    let release = read("etc/os-release").or_else(|| read("usr/lib/os-release"));
    match release {
        Some(release) => text.push_str(&release),
        None => text.push_str("distribution: unknown, there is no /etc/os-release\n"),
    }
    text
}

/// An error without the text of the file, in which a secret may be.
fn place(error: &ConfigError) -> String {
    match error {
        ConfigError::Invalid { path, place, .. } => {
            let at = place.as_ref().map(|place| format!(":{}:{}", place.line, place.column));
            let (path, at) = (path.display(), at.unwrap_or_default());
            format!("{path}{at}: an error, whose line is not shown here; `sipward check` shows it")
        }
        other => other.to_string(),
    }
}

/// The configuration with the webhooks' hosts only.
fn without_webhooks(text: &str, config: &Config) -> String {
    let hosts: Vec<String> =
        config.webhook.targets.iter().map(|target| format!("\"{}/...\"", target.place())).collect();
    let mut shown = String::new();
    for line in text.lines() {
        if line.starts_with("urls = ") {
            let from = line.rsplit_once("  # ").map_or("", |(_, from)| from);
            out::add(&mut shown, format_args!("urls = [{}]  # {from}\n", hosts.join(", ")));
        } else {
            shown.push_str(line);
            shown.push('\n');
        }
    }
    shown
}

/// A state without the texts of alarms, which hold names of users; the alarms follow with their fields.
fn without_texts(status: &mut Value) {
    if let Some(alarms) = status.get_mut("alarms").and_then(Value::as_object_mut) {
        alarms.remove("texts");
    }
}

/// Each URL without user, password, path and query.
fn without_paths(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("://") {
        shown.push_str(before);
        shown.push_str("://");
        let is_end = |c: char| c.is_whitespace() || matches!(c, '"' | '`' | '<' | '>' | '\\');
        let (url, behind) = after.split_at(after.find(is_end).unwrap_or(after.len()));
        let (authority, path) = url.split_at(url.find(['/', '?', '#']).unwrap_or(url.len()));
        shown.push_str(authority.rsplit_once('@').map_or(authority, |(_, host)| host));
        if path.len() > 1 {
            shown.push_str("/...");
        }
        rest = behind;
    }
    shown.push_str(rest);
    shown
}

/// Nothing that a terminal obeys.
fn without_control(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if c != '\n' && is_hidden(c) {
            shown.extend(c.escape_unicode());
        } else {
            shown.push(c);
        }
    }
    shown
}

/// Names of users, each with its number.
#[derive(Debug, Default)]
struct Names(HashMap<String, usize>);

impl Names {
    /// Replaces names in the fields that hold them. The text of an alarm repeats its fields, so it goes if they hold names.
    fn replace_in(&mut self, value: &mut Value) {
        match value {
            Value::Array(items) => items.iter_mut().for_each(|item| self.replace_in(item)),
            Value::Object(fields) => {
                if fields.get("data").is_some_and(holds_names) {
                    fields.remove("text");
                }
                for (name, value) in fields {
                    if USER_FIELDS.contains(&name.as_str()) {
                        self.replace(value);
                    } else {
                        self.replace_in(value);
                    }
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }

    fn replace(&mut self, value: &mut Value) {
        match value {
            Value::String(name) => {
                let next = self.0.len() + 1;
                let number = *self.0.entry(std::mem::take(name)).or_insert(next);
                *name = format!("user-{number}");
            }
            Value::Array(items) => items.iter_mut().for_each(|item| self.replace(item)),
            Value::Object(_) => self.replace_in(value),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }
}

/// Whether a field in it, however deep, holds names of users.
fn holds_names(data: &Value) -> bool {
    let is_name = |(name, value): (&String, &Value)| {
        (USER_FIELDS.contains(&name.as_str()) && (value.is_string() || value.is_array()))
            || holds_names(value)
    };
    match data {
        Value::Array(items) => items.iter().any(holds_names),
        Value::Object(fields) => fields.iter().any(is_name),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::MetadataExt as _;

    use serde_json::json;

    use super::*;

    #[test]
    fn urls_keep_their_host_only() {
        for (text, shown) in [
            ("no URL: a/b", "no URL: a/b"),
            ("see https://example.org/a,b?c=(d) now", "see https://example.org/... now"),
            ("`http://root:s3cret@pbx.test:80/x`", "`http://pbx.test:80/...`"),
            (
                "[\"https://a.test/\", \"https://b.test#x\"]",
                "[\"https://a.test\", \"https://b.test/...\"]",
            ),
            ("https://", "https://"),
        ] {
            assert_eq!(without_paths(text), shown);
        }
    }

    #[test]
    fn a_user_is_the_same_number_everywhere_and_counts_stay() {
        let mut names = Names::default();
        let mut alarms = json!({"items": [
            {"kind": "insider", "text": "guesses alice", "data": {"users": 2, "names": ["alice", "bob"]}},
            {"kind": "many_bans", "text": "7 bans", "data": {"bans": 7}},
        ]});
        let mut history =
            json!({"items": [{"cause": {"evidence": {"users": ["bob"], "failures": 5}}}]});
        names.replace_in(&mut alarms);
        names.replace_in(&mut history);
        assert_eq!(alarms["items"][0]["data"], json!({"users": 2, "names": ["user-1", "user-2"]}));
        assert_eq!(alarms["items"][0].get("text"), None);
        assert_eq!(alarms["items"][1]["text"], "7 bans");
        assert_eq!(
            history["items"][0]["cause"]["evidence"],
            json!({"users": ["user-2"], "failures": 5})
        );
    }

    #[test]
    fn a_name_deep_in_an_alarm_is_not_in_its_text() {
        let evidence = |user: &str| json!({"cause": {"evidence": {"users": [user]}}});
        let mut alarm = json!({"text": "a network of alice", "data": evidence("alice")});
        Names::default().replace_in(&mut alarm);
        assert_eq!(alarm, json!({"data": evidence("user-1")}));
    }

    #[tokio::test]
    async fn no_secret_is_in_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        fs::write(path("esl-password"), "Esl-s3cret\n").unwrap();
        fs::write(path("smtp-password"), "Smtp-s3cret\n").unwrap();
        fs::write(path("webhook-secret"), "Hook-s3cret\n").unwrap();
        let environment = "SMTP_USER=pbx\nESL_PORT=1\nSMTP_PASSWORD=Own-s3cret\n";
        fs::write(path("environment"), environment).unwrap();
        let socket = path("sipward.sock");
        let good = format!(
            "[api]\nsocket = \"{}\"\n[mail]\nto = [\"noc@example.org\"]\n[webhook]\n\
             urls = [\"https://hooks.example.org/Token-s3cret\", 'https://hooks.example.net/a\"Token-s3cret']\n",
            socket.display()
        );
        let command = SupportCommand {
            output: None,
            config: Some(path("sipward.toml")),
            socket: Some(socket),
        };
        let now = Time(clock::stamp(SystemTime::now()));
        let root = path("root");
        fs::create_dir_all(root.join("etc")).unwrap();
        fs::write(root.join("etc/os-release"), "PRETTY_NAME=\"Test\u{1b}[2J 1\"\n").unwrap();
        for file in [
            good.clone(),
            format!("{good}password = \"Token-s3cret\"\n"),
            format!("{good}timeout = \"Token-s3cret\"\n"),
            "[webhook]\nurls = [\"https://root:Token-s3cret@hooks.example.org/\"]\n".to_owned(),
        ] {
            fs::write(path("sipward.toml"), &file).unwrap();
            let text = command.collect(now, &root).await;
            assert!(!text.contains("s3cret"), "{text}");
            assert!(!text.contains('\u{1b}') && text.contains("PRETTY_NAME=\"Test"), "{text}");
            let parts = text.lines().filter(|line| line.starts_with("==== ")).count();
            assert_eq!(parts, 4, "{text}");
            assert!(text.contains("is not running"), "{text}");
            if file == good {
                for kept in
                    ["noc@example.org", "\"https://hooks.example.org/...\"", "OK    configuration"]
                {
                    assert!(text.contains(kept), "{kept} in {text}");
                }
            } else {
                assert!(text.contains("sipward.toml:"), "{text}");
            }
        }
    }

    #[test]
    fn only_its_owner_reads_the_file_and_none_is_replaced() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join(file_name("2026-11-30T10:45:00Z".parse().unwrap()));
        assert!(file.ends_with("sipward-support-2026-11-30-104500.txt"), "{file:?}");
        write(&file, "text").unwrap();
        assert_eq!(fs::metadata(&file).unwrap().mode() & 0o777, 0o600);
        assert!(write(&file, "other").is_err());
        assert_eq!(fs::read_to_string(&file).unwrap(), "text");
    }
}
