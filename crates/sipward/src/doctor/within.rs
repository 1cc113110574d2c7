//! The checks as the daemon makes them of itself, for the console and the API.

use super::bans::Lists;
use super::{Heartbeat, Inside, View, processes};
use sipward_config::{Config, Credentials};
use sipward_daemon::control::Control;
use sipward_daemon::{self as daemon};
use sipward_model::wire::Check;

/// Makes the checks, on a runtime of its own: what takes long here is in nobody's way. It blocks.
pub(crate) fn from_within(control: &Control, credentials: &Credentials) -> Vec<Check> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    match runtime {
        Ok(runtime) => runtime.block_on(checks(control, credentials)),
        Err(error) => vec![Check::fail("doctor", error.to_string(), "report this as a bug")],
    }
}

async fn checks(control: &Control, credentials: &Credentials) -> Vec<Check> {
    let config = control.config().await;
    let mut checks = vec![configuration(control, &config), used(credentials)];
    let status = match control.status().await {
        Ok(status) => status,
        Err(error) => {
            checks.push(Check::fail("daemon", error.to_string(), "`journalctl -u sipward -n 50`"));
            return checks;
        }
    };
    checks.push(processes::runs(&status));
    let heartbeat = if status.event_socket.connected {
        Heartbeat::Heard
    } else {
        Heartbeat::Within(std::time::Duration::ZERO)
    };
    let view = View {
        config: &config,
        credentials: Some(credentials),
        heartbeat,
        daemon: Some(std::process::id()),
        lists: Some(Lists::Control(control)),
        inside: Some(Inside { gate: status.gate.clone(), bans: status.bans }),
        root: "/".as_ref(),
    };
    let processes = processes::Processes::read("/proc".as_ref());
    checks.extend(view.checks(&processes).await);
    checks
}

/// The settings in force, and whether the file could be read again.
fn configuration(control: &Control, config: &Config) -> Check {
    const NAME: &str = "configuration";
    match control.config_of_file() {
        Ok(_) => Check::ok(NAME, daemon::summary(config)),
        Err(error) => Check::fail(
            NAME,
            format!("the file has an error, and the settings of before are in force: {error}"),
            "correct the file, then `sipward reload`",
        ),
    }
}

fn used(credentials: &Credentials) -> Check {
    let user = credentials.user.as_ref().map(|user| format!(" as {user}")).unwrap_or_default();
    let Credentials { host, port, .. } = credentials;
    Check::ok("credentials", format!("a password for {host}:{port}{user}"))
}
