//! Hashes of what outsiders choose.
//!
//! Attackers choose addresses, networks, ports and numbers, so no hash of one is without the engine's seed.
//! foldhash is not enough for these: its `FixedState` multiplies by constants that everybody can read, and who
//! sends from an address with such a constant in it chooses the factor 0 and so the hash.

use std::hash::{BuildHasher, Hasher};

/// What the hashes of one engine begin with. Two secret words, of which one multiplies.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seed {
    start: u64,
    factor: u64,
}

/// The golden ratio: its multiples lie evenly.
const STEP: u64 = 0x9E37_79B9_7F4A_7C15;

impl Seed {
    pub(crate) const fn new(seed: u64) -> Self {
        // The first two numbers of SplitMix64.
        let start = scrambled(seed.wrapping_add(STEP));
        Self { start, factor: scrambled(seed.wrapping_add(STEP.wrapping_mul(2))) }
    }
}

const fn scrambled(word: u64) -> u64 {
    let word = (word ^ (word >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let word = (word ^ (word >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    word ^ (word >> 31)
}

impl BuildHasher for Seed {
    type Hasher = Seeded;

    #[inline]
    fn build_hasher(&self) -> Seeded {
        Seeded { state: self.start, factor: self.factor }
    }
}

/// Takes a word, or two at once, with one multiplication of all bits, and one at the end.
#[derive(Debug)]
pub(crate) struct Seeded {
    state: u64,
    factor: u64,
}

impl Hasher for Seeded {
    fn write(&mut self, bytes: &[u8]) {
        for part in bytes.chunks(size_of::<u64>()) {
            let word = part.iter().fold(0, |word, byte| word << 8 | u64::from(*byte));
            self.write_u64(word);
        }
        self.write_usize(bytes.len());
    }

    #[inline]
    fn write_u8(&mut self, number: u8) {
        self.write_u64(number.into());
    }

    #[inline]
    fn write_u16(&mut self, number: u16) {
        self.write_u64(number.into());
    }

    #[inline]
    fn write_u32(&mut self, number: u32) {
        self.write_u64(number.into());
    }

    #[inline]
    fn write_u64(&mut self, number: u64) {
        self.state = folded(number ^ self.state, self.factor);
    }

    #[inline]
    fn write_u128(&mut self, number: u128) {
        let (high, low) = halves(number);
        self.state = folded(high ^ self.state, low ^ self.factor);
    }

    #[inline]
    fn write_usize(&mut self, number: usize) {
        self.write_u64(number as u64);
    }

    #[inline]
    fn finish(&self) -> u64 {
        // One product alone steps evenly from one host to the next: a few bits of it may be the same for many.
        folded(self.state, STEP)
    }
}

/// Both halves of the product in one.
#[inline]
fn folded(one: u64, other: u64) -> u64 {
    let (high, low) = halves(u128::from(one) * u128::from(other));
    high ^ low
}

#[inline]
fn halves(number: u128) -> (u64, u64) {
    #[expect(clippy::cast_possible_truncation, reason = "the two halves of it")]
    let halves = ((number >> 64) as u64, number as u64);
    halves
}

#[cfg(test)]
mod tests;
