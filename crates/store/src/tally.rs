//! The history in numbers. `SQLite` groups the rows, so that what is held is a few thousand numbers however many there
//! are.

use std::collections::BTreeMap;

use ipnet::IpNet;
use rusqlite::{Connection, OptionalExtension as _, params};
use sipward_engine::Timestamp;

use super::column::{micros, timestamp};
use super::key::Net;
use super::kind::HistoryKind;

/// Microseconds of a day.
const DAY: i64 = 86_400_000_000;

/// Countries told apart at most: there are 250 codes, and a damaged file may have any number.
const MAX_COUNTRIES: usize = 300;

/// Which part of the history is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TallyQuery {
    /// Not before.
    pub from: Timestamp,
    /// Not after.
    pub to: Timestamp,
    /// Where days begin: microseconds that local time is ahead of UTC.
    pub ahead_micros: i64,
}

/// Decisions of a span, counted. Pieces of split bans do not count: they are no decision about an attacker.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// The oldest decision that is stored.
    pub oldest: Option<Timestamp>,
    /// Each kind of decision of each day, since the epoch, by what decided it: a rule, `manual`, `adopted`; `None` for
    /// what no ban belongs to.
    pub counts: Vec<(i64, HistoryKind, Option<String>, u64)>,
    /// Bans and different networks, by what the caller calls the country of a network; `None` when it did not ask.
    pub countries: Option<BTreeMap<Option<String>, (u64, u64)>>,
}

/// Counts. `country` says where a network is; without it nothing is counted by country.
pub(super) fn tally(
    connection: &Connection,
    query: &TallyQuery,
    country: Option<impl Fn(IpNet) -> Option<String>>,
) -> rusqlite::Result<Tally> {
    let TallyQuery { from, to, ahead_micros } = *query;
    let (from, to) = (micros(from), micros(to));
    let oldest = connection
        .query_row("SELECT at FROM history ORDER BY at LIMIT 1", [], |row| row.get(0))
        .optional()?
        .map(timestamp);
    let sql = "SELECT (at + ?1) / ?2, kind, coalesce(cause ->> 'rule', cause ->> 'by') AS decided, count(*) \
               FROM history WHERE at BETWEEN ?3 AND ?4 AND decided IS NOT 'split' GROUP BY 1, 2, 3";
    let mut statement = connection.prepare(sql)?;
    let mut rows = statement.query(params![ahead_micros, DAY, from, to])?;
    let mut counts = Vec::new();
    while let Some(row) = rows.next()? {
        if let Some(kind) = HistoryKind::of_number(row.get(1)?) {
            let count: i64 = row.get(3)?;
            counts.push((row.get(0)?, kind, row.get(2)?, count.unsigned_abs()));
        }
    }
    let countries = country.map(|country| by_country(connection, from, to, country)).transpose()?;
    Ok(Tally { oldest, counts, countries })
}

fn by_country(
    connection: &Connection,
    from: i64,
    to: i64,
    country: impl Fn(IpNet) -> Option<String>,
) -> rusqlite::Result<BTreeMap<Option<String>, (u64, u64)>> {
    let sql = "SELECT net, count(*) FROM history \
               WHERE at BETWEEN ? AND ? AND kind = 0 AND cause ->> 'by' IS NOT 'split' GROUP BY net";
    let mut statement = connection.prepare(sql)?;
    let mut rows = statement.query([from, to])?;
    let mut countries = BTreeMap::new();
    while let Some(row) = rows.next()? {
        // Rows that make no sense are left out.
        let Ok(Net(net)) = row.get(0) else { continue };
        let count: i64 = row.get(1)?;
        let found = country(net);
        let is_full = countries.len() >= MAX_COUNTRIES && !countries.contains_key(&found);
        let (bans, nets) = countries.entry(found.filter(|_| !is_full)).or_insert((0, 0));
        *bans += count.unsigned_abs();
        *nets += 1;
    }
    Ok(countries)
}
