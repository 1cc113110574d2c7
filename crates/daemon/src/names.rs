//! Exempt hosts by name: entries of `allow` and `proxies`, and this host's name servers.

use std::collections::HashMap;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use sipward_engine::Exemption;
use tokio::task::JoinSet;
use tokio::time::timeout;

use sipward_config::{Config, HostEntry};
use sipward_model::record::Record;

/// Longest wait for one name. A resolver that is slower than this will not be faster.
const LOOKUP: Duration = Duration::from_secs(5);

/// Lookups under way at once: each holds a thread of the runtime's blocking pool.
const AT_ONCE: usize = 16;

/// Addresses taken from one answer: more than any office has, and a bound on a hostile zone.
const MAX_ADDRESSES: usize = 64;

/// The file with the name servers.
pub const RESOLV_CONF: &str = "/etc/resolv.conf";

/// Largest resolv.conf that is read, in bytes (glibc uses three name servers).
const MAX_RESOLV_CONF: u64 = 64 * 1024;

/// The last good answer for each name.
#[derive(Debug, Default)]
pub struct Names {
    answers: HashMap<String, Vec<IpAddr>>,
}

/// The exemptions for the engine, one class at a time.
pub type Exempt = (Exemption, Vec<IpNet>);

impl Names {
    /// Looks up every name in `config` and returns the networks of each class. A name that cannot
    /// be looked up keeps its last answer; what failed is returned beside it.
    pub async fn refresh(&mut self, config: &Config) -> (Vec<Exempt>, Vec<Record>) {
        let mut wanted: Vec<&String> =
            config.allow.iter().chain(&config.proxies).filter_map(name).collect();
        wanted.sort_unstable();
        wanted.dedup();
        self.answers.retain(|name, _| wanted.contains(&name));

        let mut failed = Vec::new();
        let mut lookups = JoinSet::new();
        for name in wanted {
            while lookups.len() >= AT_ONCE {
                self.take(lookups.join_next().await, &mut failed);
            }
            lookups.spawn(look_up(name.clone()));
        }
        while let Some(done) = lookups.join_next().await {
            self.take(Some(done), &mut failed);
        }
        (self.classes(config), failed)
    }

    /// Whether every name in `config` has had an answer.
    #[must_use]
    pub fn are_known(&self, config: &Config) -> bool {
        let mut names = config.allow.iter().chain(&config.proxies).filter_map(name);
        names.all(|name| self.answers.contains_key(name))
    }

    /// The last good answer for each name.
    #[must_use]
    pub fn answers(&self) -> Arc<HashMap<String, Vec<IpAddr>>> {
        Arc::new(self.answers.clone())
    }

    /// The networks of each class that are known without a query.
    #[must_use]
    pub fn classes(&self, config: &Config) -> Vec<Exempt> {
        vec![
            (Exemption::Allow, self.nets(&config.allow)),
            (Exemption::Proxy, self.nets(&config.proxies)),
            (Exemption::NameServer, name_servers(Path::new(RESOLV_CONF))),
        ]
    }

    fn nets(&self, entries: &[HostEntry]) -> Vec<IpNet> {
        entries
            .iter()
            .flat_map(|entry| match entry {
                HostEntry::Net(net) => vec![*net],
                HostEntry::Name(name) => self
                    .answers
                    .get(name)
                    .into_iter()
                    .flatten()
                    .map(|address| IpNet::from(*address))
                    .collect(),
            })
            .collect()
    }

    fn take(
        &mut self,
        done: Option<Result<Answer, tokio::task::JoinError>>,
        failed: &mut Vec<Record>,
    ) {
        let Some(Ok((name, answer))) = done else {
            return;
        };
        match answer {
            Ok(addresses) => drop(self.answers.insert(name, addresses)),
            Err(error) => failed.push(Record::NameFailed { name, error }),
        }
    }
}

/// A name and its addresses, or why there are none.
pub type Answer = (String, Result<Vec<IpAddr>, String>);

fn name(entry: &HostEntry) -> Option<&String> {
    match entry {
        HostEntry::Net(_) => None,
        HostEntry::Name(name) => Some(name),
    }
}

/// Looks one name up.
pub async fn look_up(name: String) -> Answer {
    // The port is only there because the system's interface wants one.
    let answer = match timeout(LOOKUP, tokio::net::lookup_host((name.as_str(), 0))).await {
        Ok(Ok(found)) => {
            let mut addresses: Vec<IpAddr> = found.map(|socket| socket.ip()).collect();
            addresses.sort_unstable();
            addresses.dedup();
            addresses.truncate(MAX_ADDRESSES);
            if addresses.is_empty() { Err("no address".to_owned()) } else { Ok(addresses) }
        }
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err(format!("no answer within {} s", LOOKUP.as_secs())),
    };
    (name, answer)
}

/// Name servers of this host; none when the file cannot be read, which is what the resolver
/// makes of it too.
pub fn name_servers(path: &Path) -> Vec<IpNet> {
    let small = std::fs::metadata(path).is_ok_and(|file| file.len() <= MAX_RESOLV_CONF);
    let Some(text) = small.then(|| std::fs::read(path).ok()).flatten() else {
        return Vec::new();
    };
    let Ok(config) = resolv_conf::Config::parse(text) else {
        return Vec::new();
    };
    config.nameservers.iter().map(|server| IpNet::from(IpAddr::from(server))).collect()
}

#[cfg(test)]
#[path = "names_tests.rs"]
mod tests;
