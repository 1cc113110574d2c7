//! The command line: which commands there are. Each has a file of its own below.

mod allow;
mod ask;
mod ban;
mod bans;
mod check;
mod doctor;
mod fleet;
mod flows;
#[cfg(test)]
mod generated;
mod history;
mod import;
mod mode;
mod moment;
mod notify;
mod policy;
mod progress;
mod record;
mod reload;
mod remote;
mod replay;
mod setup;
mod ssh;
mod stats;
mod status;
mod support;
mod tail;
mod token;
mod watch;
mod whois;
mod why;
mod words;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context as _;
use clap::{CommandFactory as _, Parser, Subcommand};
use clap_complete::Shell;

use crate::demo;
use crate::doctor as doctor_checks;
use crate::out;
use crate::run::{self, Daemon};
use nix::unistd::geteuid;
use remote::Exit;
use sipward_config::file::LogLevel;
use sipward_config::{Config, Credentials, Layers, Mode, OnExit, Secrets};
use sipward_daemon::logging::{Format, Logs};
use sipward_model::rights;
use sipward_store::Store;

/// Bans SIP brute-forcers, based on the events of FreeSWITCH's Event Socket.
#[derive(Debug, Parser)]
#[command(name = "sipward", version, about, after_help = EXIT_CODES, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    /// When to colour text. `auto`: on a terminal, unless `NO_COLOR` is set.
    #[arg(
        long,
        global = true,
        value_enum,
        value_name = "WHEN",
        default_value_t,
        hide_possible_values = true
    )]
    #[arg(help_heading = "Output", display_order = 1_000)]
    color: out::Color,
    /// Show and read times in UTC. Without it they are in local time on a terminal, and in UTC in a pipe.
    #[arg(long, global = true, help_heading = "Output", display_order = 1_001)]
    utc: bool,
}

/// The exit codes, on which scripts may rely.
const EXIT_CODES: &str = "\
Exit status: 0 done; 1 failed; 2 wrong usage; 3 the daemon is not running; 4 refused: by a safety check, by the
configuration, or for lack of permission. The reason is on standard error. `doctor` ends like a monitoring plugin:
0 all checks passed, 1 warnings, 2 failures. `replay` ends with 3 when more than half of a file was
not understood.";

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the daemon.
    ///
    /// Event Socket credentials come from the environment: `ESL_PASSWORD` or `ESL_PASSWORD_FILE`,
    /// and, where they differ from FreeSWITCH's defaults, `ESL_HOST` (127.0.0.1), `ESL_PORT`
    /// (8021) and `ESL_USER`. SIGHUP reads the file again; SIGTERM and SIGINT stop.
    Run(Run),
    /// Check the configuration and the credentials, and summarize them.
    ///
    /// With good credentials it also asks FreeSWITCH, for 2 s at most, whether one of its access lists in `allow_acl`
    /// allows
    /// every address. Such a list is not used, and a warning names it. If FreeSWITCH does not answer, that is no error.
    Check {
        #[command(flatten)]
        file: ConfigFile,
        /// Print every key with its value and the file that sets it, and check nothing else.
        #[arg(long)]
        effective: bool,
    },
    /// Remove every route, rule and table of sipward from the kernel, and end the stored bans.
    ///
    /// Use it if something is banned by mistake and the daemon cannot help. A running daemon would restore its bans,
    /// so the command is refused while one runs: stop it first.
    Flush {
        #[command(flatten)]
        file: ConfigFile,
        /// Flush even if a daemon runs, which restores everything within a second.
        #[arg(long)]
        force: bool,
    },
    Setup(setup::SetupCommand),
    Status(status::StatusCommand),
    #[command(visible_alias = "banned")]
    Bans(bans::BansCommand),
    Flows(flows::FlowsCommand),
    Fleet(fleet::FleetCommand),
    #[command(visible_alias = "banip")]
    Ban(ban::BanCommand),
    #[command(visible_alias = "unbanip")]
    Unban(ban::UnbanCommand),
    Why(why::WhyCommand),
    Whois(whois::WhoisCommand),
    Allow(allow::AllowCommand),
    History(history::HistoryCommand),
    Stats(stats::StatsCommand),
    Tail(tail::TailCommand),
    Mode(mode::ModeCommand),
    Policy(policy::PolicyCommand),
    Token(token::TokenCommand),
    Watch(watch::WatchCommand),
    Reload(reload::ReloadCommand),
    Doctor(doctor::DoctorCommand),
    Notify(notify::NotifyCommand),
    Support(support::SupportCommand),
    Import(import::ImportCommand),
    Record(record::Record),
    Replay(replay::Replay),
    /// Print the completions for a shell: `sipward completions bash > /etc/bash_completion.d/sipward`.
    Completions {
        /// Which shell.
        #[arg(value_enum)]
        shell: Shell,
    },
    /// Show sipward during an attack: needs no root and no FreeSWITCH, and changes nothing on this host.
    Demo {
        /// Run until interrupted instead of 20 s.
        #[arg(long)]
        forever: bool,
    },
}

#[derive(Debug, clap::Args)]
struct ConfigFile {
    /// Configuration file; without it, /etc/sipward/sipward.toml if it exists. Files `conf.d/*.toml` beside it are
    /// read after it.
    #[arg(long, short, value_name = "FILE")]
    config: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
struct Run {
    #[command(flatten)]
    file: ConfigFile,
    /// Observe mode: do not change the kernel. Overrides `mode` of the file.
    #[arg(long = "dry-run")]
    observe: bool,
    /// What happens to the routes at the end. Overrides `on_exit` of the file.
    #[arg(long, value_enum)]
    on_exit: Option<OnExit>,
    /// Format of the log lines on standard output.
    #[arg(long, value_enum, default_value_t)]
    log_format: Format,
    /// Lowest level of log lines. Overrides `log.level` of the file.
    #[arg(long, value_enum)]
    log_level: Option<LogLevel>,
}

/// Runs the command that the process was started with.
///
/// The exit status is one of those that `--help` lists; the reason for a failure is on standard error.
#[must_use]
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    out::choose(cli.color, cli.utc);
    let done = match &cli.command {
        Command::Run(run) => start(run).map(|()| Exit::Done),
        Command::Check { file, effective: true } => effective(file).map(|()| Exit::Done),
        Command::Check { file, .. } => check::run(file.config.as_deref()).map(|()| Exit::Done),
        Command::Flush { file, force } => flush(file, *force),
        Command::Setup(command) => command.run(),
        Command::Status(command) => command.run(),
        Command::Bans(command) => command.run(),
        Command::Flows(command) => command.run(),
        Command::Fleet(command) => command.run(),
        Command::Ban(command) => command.run(),
        Command::Unban(command) => command.run(),
        Command::Why(command) => command.run(),
        Command::Whois(command) => command.run(),
        Command::Allow(command) => command.run(),
        Command::History(command) => command.run(),
        Command::Stats(command) => command.run(),
        Command::Tail(command) => command.run(),
        Command::Mode(command) => command.run(),
        Command::Policy(command) => command.run(),
        Command::Token(command) => command.run(),
        Command::Watch(command) => command.run(),
        Command::Reload(command) => command.run(),
        Command::Doctor(command) => command.run(),
        Command::Notify(command) => command.run(),
        Command::Support(command) => command.run(),
        Command::Import(command) => command.run(),
        Command::Record(args) => record::run(args).map(|()| Exit::Done),
        Command::Replay(args) => replay::run(args),
        Command::Completions { shell } => {
            out::bytes(&completions(*shell)).map(|()| Exit::Done).map_err(Into::into)
        }
        Command::Demo { forever } => on_runtime(demo::run(*forever)).map(|()| Exit::Done),
    };
    match done {
        Ok(exit) => exit.into(),
        Err(error) => {
            eprintln!("sipward: {error:#}");
            Exit::of(&error).into()
        }
    }
}

/// What makes a shell complete this program's words.
fn completions(shell: Shell) -> Vec<u8> {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "sipward", &mut text);
    text
}

fn start(run: &Run) -> anyhow::Result<()> {
    let overrides = Overrides { observe: run.observe, on_exit: run.on_exit, level: run.log_level };
    let load = {
        let path = run.file.config.clone();
        move || Config::load(path.as_deref()).map(|config| overrides.apply(config))
    };
    let config = load()?;
    #[cfg(not(feature = "fleet"))]
    if config.fleet.is_some() {
        rights::pass_net_admin_on();
        return Err(crate::with_fleet::exec());
    }
    if geteuid().is_root() {
        // As the unit does.
        run::make_directories(&config)?;
    }
    let (credentials, secrets) = (Credentials::from_env()?, Secrets::from_env()?);
    // Before the first thread, because each has the rights of the one that starts it.
    rights::keep_net_admin()?;
    let logs = Logs::start(run.log_format, config.log_level)?;
    let control = Some(logs.control());
    let (reload, links) = (Box::new(load), Arc::default());
    let daemon =
        Daemon { config, credentials, secrets, logs: control, reload, links, kernel_reports: None };
    // This thread only waits for the others.
    on_runtime_then(daemon.run(), rights::keep_none)
}

/// What the command line sets, over the file and again over every reload of it.
#[derive(Clone, Copy, Debug)]
struct Overrides {
    observe: bool,
    on_exit: Option<OnExit>,
    level: Option<LogLevel>,
}

impl Overrides {
    fn apply(self, mut config: Config) -> Config {
        if self.observe {
            config.mode = Mode::Observe;
            config.mode_is_fixed = true;
        }
        config.on_exit = self.on_exit.unwrap_or(config.on_exit);
        config.log_level = self.level.unwrap_or(config.log_level);
        config
    }
}

fn effective(file: &ConfigFile) -> anyhow::Result<()> {
    let layers = Layers::read(file.config.as_deref())?;
    layers.config()?;
    Ok(out::text(&layers.effective())?)
}

fn flush(file: &ConfigFile, force: bool) -> anyhow::Result<Exit> {
    let config = Config::load(file.config.as_deref())?;
    let store = config.store.clone();
    if !force {
        let (path, socket) = (file.config.clone(), config.api.socket.clone());
        let daemon = on_runtime(async move {
            Ok(doctor_checks::running_daemon(path.as_deref(), socket.as_deref()).await)
        })?;
        if let Some(daemon) = daemon {
            let process = daemon.process.map_or(String::new(), |id| format!(" as process {id}"));
            eprintln!(
                "sipward: nothing removed: the daemon runs{process} and would restore its routes \
                 within a second. `sipward unban --all` lifts its bans; or stop it first: \
                 `systemctl stop sipward`; --force flushes anyway"
            );
            return Ok(Exit::Code(4));
        }
    }
    let done = on_runtime(async move { Ok(sipward_route::flush(&config.route).await?) })?;
    let gate = if done.gate { " and the gate" } else { "; there was no gate" };
    let (routes, rules) =
        (out::count(done.routes as u64, "route"), out::count(done.rules as u64, "rule"));
    print!("removed {routes}, {rules}{gate}");
    if done.sip_bans > 0 {
        // Networks that touch are one in the kernel.
        print!(", {} with scope sip", out::count(done.sip_bans as u64, "ban"));
    }
    if done.flows > 0 {
        print!(", {}", out::count(done.flows as u64, "denied flow"));
    }
    let ended = Store::end_bans(&store);
    match &ended {
        Ok(0) | Err(_) => println!(),
        Ok(bans) => println!("; ended {bans} stored bans"),
    }
    ended.context("the stored bans will be restored at the next start")?;
    Ok(Exit::Done)
}

/// One thread for all tasks: from event to route they hand each other a few hundred bytes, and waking
/// another core costs more than any of them does. None of them works for longer than a batch of
/// netlink takes, about a millisecond.
fn on_runtime<T: Send + 'static>(
    work: impl Future<Output = anyhow::Result<T>> + Send + 'static,
) -> anyhow::Result<T> {
    on_runtime_then(work, || ())
}

/// The same, and `then` on this thread once the work has begun.
fn on_runtime_then<T: Send + 'static>(
    work: impl Future<Output = anyhow::Result<T>> + Send + 'static,
    then: impl FnOnce(),
) -> anyhow::Result<T> {
    // The first thread that starts is the worker, on which netlink is spoken. What comes later does look-ups.
    let is_first = AtomicBool::new(true);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .on_thread_start(move || {
            if !is_first.swap(false, Ordering::Relaxed) {
                rights::keep_none();
            }
        })
        // DNS look-ups block; they are few.
        .max_blocking_threads(16)
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    // On the worker, beside the tasks it talks to, not on this thread.
    let work = runtime.spawn(work);
    then();
    let done = runtime.block_on(work);
    // A look-up without an answer would delay the end until the resolver gives up.
    runtime.shutdown_background();
    done?
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Config {
        Config::parse(text, "sipward.toml".as_ref()).unwrap()
    }

    #[test]
    fn the_command_line_outranks_the_file() {
        let overrides =
            Overrides { observe: true, on_exit: Some(OnExit::Flush), level: Some(LogLevel::Debug) };
        let file = "mode = \"ban\"\non_exit = \"keep\"\n[log]\nlevel = \"error\"\n";
        let config = overrides.apply(parsed(file));
        assert_eq!(config.mode, Mode::Observe);
        assert_eq!(config.on_exit, OnExit::Flush);
        assert_eq!(config.log_level, LogLevel::Debug);
    }

    #[test]
    fn what_the_command_line_leaves_out_stays_as_in_the_file() {
        let overrides = Overrides { observe: false, on_exit: None, level: None };
        let file = "mode = \"observe\"\non_exit = \"flush\"\n[log]\nlevel = \"warn\"\n";
        let config = overrides.apply(parsed(file));
        assert_eq!(config.mode, Mode::Observe);
        assert_eq!(config.on_exit, OnExit::Flush);
        assert_eq!(config.log_level, LogLevel::Warn);
    }

    #[test]
    fn the_command_line_is_sound() {
        use clap::CommandFactory as _;
        Cli::command().debug_assert();
    }
}
