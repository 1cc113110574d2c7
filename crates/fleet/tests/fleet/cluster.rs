//! Three servers, of which some fail.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use sipward_fleet::message::Key;
use sipward_fleet::{Path, State};

use crate::node::{Node, ban, host, init, key, settings};
use crate::servers::Cluster;
use crate::wait;

/// A node that talks to one server of the cluster only.
async fn node_at(cluster: &Cluster, server: usize, peer: &str) -> Node {
    Node::up(settings(&[cluster.servers[server].url()], peer), vec![]).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bans_go_on_while_the_stream_has_no_leader_and_none_is_lost() {
    let mut cluster = Cluster::start();
    init(&settings(&cluster.urls(), "ops.alice"), 3).await;
    let leader = cluster.leader(&[]).await;
    let [one, two] = [(leader + 1) % 3, (leader + 2) % 3];
    let sender = node_at(&cluster, one, "berlin.n1").await;
    let mut receiver = node_at(&cluster, two, "berlin.n2").await;
    sender.fleet.say(ban(host(0))).unwrap();
    sender.until_all_said().await;
    let mut seen = BTreeSet::from([receiver.said().await.0.body.key()]);
    let acknowledged = sender.fleet.snapshot().said;

    cluster.servers[leader].kill();
    let killed = Instant::now();
    // One ban after the other, each received before the next, while nothing is acknowledged.
    let (mut n, mut longest) = (0, Duration::ZERO);
    let mut has_leader = false;
    while !has_leader && sender.fleet.snapshot().said == acknowledged && n < 200 {
        n += 1;
        let began = Instant::now();
        sender.fleet.say(ban(host(n))).unwrap();
        // What is not acknowledged is said again, and may come between.
        while !seen.contains(&key(host(n))) {
            let (message, _, path) = receiver.said().await;
            has_leader |= path == Path::Stream;
            seen.insert(message.body.key());
        }
        longest = longest.max(began.elapsed());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    println!(
        "{n} bans arrived in the {:?} without an acknowledgement; the slowest took {longest:?}",
        killed.elapsed()
    );
    assert!(n > 2, "there was no time without a leader");
    sender.until_all_said().await;
    println!("everything was acknowledged {:?} after the leader's death", killed.elapsed());
    receiver.until("nothing is behind", |s| s.behind == 0 && s.applied > u64::from(n)).await;
    let mut late = node_at(&cluster, two, "munich.n1").await;
    let expected: BTreeSet<Key> = (0..=n).map(|n| key(host(n))).collect();
    assert_eq!(seen, expected);
    drop(late.received.try_recv());
    let mut again = Node::start(settings(&[cluster.servers[one].url()], "munich.n2"), vec![]);
    let stream: BTreeSet<Key> =
        again.catch_up().await.into_iter().map(|(message, _)| message.body.key()).collect();
    assert_eq!(stream, expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_two_of_three_servers_dead_bans_arrive_by_the_third_and_none_is_lost() {
    let mut cluster = Cluster::start();
    let urls = cluster.urls();
    init(&settings(&urls, "ops.alice"), 3).await;
    let sender = Node::up(settings(&urls, "berlin.n1"), vec![]).await;
    let State::Connected { server } = sender.fleet.snapshot().state else { unreachable!() };
    let number: usize = server.trim_start_matches('s').parse().unwrap();
    // The sender's server dies too: it goes to one where it cannot read the stream.
    let left = (number + 1) % 3;
    let mut receiver = node_at(&cluster, left, "berlin.n2").await;
    sender.fleet.say(ban(host(1))).unwrap();
    assert_eq!(receiver.said().await.0.body.key(), key(host(1)));
    sender.until_all_said().await;
    let dead = [(left + 1) % 3, (left + 2) % 3];
    for server in dead {
        cluster.servers[server].kill();
    }
    let killed = Instant::now();
    sender.fleet.say(ban(host(2))).unwrap();
    assert_eq!(receiver.said().await.0.body.key(), key(host(2)));
    println!("a ban arrived by the third server {:?} after the others' death", killed.elapsed());
    assert_eq!(sender.fleet.snapshot().unacknowledged, 1);
    let began = Instant::now();
    for server in dead {
        cluster.servers[server].up();
    }
    sender.until_all_said().await;
    println!("acknowledged {:?} after the two servers' start", began.elapsed());
    let mut late = Node::start(settings(&urls, "munich.n1"), vec![]);
    assert_eq!(late.catch_up().await.len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_follow_the_stream_while_a_server_is_dead() {
    let mut cluster = Cluster::start();
    init(&settings(&cluster.urls(), "ops.alice"), 3).await;
    let leader = cluster.leader(&[]).await;
    let [one, two] = [(leader + 1) % 3, (leader + 2) % 3];
    cluster.servers[one].kill();
    let mut stalls = 0;
    for n in 0..20 {
        let node = node_at(&cluster, two, &format!("berlin.n{n}")).await;
        stalls += node.fleet.snapshot().stalls;
        node.stop().await;
    }
    // The servers place a third of the consumers on the dead one. Five in a row for one node are one in 243.
    assert!(stalls <= 2, "{stalls} of 20 nodes did not find a consumer at once");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_of_all_servers_loses_nothing() {
    let mut cluster = Cluster::start();
    let urls = cluster.urls();
    init(&settings(&urls, "ops.alice"), 3).await;
    let sender = Node::up(settings(&urls, "berlin.n1"), vec![]).await;
    let mut receiver = Node::up(settings(&urls, "berlin.n2"), vec![]).await;
    for n in 0..1_000 {
        sender.fleet.say(ban(host(n))).unwrap();
    }
    sender.until_all_said().await;
    let mut seen = BTreeSet::new();
    while seen.len() < 1_000 {
        seen.insert(receiver.said().await.0.body.key());
    }
    cluster.servers.iter_mut().for_each(crate::servers::Server::kill);
    sender.until("the loss is noticed", |s| matches!(s.state, State::Down { .. })).await;
    sender.fleet.say(ban(host(1_000))).unwrap();
    sender.fleet.end(&key(host(0)));
    let began = Instant::now();
    cluster.servers.iter_mut().for_each(crate::servers::Server::launch);
    sender.until_connected().await;
    sender.until_all_said().await;
    println!("acknowledged {:?} after the start of all servers", began.elapsed());
    let mut after = BTreeSet::new();
    while after.len() < 2 {
        let (message, remaining, _) = receiver.said().await;
        after.insert((message.body.key(), remaining.is_some()));
    }
    assert_eq!(after, BTreeSet::from([(key(host(0)), false), (key(host(1_000)), true)]));
    wait::until("the stream is complete", async || {
        let mut late = Node::start(settings(&urls, "munich.n1"), vec![]);
        let bans = late.catch_up().await.len();
        (bans == 1_001).then_some(()).ok_or(format!("{bans}"))
    })
    .await;
}
