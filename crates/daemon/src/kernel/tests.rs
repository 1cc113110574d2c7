use sipward_engine::{
    Action, AuthFailure, AuthResult, Challenge, CoreId, Engine, Input, Method, Policy,
};

use super::*;
use sipward_model::clock::Clock;

/// The nets that failures of `source` ban when the host is connected as `host` says.
fn banned(host: &HostFacts, source: &str) -> Vec<String> {
    banned_besides(host, Vec::new(), source)
}

/// As [`banned`], with further exemptions.
fn banned_besides(host: &HostFacts, others: Vec<Exempt>, source: &str) -> Vec<String> {
    let policy = Policy { max_failures: 1, ..Policy::default() };
    let mut engine = Engine::new(policy, 1).unwrap();
    let clock = Clock::start(None);
    let mut actions = Vec::new();
    for (class, nets) in host_exemptions(host).into_iter().chain(others) {
        engine.handle(Input::Exempt { class, nets }, clock.now(), &mut actions);
    }
    let source = source.parse().unwrap();
    let (port, profile, user, core) = (5060, "internal", "1000", CoreId(1));
    let call_id = "1125b20f21f84149";
    let challenge = Challenge { source, port, profile, user, call_id, core };
    engine.handle(Input::Challenge(challenge), clock.now(), &mut actions);
    let attempt = sipward_engine::AuthAttempt {
        source,
        port,
        profile,
        user,
        domain: "pbx.test",
        realm: Some("pbx.test"),
        username: Some(user),
        call_id,
        websocket: false,
        result: AuthResult::Forbidden,
        user_agent: "",
        sequence: 2,
        core,
    };
    engine.handle(Input::AuthAttempt(attempt), clock.now(), &mut actions);
    let failure = AuthFailure {
        source,
        port,
        profile,
        user,
        domain: "pbx.test",
        user_agent: "",
        method: Method::Register,
        sequence: 3,
        core,
    };
    engine.handle(Input::AuthFailure(failure), clock.now(), &mut actions);
    let net = |action| match action {
        Action::Block { net, .. } => Some(IpNet::to_string(&net)),
        _ => None,
    };
    actions.into_iter().filter_map(net).collect()
}

#[test]
fn a_ban_is_never_as_wide_as_a_connected_network() {
    let host =
        HostFacts { on_link: vec!["2001:db8:5::/64".parse().unwrap()], ..HostFacts::default() };
    assert_eq!(banned(&host, "2001:db8:5::66"), ["2001:db8:5::66/128"]);
    assert_eq!(banned(&host, "2001:db8:6::66"), ["2001:db8:6::/64"]);
}

#[test]
fn a_single_connected_peer_is_not_exempt_for_being_connected() {
    let on_link = vec!["203.0.113.9/32".parse().unwrap(), "2001:db8:5::9/128".parse().unwrap()];
    let host = HostFacts { on_link, ..HostFacts::default() };
    assert_eq!(banned(&host, "203.0.113.9"), ["203.0.113.9/32"]);
    assert_eq!(banned(&host, "2001:db8:5::9"), ["2001:db8:5::/64"]);
}

#[test]
fn own_addresses_and_gateways_are_never_banned() {
    let host = HostFacts {
        own: vec!["192.0.2.1".parse().unwrap()],
        gateways: vec!["192.0.2.254".parse().unwrap()],
        ..HostFacts::default()
    };
    assert!(banned(&host, "192.0.2.1").is_empty());
    assert!(banned(&host, "192.0.2.254").is_empty());
    assert_eq!(banned(&host, "192.0.2.7"), ["192.0.2.7/32"]);
}

#[test]
fn name_servers_and_the_far_end_of_the_event_socket_are_never_banned() {
    let net = |text: &str| vec![text.parse::<IpNet>().unwrap()];
    for (class, source) in
        [(Exemption::NameServer, "192.0.2.53"), (Exemption::EslPeer, "192.0.2.80")]
    {
        let exempt = vec![(class, net(&format!("{source}/32")))];
        assert!(banned_besides(&HostFacts::default(), exempt.clone(), source).is_empty());
        assert_eq!(banned_besides(&HostFacts::default(), exempt, "192.0.2.7"), ["192.0.2.7/32"]);
    }
}
