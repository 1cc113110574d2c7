//! Where the packets of a SIP URI come from and go to: NAPTR, SRV, A and AAAA (RFC 3263).
//!
//! Wider than a client needs: every transport that the URI leaves open is asked for, every target counts, whatever
//! its priority, because a carrier sends from all of its edges. Not wider than that: where SRV records exist, the
//! name's own address is somebody else's, most often a web server's.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use futures_util::stream::{self, StreamExt as _};
use hickory_resolver::TokioResolver;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig, ResolverOpts};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::{RData, RecordType};
use tokio::time::timeout;

use crate::names;
use sipward_ingest::freeswitch::uri::{Host, Target, Transport};

/// Longest wait for all that one URI needs. A resolver that is slower than this will not be faster.
const LOCATE: Duration = Duration::from_secs(10);

/// Wait for one answer, and how often it is asked for again.
const ANSWER: Duration = Duration::from_secs(2);
const ATTEMPTS: usize = 2;

/// SRV names of one URI, and hosts that they may lead to.
const MAX_SERVICES: usize = 16;
const MAX_TARGETS: usize = 64;

/// Hosts whose addresses are queried at once: the resolver accepts only a few dozen queries.
const AT_ONCE: usize = 8;

/// Addresses of one URI: more than any carrier has edges, and a bound on a hostile zone.
const MAX_ADDRESSES: usize = 256;

/// How long an answer is kept at least, whatever its TTL: a bound on questions.
const MIN_LIFE: Duration = Duration::from_secs(5);

/// How long it is kept at most.
const MAX_LIFE: Duration = Duration::from_secs(3_600);

/// How long an answer without a TTL is kept: of `/etc/hosts`, or of another service of this host's `nsswitch.conf`.
const LOCAL_LIFE: Duration = Duration::from_secs(60);

/// What a URI leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Located {
    /// The addresses.
    pub addresses: BTreeSet<IpAddr>,
    /// When to ask again; `None` for an address, which stays what it is.
    pub again_at: Option<Instant>,
    /// What could not be looked up beside these: addresses known from before still hold.
    pub missing: Option<String>,
}

/// The name servers of this host.
pub struct Dns {
    resolver: TokioResolver,
    /// Whether names that the name servers do not know are looked up as this host's other programs do.
    asks_system: bool,
}

/// An answer: records of the kind asked for, and when they run out. `Ok(None)`: there are none.
type Answer = Result<Option<(Vec<RData>, Instant)>, String>;

impl Dns {
    /// The name servers of `/etc/resolv.conf` as it is now.
    ///
    /// # Errors
    /// When no resolver can be made of them.
    pub fn from_system() -> Result<Self, String> {
        let servers = names::name_servers(Path::new(names::RESOLV_CONF));
        let mut servers: Vec<SocketAddr> =
            servers.iter().map(|server| SocketAddr::new(server.addr(), 53)).collect();
        if servers.is_empty() {
            // As resolv.conf(5) has it.
            servers.push(SocketAddr::from(([127, 0, 0, 1], 53)));
        }
        Self::with(&servers, true)
    }

    /// These name servers, over UDP and TCP.
    fn with(servers: &[SocketAddr], asks_system: bool) -> Result<Self, String> {
        let servers = servers.iter().map(|server| {
            let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()].map(|mut way| {
                way.port = server.port();
                way
            });
            NameServerConfig::new(server.ip(), true, connections.into())
        });
        let config = ResolverConfig::from_name_servers(servers.collect());
        let mut builder =
            TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
        let mut options = ResolverOpts::default();
        options.timeout = ANSWER;
        options.attempts = ATTEMPTS;
        options.cache_size = 256;
        options.num_concurrent_reqs = 1;
        *builder.options_mut() = options;
        let resolver = builder.build().map_err(|error| error.to_string())?;
        Ok(Self { resolver, asks_system })
    }

    /// Looks up where `target` is. `known`: there is an answer from before, so that a name server that fails is no
    /// reason to take the name's own address for it.
    ///
    /// # Errors
    /// When nothing at all is known of it now.
    pub async fn locate(&self, target: &Target, known: bool) -> Result<Located, String> {
        let name = match &target.host {
            Host::Address(address) => {
                let addresses = BTreeSet::from([*address]);
                return Ok(Located { addresses, again_at: None, missing: None });
            }
            Host::Name(name) => name,
        };
        match timeout(LOCATE, self.locate_name(name, target, known)).await {
            Ok(located) => located,
            Err(_) => Err(format!("no answer within {} s", LOCATE.as_secs())),
        }
    }

    async fn locate_name(
        &self,
        name: &str,
        target: &Target,
        known: bool,
    ) -> Result<Located, String> {
        let mut found = Found::default();
        // A port says that the name is a host's (RFC 3263 section 4.2).
        if target.port.is_none() {
            let services = self.services(name, target, &mut found).await;
            let hosts = self.hosts(services, &mut found).await;
            if found.any_service {
                self.addresses_of(hosts, &mut found).await;
                return found.located();
            }
            if known && found.missing.is_some() {
                return found.located();
            }
        }
        self.addresses_of([name.to_owned()].into(), &mut found).await;
        found.located()
    }

    /// The names whose SRV records are asked for: of NAPTR, and those of every transport that the URI leaves open.
    async fn services(&self, name: &str, target: &Target, found: &mut Found) -> BTreeSet<String> {
        let service = |transport: Transport, secure: bool| match transport {
            Transport::Udp => format!("_sip._udp.{name}"),
            Transport::Tcp if secure => format!("_sips._tcp.{name}"),
            Transport::Tcp => format!("_sip._tcp.{name}"),
            Transport::Tls => format!("_sips._tcp.{name}"),
            Transport::Ws => format!("_sip._ws.{name}"),
            Transport::Wss => format!("_sips._ws.{name}"),
        };
        if let Some(transport) = target.transport {
            return [service(transport, target.secure)].into();
        }
        let mut services: BTreeSet<String> = [Transport::Udp, Transport::Tcp, Transport::Tls]
            .into_iter()
            .filter(|transport| !target.secure || *transport == Transport::Tls)
            .map(|transport| service(transport, target.secure))
            .collect();
        // A missing answer for NAPTR, which few zones have, is no failure: SRV has the same information.
        if let Ok(Some((records, until))) = self.ask(name, RecordType::NAPTR).await {
            found.until(until);
            let of_sip = records.into_iter().filter_map(|record| match record {
                RData::NAPTR(naptr) => {
                    let service = naptr.services.to_ascii_uppercase();
                    let wanted = if target.secure { &b"SIPS+"[..] } else { b"SIP" };
                    let leads =
                        naptr.flags.eq_ignore_ascii_case(b"s") && service.starts_with(wanted);
                    leads.then(|| plain(&naptr.replacement.to_string()))
                }
                _ => None,
            });
            services.extend(of_sip.filter(|name| !name.is_empty()).take(MAX_SERVICES));
        }
        services
    }

    /// The hosts that SRV records lead to.
    async fn hosts(&self, services: BTreeSet<String>, found: &mut Found) -> BTreeSet<String> {
        let asked: Vec<_> =
            services.iter().map(|service| self.ask(service, RecordType::SRV)).collect();
        let answers = join_all(asked).await;
        let mut hosts = BTreeSet::new();
        for (service, answer) in services.iter().zip(answers) {
            match answer {
                Ok(Some((records, until))) => {
                    found.any_service = true;
                    found.until(until);
                    for record in records {
                        if let RData::SRV(srv) = record
                            && hosts.len() < MAX_TARGETS
                        {
                            hosts.insert(plain(&srv.target.to_string()));
                        }
                    }
                }
                Ok(None) => {}
                Err(error) => found.miss(service, &error),
            }
        }
        // `.`: this service is decidedly not there (RFC 2782).
        hosts.remove("");
        hosts
    }

    async fn addresses_of(&self, hosts: BTreeSet<String>, found: &mut Found) {
        let asked: Vec<_> = hosts.iter().map(|host| self.both_families(host)).collect();
        let answers: Vec<_> = stream::iter(asked).buffered(AT_ONCE).collect().await;
        for (host, (four, six)) in hosts.iter().zip(answers) {
            let mut any = false;
            let mut failed = None;
            for answer in [four, six] {
                match answer {
                    Ok(Some((records, until))) => {
                        any = true;
                        found.until(until);
                        found.add(records.into_iter().filter_map(|record| match record {
                            RData::A(address) => Some(IpAddr::V4(address.0)),
                            RData::AAAA(address) => Some(IpAddr::V6(address.0)),
                            _ => None,
                        }));
                    }
                    Ok(None) => {}
                    Err(error) => failed = Some(error),
                }
            }
            if !any && self.asks_system {
                // `/etc/hosts` and whatever else this host looks names up by.
                if let (_, Ok(addresses)) = names::look_up(host.clone()).await {
                    found.until(Instant::now() + LOCAL_LIFE);
                    found.add(addresses);
                    continue;
                }
            }
            match failed {
                Some(error) => found.miss(host, &error),
                None if !any => found.miss(host, "has no address"),
                None => {}
            }
        }
    }

    async fn both_families(&self, host: &str) -> (Answer, Answer) {
        tokio::join!(self.ask(host, RecordType::A), self.ask(host, RecordType::AAAA))
    }

    async fn ask(&self, name: &str, kind: RecordType) -> Answer {
        match self.resolver.lookup(format!("{name}."), kind).await {
            Ok(answer) => {
                let records: Vec<RData> = answer
                    .answers()
                    .iter()
                    .filter(|record| record.record_type() == kind)
                    .map(|record| record.data.clone())
                    .collect();
                Ok((!records.is_empty()).then(|| (records, answer.valid_until())))
            }
            Err(error) if error.is_no_records_found() || error.is_nx_domain() => Ok(None),
            Err(NetError::Timeout) => Err("the name server does not answer".to_owned()),
            Err(error) => Err(error.to_string().chars().take(200).collect()),
        }
    }
}

/// What has been found so far.
#[derive(Default)]
struct Found {
    addresses: BTreeSet<IpAddr>,
    until: Option<Instant>,
    any_service: bool,
    missing: Option<String>,
}

impl Found {
    fn add(&mut self, addresses: impl IntoIterator<Item = IpAddr>) {
        for address in addresses {
            if self.addresses.len() < MAX_ADDRESSES {
                self.addresses.insert(address);
            }
        }
    }

    fn until(&mut self, until: Instant) {
        self.until = Some(self.until.map_or(until, |known| known.min(until)));
    }

    fn miss(&mut self, name: &str, error: &str) {
        self.missing.get_or_insert_with(|| format!("{name}: {error}"));
    }

    fn located(self) -> Result<Located, String> {
        if self.addresses.is_empty() {
            return Err(self.missing.unwrap_or_else(|| "has no address".to_owned()));
        }
        let now = Instant::now();
        let until = self.until.unwrap_or(now).clamp(now + MIN_LIFE, now + MAX_LIFE);
        Ok(Located { addresses: self.addresses, again_at: Some(until), missing: self.missing })
    }
}

/// A name of the protocol without its final dot.
fn plain(name: &str) -> String {
    name.trim_end_matches('.').to_ascii_lowercase()
}

#[cfg(test)]
pub mod tests;
