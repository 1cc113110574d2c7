//! Shell completions and man pages, made from the commands themselves. They are files in `deploy`, for
//! packages to install, and this holds them against what would be made now.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use clap::{Command, CommandFactory as _};
use clap_complete::Shell;
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};

use super::{Cli, EXIT_CODES};

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

/// The sections of `sipward.8` that its commands do not say.
const SECTIONS: &str = include_str!("sections.roff");

/// For `deploy/man`: a page for the program, one for each command, and one for the configuration file.
fn pages() -> Files {
    let mut command = Cli::command();
    command.build();
    let mut pages = Files::new();
    page(&command, &mut pages);
    pages.insert("sipward.8".to_owned(), first_page(&command));
    let file = fs::read_to_string(deploy("sipward.toml")).unwrap();
    pages.insert("sipward.toml.5".to_owned(), file_page(&file));
    pages
}

/// Section 8: administration.
fn rendered(command: &Command) -> String {
    let man = Man::new(command.clone()).section("8").source("sipward").manual("sipward");
    let mut text = Vec::new();
    man.render(&mut text).unwrap();
    String::from_utf8(text).unwrap()
}

/// What clap writes up to its section "EXTRA", the exit status, and ours.
fn first_page(command: &Command) -> String {
    let text = rendered(command);
    let (of_clap, _) = text.split_once(".SH EXTRA").unwrap();
    let codes = EXIT_CODES.strip_prefix("Exit status: ").unwrap();
    let status = Roff::new().control("SH", ["EXIT STATUS"]).text([roman(codes)]).to_roff();
    of_clap.to_owned() + &status + SECTIONS
}

/// The commented file as a page: its tables as sections, its keys with their defaults, its comments as text.
fn file_page(file: &str) -> String {
    let mut page = Roff::new();
    page.control("TH", ["sipward.toml", "5", "", "sipward", "sipward"]);
    page.control("SH", ["NAME"]).text([roman("sipward.toml - configuration of sipward")]);
    page.control("SH", ["DESCRIPTION"]);
    // Of the paragraph that has not been written yet.
    let (mut lines, mut keys) = (Vec::new(), Vec::new());
    for line in file.lines().chain([""]) {
        match line.strip_prefix('#') {
            Some(text) if text.starts_with(|first: char| first.is_ascii_lowercase()) => {
                keys.push(text);
            }
            Some(text) if !text.is_empty() && keys.is_empty() => lines.push(text.trim_start()),
            _ => {
                paragraph(&mut page, &mut lines, &mut keys);
                match line.strip_prefix('#') {
                    Some("") | None => {}
                    Some(text) => lines.push(text.trim_start()),
                }
                if line.starts_with('[') {
                    page.control("SH", [line]);
                }
            }
        }
    }
    page.control("SH", ["SEE ALSO"]).text([bold("sipward"), roman("(8)")]);
    page.render()
}

fn paragraph(page: &mut Roff, lines: &mut Vec<&str>, keys: &mut Vec<&str>) {
    if keys.is_empty() && !lines.is_empty() {
        page.control("PP", []);
    }
    for (n, key) in keys.drain(..).enumerate() {
        page.control(if n == 0 { "TP" } else { "TQ" }, []).text([bold(key)]);
    }
    if !lines.is_empty() {
        page.text([roman(lines.join("\n"))]);
    }
    lines.clear();
}

fn page(command: &Command, pages: &mut Files) {
    let name = command.get_display_name().unwrap_or(command.get_name());
    pages.insert(format!("{name}.8"), rendered(command));
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
    assert!(pages["sipward.toml.5"].contains("\\fBmax_failures = 5\\fR\nFailures of one source"));
    hold_against("man", &pages);
}
