//! A node: the link as one task, and what it received.

use std::time::Duration;

use ipnet::IpNet;
use sipward_fleet::message::{Ban, Body, By, Key, Message, Scope, Standing};
use sipward_fleet::{
    Fleet, Operator, Own, Path, Peer, Received, Settings, Size, Snapshot, Start, State, Text,
    Timing, link,
};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use crate::wait;

/// Faster than in earnest.
pub(crate) const TIMING: Timing = Timing {
    connect: Duration::from_secs(5),
    answer: Duration::from_secs(2),
    retry: Duration::from_secs(1),
    compare: Duration::from_millis(500),
    silence: Duration::from_secs(3),
    jitter: (Duration::from_millis(10), Duration::from_millis(300)),
    status: Duration::from_secs(1),
    again: Duration::from_secs(12 * 60 * 60),
};

pub(crate) fn settings(urls: &[String], peer: &str) -> Settings {
    Settings { timing: TIMING, ..Settings::new(urls.to_vec(), peer.parse().unwrap()) }
}

pub(crate) struct Node {
    pub(crate) fleet: Fleet,
    pub(crate) received: mpsc::Receiver<Received>,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<()>,
}

impl Node {
    pub(crate) fn start(settings: Settings, standing: Vec<Own>) -> Self {
        let (fleet, received, link) = link(settings, Start { n: 0, standing }).unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let task = tokio::spawn(link.run(async {
            stopped.await.ok();
        }));
        Self { fleet, received, stop: Some(stop), task }
    }

    /// A node that has caught up.
    pub(crate) async fn up(settings: Settings, standing: Vec<Own>) -> Self {
        let mut node = Self::start(settings, standing);
        node.catch_up().await;
        node
    }

    pub(crate) async fn catch_up(&mut self) -> Vec<(Message, Option<Duration>)> {
        let mut before = Vec::new();
        loop {
            match self.next().await {
                Received::CaughtUp => return before,
                Received::Said { message, remaining, .. } => before.push((message, remaining)),
                Received::Forgotten { .. } => {}
            }
        }
    }

    pub(crate) async fn next(&mut self) -> Received {
        let snapshot = self.fleet.clone();
        let next = tokio::time::timeout(wait::PATIENCE, self.received.recv()).await;
        next.unwrap_or_else(|_| panic!("nothing received; {:?}", snapshot.snapshot())).unwrap()
    }

    /// The next thing that is said.
    pub(crate) async fn said(&mut self) -> (Message, Option<Duration>, Path) {
        loop {
            if let Received::Said { message, remaining, path, age: _ } = self.next().await {
                return (message, remaining, path);
            }
        }
    }

    pub(crate) async fn until(&self, what: &str, probe: impl Fn(&Snapshot) -> bool) -> Snapshot {
        wait::until(what, async || {
            let snapshot = self.fleet.snapshot();
            if probe(&snapshot) { Ok(snapshot) } else { Err(format!("{snapshot:?}")) }
        })
        .await
    }

    pub(crate) async fn until_connected(&self) {
        self.until("a connection", |s| matches!(s.state, State::Connected { .. })).await;
    }

    pub(crate) async fn until_all_said(&self) {
        self.until("everything is acknowledged", |s| s.unacknowledged == 0).await;
    }

    pub(crate) async fn stop(mut self) {
        drop(self.stop.take());
        self.task.await.unwrap();
    }
}

pub(crate) fn net(text: &str) -> IpNet {
    text.parse().unwrap()
}

/// The network number `n` of 16 million.
pub(crate) fn host(n: u32) -> IpNet {
    IpNet::from(std::net::IpAddr::from((0x0a00_0000 | n).to_be_bytes()))
}

pub(crate) fn key(net: IpNet) -> Key {
    Key::Ban(net)
}

pub(crate) fn standing() -> Standing {
    Standing {
        decided: 0,
        for_ms: None,
        by: By::Rule,
        scope: Scope::Host,
        rule: Text::cut("failures"),
        grade: Text::cut("answered"),
        failures: 5,
        score: 5.0,
        count: 1,
        why: Text::cut("failures 5, 4 users"),
    }
}

pub(crate) fn ban(net: IpNet) -> Own {
    Own { body: Body::Ban(net, Ban::Stands(standing())), until: None }
}

pub(crate) fn ms_from_now(duration: Duration) -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    u64::try_from((now + duration).as_millis()).unwrap()
}

pub(crate) fn peer(text: &str) -> Peer {
    text.parse().unwrap()
}

/// Makes the streams, as soon as the servers can.
pub(crate) async fn init(settings: &Settings, replicas: usize) -> Operator {
    let settings = Settings { peer: peer("ops.alice"), ..settings.clone() };
    wait::until("the streams can be made", async || {
        let operator = Operator::connect(&settings).await.map_err(|e| e.to_string())?;
        let size = Size { replicas, max_bytes: 256 << 20 };
        operator.init(size).await.map_err(|e| e.to_string())?;
        Ok::<_, String>(operator)
    })
    .await
}

/// The ban number `n`, as a peer says it.
pub(crate) fn message(from: &str, n: u32) -> Message {
    let body = Body::Ban(host(n), Ban::Stands(standing()));
    Message { from: peer(from), n: u64::from(n) + 1, at: ms_from_now(Duration::ZERO), body }
}
