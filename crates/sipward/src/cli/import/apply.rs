//! Gives a takeover to the running daemon.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::path::Path;
use std::time::SystemTime;

use ipnet::IpNet;
use serde::Serialize;
use sipward_engine::Scope;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::cli::ban::healthy;
use crate::cli::out;
use crate::cli::progress::Progress;
use crate::cli::ssh;
use crate::client::{Client, ClientError};
use crate::fail2ban::{StandingBan, Takeover};
use sipward_config::HostEntry;
use sipward_model::clock;
use sipward_model::text::Plain;
use sipward_model::wire::{
    AllowChanged, BanMade, BanScope, Net, NewAllow, NewBan, PolicyChange, PolicyView,
};

/// Bans sent side by side. Each answer waits until the ban is stored and the kernel has taken it; side by
/// side they share a commit.
const SIDE_BY_SIDE: usize = 16;

/// Longest ban that the API takes, in seconds: ten years.
const LONGEST: u64 = 3_653 * 86_400;

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
    /// Bans by an operator that cover allowed hosts and take precedence; at most the first 100.
    pub(super) bans_staying: BTreeSet<IpNet>,
    /// What the daemon refused, and why; at most the first 100.
    pub(super) refused: Vec<String>,
}

impl Applied {
    pub(super) fn to_text(&self) -> String {
        let mut text = format!(
            "allowed: {}; {}; banned: {}\n",
            self.allow,
            if self.policy { "the policy was changed" } else { "the policy was already the same" },
            self.bans,
        );
        if self.bans_of_allowed > 0 {
            out::add(
                &mut text,
                format_args!(
                    "skipped, because they are on the allow list: \
                    {}\n",
                    self.bans_of_allowed
                ),
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
    for host in &takeover.allow {
        let entry =
            NewAllow { host: host.clone(), comment: Some("ignoreip of fail2ban".to_owned()) };
        match refusal(client.post::<AllowChanged>("/allow", &entry).await)? {
            Ok(changed) => {
                applied.allow += 1;
                applied.stay(changed.value.staying);
            }
            Err(error) => applied.refuse(&host.to_string(), &error),
        }
    }
    let change = PolicyChange {
        max_failures: takeover.max_failures,
        window_seconds: takeover.window_seconds,
        ban_time_seconds: takeover.ban_time_seconds,
        values: takeover.scope.map(scope_value).into_iter().collect(),
        ..PolicyChange::default()
    };
    if change != PolicyChange::default() {
        match refusal(client.patch::<PolicyView>("/policy", &change).await)? {
            Ok(_) => applied.policy = true,
            Err(error) => applied.refuse("policy", &error),
        }
    }
    bans(socket, takeover, &mut applied, progress).await?;
    Ok(applied)
}

async fn bans(
    socket: &Path,
    takeover: &Takeover,
    applied: &mut Applied,
    progress: &Progress,
) -> Result<(), ClientError> {
    // A ban by hand holds against the allow list, which fail2ban's do not.
    let is_allowed = |ban: &&StandingBan| takeover.allow.iter().any(|host| overlap(host, ban.net));
    let (allowed, wanted): (Vec<_>, Vec<_>) = takeover.bans.iter().partition(is_allowed);
    applied.bans_of_allowed = allowed.len();
    let spare = ssh::clients();
    let orders: Vec<NewBan> = wanted.into_iter().map(|ban| order(ban, &spare)).collect();
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
                for line in healthy(&mut client, order.net).await {
                    eprintln!("sipward: {}", Plain(&line));
                }
                let answer = client.post::<BanMade>("/bans", &order).await.map(drop);
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
            Ok(()) => applied.bans += 1,
            Err(error) => {
                let what = net.map_or("ban".to_owned(), |net| net.to_string());
                applied.refuse(&what, &error);
            }
        }
    }
    Ok(())
}

fn order(ban: &StandingBan, spare: &[IpAddr]) -> NewBan {
    let now = clock::stamp(SystemTime::now());
    // What ends within the second is banned for one.
    let left = ban.until.map(|until| until.since(now).as_secs().clamp(1, LONGEST));
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

/// `policy.scope`, as the API takes it.
fn scope_value(scope: Scope) -> (String, serde_json::Value) {
    ("scope".to_owned(), scope.as_str().into())
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
