//! The two forms of a log line.

use std::fmt::{self, Write as _};
use std::os::linux::fs::MetadataExt as _;

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use sipward_model::record::TARGET;
use sipward_model::text::{Plain, is_hidden};

/// One JSON object a line: `time`, `level`, `event` and the fields of the record. Lines that are
/// no record have the event `log` with `target` and `message`.
pub(super) struct Json {
    /// Put journald's priority prefix (`<4>`, sd-daemon(3)) before the object; journald takes it
    /// off again, so that `journalctl -p warning` works.
    pub(super) priorities: bool,
}

/// One line of text.
pub(super) struct Text;

/// Writes what [`is_hidden`] as an escape: in JSON it can only be inside of a string.
struct JsonEscapes<'w, W>(&'w mut W);

impl<W: fmt::Write> fmt::Write for JsonEscapes<'_, W> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        escape(self.0, text, |out, c| {
            let mut units = [0; 2];
            c.encode_utf16(&mut units).iter().try_for_each(|unit| write!(out, "\\u{unit:04x}"))
        })
    }
}

/// The same for a line of text.
struct TextEscapes<'w, W>(&'w mut W);

impl<W: fmt::Write> fmt::Write for TextEscapes<'_, W> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        escape(self.0, text, |out, c| write!(out, "{}", c.escape_debug()))
    }
}

fn escape<W: fmt::Write>(
    out: &mut W,
    text: &str,
    mut hidden: impl FnMut(&mut W, char) -> fmt::Result,
) -> fmt::Result {
    let mut rest = text;
    while let Some((place, c)) = rest.char_indices().find(|(_, c)| is_hidden(*c)) {
        let (plain, after) = rest.split_at(place);
        out.write_str(plain)?;
        hidden(out, c)?;
        rest = after.get(c.len_utf8()..).unwrap_or_default();
    }
    out.write_str(rest)
}

/// Whether standard output goes to journald: `JOURNAL_STREAM` names its device and inode
/// (systemd.exec(5)); a redirected child has inherited the variable, but not the file.
pub(super) fn journald_reads_stdout() -> bool {
    let Ok(stream) = std::env::var("JOURNAL_STREAM") else {
        return false;
    };
    let Ok(stdout) = std::fs::metadata("/proc/self/fd/1") else {
        return false;
    };
    stream == format!("{}:{}", stdout.st_dev(), stdout.st_ino())
}

impl<S, N> FormatEvent<S, N> for Json
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut out: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let meta = event.metadata();
        let level = *meta.level();
        if self.priorities {
            write!(out, "<{}>", priority(level))?;
        }
        write!(out, r#"{{"time":"{}","level":"{level}""#, now())?;
        let mut line = JsonEscapes(&mut out);
        if meta.target() == TARGET {
            let mut object = Only { name: "json", text: String::new() };
            event.record(&mut object);
            // The record is an object: its fields are added to those of the line.
            write!(line, ",{}", object.text.strip_prefix('{').unwrap_or("}"))?;
        } else {
            let mut fields = serde_json::Map::new();
            event.record(&mut Fields(&mut fields));
            let target = serde_json::Value::from(meta.target());
            write!(line, r#","event":"log","target":{target}"#)?;
            for (name, value) in fields {
                write!(line, ",{}:{value}", serde_json::Value::from(name))?;
            }
            line.write_char('}')?;
        }
        writeln!(out)
    }
}

impl<S, N> FormatEvent<S, N> for Text
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut out: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let meta = event.metadata();
        let level = *meta.level();
        let (on, off) = if out.has_ansi_escapes() { (colour(level), "\x1b[0m") } else { ("", "") };
        write!(out, "{} {on}{level:5}{off} ", now())?;
        let mut words = TextEscapes(&mut out);
        if meta.target() == TARGET {
            let mut line = Only { name: "text", text: String::new() };
            event.record(&mut line);
            words.write_str(&line.text)?;
            return writeln!(out);
        }
        let mut fields = serde_json::Map::new();
        event.record(&mut Fields(&mut fields));
        if let Some(message) = fields.remove("message") {
            write!(words, "{}", Plain(message.as_str().unwrap_or_default()))?;
        }
        for (name, value) in fields {
            write!(words, " {name}={value}")?;
        }
        writeln!(out)
    }
}

fn now() -> impl fmt::Display {
    let now = jiff::Timestamp::now();
    format!("{now:.3}")
}

/// syslog(3) priorities.
fn priority(level: Level) -> u8 {
    match level {
        Level::ERROR => 3,
        Level::WARN => 4,
        Level::INFO => 6,
        _ => 7,
    }
}

fn colour(level: Level) -> &'static str {
    match level {
        Level::ERROR => "\x1b[31m",
        Level::WARN => "\x1b[33m",
        Level::INFO => "\x1b[32m",
        _ => "\x1b[2m",
    }
}

/// Renders one field and leaves the others alone.
struct Only {
    name: &'static str,
    text: String,
}

impl Visit for Only {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == self.name {
            // Writing to a String cannot fail.
            let _ = write!(self.text, "{value:?}");
        }
    }
}

/// Collects every field.
struct Fields<'a>(&'a mut serde_json::Map<String, serde_json::Value>);

impl Fields<'_> {
    fn insert(&mut self, field: &Field, value: impl Into<serde_json::Value>) {
        self.0.insert(field.name().to_owned(), value.into());
    }
}

impl Visit for Fields<'_> {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.insert(field, value);
    }
    fn record_i64(&mut self, field: &Field, value: i64) {
        self.insert(field, value);
    }
    fn record_u64(&mut self, field: &Field, value: u64) {
        self.insert(field, value);
    }
    fn record_bool(&mut self, field: &Field, value: bool) {
        self.insert(field, value);
    }
    fn record_str(&mut self, field: &Field, value: &str) {
        self.insert(field, value);
    }
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.insert(field, format!("{value:?}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOSTILE: &str = "a\u{9b}31m\u{202e}b\u{2066}c\u{2028}\u{7f}\u{200b}\u{e0041}é\u{1f600}";

    #[test]
    fn json_lines_hold_no_hidden_character_and_mean_the_same() {
        let text = serde_json::to_string(HOSTILE).unwrap();
        let mut line = String::new();
        // In pieces, as `write!` hands them over.
        for piece in text.split_inclusive('b') {
            JsonEscapes(&mut line).write_str(piece).unwrap();
        }
        assert!(!line.chars().any(is_hidden), "{line}");
        assert!(line.contains("\\u009b31m\\u202e") && line.contains("é\u{1f600}"), "{line}");
        assert_eq!(serde_json::from_str::<String>(&line).unwrap(), HOSTILE);
    }

    #[test]
    fn text_lines_hold_no_hidden_character_and_stay_one_line() {
        let mut line = String::new();
        write!(TextEscapes(&mut line), "x{HOSTILE}\n{{\"event\":\"ban\"}}\r\x1b[2J").unwrap();
        assert!(!line.chars().any(is_hidden), "{line:?}");
        assert!(line.contains("\\u{9b}31m\\u{202e}b") && line.contains("\\n{"), "{line}");
    }
}
