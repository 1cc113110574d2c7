//! Parts of the tables: cells, shortened lists, texts.

use super::COLUMNS;
use crate::report::Listed;
use sipward_model::text::Time;
pub(super) use sipward_model::text::count;
use std::fmt;

/// One row of six cells; the first five have their widths, a longer one pushes the rest to a line of its
/// own. The last one gets what is left.
pub(super) fn row(f: &mut fmt::Formatter<'_>, cells: &[&str; 6]) -> fmt::Result {
    const WIDTHS: [usize; 5] = [14, 18, 11, 11, 5];
    let mut line = String::new();
    let mut column = 0;
    for (cell, width) in cells.iter().zip(WIDTHS) {
        let end = column + width + 1;
        line.push_str(cell);
        if line.chars().count() >= end {
            writeln!(f, "{}", line.trim_end())?;
            line.clear();
        }
        column = end;
        let missing = column - line.chars().count();
        line.extend(std::iter::repeat_n(' ', missing));
    }
    let [.., last] = cells;
    line.push_str(&shortened(last, COLUMNS - column));
    writeln!(f, "{}", line.trim_end())
}

/// The first entries, and how many there are more.
pub(super) fn rows<T>(
    f: &mut fmt::Formatter<'_>,
    list: &Listed<T>,
    most: usize,
    one: impl Fn(&mut fmt::Formatter<'_>, &T) -> fmt::Result,
) -> fmt::Result {
    list.entries.iter().take(most).try_for_each(|entry| one(f, entry))?;
    more(f, list.total.saturating_sub(most as u64))
}

pub(super) fn some<T>(
    f: &mut fmt::Formatter<'_>,
    list: &[T],
    most: usize,
    one: impl Fn(&mut fmt::Formatter<'_>, &T) -> fmt::Result,
) -> fmt::Result {
    list.iter().take(most).try_for_each(|entry| one(f, entry))?;
    more(f, list.len().saturating_sub(most) as u64)
}

fn more(f: &mut fmt::Formatter<'_>, left_out: u64) -> fmt::Result {
    if left_out == 0 {
        return Ok(());
    }
    writeln!(f, "... and {left_out} more (--json lists them)")
}

/// `11-22 08:24:26`, UTC.
pub(super) fn short_time(time: Time) -> String {
    let text = time.to_string();
    let date = text.get(5..10).unwrap_or_default();
    let clock = text.get(11..19).unwrap_or_default();
    format!("{date} {clock}")
}

/// At most `columns` characters, the end of a longer text replaced by dots.
pub(super) fn shortened(text: &str, columns: usize) -> String {
    if text.chars().count() <= columns {
        return text.to_owned();
    }
    let kept: String = text.chars().take(columns.saturating_sub(3)).collect();
    kept + "..."
}
