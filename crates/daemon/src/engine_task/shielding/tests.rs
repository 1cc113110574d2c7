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
        let net = shielding.slow((source, rule), Duration::from_secs(600), (now, until));
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
