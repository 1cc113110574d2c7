//! A page of many bans: read in parts, so that half a million do not hold up the next failure, and with
//! no more of them in hand than the page shows.
//!
//! Where a page depends on where addresses are, each part is looked up in the files of `[geo]` between two calls to
//! the engine, on a thread for that.

use std::collections::BTreeSet;

use ipnet::IpNet;
use memchr::memchr2_iter;
use sipward_engine::{BanView, Cause, Expiry};

use super::attacks::MAX_SEARCH;
use super::bounds::at_most;
use super::error::ControlError;
use super::{aside, convert};
use crate::EngineHandle;
use crate::geo::{Finder, Origin};
use sipward_model::wire::{BanFilter, BanOrder, BanQuery, CountryCode, Direction};

/// Bans looked at in one call to the engine: well under a millisecond.
const PART: usize = 4_096;

/// The same where their texts are searched.
const SEARCHED: usize = 1_024;

/// What a page is sorted by: the time, country or autonomous system in question, 0 for networks alone; then the network.
type Key = (u64, IpNet);

/// The bans of one page, in order, and what is said of the rest.
#[derive(Debug, Default)]
pub(super) struct Selected {
    pub(super) nets: Vec<IpNet>,
    pub(super) total: u64,
    pub(super) next: Option<String>,
}

/// Finds the bans of the page that `query` asks for.
pub(super) async fn select(
    engine: &EngineHandle,
    finder: Finder,
    query: BanQuery,
    limit: usize,
) -> Result<Selected, ControlError> {
    let mut page = Page::new(&query, finder, limit)?;
    let mut last = None;
    loop {
        let call = engine.call(move |task| {
            let part = page.filter.part();
            let more = page.take(task.engine().bans_after(last).take(part));
            (page, more)
        });
        let more;
        (page, more) = call.await?;
        if !page.unlocated.is_empty() {
            page = aside(move || page.located()).await?;
        }
        match more {
            Some(net) => last = Some(net),
            None => return Ok(page.done()),
        }
    }
}

/// Which bans are wanted.
#[derive(Clone, Debug)]
pub(super) struct Filter {
    wanted: BanFilter,
    /// In lower case.
    search: Option<Vec<u8>>,
    finder: Finder,
}

impl Filter {
    pub(super) fn new(wanted: BanFilter, finder: Finder) -> Result<Self, ControlError> {
        at_most("search", wanted.search.as_deref(), MAX_SEARCH)?;
        for (field, is_wanted) in
            [("country", wanted.country.is_some()), ("as", wanted.as_number.is_some())]
        {
            if is_wanted && finder.is_empty() {
                let detail = "no file says where addresses are; see `[geo] files`";
                return Err(ControlError::field(field, detail));
            }
        }
        let search = wanted.search.as_ref().filter(|search| !search.is_empty());
        let search = search.map(|search| search.to_ascii_lowercase().into_bytes());
        Ok(Self { wanted, search, finder })
    }

    /// Bans to look at in one call to the engine.
    pub(super) fn part(&self) -> usize {
        if self.search.is_some() { SEARCHED } else { PART }
    }

    /// Whether bans are wanted from some place only.
    pub(super) fn is_by_place(&self) -> bool {
        self.wanted.country.is_some() || self.wanted.as_number.is_some()
    }

    /// Whether bans of this network are wanted, by where it is.
    pub(super) fn is_there(&self, net: IpNet) -> bool {
        self.is_origin(self.finder.origin(net.addr()))
    }

    fn is_origin(&self, origin: Origin) -> bool {
        let BanFilter { country, as_number, .. } = &self.wanted;
        country.is_none_or(|wanted| origin.country == Some(wanted))
            && as_number.is_none_or(|wanted| origin.as_number == Some(wanted))
    }

    /// Whether a ban fits in everything but the place.
    pub(super) fn fits(&self, ban: &BanView<'_>) -> bool {
        let BanFilter { inside, covering, origin, state, scope, rule, .. } = &self.wanted;
        inside.is_none_or(|net| net.0.contains(&ban.net))
            && covering.is_none_or(|net| ban.net.contains(&net.0))
            && origin.is_none_or(|origin| origin == convert::origin(ban.origin))
            && state.is_none_or(|state| state == convert::state(ban.enforcement))
            && scope.is_none_or(|scope| scope == convert::scope(ban.scope))
            && rule.is_none_or(|rule| ban.cause.evidence().is_some_and(|seen| seen.rule == rule))
            && self.search.as_ref().is_none_or(|part| is_about(ban, part))
    }
}

/// Whether the texts of a ban hold `part`, which is in lower case.
fn is_about(ban: &BanView<'_>, part: &[u8]) -> bool {
    if holds(&ban.net.to_string(), part) {
        return true;
    }
    let cause = ban.cause.get();
    if let Cause::Manual { reason, .. } = &**cause.original() {
        return holds(reason, part);
    }
    let details = cause.evidence().and_then(|evidence| evidence.details.as_deref());
    details.is_some_and(|details| {
        holds(&details.user_agent, part)
            || details.users.iter().any(|user| holds(user, part))
            || details.reason.as_ref().is_some_and(|report| holds(report, part))
    })
}

/// Whether `text` holds `part`, which is in lower case.
fn holds(text: &str, part: &[u8]) -> bool {
    let Some(first) = part.first() else { return true };
    let text = text.as_bytes();
    memchr2_iter(*first, first.to_ascii_uppercase(), text).any(|place| {
        let found = text.get(place..place + part.len());
        found.is_some_and(|found| found.eq_ignore_ascii_case(part))
    })
}

/// A page in the making.
#[derive(Debug)]
struct Page {
    filter: Filter,
    order: BanOrder,
    falling: bool,
    /// Behind this.
    cursor: Option<Key>,
    /// One more than the page has, to know whether there is a next one.
    room: usize,
    best: BTreeSet<Key>,
    total: u64,
    /// Whether it depends on where addresses are.
    by_place: bool,
    /// Those of the last part that fit, as far as it does.
    unlocated: Vec<Key>,
}

impl Page {
    fn new(query: &BanQuery, finder: Finder, limit: usize) -> Result<Self, ControlError> {
        let cursor = query.cursor.as_deref().map(key_of).transpose()?;
        let order = query.sort.unwrap_or_default();
        let falling = query.order == Some(Direction::Desc);
        let (room, best) = (limit + 1, BTreeSet::new());
        let filter = Filter::new(query.filter(), finder)?;
        let by_place = filter.is_by_place() || matches!(order, BanOrder::Country | BanOrder::As);
        let (total, unlocated) = (0, Vec::new());
        Ok(Self { filter, order, falling, cursor, room, best, total, by_place, unlocated })
    }

    /// Looks at a part; gives the last network when there may be more.
    fn take<'a>(&mut self, part: impl Iterator<Item = BanView<'a>>) -> Option<IpNet> {
        let (mut seen, mut last) = (0, None);
        for ban in part {
            seen += 1;
            last = Some(ban.net);
            if self.filter.fits(&ban) {
                let key = (self.time(&ban), ban.net);
                if self.by_place {
                    self.unlocated.push(key);
                } else {
                    self.total += 1;
                    self.add(key);
                }
            }
        }
        last.filter(|_| seen >= self.filter.part())
    }

    /// The page once the last part is looked up.
    fn located(mut self) -> Self {
        for (time, net) in std::mem::take(&mut self.unlocated) {
            let origin = self.filter.finder.origin(net.addr());
            if self.filter.is_origin(origin) {
                self.total += 1;
                let key = match self.order {
                    BanOrder::Country => origin.country.map_or(u64::MAX, CountryCode::rank),
                    BanOrder::As => origin.as_number.map_or(u64::MAX, u64::from),
                    BanOrder::Net | BanOrder::Since | BanOrder::Until => time,
                };
                self.add((key, net));
            }
        }
        self
    }

    fn time(&self, ban: &BanView<'_>) -> u64 {
        match self.order {
            BanOrder::Net | BanOrder::Country | BanOrder::As => 0,
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

fn key_of(cursor: &str) -> Result<Key, ControlError> {
    let parts = cursor.split_once('_');
    let key = parts.and_then(|(time, net)| Some((time.parse().ok()?, net.parse().ok()?)));
    key.ok_or_else(|| ControlError::field("cursor", "use `next` of the previous page"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_searched_without_regard_to_the_case_of_letters() {
        for (text, part, found) in [
            ("Friendly-Scanner", "friendly", true),
            ("Friendly-Scanner", "y-s", true),
            ("Friendly-Scanner", "scanner!", false),
            ("aaab", "aab", true),
            ("äÄ", "ä", true),
            ("", "a", false),
            ("x", "", true),
        ] {
            assert_eq!(holds(text, part.as_bytes()), found, "{text} {part}");
        }
    }
}
