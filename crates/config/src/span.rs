//! Finds the position of a key's value in the text, for errors found after parsing.

use std::ops::Range;

use toml::de::{DeTable, DeValue};

/// Byte range of the value of the dotted `key` in `source`; `None` when the file leaves it out.
/// Every name in `aliases` is tried for the last part of the key.
pub(super) fn of_value(source: &str, key: &str, aliases: &[&str]) -> Option<Range<usize>> {
    let document = DeTable::parse(source).ok()?;
    let mut table = document.get_ref();
    let (parents, last) = match key.rsplit_once('.') {
        Some((parents, last)) => (Some(parents), last),
        None => (None, key),
    };
    for part in parents.into_iter().flat_map(|p| p.split('.')) {
        let DeValue::Table(inner) = table.get(part)?.get_ref() else {
            return None;
        };
        table = inner;
    }
    std::iter::once(last)
        .chain(aliases.iter().copied())
        .find_map(|name| table.get(name))
        .map(toml::Spanned::span)
}

/// Line and column (both from 1, column in characters) of byte `offset`.
pub(super) fn line_column(source: &str, offset: usize) -> (usize, usize) {
    let before = source.get(..offset).unwrap_or(source);
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    let line = before.matches('\n').count() + 1;
    let column = before.get(line_start..).unwrap_or_default().chars().count() + 1;
    (line, column)
}
