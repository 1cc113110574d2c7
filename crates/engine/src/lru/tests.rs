use std::collections::VecDeque;

use proptest::prelude::*;

use super::*;

#[test]
fn evicts_the_oldest_of_the_lowest_class() {
    let mut table = LruTable::<u32, u32, 3>::new(3, 7);
    for (key, class) in [(1, 2), (2, 1), (3, 1)] {
        let (slot, evicted) = table.find_or_insert(key);
        assert!(evicted.is_none());
        table.touch(slot, class);
    }
    let (_, evicted) = table.find_or_insert(4);
    assert_eq!(evicted.map(|(key, _)| key), Some(2));
    let (_, evicted) = table.find_or_insert(5);
    assert_eq!(evicted.map(|(key, _)| key), Some(4), "class 0 goes before class 1");
}

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
    Insert(u8, u8),
    Remove(u8),
    Expire(u8),
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        4 => (any::<u8>(), 0..3_u8).prop_map(|(key, class)| Op::Insert(key, class)),
        1 => any::<u8>().prop_map(Op::Remove),
        1 => any::<u8>().prop_map(Op::Expire),
    ]
}

proptest! {
    #[test]
    fn behaves_like_three_queues(ops in prop::collection::vec(op(), 1..400)) {
        const CAPACITY: usize = 40;
        let mut table = LruTable::<u8, u8, 3>::new(CAPACITY, 7);
        let mut model: [VecDeque<u8>; 3] = Default::default();
        for op in ops {
            match op {
                Op::Insert(key, class) => {
                    let known = model.iter().any(|queue| queue.contains(&key));
                    let (slot, evicted) = table.find_or_insert(key);
                    let expected = if known || model.iter().map(VecDeque::len).sum::<usize>() < CAPACITY {
                        None
                    } else {
                        model.iter_mut().find_map(VecDeque::pop_front)
                    };
                    prop_assert_eq!(evicted.map(|(key, _)| key), expected);
                    table.touch(slot, class);
                    *table.value_mut(slot).unwrap() = key;
                    for queue in &mut model {
                        queue.retain(|&other| other != key);
                    }
                    model[usize::from(class)].push_back(key);
                }
                Op::Remove(key) => {
                    let known = model.iter().any(|queue| queue.contains(&key));
                    prop_assert_eq!(table.remove(&key).is_some(), known);
                    for queue in &mut model {
                        queue.retain(|&other| other != key);
                    }
                }
                Op::Expire(below) => {
                    table.expire(|&key, _| key < below);
                    for queue in &mut model {
                        while queue.front().is_some_and(|&key| key < below) {
                            queue.pop_front();
                        }
                    }
                }
            }
            let mut held: Vec<u8> = table.iter().map(|(&key, _)| key).collect();
            let mut expected: Vec<u8> = model.iter().flatten().copied().collect();
            held.sort_unstable();
            expected.sort_unstable();
            prop_assert_eq!(held, expected);
        }
    }
}
