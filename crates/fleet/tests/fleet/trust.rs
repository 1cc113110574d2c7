//! What a node, and a whole site, may say: with the configurations of `deploy/nats`.

use std::io::{Read, Write};
use std::time::Duration;

use async_nats::{Client, ConnectOptions, HeaderMap};
use sipward_fleet::message::{Ban, Body, Lift, Message};
use sipward_fleet::{Settings, State, Text};

use crate::node::{Node, ban, host, init, key, ms_from_now, peer, standing};
use crate::servers::{Server, check, free_port};
use crate::tls::Tls;
use crate::wait;

fn single(tls: &Tls) -> Server {
    Server::start(&tls.configuration("single.conf"))
}

/// A client that is not sipward, with a peer's certificate.
async fn raw(settings: &Settings) -> Client {
    ConnectOptions::new()
        .add_root_certificates(settings.ca.clone().unwrap())
        .add_client_certificate(
            settings.certificate.clone().unwrap(),
            settings.key.clone().unwrap(),
        )
        .require_tls(true)
        .custom_inbox_prefix(format!("_INBOX.{}", settings.peer))
        .request_timeout(Some(Duration::from_secs(1)))
        .connect(&settings.servers[0])
        .await
        .unwrap()
}

fn said(from: &str, n: u64, body: Body) -> Message {
    Message { from: peer(from), n, at: ms_from_now(Duration::ZERO), body }
}

fn stands(n: u32) -> Body {
    Body::Ban(host(n), Ban::Stands(standing()))
}

/// Whether the server answers that it has done it.
async fn is_done(client: &Client, subject: &str, value: &[u8]) -> bool {
    let answer = client.request(subject.to_owned(), value.to_vec().into()).await;
    answer.is_ok_and(|answer| !String::from_utf8_lossy(&answer.payload).contains("\"error\""))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_says_what_is_its_own_and_nothing_else() {
    let tls = Tls::new();
    let server = single(&tls);
    let [n1, n2, ops] =
        ["berlin.n1", "berlin.n2", "ops.alice"].map(|peer| tls.settings(server.port, peer));
    init(&ops, 1).await;
    // All that the transport needs is permitted.
    let share = |settings: &Settings| Settings { share_known: true, ..settings.clone() };
    let one = Node::up(share(&n1), vec![ban(host(1))]).await;
    let mut two = Node::up(share(&n2), vec![]).await;
    assert_eq!(two.said().await.0.body.key(), key(host(1)));
    one.until("its ban is acknowledged", |s| s.said == 1 && s.trouble.is_none()).await;
    assert_eq!(one.fleet.nodes().await.unwrap().len(), 2);

    let evil = raw(&n1).await;
    let own = said("berlin.n1", ms_from_now(Duration::ZERO), stands(2));
    assert!(is_done(&evil, &own.subject(), &own.encode().unwrap()).await, "its own ban");
    assert_eq!(two.said().await.0, own);
    let lift = Lift { hold_ms: 1, reason: Text::default(), who: Text::default() };
    for forged in [
        said("berlin.n2", 1, stands(3)),
        said("munich.n1", 1, stands(3)),
        said("ops.alice", 1, stands(3)),
        said("berlin.n1", 1, Body::Lift(host(1), lift.clone())),
        said("ops.alice", 1, Body::Lift(host(1), lift)),
    ] {
        let done = is_done(&evil, &forged.subject(), &forged.encode().unwrap()).await;
        assert!(!done, "{}", forged.subject());
    }
    let consumer =
        br#"{"stream_name":"SIPWARD","config":{"name":"berlin_n2","ack_policy":"none"}}"#;
    for (api, value) in [
        ("$JS.API.STREAM.PURGE.SIPWARD", &b"{}"[..]),
        ("$JS.API.STREAM.DELETE.SIPWARD", b"{}"),
        ("$JS.API.STREAM.UPDATE.SIPWARD", b"{\"name\":\"SIPWARD\"}"),
        ("$JS.API.STREAM.MSG.DELETE.SIPWARD", b"{\"seq\":1}"),
        ("$JS.API.CONSUMER.CREATE.SIPWARD.berlin_n2", consumer),
        ("$JS.API.CONSUMER.DELETE.SIPWARD.berlin_n2", b""),
        ("$JS.API.CONSUMER.MSG.NEXT.SIPWARD.berlin_n2", b"1"),
    ] {
        assert!(!is_done(&evil, api, value).await, "{api}");
    }
    // A rollup erases all that a stream has, where it is allowed.
    for scope in ["all", "sub"] {
        let mut headers = HeaderMap::new();
        headers.insert("Nats-Rollup", scope);
        let answer = evil.request_with_headers(own.subject(), headers, own.encode().unwrap()).await;
        let answer = String::from_utf8_lossy(&answer.unwrap().payload).into_owned();
        assert!(answer.contains("rollup not permitted"), "{answer}");
    }
    // Not even an operator deletes or purges.
    let operator = raw(&ops).await;
    assert!(!is_done(&operator, "$JS.API.STREAM.PURGE.SIPWARD", b"{}").await);
    assert!(!is_done(&operator, "$JS.API.STREAM.MSG.DELETE.SIPWARD", b"{\"seq\":1}").await);
    let mut late = Node::start(n2.clone(), vec![]);
    assert_eq!(late.catch_up().await.len(), 2, "both of n1's bans are there, and nothing else");
    let quiet = two.received.try_recv();
    assert!(quiet.is_err(), "{quiet:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_credential_that_does_not_count_is_named_with_what_to_do() {
    let tls = Tls::new();
    let server = single(&tls);
    let why = async |settings: Settings| {
        let node = Node::start(settings, vec![]);
        let down = node.until("a reason", |s| matches!(s.state, State::Down { .. })).await;
        let State::Down { why } = down.state else { unreachable!() };
        why
    };
    // A certificate of a node that the server does not know.
    let unknown = why(tls.settings(server.port, "berlin.n77")).await;
    assert!(unknown.contains("refuses this node's credential"), "{unknown}");
    // One that has run out.
    let settings = tls.settings(server.port, "berlin.n1");
    tls.issue("berlin.n1", &["n1.berlin.fleet"], true);
    let expired = why(settings.clone()).await;
    assert!(expired.starts_with("TLS with the server fails"), "{expired}");
    // None at all.
    let missing = why(Settings { certificate: None, key: None, ..settings.clone() }).await;
    assert!(missing.contains("TLS") || missing.contains("refuses"), "{missing}");
    // A server that another CA has signed.
    let other = Tls::new();
    let stranger = why(Settings { ca: Some(other.path("ca.pem")), ..settings.clone() }).await;
    assert!(stranger.starts_with("TLS with the server fails"), "{stranger}");
    // A file that is not there.
    let missing = why(Settings { ca: Some(tls.path("nowhere.pem")), ..settings.clone() }).await;
    assert!(missing.contains("nowhere.pem"), "{missing}");
    // A new certificate is taken without a restart.
    let node = Node::start(settings, vec![]);
    node.until("a reason", |s| matches!(s.state, State::Down { .. })).await;
    tls.issue("berlin.n1", &["n1.berlin.fleet"], false);
    node.until_connected().await;
}

/// The hub of berlin, and a server of munich that is connected to it.
struct Sites {
    tls: Tls,
    hub: Server,
    leaf: Server,
}

fn sites() -> Sites {
    let tls = Tls::new();
    let leaf_port = free_port();
    let hub =
        tls.configuration("hub.conf").replace("0.0.0.0:7422", &format!("127.0.0.1:{leaf_port}"));
    let leaf = tls
        .configuration("leaf.conf")
        .replace("hub.example.org:7422", &format!("localhost:{leaf_port}"));
    Sites { hub: Server::start(&hub), leaf: Server::start(&leaf), tls }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sites_hear_each_other_and_go_on_alone() {
    let mut sites = sites();
    let (hub, leaf) = (sites.hub.port, sites.leaf.port);
    init(&sites.tls.settings(hub, "ops.alice"), 1).await;
    let mut berlin = Node::up(sites.tls.settings(hub, "berlin.n1"), vec![]).await;
    let mut munich = Node::up(sites.tls.settings(leaf, "munich.n1"), vec![]).await;
    munich.fleet.say(ban(host(1))).unwrap();
    let (message, ..) = berlin.said().await;
    assert_eq!((message.from, message.body.key()), (peer("munich.n1"), key(host(1))));
    munich.until_all_said().await;
    berlin.fleet.say(ban(host(2))).unwrap();
    assert_eq!(munich.said().await.0.body.key(), key(host(2)));
    berlin.until_all_said().await;
    let mut late = Node::start(sites.tls.settings(leaf, "munich.n1"), vec![ban(host(1))]);
    assert_eq!(late.catch_up().await.len(), 1);
    late.stop().await;
    // Without the hub nothing is acknowledged; with it, it is.
    sites.hub.kill();
    munich.fleet.say(ban(host(3))).unwrap();
    munich.until("it is not acknowledged", |s| s.unacknowledged == 1).await;
    sites.hub.up();
    assert_eq!(berlin.said().await.0.body.key(), key(host(3)));
    munich.until_all_said().await;
}

/// A site's server that keeps to nothing: it speaks the protocol of leaf nodes itself.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_site_says_nothing_for_another_whatever_its_server_does() {
    let tls = Tls::new();
    let leaf_port = free_port();
    let hub =
        tls.configuration("hub.conf").replace("0.0.0.0:7422", &format!("127.0.0.1:{leaf_port}"));
    // The test speaks without TLS: what is looked at comes after it.
    let (before, rest) = hub.split_once("leafnodes {").unwrap();
    let (_, after) = rest.split_once("# One user for each site.").unwrap();
    let listen = format!("listen: \"127.0.0.1:{leaf_port}\"");
    let hub = Server::start(&format!("{before}leafnodes {{ {listen}\n{after}"));
    init(&tls.settings(hub.port, "ops.alice"), 1).await;
    let mut berlin = Node::up(tls.settings(hub.port, "berlin.n1"), vec![]).await;
    let mut evil = std::net::TcpStream::connect(("127.0.0.1", leaf_port)).unwrap();
    let login = r#"CONNECT {"user":"munich","pass":"CHANGE-ME","name":"evil","version":"2.9.10","server_id":"NEVIL","headers":true}"#;
    evil.write_all(format!("{login}\r\nPING\r\n").as_bytes()).unwrap();
    evil.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    let mut heard = String::new();
    wait::blocking("the hub takes the site", || {
        let mut bytes = [0; 4096];
        let read = evil.read(&mut bytes).unwrap_or(0);
        heard.push_str(&String::from_utf8_lossy(&bytes[..read]));
        heard.contains("PONG").then_some(()).ok_or(heard.clone())
    });
    let mut say = |subject: &str, value: &[u8]| {
        let mut bytes = format!("LMSG {subject} {}\r\n", value.len()).into_bytes();
        bytes.extend_from_slice(value);
        bytes.extend_from_slice(b"\r\n");
        evil.write_all(&bytes).unwrap();
    };
    let lift = Lift { hold_ms: 1, reason: Text::default(), who: Text::default() };
    for forged in [
        said("berlin.n2", 1, stands(1)),
        said("ops.alice", 1, stands(1)),
        said("ops.alice", 1, Body::Lift(host(1), lift.clone())),
        said("munich.n1", 1, Body::Lift(host(1), lift)),
    ] {
        say(&forged.subject(), &forged.encode().unwrap());
    }
    for api in [
        "$JS.API.STREAM.DELETE.SIPWARD",
        "sipward.api.STREAM.DELETE.SIPWARD",
        "$JS.API.STREAM.PURGE.SIPWARD",
    ] {
        say(api, b"{}");
    }
    // It was heard all the same: its own ban comes last, and is the first that arrives.
    let own = said("munich.n1", 1, stands(2));
    say(&own.subject(), &own.encode().unwrap());
    assert_eq!(berlin.said().await.0, own);
    berlin.until("the stream has that one message", |s| s.applied == 1 && s.behind == 0).await;
    let refused: u64 = berlin.fleet.snapshot().refused.values().sum();
    assert_eq!(refused, 0, "nothing else arrived");
}

#[test]
fn the_configurations_are_what_the_server_takes() {
    let tls = Tls::new();
    for name in ["single.conf", "cluster.conf", "hub.conf", "leaf.conf"] {
        let said = check(&tls.configuration(name));
        assert!(said.is_ok(), "{name}: {said:?}");
    }
}
