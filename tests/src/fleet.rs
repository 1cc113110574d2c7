//! Nodes that share their bans by NATS servers.
//!
//! ```text
//!  node 10.0.1.1 ─┐
//!  node 10.0.2.1 ─┤ hub 10.0.1.254 … (one or three nats-server)
//!  node 10.0.3.1 ─┘
//! ```
//!
//! Each node has a FreeSWITCH of its own.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    reason = "a test fails by panicking"
)]

use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::net::{IpAddr, TcpStream};
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::daemon::{Daemon, Setup, this_program};
use crate::fake_freeswitch::{DEFAULT_PASSWORD, FakeFreeSwitch};
use crate::netns::{self, Host};
use crate::wait::until;

/// A node: a host with a FreeSWITCH and the settings of a daemon.
#[derive(Debug)]
pub struct Node {
    /// The host.
    pub host: Host,
    /// Its FreeSWITCH.
    pub fs: FakeFreeSwitch,
    /// The daemon's settings.
    pub setup: Setup,
}

impl Node {
    fn new(host: Host, name: &str, servers: usize) -> Self {
        let fs = host.run(|| FakeFreeSwitch::builder().start()).unwrap();
        let servers: Vec<String> =
            (0..servers).map(|n| format!("\"nats://10.0.1.254:{}\"", client_port(n))).collect();
        let servers = servers.join(", ");
        let config = format!(
            "[fleet]\nservers = [{servers}]\nsite = \"fra\"\nname = \"{name}\"\n\
             [policy.rules.network]\nmode = \"off\"\n"
        );
        let setup = Setup::new(&this_program(), &config)
            .event_socket(fs.address(), DEFAULT_PASSWORD)
            .env("SIPWARD_FLEET_KEY", "the same on all nodes");
        Self { host, fs, setup }
    }

    /// Starts the daemon and waits until it hears FreeSWITCH.
    #[must_use]
    pub fn start(&self) -> Daemon {
        let daemon = self.host.run(|| self.setup.start());
        daemon.expect("esl_connected");
        daemon
    }

    /// The same, and waits until it follows the fleet.
    #[must_use]
    pub fn join(&self) -> Daemon {
        let daemon = self.start();
        daemon.expect("fleet_connected");
        until("the stream is followed", || self.status()["link"]["stream"] == true);
        daemon
    }

    /// Wrong passwords for `user` from `source`, each from a port of its own.
    pub fn fail(&self, source: &str, user: &str, times: u16) {
        let source: IpAddr = source.parse().unwrap();
        for n in 0..times {
            self.fs.failure(source, 5060 + n, user);
        }
    }

    /// What `sipward` with these words says, and its exit status.
    #[must_use]
    pub fn sipward(&self, words: &[&str]) -> (Option<i32>, String) {
        let output = self.host.run(|| self.setup.shell(words));
        let text = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8(text).unwrap())
    }

    /// The same for what must succeed.
    pub fn done(&self, words: &[&str]) {
        let (status, text) = self.sipward(words);
        assert_eq!(status, Some(0), "{words:?}: {text}");
    }

    /// `sipward fleet status --json`.
    #[must_use]
    pub fn status(&self) -> Value {
        let (_, text) = self.sipward(&["fleet", "status", "--json"]);
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
    }
}

/// Nodes and a hub between them.
#[derive(Debug)]
pub struct Fleet {
    hub: Host,
    /// The nodes.
    pub nodes: Vec<Node>,
    servers: Vec<Option<Server>>,
}

/// A server of NATS; it ends with the test.
#[derive(Debug)]
struct Server {
    child: Child,
    _directory: tempfile::TempDir,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn client_port(server: usize) -> usize {
    4222 + server
}

fn monitor_port(server: usize) -> usize {
    8222 + server
}

impl Fleet {
    /// Nodes of these names, with so many servers and the streams.
    #[must_use]
    pub fn new(names: &[&str], servers: usize) -> Self {
        let mut fleet = Self::without_servers(names, servers);
        fleet.start_servers();
        fleet.init();
        fleet
    }

    /// Nodes of these names, which expect so many servers that do not run yet.
    #[must_use]
    pub fn without_servers(names: &[&str], servers: usize) -> Self {
        let hub = Host::new("hub");
        hub.sysctl("ipv4/ip_forward", "1");
        let node = |(n, name): (usize, &&str)| {
            let (host, port) = (Host::new(name), format!("node{n}"));
            let (own, gateway) = (format!("10.0.{}.1", n + 1), format!("10.0.{}.254", n + 1));
            netns::wire((&host, "eth0"), (&hub, &port));
            host.address("eth0", &format!("{own}/24"));
            hub.address(&port, &format!("{gateway}/24"));
            host.route("0.0.0.0/0", &gateway);
            Node::new(host, name, servers)
        };
        let nodes = names.iter().enumerate().map(node).collect();
        let servers = (0..servers).map(|_| None).collect();
        Self { hub, nodes, servers }
    }

    /// The host of the servers.
    #[must_use]
    pub fn hub(&self) -> &Host {
        &self.hub
    }

    /// Starts all servers, as a cluster if there are several.
    pub fn start_servers(&mut self) {
        let count = self.servers.len();
        for (n, server) in self.servers.iter_mut().enumerate() {
            let directory = tempfile::tempdir().unwrap();
            let file = directory.path().join("nats.conf");
            std::fs::write(&file, configuration(n, count, directory.path())).unwrap();
            let child = self.hub.run(|| {
                let started = Command::new("nats-server")
                    .arg("-c")
                    .arg(&file)
                    .stdout(Stdio::null())
                    .stderr(Stdio::null())
                    .spawn();
                started.expect("nats-server: apt-get install nats-server")
            });
            *server = Some(Server { child, _directory: directory });
        }
        for n in 0..count {
            until("a NATS server listens", || {
                self.hub
                    .run(|| TcpStream::connect(format!("10.0.1.254:{}", client_port(n))).is_ok())
            });
        }
    }

    /// Makes the streams. A cluster has no leader yet when its servers listen, so it is tried again.
    pub fn init(&self) {
        let replicas = self.servers.len().to_string();
        until("the streams are made", || {
            self.nodes[0].sipward(&["fleet", "init", "--replicas", &replicas]).0 == Some(0)
        });
    }

    /// Kills the server that leads the stream of bans.
    pub fn kill_leader(&mut self) {
        let leader = until("the stream has a leader", || self.leader());
        self.servers[leader] = None;
    }

    fn leader(&self) -> Option<usize> {
        (0..self.servers.len()).find(|n| {
            let name = format!("\"leader\":\"s{n}\"");
            let about = self.streams_of(*n);
            about.split("\"name\":\"SIPWARD\"").nth(1).is_some_and(|stream| {
                stream.split("\"name\":\"SIPWARD").next().is_some_and(|it| it.contains(&name))
            })
        })
    }

    /// What a server says of its streams, without white space.
    fn streams_of(&self, server: usize) -> String {
        let mut text = String::new();
        self.hub.run(|| {
            let Ok(mut stream) = TcpStream::connect(format!("127.0.0.1:{}", monitor_port(server)))
            else {
                return;
            };
            let request = b"GET /jsz?accounts=true&streams=true HTTP/1.0\r\n\r\n";
            let _ =
                stream.write_all(request).and_then(|()| stream.read_to_string(&mut text).map(drop));
        });
        text.retain(|c| !c.is_whitespace());
        text
    }
}

fn configuration(server: usize, count: usize, directory: &std::path::Path) -> String {
    let (client, monitor) = (client_port(server), monitor_port(server));
    let mut text = format!(
        "server_name: s{server}\nlisten: 0.0.0.0:{client}\nhttp: 127.0.0.1:{monitor}\n\
         jetstream {{ store_dir: \"{}\" }}\n",
        directory.display()
    );
    if count > 1 {
        let routes: Vec<String> =
            (0..count).map(|n| format!("nats://127.0.0.1:{}", 6222 + n)).collect();
        let listen = 6222 + server;
        let _ = writeln!(
            text,
            "cluster {{ name: hub, listen: 127.0.0.1:{listen}, routes: [{}] }}",
            routes.join(", ")
        );
    }
    text
}
