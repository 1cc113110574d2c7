//! Bans from the SIP ports, changes of a ban's scope, and the gate's sets of bans over restarts and damage.

use std::net::{IpAddr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use libtest_mimic::Trial;
use sipward_route::{
    Change, Enforcement, Flushed, GateMode, GateSettings, Report, Scope, Settings, flush, inspect,
};
use sipward_tests::netns::{Host, case, udp_burst as burst};
use sipward_tests::wait::until;

use crate::outside::{
    delete_route, flush_ruleset, flush_set, is_blackholed, old_gate, packets_dropped, routes,
};
use crate::traffic::{SIP, connect, knocks};
use crate::world::{
    ATTACKER, ATTACKER6, FAR, FAR6, PBX, PBX_FOR_PHONE, PBX6, PHONE, Running, World, net,
};

pub(crate) fn cases() -> Vec<Trial> {
    vec![
        case("a_host_banned_from_the_sip_ports_still_sees_the_web_server", hosts),
        case("networks_are_banned_from_the_sip_ports_alike", networks),
        case("a_sip_connection_of_a_host_banned_from_the_sip_ports_dies", connection_dies),
        case("a_scope_changes_without_a_gap", no_gap),
        case("a_ban_from_the_sip_ports_is_not_enforced_without_a_gate", without_gate),
        case("a_ban_from_the_sip_ports_gets_the_gate_it_needs", needs_gate),
        case("without_sip_ports_a_ban_from_them_waits", without_ports),
        case("a_ban_of_everybody_is_refused", everybody),
        case("what_others_take_out_of_the_sets_comes_back", elements_healed),
        case("what_others_put_into_the_sets_goes", strays_go),
        case("a_flushed_ruleset_comes_back_with_all_bans", table_healed),
        case("a_restart_adopts_bans_from_the_sip_ports", adopted),
        case("a_table_of_the_layout_before_is_replaced_without_a_gap", old_layout),
        case("new_settings_leave_bans_from_the_sip_ports_in_force", settings_change),
        case("flush_takes_bans_from_the_sip_ports_away", flushed),
        case("an_exact_host_is_dropped_without_its_route", without_route),
        case("thousands_of_bans_of_both_scopes_stand_and_go", thousands),
        case("what_others_put_into_a_set_amid_many_bans_goes", strays_amid_bans),
        case("a_large_set_is_completed_and_rid_of_strangers", large_set),
    ]
}

/// What the web server of these tests listens on.
const WEB: u16 = 80;

fn block(running: &mut Running, target: &str, scope: Scope) -> Enforcement {
    match running.ask(Change::Block { net: net(target), scope }) {
        Report::Blocked { enforcement, .. } => enforcement,
        other => panic!("block {target}: {other:?}"),
    }
}

/// A PBX with a web server beside FreeSWITCH.
struct Servers {
    _sockets: Vec<TcpListener>,
}

impl Servers {
    fn at(pbx: &Host) -> Self {
        let listen = |address: &str, port| {
            let address = SocketAddr::new(address.parse().unwrap(), port);
            pbx.tcp(address)
        };
        let all = [(PBX, WEB), (PBX, SIP), (PBX6, WEB), (PBX6, SIP)];
        Self { _sockets: all.map(|(address, port)| listen(address, port)).into() }
    }
}

/// Whether an address of the attacker reaches the web server, SIP over TCP, and SIP over UDP.
fn reaches(world: &World, from: &str) -> [bool; 3] {
    let to = if from.contains(':') { PBX6 } else { PBX };
    let attacker = (&world.attacker, from);
    let sip = burst(attacker, (&world.pbx, to), SIP, 10);
    assert!(sip == 0 || sip == 10, "{from}: {sip} of 10");
    [knocks(attacker, to, WEB), knocks(attacker, to, SIP), sip == 10]
}

const EVERYTHING: [bool; 3] = [true; 3];
const NOTHING: [bool; 3] = [false; 3];
const THE_WEB: [bool; 3] = [true, false, false];

fn start() -> (World, Running, Servers) {
    let world = World::new().with_default_route();
    let servers = Servers::at(&world.pbx);
    let running = Running::start(&world.pbx, Settings::default());
    assert!(running.found.coverage.gaps.is_empty(), "{:?}", running.found.coverage);
    (world, running, servers)
}

fn hosts() {
    let (world, mut running, _servers) = start();
    for (target, from) in
        [(ATTACKER, ATTACKER), (FAR, FAR), (FAR6, FAR6), ("2001:db8:a::/64", ATTACKER6)]
    {
        assert_eq!(reaches(&world, from), EVERYTHING, "{from} before");
        assert_eq!(block(&mut running, target, Scope::Sip), Enforcement::SipOnly);
        assert_eq!(reaches(&world, from), THE_WEB, "{from} banned");
        assert!(!is_blackholed(&world.pbx, target, 254), "there is no route");
        running.unblock(target);
        assert_eq!(reaches(&world, from), EVERYTHING, "{from} unbanned");
    }
    assert!(world.reached_by_phone());
    running.stop();
}

fn networks() {
    let (world, mut running, _servers) = start();
    // They overlap and touch, which the kernel takes in no set of intervals.
    for target in ["203.0.113.0/24", "203.0.112.0/24", "203.0.112.0/23", "2001:db8:66::/48"] {
        assert_eq!(block(&mut running, target, Scope::Sip), Enforcement::SipOnly);
    }
    assert_eq!(reaches(&world, FAR), THE_WEB);
    assert_eq!(reaches(&world, FAR6), THE_WEB);
    assert_eq!(reaches(&world, ATTACKER), EVERYTHING);
    running.unblock("203.0.112.0/23");
    assert_eq!(reaches(&world, FAR), THE_WEB, "its /24 is banned");
    running.unblock("203.0.113.0/24");
    assert_eq!(reaches(&world, FAR), EVERYTHING);
    running.unblock("2001:db8:66::/48");
    assert_eq!(reaches(&world, FAR6), EVERYTHING);
    running.stop();
}

fn connection_dies() {
    let world = World::new().with_default_route();
    let listener = world.pbx.tcp((PBX, SIP));
    let mut running = Running::start(&world.pbx, Settings::default());
    let mut caller = connect((&world.attacker, ATTACKER), PBX, SIP).unwrap();
    let (mut answerer, _) = listener.accept().unwrap();
    answerer.set_read_timeout(Some(Duration::from_millis(700))).unwrap();
    std::io::Write::write_all(&mut caller, b"x").unwrap();
    assert_eq!(std::io::Read::read(&mut answerer, &mut [0; 4]).unwrap(), 1);
    block(&mut running, ATTACKER, Scope::Sip);
    std::io::Write::write_all(&mut caller, b"x").unwrap();
    assert!(std::io::Read::read(&mut answerer, &mut [0; 4]).is_err());
    running.stop();
}

/// Sends to a SIP port without a pause until it is ended; gives how many were sent, and how many arrived.
struct Sender {
    over: Arc<AtomicBool>,
    sent: Arc<AtomicUsize>,
    /// Gives how many arrived.
    sending: thread::JoinHandle<usize>,
}

impl Sender {
    fn begin(world: &World, from: &str, to: &str) -> Self {
        let [from, to] = [from, to].map(|text| text.parse::<IpAddr>().unwrap());
        let receiver = world.pbx.udp((to, SIP));
        receiver.set_nonblocking(true).unwrap();
        let sender = world.attacker.udp((from, 0));
        let over = Arc::new(AtomicBool::new(false));
        let sent = Arc::new(AtomicUsize::new(0));
        let (ends, count) = (Arc::clone(&over), Arc::clone(&sent));
        let sending = thread::spawn(move || {
            let mut arrived = 0;
            while !ends.load(Ordering::Relaxed) {
                for _ in 0..20 {
                    let _ = sender.send_to(b"x", (to, SIP));
                    count.fetch_add(1, Ordering::Relaxed);
                }
                while receiver.recv_from(&mut [0; 16]).is_ok() {
                    arrived += 1;
                }
                thread::sleep(Duration::from_micros(200));
            }
            arrived
        });
        Self { over, sent, sending }
    }

    /// Waits until hundreds more were sent.
    fn sends_more(&self) {
        let sent = || self.sent.load(Ordering::Relaxed);
        let before = sent();
        until("more datagrams", || sent() > before + 500);
    }

    /// None of hundreds may have arrived.
    fn none_arrived(self) {
        self.over.store(true, Ordering::Relaxed);
        let arrived = self.sending.join().unwrap();
        let sent = self.sent.load(Ordering::Relaxed);
        assert!(sent > 200, "{sent}");
        assert_eq!(arrived, 0, "of {sent}");
    }
}

fn no_gap() {
    let (world, mut running, servers) = start();
    drop(servers);
    for (target, from, to) in
        [(FAR, FAR, PBX), ("2001:db8:66::/64", FAR6, PBX6), ("203.0.113.0/24", FAR, PBX)]
    {
        block(&mut running, target, Scope::Sip);
        let sender = Sender::begin(&world, from, to);
        for _ in 0..40 {
            assert_eq!(block(&mut running, target, Scope::Host), Enforcement::Full);
            assert!(is_blackholed(&world.pbx, target, 254));
            assert_eq!(block(&mut running, target, Scope::Sip), Enforcement::SipOnly);
            assert!(!is_blackholed(&world.pbx, target, 254));
        }
        sender.none_arrived();
        let found = look(&world);
        assert_eq!(found.sip_bans, [net(target)].into());
        assert_eq!((found.routes, found.hosts), (0, 0));
        running.unblock(target);
    }
    running.stop();
}

fn look(world: &World) -> sipward_route::Inspection {
    world.pbx.block_on(async || inspect(&Settings::default()).await).unwrap()
}

fn without_gate() {
    let world = World::new().with_default_route();
    let gate = GateSettings { mode: GateMode::Off, ..GateSettings::default() };
    let mut running = Running::start(&world.pbx, Settings { gate, ..Settings::default() });
    let enforcement = block(&mut running, FAR, Scope::Sip);
    assert!(!enforcement.is_full());
    let Enforcement::NotEnforced { reason } = enforcement else { panic!("{enforcement:?}") };
    assert!(reason.contains("switched off"), "{reason}");
    assert_eq!(burst((&world.attacker, FAR), (&world.pbx, PBX), SIP, 10), 10);
    running.unblock(FAR);
    running.stop();
}

fn needs_gate() {
    let world = World::new().with_default_route();
    world.pbx.sysctl("ipv6/conf/all/disable_ipv6", "1");
    world.pbx.sysctl("ipv4/conf/all/rp_filter", "1");
    let gate = GateSettings { shield: None, ..GateSettings::default() };
    let mut running = Running::start(&world.pbx, Settings { gate, ..Settings::default() });
    assert!(!running.found.coverage.gate);
    assert_eq!(block(&mut running, FAR, Scope::Sip), Enforcement::SipOnly);
    assert_eq!(burst((&world.attacker, FAR), (&world.pbx, PBX), SIP, 10), 0);
    running.stop();
}

fn without_ports() {
    let world = World::new().with_default_route();
    let gate = GateSettings { sip_ports: Vec::new(), ..GateSettings::default() };
    let mut running = Running::start(&world.pbx, Settings { gate, ..Settings::default() });
    let enforcement = block(&mut running, FAR, Scope::Sip);
    let Enforcement::NotEnforced { reason } = enforcement else { panic!("{enforcement:?}") };
    assert!(reason.contains("no SIP ports"), "{reason}");
    running.stop();
}

fn everybody() {
    let (_world, mut running, _servers) = start();
    for target in ["0.0.0.0/0", "::/0"] {
        let report = running.ask(Change::Block { net: net(target), scope: Scope::Sip });
        assert!(matches!(report, Report::Failed { .. }), "{report:?}");
    }
    running.stop();
}

/// Waits for elements that are put right; gives how many.
fn elements(running: &mut Running) -> usize {
    let healed = running.expect("healed", |report| matches!(report, Report::Healed { .. }));
    match healed {
        Report::Healed { routes: 0, rules: 0, gate: false, elements } => elements,
        other => panic!("{other:?}"),
    }
}

fn elements_healed() {
    let (world, mut running, _servers) = start();
    for (target, scope, set, from) in [
        (FAR, Scope::Sip, "sip_banned4", FAR),
        (FAR6, Scope::Sip, "sip_banned6", FAR6),
        ("2001:db8:66::/64", Scope::Sip, "sip_banned6_64", FAR6),
        ("203.0.113.0/24", Scope::Sip, "sip_banned_nets4", FAR),
        ("2001:db8:66::/48", Scope::Sip, "sip_banned_nets6", FAR6),
        (FAR, Scope::Host, "banned4", FAR),
        (FAR6, Scope::Host, "banned6", FAR6),
        ("2001:db8:66::/64", Scope::Host, "banned6_64", FAR6),
    ] {
        block(&mut running, target, scope);
        flush_set(&world.pbx, "sipward", set);
        assert!(elements(&mut running) > 0, "{set}");
        let expected = if scope == Scope::Sip { THE_WEB } else { NOTHING };
        assert_eq!(reaches(&world, from), expected, "{set}");
        assert_eq!(look(&world).hosts_differ, 0);
        running.unblock(target);
        assert_eq!(reaches(&world, from), EVERYTHING, "{set}");
    }
    // An unban finds its element gone.
    block(&mut running, FAR, Scope::Sip);
    block(&mut running, FAR6, Scope::Sip);
    flush_set(&world.pbx, "sipward", "sip_banned4");
    running.unblock(FAR);
    assert_eq!(reaches(&world, FAR), EVERYTHING);
    assert_eq!(reaches(&world, FAR6), THE_WEB);
    running.stop();
}

fn strays_go() {
    let (world, mut running, _servers) = start();
    crate::outside::add_host_to_set(&world.pbx, "sipward", "banned4", FAR);
    assert_eq!(elements(&mut running), 1);
    assert_eq!(reaches(&world, FAR), EVERYTHING);
    running.stop();
}

fn table_healed() {
    let (world, mut running, _servers) = start();
    block(&mut running, FAR, Scope::Sip);
    block(&mut running, "2001:db8:66::/48", Scope::Sip);
    block(&mut running, ATTACKER, Scope::Host);
    flush_ruleset(&world.pbx);
    assert_eq!(running.healed(), (0, 0, true));
    assert_eq!(reaches(&world, FAR), THE_WEB);
    assert_eq!(reaches(&world, FAR6), THE_WEB);
    assert_eq!(reaches(&world, ATTACKER), NOTHING);
    let found = look(&world);
    assert_eq!((found.hosts, found.hosts_differ, found.sip_bans.len()), (1, 0, 2));
    running.stop();
}

fn adopted() {
    let (world, mut running, _servers) = start();
    let all = [FAR, "2001:db8:66::/64", "10.7.0.0/16", "10.9.0.0/16"];
    for target in all {
        block(&mut running, target, Scope::Sip);
    }
    block(&mut running, ATTACKER, Scope::Host);
    running.stop();
    assert_eq!(reaches(&world, FAR), THE_WEB, "no daemon is needed");
    // A route that was deleted meanwhile is no ban any more, and leaves no element.
    delete_route(
        &world.pbx,
        rtnetlink::packet_route::route::RouteType::BlackHole,
        ATTACKER,
        216,
        254,
    );
    let mut running = Running::start(&world.pbx, Settings::default());
    let mut expected = all.map(net);
    expected.sort_unstable();
    assert_eq!(running.found.sip_bans, expected);
    assert_eq!(reaches(&world, ATTACKER), EVERYTHING);
    for target in all {
        running.unblock(target);
    }
    assert!(look(&world).sip_bans.is_empty());
    assert_eq!(reaches(&world, FAR), EVERYTHING);
    running.stop();
}

fn old_layout() {
    let world = World::new().with_default_route();
    let mut running = Running::start(&world.pbx, Settings::default());
    running.block("2001:db8:66::/64");
    running.stop();
    flush_ruleset(&world.pbx);
    old_gate(&world.pbx);
    let sender = Sender::begin(&world, FAR6, PBX6);
    sender.sends_more();
    let running = Running::start(&world.pbx, Settings::default());
    assert!(running.found.coverage.gate, "{:?}", running.found.coverage);
    sender.sends_more();
    sender.none_arrived();
    let found = look(&world);
    assert_eq!((found.hosts, found.hosts_differ), (1, 0));
    assert!(matches!(found.gate, sipward_route::GateState::Standing { .. }), "{:?}", found.gate);
    running.stop();
}

fn settings_change() {
    let (world, mut running, servers) = start();
    drop(servers);
    block(&mut running, FAR, Scope::Sip);
    running.shielded(&[PHONE]);
    let sender = Sender::begin(&world, FAR, PBX);
    for packets in [100, 200, 300, 400] {
        let shield = sipward_route::ShieldSettings { packets: Some(packets), ..Default::default() };
        running.shield.set_settings(Some(shield));
        running.all_known();
    }
    running.shield.set_settings(None);
    until("a gate without budgets", || {
        !crate::outside::sets(&world.pbx).contains(&"budgets".to_owned())
    });
    sender.sends_more();
    sender.none_arrived();
    assert_eq!(burst((&world.phone, PHONE), (&world.pbx, PBX_FOR_PHONE), SIP, 10), 10);
    running.stop();
}

fn flushed() {
    let (world, mut running, _servers) = start();
    block(&mut running, FAR, Scope::Sip);
    block(&mut running, FAR6, Scope::Host);
    running.stop();
    let removed = world.pbx.block_on(async || flush(&Settings::default()).await.unwrap());
    let expected = Flushed { routes: 1, rules: 2, gate: true, sip_bans: 1, flows: 0 };
    assert_eq!(removed, expected);
    assert_eq!(reaches(&world, FAR), EVERYTHING);
    assert_eq!(reaches(&world, FAR6), EVERYTHING);
}

fn without_route() {
    let (world, mut running, _servers) = start();
    block(&mut running, FAR, Scope::Host);
    block(&mut running, "2001:db8:66::/64", Scope::Host);
    running.stop();
    crate::outside::flush_routes(&world.pbx, 216);
    let dropped = packets_dropped(&world.pbx);
    assert_eq!(reaches(&world, FAR), NOTHING);
    assert_eq!(reaches(&world, FAR6), NOTHING);
    assert!(packets_dropped(&world.pbx) >= dropped + 20);
}

fn thousands() {
    let (world, mut running, _servers) = start();
    let targets: Vec<_> = (0..3_000_u32)
        .map(|n| match n % 3 {
            0 => net(&format!("10.1.{}.{}", n / 250, n % 250)),
            1 => net(&format!("2001:db8:{n:x}:7::/64")),
            _ => net(&format!("2001:db8::{n:x}")),
        })
        .collect();
    for scope in [Scope::Host, Scope::Sip, Scope::Host] {
        for target in &targets {
            running.send(Change::Block { net: *target, scope });
        }
        for _ in &targets {
            running.expect("a ban", |report| {
                matches!(report, Report::Blocked { enforcement, .. }
                if enforcement.is_full())
            });
        }
        let found = look(&world);
        let (host, sip) = if scope == Scope::Host { (3_000, 0) } else { (0, 3_000) };
        assert_eq!((found.routes, found.hosts, found.sip_bans.len()), (host, host, sip));
        assert_eq!(found.hosts_differ, 0);
    }
    for target in &targets {
        running.send(Change::Unblock(*target));
    }
    for _ in &targets {
        running.expect("an unban", |report| matches!(report, Report::Unblocked { .. }));
    }
    let found = look(&world);
    assert_eq!((found.routes, found.hosts, found.sip_bans.len()), (0, 0, 0));
    assert!(!routes(&world.pbx).iter().any(|line| line.contains("proto 216 table 254")));
    running.stop();
}

/// While many bans go into a set at once, the kernel does not report changes of other programs.
fn strays_amid_bans() {
    const BANS: usize = 512;
    let (world, mut running, _servers) = start();
    for round in 0..16_u8 {
        let (mut blocked, mut healed) = (0, false);
        thread::scope(|scope| {
            scope.spawn(|| {
                thread::sleep(Duration::from_micros(300) * u32::from(round));
                crate::outside::add_host_to_set(&world.pbx, "sipward", "banned4", FAR);
            });
            for n in 0..BANS {
                let target = net(&format!("10.{round}.{}.{}", n / 256, n % 256));
                running.send(Change::Block { net: target, scope: Scope::Host });
            }
        });
        running.expect("all bans, and the end of the stray", |report| {
            blocked += usize::from(matches!(report, Report::Blocked { .. }));
            healed |= matches!(report, Report::Healed { elements: 1.., .. });
            healed && blocked == BANS
        });
        let found = look(&world);
        assert_eq!(found.hosts_differ, 0);
        assert_eq!(reaches(&world, FAR), EVERYTHING);
    }
    running.stop();
}

/// A set that is not read as a rule, because to read a large one takes the kernel long.
fn large_set() {
    let (world, mut running, _servers) = start();
    let targets: Vec<_> =
        (0..9_000_u32).map(|n| net(&format!("10.1.{}.{}", n / 250, n % 250))).collect();
    for some in targets.chunks(1_000) {
        for target in some {
            running.send(Change::Block { net: *target, scope: Scope::Host });
        }
        for _ in some {
            running.expect("a ban", |report| matches!(report, Report::Blocked { .. }));
        }
    }
    let stands = || {
        let found = look(&world);
        assert_eq!((found.routes, found.hosts, found.hosts_differ), (9_000, 9_000, 0));
    };
    let lose = |address| crate::outside::delete_host_from_set(&world.pbx, "banned4", address);
    let stray = || crate::outside::add_host_to_set(&world.pbx, "sipward", "banned4", FAR);
    stands();
    lose("10.1.0.7");
    assert_eq!(elements(&mut running), 1);
    stands();
    stray();
    assert_eq!(elements(&mut running), 1);
    assert_eq!(reaches(&world, FAR), EVERYTHING);
    stands();
    running.stop();
    // Before the next start, elements are lost; before the one after it, others come as well.
    lose("10.1.0.7");
    lose("10.1.9.9");
    Running::start(&world.pbx, Settings::default()).stop();
    stands();
    lose("10.1.0.7");
    stray();
    assert_eq!(reaches(&world, FAR), NOTHING);
    Running::start(&world.pbx, Settings::default()).stop();
    stands();
    assert_eq!(reaches(&world, FAR), EVERYTHING);
    flush_set(&world.pbx, "sipward", "banned4");
    Running::start(&world.pbx, Settings::default()).stop();
    stands();
}
