//! `sipward ban` and `sipward unban`.

use std::cell::Cell;
use std::fmt;
use std::io::{self, IsTerminal as _};
use std::time::Duration;

use hyper::Method;

use super::ask::ask;
use super::fleet::Operator;
use super::out;
use super::remote::{Exit, Remote, for_each};
use super::ssh;
use crate::client::{Answer, Client, ClientError, NoQuery, segment};
use sipward_config::Mode;
use sipward_model::text::{Plain, read_span};
use sipward_model::wire::{
    BanMade, BanOrigin, BanPage, BanQuery, BanScope, BanState, FlowPage, FlowQuery, Healthy, Net,
    NewBan, RouteState, SourceReport, Status, StillStopped, StoreHealth, StoreState, Unbanned,
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
        let in_observe = Cell::new(false);
        self.remote.run(
            "banning",
            async |client| {
                for line in healthy(client, net).await.iter().flat_map(Healthy::words) {
                    eprintln!("sipward: {}", Plain(&line));
                }
                let (made, observed) = make(client, &order).await?;
                in_observe.set(observed);
                Ok(made)
            },
            |done| made(done, in_observe.get()),
        )
    }
}

/// Bans, and says whether that does nothing because the daemon only observes.
pub(super) async fn make(
    client: &mut Client,
    order: &NewBan,
) -> Result<(Answer<BanMade>, bool), ClientError> {
    let made = client.post::<BanMade>("/bans", order).await?;
    let observes = made.value.ban.state == BanState::Ineffective && is_observing(client).await;
    Ok((made, observes))
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
pub(super) fn made(made: &BanMade, observes: bool) -> String {
    let ban = &made.ban;
    let end = ban.until.map(|until| format!("until {}", out::time(until)));
    let end = end.unwrap_or_else(|| "permanently".to_owned());
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
    /// Lift all bans, and allow all denied flows again. Asks on a terminal; elsewhere it is refused without --yes.
    #[arg(long, conflicts_with = "nets")]
    all: bool,
    /// Do not ask before all bans are lifted.
    // Where networks are given `requires` is waived, because `all` conflicts with them.
    #[arg(long, short, requires = "all", conflicts_with = "nets")]
    yes: bool,
    /// Lift the bans on all nodes of the fleet; needs an operator's credential. For an hour no node's ban of these
    /// networks is accepted elsewhere.
    #[arg(long, conflicts_with = "all")]
    fleet: bool,
    /// The reason, shown on the other nodes.
    #[arg(long, value_name = "TEXT", requires = "fleet")]
    reason: Option<String>,
    #[command(flatten)]
    operator: Operator,
    #[command(flatten)]
    remote: Remote,
}

impl UnbanCommand {
    pub(super) fn run(&self) -> anyhow::Result<Exit> {
        if self.all {
            if !self.yes
                && let Some(exit) = self.is_declined()?
            {
                return Ok(exit);
            }
            return self.unban(None);
        }
        if self.fleet {
            let nets: Vec<_> = self.nets.iter().map(|net| net.0).collect();
            let reason = self.reason.as_deref().unwrap_or_default();
            return self.operator.lift(self.remote.config(), &nets, reason);
        }
        for_each(&self.nets, |net| self.unban(Some(*net)))
    }

    /// Asks whether all bans are lifted; how the command ends if not.
    fn is_declined(&self) -> anyhow::Result<Option<Exit>> {
        let standing = self.remote.ask("counting the bans", Standing::count)?;
        if standing.is_empty() {
            return Ok(None);
        }
        if self.remote.wants_json() || !io::stdin().is_terminal() {
            eprintln!(
                "sipward: nothing lifted: there are {standing}, and nobody can be asked; --yes lifts \
                 them without asking"
            );
            return Ok(Some(Exit::Refused));
        }
        if ask(&format!("lift {standing}?"), false)? == Some(true) {
            return Ok(None);
        }
        out::text("nothing lifted\n")?;
        Ok(Some(Exit::Done))
    }

    fn unban(&self, net: Option<Net>) -> anyhow::Result<Exit> {
        self.remote.run(
            "lifting bans",
            async |client| lift(client, net).await,
            |done| lifted(done, net),
        )
    }
}

/// Lifts the bans of a network, or all.
pub(super) async fn lift(
    client: &mut Client,
    net: Option<Net>,
) -> Result<Answer<Unbanned>, ClientError> {
    let path = match &net {
        Some(net) => format!("/bans/{}", segment(net)),
        None => "/bans".to_owned(),
    };
    let mut done = client.send::<Unbanned>(Method::DELETE, &path).await?;
    look_again(client, &mut done.value).await;
    done.body = serde_json::to_string(&done.value).unwrap_or(done.body);
    Ok(done)
}

pub(super) fn lifted(done: &Unbanned, net: Option<Net>) -> String {
    let flows = match done.flows {
        0 => String::new(),
        flows => format!("; {} allowed again", out::count(flows, "denied flow")),
    };
    if done.count == 0 {
        return match net {
            Some(net) => format!("{net} was not banned{flows}\n"),
            None => format!("there were no bans{flows}\n"),
        };
    }
    let left = match done.left.len() {
        0 => String::new(),
        pieces => {
            format!("; the rest of wider bans remains as {}", out::count(pieces as u64, "ban"))
        }
    };
    let unfinished = match done.unfinished {
        0 => String::new(),
        some => {
            format!("; the kernel has not removed {} yet", out::count(some, "route"))
        }
    };
    let mut text = format!("{} lifted{left}{flows}{unfinished}\n", out::count(done.count, "ban"));
    for StillStopped { net, by } in &done.still_stopped {
        out::add(&mut text, format_args!("{net} is still blocked: {}\n", Plain(by)));
    }
    text + &degraded(&done.store)
}

/// How many bans there are, and of which kinds.
struct Standing {
    bans: [(u64, &'static str); 4],
    flows: u64,
}

impl Standing {
    async fn count(client: &mut Client) -> Result<Self, ClientError> {
        let mut bans = [
            (BanOrigin::Automatic, "automatic"),
            (BanOrigin::Manual, "manual"),
            (BanOrigin::Forced, "forced"),
            (BanOrigin::Remote, "of other nodes"),
        ]
        .map(|(origin, name)| (origin, (0, name)));
        for (origin, (count, _)) in &mut bans {
            let (origin, limit) = (Some(*origin), Some(1));
            let query = BanQuery { origin, limit, ..BanQuery::default() };
            *count = client.get::<BanPage>("/bans", &query).await?.value.total;
        }
        let query = FlowQuery { limit: Some(1), ..FlowQuery::default() };
        let flows = client.get::<FlowPage>("/flows", &query).await?.value.total;
        Ok(Self { bans: bans.map(|(_, counted)| counted), flows })
    }

    fn is_empty(&self) -> bool {
        self.flows == 0 && self.bans.iter().all(|(count, _)| *count == 0)
    }
}

impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bans = self.bans.iter().map(|(count, _)| count).sum();
        let kinds = self.bans.iter().filter(|(count, _)| *count > 0);
        let kinds: Vec<String> = kinds.map(|(count, name)| format!("{count} {name}")).collect();
        write!(f, "{}", out::count(bans, "ban"))?;
        if !kinds.is_empty() {
            write!(f, " ({})", kinds.join(", "))?;
        }
        if self.flows > 0 {
            write!(f, " and {}", out::count(self.flows, "denied flow"))?;
        }
        Ok(())
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
