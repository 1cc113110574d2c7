//! Real NATS servers on loopback, ended with the test.

use std::collections::BTreeSet;
use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;

use tempfile::TempDir;

use crate::wait;

/// The program. Every test here needs it, and fails without it.
fn program() -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    // Debian's is where only root looks.
    let places = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/usr/local/sbin".into()]);
    places
        .map(|dir: PathBuf| dir.join("nats-server"))
        .find(|program| program.is_file())
        .expect("these tests need a NATS server: apt-get install nats-server")
}

/// A port of loopback that nobody uses, and that no other test was given. Below the range from which the kernel takes
/// ports of connections (`ip_local_port_range`), so that none takes it while its server is down.
pub(crate) fn free_port() -> u16 {
    static GIVEN: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());
    loop {
        let port = fastrand::u16(10_000..32_000);
        if TcpListener::bind(("127.0.0.1", port)).is_ok() && GIVEN.lock().unwrap().insert(port) {
            return port;
        }
    }
}

/// A server and its directory.
pub(crate) struct Server {
    pub(crate) port: u16,
    dir: TempDir,
    child: Option<Child>,
}

impl Server {
    /// Writes a configuration, in which DIR is the server's own directory and PORT its port, and starts it.
    pub(crate) fn start(configuration: &str) -> Self {
        let mut server = Self::new(free_port(), configuration);
        server.up();
        server
    }

    /// As [`Server::start`], without starting it.
    pub(crate) fn new(port: u16, configuration: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let text = configuration
            .replace("DIR", dir.path().to_str().unwrap())
            .replace("PORT", &port.to_string());
        fs::write(dir.path().join("nats.conf"), text).unwrap();
        Self { port, dir, child: None }
    }

    /// Starts it and waits until it takes connections.
    pub(crate) fn up(&mut self) {
        self.launch();
        let port = self.port;
        let log = self.dir.path().join("log");
        wait::blocking("the server takes connections", || {
            TcpStream::connect(("127.0.0.1", port))
                .map_err(|_| fs::read_to_string(&log).unwrap_or_default())
        });
    }

    /// Starts it.
    pub(crate) fn launch(&mut self) {
        let log = fs::File::create(self.dir.path().join("log")).unwrap();
        let child = Command::new(program())
            .args(["-c", "nats.conf"])
            .current_dir(self.dir.path())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        self.child = Some(child);
    }

    /// Kills it as a power cut would.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

/// What the server says of a configuration, without starting it.
pub(crate) fn check(configuration: &str) -> Result<(), String> {
    let server = Server::new(free_port(), configuration);
    let output = Command::new(program())
        .args(["-t", "-c", "nats.conf"])
        .current_dir(server.dir.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    if output.status.success() { Ok(()) } else { Err(said) }
}

/// One server without TLS and credentials.
pub(crate) const PLAIN: &str = r#"
    listen: "127.0.0.1:PORT"
    jetstream { store_dir: "DIR/data", max_mem: 64M, max_file: 2G }
    max_payload: 8KB
"#;

/// Three servers without TLS and credentials.
pub(crate) struct Cluster {
    pub(crate) servers: Vec<Server>,
}

impl Cluster {
    pub(crate) fn start() -> Self {
        let routes: Vec<u16> = (0..3).map(|_| free_port()).collect();
        let urls: Vec<String> =
            routes.iter().map(|port| format!("\"nats://127.0.0.1:{port}\"")).collect();
        let urls = urls.join(", ");
        // No cluster of another test that had one of these ports.
        let first = routes[0];
        let mut servers: Vec<Server> = routes
            .iter()
            .enumerate()
            .map(|(number, route)| {
                let cluster = format!(
                    "server_name: s{number}\n{PLAIN}\ncluster {{ name: fleet-{first}, listen: \"127.0.0.1:{route}\", \
                     routes: [{urls}] }}"
                );
                Server::new(free_port(), &cluster)
            })
            .collect();
        servers.iter_mut().for_each(Server::launch);
        for server in &servers {
            let port = server.port;
            wait::blocking("a server takes connections", || {
                TcpStream::connect(("127.0.0.1", port)).ok()
            });
        }
        Self { servers }
    }

    pub(crate) fn urls(&self) -> Vec<String> {
        self.servers.iter().map(Server::url).collect()
    }

    /// Name and number of the leader of the stream of bans.
    pub(crate) async fn leader(&self, except: &[usize]) -> usize {
        wait::until("the stream has a leader", async || {
            for (number, server) in self.servers.iter().enumerate() {
                if except.contains(&number) {
                    continue;
                }
                let Ok(client) = async_nats::connect(server.url()).await else { continue };
                let Ok(stream) = async_nats::jetstream::new(client).get_stream("SIPWARD").await
                else {
                    continue;
                };
                let cluster = stream.cached_info().cluster.clone();
                let leader = cluster.and_then(|cluster| cluster.leader);
                if let Some(number) = leader.and_then(|name| name.strip_prefix('s')?.parse().ok()) {
                    return Some(number);
                }
            }
            None
        })
        .await
    }
}
