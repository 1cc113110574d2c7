//! Which metrics there are.

use std::collections::BTreeMap;

use sipward_route::ShieldCounts;

use super::page::{Format, MetricKind, Page};
use super::{FloodNow, Histogram, Snapshot};
use sipward_model::record::Kind;
use sipward_model::wire::Fleet;
use sipward_store::State;

/// All metrics as text.
#[must_use]
pub fn render(snapshot: &Snapshot, format: Format) -> String {
    let mut page = Page::new(format);
    daemon(&mut page, snapshot);
    evidence(&mut page, snapshot);
    bans(&mut page, snapshot);
    kernel(&mut page, snapshot);
    flood(&mut page, &snapshot.flood);
    event_socket(&mut page, snapshot);
    store(&mut page, snapshot);
    deliveries(&mut page, snapshot);
    if snapshot.fleet.enabled {
        fleet(&mut page, &snapshot.fleet);
    }
    page.end()
}

fn fleet(page: &mut Page, now: &Fleet) {
    let help = "1 while the fleet is followed: live (at once, may lose) and stream (all of it).";
    let mut connected = page.family(MetricKind::Gauge, "sipward_fleet_connected", None, help);
    connected.sample(&[("path", "live")], u8::from(now.link.connected));
    connected.sample(&[("path", "stream")], u8::from(now.link.stream));
    let help = "Messages of the fleet's stream that this node has not read.";
    gauge(page, "sipward_fleet_behind", None, help, now.link.behind);
    let help = "Own messages that the servers have not acknowledged.";
    gauge(page, "sipward_fleet_unacknowledged", None, help, now.link.unacknowledged);
    let help = "Time that the latest message of another node was under way.";
    let mut delay =
        page.family(MetricKind::Gauge, "sipward_fleet_delay_seconds", Some("seconds"), help);
    if let Some(seconds) = now.link.delay_seconds {
        delay.sample(&[], seconds);
    }
    let help = "Messages of the fleet, by kind.";
    labelled(page, "sipward_fleet_received", help, "kind", &now.counts.received);
    let help = "What the fleet said and was refused, by reason.";
    labelled(page, "sipward_fleet_refused", help, "reason", &now.counts.refused);
    let help = "Bans that this node publishes, and those of others in force here.";
    let mut bans = page.family(MetricKind::Gauge, "sipward_fleet_bans", None, help);
    bans.sample(&[("of", "own")], now.counts.published);
    bans.sample(&[("of", "others")], now.counts.taken);
    let help = "How far this node trusts a node: 0 accepted, 1 shadowed, 2 ignored.";
    let mut peers = page.family(MetricKind::Gauge, "sipward_fleet_peer_state", None, help);
    for node in now.nodes.iter().filter(|node| !node.own) {
        peers.sample(&[("node", &node.node)], node.standing as u8);
    }
}

fn daemon(page: &mut Page, now: &Snapshot) {
    page.family(MetricKind::Gauge, "sipward_build_info", None, "Always 1; the version is a label.")
        .sample(&[("version", now.version)], 1);
    gauge(
        page,
        "sipward_start_time_seconds",
        Some("seconds"),
        "Start time of the daemon, since the epoch.",
        now.started,
    );
    let observe = u8::from(now.observe);
    gauge(page, "sipward_observe", None, "1 in observe mode: the kernel is not changed.", observe);
}

fn evidence(page: &mut Page, now: &Snapshot) {
    let tally = &now.tally;
    let help = "Failed authentications judged, by profile and grade of evidence.";
    let mut failures = page.family(MetricKind::Counter, "sipward_failures", None, help);
    for (profile, grades) in &tally.failures {
        for (of, count) in grades {
            failures.sample(&[("profile", profile), ("grade", of.as_str())], count);
        }
    }
    let help = "Sources in the engine's tables.";
    let mut sources = page.family(MetricKind::Gauge, "sipward_sources", None, help);
    let kinds = ["tracked", "weightless", "known", "attention", "offender"];
    for (kind, count) in kinds.into_iter().zip(now.sources) {
        sources.sample(&[("kind", kind)], count);
    }
    let help = "Active registrations of phones, as FreeSWITCH reports them.";
    gauge(page, "sipward_registrations", None, help, now.registrations);
    counter(
        page,
        "sipward_needs_attention",
        "Previously working phones that now fail.",
        tally.count(Kind::NeedsAttention),
    );
    let help = "Times a host was slowed because its users guessed passwords of other users.";
    counter(page, "sipward_slowed", help, tally.count(Kind::Slowed));
    let help = "Flows denied in place of a ban of their host.";
    counter(page, "sipward_flows_denied", help, tally.count(Kind::FlowDenied));
    let help = "Distrusted addresses: their new flows are treated like a stranger's.";
    counter(page, "sipward_distrusted", help, tally.count(Kind::Distrusted));
    let help = "Alarms raised, by name.";
    labelled(page, "sipward_alarms", help, "alarm", &tally.alarms);
    let help = "Failed log-ins to the API and the console, without throttled ones.";
    counter(page, "sipward_login_failures", help, tally.count(Kind::LoginFailed));
}

fn bans(page: &mut Page, now: &Snapshot) {
    let tally = &now.tally;
    labelled(page, "sipward_bans", "Bans made, by origin.", "by", &tally.bans);
    labelled(page, "sipward_unbans", "Bans ended, by reason.", "reason", &tally.unbans);
    let help = "Refused bans, by reason.";
    labelled(page, "sipward_refusals", help, "reason", &tally.refusals);
    let help = "Bans that rules in shadow mode would have made, by rule.";
    labelled(page, "sipward_shadowed", help, "rule", &tally.shadowed);
    gauge(page, "sipward_bans_active", None, "Active bans.", now.bans);
    let help = "Active bans, by scope: the host, or packets to the SIP ports.";
    let mut scopes = page.family(MetricKind::Gauge, "sipward_bans_by_scope", None, help);
    scopes.sample(&[("scope", "host")], now.bans.saturating_sub(now.sip_bans));
    scopes.sample(&[("scope", "sip")], now.sip_bans);
    let help = "Limit of active bans (policy.max_bans).";
    gauge(page, "sipward_bans_limit", None, help, now.max_bans);
    let help = "Active bans that the kernel refused.";
    gauge(page, "sipward_bans_not_enforced", None, help, now.not_enforced);
    let help = "Denied flows: single ports of hosts that are not banned.";
    gauge(page, "sipward_flows_active", None, help, now.flows);
    let help = "Limit of denied flows; beyond it the flow that ends first is allowed again.";
    gauge(page, "sipward_flows_limit", None, help, now.max_flows);
    let help = "Denied flows that the kernel refused.";
    gauge(page, "sipward_flows_not_enforced", None, help, now.flows_not_enforced);
}

fn kernel(page: &mut Page, now: &Snapshot) {
    let tally = &now.tally;
    let help = "Bans of hosts whose blackhole route is set in the kernel.";
    gauge(page, "sipward_routes", None, help, now.routes);
    let help = "Changes of routes that the kernel refused.";
    counter(page, "sipward_route_failures", help, tally.count(Kind::RouteFailed));
    let help = "Routes and rules that other programs removed and sipward restored.";
    counter(page, "sipward_healed", help, tally.healed);
    let help = "1 when packets of banned hosts are dropped on arrival; absent in observe mode.";
    let mut gate = page.family(MetricKind::Gauge, "sipward_gate", None, help);
    for (family, on) in ["ipv4", "ipv6"].into_iter().zip(now.gate.into_iter().flatten()) {
        gate.sample(&[("family", family)], u8::from(on));
    }
    let help = "From the event that caused a ban, as it left the socket, to its proved route.";
    histogram(page, "sipward_event_to_route_seconds", help, &tally.event_to_route);
}

fn flood(page: &mut Page, now: &FloodNow) {
    let help = "1 while strangers together exceed their packet limit.";
    gauge(page, "sipward_shielded", None, help, u8::from(now.shielded));
    let help = "1 while a profile of FreeSWITCH answers no OPTIONS request.";
    gauge(page, "sipward_deaf", None, help, u8::from(now.deaf));
    let help = "Latest answer time of FreeSWITCH's slowest profile; absent while none is probed.";
    let mut answer =
        page.family(MetricKind::Gauge, "sipward_answer_seconds", Some("seconds"), help);
    if let Some(seconds) = now.answer {
        answer.sample(&[], seconds);
    }
    let help = "Hosts that the shield lets pass as healthy; absent without a shield.";
    let mut hosts = page.family(MetricKind::Gauge, "sipward_shield_healthy_hosts", None, help);
    if let Some(healthy) = now.healthy_hosts {
        hosts.sample(&[], healthy);
    }
    let ShieldCounts { unlimited, healthy, strangers, newcomers, dropped } = &now.counts;
    let help = "Packets to the SIP ports that the shield judged, by class of host.";
    let mut packets = page.family(MetricKind::Counter, "sipward_sip_packets", None, help);
    for (host, count) in [("unlimited", unlimited), ("healthy", healthy), ("stranger", strangers)] {
        packets.sample(&[("host", host)], count);
    }
    let help = "Packets of newcomers that passed with the newcomers' half of the budget.";
    counter(page, "sipward_newcomer_packets", help, *newcomers);
    let help = "Packets to the SIP ports that the shield dropped, by the limit that was exceeded.";
    let mut packets = page.family(MetricKind::Counter, "sipward_sip_packets_dropped", None, help);
    for (by, count) in [
        ("slowed", dropped.slowed),
        ("own_packets", dropped.own_packets),
        ("own_connections", dropped.own_connections),
        ("own_tcp", dropped.own_tcp),
        ("budget_packets", dropped.budget_packets),
        ("budget_connections", dropped.budget_connections),
        ("budget_tcp", dropped.budget_tcp),
        ("unlimited", dropped.unlimited),
    ] {
        packets.sample(&[("by", by), ("family", "ipv4")], count.ipv4);
        packets.sample(&[("by", by), ("family", "ipv6")], count.ipv6);
    }
}

fn event_socket(page: &mut Page, now: &Snapshot) {
    let tally = &now.tally;
    let connected = u8::from(now.esl_connected);
    let help = "1 when connected to FreeSWITCH, logged in and subscribed.";
    gauge(page, "sipward_esl_connected", None, help, connected);
    gauge(
        page,
        "sipward_esl_disconnected_seconds",
        Some("seconds"),
        "Time since the connection was lost; 0 while connected.",
        now.esl_away,
    );
    let help = "Connections to FreeSWITCH lost, and attempts that failed.";
    counter(page, "sipward_esl_disconnections", help, tally.count(Kind::EslDisconnected));
    let help = "Time without events, counted when it is over.";
    page.family(MetricKind::Counter, "sipward_esl_blind_seconds", Some("seconds"), help)
        .sample(&[], tally.blind.as_secs_f64());
    counter(page, "sipward_events", "Events received.", now.events);
    let help = "Events dropped because they arrived faster than the engine could judge them.";
    counter(page, "sipward_events_dropped", help, now.events_dropped);
    let help = "Events that were not evidence: unusable, or sent by another client.";
    counter(page, "sipward_events_ignored", help, tally.events_ignored);
}

fn store(page: &mut Page, now: &Snapshot) {
    let store = &now.store;
    let works = u8::from(matches!(store.state, State::Ok));
    gauge(page, "sipward_store_up", None, "1 while decisions are stored.", works);
    let help = "Entries waiting to be stored.";
    gauge(page, "sipward_store_behind_entries", None, help, store.behind_entries);
    let behind = std::time::Duration::from_millis(store.behind_ms).as_secs_f64();
    let help = "Waiting time of the oldest entry to be stored.";
    gauge(page, "sipward_store_behind_seconds", Some("seconds"), help, behind);
    let help = "Size of the database, its log included.";
    gauge(page, "sipward_store_size_bytes", Some("bytes"), help, store.size_bytes);
    let help = "Entries lost because the queue was full.";
    counter(page, "sipward_store_dropped", help, store.dropped);
}

fn deliveries(page: &mut Page, now: &Snapshot) {
    type Of = fn(&sipward_notify::Delivery) -> u64;
    let counters: [(&str, &str, Of); 4] = [
        ("sipward_messages_delivered", "Mails and webhooks delivered.", |d| d.delivered),
        ("sipward_delivery_failures", "Failed delivery attempts.", |d| d.failed),
        (
            "sipward_messages_lost",
            "Mails and webhooks given up, or dropped from a full queue.",
            |d| d.lost,
        ),
        ("sipward_records_missed", "Records that a slow listener missed.", |d| d.missed),
    ];
    for (name, help, of) in counters {
        let mut family = page.family(MetricKind::Counter, name, None, help);
        for delivery in &now.deliveries {
            family.sample(&[("by", &delivery.by)], of(delivery));
        }
    }
    let help = "Queued mails and webhooks.";
    let mut waiting = page.family(MetricKind::Gauge, "sipward_messages_waiting", None, help);
    for delivery in &now.deliveries {
        waiting.sample(&[("by", &delivery.by)], delivery.waiting);
    }
}

fn gauge(
    page: &mut Page,
    name: &str,
    unit: Option<&str>,
    help: &str,
    value: impl std::fmt::Display,
) {
    page.family(MetricKind::Gauge, name, unit, help).sample(&[], value);
}

fn counter(page: &mut Page, name: &str, help: &str, count: u64) {
    page.family(MetricKind::Counter, name, None, help).sample(&[], count);
}

fn labelled(
    page: &mut Page,
    name: &str,
    help: &str,
    label: &str,
    counts: &BTreeMap<impl AsRef<str>, u64>,
) {
    let mut family = page.family(MetricKind::Counter, name, None, help);
    for (value, count) in counts {
        family.sample(&[(label, value.as_ref())], count);
    }
}

fn histogram(page: &mut Page, name: &str, help: &str, histogram: &Histogram) {
    let mut family = page.family(MetricKind::Histogram, name, Some("seconds"), help);
    let mut all = 0;
    for (bound, count) in histogram.cumulated() {
        let bound = match bound {
            Some(us) => std::time::Duration::from_micros(us).as_secs_f64().to_string(),
            None => "+Inf".to_owned(),
        };
        family.suffixed("_bucket", &[("le", &bound)], count);
        all = count;
    }
    family.suffixed("_sum", &[], histogram.sum().as_secs_f64()).suffixed("_count", &[], all);
}
