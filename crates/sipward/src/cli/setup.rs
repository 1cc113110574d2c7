//! `sipward setup`: from nothing to a daemon that observes.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, IsTerminal as _};
use std::net::IpAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::Context as _;

use super::ask::{ask, choice};
use super::doctor::{HEARTBEAT, text as checks_text};
use super::remote::{Exit, block_on};
use super::{out, ssh, token};
use crate::client::Client;
use crate::doctor::{self, Patient};
use crate::setup::{Change, FreeSwitch, Written, registered, ssh_peers};
use sipward_config::{Config, Credentials, EXAMPLE, HostEntry, Layers};
use sipward_model::text::Plain;
use sipward_model::wire::{LinkMade, NewLink, Scope};

/// Where sipward's files are, below the root.
const DIRECTORY: &str = "etc/sipward";

/// The drop-ins that are written.
const MODE: &str = "conf.d/10-mode.toml";
const SETTINGS: &str = "conf.d/20-setup.toml";

/// Beside the configuration file; the unit reads it.
const PASSWORD: &str = "esl-password";
const ENVIRONMENT: &str = "environment";

/// Where the page is served.
const PAGE: &str = "127.0.0.1:8022";

/// Addresses of registered users that are named.
const NAMED: usize = 20;

/// Longest wait for the daemon after its start.
const START: Duration = Duration::from_secs(15);

/// Between two looks for it.
const LOOK: Duration = Duration::from_millis(200);

/// Set sipward up: find FreeSWITCH, write the configuration, start observing
///
/// Finds FreeSWITCH (packages, FusionPBX, built from source) and the password of its Event Socket, and logs in.
/// Proposes hosts for the allow list, writes drop-ins below /etc/sipward, starts the service in observe mode, prints a
/// link to the page, and checks everything. It shows each change before it makes it, and can be repeated.
#[derive(Debug, clap::Args)]
pub(super) struct SetupCommand {
    /// Answer every question with its default, for scripts.
    #[arg(long, short)]
    yes: bool,
    /// FreeSWITCH's configuration directory, if it is an unusual one.
    #[arg(long, value_name = "DIR")]
    freeswitch: Option<PathBuf>,
    /// Look and write below this directory, and start nothing: for images.
    #[arg(long, value_name = "DIR", default_value = "/")]
    root: PathBuf,
}

impl SetupCommand {
    pub(super) fn run(&self) -> anyhow::Result<Exit> {
        let can_ask = io::stdin().is_terminal();
        if !self.yes && !can_ask {
            anyhow::bail!("standard input is not a terminal, so nobody can be asked: add --yes");
        }
        heading("FreeSWITCH")?;
        let Some((freeswitch, credentials)) = self.freeswitch()? else {
            return Ok(Exit::Failed);
        };
        let config_file = self.root.join(DIRECTORY).join("sipward.toml");
        let layers = Layers::read_if_there(&config_file)?;
        let before = layers.config()?;
        heading("Hosts that no rule may ban")?;
        let allow = self.allow(&before, &credentials)?;
        heading("Files")?;
        let files = self.files(&freeswitch, (&before, layers.sets("mode")), &allow)?;
        if !self.write(&files)? {
            return Ok(Exit::Done);
        }
        self.start(&config_file)
    }

    /// What was found, once the Event Socket takes the password.
    fn freeswitch(&self) -> anyhow::Result<Option<(FreeSwitch, Credentials)>> {
        let found = FreeSwitch::find(&self.root, self.freeswitch.as_deref());
        let Some(found) = found.map_err(anyhow::Error::msg)? else {
            say(
                "no FreeSWITCH on this host: no autoload_configs/event_socket.conf.xml in the usual places.\n\
                 --freeswitch DIR names its configuration directory. For one on another host, write its password to \
                 /etc/sipward/esl-password and ESL_HOST to /etc/sipward/environment.",
            )?;
            return Ok(None);
        };
        say(&format!("{}: {}", found.layout.as_str(), found.file.display()))?;
        let credentials = found
            .credentials()
            .with_context(|| format!("the Event Socket's password in {}", found.file.display()))?;
        let address = format!("{}:{}", found.host, found.port);
        if let Err(why) = block_on(found.try_login(&credentials))? {
            say(&format!("Event Socket {address}: {}", Plain(&why)))?;
            return Ok(None);
        }
        say(&format!("Event Socket {address}: logged in"))?;
        Ok(Some((found, credentials)))
    }

    /// The entries that are new.
    fn allow(&self, config: &Config, credentials: &Credentials) -> anyhow::Result<Vec<HostEntry>> {
        for check in block_on(doctor::protected(config, credentials))?? {
            say(&format!("protected anyway, {}: {}", check.check, Plain(&check.found)))?;
        }
        let is_new = |address: &IpAddr| !config.allow.iter().any(|entry| covers(entry, *address));
        let mut chosen = Vec::new();
        let mut operators = ssh_peers(&self.root);
        if self.is_this_host() {
            operators.extend(ssh::clients());
        }
        for address in operators.into_iter().filter(is_new) {
            if self.ask(&format!("{address} is logged in over SSH. Allow it?"), true)? {
                chosen.push(HostEntry::Net(address.into()));
            }
        }
        let phones = match block_on(registered(credentials))? {
            Ok(phones) => phones,
            Err(error) => {
                say(&format!("registrations are unknown: {}", Plain(&error)))?;
                BTreeMap::new()
            }
        };
        let mut phones: Vec<(IpAddr, u32)> =
            phones.into_iter().filter(|(address, _)| is_new(address)).collect();
        phones.sort_by_key(|(address, users)| (std::cmp::Reverse(*users), *address));
        if !phones.is_empty() {
            say(&format!(
                "{} with registered users; each is protected while it is registered:",
                out::count(phones.len() as u64, "address")
            ))?;
            for (address, users) in phones.iter().take(NAMED) {
                say(&format!("  {address}  {}", out::count(u64::from(*users), "user")))?;
            }
            let all = phones.iter().take(NAMED);
            if self.ask("Allow the listed addresses for good, too?", false)? {
                chosen.extend(all.map(|(address, _)| HostEntry::Net((*address).into())));
            }
        }
        if chosen.is_empty() {
            say("no new entry of the allow list")?;
        }
        Ok(chosen)
    }

    fn files(
        &self,
        freeswitch: &FreeSwitch,
        (before, sets_mode): (&Config, bool),
        allow: &[HostEntry],
    ) -> anyhow::Result<Vec<Written>> {
        let directory = self.root.join(DIRECTORY);
        let file = |name: &str, text: String| Written {
            path: directory.join(name),
            shown: text.clone(),
            text,
            mode: 0o644,
        };
        let mut files = Vec::new();
        if !directory.join("sipward.toml").exists() {
            let shown = "(the commented example: every key with its default)".to_owned();
            files.push(Written { shown, ..file("sipward.toml", EXAMPLE.to_owned()) });
        }
        if let Some(password) = &freeswitch.password {
            let text = format!("{}\n", password.expose());
            let shown = "(the password)".to_owned();
            files.push(Written { shown, mode: 0o600, ..file(PASSWORD, text) });
        }
        if freeswitch.host != "127.0.0.1" || freeswitch.port != 8_021 {
            files.push(environment(directory.join(ENVIRONMENT), freeswitch)?);
        }
        if !sets_mode {
            let text = "# `sipward mode ban` blocks from then on; it shows who would be blocked first.\n\
                        mode = \"observe\"\n";
            files.push(file(MODE, text.to_owned()));
        }
        let page = before.http.listen.is_empty()
            && self.ask(&format!("Serve the page on {PAGE}, for this host only?"), true)?;
        files.push(file(SETTINGS, settings(&directory, allow, page)?));
        Ok(files)
    }

    /// Shows the files and writes them. False when nobody wanted that.
    fn write(&self, files: &[Written]) -> anyhow::Result<bool> {
        let mut changes = false;
        for file in files {
            let path = file.path.display();
            match file.change() {
                Change::Same => say(&format!("{path}: stays as it is"))?,
                change => {
                    changes = true;
                    let word = if change == Change::New { "new" } else { "changed" };
                    say(&format!("{path}: {word}, mode {:o}", file.mode))?;
                    for line in file.shown.lines() {
                        say(&format!("  | {line}"))?;
                    }
                }
            }
        }
        if !changes {
            return Ok(true);
        }
        if !self.ask("Write these files?", true)? {
            say("nothing written")?;
            return Ok(false);
        }
        for file in files.iter().filter(|file| file.change() != Change::Same) {
            file.write().with_context(|| format!("cannot write {}", file.path.display()))?;
        }
        Ok(true)
    }

    fn start(&self, config_file: &Path) -> anyhow::Result<Exit> {
        let config = Layers::read_if_there(config_file)?.config()?;
        if !self.is_this_host() {
            say("nothing started, because of --root")?;
            return Ok(Exit::Done);
        }
        heading("Start")?;
        if !Path::new("/run/systemd/system").is_dir() {
            return without_systemd();
        }
        let words = ["enable", "--now", "sipward"];
        let is_active = Command::new("systemctl")
            .args(["is-active", "--quiet", "sipward"])
            .status()
            .is_ok_and(|status| status.success());
        let words: &[&str] = if is_active { &["restart", "sipward"] } else { &words };
        let shown = format!("systemctl {}", words.join(" "));
        if !self.ask(&format!("Run `{shown}`?"), true)? {
            return Ok(Exit::Done);
        }
        let status = Command::new("systemctl").args(words).status();
        if !status.with_context(|| format!("cannot run {shown}"))?.success() {
            say("it failed; `journalctl -u sipward -n 20` says why")?;
            return Ok(Exit::Failed);
        }
        after_start(&config)
    }

    /// Whether it works on the host that it runs on.
    fn is_this_host(&self) -> bool {
        self.root == Path::new("/")
    }

    /// A question with its default.
    fn ask(&self, question: &str, default: bool) -> anyhow::Result<bool> {
        if self.yes {
            let answer = if default { "yes" } else { "no" };
            say(&format!("{question} {} {answer}", choice(default)))?;
            return Ok(default);
        }
        ask(question, default)?.context("the answer is missing; nothing more is done")
    }
}

/// The unit's variables with FreeSWITCH's address. The others stay, and are not shown: they may be passwords.
fn environment(path: PathBuf, freeswitch: &FreeSwitch) -> anyhow::Result<Written> {
    let there = text_of(&path)?;
    let mode = fs::metadata(&path).map_or(0o644, |file| file.permissions().mode() & 0o777);
    let is_other = |line: &&str| !line.starts_with("ESL_HOST=") && !line.starts_with("ESL_PORT=");
    let others = there.lines().filter(is_other).flat_map(|line| [line, "\n"]);
    let shown = format!("ESL_HOST={}\nESL_PORT={}\n", freeswitch.host, freeswitch.port);
    let text = others.chain([shown.as_str()]).collect();
    Ok(Written { path, text, mode, shown })
}

/// What a file holds; nothing where it is not there.
fn text_of(path: &Path) -> anyhow::Result<String> {
    match fs::read_to_string(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
        read => read.with_context(|| format!("cannot read {}", path.display())),
    }
}

/// The drop-in: what it held, and what was chosen.
fn settings(directory: &Path, allow: &[HostEntry], page: bool) -> anyhow::Result<String> {
    let path = directory.join(SETTINGS);
    let mut table: toml::Table = toml::from_str(&text_of(&path)?)
        .with_context(|| format!("{} is no TOML", path.display()))?;
    let entries = table
        .entry("allow")
        .or_insert_with(|| toml::Value::Array(Vec::new()))
        .as_array_mut()
        .with_context(|| format!("`allow` in {} is no list", path.display()))?;
    entries.extend(allow.iter().map(|entry| toml::Value::String(bare(entry))));
    if page {
        let http = table.entry("http").or_insert_with(|| toml::Value::Table(toml::Table::new()));
        let http = http.as_table_mut();
        let http = http.with_context(|| format!("`http` in {} is no table", path.display()))?;
        http.insert("listen".to_owned(), toml::Value::Array(vec![PAGE.into()]));
    }
    Ok(format!("# Written by `sipward setup`.\n{table}"))
}

/// How to start it by hand.
fn without_systemd() -> anyhow::Result<Exit> {
    say(&format!(
        "there is no systemd; start it as root with\n  ESL_PASSWORD_FILE=/{DIRECTORY}/{PASSWORD} sipward run\n\
         then `sipward doctor` checks everything, and `sipward token link` opens the page"
    ))?;
    Ok(Exit::Done)
}

/// The link to the page, and all checks.
fn after_start(config: &Config) -> anyhow::Result<Exit> {
    let socket = config.api.socket.clone().unwrap_or_default();
    let link = block_on(async {
        let until = Instant::now() + START;
        loop {
            if let Ok(mut client) = Client::connect(&socket).await {
                let link = NewLink { scope: Scope::Write, seconds: Some(3_600) };
                match client.post::<LinkMade>("/links", &link).await {
                    Ok(made) => return Some(made.value),
                    Err(_) if Instant::now() < until => {}
                    Err(_) => return None,
                }
            }
            if Instant::now() >= until {
                return None;
            }
            tokio::time::sleep(LOOK).await;
        }
    })?;
    match link {
        Some(link) => out::text(&token::linked(&link))?,
        None => say("the daemon does not answer; `journalctl -u sipward -n 20` says why")?,
    }
    say("from another host: `ssh -L 8022:127.0.0.1:8022 THIS-HOST`, then open the link there")?;
    heading("Checks")?;
    let patient = Patient { config: None, socket: None, heartbeat: HEARTBEAT, root: "/".into() };
    let examination = block_on(doctor::examine(&patient))??;
    out::text(&checks_text(&examination, out::width()))?;
    say(
        "\nsipward observes: it decides and records, and blocks nothing. After some days:\n  sipward mode ban",
    )?;
    Ok(Exit::Done)
}

fn covers(entry: &HostEntry, address: IpAddr) -> bool {
    match entry {
        HostEntry::Net(net) => net.contains(&address),
        HostEntry::Name(_) => false,
    }
}

/// An address without its length.
fn bare(entry: &HostEntry) -> String {
    match entry {
        HostEntry::Net(net) if net.prefix_len() == net.max_prefix_len() => net.addr().to_string(),
        other => other.to_string(),
    }
}

fn heading(text: &str) -> io::Result<()> {
    out::text(&format!("\n{text}\n"))
}

fn say(text: &str) -> io::Result<()> {
    out::text(&format!("{text}\n"))
}
