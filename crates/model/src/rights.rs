//! Capabilities: what a thread may do that other processes may not (`capabilities(7)`).
//!
//! One thread talks netlink and needs `CAP_NET_ADMIN`; nothing else needs anything. Rights belong to threads, and
//! a thread has those of the one that started it: so what is given up must be given up before others start.

use std::fs;
use std::path::Path;

use anyhow::Context as _;
use caps::{CapSet, Capability, CapsHashSet};

/// Gives up all but `CAP_NET_ADMIN`, for this thread and all that it will start. Programs that it starts have none.
///
/// This also applies to root: a daemon started manually should not have all capabilities.
///
/// # Errors
/// When the kernel refuses to drop one.
pub fn keep_net_admin() -> anyhow::Result<()> {
    let had = caps::read(None, CapSet::Permitted)
        .context("cannot read the capabilities of this process")?;
    if had.contains(&Capability::CAP_SETPCAP) {
        drop_bounding();
    }
    let kept: CapsHashSet =
        had.into_iter().filter(|one| *one == Capability::CAP_NET_ADMIN).collect();
    for set in [CapSet::Ambient, CapSet::Inheritable] {
        caps::clear(None, set).with_context(|| format!("cannot give up {set:?} capabilities"))?;
    }
    for set in [CapSet::Effective, CapSet::Permitted] {
        caps::set(None, set, &kept)
            .with_context(|| format!("cannot give up {set:?} capabilities"))?;
    }
    Ok(())
}

/// Lets the program that replaces this one keep `CAP_NET_ADMIN`, which this one may have from its file (`setcap`). If the
/// kernel refuses, the other program says that it needs it.
pub fn pass_net_admin_on() {
    for set in [CapSet::Inheritable, CapSet::Ambient] {
        if let Err(error) = caps::raise(None, set, Capability::CAP_NET_ADMIN) {
            tracing::debug!(%error, ?set, "CAP_NET_ADMIN is not passed on");
        }
    }
}

/// Gives up every capability of this thread. What it starts has none either.
pub fn keep_none() {
    for set in [CapSet::Ambient, CapSet::Inheritable, CapSet::Effective, CapSet::Permitted] {
        // To give something up is always allowed.
        if let Err(error) = caps::clear(None, set) {
            tracing::debug!(%error, ?set, "capabilities stay");
        }
    }
}

/// Whether one of a process' threads (`/proc/PID/task`) has `CAP_NET_ADMIN` in this set, as the one of
/// the daemon that talks netlink does; `None` when the system does not say.
pub fn any_has_net_admin(threads: &Path, set: CapSet) -> Option<bool> {
    // `proc_pid_status(5)`.
    let label = match set {
        CapSet::Ambient => "CapAmb:",
        CapSet::Bounding => "CapBnd:",
        CapSet::Effective => "CapEff:",
        CapSet::Inheritable => "CapInh:",
        CapSet::Permitted => "CapPrm:",
    };
    let has_it = |thread: &Path| {
        let status = fs::read_to_string(thread.join("status")).ok()?;
        let bits = status.lines().find_map(|line| line.strip_prefix(label))?;
        Some(u64::from_str_radix(bits.trim(), 16).ok()? & Capability::CAP_NET_ADMIN.bitmask() != 0)
    };
    let threads = fs::read_dir(threads).ok()?.filter_map(Result::ok);
    threads.filter_map(|thread| has_it(&thread.path())).reduce(|one, other| one || other)
}

/// What a program that is started could have at most: nothing. An old kernel does not know all of them.
fn drop_bounding() {
    for one in caps::all() {
        if caps::has_cap(None, CapSet::Bounding, one).unwrap_or(false)
            && let Err(error) = caps::drop(None, CapSet::Bounding, one)
        {
            tracing::debug!(%error, capability = %one, "it remains in the bounding set");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETS: [CapSet; 4] =
        [CapSet::Ambient, CapSet::Inheritable, CapSet::Effective, CapSet::Permitted];

    /// On a thread of its own: the others keep theirs.
    fn apart(work: impl FnOnce() + Send + 'static) {
        std::thread::spawn(work).join().unwrap();
    }

    #[test]
    fn net_admin_is_all_that_is_kept() {
        apart(|| {
            let had = caps::read(None, CapSet::Permitted).unwrap();
            keep_net_admin().unwrap();
            let kept = caps::read(None, CapSet::Permitted).unwrap();
            assert_eq!(
                kept.contains(&Capability::CAP_NET_ADMIN),
                had.contains(&Capability::CAP_NET_ADMIN)
            );
            assert!(kept.len() <= 1, "{kept:?}");
            assert!(caps::read(None, CapSet::Inheritable).unwrap().is_empty());
            if had.contains(&Capability::CAP_SETPCAP) {
                assert!(caps::read(None, CapSet::Bounding).unwrap().is_empty());
            }
        });
    }

    #[test]
    fn what_is_passed_on_is_net_admin_if_it_is_there() {
        apart(|| {
            let had = caps::has_cap(None, CapSet::Permitted, Capability::CAP_NET_ADMIN).unwrap();
            pass_net_admin_on();
            let passed = caps::read(None, CapSet::Ambient).unwrap();
            assert_eq!(passed.contains(&Capability::CAP_NET_ADMIN), had, "{passed:?}");
        });
    }

    #[test]
    fn a_thread_that_needs_nothing_has_nothing() {
        apart(|| {
            keep_none();
            assert!(SETS.iter().all(|set| caps::read(None, *set).unwrap().is_empty()));
        });
    }

    #[test]
    fn the_right_is_looked_up_in_all_threads_of_a_process() {
        let threads = tempfile::tempdir().unwrap();
        let write = |thread: &str, rights: &str| {
            let directory = threads.path().join(thread);
            fs::create_dir_all(&directory).unwrap();
            fs::write(directory.join("status"), format!("Name:\tsipward\nCapEff:\t{rights}\n"))
                .unwrap();
        };
        assert_eq!(any_has_net_admin(threads.path(), CapSet::Effective), None);
        write("1", "0000000000000000");
        assert_eq!(any_has_net_admin(threads.path(), CapSet::Effective), Some(false));
        write("2", "0000000000001000");
        assert_eq!(any_has_net_admin(threads.path(), CapSet::Effective), Some(true));
        assert_eq!(
            any_has_net_admin(threads.path(), CapSet::Permitted),
            None,
            "not in these files"
        );
        assert_eq!(any_has_net_admin("/nowhere".as_ref(), CapSet::Effective), None);
    }
}
