//! Whether each profile answers.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use sipward_engine::Timestamp;

use crate::probe::{Outcome, Probed};
use sipward_model::record::Record;

/// A profile that has answered nothing for so long is deaf: what FreeSWITCH drops, it drops for a whole second,
/// and a busy machine answers late.
const DEAF_AFTER: Duration = Duration::from_secs(3);

/// What is known of the profiles that are asked.
#[derive(Debug, Default)]
pub struct Profiles {
    all: BTreeMap<SocketAddr, Profile>,
}

/// One profile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Profile {
    answers: Answers,
    /// It has answered before. Until it has, silence may be that of another program.
    has_answered: bool,
    /// It has not answered the latest request.
    is_silent: bool,
}

/// Whether it answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answers {
    /// The last answer took so long.
    Within(Duration),
    /// It has not answered lately, for less than it takes to be deaf, or ever.
    Unknown,
    /// It is deaf since.
    Deaf(Timestamp),
}

impl Profiles {
    /// Takes what a probe has found; a record when a profile goes deaf or hears again.
    pub(super) fn probed(&mut self, probed: Probed, now: Timestamp) -> Option<Record> {
        let Probed { target, outcome } = probed;
        let known = self.all.get(&target).copied();
        match (outcome, known.map(|profile| profile.answers)) {
            (Outcome::Closed, _) => {
                // Nothing listens, so nothing is deaf; most candidates are like that.
                let was = self.all.remove(&target)?;
                over(target, was, now)
            }
            (Outcome::Answered(took), _) => {
                let answers = Answers::Within(took);
                self.all.insert(target, Profile { answers, has_answered: true, is_silent: false });
                over(target, known?, now)
            }
            // It is silent already.
            (Outcome::Silent(_), Some(Answers::Deaf(_))) => None,
            (Outcome::Silent(silence), _) => {
                let has_answered = known.is_some_and(|profile| profile.has_answered);
                let is_deaf = has_answered && silence >= DEAF_AFTER;
                let since = now.earlier(silence);
                let answers = match known {
                    _ if is_deaf => Answers::Deaf(since),
                    Some(Profile { answers: within @ Answers::Within(_), .. })
                        if silence < DEAF_AFTER =>
                    {
                        within
                    }
                    Some(_) | None => Answers::Unknown,
                };
                self.all.insert(target, Profile { answers, has_answered, is_silent: true });
                let seconds = silence.as_secs_f64();
                is_deaf.then_some(Record::Deaf { profile: target, seconds })
            }
        }
    }

    /// Whether one has answered its latest request, and none that ever answered is silent.
    pub fn all_answer(&self) -> bool {
        let silent = |profile: &Profile| profile.has_answered && profile.is_silent;
        let answers =
            |profile: &Profile| matches!(profile.answers, Answers::Within(_)) && !profile.is_silent;
        self.all.values().any(answers) && !self.all.values().any(silent)
    }

    /// Whether one is deaf.
    pub fn is_deaf(&self) -> bool {
        self.all.values().any(|profile| matches!(profile.answers, Answers::Deaf(_)))
    }

    /// Since when the first is deaf that still is.
    pub fn deaf_since(&self) -> Option<Timestamp> {
        let deaf = |profile: &Profile| match profile.answers {
            Answers::Deaf(since) => Some(since),
            Answers::Within(_) | Answers::Unknown => None,
        };
        self.all.values().filter_map(deaf).min()
    }

    /// The slowest of the latest answers; `None` when none has answered lately.
    pub fn slowest(&self) -> Option<Duration> {
        let took = |profile: &Profile| match profile.answers {
            Answers::Within(took) => Some(took),
            Answers::Deaf(_) | Answers::Unknown => None,
        };
        self.all.values().filter_map(took).max()
    }

    /// All that have not refused since they were asked first, in order.
    pub fn all(&self) -> impl Iterator<Item = (SocketAddr, Answers)> {
        self.all.iter().map(|(address, profile)| (*address, profile.answers))
    }

    /// Forgets how profiles answered that are not among `targets`, but not that they did.
    pub(super) fn keep(&mut self, targets: &[SocketAddr]) {
        for (address, profile) in &mut self.all {
            if !targets.contains(address) {
                profile.answers = Answers::Unknown;
                profile.is_silent = false;
            }
        }
    }
}

fn over(target: SocketAddr, was: Profile, now: Timestamp) -> Option<Record> {
    match was.answers {
        Answers::Deaf(since) => {
            let seconds = now.since(since).as_secs_f64();
            Some(Record::Hears { profile: target, seconds })
        }
        Answers::Within(_) | Answers::Unknown => None,
    }
}
