use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::{Cause, Evidence};

fn at(second: u8) -> Timestamp {
    Timestamp::EPOCH + Duration::from_secs(second.into())
}

fn net(n: u8) -> IpNet {
    IpNet::from(IpAddr::from([198, 51, 100, n]))
}

fn ban(n: u8, until: Expiry) -> Ban {
    let cause = Arc::new(Cause::Adopted);
    Ban::new(net(n), at(0), until, Origin::Automatic, Scope::Host, cause)
}

#[derive(Clone, Debug)]
enum Step {
    /// A ban of one of eight hosts, until one of eight times or for ever.
    Insert(u8, Option<u8>),
    Remove(u8),
    PassTo(u8),
    Refused(u8),
}

fn step() -> impl Strategy<Value = Step> {
    let (host, time) = (0..8_u8, 1..9_u8);
    prop_oneof![
        4 => (host.clone(), proptest::option::weighted(0.9, time.clone()))
            .prop_map(|(host, until)| Step::Insert(host, until)),
        2 => host.clone().prop_map(Step::Remove),
        1 => time.prop_map(Step::PassTo),
        1 => host.prop_map(Step::Refused),
    ]
}

proptest! {
    /// Places are used again, also by bans with the end of the one before.
    #[test]
    fn each_ban_ends_at_its_end(steps in proptest::collection::vec(step(), 1..200)) {
        let mut bans = Bans::new(7);
        let mut expected: BTreeMap<IpNet, (Expiry, bool)> = BTreeMap::new();
        for step in steps {
            match step {
                Step::Insert(n, until) => {
                    let until = until.map_or(Expiry::Never, |second| Expiry::At(at(second)));
                    bans.insert(ban(n, until));
                    expected.insert(net(n), (until, false));
                }
                Step::Remove(n) => {
                    prop_assert_eq!(
                        bans.remove(&net(n)).is_some(),
                        expected.remove(&net(n)).is_some()
                    );
                }
                Step::PassTo(second) => {
                    let is_over = |until: &Expiry| *until <= Expiry::At(at(second));
                    let mut ended: Vec<IpNet> =
                        std::iter::from_fn(|| bans.pop_expired(at(second))).collect();
                    ended.sort_unstable();
                    let over = expected.iter().filter(|(_, (until, _))| is_over(until));
                    let over: Vec<IpNet> = over.map(|(net, _)| *net).collect();
                    prop_assert_eq!(ended, over);
                    expected.retain(|_, (until, _)| !is_over(until));
                }
                Step::Refused(n) => {
                    let failed = Enforcement::Failed { error: n.to_string().into() };
                    let told = bans.set_enforcement(&net(n), failed).is_some();
                    let standing = expected.get_mut(&net(n));
                    prop_assert_eq!(told, standing.is_some());
                    if let Some((_, refused)) = standing {
                        *refused = true;
                    }
                }
            }
            let held: BTreeMap<IpNet, (Expiry, bool)> = bans
                .iter()
                .map(|(net, ban)| {
                    let view = bans.view(ban);
                    assert_eq!(view.net, net);
                    (net, (view.until, view.enforcement.is_failed()))
                })
                .collect();
            prop_assert_eq!(&held, &expected);
            let ends = expected.values().filter_map(|(until, _)| match until {
                Expiry::At(end) => Some(*end),
                Expiry::Never => None,
            });
            prop_assert_eq!(bans.next_expiry(), ends.min());
            prop_assert_eq!(bans.failed(), expected.values().filter(|(_, refused)| *refused).count());
        }
    }
}

#[test]
fn a_ban_takes_no_more_room_than_its_table_says() {
    assert_eq!(size_of::<Option<Ban>>(), 80);
}

#[test]
fn old_bans_keep_numbers_only() {
    let json = r#"{"by":"rule","rule":"failures","address":"192.0.2.7","identity":"stranger","failures":5,
        "score":4.5,"max_failures":5,"window_seconds":600,"grade":"answered","ban_count":1,
        "users":["1000"],"profile":"internal","user_agent":"x"}"#;
    let cause: Arc<Cause> = Arc::new(serde_json::from_str(json).unwrap());
    let mut bans = Bans::new(7);
    let count = u32::try_from(MAX_DETAILED).unwrap() + 1;
    for n in 0..count {
        let net = IpNet::from(IpAddr::from(n.to_be_bytes()));
        let cause = Arc::clone(&cause);
        bans.insert(Ban::new(net, at(0), Expiry::Never, Origin::Automatic, Scope::Host, cause));
    }
    let evidence = |n: u32| -> Evidence {
        let ban = bans.get(&IpNet::from(IpAddr::from(n.to_be_bytes()))).unwrap();
        ban.cause.evidence().unwrap().into_owned()
    };
    let whole = evidence(1);
    assert!(whole.details.is_some());
    assert_eq!(evidence(0), Evidence { details: None, ..whole });
}
