//! One flow of an address is denied, and the other phones behind it go on; flows of registered phones pass.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::thread;
use std::time::{Duration, Instant};

use libtest_mimic::Trial;
use sipward_route::{
    Change, Enforcement, Flow, GateMode, GateSettings, MOST_DENIED, OwnLimits, Report, Settings,
    ShieldSettings, Transport, flush, inspect,
};
use sipward_tests::netns::{self, Host, case};
use sipward_tests::wait::until;

use crate::outside::{change_time_of_flow, elements, flush_ruleset, flush_set, masquerade};
use crate::traffic::{SIP, connect};
use crate::world::{ATTACKER, FAR6, PBX, PBX_FOR_PHONE, PBX6, PHONE, Running, World, net};

pub(crate) fn cases() -> Vec<Trial> {
    vec![
        case("one_of_twenty_phones_behind_a_nat_is_denied_and_nineteen_lose_nothing", nat),
        case("one_of_two_lines_is_denied", two_lines),
        case("a_tcp_connection_is_denied_by_its_port", tcp),
        case("an_ipv6_flow_is_denied_alike", ipv6),
        case("a_denied_flow_runs_out_by_itself", runs_out),
        case("a_flow_denied_again_has_its_new_time", prolonged),
        case("the_flow_of_a_registered_phone_cannot_be_forged_out", forged),
        case("a_flow_that_is_kept_is_denied_no_more", kept_later),
        case("kept_flows_pass_while_the_rest_of_the_host_is_a_stranger", kept_passes),
        case("denied_and_kept_flows_come_back", healed),
        case("a_denied_flow_whose_time_another_program_changed_has_its_own_again", time_changed),
        case("a_restart_adopts_denied_flows", adopted),
        case("new_settings_leave_denied_flows_in_force", settings_change),
        case("flush_takes_denied_flows_away", flushed),
        case("without_a_gate_a_denied_flow_is_not_enforced", without_gate),
        case("more_flows_than_there_is_room_for_are_refused_and_denied_when_there_is", full),
    ]
}

const MINUTES: Duration = Duration::from_secs(600);

fn flow(source: &str, transport: Transport, port: u16) -> Flow {
    Flow { source: source.parse().unwrap(), transport, port }
}

fn deny(running: &mut Running, flow: Flow, time: Duration) -> Enforcement {
    match running.ask(Change::Deny { flow, until: Instant::now() + time }) {
        Report::Denied { enforcement, .. } => enforcement,
        other => panic!("deny {flow}: {other:?}"),
    }
}

fn allow(running: &mut Running, flow: Flow) {
    assert_eq!(running.ask(Change::Allow(flow)), Report::Allowed { flow });
}

/// A phone's line: a socket with a port of its own.
struct Line {
    socket: UdpSocket,
    to: SocketAddr,
}

impl Line {
    fn new(host: &Host, from: &str, port: u16, to: &str) -> Self {
        let from: IpAddr = from.parse().unwrap();
        let socket = host.udp((from, port));
        Self { socket, to: SocketAddr::new(to.parse().unwrap(), SIP) }
    }

    fn flow(&self) -> Flow {
        let local = self.socket.local_addr().unwrap();
        Flow { source: local.ip(), transport: Transport::Udp, port: local.port() }
    }

    fn send(&self, text: &str) {
        self.socket.send_to(text.as_bytes(), self.to).unwrap();
    }

    /// How many of ten datagrams reach a socket of the PBX.
    fn reaches(&self, server: &UdpSocket) -> usize {
        for _ in 0..10 {
            self.send("x");
        }
        received(server).len()
    }
}

fn server(pbx: &Host, address: &str) -> UdpSocket {
    let address: IpAddr = address.parse().unwrap();
    let socket = pbx.udp((address, SIP));
    socket.set_read_timeout(Some(Duration::from_millis(150))).unwrap();
    socket
}

/// What waits at a socket: text and sender of each datagram.
fn received(server: &UdpSocket) -> Vec<(String, SocketAddr)> {
    let mut all = Vec::new();
    let mut buffer = [0; 64];
    while let Ok((length, peer)) = server.recv_from(&mut buffer) {
        let text = buffer.get(..length).expect("what was received");
        all.push((String::from_utf8_lossy(text).into_owned(), peer));
    }
    all
}

/// Flows of IPv4 and UDP that the gate drops.
fn denied_flows(world: &World) -> usize {
    elements(&world.pbx, "denied4").len()
}

/// Flows of IPv4 and UDP that the gate never drops.
fn kept_flows(world: &World) -> usize {
    elements(&world.pbx, "healthy_flows_udp4").len()
}

fn start(shield: Option<ShieldSettings>) -> (World, Running) {
    let world = World::new().with_default_route();
    let gate = GateSettings { shield, ..GateSettings::default() };
    let running = Running::start(&world.pbx, Settings { gate, ..Settings::default() });
    assert!(running.found.coverage.gate, "{:?}", running.found.coverage);
    (world, running)
}

/// Twenty phones behind one masquerading router, all with the source port 5060.
fn nat() {
    let world = World::new().with_default_route();
    let (router, phones) = (Host::new("router"), Host::new("phones"));
    netns::wire((&world.pbx, "eth2"), (&router, "eth0"));
    netns::wire((&router, "eth1"), (&phones, "eth0"));
    world.pbx.address("eth2", "100.64.7.1/24");
    router.address("eth0", "100.64.7.77/24");
    router.address("eth1", "10.0.0.254/24");
    router.sysctl("ipv4/ip_forward", "1");
    masquerade(&router);
    for n in 1..=20 {
        phones.address("eth0", &format!("10.0.0.{n}/24"));
    }
    phones.route("0.0.0.0/0", "10.0.0.254");
    let mut running = Running::start(&world.pbx, Settings::default());
    running.shield.admit(net("100.64.7.77"), 20);
    running.shield.complete();
    running.all_known();
    let server = server(&world.pbx, "100.64.7.1");
    let lines: Vec<Line> =
        (1..=20).map(|n| Line::new(&phones, &format!("10.0.0.{n}"), SIP, "100.64.7.1")).collect();
    for (n, line) in lines.iter().enumerate() {
        line.send(&n.to_string());
    }
    let ports: HashMap<String, SocketAddr> = received(&server).into_iter().collect();
    assert_eq!(ports.len(), 20, "each phone arrives by a port of its own");
    assert!(ports.values().all(|peer| peer.ip().to_string() == "100.64.7.77"));
    let failing = *ports.get("7").unwrap();
    let failing = Flow { source: failing.ip(), transport: Transport::Udp, port: failing.port() };
    assert_eq!(deny(&mut running, failing, MINUTES), Enforcement::SipOnly);
    let mut arrived: HashMap<String, usize> = HashMap::new();
    // Each sends five a second, which a healthy host's limit for twenty phones lets through.
    for _ in 0..12 {
        for (n, line) in lines.iter().enumerate() {
            line.send(&n.to_string());
        }
        thread::sleep(Duration::from_millis(200));
        server.set_read_timeout(Some(Duration::from_millis(1))).unwrap();
        for (text, _) in received(&server) {
            *arrived.entry(text).or_default() += 1;
        }
    }
    server.set_read_timeout(Some(Duration::from_millis(150))).unwrap();
    for (text, _) in received(&server) {
        *arrived.entry(text).or_default() += 1;
    }
    assert_eq!(arrived.remove("7"), None, "the one that fails");
    assert_eq!(arrived.len(), 19);
    assert!(arrived.values().all(|count| *count == 12), "{arrived:?}");
    allow(&mut running, failing);
    assert_eq!(lines.get(7).unwrap().reaches(&server), 10);
    running.stop();
}

fn two_lines() {
    let (world, mut running) = start(None);
    let server = server(&world.pbx, PBX_FOR_PHONE);
    let first = Line::new(&world.phone, PHONE, 5060, PBX_FOR_PHONE);
    let second = Line::new(&world.phone, PHONE, 5062, PBX_FOR_PHONE);
    assert_eq!(deny(&mut running, second.flow(), MINUTES), Enforcement::SipOnly);
    assert_eq!((first.reaches(&server), second.reaches(&server)), (10, 0));
    // A flow is one to the SIP ports only.
    let other = SocketAddr::new(PBX_FOR_PHONE.parse().unwrap(), 5070);
    let elsewhere = world.pbx.udp(other);
    elsewhere.set_read_timeout(Some(Duration::from_millis(150))).unwrap();
    second.socket.send_to(b"x", other).unwrap();
    assert_eq!(received(&elsewhere).len(), 1);
    allow(&mut running, second.flow());
    assert_eq!((first.reaches(&server), second.reaches(&server)), (10, 10));
    running.stop();
}

fn tcp() {
    let (world, mut running) = start(None);
    let listener = world.pbx.tcp((PBX, SIP));
    let from = (&world.attacker, ATTACKER);
    let mut calls: Vec<_> = (0..2)
        .map(|_| {
            let caller = connect(from, PBX, SIP).unwrap();
            let (answerer, _) = listener.accept().unwrap();
            answerer.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
            (caller, answerer)
        })
        .collect();
    let port = calls.get(1).unwrap().0.local_addr().unwrap().port();
    // The same port over UDP is another flow.
    deny(&mut running, flow(ATTACKER, Transport::Udp, port), MINUTES);
    let mut arrives = |n: usize| {
        let (caller, answerer) = calls.get_mut(n).unwrap();
        std::io::Write::write_all(caller, b"x").unwrap();
        std::io::Read::read(answerer, &mut [0; 64]).is_ok()
    };
    assert!(arrives(0) && arrives(1));
    deny(&mut running, flow(ATTACKER, Transport::Tcp, port), MINUTES);
    assert!(arrives(0) && !arrives(1));
    running.stop();
}

fn ipv6() {
    let (world, mut running) = start(None);
    let server = server(&world.pbx, PBX6);
    let first = Line::new(&world.attacker, FAR6, 5060, PBX6);
    let second = Line::new(&world.attacker, FAR6, 5062, PBX6);
    deny(&mut running, first.flow(), MINUTES);
    assert_eq!((first.reaches(&server), second.reaches(&server)), (0, 10));
    running.stop();
}

fn runs_out() {
    let (world, mut running) = start(None);
    let server = server(&world.pbx, PBX);
    let line = Line::new(&world.attacker, ATTACKER, 5060, PBX);
    deny(&mut running, line.flow(), Duration::from_secs(2));
    assert_eq!(line.reaches(&server), 0);
    let found = world.pbx.block_on(async || inspect(&Settings::default()).await).unwrap();
    assert_eq!(found.flows.len(), 1);
    assert!(found.flows.iter().all(|(flow, left)| {
        *flow == line.flow() && *left < Duration::from_secs(2) && !left.is_zero()
    }));
    until("the end of its time", || denied_flows(&world) == 0);
    assert_eq!(line.reaches(&server), 10);
    running.stop();
}

fn prolonged() {
    let (world, mut running) = start(None);
    let server = server(&world.pbx, PBX);
    let line = Line::new(&world.attacker, ATTACKER, 5060, PBX);
    deny(&mut running, line.flow(), Duration::from_millis(500));
    deny(&mut running, line.flow(), MINUTES);
    // The first time must run out: nothing announces that the flow stays denied.
    thread::sleep(Duration::from_millis(1_500));
    assert_eq!(line.reaches(&server), 0, "longer");
    deny(&mut running, line.flow(), Duration::from_millis(500));
    until("the end of its time", || denied_flows(&world) == 0);
    assert_eq!(line.reaches(&server), 10, "shorter");
    running.stop();
}

/// Somebody sends with the address and the port of a registered phone.
fn forged() {
    let (world, mut running) = start(Some(ShieldSettings::default()));
    running.shielded(&[]);
    let line = Line::new(&world.phone, PHONE, 5060, PBX_FOR_PHONE);
    running.shield.keep_flow(line.flow());
    until("a kept flow", || kept_flows(&world) == 1);
    let enforcement = deny(&mut running, line.flow(), MINUTES);
    let Enforcement::NotEnforced { reason } = enforcement else { panic!("{enforcement:?}") };
    assert!(reason.contains("live registration"), "{reason}");
    let server = server(&world.pbx, PBX_FOR_PHONE);
    assert_eq!(line.reaches(&server), 10);
    // Nor by the set itself: the kernel looks at both.
    crate::outside::add_flow_to_set(&world.pbx, "sipward", "denied4", PHONE, 17, 5060);
    assert_eq!(line.reaches(&server), 10);
    let other = Line::new(&world.phone, PHONE, 5062, PBX_FOR_PHONE);
    deny(&mut running, other.flow(), MINUTES);
    assert_eq!(other.reaches(&server), 0);
    running.stop();
}

fn kept_later() {
    let (world, mut running) = start(Some(ShieldSettings::default()));
    running.shielded(&[]);
    let server = server(&world.pbx, PBX_FOR_PHONE);
    let line = Line::new(&world.phone, PHONE, 5060, PBX_FOR_PHONE);
    deny(&mut running, line.flow(), MINUTES);
    assert_eq!(line.reaches(&server), 0);
    running.shield.keep_flow(line.flow());
    until("a kept flow", || kept_flows(&world) == 1);
    assert_eq!(line.reaches(&server), 10);
    running.shield.drop_flow(line.flow());
    until("no kept flow", || kept_flows(&world) == 0);
    assert_eq!(line.reaches(&server), 10, "it was allowed");
    assert_eq!(deny(&mut running, line.flow(), MINUTES), Enforcement::SipOnly);
    assert_eq!(line.reaches(&server), 0);
    running.stop();
}

fn kept_passes() {
    let own = OwnLimits { packets: 5, ..ShieldSettings::default().own };
    let (world, mut running) = start(Some(ShieldSettings { own, ..ShieldSettings::default() }));
    running.shielded(&[]);
    let server = server(&world.pbx, PBX_FOR_PHONE);
    let registered = Line::new(&world.phone, PHONE, 5060, PBX_FOR_PHONE);
    let stranger = Line::new(&world.phone, PHONE, 5070, PBX_FOR_PHONE);
    running.shield.keep_flow(registered.flow());
    until("a kept flow", || kept_flows(&world) == 1);
    for _ in 0..200 {
        stranger.send("x");
    }
    assert!(received(&server).len() < 20, "the host is a stranger");
    assert_eq!(registered.reaches(&server), 10, "the registered phone is not");
    running.shield.replace_flows([]);
    until("no kept flow", || kept_flows(&world) == 0);
    for _ in 0..50 {
        stranger.send("x");
    }
    received(&server);
    assert!(registered.reaches(&server) < 10, "nor is it any more");
    running.stop();
}

fn healed() {
    let (world, mut running) = start(Some(ShieldSettings::default()));
    running.shielded(&[]);
    let server = server(&world.pbx, PBX_FOR_PHONE);
    let denied = Line::new(&world.phone, PHONE, 5062, PBX_FOR_PHONE);
    let kept = Line::new(&world.phone, PHONE, 5060, PBX_FOR_PHONE);
    running.shield.keep_flow(kept.flow());
    deny(&mut running, denied.flow(), MINUTES);
    until("a kept flow", || kept_flows(&world) == 1);
    for set in ["denied4", "healthy_flows_udp4"] {
        flush_set(&world.pbx, "sipward", set);
        let healed = running.expect("healed", |report| matches!(report, Report::Healed { .. }));
        assert!(matches!(healed, Report::Healed { elements: 1, gate: false, .. }), "{healed:?}");
        assert_eq!((denied.reaches(&server), kept.reaches(&server)), (0, 10));
    }
    flush_ruleset(&world.pbx);
    assert_eq!(running.healed(), (0, 0, true));
    running.all_known();
    assert_eq!((denied.reaches(&server), kept.reaches(&server)), (0, 10));
    let enforcement = deny(&mut running, kept.flow(), MINUTES);
    assert!(matches!(enforcement, Enforcement::NotEnforced { .. }), "{enforcement:?}");
    // The enforcer does not look for a flow that another program removed.
    flush_set(&world.pbx, "sipward", "denied4");
    allow(&mut running, denied.flow());
    assert_eq!(denied.reaches(&server), 10);
    running.stop();
}

fn time_changed() {
    let (world, mut running) = start(None);
    let server = server(&world.pbx, PBX);
    let line = Line::new(&world.attacker, ATTACKER, 5060, PBX);
    deny(&mut running, line.flow(), MINUTES);
    for time in [Duration::from_secs(1), Duration::from_secs(6_000)] {
        change_time_of_flow(&world.pbx, "denied4", ATTACKER, 17, 5060, time);
        let healed = running.expect("healed", |report| matches!(report, Report::Healed { .. }));
        assert!(matches!(healed, Report::Healed { elements: 1, gate: false, .. }), "{healed:?}");
    }
    // The short time must run out: nothing announces that the flow stays denied.
    thread::sleep(Duration::from_millis(1_500));
    assert_eq!(line.reaches(&server), 0);
    let found = world.pbx.block_on(async || inspect(&Settings::default()).await).unwrap();
    let left = found.flows.first().unwrap().1;
    assert!((Duration::from_secs(540)..MINUTES).contains(&left), "{left:?}");
    running.stop();
}

fn adopted() {
    let (world, mut running) = start(None);
    let server = server(&world.pbx, PBX);
    let line = Line::new(&world.attacker, ATTACKER, 5060, PBX);
    deny(&mut running, line.flow(), MINUTES);
    running.stop();
    assert_eq!(line.reaches(&server), 0, "no daemon is needed");
    let gate = GateSettings { shield: None, ..GateSettings::default() };
    let mut running = Running::start(&world.pbx, Settings { gate, ..Settings::default() });
    let found = running.found.flows.clone();
    assert_eq!(found.len(), 1);
    assert!(found.iter().all(|(flow, left)| {
        *flow == line.flow() && (Duration::from_secs(540)..MINUTES).contains(left)
    }));
    assert_eq!(line.reaches(&server), 0);
    allow(&mut running, line.flow());
    assert_eq!(line.reaches(&server), 10);
    running.stop();
}

fn settings_change() {
    let (world, mut running) = start(Some(ShieldSettings::default()));
    running.shielded(&[]);
    let server = server(&world.pbx, PBX);
    let line = Line::new(&world.attacker, ATTACKER, 5060, PBX);
    deny(&mut running, line.flow(), MINUTES);
    for packets in [100, 200] {
        let shield = ShieldSettings { packets: Some(packets), ..ShieldSettings::default() };
        running.shield.set_settings(Some(shield));
        running.all_known();
        assert_eq!(line.reaches(&server), 0);
    }
    running.stop();
}

fn flushed() {
    let (world, mut running) = start(Some(ShieldSettings::default()));
    let server = server(&world.pbx, PBX);
    let line = Line::new(&world.attacker, ATTACKER, 5060, PBX);
    deny(&mut running, line.flow(), MINUTES);
    running.stop();
    let removed = world.pbx.block_on(async || flush(&Settings::default()).await.unwrap());
    assert!(removed.gate);
    assert_eq!(removed.flows, 1);
    assert_eq!(line.reaches(&server), 10);
}

fn without_gate() {
    let world = World::new().with_default_route();
    let gate = GateSettings { mode: GateMode::Off, ..GateSettings::default() };
    let mut running = Running::start(&world.pbx, Settings { gate, ..Settings::default() });
    let denied = flow(ATTACKER, Transport::Udp, 5060);
    let enforcement = deny(&mut running, denied, MINUTES);
    let Enforcement::NotEnforced { reason } = enforcement else { panic!("{enforcement:?}") };
    assert!(reason.contains("switched off"), "{reason}");
    allow(&mut running, denied);
    running.stop();
}

fn full() {
    let (world, mut running) = start(None);
    let end = Instant::now() + MINUTES;
    let line = |n: usize| Flow {
        source: std::net::Ipv4Addr::from_bits(0x0a00_0000 + u32::try_from(n).unwrap()).into(),
        transport: Transport::Udp,
        port: 5060,
    };
    let sender = running.sender();
    let sending = thread::spawn(move || {
        for n in 0..MOST_DENIED + 3 {
            sender.blocking_send(Change::Deny { flow: line(n), until: end }).unwrap();
        }
    });
    let (mut denied, mut refused) = (0, 0);
    for _ in 0..MOST_DENIED + 3 {
        let report = running.expect("an answer", |report| {
            matches!(report, Report::Denied { .. } | Report::Failed { .. })
        });
        match report {
            Report::Denied { enforcement: Enforcement::SipOnly, .. } => denied += 1,
            Report::Failed { error, .. } => {
                assert!(error.contains("65536 denied flows"), "{error}");
                refused += 1;
            }
            other => panic!("{other:?}"),
        }
    }
    sending.join().unwrap();
    assert_eq!((denied, refused), (MOST_DENIED, 3));
    // Bans go on, and one that is allowed makes room.
    running.block("203.0.113.0/24");
    // Those that were refused come first.
    for n in 7..11 {
        running.send(Change::Allow(line(n)));
    }
    for _ in 0..3 {
        let report = running.expect("one that was refused", |report| {
            matches!(report, Report::Denied { .. } | Report::Failed { .. })
        });
        let Report::Denied { flow, enforcement } = report else { panic!("{report:?}") };
        assert!((0..3).any(|n| flow == line(MOST_DENIED + n)), "{flow}");
        assert_eq!(enforcement, Enforcement::SipOnly);
    }
    assert_eq!(deny(&mut running, line(MOST_DENIED + 9), MINUTES), Enforcement::SipOnly);
    // While the kernel enlarges its table, a dump passes elements by.
    until("all flows", || {
        let found = world.pbx.block_on(async || inspect(&Settings::default()).await).unwrap();
        let flows = found.flows.len();
        if flows == MOST_DENIED { Ok(()) } else { Err(format!("{flows} flows")) }
    });
    running.stop();
}
