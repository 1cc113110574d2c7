//! The kernel: permission to change it, the gate, and conflicts with other programs.

use std::fs;
use std::path::Path;

use caps::CapSet;
use sipward_route::{GateState, Inspection};

use super::{Check, Inside, View, bans};
use sipward_config::{Config, Mode};
use sipward_model::rights;

const RIGHT: &str = "capability";
const GATE: &str = "gate";
const CLASH: &str = "clashes";

/// Routes and networks named in a line at most.
const NAMED: usize = 3;

/// Seven checks.
pub(super) async fn checks(view: &View<'_>) -> Vec<Check> {
    let View { config, daemon, root, .. } = *view;
    let of_daemon = daemon.and_then(|id| {
        let threads = root.join(format!("proc/{id}/task"));
        rights::any_has_net_admin(&threads, CapSet::Effective)
    });
    match sipward_route::inspect(&config.route).await {
        Ok(inspection) => {
            let mut checks = vec![
                right(config, of_daemon, inspection.permitted),
                match (&inspection.gate, &view.inside) {
                    (GateState::Unknown { .. }, Some(inside)) => reported(config, inside),
                    _ => gate(config, daemon.is_some(), &inspection),
                },
            ];
            checks.extend(bans::checks(view, &inspection).await);
            checks.push(clashes(config, &inspection, &root.join("etc/iproute2")));
            checks
        }
        Err(error) => {
            let blind = |name| Check::fail(name, error.to_string(), "this kernel is not supported");
            let names = [RIGHT, GATE].into_iter().chain(bans::NAMES).chain([CLASH]);
            names.map(blind).collect()
        }
    }
}

fn right(config: &Config, of_daemon: Option<bool>, of_this: bool) -> Check {
    const GRANT: &str =
        "grant it in the unit with AmbientCapabilities=CAP_NET_ADMIN, as the shipped unit does";
    match (of_daemon, of_this, config.mode) {
        (Some(true), _, _) => Check::ok(RIGHT, "the daemon has CAP_NET_ADMIN"),
        (_, _, Mode::Observe) => Check::ok(RIGHT, "CAP_NET_ADMIN is not needed in observe mode"),
        (Some(false), _, Mode::Ban) => Check::fail(RIGHT, "the daemon lacks CAP_NET_ADMIN", GRANT),
        (None, true, Mode::Ban) => {
            Check::ok(RIGHT, "this user has CAP_NET_ADMIN; the daemon gets it from its unit")
        }
        (None, false, Mode::Ban) => Check::warn(
            RIGHT,
            "this user lacks CAP_NET_ADMIN, and no daemon runs whose capabilities could be checked",
            "run `sipward doctor` as root",
        ),
    }
}

fn gate(config: &Config, is_running: bool, inspection: &Inspection) -> Check {
    if config.mode == Mode::Observe {
        return Check::ok(GATE, "observe mode: the kernel is not changed");
    }
    if let Some((net, winner)) = inspection.outranked.first() {
        let count = inspection.outranked.len();
        let found = format!(
            "{count} of {} bans looked up are ineffective: for {net}, {winner} wins",
            inspection.looked_up
        );
        let advice = "set [route] table = \"auto\" (the bans get a table of their own, read first) and \
                      restart, or remove that rule or route";
        return Check::fail(GATE, found, advice);
    }
    let looked_up = match inspection.looked_up {
        0 => "there are no bans to look up".to_owned(),
        count => {
            format!("{count} of {} bans looked up, a blackhole wins for each", inspection.routes)
        }
    };
    let gaps = inspection.coverage.gaps.join("; ");
    match &inspection.gate {
        GateState::Standing { dropped } if !gaps.is_empty() => Check::fail(
            GATE,
            format!("active, {dropped} packets dropped, but {gaps}"),
            "these packets pass; the daemon's log reports when the gap is closed",
        ),
        GateState::Standing { dropped } => {
            Check::ok(GATE, format!("active, {dropped} packets dropped; {looked_up}"))
        }
        GateState::Missing if gaps.is_empty() => Check::ok(
            GATE,
            format!("not needed: rp_filter drops packets of banned hosts; {looked_up}"),
        ),
        GateState::Missing if !is_running => Check::warn(
            GATE,
            format!("not set: {gaps}"),
            "the daemon sets it when it starts, unless [route] gate says otherwise",
        ),
        GateState::Missing => Check::fail(
            GATE,
            format!("not set: {gaps}"),
            "set gate = \"auto\" in [route] and restart; the log has the reason if that fails",
        ),
        GateState::Damaged { what } if is_running => Check::fail(
            GATE,
            format!("damaged: {what}"),
            "the daemon restores it within a second; if this persists, see `journalctl -u sipward`",
        ),
        GateState::Damaged { what } => {
            Check::warn(GATE, format!("damaged: {what}"), "the daemon restores it at its start")
        }
        GateState::Foreign => Check::fail(
            GATE,
            format!("another program has a table `inet {}`", config.route.gate.table_name),
            "choose another gate_table_name in [route]",
        ),
        GateState::Unknown { reason } => {
            Check::warn(GATE, format!("cannot check: {reason}"), "run `sipward doctor` as root")
        }
    }
}

/// The gate as the daemon's thread for netlink reported it last.
fn reported(config: &Config, inside: &Inside) -> Check {
    if config.mode == Mode::Observe {
        return Check::ok(GATE, "observe mode: the kernel is not changed");
    }
    match &inside.gate {
        None => Check::warn(GATE, "not ready yet", "look again in some seconds"),
        Some(gate) if gate.gaps.is_empty() => {
            Check::ok(GATE, "packets of banned hosts are dropped on arrival")
        }
        Some(gate) => Check::fail(
            GATE,
            gate.gaps.join("; "),
            "these packets pass; `sipward doctor` as root says more",
        ),
    }
}

fn clashes(config: &Config, inspection: &Inspection, iproute: &Path) -> Check {
    let protocol = config.route.protocol;
    if !inspection.foreign.is_empty() {
        let named: Vec<&str> = inspection.foreign.iter().take(NAMED).map(String::as_str).collect();
        let found = format!(
            "protocol {protocol} marks {} routes or rules of other programs: {}",
            inspection.foreign.len(),
            named.join("; ")
        );
        let advice = "if earlier settings left them: `systemctl stop sipward && sipward flush`; \
                      otherwise choose another `protocol` in [route]";
        return Check::warn(CLASH, found, advice);
    }
    if let Some(name) = owner(iproute, protocol) {
        let found = format!("protocol {protocol} belongs to `{name}` on this host (rt_protos)");
        return Check::warn(CLASH, found, "choose another `protocol` in [route]");
    }
    let table = match inspection.table {
        254 => "main".to_owned(),
        own => own.to_string(),
    };
    Check::ok(CLASH, format!("protocol {protocol} in table {table} is used by sipward only"))
}

/// Another name for the protocol number of sipward in `rt_protos` or a file beside it (`ip-route(8)`).
fn owner(iproute: &Path, protocol: u8) -> Option<String> {
    let folder = fs::read_dir(iproute.join("rt_protos.d")).into_iter().flatten();
    let files = folder.filter_map(Result::ok).map(|entry| entry.path()).take(64);
    let texts =
        files.chain([iproute.join("rt_protos")]).filter_map(|file| fs::read_to_string(file).ok());
    texts.collect::<Vec<_>>().iter().flat_map(|text| text.lines()).find_map(|line| {
        let mut words = line.split_ascii_whitespace();
        let is_ours = words.next()?.parse() == Ok(protocol);
        let name = words.next()?;
        (is_ours && name != "sipward").then(|| name.escape_debug().to_string())
    })
}

/// The result for a host without routes and rules of sipward.
#[cfg(test)]
pub(super) fn found_for_tests() -> Inspection {
    Inspection {
        sip_bans: std::collections::BTreeSet::new(),
        flows: Vec::new(),
        hosts: 0,
        hosts_differ: 0,
        permitted: true,
        routes: 0,
        bans: std::collections::BTreeSet::new(),
        stopped_by_others: std::collections::BTreeSet::new(),
        table: 254,
        foreign: Vec::new(),
        gate: GateState::Missing,
        coverage: sipward_route::Coverage::default(),
        looked_up: 0,
        outranked: Vec::new(),
    }
}

#[cfg(test)]
mod tests;
