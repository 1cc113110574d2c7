//! fail2ban's time spans (`jail.conf(5)`, section "Time abbreviation format").

/// A span as a jail sets it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Span {
    /// So many seconds.
    Seconds(u64),
    /// A negative ban time: permanent.
    Permanent,
}

/// Reads `600`, `10m`, `1d12h`, `1d 12h`, `1h+30min`, `24*60*60`, `-1`; `None` when it is no span.
/// fail2ban evaluates any arithmetic; sums and products are what people write.
pub(super) fn parse(text: &str) -> Option<Span> {
    let text = text.trim();
    if let Some(positive) = text.strip_prefix('-') {
        return (!positive.starts_with('-') && parse(positive).is_some())
            .then_some(Span::Permanent);
    }
    let mut total = 0.0;
    let mut rest = text;
    loop {
        let (mut product, behind) = term(rest)?;
        rest = behind;
        while let Some(behind) = rest.strip_prefix('*') {
            let (factor, behind) = term(behind)?;
            product *= factor;
            rest = behind;
        }
        total += product;
        rest = rest.strip_prefix('+').unwrap_or(rest);
        if rest.is_empty() {
            break;
        }
    }
    // What does not fit is longer than any ban.
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "no sign was read, and `as` saturates"
    )]
    Some(Span::Seconds(total.round() as u64))
}

/// `12`, `12h`, `12 hours` at the start of `text`, and what stands behind it.
fn term(text: &str) -> Option<(f64, &str)> {
    let (number, behind) = split(text.trim_start(), |c| c.is_ascii_digit() || c == '.');
    let (unit, behind) = split(behind.trim_start(), |c| c.is_ascii_alphabetic());
    Some((number.parse::<f64>().ok()? * seconds(unit)?, behind.trim_start()))
}

/// Seconds of a unit. fail2ban takes a letter, an abbreviation of three, and the word.
fn seconds(unit: &str) -> Option<f64> {
    let unit = unit.to_ascii_lowercase();
    Some(match unit.as_str() {
        "" | "s" | "ss" | "se" | "sec" | "secs" | "second" | "seconds" => 1.0,
        "m" | "mm" | "mi" | "min" | "mins" | "minute" | "minutes" => 60.0,
        "h" | "hh" | "ho" | "hou" | "hour" | "hours" => 3_600.0,
        "d" | "dd" | "da" | "day" | "days" => 86_400.0,
        "w" | "ww" | "we" | "wee" | "week" | "weeks" => 604_800.0,
        // A twelfth of a year of 365.25 days.
        "mo" | "mon" | "month" | "months" => 2_629_800.0,
        "y" | "yy" | "ye" | "yea" | "year" | "years" => 31_557_600.0,
        _ => return None,
    })
}

fn split(text: &str, belongs: impl Fn(char) -> bool) -> (&str, &str) {
    let end = text.find(|c| !belongs(c)).unwrap_or(text.len());
    text.split_at(end)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn numbers_units_and_sums_are_read() {
        for (text, seconds) in [
            ("600", 600),
            ("10m", 600),
            (" 10 min ", 600),
            ("1h", 3_600),
            ("1d12h", 129_600),
            ("1d 12h", 129_600),
            ("1d 12h 30m 5s", 131_405),
            ("1w", 604_800),
            ("1mo", 2_629_800),
            ("1y", 31_557_600),
            ("1.5h", 5_400),
            ("86400.0", 86_400),
            ("14634.97", 14_635),
            (".5d", 43_200),
            ("2 we", 1_209_600),
            ("1d 30", 86_430),
            ("1hour+30min", 5_400),
            ("24*60 * 60", 86_400),
            ("2*1h 5m", 7_500),
            ("0", 0),
        ] {
            assert_eq!(parse(text), Some(Span::Seconds(seconds)), "{text}");
        }
    }

    #[test]
    fn a_negative_span_never_ends() {
        assert_eq!(parse("-1"), Some(Span::Permanent));
        assert_eq!(parse("-1d"), Some(Span::Permanent));
    }

    #[test]
    fn everything_else_is_no_span() {
        for text in ["", "-", "soon", "10q", "m", "1..5h", "--1", "10m,", "5*", "*5", "１０m"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "\\PC{0,20}|-?([0-9.]{0,12} ?[a-z]{0,4}[ +*]?){0,4}") {
            let _ = parse(&text);
        }
    }
}
