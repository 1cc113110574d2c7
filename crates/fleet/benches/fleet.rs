//! How fast a ban reaches other nodes, on real NATS servers on loopback: `cargo bench -p sipward-fleet`.
//! Needs `nats-server`. Prints figures, judges none.

#![allow(
    missing_docs,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a failed unwrap is a failed bench"
)]

#[path = "../tests/fleet/node.rs"]
#[allow(dead_code, reason = "the tests use the rest")]
mod node;
#[path = "../tests/fleet/servers.rs"]
#[allow(dead_code, reason = "the tests use the rest")]
mod servers;
#[path = "../tests/fleet/wait.rs"]
#[allow(dead_code, reason = "the tests use the rest")]
mod wait;

use std::time::{Duration, Instant};

use node::{Node, ban, host, init, settings};
use servers::{Cluster, PLAIN, Server};

/// Bans said one at a time.
const SINGLE: u32 = 1_000;
/// Bans said at once by each of three nodes: a third of 10,000 each.
const BURST: u32 = 3_334;

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let server = Server::start(PLAIN);
        measure("one server", &[server.url()], 1).await;
        drop(server);
        let cluster = Cluster::start();
        measure("three servers", &cluster.urls(), 3).await;
    });
}

async fn measure(what: &str, urls: &[String], replicas: usize) {
    init(&settings(urls, "ops.alice"), replicas).await;
    // Each node at a server of its own.
    let at = |n: usize| settings(&[urls[n % urls.len()].clone()], &format!("berlin.n{n}"));
    let mut nodes = Vec::new();
    for n in 0..3 {
        nodes.push(Node::up(at(n), vec![]).await);
    }
    let [one, two, three] = nodes.as_mut_slice() else { panic!() };
    // The comparison with the stream after the connection is over when something is acknowledged.
    one.fleet.say(ban(host(0))).unwrap();
    one.until_all_said().await;
    two.said().await;
    three.said().await;

    let mut times = Vec::new();
    for n in 1..=SINGLE {
        let began = Instant::now();
        one.fleet.say(ban(host(n))).unwrap();
        two.said().await;
        times.push(began.elapsed());
        three.said().await;
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    times.sort_unstable();
    let (p50, p99) = (times[times.len() / 2], times[times.len() * 99 / 100]);
    println!("{what}: put to received, {SINGLE} bans: p50 {p50:?}, p99 {p99:?}");

    let began = Instant::now();
    for (number, node) in [&*one, &*two, &*three].into_iter().enumerate() {
        for n in 0..BURST {
            let number = u32::try_from(number).unwrap() + 1;
            node.fleet.say(ban(host(number * 100_000 + n))).unwrap();
        }
    }
    for node in [&mut *one, &mut *two, &mut *three] {
        for _ in 0..2 * BURST {
            node.said().await;
        }
    }
    let received = began.elapsed();
    for node in [&*one, &*two, &*three] {
        node.until_all_said().await;
    }
    let total = 3 * BURST;
    println!(
        "{what}: {total} bans of three nodes at once: all received after {received:?}, all acknowledged after {:?}",
        began.elapsed()
    );

    let client = async_nats::connect(&urls[0]).await.unwrap();
    let js = async_nats::jetstream::new(client);
    let mut waiting = Vec::new();
    for n in 0..100_000u32 {
        let message = node::message(&format!("munich.n{}", n / 10_000), n);
        waiting.push(js.publish(message.subject(), message.encode().unwrap()).await.unwrap());
        if waiting.len() == 1_000 {
            for acknowledgement in waiting.drain(..) {
                acknowledgement.await.unwrap();
            }
        }
    }
    let began = Instant::now();
    let mut late = Node::start(at(4), vec![]);
    let bans = late.catch_up().await.len();
    println!("{what}: {bans} bans caught up in {:?}", began.elapsed());
}
