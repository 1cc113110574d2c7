//! The operator's requests, where this program has the feature.

use std::path::Path;

use anyhow::Context as _;
use ipnet::IpNet;
use sipward_engine::LIFT_HOLD;
use sipward_fleet::message::{Judgement, Lift, Mode};
use sipward_fleet::{Initialized, OPERATORS, Operator as Connection, Peer, Settings, Size, Text};

use super::{Operator, Trust};
use crate::cli::out;
use crate::cli::progress::Progress;
use crate::cli::remote::{Exit, block_on};
use sipward_config::{Config, Secrets};

impl Operator {
    fn settings(&self, file: Option<&Path>) -> anyhow::Result<Settings> {
        let fleet = match Config::load(file) {
            Ok(config) => config.fleet,
            // With servers on the command line no file is needed.
            Err(error) if self.servers.is_empty() => return Err(error.into()),
            Err(_) => None,
        };
        let servers = match (self.servers.is_empty(), &fleet) {
            (false, _) => self.servers.clone(),
            (true, Some(fleet)) => fleet.servers.clone(),
            (true, None) => anyhow::bail!(
                "no servers: set `fleet.servers` in the configuration file, or give --server"
            ),
        };
        let peer: Peer = format!("{OPERATORS}.{}", self.name).parse().context("--as")?;
        let mut settings = Settings::new(servers, peer);
        settings.credentials = self.credentials.clone().or(Secrets::from_env()?.fleet_credentials);
        let ca = fleet.and_then(|fleet| fleet.tls).and_then(|tls| tls.ca);
        settings.ca = self.ca.clone().or(ca);
        settings.certificate.clone_from(&self.certificate);
        settings.key.clone_from(&self.key);
        settings.check()?;
        Ok(settings)
    }

    fn with<T>(
        &self,
        file: Option<&Path>,
        doing: &'static str,
        work: impl AsyncFnOnce(&Connection) -> anyhow::Result<T>,
    ) -> anyhow::Result<T> {
        let settings = self.settings(file)?;
        let progress = Progress::new(doing, true);
        block_on(progress.around(async {
            let connection = Connection::connect(&settings).await?;
            work(&connection).await
        }))?
    }

    pub(in crate::cli) fn init(
        &self,
        file: Option<&Path>,
        (replicas, max_mib): (u8, u32),
    ) -> anyhow::Result<Exit> {
        let max_bytes = i64::from(max_mib) << 20;
        let size = Size { replicas: replicas.into(), max_bytes };
        let all =
            self.with(file, "making the streams", async |fleet| Ok(fleet.init(size).await?))?;
        let (text, is_right) = described(&all);
        out::text(&text)?;
        Ok(if is_right { Exit::Done } else { Exit::Failed })
    }

    pub(in crate::cli) fn judge(
        &self,
        file: Option<&Path>,
        node: &str,
        (mode, weight): (Trust, u32),
    ) -> anyhow::Result<Exit> {
        let peer: Peer = node.parse().context("the node")?;
        anyhow::ensure!(!peer.is_operator(), "{node} is an operator, not a node");
        let (mode, done) = match mode {
            Trust::Accept => (Mode::Accept, "is accepted"),
            Trust::Shadow => (Mode::Shadow, "is in shadow: none of its bans is in force"),
            Trust::Ignore => {
                (Mode::Ignore, "is ignored: its bans are lifted, its messages dropped")
            }
        };
        let judgement = Judgement { mode, weight };
        self.with(file, "telling the nodes", async |fleet| {
            Ok(fleet.judge(peer, judgement).await?)
        })?;
        out::text(&format!("{node} {done}; connected nodes follow at once\n"))?;
        Ok(Exit::Done)
    }

    pub(in crate::cli) fn lift(
        &self,
        file: Option<&Path>,
        nets: &[IpNet],
        reason: &str,
    ) -> anyhow::Result<Exit> {
        let hold_ms = u64::try_from(LIFT_HOLD.as_millis()).unwrap_or(u64::MAX);
        self.with(file, "telling the nodes", async |fleet| {
            for net in nets {
                let (reason, who) = (Text::cut(reason), Text::cut(&self.name));
                fleet.lift(*net, Lift { hold_ms, reason, who }).await?;
            }
            Ok(())
        })?;
        for net in nets {
            out::text(&format!(
                "{net} is lifted on all nodes; for an hour no node's ban of it is accepted elsewhere\n"
            ))?;
        }
        Ok(Exit::Done)
    }
}

/// What became of the streams, and whether all of them are as they should be.
fn described(all: &[Initialized]) -> (String, bool) {
    let mut text = String::new();
    for Initialized { stream, made, differences } in all {
        let state = if *made { "made" } else { "is there" };
        out::add(&mut text, format_args!("{stream} {state}\n"));
        for differs in differences {
            let (property, is, should_be) = (differs.property, &differs.is, &differs.should_be);
            out::add(&mut text, format_args!("  {property} is {is}, should be {should_be}\n"));
        }
    }
    let is_right = all.iter().all(|stream| stream.differences.is_empty());
    if !is_right {
        text.push_str(
            "change what differs with the `nats` program, or give the streams up and begin anew\n",
        );
    }
    (text, is_right)
}
