//! What happened: every ban, unban and refusal.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use ipnet::IpNet;
use rusqlite::types::Value;
use rusqlite::{Connection, Row, params_from_iter};
use sipward_engine::{Cause, Expiry, Flow, Refusal, Scope, Timestamp, UnblockReason};

use super::column::{expiry, flow, json, micros, scope, timestamp};
use super::key::{Key, Net};
use super::kind::HistoryKind;

/// Which part of the history is wanted. Without any condition all of it, newest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HistoryQuery {
    /// Of this network, of those inside it, and of those that cover it.
    pub net: Option<IpNet>,
    /// Of this kind only.
    pub kind: Option<HistoryKind>,
    /// Not before.
    pub from: Option<Timestamp>,
    /// Not after.
    pub to: Option<Timestamp>,
    /// Older than this: [`HistoryPage::next`] of the page before.
    pub before: Option<Cursor>,
    /// Events at most, 1 to [`HistoryQuery::MAX_LIMIT`]; values outside are moved inside.
    pub limit: usize,
}

impl HistoryQuery {
    /// Events in one page at most: about 1 MB.
    pub const MAX_LIMIT: usize = 1_000;
}

/// A part of the history, newest first.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HistoryPage {
    /// What happened.
    pub events: Vec<HistoryEvent>,
    /// Where the next page begins; `None` at the end.
    pub next: Option<Cursor>,
}

/// One thing that happened.
#[derive(Clone, Debug, PartialEq)]
pub struct HistoryEvent {
    /// When.
    pub at: Timestamp,
    /// To which network.
    pub net: IpNet,
    /// Decided in observe mode: nothing was blocked.
    pub observed: bool,
    /// What.
    pub what: What,
}

/// What happened.
#[derive(Clone, Debug, PartialEq)]
pub enum What {
    /// It was banned.
    Ban {
        /// What of it is stopped.
        scope: Scope,
        /// Until then.
        until: Expiry,
        /// Why.
        cause: Arc<Cause>,
    },
    /// Its ban ended.
    Unban {
        /// Why.
        reason: UnblockReason,
    },
    /// A flow of it was denied.
    FlowDenied {
        /// The flow.
        flow: Flow,
        /// Until then.
        until: Expiry,
        /// Why.
        cause: Arc<Cause>,
    },
    /// A flow of it was allowed again.
    FlowAllowed {
        /// The flow.
        flow: Flow,
        /// Why.
        reason: UnblockReason,
    },
    /// It should have been banned and was not.
    Refused {
        /// Why not.
        refusal: Refusal,
        /// What made it due.
        cause: Arc<Cause>,
    },
}

/// A place in the history. Its text form is for clients to hand back, not to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    pub(super) at: i64,
    pub(super) id: i64,
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.at, self.id)
    }
}

/// A text that is no [`Cursor`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a cursor; use `next` of the previous page")]
pub struct NoCursor;

impl FromStr for Cursor {
    type Err = NoCursor;

    fn from_str(text: &str) -> Result<Self, NoCursor> {
        let (at, id) = text.split_once('-').ok_or(NoCursor)?;
        let number = |text: &str| text.parse::<u64>().ok().and_then(|n| i64::try_from(n).ok());
        Ok(Self { at: number(at).ok_or(NoCursor)?, id: number(id).ok_or(NoCursor)? })
    }
}

/// Answers a question. Rows that make no sense are left out.
pub(super) fn page(connection: &Connection, query: &HistoryQuery) -> rusqlite::Result<HistoryPage> {
    let limit = query.limit.clamp(1, HistoryQuery::MAX_LIMIT);
    read(connection, query, (limit, limit), |_| true)
}

/// Events looked at for one page where only some networks are wanted: a fraction of a second.
const LOOKED_AT: usize = 50_000;

/// The same, of the networks that are `wanted`.
pub(super) fn page_of(
    connection: &Connection,
    query: &HistoryQuery,
    wanted: impl Fn(IpNet) -> bool,
) -> rusqlite::Result<HistoryPage> {
    let limit = query.limit.clamp(1, HistoryQuery::MAX_LIMIT);
    read(connection, query, (limit, LOOKED_AT), wanted)
}

/// At most `limit` events of the wanted networks, among at most `most` rows.
fn read(
    connection: &Connection,
    query: &HistoryQuery,
    (limit, most): (usize, usize),
    wanted: impl Fn(IpNet) -> bool,
) -> rusqlite::Result<HistoryPage> {
    let (conditions, values) = conditions(query);
    let sql = format!(
        "SELECT id, at, kind, observed, net, until, reason, cause, scope, flow FROM history {conditions} \
         ORDER BY at DESC, id DESC LIMIT {most}"
    );
    let mut statement = connection.prepare(&sql)?;
    let mut rows = statement.query(params_from_iter(values))?;
    let (mut events, mut seen, mut last) = (Vec::new(), 0, None);
    while let Some(row) = rows.next()? {
        seen += 1;
        last = Some(Cursor { at: row.get(1)?, id: row.get(0)? });
        if row.get(4).is_ok_and(|Net(net)| wanted(net)) {
            events.extend(event(row)?);
        }
        if events.len() >= limit {
            break;
        }
    }
    let more = seen == most || events.len() >= limit;
    Ok(HistoryPage { events, next: last.filter(|_| more) })
}

/// Bans and unbans by the minute, each with its number from the epoch; of those decided from `from` on and
/// before `to`.
pub(super) fn by_minute(
    connection: &Connection,
    from: Timestamp,
    to: Timestamp,
) -> rusqlite::Result<Vec<(u64, u32, u32)>> {
    let sql = "SELECT at / 60000000, SUM(kind = 0), SUM(kind = 1) FROM history \
               WHERE at >= ? AND at < ? AND kind < 2 GROUP BY 1";
    let mut statement = connection.prepare(sql)?;
    let rows = statement.query_map([micros(from), micros(to)], |row| {
        let count = |column| row.get::<_, i64>(column);
        let small = |count: i64| u32::try_from(count).unwrap_or(u32::MAX);
        Ok((count(0)?.unsigned_abs(), small(count(1)?), small(count(2)?)))
    })?;
    rows.collect()
}

/// The conditions of a question and the values they name, in order.
fn conditions(query: &HistoryQuery) -> (String, Vec<Value>) {
    let HistoryQuery { net, kind, from, to, before, limit: _ } = *query;
    let mut conditions = Vec::new();
    let mut values = Vec::new();
    let mut add = |condition: String, more: Vec<Value>| {
        conditions.push(condition);
        values.extend(more);
    };
    if let Some(net) = net {
        let net = net.trunc();
        let (low, high) = Key::range(net);
        let around: Vec<Value> = supernets(net).map(|net| Key::from(net).into()).collect();
        let places = vec!["?"; around.len()].join(", ");
        let condition = format!("(net BETWEEN ? AND ? OR net IN ({places}))");
        add(condition, [low.into(), high.into()].into_iter().chain(around).collect());
    }
    if let Some(kind) = kind {
        add("kind = ?".to_owned(), vec![kind.number().into()]);
    }
    if let Some(from) = from {
        add("at >= ?".to_owned(), vec![micros(from).into()]);
    }
    if let Some(to) = to {
        add("at <= ?".to_owned(), vec![micros(to).into()]);
    }
    if let Some(Cursor { at, id }) = before {
        add("(at, id) < (?, ?)".to_owned(), vec![at.into(), id.into()]);
    }
    let keyword = if conditions.is_empty() { "" } else { "WHERE " };
    (format!("{keyword}{}", conditions.join(" AND ")), values)
}

/// The networks around a network, narrowest first.
fn supernets(net: IpNet) -> impl Iterator<Item = IpNet> {
    std::iter::successors(net.supernet(), IpNet::supernet)
}

fn event(row: &Row<'_>) -> rusqlite::Result<Option<HistoryEvent>> {
    let (Ok(Net(net)), Some(kind)) = (row.get(4), HistoryKind::of_number(row.get(2)?)) else {
        return Ok(None);
    };
    let what = match kind {
        HistoryKind::Ban => json(row, 7).map(|cause| What::Ban {
            // Versions without scopes wrote none.
            scope: scope(row, 8).unwrap_or_default(),
            until: expiry_of(row),
            cause: Arc::new(cause),
        }),
        HistoryKind::FlowDenied => flow(row, 9).and_then(|flow| {
            Ok(What::FlowDenied { flow, until: expiry_of(row), cause: Arc::new(json(row, 7)?) })
        }),
        HistoryKind::FlowAllowed => {
            flow(row, 9).and_then(|flow| Ok(What::FlowAllowed { flow, reason: json(row, 6)? }))
        }
        HistoryKind::Unban => json(row, 6).map(|reason| What::Unban { reason }),
        HistoryKind::Refused => json(row, 6)
            .and_then(|refusal| Ok(What::Refused { refusal, cause: Arc::new(json(row, 7)?) })),
    };
    let at = timestamp(row.get(1)?);
    let observed = row.get(3)?;
    Ok(what.ok().map(|what| HistoryEvent { at, net, observed, what }))
}

fn expiry_of(row: &Row<'_>) -> Expiry {
    expiry(row.get(5).unwrap_or_default())
}
