use std::time::Duration;

use super::{Dialogs, SETS, WAYS};
use crate::Timestamp;

const NOW: Timestamp = Timestamp::from_micros(1_700_000_000_000_000);
const PROFILE: u64 = 7;
const DIALOG: u64 = 0xDEAD_BEEF_0000_1234;

fn after(seconds: u64) -> Timestamp {
    NOW + Duration::from_secs(seconds)
}

#[test]
fn each_challenge_is_answered_once() {
    let mut dialogs = Dialogs::new();
    assert!(!dialogs.answer(DIALOG, PROFILE, NOW));
    dialogs.challenged(DIALOG, NOW);
    dialogs.challenged(DIALOG, NOW);
    assert!(dialogs.answer(DIALOG, PROFILE, NOW));
    assert!(dialogs.answer(DIALOG, PROFILE, NOW));
    assert!(!dialogs.answer(DIALOG, PROFILE, NOW));
}

#[test]
fn another_dialog_is_not_answered_by_it() {
    let mut dialogs = Dialogs::new();
    dialogs.challenged(DIALOG, NOW);
    assert!(!dialogs.answer(DIALOG ^ 1 << 40, PROFILE, NOW), "of the same set");
    assert!(!dialogs.answer(DIALOG ^ 1, PROFILE, NOW), "of another set");
}

#[test]
fn a_challenge_ends_with_its_nonce() {
    let mut dialogs = Dialogs::new();
    dialogs.challenged(DIALOG, NOW);
    assert!(!dialogs.answer(DIALOG, PROFILE, after(91)));
    dialogs.set_life(PROFILE, Duration::from_secs(600));
    dialogs.challenged(DIALOG, NOW);
    assert!(dialogs.answer(DIALOG, PROFILE, after(630)));
    dialogs.set_life(PROFILE, Duration::from_secs(60));
    dialogs.challenged(DIALOG, NOW);
    assert!(dialogs.answer(DIALOG, PROFILE, after(90)));
}

#[test]
fn a_full_set_forgets_the_oldest_challenge() {
    let mut dialogs = Dialogs::new();
    let key = |n: u64| n << 32 | 5;
    for n in 1..=WAYS as u64 + 1 {
        dialogs.challenged(key(n), after(n));
    }
    assert!(!dialogs.answer(key(1), PROFILE, after(9)));
    for n in 2..=WAYS as u64 + 1 {
        assert!(dialogs.answer(key(n), PROFILE, after(9)), "{n}");
    }
    // Whatever the key: there is a set for it.
    dialogs.challenged(u64::MAX - SETS / 2, NOW);
    assert!(dialogs.answer(u64::MAX - SETS / 2, PROFILE, NOW));
}

#[test]
fn the_number_of_profiles_is_bounded() {
    let mut dialogs = Dialogs::new();
    for profile in 0..1_000 {
        dialogs.set_life(profile, Duration::from_secs(10));
    }
    assert_eq!(dialogs.lives.len(), 64);
    dialogs.set_life(3, Duration::from_secs(3_600_000));
    assert_eq!(dialogs.life(3), 86_430, "a day at most");
}
