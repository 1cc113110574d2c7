use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use proptest::prelude::*;

use super::*;

#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Worth {
    class: bool,
    last: u32,
}

impl Rank for Worth {
    fn class(&self) -> u8 {
        self.class.into()
    }

    fn last_use(&self) -> u32 {
        self.last
    }
}

#[test]
fn a_tracked_source_takes_a_cache_line() {
    assert_eq!(size_of::<Option<Node<crate::sources::Source>>>(), 64);
}

#[test]
fn an_offender_takes_24_bytes() {
    assert_eq!(size_of::<Option<Node<crate::offenders::Offender>>>(), 24);
}

fn key(n: u32) -> Key {
    Key::of_addr(Ipv4Addr::from_bits(n).into())
}

fn put(table: &mut Table<Worth>, n: u32, class: bool, last: u32) -> Option<Worth> {
    let (slot, evicted) = table.find_or_insert(key(n), None);
    *table.get_mut(slot).unwrap() = Worth { class, last };
    evicted
}

#[test]
fn among_a_few_the_oldest_of_the_lowest_class_goes_first() {
    let mut table = Table::new(3, 7);
    for (n, class, last) in [(1, true, 1), (2, false, 3), (3, false, 2)] {
        assert_eq!(put(&mut table, n, class, last), None);
    }
    assert_eq!(put(&mut table, 4, false, 4), Some(Worth { class: false, last: 2 }));
    assert_eq!(put(&mut table, 5, false, 5), Some(Worth { class: false, last: 3 }));
}

#[test]
fn a_flood_of_light_ones_evicts_no_heavy_one() {
    let mut table = Table::new(1_000, 7);
    for n in 0..900 {
        put(&mut table, n, true, 0);
    }
    for n in 1_000..50_000 {
        put(&mut table, n, false, n);
    }
    let heavy = table.iter().filter(|(_, worth)| worth.class).count();
    // Where sixteen heavy ones stand side by side one of them goes; the light ones spread soon.
    assert!(heavy >= 500, "{heavy}");
}

#[test]
fn what_was_used_again_is_not_old() {
    let mut table = Table::new(10_000, 7);
    for n in 0..5_000 {
        put(&mut table, n, false, 100);
    }
    assert!(table.expire(160, 60, |_| panic!("nothing is old yet")));
    for n in 0..2_500 {
        put(&mut table, 2 * n, false, 161);
    }
    let mut gone = 0;
    assert!(table.expire(161, 60, |_| gone += 1));
    assert_eq!((gone, table.len()), (2_500, 2_500));
    assert!(table.find(&key(0)).is_some() && table.find(&key(1)).is_none());
}

#[test]
fn many_pages_are_looked_through_in_parts() {
    let mut table = Table::new(200_000, 7);
    for n in 0..200_000 {
        put(&mut table, n, false, 100);
    }
    let parts = (1..100).find(|_| table.expire(200, 60, |_| {})).unwrap();
    assert_eq!((parts, table.len()), (4, 0));
    assert!(table.expire(201, 60, |_| {}), "what is known to be fresh is passed over");
}

#[test]
fn a_shorter_window_is_seen_at_once() {
    let mut table = Table::new(10, 7);
    put(&mut table, 1, false, 100);
    table.expire(100, 1_000, |_| {});
    table.expire(200, 50, |_| {});
    assert_eq!(table.len(), 1, "it was said to be fresh for longer");
    table.distrust_ages();
    table.expire(200, 50, |_| {});
    assert_eq!(table.len(), 0);
}

#[test]
fn a_stale_hint_finds_the_right_entry() {
    let mut table = Table::<Worth>::new(10, 7);
    let (old, _) = table.find_or_insert(key(1), None);
    table.remove(&key(1));
    let (other, _) = table.find_or_insert(key(2), Some(old));
    assert_eq!(other, old, "the place is taken again");
    let (slot, _) = table.find_or_insert(key(1), Some(old));
    assert!(slot != old && table.find(&key(1)) == Some(slot));
}

#[derive(Clone, Debug)]
enum Op {
    Put(u8, u8),
    Remove(u8),
    Expire(u8),
    Shrink,
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        8 => (any::<u8>(), any::<u8>()).prop_map(|(n, last)| Op::Put(n, last)),
        2 => any::<u8>().prop_map(Op::Remove),
        1 => any::<u8>().prop_map(Op::Expire),
        1 => Just(Op::Shrink),
    ]
}

proptest! {
    #[test]
    fn behaves_like_a_map_that_evicts_no_more_than_it_must(
        ops in prop::collection::vec(op(), 1..400),
    ) {
        const CAPACITY: usize = 40;
        let mut table = Table::new(CAPACITY, 7);
        let mut model = BTreeMap::new();
        for op in ops {
            table.distrust_ages();
            match op {
                Op::Put(n, last) => {
                    let full = !model.contains_key(&key(n.into())) && model.len() == CAPACITY;
                    let evicted = put(&mut table, n.into(), false, last.into());
                    prop_assert_eq!(evicted.is_some(), full);
                    model.insert(key(n.into()), last);
                    model.retain(|key, _| table.find(key).is_some());
                }
                Op::Remove(n) => {
                    let held = model.remove(&key(n.into())).is_some();
                    prop_assert_eq!(table.remove(&key(n.into())).is_some(), held);
                }
                Op::Expire(now) => {
                    table.expire(now.into(), 100, |_| {});
                    model.retain(|_, last| now.saturating_sub(*last) <= 100);
                }
                Op::Shrink => {
                    table.set_capacity(20);
                    table.set_capacity(CAPACITY);
                    prop_assert!(table.len() <= 20);
                    model.retain(|key, _| table.find(key).is_some());
                }
            }
            let mut held: Vec<_> = table.iter().map(|(key, worth)| (key, worth.last)).collect();
            held.sort_unstable();
            let expected: Vec<_> = model.iter().map(|(key, last)| (*key, u32::from(*last))).collect();
            prop_assert_eq!(held, expected);
            prop_assert_eq!(table.len(), model.len());
        }
    }
}
