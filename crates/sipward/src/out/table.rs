//! Tables that fit the terminal.

use sipward_model::text::Plain;
use unicode_width::UnicodeWidthStr as _;

use super::style::{Tone, paint};
use super::{blanks, cut};

/// Space between two columns of a table.
pub(crate) const GAP: usize = 2;

/// A column that is cut keeps so many columns of the terminal; where even that finds no room, it is left out.
const LEAST: usize = 12;

/// One column: its head, and what becomes of it on a narrow terminal.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Column {
    head: &'static str,
    narrow: Narrow,
    is_numbers: bool,
    is_optional: bool,
    tone: fn(&str) -> Option<Tone>,
}

/// What becomes of a column that finds no room. Of several, the one with the greatest rank goes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Narrow {
    /// It stays whole: addresses, and what the table is about.
    Kept,
    /// Its cells are cut.
    Cut(u8),
    /// It is left out: half a time or a half span would be wrong.
    LeftOut(u8),
}

impl Column {
    /// Never cut: addresses.
    pub(crate) const fn kept(head: &'static str) -> Self {
        Self::new(head, Narrow::Kept)
    }

    /// Cut where it finds no room; the greatest `rank` first.
    pub(crate) const fn text(head: &'static str, rank: u8) -> Self {
        Self::new(head, Narrow::Cut(rank))
    }

    /// Left out where it finds no room; the greatest `rank` first.
    pub(crate) const fn extra(head: &'static str, rank: u8) -> Self {
        Self::new(head, Narrow::LeftOut(rank))
    }

    /// Cells for which `tone` gives one are coloured.
    pub(crate) const fn toned(self, tone: fn(&str) -> Option<Tone>) -> Self {
        Self { tone, ..self }
    }

    /// Numbers, which end below each other.
    pub(crate) const fn numbers(self) -> Self {
        Self { is_numbers: true, ..self }
    }

    /// Left out where all its cells are empty.
    pub(crate) const fn optional(self) -> Self {
        Self { is_optional: true, ..self }
    }

    pub(crate) const fn head(&self) -> &'static str {
        self.head
    }

    pub(crate) const fn is_numbers(&self) -> bool {
        self.is_numbers
    }

    /// The least width of a column that would take `width`.
    pub(crate) fn least(&self, width: usize) -> usize {
        match self.narrow {
            Narrow::Cut(_) => width.min(LEAST),
            Narrow::Kept | Narrow::LeftOut(_) => width,
        }
    }

    const fn new(head: &'static str, narrow: Narrow) -> Self {
        Self { head, narrow, is_numbers: false, is_optional: false, tone: |_| None }
    }
}

/// Rows of cells under a head, as wide as their longest cell. Cells are escaped here.
#[derive(Debug)]
pub(crate) struct Table<const N: usize> {
    columns: [Column; N],
    rows: Vec<[String; N]>,
}

impl<const N: usize> Table<N> {
    pub(crate) const fn new(columns: [Column; N]) -> Self {
        Self { columns, rows: Vec::new() }
    }

    pub(crate) fn row(&mut self, mut cells: [String; N]) {
        for (cell, column) in cells.iter_mut().zip(&self.columns) {
            if !(cell.is_empty() && column.is_optional) {
                *cell = Plain(cell).to_string();
            }
        }
        self.rows.push(cells);
    }

    /// As text. On a terminal of `width` columns it is made to fit; piped (`None`) nothing is cut.
    pub(crate) fn render(&self, width: Option<usize>) -> String {
        let rows = self.rows.iter().map(<[String; N]>::as_slice);
        let widths = widths(&self.columns, rows, width.unwrap_or(usize::MAX));
        let mut out = String::new();
        let head = self.columns.map(|column| column.head.to_owned());
        self.line(&head, &widths, |_, _| Some(Tone::Head), &mut out);
        for row in &self.rows {
            self.line(row, &widths, |column, cell| (column.tone)(cell), &mut out);
        }
        out
    }

    fn line(
        &self,
        cells: &[String; N],
        widths: &[Option<usize>],
        tone: impl Fn(&Column, &str) -> Option<Tone>,
        out: &mut String,
    ) {
        // Nothing follows the last cell of a line.
        let mut before = 0;
        for ((cell, width), column) in cells.iter().zip(widths).zip(&self.columns) {
            let Some(width) = *width else { continue };
            let shown = cut(cell, width);
            let rest = width.saturating_sub(shown.width());
            let (left, right) = if column.is_numbers { (rest, 0) } else { (0, rest) };
            if !shown.is_empty() {
                blanks(before + left, out);
                before = 0;
                let tone = tone(column, cell);
                out.push_str(&tone.map_or_else(|| shown.clone(), |tone| paint(&shown, tone)));
            }
            before += right + GAP;
        }
        out.push('\n');
    }
}

/// The width of each column where there is room for so many columns of the terminal; `None` of those that are left
/// out.
pub(crate) fn widths<'a>(
    columns: &[Column],
    rows: impl Iterator<Item = &'a [String]>,
    room: usize,
) -> Vec<Option<usize>> {
    let mut widest = vec![0; columns.len()];
    for row in rows {
        for (widest, cell) in widest.iter_mut().zip(row) {
            *widest = (*widest).max(cell.width());
        }
    }
    let is_shown = |column: &Column, widest: usize| widest > 0 || !column.is_optional;
    let mut widths: Vec<Option<usize>> = columns
        .iter()
        .zip(widest)
        .map(|(column, widest)| is_shown(column, widest).then(|| widest.max(column.head.width())))
        .collect();
    let ranked = columns.iter().enumerate().filter_map(|(place, column)| match column.narrow {
        Narrow::Kept => None,
        Narrow::Cut(rank) | Narrow::LeftOut(rank) => Some((rank, place, column.narrow)),
    });
    let mut ranked: Vec<(u8, usize, Narrow)> = ranked.collect();
    ranked.sort_unstable_by_key(|(rank, place, _)| std::cmp::Reverse((*rank, *place)));
    // First they give way, then those that are cut already are left out.
    for is_last_resort in [false, true] {
        for (_, place, narrow) in &ranked {
            let over = total(&widths).saturating_sub(room);
            if over == 0 {
                return widths;
            }
            if let Some(width) = widths.get_mut(*place) {
                let is_cut = matches!(narrow, Narrow::Cut(_)) && !is_last_resort;
                let least = |width: usize| width.saturating_sub(over).max(width.min(LEAST));
                *width = width.filter(|_| is_cut).map(least);
            }
        }
    }
    widths
}

/// Columns that a table of these widths takes.
pub(crate) fn total(widths: &[Option<usize>]) -> usize {
    let shown = widths.iter().flatten();
    shown.clone().sum::<usize>() + GAP * shown.count().saturating_sub(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_of_attackers_move_no_cursor_and_break_no_line() {
        let mut table = Table::new([Column::kept("USER"), Column::text("AGENT", 1)]);
        table.row(["\u{1b}[2Jroot".into(), "a\nb\u{9b}31m\u{202e}".into()]);
        let text = table.render(None);
        assert_eq!(text, "USER           AGENT\n\\u{1b}[2Jroot  a\\nb\\u{9b}31m\\u{202e}\n");
    }

    #[test]
    fn an_optional_column_is_shown_where_one_of_its_cells_says_something() {
        let table = |from: &str| {
            let columns = [Column::kept("NETWORK"), Column::extra("FROM", 1).optional()];
            let mut table = Table::new(columns);
            table.row(["192.0.2.1/32".to_owned(), String::new()]);
            table.row(["192.0.2.2/32".to_owned(), from.to_owned()]);
            table.render(None)
        };
        assert_eq!(table(""), "NETWORK\n192.0.2.1/32\n192.0.2.2/32\n");
        assert_eq!(table("a"), "NETWORK       FROM\n192.0.2.1/32\n192.0.2.2/32  a\n");
    }

    fn bans() -> Table<5> {
        let mut table = Table::new([
            Column::kept("NETWORK"),
            Column::extra("SCOPE", 3),
            Column::extra("LEFT", 2),
            Column::text("WHY", 1),
            Column::text("AGENT", 2),
        ]);
        table.row(
            [
                "2001:db8:1234:5678::/64",
                "host",
                "6days 23h",
                "failures 5, user 1000",
                "friendly-scanner",
            ]
            .map(str::to_owned),
        );
        table
    }

    #[test]
    fn the_least_important_columns_give_way_first_and_addresses_stay_whole() {
        let row = |width| {
            let text = bans().render(width);
            assert!(
                text.lines().all(|line| width.is_none_or(|width| line.width() <= width)),
                "{text}"
            );
            text.lines().last().unwrap().to_owned()
        };
        let net = "2001:db8:1234:5678::/64";
        let whole = format!("{net}  host   6days 23h  failures 5, user 1000  friendly-scanner");
        assert_eq!(row(None), whole);
        assert_eq!(row(Some(82)), whole);
        assert_eq!(
            row(Some(80)),
            format!("{net}  6days 23h  failures 5, user 1000  friendly-scanner")
        );
        assert_eq!(
            row(Some(72)),
            format!("{net}  6days 23h  failures 5, user 1000  friendly-sca…")
        );
        assert_eq!(row(Some(60)), format!("{net}  failures 5, user 1000  friendly-sc…"));
        assert_eq!(row(Some(52)), format!("{net}  failures 5, …  friendly-sc…"));
        assert_eq!(row(Some(40)), format!("{net}  failures 5,…"));
        assert_eq!(row(Some(23)), net);
    }

    #[test]
    fn an_address_is_not_cut_where_the_terminal_is_narrower() {
        let text = bans().render(Some(20));
        assert!(text.contains("2001:db8:1234:5678::/64\n"), "{text}");
    }
}
