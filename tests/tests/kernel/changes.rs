//! Bans and flows in a long shuffle: what stands at its end is what was asked for last.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::{Duration, Instant};

use ipnet::IpNet;
use libtest_mimic::Trial;
use sipward_route::{Change, Flow, Report, Scope, Settings, Transport, inspect};
use sipward_tests::netns::case;

use crate::world::{Running, World, net};

pub(crate) fn cases() -> Vec<Trial> {
    vec![
        case("twenty_thousand_changes_of_bans_and_flows_end_as_they_should", || {
            shuffle(20_000);
        }),
        // A minute's worth of the largest attack that sipward is made for.
        case("two_hundred_thousand_changes_of_bans_and_flows_end_as_they_should", || {
            shuffle(200_000);
        })
        .with_ignored_flag(true),
    ]
}

/// Changes on their way at once: as many as the queue to the enforcer takes.
const TURN: usize = 1_000;
/// Targets of bans, of each kind.
const NETS: u32 = 6_000;
/// Flows.
const FLOWS: u32 = 12_000;
/// How long a flow is denied: longer than the test runs.
const DENIED_FOR: Duration = Duration::from_secs(600);
/// What shall stand.
#[derive(Default)]
struct Wanted {
    bans: BTreeMap<IpNet, Scope>,
    flows: BTreeSet<Flow>,
}

/// The thing that a change is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Target {
    Net(IpNet),
    Flow(Flow),
}

/// Makes so many changes as fast as the kernel takes them, and compares the kernel with what was wanted in the
/// middle and at the end.
fn shuffle(count: usize) {
    let world = World::new().with_default_route();
    let mut running = Running::start(&world.pbx, Settings::default());
    let targets = targets();
    let (mut wanted, mut random) = (Wanted::default(), fastrand::Rng::with_seed(7));
    let mut took = Duration::ZERO;
    let turns = count / TURN;
    for turn in 1..=turns {
        let begun = Instant::now();
        take_turn(&mut running, &targets, &mut wanted, &mut random);
        took += begun.elapsed();
        if turn == turns / 2 || turn == turns {
            compare(&world, &wanted);
        }
    }
    let rate = f64::from(u32::try_from(count).expect("a few")) / took.as_secs_f64();
    eprintln!(
        "{count} changes in {took:.1?}, {rate:.0}/s; {} bans and {} flows stand",
        wanted.bans.len(),
        wanted.flows.len()
    );
    running.stop();
    compare(&world, &wanted);
}

/// Hosts, /64s and networks that touch no other, and flows of a few hundred addresses.
fn targets() -> Vec<Target> {
    let nets = (0..NETS).flat_map(|n| {
        let (high, low) = (n / 250, n % 250);
        [
            format!("10.1.{high}.{low}"),
            format!("2001:db8:{n:x}:7::/64"),
            format!("2001:db8::{n:x}"),
            // Every other one, because in the kernel those that touch are one.
            format!("11.{}.{}.0/24", n * 2 / 250, n * 2 % 250),
        ]
    });
    let flows = (0..FLOWS).map(|n| Flow {
        source: IpAddr::from([203, 0, u8::try_from(n % 250).expect("small"), 7]),
        transport: if n % 2 == 0 { Transport::Udp } else { Transport::Tcp },
        port: u16::try_from(1_024 + n).expect("a port"),
    });
    nets.map(|text| Target::Net(net(&text))).chain(flows.map(Target::Flow)).collect()
}

/// Sends one change for each of some targets, and waits for the answer to each.
fn take_turn(
    running: &mut Running,
    targets: &[Target],
    wanted: &mut Wanted,
    random: &mut fastrand::Rng,
) {
    let some = random.choose_multiple(targets.iter().copied(), TURN);
    let mut waiting: BTreeSet<Target> = some.iter().copied().collect();
    for target in some {
        running.send(change(target, wanted, random));
    }
    while !waiting.is_empty() {
        let report = running.expect("an answer", |report| answer(report).is_some());
        waiting.remove(&answer(&report).expect("an answer"));
    }
}

/// A change at random; three of five stop something.
fn change(target: Target, wanted: &mut Wanted, random: &mut fastrand::Rng) -> Change {
    let stops = random.u8(0..5) < 3;
    match target {
        Target::Net(net) if stops => {
            let scope = if random.bool() { Scope::Host } else { Scope::Sip };
            wanted.bans.insert(net, scope);
            Change::Block { net, scope }
        }
        Target::Net(net) => {
            wanted.bans.remove(&net);
            Change::Unblock(net)
        }
        Target::Flow(flow) if stops => {
            wanted.flows.insert(flow);
            Change::Deny { flow, until: Instant::now() + DENIED_FOR }
        }
        Target::Flow(flow) => {
            wanted.flows.remove(&flow);
            Change::Allow(flow)
        }
    }
}

/// What a report answers for. Panics when the kernel did not do what was asked.
fn answer(report: &Report) -> Option<Target> {
    match report {
        Report::Blocked { enforcement, .. } | Report::Denied { enforcement, .. }
            if !enforcement.is_full() =>
        {
            panic!("{report:?}")
        }
        Report::Blocked { net, .. } => Some(Target::Net(*net)),
        Report::Unblocked { net, still } => {
            assert_eq!(*still, None, "{net}");
            Some(Target::Net(*net))
        }
        Report::Denied { flow, .. } | Report::Allowed { flow } => Some(Target::Flow(*flow)),
        Report::Failed { change, error } => panic!("{change:?}: {error}"),
        Report::Healed { .. } => panic!("nobody else touches it: {report:?}"),
        _ => None,
    }
}

fn compare(world: &World, wanted: &Wanted) {
    let found = world.pbx.block_on(async || inspect(&Settings::default()).await.unwrap());
    let of = |scope: Scope| -> BTreeSet<IpNet> {
        let bans = wanted.bans.iter().filter(|(_, of)| **of == scope);
        bans.map(|(net, _)| *net).collect()
    };
    same(&found.bans, &of(Scope::Host), "routes");
    same(&found.sip_bans, &of(Scope::Sip), "bans from the SIP ports");
    assert_eq!(found.hosts_differ, 0, "routes and the set of hosts");
    let flows: BTreeSet<Flow> = found.flows.iter().map(|(flow, _)| *flow).collect();
    same(&flows, &wanted.flows, "flows");
    assert!(found.flows.iter().all(|(_, left)| *left <= DENIED_FOR));
    assert!(!wanted.bans.is_empty() && !wanted.flows.is_empty());
}

fn same<T: Ord + std::fmt::Debug>(found: &BTreeSet<T>, wanted: &BTreeSet<T>, what: &str) {
    let (missing, strays) = (wanted.difference(found), found.difference(wanted));
    let some =
        (missing.clone().take(5).collect::<Vec<_>>(), strays.clone().take(5).collect::<Vec<_>>());
    let counts = (missing.count(), strays.count());
    assert_eq!(counts, (0, 0), "{what} missing and strays of {}: {some:?}", wanted.len());
}
