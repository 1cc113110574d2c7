//! How much longer fail2ban bans repeat offenders (`bantime.*` in `jail.conf(5)`), as sipward's factor and maximum.
//!
//! fail2ban's second ban lasts `bantime` · 2 · factor, and each further one twice as long; sipward's ban n lasts
//! `ban_time` · factor^(n−1). Both agree where fail2ban's factor is 1; otherwise the third ban, or the last of a list of
//! multipliers, decides.

use std::ops::RangeInclusive;

use sipward_engine::MAX_BAN_TIME;

use super::Notes;
use super::ini::{Ini, is_true, text};
use super::time::{self, Span};

/// `escalation.factor`.
const FACTOR: RangeInclusive<f64> = 1.0..=100.0;

/// `escalation.max` at most, in seconds.
pub(super) const LONGEST: u64 = MAX_BAN_TIME.as_secs();

/// Multipliers read at most.
const MAX_MULTIPLIERS: usize = 256;

/// What becomes of a jail's escalation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Escalation {
    /// `escalation.factor`; `None` where fail2ban's formula says something that sipward cannot.
    pub(super) factor: Option<f64>,
    /// The longest ban, in seconds; `None` where fail2ban has none.
    pub(super) max: Option<u64>,
}

/// The escalation of a jail; `None` when it bans repeat offenders no longer than others.
pub(super) fn of(
    files: &Ini,
    name: &str,
    ban_time: Option<Span>,
    notes: &mut Notes,
) -> Option<Escalation> {
    if !text(files, name, "bantime.increment", notes).is_some_and(|value| is_true(&value)) {
        return None;
    }
    let written = |key: &str, notes: &mut Notes| {
        text(files, name, key, notes)
            .map(|text| text.trim().to_owned())
            .filter(|text| !text.is_empty())
    };
    let left_out = |key: &str, text: &str, notes: &mut Notes| {
        notes.add(format!(
            "[{name}] {key} = {} is left out: sipward multiplies each further ban by one number \
                           (policy.escalation.factor)",
            text.escape_debug()
        ));
    };
    let factor = written("bantime.factor", notes).map_or(Some(1.0), |text| {
        let read = text.parse::<f64>().ok().filter(|factor| factor.is_finite() && *factor > 0.0);
        if read.is_none() {
            left_out("bantime.factor", &text, notes);
        }
        read
    });
    let mut max = written("bantime.maxtime", notes).and_then(|text| match time::parse(&text) {
        Some(Span::Seconds(seconds)) => Some(seconds.min(LONGEST)),
        Some(Span::Permanent) => None,
        None => {
            notes.add(format!("[{name}] bantime.maxtime = {}: no time span", text.escape_debug()));
            None
        }
    });
    let growth = if let Some(text) = written("bantime.multipliers", notes) {
        let numbers = factor.and_then(|factor| multipliers(&text, factor));
        if numbers.is_none() {
            left_out("bantime.multipliers", &text, notes);
        }
        // The last multiplier is where fail2ban's bans stop growing.
        if let (Some((_, last)), Some(Span::Seconds(first))) = (numbers, ban_time) {
            let longest = seconds(f64::from(u32::try_from(first).unwrap_or(u32::MAX)) * last);
            max = Some(max.map_or(longest, |max| max.min(longest)));
        }
        numbers.map(|(growth, _)| growth)
    } else if let Some(text) = written("bantime.formula", notes) {
        let growth = factor.and_then(|factor| formula(&text, factor));
        if growth.is_none() {
            left_out("bantime.formula", &text, notes);
        }
        growth
    } else {
        factor.map(doubled)
    };
    if written("bantime.rndtime", notes).is_some() {
        notes.add(format!(
            "[{name}] bantime.rndtime is left out: sipward's bans have no random part"
        ));
    }
    let factor = growth.map(|growth| {
        let taken = (growth.clamp(*FACTOR.start(), *FACTOR.end()) * 100.0).round() / 100.0;
        notes.add(format!(
            "[{name}] bantime.increment: escalation.factor = {taken} multiplies each further ban; fail2ban's lengths \
             may differ in between"
        ));
        taken
    });
    if max.is_none() {
        notes.add(format!(
            "[{name}] bantime.maxtime is not set: fail2ban's bans grow without end, sipward's up to escalation.max (7d \
             unless you set it)"
        ));
    }
    Some(Escalation { factor, max })
}

/// Twice as long each time, all but the first `factor` times that: exact at the third ban.
fn doubled(factor: f64) -> f64 {
    2.0 * factor.sqrt()
}

/// The growth of each step that leads to the last of a list times `factor`, and that product.
fn multipliers(text: &str, factor: f64) -> Option<(f64, f64)> {
    let numbers: Option<Vec<f64>> = text
        .split_whitespace()
        .take(MAX_MULTIPLIERS)
        .map(|word| word.parse().ok().filter(|number: &f64| number.is_finite() && *number > 0.0))
        .collect();
    let numbers = numbers?;
    let last = *numbers.last()?;
    // A list stays at its last number, and often repeats it.
    let steps = numbers.iter().position(|number| *number >= last)?.max(1);
    let last = last * factor;
    Some((last.powf(1.0 / f64::from(u16::try_from(steps).ok()?)), last))
}

/// The growth of one of the formulas that `jail.conf(5)` and its comments show, or of a power.
fn formula(text: &str, factor: f64) -> Option<f64> {
    let text: String = text.chars().filter(|c| !c.is_whitespace()).collect();
    let growth = text.strip_prefix("ban.Time*")?;
    if growth == "math.exp(float(ban.Count+1)*banFactor)/math.exp(1*banFactor)" {
        return Some(factor.exp());
    }
    let (growth, factor) = match growth.strip_suffix("*banFactor") {
        Some(growth) => (growth, factor),
        None => (growth, 1.0),
    };
    let growth = growth.strip_prefix('(').and_then(|g| g.strip_suffix(')')).unwrap_or(growth);
    if growth == "1<<ban.Count"
        || (growth.starts_with("1<<(ban.Countifban.Count<") && growth.ends_with(')'))
    {
        return Some(doubled(factor));
    }
    let base = growth
        .strip_suffix("**ban.Count")
        .or_else(|| growth.strip_prefix("pow(")?.strip_suffix(",ban.Count)"))?;
    let base = if base == "banFactor" { factor } else { base.parse().ok()? };
    Some(base * factor.sqrt()).filter(|growth| growth.is_finite() && *growth > 0.0 && base != 0.0)
}

#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "positive, and `as` saturates"
)]
fn seconds(length: f64) -> u64 {
    (length.round() as u64).min(LONGEST)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(settings: &str) -> (Option<Escalation>, Vec<String>) {
        let text = format!("[freeswitch]\nbantime.increment = true\n{settings}\n");
        let (ini, _) = Ini::parse(&text);
        let mut notes = Notes::default();
        let found = of(&ini, "freeswitch", Some(Span::Seconds(3_600)), &mut notes);
        (found, notes.0)
    }

    fn factor_and_max(settings: &str) -> (Option<f64>, Option<u64>) {
        let found = read(settings).0.unwrap();
        (found.factor, found.max)
    }

    #[test]
    fn factor_and_maximum_are_taken() {
        assert_eq!(factor_and_max(""), (Some(2.0), None));
        assert_eq!(
            factor_and_max("bantime.factor = 1\nbantime.maxtime = 1w"),
            (Some(2.0), Some(604_800))
        );
        assert_eq!(
            factor_and_max("bantime.factor = 4\nbantime.maxtime = 5w"),
            (Some(4.0), Some(3_024_000))
        );
        assert_eq!(factor_and_max("bantime.factor = 0.01"), (Some(1.0), None));
        assert_eq!(factor_and_max("bantime.maxtime = 1000y"), (Some(2.0), Some(LONGEST)));
    }

    #[test]
    fn multipliers_lead_to_their_last_which_is_the_maximum() {
        assert_eq!(factor_and_max("bantime.multipliers = 1 2 4 8 16"), (Some(2.0), Some(57_600)));
        assert_eq!(factor_and_max("bantime.multipliers = 1 3 9 9 9"), (Some(3.0), Some(32_400)));
        let (factor, max) = factor_and_max(
            "bantime.multipliers = 1 5 30 60 300 720 1440 2880\nbantime.maxtime = 5w",
        );
        assert_eq!((factor, max), (Some(3.12), Some(3_024_000)));
    }

    #[test]
    fn simple_formulas_are_taken_and_others_are_named() {
        for (formula, factor) in [
            ("ban.Time * (1<<(ban.Count if ban.Count<20 else 20)) * banFactor", 2.0),
            ("ban.Time * (1<<ban.Count)", 2.0),
            ("ban.Time * 3 ** ban.Count", 3.0),
            ("ban.Time * pow(1.5, ban.Count)", 1.5),
            ("ban.Time * math.exp(float(ban.Count+1)*banFactor)/math.exp(1*banFactor)", 2.72),
        ] {
            assert_eq!(
                factor_and_max(&format!("bantime.formula = {formula}")).0,
                Some(factor),
                "{formula}"
            );
        }
        let (found, notes) = read("bantime.formula = ban.Time * ban.Count + 60");
        assert_eq!(found.unwrap().factor, None);
        assert!(notes.iter().any(|note| note.contains("ban.Count + 60 is left out")), "{notes:?}");
    }

    #[test]
    fn without_increment_there_is_none() {
        let (ini, _) = Ini::parse("[freeswitch]\nbantime.factor = 4\n");
        assert_eq!(of(&ini, "freeswitch", None, &mut Notes::default()), None);
    }

    proptest! {
        #[test]
        fn whatever_is_written_the_factor_is_in_its_range(
            text in prop::collection::vec("bantime\\.(factor|maxtime|multipliers|formula) = (ban\\.Time\\*)?[-0-9. e*()a-z]{0,24}", 0..4),
        ) {
            let found = read(&text.join("\n")).0.unwrap();
            prop_assert!(found.factor.is_none_or(|factor| FACTOR.contains(&factor)));
            prop_assert!(found.max.is_none_or(|max| max <= LONGEST));
        }
    }
}
