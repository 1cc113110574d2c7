//! `sipward reload`.

use hyper::Method;

use super::out;
use super::remote::{Exit, Remote};
use sipward_model::text::Plain;
use sipward_model::wire::Reloaded;

/// Reload the configuration file. Bans, counts and changes at run time are kept.
#[derive(Debug, clap::Args)]
pub(super) struct ReloadCommand {
    #[command(flatten)]
    remote: Remote,
}

impl ReloadCommand {
    pub(super) fn run(&self) -> anyhow::Result<Exit> {
        self.remote.run(
            "reloading",
            async |client| client.send(Method::POST, "/reload").await,
            text,
        )
    }
}

fn text(done: &Reloaded) -> String {
    let mut text = match done.needs_restart.as_slice() {
        [] => "the configuration was applied\n".to_owned(),
        sections => format!(
            "the configuration was applied, except for {}: these need a restart\n",
            Plain(&sections.join(", "))
        ),
    };
    if let Some(problem) = &done.certificate_problem {
        let problem = Plain(problem);
        out::add(&mut text, format_args!("the previous certificate remains in use: {problem}\n"));
    }
    text
}
