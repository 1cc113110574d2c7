//! The kernel: may it be changed, does the gate hold, does somebody else use what is ours?

use std::fs;
use std::path::Path;

use caps::CapSet;
use sipward_route::{GateState, Inspection};

use super::{Check, Patient, bans};
use sipward_config::{Config, Mode};
use sipward_model::rights;

const RIGHT: &str = "capability";
const GATE: &str = "gate";
const CLASH: &str = "clashes";

/// Routes and networks named in a line at most.
const NAMED: usize = 3;

/// Seven checks. `daemon` is the process of a running daemon, `socket` where it answers.
pub(super) async fn checks(
    config: &Config,
    daemon: Option<u32>,
    socket: Option<&Path>,
    patient: &Patient,
) -> Vec<Check> {
    let of_daemon = daemon.and_then(|id| {
        let threads = patient.root.join(format!("proc/{id}/task"));
        rights::any_has_net_admin(&threads, CapSet::Effective)
    });
    match sipward_route::inspect(&config.route).await {
        Ok(inspection) => {
            let mut checks = vec![
                right(config, of_daemon, inspection.permitted),
                gate(config, daemon.is_some(), &inspection),
            ];
            checks.extend(bans::checks(config, daemon.is_some(), socket, &inspection).await);
            checks.push(clashes(config, &inspection, &patient.root.join("etc/iproute2")));
            checks
        }
        Err(error) => {
            let blind =
                |name| Check::fail(name, error.to_string(), "sipward cannot work on this kernel");
            let names = [RIGHT, GATE].into_iter().chain(bans::NAMES).chain([CLASH]);
            names.map(blind).collect()
        }
    }
}

fn right(config: &Config, of_daemon: Option<bool>, of_this: bool) -> Check {
    const GRANT: &str =
        "grant it in the unit by AmbientCapabilities=CAP_NET_ADMIN, as the shipped unit does";
    match (of_daemon, of_this, config.mode) {
        (Some(true), _, _) => Check::ok(RIGHT, "the daemon has CAP_NET_ADMIN"),
        (_, _, Mode::Observe) => Check::ok(RIGHT, "CAP_NET_ADMIN is not needed in observe mode"),
        (Some(false), _, Mode::Ban) => Check::fail(RIGHT, "the daemon lacks CAP_NET_ADMIN", GRANT),
        (None, true, Mode::Ban) => {
            Check::ok(RIGHT, "this user has CAP_NET_ADMIN; the daemon gets it from its unit")
        }
        (None, false, Mode::Ban) => Check::warn(
            RIGHT,
            "this user lacks CAP_NET_ADMIN, and there is no daemon whose rights could be looked at",
            "run `sipward doctor` as root",
        ),
    }
}

fn gate(config: &Config, is_running: bool, inspection: &Inspection) -> Check {
    if config.mode == Mode::Observe {
        return Check::ok(GATE, "observe mode: nothing is set in the kernel");
    }
    if let Some((net, winner)) = inspection.outranked.first() {
        let count = inspection.outranked.len();
        let found = format!(
            "{count} of {} bans looked up stop nothing: for {net}, {winner} wins",
            inspection.looked_up
        );
        let advice = "set [route] table = \"auto\" (the bans get a table of their own, read first) and \
                      restart, or remove that rule or route";
        return Check::fail(GATE, found, advice);
    }
    let looked_up = match inspection.looked_up {
        0 => "no ban stands that could be looked up".to_owned(),
        count => {
            format!("{count} of {} bans looked up, a blackhole wins for each", inspection.routes)
        }
    };
    let gaps = inspection.coverage.gaps.join("; ");
    match &inspection.gate {
        GateState::Standing { dropped } if !gaps.is_empty() => Check::fail(
            GATE,
            format!("its rules stand and have dropped {dropped} packets, but {gaps}"),
            "what is named passes; the daemon's log says when it is closed",
        ),
        GateState::Standing { dropped } => Check::ok(
            GATE,
            format!("its rules stand and have dropped {dropped} packets; {looked_up}"),
        ),
        GateState::Missing if gaps.is_empty() => Check::ok(
            GATE,
            format!("not needed: rp_filter drops what banned hosts send; {looked_up}"),
        ),
        GateState::Missing if !is_running => Check::warn(
            GATE,
            format!("not set: {gaps}"),
            "the daemon sets it when it starts, unless [route] gate says otherwise",
        ),
        GateState::Missing => Check::fail(
            GATE,
            format!("not set: {gaps}"),
            "set gate = \"auto\" in [route] and restart; the log says why where it cannot be set",
        ),
        GateState::Damaged { what } if is_running => Check::fail(
            GATE,
            format!("damaged: {what}"),
            "the daemon puts it back within a second; if this stays, `journalctl -u sipward` says why",
        ),
        GateState::Damaged { what } => {
            Check::warn(GATE, format!("damaged: {what}"), "the daemon puts it back when it starts")
        }
        GateState::Foreign => Check::fail(
            GATE,
            format!("a table `inet {}` of somebody else exists", config.route.gate.table_name),
            "choose another gate_table_name in [route]",
        ),
        GateState::Unknown { reason } => Check::warn(
            GATE,
            format!("cannot be looked at: {reason}"),
            "run `sipward doctor` as root",
        ),
    }
}

fn clashes(config: &Config, inspection: &Inspection, iproute: &Path) -> Check {
    let protocol = config.route.protocol;
    if !inspection.foreign.is_empty() {
        let named: Vec<&str> = inspection.foreign.iter().take(NAMED).map(String::as_str).collect();
        let found = format!(
            "protocol {protocol} marks {} routes or rules that are not ours: {}",
            inspection.foreign.len(),
            named.join("; ")
        );
        let advice = "left by other settings: `systemctl stop sipward && sipward flush`; of another program: \
                      choose another `protocol` in [route]";
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
    Check::ok(CLASH, format!("protocol {protocol} in table {table} is ours alone"))
}

/// Another name for our protocol number in `rt_protos` or a file beside it (`ip-route(8)`).
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

/// What is found on a host on which nothing stands.
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
