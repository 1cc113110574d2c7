use std::collections::VecDeque;

use proptest::prelude::*;

use super::*;

#[test]
fn a_slot_is_four_bytes_even_when_optional() {
    assert_eq!(size_of::<Option<Slot>>(), 4);
}

#[test]
fn shrinking_the_capacity_evicts_what_no_longer_fits() {
    let mut table = LruTable::<u32, u32>::new(100, 7);
    for key in 0..100 {
        table.find_or_insert(key);
    }
    table.set_capacity(10);
    assert_eq!(table.len(), 10);
    assert!(table.get(&99).is_some() && table.get(&89).is_none());
}

#[derive(Clone, Debug)]
enum Op {
    Insert(u8),
    Remove(u8),
    Expire(u8),
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        4 => any::<u8>().prop_map(Op::Insert),
        1 => any::<u8>().prop_map(Op::Remove),
        1 => any::<u8>().prop_map(Op::Expire),
    ]
}

proptest! {
    #[test]
    fn behaves_like_a_queue(ops in prop::collection::vec(op(), 1..400)) {
        const CAPACITY: usize = 40;
        let mut table = LruTable::<u8, u8>::new(CAPACITY, 7);
        let mut model = VecDeque::<u8>::new();
        for op in ops {
            match op {
                Op::Insert(key) => {
                    let full = !model.contains(&key) && model.len() >= CAPACITY;
                    let (slot, evicted) = table.find_or_insert(key);
                    let expected = if full { model.pop_front() } else { None };
                    prop_assert_eq!(evicted.map(|(key, _)| key), expected);
                    *table.value_mut(slot).unwrap() = key;
                    model.retain(|&other| other != key);
                    model.push_back(key);
                }
                Op::Remove(key) => {
                    let known = model.contains(&key);
                    prop_assert_eq!(table.remove(&key).is_some(), known);
                    model.retain(|&other| other != key);
                }
                Op::Expire(below) => {
                    table.expire(|&key, _| key < below);
                    while model.front().is_some_and(|&key| key < below) {
                        model.pop_front();
                    }
                }
            }
            prop_assert_eq!(table.oldest(), model.front());
            let mut held: Vec<u8> = table.iter().map(|(&key, _)| key).collect();
            let mut expected: Vec<u8> = model.iter().copied().collect();
            held.sort_unstable();
            expected.sort_unstable();
            prop_assert_eq!(held, expected);
        }
    }
}
