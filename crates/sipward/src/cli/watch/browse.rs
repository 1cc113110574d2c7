//! What the operator does with the keys: the selected row, the filter, the open question. Fed with keys and answers;
//! it knows no terminal and asks nothing itself.

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use sipward_engine::Flow;

use super::ask::{Answer, Request};
use super::scene::{MAX_BANS, MAX_SOURCES, NewBan, Scene, Source};
use crate::cli::out;
use sipward_model::text::{Plain, Thousands};
use sipward_model::wire::{Net, SourceReport};

/// Longest filter, in characters.
const MAX_FILTER: usize = 64;

/// Lines that a page key moves by.
const PAGE: isize = 10;

/// What the operator sees and has typed.
#[derive(Debug, Default)]
pub(super) struct Browse {
    pub(super) view: View,
    pub(super) pane: Pane,
    pub(super) filter: String,
    pub(super) prompt: Option<Prompt>,
    /// The answer to what was done last.
    pub(super) note: Option<Note>,
    /// [`Row::key`]: rows move while new ones come, and the selection goes with its row.
    selected: Option<String>,
    /// A request is under way.
    waits: bool,
}

#[derive(Debug, Default)]
pub(super) enum View {
    #[default]
    Lists,
    Help,
    Why {
        report: Box<SourceReport>,
        observes: bool,
        /// First line that is shown; drawing moves it inside the text.
        top: usize,
    },
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Pane {
    Bans,
    #[default]
    Sources,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Prompt {
    /// The filter is typed.
    Filter,
    Confirm {
        text: String,
        request: Request,
    },
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Note {
    pub(super) text: String,
    pub(super) is_error: bool,
}

/// What follows from a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Nothing,
    Quit,
    Ask(Request),
}

/// A row of a list. Cells are escaped.
#[derive(Clone, Debug)]
pub(super) struct Row {
    key: String,
    /// The network, the address or the flow that it is about.
    target: String,
    pub(super) cells: Vec<String>,
    /// Over already, or banned.
    pub(super) is_dim: bool,
}

impl Row {
    fn of_ban(ban: &NewBan) -> Self {
        let NewBan { id, time, net, why, ended } = ban;
        let cells = vec![out::clock(*time), Plain(net).to_string(), Plain(why).to_string()];
        Self { key: id.to_string(), target: net.clone(), cells, is_dim: *ended }
    }

    fn of_source((address, source): (&str, &Source)) -> Self {
        let cells = vec![
            Thousands(source.failures).to_string(),
            Plain(address).to_string(),
            Plain(&source.user).to_string(),
            Plain(&source.user_agent).to_string(),
        ];
        let (key, target) = (address.to_owned(), address.to_owned());
        Self { key, target, cells, is_dim: source.banned }
    }

    /// `needle` is in lower case.
    fn contains(&self, needle: &str) -> bool {
        needle.is_empty() || self.cells.iter().any(|cell| cell.to_lowercase().contains(needle))
    }
}

impl Browse {
    /// The rows of a list that match the filter.
    pub(super) fn rows(&self, scene: &Scene, pane: Pane) -> Vec<Row> {
        let rows: Vec<Row> = match pane {
            Pane::Bans => scene.bans.iter().map(Row::of_ban).collect(),
            Pane::Sources => scene.busiest(MAX_SOURCES).into_iter().map(Row::of_source).collect(),
        };
        let needle = self.filter.to_lowercase();
        rows.into_iter().filter(|row| row.contains(&needle)).take(MAX_BANS).collect()
    }

    /// The place of the selected row.
    pub(super) fn place(&self, rows: &[Row]) -> Option<usize> {
        let selected = self.selected.as_ref()?;
        rows.iter().position(|row| row.key == *selected)
    }

    pub(super) fn key(&mut self, key: KeyEvent, scene: &Scene) -> Step {
        if key.kind == KeyEventKind::Release {
            return Step::Nothing;
        }
        if key.code == KeyCode::Char('c') && key.modifiers.contains(KeyModifiers::CONTROL) {
            return Step::Quit;
        }
        match self.prompt.take() {
            Some(Prompt::Filter) => self.type_filter(key.code),
            Some(Prompt::Confirm { request, .. }) => match key.code {
                KeyCode::Char('y' | 'Y') => return self.ask(request),
                _ => self.note = Some(Note { text: "nothing changed".into(), is_error: false }),
            },
            None => {
                self.note = None;
                return self.command(key.code, scene);
            }
        }
        Step::Nothing
    }

    pub(super) fn answered(&mut self, answer: Answer) {
        self.waits = false;
        let note = |text: String, is_error| Some(Note { text, is_error });
        match answer {
            Answer::Report { report, observes } => {
                self.view = View::Why { report, observes, top: 0 };
                self.note = None;
            }
            // What is being typed is not an answer to it.
            Answer::Question { text, request } if self.prompt.is_none() => {
                self.prompt = Some(Prompt::Confirm { text, request });
                self.note = None;
            }
            Answer::Question { .. } => self.note = note("nothing changed".to_owned(), false),
            Answer::Done(text) => self.note = note(text, false),
            Answer::Failed(text) => self.note = note(text, true),
        }
    }

    fn type_filter(&mut self, code: KeyCode) {
        match code {
            KeyCode::Enter => return,
            KeyCode::Esc => {
                self.filter.clear();
                return;
            }
            KeyCode::Backspace => {
                self.filter.pop();
            }
            KeyCode::Char(c) if !c.is_control() && self.filter.chars().count() < MAX_FILTER => {
                self.filter.push(c);
            }
            _ => {}
        }
        self.prompt = Some(Prompt::Filter);
    }

    fn command(&mut self, code: KeyCode, scene: &Scene) -> Step {
        let by = match code {
            KeyCode::Char('j') | KeyCode::Down => Some(1),
            KeyCode::Char('k') | KeyCode::Up => Some(-1),
            KeyCode::PageDown | KeyCode::Char(' ') => Some(PAGE),
            KeyCode::PageUp => Some(-PAGE),
            KeyCode::Home | KeyCode::Char('g') => Some(isize::MIN),
            KeyCode::End | KeyCode::Char('G') => Some(isize::MAX),
            _ => None,
        };
        if let Some(by) = by {
            self.go(by, scene);
            return Step::Nothing;
        }
        match (code, &self.view) {
            (KeyCode::Char('q') | KeyCode::Esc, View::Lists) => {
                if code == KeyCode::Char('q') || self.filter.is_empty() {
                    return Step::Quit;
                }
                self.filter.clear();
            }
            (KeyCode::Char('q') | KeyCode::Esc, _) => self.view = View::Lists,
            (KeyCode::Char('?'), View::Lists) => self.view = View::Help,
            (KeyCode::Char('/'), View::Lists) => self.prompt = Some(Prompt::Filter),
            (KeyCode::Tab | KeyCode::BackTab, View::Lists) => {
                self.pane = match self.pane {
                    Pane::Bans => Pane::Sources,
                    Pane::Sources => Pane::Bans,
                };
                self.selected = None;
                self.go(0, scene);
            }
            (KeyCode::Enter | KeyCode::Char('b' | 'u'), View::Lists | View::Why { .. }) => {
                return self.act(code, scene);
            }
            _ => {}
        }
        Step::Nothing
    }

    /// Moves the selection, or the text.
    fn go(&mut self, by: isize, scene: &Scene) {
        if let View::Why { top, .. } = &mut self.view {
            *top = top.saturating_add_signed(by);
            return;
        }
        let rows = self.rows(scene, self.pane);
        let place = match self.place(&rows) {
            Some(place) => place.saturating_add_signed(by).min(rows.len().saturating_sub(1)),
            // The first key selects the first row.
            None => 0,
        };
        self.selected = rows.get(place).map(|row| row.key.clone());
    }

    fn act(&mut self, code: KeyCode, scene: &Scene) -> Step {
        let target = match &self.view {
            View::Why { report, .. } => Some(report.address.to_string()),
            View::Lists | View::Help => {
                let rows = self.rows(scene, self.pane);
                self.place(&rows).and_then(|place| rows.get(place)).map(|row| row.target.clone())
            }
        };
        let Some(target) = target else {
            let text = "select a row first: j and k, or the arrows".to_owned();
            self.note = Some(Note { text, is_error: false });
            return Step::Nothing;
        };
        let flow = target.parse::<Flow>().ok();
        let net = flow.map_or_else(|| target.parse().ok(), |flow| Some(Net(flow.source.into())));
        match (code, net, flow) {
            (KeyCode::Enter, Some(net), _) => self.ask(Request::Why(net.0.addr())),
            (KeyCode::Char('b'), Some(net), _) => self.ask(Request::Weigh(net)),
            (KeyCode::Char('u'), _, Some(flow)) => {
                let (text, request) = (format!("allow {flow} again?"), Request::Allow(flow));
                self.prompt = Some(Prompt::Confirm { text, request });
                Step::Nothing
            }
            (KeyCode::Char('u'), Some(net), None) => {
                let (text, request) = (format!("unban {net}?"), Request::Unban(net));
                self.prompt = Some(Prompt::Confirm { text, request });
                Step::Nothing
            }
            _ => Step::Nothing,
        }
    }

    /// One request at a time.
    fn ask(&mut self, request: Request) -> Step {
        let text = if self.waits { "still waiting for the last answer" } else { "asking…" };
        self.note = Some(Note { text: text.to_owned(), is_error: false });
        if std::mem::replace(&mut self.waits, true) { Step::Nothing } else { Step::Ask(request) }
    }
}

#[cfg(test)]
mod tests;
