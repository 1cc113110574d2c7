//! Checks of everything that a ban depends on.
//!
//! Most are made by the program (`sipward doctor` makes the same ones without a daemon) and handed in. Here is what
//! nobody but the daemon knows.

use std::sync::Arc;
use std::time::{Duration, Instant};

use ipnet::IpNet;
use sipward_engine::{Exemption, Flow, Scope};
use tokio::sync::Mutex;

use super::error::ControlError;
use super::{Control, aside};
use crate::EngineTask;
use crate::freeswitch_queries::table::Part;
use sipward_config::{Config, HostEntry, Mode};
use sipward_model::text::{self, Thousands};
use sipward_model::wire::{Check, DoctorQuery, Examination, Fleet, NodeStanding, StoreState};

/// Makes the checks of the program. It blocks: it asks FreeSWITCH and the kernel, and reads the database.
pub type Examine = Arc<dyn Fn(&Control) -> Vec<Check> + Send + Sync>;

/// For so long a result answers others who ask.
const FRESH: Duration = Duration::from_secs(10);

/// Bans read in one call to the engine: well under a millisecond.
const PART: usize = 4_096;

/// Things named in a line at most.
const NAMED: usize = 5;

/// The program's checks, and their latest result. One examination runs at a time.
pub(super) struct Doctor {
    examine: Examine,
    latest: Arc<Mutex<Option<Latest>>>,
}

/// What was found, and when.
struct Latest {
    at: Instant,
    checks: Vec<Check>,
}

impl Doctor {
    pub(super) fn new(examine: Examine) -> Arc<Self> {
        Arc::new(Self { examine, latest: Arc::default() })
    }
}

impl Control {
    /// Checks everything that a ban depends on. Takes up to some seconds; who asks meanwhile gets the same result.
    pub async fn doctor(&self, query: DoctorQuery) -> Result<Examination, ControlError> {
        if query.own {
            return Ok(Examination::of(self.own_checks().await?));
        }
        let mut latest = Arc::clone(&self.doctor.latest).lock_owned().await;
        let mut checks = match latest.as_ref() {
            Some(Latest { at, checks }) if at.elapsed() < FRESH => checks.clone(),
            _ => {
                let (control, examine) = (self.clone(), Arc::clone(&self.doctor.examine));
                // Who gives up waiting leaves the lock with it.
                aside(move || {
                    let checks = examine(&control);
                    *latest = Some(Latest { at: Instant::now(), checks: checks.clone() });
                    checks
                })
                .await?
            }
        };
        checks.extend(self.own_checks().await?);
        Ok(Examination::of(checks))
    }

    /// The settings in force.
    pub async fn config(&self) -> Config {
        self.settings.state().await.effective()
    }

    /// What the configuration file would give now; nothing is changed.
    ///
    /// # Errors
    /// What is wrong in it.
    pub fn config_of_file(&self) -> Result<Config, String> {
        self.settings.read_file()
    }

    /// Every ban's network, and what of it is stopped.
    pub async fn banned_nets(&self) -> Result<Vec<(IpNet, Scope)>, ControlError> {
        let (mut all, mut last) = (Vec::new(), None);
        loop {
            let part = self.engine.call(move |task| {
                let bans = task.engine().bans_after(last).take(PART);
                bans.map(|ban| (ban.net, ban.scope)).collect::<Vec<_>>()
            });
            let part = part.await?;
            last = part.last().map(|(net, _)| *net).filter(|_| part.len() >= PART);
            all.extend(part);
            if last.is_none() {
                return Ok(all);
            }
        }
    }

    /// Every flow that is denied; there are 65,536 at most.
    pub async fn denied_flows(&self) -> Result<Vec<Flow>, ControlError> {
        let flows = self.engine.call(|task| {
            let flows = task.engine().flows();
            flows.map(|denied| denied.flow).collect::<Vec<_>>()
        });
        Ok(flows.await?)
    }

    /// What nobody but the daemon knows.
    async fn own_checks(&self) -> Result<Vec<Check>, ControlError> {
        let config = self.config().await;
        let of_engine = {
            let config = config.clone();
            self.engine.call(move |task| {
                [registrations(task), allowed(task, &config), shield(task, &config)]
            })
        };
        let mut checks = vec![mode(&config)];
        checks.extend(of_engine.await?);
        checks.extend(fleet(&self.fleet()));
        checks.extend([
            self.storage(),
            self.places_known(&config),
            self.notified(),
            self.restart(),
        ]);
        Ok(checks)
    }

    fn storage(&self) -> Check {
        const NAME: &str = "storage";
        let health = self.store_health();
        match (health.state, health.problem) {
            (StoreState::Degraded, problem) => Check::fail(
                NAME,
                format!("nothing is stored: {}", problem.unwrap_or_default()),
                "bans continue, but are lost at a restart; free some space or repair the file, and the daemon \
                 goes on by itself",
            ),
            (_, _) if health.dropped_entries > 0 => Check::warn(
                NAME,
                format!("{} entries were lost since the start", Thousands(health.dropped_entries)),
                "is the disk slow or full?",
            ),
            _ => Check::ok(NAME, "everything decided is stored"),
        }
    }

    fn places_known(&self, config: &Config) -> Check {
        const NAME: &str = "countries";
        let files = &config.geo.files;
        if files.is_empty() {
            return Check::ok(NAME, "unknown: `[geo] files` is not set");
        }
        let missing: Vec<String> = files
            .iter()
            .filter(|file| std::fs::File::open(file).is_err())
            .map(|file| file.display().to_string())
            .collect();
        if self.lookups.geo.is_empty() || !missing.is_empty() {
            let which =
                if missing.is_empty() { files.len().to_string() } else { missing.join(", ") };
            return Check::warn(
                NAME,
                format!("files of `[geo]` that cannot be read: {which}"),
                "make them readable for the daemon's user, then `sipward reload`; its log has the reason",
            );
        }
        Check::ok(NAME, format!("known from {}", text::count(files.len() as u64, "file")))
    }

    fn notified(&self) -> Check {
        const NAME: &str = "notifications";
        let ways = self.notifications();
        let failing: Vec<String> = ways
            .iter()
            .filter_map(|way| Some(format!("{}: {}", way.by, way.error.as_ref()?)))
            .take(NAMED)
            .collect();
        if !failing.is_empty() {
            let advice = "`sipward notify test` shows what the server answers";
            return Check::warn(NAME, failing.join("; "), advice);
        }
        match ways.len() {
            0 => Check::ok(NAME, "none: neither `mail.to` nor `webhook.urls` is set"),
            some => {
                let sent: u64 = ways.iter().map(|way| way.delivered).sum();
                let ways = text::count(some as u64, "receiver");
                Check::ok(NAME, format!("{ways}; {} delivered since the start", Thousands(sent)))
            }
        }
    }

    fn restart(&self) -> Check {
        const NAME: &str = "restart";
        let sections = self.settings.needs_restart();
        if sections.is_empty() {
            return Check::ok(NAME, "not needed");
        }
        let found = format!("changes of {} are not in force", sections.join(", "));
        Check::warn(
            NAME,
            found,
            "`systemctl restart sipward`; the bans stay in the kernel meanwhile",
        )
    }
}

/// Nothing where the node is alone.
fn fleet(fleet: &Fleet) -> Option<Check> {
    const NAME: &str = "fleet";
    let Fleet { enabled: true, link, counts, nodes, .. } = fleet else { return None };
    if !link.connected {
        let error = link.error.as_deref().unwrap_or("not yet");
        let advice = "own bans continue; docs/fleet.md says what each error means";
        return Some(Check::warn(NAME, format!("not connected: {error}"), advice));
    }
    if !link.stream || link.unacknowledged > 0 {
        let why = link.error.as_deref().unwrap_or("the servers may have no leader");
        let found = match link.unacknowledged {
            0 => format!("the stream is not followed: {why}"),
            waiting => format!("{} not acknowledged: {why}", text::count(waiting, "message")),
        };
        return Some(Check::warn(
            NAME,
            found,
            "was `sipward fleet init` run, and are most servers up?",
        ));
    }
    let shadowed = nodes.iter().filter(|node| node.standing != NodeStanding::Accept);
    let shadowed: Vec<&str> = shadowed.map(|node| node.node.as_str()).take(NAMED).collect();
    if !shadowed.is_empty() {
        let found = format!("not trusted: {}", shadowed.join(", "));
        let advice = "`sipward fleet status` says why; an operator can accept a node again";
        return Some(Check::warn(NAME, found, advice));
    }
    let (own, taken) = (counts.published, counts.taken);
    let bans = text::count(own, "own ban");
    Some(Check::ok(
        NAME,
        format!("connected; {bans} for all nodes, {} of others in force", Thousands(taken)),
    ))
}

fn mode(config: &Config) -> Check {
    const NAME: &str = "mode";
    match config.mode {
        Mode::Ban => Check::ok(NAME, "ban: packets of banned hosts are dropped"),
        Mode::Observe => Check::warn(
            NAME,
            "observe: everything is decided and recorded, nothing is blocked",
            "after some days look at the bans, then `sipward mode ban`, or the page Mode",
        ),
    }
}

fn registrations(task: &EngineTask) -> Check {
    const NAME: &str = "registrations";
    let unknown: Vec<&str> = task.protected().unknown().map(Part::as_str).collect();
    let phones = text::count(task.protected().phones.count() as u64, "phone");
    if unknown.is_empty() {
        return Check::ok(NAME, format!("complete: {phones}, gateways and access lists"));
    }
    Check::warn(
        NAME,
        format!("{phones}; FreeSWITCH has not answered for: {}", unknown.join(", ")),
        "until it does, these are protected only as far as they are known; its user needs the API \
         (esl-allowed-api)",
    )
}

fn allowed(task: &EngineTask, config: &Config) -> Check {
    const NAME: &str = "allow list";
    let count = of_operators(task);
    if count == 0 {
        return Check::warn(
            NAME,
            "is empty, and no access list of FreeSWITCH is used",
            "add the networks of your office and of those who administer the host: `sipward allow add NET`, or the \
             page Allow list",
        );
    }
    let by_name = config.allow.iter().filter(|host| matches!(host, HostEntry::Name(_))).count();
    let named = match by_name {
        0 => String::new(),
        some => format!(", {some} by name"),
    };
    Check::ok(NAME, format!("{} allowed{named}", text::count(count as u64, "network")))
}

/// Networks that are exempt because an operator, or an access list of FreeSWITCH, says so.
pub(super) fn of_operators(task: &EngineTask) -> usize {
    let is_set = |class| matches!(class, Exemption::Allow | Exemption::Acl);
    let entries = task.protected().entries();
    entries
        .filter(
            |entry| matches!(entry.reason, crate::ProtectedReason::Exempt(class) if is_set(class)),
        )
        .count()
}

fn shield(task: &EngineTask, config: &Config) -> Check {
    const NAME: &str = "shield";
    if config.mode == Mode::Observe {
        return Check::ok(NAME, "observe mode: nothing is limited");
    }
    match task.healthy_hosts() {
        Some(hosts) => {
            let hosts = text::count(hosts as u64, "healthy host");
            Check::ok(NAME, format!("limits strangers; {hosts} pass before them"))
        }
        None if !config.shield.is_on => Check::ok(NAME, "off (`shield.mode`)"),
        None => Check::warn(
            NAME,
            "not set: it needs the gate and the SIP ports",
            "see the checks of the gate and the SIP ports; the log has the reason",
        ),
    }
}
