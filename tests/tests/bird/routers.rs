//! A FreeSWITCH host and its edge router, each with its BIRD.
//!
//! ```text
//!  node  10.99.0.1 ── 10.99.0.2  edge  10.98.0.1 ── 10.98.0.2  transit (where a test wants it)
//!         fd99::1     fd99::2
//! ```
//!
//! Addresses and AS numbers are those of `deploy/bird`, so that the configurations run as they are shipped.

use std::fs;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use sipward_route::{BanTable, Change, OwnTable, Report, Settings};
use sipward_tests::netns::{self, Host};
use sipward_tests::wait::until;
use tempfile::TempDir;

use crate::outside::routes;
use crate::world::Running;

/// The routing table that `bird-node.conf` reads.
pub(crate) const BANS: u32 = 216;

/// Changes sent before their reports are read.
const TURN: usize = 1000;

/// Node and edge router with a session between them, and sipward's enforcer on the node.
pub(crate) struct Routers {
    pub(crate) node: Host,
    pub(crate) edge: Host,
    pub(crate) node_bird: Bird,
    pub(crate) edge_bird: Bird,
    pub(crate) sipward: Running,
    pub(crate) directory: TempDir,
}

impl Routers {
    /// With the configurations as they are shipped.
    pub(crate) fn new() -> Self {
        Self::configured(&shipped("bird-node.conf"), &shipped("bird-edge.conf"))
    }

    pub(crate) fn configured(node_config: &str, edge_config: &str) -> Self {
        let (node, edge) = (Host::new("node"), Host::new("edge"));
        netns::wire((&node, "eth0"), (&edge, "eth0"));
        for (host, nets) in
            [(&node, ["10.99.0.1/24", "fd99::1/64"]), (&edge, ["10.99.0.2/24", "fd99::2/64"])]
        {
            for net in nets {
                host.address("eth0", net);
            }
        }
        let directory = TempDir::new().expect("a temporary directory");
        let sipward = Running::start(&node, settings());
        // The edge first: a node that is refused tries again after two minutes.
        let edge_bird = Bird::start(&edge, directory.path(), edge_config);
        let node_bird = Bird::start(&node, directory.path(), node_config);
        node_bird.is_established("edge");
        Self { node, edge, node_bird, edge_bird, sipward, directory }
    }

    /// Makes all changes as fast as the kernel of the node takes them.
    pub(crate) fn change_all(&mut self, nets: &[IpNet], change: fn(IpNet) -> Change) {
        for turn in nets.chunks(TURN) {
            for net in turn {
                self.sipward.send(change(*net));
            }
            for _ in turn {
                self.sipward.expect("an answer", |report| {
                    assert!(!matches!(report, Report::Failed { .. }), "{report:?}");
                    matches!(report, Report::Blocked { .. } | Report::Unblocked { .. })
                });
            }
        }
    }

    /// The edge router's discard routes, without their metrics.
    pub(crate) fn discarded(&self) -> Vec<String> {
        let ours = |line: String| {
            let net = line.strip_prefix("blackhole ")?.strip_suffix(" proto 12 table 254")?;
            Some(net.to_owned())
        };
        let mut nets: Vec<String> = routes(&self.edge).into_iter().filter_map(ours).collect();
        nets.sort();
        nets
    }

    /// Waits until the edge router discards exactly these networks.
    pub(crate) fn discards(&self, nets: &[&str]) {
        let mut wanted = nets.to_vec();
        wanted.sort_unstable();
        until(&format!("the edge router discards {wanted:?}"), || {
            let found = self.discarded();
            if found == wanted { Ok(()) } else { Err(format!("{found:?}")) }
        });
    }
}

/// So many IPv4 addresses.
pub(crate) fn many_ipv4(count: u32) -> Vec<IpNet> {
    let first = u32::from(Ipv4Addr::new(100, 64, 0, 0));
    (0..count).map(|n| IpNet::V4(Ipv4Net::from(Ipv4Addr::from(first + n)))).collect()
}

/// So many IPv6 /64s.
pub(crate) fn many_ipv6(count: u32) -> Vec<IpNet> {
    let net = |n: u32| Ipv6Addr::from_bits((0x2001_0db8_u128 << 96) + (u128::from(n) << 64));
    (0..count).map(|n| IpNet::V6(Ipv6Net::new(net(n), 64).expect("a length"))).collect()
}

/// As `[route] table = 216` sets it.
fn settings() -> Settings {
    let table = BanTable::Own(OwnTable { id: BANS, preference: 900 });
    Settings { table, ..Settings::default() }
}

/// A BIRD at work on a host.
pub(crate) struct Bird {
    host: Host,
    configuration: PathBuf,
    control: PathBuf,
    log: PathBuf,
    process: Child,
}

impl Bird {
    /// Starts one; its files are in `directory`. What a configuration logs to syslog goes to a file.
    pub(crate) fn start(host: &Host, directory: &Path, configuration: &str) -> Self {
        let file = |kind: &str| directory.join(format!("{}.{kind}", host.name()));
        let (path, control, log) = (file("conf"), file("ctl"), file("log"));
        let to_file = format!("log \"{}\" all;", log.display());
        let configuration = changed(configuration, "log syslog all;", &to_file);
        fs::write(&path, configuration).expect("a configuration file");
        let process = run(host, &path, &control);
        let bird = Self { host: host.clone(), configuration: path, control, log, process };
        bird.is_up();
        bird
    }

    /// Kills it, as a crash would.
    pub(crate) fn crash(&mut self) {
        self.process.kill().expect("a running BIRD");
        self.process.wait().expect("its end");
    }

    /// Stops it, as `systemctl stop bird` would.
    pub(crate) fn stop(&mut self) {
        let id = i32::try_from(self.process.id()).expect("a process id");
        kill(Pid::from_raw(id), Signal::SIGTERM).expect("a running BIRD");
        assert!(self.process.wait().expect("its end").success());
    }

    /// Starts it again.
    pub(crate) fn restart(&mut self) {
        self.process = run(&self.host, &self.configuration, &self.control);
        self.is_up();
    }

    /// What `birdc COMMAND` prints.
    pub(crate) fn answer(&self, command: &str) -> String {
        let mut birdc = Command::new(program("birdcl"));
        let output = birdc.arg("-s").arg(&self.control).args(command.split(' ')).output();
        let output = output.expect("BIRD's client");
        String::from_utf8(output.stdout).expect("UTF-8")
    }

    /// Waits until the session of a BGP protocol is established.
    pub(crate) fn is_established(&self, protocol: &str) {
        until(&format!("{}: {protocol} is established", self.host.name()), || {
            let answer = self.answer(&format!("show protocols {protocol}"));
            if answer.contains("Established") { Ok(()) } else { Err(answer) }
        });
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(&self.log).expect("its log")
    }

    fn is_up(&self) {
        until(&format!("{}: BIRD is up", self.host.name()), || {
            let answer = self.answer("show status");
            if answer.contains("Daemon is up and running") { Ok(()) } else { Err(answer) }
        });
    }
}

impl Drop for Bird {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn run(host: &Host, configuration: &Path, control: &Path) -> Child {
    let mut bird = Command::new(program("bird"));
    bird.arg("-f").arg("-c").arg(configuration).arg("-s").arg(control);
    bird.stdin(Stdio::null()).stdout(Stdio::null());
    host.run(|| bird.spawn()).expect("BIRD")
}

/// A configuration of `deploy/bird`.
pub(crate) fn shipped(name: &str) -> String {
    fs::read_to_string(shipped_files().join(name)).expect("a shipped configuration")
}

/// `deploy/bird`.
pub(crate) fn shipped_files() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/bird")
}

/// A configuration in which something is replaced. Panics when it is not there once.
pub(crate) fn changed(configuration: &str, from: &str, to: &str) -> String {
    assert_eq!(configuration.matches(from).count(), 1, "{from:?} in:\n{configuration}");
    configuration.replace(from, to)
}

/// The path of a program of the package bird2, which users often do not have in their search path.
pub(crate) fn program(name: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut places = std::env::split_paths(&path).chain([PathBuf::from("/usr/sbin")]);
    places.find_map(|place| Some(place.join(name)).filter(|file| file.is_file())).unwrap_or_else(
        || panic!("these tests need BIRD 2, and {name} is missing: apt-get install bird2"),
    )
}
