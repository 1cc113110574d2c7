use std::net::IpAddr;

use proptest::prelude::*;

use super::{
    AuthResult, GatewayStatus, Method, Origin, Problem, RecordError, SofiaEvent, Subclass, parse,
};
use crate::{Event, FrameDecoder, Limits};

const CORE: &str = "3833e5b9-30a6-4853-84cc-577f3c1402af";

/// A record of `subclass` with these header lines behind the usual ones.
fn event(subclass: &str, lines: &str) -> Event {
    Event::from_plain(format!(
        "Event-Subclass: sofia%3A%3A{subclass}\nEvent-Name: CUSTOM\nCore-UUID: {CORE}\n\
         Event-Date-Timestamp: 1795335866444097\nEvent-Calling-File: sofia_reg.c\n\
         Event-Sequence: 582\n{lines}\n"
    ))
}

const FAILURE: &str = "profile-name: internal\nto-user: 1000\nto-host: pbx.test\n\
    network-ip: 127.0.0.1\nuser-agent: pytest/1.0\nprofile-name: other\nnetwork-port: 33752\n\
    registration-type: REGISTER\n";

const ATTEMPT: &str = "profile-name: internal\nfrom-user: to\nfrom-host: to.test\n\
    contact: %22%22%20%3Csip%3A1000%40127.0.0.1%3A33752%3E\ncall-id: 1b60\nrpid: unknown\n\
    status: Registered(TLS)\nexpires: 300\nto-user: from\nto-host: from.test\n\
    network-ip: 2001%3Adb8%3A%3A7\nnetwork-port: 33752\nusername: unknown\nrealm: pbx.test\n\
    user-agent: pytest/1.0\nauth-result: FORBIDDEN\n";

fn error(event: &Event) -> RecordError {
    parse(event).unwrap_err()
}

#[test]
fn reads_a_failure() {
    let event = event("register_failure", FAILURE);
    let Some(SofiaEvent::RegisterFailure(failure)) = parse(&event).unwrap() else { panic!() };
    assert_eq!(failure.profile, "internal", "the first of two");
    assert_eq!(failure.user.unwrap(), "1000");
    assert_eq!(failure.domain.unwrap(), "pbx.test");
    assert_eq!(failure.user_agent.unwrap(), "pytest/1.0");
    assert_eq!(failure.source.socket_addr(), "127.0.0.1:33752".parse().unwrap());
    assert_eq!(failure.method, Method::Register);
    assert_eq!(failure.meta.time.as_micros(), 1_795_335_866_444_097);
    assert_eq!(failure.meta.sequence, 582);
    assert_eq!(failure.meta.core.to_string(), CORE);
    assert_eq!(failure.meta.origin, Origin::Sofia);
}

#[test]
fn puts_the_swapped_names_of_an_attempt_right() {
    let event = event("register_attempt", ATTEMPT);
    let Some(SofiaEvent::RegisterAttempt(attempt)) = parse(&event).unwrap() else { panic!() };
    assert_eq!(attempt.user.unwrap(), "to");
    assert_eq!(attempt.domain.unwrap(), "to.test");
    assert_eq!(attempt.from_user.unwrap(), "from");
    assert_eq!(attempt.from_domain.unwrap(), "from.test");
    assert_eq!(attempt.username, None, "`unknown` means that it was not read");
    assert_eq!(attempt.result, AuthResult::Forbidden);
    assert_eq!(attempt.contact.claimed_transport.unwrap(), "TLS");
    assert_eq!(attempt.contact.expires, Some(300));
    assert_eq!(attempt.contact.uri.unwrap(), "\"\" <sip:1000@127.0.0.1:33752>");
}

#[test]
fn reads_the_other_records() {
    let register = event("register", &ATTEMPT.replace("unknown", "1001"));
    assert!(matches!(parse(&register), Ok(Some(SofiaEvent::Register(r)))
            if r.username == Some("1001".into()) && r.user == Some("to".into())));
    assert!(matches!(parse(&event("unregister", ATTEMPT)), Ok(Some(SofiaEvent::Unregister(_)))));
    assert!(matches!(parse(&event("pre_register", ATTEMPT)), Ok(Some(SofiaEvent::PreRegister(_)))));

    let expire = "profile-name: internal\ncall-id: b3\nuser: 1003\nusername: 1003\nhost: pbx.test\n\
                  expires: 1795336097\nnetwork-ip: 127.0.0.1\nnetwork-port: 37902\n";
    let expire = event("expire", expire);
    let Some(SofiaEvent::Expire(expire)) = parse(&expire).unwrap() else { panic!() };
    assert_eq!((expire.user.unwrap(), expire.domain.unwrap()), ("1003".into(), "pbx.test".into()));
    assert_eq!(expire.expired.unwrap().as_micros(), 1_795_336_097_000_000);

    let call = event("wrong_call_state", "from_user: 1000\nnetwork_ip: ::1\nnetwork_port: 54902\n");
    let Some(SofiaEvent::WrongCallState(call)) = parse(&call).unwrap() else { panic!() };
    assert_eq!(call.source.socket_addr(), "[::1]:54902".parse().unwrap());
    assert_eq!(call.from_user.unwrap(), "1000");
}

/// No recording holds this event; names and order are those of FreeSWITCH's source.
#[test]
fn reads_the_state_of_a_gateway() {
    let lines = "Gateway: trunk%201\nState: REGED\nPing-Status: UP\n\
                 Register-Network-IP: 2001%3Adb8%3A%3A9\nRegister-Network-Port: 5060\n\
                 Phrase: OK\nStatus: 200\n";
    let registered = event("gateway_state", lines);
    let Some(SofiaEvent::GatewayState(gateway)) = parse(&registered).unwrap() else { panic!() };
    assert_eq!(gateway.gateway, "trunk 1");
    assert_eq!((gateway.state, gateway.sip_status), (GatewayStatus::Registered, Some(200)));
    assert_eq!((gateway.ping_status, gateway.phrase), (Some("UP".into()), Some("OK".into())));
    assert_eq!(gateway.registrar.unwrap().socket_addr(), "[2001:db8::9]:5060".parse().unwrap());

    let down = event("gateway_state", "Gateway: a\nState: FAIL_WAIT\nPing-Status: DOWN\n");
    let Some(SofiaEvent::GatewayState(gateway)) = parse(&down).unwrap() else { panic!() };
    assert_eq!(gateway.state, GatewayStatus::FailedWaiting);
    assert_eq!((gateway.registrar, gateway.sip_status, gateway.phrase), (None, None, None));

    let other = event("gateway_state", "Gateway: a\nState: NEW%20ONE\n");
    let Some(SofiaEvent::GatewayState(gateway)) = parse(&other).unwrap() else { panic!() };
    assert_eq!(gateway.state, GatewayStatus::Other("NEW ONE".into()));

    let broken = error(&event("gateway_state", &lines.replace("5060", "x")));
    assert_eq!(broken.header, "Register-Network-Port");
    assert_eq!(error(&event("gateway_state", "State: REGED\n")).header, "Gateway");
}

#[test]
fn what_is_no_record_is_none() {
    for text in ["Event-Name: HEARTBEAT\n\n", "Event-Subclass: sofia%3A%3Aprofile_start\n\n", ""] {
        assert_eq!(parse(&Event::from_plain(text)), Ok(None));
    }
    for subclass in Subclass::ALL {
        assert_eq!(Subclass::from_header(subclass.as_str().as_bytes()), Some(subclass));
    }
}

#[test]
fn an_error_says_which_header_and_why() {
    let broken =
        |from: &str, to: &str| error(&event("register_failure", &FAILURE.replace(from, to)));
    assert_eq!(
        broken("network-ip: 127.0.0.1\n", "").to_string(),
        "sofia::register_failure (from mod_sofia): header network-ip is missing"
    );
    let error = broken("127.0.0.1", "example%0Aorg");
    assert_eq!(error.problem, Problem::NotAnAddress("example%0Aorg".into()));
    assert_eq!(broken("33752", "_undef_").problem, Problem::Missing);
    for port in ["65536", "-1", "+5", "5060x", "99999999999999999999"] {
        let error = broken("33752", port);
        assert_eq!(
            (error.header, error.problem),
            ("network-port", Problem::NotANumber(port.into()))
        );
    }
    let long = "1".repeat(100_000);
    assert!(broken("127.0.0.1", &long).to_string().len() < 200);
}

#[test]
fn tells_forged_records_by_their_origin() {
    let origin = |lines: &str| {
        let event = event("register_failure", &format!("{FAILURE}{lines}"));
        parse(&event).unwrap().unwrap().meta().origin
    };
    assert_eq!(origin(""), Origin::Sofia);
    assert_eq!(origin("Command: sendevent%20CUSTOM\n"), Origin::Sendevent);
    assert_eq!(origin("Event-Calling-File: mod_event_socket.c\n"), Origin::Elsewhere);
    assert_eq!(origin("Event-Calling-File: switch_cpp.cpp\n"), Origin::Elsewhere);
    assert_eq!(
        origin("Event-Calling-File: mod_sofia.c\nEvent-Calling-File: sofia.c\n"),
        Origin::Sofia
    );
    let bare = Event::from_plain("Event-Subclass: sofia::register_failure\n\n");
    assert_eq!(error(&bare).origin, Origin::Elsewhere);
}

#[test]
fn reads_addresses_as_freeswitch_writes_them() {
    let source = |ip: &str| {
        let event = event("register_failure", &FAILURE.replace("127.0.0.1", ip));
        match parse(&event) {
            Ok(Some(SofiaEvent::RegisterFailure(failure))) => {
                let zone = failure.source.zone.map(|zone| zone.to_string());
                Some((failure.source.ip.to_string(), zone))
            }
            other => {
                assert!(
                    matches!(other, Err(RecordError { header: "network-ip", .. })),
                    "{other:?}"
                );
                None
            }
        }
    };
    let plain = |ip: &str| Some((ip.to_owned(), None));
    assert_eq!(source("fd66%3A%3A1"), plain("fd66::1"));
    assert_eq!(source("fd66::1"), plain("fd66::1"));
    assert_eq!(source("::ffff:192.0.2.1"), plain("::ffff:192.0.2.1"));
    assert_eq!(source("%5B2001%3Adb8%3A%3A1%5D"), plain("2001:db8::1"));
    assert_eq!(source("[2001:db8::1]"), plain("2001:db8::1"));
    let zoned = Some(("fe80::1".to_owned(), Some("eth0".to_owned())));
    assert_eq!(source("fe80%3A%3A1%25eth0"), zoned);
    assert_eq!(source("%5Bfe80%3A%3A1%25eth0%5D"), zoned);
    assert_eq!(source("fe80%3A%3A1%25"), plain("fe80::1"));
    for bad in ["", "1.2.3", "1.2.3.4.5", "01.2.3.4", "localhost", "1.2.3.4%20", "%25eth0", "::g"] {
        assert_eq!(source(bad), None, "{bad}");
    }
}

proptest! {
    #[test]
    fn an_address_survives_whatever_the_agent_says(ip: IpAddr, port: u16, agent: Vec<u8>) {
        let agent = agent.iter().map(|byte| format!("%{byte:02X}")).collect::<Vec<_>>().concat();
        let lines = FAILURE
            .replace("127.0.0.1", &ip.to_string().replace(':', "%3A"))
            .replace("33752", &port.to_string())
            .replace("pytest/1.0", &agent);
        let event = event("register_failure", &lines);
        let Ok(Some(SofiaEvent::RegisterFailure(failure))) = parse(&event) else { panic!() };
        prop_assert_eq!((failure.source.ip, failure.source.port), (ip, port));
    }

    #[test]
    fn damaged_records_never_panic(noise: Vec<u8>, at in 0..900_usize) {
        let event = event("register_attempt", ATTEMPT);
        let mut bytes = event.as_bytes().to_vec();
        let at = at.min(bytes.len());
        let end = (at + noise.len()).min(bytes.len());
        bytes.splice(at..end, noise);
        let _ = parse(&Event::from_plain(bytes));
    }
}

#[test]
fn limits_hide_no_attacker() {
    let contact = "x".repeat(100_000);
    let lines = format!("{}contact: {contact}\n{ATTEMPT}", "h: v\n".repeat(10));
    let event = event("register_attempt", &lines);
    let body = event.as_bytes();
    let mut stream = bytes::BytesMut::from(
        format!("Content-Length: {}\nContent-Type: text/event-plain\n\n", body.len()).as_str(),
    );
    stream.extend_from_slice(body);
    let limits = Limits { max_body: 1000, max_value: 100, ..Limits::default() };
    let frame = FrameDecoder::new(limits).decode(&mut stream).unwrap().unwrap();
    let event = frame.into_event().unwrap();
    let Some(SofiaEvent::RegisterAttempt(attempt)) = parse(&event).unwrap() else { panic!() };
    assert_eq!(attempt.source.ip.to_string(), "2001:db8::7");
    assert!(event.truncated().unwrap().shortened("contact"));
}
