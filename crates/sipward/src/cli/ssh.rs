//! Over which SSH connection is this command typed? Its client must not be banned by a slip.

use std::fs;
use std::net::IpAddr;

/// Ancestors looked at: a shell, `sudo`, another shell, `tmux`…
const MOST_ANCESTORS: usize = 32;

/// Clients sent at most; the API takes so many.
const MOST_CLIENTS: usize = 16;

/// The addresses of the SSH clients. `sudo` takes `SSH_CONNECTION` away, so the processes above this one
/// are asked too, as far as they may be read.
pub(super) fn clients() -> Vec<IpAddr> {
    let own =
        ["SSH_CONNECTION", "SSH_CLIENT"].into_iter().filter_map(|name| std::env::var(name).ok());
    let mut found: Vec<IpAddr> = own.filter_map(|value| client(&value)).collect();
    let mut process = Some(std::process::id());
    for _ in 0..MOST_ANCESTORS {
        process = process.and_then(parent);
        let Some(id) = process.filter(|id| *id > 1) else {
            break;
        };
        found.extend(of_environment(&fs::read(format!("/proc/{id}/environ")).unwrap_or_default()));
    }
    found.sort_unstable();
    found.dedup();
    found.truncate(MOST_CLIENTS);
    found
}

/// `SSH_CONNECTION` is `CLIENT PORT SERVER PORT`, `SSH_CLIENT` is `CLIENT PORT PORT` (ssh(1)).
fn client(value: &str) -> Option<IpAddr> {
    let address = value.split_ascii_whitespace().next()?;
    // A link-local address has its interface behind it.
    let address: IpAddr = address.split('%').next()?.parse().ok()?;
    Some(address.to_canonical())
}

/// From `NAME=value` strings with a NUL behind each.
fn of_environment(environment: &[u8]) -> impl Iterator<Item = IpAddr> {
    environment.split(|byte| *byte == 0).filter_map(|variable| {
        let variable = std::str::from_utf8(variable).ok()?;
        let (name, value) = variable.split_once('=')?;
        matches!(name, "SSH_CONNECTION" | "SSH_CLIENT").then(|| client(value))?
    })
}

/// The second field behind the name in `/proc/PID/stat`, which may hold anything but ends at the last
/// parenthesis (`proc_pid_stat(5)`).
fn parent(process: u32) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    let (_, behind_name) = stat.rsplit_once(')')?;
    behind_name.split_ascii_whitespace().nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_client_is_the_first_address() {
        let client = |value| client(value).map(|address| address.to_string());
        assert_eq!(client("203.0.113.9 50000 192.0.2.1 22").as_deref(), Some("203.0.113.9"));
        assert_eq!(client("::ffff:203.0.113.9 50000 22").as_deref(), Some("203.0.113.9"));
        assert_eq!(client("fe80::1%eth0 50000 22").as_deref(), Some("fe80::1"));
        assert_eq!(client(""), None);
        assert_eq!(client("nonsense"), None);
    }

    #[test]
    fn it_is_found_in_the_environment_of_another_process() {
        let environment =
            b"SHELL=/bin/sh\0SSH_CONNECTION=203.0.113.9 5 192.0.2.1 22\0X\0=\0\xff=1\0";
        let found: Vec<IpAddr> = of_environment(environment).collect();
        assert_eq!(found, ["203.0.113.9".parse::<IpAddr>().unwrap()]);
    }

    #[test]
    fn this_process_has_a_parent() {
        assert_eq!(parent(std::process::id()), Some(std::os::unix::process::parent_id()));
    }
}
