//! A record as one line for people. Text that came from the network is escaped: it may hold
//! anything.

mod freeswitch;
mod http;
mod time;

use std::fmt;

use ipnet::IpNet;
use sipward_engine::{
    Alarm, Cause, Details, Evidence, Judgement, Refusal, RemoteBan, Scope, ShadowedBecause,
};

use super::{Ban, FlowDenied, Record, Started};
use crate::text::{Plain, Span, api_name, count};
use crate::wire::Mode;

impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Started(started) => started_line(f, started),
            Self::Stopped(t) => write!(
                f,
                "stopped: {} events, {} failures, {} bans, {} unbans, {} refused; {} banned and {} \
                 registered now",
                t.events, t.failures, t.bans, t.unbans, t.refused, t.banned_now, t.registered_now
            ),
            Self::EslConnected { .. }
            | Self::EslDisconnected { .. }
            | Self::EslRestarted { .. }
            | Self::EslBlind { .. }
            | Self::EslOverflow { .. }
            | Self::EventUnusable { .. }
            | Self::EventForged { .. } => socket_line(f, self),
            Self::AuthFailure(judgement) => failure_line(f, judgement),
            Self::Ban(ban) => ban_line(f, ban),
            Self::Unban { .. }
            | Self::Refused { .. }
            | Self::Shadowed { .. }
            | Self::NeedsAttention { .. }
            | Self::RefusedLogin { .. }
            | Self::FlowAllowed { .. }
            | Self::Distrusted { .. }
            | Self::Slowed { .. } => decision_line(f, self),
            Self::FlowDenied(denied) => flow_line(f, denied),
            Self::Registrations { .. }
            | Self::GatewayUnprotected { .. }
            | Self::GatewayProtected { .. }
            | Self::AccessListUnused { .. }
            | Self::AccessListUsed { .. }
            | Self::SipPorts { .. }
            | Self::EventsNotAllowed { .. } => freeswitch::line(f, self),
            Self::Trunks { nets } => trunks_line(f, nets),
            Self::DirectoryFailed { question, error } => {
                write!(f, "FreeSWITCH did not answer `{}`: {}", Plain(question), Plain(error))
            }
            Self::RouteFailed { .. }
            | Self::Enforcement { .. }
            | Self::BansMoved { .. }
            | Self::StrayRoutes { .. }
            | Self::NotSpared { .. }
            | Self::Scanner { .. }
            | Self::Healed { .. }
            | Self::Gate { .. }
            | Self::ProtocolTaken { .. } => kernel_line(f, self),
            Self::Shielded { .. }
            | Self::ShieldOver { .. }
            | Self::Deaf { .. }
            | Self::Hears { .. }
            | Self::Overload { .. }
            | Self::OverloadOver { .. }
            | Self::Limited { .. } => flood_line(f, self),
            Self::StoreDegraded { .. }
            | Self::StoreRecovered { .. }
            | Self::StoreSetAside { .. }
            | Self::StoreBegun { .. }
            | Self::StoreIncomplete { .. }
            | Self::StoreRead { .. } => store_line(f, self),
            Self::FleetConnected { .. }
            | Self::FleetDisconnected { .. }
            | Self::FleetBehind { .. }
            | Self::FleetCaughtUp { .. }
            | Self::FleetNoQuorum { .. }
            | Self::FleetQuorum {}
            | Self::FleetNameTaken { .. } => fleet_line(f, self),
            Self::Alarm(alarm) => alarm_line(f, alarm),
            Self::Reload { .. } | Self::ReloadFailed { .. } | Self::ModeChanged { .. } => {
                settings_line(f, self)
            }
            Self::NameFailed { name, error } => {
                write!(f, "cannot look up {}: {}; using the last answer", Plain(name), Plain(error))
            }
            Self::GeoFailed { file, error } => {
                write!(f, "cannot use {} of [geo]: {}", file.display(), Plain(error))
            }
            Self::HttpOpened { .. }
            | Self::HttpFailed { .. }
            | Self::CertificateFailed { .. }
            | Self::TokenAdded { .. }
            | Self::TokenRevoked { .. }
            | Self::LoggedIn { .. }
            | Self::Changed { .. }
            | Self::LoginFailed { .. }
            | Self::TokenRefused { .. }
            | Self::ConnectionsShed { .. } => http::line(f, self),
            Self::ApiOpened { socket } => write!(f, "control socket {}", socket.display()),
            Self::ApiFailed { error } => write!(f, "no control socket: {error}"),
            Self::DeliveryFailed { .. } | Self::Delivered { .. } | Self::RecordsMissed { .. } => {
                delivery_line(f, self)
            }
            Self::ClockStepped { .. }
            | Self::ClockBehind { .. }
            | Self::Suspended { .. }
            | Self::Stalled { .. } => time::line(f, self),
            Self::LogLost { lines } => write!(f, "{lines} log lines lost"),
        }
    }
}

fn decision_line(f: &mut fmt::Formatter<'_>, record: &Record) -> fmt::Result {
    match record {
        Record::Unban { net, reason, still_stopped_by } => {
            write!(f, "unban {net} ({})", api_name(reason))?;
            let still = still_stopped_by.as_deref().map(Plain);
            still.map_or(Ok(()), |by| write!(f, ", but is still blocked: {by}"))
        }
        Record::Refused { net, refusal, cause: _ } => refusal_line(f, net, refusal),
        Record::Shadowed { net, cause } => {
            write!(f, "would ban {net}")?;
            cause.evidence().map_or(Ok(()), |evidence| evidence_part(f, evidence))
        }
        Record::NeedsAttention { address, user, user_agent, last_success } => {
            let (user, agent) = (Plain(user), Plain(user_agent));
            write!(f, "needs attention: user {user} at {address} with {agent} failed, ")?;
            match last_success {
                Some(at) => write!(f, "but logged in at {at}; was the password changed?"),
                None => f.write_str("while another user is registered there: a wrong password?"),
            }
        }
        Record::RefusedLogin { address, user, reason } => write!(
            f,
            "needs attention: user {} at {address} has the right password, but was refused ({})",
            Plain(user),
            api_name(reason),
        ),
        Record::FlowAllowed { flow, reason, address: _ } => {
            write!(f, "flow {flow} allowed ({})", api_name(reason))
        }
        Record::Distrusted { address, until } => write!(
            f,
            "{address} lost many flows: its new flows are treated like a stranger's until {until}; \
             flows of its registrations are not affected"
        ),
        Record::Slowed { address, until, cause } => {
            write!(f, "slowed down: {address} until {until}")?;
            cause.evidence().map_or(Ok(()), |evidence| evidence_part(f, evidence))
        }
        other => write!(f, "{:?}", other.kind()),
    }
}

fn trunks_line(f: &mut fmt::Formatter<'_>, sources: &[IpNet]) -> fmt::Result {
    write!(f, "{} addresses of gateways:", sources.len())?;
    sources.iter().try_for_each(|net| write!(f, " {net}"))
}

fn flow_line(f: &mut fmt::Formatter<'_>, denied: &FlowDenied) -> fmt::Result {
    let FlowDenied { flow, until, enforced, not_enforced_because, cause } = denied;
    write!(f, "flow {flow} denied until {until}")?;
    if let Some(evidence) = cause.evidence() {
        evidence_part(f, evidence)?;
    }
    match not_enforced_because {
        Some(because) if !enforced => write!(f, "; NOT enforced: {}", Plain(because)),
        Some(_) | None => Ok(()),
    }
}

fn started_line(f: &mut fmt::Formatter<'_>, s: &Started) -> fmt::Result {
    write!(
        f,
        "sipward {} started, mode {}, Event Socket {}, {} failures within {} ban for {}; {} bans \
         restored, {} found in the kernel",
        s.version,
        s.mode,
        s.esl,
        s.max_failures,
        Span(s.window_seconds),
        Span(s.ban_time_seconds),
        s.restored,
        s.adopted,
    )
}

fn settings_line(f: &mut fmt::Formatter<'_>, record: &Record) -> fmt::Result {
    match record {
        Record::Reload { needs_restart } if needs_restart.is_empty() => {
            f.write_str("configuration reloaded")
        }
        Record::Reload { needs_restart } => write!(
            f,
            "configuration reloaded; changes of {} need a restart",
            needs_restart.join(", ")
        ),
        Record::ReloadFailed { error } => {
            write!(f, "configuration NOT reloaded, the previous one remains: {error}")
        }
        Record::ModeChanged { mode: Mode::Ban, bans, adopted } => {
            write!(f, "mode ban: {bans} bans set in the kernel, {adopted} found there")
        }
        Record::ModeChanged { mode: Mode::Observe, bans, .. } => {
            write!(f, "mode observe: {bans} bans removed from the kernel; nothing is blocked")
        }
        other => write!(f, "{:?}", other.kind()),
    }
}

fn socket_line(f: &mut fmt::Formatter<'_>, record: &Record) -> fmt::Result {
    match record {
        Record::EslConnected { peer } => write!(f, "connected to FreeSWITCH at {peer}"),
        Record::EslDisconnected { error, retry_in_seconds } => {
            write!(f, "no FreeSWITCH: {error}; next try in {}", Span(*retry_in_seconds))
        }
        Record::EslRestarted { old, new } => {
            write!(f, "FreeSWITCH was restarted (Core-UUID {old} to {new})")
        }
        Record::EslBlind { seconds } => write!(f, "no events for {}", Span(*seconds)),
        Record::EslOverflow { dropped } => {
            write!(
                f,
                "{dropped} events dropped: they arrived faster than the engine could judge them"
            )
        }
        Record::EventUnusable { error, count } => {
            let events = if *count == 1 { "unusable event" } else { "unusable events" };
            write!(f, "{count} {events}: {}", Plain(error))
        }
        Record::EventForged { error, address, count } => {
            let events = if *count == 1 { "event" } else { "events" };
            write!(f, "{count} {events} ignored: {}", Plain(error))?;
            address.map_or(Ok(()), |source| write!(f, ", naming {source}"))
        }
        other => write!(f, "{:?}", other.kind()),
    }
}

fn delivery_line(f: &mut fmt::Formatter<'_>, record: &Record) -> fmt::Result {
    match record {
        Record::DeliveryFailed { by, error, retry_in_seconds } => {
            write!(f, "{by} not delivered: {}; ", Plain(error))?;
            match retry_in_seconds {
                Some(pause) => write!(f, "next try in {}", Span(*pause)),
                None => f.write_str("given up"),
            }
        }
        Record::Delivered { by, lost } => write!(f, "{by} works again; {lost} lost"),
        Record::RecordsMissed { by, count } => {
            write!(f, "{by} was too slow and missed {count} records")
        }
        other => write!(f, "{:?}", other.kind()),
    }
}

fn kernel_line(f: &mut fmt::Formatter<'_>, record: &Record) -> fmt::Result {
    match record {
        Record::RouteFailed { net, change, error } => {
            write!(f, "cannot {change} {net}: {}", Plain(error))
        }
        Record::NotSpared { error } => {
            write!(f, "healthy hosts are rate-limited too: {}", Plain(error))
        }
        Record::Scanner { net, packets, seconds } => {
            write!(f, "slowed {net} to 1 packet/s for {seconds} s: {packets} packets in 10 minutes")
        }
        Record::Healed { routes, rules, gate, elements } => {
            write!(f, "restored what another program removed: {routes} routes, {rules} rules")?;
            if *elements > 0 {
                write!(f, ", {elements} elements of the gate's sets")?;
            }
            f.write_str(if *gate { ", the gate" } else { "" })
        }
        Record::Enforcement { enforced, not_enforced, net, because } => {
            write!(f, "{enforced} bans are effective again, {not_enforced} are ineffective now, ")?;
            write!(f, "for example {net}")?;
            because.iter().try_for_each(|why| write!(f, ": {}", Plain(why)))
        }
        Record::BansMoved { routes, table, because } => {
            write!(f, "{routes} bans moved to routing table {table}")?;
            because.iter().try_for_each(|rule| write!(f, "; `{}` is used first", Plain(rule)))
        }
        Record::StrayRoutes { count, nets } => {
            let named: Vec<String> = nets.iter().take(8).map(IpNet::to_string).collect();
            let named = named.join(", ");
            write!(
                f,
                "{count} blackhole routes with the protocol number of sipward are not bans, but \
                 drop packets: {named}; does a second sipward run, or were they added manually?"
            )
        }
        Record::Gate { ipv4_inbound, ipv6_inbound, table, gaps } => {
            let side = |on: &bool| if *on { "dropped on arrival" } else { "NOT dropped" };
            let (v4, v6) = (side(ipv4_inbound), side(ipv6_inbound));
            write!(f, "packets of banned hosts: IPv4 {v4}, IPv6 {v6}; bans in table {table}")?;
            gaps.iter().try_for_each(|gap| write!(f, "; {gap}"))
        }
        Record::ProtocolTaken { protocol, routes } => write!(
            f,
            "{} routes of other programs have the protocol number of sipward, {protocol}; set \
             route.protocol to a free one: {}",
            routes.len(),
            Plain(&routes.join(", "))
        ),
        other => write!(f, "{:?}", other.kind()),
    }
}

fn flood_line(f: &mut fmt::Formatter<'_>, record: &Record) -> fmt::Result {
    match record {
        Record::Shielded { dropped_per_second, phones } => write!(
            f,
            "shielded: {dropped_per_second} packets/s of strangers dropped; {phones} phones registered"
        ),
        Record::ShieldOver { seconds, dropped, most_per_second } => write!(
            f,
            "the flood is over after {}: {dropped} packets dropped, at most {most_per_second}/s",
            Span(*seconds)
        ),
        Record::Deaf { profile, seconds } => {
            write!(f, "FreeSWITCH is deaf: {profile} answers no OPTIONS for {}", Span(*seconds))
        }
        Record::Hears { profile, seconds } => {
            write!(f, "FreeSWITCH answers again: {profile} was deaf for {}", Span(*seconds))
        }
        Record::Overload { packets_per_second, limit } => write!(
            f,
            "exempt hosts, trunks and access lists send {packets_per_second} packets/s without a \
             limit; FreeSWITCH accepts {limit} \
             requests/s. Raise max-recv-requests-per-second or set shield.unlimited_packets"
        ),
        Record::OverloadOver { seconds, most_per_second } => write!(
            f,
            "exempt hosts, trunks and access lists exceeded the limit of FreeSWITCH for \
                {}, at most {most_per_second} packets/s",
            Span(*seconds)
        ),
        Record::Limited { net, packets_per_second, limit } => write!(
            f,
            "{net} sends {packets_per_second} packets/s for a minute; {limit}/s pass. Allow it if it is \
             a carrier or a monitor"
        ),
        other => write!(f, "{:?}", other.kind()),
    }
}

fn store_line(f: &mut fmt::Formatter<'_>, record: &Record) -> fmt::Result {
    match record {
        Record::StoreDegraded { error } => {
            write!(f, "STORAGE FAILED; bans continue, but are not stored: {}", Plain(error))
        }
        Record::StoreRecovered { dropped: 0 } => f.write_str("the store works again"),
        Record::StoreRecovered { dropped } => {
            write!(f, "the store works again; {dropped} entries are missing in the history")
        }
        Record::StoreSetAside { file, error } => write!(
            f,
            "the store was corrupt ({}) and was moved to {}; a new one was created. `sqlite3 FILE \
             .recover` reads the rest",
            Plain(error),
            file.display()
        ),
        Record::StoreBegun { file } => {
            write!(f, "there was no store at {}; a new one was created", file.display())
        }
        Record::StoreIncomplete { error } => {
            write!(f, "the store is incomplete: {}", Plain(error))
        }
        Record::StoreRead { restored } => {
            write!(f, "the store is readable again: {restored} bans restored")
        }
        other => write!(f, "{:?}", other.kind()),
    }
}

fn fleet_line(f: &mut fmt::Formatter<'_>, record: &Record) -> fmt::Result {
    match record {
        Record::FleetConnected { node } => write!(f, "connected to the fleet as {node}"),
        Record::FleetDisconnected { error } => {
            write!(f, "not connected to the fleet; bans of this node continue: {}", Plain(error))
        }
        Record::FleetBehind { messages } => {
            write!(f, "{} of the fleet not read yet", count(*messages, "message"))
        }
        Record::FleetCaughtUp { messages } => {
            write!(f, "{} of the fleet read", count(*messages, "message"))
        }
        Record::FleetNoQuorum { waiting } => write!(
            f,
            "the servers of the fleet acknowledge nothing; {} wait. Are most of the servers down?",
            count(*waiting, "message")
        ),
        Record::FleetQuorum {} => f.write_str("the servers of the fleet acknowledge again"),
        Record::FleetNameTaken { node } => write!(
            f,
            "another node of the fleet is called {node}; set fleet.name to a name of its own"
        ),
        other => write!(f, "{:?}", other.kind()),
    }
}

fn failure_line(f: &mut fmt::Formatter<'_>, j: &Judgement) -> fmt::Result {
    write!(
        f,
        "failure {} user {} profile {} agent {}: {}, {} in the window",
        j.address,
        Plain(&j.user),
        Plain(&j.profile),
        Plain(&j.user_agent),
        api_name(&j.grade),
        j.failures,
    )?;
    j.exempt.map_or(Ok(()), |class| write!(f, ", exempt ({})", api_name(&class)))
}

fn ban_line(f: &mut fmt::Formatter<'_>, ban: &Ban) -> fmt::Result {
    write!(f, "ban {}", ban.net)?;
    if ban.scope == Scope::Sip {
        f.write_str(" from the SIP ports")?;
    }
    match &ban.until {
        Some(until) => write!(f, " until {until}")?,
        None => f.write_str(" permanently")?,
    }
    match &*ban.cause {
        Cause::Rule(evidence) => evidence_part(f, evidence)?,
        Cause::Manual { reason, force: _ } => write!(f, ": by hand, {}", Plain(reason))?,
        Cause::Adopted => f.write_str(": route found at start")?,
        Cause::Remote(ban) => remote_part(f, ban)?,
        Cause::Split { of, was: _ } => write!(f, ": part of {of}")?,
    }
    if ban.enforced {
        f.write_str("; enforced")?;
    } else {
        let why = ban.not_enforced_because.as_deref().unwrap_or("no kernel");
        write!(f, "; NOT enforced ({})", Plain(why))?;
    }
    ban.event_to_route_us.map_or(Ok(()), |us| write!(f, " after {us} µs"))
}

fn evidence_part(f: &mut fmt::Formatter<'_>, evidence: &Evidence) -> fmt::Result {
    let Evidence { rule, failures, window, grade, ban_count, details, .. } = evidence;
    let window = Span(window.as_secs_f64());
    write!(
        f,
        ": {} {failures} within {window} ({}), ban {ban_count}",
        api_name(rule),
        api_name(grade)
    )?;
    let Some(details) = details else { return Ok(()) };
    let Details { users, profile: _, user_agent, reason } = &**details;
    if let Some(reason) = reason {
        write!(f, ", reported: {}", Plain(reason))?;
    }
    write!(f, ", agent {}, users", Plain(user_agent))?;
    users.iter().try_for_each(|user| write!(f, " {}", Plain(user)))
}

fn remote_part(f: &mut fmt::Formatter<'_>, ban: &RemoteBan) -> fmt::Result {
    let RemoteBan { peer, n: _, facts } = ban;
    write!(f, ": by node {peer}")?;
    match facts.rule {
        Some(rule) => write!(f, ", {} {}", api_name(&rule), facts.failures)?,
        None if facts.by_hand => f.write_str(", by hand")?,
        None => {}
    }
    if let Some(grade) = facts.grade {
        write!(f, " ({})", api_name(&grade))?;
    }
    if facts.why.is_empty() { Ok(()) } else { write!(f, ", {}", Plain(&facts.why)) }
}

fn refusal_line(f: &mut fmt::Formatter<'_>, source: &IpNet, refusal: &Refusal) -> fmt::Result {
    write!(f, "not banned: {source}, ")?;
    match refusal {
        Refusal::Exempt { class, net } => write!(f, "covered by {net} ({})", api_name(class)),
        Refusal::LinkLocal => f.write_str("it would block neighbour discovery"),
        Refusal::Covered { net } => write!(f, "{net} is banned at least as long"),
        Refusal::Known { net } => write!(f, "{net} logged in lately"),
        Refusal::Shared => f.write_str("three or more users log in from there: a proxy or a NAT"),
        Refusal::TooManyBans => f.write_str("the ban table is full"),
        Refusal::ShareUsedUp => {
            f.write_str("bans of this kind have used up their share of the ban table")
        }
        Refusal::BannedLately => f.write_str("a known source, and banned within the last hour"),
        Refusal::Registered => f.write_str("a phone is registered at the failing port"),
        Refusal::DeniedLately => f.write_str(
            "a known source, and flows of it were denied within \
            the last hour",
        ),
        Refusal::Lifted { net } => {
            write!(f, "an operator lifted {net} in the fleet after that was decided")
        }
        Refusal::NoQuorum => f.write_str("too few nodes of the fleet say so"),
        Refusal::TooWide => {
            f.write_str("wider than one source, and fewer than three nodes of two sites say so")
        }
        Refusal::PeerBudget => f.write_str("the node says more than it may"),
        Refusal::PeerShadowed => f.write_str("bans of that node are not made here"),
    }
}

fn alarm_line(f: &mut fmt::Formatter<'_>, alarm: &Alarm) -> fmt::Result {
    f.write_str("ALARM ")?;
    match alarm {
        Alarm::BanTableFull { max_bans } => {
            write!(f, "the ban table is full ({max_bans}): new bans are refused")
        }
        Alarm::NotEnforced { net, error } => {
            write!(f, "the kernel does not enforce bans, first that of {net}: {}", Plain(error))
        }
        Alarm::PolicyRejected { error } => write!(f, "the new policy was not applied: {error}"),
        Alarm::ManyBans { bans } => {
            write!(f, "{bans} bans within a minute: check them")
        }
        Alarm::Spoofing { failures, victims } => {
            write!(f, "{failures} forgeable failures within a minute, from")?;
            victims.iter().try_for_each(|victim| write!(f, " {victim}"))
        }
        Alarm::Guessed { user, address, failures, strangers, .. } => {
            write!(f, "user {} logged in from new address {address} ", Plain(user))?;
            if *failures > 0 {
                write!(f, "after {} there", count(u64::from(*failures), "failure"))?;
            } else {
                write!(f, "while {strangers} other addresses fail for this user")?;
            }
            f.write_str(": the password may have been guessed")
        }
        Alarm::LikelyProxy { address } => {
            write!(f, "{address} fails, and healthy users log in from there: a proxy or a NAT?")
        }
        Alarm::Insider { address, users, failures, names } => {
            write!(
                f,
                "{address}, from where users log in, guesses passwords of other \
                users: {failures} failures for \
                 {users} users, lately"
            )?;
            names.iter().try_for_each(|name| write!(f, " {}", Plain(name)))
        }
        Alarm::AccountSpread { user, addresses } => write!(
            f,
            "account {} was used from {addresses} new addresses within a day: stolen?",
            Plain(user)
        ),
        Alarm::Unjoined { address, failures } => write!(
            f,
            "{failures} failures of {address} came without attempts: it may hide its guesses"
        ),
        Alarm::Distributed { sources, users } => {
            write!(
                f,
                "{sources} strangers failed within a minute, each below the threshold; users"
            )?;
            users.iter().try_for_each(|user| write!(f, " {}", Plain(user)))
        }
        Alarm::ForgeableBans { bans } => write!(
            f,
            "{bans} bans within a minute on forgeable evidence: further ones are only reported"
        ),
        Alarm::PeerShadowed { peer, because } => {
            write!(f, "bans of node {peer} are no longer made here: it ")?;
            f.write_str(match because {
                ShadowedBecause::TooManyAMinute => "decides too many within a minute",
                ShadowedBecause::TooManyStanding => "has too many that stand",
                ShadowedBecause::HitsKnown => {
                    "bans hosts that are exempt, known or registered here"
                }
            })
        }
        Alarm::NetworkBanned { net, failures } => {
            write!(f, "the network {net} is banned: {failures} failures of its addresses")
        }
        Alarm::AccountAttacked { user, sources } => {
            write!(f, "user {} is attacked from {sources} sources", Plain(user))
        }
        Alarm::Deaf { burst, packets: Some(packets) } => write!(
            f,
            "FreeSWITCH is deaf: {packets} packets/s arrive, but after a burst of {burst} failures \
             there are no events"
        ),
        Alarm::Deaf { burst, packets: None } => write!(
            f,
            "FreeSWITCH is deaf: it answers no OPTIONS request after a burst of {burst} failures"
        ),
    }
}
