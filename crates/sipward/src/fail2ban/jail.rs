//! The jails that watch SIP, and what of their settings sipward has too.

use std::net::{IpAddr, Ipv4Addr};
use std::ops::RangeInclusive;

use ipnet::{IpNet, Ipv4Net};
use sipward_engine::Scope;

use super::ini::Ini;
use super::reach::{self, Reach};
use super::time::{self, Span};
use super::{ImportError, Notes, Takeover};
use sipward_config::HostEntry;

/// Words by which a jail is known to watch SIP: in its name, its filter or its log file. FusionPBX calls
/// its jails `sip-auth-failure`, `auth-challenge-ip` and the like.
const SIP_WORDS: [&str; 6] =
    ["freeswitch", "asterisk", "sip", "auth-challenge", "kamailio", "opensips"];

/// Jails taken at most.
const MAX_JAILS: usize = 64;

/// Addresses, networks and names taken of `ignoreip` at most: as many as `allow` may hold.
const MAX_ALLOW: usize = 16_384;

/// `policy.max_failures`.
const FAILURES: RangeInclusive<u64> = 1..=1_000;
/// `policy.window` in seconds: 1s to 7d.
const WINDOW: RangeInclusive<u64> = 1..=7 * 86_400;
/// `policy.ban_time` in seconds: 1s to 365d.
const BAN_TIME: RangeInclusive<u64> = 1..=365 * 86_400;

/// What an operator should know of ports.
const SIP_PORTS: &str = "scope = \"sip\" blocks packets to the ports of FreeSWITCH's profiles, \
                         regardless of the jail's ports";

/// One jail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Jail {
    /// Its name.
    pub name: String,
    /// `maxretry`.
    max_retry: Option<u64>,
    /// `findtime`.
    find_time: Option<Span>,
    /// `bantime`.
    pub(super) ban_time: Option<Span>,
    /// `ignoreip`, as written.
    ignore: Vec<String>,
    /// `bantime.increment`.
    increments: bool,
    /// What its actions stop.
    pub(super) reach: Option<Reach>,
}

/// The jails to take: those of these names, or all enabled ones that watch SIP.
pub(super) fn choose(
    files: &Ini,
    names: &[String],
    notes: &mut Notes,
) -> Result<Vec<Jail>, ImportError> {
    if let Some(missing) = names.iter().find(|name| !files.has_section(name)) {
        let known: Vec<&str> =
            files.sections().filter(|name| *name != "INCLUDES").take(40).collect();
        let missing = missing.escape_debug();
        return Err(ImportError::NoJail(format!(
            "there is no jail `{missing}`; fail2ban has {}",
            known.join(", ")
        )));
    }
    let mut jails = Vec::new();
    let mut disabled = Vec::new();
    for name in files.sections().filter(|name| *name != "INCLUDES") {
        let chosen = if names.is_empty() {
            watches_sip(files, name)
        } else {
            names.iter().any(|wanted| wanted == name)
        };
        if !chosen || jails.len() >= MAX_JAILS {
            continue;
        }
        let enabled = text(files, name, "enabled", notes).is_some_and(|value| is_true(&value));
        if enabled || !names.is_empty() {
            jails.push(Jail::read(files, name, notes));
        } else {
            disabled.push(name);
        }
    }
    if jails.is_empty() {
        return Err(ImportError::NoJail(match disabled.as_slice() {
            [] => "no jail of fail2ban watches SIP; name one with --jail".to_owned(),
            _ => format!(
                "no enabled jail of fail2ban watches SIP; --jail imports a disabled one ({})",
                disabled.join(", ")
            ),
        }));
    }
    // Whose numbers count: the jail of fail2ban's own name for it before others.
    jails.sort_by_key(|jail| jail.name != "freeswitch");
    Ok(jails)
}

/// Which enabled jails watch SIP, by name; for a look at a host where fail2ban runs.
pub(super) fn enabled_sip_jails(files: &Ini) -> Vec<String> {
    let mut notes = Notes::default();
    let jails = choose(files, &[], &mut notes).unwrap_or_default();
    jails.into_iter().map(|jail| jail.name).collect()
}

/// What becomes of the jails' settings here.
pub(super) fn take_over(jails: Vec<Jail>, notes: &mut Notes) -> Takeover {
    let mut takeover = Takeover::default();
    if let Some(first) = jails.first() {
        takeover.max_failures = first
            .max_retry
            .map(|count| within("maxretry", count, FAILURES, notes))
            .and_then(|count| u32::try_from(count).ok());
        takeover.window_seconds = first.find_time.map(|span| match span {
            Span::Seconds(seconds) => within("findtime", seconds, WINDOW, notes),
            Span::Permanent => within("findtime", u64::MAX, WINDOW, notes),
        });
        takeover.ban_time_seconds = first.ban_time.map(|span| match span {
            Span::Seconds(seconds) => within("bantime", seconds, BAN_TIME, notes),
            Span::Permanent => {
                notes.add(
                    "bantime = -1: automatic bans of sipward are never permanent; 365 days, the \
                     maximum, is used"
                        .to_owned(),
                );
                *BAN_TIME.end()
            }
        });
        takeover.scope = first.reach.as_ref().map(|reach| reach.scope);
        takeover.scope_by = first.reach.as_ref().map(|reach| reach.by.clone());
        if takeover.scope == Some(Scope::Sip) {
            notes.add(SIP_PORTS.to_owned());
        }
        if !first.increments {
            notes.add(format!(
                "jail {} bans repeat offenders no longer than others; sipward doubles the ban time \
                 (policy.escalation.factor = 1.0 disables that)",
                first.name
            ));
        }
        if takeover.max_failures.is_some() {
            notes.add(
                "fail2ban counts a guess of an unknown user twice (two log lines); sipward counts it \
                 once, so consider half of maxretry"
                    .to_owned(),
            );
        }
        tell_differences(&jails, notes);
    }
    for host in jails.iter().flat_map(|jail| &jail.ignore) {
        match ignored(host) {
            Ok(Some(entry)) => {
                if takeover.allow.len() < MAX_ALLOW && !takeover.allow.contains(&entry) {
                    takeover.allow.push(entry);
                }
            }
            Ok(None) => {}
            Err(problem) => notes.add(format!("ignoreip: {problem}; skipped")),
        }
    }
    takeover.jails = jails;
    takeover
}

/// Other jails may have other numbers, and sipward has one set.
fn tell_differences(jails: &[Jail], notes: &mut Notes) {
    let Some((first, others)) = jails.split_first() else {
        return;
    };
    for jail in others {
        let numbers = |jail: &Jail| (jail.max_retry, jail.find_time, jail.ban_time);
        if numbers(jail) != numbers(first) {
            notes.add(format!(
                "jail {} has other values than {}, which are used; choose with --jail",
                jail.name, first.name
            ));
        }
        let scope = |jail: &Jail| jail.reach.as_ref().map(|reach| reach.scope);
        if scope(jail) != scope(first) {
            notes.add(format!(
                "jail {} blocks {}, and {} blocks {}; new bans use the scope of the latter, \
                 imported bans that of their jail",
                jail.name,
                stops(jail),
                first.name,
                stops(first)
            ));
        }
    }
}

/// What the bans of a jail block, as text.
fn stops(jail: &Jail) -> &'static str {
    match jail.reach.as_ref().map(|reach| reach.scope) {
        Some(Scope::Host) => "the whole host",
        Some(Scope::Sip) => "some ports",
        None => "the targets of an unknown action",
    }
}

impl Jail {
    fn read(files: &Ini, name: &str, notes: &mut Notes) -> Self {
        let span = |key: &str, notes: &mut Notes| {
            let written = text(files, name, key, notes)?;
            let read = time::parse(&written);
            if read.is_none() {
                notes.add(format!("[{name}] {key} = {}: not a time span", written.escape_debug()));
            }
            read
        };
        let max_retry = text(files, name, "maxretry", notes).and_then(|written| {
            let read = written.trim().parse().ok();
            if read.is_none() {
                notes.add(format!("[{name}] maxretry = {}: not a number", written.escape_debug()));
            }
            read
        });
        let port = text(files, name, "port", notes);
        let actions = text(files, name, "action", notes)
            .filter(|actions| !actions.trim().is_empty())
            .or_else(|| text(files, name, "banaction", notes));
        let reach = actions.and_then(|actions| reach::of(&actions, port.as_deref()));
        let ignore = text(files, name, "ignoreip", notes).unwrap_or_default();
        let ignore = ignore.split(|c: char| c.is_whitespace() || c == ',');
        Self {
            name: name.to_owned(),
            max_retry,
            find_time: span("findtime", notes),
            ban_time: span("bantime", notes),
            ignore: ignore.filter(|host| !host.is_empty()).map(str::to_owned).collect(),
            increments: text(files, name, "bantime.increment", notes)
                .is_some_and(|value| is_true(&value)),
            reach,
        }
    }
}

fn text(files: &Ini, section: &str, key: &str, notes: &mut Notes) -> Option<String> {
    match files.value(section, key)? {
        Ok(value) => Some(value),
        Err(error) => {
            notes.add(error);
            None
        }
    }
}

fn watches_sip(files: &Ini, name: &str) -> bool {
    let of = |key| files.value(name, key).and_then(Result::ok).unwrap_or_default();
    // A filter may carry options: `freeswitch[mode=normal]`.
    let filter = of("filter");
    let filter = filter.split('[').next().unwrap_or_default();
    [name, filter, &of("logpath")].into_iter().any(|text| {
        let text = text.to_ascii_lowercase();
        SIP_WORDS.iter().any(|word| has_word(&text, word))
    })
}

/// Whether `text` contains `word` at the start of a word: `sip-auth` and `/var/log/asterisk`, but not
/// `gossip`.
fn has_word(text: &str, word: &str) -> bool {
    text.match_indices(word).any(|(at, _)| {
        let before = text.get(..at).and_then(|before| before.chars().next_back());
        before.is_none_or(|c| !c.is_ascii_alphanumeric())
    })
}

/// As Python and fail2ban read a switch.
fn is_true(value: &str) -> bool {
    matches!(value.trim().to_ascii_lowercase().as_str(), "1" | "on" | "true" | "yes")
}

fn within(key: &str, value: u64, range: RangeInclusive<u64>, notes: &mut Notes) -> u64 {
    let taken = value.clamp(*range.start(), *range.end());
    if taken != value {
        notes.add(format!("{key} = {value} is out of sipward's range; {taken} is used"));
    }
    taken
}

/// One word of `ignoreip`; `None` for what is always protected here.
fn ignored(host: &str) -> Result<Option<HostEntry>, String> {
    let shown = host.escape_debug();
    if host.starts_with("file:") {
        return Err(format!("`{shown}` names a file; add its addresses to `allow`"));
    }
    let entry = match with_netmask(host) {
        Some(net) => HostEntry::Net(IpNet::V4(net)),
        None => {
            host.parse().map_err(|_| format!("`{shown}` is neither address, network nor name"))?
        }
    };
    Ok(match &entry {
        HostEntry::Net(net) if net.addr().is_loopback() => None,
        HostEntry::Name(name) if name == "localhost" => None,
        HostEntry::Net(_) | HostEntry::Name(_) => Some(entry),
    })
}

/// `192.0.2.0/255.255.255.0`.
fn with_netmask(host: &str) -> Option<Ipv4Net> {
    let (address, mask) = host.split_once('/')?;
    let (address, mask): (IpAddr, Ipv4Addr) = (address.parse().ok()?, mask.parse().ok()?);
    match address {
        IpAddr::V4(address) => Ipv4Net::with_netmask(address, mask).ok().map(|net| net.trunc()),
        IpAddr::V6(_) => None,
    }
}
