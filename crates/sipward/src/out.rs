//! Standard output: JSON and text without control characters, whatever their origin.

mod style;
mod table;

use std::fmt::{self, Write as _};
use std::io::{self, IsTerminal as _, Write as _};

use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

pub(crate) use sipward_model::text::count;
use sipward_model::text::is_hidden;
pub(crate) use style::{Color, Tone, choose, clock, paint, time, zone, zone_name};
pub(crate) use table::{Column, GAP, Table, total, widths};

/// Columns of a terminal that does not say.
const USUAL_WIDTH: usize = 100;

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
        if c != '\n' && is_hidden(c) {
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
            if !current.is_empty() && shown(&current) + shown(word.trim_end()) > room {
                lines.push(std::mem::take(&mut current));
            }
            current.push_str(word);
        }
        lines.push(current);
    }
    let mut out = String::new();
    for (number, line) in lines.iter().enumerate() {
        if number > 0 {
            blanks(indent, &mut out);
        }
        let line = line.trim_end();
        // A word that is wider than the room is cut: nothing wraps by itself.
        out.push_str(&if shown(line) > room { cut(line, room) } else { line.to_owned() });
        out.push('\n');
    }
    out
}

/// Breaks the lines that are wider than the terminal; their rest is indented by `indent` columns, as wide as the
/// name in front of them.
pub(crate) fn hang(text: &str, indent: usize, width: Option<usize>) -> String {
    let mut out = String::new();
    for line in text.lines() {
        let place = line.char_indices().nth(indent).map_or(0, |(place, _)| place);
        let (name, rest) = line.split_at(place);
        if width.is_none_or(|width| shown(line) <= width) {
            out.push_str(line);
            out.push('\n');
        } else {
            out.push_str(name);
            out.push_str(&wrap(rest, indent, width));
        }
    }
    out
}

/// Text without the colours that [`paint`] has put in.
pub(crate) fn unpainted(text: &str) -> String {
    let mut parts = text.split("\u{1b}[");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| text + part.split_once('m').map_or("", |(_, behind)| behind))
}

/// Columns of a text in which only [`paint`] has written control characters.
fn shown(text: &str) -> usize {
    unpainted(text).width()
}

fn blanks(count: usize, out: &mut String) {
    out.extend(std::iter::repeat_n(' ', count));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_are_too_wide_go_on_below_their_text() {
        let text = "State   one two three four\nFlood   quiet\n";
        assert_eq!(hang(text, 8, Some(24)), "State   one two three\n        four\nFlood   quiet\n");
        assert_eq!(hang(text, 8, None), text);
        let painted = "State   \u{1b}[1;31msix two\u{1b}[0m three four\n";
        let broken = "State   \u{1b}[1;31msix two\u{1b}[0m three\n        four\n";
        assert_eq!(hang(painted, 8, Some(24)), broken, "colour takes no room");
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
