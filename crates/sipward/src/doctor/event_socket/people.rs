//! Permissions of the Event Socket's user, and FreeSWITCH's gateways, access lists and SIP ports.

use std::collections::BTreeSet;

use futures_util::future::join_all;
use sipward_esl::Subscription;

use super::{AccessLists, Check, GATEWAYS, LISTS, PERMISSIONS, PORTS, Session};
use sipward_config::Config;
use sipward_daemon::dns::Dns;
use sipward_daemon::{COMMANDS, lists};
use sipward_ingest::freeswitch::uri::{Host, Target};
use sipward_ingest::freeswitch::{access_lists, gateways, profiles, sofia_conf};
use sipward_model::text::Plain;

/// Names of gateways looked up at most.
const MAX_NAMES: usize = 64;

/// Things named in one line at most.
const NAMED: usize = 8;

/// The profiles whose `log-auth-failures` is on. The configuration holds passwords, of which nothing is reported.
pub(super) fn profiles_with_log(xml: &str) -> Result<Vec<String>, String> {
    let conf = sofia_conf::read(xml)?;
    let mut found: Vec<String> = conf
        .profiles
        .iter()
        .filter(|profile| profile.logs)
        .map(|profile| Plain(&profile.name).to_string())
        .collect();
    found.sort_unstable();
    found.dedup();
    Ok(found)
}

impl Session {
    /// Each event and each command by name. `refused`: events that were not granted.
    pub(super) async fn permissions(&mut self, refused: &[String]) -> Check {
        let needed: BTreeSet<String> =
            Subscription::sofia_required().each().map(|(name, _)| name).collect();
        let mut fatal: Vec<String> =
            refused.iter().filter(|name| needed.contains(*name)).cloned().collect();
        if refused.iter().any(|name| name == "BACKGROUND_JOB") {
            fatal.push("BACKGROUND_JOB".to_owned());
        }
        let mut lacking: Vec<String> = refused
            .iter()
            .filter(|name| !fatal.contains(name))
            .map(|name| format!("event {name}"))
            .collect();
        if fatal.is_empty() {
            for (command, example, without) in COMMANDS {
                if self.job(example).await.is_err_and(|error| error.contains("refused")) {
                    lacking.push(format!("command {command} ({without})"));
                }
            }
        }
        if !fatal.is_empty() {
            let found = format!("refused: events {}", fatal.join(", "));
            let advice = "add them to esl-allowed-events of this user in the directory: without \
                them sipward sees no attacks";
            return Check::fail(PERMISSIONS, found, advice);
        }
        if lacking.is_empty() {
            return Check::ok(PERMISSIONS, "every event and command that sipward uses is granted");
        }
        Check::warn(
            PERMISSIONS,
            format!("refused: {}", lacking.join(", ")),
            "add events to esl-allowed-events, commands to esl-allowed-api of this user in the directory",
        )
    }

    /// Whether the addresses of each gateway are known.
    pub(super) async fn gateways(&mut self) -> Check {
        let advice = "add the addresses of its carrier to `allow`";
        let listed = match self.job("sofia xmlstatus gateway").await {
            Ok(job) => gateways::read(&job.text),
            Err(error) => Err(error),
        };
        let listed = match listed {
            Ok(listed) => listed,
            Err(error) => {
                return Check::warn(GATEWAYS, format!("unknown: {}", Plain(&error)), advice);
            }
        };
        if listed.list.is_empty() {
            return Check::ok(GATEWAYS, "FreeSWITCH has none");
        }
        let mut addresses = BTreeSet::new();
        let mut lost: Vec<String> = Vec::new();
        let mut names: Vec<(String, Target)> = Vec::new();
        for gateway in &listed.list {
            match &gateway.proxy {
                Some(Target { host: Host::Address(address), .. }) => {
                    addresses.insert(*address);
                }
                Some(target) if names.len() < MAX_NAMES => {
                    names.push((gateway.name.clone(), target.clone()));
                }
                Some(_) => {}
                None => {
                    lost.push(format!("{} (its proxy is not a SIP address)", Plain(&gateway.name)));
                }
            }
        }
        let dns = match Dns::from_system() {
            Ok(dns) => dns,
            Err(error) => return Check::warn(GATEWAYS, error, "see /etc/resolv.conf"),
        };
        let looked_up: Vec<_> = names.iter().map(|(_, target)| dns.locate(target, false)).collect();
        for ((name, _), located) in names.iter().zip(join_all(looked_up).await) {
            match located {
                Ok(located) => addresses.extend(located.addresses),
                Err(error) => lost.push(format!("{} ({})", Plain(name), Plain(&error))),
            }
        }
        let count = listed.list.len();
        if lost.is_empty() {
            let found = format!("{count}, at {} addresses that are never banned", addresses.len());
            return Check::ok(GATEWAYS, found);
        }
        Check::warn(GATEWAYS, format!("not protected: {}", named(&lost)), advice)
    }

    /// Whether a list allows everybody.
    pub(super) async fn access_lists(&mut self, wanted: &[String]) -> Check {
        if wanted.is_empty() {
            return Check::ok(LISTS, "none configured (allow_acl)");
        }
        let decided = self.decide(wanted).await.decided;
        let unused: Vec<String> = decided
            .unused
            .iter()
            .map(|(list, error)| format!("{}: {}", Plain(list), Plain(error)))
            .collect();
        if unused.is_empty() {
            let found = format!(
                "{} networks are never banned by {}",
                decided.nets.len(),
                wanted.join(", ")
            );
            return Check::ok(LISTS, found);
        }
        Check::warn(
            LISTS,
            format!("not used: {}", named(&unused)),
            "correct them in acl.conf.xml and `fs_cli -x reloadacl`, or remove them from \
                `allow_acl`",
        )
    }

    /// The networks of the lists: from FreeSWITCH's file, and from its answers where the file does not suffice.
    pub(super) async fn decide(&mut self, wanted: &[String]) -> AccessLists {
        // A user without access to the file may be allowed to ask about addresses.
        let file = match self.job(access_lists::QUESTION).await {
            Ok(job) => access_lists::read(&job.text).ok(),
            Err(_) => None,
        };
        let mut decided = lists::decide(wanted, file.as_ref());
        let mut asked = decided.asked.clone().into_iter();
        while let Some(list) = asked.next() {
            match self.allows_everybody(&list).await {
                Ok(true) => decided.allows_everybody(&list),
                Ok(false) => {}
                Err(error) => {
                    let lists = std::iter::once(list).chain(asked).collect();
                    return AccessLists { decided, unanswered: Some((lists, error)) };
                }
            }
        }
        AccessLists { decided, unanswered: None }
    }

    /// Whether a list allows reserved addresses.
    async fn allows_everybody(&mut self, list: &str) -> Result<bool, String> {
        for family in lists::nobody() {
            let mut all = true;
            for address in family {
                let answer = self.job(&format!("acl {address} {list}")).await?;
                all = all && answer.text.trim() == "true";
            }
            if all {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Where FreeSWITCH listens, and whether packets there are counted.
    pub(super) async fn sip_ports(&mut self, config: &Config) -> Check {
        let names = match self.job(profiles::QUESTION).await {
            Ok(job) => profiles::running(&job.text),
            Err(error) => Err(error),
        };
        let configured = &config.route.gate.sip_ports;
        let (names, _) = match names {
            Ok(names) => names,
            Err(error) => {
                let found = format!(
                    "{configured:?}; FreeSWITCH does not report its ports: {}",
                    Plain(&error)
                );
                return Check::warn(PORTS, found, "set the ports in `sip_ports`");
            }
        };
        let mut said = Vec::new();
        let mut missed = BTreeSet::new();
        for name in names {
            let Ok(job) = self.job(&format!("{} profile {name}", profiles::QUESTION)).await else {
                continue;
            };
            let Ok(profile) = profiles::profile(&job.text) else { continue };
            let binds: Vec<String> = profile
                .binds
                .iter()
                .map(|bind| format!("{} {}", bind.transport.as_str(), bind.port))
                .collect();
            let limit = profile
                .max_rps
                .map(|rps| format!("; accepts {rps} requests a second"))
                .unwrap_or_default();
            said.push(format!("{}: {}{limit}", Plain(&profile.name), binds.join(", ")));
            missed.extend(
                profile
                    .binds
                    .iter()
                    .map(|bind| bind.port)
                    .filter(|port| !configured.contains(port)),
            );
        }
        if said.is_empty() {
            return Check::ok(PORTS, format!("no profile runs; {configured:?} are used"));
        }
        let said = named(&said);
        if config.sip_ports_auto {
            return Check::ok(PORTS, format!("of FreeSWITCH (sip_ports = \"auto\"): {said}"));
        }
        if missed.is_empty() || configured.is_empty() {
            return Check::ok(PORTS, format!("of the file: {configured:?}; FreeSWITCH has {said}"));
        }
        Check::warn(
            PORTS,
            format!("of the file: {configured:?}, but FreeSWITCH has {said}"),
            "set sip_ports = \"auto\", or add the missing ports: floods there are not detected",
        )
    }
}

/// The first of them, and how many more there are.
fn named(things: &[String]) -> String {
    let shown = things.iter().take(NAMED).cloned().collect::<Vec<_>>().join("; ");
    match things.len().checked_sub(NAMED).filter(|more| *more > 0) {
        Some(more) => format!("{shown}; and {more} more"),
        None => shown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONF: &str = r#"<configuration name="sofia.conf"><profiles>
        <profile name="internal"><gateways><gateway name="a&b"></gateway></gateways><settings>
        <param name="log-auth-failures" value="true"></param></settings></profile>
        <profile name="external"><settings><param name="log-auth-failures" value="false"/></settings></profile>
        </profiles></configuration>"#;

    #[test]
    fn the_profiles_that_log_are_named() {
        assert_eq!(profiles_with_log(CONF), Ok(vec!["internal".to_owned()]));
        assert_eq!(profiles_with_log(&CONF.replace("\"true\"", "\"false\"")), Ok(Vec::new()));
        assert!(profiles_with_log("-ERR xml_locate Command not found!\n").is_err());
    }

    #[test]
    fn many_things_are_counted() {
        let things: Vec<String> = (0..10).map(|n| n.to_string()).collect();
        assert_eq!(named(&things), "0; 1; 2; 3; 4; 5; 6; 7; and 2 more");
        assert_eq!(named(&things[..8]), "0; 1; 2; 3; 4; 5; 6; 7");
    }
}
