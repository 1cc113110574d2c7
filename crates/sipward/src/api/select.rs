//! A page of many bans: read in parts, so that half a million do not hold up the next failure, and with
//! no more of them in hand than the page shows.

use std::collections::BTreeSet;

use ipnet::IpNet;
use sipward_engine::{BanView, Expiry};

use super::convert;
use super::fault::Fault;
use super::model::{BanOrder, BanQuery, Direction};
use crate::daemon::Desk;

/// Bans looked at in one visit of the engine: well under a millisecond.
const PART: usize = 4_096;

/// What a page is sorted by: the time in question, 0 for networks alone, then the network.
type Key = (u64, IpNet);

/// The bans of one page, in order, and what is said of the rest.
#[derive(Debug, Default)]
pub(super) struct Selected {
    pub(super) nets: Vec<IpNet>,
    pub(super) total: u64,
    pub(super) next: Option<String>,
}

/// Finds the bans of the page that `query` asks for.
pub(super) async fn select(desk: &Desk, query: BanQuery, limit: usize) -> Result<Selected, Fault> {
    let mut page = Page::new(query, limit)?;
    let mut last = None;
    loop {
        let visit = desk.visit(move |judge| {
            let more = page.take(judge.engine().bans_after(last).take(PART));
            (page, more)
        });
        let more;
        (page, more) = visit.await?;
        match more {
            Some(net) => last = Some(net),
            None => return Ok(page.done()),
        }
    }
}

/// A page in the making.
#[derive(Debug)]
struct Page {
    query: BanQuery,
    order: BanOrder,
    falling: bool,
    /// Behind this.
    cursor: Option<Key>,
    /// One more than the page has, to know whether there is a next one.
    room: usize,
    best: BTreeSet<Key>,
    total: u64,
}

impl Page {
    fn new(query: BanQuery, limit: usize) -> Result<Self, Fault> {
        let cursor = query.cursor.as_deref().map(key_of).transpose()?;
        let order = query.sort.unwrap_or_default();
        let falling = query.order == Some(Direction::Desc);
        let (room, best) = (limit + 1, BTreeSet::new());
        Ok(Self { query, order, falling, cursor, room, best, total: 0 })
    }

    /// Looks at a part; gives the last network when there may be more.
    fn take<'a>(&mut self, part: impl Iterator<Item = BanView<'a>>) -> Option<IpNet> {
        let (mut seen, mut last) = (0, None);
        for ban in part {
            seen += 1;
            last = Some(ban.net);
            if self.fits(&ban) {
                self.total += 1;
                self.add((self.time(&ban), ban.net));
            }
        }
        last.filter(|_| seen >= PART)
    }

    fn fits(&self, ban: &BanView<'_>) -> bool {
        let BanQuery { inside, covering, origin, state, rule, .. } = &self.query;
        inside.is_none_or(|net| net.0.contains(&ban.net))
            && covering.is_none_or(|net| ban.net.contains(&net.0))
            && origin.is_none_or(|origin| origin == convert::origin(ban.origin))
            && state.is_none_or(|state| state == convert::state(ban.enforcement))
            && rule.is_none_or(|rule| ban.cause.evidence().is_some_and(|seen| seen.rule == rule))
    }

    fn time(&self, ban: &BanView<'_>) -> u64 {
        match self.order {
            BanOrder::Net => 0,
            BanOrder::Since => ban.since.as_micros(),
            BanOrder::Until => match ban.until {
                Expiry::At(end) => end.as_micros(),
                Expiry::Never => u64::MAX,
            },
        }
    }

    fn add(&mut self, key: Key) {
        let behind = |cursor| if self.falling { key < cursor } else { key > cursor };
        if !self.cursor.is_none_or(behind) {
            return;
        }
        self.best.insert(key);
        if self.best.len() > self.room {
            if self.falling {
                self.best.pop_first()
            } else {
                self.best.pop_last()
            };
        }
    }

    fn done(self) -> Selected {
        let mut keys: Vec<Key> = self.best.into_iter().collect();
        if self.falling {
            keys.reverse();
        }
        let more = keys.len() >= self.room;
        keys.truncate(self.room - 1);
        let next = keys.last().filter(|_| more).map(|(time, net)| format!("{time}_{net}"));
        let nets = keys.into_iter().map(|(_, net)| net).collect();
        Selected { nets, total: self.total, next }
    }
}

fn key_of(cursor: &str) -> Result<Key, Fault> {
    let parts = cursor.split_once('_');
    let key = parts.and_then(|(time, net)| Some((time.parse().ok()?, net.parse().ok()?)));
    key.ok_or_else(|| Fault::field("cursor", "take it from `next` of the page before"))
}
