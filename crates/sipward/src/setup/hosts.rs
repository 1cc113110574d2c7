//! Hosts that should never be banned.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;
use std::time::Duration;

use crate::doctor;
use sipward_config::Credentials;
use sipward_esl::client::Streamed;
use sipward_ingest::freeswitch::registrations::Rows;
use tokio::time::timeout;

/// The port of SSH.
const SSH: u16 = 22;

/// The state `TCP_ESTABLISHED` (`include/net/tcp_states.h`).
const ESTABLISHED: &str = "01";

/// Longest wait for FreeSWITCH.
const PATIENCE: Duration = Duration::from_secs(10);

/// Addresses of registered users that are kept at most.
const MOST: usize = 65_536;

/// The other ends of the SSH connections to this host, without loopback.
#[must_use]
pub fn ssh_peers(root: &Path) -> BTreeSet<IpAddr> {
    let files = ["proc/net/tcp", "proc/net/tcp6"].map(|file| root.join(file));
    let texts = files.iter().filter_map(|file| fs::read_to_string(file).ok());
    texts.flat_map(|text| text.lines().skip(1).filter_map(peer).collect::<Vec<_>>()).collect()
}

/// `sl local_address rem_address st …` (`proc_pid_net(5)`); addresses are in the byte order of this host.
fn peer(line: &str) -> Option<IpAddr> {
    let mut fields = line.split_ascii_whitespace().skip(1);
    let (local, remote, state) = (fields.next()?, fields.next()?, fields.next()?);
    let (_, port) = local.split_once(':')?;
    let is_ssh = u16::from_str_radix(port, 16) == Ok(SSH) && state == ESTABLISHED;
    let address = address(remote.split_once(':')?.0).filter(|_| is_ssh)?.to_canonical();
    (!address.is_loopback()).then_some(address)
}

fn address(hex: &str) -> Option<IpAddr> {
    let word = |at: usize| u32::from_str_radix(hex.get(at..at + 8)?, 16).ok();
    match hex.len() {
        8 => Some(Ipv4Addr::from(word(0)?.to_ne_bytes()).into()),
        32 => {
            let mut octets = [0; 16];
            for (at, part) in octets.chunks_exact_mut(4).enumerate() {
                part.copy_from_slice(&word(at * 8)?.to_ne_bytes());
            }
            Some(Ipv6Addr::from(octets).into())
        }
        _ => None,
    }
}

/// The addresses of registered users with the number of users at each.
///
/// # Errors
/// When FreeSWITCH cannot be asked, or answers something else.
pub async fn registered(credentials: &Credentials) -> Result<BTreeMap<IpAddr, u32>, String> {
    let asked = async {
        let mut connection = doctor::log_in(credentials, PATIENCE).await?;
        let mut rows = Rows::new();
        let mut found: BTreeMap<IpAddr, u32> = BTreeMap::new();
        if let Streamed::Refused(reply) =
            connection.stream_api("show registrations as json").await?
        {
            return Ok(Err(reply.to_string()));
        }
        while let Some(piece) = connection.next_piece().await? {
            rows.push(&piece, |row| {
                let address = row.source.to_canonical();
                if found.len() < MOST || found.contains_key(&address) {
                    *found.entry(address).or_default() += 1;
                }
            });
        }
        Ok::<_, sipward_esl::client::ClientError>(rows.finish().map(|_| found))
    };
    match timeout(PATIENCE, asked).await {
        Ok(Ok(found)) => found,
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err(format!("no answer within {} s", PATIENCE.as_secs())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_peers_of_ssh_are_read_from_the_table_of_the_kernel() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("proc/net")).unwrap();
        let hex = |address: [u8; 4]| format!("{:08X}", u32::from_ne_bytes(address));
        let line = |port: u16, remote: [u8; 4], state: &str| {
            format!("   0: {}:{port:04X} {}:C350 {state} 0:0\n", hex([192, 0, 2, 1]), hex(remote))
        };
        let table = [
            "  sl  local_address rem_address   st\n".to_owned(),
            line(22, [203, 0, 113, 9], "01"),
            line(22, [203, 0, 113, 10], "0A"),
            line(80, [203, 0, 113, 11], "01"),
            line(22, [127, 0, 0, 1], "01"),
            "nonsense\n".to_owned(),
        ];
        fs::write(root.path().join("proc/net/tcp"), table.concat()).unwrap();
        let mapped =
            [0, 0, u32::from_ne_bytes([0, 0, 255, 255]), u32::from_ne_bytes([198, 51, 100, 4])];
        let mapped = mapped.map(|word| format!("{word:08X}")).concat();
        let six = format!("head\n   0: {}:0016 {mapped}:C350 01\n", "0".repeat(32));
        fs::write(root.path().join("proc/net/tcp6"), six).unwrap();
        let peers: Vec<String> = ssh_peers(root.path()).iter().map(ToString::to_string).collect();
        assert_eq!(peers, ["198.51.100.4", "203.0.113.9"]);
    }
}
