//! `sipward doctor`.

use std::path::PathBuf;
use std::time::Duration;

use super::out::{self, Tone};
use super::progress::Progress;
use super::remote::{Exit, block_on};
use crate::doctor::{self, Examination, Patient, State};
use sipward_model::text::Plain;

/// FreeSWITCH sends a HEARTBEAT every 20 s.
pub(super) const HEARTBEAT: Duration = Duration::from_secs(25);

/// Check everything that sipward needs, with advice for each problem.
///
/// Works with and without a running daemon, and changes nothing. Run it as root, because other users cannot check
/// everything. Takes up to 25 s, until FreeSWITCH sends a HEARTBEAT. Exit status, as of a monitoring plugin: 0 all
/// checks passed, 1 warnings (WARN), 2 failures (FAIL).
#[derive(Debug, clap::Args)]
pub(super) struct DoctorCommand {
    /// Print JSON, for monitoring.
    #[arg(long)]
    json: bool,
    /// Do not wait for a HEARTBEAT.
    #[arg(long)]
    no_wait: bool,
    /// Configuration file; without it, /etc/sipward/sipward.toml if it exists. Credentials are looked for
    /// in the environment, then beside it (`esl-password`, `environment`).
    #[arg(long, short, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The daemon's socket; without it, the one that the configuration file names.
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,
}

impl DoctorCommand {
    pub(super) fn run(&self) -> anyhow::Result<Exit> {
        let patient = Patient {
            config: self.config.clone(),
            socket: self.socket.clone(),
            heartbeat: if self.no_wait { Duration::ZERO } else { HEARTBEAT },
            root: "/".into(),
        };
        let what = "checking; FreeSWITCH sends a HEARTBEAT every 20 s";
        let progress = Progress::new(what, !self.json);
        let examination = block_on(progress.around(doctor::examine(&patient)))??;
        if self.json {
            out::json(&serde_json::to_string(&examination)?)?;
        } else {
            out::text(&text(&examination, out::width()))?;
        }
        Ok(match examination.worst {
            State::Ok => Exit::Done,
            State::Warn => Exit::Code(1),
            State::Fail => Exit::Code(2),
        })
    }
}

/// A line for each check, and one with advice below it if needed.
pub(super) fn text(examination: &Examination, width: Option<usize>) -> String {
    let checks = &examination.checks;
    let widest = checks.iter().map(|check| check.check.len()).max().unwrap_or(0);
    let indent = "FAIL  ".len() + widest + 2;
    let mut text = String::new();
    for check in checks {
        let state = match check.state {
            State::Ok => "OK",
            State::Warn => "WARN",
            State::Fail => "FAIL",
        };
        let tone = match check.state {
            State::Ok => Tone::Good,
            State::Warn => Tone::Warning,
            State::Fail => Tone::Bad,
        };
        let state = out::paint(&format!("{state:<6}"), tone);
        out::add(&mut text, format_args!("{state}{:<widest$}  ", check.check));
        // Errors of the configuration show the line they are about.
        let found: Vec<String> = check.found.lines().map(|line| Plain(line).to_string()).collect();
        text.push_str(&out::wrap(&found.join("\n"), indent, width));
        if let Some(advice) = &check.advice {
            let advice = format!("→ {}", Plain(advice));
            text.push_str(&" ".repeat(indent));
            text.push_str(&out::wrap(&advice, indent, width));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Check;

    #[test]
    fn each_check_says_what_to_do_and_fits_the_terminal() {
        let checks = vec![
            Check::ok("clock", "FreeSWITCH's is 0.02 s behind ours"),
            Check::fail("gate", "no ".repeat(40), "do \u{1b}[2J something about it, soon"),
        ];
        let examination = Examination { worst: State::Fail, checks };
        let shown = text(&examination, Some(40));
        assert!(shown.lines().all(|line| line.chars().count() <= 40), "{shown}");
        assert!(!shown.contains('\u{1b}'), "{shown}");
        let piped = text(&examination, None);
        assert_eq!(piped.lines().count(), 3, "{piped}");
        assert!(piped.starts_with("OK    clock  FreeSWITCH's"), "{piped}");
        assert!(piped.contains("\nFAIL  gate   no no"), "{piped}");
    }
}
