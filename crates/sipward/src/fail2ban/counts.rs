//! What a jail counts: failed log-ins, registrations to an address, or something that sipward has no number for.
//!
//! The expressions of its filter decide where they can be read, then the filter's name, then the jail's. fail2ban's
//! own `freeswitch` and the jails of FusionPBX's installer are known by name.

use std::path::Path;

use super::ini::Ini;
use super::{Notes, files};

/// What a jail's `maxretry` is a number of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Counts {
    /// Failed log-ins: `max_failures`.
    Failures,
    /// Registrations that name an address in place of a domain: `rules.raw_address`.
    RawAddress,
    /// Something else, in words that go on with "the jail counts".
    Other(&'static str),
    /// Nothing here says what.
    Unknown,
}

const ACL: Counts = Counts::Other("rejections by access control lists");
const CHALLENGES: Counts =
    Counts::Other("challenges, which every healthy phone gets at each registration");
const MIXED: Counts =
    Counts::Other("failed log-ins together with rejections by access control lists");
const CALLS: Counts = Counts::Other("calls to numbers that do not exist (rule `calls`)");
const BANS: Counts =
    Counts::Other("bans of other jails (policy.escalation lengthens every further ban)");

/// Filters whose plain name stands for failed log-ins, also with one of these words behind it.
const SERVERS: [&str; 4] = ["freeswitch", "asterisk", "kamailio", "opensips"];
const LOG_IN_WORDS: [&str; 8] =
    ["auth", "failure", "failed", "login", "register", "iptables", "tcp", "udp"];

/// What the jail `name` with `filter` (`freeswitch[mode=normal]`) counts; `directory` holds `filter.d`.
pub(super) fn of(directory: &Path, name: &str, filter: &str) -> Counts {
    let (base, options) = filter.split_once('[').unwrap_or((filter, ""));
    let base = base.trim();
    let by_name = match by_name(base) {
        Counts::Unknown => by_name(name),
        known => known,
    };
    let counts = by_expressions(&expressions(directory, base)).unwrap_or(by_name);
    if counts == Counts::Failures && counts_challenges(options) { CHALLENGES } else { counts }
}

/// Modes of fail2ban's filter `freeswitch` that match *SIP auth challenge* beside failures.
fn counts_challenges(options: &str) -> bool {
    let options = options.to_ascii_lowercase();
    let mut modes = options.rsplit([',', '[', ']']).filter_map(|option| option.split_once('='));
    // The last one counts.
    let mode = modes.find(|(key, _)| key.trim() == "mode");
    mode.is_some_and(|(_, mode)| {
        matches!(mode.trim().trim_matches(['"', '\'']), "ddos" | "extra" | "aggressive")
    })
}

fn by_name(name: &str) -> Counts {
    let name = name.to_ascii_lowercase();
    let words: Vec<&str> = name.split(|c: char| !c.is_ascii_alphanumeric()).collect();
    let has = |wanted: &[&str]| words.iter().any(|word| wanted.contains(word));
    let is_web = has(&["nginx", "apache", "fusionpbx"]);
    if has(&["recidive"]) {
        BANS
    } else if has(&["acl"]) {
        ACL
    } else if has(&["404"]) {
        CALLS
    } else if is_web {
        Counts::Unknown
    } else if has(&["ip"]) {
        Counts::RawAddress
    } else if has(&["challenge", "challenges", "dos", "ddos"]) {
        CHALLENGES
    } else if has(&LOG_IN_WORDS) || SERVERS.contains(&name.as_str()) || name == "sip" {
        Counts::Failures
    } else {
        Counts::Unknown
    }
}

/// `failregex` of the filter in small letters; empty when there is none.
fn expressions(directory: &Path, filter: &str) -> String {
    // The name becomes a path below `filter.d`.
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if filter.is_empty() || filter.starts_with('.') || !filter.chars().all(is_plain) {
        return String::new();
    }
    // What is wrong with a filter is no concern of the takeover: its name says enough.
    let mut unread = Notes::default();
    let files = files::read(&directory.join("filter.d"), filter, &mut unread).unwrap_or_default();
    let value = |files: &Ini| files.value("Definition", "failregex").and_then(Result::ok);
    // FusionPBX writes `\@`, which is `@`.
    value(&files).unwrap_or_default().to_ascii_lowercase().replace("\\@", "@")
}

fn by_expressions(text: &str) -> Option<Counts> {
    let has = |parts: &[&str]| parts.iter().any(|part| text.contains(part));
    let either = has(&["failure|challenge", "challenge|failure"]);
    let failures = either || has(&["auth failure", "can't find user", "wrong password"]);
    let challenges = either || has(&["auth challenge"]);
    let acl = has(&["by acl"]);
    // `for \[.*@\d+.\d+.\d+.\d+\]`: the domain is an address.
    let names_address = has(&["@\\d+", "@\\d{1,3}", "@[0-9]", "@<ip", "@(?:\\d"]);
    Some(match (failures, challenges, acl) {
        (true, _, false) | (_, true, false) if names_address => Counts::RawAddress,
        (_, true, _) => CHALLENGES,
        (true, false, true) => MIXED,
        (true, false, false) => Counts::Failures,
        (false, false, true) => ACL,
        (false, false, false) if has(&["404 not found"]) => CALLS,
        (false, false, false) => return None,
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use tempfile::TempDir;

    use super::*;

    fn named(filter: &str) -> Counts {
        of(Path::new("/nonexistent"), "jail", filter)
    }

    #[test]
    fn the_filters_of_fail2ban_and_fusionpbx_are_known_by_name() {
        for filter in ["freeswitch", "freeswitch[mode=normal]", "asterisk", "sip-auth-failure"] {
            assert_eq!(named(filter), Counts::Failures, "{filter}");
        }
        for filter in ["freeswitch-ip", "auth-challenge-ip"] {
            assert_eq!(named(filter), Counts::RawAddress, "{filter}");
        }
        for (filter, counts) in [
            ("freeswitch-acl", ACL),
            ("sip-auth-challenge", CHALLENGES),
            ("freeswitch-dos", CHALLENGES),
            ("freeswitch[mode=ddos]", CHALLENGES),
            ("freeswitch[logpath=x, mode=\"extra\"]", CHALLENGES),
            ("freeswitch-404", CALLS),
            ("fusionpbx-404", CALLS),
            ("recidive", BANS),
            ("fusionpbx", Counts::Unknown),
            ("nginx-auth", Counts::Unknown),
            ("own-words", Counts::Unknown),
        ] {
            assert_eq!(named(filter), counts, "{filter}");
        }
        assert_eq!(of(Path::new("/nonexistent"), "freeswitch-acl", "own"), ACL);
    }

    #[test]
    fn the_expressions_of_a_filter_count_more_than_its_name() {
        let directory = TempDir::new().unwrap();
        let folder = directory.path().join("filter.d");
        fs::create_dir(&folder).unwrap();
        for (expressions, counts) in [
            (r"SIP auth failure \((REGISTER|INVITE)\) .* from ip <HOST>", Counts::Failures),
            (r"SIP auth challenge \(REGISTER\) .* from ip <HOST>", CHALLENGES),
            (r"SIP auth (failure|challenge) \(REGISTER\) .* from ip <HOST>", CHALLENGES),
            (
                r"SIP auth challenge .* for \[.*\@\d+.\d+.\d+.\d+\] from ip <HOST>",
                Counts::RawAddress,
            ),
            (
                r"SIP auth challenge .* for \[.*@\d+.\d+.\d+.\d+\] from ip <HOST>",
                Counts::RawAddress,
            ),
            (r#"IP <HOST> Rejected by acl "\S*""#, ACL),
            ("SIP auth failure from <HOST>\n  IP <HOST> Rejected by acl", MIXED),
        ] {
            let text = format!("[Definition]\nfailregex = {expressions}\n");
            fs::write(folder.join("freeswitch.conf"), text).unwrap();
            assert_eq!(of(directory.path(), "jail", "freeswitch"), counts, "{expressions}");
        }
        assert_eq!(of(directory.path(), "jail", "../filter.d/freeswitch"), Counts::Unknown);
    }
}
