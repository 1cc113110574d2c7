//! Processes on this host: the daemon, and other programs that ban.

use std::fs;
use std::io::Read as _;
use std::path::Path;

use super::{Check, Running};
use crate::client::{Client, ClientError, NoQuery};
use crate::fail2ban;
use sipward_config::DEFAULT_PATH;
use sipward_model::text::{self, Plain};
use sipward_model::wire::Status;

/// Processes looked at, at most; `kernel.pid_max` may be four million.
const MOST: usize = 65_536;

/// Bytes of a command line that are read.
const MAX_COMMAND: u64 = 4_096;

const DAEMON: &str = "daemon";
const START: &str = "`systemctl enable --now sipward`";
const RIVALS: &str = "others that ban";

/// Every process that can be seen.
#[derive(Debug, Default)]
pub(super) struct Processes(Vec<Process>);

#[derive(Debug)]
struct Process {
    id: u32,
    /// `argv`.
    arguments: Vec<String>,
}

/// The daemon, as far as it can be seen.
pub(super) struct Daemon {
    pub(super) process: Option<u32>,
    pub(super) check: Check,
}

impl Daemon {
    pub(super) fn is_running(&self) -> bool {
        self.process.is_some()
    }
}

impl Processes {
    pub(super) fn read(proc: &Path) -> Self {
        let entries = fs::read_dir(proc).into_iter().flatten().filter_map(Result::ok);
        let process = |entry: fs::DirEntry| {
            let id = entry.file_name().to_str()?.parse().ok()?;
            let mut command = Vec::new();
            let file = fs::File::open(entry.path().join("cmdline")).ok()?;
            file.take(MAX_COMMAND).read_to_end(&mut command).ok()?;
            let arguments = command.split(|byte| *byte == 0).filter(|word| !word.is_empty());
            let arguments =
                arguments.map(|word| String::from_utf8_lossy(word).into_owned()).collect();
            Some(Process { id, arguments })
        };
        Self(entries.filter_map(process).take(MOST).collect())
    }

    /// One whose program, or whose script when the program runs scripts, is called `name`.
    fn running(&self, name: &str) -> Option<&Process> {
        self.0.iter().find(|process| process.is_called(name))
    }
}

impl Process {
    fn is_called(&self, name: &str) -> bool {
        // `python3 /usr/bin/fail2ban-server -xf start`, `php /var/www/…/event_guard.php`.
        self.arguments.iter().take(4).any(|word| {
            let file = word.rsplit('/').next().unwrap_or_default();
            file == name || file.strip_suffix(".php").is_some_and(|script| script == name)
        })
    }

    /// A `sipward run` that may have read this file. A host may run several, in containers for instance, whose
    /// processes it sees; one that names another file is not this daemon.
    fn is_daemon_of(&self, config: &Path) -> bool {
        // What a relative path is relative to, only root can see.
        let is_same = |named: &Path| named.is_relative() || config.is_relative() || named == config;
        self.is_daemon() && is_same(self.config())
    }

    /// A `sipward run`.
    fn is_daemon(&self) -> bool {
        let program = self.arguments.first().and_then(|program| program.rsplit('/').next());
        program == Some("sipward") && self.arguments.iter().any(|word| word == "run")
    }

    /// The configuration file that a daemon was started with.
    fn config(&self) -> &Path {
        let mut words = self.arguments.iter();
        let named = words.find_map(|word| match word.strip_prefix("--config") {
            Some("") => Some(None),
            Some(value) => value.strip_prefix('=').map(Some),
            None => match word.strip_prefix("-c") {
                Some("") => Some(None),
                value => value.map(|value| Some(value.strip_prefix('=').unwrap_or(value))),
            },
        });
        let named = named.and_then(|value| value.or_else(|| words.next().map(String::as_str)));
        Path::new(named.unwrap_or(DEFAULT_PATH))
    }
}

/// Whether the daemon of this configuration runs and answers.
pub(super) async fn daemon(
    processes: &Processes,
    config: Option<&Path>,
    socket: Option<&Path>,
) -> Daemon {
    let config = config.unwrap_or(Path::new(DEFAULT_PATH));
    let by_name = processes.0.iter().find(|process| process.is_daemon_of(config));
    let by_name = by_name.map(|process| process.id);
    let Some(socket) = socket else {
        let check = match by_name {
            Some(id) => Check::ok(DAEMON, format!("runs as process {id}; its API is switched off")),
            None => Check::warn(DAEMON, "is not running", START),
        };
        return Daemon { process: by_name, check };
    };
    let by_socket = Client::server_process(socket).await;
    let process = match &by_socket {
        Ok(id) => id.and_then(|id| u32::try_from(id).ok()).or(by_name),
        Err(_) => by_name,
    };
    let check = match (process, by_socket) {
        (_, Ok(_)) => answering(socket).await,
        (Some(id), Err(ClientError::NotPermitted { .. })) => {
            Check::ok(DAEMON, format!("runs as process {id}; this user may not query it"))
        }
        (None, Err(error @ ClientError::NotPermitted { .. })) => {
            Check::warn(DAEMON, error.to_string(), "run `sipward doctor` as root")
        }
        (Some(id), Err(error)) => Check::warn(
            DAEMON,
            format!("runs as process {id}, but its socket does not answer: {error}"),
            "see `journalctl -u sipward` for why there is no control socket",
        ),
        (None, Err(ClientError::NotRunning { .. })) => Check::warn(DAEMON, "is not running", START),
        (None, Err(error)) => Check::warn(DAEMON, error.to_string(), "`systemctl status sipward`"),
    };
    Daemon { process, check }
}

/// A daemon that answers on `socket`, or one whose network is that of this process.
pub(super) async fn running(
    proc: &Path,
    config: Option<&Path>,
    socket: Option<&Path>,
) -> Option<Running> {
    if let Some(socket) = socket
        && let Ok(process) = Client::server_process(socket).await
    {
        return Some(Running { process: process.and_then(|id| u32::try_from(id).ok()) });
    }
    let processes = Processes::read(proc);
    let own = fs::read_link(proc.join("self/ns/net")).ok();
    let shares_network = |process: &&Process| {
        let theirs = fs::read_link(proc.join(format!("{}/ns/net", process.id))).ok();
        // If that is not visible, the configuration decides.
        match (theirs, &own) {
            (Some(theirs), Some(own)) => theirs == *own,
            _ => process.is_daemon_of(config.unwrap_or(Path::new(DEFAULT_PATH))),
        }
    };
    let daemons = processes.0.iter().filter(|process| process.is_daemon());
    let found = daemons.filter(|process| process.id != std::process::id()).find(shares_network)?;
    Some(Running { process: Some(found.id) })
}

/// What the state of the daemon says.
pub(super) fn runs(status: &Status) -> Check {
    if status.event_socket.connected {
        let bans = text::count(status.bans.active, "ban");
        return Check::ok(DAEMON, format!("runs, is connected to FreeSWITCH; {bans} active"));
    }
    let why = status.event_socket.error.as_deref().unwrap_or("no reason given");
    let found = format!("runs, but is not connected to FreeSWITCH: {}", Plain(why));
    Check::warn(DAEMON, found, "see the Event Socket below")
}

async fn answering(socket: &Path) -> Check {
    let status = async {
        let mut client = Client::connect(socket).await?;
        client.get::<Status>("/status", &NoQuery {}).await
    };
    match status.await.map(|answer| answer.value) {
        Ok(status) => runs(&status),
        Err(error) => Check::warn(
            DAEMON,
            format!("its socket accepts connections, but does not answer: {error}"),
            "`journalctl -u sipward -n 50`",
        ),
    }
}

/// Others that ban the same attackers, and then lift bans, or ban customers, as they see fit.
///
/// The daemon does not see other processes (`ProtectProc=` of its unit): it looks at what starts at boot.
pub(super) fn rivals(processes: &Processes, sees_all: bool, etc: &Path) -> Check {
    let mut found = Vec::new();
    let mut advice = Vec::new();
    let starts = |unit: &str| {
        etc.join("systemd/system/multi-user.target.wants").join(unit).symlink_metadata().is_ok()
    };
    let state = |runs: bool| if runs { "runs" } else { "starts at boot" };

    let runs = processes.running("fail2ban-server").is_some();
    if runs || starts("fail2ban.service") {
        let jails = fail2ban::sip_jails(&etc.join("fail2ban"));
        if !jails.is_empty() {
            let jails: Vec<String> = jails.iter().map(|jail| Plain(jail).to_string()).collect();
            let jails = jails.join(", ");
            found.push(format!("fail2ban {} and watches SIP (jail {jails})", state(runs)));
            advice.push(
                "import its settings and bans with `sipward import fail2ban`, then disable the \
                jail",
            );
        }
    }
    let runs = processes.running("event_guard").is_some();
    if runs || starts("event_guard.service") {
        found.push(format!("FusionPBX's event_guard {}", state(runs)));
        advice.push("`systemctl disable --now event_guard`");
    }
    for name in ["sipban", "fail2ban-rs"] {
        if processes.running(name).is_some() {
            found.push(format!("{name} runs"));
            advice.push("let only one of them watch SIP");
        }
    }
    if found.is_empty() && !sees_all {
        return Check::ok(
            RIVALS,
            "no other program that watches SIP starts at boot; `sipward doctor` looks at all that run",
        );
    }
    if found.is_empty() {
        let fail2ban =
            processes.running("fail2ban-server").map(|_| "; fail2ban runs, but watches no SIP");
        return Check::ok(
            RIVALS,
            format!("no other program watches SIP{}", fail2ban.unwrap_or_default()),
        );
    }
    Check::warn(RIVALS, found.join("; "), advice.join("; "))
}
