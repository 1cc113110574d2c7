//! `sipward mode`: whether bans are carried out.

use std::io::{self, IsTerminal as _};

use clap::ValueEnum;

use super::ask::ask;
use super::bans::table;
use super::out;
use super::remote::{Exit, Remote};
use crate::client::{Client, ClientError, NoQuery};
use sipward_config::Mode;
use sipward_model::text::Plain;
use sipward_model::wire::{BanOrder, BanPage, BanQuery, Direction, Healthy, ModeView, NewMode};

/// Bans that are shown before a change.
const SHOWN: u16 = 20;

/// Show the mode and what it would block, or change it
///
/// In observe mode sipward decides and records everything but blocks nothing. `sipward mode ban` shows who would be
/// blocked now, asks on a terminal, and then sets these bans in the kernel; `sipward mode observe` removes all of them
/// from the kernel. Counts and bans are kept. The mode lasts beyond a restart, until the configuration file has
/// another `mode` than now.
#[derive(Debug, clap::Args)]
pub(super) struct ModeCommand {
    /// The new mode.
    #[arg(value_enum, value_name = "MODE")]
    mode: Option<ModeWord>,
    /// Do not ask.
    #[arg(long, short)]
    yes: bool,
    #[command(flatten)]
    remote: Remote,
}

/// A mode on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum ModeWord {
    /// Block banned hosts.
    Ban,
    /// Block nothing.
    Observe,
}

impl From<ModeWord> for Mode {
    fn from(word: ModeWord) -> Self {
        match word {
            ModeWord::Ban => Self::Ban,
            ModeWord::Observe => Self::Observe,
        }
    }
}

impl ModeCommand {
    pub(super) fn run(&self) -> anyhow::Result<Exit> {
        let Some(mode) = self.mode.map(Mode::from) else {
            return self.remote.run(
                "reading the mode",
                async |client| client.get("/mode", &NoQuery {}).await,
                described,
            );
        };
        if !self.yes && !self.remote.wants_json() && io::stdin().is_terminal() {
            let preview =
                self.remote.ask("reading the bans", async |client| preview(client).await)?;
            if preview.view.mode != mode {
                out::text(&preview.text(mode))?;
                if ask("change the mode?", false)? != Some(true) {
                    out::text("nothing changed\n")?;
                    return Ok(Exit::Done);
                }
            }
        }
        self.remote.run(
            "changing the mode",
            async |client| client.patch("/mode", &NewMode { mode }).await,
            changed,
        )
    }
}

/// What a change means.
struct Preview {
    view: ModeView,
    page: BanPage,
}

async fn preview(client: &mut Client) -> Result<Preview, ClientError> {
    let view = client.get::<ModeView>("/mode", &NoQuery {}).await?.value;
    let (sort, order) = (Some(BanOrder::Since), Some(Direction::Desc));
    let query = BanQuery { sort, order, limit: Some(SHOWN), ..BanQuery::default() };
    let page = client.get::<BanPage>("/bans", &query).await?.value;
    Ok(Preview { view, page })
}

impl Preview {
    fn text(&self, new: Mode) -> String {
        let Self { view, page } = self;
        let mut text = match new {
            Mode::Ban => will_block(view),
            Mode::Observe => format!("{} will no longer be blocked\n", holds(view)),
        };
        if !page.items.is_empty() {
            text.push_str(&table(&page.items, out::width()));
            let rest = page.total.saturating_sub(page.items.len() as u64);
            if rest > 0 {
                out::add(&mut text, format_args!("and {rest} others: `sipward bans --all`\n"));
            }
        }
        text
    }
}

fn holds(view: &ModeView) -> String {
    let bans = out::count(view.bans, "ban");
    match view.flows {
        0 => bans,
        flows => format!("{bans} and {}", out::count(flows, "denied flow")),
    }
}

fn will_block(view: &ModeView) -> String {
    let mut text = format!("mode ban blocks at once: {}\n", holds(view));
    if view.bans_of_healthy > 0 {
        let bans = out::count(view.bans_of_healthy, "ban");
        out::add(&mut text, format_args!("{bans} of these cover hosts that are not strangers:\n"));
        for line in view.healthy.iter().flat_map(Healthy::words) {
            out::add(&mut text, format_args!("  {}\n", Plain(&line)));
        }
    }
    text
}

fn described(view: &ModeView) -> String {
    let mut text = match view.mode {
        Mode::Ban => format!("mode ban: {} in the kernel\n", holds(view)),
        Mode::Observe => {
            let mut text = "mode observe: nothing is blocked\n".to_owned();
            text.push_str(&will_block(view));
            text
        }
    };
    if view.is_fixed {
        text.push_str("this daemon was started to observe only; its mode cannot be changed\n");
    } else if view.mode != view.file {
        let file = view.file.as_str();
        out::add(
            &mut text,
            format_args!("set at run time; the configuration file has mode {file}\n"),
        );
    } else if view.mode == Mode::Observe {
        text.push_str("`sipward mode ban` changes to mode ban\n");
    }
    text
}

fn changed(view: &ModeView) -> String {
    let done = match view.mode {
        Mode::Ban => format!("mode ban: {} set in the kernel", holds(view)),
        Mode::Observe => format!("mode observe: {} removed from the kernel", holds(view)),
    };
    if view.mode == view.file {
        return format!("{done}\n");
    }
    let file = view.file.as_str();
    format!(
        "{done}; this outranks mode {file} of the configuration file until the file is changed\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(mode: Mode, file: Mode, bans: u64) -> ModeView {
        let (flows, bans_of_healthy, healthy) = (0, 0, Vec::new());
        ModeView { mode, file, is_fixed: false, bans, flows, bans_of_healthy, healthy }
    }

    #[test]
    fn what_mode_ban_would_block_comes_before_the_change() {
        let observing = view(Mode::Observe, Mode::Observe, 2);
        let text = described(&observing);
        assert!(text.contains("nothing is blocked") && text.contains("blocks at once: 2 bans"));
        assert!(text.contains("`sipward mode ban`"), "{text}");
        let fixed = ModeView { is_fixed: true, ..observing };
        assert!(described(&fixed).contains("cannot be changed"));
    }

    #[test]
    fn a_mode_over_that_of_the_file_is_named() {
        let text = changed(&view(Mode::Ban, Mode::Observe, 1));
        assert!(text.contains("1 ban set") && text.contains("outranks mode observe"), "{text}");
        assert_eq!(
            changed(&view(Mode::Observe, Mode::Observe, 3)),
            "mode observe: 3 bans removed from the kernel\n"
        );
    }
}
