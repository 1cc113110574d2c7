//! The socket: how it is opened, and its access rights.
//!
//! The kernel admits users that may write to the socket file, which has mode 0660: root, the daemon's user, the
//! members of its group. Their credentials (`SO_PEERCRED`) are also checked, because the mode may be changed by
//! mistake, and a ban can block every phone.

use std::ffi::CString;
use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::os::unix::net::UnixStream as StdStream;
use std::path::{Path, PathBuf};

use axum::response::Response;
use nix::unistd::{Gid, Uid, User, geteuid, getgrouplist};
use tokio::net::{UnixListener, UnixStream};

use crate::http::error::ApiError;
use crate::http::{Caller, Principal, serve};
use sipward_model::wire::ProblemKind;

/// Mode of the socket file.
const MODE: u32 = 0o660;

/// Permission bits of everybody else.
const OTHERS: u32 = 0o007;

/// The open socket. Its file goes away with it.
#[derive(Debug)]
pub(super) struct Listener {
    socket: UnixListener,
    path: PathBuf,
    /// Device and inode of the file that was made.
    file: (u64, u64),
    /// The group that may use it.
    group: Gid,
}

/// Why the socket cannot be opened.
#[derive(Debug, thiserror::Error)]
pub(super) enum ListenerError {
    /// Another daemon answers on it.
    #[error("another sipward answers on {}; stop it, or set `api.socket` to another path", .0.display())]
    InUse(PathBuf),
    /// Something else is there.
    #[error("{} exists and is not a socket; remove \
        it, or set `api.socket` to another path", .0.display())]
    NoSocket(PathBuf),
    /// The system refuses.
    #[error(
        "cannot open {}: {error}; its directory must exist and belong to the daemon's user \
         (systemd: RuntimeDirectory=sipward; otherwise: install -d -m 0750 {})",
        .path.display(), .path.parent().unwrap_or(.path).display()
    )]
    System {
        /// The socket.
        path: PathBuf,
        /// What it said.
        error: io::Error,
    },
}

/// The user at the other end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Peer {
    pub(super) user: u32,
    pub(super) group: u32,
}

impl Listener {
    /// Opens the socket. A socket file without a listener is replaced.
    pub(super) fn open(path: &Path) -> Result<Self, ListenerError> {
        let failed = |error| ListenerError::System { path: path.to_owned(), error };
        match fs::symlink_metadata(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(failed(error)),
            Ok(found) if !found.file_type().is_socket() => {
                return Err(ListenerError::NoSocket(path.to_owned()));
            }
            Ok(_) => match StdStream::connect(path) {
                Ok(_) => return Err(ListenerError::InUse(path.to_owned())),
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                    fs::remove_file(path).map_err(failed)?;
                }
                Err(error) => return Err(failed(error)),
            },
        }
        let socket = UnixListener::bind(path).map_err(failed)?;
        let group = Self::adorn(path).map_err(failed)?;
        Ok(Self { socket, path: path.to_owned(), file: group.0, group: group.1 })
    }

    fn adorn(path: &Path) -> io::Result<((u64, u64), Gid)> {
        fs::set_permissions(path, fs::Permissions::from_mode(MODE))?;
        let made = fs::symlink_metadata(path)?;
        Ok(((made.dev(), made.ino()), Gid::from_raw(made.gid())))
    }

    /// Whether `peer` may use the API.
    pub(super) async fn admits(&self, peer: Peer) -> bool {
        if peer.user == 0 || peer.user == geteuid().as_raw() || peer.group == self.group.as_raw() {
            return true;
        }
        // The kernel names only the primary group of a peer. As long as the file is closed to others, the kernel has
        // checked all of them (connect(2), EACCES).
        let closed = |file: fs::Metadata| file.mode() & OTHERS == 0;
        if fs::symlink_metadata(&self.path).is_ok_and(closed) {
            return true;
        }
        let group = self.group;
        // Asks the system's user database, which may block.
        let member =
            tokio::task::spawn_blocking(move || is_member(Uid::from_raw(peer.user), group));
        member.await.unwrap_or(false)
    }
}

impl serve::Listener for Listener {
    type Caller = (UnixStream, Peer);
    type Stream = UnixStream;
    type Known = Principal;

    async fn next(&self) -> io::Result<Self::Caller> {
        let (stream, _) = self.socket.accept().await?;
        let credentials = stream.peer_cred()?;
        Ok((stream, Peer { user: credentials.uid(), group: credentials.gid() }))
    }

    fn caller(&self, _: &Self::Caller) -> Caller {
        Caller::Local
    }

    async fn greet(
        &self,
        (stream, peer): Self::Caller,
    ) -> Option<serve::Greeting<UnixStream, Principal>> {
        let refusal = (!self.admits(peer).await).then(|| stranger(peer));
        Some(serve::Greeting { stream, known: Principal::on_socket(peer.user), refusal })
    }

    fn finish(_: &Principal, _: &mut Response) {}
}

fn stranger(Peer { user, .. }: Peer) -> ApiError {
    tracing::warn!(user, "an unauthorized user tried to use the control socket");
    let detail = format!(
        "user {user} is neither root, nor the daemon's user, nor a member of the socket's group; add it with \
         `usermod -aG sipward USER`"
    );
    ApiError::new(ProblemKind::Forbidden, detail)
}

impl Drop for Listener {
    fn drop(&mut self) {
        // Another daemon may have put its own there.
        let ours = |file: &fs::Metadata| (file.dev(), file.ino()) == self.file;
        if fs::symlink_metadata(&self.path).as_ref().is_ok_and(ours) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Whether the system's user database has the user in the group.
fn is_member(user: Uid, group: Gid) -> bool {
    let Ok(Some(user)) = User::from_uid(user) else {
        return false;
    };
    let name = CString::new(user.name).ok();
    name.and_then(|name| getgrouplist(&name, user.gid).ok())
        .is_some_and(|groups| groups.contains(&group))
}

#[cfg(test)]
mod tests;
