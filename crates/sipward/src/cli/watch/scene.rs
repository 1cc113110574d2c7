//! What has happened, as far as it is shown. Fed with news and a tick each second; it knows no clock
//! and no terminal.

use std::collections::{HashMap, VecDeque};

use serde_json::{Map, Value};

use super::feed::News;
use crate::cli::words;
use sipward_model::text::Time;
use sipward_model::wire::{FailureEntry, Line, Status};

/// Seconds that rates are shown for.
pub(super) const SECONDS: usize = 60;

/// Bans kept: more than a tall terminal shows.
pub(super) const MAX_BANS: usize = 200;

/// Sources counted at most. Beyond it the quietest half goes.
pub(super) const MAX_SOURCES: usize = 4_096;

/// What is left of a source's heat after a second: half of it after a minute.
const COOLING: f64 = 0.988_514;

/// Everything that is shown.
#[derive(Debug, Default)]
pub(super) struct Scene {
    pub(super) status: Option<Status>,
    /// Why the daemon cannot be asked at the moment.
    pub(super) lost: Option<String>,
    /// Newest first.
    pub(super) bans: VecDeque<NewBan>,
    /// Failures of each of the last seconds, the present one last.
    pub(super) failures: Seconds,
    pub(super) bans_made: Seconds,
    /// Events that this program was too slow for.
    pub(super) missed: u64,
    sources: HashMap<String, Source>,
    /// Of [`NewBan::id`].
    ids: u64,
}

/// A ban or a denied flow, or what it became.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct NewBan {
    /// Another one for each.
    pub(super) id: u64,
    pub(super) time: Time,
    pub(super) net: String,
    pub(super) why: String,
    /// It has ended already.
    pub(super) ended: bool,
}

/// A failing source.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Source {
    /// Failures, each worth less as time goes by.
    pub(super) heat: f64,
    /// Failures seen.
    pub(super) failures: u64,
    pub(super) user: String,
    pub(super) user_agent: String,
    pub(super) banned: bool,
}

/// Counts of the last seconds.
#[derive(Clone, Debug)]
pub(super) struct Seconds(VecDeque<u64>);

impl Default for Seconds {
    fn default() -> Self {
        Self(std::iter::repeat_n(0, SECONDS).collect())
    }
}

impl Seconds {
    fn add(&mut self) {
        if let Some(now) = self.0.back_mut() {
            *now += 1;
        }
    }

    fn pass(&mut self) {
        self.0.pop_front();
        self.0.push_back(0);
    }

    pub(super) fn all(&self) -> Vec<u64> {
        self.0.iter().copied().collect()
    }

    /// In the last minute.
    pub(super) fn sum(&self) -> u64 {
        self.0.iter().sum()
    }

    /// In the last whole second.
    pub(super) fn last(&self) -> u64 {
        self.0.iter().rev().nth(1).copied().unwrap_or(0)
    }
}

impl Scene {
    /// Something new.
    pub(super) fn take(&mut self, news: News) {
        match news {
            News::Before { bans, failures } => {
                self.lost = None;
                self.bans.clear();
                for ban in bans.items.iter().take(MAX_BANS) {
                    let id = self.id();
                    self.bans.push_back(NewBan {
                        id,
                        time: ban.since,
                        net: ban.net.to_string(),
                        why: words::cause(&ban.cause),
                        ended: false,
                    });
                }
                self.sources.clear();
                failures.items.iter().rev().for_each(|failure| self.failed_before(failure));
            }
            News::Status(status) => self.status = Some(*status),
            News::Line(line) => self.heard(&line),
            News::Lost(why) => self.lost = Some(why),
        }
    }

    /// A second has passed.
    pub(super) fn second(&mut self) {
        self.failures.pass();
        self.bans_made.pass();
        for source in self.sources.values_mut() {
            source.heat *= COOLING;
        }
    }

    /// The busiest sources, busiest first.
    pub(super) fn busiest(&self, count: usize) -> Vec<(&str, &Source)> {
        let mut all: Vec<(&str, &Source)> =
            self.sources.iter().map(|(address, source)| (address.as_str(), source)).collect();
        let hotter = |a: &(&str, &Source), b: &(&str, &Source)| {
            b.1.heat.total_cmp(&a.1.heat).then_with(|| a.0.cmp(b.0))
        };
        if let Some(last) = count.checked_sub(1)
            && all.len() > count
        {
            all.select_nth_unstable_by(last, hotter);
        }
        all.truncate(count);
        all.sort_unstable_by(hotter);
        all
    }

    fn heard(&mut self, line: &Line) {
        let of = |name| text(&line.fields, name);
        match line.event.as_str() {
            "auth_failure" => {
                self.failures.add();
                let banned = line.fields.get("banned").and_then(Value::as_bool).unwrap_or(false);
                self.failed(of("address"), of("user"), of("user_agent"), banned);
            }
            "ban" => {
                self.bans_made.add();
                let address = of("address");
                if let Some(source) = self.sources.get_mut(&address) {
                    source.banned = true;
                }
                self.banned(line.time, of("net"), reason(&line.fields));
            }
            "flow_denied" => self.banned(line.time, of("flow"), reason(&line.fields)),
            "unban" => self.end(&of("net")),
            "flow_allowed" => self.end(&of("flow")),
            "missed" => {
                self.missed += line.fields.get("count").and_then(Value::as_u64).unwrap_or(0);
            }
            _ => {}
        }
        self.bans.truncate(MAX_BANS);
    }

    fn banned(&mut self, time: Time, net: String, why: String) {
        let id = self.id();
        self.bans.push_front(NewBan { id, time, net, why, ended: false });
    }

    fn id(&mut self) -> u64 {
        self.ids += 1;
        self.ids
    }

    /// The ban of a network, or the denial of a flow, has ended.
    fn end(&mut self, what: &str) {
        if let Some(ban) = self.bans.iter_mut().find(|ban| ban.net == what && !ban.ended) {
            ban.ended = true;
        }
    }

    fn failed_before(&mut self, failure: &FailureEntry) {
        let address = failure.address.to_string();
        self.failed(address, failure.user.clone(), failure.user_agent.clone(), failure.banned);
    }

    fn failed(&mut self, address: String, user: String, user_agent: String, banned: bool) {
        if self.sources.len() >= MAX_SOURCES && !self.sources.contains_key(&address) {
            self.forget();
        }
        let source = self.sources.entry(address).or_default();
        source.heat += 1.0;
        source.failures += 1;
        source.user = user;
        source.user_agent = user_agent;
        source.banned = banned;
    }

    fn forget(&mut self) {
        let mut heats: Vec<f64> = self.sources.values().map(|source| source.heat).collect();
        let middle = heats.len() / 2;
        let (_, limit, _) = heats.select_nth_unstable_by(middle, f64::total_cmp);
        let limit = *limit;
        self.sources.retain(|_, source| source.heat > limit);
    }
}

fn reason(fields: &Map<String, Value>) -> String {
    let mut parts = match text(fields, "rule").as_str() {
        "" => vec![text(fields, "by")],
        rule => vec![format!("{} {}", rule.replace('_', " "), number(fields, "failures"))],
    };
    parts.extend(["user_agent", "comment", "report"].map(|name| text(fields, name)));
    parts.retain(|part| !part.is_empty());
    parts.join(", ")
}

fn text(fields: &Map<String, Value>, name: &str) -> String {
    fields.get(name).and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn number(fields: &Map<String, Value>, name: &str) -> String {
    fields.get(name).and_then(Value::as_u64).map_or(String::new(), |number| number.to_string())
}

#[cfg(test)]
mod tests;
