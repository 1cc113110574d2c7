//! How FreeSWITCH fares in a flood.

use std::time::Duration;

use crate::{Answers, EngineTask, Profiles};
use sipward_model::clock::Clock;
use sipward_model::text::{Span, Thousands, Time, plural};
use sipward_model::wire::{BusyStranger, Flood, FloodState, ProfileState};

/// Strangers listed.
const STRANGERS: usize = 20;

/// What the engine's task knows of it.
pub(super) fn flood(task: &EngineTask) -> Flood {
    let (flood, clock) = (task.flood(), task.clock());
    let now = clock.steady();
    let (second, profiles) = (flood.second(now), &flood.profiles);
    let (state, since) = match (profiles.deaf_since(), flood.shielded_since()) {
        (Some(since), _) => (FloodState::Deaf, Some(since)),
        (None, Some(since)) => (FloodState::Shielded, Some(since)),
        (None, None) => (FloodState::Quiet, None),
    };
    let phones = task.protected().phones.count() as u64;
    let deaf = profiles.deaf_since().map(|since| now.since(since));
    Flood {
        state,
        since: since.map(|at| Time(clock.wall(at))),
        summary: summary(second.dropped, phones, profiles.slowest(), deaf),
        passed_per_second: second.passed,
        dropped_per_second: second.dropped,
        dropped_today: flood.dropped_today(clock.wall(now)),
        phones,
        answer_seconds: profiles.slowest().map(|took| took.as_secs_f64()),
        profiles: each(profiles, clock),
        strangers: flood
            .strangers
            .busiest(STRANGERS, now)
            .into_iter()
            .map(|(source, busy)| BusyStranger {
                net: source,
                packets: busy.packets,
                packets_per_second: busy.rate,
                limited_since: busy.limited.map(|at| Time(clock.wall(at))),
                slowed: busy.is_slowed,
                slowed_until: task
                    .slowed(source.addr())
                    .filter(|_| busy.is_slowed)
                    .map(|slowed| Time(clock.wall(slowed.until))),
            })
            .collect(),
    }
}

fn each(profiles: &Profiles, clock: &Clock) -> Vec<ProfileState> {
    let state = |(address, answers): (std::net::SocketAddr, Answers)| ProfileState {
        address: address.to_string(),
        answer_seconds: match answers {
            Answers::Within(took) => Some(took.as_secs_f64()),
            Answers::Unknown | Answers::Deaf(_) => None,
        },
        deaf_since: match answers {
            Answers::Deaf(since) => Some(Time(clock.wall(since))),
            Answers::Unknown | Answers::Within(_) => None,
        },
    };
    profiles.all().map(state).collect()
}

/// `31,204 packets/s dropped; 212 phones registered; FreeSWITCH answers in 4 ms`.
fn summary(dropped: u64, phones: u64, answers: Option<Duration>, deaf: Option<Duration>) -> String {
    let dropped = match dropped {
        0 => "no packets dropped".to_owned(),
        count => format!("{} packets/s dropped", Thousands(count)),
    };
    let phones = format!("{} {} registered", Thousands(phones), plural(phones, "phone"));
    let answers = match (deaf, answers) {
        (Some(deaf), _) => {
            let seconds = Duration::from_secs(deaf.as_secs()).as_secs_f64();
            format!("; FreeSWITCH DOES NOT ANSWER for {}", Span(seconds))
        }
        // Less than one would read as none.
        (None, Some(took)) => format!("; FreeSWITCH answers in {} ms", took.as_millis().max(1)),
        (None, None) => String::new(),
    };
    format!("{dropped}; {phones}{answers}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_sentence_says_what_is_dropped_who_is_there_and_whether_freeswitch_answers() {
        let ms = |ms| Some(Duration::from_millis(ms));
        for (said, sentence) in [
            (
                summary(31_204, 212, ms(4), None),
                "31,204 packets/s dropped; 212 phones registered; FreeSWITCH answers in 4 ms",
            ),
            (summary(0, 1, None, None), "no packets dropped; 1 phone registered"),
            (
                summary(0, 0, Some(Duration::from_micros(150)), None),
                "no packets dropped; 0 phones registered; FreeSWITCH answers in 1 ms",
            ),
            (
                summary(1_000, 2_000, ms(4), ms(72_900)),
                "1,000 packets/s dropped; 2,000 phones registered; FreeSWITCH DOES NOT ANSWER for 1m 12s",
            ),
        ] {
            assert_eq!(said, sentence);
        }
    }
}
