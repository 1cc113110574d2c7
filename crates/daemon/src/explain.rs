//! The verdict on a source in one sentence: banned or not, and why, with the threshold that holds for it.
//!
//! Made of views of the engine and nothing else, so that `why`, the page and the API say the same.

use std::net::IpAddr;
use std::time::Duration;

use ipnet::IpNet;
use sipward_engine::{
    BanView, Cause, Evidence, Exemption, Expiry, Identity, Policy, RuleName, SLOWED_PER_SECOND,
    SourceView,
};

use sipward_model::text::{Plain, Span};

/// What a sentence is made of.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    pub view: &'a SourceView<'a>,
    pub policy: &'a Policy,
    /// The latest failures of the source within the window, whether they count or not.
    pub latest: Latest,
    /// The names of FreeSWITCH's gateways at the address.
    pub trunk: Option<&'a str>,
    /// What its host is limited to.
    pub slowed: Option<Limit>,
}

/// A limit of a host: an IPv4 address or an IPv6 /64.
#[derive(Clone, Copy, Debug)]
pub struct Limit {
    pub net: IpNet,
    /// The address that is to blame.
    pub source: IpAddr,
    pub rule: RuleName,
    /// The packets a second that the host sends, if that is known.
    pub rate: Option<f64>,
}

/// Failures within the window, as far as they are remembered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Latest {
    /// All of them.
    pub failures: usize,
    /// Those that were taken for a phone with an old password.
    pub attention: usize,
}

/// The sentence, without a full stop.
pub fn verdict(facts: &Facts<'_>) -> String {
    let Facts { view, policy, latest, trunk, slowed } = facts;
    if let Some(ban) = &view.ban {
        return banned(ban);
    }
    if let Some((class, net)) = view.exempt {
        return exempt((class, net, *trunk), *latest, policy.window);
    }
    let slowed = slowed.map_or_else(String::new, |limit| limited(view, limit));
    if latest.attention > 0 {
        return format!(
            "not banned: {} within {} of a phone that logged in before, most likely with an old password; \
             they count only from {}{slowed}",
            failures(latest.attention),
            span(policy.window),
            policy.healthy.attention_max_failures
        );
    }
    // A shared source is banned for its failures by no rule.
    let of = if view.identity == Identity::Shared {
        failures(latest.failures.max(view.failures as usize))
    } else {
        format!("{} of {}", weight(view.score), view.max_failures)
    };
    let (within, who) = (span(policy.window), identity(view.identity));
    format!("not banned: {of} within {within}: {who}{}{slowed}", not_counted(view))
}

fn banned(ban: &BanView<'_>) -> String {
    let until = match ban.until {
        Expiry::At(_) => "",
        Expiry::Never => " without an end",
    };
    let why = match &**ban.cause.get().original() {
        Cause::Rule(evidence) => format!("by rule {}", by_rule(evidence)),
        Cause::Manual { reason, .. } if reason.is_empty() => "by hand".to_owned(),
        Cause::Manual { reason, .. } => format!("by hand: {}", Plain(reason)),
        Cause::Remote(ban) => format!("by node {} of the fleet", ban.peer),
        Cause::Adopted | Cause::Split { .. } => {
            "because its route was in the kernel at the start".to_owned()
        }
    };
    let net = ban.net;
    format!("BANNED{until} as {net} {why}")
}

fn limited(view: &SourceView<'_>, limit: Limit) -> String {
    let Limit { net, source, rule, rate } = limit;
    let limit = format!("limited to {SLOWED_PER_SECOND} packet a second");
    let rate = rate.map_or_else(String::new, |rate| format!(", now {rate:.1} a second"));
    let scans = "by rule `scan`, because it sends many packets";
    let guesses = "guesses passwords of other users";
    if net.prefix_len() == net.max_prefix_len() {
        let why =
            if rule == RuleName::Scan { scans.to_owned() } else { format!("because it {guesses}") };
        return format!("; {limit} {why}{rate}");
    }
    // Others live in that network, and it need not be this address that is to blame.
    if rule == RuleName::Scan {
        return format!("; its network {net} is {limit} {scans}{rate}");
    }
    if source == view.addr {
        return format!("; {limit} with its network {net} because it {guesses}{rate}");
    }
    let registered = if view.registrations > 0 { ", but not its registered phones" } else { "" };
    format!("; its network {net} is {limit} because {source} {guesses}{rate}{registered}")
}

/// The evidence at the decision of the ban: it remains when the failures have left the window.
fn by_rule(evidence: &Evidence) -> String {
    let rule = evidence.rule.as_str();
    let who = match evidence.identity {
        Identity::Stranger => "",
        Identity::Caller => ", whose call was accepted",
        Identity::Known => ", a known source",
        Identity::Trusted => ", a trusted source",
        Identity::Shared => ", a shared source",
    };
    let of = format!("{} of {}", weight(evidence.score), evidence.max_failures);
    let (within, source) = (span(evidence.window), evidence.address);
    let count = match evidence.ban_count {
        0 | 1 => String::new(),
        more => format!(", ban {more}"),
    };
    format!("`{rule}`: {of} within {within} from {source}{who}{count}")
}

fn exempt(
    (class, net, trunk): (Exemption, IpNet, Option<&str>),
    latest: Latest,
    window: Duration,
) -> String {
    let named = trunk.filter(|_| class == Exemption::Trunk);
    let class = match class {
        Exemption::Own => "this host's own address",
        Exemption::Gateway => "gateway of this host",
        Exemption::EslPeer => "the FreeSWITCH end of the Event Socket",
        Exemption::NameServer => "name server of this host",
        Exemption::Trunk => "trunk of FreeSWITCH",
        Exemption::Proxy => "proxy",
        Exemption::Acl => "allowed by an access control list of FreeSWITCH",
        Exemption::Allow => "on the allow list",
    };
    let single = net.prefix_len() == net.max_prefix_len();
    let net = if single { net.addr().to_string() } else { net.to_string() };
    let seen = match latest.failures {
        0 => String::new(),
        some => format!("; {} within {} do not count", failures(some), span(window)),
    };
    match named {
        Some(gateway) => format!("exempt: trunk {} ({net}){seen}", Plain(gateway)),
        None => format!("exempt: {class} ({net}){seen}"),
    }
}

fn identity(identity: Identity) -> &'static str {
    match identity {
        Identity::Stranger => "stranger",
        Identity::Caller => "a call from there was accepted lately",
        Identity::Known => "known phone; forgeable failures do not count",
        Identity::Trusted => {
            "trusted phone; forgeable failures do not count, and bans are reported, not applied"
        }
        Identity::Shared => "proxy or NAT with healthy users; no rule bans it",
    }
}

fn not_counted(view: &SourceView<'_>) -> String {
    match view.unproven + view.unjoined {
        0 => String::new(),
        some => format!("; {some} more are forgeable and do not count"),
    }
}

fn weight(score: f64) -> String {
    if score.fract().abs() < 0.005 { format!("{score:.0}") } else { format!("{score:.2}") }
}

fn failures(count: usize) -> String {
    match count {
        1 => "1 failure".to_owned(),
        more => format!("{more} failures"),
    }
}

fn span(length: Duration) -> String {
    Span(length.as_secs_f64()).to_string()
}

#[cfg(test)]
mod tests;
