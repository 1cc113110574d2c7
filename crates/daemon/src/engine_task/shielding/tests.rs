use sipward_engine::{CoreId, Exemption, Policy, Registered, RegistrationEnded, Timestamp};

use super::*;

fn engine_allowing(nets: &[&str]) -> Engine {
    let mut engine = Engine::new(Policy::default(), 1).unwrap();
    let nets = nets.iter().map(|net| net.parse().unwrap()).collect();
    let input = Input::Exempt { class: Exemption::Allow, nets };
    engine.handle(input, Timestamp::from_micros(1), &mut Vec::new());
    engine
}

fn phone(source: &str, call_id: &'static str) -> Registered<'static> {
    Registered {
        source: source.parse().unwrap(),
        port: Some(5060),
        user: "1000",
        username: Some("1000"),
        domain: "pbx.test",
        realm: Some("pbx.test"),
        call_id,
        user_agent: "",
        life: None,
        core: CoreId(1),
    }
}

fn happens(engine: &mut Engine, shielding: &mut Shielding, input: Input<'_>) {
    let address = concerned(&input).unwrap();
    engine.handle(input, Timestamp::from_micros(2), &mut Vec::new());
    shielding.look_at(engine, address);
}

fn shielding() -> (Shield, Shielding) {
    let shield = Shield::default();
    (shield.clone(), Shielding::new(shield, file::Shield::default()))
}

#[test]
fn the_list_is_complete_when_the_phones_are_known() {
    let (shield, mut shielding) = shielding();
    let mut engine = engine_allowing(&["203.0.113.0/24"]);
    shielding.beat(&engine, Timestamp::EPOCH);
    assert!(!shield.is_complete(), "nobody has asked FreeSWITCH");
    let phones = vec![phone("192.0.2.7", "a"), phone("192.0.2.8", "b")];
    let asked = Timestamp::from_micros(2);
    let input = Input::Registrations { phones, asked, first: false };
    engine.handle(input, Timestamp::from_micros(2), &mut Vec::new());
    assert_eq!(shielding.phones_known(&engine), None);
    assert!(shield.is_complete());
    assert_eq!(shield.healthy(), 2, "the exempt are unlimited, not healthy");
}

#[test]
fn a_phone_is_healthy_at_once_and_a_forgery_never() {
    let (shield, mut shielding) = shielding();
    let mut engine = engine_allowing(&[]);
    shielding.phones_known(&engine);
    happens(&mut engine, &mut shielding, Input::Registered(phone("192.0.2.7", "a")));
    assert_eq!(shield.healthy(), 1);
    // The end of a registration that never was makes nobody healthy.
    let ended = RegistrationEnded {
        source: Some("192.0.2.66".parse().unwrap()),
        user: "1000",
        domain: "pbx.test",
        call_id: "x",
    };
    happens(&mut engine, &mut shielding, Input::RegistrationEnded(ended));
    assert_eq!(shield.healthy(), 1);
}

#[test]
fn settings_follow_what_freeswitch_takes() {
    let choice = file::Shield { packets: file::Share::Fixed(123), ..file::Shield::default() };
    let settings = choice.settings(Some(300)).unwrap();
    assert_eq!(settings.packets, Some(123));
    assert_eq!(settings.connections, Some(30));
    assert_eq!(settings.tcp_bytes, Some(30_000));
    assert_eq!(settings.healthy.together, Some(150));
    assert_eq!(choice.settings(None).unwrap().connections, Some(100));
    assert_eq!(file::Shield { is_on: false, ..choice }.settings(None), None);
}

#[test]
fn rule_scan_judges_those_that_are_not_slowed_yet_and_so_many_at_once() {
    let stranger = |n: u32| Stranger {
        source: slowed::host(n.to_be_bytes().into()),
        packets: 400,
        is_slowed: n == 0,
    };
    let strangers: Vec<Stranger> = (0..200).map(stranger).collect();
    let judged: Vec<(IpAddr, u64)> = scanners(&strangers).collect();
    assert_eq!(judged.len(), MOST_JUDGED);
    assert_eq!(judged[0], ("0.0.0.1".parse().unwrap(), 400));
}

#[test]
fn a_scanner_is_let_go_when_it_registers_or_the_rule_is_off() {
    let (_shield, mut shielding) = shielding();
    let mut engine = engine_allowing(&[]);
    let (now, until) = (Timestamp::from_micros(1), Timestamp::from_micros(600_000_001));
    let phones = ["192.0.2.7", "192.0.2.8", "192.0.2.9"].map(|phone| phone.parse().unwrap());
    let rules = [RuleName::Scan, RuleName::Scan, RuleName::Insider];
    for (source, rule) in phones.into_iter().zip(rules) {
        let net = shielding.slow(&engine, (source, rule), Duration::from_secs(600), (now, until));
        assert_eq!(net, IpNet::from(source));
    }
    let slowed = |shielding: &Shielding| {
        phones.map(|phone| shielding.slowed().of(phone, now).map(|slowed| slowed.rule))
    };
    happens(&mut engine, &mut shielding, Input::Registered(phone("192.0.2.7", "a")));
    happens(&mut engine, &mut shielding, Input::Registered(phone("192.0.2.9", "b")));
    assert_eq!(slowed(&shielding), [None, Some(RuleName::Scan), Some(RuleName::Insider)]);
    let mut policy = Policy::default();
    policy.rules.scan.guard.mode = Mode::Off;
    engine.handle(Input::Policy(Box::new(policy)), Timestamp::from_micros(2), &mut Vec::new());
    shielding.beat(&engine, Timestamp::EPOCH);
    assert_eq!(slowed(&shielding), [None, None, Some(RuleName::Insider)]);
}

const A: &str = "2001:db8:b001::5";
const B: &str = "2001:db8:b001::7";

fn at(seconds: u64) -> Timestamp {
    Timestamp::from_micros(seconds * 1_000_000)
}

/// The flows that the shield keeps beside its healthy hosts, by address and port.
fn kept(shielding: &Shielding) -> Vec<(String, u16)> {
    let flows = shielding.kept.values().flatten();
    let mut all: Vec<_> = flows.map(|flow| (flow.source.to_string(), flow.port)).collect();
    all.sort_unstable();
    all.dedup();
    all
}

fn flow(source: &str) -> (String, u16) {
    (source.to_owned(), 5060)
}

fn leaves(engine: &mut Engine, shielding: &mut Shielding, source: &str, call_id: &'static str) {
    let source = Some(source.parse().unwrap());
    let ended = RegistrationEnded { source, user: "1000", domain: "pbx.test", call_id };
    happens(engine, shielding, Input::RegistrationEnded(ended));
}

#[test]
fn phones_at_other_addresses_of_a_slowed_network_keep_their_flows() {
    let (shield, mut shielding) = shielding();
    let mut engine = engine_allowing(&[]);
    for (source, call_id) in [(A, "a"), (B, "b"), ("2001:db8:b002::5", "c")] {
        happens(&mut engine, &mut shielding, Input::Registered(phone(source, call_id)));
    }
    shielding.phones_known(&engine);
    let slow = |shielding: &mut Shielding, engine: &Engine, rule, until| {
        let time = Duration::from_secs(600);
        shielding.slow(engine, (B.parse().unwrap(), rule), time, (at(1), at(until)))
    };
    let net = slow(&mut shielding, &engine, RuleName::Insider, 600);
    assert_eq!(net.to_string(), "2001:db8:b001::/64");
    assert_eq!(kept(&shielding), [flow(A)], "not those of the address that guesses");
    assert_eq!(shield.kept_flows(), 2, "over UDP and TCP");
    // One that registers later, and one that leaves.
    let later = "2001:db8:b001::9";
    happens(&mut engine, &mut shielding, Input::Registered(phone(later, "d")));
    assert_eq!(kept(&shielding), [flow(A), flow(later)]);
    leaves(&mut engine, &mut shielding, A, "a");
    assert_eq!(kept(&shielding), [flow(later)]);
    shielding.phones_known(&engine);
    assert_eq!(kept(&shielding), [flow(later)]);
    shielding.beat(&engine, at(601));
    assert_eq!(kept(&shielding), [flow(later)], "the kernel lets it go first");
    shielding.beat(&engine, at(602));
    assert_eq!(kept(&shielding), []);
    assert_eq!(shield.kept_flows(), 0);
}

#[test]
fn a_distrusted_ipv6_address_makes_its_network_a_stranger_but_for_its_phones() {
    let (shield, mut shielding) = shielding();
    let mut engine = engine_allowing(&[]);
    for (source, call_id) in [(A, "a"), (B, "b"), ("2001:db8:b002::5", "c")] {
        happens(&mut engine, &mut shielding, Input::Registered(phone(source, call_id)));
    }
    shielding.phones_known(&engine);
    assert_eq!(shield.healthy(), 2);
    let source = B.parse().unwrap();
    shielding.distrust(&engine, source, at(3_600), at(1));
    assert_eq!(shield.healthy(), 1);
    assert_eq!(kept(&shielding), [flow(A), flow(B)]);
    shielding.phones_known(&engine);
    assert_eq!(shield.healthy(), 1, "nor by the next list");
    // A limit for the same address takes nothing from its phones.
    let time = Duration::from_secs(600);
    shielding.slow(&engine, (source, RuleName::Insider), time, (at(1), at(600)));
    assert_eq!(kept(&shielding), [flow(A), flow(B)]);
    shielding.beat(&engine, at(3_600));
    assert_eq!(shield.healthy(), 2);
    assert_eq!(kept(&shielding), []);
}

#[test]
fn a_network_stays_healthy_where_the_port_of_another_phone_is_unknown() {
    let (shield, mut shielding) = shielding();
    let mut engine = engine_allowing(&[]);
    let nowhere = Registered { port: None, ..phone(A, "a") };
    happens(&mut engine, &mut shielding, Input::Registered(nowhere));
    happens(&mut engine, &mut shielding, Input::Registered(phone(B, "b")));
    shielding.phones_known(&engine);
    shielding.distrust(&engine, B.parse().unwrap(), at(3_600), at(1));
    assert_eq!(shield.healthy(), 1);
    leaves(&mut engine, &mut shielding, A, "a");
    assert_eq!(shield.healthy(), 0);
    assert_eq!(kept(&shielding), [flow(B)]);
}

#[test]
fn who_leaves_takes_no_place_from_others_of_its_network() {
    let (shield, mut shielding) = shielding();
    let mut engine = engine_allowing(&[]);
    happens(&mut engine, &mut shielding, Input::Registered(phone(A, "a")));
    shielding.phones_known(&engine);
    leaves(&mut engine, &mut shielding, B, "x");
    assert_eq!(shield.healthy(), 1);
}
