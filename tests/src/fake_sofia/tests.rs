use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use super::registrar::{Registrar, Verdict};
use super::request::Request;
use super::*;
use crate::fake_freeswitch::{FakeFreeSwitch, Outcome};
use crate::sip::{digest, password_of};
use crate::wait::{PATIENCE, until};

fn register(cseq: u32, credentials: Option<(&str, &str, &str)>) -> String {
    let authorization = credentials.map_or(String::new(), |(username, nonce, response)| {
        format!(
            "Authorization: Digest username=\"{username}\", realm=\"pbx.test\", nonce=\"{nonce}\", \
             response=\"{response}\"\r\n"
        )
    });
    format!(
        "REGISTER sip:pbx.test SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK{cseq}\r\n\
         From: <sip:1000@pbx.test>\r\nTo: <sip:1000@pbx.test>\r\nCall-ID: call\r\nCSeq: {cseq} REGISTER\r\n\
         Contact: <sip:1000@192.0.2.9>\r\n{authorization}Content-Length: 0\r\n\r\n"
    )
}

fn options(n: usize) -> String {
    format!(
        "OPTIONS sip:pbx.test SIP/2.0\r\nVia: SIP/2.0/TCP 192.0.2.9;branch=z9hG4bK{n}\r\nCall-ID: {n}\r\n\
         CSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
    )
}

/// The status and the outcome of a request of a phone.
fn judged(registrar: &mut Registrar, message: &str) -> (String, Option<Outcome>, Option<String>) {
    let source = SocketAddr::from((Ipv4Addr::new(192, 0, 2, 9), 5060));
    let request = Request::read(message).unwrap();
    let Verdict { answer, outcome } = registrar.judge(&request, source, "internal", Instant::now());
    let answer = answer.unwrap();
    let status = answer.split(' ').nth(1).unwrap().to_owned();
    let challenge = crate::sip::header(&answer, "WWW-Authenticate");
    let nonce = challenge.and_then(|field| crate::sip::quoted(field, "nonce")).map(str::to_owned);
    (status, outcome.map(|(_, outcome)| outcome), nonce)
}

#[test]
fn a_register_is_challenged_then_judged_by_its_password() {
    let mut registrar = Registrar::new(["1000".to_owned()]);
    let (status, outcome, nonce) = judged(&mut registrar, &register(1, None));
    assert_eq!((status.as_str(), outcome), ("401", Some(Outcome::Challenged)));
    let nonce = nonce.unwrap();
    let right = digest("1000", &password_of("1000"), &nonce, "REGISTER");

    let wrong = register(2, Some(("1000", &nonce, "0")));
    assert_eq!(judged(&mut registrar, &wrong).1, Some(Outcome::BorrowedNonce));
    assert_eq!(judged(&mut registrar, &wrong), ("403".to_owned(), None, None), "a retransmission");
    let blind = register(3, Some(("1001", "made up", &right)));
    assert_eq!(judged(&mut registrar, &blind).1, Some(Outcome::BlindSpoof));
    let stale = register(4, Some(("1000", "made up", &right)));
    let (status, outcome, _) = judged(&mut registrar, &stale);
    assert_eq!((status.as_str(), outcome), ("401", Some(Outcome::Stale)));
    assert_eq!(registrar.registered(), 0);
    let good = register(5, Some(("1000", &nonce, &right)));
    let (status, outcome, _) = judged(&mut registrar, &good);
    assert_eq!((status.as_str(), outcome), ("200", Some(Outcome::Admitted)));
    assert_eq!(registrar.registered(), 1);
    assert!(registrar.list().contains("\"network_ip\":\"192.0.2.9\""));
}

#[test]
fn what_needs_no_password_causes_no_event() {
    let mut registrar = Registrar::new([]);
    let (status, outcome, _) = judged(&mut registrar, &options(1));
    assert_eq!((status.as_str(), outcome), ("200", None));
}

fn sofia(max_requests: u32) -> (FakeFreeSwitch, FakeSofia, SocketAddr) {
    let fs = FakeFreeSwitch::builder().start().unwrap();
    // A port that was free a moment ago, on UDP and TCP.
    for _ in 0..20 {
        let probe = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = probe.local_addr().unwrap();
        drop(probe);
        let builder = FakeSofia::builder(fs.emitter()).profile("internal", address);
        if let Ok(sofia) = builder.max_requests(max_requests).start() {
            return (fs, sofia, address);
        }
    }
    panic!("no free port");
}

#[test]
fn each_request_of_a_segment_counts_and_is_answered() {
    let (_fs, sofia, address) = sofia(0);
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let segment: String = (0..20).map(options).collect();
    stream.write_all(segment.as_bytes()).unwrap();

    let mut answers = String::new();
    let mut buffer = [0; 4_096];
    while answers.matches("SIP/2.0 200 OK").count() < 20 {
        let length = stream.read(&mut buffer).unwrap();
        assert_ne!(length, 0, "it closed after {answers}");
        answers.push_str(std::str::from_utf8(&buffer[..length]).unwrap());
    }
    let counts = sofia.counts("internal");
    assert_eq!((counts.received, counts.dropped), (20, 0));
    assert_eq!(counts.from(|source| source.is_loopback()), 20);
}

#[test]
fn a_flood_silences_it_for_everybody() {
    const LIMIT: u32 = 50;
    let (_fs, sofia, address) = sofia(LIMIT);
    let flood = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let phone = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    phone.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    let hears = |n: usize| {
        phone.send_to(options(n).as_bytes(), address).unwrap();
        phone.recv(&mut [0; 2_048]).is_ok()
    };
    until("it hears", || hears(1));
    until("it drops", || {
        for n in 0..100 {
            flood.send_to(options(n).as_bytes(), address).unwrap();
        }
        sofia.counts("internal").dropped > 0 && !hears(2)
    });
    // Once the flood is over it comes back by itself.
    until("it hears again", || hears(3));
}

#[test]
fn events_reach_the_event_socket_and_the_list_follows() {
    let (fs, sofia, address) = sofia(0);
    let mut client = TcpStream::connect(fs.address()).unwrap();
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    client.write_all(b"auth ClueCon\n\nevent plain CUSTOM sofia::pre_register\n\n").unwrap();
    fs.wait_for_subscription(PATIENCE).unwrap();
    sofia.remember("1007", "203.0.113.9".parse().unwrap());
    sofia.tell_registrations();

    let phone = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    phone.send_to(register(1, None).as_bytes(), address).unwrap();

    let mut heard = String::new();
    let mut buffer = [0; 4_096];
    while !heard.contains("sofia%3A%3Apre_register") {
        let length = client.read(&mut buffer).unwrap();
        assert_ne!(length, 0, "it closed after {heard}");
        heard.push_str(&String::from_utf8_lossy(&buffer[..length]));
    }
    let mut asking = TcpStream::connect(fs.address()).unwrap();
    asking.set_read_timeout(Some(PATIENCE)).unwrap();
    asking.write_all(b"auth ClueCon\n\napi show registrations as json\n\n").unwrap();
    let mut answer = String::new();
    while !answer.contains("203.0.113.9") {
        let length = asking.read(&mut buffer).unwrap();
        assert_ne!(length, 0, "it closed after {answer}");
        answer.push_str(&String::from_utf8_lossy(&buffer[..length]));
    }
}
