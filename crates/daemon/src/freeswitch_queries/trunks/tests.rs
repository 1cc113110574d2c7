use super::*;
use crate::dns::Dns;
use crate::dns::tests::server::{A, NameServer, SRV};
use sipward_ingest::freeswitch::{gateways, sofia_conf};

fn listed(trunks: &mut Trunks, list: &[(&str, &str)]) {
    let rows = list
        .iter()
        .map(|(name, proxy)| {
            format!("<gateway><name>{name}</name><proxy>{proxy}</proxy></gateway>")
        })
        .collect::<Vec<_>>()
        .concat();
    let list = gateways::read(&format!("<gateways>{rows}</gateways>")).unwrap();
    trunks.set_gateways(list, Instant::now());
}

fn addresses(trunks: &Trunks) -> Vec<String> {
    trunks.addresses().keys().map(IpAddr::to_string).collect()
}

/// Looks up all that is due at `now`.
async fn look_up(trunks: &mut Trunks, server: &NameServer, now: Instant) -> usize {
    let due = trunks.take_due(now, usize::MAX);
    for (target, known) in &due {
        // Each look by a resolver of its own: what is kept is kept here.
        let answer = Dns::of(server).locate(target, *known).await;
        trunks.located(target, answer, now);
    }
    due.len()
}

fn unprotected(changes: &[Change]) -> Vec<&str> {
    changes
        .iter()
        .filter_map(|change| match change {
            Change::Unprotected { gateway, .. } => Some(gateway.as_str()),
            Change::Protected { .. } => None,
        })
        .collect()
}

#[tokio::test]
async fn gateways_come_and_go_with_their_addresses() {
    let server = NameServer::start();
    server.put("_sip._udp.carrier.test", SRV, 60, &["edge.carrier.test"]);
    server.put("edge.carrier.test", A, 60, &["192.0.2.88"]);
    let mut trunks = Trunks::default();
    assert!(!trunks.are_known());
    listed(&mut trunks, &[("ip", "sip:198.51.100.5:5080"), ("name", "sip:carrier.test")]);
    assert_eq!(addresses(&trunks), ["198.51.100.5"]);
    assert!(!trunks.are_known(), "a name is being looked up");
    assert_eq!(look_up(&mut trunks, &server, Instant::now()).await, 1);
    assert_eq!(addresses(&trunks), ["192.0.2.88", "198.51.100.5"]);
    assert_eq!(trunks.addresses()[&"192.0.2.88".parse().unwrap()], "name");
    assert!(trunks.are_known());
    assert_eq!(trunks.changes(), []);

    listed(&mut trunks, &[("name", "sip:carrier.test")]);
    assert_eq!(addresses(&trunks), ["192.0.2.88"]);
    assert_eq!(look_up(&mut trunks, &server, Instant::now()).await, 0, "its answer is kept");
    listed(&mut trunks, &[]);
    assert!(addresses(&trunks).is_empty() && trunks.are_known());

    let many = ["a", "b", "c", "d", "e"].map(|name| (name, "sip:198.51.100.5"));
    listed(&mut trunks, &many);
    assert_eq!(trunks.addresses()[&"198.51.100.5".parse().unwrap()], "a, b, c and 2 more");
}

#[tokio::test]
async fn an_answer_is_renewed_by_its_ttl_and_the_last_one_is_kept_through_a_failure() {
    let server = NameServer::start();
    server.put("_sip._udp.carrier.test", SRV, 60, &["edge.carrier.test"]);
    server.put("edge.carrier.test", A, 60, &["192.0.2.88"]);
    let mut trunks = Trunks::default();
    listed(&mut trunks, &[("g", "sip:carrier.test;transport=udp")]);
    look_up(&mut trunks, &server, Instant::now()).await;
    let due = trunks.next_due().unwrap();
    let wait = due.saturating_duration_since(Instant::now());
    assert!(wait <= Duration::from_secs(60) && wait > Duration::from_secs(40), "{wait:?}");
    assert_eq!(
        look_up(&mut trunks, &server, due.checked_sub(Duration::from_secs(1)).unwrap()).await,
        0
    );

    server.put("edge.carrier.test", A, 60, &["192.0.2.89"]);
    look_up(&mut trunks, &server, due).await;
    assert_eq!(addresses(&trunks), ["192.0.2.89"], "it has moved");

    server.fail("_sip._udp.carrier.test", SRV);
    server.put("carrier.test", A, 60, &["203.0.113.80"]);
    for n in 0..3 {
        look_up(&mut trunks, &server, due + Duration::from_secs(60 * (10 * (n + 1)))).await;
        assert_eq!(addresses(&trunks), ["192.0.2.89"], "not the web server");
        assert_eq!(trunks.changes(), [], "it is still protected");
        assert_eq!(trunks.stale().count(), 1);
        assert_eq!(trunks.stale().next().map(|(name, _)| name), Some("carrier.test"));
    }
    server.put("_sip._udp.carrier.test", SRV, 60, &["edge.carrier.test"]);
    look_up(&mut trunks, &server, due + Duration::from_secs(3_600)).await;
    assert_eq!(trunks.stale().count(), 0);
}

#[tokio::test]
async fn a_gateway_that_cannot_be_found_is_told_once_and_once_that_it_is_found() {
    let server = NameServer::start();
    let mut trunks = Trunks::default();
    listed(&mut trunks, &[("lost", "sip:nowhere.test"), ("odd", "sip:")]);
    let mut now = Instant::now();
    look_up(&mut trunks, &server, now).await;
    let changes = trunks.changes();
    assert_eq!(unprotected(&changes), ["lost", "odd"]);
    assert!(
        matches!(&changes[0], Change::Unprotected { error, .. } if error.contains("nowhere.test"))
    );
    assert!(!trunks.are_known());
    let mut waits = Vec::new();
    for _ in 0..8 {
        let due = trunks.next_due().unwrap();
        waits.push(due.duration_since(now).as_secs());
        now = due;
        look_up(&mut trunks, &server, now).await;
        assert_eq!(trunks.changes(), [], "told once");
    }
    assert_eq!(waits, [5, 10, 20, 40, 80, 160, 300, 300]);

    server.put("nowhere.test", A, 60, &["192.0.2.1"]);
    listed(&mut trunks, &[("lost", "sip:nowhere.test")]);
    look_up(&mut trunks, &server, now + BACKOFF.longest).await;
    let over = |gateway: &str| Change::Protected { gateway: gateway.to_owned() };
    assert_eq!(trunks.changes(), [over("lost"), over("odd")]);
    assert!(trunks.are_known());
}

#[test]
fn the_registrar_that_answered_counts_as_long_as_its_gateway_is_there() {
    let mut trunks = Trunks::default();
    let now = Instant::now();
    assert!(trunks.set_registrar("g", "192.0.2.6".parse().unwrap(), now));
    assert!(!trunks.set_registrar("g", "192.0.2.6".parse().unwrap(), now));
    let list = gateways::read("<gateways></gateways>").unwrap();
    trunks.set_gateways(list.clone(), now.checked_sub(Duration::from_secs(1)).unwrap());
    assert_eq!(addresses(&trunks), ["192.0.2.6"], "the list is older than the event");
    trunks.set_gateways(list, now + Duration::from_secs(1));
    assert!(addresses(&trunks).is_empty());
}

#[test]
fn proxies_of_the_configuration_count_for_gateways_that_run() {
    let conf = "<profiles><profile name=\"p\"><gateways><gateway name=\"g\">\
        <param name=\"register-proxy\" value=\"192.0.2.7\"/><param name=\"outbound-proxy\" value=\"sip:192.0.2.8\"/>\
        </gateway><gateway name=\"off\"><param name=\"outbound-proxy\" value=\"192.0.2.9\"/></gateway>\
        <gateway name=\"bad\"><param name=\"register-proxy\" value=\"sip:\"/></gateway></gateways>\
        <settings><param name=\"outbound-proxy\" value=\"192.0.2.10\"/></settings></profile></profiles>";
    let mut trunks = Trunks::default();
    trunks.set_conf(&sofia_conf::read(conf).unwrap());
    listed(&mut trunks, &[("g", "sip:192.0.2.6"), ("bad", "sip:192.0.2.5")]);
    assert_eq!(
        addresses(&trunks),
        ["192.0.2.5", "192.0.2.6", "192.0.2.7", "192.0.2.8", "192.0.2.10"]
    );
    assert_eq!(unprotected(&trunks.changes()), ["bad"]);
    trunks.set_conf(&SofiaConf::default());
    assert_eq!(addresses(&trunks), ["192.0.2.5", "192.0.2.6"]);
}
