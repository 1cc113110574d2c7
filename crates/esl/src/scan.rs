//! Looking for a byte in a few others.

/// Where the first `BYTE` is. Eight bytes at a time, in place: lines and values are some 30 bytes long, so that
/// calling a library's search for each costs more than searching.
#[inline]
pub(crate) fn position<const BYTE: u8>(bytes: &[u8]) -> Option<usize> {
    const EACH: u64 = 0x0101_0101_0101_0101;
    const HIGH_BITS: u64 = EACH * 0x80;
    let words = bytes.chunks_exact(8);
    let (count, tail) = (words.len(), words.remainder());
    for (at, word) in words.enumerate() {
        // Each has eight bytes.
        let Ok(word) = <[u8; 8]>::try_from(word) else { continue };
        // A byte is zero where the word holds the one looked for. Subtracting 1 borrows into the high bit of zero
        // bytes; it may also do so behind the first of them, which does not matter here.
        let zero = u64::from_le_bytes(word) ^ (EACH * u64::from(BYTE));
        let perhaps = zero.wrapping_sub(EACH) & HIGH_BITS;
        if perhaps != 0 {
            // Bytes that have that bit by themselves are rare: FreeSWITCH encodes what is not ASCII.
            let found = perhaps & !zero;
            if found != 0 {
                return Some(at * 8 + (found.trailing_zeros() / 8) as usize);
            }
        }
    }
    let in_tail = tail.iter().position(|&byte| byte == BYTE)?;
    Some(count * 8 + in_tail)
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::position;

    proptest! {
        /// With neighbours that differ from it in the lowest or the highest bit only.
        #[test]
        fn finds_the_first(
            bytes in vec(prop_oneof![Just(b'\n'), Just(b'\n' ^ 1), Just(b'\n' ^ 0x80), any::<u8>()], 0..40)
        ) {
            let expected = bytes.iter().position(|&byte| byte == b'\n');
            prop_assert_eq!(position::<b'\n'>(&bytes), expected);
        }
    }
}
