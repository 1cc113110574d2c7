//! `kill -9` again and again in a storm: every reported ban is in force until its end.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use ipnet::IpNet;
use jiff::Timestamp;
use rusqlite::Connection;
use sipward_engine::{Cause, Expiry};
use sipward_tests::daemon::Log;

use super::kernel::{blackhole_list, blackholes};
use super::store::saved;
use super::world::World;

super::cases![killed_again_and_again_it_loses_no_ban];

/// Times that the daemon is killed. `.ci/full` sets 50.
const KILLS: &str = "SIPWARD_KILLS";
const FEW: u32 = 8;

/// Repeats a run.
const SEED: &str = "SIPWARD_SEED";

/// Pause between two failures, each of a source of its own and each a ban.
const PAUSE: Duration = Duration::from_micros(700);

fn killed_again_and_again_it_loses_no_ban() {
    let seed = setting(SEED).unwrap_or_else(|| fastrand::u64(..));
    let kills = setting(KILLS).map_or(FEW, |kills| u32::try_from(kills).unwrap());
    println!("{kills} kills; {SEED}={seed} repeats them");
    let mut random = fastrand::Rng::with_seed(seed);
    let world = World::new();
    let setup = world.setup("[policy]\nmax_failures = 1\nban_time = \"1h\"\nmax_bans = 500000\n");
    let mut told = Told::default();
    in_a_storm(&world, || {
        for n in 0..kills {
            let daemon = world.start(&setup);
            // Every other one while it starts, reads, adopts; the rest while it works.
            let longest = if n % 2 == 0 {
                200
            } else {
                daemon.expect("esl_connected");
                700
            };
            thread::sleep(Duration::from_millis(random.u64(..longest)));
            told.note(&daemon.kill().log);
        }
    });
    let last = world.watch(&setup);
    let ended = last.stop();
    told.note(&ended.log);

    assert!(told.bans.len() > 20, "only {} bans: too few to prove anything", told.bans.len());
    let routes = blackhole_list(&world.pbx);
    let standing = blackholes(&world.pbx);
    assert_eq!(routes.len(), standing.len(), "a route stands twice");
    let bans = saved(&setup.store_file()).bans;
    let stored: BTreeSet<IpNet> = bans.iter().map(|ban| ban.net).collect();
    assert_eq!(stored.len(), bans.len(), "a ban is stored twice");
    let nobodys: Vec<_> = standing.difference(&stored).collect();
    assert!(nobodys.is_empty(), "routes without a ban: {nobodys:?}");
    let open: Vec<_> = stored.difference(&standing).collect();
    assert!(open.is_empty(), "bans without a route: {open:?}");
    for ban in &bans {
        let Some(promised) = told.bans.get(&ban.net) else { continue };
        let Expiry::At(end) = ban.until else { panic!("{} never ends", ban.net) };
        let end = Timestamp::from_microsecond(i64::try_from(end.as_micros()).unwrap()).unwrap();
        // The log has milliseconds.
        let late = end.duration_since(*promised).as_millis();
        match &*ban.cause {
            Cause::Adopted => assert!(late >= 0, "{} ends {late} ms late", ban.net),
            _ => assert_eq!(late, 0, "{} ends {late} ms late", ban.net),
        }
    }
    let missing: Vec<_> = told.bans.keys().filter(|net| !stored.contains(net)).collect();
    assert!(missing.is_empty(), "told and lost: {missing:?}");
    assert!(told.twice.is_empty(), "banned twice: {:?}", told.twice);
    let file = Connection::open(setup.store_file()).unwrap();
    let sound: String = file.pragma_query_value(None, "integrity_check", |row| row.get(0)).unwrap();
    assert_eq!(sound, "ok");
    println!("{} bans told, {} stand", told.bans.len(), standing.len());
}

/// What the log has promised.
#[derive(Default)]
struct Told {
    /// Until when, by network.
    bans: BTreeMap<IpNet, Timestamp>,
    /// Networks that a rule banned although they were banned.
    twice: Vec<IpNet>,
}

impl Told {
    fn note(&mut self, log: &Log) {
        let gaps = log.all("store_incomplete");
        assert!(gaps.is_empty(), "a kill costs nothing that was written: {gaps:?}");
        for ban in log.all("ban") {
            let net: IpNet = ban.text("net").parse().unwrap();
            let until = ban.time("until").unwrap();
            // Only a rule's ban was reported; an adopted route was set before its report.
            if ban.text("by") == "rule" && self.bans.insert(net, until).is_some() {
                self.twice.push(net);
            }
        }
    }
}

/// Plays `during` while one source after the other fails.
fn in_a_storm(world: &World, during: impl FnOnce()) {
    let goes_on = AtomicBool::new(true);
    let next = AtomicU32::new(u32::from(Ipv4Addr::new(198, 18, 0, 0)));
    thread::scope(|scope| {
        scope.spawn(|| {
            while goes_on.load(Ordering::Relaxed) {
                let source = Ipv4Addr::from(next.fetch_add(1, Ordering::Relaxed));
                world.fs.failure(IpAddr::V4(source), 5060, "1000");
                thread::sleep(PAUSE);
            }
        });
        // Also when it fails: the scope waits for the storm.
        let stop = StopOnDrop(&goes_on);
        during();
        drop(stop);
    });
}

struct StopOnDrop<'a>(&'a AtomicBool);

impl Drop for StopOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Relaxed);
    }
}

fn setting(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} is `{text}`, not a number")))
}
