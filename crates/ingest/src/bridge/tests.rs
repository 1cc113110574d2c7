use bytes::BytesMut;
use sipward_esl::{FrameDecoder, Limits};

use super::*;

/// The events of a recording, in order.
fn events(recording: &[u8]) -> Vec<Event> {
    let mut decoder = FrameDecoder::new(Limits::default());
    let mut bytes = BytesMut::from(recording);
    let mut events = Vec::new();
    while let Some(frame) = decoder.decode(&mut bytes).unwrap() {
        events.extend(frame.into_event());
    }
    events
}

/// What a recording tells the engine, in words, and what it tells an operator.
fn told(recording: &[u8]) -> (Vec<String>, Vec<Record>) {
    let (mut inputs, mut records) = (Vec::new(), Vec::new());
    for event in events(recording) {
        let aside = translate(&event, |input| inputs.push(words(&input)));
        if let Aside::Report(record) = aside {
            records.push(*record);
        }
    }
    (inputs, records)
}

fn words(input: &Input<'_>) -> String {
    match input {
        Input::AuthFailure(f) => format!("failure {} {} {:?}", f.source, f.user, f.method),
        Input::AuthAttempt(a) => {
            format!("attempt {} {} as {:?}: {:?}", a.source, a.user, a.username, a.result)
        }
        Input::Challenge(c) => format!("challenge {} {}", c.source, c.user),
        Input::Registered(r) => format!("registered {} for {:?}", registration(r), r.life),
        Input::RegistrationEnded(r) => {
            let source = r.source.map_or_else(|| "-".to_owned(), |source| source.to_string());
            format!("ended {source} {}@{} call {}", r.user, r.domain, r.call_id)
        }
        Input::AbandonedCall { source } => format!("abandoned {source}"),
        Input::Report { source, reason, proved } => {
            format!("report {source}: {reason}{}", if *proved { ", proved" } else { "" })
        }
        Input::CallAccepted { source } => format!("call from {source}"),
        other => format!("{other:?}"),
    }
}

fn registration(r: &Registered<'_>) -> String {
    format!("{} {}@{} call {}", r.source, r.user, r.domain, r.call_id)
}

macro_rules! recording {
    ($name:literal) => {
        include_bytes!(concat!("../../../../tests/fixtures/freeswitch/", $name))
    };
}

#[test]
fn a_wrong_password_is_a_challenge_an_attempt_and_a_failure() {
    let (inputs, records) = told(recording!("scenarios/ns-udp4-wrongpw.plain.raw"));
    assert_eq!(
        inputs,
        [
            "challenge 10.66.3.77 1000",
            "attempt 10.66.3.77 1000 as Some(\"1000\"): Forbidden",
            "failure 10.66.3.77 1000 Register",
        ]
    );
    assert!(records.is_empty());
}

#[test]
fn a_blind_spoof_is_an_attempt_without_a_name_and_a_failure() {
    let (inputs, _) = told(recording!("scenarios/spoof-blind-mismatch.plain.raw"));
    assert_eq!(
        inputs,
        ["attempt 10.66.77.77 1001 as None: Forbidden", "failure 10.66.77.77 1001 Register",]
    );
}

#[test]
fn a_registration_and_its_end_name_the_same_phone() {
    const SAID_GOODBYE: &str = "127.0.0.1 1001@pbx.test call 1125b20f21f84149";
    const RAN_OUT: &str = "127.0.0.1 1003@pbx.test call b310b31126c22418";
    let of = |recording| {
        let (mut inputs, _) = told(recording);
        inputs.retain(|input| input.starts_with("registered ") || input.starts_with("ended "));
        inputs
    };
    assert_eq!(
        of(recording!("scenarios/04a-register-ok-rereg-unreg.plain.raw")),
        [
            format!("registered {SAID_GOODBYE} for Some(300s)"),
            format!("registered {SAID_GOODBYE} for Some(300s)"),
            format!("ended {SAID_GOODBYE}"),
        ]
    );
    assert_eq!(
        of(recording!("scenarios/04b-register-expire.plain.raw")),
        [format!("registered {RAN_OUT} for Some(1s)"), format!("ended {RAN_OUT}")]
    );
}

/// The flow of a registration is never denied, so its port must be the one that its packets come from.
#[test]
fn a_registration_names_the_port_of_its_failures() {
    let ports = |recording: &'static [u8]| {
        let mut ports = Vec::new();
        for event in events(recording) {
            let named = event.header("network-port").map(|port| port.lossy().into_owned());
            translate(&event, |input| {
                if let Input::Registered(Registered { port, .. }) = input {
                    assert_eq!(port.map(|port| port.to_string()), named);
                    ports.extend(port);
                }
            });
        }
        ports
    };
    assert_eq!(ports(recording!("scenarios/04a-register-ok-rereg-unreg.plain.raw")).len(), 2);
    assert_eq!(ports(recording!("scenarios/04b-register-expire.plain.raw")).len(), 1);
}

#[test]
fn an_event_of_another_client_tells_the_operator_and_not_the_engine() {
    let (inputs, records) = told(recording!("session/sendevent-CUSTOM.raw"));
    assert!(!inputs.iter().any(|input| input.contains("10.9.9.9")), "{inputs:?}");
    assert!(
        records.iter().any(|record| matches!(record,
            Record::EventForged { address: Some(source), .. } if source.to_string() == "10.9.9.9")),
        "{records:?}"
    );
}

/// The event that the dialplan in `deploy/` makes, with `extra` headers.
fn report_event(address: &str, extra: &str) -> Event {
    let dialplan = include_str!("../../../../deploy/freeswitch/zz_sipward_report.xml");
    let data = dialplan.split("application=\"event\" data=\"").nth(1).unwrap();
    let data = data.split('"').next().unwrap().replace("${sip_network_ip}", address);
    let headers = data.replace(',', "\n").replace('=', ": ").replace("sipward::", "sipward%3A%3A");
    Event::from_plain(format!("{headers}\n{extra}\n"))
}

#[test]
fn the_dialplan_in_deploy_makes_a_report() {
    let mut inputs = Vec::new();
    let event = report_event("203.0.113.9", "Event-Calling-File: mod_dptools.c\n");
    let aside = translate(&event, |input| inputs.push(words(&input)));
    assert!(matches!(aside, Aside::Nothing), "{aside:?}");
    assert_eq!(inputs, ["report 203.0.113.9: unauthenticated call"]);
}

#[test]
fn a_report_by_sendevent_or_without_an_address_is_none() {
    for event in
        [report_event("203.0.113.9", "Command: sendevent%20CUSTOM\n"), report_event("nowhere", "")]
    {
        let mut inputs = Vec::new();
        let aside = translate(&event, |input| inputs.push(words(&input)));
        assert!(matches!(aside, Aside::Report(_)), "{aside:?}");
        assert!(inputs.is_empty());
    }
}

/// An event of the dialplan, with what its call says.
fn of_dialplan(subclass: &str, headers: &str) -> Vec<String> {
    let text = format!(
        "Event-Subclass: {}\nEvent-Name: CUSTOM\nCore-UUID: 1f7a5b0e-3a52-4f1c-9a3e-0d6f0c2b8a11\n\
         Event-Calling-File: mod_dptools.c\nsipward-address: 192.0.2.7\n{headers}\n",
        subclass.replace(':', "%3A")
    );
    let mut inputs = Vec::new();
    translate(&Event::from_plain(text.into_bytes()), |input| inputs.push(words(&input)));
    inputs
}

#[test]
fn a_report_is_proved_by_the_transport_of_its_call() {
    for (transport, proved) in
        [("udp", false), ("UDP", false), ("", false), ("tcp", true), ("TLS", true), ("wss", true)]
    {
        let headers = format!("variable_sip_via_protocol: {transport}\nsipward-reason: x\n");
        let told = of_dialplan(REPORT, &headers);
        assert_eq!(told, [format!("report 192.0.2.7: x{}", if proved { ", proved" } else { "" })]);
    }
}

#[test]
fn an_accepted_call_over_udp_proves_its_address_once_it_has_lasted_five_seconds() {
    let udp = "variable_sip_via_protocol: udp\n";
    assert!(of_dialplan(CALL, &format!("{udp}sipward-talked: 0\n")).is_empty());
    assert!(of_dialplan(CALL, &format!("{udp}sipward-talked: soon\n")).is_empty());
    assert_eq!(of_dialplan(CALL, &format!("{udp}sipward-talked: 5\n")), ["call from 192.0.2.7"]);
    let tcp = "variable_sip_via_protocol: tcp\nsipward-talked: 0\n";
    assert_eq!(of_dialplan(CALL, tcp), ["call from 192.0.2.7"]);
}
