use super::*;
use sipward_ingest::freeswitch::uri::Target;

pub mod server;

use server::{A, AAAA, NAPTR, NameServer, SRV};

fn dns(server: &NameServer) -> Dns {
    Dns::with(&[server.address()], false).unwrap()
}

impl Dns {
    /// Asks this server, and nobody else.
    pub fn of(server: &NameServer) -> Self {
        dns(server)
    }
}

async fn locate(server: &NameServer, uri: &str, known: bool) -> Result<Vec<String>, String> {
    let target = Target::read(uri).unwrap();
    let located = dns(server).locate(&target, known).await?;
    Ok(located.addresses.iter().map(IpAddr::to_string).collect())
}

/// A carrier with a web server, and edges that SRV names.
fn carrier() -> NameServer {
    let server = NameServer::start();
    server.put("carrier.test", A, 300, &["203.0.113.80"]);
    server.put("_sip._udp.carrier.test", SRV, 60, &["edge1.carrier.test", "edge2.carrier.test"]);
    server.put("_sips._tcp.carrier.test", SRV, 90, &["secure.carrier.test"]);
    server.put("edge1.carrier.test", A, 60, &["192.0.2.1"]);
    server.put("edge2.carrier.test", AAAA, 60, &["2001:db8::2"]);
    server.put("secure.carrier.test", A, 60, &["192.0.2.3"]);
    server
}

#[tokio::test]
async fn every_target_of_srv_counts_and_the_web_server_does_not() {
    let server = carrier();
    let all = ["192.0.2.1", "192.0.2.3", "2001:db8::2"];
    assert_eq!(locate(&server, "sip:carrier.test", false).await.unwrap(), all);
    let udp = ["192.0.2.1", "2001:db8::2"];
    assert_eq!(locate(&server, "sip:carrier.test;transport=udp", false).await.unwrap(), udp);
    for secure in ["sips:carrier.test", "sip:carrier.test;transport=tls"] {
        assert_eq!(locate(&server, secure, false).await.unwrap(), ["192.0.2.3"], "{secure}");
    }
    // A port names a host, and so does a service that is not there.
    for host in ["sip:carrier.test:5060", "sip:carrier.test;transport=tcp"] {
        assert_eq!(locate(&server, host, false).await.unwrap(), ["203.0.113.80"], "{host}");
    }
    assert_eq!(locate(&server, "sip:198.51.100.7", false).await.unwrap(), ["198.51.100.7"]);
}

#[tokio::test]
async fn naptr_leads_to_services_of_any_name() {
    let server = carrier();
    server.put(
        "region.test",
        NAPTR,
        30,
        &[
            "s SIP+D2U _sip._udp.eu.carrier.test",
            "s SIPS+D2T _sips._tcp.carrier.test",
            "s E2U+email x.test",
        ],
    );
    server.put("_sip._udp.eu.carrier.test", SRV, 60, &["eu.carrier.test"]);
    server.put("eu.carrier.test", A, 60, &["192.0.2.40"]);
    assert_eq!(
        locate(&server, "sip:region.test", false).await.unwrap(),
        ["192.0.2.3", "192.0.2.40"]
    );
    assert_eq!(locate(&server, "sips:region.test", false).await.unwrap(), ["192.0.2.3"]);
    assert_eq!(server.asked("x.test", SRV), 0);
}

#[tokio::test]
async fn the_shortest_ttl_on_the_way_says_when_to_ask_again() {
    let server = carrier();
    server.put("edge1.carrier.test", A, 20, &["192.0.2.1"]);
    let target = Target::read("sip:carrier.test;transport=udp").unwrap();
    let located = dns(&server).locate(&target, false).await.unwrap();
    let again = located.again_at.unwrap().saturating_duration_since(Instant::now());
    assert!(again <= Duration::from_secs(20) && again > Duration::from_secs(10), "{again:?}");
    server.put("edge1.carrier.test", A, 0, &["192.0.2.1"]);
    let located = dns(&server).locate(&target, false).await.unwrap();
    assert!(located.again_at.unwrap() >= Instant::now() + MIN_LIFE / 2, "a TTL of 0 is no storm");
    let literal = Target::read("sip:192.0.2.1").unwrap();
    assert_eq!(dns(&server).locate(&literal, false).await.unwrap().again_at, None);
}

#[tokio::test]
async fn a_name_server_that_fails_is_told_and_changes_nothing_that_is_known() {
    let server = carrier();
    for service in ["_sip._udp", "_sip._tcp", "_sips._tcp"] {
        server.fail(&format!("{service}.carrier.test"), SRV);
    }
    // Nothing is known of it: its own address is better than nothing, and what is missing is reported.
    let target = Target::read("sip:carrier.test").unwrap();
    let located = dns(&server).locate(&target, false).await.unwrap();
    assert_eq!(located.addresses, ["203.0.113.80".parse().unwrap()].into());
    assert!(located.missing.unwrap().contains("_sip"), "told");
    let error = dns(&server).locate(&target, true).await.unwrap_err();
    assert!(error.contains("_sip"), "{error}");

    let server = carrier();
    server.fail("edge1.carrier.test", A);
    let located = dns(&server).locate(&target, true).await.unwrap();
    assert_eq!(located.addresses.len(), 2);
    assert!(located.missing.unwrap().starts_with("edge1.carrier.test: "));
}

#[tokio::test]
async fn what_has_no_address_says_so() {
    let server = carrier();
    assert_eq!(
        locate(&server, "sip:nowhere.test", false).await.unwrap_err(),
        "nowhere.test: has no address"
    );
    server.put("_sip._udp.off.test", SRV, 60, &["."]);
    let error = locate(&server, "sip:off.test;transport=udp", false).await.unwrap_err();
    assert_eq!(error, "has no address", "its zone says that there is no such service");
}

#[tokio::test]
async fn a_hostile_zone_is_bounded() {
    let server = NameServer::start();
    let many: Vec<String> = (0..25).map(|n| format!("h{n}.big.test")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    server.put("_sip._udp.big.test", SRV, 60, &many);
    for name in &many {
        let addresses: Vec<String> =
            (0..20).map(|n| format!("10.{n}.0.{}", &name[1..name.find('.').unwrap()])).collect();
        server.put(name, A, 60, &addresses.iter().map(String::as_str).collect::<Vec<_>>());
    }
    let found = locate(&server, "sip:big.test;transport=udp", false).await.unwrap();
    assert_eq!(found.len(), MAX_ADDRESSES);
}
