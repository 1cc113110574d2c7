//! The two identities that FreeSWITCH writes as UUIDs.

use std::fmt;

use crate::percent::{NO_DIGIT, hex_value};

/// `Core-UUID`: identity of one run of FreeSWITCH. A new value means that it was restarted.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CoreUuid(pub u128);

/// `Job-UUID`: joins a `bgapi` command and its `BACKGROUND_JOB` event.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JobUuid(pub u128);

impl CoreUuid {
    /// Reads the usual form, 8-4-4-4-12 hex digits in either letter case.
    #[must_use]
    pub fn parse(text: &[u8]) -> Option<Self> {
        parse(text).map(Self)
    }
}

impl JobUuid {
    /// Reads the usual form, 8-4-4-4-12 hex digits in either letter case.
    #[must_use]
    pub fn parse(text: &[u8]) -> Option<Self> {
        parse(text).map(Self)
    }

    /// A random (version 4) UUID of these random bits.
    pub(crate) const fn random(bits: u128) -> Self {
        const VERSION_AND_VARIANT: u128 = 0xf000_c000_0000_0000_0000;
        const VERSION_4_VARIANT_1: u128 = 0x4000_8000_0000_0000_0000;
        Self(bits & !VERSION_AND_VARIANT | VERSION_4_VARIANT_1)
    }
}

impl fmt::Display for CoreUuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write(self.0, f)
    }
}

impl fmt::Debug for CoreUuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write(self.0, f)
    }
}

impl fmt::Display for JobUuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write(self.0, f)
    }
}

impl fmt::Debug for JobUuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write(self.0, f)
    }
}

fn parse(text: &[u8]) -> Option<u128> {
    let (time_low, text) = group::<8>(text)?;
    let (time_mid, text) = group::<4>(text.strip_prefix(b"-")?)?;
    let (time_high, text) = group::<4>(text.strip_prefix(b"-")?)?;
    let (clock, text) = group::<4>(text.strip_prefix(b"-")?)?;
    let (node, text) = group::<12>(text.strip_prefix(b"-")?)?;
    let high = time_low << 32 | time_mid << 16 | time_high;
    let low = clock << 48 | node;
    text.is_empty().then_some(u128::from(high) << 64 | u128::from(low))
}

/// So many hex digits, and what follows. Each event brings a UUID, so the loop has no way out but its end,
/// and the compiler unrolls it.
fn group<const DIGITS: usize>(text: &[u8]) -> Option<(u64, &[u8])> {
    let (digits, rest) = text.split_first_chunk::<DIGITS>()?;
    let (value, all) = digits.iter().fold((0, 0), |(value, all), &digit| {
        let digit = hex_value(digit);
        (value << 4 | u64::from(digit), all | digit)
    });
    (all < NO_DIGIT).then_some((value, rest))
}

fn write(value: u128, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let group = |shift: u32, digits: u32| value >> shift & ((1 << (4 * digits)) - 1);
    write!(
        f,
        "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
        group(96, 8),
        group(80, 4),
        group(64, 4),
        group(48, 4),
        group(0, 12)
    )
}

#[cfg(test)]
mod tests {
    use super::{CoreUuid, JobUuid};

    const TEXT: &str = "3833e5b9-30a6-4853-84cc-577f3c1402af";

    #[test]
    fn reads_and_writes_the_usual_form() {
        let uuid = CoreUuid::parse(TEXT.as_bytes()).unwrap();
        assert_eq!(uuid.0, 0x3833_e5b9_30a6_4853_84cc_577f_3c14_02af);
        assert_eq!(uuid.to_string(), TEXT);
        assert_eq!(CoreUuid::parse(TEXT.to_uppercase().as_bytes()), Some(uuid));
    }

    #[test]
    fn refuses_anything_else() {
        for text in ["", "3833e5b9", &TEXT[1..], &TEXT.replace('-', "0"), &TEXT.replace('a', "g")] {
            assert_eq!(CoreUuid::parse(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn a_random_job_is_a_version_4_uuid() {
        for bits in [0, u128::MAX, 0x3833_e5b9_30a6_4853_84cc_577f_3c14_02af] {
            let text = JobUuid::random(bits).to_string();
            assert_eq!(text.as_bytes()[14], b'4', "{text}");
            assert!(matches!(text.as_bytes()[19], b'8' | b'9' | b'a' | b'b'), "{text}");
        }
    }
}
