use std::collections::VecDeque;

use proptest::prelude::*;

use super::*;

#[derive(Clone, Debug)]
enum Op {
    Push(u32),
    Pop,
    Retain(u32),
    Remove(u32),
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        4 => any::<u32>().prop_map(Op::Push),
        2 => Just(Op::Pop),
        1 => (2..5_u32).prop_map(Op::Retain),
        1 => (2..5_u32).prop_map(Op::Remove),
    ]
}

proptest! {
    #[test]
    fn behaves_like_a_queue(ops in prop::collection::vec(op(), 1..200)) {
        let mut ring = Ring::default();
        let mut model = VecDeque::new();
        for op in ops {
            match op {
                Op::Push(at) => {
                    ring.push(Entry { at, tag: 0 });
                    model.push_back(at);
                }
                Op::Pop => {
                    prop_assert_eq!(ring.pop_oldest().map(|entry| entry.at), model.pop_front());
                }
                Op::Remove(factor) => {
                    let at = model.iter().position(|at| at % factor == 0);
                    let gone = ring.remove_oldest(|entry| entry.at % factor == 0);
                    prop_assert_eq!(gone.map(|entry| entry.at), at.and_then(|at| model.remove(at)));
                }
                Op::Retain(factor) => {
                    ring.retain(|entry| entry.at % factor == 0);
                    model.retain(|at| at % factor == 0);
                }
            }
            let held: Vec<u32> = ring.newest_first().map(|entry| entry.at).collect();
            prop_assert_eq!(held, model.iter().rev().copied().collect::<Vec<_>>());
            prop_assert_eq!(ring.oldest().map(|entry| entry.at), model.front().copied());
            prop_assert_eq!(ring.newest(1).map(|entry| entry.at), model.iter().rev().nth(1).copied());
        }
    }
}

#[test]
fn an_empty_ring_takes_no_memory_of_its_own() {
    let ring = Ring::default();
    assert!(ring.places.is_empty());
    assert!(size_of::<Ring>() <= 24);
}
