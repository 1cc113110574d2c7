//! Standard output: JSON and text without control characters, whatever their origin.

use std::fmt::{self, Write as _};
use std::io::{self, IsTerminal as _, Write as _};

use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

use sipward_model::text::Plain;
pub(crate) use sipward_model::text::count;

/// Columns of a terminal that does not say.
const USUAL_WIDTH: usize = 100;

/// Space between two columns of a table.
const GAP: usize = 2;

/// Writes text as it is: the caller has escaped what came from outside.
pub(crate) fn text(text: &str) -> io::Result<()> {
    write(text)
}

/// Writes a JSON document. Control characters are written as `\u…`, which is the same in JSON.
pub(crate) fn json(document: &str) -> io::Result<()> {
    write(&escaped(document))
}

fn escaped(document: &str) -> String {
    let mut out = String::with_capacity(document.len() + 1);
    for c in document.trim_end().chars() {
        if c != '\n' && is_obeyed(c) {
            let mut units = [0; 2];
            for unit in c.encode_utf16(&mut units) {
                // Writing into a string cannot fail.
                let _ = write!(out, "\\u{unit:04x}");
            }
        } else {
            out.push(c);
        }
    }
    out.push('\n');
    out
}

/// Control characters of both sets, and those that change the direction of text or cannot be seen.
pub(super) fn is_obeyed(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e007f}'
        )
}

fn write(text: &str) -> io::Result<()> {
    bytes(text.as_bytes())
}

/// Writes a part of a file in which nothing is left that a terminal may obey.
pub(crate) fn bytes(part: &[u8]) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(part).and_then(|()| stdout.flush()) {
        // `sipward bans | head` has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        done => done,
    }
}

/// Puts more behind a text.
pub(crate) fn add(text: &mut String, more: fmt::Arguments<'_>) {
    // Writing into a string cannot fail.
    let _ = text.write_fmt(more);
}

/// Width of the terminal in columns; `None` where standard output is none.
pub(crate) fn width() -> Option<usize> {
    if !io::stdout().is_terminal() {
        return None;
    }
    let size = ratatui::crossterm::terminal::size();
    Some(size.map_or(USUAL_WIDTH, |(columns, _)| usize::from(columns)).max(20))
}

/// Rows of cells under a head, as wide as their longest cell. Cells are escaped here.
#[derive(Debug)]
pub(crate) struct Table<const N: usize> {
    rows: Vec<[String; N]>,
}

impl<const N: usize> Table<N> {
    pub(crate) fn new(head: [&str; N]) -> Self {
        Self { rows: vec![head.map(str::to_owned)] }
    }

    pub(crate) fn row(&mut self, cells: [String; N]) {
        self.rows.push(cells.map(|cell| Plain(&cell).to_string()));
    }

    /// As text. On a terminal of `width` columns the last column is cut to fit; piped (`None`) nothing
    /// is.
    pub(crate) fn render(&self, width: Option<usize>) -> String {
        let mut widths = [0; N];
        for row in &self.rows {
            for (widest, cell) in widths.iter_mut().zip(row) {
                *widest = (*widest).max(cell.width());
            }
        }
        let mut out = String::new();
        for row in &self.rows {
            let mut line = String::new();
            for (column, (cell, widest)) in row.iter().zip(widths).enumerate() {
                line.push_str(cell);
                if column + 1 < N {
                    let padding = widest - cell.width() + GAP;
                    line.extend(std::iter::repeat_n(' ', padding));
                }
            }
            let line = line.trim_end();
            out.push_str(&width.map_or_else(|| line.to_owned(), |width| cut(line, width)));
            out.push('\n');
        }
        out
    }
}

/// At most `width` columns of a line; where some are left out, the last is `…`.
pub(crate) fn cut(line: &str, width: usize) -> String {
    if line.width() <= width {
        return line.to_owned();
    }
    let mut out = String::new();
    let mut used = 1;
    for c in line.chars() {
        used += c.width().unwrap_or(0);
        if used > width {
            break;
        }
        out.push(c);
    }
    out.push('…');
    out
}

/// Breaks text between words, so that it fits a terminal whose first `indent` columns are taken; ends with
/// a line end. Piped (`None`) only its own lines are broken.
pub(crate) fn wrap(text: &str, indent: usize, width: Option<usize>) -> String {
    let room = width.map_or(usize::MAX, |width| width.saturating_sub(indent).max(16));
    let mut lines: Vec<String> = Vec::new();
    for line in text.lines() {
        let mut current = String::new();
        for word in line.split_inclusive(' ') {
            if !current.is_empty() && current.width() + word.trim_end().width() > room {
                lines.push(std::mem::take(&mut current));
            }
            current.push_str(word);
        }
        lines.push(current);
    }
    let mut out = String::new();
    for (number, line) in lines.iter().enumerate() {
        if number > 0 {
            out.extend(std::iter::repeat_n(' ', indent));
        }
        // A word that is wider than the room is cut: nothing wraps by itself.
        out.push_str(&cut(line.trim_end(), room));
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_of_attackers_move_no_cursor_and_break_no_line() {
        let mut table = Table::new(["USER", "AGENT"]);
        table.row(["\u{1b}[2Jroot".into(), "a\nb\u{9b}31m\u{202e}".into()]);
        let text = table.render(None);
        assert_eq!(text, "USER           AGENT\n\\u{1b}[2Jroot  a\\nb\\u{9b}31m\\u{202e}\n");
    }

    #[test]
    fn tables_fit_the_terminal_and_are_whole_when_piped() {
        let mut table = Table::new(["NETWORK", "WHY"]);
        table.row(["192.0.2.7/32".into(), "because of something that is long".into()]);
        let on_terminal = table.render(Some(24));
        assert!(on_terminal.lines().all(|line| line.width() <= 24), "{on_terminal}");
        assert!(on_terminal.contains("192.0.2.7/32  because o…"), "{on_terminal}");
        assert!(table.render(None).contains("because of something that is long"));
    }

    #[test]
    fn wide_characters_count_twice() {
        assert_eq!(cut("日本語日本語", 7), "日本語…");
        assert_eq!(cut("日本語", 6), "日本語");
    }

    #[test]
    fn what_a_terminal_would_obey_is_escaped_in_json_and_means_the_same() {
        let user = "\u{9b}31m\u{202e}\u{e0001}\u{7f}é日";
        let raw = format!("{{\"user\":\"{user}\"}}");
        let escaped = escaped(&raw);
        assert_eq!(escaped, "{\"user\":\"\\u009b31m\\u202e\\udb40\\udc01\\u007fé日\"}\n");
        let read: serde_json::Value = serde_json::from_str(&escaped).unwrap();
        assert_eq!(read["user"], user);
    }
}
