//! What an outsider who knows this code, but no seed, can do with it.

use std::collections::HashSet;
use std::net::{IpAddr, Ipv6Addr};

use super::*;
use crate::key::Key;

fn key(high: u64, low: u64) -> Key {
    let bits = u128::from(high) << 64 | u128::from(low);
    Key::of_addr(IpAddr::V6(Ipv6Addr::from_bits(bits)))
}

/// Addresses with the same last half, of which some is a constant that a hasher multiplies by; hosts of a
/// network one after the other; and those that [`Key`] once hashed to the same number.
#[test]
fn nobody_chooses_addresses_that_collide() {
    const ODD: u64 = 0x9E37_79B9_7F4A_7C15;
    const NET: u64 = 0x2a0d_1234_5678_0000;
    let constants = [0, 1, u64::MAX, ODD, 0xC0AC_29B7_C97C_50DD, 0xBF58_476D_1CE4_E5B9];
    for seed in 0..50 {
        let seed = Seed::new(seed);
        let keys = constants.iter().flat_map(|low| (0..300).map(move |n| key(NET + n, *low)));
        let hashes: HashSet<u64> = keys.map(|key| seed.hash_one(key)).collect();
        assert_eq!(hashes.len(), 1_800);
        let chosen = (0..300_u64).map(|n| {
            let product = (NET + n).wrapping_mul(ODD);
            key(NET + n, product ^ 0x1234_5678)
        });
        let hashes: HashSet<u64> = chosen.map(|key| seed.hash_one(key)).collect();
        assert_eq!(hashes.len(), 300);
    }
}

#[test]
fn every_bit_of_a_key_and_of_the_seed_counts() {
    let seed = Seed::new(7);
    let whole = seed.hash_one(key(1 << 40, 1));
    for bit in 0..64 {
        assert_ne!(seed.hash_one(key(1 << 40 ^ 1 << bit, 1)), whole);
        assert_ne!(seed.hash_one(key(1 << 40, 1 ^ 1 << bit)), whole);
        assert_ne!(Seed::new(7 ^ 1 << bit).hash_one(key(1 << 40, 1)), whole);
    }
    assert_ne!(seed.hash_one((1_u64, 2_u64)), seed.hash_one((2_u64, 1_u64)));
    assert_ne!(seed.hash_one("a"), seed.hash_one("b"));
}

/// The hosts of a network fall evenly into a few places, whatever the seed.
#[test]
fn a_few_bits_of_it_tell_hosts_apart() {
    for seed in 0..200 {
        let seed = Seed::new(seed);
        for step in [1, 2, 64, 256, 1 << 16, 1 << 32] {
            let hosts = (0..20).map(|n| seed.hash_one(key(0x2a0d_1234_5678_0000, 1 + n * step)));
            let places: HashSet<u64> = hosts.map(|hash| (hash >> 32) % 64).collect();
            assert!(places.len() >= 4, "{} places of 64 for 20 hosts, {step} apart", places.len());
        }
    }
}
