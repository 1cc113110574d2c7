//! What the actions of a jail stop: the whole host, or some of its ports.
//!
//! Read are `action`, and `banaction` where there is none, as `jail.conf(5)` has them: names with options in
//! brackets, `nftables[type=multiport][port="5060,5061", protocol=udp]`. Actions that only send something (mail,
//! reports) stop nothing; programs that are not fail2ban's own are unknown.

use sipward_engine::Scope;

/// Actions looked at of a jail at most, and options of one.
const MAX_ACTIONS: usize = 32;
const MAX_OPTIONS: usize = 32;

/// Longest list of ports that is shown, in characters.
const MAX_SHOWN: usize = 80;

/// How the names of actions begin that take a list of ports.
const BY_PORT: [&str; 6] = ["iptables", "nftables", "firewallcmd", "pf", "ipfw", "bsd-ipfw"];

/// Names of actions that know no ports: they stop the host.
const BY_HOST: [&str; 9] = [
    "route",
    "hostsdeny",
    "shorewall",
    "ufw",
    "apf",
    "npf",
    "ipfilter",
    "iptables-xt_recent-echo",
    "osx-afctl",
];

/// Options by which an action is switched from ports to all of them.
const SWITCHES: [&str; 3] = ["type", "actiontype", "blocktype"];

/// What a jail's bans stop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Reach {
    /// As sipward has it.
    pub(super) scope: Scope,
    /// By which setting, to be shown: `port = 5060,5061`, `action iptables-allports`. Holds no control characters.
    pub(super) by: String,
}

/// What `actions` stop, the widest of them; `port` is the jail's own, for actions that name none. `None` when no
/// action that is known stops anything.
pub(super) fn of(actions: &str, port: Option<&str>) -> Option<Reach> {
    let reaches = split(actions).into_iter().take(MAX_ACTIONS).filter_map(|text| one(text, port));
    let mut found: Option<Reach> = None;
    for reach in reaches {
        if found.as_ref().is_none_or(|kept| kept.scope == Scope::Sip && reach.scope == Scope::Host)
        {
            found = Some(reach);
        }
    }
    found
}

fn one(text: &str, jail_port: Option<&str>) -> Option<Reach> {
    let (name, options) = text.split_once('[').unwrap_or((text, ""));
    let name = name.trim().to_ascii_lowercase();
    let options = read_options(options);
    let of = |key: &str| options.iter().rev().find(|(k, _)| k == key).map(|(_, v)| v.as_str());
    let by_action = || Reach { scope: Scope::Host, by: format!("action {}", shown(&name)) };
    if is_one_of(&name, &BY_HOST) {
        return Some(by_action());
    }
    if !is_one_of(&name, &BY_PORT) {
        return None;
    }
    let switched = SWITCHES.iter().filter_map(|key| of(key)).find(|value| is_all(value));
    if let Some(value) = switched {
        return Some(Reach {
            scope: Scope::Host,
            by: format!("action {}, {}", shown(&name), shown(value)),
        });
    }
    if name.contains("allports") {
        return Some(by_action());
    }
    let port = of("port").or(jail_port)?.trim();
    let scope = if port.is_empty() || is_all(port) { Scope::Host } else { Scope::Sip };
    Some(Reach { scope, by: format!("port = {}", shown(port)) })
}

/// One of these actions, or one whose name goes on behind a hyphen: `iptables-multiport`.
fn is_one_of(name: &str, known: &[&str]) -> bool {
    known.iter().any(|known| {
        name.strip_prefix(known).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
    })
}

/// Every port: `all`, `allports`, `<allports>` (of pf), `0:65535`, `1-65535`, also as one of a list.
fn is_all(value: &str) -> bool {
    value.split(',').any(|part| {
        let part = part.trim().trim_matches(['<', '>']).to_ascii_lowercase();
        let is_range = part.split_once([':', '-']).is_some_and(|(first, last)| {
            matches!(first.trim(), "" | "0" | "1") && matches!(last.trim(), "" | "65535")
        });
        is_range || matches!(part.as_str(), "all" | "any" | "allports")
    })
}

/// Cuts at white space outside brackets and quotes.
fn split(actions: &str) -> Vec<&str> {
    let (mut depth, mut quote, mut start) = (0_usize, None, None);
    let mut found = Vec::new();
    for (at, c) in actions.char_indices() {
        match (c, quote) {
            (_, Some(open)) if c == open => quote = None,
            ('"' | '\'', None) if depth > 0 => quote = Some(c),
            ('[', None) => depth += 1,
            (']', None) => depth = depth.saturating_sub(1),
            _ => {}
        }
        let is_gap = depth == 0 && quote.is_none() && (c.is_whitespace() || c == ',');
        match (is_gap, start) {
            (true, Some(from)) => {
                found.extend(actions.get(from..at));
                start = None;
            }
            (false, None) => start = Some(at),
            (true, None) | (false, Some(_)) => {}
        }
    }
    found.extend(start.and_then(|from| actions.get(from..)));
    found
}

/// `key=value` of all groups of brackets, the first bracket already gone; quotes are taken off.
fn read_options(text: &str) -> Vec<(String, String)> {
    let mut options = Vec::new();
    let (mut option, mut quote) = (String::new(), None);
    for c in text.chars() {
        match (c, quote) {
            (_, Some(open)) if c == open => quote = None,
            ('"' | '\'', None) => quote = Some(c),
            (',' | ']' | '[', None) => {
                keep(&option, &mut options);
                option.clear();
            }
            _ => option.push(c),
        }
    }
    keep(&option, &mut options);
    options
}

fn keep(option: &str, options: &mut Vec<(String, String)>) {
    if let Some((key, value)) = option.split_once('=')
        && options.len() < MAX_OPTIONS
    {
        options.push((key.trim().to_ascii_lowercase(), value.trim().to_owned()));
    }
}

fn shown(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let short: String = line.chars().take(MAX_SHOWN).collect();
    short.escape_debug().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scope(actions: &str, port: Option<&str>) -> Option<Scope> {
        of(actions, port).map(|reach| reach.scope)
    }

    #[test]
    fn a_list_of_ports_is_scope_sip() {
        let sip = Some(Scope::Sip);
        for action in [
            "iptables-multiport[name=FreeSWITCH, port=\"5060,5061\", protocol=udp]",
            "iptables-multiport[name=FreeSWITCH, port='5060:5080']",
            "nftables[type=multiport][port=\"5060,5061\"]",
            "nftables-multiport[port=5060]",
            "firewallcmd-rich-rules[port=\"5060\"]",
            "iptables-ipset-proto6[name=x, port=\"sip,sip-tls\"]",
            "pf[actiontype=<multiport>, port=\"5060\"]",
            "bsd-ipfw[port=5060]",
        ] {
            assert_eq!(scope(action, Some("0:65535")), sip, "{action}");
        }
        assert_eq!(scope("iptables", Some("5060,5061")), sip, "the jail's own ports");
    }

    #[test]
    fn all_ports_are_scope_host() {
        let host = Some(Scope::Host);
        for action in [
            "iptables-allports[name=FreeSWITCH, protocol=all]",
            "iptables[type=allports][port=\"5060\"]",
            "nftables[type=\"allports\"]",
            "nftables-allports",
            "iptables-ipset-proto6-allports[name=x]",
            "pf[actiontype=<allports>]",
            "firewallcmd-ipset[actiontype=<allports>]",
            "iptables-multiport[port=\"0:65535\"]",
            "iptables-multiport[port=\"1:65535\"]",
            "iptables-multiport[port=all]",
            "iptables-multiport[blocktype=all]",
            "iptables-multiport[port=\"5060,0:65535\"]",
            "route",
            "hostsdeny[daemon_list=ALL]",
            "ufw",
            "shorewall-ipset-proto6",
        ] {
            assert_eq!(scope(action, Some("5060")), host, "{action}");
        }
    }

    #[test]
    fn the_widest_of_several_actions_counts_and_mails_stop_nothing() {
        let mails =
            "sendmail-whois[name=x, dest=\"a, b\"]\nabuseipdb[abuseipdb_category=\"18,22\"]";
        assert_eq!(scope(mails, Some("5060")), None);
        let both = format!("iptables-multiport[port=\"5060\"]\n{mails}");
        assert_eq!(scope(&both, None), Some(Scope::Sip));
        let wide = format!("{both}\niptables-allports[name=x]");
        let reach = of(&wide, None).unwrap();
        assert_eq!((reach.scope, reach.by.as_str()), (Scope::Host, "action iptables-allports"));
        assert_eq!(scope("pfsense-of-somebody ./own.sh", Some("5060")), None);
        assert_eq!(scope("iptables-multiport", None), None, "no ports are known");
    }

    #[test]
    fn the_last_of_two_groups_of_options_wins_and_quotes_hold_commas() {
        let action = "iptables-multiport[port=\"0:65535\", chain=\"INPUT\"][port=\"5060,5061\"]";
        let reach = of(action, None).unwrap();
        assert_eq!((reach.scope, reach.by.as_str()), (Scope::Sip, "port = 5060,5061"));
    }
}
