//! The screen. Fits whatever terminal there is: what finds no room is left out.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::Line;
use ratatui::widgets::{Block, Borders, Paragraph, Row, Sparkline, Table};

use super::scene::{NewBan, Scene};
use crate::cli::out;
use sipward_config::Mode;
use sipward_model::text::Plain;
use sipward_model::wire::{Flood, FloodState};

/// Columns from which bans and sources stand side by side.
const SIDE_BY_SIDE: u16 = 110;

/// Draws everything.
pub(super) fn draw(frame: &mut Frame<'_>, scene: &Scene) {
    let [head, rates, body, foot] = Layout::vertical([
        Constraint::Length(4),
        Constraint::Length(3),
        Constraint::Min(0),
        Constraint::Length(1),
    ])
    .areas(frame.area());
    frame.render_widget(Paragraph::new(status(scene)), head);
    draw_rates(frame, rates, scene);
    let layout = if body.width >= SIDE_BY_SIDE { Layout::horizontal } else { Layout::vertical };
    let [bans, sources] =
        layout([Constraint::Percentage(50), Constraint::Percentage(50)]).areas(body);
    draw_bans(frame, bans, scene);
    draw_sources(frame, sources, scene);
    let missed = match scene.missed {
        0 => String::new(),
        count => format!("   {count} events came too fast to be shown"),
    };
    frame.render_widget(
        Paragraph::new(format!("q quits   times are UTC{missed}")).style(dim()),
        foot,
    );
}

fn status(scene: &Scene) -> Vec<Line<'static>> {
    if let Some(why) = &scene.lost {
        let lost = format!("no connection to sipward: {}", Plain(why));
        return vec![Line::styled(lost, bad()), Line::from("retrying every second")];
    }
    let Some(status) = &scene.status else {
        return vec![Line::from("asking the daemon…")];
    };
    let socket = &status.event_socket;
    let connection = match &socket.peer {
        Some(peer) if socket.connected => {
            Line::styled(format!("FreeSWITCH {} connected", Plain(peer)), good())
        }
        Some(_) | None => {
            let why = socket.error.as_deref().unwrap_or("no reason known");
            Line::styled(format!("FreeSWITCH NOT connected: {}", Plain(why)), bad())
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
    vec![
        Line::styled(
            format!("sipward {}   mode {mode}   {rule}", Plain(&status.version)),
            Style::new().add_modifier(Modifier::BOLD),
        ),
        connection,
        Line::from(format!("{banned}   {} failing", out::count(status.sources.tracked, "source"))),
        flood(&status.flood),
    ]
}

fn flood(flood: &Flood) -> Line<'static> {
    let summary = Plain(&flood.summary);
    match flood.state {
        FloodState::Quiet => Line::from(summary.to_string()),
        FloodState::Shielded => Line::styled(format!("SHIELDED: {summary}"), warning()),
        FloodState::Deaf => Line::styled(format!("DEAF: {summary}"), bad()),
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

fn draw_bans(frame: &mut Frame<'_>, area: Rect, scene: &Scene) {
    let rows = scene.bans.iter().take(usize::from(area.height)).map(|ban| {
        let NewBan { time, net, why, ended } = ban;
        let row = Row::new([time.clone(), net.clone(), Plain(why).to_string()]);
        if *ended { row.style(dim()) } else { row }
    });
    let widths = [Constraint::Length(8), Constraint::Max(49), Constraint::Fill(1)];
    let table = Table::new(rows, widths).block(titled("Newest bans and denied flows"));
    frame.render_widget(table, area);
}

fn draw_sources(frame: &mut Frame<'_>, area: Rect, scene: &Scene) {
    let busiest = scene.busiest(usize::from(area.height));
    let rows = busiest.into_iter().map(|(address, source)| {
        let row = Row::new([
            source.failures.to_string(),
            Plain(address).to_string(),
            Plain(&source.user).to_string(),
            Plain(&source.user_agent).to_string(),
        ]);
        if source.banned { row.style(dim()) } else { row }
    });
    let widths =
        [Constraint::Length(7), Constraint::Max(39), Constraint::Max(20), Constraint::Fill(1)];
    let table = Table::new(rows, widths).block(titled("Busiest sources (failures, user, agent)"));
    frame.render_widget(table, area);
}

fn titled(title: &str) -> Block<'_> {
    Block::new().borders(Borders::TOP).title(title)
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

fn dim() -> Style {
    Style::new().add_modifier(Modifier::DIM)
}

#[cfg(test)]
mod tests;
