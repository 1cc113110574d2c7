//! The keys of `sipward.toml`. Each is optional, so an empty file is a whole configuration; the
//! commented example `deploy/sipward.toml` gives each key's range, default and reason.
//!
//! A key that is left out is `None` here and keeps the default of the type it belongs to
//! ([`sipward_engine::Policy`], [`sipward_route::Settings`]): defaults are written down once.

mod allow;
mod api;
mod fleet;
mod geo;
mod http;
mod notify;
mod policy;
mod route;
mod rules;
mod shield;
mod span;
mod store;

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::error::Problem;
use super::{Config, HostEntry, Mode};
use allow::AllowItem;
use api::ApiFile;
pub use api::{Api, DEFAULT_SOCKET};
use fleet::FleetFile;
use geo::GeoFile;
use http::HttpFile;
use notify::{MailFile, WebhookFile, WhoisFile};
use policy::PolicyFile;
use route::RouteFile;
use shield::ShieldFile;
pub use shield::{Share, Shield};
use span::Span;
use store::StoreFile;

/// Most entries of each of `allow` and `proxies`.
const MAX_HOSTS: usize = 16_384;

/// Most lists in `allow_acl`: each is one question to FreeSWITCH for each suspect.
const MAX_ACLS: usize = 16;

/// The whole file.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct File {
    mode: Option<Mode>,
    on_exit: Option<OnExit>,
    #[serde(alias = "ignoreip")]
    allow: Option<Vec<AllowItem>>,
    allow_acl: Option<Vec<String>>,
    read_sofia_conf: Option<bool>,
    proxies: Option<Vec<HostEntry>>,
    dns_refresh: Option<Span>,
    policy: PolicyFile,
    route: RouteFile,
    shield: ShieldFile,
    esl: EslFile,
    store: StoreFile,
    log: LogFile,
    api: ApiFile,
    http: HttpFile,
    mail: MailFile,
    webhook: WebhookFile,
    whois: WhoisFile,
    geo: GeoFile,
    fleet: FleetFile,
}

/// What happens to the routes when the daemon stops.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum OnExit {
    /// They remain: a restart leaves no gap.
    #[default]
    Keep,
    /// Routes, rules and gate are removed.
    Flush,
}

/// `[esl]`.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
struct EslFile {
    connect_timeout: Option<Span>,
    heartbeat_timeout: Option<Span>,
    retry_near: Option<Span>,
    retry_far: Option<Span>,
    queue: Option<usize>,
}

/// The Event Socket connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Esl {
    /// Time limit for the TCP connection.
    pub connect_timeout: Duration,
    /// Silence after which the connection counts as dead.
    pub heartbeat_timeout: Duration,
    /// Pause between two attempts where FreeSWITCH is on this host or on a network that it is connected to.
    pub retry_near: Duration,
    /// Longest pause between two attempts elsewhere; the first is `retry_near`, and each is twice the last.
    pub retry_far: Duration,
    /// Events that wait for the engine at most.
    pub queue: usize,
}

/// `[log]`.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
struct LogFile {
    level: Option<LogLevel>,
}

/// `log.level`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum LogLevel {
    /// Something does not work until the operator acts.
    Error,
    /// Something should be checked.
    Warn,
    /// Bans, failures, connections.
    #[default]
    Info,
    /// What the parts of the program do.
    Debug,
    /// Every message in and out.
    Trace,
}

impl File {
    /// Checks ranges and what depends on each other.
    pub(super) fn into_config(self) -> Result<Config, Problem> {
        let File { mode, on_exit, allow, allow_acl, read_sofia_conf, proxies, dns_refresh, .. } =
            self;
        let File {
            policy,
            route,
            shield,
            esl,
            store,
            log,
            api,
            http,
            mail,
            webhook,
            whois,
            geo,
            fleet,
            ..
        } = self;
        let (allow, allow_notes) = allow::checked(allow.unwrap_or_default())?;
        let allow = hosts("allow", Some(allow))?;
        let proxies = hosts("proxies", proxies)?;
        let allow_acl = acls(allow_acl)?;
        let dns_refresh = dns_refresh.map_or(Duration::from_secs(300), Span::get);
        span::within(
            "dns_refresh",
            dns_refresh,
            Duration::from_secs(10)..=Duration::from_secs(86_400),
        )?;
        let shield = shield.checked(route.stranger_packets())?;
        Ok(Config {
            mode: mode.unwrap_or_default(),
            mode_is_fixed: false,
            on_exit: on_exit.unwrap_or_default(),
            allow,
            allow_notes,
            proxies,
            dns_refresh,
            policy_keys: policy.written(),
            policy: policy.checked(!allow_acl.is_empty())?,
            allow_acl,
            read_sofia_conf: read_sofia_conf.unwrap_or(true),
            sip_ports_auto: route.has_auto_ports(),
            route: route.checked(&shield)?,
            shield,
            esl: esl.checked()?,
            store: store.checked()?,
            log_level: log.level.unwrap_or_default(),
            api: api.checked()?,
            http: http.checked()?,
            mail: mail.checked()?,
            webhook: webhook.checked()?,
            whois: whois.checked()?,
            geo: geo.checked()?,
            fleet: fleet.checked()?,
        })
    }
}

fn hosts(key: &str, written: Option<Vec<HostEntry>>) -> Result<Vec<HostEntry>, Problem> {
    let hosts = written.unwrap_or_default();
    if hosts.len() > MAX_HOSTS {
        let count = hosts.len();
        return Err(Problem::new(
            key,
            format!("{count} entries, more than {MAX_HOSTS}; write networks"),
        ));
    }
    Ok(hosts)
}

/// `allow_acl`. The names become parts of a command, so they must not contain spaces.
fn acls(written: Option<Vec<String>>) -> Result<Vec<String>, Problem> {
    let lists =
        written.unwrap_or_else(|| ["domains", "providers", "trusted"].map(str::to_owned).into());
    if lists.len() > MAX_ACLS {
        return Err(Problem::new("allow_acl", format!("more than {MAX_ACLS} lists")));
    }
    let is_word = |name: &String| {
        (1..=64).contains(&name.len())
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-.:".contains(&b))
    };
    match lists.iter().find(|name| !is_word(name)) {
        Some(name) => Err(Problem::new(
            "allow_acl",
            format!("`{}` is not a valid name of a list in acl.conf.xml", name.escape_debug()),
        )),
        None => Ok(lists),
    }
}

impl EslFile {
    fn checked(self) -> Result<Esl, Problem> {
        let esl = Esl {
            connect_timeout: self.connect_timeout.map_or(Duration::from_secs(10), Span::get),
            heartbeat_timeout: self.heartbeat_timeout.map_or(Duration::from_secs(60), Span::get),
            retry_near: self.retry_near.map_or(Duration::from_millis(250), Span::get),
            retry_far: self.retry_far.map_or(Duration::from_secs(5), Span::get),
            queue: self.queue.unwrap_or(65_536),
        };
        span::within(
            "esl.connect_timeout",
            esl.connect_timeout,
            Duration::from_secs(1)..=Duration::from_secs(120),
        )?;
        // FreeSWITCH sends a HEARTBEAT every 20 s (switch.conf.xml, event-heartbeat-interval).
        span::within(
            "esl.heartbeat_timeout",
            esl.heartbeat_timeout,
            Duration::from_secs(21)..=Duration::from_secs(3_600),
        )?;
        span::within(
            "esl.retry_near",
            esl.retry_near,
            Duration::from_millis(50)..=Duration::from_secs(60),
        )?;
        span::within(
            "esl.retry_far",
            esl.retry_far,
            Duration::from_millis(250)..=Duration::from_secs(300),
        )?;
        if !(1_024..=1_048_576).contains(&esl.queue) {
            return Err(Problem::new(
                "esl.queue",
                format!("{} is not between 1024 and 1048576 events", esl.queue),
            ));
        }
        Ok(esl)
    }
}

/// Puts what is written over the default.
fn set<T>(field: &mut T, written: Option<T>) {
    if let Some(value) = written {
        *field = value;
    }
}
