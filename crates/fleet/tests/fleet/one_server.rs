//! One server: both paths, what is said again, what is ended, who says it.

use std::time::Duration;

use sipward_fleet::message::{Ban, Body, Judgement, Lift, Message, Mode, NodeStatus, Veto};
use sipward_fleet::{Own, Path, Received, Settings, Size, State, Text};

use crate::node::{
    Node, ban, host, init, key, message, ms_from_now, net, peer, settings, standing,
};
use crate::servers::{PLAIN, Server, free_port};
use crate::wait;

async fn server() -> (Server, Vec<String>) {
    let server = Server::start(PLAIN);
    let urls = vec![server.url()];
    init(&settings(&urls, "ops.alice"), 1).await;
    (server, urls)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ban_reaches_the_others_once_and_so_does_its_end() {
    let (_server, urls) = server().await;
    let one = Node::up(settings(&urls, "berlin.n1"), vec![]).await;
    let mut two = Node::up(settings(&urls, "berlin.n2"), vec![]).await;
    one.until_all_said().await;
    let attacker = net("203.0.113.7/32");
    let until = ms_from_now(Duration::from_secs(3600));
    one.fleet.say(Own { until: Some(until), ..ban(attacker) }).unwrap();
    let (message, remaining, _) = two.said().await;
    assert_eq!((&message.from, message.body.key()), (&peer("berlin.n1"), key(attacker)));
    assert!(remaining.unwrap() <= Duration::from_secs(3600));
    assert!(remaining.unwrap() > Duration::from_secs(3400));
    // The other path brings it a second time, which the owner does not see.
    two.until("the second path", |s| s.repeated >= 1 && s.applied >= 1).await;
    one.fleet.end(&key(attacker));
    let (end, remaining, _) = two.said().await;
    assert_eq!((end.body, remaining), (Body::Ban(attacker, Ban::Ended), None));
    assert!(end.n > message.n);
    // Who comes later hears of the end only.
    let mut three = Node::start(settings(&urls, "munich.n1"), vec![]);
    let before = three.catch_up().await;
    assert_eq!(before.len(), 1);
    assert_eq!(before[0].0.body, Body::Ban(attacker, Ban::Ended));
    let refused = two.fleet.snapshot().refused.values().sum::<u64>();
    assert_eq!(refused, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bans_come_by_the_core_path_first() {
    let (_server, urls) = server().await;
    let one = Node::up(settings(&urls, "berlin.n1"), vec![]).await;
    let mut two = Node::up(settings(&urls, "berlin.n2"), vec![]).await;
    let mut by_core = 0;
    for n in 0..20 {
        one.fleet.say(ban(host(n))).unwrap();
        let (message, _, path) = two.said().await;
        assert_eq!(message.body.key(), key(host(n)));
        by_core += u32::from(path == Path::Core);
    }
    // A server on a busy machine may send the stream's copy of one of them first.
    assert!(by_core > 10, "{by_core} of 20 came by the core path first");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bans_do_not_wait_for_streams() {
    let server = Server::start(PLAIN);
    let urls = vec![server.url()];
    let one = Node::start(settings(&urls, "berlin.n1"), vec![]);
    let mut two = Node::start(settings(&urls, "berlin.n2"), vec![]);
    one.until_connected().await;
    two.until_connected().await;
    one.fleet.say(ban(host(1))).unwrap();
    let (message, _, path) = two.said().await;
    assert_eq!((message.body.key(), path), (key(host(1)), Path::Core));
    assert_eq!(one.fleet.snapshot().unacknowledged, 1);
    one.fleet.end(&key(host(1)));
    assert_eq!(two.said().await.0.body, Body::Ban(host(1), Ban::Ended));
    one.fleet.say(ban(host(2))).unwrap();
    two.said().await;
    init(&settings(&urls, "ops.alice"), 1).await;
    one.until_all_said().await;
    let mut three = Node::start(settings(&urls, "munich.n1"), vec![]);
    let stream: Vec<_> =
        three.catch_up().await.into_iter().map(|(message, _)| message.body.key()).collect();
    assert_eq!(stream, [key(host(1)), key(host(2))]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_restarts_ends_what_no_longer_stands_and_says_what_is_missing() {
    let (_server, urls) = server().await;
    let (gone, stays, new) = (host(1), host(2), host(3));
    let one = Node::up(settings(&urls, "berlin.n1"), vec![ban(gone), ban(stays)]).await;
    one.until("both are acknowledged", |s| s.said == 2).await;
    let n = one.fleet.snapshot().n;
    one.stop().await;
    let one = Node::up(settings(&urls, "berlin.n1"), vec![ban(stays), ban(new)]).await;
    one.until("all three are acknowledged", |s| s.said == 3 && s.unacknowledged == 0).await;
    assert!(one.fleet.snapshot().n > n);
    let mut two = Node::start(settings(&urls, "berlin.n2"), vec![]);
    let mut bans: Vec<_> =
        two.catch_up().await.into_iter().map(|(message, _)| message.body).collect();
    bans.sort_by_key(Body::key);
    let stands = |net| Body::Ban(net, Ban::Stands(standing()));
    assert_eq!(bans, [Body::Ban(gone, Ban::Ended), stands(stays), stands(new)]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_said_without_a_connection_is_said_when_there_is_one() {
    let port = free_port();
    let mut server = Server::new(port, PLAIN);
    let urls = vec![server.url()];
    let one = Node::start(settings(&urls, "berlin.n1"), vec![]);
    let mut two = Node::start(settings(&urls, "berlin.n2"), vec![]);
    one.fleet.say(ban(host(1))).unwrap();
    let down = one.until("a reason", |s| matches!(s.state, State::Down { .. })).await;
    let State::Down { why } = down.state else { unreachable!() };
    assert!(why.starts_with("no server answers"), "{why}");
    server.up();
    one.until_connected().await;
    // A connection without streams says so.
    one.until("the missing stream is named", |s| s.trouble.is_some()).await;
    init(&settings(&urls, "ops.alice"), 1).await;
    let (message, ..) = two.said().await;
    assert_eq!(message.body.key(), key(host(1)));
    server.kill();
    one.fleet.say(ban(host(2))).unwrap();
    one.until("the loss is noticed", |s| matches!(s.state, State::Down { .. })).await;
    server.up();
    assert_eq!(two.said().await.0.body.key(), key(host(2)));
    one.until_all_said().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_owner_that_is_slow_loses_nothing() {
    let (_server, urls) = server().await;
    let one = Node::up(settings(&urls, "berlin.n1"), vec![]).await;
    let mut two = Node::up(settings(&urls, "berlin.n2"), vec![]).await;
    for n in 0..10_000 {
        one.fleet.say(ban(host(n))).unwrap();
    }
    // More than the channel holds, and nobody takes any of it.
    one.until("everything is acknowledged", |s| s.said == 10_000).await;
    let mut seen = std::collections::BTreeSet::new();
    while seen.len() < 10_000 {
        let (message, ..) = two.said().await;
        assert!(seen.insert(message.body.key()), "it came twice");
    }
    two.until("nothing is behind", |s| s.applied >= 10_000 && s.behind == 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn operators_lift_and_judge_and_nobody_else_does() {
    let (_server, urls) = server().await;
    let mut node = Node::up(settings(&urls, "berlin.n1"), vec![]).await;
    let operator = init(&settings(&urls, "ops.alice"), 1).await;
    let lift = Lift { hold_ms: 60_000, reason: Text::cut("customer"), who: Text::cut("alice") };
    operator.lift(host(1), lift.clone()).await.unwrap();
    let (message, remaining, _) = node.said().await;
    assert_eq!(message.body, Body::Lift(host(1), lift.clone()));
    assert!(remaining.unwrap() <= Duration::from_secs(60));
    let judgement = Judgement { mode: Mode::Ignore, weight: 1 };
    operator.judge(peer("berlin.n2"), judgement).await.unwrap();
    assert_eq!(node.said().await.0.body, Body::Peer(peer("berlin.n2"), judgement));
    // A second word about the same counts against the first.
    let other = Judgement { mode: Mode::Accept, weight: 1 };
    operator.judge(peer("berlin.n2"), other).await.unwrap();
    let (second, ..) = node.said().await;
    assert_eq!(second.body, Body::Peer(peer("berlin.n2"), other));
    // Here nothing keeps a node from saying the same: it is refused where it is read.
    let client = async_nats::connect(&urls[0]).await.unwrap();
    let forged = Message { from: peer("berlin.n2"), n: 1, at: 1, body: Body::Lift(host(1), lift) };
    client.publish(forged.subject(), forged.encode().unwrap()).await.unwrap();
    client.publish("sipward.1.ban.berlin.n2.rubbish", "rubbish".into()).await.unwrap();
    client.flush().await.unwrap();
    let refused = |name: &'static str| {
        move |s: &sipward_fleet::Snapshot| {
            s.refused.iter().any(|(why, count)| why.as_str() == name && *count > 0)
        }
    };
    node.until("the lift is refused", refused("not_operator")).await;
    node.until("the rubbish is refused", refused("malformed")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn vetoes_and_known_phones_go_to_those_who_want_them() {
    use sipward_fleet::message::{Class, Home, Known};
    let (_server, urls) = server().await;
    let sharing = |peer: &str| Settings { share_known: true, ..settings(&urls, peer) };
    let veto = Body::Veto(host(1), Veto::Stands { class: Text::cut("trunk") });
    let known =
        Known::Stands { class: Class::Trusted, since: 1, last: 2, home: Some(Home([7; 8])) };
    let known = Body::Known(host(2), known);
    let own = |body: &Body| Own { body: body.clone(), until: None };
    let one = Node::up(sharing("berlin.n1"), vec![own(&veto), own(&known)]).await;
    one.until("both are acknowledged", |s| s.said == 2).await;
    let mut with = Node::start(sharing("berlin.n2"), vec![]);
    let mut bodies = vec![with.said().await.0.body, with.said().await.0.body];
    bodies.sort_by_key(Body::key);
    assert_eq!(bodies, [veto.clone(), known]);
    let mut without = Node::start(settings(&urls, "berlin.n3"), vec![]);
    let before = without.catch_up().await;
    assert_eq!(before.into_iter().map(|(message, _)| message.body).collect::<Vec<_>>(), [veto]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_nodes_are_listed_with_what_they_say_of_themselves() {
    let (_server, urls) = server().await;
    let one = Node::up(settings(&urls, "berlin.n1"), vec![]).await;
    let two = Node::up(settings(&urls, "berlin.n2"), vec![]).await;
    let version = Text::cut("0.2.0");
    two.fleet.status(NodeStatus { version: version.clone(), ..NodeStatus::default() });
    let nodes = wait::until("both are listed", async || {
        let nodes = one.fleet.nodes().await.map_err(|e| e.to_string())?;
        let of = |name: &str| {
            nodes.iter().find_map(|node| match &node.message {
                Message { from, body: Body::Node(status), .. } if *from == peer(name) => {
                    Some(status.clone())
                }
                _ => None,
            })
        };
        of("berlin.n1")
            .zip(of("berlin.n2"))
            .filter(|(_, two)| two.version == version)
            .ok_or("not yet".to_owned())
    })
    .await;
    assert_ne!(nodes.0.instance, nodes.1.instance);
    // The server's clock is this machine's.
    let offset =
        one.until("the clock is known", |s| s.clock_offset_ms.is_some()).await.clock_offset_ms;
    assert!(offset.unwrap().abs() < sipward_fleet::MAX_SKEW, "{offset:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_clock_of_a_peer_is_shown_and_changes_nothing() {
    let (_server, urls) = server().await;
    let mut node = Node::up(settings(&urls, "berlin.n1"), vec![]).await;
    node.until("the clock is known", |s| s.clock_offset_ms.is_some()).await;
    let hour = Duration::from_secs(3600);
    let mut said = standing();
    said.for_ms = Some(3_600_000);
    let message = Message {
        from: peer("berlin.n2"),
        n: 1,
        at: ms_from_now(24 * hour),
        body: Body::Ban(host(1), Ban::Stands(said)),
    };
    let client = async_nats::connect(&urls[0]).await.unwrap();
    client.request(message.subject(), message.encode().unwrap()).await.unwrap();
    let (_, remaining, _) = node.said().await;
    assert!(remaining.unwrap() <= hour && remaining.unwrap() > hour / 2);
    // The clock is seen on the direct way, which may be the second.
    let n2 = peer("berlin.n2");
    let seen = node.until("the clock is seen", |s| s.clocks.contains_key(&n2)).await;
    let ahead = seen.clocks[&n2];
    assert!((86_000_000..87_000_000).contains(&ahead), "{ahead}");
    // It is put right.
    let right = Message { n: 2, at: ms_from_now(Duration::ZERO), ..message };
    client.request(right.subject(), right.encode().unwrap()).await.unwrap();
    node.said().await;
    node.until("the clock is right", |s| s.clocks.is_empty()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_nodes_with_one_name_the_younger_says_nothing_until_the_other_is_gone() {
    let (_server, urls) = server().await;
    let elder = Node::up(settings(&urls, "berlin.n1"), vec![ban(host(1))]).await;
    elder.until("its ban is acknowledged", |s| s.said == 1).await;
    let younger = Node::up(settings(&urls, "berlin.n1"), vec![ban(host(2))]).await;
    let yields = |s: &sipward_fleet::Snapshot| s.twin.as_ref().is_some_and(|twin| twin.we_yield);
    younger.until("the younger yields", yields).await;
    let knows = |s: &sipward_fleet::Snapshot| s.twin.as_ref().is_some_and(|twin| !twin.we_yield);
    elder.until("the elder knows", knows).await;
    let mut other = Node::up(settings(&urls, "berlin.n2"), vec![]).await;
    elder.fleet.say(ban(host(3))).unwrap();
    assert_eq!(other.said().await.0.body.key(), key(host(3)));
    assert_eq!((younger.fleet.snapshot().said, younger.fleet.snapshot().unacknowledged), (0, 1));
    elder.stop().await;
    // It ends what the elder said, and says what it has itself.
    younger.until("the younger goes on", |s| s.twin.is_none() && s.unacknowledged == 0).await;
    let mut last = std::collections::BTreeMap::new();
    while last.len() < 3 {
        let (message, ..) = other.said().await;
        if !matches!(&message.body, Body::Ban(net, Ban::Stands(_)) if *net == host(3)) {
            last.insert(message.body.key(), matches!(message.body, Body::Ban(_, Ban::Ended)));
        }
    }
    assert_eq!(last, [(key(host(1)), true), (key(host(2)), false), (key(host(3)), true)].into());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_thousand_bans_are_caught_up_by_a_new_node() {
    let (_server, urls) = server().await;
    let client = async_nats::connect(&urls[0]).await.unwrap();
    let js = async_nats::jetstream::new(client);
    let mut acknowledgements = Vec::new();
    for n in 0..100_000u32 {
        let message = message(&format!("berlin.n{}", n / 10_000), n);
        let waits = js.publish(message.subject(), message.encode().unwrap()).await.unwrap();
        acknowledgements.push(waits);
        if acknowledgements.len() == 1_000 {
            for waits in acknowledgements.drain(..) {
                waits.await.unwrap();
            }
        }
    }
    let began = std::time::Instant::now();
    let mut node = Node::start(settings(&urls, "munich.n1"), vec![]);
    let before = node.catch_up().await;
    println!("100,000 bans caught up in {:?}", began.elapsed());
    assert_eq!(before.len(), 100_000);
    let snapshot = node.fleet.snapshot();
    assert_eq!((snapshot.applied, snapshot.behind, snapshot.remembered), (100_000, 0, 100_000));
    assert!(matches!(node.received.try_recv(), Err(tokio::sync::mpsc::error::TryRecvError::Empty)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn making_the_streams_again_changes_nothing_and_names_what_differs() {
    let server = Server::start(PLAIN);
    let settings = settings(&[server.url()], "ops.alice");
    let size = Size { replicas: 1, max_bytes: 64 << 20 };
    let operator = sipward_fleet::Operator::connect(&settings).await.unwrap();
    let first = operator.init(size).await.unwrap();
    assert!(first.iter().all(|stream| stream.made && stream.differences.is_empty()), "{first:?}");
    let again = operator.init(size).await.unwrap();
    assert!(again.iter().all(|stream| !stream.made && stream.differences.is_empty()), "{again:?}");
    let larger = operator.init(Size { max_bytes: 128 << 20, ..size }).await.unwrap();
    let [difference] = larger[0].differences.as_slice() else { panic!("{larger:?}") };
    assert_eq!(difference.property, "max_bytes");
    assert_eq!((difference.is.as_str(), difference.should_be.as_str()), ("67108864", "134217728"));
    // A single server cannot keep three copies, and says so.
    let other = Server::start(PLAIN);
    let settings = Settings { servers: vec![other.url()], ..settings };
    let operator = sipward_fleet::Operator::connect(&settings).await.unwrap();
    let refused = operator.init(Size::default()).await.unwrap_err().to_string();
    assert!(refused.contains("SIPWARD") && refused.contains("replicas"), "{refused}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_that_is_made_anew_is_filled_by_its_nodes() {
    let (_server, urls) = server().await;
    let mut one = Node::up(settings(&urls, "berlin.n1"), vec![ban(host(1))]).await;
    let mut two = Node::up(settings(&urls, "berlin.n2"), vec![ban(host(2))]).await;
    assert_eq!(one.said().await.0.body.key(), key(host(2)));
    assert_eq!(two.said().await.0.body.key(), key(host(1)));
    let client = async_nats::connect(&urls[0]).await.unwrap();
    async_nats::jetstream::new(client).delete_stream("SIPWARD").await.unwrap();
    init(&settings(&urls, "ops.alice"), 1).await;
    let mut three = Node::up(settings(&urls, "berlin.n3"), vec![]).await;
    let mut keys = Vec::new();
    while keys.len() < 2 {
        keys.push(three.said().await.0.body.key());
    }
    keys.sort();
    assert_eq!(keys, [key(host(1)), key(host(2))]);
    assert!(!matches!(one.received.try_recv(), Ok(Received::Forgotten { .. })));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_consumer_that_is_removed_or_robbed_is_made_anew_and_nothing_is_lost() {
    let (_server, urls) = server().await;
    let one = Node::up(settings(&urls, "berlin.n1"), vec![]).await;
    let two = Node::up(settings(&urls, "berlin.n2"), vec![]).await;
    let client = async_nats::connect(&urls[0]).await.unwrap();
    let api = async |what: &str, value: &str| {
        let subject = format!("$JS.API.CONSUMER.{what}.SIPWARD.berlin_n2");
        client.request(subject, value.to_owned().into()).await.unwrap();
    };
    api("DELETE", "").await;
    two.until("the loss is noticed", |s| s.stalls == 1).await;
    one.fleet.say(ban(host(1))).unwrap();
    two.until("it is read again", |s| s.applied >= 1).await;
    // Somebody else asks for this consumer's messages, and gets some of them.
    let thief = client.subscribe("thief").await.unwrap();
    let next = "$JS.API.CONSUMER.MSG.NEXT.SIPWARD.berlin_n2";
    client.publish_with_reply(next, "thief", r#"{"batch":5}"#.into()).await.unwrap();
    client.flush().await.unwrap();
    for n in 2..=20 {
        one.fleet.say(ban(host(n))).unwrap();
    }
    let all = two.until("it is read again", |s| s.applied >= 20 && s.behind == 0).await;
    assert!(all.stalls >= 2, "{all:?}");
    // All came on the core path too, so what the stream brings is there already, each once or more.
    assert!(all.repeated >= 20, "{all:?}");
    drop(thief);
}
