//! Secrets of 256 random bits, and the hashes that are kept of them.
//!
//! A secret that cannot be guessed needs no slow hash: SHA-256 is enough.

use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use sipward_config::Secret;

/// Random bytes of a secret.
const BYTES: usize = 32;

/// Longest text that is looked at as a secret, in bytes: a prefix and 64 hexadecimal digits are less.
const MAX_TEXT: usize = 200;

/// What is kept of a secret.
pub(super) type Hash = [u8; 32];

/// The system gave no random numbers.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the system provides no random numbers")]
pub struct NoRandom;

/// `prefix` and 256 bits from the system, in hexadecimal.
pub(super) fn make(prefix: &str) -> Result<Secret, NoRandom> {
    let mut bytes = [0; BYTES];
    getrandom::fill(&mut bytes).map_err(|_| NoRandom)?;
    let mut text = String::with_capacity(prefix.len() + 2 * BYTES);
    text.push_str(prefix);
    for byte in bytes {
        // Writing into a string cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    Ok(Secret::new(text))
}

/// The hash of a secret in a request; `None` if the text cannot be a secret.
pub(super) fn hash(text: &str) -> Option<Hash> {
    (!text.is_empty() && text.len() <= MAX_TEXT).then(|| Sha256::digest(text).into())
}

/// The entry of `all` with this hash. Takes constant time.
pub(super) fn find<'a, T>(
    all: impl IntoIterator<Item = &'a T>,
    hash: &Hash,
    of: impl Fn(&T) -> &Hash,
) -> Option<&'a T> {
    let mut found = None;
    for one in all {
        if bool::from(of(one).ct_eq(hash)) {
            found = Some(one);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_has_256_bits_and_no_two_are_alike() {
        let [one, other] = [make("sipward_").unwrap(), make("sipward_").unwrap()];
        assert_eq!(one.expose().len(), "sipward_".len() + 64);
        assert!(one.expose().starts_with("sipward_"));
        assert_ne!(one.expose(), other.expose());
        assert!(!format!("{one:?}").contains(one.expose()));
    }

    #[test]
    fn only_the_whole_secret_is_found() {
        let all = ["a", "b", "c"].map(|text| hash(text).unwrap());
        let find = |text: &str| find(&all, &hash(text)?, |hash| hash).copied();
        assert_eq!(find("b"), Some(all[1]));
        assert_eq!(find("bb"), None);
        assert_eq!(find(""), None);
        assert_eq!(hash(&"x".repeat(MAX_TEXT + 1)), None);
    }
}
