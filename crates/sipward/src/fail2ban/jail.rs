//! The jails that watch SIP, and what of their settings sipward has too.

use std::net::{IpAddr, Ipv4Addr};
use std::ops::RangeInclusive;
use std::path::Path;

use ipnet::{IpNet, Ipv4Net};
use sipward_engine::Scope;

use super::counts::{self, Counts};
use super::escalation::{self, Escalation};
use super::ini::{Ini, is_true, text};
use super::reach::{self, Reach};
use super::time::{self, Span};
use super::{ImportError, Notes, RawAddress, Takeover};
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

/// Default of `policy.ban_time`.
const BAN_TIME_BY_DEFAULT: u64 = 3_600;

/// What an operator should know of ports.
const SIP_PORTS: &str = "scope = \"sip\" blocks packets to the ports of FreeSWITCH's profiles, \
                         regardless of the jail's ports";

/// One jail.
#[derive(Clone, Debug, PartialEq)]
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
    /// `bantime.increment` and what belongs to it.
    escalation: Option<Escalation>,
    /// What its `maxretry` is a number of.
    counts: Counts,
    /// What its actions stop.
    pub(super) reach: Option<Reach>,
}

/// The jails to take: those of these names, or all enabled ones that watch SIP.
pub(super) fn choose(
    directory: &Path,
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
    let mut others = Vec::new();
    for name in files.sections().filter(|name| *name != "INCLUDES") {
        let chosen = if names.is_empty() {
            watches_sip(files, name)
        } else {
            names.iter().any(|wanted| wanted == name)
        };
        let enabled = || files.value(name, "enabled").and_then(Result::ok);
        let enabled = enabled().is_some_and(|value| is_true(&value));
        if !chosen {
            if names.is_empty() && enabled {
                others.push(name);
            }
        } else if jails.len() >= MAX_JAILS {
            notes.add(format!("jail {name} is left out: more than {MAX_JAILS} jails watch SIP"));
        } else if enabled || !names.is_empty() {
            jails.push(Jail::read(directory, files, name, !names.is_empty(), notes));
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
    tell_others(&others, notes);
    // Whose numbers count: the jail of fail2ban's own name for it before others.
    jails.sort_by_key(|jail| jail.name != "freeswitch");
    Ok(jails)
}

/// Which enabled jails watch SIP, by name; for a look at a host where fail2ban runs.
pub(super) fn enabled_sip_jails(directory: &Path, files: &Ini) -> Vec<String> {
    let mut notes = Notes::default();
    let jails = choose(directory, files, &[], &mut notes).unwrap_or_default();
    jails.into_iter().map(|jail| jail.name).collect()
}

/// Enabled jails that do not watch SIP.
fn tell_others(others: &[&str], notes: &mut Notes) {
    let is_recidive = |name: &&&str| name.eq_ignore_ascii_case("recidive");
    if let Some(recidive) = others.iter().find(is_recidive) {
        notes.add(format!(
            "jail {recidive} is left out: it bans again whom other jails banned; policy.escalation lengthens every \
             further ban instead. `--jail {recidive}` takes the bans it has made"
        ));
    }
    let others: Vec<&str> =
        others.iter().filter(|name| !is_recidive(name)).take(MAX_JAILS).copied().collect();
    if !others.is_empty() {
        notes.add(format!(
            "left out, because they do not watch SIP: {}; keep fail2ban for them",
            others.join(", ")
        ));
    }
}

/// What becomes of the jails' settings here.
pub(super) fn take_over(jails: Vec<Jail>, notes: &mut Notes) -> Takeover {
    let mut takeover = Takeover::default();
    if let Some(first) = jails.iter().find(|jail| jail.counts == Counts::Failures) {
        takeover.max_failures = first.taken_max_retry(notes);
        takeover.window_seconds = first.taken_find_time(notes);
        takeover.ban_time_seconds = first.taken_ban_time(notes);
        if let Some(Escalation { factor, max }) = first.escalation {
            takeover.escalation_factor = factor;
            takeover.escalation_max_seconds = max;
        } else {
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
    }
    // sipward refuses a longest ban below the first one.
    let first_ban = takeover.ban_time_seconds.unwrap_or(BAN_TIME_BY_DEFAULT);
    takeover.escalation_max_seconds = takeover.escalation_max_seconds.map(|max| {
        if max < first_ban {
            notes.add(format!(
                "bantime.maxtime is below bantime; escalation.max = {first_ban}s is taken"
            ));
        }
        max.max(first_ban)
    });
    if let Some(jail) = jails.iter().find(|jail| jail.counts == Counts::RawAddress) {
        takeover.raw_address = Some(RawAddress {
            threshold: jail.taken_max_retry(notes),
            window_seconds: jail.taken_find_time(notes),
            ban_time_seconds: jail.taken_ban_time(notes),
        });
    }
    let leading = jails.iter().find(|jail| jail.counts == Counts::Failures).or(jails.first());
    let reach = leading.and_then(|jail| jail.reach.as_ref());
    takeover.scope = reach.map(|reach| reach.scope);
    takeover.scope_by = reach.map(|reach| reach.by.clone());
    if takeover.scope == Some(Scope::Sip) {
        notes.add(SIP_PORTS.to_owned());
    }
    tell_numbers_left_out(&jails, notes);
    tell_differences(&jails, notes);
    take_ignored(jails.iter().flat_map(|jail| &jail.ignore), &mut takeover, notes);
    takeover.jails = jails;
    takeover
}

/// `[DEFAULT]`'s `ignoreip`, for an installation without a jail that watches SIP.
pub(super) fn default_ignored(files: &Ini, notes: &mut Notes) -> Takeover {
    let mut takeover = Takeover::default();
    take_ignored(&ignore_list(files, "DEFAULT", notes), &mut takeover, notes);
    takeover
}

fn take_ignored<'a>(
    hosts: impl IntoIterator<Item = &'a String>,
    takeover: &mut Takeover,
    notes: &mut Notes,
) {
    for host in hosts {
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
}

/// Jails whose `maxretry`, `findtime` and `bantime` are numbers of something else than failed log-ins.
fn tell_numbers_left_out(jails: &[Jail], notes: &mut Notes) {
    for jail in jails {
        let name = &jail.name;
        match jail.counts {
            Counts::Failures => {}
            Counts::RawAddress => notes.add(format!(
                "jail {name} counts registrations to an address in place of a domain: its numbers become \
                 policy.rules.raw_address, not max_failures"
            )),
            Counts::Other(what) => notes.add(format!(
                "jail {name} counts {what}, not failed log-ins alone: its maxretry, findtime and bantime are left out"
            )),
            Counts::Unknown => notes.add(format!(
                "jail {name}: what its filter counts is not known here, so its maxretry, findtime and bantime are left \
                 out; if it counts failed log-ins, `--jail {name}` takes them"
            )),
        }
    }
}

/// Other jails may have other numbers, and sipward has one set.
fn tell_differences(jails: &[Jail], notes: &mut Notes) {
    let mut counting = jails.iter().filter(|jail| jail.counts == Counts::Failures);
    let Some(first) = counting.next() else {
        return;
    };
    for jail in counting {
        let numbers = |jail: &Jail| (jail.max_retry, jail.find_time, jail.ban_time);
        if numbers(jail) != numbers(first) {
            notes.add(format!(
                "jail {} has other values than {}, which are used; choose with --jail",
                jail.name, first.name
            ));
        }
    }
    for jail in jails {
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
    fn read(directory: &Path, files: &Ini, name: &str, is_named: bool, notes: &mut Notes) -> Self {
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
        let filter = text(files, name, "filter", notes).unwrap_or_default();
        let counts = match counts::of(directory, name, &filter) {
            // Who names the jail knows what it counts.
            Counts::Unknown if is_named => Counts::Failures,
            counts => counts,
        };
        let ban_time = span("bantime", notes);
        let escalation = match counts {
            Counts::Failures => escalation::of(files, name, ban_time, notes),
            Counts::RawAddress | Counts::Other(_) | Counts::Unknown => None,
        };
        Self {
            name: name.to_owned(),
            max_retry,
            find_time: span("findtime", notes),
            ban_time,
            ignore: ignore_list(files, name, notes),
            escalation,
            counts,
            reach,
        }
    }

    fn taken_max_retry(&self, notes: &mut Notes) -> Option<u32> {
        let count = self.max_retry.map(|count| within("maxretry", count, FAILURES, notes));
        count.and_then(|count| u32::try_from(count).ok())
    }

    fn taken_find_time(&self, notes: &mut Notes) -> Option<u64> {
        self.find_time.map(|span| match span {
            Span::Seconds(seconds) => within("findtime", seconds, WINDOW, notes),
            Span::Permanent => within("findtime", u64::MAX, WINDOW, notes),
        })
    }

    fn taken_ban_time(&self, notes: &mut Notes) -> Option<u64> {
        self.ban_time.map(|span| match span {
            Span::Seconds(seconds) => within("bantime", seconds, BAN_TIME, notes),
            Span::Permanent => {
                notes.add(
                    "bantime = -1: sipward has no automatic ban without an end; 365 days, the longest, \
                     is taken"
                        .to_owned(),
                );
                *BAN_TIME.end()
            }
        })
    }
}

/// `ignoreip`, as written.
fn ignore_list(files: &Ini, section: &str, notes: &mut Notes) -> Vec<String> {
    let written = text(files, section, "ignoreip", notes).unwrap_or_default();
    let hosts = written.split(|c: char| c.is_whitespace() || c == ',');
    hosts.filter(|host| !host.is_empty()).map(str::to_owned).collect()
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
        // A slip of the pen more often than a host: `none`, or the words of a comment.
        HostEntry::Name(name) if !name.contains('.') => {
            return Err(format!(
                "`{shown}` is a single word, no DNS name; if it is a host, `sipward allow add {shown}`"
            ));
        }
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
