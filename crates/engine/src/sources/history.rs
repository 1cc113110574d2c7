//! The failures of one source: exact times, hashes instead of names.
//!
//! A source that fails on may have many of them, and every failure is held against every rule. So the
//! rules look at the newest first and stop where their window begins, and a rule whose threshold lies
//! further back than its window looks at a single entry.

mod ring;

use ring::Ring;

use crate::effect::Standing;
use crate::limits::{Counting, Grades, Limits, millis};
use crate::seen::Seen;
use crate::{Grade, Method, Timestamp};

/// Failures before the first success of a phone at a new address that are taken for mistypes. Anyone who
/// guesses needs more.
pub(crate) const MISTYPES: u32 = 2;

const GRADE_BITS: u32 = 3;
const INVITE: u32 = 1 << GRADE_BITS;
const RAW_ADDRESS: u32 = INVITE << 1;
const USER_SHIFT: u32 = GRADE_BITS + 2;

/// Users told apart one by one; for a higher threshold they are sorted.
const MAX_USERS: usize = 64;

/// One counted failure in eight bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Entry {
    /// Milliseconds on the wrapping clock of [`millis`].
    at: u32,
    /// From below: grade, INVITE, raw address, hash of the user.
    tag: u32,
}

impl Entry {
    pub(crate) fn new(seen: &Seen<'_>, grade: Grade, now: Timestamp) -> Self {
        let invite = if seen.method == Method::Invite { INVITE } else { 0 };
        let raw = if seen.raw_address { RAW_ADDRESS } else { 0 };
        let tag = user_tag(seen.user_hash) << USER_SHIFT | raw | invite | grade as u32;
        Self { at: millis(now), tag }
    }

    pub(crate) fn at(self) -> u32 {
        self.at
    }

    /// Milliseconds since it.
    pub(crate) fn age(self, now: u32) -> u32 {
        now.wrapping_sub(self.at)
    }

    pub(crate) fn is_invite(self) -> bool {
        self.has(INVITE)
    }

    pub(crate) fn grade(self) -> Grade {
        let index = (self.tag & (INVITE - 1)) as usize;
        Grade::ALL.get(index).copied().unwrap_or(Grade::Unjoined)
    }

    /// Evidence that some rules take for too little.
    fn is_weak(self) -> bool {
        self.grade() < Grade::Challenged
    }

    fn is_one_of(self, grades: Grades) -> bool {
        grades & 1 << (self.tag & (INVITE - 1)) != 0
    }

    fn marks(self) -> u8 {
        (self.tag & (INVITE | RAW_ADDRESS)) as u8
    }

    fn has(self, flag: u32) -> bool {
        self.tag & flag != 0
    }

    fn user(self) -> u32 {
        self.tag >> USER_SHIFT
    }

    fn is_of(self, user_hash: u64) -> bool {
        self.user() == user_tag(user_hash)
    }
}

/// The failures of one source that can still matter, oldest first.
#[derive(Clone, Debug, Default)]
pub(crate) struct History {
    ring: Ring,
    /// Failures among them whose evidence is below [`Grade::Challenged`].
    weak: u16,
    /// Marks that failures of this source ever had, as in [`Entry::tag`].
    marks: u8,
}

/// The weighed window of one source.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    /// Failures with weight.
    pub(crate) failures: u32,
    /// Their weights, in thousandths.
    pub(crate) score: u32,
    /// The weakest of their grades.
    pub(crate) weakest: Option<Grade>,
}

/// What a rule finds in a history: with evidence that is good enough for it, and with any.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Finding {
    pub(crate) sure: u32,
    pub(crate) all: u32,
}

/// What the counting rules find.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Findings {
    pub(crate) users: Finding,
    pub(crate) slow: Finding,
    pub(crate) calls: Finding,
    pub(crate) raw_address: Finding,
}

/// The rules that count the failures of one source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SourceRule {
    Users,
    Calls,
    RawAddress,
    Slow,
}

impl Findings {
    /// What each rule has found, in the order in which they may ban.
    pub(crate) fn each(self) -> [(SourceRule, Finding); 4] {
        [
            (SourceRule::Users, self.users),
            (SourceRule::Calls, self.calls),
            (SourceRule::RawAddress, self.raw_address),
            (SourceRule::Slow, self.slow),
        ]
    }
}

impl History {
    pub(crate) fn len(&self) -> usize {
        self.ring.len()
    }

    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Adds a failure; drops those that left every window, and the oldest of too many.
    pub(crate) fn push(&mut self, entry: Entry, limits: &Limits) {
        self.push_within(entry, limits.keep_ms, limits.max_history);
    }

    /// Adds a failure to a history with a window and a bound of its own. The bound is that of good evidence and
    /// that of weak: the sender of both does not push out the one with the other.
    pub(crate) fn push_within(&mut self, entry: Entry, window_ms: u32, most: usize) {
        let most = most.clamp(1, Ring::MOST / 2);
        while let Some(oldest) = self.ring.oldest()
            && oldest.age(entry.at) >= window_ms
        {
            self.ring.pop_oldest();
            self.weak -= u16::from(oldest.is_weak());
        }
        let (weak, is_weak) = (usize::from(self.weak), entry.is_weak());
        let alike = if is_weak { weak } else { self.len() - weak };
        if alike >= most {
            // A higher bound may have held before.
            for _ in most..=alike {
                self.ring.remove_oldest(|oldest| oldest.is_weak() == is_weak);
                self.weak -= u16::from(is_weak);
            }
        }
        self.ring.push(entry);
        self.weak += u16::from(is_weak);
        self.marks |= entry.marks();
    }

    /// Drops the failures of one user.
    pub(crate) fn forgive(&mut self, user_hash: u64) {
        self.ring.retain(|entry| !entry.is_of(user_hash));
        let weak = self.ring.newest_first().filter(|entry| entry.is_weak()).count();
        self.weak = u16::try_from(weak).unwrap_or(u16::MAX);
    }

    /// At most a few mistypes of this user.
    pub(crate) fn is_clean(&self, user_hash: u64) -> bool {
        self.len() <= MISTYPES as usize
            && self.ring.newest_first().all(|entry| entry.is_of(user_hash))
    }

    /// Somebody else than this user failed within `window_ms`.
    pub(crate) fn holds_others(&self, user_hash: u64, now: u32, window_ms: u32) -> bool {
        self.within(now, window_ms).any(|entry| !entry.is_of(user_hash))
    }

    /// Weighs the failures younger than the window whose grade is one of these. `now` is on the clock of
    /// [`millis`].
    pub(crate) fn tally(&self, now: u32, limits: &Limits, grades: Grades) -> Tally {
        let mut tally = Tally::default();
        for entry in self.within(now, limits.window_ms) {
            let grade = entry.grade();
            let weight = limits.weight(grade);
            if weight > 0 && entry.is_one_of(grades) {
                tally.failures += 1;
                tally.score = tally.score.saturating_add(weight);
                tally.weakest = Some(tally.weakest.map_or(grade, |weakest| weakest.min(grade)));
            }
        }
        tally
    }

    /// The failures younger than a window, newest first.
    pub(crate) fn within(&self, now: u32, window_ms: u32) -> impl Iterator<Item = Entry> {
        self.ring.newest_first().take_while(move |entry| entry.age(now) < window_ms)
    }

    /// Failures younger than the window of this grade or a stronger one.
    pub(crate) fn at_least(&self, grade: Grade, now: u32, window_ms: u32) -> u32 {
        count(self.within(now, window_ms).filter(|entry| entry.grade() >= grade))
    }

    /// Users told apart among the failures younger than the window of this grade or a stronger one, and
    /// those failures.
    pub(crate) fn users(&self, grade: Grade, now: u32, window_ms: u32) -> (u32, u32) {
        let (mut users, mut failures) = (Users::default(), 0);
        for entry in self.within(now, window_ms).filter(|entry| entry.grade() >= grade) {
            users.add(entry.user());
            failures += 1;
        }
        (users.count(), failures)
    }

    /// Failures of one user younger than the window.
    pub(crate) fn of_user(&self, user_hash: u64, now: u32, window_ms: u32) -> u32 {
        count(self.within(now, window_ms).filter(|entry| entry.is_of(user_hash)))
    }

    /// The same, and how long ago (ms) the first of them was.
    pub(crate) fn since_first(
        &self,
        user_hash: u64,
        now: u32,
        window_ms: u32,
    ) -> (u32, Option<u32>) {
        let ages = self.within(now, window_ms).filter(|entry| entry.is_of(user_hash));
        ages.fold((0, None), |(count, _), entry| (count + 1, Some(entry.age(now))))
    }

    /// What the counting rules find against `standing`. Those that cannot have reached their threshold
    /// are not looked at closer.
    pub(crate) fn findings(&self, now: u32, limits: &Limits, standing: Standing) -> Findings {
        Findings {
            users: self.distinct_users(now, &limits.users, standing),
            slow: self.all(now, &limits.slow, standing),
            calls: self.marked(now, &limits.calls, standing, INVITE),
            raw_address: self.marked(now, &limits.raw_address, standing, RAW_ADDRESS),
        }
    }

    /// So many failures within its window that the rule may have reached its threshold.
    fn may_reach(&self, now: u32, rule: &Counting) -> bool {
        let last = self.ring.newest((rule.threshold as usize).saturating_sub(1));
        last.is_some_and(|entry| entry.age(now) < rule.window_ms) && rule.guard.is_on()
    }

    fn all(&self, now: u32, rule: &Counting, standing: Standing) -> Finding {
        if !self.may_reach(now, rule) {
            return Finding::default();
        }
        let whole = self.ring.oldest().is_some_and(|entry| entry.age(now) < rule.window_ms);
        if whole && self.weak == 0 && standing.is_strange() {
            // Nothing to tell apart: a source that fails day and night is here at every failure.
            let all = u32::try_from(self.len()).unwrap_or(u32::MAX);
            return Finding { sure: all, all };
        }
        self.matching(now, rule, standing, |_| true)
    }

    fn marked(&self, now: u32, rule: &Counting, standing: Standing, mark: u32) -> Finding {
        if u32::from(self.marks) & mark == 0 || !self.may_reach(now, rule) {
            return Finding::default();
        }
        self.matching(now, rule, standing, |entry| entry.has(mark))
    }

    fn matching(
        &self,
        now: u32,
        rule: &Counting,
        standing: Standing,
        what: impl Fn(Entry) -> bool,
    ) -> Finding {
        let (counted, acting) = rule.grades(standing);
        let mut finding = Finding::default();
        for entry in self.within(now, rule.window_ms).filter(|entry| what(*entry)) {
            finding.all += u32::from(entry.is_one_of(counted));
            finding.sure += u32::from(entry.is_one_of(acting));
        }
        finding
    }

    fn distinct_users(&self, now: u32, rule: &Counting, standing: Standing) -> Finding {
        if !self.may_reach(now, rule) {
            return Finding::default();
        }
        let (counted, acting) = rule.grades(standing);
        if rule.threshold as usize > MAX_USERS {
            let of = |grades: Grades| {
                let entries = self.within(now, rule.window_ms);
                let entries = entries.filter(|entry| entry.is_one_of(grades));
                let mut users: Vec<u32> = entries.map(Entry::user).collect();
                users.sort_unstable();
                users.dedup();
                u32::try_from(users.len()).unwrap_or(u32::MAX)
            };
            return Finding { sure: of(acting), all: of(counted) };
        }
        let (mut sure, mut all) = (Users::default(), Users::default());
        for entry in self.within(now, rule.window_ms) {
            if entry.is_one_of(counted) {
                all.add(entry.user());
            }
            if entry.is_one_of(acting) {
                sure.add(entry.user());
            }
        }
        Finding { sure: sure.count(), all: all.count() }
    }
}

/// Users told apart, on the stack: every failure of a source that fails on counts them.
struct Users {
    users: [u32; MAX_USERS],
    len: usize,
}

impl Default for Users {
    fn default() -> Self {
        Self { users: [0; MAX_USERS], len: 0 }
    }
}

impl Users {
    fn add(&mut self, user: u32) {
        let known = self.users.iter().take(self.len).any(|other| *other == user);
        if let Some(place) = self.users.get_mut(self.len).filter(|_| !known) {
            *place = user;
            self.len += 1;
        }
    }

    fn count(&self) -> u32 {
        u32::try_from(self.len).unwrap_or(u32::MAX)
    }
}

fn count(entries: impl Iterator<Item = Entry>) -> u32 {
    u32::try_from(entries.count()).unwrap_or(u32::MAX)
}

/// As many bits of the user's hash as fit beside the rest.
fn user_tag(user_hash: u64) -> u32 {
    (user_hash >> (32 + USER_SHIFT)) as u32
}
