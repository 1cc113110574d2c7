//! Shell completions and man pages, made from the commands themselves. They are files in `deploy`, for
//! packages to install, and this holds them against what would be made now.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use clap::{Command, CommandFactory as _};
use clap_complete::Shell;

use super::Cli;

/// Set to anything, this writes the files instead of comparing them.
const RENEW: &str = "SIPWARD_RENEW";

/// Texts by the names of their files.
type Files = BTreeMap<String, String>;

/// For `deploy/completions`, by the names that the shells look for.
fn completions() -> Files {
    [(Shell::Bash, "sipward.bash"), (Shell::Zsh, "_sipward"), (Shell::Fish, "sipward.fish")]
        .into_iter()
        .map(|(shell, name)| {
            (name.to_owned(), String::from_utf8(super::completions(shell)).unwrap())
        })
        .collect()
}

/// For `deploy/man`: a page for the program and one for each command. Section 8: administration.
fn pages() -> Files {
    let mut command = Cli::command();
    command.build();
    let mut pages = Files::new();
    page(&command, &mut pages);
    pages
}

fn page(command: &Command, pages: &mut Files) {
    let name = command.get_display_name().unwrap_or(command.get_name());
    let mut text = Vec::new();
    clap_mangen::Man::new(command.clone())
        .section("8")
        .source("sipward")
        .manual("sipward")
        .render(&mut text)
        .unwrap();
    pages.insert(format!("{name}.8"), String::from_utf8(text).unwrap());
    let below = command.get_subcommands().filter(|below| !below.is_hide_set());
    below.filter(|below| below.get_name() != "help").for_each(|below| page(below, pages));
}

fn deploy(folder: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy").join(folder)
}

fn hold_against(folder: &str, made: &Files) {
    let folder = deploy(folder);
    if std::env::var_os(RENEW).is_some() {
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        for (name, text) in made {
            fs::write(folder.join(name), text).unwrap();
        }
    }
    let entries = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap());
    let found: Files = entries
        .map(|entry| {
            let name = entry.file_name().into_string().unwrap();
            (name, fs::read_to_string(entry.path()).unwrap())
        })
        .collect();
    let how = format!("renew them: {RENEW}=1 cargo test -p sipward --lib cli::generated");
    let names = |files: &Files| files.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&found), names(made), "{}: {how}", folder.display());
    for (name, text) in made {
        assert!(found.get(name) == Some(text), "{name} is out of date; {how}");
    }
}

#[test]
fn the_completions_in_deploy_are_those_of_this_program() {
    hold_against("completions", &completions());
}

#[test]
fn the_man_pages_in_deploy_are_those_of_this_program() {
    let pages = pages();
    assert!(pages.contains_key("sipward-ban.8") && pages.contains_key("sipward-policy-set.8"));
    hold_against("man", &pages);
}
