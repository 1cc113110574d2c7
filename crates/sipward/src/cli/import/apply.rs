//! Gives a takeover to the running daemon.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::path::Path;
use std::time::{Duration, SystemTime};

use ipnet::IpNet;
use serde::Serialize;
use serde_json::Value;
use sipward_engine::{Exemption, MAX_BAN_TIME, Scope};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::cli::ban::healthy;
use crate::cli::out;
use crate::cli::progress::Progress;
use crate::cli::ssh;
use crate::client::{Client, ClientError, NoQuery};
use crate::fail2ban::{RawAddress, StandingBan, Takeover};
use sipward_config::HostEntry;
use sipward_model::clock;
use sipward_model::text::Plain;
use sipward_model::wire::{
    AllowChanged, BanMade, BanScope, Healthy, HealthyReason, Net, NewAllow, NewBan, PolicyChange,
    PolicyView,
};

/// Bans sent side by side. Each answer waits until the ban is stored and the kernel has taken it; side by
/// side they share a commit.
const SIDE_BY_SIDE: usize = 16;

/// Most refusals and remaining bans that are reported.
const MAX_TOLD: usize = 100;

/// What became of a takeover.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Applied {
    /// Entries of the allow list afterwards.
    pub(super) allow: usize,
    /// The policy was changed.
    pub(super) policy: bool,
    /// Bans made.
    pub(super) bans: usize,
    /// Bans skipped because their sources are on the allow list.
    pub(super) bans_of_allowed: usize,
    /// Bans left out because a host there is registered or exempt now, and what it is; at most the first 100.
    pub(super) bans_of_healthy: Vec<String>,
    /// How many those are.
    pub(super) bans_of_healthy_total: usize,
    /// FreeSWITCH's registrations were not known whole, so more bans may be of registered hosts.
    pub(super) registrations_unknown: bool,
    /// Bans by an operator that stand on what is allowed, and outrank it; at most the first 100.
    pub(super) bans_staying: BTreeSet<IpNet>,
    /// What the daemon refused, and why; at most the first 100.
    pub(super) refused: Vec<String>,
}

impl Applied {
    pub(super) fn to_text(&self) -> String {
        let policy =
            if self.policy { "the policy was changed" } else { "the policy was not changed" };
        let first = format!("allowed: {}; {policy}; banned: {}\n", self.allow, self.bans);
        first + &self.exceptions()
    }

    /// What was not done as asked, and why.
    pub(super) fn exceptions(&self) -> String {
        let mut text = String::new();
        if self.bans_of_allowed > 0 {
            out::add(
                &mut text,
                format_args!(
                    "skipped, because they are on the allow list: {}\n",
                    self.bans_of_allowed
                ),
            );
        }
        if self.bans_of_healthy_total > 0 {
            out::add(
                &mut text,
                format_args!(
                    "left out, because they are registered or protected now: {}\n",
                    self.bans_of_healthy_total
                ),
            );
        }
        if self.registrations_unknown {
            text.push_str(
                "the daemon does not know all registrations of FreeSWITCH yet (`sipward status`), so a ban may hit a \
                 registered host; run the import again when it does, and `sipward unban` lifts a ban\n",
            );
        }
        if !self.bans_staying.is_empty() {
            let nets: Vec<String> = self.bans_staying.iter().map(ToString::to_string).collect();
            out::add(
                &mut text,
                format_args!(
                    "manual bans that remain: {}; `sipward unban` lifts them\n",
                    nets.join(", ")
                ),
            );
        }
        for refusal in &self.refused {
            out::add(&mut text, format_args!("refused: {}\n", Plain(refusal)));
        }
        text
    }

    fn stay(&mut self, nets: Vec<IpNet>) {
        let room = MAX_TOLD.saturating_sub(self.bans_staying.len());
        self.bans_staying.extend(nets.into_iter().take(room));
    }

    fn spare(&mut self, line: String) {
        self.bans_of_healthy_total += 1;
        if self.bans_of_healthy.len() < MAX_TOLD {
            self.bans_of_healthy.push(line);
        }
    }

    fn refuse(&mut self, what: &str, error: &ClientError) {
        if self.refused.len() < MAX_TOLD {
            self.refused.push(format!("{what}: {error}"));
        }
    }
}

/// Sends allow entries, then the policy, then the bans. A refusal of one is reported and the rest goes on.
///
/// # Errors
/// When the daemon cannot be asked.
pub(super) async fn apply(
    socket: &Path,
    takeover: &Takeover,
    progress: &Progress,
) -> Result<Applied, ClientError> {
    let mut applied = Applied::default();
    let mut client = Client::connect(socket).await?;
    let comment = Some("ignoreip of fail2ban".to_owned());
    let entry =
        |host: &HostEntry| NewAllow { host: host.clone(), comment: comment.clone(), until: None };
    allow(&mut client, takeover.allow.iter().map(entry), &mut applied).await?;
    let change = PolicyChange {
        max_failures: takeover.max_failures,
        window_seconds: takeover.window_seconds,
        ban_time_seconds: takeover.ban_time_seconds,
        values: values(&mut client, takeover).await?,
        ..PolicyChange::default()
    };
    if change != PolicyChange::default() {
        match refusal(client.patch::<PolicyView>("/policy", &change).await)? {
            Ok(_) => applied.policy = true,
            Err(error) => applied.refuse("policy", &error),
        }
    }
    // A ban by hand holds against the allow list, which fail2ban's do not.
    let is_allowed = |ban: &&StandingBan| takeover.allow.iter().any(|host| overlap(host, ban.net));
    let (allowed, wanted): (Vec<_>, Vec<_>) = takeover.bans.iter().partition(is_allowed);
    applied.bans_of_allowed = allowed.len();
    let spare = ssh::clients();
    let orders = wanted.into_iter().map(|ban| order(ban, &spare)).collect();
    send_bans(socket, orders, &mut applied, progress).await?;
    Ok(applied)
}

/// Sends allow entries one after the other.
pub(super) async fn allow(
    client: &mut Client,
    entries: impl Iterator<Item = NewAllow>,
    applied: &mut Applied,
) -> Result<(), ClientError> {
    for entry in entries {
        match refusal(client.post::<AllowChanged>("/allow", &entry).await)? {
            Ok(changed) => {
                applied.allow += 1;
                applied.stay(changed.value.staying);
            }
            Err(error) => applied.refuse(&entry.host.to_string(), &error),
        }
    }
    Ok(())
}

/// Sends bans, several side by side. Those of registered and exempt hosts are left out and named.
pub(super) async fn send_bans(
    socket: &Path,
    orders: Vec<NewBan>,
    applied: &mut Applied,
    progress: &Progress,
) -> Result<(), ClientError> {
    let count = u64::try_from(orders.len()).unwrap_or(u64::MAX);
    progress.steps(count);

    let (answers, mut answered) = mpsc::channel(SIDE_BY_SIDE);
    let mut workers = JoinSet::new();
    let part_size = orders.len().div_ceil(SIDE_BY_SIDE).max(1);
    for part in orders.chunks(part_size) {
        let (socket, part, answers) = (socket.to_owned(), part.to_vec(), answers.clone());
        workers.spawn(async move {
            let mut client = match Client::connect(&socket).await {
                Ok(client) => client,
                Err(error) => return drop(answers.send((None, Err(error))).await),
            };
            for order in part {
                let answer = ban(&mut client, &order).await;
                if answers.send((Some(order.net), answer)).await.is_err() {
                    return;
                }
            }
        });
    }
    drop(answers);
    while let Some((net, answer)) = answered.recv().await {
        progress.advance(1);
        match refusal(answer)? {
            Ok(Outcome { spared, unknown }) => {
                applied.registrations_unknown |= unknown;
                match spared {
                    None => applied.bans += 1,
                    Some(line) => applied.spare(line),
                }
            }
            Err(error) => {
                let what = net.map_or("ban".to_owned(), |net| net.to_string());
                applied.refuse(&what, &error);
            }
        }
    }
    Ok(())
}

/// What became of one ban.
#[derive(Default)]
struct Outcome {
    /// It was not made, because somebody there is healthy: who.
    spared: Option<String>,
    /// It is not known who is registered.
    unknown: bool,
}

/// Bans, unless a host there is registered or exempt: what fail2ban holds against it is older than that.
async fn ban(client: &mut Client, order: &NewBan) -> Result<Outcome, ClientError> {
    let healthy = healthy(client, order.net).await;
    let unknown = healthy
        .as_ref()
        .is_none_or(|healthy| healthy.unknown.iter().any(|part| part == "registrations"));
    let is_spared = |healthy: &Healthy| {
        healthy.hosts.iter().any(|host| match host.reason {
            HealthyReason::Registered
            | HealthyReason::Exempt(
                Exemption::Trunk | Exemption::Proxy | Exemption::Acl | Exemption::Allow,
            ) => true,
            // The daemon refuses these itself, but for `force`.
            HealthyReason::Exempt(
                Exemption::Own | Exemption::Gateway | Exemption::EslPeer | Exemption::NameServer,
            )
            | HealthyReason::Known => false,
        })
    };
    for line in healthy.iter().flat_map(Healthy::words) {
        eprintln!("sipward: {}", Plain(&line));
    }
    if let Some(healthy) = healthy.filter(is_spared) {
        return Ok(Outcome { spared: Some(healthy.words().join("; ")), unknown });
    }
    client.post::<BanMade>("/bans", order).await?;
    Ok(Outcome { spared: None, unknown })
}

fn order(ban: &StandingBan, spare: &[IpAddr]) -> NewBan {
    let now = clock::stamp(SystemTime::now());
    // What ends within the second is banned for one.
    let left = ban.until.map(|until| until.since(now).as_secs().clamp(1, MAX_BAN_TIME.as_secs()));
    NewBan {
        net: Net(ban.net),
        ban_time_seconds: left,
        permanent: left.is_none(),
        scope: ban.scope.map(|scope| match scope {
            Scope::Host => BanScope::Host,
            Scope::Sip => BanScope::Sip,
        }),
        // The API takes 500 bytes.
        reason: Some(format!("fail2ban: {}", ban.jail.chars().take(100).collect::<String>())),
        force: false,
        spare: spare.to_vec(),
    }
}

/// Values of the policy that have no field of their own, as the API takes them.
async fn values(
    client: &mut Client,
    takeover: &Takeover,
) -> Result<BTreeMap<String, Value>, ClientError> {
    const LONGEST_BAN: &str = "escalation.max_seconds";
    let mut values: BTreeMap<String, Value> = BTreeMap::new();
    let mut add = |key: &str, value: Option<Value>| {
        if let Some(value) = value {
            values.insert(key.to_owned(), value);
        }
    };
    let mut longest = takeover.escalation_max_seconds;
    if let (None, Some(first)) = (longest, takeover.ban_time_seconds) {
        // The daemon refuses a first ban that is longer than the longest.
        let policy = client.get::<PolicyView>("/policy", &NoQuery {}).await?.value;
        let now = policy.values.iter().find(|value| value.key == LONGEST_BAN);
        let now = now.and_then(|value| value.value.as_f64());
        longest =
            now.is_some_and(|now| Duration::from_secs(first).as_secs_f64() > now).then_some(first);
    }
    add("scope", takeover.scope.map(|scope| scope.as_str().into()));
    add("escalation.factor", takeover.escalation_factor.map(Value::from));
    add(LONGEST_BAN, longest.map(Value::from));
    if let Some(RawAddress { threshold, window_seconds, ban_time_seconds }) = takeover.raw_address {
        add("rules.raw_address.mode", Some("ban".into()));
        add("rules.raw_address.threshold", threshold.map(Value::from));
        add("rules.raw_address.window_seconds", window_seconds.map(Value::from));
        add("rules.raw_address.ban_time_seconds", ban_time_seconds.map(Value::from));
    }
    Ok(values)
}

fn overlap(host: &HostEntry, net: IpNet) -> bool {
    match host {
        HostEntry::Net(allowed) => allowed.contains(&net) || net.contains(allowed),
        HostEntry::Name(_) => false,
    }
}

/// A "no" to this one thing, inside, apart from what ends everything.
fn refusal<T>(answer: Result<T, ClientError>) -> Result<Result<T, ClientError>, ClientError> {
    match answer {
        Ok(done) => Ok(Ok(done)),
        Err(error @ ClientError::Problem { .. }) => Ok(Err(error)),
        Err(error) => Err(error),
    }
}
