//! The history in numbers.

use std::collections::BTreeMap;
use std::time::Duration;

use ipnet::IpNet;

use super::Control;
use super::bounds::between;
use super::error::ControlError;
use sipward_model::text::Time;
use sipward_model::wire::{
    CountryStats, DayStats, Decisions, MAX_STATS_DAYS, RuleStats, Stats, StatsQuery,
};
use sipward_store::{HistoryKind, Tally, TallyQuery};

const DAY: Duration = Duration::from_secs(86_400);

/// Days that are counted when nothing is said.
const USUAL_DAYS: u32 = 30;

impl Control {
    /// The decisions of a span, by rule, country and day.
    pub async fn stats(&self, query: StatsQuery) -> Result<Stats, ControlError> {
        let offset = query.utc_offset_minutes.unwrap_or_default();
        let offset = between("utc_offset_minutes", offset, &(-1_440..=1_440))?;
        let to = match query.to {
            Some(Time(to)) => to,
            None => self.clock().await?.now(),
        };
        let from = query.from.map_or_else(|| to.earlier(DAY * USUAL_DAYS), |Time(from)| from);
        if from > to {
            return Err(ControlError::field("from", "it is after `to`".to_owned()));
        }
        let days = to.since(from).as_secs() / DAY.as_secs();
        if days > MAX_STATS_DAYS {
            let detail = format!("{days} days before `to`; at most {MAX_STATS_DAYS} are counted");
            return Err(ControlError::field("from", detail));
        }
        let finder = self.lookups.geo.finder();
        let country = (!finder.is_empty())
            .then_some(move |net: IpNet| Some(finder.origin(net.addr()).country?.to_string()));
        let ahead_micros = i64::from(offset) * 60_000_000;
        // What was decided before the question is in the answer.
        self.store.settled().await;
        let tally = self.store.tally(TallyQuery { from, to, ahead_micros }, country).await?;
        Ok(summed(tally, Time(from), Time(to)))
    }
}

fn summed(tally: Tally, from: Time, to: Time) -> Stats {
    let Tally { oldest, counts, countries } = tally;
    let mut total = Decisions::default();
    let (mut days, mut rules) = (BTreeMap::new(), BTreeMap::new());
    for (day, kind, decided, count) in counts {
        add(&mut total, kind, count);
        add(days.entry(day).or_default(), kind, count);
        if let Some(rule) = decided {
            add(rules.entry(rule).or_default(), kind, count);
        }
    }
    let mut rules: Vec<RuleStats> = rules
        .into_iter()
        .map(|(rule, Decisions { bans, refused, flows_denied, .. })| RuleStats {
            rule,
            bans,
            refused,
            flows_denied,
        })
        .collect();
    rules.sort_by_key(|rule| std::cmp::Reverse((rule.bans, rule.flows_denied, rule.refused)));
    let countries = countries.map(|countries| {
        let each = countries.into_iter();
        let each = each.map(|(country, (bans, networks))| CountryStats { country, bans, networks });
        let mut countries: Vec<CountryStats> = each.collect();
        countries.sort_by_key(|country| std::cmp::Reverse(country.bans));
        countries
    });
    let days = days.into_iter().map(|(day, decisions)| DayStats { day: date(day), decisions });
    Stats { from, to, oldest: oldest.map(Time), total, rules, countries, days: days.collect() }
}

fn add(sum: &mut Decisions, kind: HistoryKind, count: u64) {
    match kind {
        HistoryKind::Ban => sum.bans += count,
        HistoryKind::Unban => sum.unbans += count,
        HistoryKind::Refused => sum.refused += count,
        HistoryKind::FlowDenied => sum.flows_denied += count,
        HistoryKind::FlowAllowed => {}
    }
}

/// A day by its number since the epoch.
fn date(day: i64) -> String {
    let date = jiff::Timestamp::from_second(day.saturating_mul(86_400));
    date.map_or_else(|_| day.to_string(), |date| date.strftime("%Y-%m-%d").to_string())
}
