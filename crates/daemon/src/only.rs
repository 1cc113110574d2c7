//! One daemon for each store and for the kernel's objects of a network namespace.
//!
//! Two that share either undo each other's work. The second does not start, and names the first.
//!
//! * The store: a file beside it, locked (`flock(2)`) for as long as the process lives. It holds who that is.
//! * The kernel: an abstract Unix socket, of which each network namespace has its own, for the protocol number of
//!   the routes and one for the nftables table. A process that connects to it reads which one holds it.
//!
//! Both end with the process, however it ends.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::os::unix::net::{SocketAddr, UnixListener as StdListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use caps::CapSet;
use nix::sys::socket::{getsockopt, sockopt::PeerCredentials};
use nix::unistd::geteuid;
use serde::{Deserialize, Serialize};
use tokio::io::AsyncWriteExt as _;
use tokio::net::UnixListener;
use tokio::task::JoinSet;

use sipward_config::{Config, StoreLocation};
use sipward_model::rights;

/// Longest wait for the answer of the process that holds the kernel's objects: it may hang.
const PATIENCE: Duration = Duration::from_secs(1);

/// Bytes of it that are read.
const MOST: u64 = 4_096;

/// Mode of the lock file: what it says is no secret, and the group of the control socket may read it.
const MODE: u32 = 0o640;

/// The store, held by this daemon. Dropping it lets go.
#[derive(Debug)]
pub struct Only {
    /// Locked as long as it is open.
    _file: Option<File>,
    owner: Owner,
}

/// What a second daemon reads about this one.
#[derive(Clone, Debug)]
pub struct Owner(String);

/// The kernel's objects, held by this daemon. Dropping it lets go.
#[derive(Debug)]
pub struct KernelLock {
    /// One for each object: answers queries about the owner.
    _names: JoinSet<()>,
}

/// Why the daemon must not start.
#[derive(Debug, thiserror::Error)]
pub enum NotAlone {
    /// Another daemon has the store.
    #[error("{holder} uses the store {}; stop it, or set `store.path` to another file", .store.display())]
    Store {
        /// The store.
        store: PathBuf,
        /// The owner.
        holder: Holder,
    },
    /// Another daemon has the kernel's objects.
    #[error(
        "{holder} already manages {what} in this network namespace; stop it: two daemons would \
         undo each other's bans"
    )]
    Kernel {
        /// Which.
        what: String,
        /// The owner.
        holder: Holder,
    },
}

/// The owner of a lock, if known.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    pid: u32,
    socket: Option<PathBuf>,
    store: Option<PathBuf>,
}

impl std::fmt::Display for Holder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.pid {
            // It is in another PID namespace, or has not written its process ID yet.
            0 => f.write_str("another sipward (its process cannot be seen from here)")?,
            pid => write!(f, "another sipward (process {pid})")?,
        }
        let named = [("control socket", &self.socket), ("store", &self.store)];
        let named = named.into_iter().filter_map(|(name, path)| Some((name, path.as_ref()?)));
        named.enumerate().try_for_each(|(n, (name, path))| {
            // Anyone who holds it has written this: it is shown and no more.
            let path = path.display().to_string();
            let before = if n == 0 { " with" } else { " and" };
            write!(f, "{before} {name} {}", sipward_model::text::Plain(&path))
        })
    }
}

impl Only {
    /// Locks the store.
    ///
    /// # Errors
    /// When another daemon has it.
    pub fn take(config: &Config) -> Result<Self, NotAlone> {
        let store = match &config.store.location {
            StoreLocation::File(path) => Some(path.clone()),
            StoreLocation::Memory => None,
        };
        let own = Holder {
            pid: std::process::id(),
            socket: config.api.socket.clone(),
            store: store.clone(),
        };
        let words = serde_json::to_string(&own).unwrap_or_default();
        let file = store.and_then(|path| lock(&path, &words).transpose()).transpose()?;
        Ok(Self { _file: file, owner: Owner(words) })
    }

    /// For the locks of the kernel's objects.
    pub fn owner(&self) -> Owner {
        self.owner.clone()
    }
}

impl Owner {
    /// Locks the kernel's objects, which only a daemon that bans has.
    ///
    /// # Errors
    /// When another daemon has one of them.
    pub fn lock_kernel(&self, route: &sipward_route::Settings) -> Result<KernelLock, NotAlone> {
        let (protocol, table) = (route.protocol, &route.gate.table_name);
        let mut names = JoinSet::new();
        for (name, what) in [
            (format!("protocol-{protocol}"), format!("routes of protocol {protocol}")),
            (format!("table-{table}"), format!("the nftables table `{table}`")),
        ] {
            if let Some(listener) = hold(&name, &what)? {
                names.spawn(answer(listener, self.0.clone()));
            }
        }
        Ok(KernelLock { _names: names })
    }
}

/// Locks the store at `path`. `None` when there can be no lock file: then there can be no store either, which is
/// degraded and says so.
fn lock(path: &Path, words: &str) -> Result<Option<File>, NotAlone> {
    // The same file by another name is the same store.
    let real = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let mut name = real.into_os_string();
    name.push(".lock");
    let opened = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(MODE)
        .custom_flags(nix::libc::O_NOFOLLOW)
        .open(PathBuf::from(&name));
    let mut file = match opened {
        Ok(file) => file,
        Err(error) => {
            tracing::debug!(%error, file = %Path::new(&name).display(), "the store cannot be locked");
            return Ok(None);
        }
    };
    match file.try_lock() {
        Ok(()) => {
            let written = file.set_len(0).and_then(|()| file.write_all(words.as_bytes()));
            written.unwrap_or_else(
                |error| tracing::debug!(%error, "the owner of the lock is unknown"),
            );
            Ok(Some(file))
        }
        Err(TryLockError::WouldBlock) => {
            let holder = file.rewind().ok().and_then(|()| heard(file)).unwrap_or_default();
            Err(NotAlone::Store { store: path.to_owned(), holder })
        }
        // A file system without locks.
        Err(TryLockError::Error(error)) => {
            tracing::warn!(%error, "the store cannot be locked: run one sipward only");
            Ok(None)
        }
    }
}

/// Holds an object of the kernel's. `None` when somebody else holds the name who can have nothing to do with it.
fn hold(name: &str, what: &str) -> Result<Option<StdListener>, NotAlone> {
    let bound = SocketAddr::from_abstract_name(format!("sipward/{name}"))
        .map(|address| (StdListener::bind_addr(&address), address));
    let address = match bound {
        Ok((Ok(listener), _)) => return Ok(Some(listener)),
        Ok((Err(error), address)) if error.kind() == io::ErrorKind::AddrInUse => address,
        Ok((Err(error), _)) | Err(error) => {
            tracing::warn!(%error, "cannot check whether another sipward manages {what}: run one \
                only");
            return Ok(None);
        }
    };
    let Ok(stream) = UnixStream::connect_addr(&address) else {
        // It has just ended, or does not answer.
        return match StdListener::bind_addr(&address) {
            Ok(listener) => Ok(Some(listener)),
            Err(_) => Err(NotAlone::Kernel { what: what.to_owned(), holder: Holder::default() }),
        };
    };
    let Some((pid, user)) = peer(&stream) else {
        return Err(NotAlone::Kernel { what: what.to_owned(), holder: Holder::default() });
    };
    if user != 0 && user != geteuid().as_raw() && !may_change_routes(pid) {
        tracing::warn!(
            pid,
            user,
            "a process without CAP_NET_ADMIN holds the lock name of sipward; it is ignored"
        );
        return Ok(None);
    }
    let _ = stream.set_read_timeout(Some(PATIENCE));
    // The kernel's word for the process is better than its own, which may come from another PID namespace.
    let holder = Holder { pid, ..heard(stream).unwrap_or_default() };
    Err(NotAlone::Kernel { what: what.to_owned(), holder })
}

/// Process and user at the other end.
fn peer(stream: &UnixStream) -> Option<(u32, u32)> {
    let found = getsockopt(stream, PeerCredentials).ok()?;
    Some((u32::try_from(found.pid()).ok()?, found.uid()))
}

/// Whether a thread of the process may have `CAP_NET_ADMIN`. Any process can take an abstract name, and must not
/// prevent the start of the daemon that way.
fn may_change_routes(pid: u32) -> bool {
    let threads = PathBuf::from(format!("/proc/{pid}/task"));
    rights::any_has_net_admin(&threads, CapSet::Permitted).unwrap_or(false)
}

fn heard(from: impl io::Read) -> Option<Holder> {
    let mut words = Vec::new();
    from.take(MOST).read_to_end(&mut words).ok()?;
    serde_json::from_slice(&words).ok()
}

/// Answers queries about the owner.
async fn answer(listener: StdListener, words: String) {
    let listening = listener.set_nonblocking(true).and_then(|()| UnixListener::from_std(listener));
    let Ok(listener) = listening else { return };
    loop {
        match listener.accept().await {
            // It fits into any socket's buffer.
            Ok((mut stream, _)) => drop(stream.write_all(words.as_bytes()).await),
            Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(directory: &tempfile::TempDir) -> PathBuf {
        directory.path().join("sipward.db")
    }

    #[test]
    fn the_second_of_a_store_is_told_who_the_first_is() {
        let directory = tempfile::tempdir().unwrap();
        let first = Holder {
            pid: 42,
            socket: Some("/run/sipward/sipward.sock".into()),
            store: Some(file(&directory)),
        };
        let words = serde_json::to_string(&first).unwrap();
        let held = lock(&file(&directory), &words).unwrap();
        assert!(held.is_some());
        let refused = lock(&file(&directory), "{}").unwrap_err().to_string();
        for part in ["process 42", "/run/sipward/sipward.sock", "store.path"] {
            assert!(refused.contains(part), "{refused}");
        }
        drop(held);
        assert!(lock(&file(&directory), &words).unwrap().is_some(), "it ends with the first");
    }

    #[test]
    fn another_name_of_the_file_is_the_same_store() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(file(&directory), "").unwrap();
        let link = directory.path().join("other.db");
        std::os::unix::fs::symlink(file(&directory), &link).unwrap();
        let held = lock(&file(&directory), "{}").unwrap();
        assert!(held.is_some() && lock(&link, "{}").is_err());
    }

    #[test]
    fn a_store_that_cannot_be_locked_does_not_stop_the_start() {
        assert!(lock("/proc/nowhere/sipward.db".as_ref(), "{}").unwrap().is_none());
    }

    #[tokio::test]
    async fn the_second_of_the_kernels_objects_is_told_who_the_first_is() {
        let name = format!("test-{}", std::process::id());
        let listener = hold(&name, "routes").unwrap().unwrap();
        let words = serde_json::json!({ "pid": 1, "socket": "/run/a\u{1b}[2J", "store": null });
        let answering = tokio::spawn(answer(listener, words.to_string()));
        let second = tokio::task::spawn_blocking({
            let name = name.clone();
            move || hold(&name, "routes of protocol 216")
        });
        let refused = second.await.unwrap().unwrap_err().to_string();
        assert!(refused.contains(&format!("process {}", std::process::id())), "{refused}");
        assert!(refused.contains("protocol 216") && refused.contains("\\u{1b}[2J"), "{refused}");
        answering.abort();
        let _ = answering.await;
        assert!(hold(&name, "routes").unwrap().is_some(), "it ends with the first");
    }

    #[test]
    fn a_holder_that_does_not_answer_is_one_all_the_same() {
        let name = format!("silent-{}", std::process::id());
        let _listener = hold(&name, "routes").unwrap().unwrap();
        let refused = hold(&name, "routes").unwrap_err().to_string();
        assert!(refused.contains(&format!("process {}", std::process::id())), "{refused}");
    }
}
