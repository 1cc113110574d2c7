//! The way into a user namespace.

use std::fmt;
use std::fs;
use std::io;

use nix::sched::{CloneFlags, unshare};
use nix::unistd::{Gid, Uid};

/// Makes this process root of a new user namespace and puts it into an empty network namespace.
///
/// Must be called while the process has one thread only. Files keep their owner: outside the
/// namespace the process still runs as the user that started it.
///
/// # Errors
/// [`Refused`] when the system forbids it and this is not the superuser anyway.
pub fn enter_user_namespace() -> Result<(), Refused> {
    // The ids as seen from outside; afterwards they read as the overflow id.
    let (uid, gid) = (Uid::effective(), Gid::effective());
    match unshare(CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNET) {
        Ok(()) => map_root(uid, gid).map_err(Refused),
        // Containers run by root often forbid user namespaces but have the right itself.
        Err(_) if uid.is_root() => {
            unshare(CloneFlags::CLONE_NEWNET).map_err(|errno| Refused(errno.into()))
        }
        Err(errno) => Err(Refused(errno.into())),
    }
}

/// As [`enter_user_namespace`], but root of the machine stays in its user namespace and enters a network namespace only:
/// for what the kernel grants nobody else, such as socket buffers above `net.core.rmem_max`.
///
/// # Errors
/// As [`enter_user_namespace`].
pub fn enter_network_namespace() -> Result<(), Refused> {
    if Uid::effective().is_root() && unshare(CloneFlags::CLONE_NEWNET).is_ok() {
        return Ok(());
    }
    enter_user_namespace()
}

/// Only root may create network namespaces on this system.
#[derive(Debug)]
pub struct Refused(io::Error);

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "these tests need a user namespace, and the system refuses it: {}", self.0)?;
        writeln!(
            f,
            "allow it (as root) with whichever of these exists here, or run them as root:"
        )?;
        for (file, set) in SWITCHES {
            if let Ok(now) = fs::read_to_string(file) {
                writeln!(f, "  sysctl -w {set}    # is {}", now.trim())?;
            }
        }
        Ok(())
    }
}

impl std::error::Error for Refused {}

/// What forbids user namespaces, by file, and the setting that allows them.
const SWITCHES: [(&str, &str); 3] = [
    ("/proc/sys/user/max_user_namespaces", "user.max_user_namespaces=10000"),
    // Debian's and Arch's own switch.
    ("/proc/sys/kernel/unprivileged_userns_clone", "kernel.unprivileged_userns_clone=1"),
    // Ubuntu since 23.10.
    (
        "/proc/sys/kernel/apparmor_restrict_unprivileged_userns",
        "kernel.apparmor_restrict_unprivileged_userns=0",
    ),
];

fn map_root(uid: Uid, gid: Gid) -> io::Result<()> {
    // Without this the kernel refuses an unprivileged gid_map (user_namespaces(7)).
    fs::write("/proc/self/setgroups", "deny")?;
    fs::write("/proc/self/uid_map", format!("0 {uid} 1"))?;
    fs::write("/proc/self/gid_map", format!("0 {gid} 1"))
}
