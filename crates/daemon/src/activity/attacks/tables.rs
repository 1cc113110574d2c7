//! Failures → tables of accounts, sources and user agents.

use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::hash::Hash;
use std::net::IpAddr;
use std::time::Duration;

use sipward_engine::{Text, Timestamp};

use super::Remembered;
use crate::kept_judgement::KeptJudgement;

/// Sources named for a user, and profiles.
const NAMED: usize = 10;

/// What a table is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Column {
    Source,
    User,
    UserAgent,
}

/// One line of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The address, the user or the user agent.
    pub name: String,
    /// The address, where the table is about sources.
    pub address: Option<IpAddr>,
    pub failures: u64,
    /// Those among them that are not forgeable.
    pub proved: u64,
    /// Those among these that are no phone's that needs attention and no exempt host's.
    pub counted: u64,
    /// Distinct users of a source; of the others, distinct sources.
    pub distinct: u64,
    pub last: Timestamp,
}

/// An account under attack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attacked {
    pub user: String,
    pub failures: u64,
    pub proved: u64,
    pub sources: u64,
    pub first: Timestamp,
    pub last: Timestamp,
    /// Those that failed most, with how often.
    pub top: Vec<(IpAddr, u64)>,
    pub profiles: Vec<String>,
}

/// A phone that logged in before and fails now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Patient {
    pub user: String,
    pub source: IpAddr,
    pub user_agent: String,
    pub last_success: Option<Timestamp>,
    pub told: Timestamp,
    pub failures: u64,
    pub last: Option<Timestamp>,
}

/// Failures within the window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Within {
    pub failures: u64,
    pub sources: u64,
    /// Those among them that count, and their sources.
    pub counted: u64,
    pub attackers: u64,
    /// The window reaches further back than memory does.
    pub is_partial: bool,
}

/// Counts of one value.
struct Count<T> {
    failures: u64,
    proved: u64,
    counted: u64,
    others: HashSet<T>,
    last: Timestamp,
}

/// The `most` values with the most failures that count among those that `wanted` selects, and how many there are.
pub fn rows(
    remembered: &Remembered,
    column: Column,
    wanted: impl Fn(&Row) -> bool,
    most: usize,
) -> (Vec<Row>, u64) {
    let (failures, counts) = (remembered.failures(), remembered.counting());
    let mut rows = match column {
        Column::Source => {
            let failures = failures.map(|(at, seen)| (seen.address, *seen.user, seen, at));
            counted(failures, counts, |source| (source.to_string(), Some(*source)))
        }
        Column::User => {
            let failures = failures.map(|(at, seen)| (*seen.user, seen.address, seen, at));
            counted(failures, counts, |user| (user.to_string(), None))
        }
        Column::UserAgent => {
            let failures = failures.map(|(at, seen)| (*seen.user_agent, seen.address, seen, at));
            counted(failures, counts, |agent| (agent.to_string(), None))
        }
    };
    rows.retain(wanted);
    let total = rows.len() as u64;
    rows.sort_unstable_by(|one, other| rank(one).cmp(&rank(other)));
    rows.truncate(most);
    (rows, total)
}

fn counted<'a, K: Eq + Hash, T: Eq + Hash>(
    failures: impl Iterator<Item = (K, T, &'a KeptJudgement, Timestamp)>,
    counts: impl Fn(&KeptJudgement) -> bool,
    name: impl Fn(&K) -> (String, Option<IpAddr>),
) -> Vec<Row> {
    let mut by_key: HashMap<K, Count<T>> = HashMap::new();
    for (key, other, seen, at) in failures {
        let count = by_key.entry(key).or_insert_with(|| Count {
            failures: 0,
            proved: 0,
            counted: 0,
            others: HashSet::new(),
            last: at,
        });
        count.failures += 1;
        count.proved += u64::from(seen.grade.is_proved());
        count.counted += u64::from(counts(seen));
        count.others.insert(other);
    }
    let rows = by_key.into_iter().map(|(key, count)| {
        let Count { failures, proved, counted, others, last } = count;
        let (name, address) = name(&key);
        Row { name, address, failures, proved, counted, distinct: others.len() as u64, last }
    });
    rows.collect()
}

/// Those with the most failures that count first, then those that failed most, then those that failed last.
fn rank(row: &Row) -> (Reverse<u64>, Reverse<u64>, Reverse<Timestamp>, &str) {
    (Reverse(row.counted), Reverse(row.failures), Reverse(row.last), &row.name)
}

/// The accounts under attack: `most` of them behind the first `skip`, those with most failures first; and
/// how many there are. `search` is a part of the name, letter case ignored.
pub fn users(
    remembered: &Remembered,
    search: Option<&str>,
    skip: usize,
    most: usize,
) -> (Vec<Attacked>, u64) {
    struct Account {
        failures: u64,
        proved: u64,
        sources: HashMap<IpAddr, u64>,
        profiles: BTreeSet<String>,
        first: Timestamp,
        last: Timestamp,
    }
    let search = search.map(str::to_ascii_lowercase);
    let wanted = |user: &Text| {
        search.as_ref().is_none_or(|part| user.to_ascii_lowercase().contains(part.as_str()))
    };
    let mut accounts: HashMap<Text, Account> = HashMap::new();
    for (at, seen) in remembered.failures().filter(|(_, seen)| wanted(&seen.user)) {
        let account = accounts.entry(*seen.user).or_insert_with(|| Account {
            failures: 0,
            proved: 0,
            sources: HashMap::new(),
            profiles: BTreeSet::new(),
            first: at,
            last: at,
        });
        account.failures += 1;
        account.proved += u64::from(seen.grade.is_proved());
        account.first = at;
        *account.sources.entry(seen.address).or_default() += 1;
        if account.profiles.len() < NAMED && !account.profiles.contains(seen.profile.as_str()) {
            account.profiles.insert(seen.profile.to_string());
        }
    }
    let total = accounts.len() as u64;
    let mut users: Vec<(Text, Account)> = accounts.into_iter().collect();
    users.sort_unstable_by(|(one, a), (other, b)| {
        let rank = |account: &Account| (Reverse(account.failures), Reverse(account.last));
        rank(a).cmp(&rank(b)).then_with(|| one.as_str().cmp(other.as_str()))
    });
    let page = users.into_iter().skip(skip).take(most).map(|(user, account)| {
        let sources = account.sources.len() as u64;
        let mut top: Vec<(IpAddr, u64)> = account.sources.into_iter().collect();
        top.sort_unstable_by_key(|(source, count)| (Reverse(*count), *source));
        top.truncate(NAMED);
        Attacked {
            user: user.to_string(),
            failures: account.failures,
            proved: account.proved,
            sources,
            first: account.first,
            last: account.last,
            top,
            profiles: account.profiles.into_iter().collect(),
        }
    });
    (page.collect(), total)
}

/// The phones that need attention, the latest reports first, each once; and their number.
pub fn patients(remembered: &Remembered, most: usize) -> (Vec<Patient>, u64) {
    let mut counts: HashMap<(IpAddr, Text), (u64, Timestamp)> = HashMap::new();
    for (at, seen) in remembered.failures().filter(|(_, seen)| seen.attention) {
        counts.entry((seen.address, *seen.user)).or_insert((0, at)).0 += 1;
    }
    let mut told = HashSet::new();
    let mut patients = Vec::new();
    for phone in remembered.phones() {
        if !told.insert((phone.source, *phone.user)) || patients.len() >= most {
            continue;
        }
        let count = counts.get(&(phone.source, *phone.user)).copied();
        patients.push(Patient {
            user: phone.user.to_string(),
            source: phone.source,
            user_agent: phone.user_agent.to_string(),
            last_success: phone.last_success,
            told: phone.told,
            failures: count.map_or(0, |(failures, _)| failures),
            last: count.map(|(_, last)| last),
        });
    }
    (patients, told.len() as u64)
}

/// What failed within `window` before `now`.
pub fn within(remembered: &Remembered, window: Duration, now: Timestamp) -> Within {
    let from = now.earlier(window);
    let (mut failures, mut sources) = (0, HashSet::new());
    let counts = remembered.counting();
    let (mut counting, mut attackers) = (0, HashSet::new());
    for (_, seen) in remembered.failures().take_while(|(at, _)| *at > from) {
        failures += 1;
        sources.insert(seen.address);
        if counts(seen) {
            counting += 1;
            attackers.insert(seen.address);
        }
    }
    let full = remembered.count() >= super::MOST_FAILURES;
    let (sources, attackers) = (sources.len() as u64, attackers.len() as u64);
    let is_partial = full && remembered.since > from;
    Within { failures, sources, counted: counting, attackers, is_partial }
}

impl Remembered {
    /// Whether a failure speaks against its source: not forgeable, no phone's that needs attention, no exempt host's.
    /// The failures of a phone before it was known to need attention are those of its old password, too.
    pub fn counting(&self) -> impl Fn(&KeptJudgement) -> bool + use<> {
        let in_need = self.failures().filter(|(_, seen)| seen.attention);
        let phones: HashSet<(IpAddr, Text)> =
            in_need.map(|(_, seen)| (seen.address, *seen.user)).collect();
        move |seen| {
            let is_phone = seen.attention || phones.contains(&(seen.address, *seen.user));
            seen.grade.is_proved() && seen.exempt.is_none() && !is_phone
        }
    }
}
