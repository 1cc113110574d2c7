//! `sipward ban` and `sipward unban`.

use std::cell::Cell;
use std::time::Duration;

use hyper::Method;

use super::out;
use super::remote::{Exit, Remote, for_each};
use super::ssh;
use crate::client::{Client, NoQuery, segment};
use sipward_config::Mode;
use sipward_model::text::{Plain, read_span};
use sipward_model::wire::{
    BanMade, BanScope, BanState, Healthy, Net, NewBan, RouteState, SourceReport, Status,
    StillStopped, StoreHealth, StoreState, Unbanned,
};

/// Ban addresses or networks.
///
/// Refused with the reason when it would cut off this host's gateways, name servers, trunks, the
/// FreeSWITCH end of the Event Socket, or the SSH client of this command, and when it is
/// wider than /16 (IPv4) or /32 (IPv6). Unlike a rule, it may ban hosts of the allow list. Hosts there that are
/// registered, known or exempt are named on standard error before the ban.
#[derive(Debug, clap::Args)]
pub(super) struct BanCommand {
    /// The sources: 203.0.113.7, 203.0.113.0/24, `2001:db8:bad::/48`. `sipward import list` reads them from a file.
    #[arg(value_name = "ADDR|CIDR", required = true)]
    nets: Vec<Net>,
    /// Duration: 90s, 10m, 2h, 7d. Default: `ban_time` of the policy.
    #[arg(long = "for", value_name = "SPAN", value_parser = read_span, conflicts_with = "permanent")]
    length: Option<Duration>,
    /// Ban until the ban is lifted.
    #[arg(long)]
    permanent: bool,
    /// The reason, shown in the list and in the history.
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// What to block: everything, or only packets to the SIP ports, so that web, mail and SSH remain reachable.
    /// Default: `scope` of the policy.
    #[arg(long, value_enum, value_name = "SCOPE")]
    scope: Option<ScopeWord>,
    /// Ban even if a safety check refuses. Loopback and this host's own addresses can never be banned.
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    remote: Remote,
}

/// What a ban blocks.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub(super) enum ScopeWord {
    /// Everything, by a blackhole route and the gate.
    Host,
    /// Packets to the SIP ports, by the gate.
    Sip,
}

impl ScopeWord {
    pub(super) fn scope(self) -> BanScope {
        match self {
            Self::Host => BanScope::Host,
            Self::Sip => BanScope::Sip,
        }
    }
}

impl BanCommand {
    pub(super) fn run(&self) -> anyhow::Result<Exit> {
        for_each(&self.nets, |net| self.ban(*net))
    }

    fn ban(&self, net: Net) -> anyhow::Result<Exit> {
        let order = NewBan {
            net,
            ban_time_seconds: self.length.map(|length| length.as_secs()),
            permanent: self.permanent,
            scope: self.scope.map(ScopeWord::scope),
            reason: self.reason.clone(),
            force: self.force,
            spare: ssh::clients(),
        };
        let observes = Cell::new(false);
        self.remote.run(
            "banning",
            async |client| {
                for line in healthy(client, net).await.iter().flat_map(Healthy::words) {
                    eprintln!("sipward: {}", Plain(&line));
                }
                let made = client.post::<BanMade>("/bans", &order).await?;
                if made.value.ban.state == BanState::Ineffective {
                    observes.set(is_observing(client).await);
                }
                Ok(made)
            },
            |done| made(done, observes.get()),
        )
    }
}

/// The hosts in `net` that are not strangers. If the query fails, the ban is made anyway.
pub(super) async fn healthy(client: &mut Client, net: Net) -> Option<Healthy> {
    let path = format!("/healthy/{}", segment(net));
    client.get::<Healthy>(&path, &NoQuery {}).await.ok().map(|healthy| healthy.value)
}

/// Whether the daemon runs in observe mode. If the query fails, the command still succeeds.
pub(super) async fn is_observing(client: &mut Client) -> bool {
    let status = client.get::<Status>("/status", &NoQuery {}).await;
    status.is_ok_and(|status| status.value.mode == Mode::Observe)
}

/// `observes` in observe mode.
fn made(made: &BanMade, observes: bool) -> String {
    let ban = &made.ban;
    let end = ban.until.map_or("permanently".to_owned(), |until| format!("until {until}"));
    let problem = |what: &str| match &ban.error {
        Some(error) => format!("; {what}: {}", Plain(error)),
        None => format!("; {what}"),
    };
    let kernel = match ban.state {
        BanState::Enforced => match &ban.enforced_by {
            Some(route) => {
                format!("; a route of another program makes it ineffective: {}", Plain(route))
            }
            None => String::new(),
        },
        BanState::Pending => "; the kernel has not answered yet".to_owned(),
        BanState::Ineffective if observes => {
            "; in observe mode (`mode = \"observe\"`, or --dry-run) the ban is only recorded, its \
             packets still arrive"
                .to_owned()
        }
        BanState::Ineffective => problem("but its packets still arrive (see `sipward doctor`)"),
        BanState::Failed => problem("but the kernel refused the route"),
    };
    let from = match ban.scope {
        BanScope::Host => "",
        BanScope::Sip => "from the SIP ports ",
    };
    format!("{} is banned {from}{end}{kernel}\n{}", ban.net, degraded(&made.store))
}

/// Lift bans.
///
/// An address inside a banned network is excluded from it; the rest remains banned. Its failures are
/// forgotten, so that it starts again from zero.
#[derive(Debug, clap::Args)]
pub(super) struct UnbanCommand {
    /// The address or network.
    #[arg(value_name = "ADDR|CIDR", required_unless_present = "all")]
    nets: Vec<Net>,
    /// Lift all bans.
    #[arg(long, conflicts_with = "nets")]
    all: bool,
    #[command(flatten)]
    remote: Remote,
}

impl UnbanCommand {
    pub(super) fn run(&self) -> anyhow::Result<Exit> {
        if self.all {
            return self.unban(None);
        }
        for_each(&self.nets, |net| self.unban(Some(*net)))
    }

    fn unban(&self, net: Option<Net>) -> anyhow::Result<Exit> {
        let path = match &net {
            Some(net) => format!("/bans/{}", segment(net)),
            None => "/bans".to_owned(),
        };
        let whom = net.map_or("nobody".to_owned(), |net| net.to_string());
        self.remote.run(
            "lifting bans",
            async |client| {
                let mut done = client.send::<Unbanned>(Method::DELETE, &path).await?;
                look_again(client, &mut done.value).await;
                done.body = serde_json::to_string(&done.value).unwrap_or(done.body);
                Ok(done)
            },
            |done: &Unbanned| {
                let flows = match done.flows {
                    0 => String::new(),
                    flows => format!("; {} allowed again", out::count(flows, "denied flow")),
                };
                if done.count == 0 {
                    return match net {
                        Some(_) => format!("{whom} was not banned{flows}\n"),
                        None => format!("there were no bans{flows}\n"),
                    };
                }
                let left = match done.left.len() {
                    0 => String::new(),
                    pieces => format!(
                        "; the rest of wider bans remains as {}",
                        out::count(pieces as u64, "ban")
                    ),
                };
                let unfinished = match done.unfinished {
                    0 => String::new(),
                    some => {
                        format!("; the kernel has not removed {} yet", out::count(some, "route"))
                    }
                };
                let mut text =
                    format!("{} lifted{left}{flows}{unfinished}\n", out::count(done.count, "ban"));
                for StillStopped { net, by } in &done.still_stopped {
                    out::add(&mut text, format_args!("{net} is still blocked: {}\n", Plain(by)));
                }
                text + &degraded(&done.store)
            },
        )
    }
}

/// Networks that are checked again after an unban.
const LOOKED_AT: usize = 8;
/// Time from an unban to that check. Another program that restores the route, such as a second sipward, takes about
/// 50 ms.
const COMES_BACK: Duration = Duration::from_millis(200);

/// Whether another program has restored a lifted ban. If the query fails, the command still succeeds.
async fn look_again(client: &mut Client, done: &mut Unbanned) {
    if done.ended.is_empty() || done.ended.len() > LOOKED_AT {
        return;
    }
    tokio::time::sleep(COMES_BACK).await;
    for net in done.ended.clone() {
        let path = format!("/sources/{}", segment(net.addr()));
        let Ok(report) = client.get::<SourceReport>(&path, &NoQuery {}).await else { return };
        let is_stopped = report.value.kernel.state == RouteState::Blackhole;
        let is_known = done.still_stopped.iter().any(|still| still.net == net);
        if is_stopped && report.value.bans.is_empty() && !is_known {
            let by = "its blackhole route was restored by another program; does a second sipward \
                      run? See `sipward doctor`";
            done.still_stopped.push(StillStopped { net, by: by.to_owned() });
        }
    }
}

/// The note about a store that does not keep the change.
pub(super) fn degraded(store: &StoreHealth) -> String {
    match store.state {
        StoreState::Ok => String::new(),
        StoreState::Degraded => format!(
            "the store does not keep it, so it ends at the next restart: {}\n",
            Plain(store.problem.as_deref().unwrap_or("no reason given"))
        ),
    }
}
