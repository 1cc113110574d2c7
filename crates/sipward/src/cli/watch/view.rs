//! The screen. Fits whatever terminal there is: what finds no room is left out.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::Line;
use ratatui::widgets::{Block, Borders, Clear, Paragraph, Row, Sparkline, Table, TableState};

use super::browse::{self, Browse, Note, Pane, Prompt, View};
use super::scene::Scene;
use crate::cli::moment::Moment;
use crate::cli::out::{self, Column};
use crate::cli::why;
use sipward_config::Mode;
use sipward_model::text::Plain;
use sipward_model::wire::{Flood, FloodState};

/// Columns from which bans and sources may stand side by side.
const SIDE_BY_SIDE: u16 = 110;

/// Columns between two panes side by side.
const GAP: u16 = 3;

/// Columns of a list; the cells are in [`browse::Row`].
const BANS: &[Column] =
    &[Column::kept("TIME"), Column::kept("NETWORK OR FLOW"), Column::text("WHY", 1)];
const SOURCES: &[Column] = &[
    Column::kept("FAILED").numbers(),
    Column::kept("ADDRESS"),
    Column::text("USER", 1),
    Column::text("USER AGENT", 2),
];

const HELP: &str = "\
j, k, arrows     select the next or the previous row
Space, PgUp      ten rows down, up
g, G             the first row, the last row
Tab              the other list
/                show only rows with a text; Esc ends it
Enter            why the selected address is banned or not
b                ban the selected address or network
u                unban it, or allow the selected flow again
?                this help
q, Esc           back, and from the lists out

Rows in grey have ended (bans) or are banned (sources).
Bans last as long as the policy says; `sipward ban` takes other lengths, scopes and reasons.";

/// Draws everything.
pub(super) fn draw(frame: &mut Frame<'_>, scene: &Scene, browse: &mut Browse) {
    let area = frame.area();
    let width = Some(usize::from(area.width));
    let foot = foot(scene, browse, usize::from(area.width));
    let [body, below] = split(area, foot.len());
    match &mut browse.view {
        View::Lists => draw_lists(frame, body, scene, browse),
        View::Help => draw_text(frame, body, "Keys", HELP, &mut 0),
        View::Why { report, observes, top } => {
            let text = out::unpainted(&why::text(report, *observes, width));
            draw_text(frame, body, &format!("Why {}", report.address), &text, top);
        }
    }
    frame.render_widget(Clear, below);
    frame.render_widget(Paragraph::new(foot), below);
}

/// The part above, and `lines` below it, but never more than half of the screen.
fn split(area: Rect, lines: usize) -> [Rect; 2] {
    let below = u16::try_from(lines).unwrap_or(u16::MAX).min(area.height / 2).max(1);
    Layout::vertical([Constraint::Min(0), Constraint::Length(below)]).areas(area)
}

/// A text that can be longer than the screen.
fn draw_text(frame: &mut Frame<'_>, area: Rect, title: &str, text: &str, top: &mut usize) {
    let lines: Vec<&str> = text.lines().collect();
    let room = usize::from(area.height.saturating_sub(1));
    *top = (*top).min(lines.len().saturating_sub(room));
    let more = lines.len().saturating_sub(*top + room);
    let title = match more {
        0 => title.to_owned(),
        more => format!("{title}   {} below", out::count(more as u64, "more line")),
    };
    let shown: Vec<Line<'_>> =
        lines.iter().skip(*top).take(room).map(|line| (*line).into()).collect();
    frame.render_widget(Paragraph::new(shown).block(titled(&title, true)), area);
}

fn draw_lists(frame: &mut Frame<'_>, area: Rect, scene: &Scene, browse: &Browse) {
    let head = wrapped(&status(scene), usize::from(area.width));
    let head_height = u16::try_from(head.len()).unwrap_or(u16::MAX).min(area.height / 2);
    let [above, rates, lists] = Layout::vertical([
        Constraint::Length(head_height),
        Constraint::Length(3),
        Constraint::Min(0),
    ])
    .areas(area);
    frame.render_widget(Paragraph::new(head), above);
    draw_rates(frame, rates, scene);
    let panes = [
        List::new(scene, browse, Pane::Bans, "Newest bans and denied flows", BANS),
        List::new(scene, browse, Pane::Sources, "Busiest sources", SOURCES),
    ];
    let areas = side_by_side(&panes, lists).unwrap_or_else(|| stacked(&panes, lists));
    for (list, area) in panes.iter().zip(areas) {
        list.draw(frame, area);
    }
}

/// Both lists beside each other, where the terminal is wide enough for what they hold.
fn side_by_side(lists: &[List; 2], area: Rect) -> Option<[Rect; 2]> {
    let room = usize::from(area.width.checked_sub(GAP)?);
    let [bans, sources] = lists.each_ref().map(List::needs);
    if area.width < SIDE_BY_SIDE {
        return None;
    }
    let spare = room.checked_sub(bans.least + sources.least)?;
    // What is left above the least goes to each by what it lacks.
    let (bans_lack, all) = (bans.lacks(), bans.lacks() + sources.lacks());
    let more = match spare.checked_sub(all) {
        Some(rest) => bans_lack + rest / 2,
        None => (spare * bans_lack).checked_div(all)?,
    };
    let left = u16::try_from(bans.least + more).ok()?;
    let [left, _, right] =
        Layout::horizontal([Constraint::Length(left), Constraint::Length(GAP), Constraint::Min(0)])
            .areas(area);
    Some([left, right])
}

/// One above the other, each as high as its rows, if need be half.
fn stacked(lists: &[List; 2], area: Rect) -> [Rect; 2] {
    let [bans, sources] =
        lists.each_ref().map(|list| u16::try_from(list.rows.len() + 2).unwrap_or(u16::MAX));
    let half = area.height / 2;
    let above =
        if bans <= half { bans } else { bans.min(area.height.saturating_sub(sources).max(half)) };
    Layout::vertical([Constraint::Length(above), Constraint::Min(0)]).areas(area)
}

/// Columns of the terminal that a list needs.
#[derive(Clone, Copy, Debug)]
struct Needs {
    /// With its texts cut.
    least: usize,
    whole: usize,
}

impl Needs {
    fn lacks(self) -> usize {
        self.whole.saturating_sub(self.least)
    }
}

/// A list as it is now.
struct List {
    title: String,
    columns: &'static [Column],
    rows: Vec<browse::Row>,
    /// It has the keys.
    is_active: bool,
    selected: Option<usize>,
}

impl List {
    fn new(
        scene: &Scene,
        browse: &Browse,
        pane: Pane,
        title: &str,
        columns: &'static [Column],
    ) -> Self {
        let rows = browse.rows(scene, pane);
        let is_active = browse.pane == pane;
        let selected = browse.place(&rows).filter(|_| is_active);
        let title = match browse.filter.as_str() {
            "" => title.to_owned(),
            filter => format!("{title} with {}: {}", Plain(filter), rows.len()),
        };
        Self { title, columns, rows, is_active, selected }
    }

    fn widths(&self, room: usize) -> Vec<Option<usize>> {
        out::widths(self.columns, self.rows.iter().map(|row| row.cells.as_slice()), room)
    }

    fn needs(&self) -> Needs {
        let whole = self.widths(usize::MAX);
        let each = whole.iter().zip(self.columns);
        let least: Vec<_> =
            each.map(|(width, column)| width.map(|width| column.least(width))).collect();
        Needs { least: out::total(&least), whole: out::total(&whole) }
    }

    fn draw(&self, frame: &mut Frame<'_>, area: Rect) {
        let widths = self.widths(usize::from(area.width));
        let shown = |cells: &[String]| {
            let cells = cells.iter().zip(&widths).zip(self.columns);
            let cells = cells.filter_map(|((cell, width), column)| {
                let cell = out::cut(cell, (*width)?);
                Some(if column.is_numbers() { format!("{cell:>0$}", (*width)?) } else { cell })
            });
            Row::new(cells.collect::<Vec<_>>())
        };
        let head: Vec<String> =
            self.columns.iter().map(|column| column.head().to_owned()).collect();
        let rows = self.rows.iter().map(|row| {
            let style = if row.is_dim { dim() } else { Style::new() };
            shown(&row.cells).style(style)
        });
        let fixed = widths.iter().flatten();
        let fixed =
            fixed.map(|width| Constraint::Length(u16::try_from(*width).unwrap_or(u16::MAX)));
        let gap = u16::try_from(out::GAP).unwrap_or_default();
        let table = Table::new(rows, fixed)
            .header(shown(&head).style(dim()))
            .column_spacing(gap)
            .row_highlight_style(Style::new().add_modifier(Modifier::REVERSED))
            .block(titled(&self.title, self.is_active));
        let mut state = TableState::new().with_selected(self.selected);
        frame.render_stateful_widget(table, area, &mut state);
    }
}

/// The lines at the bottom: the open question, the last answer, or the keys.
fn foot(scene: &Scene, browse: &Browse, width: usize) -> Vec<Line<'static>> {
    let lines = match (&browse.prompt, &browse.note) {
        (Some(Prompt::Confirm { text, .. }), _) => {
            vec![(format!("{} [y/N]", plain(text)), warning())]
        }
        (Some(Prompt::Filter), _) => {
            let filter = Plain(&browse.filter).to_string();
            let filter = if browse.filter.is_empty() { String::new() } else { filter };
            vec![(format!("/{filter}_   Enter keeps it, Esc shows all"), bold())]
        }
        (None, Some(Note { text, is_error })) => {
            vec![(plain(text), if *is_error { bad() } else { bold() })]
        }
        (None, None) => vec![(keys(scene, &browse.view), dim())],
    };
    wrapped(&lines, width)
}

fn keys(scene: &Scene, view: &View) -> String {
    match view {
        View::Help => "q back".to_owned(),
        View::Why { .. } => "j k scroll  b ban  u unban  q back".to_owned(),
        View::Lists => {
            let zone = out::zone_name(Moment::now());
            let keys = "j k select  Enter why  b ban  u unban  / filter  ? help  q quit";
            let missed = match scene.missed {
                0 => String::new(),
                count => format!("; {} came too fast to be shown", out::count(count, "event")),
            };
            format!("{keys}  times {zone}{missed}")
        }
    }
}

/// A text of several lines, escaped.
fn plain(text: &str) -> String {
    let lines: Vec<String> = text.lines().map(|line| Plain(line).to_string()).collect();
    lines.join("\n")
}

/// Lines of a terminal.
fn wrapped(lines: &[(String, Style)], width: usize) -> Vec<Line<'static>> {
    let each = lines.iter().flat_map(|(text, style)| {
        let text = out::wrap(text, 0, Some(width));
        text.lines().map(|line| Line::styled(line.to_owned(), *style)).collect::<Vec<_>>()
    });
    each.collect()
}

fn status(scene: &Scene) -> Vec<(String, Style)> {
    let plain = Style::new();
    if let Some(why) = &scene.lost {
        let lost = format!("no connection to sipward: {}", Plain(why));
        return vec![(lost, bad()), ("retrying every second".to_owned(), plain)];
    }
    let Some(status) = &scene.status else {
        return vec![("asking the daemon…".to_owned(), plain)];
    };
    let socket = &status.event_socket;
    let connection = match &socket.peer {
        Some(peer) if socket.connected => (format!("FreeSWITCH {} connected", Plain(peer)), good()),
        Some(_) | None => {
            let why = socket.error.as_deref().unwrap_or("no reason known");
            (format!("FreeSWITCH NOT connected: {}", Plain(why)), bad())
        }
    };
    let mode = match status.mode {
        Mode::Ban => "ban",
        Mode::Observe => "observe mode",
    };
    let bans = &status.bans;
    let mut banned = format!("{} banned", bans.active);
    if bans.sip > 0 {
        out::add(&mut banned, format_args!(" ({} SIP only)", bans.sip));
    }
    if bans.not_enforced > 0 {
        out::add(&mut banned, format_args!(", {} NOT enforced", bans.not_enforced));
    }
    if bans.flows > 0 {
        out::add(&mut banned, format_args!(", {} denied", out::count(bans.flows, "flow")));
    }
    if bans.flows_not_enforced > 0 {
        out::add(&mut banned, format_args!(", {} NOT enforced", bans.flows_not_enforced));
    }
    let policy = &status.policy;
    let rule = format!(
        "{} failures in {} ban for {}",
        policy.max_failures,
        sipward_model::text::Span(policy.window_seconds),
        sipward_model::text::Span(policy.ban_time_seconds)
    );
    let version = Plain(&status.version);
    vec![
        (format!("sipward {version}   mode {mode}   {rule}"), bold()),
        connection,
        (format!("{banned}   {} failing", out::count(status.sources.tracked, "source")), plain),
        flood(&status.flood),
    ]
}

fn flood(flood: &Flood) -> (String, Style) {
    let summary = Plain(&flood.summary);
    match flood.state {
        FloodState::Quiet => (summary.to_string(), Style::new()),
        FloodState::Shielded => (format!("SHIELDED: {summary}"), warning()),
        FloodState::Deaf => (format!("DEAF: {summary}"), bad()),
    }
}

fn draw_rates(frame: &mut Frame<'_>, area: Rect, scene: &Scene) {
    let [words, curve] = Layout::vertical([Constraint::Length(1), Constraint::Min(0)]).areas(area);
    let (failures, bans) = (&scene.failures, &scene.bans_made);
    let rates = format!(
        "failures {}/s, {} in the last minute   bans {} in the last minute",
        failures.last(),
        failures.sum(),
        bans.sum()
    );
    frame.render_widget(Paragraph::new(rates), words);
    let curve_style = Style::new().fg(Color::Yellow);
    frame.render_widget(Sparkline::default().data(failures.all()).style(curve_style), curve);
}

fn titled(title: &str, is_active: bool) -> Block<'_> {
    let style = if is_active { bold() } else { Style::new() };
    Block::new().borders(Borders::TOP).title(title).title_style(style)
}

fn good() -> Style {
    Style::new().fg(Color::Green)
}

fn warning() -> Style {
    Style::new().fg(Color::Yellow).add_modifier(Modifier::BOLD)
}

fn bad() -> Style {
    Style::new().fg(Color::Red).add_modifier(Modifier::BOLD)
}

fn bold() -> Style {
    Style::new().add_modifier(Modifier::BOLD)
}

fn dim() -> Style {
    Style::new().add_modifier(Modifier::DIM)
}

#[cfg(test)]
mod tests;
